use super::*;
use crate::keys::jwk::parse_pem;

const RSA: &[u8] = include_bytes!("../../../tests/vectors/keys/rsa_pkcs1_private.pem");
const P256: &[u8] = include_bytes!("../../../tests/vectors/keys/p256_sec1_private.pem");
const P384: &[u8] = include_bytes!("../../../tests/vectors/keys/p384_private.pem");
const ED25519: &[u8] = include_bytes!("../../../tests/vectors/keys/ed25519_private.pem");
const P256_PUBLIC: &[u8] = include_bytes!("../../../tests/vectors/keys/p256_public.pem");

#[track_caller]
fn refused(pem: &[u8], algorithm: Option<Algorithm>, why: &str) {
    let error = SigningKey::from_pem(pem, algorithm).expect_err(why).0;
    assert!(error.contains(why), "{error}");
}

#[test]
fn what_is_no_private_key_is_refused() {
    refused(b"", None, "one private key");
    refused(b"\xff", None, "not PEM");
    refused(&[P256, RSA].concat(), None, "one private key");
    refused(P256_PUBLIC, None, "no private key");
    refused(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", None, "not an RSA");
    refused(b"-----BEGIN PRIVATE KEY-----\nAAAA\n", None, "does not end");
    refused(
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
        None,
        "encrypted",
    );
    refused(
        b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nAAAA\n-----END RSA PRIVATE KEY-----",
        None,
        "encrypted",
    );
}

#[test]
fn an_algorithm_of_another_key_type_is_refused() {
    for (pem, own) in [
        (
            RSA,
            &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ][..],
        ),
        (P256, &[Algorithm::ES256]),
        (P384, &[Algorithm::ES384]),
        (ED25519, &[Algorithm::EdDSA]),
    ] {
        for algorithm in Algorithm::ALL {
            let key = SigningKey::from_pem(pem, Some(algorithm));
            assert_eq!(key.is_ok(), own.contains(&algorithm), "{algorithm:?}");
        }
        assert_eq!(SigningKey::from_pem(pem, None).expect("a key").algorithm(), own[0]);
    }
    for algorithm in Algorithm::ALL {
        assert_eq!(SigningKey::from_secret(b"secret", algorithm).is_ok(), algorithm.is_symmetric());
        assert_eq!(algorithm.is_symmetric(), matches!(Kind::of(algorithm), Kind::Secret));
    }
    assert!(SigningKey::generate(Algorithm::HS256).is_err());
}

