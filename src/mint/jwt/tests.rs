use serde_json::json;

use super::*;
use crate::keys::{KeySet, Unverified, jwk};
use crate::token::Algorithm;

const RSA: &[u8] = include_bytes!("../../../tests/vectors/keys/rsa_pkcs1_private.pem");
const SECRET: &[u8] = b"a secret of sixty-four octets, so that it is enough for HS512 ..";

fn key(algorithm: Algorithm) -> SigningKey {
    match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => SigningKey::from_secret(SECRET, algorithm),
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => SigningKey::from_pem(RSA, Some(algorithm)),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => SigningKey::generate(algorithm),
    }
    .expect("a key")
}

fn key_set(key: &SigningKey) -> KeySet {
    match key.public_jwk() {
        Some(jwk) => {
            jwk::parse_jwks(json!({"keys": [jwk]}).to_string().as_bytes(), None).expect("a key set").0
        }
        None => jwk::from_secret(SECRET, Some(&[key.algorithm()]), false).expect("a key set"),
    }
}

fn claims() -> Map<String, Value> {
    let claims = json!({
        "iss": "https://api.example.com", "aud": ["a", "b"], "sub": "héctor \"x\"", "exp": 4_000_000_000_i64,
        "iat": 1, "none": null, "deep": {"list": [1, 2.5, true]},
    });
    claims.as_object().cloned().expect("an object")
}

/// What `jsonwebtoken` says of a token: its claims, if the signature is right.
fn oracle(token: &str, key: &SigningKey) -> Option<Map<String, Value>> {
    let decoding = match key.public_jwk() {
        Some(jwk) => {
            let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk).expect("a JWK");
            jsonwebtoken::DecodingKey::from_jwk(&jwk).expect("a key")
        }
        None => jsonwebtoken::DecodingKey::from_secret(SECRET),
    };
    let algorithm: jsonwebtoken::Algorithm = key.algorithm().name().parse().expect("an algorithm");
    let mut validation = jsonwebtoken::Validation::new(algorithm);
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &decoding, &validation).ok()?;
    assert_eq!(decoded.header.kid.as_deref(), key.key_id());
    assert_eq!(decoded.header.typ.as_deref(), Some("at+jwt"));
    Some(decoded.claims)
}

#[test]
fn every_algorithm_is_read_by_our_own_keys_and_by_another_library() {
    for algorithm in Algorithm::ALL {
        let key = key(algorithm);
        let token = sign(&key, "at+jwt", &claims()).expect("a token");
        assert_eq!(oracle(&token, &key), Some(claims()), "{algorithm:?}");
        let unverified = Unverified::parse(&token, 8_192).expect("well-formed");
        assert_eq!((unverified.algorithm(), unverified.key_id()), (algorithm, key.key_id()));
        let set = key_set(&key);
        let fitting = set.select(unverified.key_id(), algorithm, Some(&[algorithm])).expect("the key");
        let verified = fitting.verify(unverified).expect("a good signature");
        assert_eq!(verified.claims().subject(), Some("héctor \"x\""));
        assert_eq!(verified.typ(), Some("at+jwt"));
    }
}

#[test]
fn a_token_of_another_key_is_refused_by_both() {
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let (key, other) = (key(algorithm), key(algorithm));
        let token = sign(&key, "at+jwt", &claims()).expect("a token");
        assert_eq!(oracle(&token, &other), None);
        let unverified = Unverified::parse(&token, 8_192).expect("well-formed");
        assert!(key_set(&other).select(unverified.key_id(), algorithm, None).is_err());
    }
}

#[test]
fn the_key_id_is_the_thumbprint_that_another_library_makes() {
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()) {
        let key = key(algorithm);
        let jwk: jsonwebtoken::jwk::Jwk =
            serde_json::from_value(key.public_jwk().expect("a public half")).expect("a JWK");
        let theirs = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).expect("a thumbprint");
        assert_eq!(key.key_id(), Some(&*theirs), "{algorithm:?}");
    }
}

#[test]
fn a_token_needs_no_more_room_than_it_was_given() {
    for algorithm in Algorithm::ALL {
        let token = sign(&key(algorithm), "at+jwt", &claims()).expect("a token");
        let room = token.capacity();
        assert!(room >= token.len() && room < token.len() + 4 * SIGNATURE, "{room} for {}", token.len());
    }
}
