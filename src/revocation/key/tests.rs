use std::collections::BTreeSet;

use crate::revocation::Kind;
use crate::revocation::key::Key;

/// Stores keep these octets: another reading of an entry would lift every revocation that is kept.
#[test]
fn the_octets_never_change() {
    let hex = |key: Key| key.0.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    // printf 'j\0\0\0\0\0\0\0\022https://a.example/v' | sha256sum | cut -c1-32
    assert_eq!(hex(Key::new(Kind::Jti, "https://a.example/", "v")), "fcba9d42eb5c4454cec9bf0db93cb2e4");
    // printf 'd\0\0\0\0\0\0\0\001a\0\0\0\0\0\0\0\011device_idv' | sha256sum | cut -c1-32
    assert_eq!(hex(Key::of_claim("a", "device_id", "v")), "72796df173203df569989207126799e8");
    // printf '*\0\0\0\0\0\0\0\0' | sha256sum | cut -c1-32
    assert_eq!(hex(Key::new(Kind::All, "", "")), "29db68258899c2fe9b07f6a45f67eb61");
}

/// Where a part ends is part of what is hashed, on the stack and beyond it.
#[test]
fn no_two_entries_have_one_key() {
    let mut seen = BTreeSet::new();
    for kind in Kind::ALL {
        for (issuer, value) in [("", ""), ("a", ""), ("", "a"), ("a", "b"), ("ab", ""), ("", "ab")] {
            assert!(seen.insert(Key::new(kind, issuer, value)), "{kind:?} {issuer:?} {value:?}");
        }
    }
    for length in [1, 400, 486, 487, 488, 600, 9_000] {
        let long = "x".repeat(length);
        for (issuer, name, value) in [("i", "n", &*long), ("i", &*long, "v"), (&*long, "n", "v")] {
            assert!(seen.insert(Key::of_claim(issuer, name, value)), "{length}: {issuer} {name} {value}");
        }
        assert!(seen.insert(Key::of_claim("i", "nx", &long[1..])), "{length}");
        assert!(seen.insert(Key::new(Kind::Claim, "i", &long)), "{length}");
    }
}
