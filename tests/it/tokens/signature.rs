//! J1 to J6, J11, J16: what a signature is worth, and whose key counts.

use portcullis::gate::denial::Reason::{BadSignature, MalformedRequest, MalformedToken, UnknownKey};
use serde_json::{Value, json};

use crate::harness::api::{Api, usual};
use crate::harness::canary;
use crate::harness::issuer::Issuer;
use crate::harness::keys::{Key, decode, encode, mac, pem};
use crate::harness::token::Token;
use crate::harness::upstream::Upstream;
use crate::tokens::refuse;

#[test]
fn j1_none_is_no_algorithm() {
    let api = Api::start();
    let sound = api.reader();
    let signature = decode(sound.rsplit_once('.').expect("three parts").1);
    let algorithms = [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!("none "),
        json!(" none"),
        json!(""),
        Value::Null,
        json!(0),
        json!(false),
        json!([]),
        json!(["none"]),
        json!({}),
        json!("none\u{0}"),
    ];
    let with = |algorithm: &Value| api.issuer.token().scope("orders:read").header("alg", algorithm.clone());
    let mut tokens: Vec<Token> = algorithms.iter().map(with).collect();
    tokens.push(api.issuer.token().scope("orders:read").without_header("alg"));
    for token in tokens {
        let what = token.header_text();
        refuse(&api, &what, &token.with_signature(&[]), &[MalformedToken]);
        refuse(&api, &what, &token.with_signature(&signature), &[MalformedToken]);
        refuse(&api, &what, &token.signing_input(), &[MalformedToken]);
    }
}

/// A token MACed with anything public that an attacker could hope the verifier takes for a secret.
#[test]
fn j2_a_public_key_is_no_secret() {
    let rsa = Key::new("RS256", "k1");
    let ec = Key::new("ES256", "k2");
    let issuer = Issuer::with_keys(vec![rsa.clone(), ec.clone()]);
    let api = Api::with_issuer(issuer, |setup, issuer| setup.issuer("corp", issuer));
    for key in [&rsa, &ec] {
        let text = key.public_pem();
        let jwk = key.jwk();
        let number = |member: &str| decode(jwk[member].as_str().unwrap_or_default());
        let secrets: Vec<Vec<u8>> = vec![
            text.clone().into_bytes(),
            text.trim_end().to_owned().into_bytes(),
            format!("{text}\n").into_bytes(),
            text.replace('\n', "\r\n").into_bytes(),
            format!(" {text}").into_bytes(),
            format!("\n{text}").into_bytes(),
            text.lines().filter(|line| !line.starts_with('-')).collect::<String>().into_bytes(),
            pem("RSA PUBLIC KEY", &key.octets()).into_bytes(),
            key.spki(),
            key.octets(),
            jwk.to_string().into_bytes(),
            api.issuer.jwks().to_string().into_bytes(),
            number("n"),
            [number("x"), number("y")].concat(),
            jwk["n"].as_str().unwrap_or_default().as_bytes().to_vec(),
            b"".to_vec(),
        ];
        for algorithm in ["HS256", "HS384", "HS512"] {
            for (n, secret) in secrets.iter().enumerate() {
                let token =
                    Token::new(&api.issuer.iss, key).scope("orders:read").header("alg", json!(algorithm));
                let forged = token.with_signature(&mac(algorithm, secret, token.signing_input().as_bytes()));
                refuse(
                    &api,
                    &format!("{algorithm} {} {n}", key.algorithm),
                    &forged,
                    &[UnknownKey, BadSignature],
                );
            }
        }
    }
}

