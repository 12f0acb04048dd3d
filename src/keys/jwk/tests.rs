use std::sync::LazyLock;

use serde_json::json;

use super::*;
use crate::keys::rotation::SigningKey;

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/vectors/keys/", $name))
    };
}

const ROCA_MODULUS: &str = include_str!("../../../tests/vectors/keys/roca_modulus.txt");

static RSA: LazyLock<Value> = LazyLock::new(|| jwk(vector!("rsa_pkcs1_private.pem")));
static P256: LazyLock<Value> = LazyLock::new(|| jwk(vector!("p256_sec1_private.pem")));
static P384: LazyLock<Value> = LazyLock::new(|| jwk(vector!("p384_private.pem")));
static ED25519: LazyLock<Value> = LazyLock::new(|| jwk(vector!("ed25519_private.pem")));

fn jwk(pem: &[u8]) -> Value {
    SigningKey::from_pem(pem, None).expect("a key").public_jwk().expect("public")
}

/// `key` with `changes` merged in; `null` takes a member away.
fn with(key: &Value, changes: Value) -> Value {
    let mut key = key.clone();
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (name, value) in changes {
        if value.is_null() {
            key.as_object_mut().expect("a key").remove(&name);
        } else {
            key[name] = value;
        }
    }
    key
}

fn parse(keys: &[Value]) -> Result<(KeySet, Vec<SkippedKey>), KeySetError> {
    parse_jwks(json!({ "keys": keys }).to_string().as_bytes(), None)
}

/// The key is skipped beside a good one, and refuses a set of its own.
#[track_caller]
fn skipped(key: Value, why: &str) {
    let good = with(&ED25519, json!({"kid": "good"}));
    let (set, skipped) = parse(&[key.clone(), good]).expect("one key is usable");
    assert_eq!(set.key_ids().collect::<Vec<_>>(), ["good"], "{key}");
    assert_eq!((skipped.len(), skipped[0].index), (1, 0));
    assert!(skipped[0].why.contains(why), "{key}: {}", skipped[0].why);
    assert!(matches!(parse(&[key]), Err(KeySetError::NoUsableKey(all)) if all == skipped));
}

#[test]
fn j15_documents_that_are_no_key_set_are_refused() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"Keys":[]}"#,
        "<html>",
        r#"{"keys":[]"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"EC","kty":"RSA"}]}"#,
        r#"{"keys":[]} x"#,
    ] {
        assert!(matches!(parse_jwks(text.as_bytes(), None), Err(KeySetError::NotAKeySet(_))), "{text}");
    }
    assert!(matches!(parse(&[]), Err(KeySetError::NoUsableKey(skipped)) if skipped.is_empty()));
    let many: Vec<Value> = (0..=KEYS).map(|n| with(&ED25519, json!({"kid": n.to_string()}))).collect();
    assert!(matches!(parse(&many), Err(KeySetError::NotAKeySet(_))));
    assert_eq!(parse(&many[1..]).expect("200 keys").0.len(), KEYS);
}

#[test]
fn j15_private_and_secret_members_refuse_the_whole_set() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        for value in [json!("AA"), json!(null), json!([])] {
            let mut key = RSA.clone();
            key[name] = value;
            assert_eq!(parse(&[P256.clone(), key]).map(|_| ()), Err(KeySetError::PrivateMember(1)), "{name}");
        }
    }
    let symmetric = json!({"kty": "oct", "k": "AAAA", "alg": "HS256"});
    assert_eq!(parse(&[symmetric, P256.clone()]).map(|_| ()), Err(KeySetError::PrivateMember(0)));
    skipped(json!({"kty": "oct", "alg": "HS256"}), "symmetric");
}

