//! What documents come to: needs, bounds, and what is at the roots.

use std::path::Path;

use crate::config::{Context, Require, parse};
use crate::graphql::plan::{Needs, Plan};
use crate::graphql::rejected::Rejected;
use crate::graphql::rules::Rules;

/// The rules of `graphql: {…}`.
pub(in crate::graphql) fn rules(graphql: &str) -> Rules {
    let text = format!(
        "version: 1\nlisteners: 127.0.0.1:1\nupstreams: {{a: http://127.0.0.1:2}}\nissuers: {{a: {{issuer: \
         https://a.example, audience: any}}}}\nroutes: {{/graphql: {{require: {{graphql: {graphql}}}}}}}\n"
    );
    let context = Context { name: "a.yaml", directory: Path::new("/"), env: &|_| None };
    let (config, _) = parse(&text, &context).unwrap_or_else(|problems| panic!("{problems}"));
    let Require::Token(requirement) = &config.routes[0].require else { panic!("public") };
    Rules::compile(requirement.graphql.as_ref().expect("rules"))
}

fn planned(graphql: &str, document: &str) -> Result<Plan, Rejected> {
    rules(graphql).plan(document, 1)
}

fn shown(needs: &Needs) -> String {
    match (&needs.denied, needs.token, &*needs.permissions) {
        (Some(what), true, permissions) => format!("{}nobody: {what}", permissions.join(" ")),
        (None, false, []) => "public".to_owned(),
        (None, true, []) => "token".to_owned(),
        (None, true, permissions) => permissions.join(" "),
        other => panic!("{other:?}"),
    }
}

/// What each operation needs.
fn needs(graphql: &str, document: &str) -> Vec<String> {
    let plan = planned(graphql, document).unwrap_or_else(|rejected| panic!("{document}: {rejected:?}"));
    plan.operations.iter().map(|operation| shown(&operation.needs)).collect()
}

const BY_NAME: &str =
    r#"{permission: "{operation}/{field}", public: Subscription, introspection: deny, LIMITS}"#;

#[track_caller]
fn check(document: &str, wanted: &[&str]) {
    assert_eq!(needs(&BY_NAME.replace(", LIMITS", ""), document), wanted, "{document}");
}

/// The code of what is refused, or the warnings.
fn under(limits: &str, document: &str) -> String {
    match planned(&BY_NAME.replace("LIMITS", &format!("limits: {{{limits}}}")), document) {
        Ok(plan) => plan.warnings.join(" "),
        Err(rejected) => rejected.code.to_owned(),
    }
}

#[test]
fn u6_no_way_to_a_root_field_is_unseen() {
    for document in [
        "mutation {a}",
        "mutation {b: a}",
        "mutation {... {a}}",
        "mutation {... on Other {a}}",
        "mutation {... on Other @include(if: $v) {... {b: a}}}",
        "mutation {...F} fragment F on Other {a}",
        "mutation {...F} fragment F on Other {... on X {...G}} fragment G on Y {b: a}",
        "mutation {...G ...F} fragment F on T {__typename} fragment G on T {...F a}",
        "mutation ($v: Boolean = true) {a @skip(if: $v)}",
        "mutation {a @skip(if: false) @skip(if: true)}",
        "mutation {a @skip(if: true) a}",
        "mutation {...F @skip(if: true) ...F} fragment F on T {a}",
    ] {
        check(document, &["Mutation/a"]);
    }
    check("mutation {a: b c: d}", &["Mutation/b Mutation/d"]);
    check("{a {b}}", &["Query/a"]);
}

#[test]
fn what_is_not_run_needs_nothing() {
    for document in [
        "mutation {__typename}",
        "mutation {a: __typename ... {__typename}}",
        "mutation {a @skip(if: true)}",
        "mutation {... @include(if: false) {a ...F}} fragment F on T {b}",
        "mutation {...F @skip(if: true)} fragment F on T {b {c}}",
        "subscription {a}",
    ] {
        check(document, &["public"]);
    }
}

