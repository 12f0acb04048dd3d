//! A canonical path is its own canonical path and hides nothing from a server that decodes once.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use portcullis::path::{Path, canonical};

fuzz_target!(|raw: &str| {
    match canonical(raw) {
        Ok(Path::Canonical(spelled)) => {
            assert!(
                matches!(canonical(&spelled), Ok(Path::Canonical(Cow::Borrowed(again))) if again == spelled)
            );
            let decoded = decode(&spelled);
            assert_eq!(decoded, decode(raw), "the resource is the same");
            let decoded = String::from_utf8(decoded).expect("escapes spell UTF-8");
            assert!(!decoded.contains(['\\', ';', '?', '#']) && !decoded.chars().any(char::is_control));
            let segments: Vec<&str> = decoded.split('/').collect();
            assert_eq!(segments.len(), raw.split('/').count(), "no slash was hidden");
            let inner = &segments[1..segments.len() - 1];
            assert!(inner.iter().all(|segment| !segment.is_empty()));
            assert!(!segments.iter().any(|segment| matches!(*segment, "." | "..")));
            let twice = |at: usize| decoded.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
            assert!(!decoded.match_indices('%').any(|(at, _)| twice(at + 1) && twice(at + 2)));
        }
        Ok(Path::Dangerous(kept)) => assert_eq!(kept, raw),
        Err(_) => {}
    }
});

fn decode(path: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut octets = path.bytes();
    while let Some(octet) = octets.next() {
        let digit = |octet: Option<u8>| {
            octet.and_then(|octet| char::from(octet).to_digit(16)).expect("a digit") as u8
        };
        decoded.push(if octet == b'%' { digit(octets.next()) << 4 | digit(octets.next()) } else { octet });
    }
    decoded
}
