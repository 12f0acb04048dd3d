use super::*;

const NOW: NumericDate = NumericDate(1_800_000_000);
const LATER: NumericDate = NumericDate(1_800_000_060);

fn seal(key: u8) -> Seal {
    Seal::new([key; 32]).expect("a key of its length")
}

fn owner(parts: [&str; 4]) -> Owner {
    Owner::named(parts)
}

const ALICE: [&str; 4] = ["api", "https://corp.test/", "subject", "alice"];

#[test]
fn a_name_opens_for_its_owner_until_it_ends() {
    let (seal, alice) = (seal(1), owner(ALICE));
    let name = seal.seal([7; NONCE_LEN], &alice, LATER, "own").expect("a name");
    assert!(
        !name.contains("own")
            && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    );
    let open = |now: i64| seal.open(&alice, NumericDate(now), name.as_bytes());
    let NumericDate(end) = LATER;
    assert_eq!(open(end - 1).as_deref(), Some("own"));
    assert_eq!(open(end), None);
    assert_eq!(open(i64::MAX), None);
}

#[test]
fn a_name_opens_for_nobody_else_and_nowhere_else() {
    let (one, alice) = (seal(1), owner(ALICE));
    let name = one.seal([7; NONCE_LEN], &alice, LATER, "own").expect("a name");
    for other in [
        ["other", "https://corp.test/", "subject", "alice"],
        ["api", "https://other.test/", "subject", "alice"],
        ["api", "https://corp.test/", "token", "alice"],
        ["api", "https://corp.test/", "subject", "alice2"],
        ["api", "https://corp.test/", "subjecta", "lice"],
        ["apih", "ttps://corp.test/", "subject", "alice"],
    ] {
        assert_eq!(one.open(&owner(other), NOW, name.as_bytes()), None, "{other:?}");
    }
    assert_eq!(seal(2).open(&alice, NOW, name.as_bytes()), None);
}

#[test]
fn no_octet_of_a_name_can_be_changed() {
    let (seal, alice) = (seal(1), owner(ALICE));
    let name = seal.seal([7; NONCE_LEN], &alice, LATER, "own").expect("a name").into_bytes();
    for at in 0..name.len() {
        let mut changed = name.clone();
        changed[at] = if changed[at] == b'Q' { b'g' } else { b'Q' };
        assert_eq!(seal.open(&alice, NOW, &changed), None, "{at}");
        assert_eq!(seal.open(&alice, NOW, &name[..at]), None, "{at}");
    }
    for other in [&b""[..], b"=", b"\xff", &[b'A'; 1 << 16]] {
        assert_eq!(seal.open(&alice, NOW, other), None);
    }
}

#[test]
fn what_is_no_name_is_not_sealed() {
    let promise = |seal| Promise { seal, owner: owner(ALICE), until: LATER };
    let sealed = promise(Some(Arc::new(seal(1))));
    for bad in ["", "two words", "a\nb", "a\r", "é", "\0", &"a".repeat(RESERVED_NAME + 1)] {
        assert_eq!(sealed.seal([0; NONCE_LEN], bad), None, "{bad:?}");
    }
    // The longest there is comes back too.
    let longest = "a".repeat(RESERVED_NAME);
    let name = sealed.seal([0; NONCE_LEN], &longest).expect("a name");
    assert_eq!(seal(1).open(&owner(ALICE), NOW, name.as_bytes()).as_deref(), Some(&*longest));
    assert_eq!(promise(None).seal([0; NONCE_LEN], "own"), None);
}
