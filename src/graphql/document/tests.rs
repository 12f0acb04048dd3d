use crate::graphql::document::fault::Fault;
use crate::graphql::document::{Bounds, Document, Kind};

/// A document as it was understood: operations and fragments, with `<…>` around what is within, `~` before what is absent.
fn shown(text: &str) -> Result<String, Fault> {
    let document = Document::read(text, &Bounds::NONE)?;
    let mut out = String::new();
    for operation in &document.operations {
        out += &format!("{}/{}", operation.kind.name(), document.name(operation).unwrap_or_default());
        within(&document, operation.body, &mut out);
    }
    for fragment in &document.fragments {
        out += &format!("{}:{}", document.at(fragment.name), document.at(fragment.on));
        within(&document, fragment.body, &mut out);
    }
    Ok(out.trim_end().to_owned())
}

fn within(document: &Document<'_>, body: super::Body, out: &mut String) {
    let mut open = vec![body.end];
    out.push('<');
    for index in body.start..=body.end {
        while open.last() == Some(&index) {
            open.pop();
            *out = out.trim_end().to_owned();
            out.push_str("> ");
        }
        let Some(selection) = document.selections.get(index as usize).filter(|_| !open.is_empty()) else {
            break;
        };
        if selection.is_absent {
            out.push('~');
        }
        match selection.kind {
            Kind::Field if !selection.alias.is_empty() => {
                *out += &format!("{}={}", document.key(selection), document.at(selection.name));
            }
            Kind::Field => *out += document.at(selection.name),
            Kind::Inline => *out += &format!("on:{}", document.at(selection.name)),
            Kind::Spread => *out += &format!("...{}", document.at(selection.name)),
        }
        if selection.next > index + 1 {
            open.push(selection.next);
            out.push('<');
        } else {
            out.push(' ');
        }
    }
}

#[track_caller]
fn takes(text: &str, wanted: &str) {
    assert_eq!(shown(text).as_deref(), Ok(wanted), "{text}");
}

#[track_caller]
fn refuses(texts: &[&str]) {
    for text in texts {
        let fault = shown(text);
        assert!(matches!(fault, Err(Fault::Syntax { .. })), "{text:?} is {fault:?}");
    }
}

#[track_caller]
fn invalid(text: &str, wanted: &'static str) {
    assert_eq!(shown(text), Err(Fault::Invalid(wanted)), "{text}");
}

