//! Keys come, go and rotate without a wrong verdict, whatever becomes of the issuer (threats 2C).

use std::fs;
use std::time::{Duration, Instant};

use portcullis::gate::denial::Reason::{BadSignature, KeysUnavailable, UnknownKey};
use serde_json::{Value, json};

use crate::harness::api::{Api, assert_allowed, assert_refused, usual};
use crate::harness::client::Request;
use crate::harness::issuer::{FAULTS, Fault, Issuer};
use crate::harness::keys::{Key, jwks};
use crate::harness::process;
use crate::harness::setup::Ports;
use crate::harness::token::Token;
use crate::harness::upstream::Upstream;
use crate::harness::wait::{eventually, wait_until};

/// The threat model's figure for a key file: removed is refused, added is accepted, within a second. Twice that on
/// a loaded machine.
const FILE_BOUND: Duration = Duration::from_secs(2);

fn orders(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

fn put_keys(api: &Api, keys: &[Key]) {
    api.gateway.replace("corp.json", jwks(keys).to_string());
}

#[test]
fn k1_a_key_removed_from_a_file_stops_counting_remembered_tokens_too() {
    let api = Api::start();
    let token = api.reader();
    let mut connection = api.gateway.connect();
    for _ in 0..20 {
        assert_allowed(&connection.send(&orders(&token)));
    }
    put_keys(&api, &[Key::new("ES256", "k9")]);
    let refused = eventually(FILE_BOUND, || connection.send(&orders(&token)).status == 401);
    assert!(refused, "a removed key still counts");
    assert_refused(&api.gateway.send(&orders(&token)), UnknownKey);
    put_keys(&api, &api.issuer.keys());
    assert!(eventually(FILE_BOUND, || api.gateway.send(&orders(&token)).status == 200), "a key put back");
}

#[test]
fn k1_a_key_replaced_under_its_name_is_another_key() {
    let api = Api::start();
    let old = api.reader();
    api.allows_token(&old);
    let other = Key::new("ES256", "k1");
    put_keys(&api, std::slice::from_ref(&other));
    let new = Token::new(&api.issuer.iss, &other).scope("orders:read").sign();
    assert!(eventually(FILE_BOUND, || api.gateway.send(&orders(&new)).status == 200));
    assert_refused(&api.gateway.send(&orders(&old)), BadSignature);
}

#[test]
fn k2_a_key_added_to_a_file_counts_and_the_old_one_never_falters() {
    let api = Api::start();
    let old = api.reader();
    let key = api.issuer.rotate("k2");
    let new = Token::new(&api.issuer.iss, &key).scope("orders:read").sign();
    assert_refused(&api.gateway.send(&orders(&new)), UnknownKey);
    put_keys(&api, &api.issuer.keys());
    let accepted = eventually(FILE_BOUND, || {
        assert_allowed(&api.gateway.send(&orders(&old)));
        api.gateway.send(&orders(&new)).status == 200
    });
    assert!(accepted, "an added key does not count");
}

#[test]
fn k2_rotation_under_load_gives_no_wrong_verdict() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    let gateway =
        usual(&upstream).quiet().issuer_fetched("corp", &issuer, "refresh: 1s, cooldown: 300ms").start();
    let old = issuer.key();
    let end = Instant::now() + Duration::from_secs(4);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (gateway, issuer, old) = (&gateway, &issuer, &old);
            scope.spawn(move || {
                let mut connection = gateway.connect();
                while Instant::now() < end {
                    // Whatever signs now has been published before; the old key stays published throughout.
                    let token = if n % 2 == 0 { Token::new(&issuer.iss, old) } else { issuer.token() };
                    let response = connection.send(&orders(&token.scope("orders:read").sign()));
                    // A key so new that no fetch has brought it yet is the gateway's fault, never the token's.
                    let waiting = response.status == 503 && response.reason() == KeysUnavailable.code();
                    assert!(response.status == 200 || (n % 2 == 1 && waiting), "{response:?}");
                }
            });
        }
        let mut round = 2;
        while Instant::now() + Duration::from_millis(700) < end {
            issuer.rotate(&format!("k{round}"));
            let fetched = issuer.fetches();
            wait_until("a rotated key is fetched", || issuer.fetches() > fetched);
            round += 1;
        }
    });
}

