//! jsonwebtoken 11 as the oracle, as strict as it can be made.

use std::time::SystemTime;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use proptest::prelude::*;

use super::*;

fn algorithm(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.name().parse().expect("both know it")
}

fn decoding_key(signer: &SigningKey) -> DecodingKey {
    match signer.public_jwk() {
        Some(jwk) => {
            let jwk: Jwk = serde_json::from_value(jwk).expect("a JWK");
            DecodingKey::from_jwk(&jwk).expect("a key")
        }
        None => DecodingKey::from_secret(SECRET),
    }
}

fn oracle_accepts(signer: &SigningKey, token: &str) -> bool {
    let mut validation = Validation::new(algorithm(signer.algorithm()));
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&["https://issuer"]);
    validation.set_audience(&["api"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY.cast_unsigned();
    jsonwebtoken::decode::<Value>(token, &decoding_key(signer), &validation).is_ok()
}

fn oracle_mints(signer: &SigningKey, claims: &Value) -> String {
    let pem = signer.to_pem();
    let pem = pem.as_ref().map(|pem| pem.as_bytes());
    let key = match (pem, signer.algorithm().name().as_bytes()[0]) {
        (None, _) => EncodingKey::from_secret(SECRET),
        (Some(pem), b'R' | b'P') => EncodingKey::from_rsa_pem(pem).expect("a key"),
        (Some(pem), _) if signer.algorithm() == Algorithm::EdDSA => {
            EncodingKey::from_ed_pem(pem).expect("a key")
        }
        (Some(pem), _) => EncodingKey::from_ec_pem(pem).expect("a key"),
    };
    jsonwebtoken::encode(&Header::new(algorithm(signer.algorithm())), claims, &key).expect("a token")
}

const LEEWAY: i64 = 30;

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs().cast_signed()
}

/// What a decision demands of claims beyond what reading and verifying demand: a model of it, for comparing.
fn accepts(set: &KeySet, token: &str) -> bool {
    let Ok(verified) = verify(set, token) else { return false };
    let claims = verified.claims();
    let leeway_ago = now() - LEEWAY;
    claims.issuer() == Some("https://issuer")
        && claims.audience().any(|audience| audience == "api")
        && claims.subject().is_some()
        && claims.expires().is_some_and(|expires| expires.0 > leeway_ago)
        && claims.not_before().is_none_or(|not_before| not_before.0 <= now() + LEEWAY)
}

fn good_claims() -> Value {
    json!({"iss": "https://issuer", "aud": "api", "sub": "s", "exp": now() + 300})
}

#[test]
fn jsonwebtoken_and_we_verify_each_other() {
    for signer in SIGNERS.iter() {
        let theirs = oracle_mints(signer, &good_claims());
        assert!(accepts(&set_for(signer), &theirs), "{signer:?} {:?}", signer.algorithm());
        let ours = signer.mint(&good_claims(), "JWT").expect("a token");
        assert!(oracle_accepts(signer, &ours), "{:?}", signer.algorithm());
    }
}

/// What the oracle lets pass at its strictest and we do not (threats section 3).
#[test]
fn we_are_stricter_where_the_oracle_is_known_to_be_lax() {
    let signer = signer(Algorithm::HS256);
    let set = set_for(signer);
    let header = r#"{"alg":"HS256"}"#;
    let exp = now() + 300;
    let payload =
        |rest: &str| format!(r#"{{"iss":"https://issuer","aud":"api","sub":"s","exp":{exp}{rest}}}"#);
    let good = payload("");
    assert!(
        accepts(&set, &sign(signer, header, &good)) && oracle_accepts(signer, &sign(signer, header, &good))
    );

    let headers = [
        r#"{"alg":"HS256","crit":["x"],"x":1}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","zip":"DEF"}"#,
        r#"{"alg":"HS256","cty":"JWT"}"#,
        r#"{"alg":"HS256","x":1,"x":2}"#,
        r#"{"alg":"HS256","kid":"a\u0000b"}"#,
    ];
    let payloads = [
        payload(r#","scope":"read","scope":"admin""#),
        payload(r#","x":{"y":1,"y":2}"#),
        payload(r#","jti":1"#),
        payload(r#","iat":"1""#),
        payload(r#","iat":-1"#),
        payload(r#","crit":["exp"]"#),
        good.replace(r#""https://issuer""#, r#"["https://evil","https://issuer"]"#),
        good.replace(&format!("{exp}"), "1e18"),
    ];
    let cases = headers
        .iter()
        .map(|header| (*header, &*good))
        .chain(payloads.iter().map(|payload| (header, &**payload)));
    for (header, payload) in cases {
        let token = sign(signer, header, payload);
        assert!(!accepts(&set, &token), "{header} {payload}");
        assert!(oracle_accepts(signer, &token), "the oracle grew stricter: {header} {payload}");
    }
}

fn odd_value() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "null",
        "true",
        "0",
        "-1",
        "1.5",
        "4102444800",
        "1e18",
        "1e400",
        "\"\"",
        "\"x\"",
        "\"api\"",
        "\"https://issuer\"",
        "[]",
        "{}",
        "[\"api\"]",
        "[\"https://issuer\"]",
        "[\"x\",1]",
        "[[\"api\"]]",
        "{\"a\":1}",
        "\"\\ud800\"",
        "\"JWT\"",
        "\"HS256\"",
        "\"none\"",
        "[\"b64\"]",
        "false",
    ])
    .prop_map(str::to_owned)
}

/// The text of a JSON object that begins well and goes on oddly: members replaced, added, repeated.
fn mutated(
    good: Vec<(&'static str, String)>,
    names: &'static [&'static str],
) -> impl Strategy<Value = String> {
    prop::collection::vec((prop::sample::select(names), odd_value(), any::<bool>()), 0..3).prop_map(
        move |changes| {
            let mut members: Vec<(String, String)> =
                good.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            for (name, value, repeat) in changes {
                match members.iter_mut().find(|(known, _)| known == name) {
                    Some(known) if !repeat => known.1 = value,
                    _ => members.push((name.to_owned(), value)),
                }
            }
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Whatever the oracle refuses, we refuse.
    #[test]
    fn what_jsonwebtoken_refuses_is_refused(
        header in mutated(
            vec![("alg", "\"HS256\"".into()), ("typ", "\"JWT\"".into())],
            // Not `jwk`, `jku`, `x5c`, `x5u`: it reads what we never look at.
            &["alg", "typ", "kid", "cty", "crit", "b64", "x"],
        ),
        payload in mutated(
            vec![
                ("iss", "\"https://issuer\"".into()),
                ("aud", "\"api\"".into()),
                ("sub", "\"s\"".into()),
                ("exp", "4102444800".into()),
            ],
            &["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "scope", "x"],
        ),
    ) {
        let signer = signer(Algorithm::HS256);
        let token = sign(signer, &header, &payload);
        if !oracle_accepts(signer, &token) {
            prop_assert!(!accepts(&set_for(signer), &token), "{} {}", header, payload);
        }
    }
}
