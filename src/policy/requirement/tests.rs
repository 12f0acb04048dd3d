use super::{MissingScopes, check, check_built};
use crate::config::Requirement;
use crate::config::scope::{Built, BuiltScope, ScopePiece};
use crate::token::scope::{Granted, ScopeMatch};

fn read_of(name: &str) -> BuiltScope {
    BuiltScope(vec![ScopePiece::Literal("read:sets/".into()), ScopePiece::Parameter(name.into())])
}

fn granted(scopes: &str, how: ScopeMatch) -> Granted {
    let claims = serde_json::json!({ "scope": scopes }).to_string();
    let claims = crate::token::claims::Claims::parse(claims.as_bytes()).expect("claims");
    Granted::from_claims(claims.members().get("scope"), how)
}

fn asked(scopes: Vec<BuiltScope>, set: &str, has: &Granted) -> Result<(), MissingScopes> {
    let built = Built { scopes, any_scope: Vec::new() };
    check_built(&Requirement::default(), &built, &[("set", set)], has)
}

#[test]
fn a_scope_is_built_from_the_path_and_covers_no_other_path() {
    let has = granted("read:sets/orders", ScopeMatch::Exact);
    assert_eq!(asked(vec![read_of("set")], "people", &has), Err(MissingScopes("read:sets/people".into())));
    assert_eq!(asked(vec![read_of("set")], "orders", &has), Ok(()));
    let all = granted("read:sets/*", ScopeMatch::Glob);
    assert_eq!(asked(vec![read_of("set")], "people", &all), Ok(()));
}

/// Even whoever may do everything: what cannot be named cannot have been granted.
#[test]
fn a_value_that_is_no_scope_or_is_empty_or_unknown_refuses() {
    let all = granted("*", ScopeMatch::Glob);
    for value in ["", "a b", "a\"b", "a\\b", "\u{e9}", "a\u{7f}"] {
        assert_eq!(asked(vec![read_of("set")], value, &all), Err(MissingScopes(String::new())), "{value:?}");
    }
    assert_eq!(asked(vec![read_of("other")], "orders", &all), Err(MissingScopes(String::new())));
    assert_eq!(asked(vec![read_of("set")], "orders", &all), Ok(()));
}

#[test]
fn literal_scopes_and_alternatives_count_beside_built_ones() {
    let literal = |scopes: &[&str], any: &[&str]| Requirement {
        scopes: scopes.iter().map(|scope| (*scope).into()).collect(),
        any_scope: any.iter().map(|scope| (*scope).into()).collect(),
        ..Requirement::default()
    };
    let ask = |requirement: &Requirement, built: &Built, has: &str| {
        check_built(requirement, built, &[("set", "orders")], &granted(has, ScopeMatch::Exact))
    };
    let all = Built { scopes: vec![read_of("set")], any_scope: Vec::new() };
    assert!(ask(&literal(&["a"], &[]), &all, "read:sets/orders").is_err());
    assert!(ask(&literal(&["a"], &[]), &all, "a").is_err());
    assert_eq!(ask(&literal(&["a"], &[]), &all, "a read:sets/orders"), Ok(()));
    let any = Built { scopes: Vec::new(), any_scope: vec![read_of("set")] };
    assert_eq!(ask(&literal(&[], &[]), &any, "x"), Err(MissingScopes("read:sets/orders".into())));
    assert_eq!(ask(&literal(&[], &["a"]), &any, "x"), Err(MissingScopes("a".into())));
    assert_eq!(ask(&literal(&[], &["a"]), &any, "a"), Ok(()));
    assert_eq!(ask(&literal(&[], &["a"]), &any, "read:sets/orders"), Ok(()));
    assert_eq!(check(&literal(&["a"], &[]), &granted("a", ScopeMatch::Exact)), Ok(()));
}