#[test]
fn k2_an_unknown_kid_is_fetched_for_and_then_known() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    let gateway = usual(&upstream).issuer_fetched("corp", &issuer, "cooldown: 100ms, miss_wait: 2s").start();
    assert_eq!(gateway.get("/me", &issuer.mint("")).status, 200);
    issuer.rotate("k2");
    let token = issuer.mint("");
    wait_until("the new key is known", || {
        let response = gateway.get("/me", &token);
        assert!(matches!(response.status, 200 | 503), "never 401 for a key that is published: {response:?}");
        response.status == 200
    });
}

/// config.md: an unknown kid is 503 until a fetch begun after it was first seen has succeeded, then 401.
#[test]
fn k3_an_unknown_kid_is_our_fault_until_the_issuer_was_asked() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    let gateway =
        usual(&upstream).issuer_fetched("corp", &issuer, "cooldown: 100ms, miss_wait: 50ms").start();
    let token = issuer.token().header("kid", json!("nobody's")).sign();
    issuer.set_fault(Fault::ServerError);
    let asked = issuer.fetches();
    wait_until("the issuer is asked", || {
        assert_refused(&gateway.get("/me", &token), KeysUnavailable);
        issuer.fetches() > asked
    });
    assert_refused(&gateway.get("/me", &token), KeysUnavailable);
    issuer.set_fault(Fault::None);
    wait_until("the issuer has answered", || gateway.get("/me", &token).status == 401);
    assert_refused(&gateway.get("/me", &token), UnknownKey);
}

/// Every way for a provider to be broken, after it once worked: known keys go on counting.
#[test]
fn k4_k6_an_outage_keeps_the_last_good_keys() {
    std::thread::scope(|scope| {
        for fault in FAULTS {
            scope.spawn(move || outage(fault));
        }
    });
}

fn outage(fault: Fault) {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    let gateway = usual(&upstream).issuer_fetched("corp", &issuer, "refresh: 1s, cooldown: 200ms").start();
    let token = issuer.mint("orders:read");
    assert_allowed(&gateway.send(&orders(&token)));
    let resident = gateway.resident_kib();
    issuer.set_fault(fault);
    let fetched = issuer.fetches();
    wait_until(&format!("{fault:?}: a fetch meets the fault"), || {
        assert_allowed(&gateway.send(&orders(&token)));
        issuer.fetches() > fetched + 1
            || matches!(fault, Fault::Hang | Fault::Drip) && issuer.fetches() > fetched
    });
    // A token that is new to the gateway, so that the keys themselves and not a memory of them answer.
    assert_allowed(&gateway.send(&orders(&issuer.mint("orders:read"))));
    // Of each huge body no more leaves the server than a key set may be long, and what the sockets hold.
    let each = issuer.sent() / (issuer.fetches() - fetched);
    assert!(each < 12 << 20, "{fault:?}: {each} octets of a key set were taken");
    let grown = gateway.resident_kib().saturating_sub(resident);
    assert!(grown < 32 << 10, "{fault:?}: {grown} KiB more");
    let results = || gateway.metrics().values("jwks_fetches_total", "result").len();
    wait_until(&format!("{fault:?} shows in the metrics"), || results() > 1);
    // And when it is over, it is over: a new key is learnt.
    issuer.set_fault(Fault::None);
    issuer.rotate("k2");
    let new = issuer.mint("orders:read");
    wait_until(&format!("{fault:?}: mended"), || gateway.send(&orders(&new)).status == 200);
}