#[test]
fn u6_introspection_is_seen_at_the_root_by_any_way() {
    for document in [
        "{__schema {types {name}}}",
        "{a: __type(name: \"B\") {name}}",
        "{...F} fragment F on Query {... {__schema {a}}}",
    ] {
        check(document, &["nobody: introspection"]);
    }
    // Where a field comes to the root of queries again, it is there too.
    check("{a {__schema {b}}}", &["Query/anobody: introspection"]);
    let far = "{a {...F}} fragment F on Query {... {c: __type(name: \"B\") {d}}}";
    check(far, &["Query/anobody: introspection"]);
    check("mutation {__schema {a}}", &["nobody: Mutation.__schema"]);
    check("subscription {__schema {a}}", &["nobody: Subscription.__schema"]);
    check("{__other}", &["nobody: Query.__other"]);
}

#[test]
fn in_strict_mode_every_operation_needs_what_mutations_do() {
    let document = "query A {a} mutation B {b} mutation C {c} subscription D {d}";
    let strict = [
        "Mutation/b Mutation/c Query/a",
        "Mutation/b Mutation/c",
        "Mutation/b Mutation/c",
        "Mutation/b Mutation/c",
    ];
    check(document, &strict);
    let selected = BY_NAME.replace("LIMITS", "operations: selected");
    assert_eq!(needs(&selected, document), ["Query/a", "Mutation/b", "Mutation/c", "public"]);
    check("query A {a} query B {b}", &["Query/a", "Query/b"]);
}

#[test]
fn mutations_are_not_safe_nor_what_is_beside_them() {
    let safe = |document| {
        let plan = planned(&BY_NAME.replace(", LIMITS", ""), document).expect("a plan");
        plan.operations.iter().map(|operation| operation.is_safe).collect::<Vec<_>>()
    };
    assert_eq!(safe("{a}"), [true]);
    assert_eq!(safe("mutation {a}"), [false]);
    assert_eq!(safe("subscription {a}"), [true]);
    assert_eq!(safe("query A {a} query B {b} subscription C {c}"), [true, true, true]);
    assert_eq!(safe("query A {a} mutation B {b}"), [false, false]);
}

#[test]
fn root_fields_are_listed_with_their_places_each_once() {
    let document = "mutation M {x: a {b} ...F __typename ... {c @skip(if: $v)} ...F} fragment F on T {d(e: 1) f @skip(if: true)}";
    let plan = planned(&BY_NAME.replace(", LIMITS", ""), document).expect("a plan");
    let operation = &plan.operations[0];
    assert_eq!(operation.name.as_deref(), Some("M"));
    let fields: Vec<_> = operation
        .fields
        .iter()
        .map(|field| (&*field.key, &*field.name, &document[field.span.clone()], shown(&field.needs)))
        .collect();
    assert_eq!(
        fields,
        [
            ("x", "a", "x: a {b}", "Mutation/a".to_owned()),
            ("d", "d", "d(e: 1)", "Mutation/d".to_owned()),
            ("c", "c", "c @skip(if: $v)", "Mutation/c".to_owned()),
        ]
    );
}

/// A bound, the most that is within it, and the least that is past it.
#[test]
fn d7_bounds_are_kept_each_with_its_code() {
    for (bound, code, within, past) in [
        ("tokens", "TOKEN_LIMIT_EXCEEDED", "{a {b}}", "{a {b c}}"),
        ("recursion", "RECURSION_LIMIT", "{a {b {c {d {e}}}}}", "{a {b {c {d {e {f}}}}}}"),
        ("depth", "MAX_DEPTH_LIMIT", "{a {b {c {d {e}}}}}", "{a {b {...F}}} fragment F on T {c {d {e {f}}}}"),
        (
            "aliases",
            "MAX_ALIASES_LIMIT",
            "{a: a b: a c: a d: a e: a}",
            "{...F ...F} fragment F on T {a: a b: a c: a}",
        ),
        (
            "directives",
            "MAX_DIRECTIVES_LIMIT",
            "query @a @b {c @d @e @f}",
            "query ($v: Int @a) @b {... @c {d @e} ...F @g} fragment F on T @h {i}",
        ),
        (
            "root_fields",
            "MAX_ROOT_FIELDS_LIMIT",
            "{a b c d e {f}}",
            "{a b ...F ...F} fragment F on T {... {c d}}",
        ),
        (
            "root_fields",
            "MAX_ROOT_FIELDS_LIMIT",
            "mutation {a b c d e f}",
            "subscription {a b c d e __typename}",
        ),
        ("mutations", "MAX_ROOT_FIELDS_LIMIT", "{a b c d e f}", "mutation {a b c d e f @skip(if: true)}"),
        ("name", "OPERATION_NAME_LIMIT", "query Abcde {a}", "query Abcdef {a}"),
        ("cost", "MAX_COST_LIMIT", "{a {b c}}", "{a {b {c}}}"),
    ] {
        let most = if bound == "tokens" { 6 } else { 5 };
        assert_eq!(under(&format!("{bound}: {most}"), within), "", "{bound} {within}");
        assert_eq!(under(&format!("{bound}: {most}"), past), code, "{bound} {past}");
        let warn = format!("{bound}: {{most: {most}, warn: true}}");
        assert_eq!(under(&warn, within), "", "{bound} {within}");
        assert_eq!(under(&warn, past), bound, "{bound} {past}");
        if !["tokens", "recursion"].contains(&bound) {
            assert_eq!(under(&format!("{bound}: 0"), past), "", "{bound} {past}");
        }
    }
}