/// A library's reader went one call deeper for each of them, and ended the process.
#[test]
fn letters_of_no_name_are_refused_however_many_they_are() {
    refuses(&[&"é".repeat(20_000)]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list, a line each")]
fn what_is_no_document_is_refused() {
    refuses(&[
        "{",
        "}",
        "{a",
        "{a}}",
        "{a{b}",
        "a",
        "query",
        "query A",
        "query {",
        "query A B {a}",
        "query A() {a}",
        "{a()}",
        "{a(b)}",
        "{a(b:)}",
        "{a(:1)}",
        "{a(b:1}",
        "{a:}",
        "{:a}",
        "{a:b:c}",
        "{a b:}",
        "{1}",
        "{\"a\"}",
        "{$a}",
        "{@a}",
        "{a@}",
        "{a @b @}",
        "{a @b()}",
        "{..a}",
        "{....a}",
        "{. . . a}",
        "{...}",
        "{... on}",
        "{... on {a}}",
        "{... on A}",
        "{...A{b}}",
        "{a}{",
        "{a} b",
        "{a}1",
        "{a}\"b\"",
        "\"a\"{a}",
        "\"a\" \"b\" query{a}",
        "quer {a}",
        "Query {a}",
        "fragment",
        "fragment on on A {b}",
        "{a} fragment on on A {b}",
        "fragment A {b}",
        "fragment A on {b}",
        "fragment A on B",
        "fragment A on B {}",
        "fragment A($a: B) on C {d}",
        "query ($a) {b}",
        "query ($a:) {b}",
        "query (a: B) {b}",
        "query ($a: B {b}",
        "query ($a: [B) {b}",
        "query ($a: B]) {b}",
        "query ($a: B!!) {b}",
        "query ($a: !B) {b}",
        "query ($a: []) {b}",
        "query ($a: B = $c) {b}",
        "query ($a: B = [$c]) {b}",
        "query ($a: B = {c: $d}) {b}",
        "query ($a: B @c(d: $e)) {b}",
        "query ($a: B =) {b}",
        "{a(b: ])}",
        "{a(b: [)}",
        "{a(b: {)}",
        "{a(b: [1})}",
        "{a(b: {c: 1])}",
        "{a(b: {c})}",
        "{a(b: {1: 1})}",
        "{a(b: {c: 1 d})}",
        "{a(b: @c)}",
        "{a(b: $)}",
        "{a(b: &)}",
        "{a|b}",
        "{a & b}",
        "{a;b}",
        "{a'}",
        "{a\\b}",
        "{a-b}",
        "{a.b}",
        "{é}",
        "{aé}",
    ]);
}

#[test]
fn definitions_of_types_are_refused() {
    refuses(&[
        "type A {b: C}",
        "{a} type A {b: C}",
        "schema {query: A}",
        "extend type A {b: C}",
        "scalar A",
        "enum A {B}",
        "interface A {b: C}",
        "union A = B",
        "input A {b: C}",
        "directive @a on FIELD",
        "\"a\" type A {b: C}",
    ]);
}

/// Editions and parsers differ on these; what one of them does not take is not sent to any.
#[test]
fn what_only_some_parsers_take_is_refused() {
    refuses(&[
        "{}",
        "{a{}}",
        "{...{}}",
        "query {}",
        "\u{feff}{a}",
        "{\u{feff}a}",
        "{a}\u{feff}",
        "{a\u{b}b}",
        "{a\u{c}b}",
        "{a\0b}",
        "{a}\0",
        "\0",
        "{a\u{7f}b}",
        "{a\u{a0}b}",
        "{a\u{2028}b}",
        "{a\u{85}b}",
        "{a(b: \"\u{1}\")}",
        "{a(b: \"\u{7}\")}",
        "{a(b: \"\"\"\u{1}\"\"\")}",
        "{a # \u{1}\n}",
        "{a # \0\n}",
        "query($ a: B) {a}",
        "{a(b: $ c)}",
        "{a(b: $\nc)}",
        "{a(b: $#\nc)}",
    ]);
}

/// For parsers of the edition of 2016 the comment ends there: they would run `b`, and nobody would have judged it.
#[test]
fn u6_a_comment_that_ends_elsewhere_for_some_hides_nothing() {
    refuses(&["{a # \u{2028} b\n}", "{a #\u{2029}b\n}", "mutation{a #\u{2028}}\n}"]);
    takes("{a # \u{2027} é \u{20ac} \u{feff}\n}", "Query/<a>");
}

#[test]
fn comments_end_with_their_line() {
    takes("{a # b\n c}", "Query/<a c>");
    takes("{a # b\r c}", "Query/<a c>");
    takes("{a # b\r\n c}", "Query/<a c>");
    takes("#\n#\r#\n{a}#", "Query/<a>");
    refuses(&["{a # b\u{85} }", "{a #}"]);
}

#[test]
fn block_strings_know_one_escape() {
    takes(r#"{a(b: """x\""") c} """) e}"#, "Query/<a e>");
    takes(r#"{a(b: """x\ """) c}"#, "Query/<a c>");
    // `\\` is no escape, so that this one goes on behind the quotes.
    takes(r#"{a(b: """x\\""") c(d: """) e}"#, "Query/<a e>");
    takes(r#"{a(b: """""") c(d: """ " "" \n \u """) e}"#, "Query/<a c e>");
    takes("{a(b: \"\"\"x\r\n\ty\n\"\"\")}", "Query/<a>");
    refuses(&[
        r#"{a(b: """)}"#,
        r#"{a(b: """")}"#,
        r#"{a(b: """"")}"#,
        r#"{a(b: """\""")}"#,
        r#"{a(b: """""""")}"#,
    ]);
}

#[test]
fn strings_end_on_their_line() {
    takes(r##"{a(b: "" c: "\"" d: "\\" e: "\/\b\f\n\r\t" f: "}" g: "#") h}"##, "Query/<a h>");
    takes(r#"{a(b: "\u00e9\uD83D\uDE00\u{1F600}\u{0}\u{0010FFFF}é\t")}"#, "Query/<a>");
    takes("{a(b: \"\t\")}", "Query/<a>");
    refuses(&[
        r#"{a(b: ")}"#,
        r#"{a(b: "\")}"#,
        "{a(b: \"\n\")}",
        "{a(b: \"\r\")}",
        r#"{a(b: "\x")}"#,
        r#"{a(b: "\u12")}"#,
        r#"{a(b: "\u123g")}"#,
        r#"{a(b: "\uD83D")}"#,
        r#"{a(b: "\uDE00")}"#,
        r#"{a(b: "\uD83D\u0041")}"#,
        r#"{a(b: "\uDE00\uD83D")}"#,
        r#"{a(b: "\u{}")}"#,
        r#"{a(b: "\u{110000}")}"#,
        r#"{a(b: "\u{D800}")}"#,
        r#"{a(b: "\u{000000001}")}"#,
        r#"{a(b: "\u{1")}"#,
        r#"{a(b: "\u{1")"#,
        r#"{a(b: "\U0041")}"#,
        r#"{a(b: "\u+041")}"#,
    ]);
}

#[test]
fn numbers_end_where_names_could_go_on() {
    takes("{a(b: 0 c: -0 d: 12 e: -1.5 f: 1e9 g: 1E-9 h: 0.0e+1 i: 999999999999999999999999)}", "Query/<a>");
    refuses(&[
        "{a(b: 01)}",
        "{a(b: -)}",
        "{a(b: +1)}",
        "{a(b: 1.)}",
        "{a(b: .1)}",
        "{a(b: 1e)}",
        "{a(b: 1e+)}",
        "{a(b: 0x1)}",
        "{a(b: 1a: 2)}",
        "{a(b: 1_)}",
        "{a(b: 1.5.)}",
        "{a(b: 1...2)}",
        "{a(b: 00)}",
        "{a(b: 1.e1)}",
        "{a(b: -a)}",
    ]);
}

#[test]
fn everything_of_the_grammar_is_taken() {
    takes("{a}", "Query/<a>");
    takes("query{a}", "Query/<a>");
    takes("\"said\" query A {a}", "Query/A<a>");
    takes(
        "\"\"\"said\"\"\" mutation A {a} \"s\" fragment F on T {b} query B{...F}",
        "Mutation/A<a> Query/B<...F> F:T<b>",
    );
    takes("subscription query {mutation}", "Subscription/query<mutation>");
    takes("query on {on: on}", "Query/on<on=on>");
    takes("query fragment @a {fragment}", "Query/fragment<fragment>");
    takes(
        "query A(\"said\" $a: B, $c: [D!]! = [1, {e: \"f\"}] @g(h: [1]) $i: [[J]]! = null) @k @l(m: $c) {n}",
        "Query/A<n>",
    );
    takes(
        "{a: b(c: $d, e: [$f, [], {}], g: {h: {i: $j}, k: [[]]}, l: true, m: null, n: O) @p(q: {r: s}) @t {u {v}} w}",
        "Query/<a=b<u<v>> w>",
    );
    takes(
        "{... {a} ... on B {c ... @d {e}} ... on F @g {h} ...I ...I @j} fragment I on K @l {m}",
        "Query/<on:<a> on:B<c on:<e>> on:F<h> ...I ...I> I:K<m>",
    );
    takes("{true false null on query}", "Query/<true false null on query>");
    takes("{... on on {a}}", "Query/<on:on<a>>");
    takes(",{,a,,b,},", "Query/<a b>");
    takes(
        "{...onA ...fragment} fragment onA on T {a} fragment fragment on T {b}",
        "Query/<...onA ...fragment> onA:T<a> fragment:T<b>",
    );
}

#[test]
fn what_cannot_be_told_apart_is_refused() {
    invalid("query A {a} query A {b}", "two operations have one name");
    invalid("query A {a} mutation A {b}", "two operations have one name");
    invalid("{a} {b}", "an operation without a name is not the only one");
    invalid("{a} mutation A {b}", "an operation without a name is not the only one");
    invalid("{...A} fragment A on B {a} fragment A on C {b}", "two fragments have one name");
    invalid("{...A}", "a fragment is not there");
    invalid("{...A} fragment A on B {...C}", "a fragment is not there");
    invalid("{...A} fragment A on B {...A}", "a fragment holds itself");
    invalid("{...A} fragment A on B {c {...D}} fragment D on B {... {...A}}", "a fragment holds itself");
    invalid("{a} fragment A on B {c}", "a fragment is not used");
    invalid("{a} fragment A on B {...A}", "a fragment is not used");
    for nothing in ["", " ", "# a", ",\n"] {
        invalid(nothing, "the document has no operation");
    }
    invalid("fragment A on B {c}", "the document has no operation");
    let many: String = (0..101).map(|number| format!("query A{number} {{a}}")).collect();
    invalid(&many, "the document has too many operations");
}

#[test]
fn what_is_literally_left_out_is_absent() {
    takes("{a @skip(if: true) b}", "Query/<~a b>");
    takes("{a @include(if: false) {b}}", "Query/<~a<b>>");
    takes("{...A @skip(if: true)} fragment A on B {c}", "Query/<~...A> A:B<c>");
    takes("{... @include(if: false) {a}}", "Query/<~on:<a>>");
    takes("{a @x @skip(if: true) @y}", "Query/<~a>");
    for present in [
        "{a @skip(if: false)}",
        "{a @include(if: true)}",
        "{a @skip(if: $b)}",
        "{a @skip(if: \"true\")}",
        "{a @skip(if: [true])}",
        "{a @skip(if: TRUE)}",
        "{a @skip(If: true)}",
        "{a @Skip(if: true)}",
        "{a @skip(unless: true)}",
        "{a @skip}",
        "{a @other(if: true)}",
        // Servers look at one of them, and not all at the same one.
        "{a @skip(if: false) @skip(if: true)}",
        "{a @skip(if: true) @skip(if: false)}",
        "{a @include(if: false) @include(if: $b)}",
        "{a @include(if: true) @skip(if: true)}",
        "{a @skip(if: true, if: false)}",
        "{a @skip(if: false, if: true)}",
        "{a @skip(a: 1, if: true)}",
    ] {
        takes(present, "Query/<a>");
    }
}

#[test]
fn places_are_where_things_stand() {
    let text = "query A($v: Int) { a: b(c: 1) @d { e } # f\n ... on G { h } ...I @j } fragment I on K { l }";
    let document = Document::read(text, &Bounds::NONE).expect("a document");
    let places: Vec<&str> =
        document.selections.iter().map(|selection| document.at(selection.place)).collect();
    assert_eq!(places, ["a: b(c: 1) @d { e }", "e", "... on G { h }", "h", "...I @j", "l"]);
    let levels: Vec<u32> = document.selections.iter().map(|selection| selection.level).collect();
    assert_eq!(levels, [0, 1, 0, 0, 0, 0]);
}

#[test]
fn d7_bounds_end_the_reading() {
    let read =
        |text: &str, tokens, recursion| Document::read(text, &Bounds { tokens, recursion }).map(|_| ());
    assert_eq!(read("{a(b: $c)}", 9, 9), Ok(()));
    assert_eq!(read("{a(b: $c)}", 8, 9), Err(Fault::Tokens));
    // Before what is wrong with the rest is seen.
    assert_eq!(read(&format!("{{{}", "a ".repeat(1000)), 10, 9), Err(Fault::Tokens));
    for (text, deep) in [
        ("{a{b{c}}}", 3),
        ("{a{...{b}}}", 3),
        ("{a(b: [[1]])}", 3),
        ("{a(b: {c: [1]}) @d(e: [1])}", 3),
        ("{a{b(c: [1])}}", 3),
        ("query ($a: [[[B]]]) {a}", 3),
    ] {
        assert_eq!(read(text, 99, deep), Ok(()), "{text}");
        assert_eq!(read(text, 99, deep - 1), Err(Fault::Recursion), "{text}");
        let document = Document::read(text, &Bounds::NONE).expect("a document");
        assert_eq!(document.nesting, deep, "{text}");
    }
}

/// However deep: nothing here calls itself.
#[test]
fn d7_no_nesting_is_too_deep_for_the_stack() {
    let deep = |open: &str, middle: &str, close: &str| {
        let text = format!("{}{middle}{}", open.repeat(200_000), close.repeat(200_000));
        Document::read(&text, &Bounds::NONE).map(|document| document.nesting)
    };
    assert_eq!(deep("{a", "", "}"), Ok(200_000));
    assert_eq!(deep("{...", "{a}", "}"), Ok(200_001));
    let list = format!("{{a(b: {}{})}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(Document::read(&list, &Bounds::NONE).map(|document| document.nesting), Ok(200_001));
    let object = format!("{{a(b: {}1{})}}", "{c:".repeat(200_000), "}".repeat(200_000));
    assert_eq!(Document::read(&object, &Bounds::NONE).map(|document| document.nesting), Ok(200_001));
    let of_type = format!("query ($a: {}B{}) {{a}}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(Document::read(&of_type, &Bounds::NONE).is_ok());
    let mut chain = "{...A0}".to_owned();
    (0..20_000).for_each(|number| chain += &format!("fragment A{number} on B {{...A{}}}", number + 1));
    chain += "fragment A20000 on B {c}";
    assert!(Document::read(&chain, &Bounds::NONE).is_ok());
}
