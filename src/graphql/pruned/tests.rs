mod properties;

use std::collections::HashSet;

use crate::graphql::pruned::{Instead, Pruned, prune, rewrite};

/// Octets where fields begin that are marked by `-` before them, and the document without the marks.
fn marked(document: &str) -> (String, HashSet<usize>) {
    let (mut plain, mut left_out) = (String::new(), HashSet::new());
    for piece in document.split_inclusive('§') {
        plain.push_str(piece.trim_end_matches('§'));
        if piece.ends_with('§') {
            left_out.insert(plain.len());
        }
    }
    (plain, left_out)
}

/// White space does not count.
#[track_caller]
fn check_of(operation: usize, document: &str, wanted: &str) {
    let (document, left_out) = marked(document);
    let Pruned { document: pruned, .. } = prune(&document, operation, &left_out).expect("it can be pruned");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(&pruned), words(wanted), "{document}");
}

#[track_caller]
fn check(document: &str, wanted: &str) {
    check_of(0, document, wanted);
}

#[track_caller]
fn cannot(document: &str) {
    let (document, left_out) = marked(document);
    assert_eq!(prune(&document, 0, &left_out), None, "{document}");
}

#[test]
fn fields_go_with_all_that_belongs_to_them() {
    check("{a §b c}", "{a c}");
    check("mutation{a:MakeOrder §b:MakeRefund}", "mutation{a:MakeOrder }");
    check("{§a(x:{y:[1,{z:\"}\"}]}) @d(v:{w:1}) @e {f{g(h:\"\"\"}\\\"\"\"}\"\"\"){i}}} b}", "{ b}");
    check("{§a{x}b §c{y}d}", "{ b d}");
    check("{a # not §b\n, §c # }\n d}", "{a # not b\n, # }\n d}".replace("§", "").as_str());
}

#[test]
fn only_the_operation_that_was_asked_for_is_kept() {
    check_of(1, "query A {a} \"said\" mutation B @d {§b c} query C {c}", "mutation B @d { c}");
    check_of(
        0,
        "query A {§a b ...F} query B {...G} fragment F on Q {x} fragment G on Q {y}",
        "query A { b ...F} fragment F on Q {x}",
    );
}

#[test]
fn fields_go_out_of_fragments_and_inline_fragments_at_the_root() {
    check(
        "{a ...F ... {§b c} ... on Q @d {§d ... on Q {§e f}}} fragment F on Q {§g ...G} fragment G on Q {§h i}",
        "{a ...F ... { c} ... on Q @d { ... on Q { f}}} fragment F on Q { ...G} fragment G on Q { i}",
    );
}

#[test]
fn a_selection_set_of_which_nothing_is_left_gets_a_stand_in() {
    check(
        "{a ...F ... on Q @include(if:true) {§b §c}} fragment F on Q {§d}",
        "{a ...F ... on Q @include(if:true) { _left_out: __typename }} fragment F on Q { _left_out: __typename }",
    );
}

#[test]
fn the_stand_in_has_a_name_that_nothing_else_has() {
    let (document, left_out) = marked("{_left_out: a _left_out_: b ... {§c}} #_left_out_1");
    let pruned = prune(&document, 0, &left_out).expect("it can be pruned");
    assert_eq!(pruned.stand_in.as_deref(), Some("_left_out__"));
    let (document, left_out) =
        marked(&format!("{{a: _left_out{} ... {{§c}}}}", "_".repeat(crate::graphql::pruned::NAMES)));
    assert_eq!(prune(&document, 0, &left_out), None, "not made as long as one likes");
    let (document, left_out) = marked("{a §c}");
    assert_eq!(prune(&document, 0, &left_out).expect("it can be pruned").stand_in, None);
}