#[test]
fn k4_a_provider_that_refuses_connections_is_an_outage_too() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    let gateway = usual(&upstream).issuer_fetched("corp", &issuer, "refresh: 1s, cooldown: 100ms").start();
    issuer.go_down();
    let failed = || gateway.metric("jwks_fetches_total", &[("issuer", "corp")]);
    let before = failed();
    wait_until("some fetches fail", || failed() > before + 1.0);
    assert_allowed(&gateway.send(&orders(&issuer.mint("orders:read"))));
    issuer.come_up();
    let key = issuer.rotate("k2");
    let new = Token::new(&issuer.iss, &key).scope("orders:read").sign();
    wait_until("the new key counts", || gateway.send(&orders(&new)).status == 200);
}

#[test]
fn k4_keys_past_max_stale_are_no_keys() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    let members = "refresh: 1s, cooldown: 100ms, max_stale: 3s, miss_wait: 50ms";
    let gateway = usual(&upstream).issuer_fetched("corp", &issuer, members).start();
    let token = issuer.mint("orders:read");
    assert_allowed(&gateway.send(&orders(&token)));
    issuer.set_fault(Fault::ServerError);
    // Remembered or not: 503, our fault, and never an allow.
    assert_refused(&gateway.wait_for_status(&orders(&token), 503), KeysUnavailable);
    issuer.set_fault(Fault::None);
    assert_allowed(&gateway.wait_for_status(&orders(&token), 200));
}

/// A provider that was never there: no built-in key, no crash, not ready; and no restart when it comes.
#[test]
fn k5_a_cold_start_without_the_provider_recovers_by_itself() {
    let issuer = Issuer::start();
    let healthy = Issuer::start();
    issuer.go_down();
    let upstream = Upstream::start();
    let members = "keys: discovery, refresh: 1s, cooldown: 100ms, miss_wait: 20ms";
    let setup = usual(&upstream).issuer_with("corp", &issuer, members).issuer("healthy", &healthy);
    let gateway = setup.start_unready();
    let token = issuer.mint("orders:read");
    let mut connection = gateway.connect();
    for _ in 0..200 {
        assert_refused(&connection.send(&orders(&token)), KeysUnavailable);
    }
    assert_eq!(gateway.probe("/readyz"), Some(503));
    assert_eq!(gateway.probe("/livez"), Some(200));
    // One issuer's trouble is not another's, nor a public route's.
    assert_allowed(&gateway.send(&orders(&healthy.mint("orders:read"))));
    assert_allowed(&gateway.send(&Request::get("/health")));
    issuer.come_up();
    assert_allowed(&gateway.wait_for_status(&orders(&token), 200));
    gateway.wait_until_ready();
}

/// The last good set is mirrored on disk, so that a restart while the provider is down is no outage.
#[test]
fn k5_a_restart_during_an_outage_reads_the_mirror() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    let mirror = tempfile::tempdir().expect("a directory");
    let at = mirror.path().join("mirror");
    let setup = || {
        usual(&upstream)
            .issuer_fetched("corp", &issuer, "refresh: 1s, cooldown: 100ms")
            .yaml_tail(&format!("key_mirror: {at:?}"))
    };
    let token = issuer.mint("orders:read");
    let gateway = setup().start();
    assert_allowed(&gateway.send(&orders(&token)));
    wait_until("the mirror is written", || mirrored(&at));
    drop(gateway);
    private_to_us(&at);
    issuer.go_down();
    let gateway = setup().start_unready();
    assert_allowed(&gateway.wait_for_status(&orders(&token), 200));
    assert_refused(
        &gateway.send(&orders(&Issuer::start().token().set("iss", json!(issuer.iss)).sign())),
        BadSignature,
    );
    drop(gateway);
    // A mirror that somebody broke is no mirror, and no crash.
    for file in fs::read_dir(&at).expect("the mirror").filter_map(Result::ok) {
        fs::write(file.path(), b"{\"keys\": [").expect("a broken mirror");
    }
    let gateway = setup().start_unready();
    assert_refused(&gateway.send(&orders(&token)), KeysUnavailable);
}

/// Whether the one file of the mirror has its name and its content.
fn mirrored(directory: &std::path::Path) -> bool {
    let files: Vec<_> = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok).collect();
    let [file] = files.as_slice() else { return false };
    let named = file.path().extension().is_some_and(|extension| extension != "new" && extension != "tmp");
    named && fs::read_to_string(file.path()).is_ok_and(|text| text.contains("k1"))
}

