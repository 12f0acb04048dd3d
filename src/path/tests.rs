use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(raw: &str, expected: Result<Path<'_>, PathError>) {
    assert_eq!(canonical(raw), expected, "{raw:?}");
}

#[track_caller]
fn check_dangerous(paths: &[&str]) {
    for raw in paths {
        check(raw, Ok(Path::Dangerous(raw)));
    }
}

#[test]
fn p1_what_is_no_path_is_refused() {
    for raw in ["", "admin", "*", "http://h/", "%2Fadmin", "\\admin", "?x"] {
        check(raw, Err(PathError::NotAbsolute));
    }
    for forbidden in (0..=0x20).chain(0x7f..0x100).chain("#?[]\"<>^`{|}".chars().map(u32::from)) {
        let forbidden = char::from_u32(forbidden).expect("a scalar");
        check(&format!("/a{forbidden}b"), Err(PathError::ForbiddenOctet));
        check(&format!("/%2f/../{forbidden}"), Err(PathError::ForbiddenOctet));
    }
    for raw in [
        "/%",
        "/%2",
        "/a%2",
        "/%zz",
        "/%2g",
        "/%g2",
        "/%%41",
        "/% 1",
        "/%+1",
        "/%e2%8",
        "/%2f%",
        "/\u{2f}%u0041",
    ] {
        check(raw, Err(PathError::BrokenEscape));
    }
}

#[test]
fn p1_separators_that_parsers_disagree_on_are_dangerous() {
    check_dangerous(&["/a\\b", "/..\\admin", "/a;b", "/admin;/public", "/a;", "/;/a"]);
    check_dangerous(&["/a%2fb", "/a%2Fb", "/%2f", "/a%5cb", "/a%5Cb", "/a%3bb", "/a%3Bb"]);
    check_dangerous(&["/a%3fb", "/a%3F", "/a%23b", "/admin%23/public", "/admin%3f/public"]);
    check_dangerous(&["/a%00", "/%0a", "/a%0D%0Ab", "/%1f", "/%7f", "/%C2%85", "/%c2%9f"]);
}

#[test]
fn p1_hidden_segments_are_dangerous() {
    check_dangerous(&[
        "//", "//a", "/a//b", "/a//", "/.", "/..", "/./", "/../", "/a/.", "/a/..", "/a/./b", "/a/../b",
    ]);
    check_dangerous(&["/%2e", "/%2E%2e", "/.%2e/a", "/%2e./a", "/a/%2e%2E/b", "/public/%2e%2e/admin"]);
}

#[test]
fn p1_double_encodings_are_dangerous() {
    check_dangerous(&[
        "/%252f",
        "/%252F",
        "/%25%32%66",
        "/%25%32f",
        "/%252%66",
        "/%25252f",
        "/a%2541",
        "/%25ff",
    ]);
}

#[test]
fn p1_what_is_not_utf8_is_dangerous() {
    check_dangerous(&[
        "/%80",
        "/%ff",
        "/%fe",
        "/%c3",
        "/%c3a",
        "/%c3/%a9",
        "/%a9%c3",
        "/%e2%82",
        "/%e2%82x%ac",
    ]);
    // Overlong forms of "/", "." and NUL, a surrogate, a scalar beyond the last one.
    check_dangerous(&["/%c0%af", "/%c0%ae%c0%ae/", "/%e0%80%af", "/%f0%80%80%af", "/%c0%80", "/%ed%a0%80"]);
    check_dangerous(&["/%f4%90%80%80", "/%f5%80%80%80", "/%f0%9f%98"]);
}