#[test]
fn j15_two_keys_with_one_id_refuse_the_set() {
    let same = |key: &Value| with(key, json!({"kid": "same"}));
    for other in [&*RSA, &*P384, &*P256] {
        let refused = parse(&[same(&P256), same(other)]).map(|_| ());
        assert_eq!(refused, Err(KeySetError::DuplicateKeyId("same".into())));
    }
    // A key that is not taken cannot be confused with one that is.
    let (set, skipped) =
        parse(&[same(&P256), with(&RSA, json!({"kid": "same", "use": "enc"}))]).expect("a set");
    assert_eq!((set.len(), skipped.len()), (1, 1));
}

#[test]
fn j15_keys_for_something_else_are_skipped() {
    skipped(with(&RSA, json!({"use": "enc"})), "`use`");
    skipped(with(&RSA, json!({"use": "SIG"})), "`use`");
    skipped(with(&RSA, json!({"use": ["sig"]})), "string");
    skipped(with(&RSA, json!({"key_ops": ["encrypt"]})), "`verify`");
    skipped(with(&RSA, json!({"key_ops": []})), "`verify`");
    skipped(with(&RSA, json!({"key_ops": "verify"})), "array");
    skipped(with(&RSA, json!({"key_ops": ["verify", "verify"]})), "different strings");
    skipped(with(&RSA, json!({"key_ops": ["verify", 1]})), "different strings");
    for algorithm in ["none", "RSA-OAEP", "rs256", "ES512", ""] {
        skipped(with(&RSA, json!({"alg": algorithm})), "`alg`");
    }
    skipped(with(&RSA, json!({"alg": 1})), "string");
    for (key, algorithms) in [
        (&*RSA, &["ES256", "EdDSA", "HS256"][..]),
        (&*P256, &["ES384", "RS256", "EdDSA", "HS256"]),
        (&*P384, &["ES256"]),
        (&*ED25519, &["ES256", "Ed25519"]),
    ] {
        for algorithm in algorithms {
            skipped(with(key, json!({"alg": algorithm})), "`alg`");
        }
    }
    for key in [json!(1), json!(null), json!([]), json!("x")] {
        skipped(key, "object");
    }
    skipped(json!({}), "`kty`");
    skipped(with(&RSA, json!({"kty": "rsa"})), "`kty`");
    skipped(with(&RSA, json!({"kty": "AKP"})), "`kty`");
    skipped(with(&RSA, json!({"kty": 1})), "string");
}

#[test]
fn j15_weak_and_broken_rsa_keys_are_skipped() {
    let modulus = octets(RSA.as_object().expect("a key"), "n").expect("a modulus");
    let encoded = |octets: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(octets);
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut modulus = modulus.clone();
        change(&mut modulus);
        with(&RSA, json!({ "n": encoded(&modulus) }))
    };
    skipped(changed(|n| n.truncate(255)), "less than 2048");
    skipped(changed(|n| n[0] = 0x7f), "less than 2048");
    skipped(changed(|n| n[0] = 0), "less than 2048");
    skipped(changed(Vec::clear), "less than 2048");
    skipped(changed(|n| n[255] ^= 1), "even RSA modulus");
    skipped(changed(|n| n.extend([1; 1024])), "more than 8192");
    skipped(with(&RSA, json!({"n": ROCA_MODULUS.trim()})), "ROCA");
    let exponents: [&[u8]; 9] = [
        &[],
        &[0],
        &[1],
        &[2],
        &[1, 0, 0],
        &[2, 0, 0, 0, 1],
        &[1, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xff; 16],
        &[1; 300],
    ];
    for exponent in exponents {
        skipped(with(&RSA, json!({"e": encoded(exponent)})), "exponent");
    }
    skipped(with(&RSA, json!({"n": null})), "missing");
    skipped(with(&RSA, json!({"e": null})), "missing");
    skipped(with(&RSA, json!({"e": "AQAB="})), "base64url");
    skipped(with(&RSA, json!({"e": "AQAC\n"})), "base64url");
    skipped(with(&RSA, json!({"n": 1})), "string");
}