fn private_to_us(directory: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(directory).expect("the mirror").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
}

#[test]
fn k4_an_unchanged_set_is_not_fetched_whole_again() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    let gateway = usual(&upstream).issuer_fetched("corp", &issuer, "refresh: 1s").start();
    wait_until("a conditional fetch", || issuer.not_modified() > 1);
    assert_allowed(&gateway.send(&orders(&issuer.mint("orders:read"))));
    assert_eq!(issuer.most_at_once(), 1, "single flight");
}

#[test]
fn k4_a_redirect_does_not_lead_to_another_host() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    issuer.set_fault(Fault::RedirectElsewhere);
    let gateway = usual(&upstream).issuer_fetched("corp", &issuer, "cooldown: 100ms").start_unready();
    wait_until("the redirect was answered", || issuer.fetches() > 1);
    assert_refused(&gateway.send(&orders(&issuer.mint("orders:read"))), KeysUnavailable);
    assert_eq!(issuer.hits("/elsewhere"), 0);
}

#[test]
fn k4_keys_come_by_discovery_and_the_metadata_has_to_be_the_issuers_own() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    let gateway = usual(&upstream).issuer_with("corp", &issuer, "keys: discovery").start();
    assert_allowed(&gateway.send(&orders(&issuer.mint("orders:read"))));
    drop(gateway);
    // The document of another issuer, at this one's address (OpenID Connect Discovery section 4.3).
    let metadata = json!({"issuer": "https://evil.test", "jwks_uri": issuer.jwks_url()});
    issuer.set_metadata(&metadata);
    let gateway =
        usual(&upstream).issuer_with("corp", &issuer, "keys: discovery, miss_wait: 20ms").start_unready();
    wait_until("discovery was asked", || issuer.hits("/.well-known/openid-configuration") > 1);
    assert_refused(&gateway.send(&orders(&issuer.mint("orders:read"))), KeysUnavailable);
}

/// Key sets no issuer's file may hold: what is wrong is said at load, with exit code 78, and refused at reload.
fn bad_sets() -> Vec<(&'static str, Value)> {
    let sound = Key::new("ES256", "k1");
    let with = |member: &str, value: Value| {
        let mut jwk = sound.jwk();
        jwk[member] = value;
        json!({"keys": [jwk]})
    };
    let rsa =
        |n: &str, e: &str| json!({"keys": [{"kty": "RSA", "kid": "k1", "alg": "RS256", "n": n, "e": e}]});
    let n1024 = "t".repeat(171);
    let n2048 = Key::new("RS256", "k1").jwk()["n"].as_str().unwrap_or_default().to_owned();
    vec![
        (
            "J15 a secret among public keys",
            json!({"keys": [sound.jwk(), Key::secret("HS256", &[7; 32]).jwk()]}),
        ),
        ("J15 two keys of one name", jwks(&[sound.clone(), Key::new("ES256", "k1")])),
        ("J15 a private member", with("d", json!("AAAA"))),
        ("J15 for encryption", with("use", json!("enc"))),
        ("J15 not for verifying", with("key_ops", json!(["sign"]))),
        ("J15 another curve's algorithm", with("alg", json!("ES384"))),
        ("J15 another family's algorithm", with("alg", json!("RS256"))),
        ("J15 a secret's algorithm", with("alg", json!("HS256"))),
        ("J15 an unknown curve", with("crv", json!("P-257"))),
        ("J15 a point off the curve", with("x", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))),
        ("J15 RSA of 1024 bits", rsa(&n1024, "AQAB")),
        ("J15 RSA with exponent 1", rsa(&n2048, "AQ")),
        ("J15 RSA with an even exponent", rsa(&n2048, "AQAA")),
        ("K6 no key", json!({"keys": []})),
        ("no set", json!({"key": []})),
        ("no JSON object", json!([sound.jwk()])),
    ]
}

