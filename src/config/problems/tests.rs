use std::sync::Arc;

use super::{Position, Problem, Problems, closest, quoted};

fn at(line: u32, column: u32) -> Position {
    Position { line, column }
}

fn rendered(text: &str, list: Vec<Problem>) -> String {
    Problems { file: "gate.yaml".into(), text: Arc::from(text), list }.to_string()
}

#[test]
fn a_problem_is_shown_with_its_place_snippet_caret_and_hint() {
    let list = vec![
        Problem::new(at(2, 3), "unknown key `audiance`").hint("did you mean `audience`?"),
        Problem::new(at(11, 1), "`routes` is missing"),
    ];
    let text = "issuers:\n  audiance: x\n\n\n\n\n\n\n\n\nlog: {}\n";
    assert_eq!(
        rendered(text, list),
        "gate.yaml:2:3: unknown key `audiance`\n  |\n2 |   audiance: x\n  |   ^\n  = hint: did you mean \
         `audience`?\n\ngate.yaml:11:1: `routes` is missing\n   |\n11 | log: {}\n   | ^\n"
    );
}

#[test]
fn a_place_beyond_the_text_has_no_snippet() {
    assert_eq!(rendered("", vec![Problem::new(at(1, 1), "empty")]), "gate.yaml:1:1: empty\n");
    assert_eq!(rendered("a\n", vec![Problem::new(at(9, 9), "gone")]), "gate.yaml:9:9: gone\n");
    assert_eq!(rendered("a\n", vec![Problem::new(at(0, 0), "nowhere")]).lines().count(), 4);
}

#[test]
fn a_long_line_is_shown_as_a_window_around_the_caret() {
    let text = format!("{}!{}", "x".repeat(500), "y".repeat(500));
    let shown = rendered(&text, vec![Problem::new(at(1, 501), "there")]);
    let lines: Vec<&str> = shown.lines().collect();
    let caret = lines[3].find('^').expect("a caret");
    assert_eq!(lines[2].as_bytes()[caret], b'!', "{shown}");
    assert!(lines[2].len() < 120, "{shown}");
}

#[test]
fn a_file_cannot_write_to_the_terminal() {
    assert_eq!(quoted("\u{1b}[31mred"), "`\\u{1b}[31mred`");
    assert_eq!(quoted("it's \"so\""), "`it's \"so\"`");
    assert!(quoted(&"x".repeat(1000)).chars().count() < 90);
    assert!(!rendered("a\u{1b}[31mb", vec![Problem::new(at(1, 1), "x")]).contains('\u{1b}'));
}

#[test]
fn the_closest_word_is_offered_and_a_far_one_is_not() {
    let check = |word: &str, expected: Option<&str>| {
        assert_eq!(closest(word, ["audience", "issuer", "keys", "from"]), expected, "{word}");
    };
    check("password", None);
    check("a", None);
    check("", None);
    check(&"audience".repeat(1000), None);
    check("audiance", Some("audience"));
    check("Issuer", Some("issuer"));
    check("key", Some("keys"));
    check("form", Some("from"));
}