#[test]
fn rfc_7638_section_3_1() {
    let members = json!({
        "e": "AQAB",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "kty": "RSA",
    });
    assert_eq!(&*thumbprint(&members), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn keys_survive_being_written_and_read() {
    for pem in [RSA, P256, P384, ED25519] {
        let key = SigningKey::from_pem(pem, None).expect("a key");
        let written = key.to_pem().expect("PEM");
        assert!(
            written.starts_with("-----BEGIN PRIVATE KEY-----\n")
                && written.ends_with("-----END PRIVATE KEY-----\n")
        );
        assert!(written.lines().all(|line| line.len() <= 64));
        let again = SigningKey::from_pem(written.as_bytes(), None).expect("its own PEM");
        assert_eq!(again.public_jwk(), key.public_jwk());
        // Windows line ends and text around the block.
        let spoiled = format!("Bag Attributes\r\n{}trailing", written.replace('\n', "\r\n"));
        assert_eq!(SigningKey::from_pem(spoiled.as_bytes(), None).expect("PEM").key_id(), key.key_id());
    }
    // What OpenSSL wrote as PKCS#8 comes back octet for octet.
    for pem in [P384, ED25519] {
        let key = SigningKey::from_pem(pem, None).expect("a key");
        assert_eq!(key.to_pem().expect("PEM").as_bytes(), pem);
    }
}

fn noted(line: &str, pem: &[u8]) -> Vec<u8> {
    [line.as_bytes(), b"\n", pem].concat()
}

#[test]
fn an_algorithm_that_the_file_names_has_to_be_known_and_to_fit() {
    refused(&noted("Algorithm: PS255", RSA), None, "not known");
    refused(&noted("Algorithm: none", RSA), None, "not known");
    refused(&noted("Algorithm:", RSA), None, "not known");
    refused(&noted("Algorithm: ES256", RSA), None, "not one of the key's type");
    refused(&noted("Algorithm: HS256", RSA), None, "not one of the key's type");
    refused(&noted("Algorithm: PS256", P256), None, "not one of the key's type");
    refused(&noted("Algorithm: ES384", P256), None, "not one of the key's type");
    // Who is told another one does not look there.
    for line in ["Algorithm: PS256", "Algorithm: PS255"] {
        let key = SigningKey::from_pem(&noted(line, RSA), Some(Algorithm::RS512)).expect("a key");
        assert_eq!(key.algorithm(), Algorithm::RS512);
    }
    // Below the key, or in other words, it is not said.
    for text in [
        [RSA, b"Algorithm: PS256\n"].concat(),
        noted("Signature Algorithm: PS256", RSA),
        noted("Algorithms: PS256", RSA),
    ] {
        assert_eq!(SigningKey::from_pem(&text, None).expect("a key").algorithm(), Algorithm::RS256);
    }
}

/// `keys generate` and `token mint` are two processes: between them is the file alone.
#[test]
fn what_a_key_is_for_survives_its_file() {
    for (pem, algorithm, line) in [
        (RSA, Algorithm::RS256, None),
        (RSA, Algorithm::RS384, Some("Algorithm: RS384")),
        (RSA, Algorithm::RS512, Some("Algorithm: RS512")),
        (RSA, Algorithm::PS256, Some("Algorithm: PS256")),
        (RSA, Algorithm::PS384, Some("Algorithm: PS384")),
        (RSA, Algorithm::PS512, Some("Algorithm: PS512")),
        (P256, Algorithm::ES256, None),
        (P384, Algorithm::ES384, None),
        (ED25519, Algorithm::EdDSA, None),
    ] {
        let key = SigningKey::from_pem(pem, Some(algorithm)).expect("a key");
        let written = key.to_pem().expect("PEM");
        let first = line.unwrap_or("-----BEGIN PRIVATE KEY-----");
        assert_eq!(written.lines().next(), Some(first));
        for text in [written.to_string(), written.replace('\n', "\r\n")] {
            let again = SigningKey::from_pem(text.as_bytes(), None).expect("its own PEM");
            assert_eq!(again.public_jwk(), key.public_jwk());
        }
    }
}

#[test]
fn the_public_jwk_says_what_the_key_is() {
    for (pem, algorithm, members) in [
        (RSA, Algorithm::PS384, &["n", "e"][..]),
        (P256, Algorithm::ES256, &["crv", "x", "y"]),
        (ED25519, Algorithm::EdDSA, &["crv", "x"]),
    ] {
        let key = SigningKey::from_pem(pem, Some(algorithm)).expect("a key");
        let jwk = key.public_jwk().expect("public");
        let mut names: Vec<&str> =
            ["kty", "kid", "alg", "use"].into_iter().chain(members.iter().copied()).collect();
        names.sort_unstable();
        let mut found: Vec<&String> = jwk.as_object().expect("an object").keys().collect();
        found.sort_unstable();
        assert_eq!(found, names);
        assert_eq!(jwk["alg"], algorithm.name());
        assert_eq!(jwk["use"], "sig");
        assert_eq!(jwk["kid"].as_str(), key.key_id());
    }
}

#[test]
fn a_secret_has_no_public_half_and_shows_nothing() {
    let key = SigningKey::from_secret(b"canary", Algorithm::HS256).expect("a secret");
    assert_eq!((key.public_jwk(), key.key_id(), key.to_pem()), (None, None, None));
    assert_eq!(format!("{key:?}"), "SigningKey(…)");
    let generated = SigningKey::generate(Algorithm::EdDSA).expect("a key");
    assert_eq!(format!("{generated:?}"), "SigningKey(…)");
    assert_ne!(generated.key_id(), SigningKey::generate(Algorithm::EdDSA).expect("a key").key_id());
}

#[test]
fn a_minted_header_names_algorithm_type_and_key() {
    let key = SigningKey::from_pem(P256, None).expect("a key");
    let token = key.mint(&json!({"iss": "i"}), "at+jwt").expect("a token");
    let header = token.split('.').next().expect("a header");
    let header = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(header).expect("base64url");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    assert_eq!(header, json!({"alg": "ES256", "typ": "at+jwt", "kid": key.key_id()}));
    assert!(parse_pem(P256_PUBLIC, None).is_ok());
}