#[test]
fn j15_a_key_set_in_a_file_is_held_to_our_policy() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    for (what, set) in bad_sets() {
        let directory = tempfile::tempdir().expect("a directory");
        let setup = usual(&upstream).issuer("corp", &issuer).file("corp.json", set.to_string());
        setup.write_to(directory.path(), Ports::free());
        let run = process::run(directory.path(), &["check", "--config", "portcullis.yaml"]);
        assert_eq!(run.code, 78, "{what}: {}", run.output());
        assert!(run.output().contains("corp.json"), "{what}: which file is not said: {}", run.output());
    }
}

#[test]
fn j15_k6_a_bad_key_file_does_not_replace_a_good_one() {
    let api = Api::start();
    let failed = || api.gateway.metric("config_last_reload_success", &[]);
    for (what, set) in bad_sets() {
        let response = {
            api.gateway.replace("corp.json", set.to_string());
            api.gateway.reload()
        };
        assert!(response.status >= 400, "{what}: {response:?}");
        assert_eq!(failed(), 0.0, "{what}");
        assert_allowed(&api.gateway.send(&orders(&api.reader())));
    }
    put_keys(&api, &api.issuer.keys());
    assert_eq!(api.gateway.reload().status, 200);
    assert_eq!(failed(), 1.0);
}

/// One unusable key of a *fetched* set is skipped; the others count.
#[test]
fn j15_an_unusable_key_of_a_fetched_set_is_skipped() {
    let issuer = Issuer::start();
    let unusable = [
        json!({"kty": "RSA", "kid": "short", "n": "t".repeat(171), "e": "AQAB"}),
        json!({"kty": "future", "kid": "future"}),
        json!({"kty": "EC", "kid": "enc", "crv": "P-256", "use": "enc", "x": "AA", "y": "AA"}),
    ];
    issuer.publish_beside(&unusable);
    let upstream = Upstream::start();
    let gateway = usual(&upstream).issuer_fetched("corp", &issuer, "").start();
    assert_allowed(&gateway.send(&orders(&issuer.mint("orders:read"))));
    assert_eq!(gateway.metric("jwks_keys", &[("issuer", "corp")]), 1.0);
    gateway.wait_for_log(&["future"]);
}

/// Whoever publishes a secret or a private key has lost it, and every other key beside it.
#[test]
fn j15_a_fetched_set_with_a_secret_in_it_is_no_set() {
    let secret = Key::secret("HS256", &[7; 32]).named("oct");
    let issuer = Issuer::with_keys(vec![Key::new("ES256", "good"), secret.clone()]);
    let upstream = Upstream::start();
    let gateway = usual(&upstream).issuer_fetched("corp", &issuer, "miss_wait: 20ms").start_unready();
    wait_until("it is fetched", || issuer.fetches() > 0);
    for key in [&issuer.key(), &secret] {
        let token = Token::new(&issuer.iss, key).scope("orders:read").sign();
        assert_refused(&gateway.send(&orders(&token)), KeysUnavailable);
    }
}

#[test]
fn secrets_are_keys_only_where_they_are_long_enough() {
    let issuer = Issuer::start();
    let upstream = Upstream::start();
    let try_out = |secret: &[u8], members: &str| {
        let directory = tempfile::tempdir().expect("a directory");
        let setup = usual(&upstream).issuer_with("corp", &issuer, members).file("s", secret);
        setup.write_to(directory.path(), Ports::free());
        process::run(directory.path(), &["check", "--config", "portcullis.yaml"]).code
    };
    let plain = "keys: {secret: {file: s}}";
    assert_eq!(try_out(b"", plain), 78);
    assert_eq!(try_out(b"x", plain), 78);
    assert_eq!(try_out(&[b'a'; 31], plain), 78);
    assert_eq!(try_out(&[b'a'; 32], plain), 0);
    assert_eq!(try_out(&[b'a'; 32], "keys: {secret: {file: s}}, algorithms: [HS512]"), 78);
    assert_eq!(try_out(&[b'a'; 64], "keys: {secret: {file: s}}, algorithms: [HS512]"), 0);
}
