use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::token::json::document::Document;
use ScopeMatch::{Exact, Glob, Segments};

fn pattern(text: &str, how: ScopeMatch) -> Pattern {
    Pattern::parse(text, how).expect(text)
}

/// Claims of these values.
fn from_claims(claims: &[&serde_json::Value], how: ScopeMatch) -> Granted {
    let claims = Document::of(&json!({ "claims": claims }));
    let Some(Value::Array(claims)) = claims.get("claims") else { panic!("an array") };
    Granted::from_claims(claims, how)
}

fn granted(scopes: &str, how: ScopeMatch) -> Granted {
    from_claims(&[&json!(scopes)], how)
}

#[test]
fn reserved_characters_and_unbalanced_braces_are_no_patterns() {
    let both = [
        ("a!b", '!'),
        ("!a", '!'),
        ("a[bc]", '['),
        ("a(b|c)", '('),
        ("", ' '),
        ("a b", ' '),
        ("é", 'é'),
        ("a\"", '"'),
    ];
    for (text, character) in both {
        assert_eq!(Pattern::parse(text, Segments), Err(PatternError(character)), "{text}");
        assert_eq!(Pattern::parse(text, Glob), Err(PatternError(character)), "{text}");
    }
    for text in ["ab*", "*ab", "a:b*", "a:**", "**", "a:*b:c"] {
        assert_eq!(Pattern::parse(text, Segments), Err(PatternError('*')), "{text}");
    }
    for (text, character) in [
        ("{a", '{'),
        ("a{b,c", '{'),
        ("a}", '}'),
        ("}{", '}'),
        ("{a,{b}}", '{'),
        ("{a}}", '}'),
        ("{a}{b", '{'),
    ] {
        assert_eq!(Pattern::parse(text, Glob), Err(PatternError(character)), "{text}");
    }
}

#[test]
fn patterns_do_not_cover_what_they_do_not_say() {
    for (text, how, literal) in [
        ("read", Exact, "READ"),
        ("read", Exact, "reader"),
        ("read", Exact, ""),
        ("*", Exact, "read"),
        ("a:*", Exact, "a:b"),
        ("a:*:c", Segments, "a:b:b:c"),
        ("a:*:c", Segments, "a::c"),
        ("a:*:c", Segments, "a:c"),
        ("a:*", Segments, "a"),
        ("a:*", Segments, "a:"),
        ("a:*", Segments, "a:b:"),
        ("a:*", Segments, "a:b::c"),
        ("a:*", Segments, "b:a"),
        ("a:*", Segments, "A:b"),
        ("*:b", Segments, "x:y:b"),
        ("*", Segments, ":"),
        ("a?", Segments, "ab"),
        ("a{b,c}", Segments, "ab"),
        ("a?c", Glob, "ac"),
        ("a?c", Glob, "abbc"),
        ("a*c", Glob, "ab"),
        ("{a,b}", Glob, "ab"),
        ("{a,b}", Glob, "c"),
        ("{a,b}", Glob, "a,b"),
        ("{}", Glob, ""),
        ("*", Glob, ""),
        ("*", Glob, "a b"),
        ("*", Glob, "é"),
        ("*", Segments, "a\\b"),
    ] {
        assert!(!pattern(text, how).covers(literal), "{text} {literal}");
        assert!(!granted(text, how).covers(literal), "{text} {literal}");
    }
}

