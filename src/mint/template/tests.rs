use serde_json::{Value, json};

use crate::config::template::{Hole, Piece, Source, Template, Text};
use crate::mint::template::{render, render_members, render_text};

fn hole(source: Source) -> Piece {
    Piece::Hole(Hole { source, optional: false })
}

fn maybe(source: Source) -> Piece {
    Piece::Hole(Hole { source, optional: true })
}

fn text(pieces: &[Piece]) -> Template {
    Template::Text(Text(pieces.to_vec()))
}

fn literal(text: &str) -> Piece {
    Piece::Literal(text.into())
}

/// A request to nowhere: its scopes, its moment, and members of its body that are there.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other holes stay empty")]
fn fill(source: &Source) -> Option<Value> {
    match source {
        Source::Scopes => Some(json!(["read", "write"])),
        Source::Scope => Some(json!("read write")),
        Source::Now => Some(json!(7)),
        Source::Body(name) => match &**name {
            "null" => Some(Value::Null),
            "flag" => Some(json!(true)),
            "object" => Some(json!({"a": 1})),
            _ => None,
        },
        _ => None,
    }
}

#[track_caller]
fn check(template: &Template, expected: Option<Value>) {
    assert_eq!(render(template, &fill), expected, "{template:?}");
}

#[test]
fn what_has_to_be_there_and_is_not_fails_the_whole() {
    let missing = text(&[hole(Source::Subject)]);
    check(&missing, None);
    check(&text(&[literal("a"), hole(Source::Subject)]), None);
    check(&Template::List(vec![text(&[literal("a")]), missing.clone()]), None);
    check(&Template::Object(vec![("a".into(), Template::List(vec![missing.clone()]))]), None);
    assert_eq!(render_members(&[("a".into(), missing)], &fill), None);
    assert_eq!(render_text(&Text(vec![hole(Source::Subject)]), &fill), None);
}

#[test]
fn a_value_that_is_one_hole_keeps_its_type() {
    check(&text(&[hole(Source::Scopes)]), Some(json!(["read", "write"])));
    check(&text(&[hole(Source::Now)]), Some(json!(7)));
    check(&text(&[hole(Source::Body("flag".into()))]), Some(json!(true)));
    check(&text(&[hole(Source::Body("null".into()))]), Some(Value::Null));
    check(&text(&[maybe(Source::Body("null".into()))]), Some(Value::Null));
    check(&text(&[hole(Source::Body("object".into()))]), Some(json!({"a": 1})));
}

#[test]
fn among_other_characters_it_is_text() {
    check(&text(&[literal("at "), hole(Source::Now)]), Some(json!("at 7")));
    check(&text(&[hole(Source::Scope), literal("!")]), Some(json!("read write!")));
    check(&text(&[literal("<"), hole(Source::Scopes), literal(">")]), Some(json!("<[\"read\",\"write\"]>")));
    check(&text(&[literal("<"), maybe(Source::Subject), literal(">")]), Some(json!("<>")));
    check(&text(&[hole(Source::Now), hole(Source::Now)]), Some(json!("77")));
    check(&text(&[]), Some(json!("")));
    check(&text(&[literal("{}")]), Some(json!("{}")));
}

#[test]
fn what_may_be_missing_takes_its_key_or_its_element_with_it() {
    let missing = text(&[maybe(Source::Subject)]);
    let there = text(&[maybe(Source::Now)]);
    check(&Template::List(vec![missing.clone(), there.clone()]), Some(json!([7])));
    let members = vec![("a".into(), missing.clone()), ("b".into(), there)];
    check(&Template::Object(members.clone()), Some(json!({"b": 7})));
    assert_eq!(render_members(&members, &fill).map(Value::Object), Some(json!({"b": 7})));
    check(&missing, Some(Value::Null));
}

#[test]
fn what_has_no_hole_stays_as_it_is() {
    let plain = Template::Plain(json!(1.5));
    check(&plain, Some(json!(1.5)));
    check(
        &Template::Object(vec![("z".into(), plain.clone()), ("a".into(), plain)]),
        Some(json!({"z": 1.5, "a": 1.5})),
    );
    check(&Template::List(Vec::new()), Some(json!([])));
}
