use std::net::{IpAddr, Ipv4Addr};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::config::problems::Position;
use crate::config::{self, Config, Context, Introspection, Issuer, KeySource, Records, Secret, SecretSource};
use crate::gate::denial::Reason;
use crate::gate::evidence::{Evidence, Need, RecordAnswer, RecordAsked, RecordFound};
use crate::gate::explain::{Outcome, explain};
use crate::gate::lasting::Lasting;
use crate::gate::memo::Memo;
use crate::gate::{Decision, Field, Request, decide};
use crate::keys::rotation::SigningKey;
use crate::keys::{Verified, jwk};
use crate::path;
use crate::policy::route::Routes;
use crate::revocation::{Entry, Kind, Revocations};
use crate::snapshot::{self, Change, Keys, Publisher, Reader};
use crate::token::claims::Claims;
use crate::token::{Algorithm, NumericDate};

const NOW: i64 = 1_800_000_000;

/// An issuer that signs, and four whose tokens are looked up.
const CONFIG: &str = r#"
version: 1
listeners: [127.0.0.1:8080]
upstreams: {api: http://127.0.0.1:3000}
key_mirror: none
issuers:
  signed: {issuer: signed, audience: any, keys: {jwks: {file: a.json}}}
  opaque: {issuer: opaque, audience: any, keys: {jwks: {file: a.json}}, leeway: 0s}
  keys: {issuer: keys, audience: any, keys: {jwks: {file: a.json}}, from: [bearer, {header: X-Key}]}
  partner: {issuer: partner, audience: any, keys: {jwks: {file: a.json}}}
  rival: {issuer: rival, audience: any, keys: {jwks: {file: a.json}}}
routes:
  GET /all: {require: {issuers: [signed, opaque, keys, partner]}}
  GET /signed: {require: {issuers: [signed]}}
  GET /opaque: {require: {issuers: [opaque], scopes: [read]}}
  GET /both: {require: {issuers: [signed, opaque]}}
  GET /keys: {require: {issuers: [keys]}}
  GET /partner: {require: {issuers: [partner]}}
  GET /partners: {require: {issuers: [partner, rival]}}
"#;

struct Scene {
    signer: SigningKey,
    publisher: Publisher,
    reader: Reader,
    memo: Memo,
    /// The candidates of every look-up so far, by name.
    asked: Vec<Vec<String>>,
    now: i64,
}

/// What looking a token up comes to, each time it is asked.
type Answer<'a> = &'a dyn Fn(&RecordAsked) -> RecordAnswer;

impl Scene {
    fn new() -> Self {
        let context = Context { name: "test.yaml", directory: FilePath::new("/"), env: &|_| None };
        let (mut config, _) = config::parse(CONFIG, &context).unwrap_or_else(|problems| panic!("{problems}"));
        let secret = Secret { source: SecretSource::Env("S".to_owned()), at: Position::default() };
        let foreign = Records::Introspection(Introspection {
            url: String::new(),
            client: "me".into(),
            secret,
            cache: Duration::ZERO,
            timeout: Duration::ZERO,
        });
        for (name, records) in [
            ("opaque", Records::Opaque { prefix: "op_".into() }),
            ("keys", Records::ApiKeys { prefixes: vec!["sk_a_".into(), "sk_b_".into()] }),
            ("partner", foreign.clone()),
            ("rival", foreign),
        ] {
            let issuer = config.issuers.iter_mut().find(|issuer| *issuer.name == *name).expect("an issuer");
            Arc::get_mut(issuer).expect("the only one").keys.value = KeySource::Records(records);
        }
        let signer = SigningKey::generate(Algorithm::ES256).expect("a key");
        let change = change(&config, &signer, 1);
        let (publisher, reader) = snapshot::channel(change);
        Self { signer, publisher, reader, memo: Memo::new([7; 16], 1 << 20), asked: Vec::new(), now: NOW }
    }

    /// Records of another version: what was found may not be so any more.
    fn renew(&mut self, issuer: &str, version: u64) {
        self.publisher.publish(Change::Keys { issuer: issuer.into(), keys: Keys::Records(version) });
    }

    fn revoke(&mut self, kind: Kind, issuer: &str, value: &str) {
        let entry = Entry {
            kind,
            issuer: issuer.into(),
            value: value.into(),
            claim: "".into(),
            not_before: None,
            expires: None,
            reason: None,
        };
        let compiled = Revocations::compile(&[entry], NumericDate(NOW));
        self.publisher.publish(Change::Revocations(Arc::new(compiled)));
    }

    fn decide(&mut self, path: &str, header: (&str, &str), answer: Answer<'_>) -> Decision {
        let fields = [Field { name: header.0.as_bytes(), value: header.1.as_bytes() }];
        let request = Request {
            method: "GET",
            host: "api.test",
            path: path::canonical(path).expect("a path"),
            query: None,
            headers: &fields,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            websocket: None,
            tls: None,
            presented: None,
            message: None,
        };
        let mut evidence = Evidence::default();
        for _ in 0..4 {
            let snapshot = self.reader.load();
            match decide(&snapshot, &mut self.memo, &request, &mut evidence, NumericDate(self.now)) {
                Decision::Need(Need::Keys(miss)) => panic!("nothing here is fetched: {miss:?}"),
                Decision::Need(Need::Signature(work)) => evidence.signature = Some(work.verify()),
                Decision::Need(Need::Body(asked)) => panic!("no body is read here: {asked:?}"),
                Decision::Need(Need::Record(asked)) => {
                    let names = asked.candidates.iter().map(|(_, _, issuer)| issuer.name.to_string());
                    self.asked.push(names.collect());
                    evidence.record = Some(RecordFound { answer: answer(&asked), asked });
                }
                done @ (Decision::Allow(_)
                | Decision::Answer(_)
                | Decision::Refuse(_)
                | Decision::Converse(_)
                | Decision::Preflight(_)) => return done,
            }
        }
        panic!("asked without an end")
    }

    /// Why a token as `Bearer` is refused, if it is.
    fn refused(&mut self, path: &str, token: &str, answer: Answer<'_>) -> Option<Reason> {
        match self.decide(path, ("Authorization", &format!("Bearer {token}")), answer) {
            Decision::Refuse(refusal) => Some(refusal.denial.reason),
            Decision::Allow(_) => None,
            other @ (Decision::Answer(_)
            | Decision::Converse(_)
            | Decision::Preflight(_)
            | Decision::Need(_)) => panic!("{other:?}"),
        }
    }

    /// Twice, remembered or not, with one verdict; and who was asked the first time.
    #[track_caller]
    fn check(&mut self, path: &str, token: &str, answer: Answer<'_>, asked: &[&str], reason: Option<Reason>) {
        self.asked.clear();
        assert_eq!(self.refused(path, token, answer), reason, "{path} {token}");
        let whom: Vec<Vec<String>> = match asked {
            [] => Vec::new(),
            names => vec![names.iter().map(|&name| name.to_owned()).collect()],
        };
        assert_eq!(self.asked, whom, "{path} {token}");
        assert_eq!(self.refused(path, token, answer), reason, "again: {path} {token}");
    }
}

fn change(config: &Config, signer: &SigningKey, version: u64) -> Change {
    let jwks = json!({"keys": [signer.public_jwk().expect("a key")]}).to_string();
    let (set, _) = jwk::parse_jwks(jwks.as_bytes(), None).expect("a key set");
    let set = Arc::new(set);
    let keys = |issuer: &Issuer| {
        if matches!(issuer.keys.value, KeySource::Records(_)) {
            Keys::Records(version)
        } else {
            Keys::Ready { set: Arc::clone(&set), fetched: false }
        }
    };
    Change::Config {
        routes: Arc::new(Routes::compile(config)),
        issuers: config.issuers.iter().map(|issuer| (Arc::clone(issuer), keys(issuer))).collect(),
        revocations: Arc::new(Revocations::default()),
        listeners: Vec::new(),
        token_limit: config.limits.token,
    }
}

fn known(claims: &serde_json::Value, lasting: bool) -> RecordAnswer {
    let claims = Claims::parse(claims.to_string().as_bytes()).expect("claims");
    RecordAnswer::Known { candidate: 0, verified: Box::new(Verified::of_record(claims)), lasting }
}

fn unknown(_: &RecordAsked) -> RecordAnswer {
    RecordAnswer::Unknown
}

fn nobody(asked: &RecordAsked) -> RecordAnswer {
    panic!("nobody is to be asked: {asked:?}")
}

#[test]
fn a_token_that_no_issuer_of_the_route_can_have_is_shown_to_nobody() {
    let mut scene = Scene::new();
    scene.check("/opaque", "sk_a_1", &nobody, &[], Some(Reason::UntrustedIssuer));
    scene.check("/keys", "op_1", &nobody, &[], Some(Reason::UntrustedIssuer));
    scene.check("/signed", "op_1", &nobody, &[], Some(Reason::MalformedToken));
    scene.check("/both", "sk_a_1", &nobody, &[], Some(Reason::MalformedToken));
    let elsewhere = scene.decide("/opaque", ("X-Key", "op_1"), &nobody);
    assert!(matches!(elsewhere, Decision::Refuse(refusal) if refusal.denial.reason == Reason::NoCredentials));
    let long = format!("op_{}", "a".repeat(9000));
    scene.check("/opaque", &long, &nobody, &[], Some(Reason::MalformedToken));
}

#[test]
fn who_may_know_it_is_asked_and_a_stranger_only_about_what_is_not_ours() {
    let mut scene = Scene::new();
    for (path, token, asked) in [
        ("/opaque", "op_1", &["opaque"][..]),
        ("/both", "op_3", &["opaque"]),
        ("/keys", "sk_b_1", &["keys"]),
        ("/all", "op_2", &["opaque"]),
        ("/all", "sk_a_2", &["keys"]),
        ("/all", "theirs", &["partner"]),
        ("/partners", "theirs2", &["partner", "rival"]),
    ] {
        scene.check(path, token, &unknown, asked, Some(Reason::BadSignature));
    }
}

#[test]
fn what_is_unknown_is_remembered_until_the_records_change() {
    let mut scene = Scene::new();
    scene.check("/opaque", "op_1", &unknown, &["opaque"], Some(Reason::BadSignature));
    scene.check("/opaque", "op_1", &nobody, &[], Some(Reason::BadSignature));
    scene.renew("opaque", 2);
    scene.check("/opaque", "op_1", &unknown, &["opaque"], Some(Reason::BadSignature));
    // What may be known a moment later is asked about each time.
    for _ in 0..2 {
        scene.asked.clear();
        assert_eq!(scene.refused("/opaque", "op_2", &|_| RecordAnswer::NotNow), Some(Reason::BadSignature));
        assert_eq!(scene.asked.len(), 1);
        let unavailable = scene.refused("/opaque", "op_3", &|_| RecordAnswer::Unavailable);
        assert_eq!(unavailable, Some(Reason::KeysUnavailable));
        assert_eq!(scene.asked.len(), 2);
    }
}

/// A client that tries a token at a route of other issuers first has not spoilt it.
#[test]
fn a_refusal_at_one_route_says_nothing_of_another_that_asks_others() {
    let good = |_: &RecordAsked| known(&json!({"sub": "a", "scope": "read"}), true);
    let mut scene = Scene::new();
    scene.check("/signed", "op_1", &nobody, &[], Some(Reason::MalformedToken));
    scene.check("/opaque", "op_1", &good, &["opaque"], None);
    scene.check("/signed", "op_1", &nobody, &[], Some(Reason::UntrustedIssuer));

    scene.check("/partner", "op_2", &unknown, &["partner"], Some(Reason::BadSignature));
    scene.check("/opaque", "op_2", &good, &["opaque"], None);
    scene.check("/partner", "x", &unknown, &["partner"], Some(Reason::BadSignature));
    scene.check("/partners", "x", &good, &["partner", "rival"], None);
    scene.check("/signed", "x", &nobody, &[], Some(Reason::UntrustedIssuer));
    scene.check("/partner", "y", &unknown, &["partner"], Some(Reason::BadSignature));
    scene.check("/signed", "y", &nobody, &[], Some(Reason::MalformedToken));

    let signed = scene.signer.mint(&json!({"iss": "signed", "exp": NOW + 60}), "JWT").expect("a token");
    scene.check("/partner", &signed, &unknown, &["partner"], Some(Reason::BadSignature));
    scene.check("/all", &signed, &nobody, &[], None);
    let mut forged = signed.clone().into_bytes();
    let at = forged.len() - 20;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("text");
    scene.check("/all", &forged, &nobody, &[], Some(Reason::BadSignature));
    scene.check("/partner", &forged, &unknown, &["partner"], Some(Reason::BadSignature));
    scene.check("/all", &forged, &nobody, &[], Some(Reason::BadSignature));
}

#[test]
fn a_signed_token_of_an_issuer_that_is_asked_is_looked_up() {
    let mut scene = Scene::new();
    let theirs = scene.signer.mint(&json!({"iss": "partner", "exp": NOW + 60}), "JWT").expect("a token");
    scene.check("/all", &theirs, &unknown, &["partner"], Some(Reason::BadSignature));
    let strange = scene.signer.mint(&json!({"iss": "strange", "exp": NOW + 60}), "JWT").expect("a token");
    scene.check("/all", &strange, &nobody, &[], Some(Reason::UntrustedIssuer));
    scene.check("/partner", &strange, &unknown, &["partner"], Some(Reason::BadSignature));
}

#[test]
fn what_is_known_is_judged_like_any_token() {
    let mut scene = Scene::new();
    for (claims, reason) in [
        (json!({"sub": "a", "scope": "read"}), None),
        (json!({"sub": "a", "scope": "read", "exp": NOW + 1}), None),
        (json!({"sub": "a", "scope": "read", "exp": NOW}), Some(Reason::Expired)),
        (json!({"sub": "a", "scope": "read", "nbf": NOW + 1}), Some(Reason::NotYetValid)),
        (json!({"sub": "a", "scope": "read", "exp": NOW + 90_000}), Some(Reason::LivesTooLong)),
        (json!({"sub": "a", "scope": "write"}), Some(Reason::InsufficientScope)),
        (json!({"token_use": "refresh", "scope": "read"}), Some(Reason::WrongType)),
    ] {
        let mut fresh = Scene::new();
        for lasting in [false, true] {
            let asked = if lasting { 1 } else { 2 };
            fresh.check("/opaque", "op_1", &|_| known(&claims, lasting), &["opaque"], reason);
            assert_eq!(fresh.asked.len(), asked, "lasting: {lasting} {claims}");
        }
    }
    // A date is what a signed token has to have.
    let endless = scene.signer.mint(&json!({"iss": "signed"}), "JWT").expect("a token");
    scene.check("/all", &endless, &nobody, &[], Some(Reason::MissingClaim));
}

#[test]
fn what_was_found_is_forgotten_when_the_records_change() {
    let mut scene = Scene::new();
    let good = |_: &RecordAsked| known(&json!({"sub": "a", "scope": "read"}), true);
    scene.check("/opaque", "op_1", &good, &["opaque"], None);
    scene.renew("opaque", 2);
    scene.check("/opaque", "op_1", &unknown, &["opaque"], Some(Reason::BadSignature));
}

/// The answer is of the records that were asked, and those are no longer there.
#[test]
fn an_answer_of_records_that_have_changed_meanwhile_is_asked_for_again() {
    let mut scene = Scene::new();
    let Scene { publisher, reader, .. } = Scene::new();
    let good = |_: &RecordAsked| known(&json!({"sub": "a", "scope": "read"}), true);
    let publisher = std::cell::RefCell::new(std::mem::replace(&mut scene.publisher, publisher));
    let times = std::cell::Cell::new(0);
    let late = |asked: &RecordAsked| {
        times.set(times.get() + 1);
        if times.get() == 1 {
            let keys = Keys::Records(9);
            publisher.borrow_mut().publish(Change::Keys { issuer: "opaque".into(), keys });
        }
        good(asked)
    };
    assert_eq!(scene.refused("/opaque", "op_1", &late), None);
    assert_eq!(times.get(), 2);
    drop(reader);
}

#[test]
fn an_api_key_is_revoked_by_its_id_and_by_nothing_of_another_issuer() {
    let good = |_: &RecordAsked| known(&json!({"iss": "keys", "sub": "k1", "scope": "read"}), true);
    for (kind, issuer, value, reason) in [
        (Kind::ApiKey, "keys", "k1", Some(Reason::Revoked)),
        (Kind::ApiKey, "keys", "k2", None),
        (Kind::ApiKey, "opaque", "k1", None),
        (Kind::Subject, "keys", "k1", Some(Reason::Revoked)),
    ] {
        let mut scene = Scene::new();
        scene.check("/keys", "sk_a_1", &good, &["keys"], None);
        scene.revoke(kind, issuer, value);
        scene.check("/keys", "sk_a_1", &nobody, &[], reason);
        assert!(scene.asked.is_empty(), "it was remembered");
    }
    // The subject of another kind of issuer is no key.
    let mut scene = Scene::new();
    scene.check(
        "/opaque",
        "op_1",
        &|_| known(&json!({"sub": "k1", "scope": "read"}), true),
        &["opaque"],
        None,
    );
    scene.revoke(Kind::ApiKey, "opaque", "k1");
    scene.check("/opaque", "op_1", &nobody, &[], None);
}

#[test]
fn a_stream_is_held_to_the_records_that_its_token_was_found_among() {
    let mut scene = Scene::new();
    let endless = |_: &RecordAsked| known(&json!({"sub": "a", "scope": "read"}), true);
    let granted = scene.decide("/opaque", ("Authorization", "Bearer op_1"), &endless);
    let Decision::Allow(grant) = granted else { panic!("{granted:?}") };
    let mut stream = Lasting::of(&grant).expect("a token");
    let holds = |stream: &mut Lasting, scene: &Scene, now| {
        stream.holds(&scene.reader.load(), NumericDate(now)).map_err(|denial| denial.reason)
    };
    assert_eq!(holds(&mut stream, &scene, NOW + 1_000_000_000), Ok(()), "it has no end");
    scene.renew("keys", 2);
    assert_eq!(holds(&mut stream, &scene, NOW), Ok(()), "another's records");
    let mut revoked = stream.clone();
    scene.revoke(Kind::Subject, "opaque", "a");
    assert_eq!(holds(&mut revoked, &scene, NOW), Err(Reason::Revoked));
    scene.renew("opaque", 2);
    assert_eq!(holds(&mut stream, &scene, NOW), Err(Reason::UnknownKey));
}

#[test]
fn explain_says_who_would_be_asked_and_that_nobody_was() {
    let scene = Scene::new();
    let fields = [Field { name: b"authorization", value: b"Bearer op_1" }];
    let request = Request {
        method: "GET",
        host: "api.test",
        path: path::canonical("/both").expect("a path"),
        query: None,
        headers: &fields,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        websocket: None,
        tls: None,
        presented: None,
        message: None,
    };
    let explained = explain(&scene.reader.load(), &request, NumericDate(NOW));
    let told = explained.steps.iter().find(|(step, _)| *step == "record").expect("a step");
    assert!(told.1.contains("opaque") && !told.1.contains("signed"), "{told:?}");
    let Outcome::Refused(refusal) = explained.outcome else { panic!("{:?}", explained.outcome) };
    assert_eq!(refusal.denial.reason, Reason::KeysUnavailable);
}

/// When a key was last used was when it was first remembered, for as long as it was.
#[test]
fn whoever_keeps_an_api_key_hears_of_its_use_once_a_minute() {
    let good = |_: &RecordAsked| known(&json!({"sub": "a", "scope": "read"}), true);
    let mut scene = Scene::new();
    scene.check("/keys", "sk_a_1", &good, &["keys"], None);
    scene.check("/opaque", "op_1", &good, &["opaque"], None);
    let signed = scene.signer.mint(&json!({"iss": "signed", "exp": NOW + 600}), "JWT").expect("a token");
    scene.check("/all", &signed, &nobody, &[], None);
    scene.now += 59;
    scene.check("/keys", "sk_a_1", &nobody, &[], None);
    scene.now += 1;
    scene.check("/keys", "sk_a_1", &good, &["keys"], None);
    scene.now += 59;
    scene.check("/keys", "sk_a_1", &nobody, &[], None);
    scene.check("/opaque", "op_1", &nobody, &[], None);
    scene.check("/all", &signed, &nobody, &[], None);
    scene.now += 1;
    scene.check("/keys", "sk_a_1", &unknown, &["keys"], Some(Reason::BadSignature));
}