#[test]
fn j3_the_algorithm_is_the_keys_not_the_tokens() {
    let rsa = Key::new("RS256", "rsa");
    let issuer = Issuer::with_keys(vec![
        Key::new("ES256", "es256"),
        rsa.clone(),
        Key::new("ES384", "es384"),
        Key::new("EdDSA", "ed"),
    ]);
    let api = Api::with_issuer(issuer, |setup, issuer| setup.issuer("corp", issuer));
    // The right key and a sound signature, of another algorithm of the same key.
    for algorithm in ["PS256", "PS384", "PS512", "RS384", "RS512"] {
        let token = Token::new(&api.issuer.iss, &rsa).scope("orders:read").header("alg", json!(algorithm));
        let forged = token.with_signature(&rsa.sign_as(algorithm, token.signing_input().as_bytes()));
        refuse(&api, algorithm, &forged, &[UnknownKey, BadSignature]);
    }
    // Every key under every other key's algorithm and name.
    for key in api.issuer.keys() {
        for other in api.issuer.keys().iter().filter(|other| other.id != key.id) {
            let token = Token::new(&api.issuer.iss, &key).scope("orders:read");
            let what = format!("{} as {}", key.id, other.id);
            let renamed = token.clone().header("kid", json!(other.id)).sign();
            refuse(&api, &what, &renamed, &[UnknownKey, BadSignature]);
            let relabelled = token.header("alg", json!(other.algorithm)).sign();
            refuse(&api, &what, &relabelled, &[UnknownKey, BadSignature]);
        }
    }
    for unknown in ["ES256K", "ES512", "RS1", "RSA-OAEP", "dir", "A256GCM", "HS1", "Ed448", "es256", "ESP256"]
    {
        let token = api.issuer.token().scope("orders:read").header("alg", json!(unknown)).sign();
        refuse(&api, unknown, &token, &[MalformedToken, UnknownKey]);
    }
}

#[test]
fn j3_an_issuers_list_of_algorithms_is_obeyed() {
    let issuer = Issuer::with_keys(vec![Key::new("ES256", "k1"), Key::new("EdDSA", "k2")]);
    let api =
        Api::with_issuer(issuer, |setup, issuer| setup.issuer_with("corp", issuer, "algorithms: [ES256]"));
    let keys = api.issuer.keys();
    api.allows_token(&Token::new(&api.issuer.iss, &keys[0]).scope("orders:read").sign());
    let other = Token::new(&api.issuer.iss, &keys[1]).scope("orders:read").sign();
    refuse(&api, "EdDSA", &other, &[UnknownKey, BadSignature]);
}

/// `jwk`, `jku`, `x5u`, `x5c` are no key sources, and nobody fetches what a token names.
#[test]
fn j4_a_token_does_not_bring_its_own_key() {
    let api = Api::start();
    let mallory = Issuer::start();
    let own = mallory.key().named("k1");
    let elsewhere = mallory.jwks_url();
    let headers = [
        ("jwk", own.jwk()),
        ("jku", json!(elsewhere)),
        ("x5u", json!(elsewhere)),
        ("x5c", json!([encode(&own.spki())])),
        ("jku", json!("file:///etc/passwd")),
        ("jku", json!(format!("gopher:{}", elsewhere.trim_start_matches("http:")))),
        ("x5t", json!("AAAA")),
        ("url", json!(elsewhere)),
    ];
    for (name, value) in headers {
        let token = Token::new(&api.issuer.iss, &own).scope("orders:read").header(name, value);
        refuse(&api, name, &token.clone().sign(), &[BadSignature, MalformedToken]);
        refuse(&api, name, &token.header("kid", json!("mine")).sign(), &[UnknownKey, MalformedToken]);
    }
    assert_eq!(mallory.fetches(), 0, "somebody followed a token's advice");
}

#[test]
fn j5_a_kid_is_an_opaque_name() {
    let api = Api::start();
    let kids = [
        json!("../../../../dev/null"),
        json!("/proc/self/environ"),
        json!("key' UNION SELECT 'x"),
        json!("k1\u{0}"),
        json!("k1 "),
        json!(" k1"),
        json!("K1"),
        json!("k1\r\n{\"level\":\"info\",\"forged\":true}"),
        json!("%s%n"),
        json!("${jndi:ldap://x}"),
        json!(""),
        json!("a".repeat(257)),
        json!("a".repeat(4000)),
        json!(["k1"]),
        json!(1),
        json!({"k1": 1}),
        Value::Null,
        json!(true),
    ];
    for kid in kids {
        let token = api.issuer.token().scope("orders:read").header("kid", kid.clone()).sign();
        refuse(&api, &kid.to_string(), &token, &[UnknownKey, MalformedToken]);
    }
    assert!(!api.gateway.logs().lines().any(|line| line.starts_with("{\"level\":\"info\",\"forged\"")));
}

