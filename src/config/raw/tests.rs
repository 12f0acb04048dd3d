use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Document, parse};
use crate::config::tests::processor::Spent;

fn json_of(text: &str) -> Value {
    let Document { root, problems, .. } = parse(text);
    assert!(problems.is_empty(), "{text}: {problems:?}");
    root.expect("a root").to_json()
}

/// The first problem, as `line:column what`.
fn problem(text: &str) -> String {
    let document = parse(text);
    let problem = document.problems.first().unwrap_or_else(|| panic!("no problem with {text:?}"));
    format!("{}:{} {}", problem.at.line, problem.at.column, problem.what)
}

fn check_refused(text: &str, place: &str, part: &str) {
    let said = problem(text);
    let place = if place.ends_with(':') { place.to_owned() } else { format!("{place} ") };
    assert!(said.starts_with(&place) && said.contains(part), "{text:?} gave {said:?}");
}

#[test]
fn what_is_not_plain_yaml_is_refused_where_it_stands() {
    check_refused("a: 1\na: 2\n", "2:1", "duplicate key");
    check_refused("a: {b: 1, c: 2, b: 3}", "1:17", "duplicate key");
    check_refused("a: 1\n\"a\": 2\n", "2:1", "duplicate key");
    check_refused("a:\n\tb: 1\n", "2:2", "tab");
    check_refused("a: [1, 2\n", "1:4", "not YAML");
    check_refused("a: 'x\n", "2:1", "not YAML");
    check_refused("\u{feff}a: 1\n", "1:1", "byte order mark");
    check_refused("a: 1\nb: x\0y\n", "2:5", "control character (U+0000)");
    check_refused("a: \u{1b}[31m\n", "1:4", "control character");
    check_refused("a: 1\rb: 2\n", "1:5", "control character");
    check_refused("a: 1\n---\nb: 2\n", "2:1", "second document");
    check_refused("a: 1\n...\nb: 2\n", "3:1", "second document");
    check_refused("a: !!str 1\n", "1:", "tag");
    check_refused("a: !secret x\n", "1:", "tag");
    check_refused("%YAML 1.1\n---\na: 1\n", "1:1", "directive");
    check_refused("a: &x {b: 1}\nc:\n  <<: *x\n", "3:3", "merge key");
    check_refused("? [a]\n: 1\n", "1:3", "a key must be a word");
    check_refused("a: *nothing\n", "1:4", "alias");
    check_refused("a: &x [*x]\n", "1:8", "alias");
    check_refused("*.example.com/x: public\n", "1:1", "alias");
    check_refused("a: @b\n", "1:4", "not YAML");
}

#[test]
fn scalars_are_kept_as_written_and_resolve_by_the_core_schema() {
    assert_eq!(
        json_of("[1, -2, 1.5, true, True, yes, no, on, ~, null, '1', 0x1f, 1_000, 1e3, .inf, 12:30, 007]"),
        json!([
            1, -2, 1.5, true, "True", "yes", "no", "on", null, null, "1", 31, "1_000", 1000.0, ".inf",
            "12:30", 7
        ])
    );
    assert_eq!(json_of("a:\nb: ''\n"), json!({"a": null, "b": ""}));
    assert_eq!(
        json_of("a: 'it''s'\nb: \"\\u00e9\\n\"\nc: |\n  x\n  y\n"),
        json!({"a": "it's", "b": "é\n", "c": "x\ny\n"})
    );
    let root = parse("a: 1.10\n").root.expect("a root");
    let entry = root.get("a").expect("an entry");
    assert_eq!(format!("{:?}", entry.value.content), "Scalar(Scalar { text: \"1.10\", plain: true })");
}

