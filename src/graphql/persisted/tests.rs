use super::*;

/// SHA-256 of `{__typename}`, as Apollo's documentation gives it.
const TYPENAME: &str = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";

#[test]
fn a_hash_is_that_of_the_text() {
    assert_eq!(DocumentHash::read(TYPENAME), Some(DocumentHash::of("{__typename}")));
    assert_eq!(DocumentHash::read(&TYPENAME.to_uppercase()), Some(DocumentHash::of("{__typename}")));
    for bad in
        ["", "ab", &TYPENAME[1..], &format!("{TYPENAME}0"), &TYPENAME.replace('e', "g"), &"é".repeat(32)]
    {
        assert_eq!(DocumentHash::read(bad), None, "{bad}");
    }
}

#[test]
fn what_clients_send_is_kept_within_bounds() {
    let mut sent = Sent::default();
    for number in 0..20_000 {
        let text = format!("query Q{number} {{ {} }}", "x ".repeat(300));
        sent.keep(DocumentHash::of(&text), &text);
    }
    assert!(sent.weight() <= KEPT, "{}", sent.weight());
    assert!(sent.weight() > KEPT / 2, "{}", sent.weight());
    let large = "x".repeat(LARGEST + 1);
    sent.keep(DocumentHash::of(&large), &large);
    assert_eq!(sent.find(DocumentHash::of(&large)), None);
    sent.keep(DocumentHash::of("{a}"), "{a}");
    assert_eq!(sent.find(DocumentHash::of("{a}")).as_deref(), Some("{a}"));
}

#[test]
fn a_safelist_finds_by_id_by_hash_and_by_text() {
    let documents = vec![("a".into(), "{__typename}".into()), ("b".into(), "{b}".into())];
    let safelist = Safelist {
        path: "x".into(),
        at: Default::default(),
        mode: SafelistMode::Enforce,
        documents: Arc::new(documents),
    };
    let listed = Listed::compile(&safelist);
    for id in ["a", TYPENAME, &format!("sha256:{TYPENAME}")] {
        assert_eq!(listed.by_id(id), Some("{__typename}"), "{id}");
    }
    assert_eq!(listed.by_id("b"), Some("{b}"));
    for id in ["", "c", "A", "sha256:a", &TYPENAME[1..]] {
        assert_eq!(listed.by_id(id), None, "{id}");
    }
    assert!(listed.has("{b}"));
    assert!(!listed.has("{ b }"));
    assert!(!listed.has(""));
}
