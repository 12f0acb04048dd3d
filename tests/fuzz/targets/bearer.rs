//! A bearer token is exactly what RFC 6750 section 2.1 says, whatever stands in `Authorization`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::token::bearer::{Authorization, parse, token};

fuzz_target!(|value: &[u8]| {
    let bearer = value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"));
    match parse(value) {
        Authorization::Bearer(octets) => {
            assert!(bearer && value[6] == b' ' && &value[7..] == octets);
            if let Some(token) = token(octets) {
                assert_eq!(token.as_bytes(), octets);
                let body = token.trim_end_matches('=');
                assert!(!body.is_empty());
                assert!(
                    body.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._~+/".contains(&octet))
                );
            }
        }
        Authorization::OtherScheme => {
            assert!(!bearer || value.get(6).is_some_and(|octet| !matches!(octet, b' ' | b'\t')));
        }
        Authorization::Malformed => {}
    }
});
