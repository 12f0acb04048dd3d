use proptest::prelude::*;

use super::Expression;
use super::cost;
use crate::config::tests::processor::Spent;

fn check(source: &str) {
    if let Err(wrong) = Expression::compile(source) {
        panic!("{source}: {wrong}");
    }
}

fn check_refused(source: &str, part: &str) {
    let wrong = Expression::compile(source).expect_err(source);
    assert!(wrong.contains(part), "{source} gave {wrong}");
    assert!(!wrong.contains('\n'), "{wrong:?}");
}

#[test]
fn what_is_no_expression_is_refused() {
    check_refused("", "empty");
    check_refused("  ", "empty");
    check_refused("claims.", "line 1");
    check_refused("claims.a ==", "line 1");
    check_refused("claims.a == 'x", "line 1");
    check_refused("a\u{0}b", "control");
    check_refused("claims.a = 1", "line 1");
}

#[test]
fn what_does_not_exist_is_refused() {
    check_refused("claim.sub == 'a'", "did you mean `claims`");
    check_refused("user == 'a'", "there are claims, request, now");
    check_refused("claims.roles.exists(r, q == 'a')", "no variable");
    check_refused("claims.roles.exists(r, r == 'a') && r == 'b'", "no variable");
    check_refused("startswith(claims.sub, 'a')", "no function");
    check_refused("claims.sub.startswith('a')", "did you mean `startsWith`");
    check_refused("claims.sub.lowerAscii() == 'a'", "no function");
    check_refused("timestamp(now) > timestamp('2026-01-01T00:00:00Z')", "no function");
    check_refused("optional.of(1).hasValue()", "no function");
    check_refused("Message{a: 1}", "message");
    check_refused("request.header['a'] == 'b'", "did you mean `headers`");
    check_refused("request['body'] == 'b'", "no member of `request`");
    check_refused("request.headers['X-Tenant'] == 'b'", "write `x-tenant`");
    check_refused("'X-Tenant' in request.headers", "write `x-tenant`");
    check_refused("has(request.body)", "no member of `request`");
}

#[test]
fn what_costs_too_much_is_refused() {
    check_refused(&format!("claims.a == '{}'", "x".repeat(3000)), "longer than 2048");
    check_refused(&format!("{}true{}", "(".repeat(17), ")".repeat(17)), "nested more than 16");
    check_refused(&format!("true{}", " && true".repeat(140)), "operators");
    check_refused(&format!("claims{}", ".a".repeat(100)), "nested more than 24");
    check_refused("claims.a.exists(x, claims.b.exists(y, x == y))", "a loop is nested in a loop");
    check_refused("claims.a.all(x, x.map(y, y) == [])", "a loop is nested in a loop");
    check_refused("claims.a.exists(x, x.matches('^a$'))", "steps, and 500000 are allowed");
    check_refused(&format!("{}true", "claims.a.exists(x, x == 'a') || ".repeat(9)), "steps");
}

/// Threat P2: an expression that may match anywhere is how rules are bypassed.
#[test]
fn regular_expressions_are_known_at_load_anchored_and_small() {
    check_refused("claims.sub.matches(claims.pattern)", "in quotes");
    check_refused("claims.sub.matches('a')", "anchored");
    check_refused("claims.sub.matches('^a|b$')", "anchored");
    check_refused("claims.sub.matches('^a')", "anchored");
    check_refused(r"claims.sub.matches('^a\\$')", "anchored");
    check_refused("claims.sub.matches('^(a$')", "no regular expression");
    check_refused("claims.sub.matches('^((a{100}){100}){100}$')", "too large");
    check_refused(&format!("claims.sub.matches('^{}$')", "a".repeat(300)), "longer than 256");
    check_refused("claims.sub.matches('^(?m)a$')", "anchored");
    check_refused("claims.sub.matches('^(?i-x:a)$')", "anchored");
    check("claims.sub.matches('^(?i)(?P<mx>a)(?:m)$')");
    check("claims.sub.matches('^(a|b)[|$]c$')");
    check("matches(claims.sub, '^a$')");
}

#[test]
fn conditions_that_people_write_compile() {
    check("claims.tid == request.headers['x-tenant']");
    check("claims.realm_access.roles.exists(r, r == 'admin' || r == 'owner')");
    check("'admin' in claims.roles && has(claims.email) && claims.email.endsWith('@example.com')");
    check("now - claims.iat < 3600 && request.method in ['GET', 'HEAD']");
    check("claims.groups.filter(g, g.startsWith('team-')).size() > 0");
    check("type(claims.sub) == string && int(request.query.page) < 10 ? true : false");
    check("claims.a.map(x, x.name).exists(n, n == 'x')");
    check("request.params.tenant == claims['https://example.com/tenant']");
    check("claims.amr.exists_one(m, m == 'hwk') && claims.amr.all(m, m != 'pwd')");
    check("{'a': [1, 2.0, 3u, b'x', null]}.a.size() == 5");
    check(&vec!["claims.a == 'x'"; 40].join(" || "));
    check("request.path == '/x' && request.peer == '10.0.0.1' && request.tls == null");
}