#[test]
fn patterns_cover_what_they_say() {
    for (text, how, literal) in [
        ("orders:read", Exact, "orders:read"),
        ("a!(b", Exact, "a!(b"),
        ("*", Exact, "*"),
        ("a:*:c", Segments, "a:b:c"),
        ("a:*", Segments, "a:b"),
        ("a:*", Segments, "a:b:c:d"),
        ("*", Segments, "a"),
        ("*", Segments, "a:b"),
        ("*:b", Segments, "a:b"),
        ("*:*", Segments, "a:b:c"),
        ("a:", Segments, "a:"),
        ("a?", Segments, "a?"),
        ("a{b", Segments, "a{b"),
        ("*", Glob, "a:b"),
        ("a*", Glob, "a"),
        ("a*c", Glob, "a:b:c"),
        ("?", Glob, ":"),
        ("a:{read,write}", Glob, "a:write"),
        ("a{,:x}", Glob, "a"),
        ("{a*,b?}:c", Glob, "a:b:c"),
        ("{a*,b?}:c", Glob, "bx:c"),
        ("{a,b}{c,d}", Glob, "bc"),
        ("a,b", Glob, "a,b"),
    ] {
        assert!(pattern(text, how).covers(literal), "{text} {literal}");
        assert!(granted(text, how).covers(literal), "{text} {literal}");
    }
}

#[test]
fn c5_claims_of_other_shapes_grant_nothing() {
    for claim in [
        json!(null),
        json!(true),
        json!(1),
        json!({"admin": true}),
        json!(["admin", 1]),
        json!([1, "admin"]),
        json!(["admin", ["admin"]]),
        json!(["admin", null]),
        json!([{"scope": "admin"}]),
    ] {
        assert_eq!(from_claims(&[&claim], Exact), Granted::default(), "{claim}");
    }
    assert_eq!(from_claims(&[], Exact), Granted::default());
}

#[test]
fn c5_scopes_are_split_at_single_spaces_and_compared_whole() {
    for claim in [
        json!("readadmin"),
        json!("ADMIN"),
        json!("admin\t"),
        json!("admin\n"),
        json!("\u{a0}admin"),
        json!("read,admin"),
        json!("read\tadmin"),
        json!("admin:x"),
        json!("administrator"),
        json!("admi"),
        json!(["read admin"]),
        json!(["admin "]),
        json!("ädmin"),
        json!(""),
        json!([""]),
    ] {
        assert!(!from_claims(&[&claim], Exact).covers("admin"), "{claim}");
    }
    for claim in [
        json!("read admin"),
        json!(["read", "admin"]),
        json!("admin"),
        json!("  read  admin "),
        json!(["", "admin"]),
    ] {
        let granted = from_claims(&[&claim], Exact);
        assert!(granted.covers("admin"), "{claim}");
        assert!(!granted.covers("read admin") && !granted.covers("") && !granted.covers(" "), "{claim}");
    }
}

#[test]
fn c5_claims_that_differ_as_sets_grant_nothing() {
    let nothing = [
        [json!("read"), json!("admin")],
        [json!("read admin"), json!("admin")],
        [json!("admin"), json!("read admin")],
        [json!("admin"), json!("")],
        [json!("admin"), json!([])],
        [json!("admin"), json!(null)],
        [json!(null), json!("admin")],
        [json!("admin"), json!(["admin", 1])],
        [json!(["admin"]), json!("admin\t")],
        [json!("admin"), json!("admin admin\t")],
    ];
    for [first, second] in &nothing {
        assert_eq!(from_claims(&[first, second], Exact), Granted::default(), "{first} {second}");
    }
    let (text, list) = (json!("read admin"), json!(["admin", "read", "admin"]));
    assert!(from_claims(&[&text, &list], Exact).covers("admin"));
    assert!(!from_claims(&[&text, &list, &json!("read")], Exact).covers("read"));
}

#[test]
fn scopes_that_are_no_patterns_are_dropped_and_the_others_stay() {
    let some = granted("a:b* a!b orders:* read", Segments);
    assert!(some.covers("orders:x") && some.covers("read"));
    assert!(!some.covers("a:b*") && !some.covers("a!b") && !some.covers("a:bc"));
}

#[track_caller]
fn contains(scopes: &str, requested: &str, how: ScopeMatch) -> bool {
    granted(scopes, how).contains(&pattern(requested, how))
}

