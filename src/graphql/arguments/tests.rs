use serde_json::{Map, Value};

use super::*;
use crate::graphql::planning::tests::rules;

/// The arguments of the `operation`th, as JSON; `-` where they can be read in two ways.
fn of(document: &str, operation: usize, variables: Option<&str>) -> String {
    let rules = rules("{public: [Query, Mutation]}");
    let plan = rules.plan(document, 1).unwrap_or_else(|rejected| panic!("{document}: {rejected:?}"));
    let asked = [(operation, &plan.operations[operation])];
    let read = read(document, asked.into_iter(), variables, &mut 65_536).pop().flatten();
    read.map_or("-".to_owned(), |read| Value::Object(Map::from(read.members())).to_string())
}

#[track_caller]
fn check(document: &str, variables: &str, wanted: &str) {
    let variables = (!variables.is_empty()).then_some(variables);
    assert_eq!(of(document, 0, variables), wanted, "{document} {variables:?}");
}

#[test]
fn what_could_be_read_in_two_ways_is_not_read() {
    for document in [
        // Which of them is meant?
        "{a(b: 1) x: a(b: 2)}",
        "{a x: a(b: 2)}",
        "{a(b: 1) ...F} fragment F on Query {x: a(b: 2)}",
        // Names that stand twice.
        "{a(b: 1, b: 2)}",
        "{a(b: {c: 1, c: 2})}",
        // Older servers read these otherwise, or not at all.
        "{a(b: \"\"\"c\"\"\")}",
        "{a(b: \"\\u{63}\")}",
        "{a(b: \"\t\")}",
    ] {
        check(document, "", "-");
    }
    for variables in ["[]", "1", "{\"v\":1,\"v\":2}", "{\"v\":{\"w\":1,\"w\":2}}", "{\"v\":\"\\ud800\"}"] {
        check("query ($v: X) {a(b: $v)}", variables, "-");
    }
    // What stands for nothing stands there all the same.
    for document in ["query ($v: X) {a(b: 1, b: $v)}", "query ($v: X) {a(b: {c: $v, c: 1})}"] {
        check(document, "", "-");
    }
    // A variable that the operation does not have is no server's.
    for document in ["{a(b: $v)}", "query ($w: X) {a(b: $v)}", "query ($v: X = 1, $v: X = 2) {a(b: $v)}"] {
        check(document, "{\"v\":1}", "-");
    }
    // What nobody asks with, nobody reads.
    check("query {a(b: 1)}", "{\"v\":{\"w\":1,\"w\":2}}", r#"{"a":{"b":1}}"#);
    let deep = format!("{{a(b: {}1{})}}", "[".repeat(20), "]".repeat(20));
    check(&deep, "", "-");
    check(&format!("{{a(b: \"{}\")}}", "x".repeat(9_000)), "", "-");
}

#[test]
fn arguments_are_found_by_the_fields_own_names() {
    for (document, wanted) in [
        ("{a}", r#"{"a":{}}"#),
        ("{a(b: 1) {c(d: 2)}}", r#"{"a":{"b":1}}"#),
        ("{x: a(b: \"c\")}", r#"{"a":{"b":"c"}}"#),
        ("{a(b: 1) x: a(b: 1)}", r#"{"a":{"b":1}}"#),
        (
            "{... on Query @x(y: 1) {a(b: 1)} ...F} fragment F on Query {c(d: 2)}",
            r#"{"a":{"b":1},"c":{"d":2}}"#,
        ),
        ("{a(b: 1) @skip(if: true) c}", r#"{"c":{}}"#),
        ("{a # (b: 1)\n (c: 2)}", r#"{"a":{"c":2}}"#),
        (
            "mutation {a(b: -1, c: 1.5e3, d: true, e: null, f: RED, g: \"\\\"\\u0041\\n\")}",
            r#"{"a":{"b":-1,"c":1500.0,"d":true,"e":null,"f":"RED","g":"\"A\n"}}"#,
        ),
        ("{a(b: [1 [2] {c: [], d: {}}])}", r#"{"a":{"b":[1,[2],{"c":[],"d":{}}]}}"#),
        ("{__typename __schema {types {name}}}", r#"{"__schema":{}}"#),
    ] {
        check(document, "", wanted);
    }
}

#[test]
fn variables_stand_for_what_came_or_else_for_their_defaults() {
    const ASKED: &str = "query ($v: [Int!]! = [1, 2] @x, \"of w\" $w: X = {y: \"=\"}, $z: Int) {a(v: $v, w: $w, z: $z, l: [$z], o: {z: $z, v: $v})}";
    for (variables, wanted) in [
        ("", r#"{"a":{"l":[null],"o":{"v":[1,2]},"v":[1,2],"w":{"y":"="}}}"#),
        ("null", r#"{"a":{"l":[null],"o":{"v":[1,2]},"v":[1,2],"w":{"y":"="}}}"#),
        (
            "{\"v\":null,\"w\":\"$v\",\"z\":0}",
            r#"{"a":{"l":[0],"o":{"v":null,"z":0},"v":null,"w":"$v","z":0}}"#,
        ),
        (
            "{\"\\u0076\":{\"k\":[true]},\"other\":1}",
            r#"{"a":{"l":[null],"o":{"v":{"k":[true]}},"v":{"k":[true]},"w":{"y":"="}}}"#,
        ),
    ] {
        check(ASKED, variables, wanted);
    }
}

/// Each operation has its own defaults.
#[test]
fn the_operation_that_is_asked_for_counts() {
    let both = "query A($v: Int = 1) {a(b: $v)} query B($v: Int = 2) {a(b: $v)}";
    assert_eq!(
        (of(both, 0, None), of(both, 1, None)),
        (r#"{"a":{"b":1}}"#.into(), r#"{"a":{"b":2}}"#.into())
    );
}

/// What is asked for by ninety operations is read for each within the same bounds: a megabyte for each would take a
/// second.
#[test]
fn d7_what_is_long_is_not_copied_for_each_operation() {
    let rules = rules("{public: Query, limits: {tokens: 1000000, root_fields: 0}}");
    let operations: String = (0..90).map(|number| format!("query A{number}($v: X) {{...F}}")).collect();
    let fields: String = (0..20).map(|number| format!("f{number}(v: $v) ")).collect();
    let long = "x".repeat(1_000_000);
    for (document, variables) in [
        (format!("{operations} fragment F on Query {{{fields}}}"), format!("{{\"v\":\"{long}\"}}")),
        (format!("{operations} fragment F on Query {{f(v: \"{long}\", w: $v)}}"), "{}".to_owned()),
    ] {
        let plan = rules.plan(&document, 1).expect("a plan");
        let read = read(&document, plan.operations.iter().enumerate(), Some(&variables), &mut 65_536);
        assert_eq!((read.len(), read.iter().flatten().count()), (90, 0));
    }
}

/// A few letters may ask for the same many times: of all operations together no more is read than is bounded, and nothing
/// behind one that could be read in two ways.
#[test]
fn what_all_operations_are_asked_with_is_bounded_together() {
    let rules = rules("{public: [Query, Mutation]}");
    let operations: String = (0..100).map(|number| format!("query Q{number}($v: X) {{a(b: $v)}} ")).collect();
    let plan = rules.plan(&operations, 1).unwrap_or_else(|rejected| panic!("{rejected:?}"));
    let read = |variables: &str, left: &mut usize| {
        let read = read(&operations, plan.operations.iter().enumerate(), Some(variables), left);
        read.iter().take_while(|arguments| arguments.is_some()).count()
    };
    let (mut many, mut few) = (65_536, 65_536);
    assert_eq!(read(&format!("{{\"v\":\"{}\"}}", "x".repeat(8_000)), &mut many), 9);
    assert_eq!((read("{\"v\":1}", &mut few), read("{\"v\":1}", &mut 0)), (100, 0));
    assert!(many == 0 && few > 50_000, "{many} {few}");
    let mut left = 65_536;
    assert_eq!((read("{\"v\":1,\"v\":2}", &mut left), left), (0, 0));
}