/// Whatever is accepted here, the interpreter knows.
#[test]
fn every_known_function_exists() {
    let values = [
        "bool('true')",
        "bytes('a')",
        "double(1)",
        "dyn(1)",
        "int('1')",
        "size('a')",
        "string(1)",
        "type(1)",
        "uint(1)",
    ];
    let methods =
        ["'a'.contains('a')", "'a'.endsWith('a')", "'a'.matches('^a$')", "'a'.size()", "'a'.startsWith('a')"];
    let context = cel::Context::default();
    for source in values.into_iter().chain(methods) {
        let expression = Expression::compile(source).expect(source);
        assert!(expression.program().execute(&context).is_ok(), "{source}");
    }
}

/// Evaluation recurses on the caller's stack, here the 2 MiB that a worker has too.
#[test]
fn the_deepest_expression_is_evaluated_on_a_small_stack() {
    let mut context = cel::Context::default();
    context.add_variable("now", 1_i64).expect("a number");
    for source in
        [format!("now{} > 0", "+now".repeat(22)), format!("{}true{}", "!(".repeat(16), ")".repeat(16))]
    {
        let expression = Expression::compile(&source).expect(&source);
        assert!(expression.program().execute(&context).is_ok(), "{source}");
    }
}

#[test]
fn a_loop_over_a_literal_costs_its_length() {
    let cost = |source: &str| cost::check(Expression::compile(source).expect(source).program().expression());
    let literal = cost("['a', 'b'].exists(x, x == claims.sub)").expect("a cost");
    let claims = cost("claims.a.exists(x, x == claims.sub)").expect("a cost");
    assert!(literal < 100 && claims > 4096, "{literal} {claims}");
}

/// The parser recurses and searches: neither may be driven far by a text within the bounds.
#[test]
fn hostile_texts_are_soon_refused() {
    let texts = [
        "(".repeat(16),
        format!("{}1{}", "(".repeat(16), ")".repeat(16)),
        format!("{}1{}", "[".repeat(16), "]".repeat(16)),
        format!("{}1{}", "{1:".repeat(16), "}".repeat(16)),
        format!("{}true", "true?true:".repeat(250)),
        format!("{}1", "1?".repeat(250)),
        format!("{}1", "!".repeat(256)),
        format!("{}1", "-".repeat(256)),
        format!("1{}", "+1".repeat(256)),
        format!("1{}", "<1".repeat(256)),
        format!("a{}", ".a".repeat(256)),
        format!("a{}", "[0]".repeat(256)),
        format!("a{}", "(a)".repeat(200)),
        format!("a{}", ".a(1)".repeat(120)),
        "1 ".repeat(1000),
        "a,".repeat(1000),
        "'".repeat(2000),
        "\\".repeat(2000),
        "@".repeat(2000),
        format!("{}x{}", "size(".repeat(16), ")".repeat(16)),
        format!("has({})", "a.".repeat(200)),
        "has()".repeat(50),
        "[].map()".to_owned(),
        "[].map(1, 2, 3, 4)".to_owned(),
        "all(1, 2)".to_owned(),
        "[1].exists(1, true)".to_owned(),
        "9223372036854775808".to_owned(),
        "1e999".to_owned(),
        "'\\uD800'".to_owned(),
        "b'\\xff' == b''".to_owned(),
        "0x".to_owned(),
    ];
    for text in &texts {
        let begun = Spent::since_now();
        let _ = Expression::compile(text);
        assert!(begun.so_far().as_secs() < 3, "{text} took {:?}", begun.so_far());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(parts in prop::collection::vec(
        prop::sample::select(vec![
            "claims", "request", "now", ".", "a", "(", ")", "[", "]", "{", "}", ",", "?", ":", "&&", "||", "!", "-", "+",
            "==", "<", "in", "'x'", "\"", "r'", "b'", "1", "1u", "0x", "1.", "true", "null", "has(", ".map(", ".all(x,",
            ".exists(", ".filter(", "matches(", " ", "\n", "//", "\\", "`", "é", "@",
        ]), 0..24)) {
        let _ = Expression::compile(&parts.concat());
    }
}
