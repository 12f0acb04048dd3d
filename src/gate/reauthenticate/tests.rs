use super::*;
use crate::token::claims::Selector;

fn place(name: &str) -> Selector {
    Selector::parse(&[name]).expect("a place")
}

fn rule(token_at: &str, when: &[(&str, Literal)]) -> Reauthenticate {
    let member = |(name, value): &(&str, Literal)| Member {
        name: Box::from(*name),
        selector: place(name),
        value: value.clone(),
    };
    Reauthenticate { token: place(token_at), when: when.iter().map(member).collect() }
}

fn check(rule: &Reauthenticate, message: &str, expected: Option<&str>) {
    assert_eq!(token(rule, message.as_bytes()).as_deref(), expected, "{message}");
}

#[test]
fn a_message_that_is_like_the_rule_brings_a_token() {
    let rule = rule("/payload/access_token", &[("/event", Literal::Text("access_token".into()))]);
    check(&rule, r#"{"event":"access_token","payload":{"access_token":"a.b.c"}}"#, Some("a.b.c"));
    check(
        &rule,
        r#" {"payload":{"access_token":"","x":[1]},"topic":"t","event":"access\u005ftoken"} "#,
        Some(""),
    );
    for message in [
        "",
        "{}",
        "[]",
        r#""a""#,
        "hello",
        r#"{"event":"access_token"}"#,
        r#"{"payload":{"access_token":"a"}}"#,
        r#"{"event":"ACCESS_TOKEN","payload":{"access_token":"a"}}"#,
        r#"{"event":["access_token"],"payload":{"access_token":"a"}}"#,
        r#"{"event":"access_token","payload":{"access_token":null}}"#,
        r#"{"event":"access_token","payload":{"access_token":["a"]}}"#,
        r#"{"event":"access_token","payload":"access_token"}"#,
        // What two parsers could read differently is no such message.
        r#"{"event":"x","event":"access_token","payload":{"access_token":"a"}}"#,
        r#"{"event":"access_token","payload":{"access_token":"a","access_token":"b"}}"#,
        r#"{"event":"access_token","payload":{"access_token":"a"}} x"#,
        r#"{"event":"access_token","payload":{"access_token":"a"}"#,
    ] {
        check(&rule, message, None);
    }
}

#[test]
fn members_are_compared_by_their_type_too() {
    let all = [("/n", Literal::Whole(1)), ("f", Literal::Flag(true)), ("/a/0", Literal::Text("1".into()))];
    let rule = rule("t", &all);
    check(&rule, r#"{"n":1,"f":true,"a":["1"],"t":"x"}"#, Some("x"));
    for message in [
        r#"{"n":"1","f":true,"a":["1"],"t":"x"}"#,
        r#"{"n":1.5,"f":true,"a":["1"],"t":"x"}"#,
        r#"{"n":-1,"f":true,"a":["1"],"t":"x"}"#,
        r#"{"n":1,"f":"true","a":["1"],"t":"x"}"#,
        r#"{"n":1,"f":false,"a":["1"],"t":"x"}"#,
        r#"{"n":1,"f":true,"a":[1],"t":"x"}"#,
        r#"{"n":1,"f":true,"t":"x"}"#,
    ] {
        check(&rule, message, None);
    }
    check(&self::rule("t", &[]), r#"{"t":"any"}"#, Some("any"));
}