/// Deeper than that no document is read, whoever only warns.
#[test]
fn d7_what_only_warns_of_nesting_is_read_to_the_most_there_is() {
    let nested = |depth: usize| "{a".repeat(depth) + &"}".repeat(depth);
    let warn = "depth: 0, recursion: {most: 5, warn: true}";
    assert_eq!(under(warn, &nested(500)), "recursion");
    assert_eq!(under(warn, &nested(501)), "RECURSION_LIMIT");
}

/// Every operation is looked at, whichever is asked for.
#[test]
fn d7_bounds_are_for_every_operation() {
    assert_eq!(under("aliases: 1", "query A {a} query B {a: b c: d}"), "MAX_ALIASES_LIMIT");
    assert_eq!(under("aliases: {most: 1, warn: true}", "query A {a: b c: d} query B {a: b c: d}"), "aliases");
}

/// GHSA-3j43-9v8v: what doubles with each of a chain of fragments.
#[test]
fn d7_fragments_that_double_are_counted_and_not_followed() {
    let mut chain = "{...F0}".to_owned();
    for number in 0..200 {
        let next = number + 1;
        chain += &format!("fragment F{number} on T {{...F{next} ...F{next}}}");
    }
    chain += "fragment F200 on T {a: b @c}";
    let off = "aliases: 0, directives: 0, root_fields: 0, cost: 0";
    assert_eq!(under(&off.replace("aliases: 0", "aliases: 1000000000"), &chain), "MAX_ALIASES_LIMIT");
    assert_eq!(
        under(&off.replace("directives: 0", "directives: 1000000000"), &chain),
        "MAX_DIRECTIVES_LIMIT"
    );
    assert_eq!(
        under(&off.replace("root_fields: 0", "root_fields: 1000000000"), &chain),
        "MAX_ROOT_FIELDS_LIMIT"
    );
    assert_eq!(under(&off.replace("cost: 0", "cost: 1000000000"), &chain), "MAX_COST_LIMIT");
    let plan = planned(&BY_NAME.replace("LIMITS", &format!("limits: {{{off}}}")), &chain).expect("a plan");
    assert_eq!(plan.operations[0].fields.len(), 1);
}

/// However much the bounds of a route let through, a plan does not grow with operations times fields.
#[test]
fn d7_roots_are_bounded_whatever_the_route_says() {
    let operations: String = (0..100).map(|number| format!("query A{number} {{...F}}")).collect();
    let document = format!("{operations} fragment F on T {{{}}}", "a ".repeat(30));
    assert_eq!(under("root_fields: 0", &document), "MAX_ROOT_FIELDS_LIMIT");
    let document = format!("{operations} fragment F on T {{{}}}", "a ".repeat(15));
    assert_eq!(under("root_fields: 0", &document), "");
}

#[test]
fn what_is_no_document_is_answered_with_its_place() {
    let rejected = planned("{public: Query}", "{\n  a(\n}").expect_err("no plan");
    assert_eq!(
        (rejected.code, &*rejected.message),
        ("GRAPHQL_PARSE_FAILED", "line 3, column 1: a name is expected")
    );
    let rejected = planned("{public: Query}", "{...A}").expect_err("no plan");
    assert_eq!(rejected.code, "GRAPHQL_VALIDATION_FAILED");
}