#[test]
fn rsa_keys_that_are_merely_unusual_are_taken() {
    for exponent in ["Aw", "AAEAAQ", "EQ"] {
        assert_eq!(parse(&[with(&RSA, json!({ "e": exponent }))]).expect("a set").0.len(), 1, "{exponent}");
    }
    let modulus = octets(RSA.as_object().expect("a key"), "n").expect("a modulus");
    let prefixed = base64_simd::URL_SAFE_NO_PAD.encode_to_string([&[0][..], &modulus].concat());
    let (plain, _) = parse(std::slice::from_ref(&RSA)).expect("a set");
    let (same, _) = parse(&[with(&RSA, json!({ "n": prefixed }))]).expect("a set");
    assert!(plain.same_keys(&same));
}

#[test]
fn j15_points_off_their_curve_are_skipped() {
    for key in [&*P256, &*P384] {
        skipped(with(key, json!({"x": key["y"], "y": key["x"]})), "curve");
        skipped(with(key, json!({"y": key["x"]})), "curve");
        skipped(with(key, json!({"y": null})), "missing");
        skipped(with(key, json!({"x": ED25519["x"].as_str().map(|x| &x[..20])})), "size");
        skipped(with(key, json!({"crv": "P-521"})), "curve");
        skipped(with(key, json!({"crv": "secp256k1"})), "curve");
        skipped(with(key, json!({"crv": null})), "curve");
    }
    skipped(with(&P256, json!({"crv": "P-384", "alg": null})), "size");
    skipped(with(&P384, json!({"crv": "P-256", "alg": null})), "size");
    let zeros = |length| base64_simd::URL_SAFE_NO_PAD.encode_to_string(vec![0; length]);
    skipped(with(&P256, json!({"x": zeros(32), "y": zeros(32)})), "curve");
    skipped(with(&P256, json!({"x": zeros(33)})), "size");
    skipped(with(&ED25519, json!({"crv": "Ed448", "alg": null})), "Ed25519");
    skipped(with(&ED25519, json!({"crv": "X25519", "alg": null})), "Ed25519");
    skipped(with(&ED25519, json!({"x": zeros(31)})), "size");
}

#[test]
fn j5_key_ids_that_no_token_can_name_are_skipped() {
    skipped(with(&P256, json!({"kid": "x".repeat(257)})), "`kid`");
    skipped(with(&P256, json!({"kid": "a\nb"})), "`kid`");
    skipped(with(&P256, json!({"kid": 1})), "string");
    let (_, skipped) = parse(&[with(&P256, json!({"kid": "é".repeat(200)})), RSA.clone()]).expect("a set");
    assert_eq!(skipped[0].key_id.as_deref(), Some(&*"é".repeat(128)));
}

#[test]
fn keys_beyond_the_bound_without_an_id_are_skipped() {
    let unnamed: Vec<Value> = (0..6)
        .map(|_| SigningKey::generate(Algorithm::EdDSA).expect("a key").public_jwk().expect("public"))
        .map(|key| with(&key, json!({"kid": null})))
        .collect();
    let (set, skipped) = parse(&unnamed).expect("a set");
    assert_eq!((set.len(), skipped.len()), (4, 2));
    // The same key twice is one key.
    let twice = vec![unnamed[0].clone(), unnamed[0].clone()];
    let (set, skipped) = parse(&twice).expect("a set");
    assert_eq!((set.len(), skipped.len()), (1, 0));
}

#[test]
fn a_set_is_read() {
    let unnamed = with(&P384, json!({"kid": null, "alg": null, "use": null}));
    let rsa =
        with(&RSA, json!({"kid": "rsa", "alg": null, "key_ops": ["verify"], "x5c": ["AA"], "x": {"y": 1}}));
    let (set, skipped) = parse(&[unnamed, rsa, with(&P256, json!({"kid": "ec"}))]).expect("a set");
    assert_eq!(skipped, []);
    assert_eq!(set.len(), 3);
    assert_eq!(set.key_ids().collect::<Vec<_>>(), ["rsa", "ec"]);
    use Algorithm::{ES256, ES384, PS256, PS384, PS512, RS256, RS384, RS512};
    assert!(set.algorithms().into_iter().eq([RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384]));
}

