use super::*;

fn key(octet: u8) -> SealingKey {
    SealingKey::new(&[octet; 32]).expect("a key")
}

fn counting(octets: &mut [u8]) -> Result<(), NoEntropy> {
    (0..).zip(octets).for_each(|(number, octet)| *octet = number);
    Ok(())
}

#[test]
fn what_is_no_key_of_256_bits_is_refused() {
    for octets in [&b""[..], &[7; 31], &[7; 33], &[0xff; 44], b"AAAA", &[b'A'; 45], &[b'!'; 43]] {
        assert!(SealingKey::new(octets).is_none(), "{} octets", octets.len());
    }
}

#[test]
fn octets_and_their_base64_are_one_key() {
    let octets = [0xfb; 32];
    let raw = SealingKey::new(&octets).expect("a key");
    for text in [
        base64_simd::STANDARD.encode_to_string(octets),
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(octets),
        format!(" {}\n", base64_simd::URL_SAFE.encode_to_string(octets)),
    ] {
        assert!(SealingKey::new(text.as_bytes()) == Some(raw_of(&octets)), "{text:?}");
    }
    assert!(raw != key(1));
}

fn raw_of(octets: &[u8]) -> SealingKey {
    SealingKey::new(octets).expect("a key")
}

#[test]
fn another_key_another_subject_and_any_changed_octet_open_nothing() {
    let sealed = key(1).seal(b"record 1", b"a private key", &mut counting).expect("sealed");
    assert!(key(2).open(b"record 1", &sealed).is_none());
    assert!(key(1).open(b"record 2", &sealed).is_none());
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(key(1).open(b"record 1", &changed).is_none(), "octet {at}");
        assert!(key(1).open(b"record 1", &sealed[..at]).is_none(), "cut to {at}");
    }
    assert!(!sealed.windows(13).any(|window| window == b"a private key"));
}

#[test]
fn the_same_key_opens_it() {
    let sealed = key(1).seal(b"record 1", b"a private key", &mut counting).expect("sealed");
    assert_eq!(sealed.len(), 12 + 13 + 16);
    assert_eq!(key(1).open(b"record 1", &sealed).expect("opened")[..], *b"a private key");
    let mut dry = |_: &mut [u8]| Err(NoEntropy);
    assert_eq!(key(1).seal(b"", b"", &mut dry), Err(NoEntropy));
}
