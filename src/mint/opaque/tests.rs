use std::collections::BTreeMap;

use super::*;

/// A generator that repeats itself after 2^32 octets: enough for a test, and always the same.
fn generator(seed: u64) -> impl FnMut(&mut [u8]) -> Result<(), NoEntropy> {
    let mut state = seed;
    move |octets: &mut [u8]| {
        for octet in octets {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *octet = (state >> 56) as u8;
        }
        Ok(())
    }
}

fn shape(prefix: &str, octets: usize, encoding: Encoding) -> Shape {
    Shape { prefix: prefix.into(), octets, encoding }
}

#[test]
fn without_randomness_nothing_is_minted() {
    let mut dry = |_: &mut [u8]| Err(NoEntropy);
    let shape = shape("x_", 32, Encoding::Hex);
    assert!(token(&shape, &mut dry).is_err());
    assert!(family(&shape, &mut dry).is_err());
    assert!(member(&shape, "x_00", &[0; 32], &mut dry).is_err());
    assert!(alphanumeric(1, &mut dry).is_err());
    assert!(uuid(&mut dry).is_err());
}

#[test]
fn tokens_have_the_length_that_their_randomness_takes() {
    for (octets, encoding, length) in [
        (16, Encoding::Hex, 32),
        (32, Encoding::Hex, 64),
        (16, Encoding::Base62, 22),
        (30, Encoding::Base62, 41),
        (32, Encoding::Base62, 43),
        (16, Encoding::Base64Url, 22),
        (30, Encoding::Base64Url, 40),
        (64, Encoding::Base64Url, 86),
        // Never less than 128 bits, whatever asks for it.
        (1, Encoding::Hex, 32),
    ] {
        let shape = shape("usr_", octets, encoding);
        let token = token(&shape, &mut generator(1)).expect("a token");
        assert_eq!(token.len(), 4 + length, "{octets} {encoding:?}");
        assert!(token.starts_with("usr_"));
    }
}

#[test]
fn base64url_can_be_read_by_strict_readers() {
    for octets in 16..=64 {
        let shape = shape("", octets, Encoding::Base64Url);
        for seed in 0..20 {
            let token = token(&shape, &mut generator(seed)).expect("a token");
            let read = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token.as_bytes()).expect("base64url");
            assert_eq!(read.len(), octets);
            let family = family(&shape, &mut generator(seed)).expect("a family");
            let member = member(&shape, &family, &[1; 32], &mut generator(seed + 1)).expect("a token");
            assert!(base64_simd::URL_SAFE_NO_PAD.decode_to_vec(member.as_bytes()).is_ok());
        }
    }
}

/// Pearson's test: 61 degrees of freedom, and the value that chance passes once in a million times.
#[test]
fn no_character_of_base62_is_favoured() {
    let draws = 620_000;
    let text = alphanumeric(draws, &mut generator(7)).expect("text");
    let mut counts: BTreeMap<char, f64> = BTreeMap::new();
    for character in text.chars() {
        assert!(character.is_ascii_alphanumeric());
        *counts.entry(character).or_default() += 1.0;
    }
    assert_eq!(counts.len(), 62);
    let expected = draws as f64 / 62.0;
    let chi: f64 = counts.values().map(|count| (count - expected).powi(2) / expected).sum();
    assert!(chi < 127.0, "{chi}");
}

#[test]
fn a_family_is_known_by_what_its_tokens_begin_with() {
    for encoding in [Encoding::Base62, Encoding::Hex, Encoding::Base64Url] {
        for octets in [16, 25, 32, 64] {
            let shape = shape("r_", octets, encoding);
            let mut entropy = generator(octets as u64);
            let family = family(&shape, &mut entropy).expect("a family");
            let [one, other] =
                [(); 2].map(|()| member(&shape, &family, &[1; 32], &mut entropy).expect("a token"));
            assert_ne!(*one, *other);
            let parts = [FAMILY, MARK, SECRET].iter().map(|octets| length(*octets, encoding)).sum();
            let whole = length(octets.max(31), encoding).max(parts);
            assert_eq!(one.len(), 2 + whole);
            for token in [&one, &other] {
                assert_eq!(family_of(&shape, token), Some(&**family));
                let own = token.len() - family.len() - length(MARK, encoding);
                assert!(own >= length(SECRET, encoding), "{own} characters are not 128 bits");
            }
            assert_eq!(family_of(&shape, &family), None, "it begins and does not go on");
            assert_eq!(family_of(&shape, &one[1..]), None, "without the prefix");
            assert_eq!(family_of(&shape, "r_é"), None);
            assert_eq!(family_of(&shape, ""), None);
        }
    }
    let shape = shape("", 32, Encoding::Hex);
    assert_eq!(family_of(&shape, &"é".repeat(40)), Some("ééééééééé"));
    assert_eq!(family_of(&shape, &format!("a{}", "é".repeat(40))), None, "in the middle of a character");
}

/// Whoever mistypes a token is no thief.
#[test]
fn only_what_was_once_a_token_of_a_family_has_its_mark() {
    for encoding in [Encoding::Base62, Encoding::Hex, Encoding::Base64Url] {
        let shape = shape("r_", 32, encoding);
        let family = family(&shape, &mut generator(1)).expect("a family");
        let token = member(&shape, &family, &[1; 32], &mut generator(2)).expect("a token");
        assert!(is_member(&shape, &[1; 32], &token));
        assert!(!is_member(&shape, &[2; 32], &token), "another family's mark");
        for at in 0..token.len() {
            let other = if token.as_bytes()[at] == b'0' { "1" } else { "0" };
            let mistyped = [&token[..at], other, &token[at + 1..]].concat();
            assert!(!is_member(&shape, &[1; 32], &mistyped), "{at}");
            assert!(!is_member(&shape, &[1; 32], &token[..at]), "{at}");
        }
        for more in [" ", "\n", "0"] {
            assert!(!is_member(&shape, &[1; 32], &format!("{}{more}", *token)), "{more:?}");
        }
    }
}

#[test]
fn a_uuid_is_of_version_4() {
    let mut entropy = generator(3);
    for _ in 0..100 {
        let uuid = uuid(&mut entropy).expect("a uuid");
        assert_eq!(uuid.len(), 36);
        let octets = uuid.as_bytes();
        assert_eq!([octets[8], octets[13], octets[18], octets[23]], *b"----");
        assert_eq!(octets[14], b'4');
        assert!(b"89ab".contains(&octets[19]), "{uuid}");
    }
    let mut ones = |octets: &mut [u8]| {
        octets.fill(0xff);
        Ok(())
    };
    assert_eq!(uuid(&mut ones).expect("a uuid"), "ffffffff-ffff-4fff-bfff-ffffffffffff");
}
