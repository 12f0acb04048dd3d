//! A compact JWS is its one spelling: what was taken apart, put together again, is the same token.
#![no_main]

use base64_simd::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use portcullis::token::claims::Claims;
use portcullis::token::jws::parse;
use serde_json::{Map, Value};

fuzz_target!(|token: &str| {
    let Ok(compact) = parse(token, 8192) else { return };
    assert!(token.len() <= 8192);
    let payload = URL_SAFE_NO_PAD.encode_to_string(&compact.payload);
    let signature = URL_SAFE_NO_PAD.encode_to_string(&compact.signature);
    let (header, rest) = token.split_once('.').expect("a header");
    assert_eq!(rest, format!("{payload}.{signature}"), "no second spelling");
    let decoded = URL_SAFE_NO_PAD.decode_to_vec(header).expect("a header in base64url");
    assert_eq!(URL_SAFE_NO_PAD.encode_to_string(decoded), header, "no second spelling");
    assert_eq!(compact.signing_input, format!("{header}.{payload}").as_bytes());
    assert!(compact.key_id.as_ref().is_none_or(|id| id.len() <= 256));
    if let Ok(claims) = Claims::parse(&compact.payload) {
        let members = serde_json::from_slice::<Map<String, Value>>(&compact.payload).expect("what serde_json reads too");
        assert_eq!(Map::from(claims.members()), members, "the same values");
        assert!(!members.contains_key("crit"));
        assert_eq!(claims.issuer(), members.get("iss").and_then(Value::as_str), "one string or nothing");
    }
});