#[test]
fn only_allowed_algorithms_are_prepared() {
    let text = json!({"keys": [with(&RSA, json!({"alg": null})), *P256, *ED25519]}).to_string();
    let (set, skipped) =
        parse_jwks(text.as_bytes(), Some(&[Algorithm::PS256, Algorithm::EdDSA])).expect("a set");
    assert!(set.algorithms().into_iter().eq([Algorithm::PS256, Algorithm::EdDSA]));
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].why.contains("allows none"));
    assert!(parse_jwks(text.as_bytes(), Some(&[Algorithm::HS256])).is_err());
    assert!(parse_jwks(text.as_bytes(), Some(&[])).is_err());
}

#[test]
fn sets_are_the_same_by_content_and_not_by_order() {
    let of = |keys: &[Value]| parse(keys).expect("a set").0;
    let keys = [RSA.clone(), P256.clone(), with(&ED25519, json!({"kid": null}))];
    let reversed: Vec<Value> = keys.iter().rev().cloned().collect();
    assert!(of(&keys).same_keys(&of(&reversed)));
    assert!(!of(&keys).same_keys(&of(&keys[1..])));
    assert!(!of(&keys[1..]).same_keys(&of(&keys)));
    assert!(!of(&keys[..1]).same_keys(&of(&[with(&RSA, json!({"kid": "x"}))])));
    assert!(!of(&keys[..1]).same_keys(&of(&[with(&RSA, json!({"alg": null}))])));
    assert!(!of(&keys[..1]).same_keys(&of(&[with(&RSA, json!({"e": "Aw"}))])));
}