#[test]
fn p3_equivalent_spellings_become_one() {
    for (raw, expected) in [
        ("/%61dmin", "/admin"),
        ("/%41%5a%30%2D%5f%7e", "/AZ0-_~"),
        ("/a%2eb", "/a.b"),
        ("/%2e%2e%2e", "/..."),
        ("/%2ewell-known", "/.well-known"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/%e2%82%ac/%F0%9f%98%80", "/%E2%82%AC/%F0%9F%98%80"),
        ("/a%3ab", "/a%3Ab"),
        ("/a%2bb", "/a%2Bb"),
        ("/%25%7e", "/%25~"),
        ("/%253x%5b", "/%253x%5B"),
    ] {
        check(raw, Ok(Path::Canonical(Cow::Owned(expected.to_owned()))));
        assert!(matches!(canonical(raw), Ok(Path::Canonical(Cow::Owned(_)))), "{raw} was respelled");
    }
}

#[test]
fn what_has_its_one_spelling_is_borrowed() {
    for raw in [
        "/",
        "/a",
        "/a/",
        "/ADMIN",
        "/orders/1/items",
        "/.well-known/jwks.json",
        "/...",
        "/a..b/..c/d..",
        "/a/.b/",
        "/a%20b",
        "/100%25",
        "/%25/2f",
        "/%25x2f",
        "/%C3%A9",
        "/%E2%82%AC",
        "/!$&'()*+,=:@-._~",
        "/%5B%7C%22",
    ] {
        check(raw, Ok(Path::Canonical(Cow::Borrowed(raw))));
        assert!(matches!(canonical(raw), Ok(Path::Canonical(Cow::Borrowed(_)))), "{raw} was copied");
    }
}

/// A second decoder, as simple as can be: every escape, once.
fn decode(path: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut octets = path.bytes();
    while let Some(octet) = octets.next() {
        if octet == b'%' {
            let digits = [octets.next().expect("a digit"), octets.next().expect("a digit")];
            let digits = std::str::from_utf8(&digits).expect("ASCII");
            decoded.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
        } else {
            decoded.push(octet);
        }
    }
    decoded
}

/// Paths that are mostly well-formed, made of the pieces that matter.
fn paths() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9._~-]{1,3}",
        3 => Just("/".to_owned()),
        2 => "[!$&'()*+,=:@.]",
        4 => "%[2-7][0-9a-fA-F]",
        1 => "%[0-9a-fA-F]{2}",
        2 => Just("%25".to_owned()),
        1 => "(%[cC]3%[aA]9|%e2%82%AC|%F0%9f%98%80)",
        1 => "[;\\\\]",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_one_spelling_is_its_own(raw in paths()) {
        if let Ok(Path::Canonical(spelled)) = canonical(&raw) {
            let again = canonical(&spelled);
            prop_assert_eq!(&again, &Ok(Path::Canonical(Cow::Borrowed(&*spelled))));
            prop_assert!(matches!(again, Ok(Path::Canonical(Cow::Borrowed(_)))));
            prop_assert_eq!(decode(&raw), decode(&spelled), "the resource is the same");
        }
    }

    #[test]
    fn no_canonical_path_hides_anything_from_one_decoding(raw in paths()) {
        if let Ok(Path::Canonical(spelled)) = canonical(&raw) {
            let decoded = String::from_utf8(decode(&spelled)).expect("escapes spell UTF-8");
            prop_assert!(!decoded.contains(['\\', ';', '?', '#']), "{}", decoded);
            prop_assert!(!decoded.chars().any(char::is_control), "{}", decoded);
            let segments: Vec<&str> = decoded.split('/').skip(1).collect();
            prop_assert_eq!(segments.len(), spelled.split('/').count() - 1, "no slash was hidden");
            for (index, segment) in segments.iter().enumerate() {
                prop_assert!(!matches!(*segment, "." | ".."), "{}", decoded);
                prop_assert!(!segment.is_empty() || index + 1 == segments.len(), "{}", decoded);
            }
            for (at, _) in decoded.match_indices('%') {
                let digits = decoded.as_bytes().iter().skip(at + 1).take(2).filter(|octet| octet.is_ascii_hexdigit());
                prop_assert!(digits.count() < 2, "{} decodes once more", decoded);
            }
        }
    }

    #[test]
    fn spellings_of_one_resource_are_canonically_equal(
        characters in prop::collection::vec(("[a-zA-Z0-9._~/-]|[ é€!:@%]", any::<u8>(), any::<bool>()), 0..16),
    ) {
        // Two spellings that RFC 3986 section 6.2.2 calls equivalent, from one text: reserved characters are
        // escaped in both or in neither, unreserved ones as chance has it.
        let spell = |bit: u8| {
            let mut path = String::from("/");
            for (character, dice, reserved_escaped) in &characters {
                let raw = character.bytes().all(is_unreserved) || matches!(character.as_str(), "/" | "!" | ":" | "@");
                let chance = dice >> bit & 1 == 1;
                let escape = match character.as_str() {
                    "/" => false,
                    "!" | ":" | "@" => *reserved_escaped,
                    _ => !raw || chance,
                };
                if !escape {
                    path.push_str(character);
                    continue;
                }
                for octet in character.bytes() {
                    let lower = dice >> (bit + 1) & 1 == 1;
                    path.push_str(&if lower { format!("%{octet:02x}") } else { format!("%{octet:02X}") });
                }
            }
            path
        };
        let (one, other) = (spell(0), spell(4));
        match (canonical(&one), canonical(&other)) {
            (Ok(Path::Canonical(one)), Ok(Path::Canonical(other))) => prop_assert_eq!(one, other),
            (Ok(Path::Dangerous(_)), Ok(Path::Dangerous(_))) => {}
            (one, other) => prop_assert!(false, "{:?} but {:?}", one, other),
        }
    }

    #[test]
    fn what_is_dangerous_keeps_its_octets(raw in paths()) {
        if let Ok(Path::Dangerous(kept)) = canonical(&raw) {
            prop_assert_eq!(kept, raw.as_str());
        }
    }
}
