mod oracle;

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::*;
use crate::keys::jwk::{from_secret, parse_jwks, parse_pem};
use crate::keys::rotation::SigningKey;

const LIMIT: usize = 8 * 1024;
const SECRET: &[u8] = &[7; 64];
const RSA_PEM: &[u8] = include_bytes!("../../tests/vectors/keys/rsa_pkcs1_private.pem");
const RSA_PUBLIC_PEM: &str = include_str!("../../tests/vectors/keys/rsa_public.pem");
const RSA_PKCS1_PUBLIC_PEM: &str = include_str!("../../tests/vectors/keys/rsa_pkcs1_public.pem");

/// One signing key for each algorithm; RSA ones share a key pair.
static SIGNERS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    Algorithm::ALL
        .into_iter()
        .map(|algorithm| match algorithm.name().as_bytes()[0] {
            b'R' | b'P' => SigningKey::from_pem(RSA_PEM, Some(algorithm)).expect("a key"),
            b'H' => SigningKey::from_secret(SECRET, algorithm).expect("a secret"),
            _ => SigningKey::generate(algorithm).expect("a key"),
        })
        .collect()
});

fn signer(algorithm: Algorithm) -> &'static SigningKey {
    SIGNERS.iter().find(|signer| signer.algorithm() == algorithm).expect("every algorithm has one")
}

fn set_of(jwks: &[Value]) -> KeySet {
    parse_jwks(json!({ "keys": jwks }).to_string().as_bytes(), None).expect("a key set").0
}

/// What verifies the tokens of `signer`.
fn set_for(signer: &SigningKey) -> KeySet {
    match signer.public_jwk() {
        Some(jwk) => set_of(&[jwk]),
        None => from_secret(SECRET, Some(&[signer.algorithm()]), false).expect("a secret"),
    }
}

fn encode(octets: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(octets)
}

/// Signs a header and a payload that nobody checked.
fn sign(signer: &SigningKey, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = signer.sign(input.as_bytes()).expect("a signature");
    format!("{input}.{}", encode(signature))
}

fn without(jwk: &Value, names: &[&str]) -> Value {
    let mut jwk = jwk.clone();
    for name in names {
        jwk.as_object_mut().expect("a key").remove(*name);
    }
    jwk
}

/// Why a token does not verify.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Malformed(Malformed),
    NoKey(NoKey),
    BadSignature,
}

fn verify(set: &KeySet, token: &str) -> Result<Verified, Refusal> {
    let unverified = Unverified::parse(token, LIMIT).map_err(Refusal::Malformed)?;
    let key = set.select(unverified.key_id(), unverified.algorithm(), None).map_err(Refusal::NoKey)?;
    key.verify(unverified).map_err(|BadSignature| Refusal::BadSignature)
}

#[track_caller]
fn refused(set: &KeySet, token: &str, why: Refusal) {
    assert_eq!(verify(set, token).map(|_| ()), Err(why), "{token}");
}