#[test]
fn places_and_octets_are_those_of_the_text() {
    let text = "a: é\nbb:\n  - {c: dé}\n";
    let root = parse(text).root.expect("a root");
    let list = &root.get("bb").expect("an entry");
    assert_eq!((list.at.line, list.at.column), (2, 1));
    let mut spans = Vec::new();
    root.scalar_spans(&mut spans);
    let shown: Vec<&str> = spans.iter().map(|span| &text[span.start..span.end]).collect();
    assert_eq!(shown, ["a", "é", "bb", "c", "dé"]);
    assert_eq!(&text[list.value.span.start..list.value.span.end], "- {c: dé}");
}

#[test]
fn duplicates_keep_the_first_and_hide_the_others() {
    let text = "a: first\na: second\n";
    let document = parse(text);
    assert_eq!(document.root.expect("a root").to_json(), json!({"a": "first"}));
    let shown: Vec<&str> = document.dropped.iter().map(|span| &text[span.start..span.end]).collect();
    assert_eq!(shown, ["second"]);
}

#[test]
fn aliases_stand_for_what_they_name_within_a_budget() {
    assert_eq!(json_of("a: &x [1, {b: 2}]\nc: *x\n"), json!({"a": [1, {"b": 2}], "c": [1, {"b": 2}]}));
    let mut laughs = "a0: &a0 [ha, ha]\n".to_owned();
    for level in 1..40 {
        let below = format!("*a{}", level - 1);
        laughs.push_str(&format!("a{level}: &a{level} [{below}, {below}, {below}]\n"));
    }
    assert!(problem(&laughs).contains("aliases expand"), "{}", problem(&laughs));
    let long = format!("a: &x {}\nb: [{}]\n", "x".repeat(1 << 20), "*x, ".repeat(1000));
    assert!(problem(&long).contains("aliases expand"));
}

#[test]
fn every_cost_is_bounded() {
    let deep = ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)];
    for text in &deep {
        assert!(problem(text).contains("deep") || problem(text).contains("not YAML"), "{}", problem(text));
    }
    assert!(problem(&"[".repeat(100)).contains("nested more than 64 deep"));
    assert!(json_of(&format!("{}{}", "[".repeat(60), "]".repeat(60))).is_array());
    assert!(problem(&"x".repeat(17 << 20)).contains("larger than"));
    assert!(problem(&format!("[{}]", "a,".repeat(2_100_000))).contains("more than 2000000 values"));
}

/// Texts that make a careless scanner look back again and again.
#[test]
fn no_text_takes_more_than_linear_time() {
    let texts = [
        "\"".repeat(400_000),
        "'".repeat(400_000),
        "a ".repeat(200_000),
        "a:\n".repeat(100_000),
        "- a\n".repeat(100_000),
        "#\n".repeat(200_000),
        format!("a: {}", "x\n ".repeat(100_000)),
        format!("a: |\n{}", " x\n".repeat(100_000)),
        format!("a: \"{}\"", "\\n".repeat(200_000)),
        format!("{}: 1", "k".repeat(400_000)),
        format!("{{{}", "a: 1, ".repeat(60_000)),
        (0..30_000).map(|n| format!("&a{n} k{n}: 1\n")).collect(),
        "\n".repeat(400_000),
        " ".repeat(400_000),
        "\t".repeat(400_000),
    ];
    for text in &texts {
        let begun = Spent::since_now();
        parse(text);
        assert!(begun.so_far().as_secs() < 5, "{:?}… took {:?}", &text[..10], begun.so_far());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "[-a:\\[\\]{},&*!|>'\"%@`#? \n\t<~0\\\\é]{0,60}") {
        let document = parse(&text);
        prop_assert!(document.root.is_some() || !document.problems.is_empty() || text.trim().is_empty()
            || text.lines().all(|line| line.trim_start().starts_with('#') || line.trim().is_empty()));
        let mut spans = document.dropped;
        document.root.iter().for_each(|root| root.scalar_spans(&mut spans));
        for span in spans {
            prop_assert!(text.get(span.start..span.end).is_some(), "{span:?} in {text:?}");
        }
    }
}