#[test]
fn containment_is_refused_where_one_literal_is_missing() {
    for (scopes, requested, how) in [
        ("", "*", Glob),
        ("", "a", Exact),
        ("*", "a", Exact),
        ("a:*", "*", Segments),
        ("a:*:c", "a:*", Segments),
        ("a:b a:c", "a:*", Segments),
        ("a:* b:*", "*:*", Segments),
        ("?* ", "{}", Glob),
        ("*", "{}", Glob),
        ("{a,b}", "{a,b,c}", Glob),
        ("a* b*", "*", Glob),
        ("?", "*", Glob),
        ("???*", "??*", Glob),
        ("a:*", "a*", Glob),
    ] {
        assert!(!contains(scopes, requested, how), "{scopes} {requested}");
    }
}

#[test]
fn containment_is_of_the_union_and_not_of_texts() {
    for (scopes, requested, how) in [
        ("a b", "a", Exact),
        ("a:*", "a:*", Segments),
        ("a:*", "a:*:c", Segments),
        ("*", "a:*", Segments),
        ("*:*", "a:*:c:*", Segments),
        ("a b", "{a,b}", Glob),
        ("a:{b,c} a:d", "a:{b,c,d}", Glob),
        ("{a,b}{c,d}", "{ac,bd}", Glob),
        ("? ??*", "*", Glob),
        ("?*", "*", Glob),
        ("a* ?* ", "*", Glob),
        ("*a* *b*", "{a,b}*", Glob),
        ("a:*", "a:?*", Glob),
    ] {
        assert!(contains(scopes, requested, how), "{scopes} {requested}");
    }
}

#[test]
fn containment_gives_up_on_what_is_built_to_be_slow() {
    // "The n-th character from the end is a": 2^n sets of states.
    let slow = format!("*a{}", "?".repeat(30));
    let other = format!("*b{}", "?".repeat(30));
    assert!(!contains(&format!("{slow} {other}"), "*", Glob));
    assert!(!contains(&slow, &format!("*{slow}"), Glob));
    // As many literals as a token can hold, and a request that has to look at all of them.
    let literals: Vec<String> = (0..1000).map(|n| format!("s{n}")).collect();
    assert!(contains(&literals.join(" "), "s{1,2,3}", Glob));
    assert!(!contains(&literals.join(" "), "s?*", Glob));
}

#[test]
fn containment_knows_when_no_character_is_left() {
    let every: String = ('!'..='~').filter(|c| !matches!(c, '"' | '\\')).map(|c| format!("{c} ")).collect();
    assert!(granted(&every, Exact).contains(&pattern("?", Glob)));
    let but_one = every.replace("x ", "");
    assert!(!granted(&but_one, Exact).contains(&pattern("?", Glob)));
}

/// What a pattern covers, by backtracking over its text: slow, and written apart from the automata.
enum Reference {
    Exact(String),
    Segments(Vec<String>),
    Glob(Vec<String>),
}

impl Reference {
    fn new(pattern: &str, how: ScopeMatch) -> Self {
        match how {
            Exact => Self::Exact(pattern.to_owned()),
            Segments => Self::Segments(pattern.split(':').map(str::to_owned).collect()),
            Glob => Self::Glob(expand(pattern)),
        }
    }

    fn covers(&self, text: &str) -> bool {
        match self {
            Self::Exact(pattern) => pattern == text,
            Self::Segments(pattern) => {
                let last = pattern.len() - 1;
                let fits = |(at, part): (usize, &str)| match &*pattern[at.min(last)] {
                    "*" => !part.is_empty(),
                    literal => at <= last && literal == part,
                };
                text.split(':').count() > last && text.split(':').enumerate().all(fits)
            }
            Self::Glob(patterns) => patterns.iter().any(|pattern| wild(pattern.as_bytes(), text.as_bytes())),
        }
    }
}

fn expand(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let (inner, after) = rest.split_once('}').expect("balanced");
    inner.split(',').flat_map(|one| expand(&format!("{before}{one}{after}"))).collect()
}