#[test]
fn pem_that_is_no_public_key_is_refused() {
    let refused = |text: &[u8], why: &str| {
        let error = parse_pem(text, None).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
    };
    for private in
        [&vector!("rsa_pkcs1_private.pem")[..], vector!("p384_private.pem"), vector!("ed25519_private.pem")]
    {
        refused(private, "private key");
        refused(&[&vector!("p256_public.pem")[..], private].concat(), "private key");
    }
    refused(vector!("p256_sec1_private.pem"), "neither a public key");
    refused(vector!("p521_public.pem"), "neither RSA");
    refused(vector!("rsa1024_public.pem"), "2048");
    refused(b"", "no PEM block");
    refused(b"ssh-ed25519 AAAA", "no PEM block");
    refused(b"-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----", "base64");
    refused(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "neither RSA");
    refused(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END CERTIFICATE-----", "in turn");
    refused(b"-----BEGIN PUBLIC KEY-----\n-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", "in turn");
    refused(b"-----END PUBLIC KEY-----", "in turn");
    refused(b"-----BEGIN PUBLIC KEY-----\nAAAA", "does not end");
    for length in [0, 1, 2, 3, 4, 8, 40, 200] {
        // Every truncation of the DER, lengths included, is seen.
        let text = std::str::from_utf8(vector!("p256_certificate.pem")).expect("text");
        let der = pem::blocks(text.as_bytes()).expect("PEM").remove(0).der;
        let cut = pem::write("", "CERTIFICATE", &der[..length]);
        refused(cut.as_bytes(), "certificate");
    }
}

#[test]
fn public_keys_are_read_from_pem() {
    use Algorithm::{ES256, ES384, EdDSA};
    let rsa = Material::Rsa { modulus: &[], exponent: &[] }.algorithms();
    let table: [(&[u8], &[Algorithm], &Value); 9] = [
        (vector!("rsa_public.pem"), rsa, &RSA),
        (vector!("rsa_pkcs1_public.pem"), rsa, &RSA),
        (vector!("rsa_certificate.pem"), rsa, &RSA),
        (vector!("p256_public.pem"), &[ES256], &P256),
        (vector!("p256_certificate.pem"), &[ES256], &P256),
        (vector!("p256_certificate_v1.pem"), &[ES256], &P256),
        (vector!("p384_public.pem"), &[ES384], &P384),
        (vector!("ed25519_public.pem"), &[EdDSA], &ED25519),
        (&[&vector!("p384_public.pem")[..], vector!("p384_public.pem")].concat(), &[ES384], &P384),
    ];
    for (text, algorithms, _) in table {
        let set = parse_pem(text, None).expect("a public key");
        assert_eq!(set.len(), 1);
        assert_eq!(set.key_ids().count(), 0);
        assert!(set.algorithms().iter().eq(algorithms));
    }
    let both = [&vector!("p384_public.pem")[..], b"text between\n", vector!("rsa_public.pem")].concat();
    let set = parse_pem(&both, Some(&[Algorithm::PS256, ES384])).expect("two keys");
    assert_eq!(set.len(), 2);
    assert!(set.algorithms().into_iter().eq([Algorithm::PS256, ES384]));
    assert!(parse_pem(&both, Some(&[ES384])).is_err());
}

#[test]
fn j15_secrets_shorter_than_their_hash_are_refused() {
    use Algorithm::{ES256, HS256, HS384, HS512};
    let short = |length, name, hash| Some(KeySetError::ShortSecret(length, name, hash));
    let none = Some(KeySetError::NoUsableKey(Vec::new()));
    type Expected = Result<&'static [Algorithm], Option<KeySetError>>;
    let table: [(usize, Option<&[Algorithm]>, bool, Expected); 17] = [
        (0, None, false, Err(short(0, "HS256", 32))),
        (0, None, true, Err(short(0, "HS256", 32))),
        (0, Some(&[HS512]), true, Err(short(0, "HS512", 64))),
        (1, None, false, Err(short(1, "HS256", 32))),
        (31, None, false, Err(short(31, "HS256", 32))),
        (32, Some(&[HS384]), false, Err(short(32, "HS384", 48))),
        (32, Some(&[HS256, HS512]), false, Err(short(32, "HS512", 64))),
        (64, Some(&[]), false, Err(none.clone())),
        (64, Some(&[ES256]), true, Err(none)),
        (32, None, false, Ok(&[HS256])),
        (47, None, false, Ok(&[HS256])),
        (48, None, false, Ok(&[HS256, HS384])),
        (64, None, false, Ok(&[HS256, HS384, HS512])),
        (64, Some(&[HS384, ES256]), false, Ok(&[HS384])),
        (1, None, true, Ok(&[HS256])),
        (32, Some(&[HS512]), true, Ok(&[HS512])),
        (48, None, true, Ok(&[HS256, HS384])),
    ];
    for (length, allowed, dangerous, expected) in table {
        let set = from_secret(&vec![7; length], allowed, dangerous);
        match (set, expected) {
            (Ok(set), Ok(algorithms)) => {
                assert!(set.algorithms().iter().eq(algorithms), "{length} {allowed:?} {dangerous}");
                assert_eq!(set.len(), 1);
            }
            (Err(found), Err(expected)) => {
                assert_eq!(Some(found), expected, "{length} {allowed:?} {dangerous}")
            }
            (found, expected) => panic!("{length} {allowed:?} {dangerous}: {found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn errors_and_debug_texts_show_no_secret() {
    let set = from_secret(b"canary-canary-canary-canary-canary", None, false).expect("a set");
    assert!(!format!("{set:?}").contains("canary"));
    let canary = json!({"keys": [{"kty": "RSA", "d": "canary"}]}).to_string();
    assert!(!parse_jwks(canary.as_bytes(), None).expect_err("private").to_string().contains("canary"));
}
