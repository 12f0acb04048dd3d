use serde_json::json;

use super::{NoScopes, Refused, granted, listed};
use crate::config::endpoint::ScopeMode::{Inherit, Subset};
use crate::token::scope::ScopeMatch::{self, Exact, Glob, Segments};

fn boxed(scopes: &[&str]) -> Vec<Box<str>> {
    scopes.iter().map(|scope| Box::from(*scope)).collect()
}

#[track_caller]
fn check(matching: ScopeMatch, ceiling: &[&str], asked: &[&str], refused: Option<&str>) {
    let outcome = granted(Some(boxed(asked)), &boxed(ceiling), Subset, matching, &[matching]);
    match refused {
        Some(scope) => assert_eq!(outcome, Err(Refused(scope.into())), "{asked:?} of {ceiling:?}"),
        None => assert_eq!(outcome, Ok(boxed(asked)), "{asked:?} of {ceiling:?}"),
    }
}

#[test]
fn what_is_asked_for_has_to_lie_within_the_union() {
    check(Exact, &["read", "write"], &["read"], None);
    check(Exact, &["read"], &["read", "write"], Some("write"));
    check(Exact, &["read"], &["*"], Some("*"));
    check(Glob, &["write:*"], &["write:orders:make"], None);
    check(Glob, &["write:*"], &["write:orders:*"], None);
    check(Glob, &["write:orders:*"], &["write:*"], Some("write:*"));
    check(Glob, &["a", "b"], &["{a,b}"], None);
    check(Glob, &["a", "b"], &["{a,b,c}"], Some("{a,b,c}"));
    // Matched as texts, the star of the request would be a character that `?` covers.
    check(Glob, &["write:orde?:make"], &["write:orde*:make"], Some("write:orde*:make"));
    check(Segments, &["chat:*"], &["chat:room:1"], None);
    check(Segments, &["chat:*:read"], &["chat:*"], Some("chat:*"));
}

/// Elsewhere `!x` means everything but `x`; matched as a text it is covered by `*:x`-like grants.
#[test]
fn a_negation_is_no_way_to_more() {
    check(Glob, &["*"], &["!x:y"], Some("!x:y"));
    check(Glob, &["!*:x"], &["!a:x"], Some("!a:x"));
    check(Segments, &["*:x"], &["!a:x"], Some("!a:x"));
    check(Exact, &["*"], &["!x:y"], Some("!x:y"));
}

#[test]
fn what_a_route_reads_as_a_pattern_is_no_literal_to_the_ceiling() {
    let ask = |asked: &str, ceiling: &str, matching, read| {
        granted(Some(boxed(&[asked])), &boxed(&[ceiling]), Subset, matching, &[read])
    };
    assert_eq!(ask("foo:*:baz", "foo:*:baz", Segments, Glob), Err(Refused("foo:*:baz".into())));
    assert_eq!(ask("foo:*", "foo:*", Segments, Segments), Ok(boxed(&["foo:*"])));
    assert_eq!(ask("foo", "*", Glob, Exact), Ok(boxed(&["foo"])));
}

#[test]
fn nothing_asked_for_is_everything_there_is() {
    assert_eq!(granted(None, &boxed(&["a", "b"]), Subset, Exact, &[]), Ok(boxed(&["a", "b"])));
    assert_eq!(granted(Some(boxed(&["c"])), &boxed(&["a"]), Inherit, Exact, &[]), Ok(boxed(&["a"])));
    assert_eq!(granted(Some(vec![]), &boxed(&["a"]), Subset, Exact, &[]), Ok(vec![]));
    assert_eq!(granted(Some(boxed(&["a", "a"])), &boxed(&["a"]), Subset, Exact, &[]), Ok(boxed(&["a"])));
}

#[test]
fn what_no_answer_may_repeat_is_not_repeated() {
    check(Glob, &["*"], &["a\"b"], Some(""));
    check(Glob, &["*"], &[""], Some(""));
}

#[test]
fn lists_and_texts_mean_the_same() {
    assert_eq!(listed(None), Ok(None));
    assert_eq!(listed(Some(&json!(""))), Ok(None));
    assert_eq!(listed(Some(&json!("a b"))), Ok(Some(boxed(&["a", "b"]))));
    assert_eq!(listed(Some(&json!(["a", "b"]))), Ok(Some(boxed(&["a", "b"]))));
    assert_eq!(listed(Some(&json!([]))), Ok(Some(vec![])));
    assert_eq!(listed(Some(&json!(["a", 1]))), Err(NoScopes));
    assert_eq!(listed(Some(&json!({"a": true}))), Err(NoScopes));
    assert_eq!(listed(Some(&json!(vec!["a"; 257]))), Err(NoScopes));
}

#[test]
fn a_literal_of_the_ceiling_is_no_pattern_where_nothing_was_asked_for() {
    for mode in [Subset, Inherit] {
        let outcome = granted(None, &boxed(&["a:*", "b"]), mode, Exact, &[Exact, Glob]);
        assert_eq!(outcome, Ok(boxed(&["b"])), "{mode:?}");
        assert_eq!(granted(None, &boxed(&["a:*"]), mode, Glob, &[Glob]), Ok(boxed(&["a:*"])), "{mode:?}");
    }
}