fn wild(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            wild(rest, text) || text.split_first().is_some_and(|(_, text)| wild(pattern, text))
        }
        (Some((b'?', rest)), Some((_, text))) => wild(rest, text),
        (Some((literal, rest)), Some((octet, text))) => literal == octet && wild(rest, text),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Every text over `alphabet` that is not empty, up to `length`. The alphabet holds a character that no
/// pattern names.
fn texts(alphabet: &[char], length: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..length {
        let to = all.len();
        for at in from..to {
            for character in alphabet {
                all.push(format!("{}{character}", all[at]));
            }
        }
        from = to;
    }
    all.remove(0);
    all
}

// Long enough for a text that tells any of the patterns below apart: what they name is at most five
// characters long, and a longer text differs from a shorter one only in what a `*` stands for.
static FEW_CHARACTERS: LazyLock<Vec<String>> = LazyLock::new(|| texts(&['a', 'x', ':'], 7));
static MORE_CHARACTERS: LazyLock<Vec<String>> = LazyLock::new(|| texts(&['a', 'b', ':', 'x'], 6));

fn any_pattern(how: ScopeMatch) -> BoxedStrategy<String> {
    match how {
        Exact => "[ab:]{1,3}".boxed(),
        Segments => prop::collection::vec("\\*|a?", 1..4)
            .prop_map(|parts| parts.join(":"))
            .prop_filter("a scope-token", |text| !text.is_empty())
            .boxed(),
        Glob => prop::collection::vec(prop_oneof!["[ab:]", "[*?]", "\\{[ab:*?]?(,[ab:*?]?){0,2}\\}"], 1..5)
            .prop_map(|parts| parts.concat())
            .boxed(),
    }
}

fn agrees_with_brute_force(how: ScopeMatch, union: &[String], requested: &str) -> Result<(), TestCaseError> {
    let compiled = pattern(requested, how);
    let union_text = union.join(" ");
    let granted = granted(&union_text, how);
    let asked_for = Reference::new(requested, how);
    let given: Vec<Reference> = union.iter().map(|pattern| Reference::new(pattern, how)).collect();
    let mut some = false;
    let mut all = true;
    let texts = match how {
        Segments => &*FEW_CHARACTERS,
        Exact | Glob => &*MORE_CHARACTERS,
    };
    for text in texts {
        let asked = asked_for.covers(text);
        let given = given.iter().any(|one| one.covers(text));
        prop_assert_eq!(compiled.covers(text), asked, "{} covers {}", requested, text);
        prop_assert_eq!(granted.covers(text), given, "{} cover {}", union_text, text);
        some |= asked;
        all &= !asked || given;
    }
    prop_assert_eq!(granted.contains(&compiled), some && all, "{} contain {}", union_text, requested);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn segments_agree_with_brute_force(
        union in prop::collection::vec(any_pattern(Segments), 1..4),
        requested in any_pattern(Segments),
    ) {
        agrees_with_brute_force(Segments, &union, &requested)?;
    }

    #[test]
    fn globs_agree_with_brute_force(
        union in prop::collection::vec(any_pattern(Glob), 1..4),
        requested in any_pattern(Glob),
    ) {
        agrees_with_brute_force(Glob, &union, &requested)?;
    }

    #[test]
    fn literals_agree_with_brute_force(
        union in prop::collection::vec(any_pattern(Exact), 1..4),
        requested in any_pattern(Exact),
    ) {
        agrees_with_brute_force(Exact, &union, &requested)?;
    }

    #[test]
    fn every_pattern_is_contained_in_itself_and_nothing_panics(text in "[ab:*?{},!x]{1,12}") {
        for how in [Exact, Segments, Glob] {
            let Ok(compiled) = Pattern::parse(&text, how) else { continue };
            let covers_something = !matches!(how, Glob) || expand(&text).iter().any(|one| !one.is_empty());
            prop_assert_eq!(granted(&text, how).contains(&compiled), covers_something);
        }
    }
}
