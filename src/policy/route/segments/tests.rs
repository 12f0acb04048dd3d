use std::collections::HashSet;
use std::hash::BuildHasher;

use crate::policy::route::segments::{BySegment, first};

#[test]
fn a_path_is_cut_at_its_first_slash() {
    for (path, wanted) in [
        ("", ("", None)),
        ("a", ("a", None)),
        ("a/", ("a", Some(""))),
        ("/a", ("", Some("a"))),
        ("ab/c/d", ("ab", Some("c/d"))),
        ("\u{e9}/\u{e8}", ("\u{e9}", Some("\u{e8}"))),
        ("longer than eight/x", ("longer than eight", Some("x"))),
    ] {
        assert_eq!(first(path), wanted);
    }
}

/// As the table uses them: the lowest bits choose the place, the highest seven tell what shares it apart.
#[test]
fn segments_that_are_numbered_spread_over_a_table() {
    let names: Vec<String> = (0..10_000).map(|number| format!("service{number}")).collect();
    let hashes: Vec<u64> = names.iter().map(|name| BySegment.hash_one(name.as_str())).collect();
    assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), names.len());
    let mut groups = vec![0; 1024];
    for hash in &hashes {
        groups[(hash % 1024) as usize] += 1;
    }
    assert!(groups.iter().all(|group| *group < 40), "ten on average, and {:?} at most", groups.iter().max());
    assert_eq!(hashes.iter().map(|hash| hash >> 57).collect::<HashSet<_>>().len(), 128);
}

#[test]
fn what_differs_in_one_octet_or_in_length_has_another_hash() {
    let mut seen = HashSet::new();
    for length in 0..40 {
        assert!(seen.insert(BySegment.hash_one("a".repeat(length).as_str())));
        assert!(seen.insert(BySegment.hash_one("\0".repeat(length + 1).as_str())));
        for at in 0..length {
            let mut text = "a".repeat(length).into_bytes();
            text[at] = b'b';
            assert!(seen.insert(BySegment.hash_one(str::from_utf8(&text).expect("ASCII"))));
        }
    }
}