#[test]
fn j1_tokens_without_a_signature_are_refused() {
    let signer = signer(Algorithm::ES256);
    let set = set_for(signer);
    let good = signer.mint(&json!({"sub": "x"}), "JWT").expect("a token");
    let (input, signature) = good.rsplit_once('.').expect("dots");
    refused(&set, &format!("{input}."), Refusal::Malformed(Malformed::NotThreeParts));
    refused(&set, input, Refusal::Malformed(Malformed::NotThreeParts));
    for algorithm in ["none", "None", "NONE", "nOnE"] {
        let unsigned =
            format!("{}.{}", encode(format!(r#"{{"alg":"{algorithm}"}}"#)), encode(r#"{"sub":"x"}"#));
        refused(&set, &format!("{unsigned}."), Refusal::Malformed(Malformed::NotThreeParts));
        refused(&set, &format!("{unsigned}.{signature}"), Refusal::Malformed(Malformed::Algorithm));
    }
    // The signature of another token.
    let other = signer.mint(&json!({"sub": "y"}), "JWT").expect("a token");
    let other = other.rsplit_once('.').expect("dots").1;
    refused(&set, &format!("{input}.{other}"), Refusal::BadSignature);
}

#[test]
fn j2_public_keys_are_no_hmac_secrets() {
    let rsa = signer(Algorithm::RS256);
    let jwk = rsa.public_jwk().expect("public");
    let der = pem::blocks(RSA_PUBLIC_PEM.as_bytes()).expect("PEM").remove(0).der;
    let base64_body: String = RSA_PUBLIC_PEM.lines().filter(|line| !line.starts_with('-')).collect();
    let modulus =
        base64_simd::URL_SAFE_NO_PAD.decode_to_vec(jwk["n"].as_str().expect("text")).expect("base64url");
    let secrets: Vec<Vec<u8>> = vec![
        RSA_PUBLIC_PEM.into(),
        RSA_PUBLIC_PEM.trim_end().into(),
        format!("{RSA_PUBLIC_PEM}\n").into(),
        RSA_PUBLIC_PEM.replace('\n', "\r\n").into(),
        format!(" {RSA_PUBLIC_PEM}").into(),
        format!("\n{RSA_PUBLIC_PEM}").into(),
        RSA_PKCS1_PUBLIC_PEM.into(),
        der.to_vec(),
        base64_body.into(),
        jwk.to_string().into(),
        modulus,
        jwk["n"].as_str().expect("text").into(),
        Vec::new(),
    ];
    let named = set_of(std::slice::from_ref(&jwk));
    let unnamed = parse_pem(RSA_PUBLIC_PEM.as_bytes(), None).expect("a key");
    for secret in &secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let forger = SigningKey::from_secret(secret, algorithm).expect("a secret");
            let headers = [
                json!({"alg": algorithm.name()}),
                json!({"alg": algorithm.name(), "kid": jwk["kid"]}),
                json!({"alg": algorithm.name(), "kid": "unknown"}),
            ];
            for header in headers {
                let token = sign(&forger, &header.to_string(), r#"{"sub":"admin"}"#);
                for set in [&named, &unnamed] {
                    refused(set, &token, Refusal::NoKey(NoKey::WrongAlgorithm));
                    // Nor would the key itself be talked into it.
                    let unverified = Unverified::parse(&token, LIMIT).expect("a token");
                    assert_eq!(set.keys[0].verify(unverified).map(|_| ()), Err(BadSignature));
                }
            }
        }
    }
}

#[test]
fn j3_a_key_verifies_with_its_own_algorithms_alone() {
    for own in SIGNERS.iter() {
        let set = set_for(own);
        for other in SIGNERS.iter().filter(|other| other.algorithm() != own.algorithm()) {
            let mut header = json!({"alg": other.algorithm().name()});
            let token = sign(other, &header.to_string(), "{}");
            assert!(verify(&set, &token).is_err(), "{other:?} for {own:?}");
            // Under the key's own id: the signature may even be that of the same RSA key.
            if let Some(key_id) = own.key_id() {
                header["kid"] = key_id.into();
                let token = sign(other, &header.to_string(), "{}");
                refused(&set, &token, Refusal::NoKey(NoKey::WrongAlgorithm));
            }
            // A header that names the key's algorithm over a signature of another.
            let header = json!({"alg": own.algorithm().name()});
            refused(&set, &sign(other, &header.to_string(), "{}"), Refusal::BadSignature);
        }
    }
}

#[test]
fn j3_algorithms_the_issuer_does_not_allow_are_refused() {
    let set = parse_pem(RSA_PUBLIC_PEM.as_bytes(), None).expect("a key");
    for algorithm in Algorithm::ALL {
        let allowed: Vec<Algorithm> =
            Algorithm::ALL.into_iter().filter(|other| *other != algorithm).collect();
        for key_id in [None, Some("x")] {
            assert_eq!(set.select(key_id, algorithm, Some(&allowed)).map(|_| ()), Err(NoKey::WrongAlgorithm));
        }
    }
    assert_eq!(set.select(None, Algorithm::RS256, Some(&[])).map(|_| ()), Err(NoKey::WrongAlgorithm));
    assert!(set.select(None, Algorithm::RS256, Some(&[Algorithm::RS256])).is_ok());
}

#[test]
fn j4_a_key_inside_the_token_verifies_nothing() {
    let set = set_for(signer(Algorithm::ES256));
    let attacker = SigningKey::generate(Algorithm::ES256).expect("a key");
    let jwk = attacker.public_jwk().expect("public");
    let members = json!({"alg": "ES256", "jwk": jwk, "jku": "http://127.0.0.1:1/", "x5u": "file:///dev/null", "x5c": []});
    refused(&set, &sign(&attacker, &members.to_string(), "{}"), Refusal::BadSignature);
    let mut named = members;
    named["kid"] = jwk["kid"].clone();
    refused(&set, &sign(&attacker, &named.to_string(), "{}"), Refusal::NoKey(NoKey::UnknownKeyId));
}

#[test]
fn j5_key_ids_are_only_ever_compared() {
    let signer = signer(Algorithm::EdDSA);
    let set = set_for(signer);
    let own = signer.key_id().expect("public");
    let upper = own.to_uppercase();
    let padded = format!("{own} ");
    for key_id in ["", "../../../../dev/null", "key' OR '1'='1", "%s%n", "*", "é", &own[1..], &padded, &upper]
    {
        let header = json!({"alg": "EdDSA", "kid": key_id}).to_string();
        refused(&set, &sign(signer, &header, "{}"), Refusal::NoKey(NoKey::UnknownKeyId));
    }
}

#[test]
fn j16_a_key_of_another_set_with_the_same_id_verifies_nothing() {
    let (ours, theirs) = (signer(Algorithm::ES256), SigningKey::generate(Algorithm::ES256).expect("a key"));
    let set = |signer: &SigningKey| {
        let mut jwk = signer.public_jwk().expect("public");
        jwk["kid"] = json!("shared");
        set_of(&[jwk])
    };
    let token = sign(&theirs, r#"{"alg":"ES256","kid":"shared"}"#, r#"{"iss":"ours"}"#);
    refused(&set(ours), &token, Refusal::BadSignature);
    assert!(verify(&set(&theirs), &token).is_ok());
}

#[test]
fn claims_stay_shut_until_the_signature_is_checked() {
    let token =
        signer(Algorithm::HS256).mint(&json!({"iss": "i", "sub": "canary-subject"}), "JWT").expect("a token");
    let unverified = Unverified::parse(&token, LIMIT).expect("a token");
    let signature = token.rsplit_once('.').expect("dots").1;
    let shown = format!("{unverified:?}");
    assert!(!shown.contains("canary") && !shown.contains(signature), "{shown}");
    assert_eq!(
        (unverified.issuer(), unverified.algorithm(), unverified.key_id()),
        (Some("i"), Algorithm::HS256, None)
    );
    assert_eq!(Unverified::parse(&token, token.len() - 1).map(|_| ()), Err(Malformed::TooLong));
    assert_eq!(
        Unverified::parse(&sign(signer(Algorithm::HS256), r#"{"alg":"HS256"}"#, r#"{"exp":"1"}"#), LIMIT)
            .map(|_| ()),
        Err(Malformed::ClaimType)
    );
}

#[test]
fn a_token_without_a_key_id_needs_exactly_one_key_of_its_algorithm() {
    let (first, second) = (signer(Algorithm::ES256), SigningKey::generate(Algorithm::ES256).expect("a key"));
    let rsa = signer(Algorithm::RS256).public_jwk().expect("public");
    let (one, two) = (first.public_jwk().expect("public"), second.public_jwk().expect("public"));
    let unnamed = |jwk: &Value| without(jwk, &["kid"]);
    let token = sign(first, r#"{"alg":"ES256"}"#, "{}");

    let unknown = || Refusal::NoKey(NoKey::UnknownKeyId);
    refused(&set_of(&[one.clone(), two.clone()]), &token, unknown());
    refused(&set_of(&[unnamed(&one), unnamed(&two)]), &token, unknown());
    refused(&set_of(&[unnamed(&one), two.clone()]), &token, unknown());
    refused(&set_of(std::slice::from_ref(&rsa)), &token, unknown());
    refused(&set_of(&[rsa.clone(), two]), &token, Refusal::BadSignature);
    for set in
        [set_of(std::slice::from_ref(&one)), set_of(&[unnamed(&one), rsa.clone()]), set_of(&[rsa, one])]
    {
        assert!(verify(&set, &token).is_ok());
    }
}

#[test]
fn keys_without_an_id_fit_any_token_of_their_algorithm() {
    let (first, second) = (signer(Algorithm::ES256), SigningKey::generate(Algorithm::ES256).expect("a key"));
    let third = SigningKey::generate(Algorithm::ES256).expect("a key");
    let jwk = |signer: &SigningKey| without(&signer.public_jwk().expect("public"), &["kid"]);
    let mut named = third.public_jwk().expect("public");
    named["kid"] = json!("third");
    let set = set_of(&[jwk(first), named, jwk(&second)]);

    let header = |key_id: &str| json!({"alg": "ES256", "kid": key_id}).to_string();
    // The key that has the id is the only one asked.
    refused(&set, &sign(first, &header("third"), "{}"), Refusal::BadSignature);
    refused(&set, &sign(&third, &header("another"), "{}"), Refusal::BadSignature);
    let wrong = sign(signer(Algorithm::EdDSA), r#"{"alg":"EdDSA","kid":"x"}"#, "{}");
    refused(&set, &wrong, Refusal::NoKey(NoKey::UnknownKeyId));
    for (signer, key_id, verified_by) in
        [(first, "another", None), (&second, "another", None), (&third, "third", Some("third"))]
    {
        let verified = verify(&set, &sign(signer, &header(key_id), "{}")).expect(key_id);
        assert_eq!(verified.key_id(), verified_by);
    }
    assert_eq!(set.len(), 3);
}

#[test]
fn what_every_algorithm_signs_it_verifies() {
    for signer in SIGNERS.iter() {
        let token = signer.mint(&json!({"iss": "i", "sub": "s", "x": [1]}), "at+JWT").expect("a token");
        let verified = verify(&set_for(signer), &token).expect("its own key verifies");
        assert_eq!(verified.claims().subject(), Some("s"));
        let x = verified.claims().members().get("x").map(Value::from);
        assert_eq!(x, Some(json!([1])));
        assert_eq!(verified.algorithm(), Some(signer.algorithm()));
        assert_eq!(verified.key_id(), signer.key_id());
        assert_eq!(verified.typ(), Some("at+jwt"));
        assert!(verified.footprint() > "iss".len() + "sub".len());
    }
}

/// Threats R4, J11: a token that differs in any bit is another token, and a bad one.
#[test]
fn any_one_bit_change_is_refused() {
    for algorithm in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let signer = signer(algorithm);
        let set = set_for(signer);
        let token = signer.mint(&json!({"iss": "i", "exp": 1}), "JWT").expect("a token");
        assert!(verify(&set, &token).is_ok());
        for at in 0..token.len() {
            for bit in 0..8 {
                let mut changed = token.clone().into_bytes();
                changed[at] ^= 1 << bit;
                if let Ok(changed) = String::from_utf8(changed) {
                    assert!(verify(&set, &changed).is_err(), "octet {at}, bit {bit} of {token}");
                }
            }
        }
        for length in 0..token.len() {
            assert!(verify(&set, &token[..length]).is_err());
        }
        for suffix in ["=", " ", "\n", ".", "A", "AA", "AAA", "AAAA"] {
            assert!(verify(&set, &format!("{token}{suffix}")).is_err(), "{suffix:?}");
        }
    }
}

#[test]
fn every_algorithm_has_its_own_name() {
    let names: HashSet<&str> = Algorithm::ALL.into_iter().map(Algorithm::name).collect();
    assert_eq!(names.len(), Algorithm::ALL.len());
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        assert_eq!(Algorithm::from_name(&algorithm.name().to_lowercase()), None);
    }
}