/// A comment with as many names as fit made each be looked for in the whole document.
#[test]
fn d7_a_stand_in_is_found_in_one_reading() {
    let comment: String = (0..64_000).rev().map(|number| format!("_left_out_{number} ")).collect();
    let (document, left_out) = marked(&format!("#{comment}\n{{a ... {{§c}}}}"));
    let begun = std::time::Instant::now();
    let pruned = prune(&document, 0, &left_out).expect("it can be pruned");
    assert_eq!(pruned.stand_in.as_deref(), Some("_left_out__"));
    // It took half a minute; that it takes a second nowhere is all that is asked.
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn variables_and_fragments_go_with_their_last_use() {
    check(
        "query Q($a:Int=1,$b:[In!]! = [{c:1}] @d(e:2) \"said\" $c:In={d:1}){a(x:$a) §b(x:$b){...F}} fragment F on T{g(x:$c)}",
        "query Q($a:Int=1, ){a(x:$a) }",
    );
    check("query Q($a:Int){§a(x:$a) b}", "query Q { b}");
    check("query($a:Int){§a(x:$a) b}", "query { b}");
    check(
        "query Q($a:Int,$b:Int) @d(x:$b) {§a(x:$a) b {...F}} fragment F on T {c(x:[{y:$a}])}",
        "query Q($a:Int,$b:Int) @d(x:$b) { b {...F}} fragment F on T {c(x:[{y:$a}])}",
    );
    check(
        "query Q($a:Int,$b:Boolean!){§a(x:$a) ...F @include(if:$b)} fragment F on Q {c}",
        "query Q( ,$b:Boolean!){ ...F @include(if:$b)} fragment F on Q {c}",
    );
}

#[test]
fn a_fragment_that_loses_a_field_stands_at_the_root_alone() {
    cannot("{a{...F} ...F} fragment F on Q {§b c}");
    cannot("{a{...G} ...F} fragment G on Q {...F} fragment F on Q {§b c}");
    cannot("{a{...G} ...F} fragment G on Q {x{...F}} fragment F on Q {§b c}");
    check(
        "{a{...G} ...F} fragment G on Q {c} fragment F on Q {§b c}",
        "{a{...G} ...F} fragment G on Q {c} fragment F on Q { c}",
    );
    // What would have brought it there is left out as well.
    check("{§a{...F} ...F} fragment F on Q {§b c}", "{ ...F} fragment F on Q { c}");
}

#[test]
fn fragments_that_spread_each_other_end() {
    check(
        "{...F §a} fragment F on Q {b ...G} fragment G on Q {c ...F}",
        "{...F } fragment F on Q {b ...G} fragment G on Q {c ...F}",
    );
}

#[test]
fn what_is_no_document_is_not_pruned() {
    for document in [
        "",
        "{",
        "{§a",
        "{§a ...}",
        "{§a(}",
        "{§a ...F}",
        "query Q($a){§b c}",
        "{§a \"b}",
        "{§a ? b}",
        "..",
        "query",
        "{§a 1}",
    ] {
        cannot(document);
    }
}

#[test]
fn a_deep_document_is_pruned_without_recursion() {
    let depth = 200_000;
    let (open, close) = ("... {".repeat(depth), "}".repeat(depth));
    let document = format!("{{§a {open} b {close} c{}{}}}", "{d".repeat(depth), "}".repeat(depth));
    let (document, left_out) = marked(&document);
    let pruned = prune(&document, 0, &left_out).expect("it can be pruned");
    assert_eq!(pruned.document.len(), document.len() + 1, "a white space for a name, and a line's end");
}

#[test]
fn an_envelope_keeps_the_rest_and_names_no_other_document() {
    let body = r#"{"variables":{"a":1.0e2},"query":"{\u0061 b}","operationName":null,
        "extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"},"trace":[1]}}"#;
    let Instead { envelope, .. } = rewrite(body.as_bytes(), 0, &HashSet::from([1])).expect("an envelope");
    let written: serde_json::Value = serde_json::from_slice(&envelope).expect("JSON");
    let wanted = serde_json::json!({
        "query": "{  b}\n", "variables": {"a": 1.0e2}, "operationName": null, "extensions": {"trace": [1]},
    });
    assert_eq!(written, wanted);
}

#[test]
fn what_is_no_envelope_is_not_written_again() {
    for body in [
        "",
        "[]",
        "{\"query\":1}",
        "{}",
        "{\"query\":\"{a b}\",\"query\":\"{b}\"}",
        "[{\"query\":\"{a b}\"}]",
    ] {
        assert_eq!(rewrite(body.as_bytes(), 0, &HashSet::from([1])), None, "{body}");
    }
}