#[test]
fn j6_psychic_signatures_are_bad_ones() {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let api = Api::start();
    let mut below = ORDER;
    below[31] -= 1;
    let mut one = [0; 32];
    one[31] = 1;
    let values = [[0; 32], one, below, ORDER, [0xff; 32]];
    for r in values {
        for s in values {
            let token = api.issuer.token().scope("orders:read").with_signature(&[r, s].concat());
            refuse(&api, &format!("r {:02x?} s {:02x?}", &r[31..], &s[31..]), &token, &[BadSignature]);
        }
    }
    // Of a wrong length, or in DER.
    for signature in
        [vec![], vec![0; 1], vec![0; 63], vec![0; 65], vec![0; 128], vec![0x30, 6, 2, 1, 1, 2, 1, 1]]
    {
        let token = api.issuer.token().scope("orders:read").with_signature(&signature);
        refuse(&api, &format!("{} octets", signature.len()), &token, &[BadSignature, MalformedToken]);
    }
}

/// One token has one spelling: no other text is the same token (else a revoked or counted one has a twin).
#[test]
fn j11_r4_no_second_text_is_the_same_token() {
    for issuer_key in [Key::new("ES256", "k1"), Key::new("EdDSA", "k1")] {
        let issuer = Issuer::with_keys(vec![issuer_key]);
        let api = Api::with_issuer(issuer, |setup, issuer| setup.issuer("corp", issuer));
        let sound = api.reader();
        api.allows_token(&sound);
        let parts: Vec<&str> = sound.split('.').collect();
        for at in 0..3 {
            let with = |part: String| {
                let mut parts: Vec<String> = parts.iter().map(|&part| part.to_owned()).collect();
                parts[at] = part;
                canary::token(parts.join("."))
            };
            let part = parts[at];
            let changed = [
                with(format!("{part}=")),
                with(format!("{part}==")),
                with(format!("{part}A")),
                with(format!("{part}AA")),
                with(format!("{part}AAA")),
                with(part.replace('-', "+").replace('_', "/") + "+"),
                with(part[..part.len() - 1].to_owned()),
                with(spare_bits(part)),
            ];
            for (n, token) in changed.iter().enumerate() {
                let reasons = [MalformedToken, BadSignature, UnknownKey, MalformedRequest];
                refuse(&api, &format!("part {at} change {n}"), token, &reasons);
            }
        }
    }
}

/// The last character with a spare bit set: many decoders do not mind. Where no bit is spare, a changed one.
fn spare_bits(part: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = part.bytes().last().expect("no part is empty");
    let value = ALPHABET.iter().position(|&c| c == last).expect("base64url");
    format!("{}{}", &part[..part.len() - 1], char::from(ALPHABET[value ^ 1]))
}

/// Any one-bit change to an allowed token is denied.
#[test]
fn j11_every_changed_bit_is_noticed() {
    let api = Api::start();
    let sound = api.reader();
    let mut connection = api.gateway.connect();
    let before = api.upstream.count();
    for at in 0..sound.len() {
        for bit in [0, 3, 5] {
            let mut octets = sound.clone().into_bytes();
            octets[at] ^= 1 << bit;
            if octets[at].is_ascii_control() || octets[at] == b' ' || octets[at] == b',' {
                continue;
            }
            connection.write(
                &[b"GET /orders/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ", &*octets, b"\r\n\r\n"]
                    .concat(),
            );
            let response = connection.answer();
            assert!(matches!(response.status, 400 | 401), "octet {at} bit {bit}: {response:?}");
            if response.closes() {
                connection = api.gateway.connect();
            }
        }
    }
    assert_eq!(api.upstream.count(), before);
    api.allows_token(&sound);
}

/// The same kid at two issuers: each token is verified by its own issuer's key.
#[test]
fn j16_a_key_belongs_to_its_issuer() {
    let (one, other) = (Issuer::start(), Issuer::start());
    let upstream = Upstream::start();
    let gateway = usual(&upstream).issuer("one", &one).issuer("other", &other).start();
    assert_eq!(one.key().id, other.key().id);
    assert_eq!(gateway.get("/me", &one.mint("")).status, 200);
    assert_eq!(gateway.get("/me", &other.mint("")).status, 200);
    for (of, by) in [(&one, &other), (&other, &one)] {
        let response = gateway.get("/me", &of.token().signed_by(&by.key()).sign());
        assert_eq!(
            (response.status, response.reason()),
            (401, BadSignature.code().to_owned()),
            "{response:?}"
        );
    }
    assert_eq!(upstream.count(), 2);
}
