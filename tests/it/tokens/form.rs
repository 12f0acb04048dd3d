//! J7 to J10, J12, J18: what a compact JWS may look like before anybody thinks of its signature.

use portcullis::gate::denial::Reason::{
    BadSignature, HeadersTooLarge, MalformedRequest, MalformedToken, MissingClaim, NoCredentials, WrongType,
};
use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::canary;
use crate::harness::client::Request;
use crate::harness::keys::{Key, encode};
use crate::harness::token::now;
use crate::tokens::{refuse, refuse_raw};

/// Claims that are sound but for what a case adds.
fn claims(api: &Api, more: &str) -> Vec<u8> {
    let sound = format!(
        r#"{{"iss":"{}","aud":"api","sub":"alice","scope":"orders:read","iat":{},"exp":{}{more}}}"#,
        api.issuer.iss,
        now(),
        now() + 300
    );
    sound.into_bytes()
}

fn signed(key: &Key, header: &str, payload: &[u8]) -> String {
    canary::token(key.compact(header, payload))
}

#[test]
fn j7_j8_nothing_critical_is_understood() {
    let api = Api::start();
    let with = |members: Value| {
        let token = api.issuer.token().scope("orders:read");
        let members = members.as_object().expect("members").clone();
        members.into_iter().fold(token, |token, (name, value)| token.header(&name, value))
    };
    let cases = [
        json!({"crit": ["x"], "x": 1}),
        json!({"crit": ["x"]}),
        json!({"crit": []}),
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": ["alg"]}),
        json!({"crit": ["kid"]}),
        json!({"crit": "x", "x": 1}),
        json!({"crit": {}}),
        json!({"crit": null}),
        json!({"crit": false}),
        json!({"crit": [1]}),
        json!({"crit": ["x", "x"], "x": 1}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": ["b64"], "b64": true}),
        json!({"b64": false}),
        json!({"crit": ["http://example.invalid/UNDEFINED"], "http://example.invalid/UNDEFINED": true}),
    ];
    for members in cases {
        refuse(&api, &members.to_string(), &with(members.clone()).sign(), &[MalformedToken]);
    }
    // Unencoded, as RFC 7797 would have it: the payload itself between the dots.
    let header =
        encode(json!({"alg": "ES256", "kid": "k1", "b64": false, "crit": ["b64"]}).to_string().as_bytes());
    let input = format!("{header}.{{}}");
    let raw = format!("{input}.{}", encode(&api.issuer.key().sign(input.as_bytes())));
    refuse_raw(
        &api,
        "a raw payload",
        format!("Bearer {raw}").as_bytes(),
        &[MalformedToken, MalformedRequest],
    );
    refuse(
        &api,
        "crit in the payload",
        &signed(&api.issuer.key(), r#"{"alg":"ES256","kid":"k1"}"#, &claims(&api, r#","crit":["exp"]"#)),
        &[MalformedToken],
    );
}

#[test]
fn j9_encrypted_and_compressed_tokens_are_none_of_ours() {
    let api = Api::start();
    let part = |text: &str| encode(text.as_bytes());
    let five =
        |header: &str| format!("{}.{}.{}.{}.{}", part(header), part("k"), part("iv"), part("c"), part("t"));
    let headers = [
        r#"{"alg":"dir","enc":"A256GCM"}"#,
        r#"{"alg":"RSA-OAEP","enc":"A256GCM","cty":"JWT"}"#,
        r#"{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"p2s":"AAAA","enc":"A128GCM"}"#,
        r#"{"alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"none"}"#,
    ];
    for header in headers {
        refuse(&api, header, &five(header), &[MalformedToken]);
    }
    // A signed token around another: its payload is no claims set.
    let inner = format!("{}.{}.", part(r#"{"alg":"none"}"#), encode(&claims(&api, "")));
    let nested = signed(&api.issuer.key(), r#"{"alg":"ES256","kid":"k1","cty":"JWT"}"#, inner.as_bytes());
    refuse(&api, "nested", &nested, &[MalformedToken]);
    let zipped = api.issuer.token().scope("orders:read").header("zip", json!("DEF"));
    refuse(
        &api,
        "zip",
        &signed(&api.issuer.key(), &zipped.header_text(), b"\x78\x9c\x03\x00"),
        &[MalformedToken],
    );
}

#[test]
fn j10_there_is_one_serialization_of_three_parts() {
    let api = Api::start();
    let sound = api.reader();
    let parts: Vec<&str> = sound.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let json_form = json!({"payload": payload, "protected": header, "signature": signature}).to_string();
    let flat = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]})
        .to_string();
    let cases = [
        format!("{header}.{payload}"),
        header.to_owned(),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{sound}."),
        format!("{sound}.."),
        format!(".{sound}"),
        format!("{sound}.{signature}"),
        format!("{sound}.{header}.{payload}"),
        "..".to_owned(),
        ".".to_owned(),
        "....".to_owned(),
        ".".repeat(8000),
        format!("{header}.{payload}{payload}.{signature}"),
    ];
    for token in cases {
        let what = token.get(..80).unwrap_or(&token).to_owned();
        refuse(&api, &what, &token, &[MalformedToken, BadSignature]);
    }
    for form in [json_form, flat] {
        refuse_raw(&api, &form, format!("Bearer {form}").as_bytes(), &[MalformedRequest, MalformedToken]);
    }
    // 64 KiB of dots cost no more than refusing them.
    let dots = Request::get("/orders/1").bearer(&".".repeat(64 << 10));
    api.refuses(&dots, HeadersTooLarge);
}

/// Claims texts after the sound ones, each with a duplicate somewhere: who reads which is anybody's guess.
const DUPLICATES: [&str; 11] = [
    r#","sub":"admin""#,
    r#","scope":"admin""#,
    r#","exp":9999999999"#,
    r#","iss":"https://evil.test""#,
    r#","aud":"other""#,
    r#","\u0073ub":"admin""#,
    r#","sc\u006fpe":"admin""#,
    r#","a":{"b":1,"b":2}"#,
    r#","a":[{"b":1,"\u0062":2}]"#,
    r#","a":{"b":{"c":{"d":1,"d":1}}}"#,
    r#","x":1,"x":1"#,
];

#[test]
fn j12_duplicate_members_are_refused_at_every_depth() {
    let api = Api::start();
    let key = api.issuer.key();
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    for more in DUPLICATES {
        refuse(&api, more, &signed(&key, header, &claims(&api, more)), &[MalformedToken]);
    }
    let headers = [
        r#"{"alg":"ES256","kid":"k1","alg":"none"}"#,
        r#"{"alg":"none","kid":"k1","alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"k2","kid":"k1"}"#,
        r#"{"alg":"ES256","\u0061lg":"ES256","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k1","x":{"y":1,"y":1}}"#,
    ];
    for header in headers {
        refuse(&api, header, &signed(&key, header, &claims(&api, "")), &[MalformedToken]);
    }
    // Members of the same name in different objects are no duplicates.
    let apart = claims(&api, r#","a":{"b":1},"c":{"b":1},"d":[{"b":1},{"b":2}]"#);
    api.allows_token(&signed(&key, header, &apart));
}

#[test]
fn j12_json_is_read_strictly() {
    let api = Api::start();
    let key = api.issuer.key();
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    let sound = String::from_utf8(claims(&api, "")).expect("JSON is UTF-8");
    let texts: [Vec<u8>; 14] = [
        b"".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"text\"".to_vec(),
        b"1".to_vec(),
        sound.replace('}', ",}").into_bytes(),
        format!("{sound}{{}}").into_bytes(),
        format!("{sound} x").into_bytes(),
        sound.replace('"', "'").into_bytes(),
        format!("// comment\n{sound}").into_bytes(),
        format!("\u{feff}{sound}").into_bytes(),
        [sound.trim_end_matches('}').as_bytes(), b",\"x\":\"\xff\"}"].concat(),
        sound.replace("\"alice\"", "\"al\nice\"").into_bytes(),
        sound.replace("\"alice\"", "\"\\ud800\"").into_bytes(),
    ];
    for text in &texts {
        let what = String::from_utf8_lossy(text).into_owned();
        refuse(&api, &what, &signed(&key, header, text), &[MalformedToken, MissingClaim]);
    }
    for header in
        [" ", "null", "[]", "{}", "{\"alg\":\"ES256\",}", "\u{feff}{\"alg\":\"ES256\",\"kid\":\"k1\"}"]
    {
        refuse(&api, header, &signed(&key, header, sound.as_bytes()), &[MalformedToken]);
    }
}

#[test]
fn j18_size_and_depth_are_bounded() {
    let api = Api::start();
    let key = api.issuer.key();
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    let deep = |depth: usize| format!(r#","a":{}{}"#, "[".repeat(depth), "]".repeat(depth));
    let long = |length: usize| format!(r#","a":"{}""#, "a".repeat(length));
    api.allows_token(&signed(&key, header, &claims(&api, &deep(8))));
    api.allows_token(&signed(&key, header, &claims(&api, &long(4 << 10))));
    for (what, more) in [("deep", deep(100)), ("very deep", deep(2800)), ("longer than 8 KiB", long(7 << 10))]
    {
        refuse(&api, what, &signed(&key, header, &claims(&api, &more)), &[MalformedToken]);
    }
    let huge = signed(&key, header, &claims(&api, &long(1 << 20)));
    api.refuses(&Request::get("/orders/1").bearer(&huge), HeadersTooLarge);
    let wide = format!(r#""aud":[{}"api"]"#, "\"x\",".repeat(1000));
    let audience = String::from_utf8(claims(&api, "")).expect("UTF-8").replace(r#""aud":"api""#, &wide);
    let response = api.gateway.get("/orders/1", &signed(&key, header, audience.as_bytes()));
    assert!(matches!(response.status, 200 | 401), "{response:?}");
}

/// An access token is none of the other things that a provider signs (RFC 8725 sections 3.11 and 3.12).
#[test]
fn j17_another_kind_of_token_is_no_access_token() {
    let api = Api::start();
    let token = || api.issuer.token().scope("orders:read");
    let others = [
        (
            "an ID token",
            token().merge(json!({"nonce": "n-0S6", "at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng", "auth_time": now()})),
        ),
        ("a logout token", token().header("typ", json!("logout+jwt"))),
        (
            "a logout token by its events",
            token().set("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}})),
        ),
        ("a refresh token", token().header("typ", json!("refresh+jwt"))),
        ("a refresh token by its use", token().set("token_use", json!("refresh"))),
        ("an ID token by its use", token().set("token_use", json!("id"))),
        ("a proof", token().header("typ", json!("dpop+jwt"))),
        ("a security event", token().header("typ", json!("secevent+jwt"))),
        ("an introspection answer", token().header("typ", json!("token-introspection+jwt"))),
    ];
    for (what, token) in others {
        refuse(&api, what, &token.sign(), &[WrongType]);
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "application/JWT"] {
        api.allows_token(&token().header("typ", json!(typ)).sign());
    }
    api.allows_token(&token().without_header("typ").sign());
}

#[test]
fn c6_one_authorization_in_one_form() {
    let api = Api::start();
    let token = api.reader();
    for sound in [format!("bearer {token}"), format!("BEARER {token}"), format!("Bearer {token}  ")] {
        api.allows(&Request::get("/orders/1").header("Authorization", &sound));
    }
    let malformed = [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer  {token}"),
        format!("Bearer\t{token}"),
        format!("Bearer {token},{token}"),
        format!("Bearer {token}, Basic YTpi"),
        format!("Bearer {token} {token}"),
        format!("Bearer \"{token}\""),
        format!("Bearer {token};x"),
        format!("Bearer:{token}"),
        format!("Bearer={token}"),
    ];
    for value in malformed {
        refuse_raw(&api, &value, value.as_bytes(), &[MalformedRequest, MalformedToken, NoCredentials]);
    }
    for other in [
        format!("Basic YTpi, Bearer {token}"),
        format!("JWT {token}"),
        token.clone(),
        format!("DPoP {token}"),
        String::new(),
    ] {
        refuse_raw(&api, &other, other.as_bytes(), &[NoCredentials, MalformedRequest]);
    }
    // RFC 9700 section 4.3.2: neither the query nor a form carries a token where nobody said so.
    api.refuses(&Request::get(&format!("/orders/1?access_token={token}")), NoCredentials);
    let form = Request::post("/orders", format!("access_token={token}"))
        .header("Content-Type", "application/x-www-form-urlencoded");
    api.refuses(&form, NoCredentials);
}
