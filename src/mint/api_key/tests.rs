use super::*;

fn entropy(seed: u8) -> Entropy {
    std::array::from_fn(|place| (place as u8).wrapping_mul(37).wrapping_add(seed))
}

#[test]
fn a_checksum_is_the_known_one() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(&checksum(b""), b"000000");
    // 0xcbf43926 = 3421780262 to the base of 62.
    assert_eq!(&checksum(b"123456789"), b"3jZRME");
}

#[test]
fn a_key_is_read_as_it_was_written() {
    let (id, secret) = (id(&entropy(1)).expect("an id"), secret(&entropy(9)).expect("a secret"));
    assert_eq!((id.len(), secret.len()), (ID, SECRET));
    for prefix in ["pk_", "", "live_"] {
        let key = written(prefix, &id, &secret);
        let parts = read(&key, prefix).expect("a key");
        assert_eq!((parts.id, parts.secret), (&*id, &**secret));
    }
    let key = written("pk_", &id, &secret);
    assert_eq!(read(&key, "sk_").err(), Some(NoKey::Prefix));
    assert_eq!(read(&key, "pk_0").err(), Some(NoKey::Prefix));
}

#[test]
fn no_slip_of_one_character_passes() {
    let key = written("pk_", &id(&entropy(1)).expect("an id"), &secret(&entropy(2)).expect("a secret"));
    for place in 0..key.len() {
        for slip in ['0', 'z', '_', ' ', '\u{e9}'] {
            let mut slipped: Vec<char> = key.chars().collect();
            if slipped[place] == slip {
                continue;
            }
            slipped[place] = slip;
            let slipped: String = slipped.into_iter().collect();
            assert!(read(&slipped, "pk_").is_err(), "{slipped}");
        }
        assert!(read(&key[..place], "pk_").is_err());
    }
    assert!(read(&format!("{}0", &*key), "pk_").is_err());
}

#[test]
fn randomness_that_favours_nobody_or_too_little_of_it() {
    assert_eq!(id(&[255; 128]), None, "no octet of these stands for a character");
    let mut seen = std::collections::BTreeMap::<char, u32>::new();
    for octet in 0..=255_u8 {
        let text = id(&[octet; 128]);
        if let Some(first) = text.and_then(|text| text.chars().next()) {
            *seen.entry(first).or_default() += 1;
        }
    }
    assert!(seen.len() == 62 && seen.values().all(|&count| count == 4), "{seen:?}");
}
