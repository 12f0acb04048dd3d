//! `require.graphql`: what is refused, where, and with which hint; and what is read.

use std::time::Duration;

use super::{config, file, problems};
use crate::config::Require;
use crate::config::graphql::{
    Bound, Counted, FieldNeed, GraphQl, Introspection, OperationKind, PermissionPiece, SafelistMode,
    Unauthorized,
};

fn route(graphql: &str) -> String {
    file(&[("routes", &format!("{{POST /graphql: {{require: {{graphql: {graphql}}}}}}}"))])
}

/// One problem, on the line of the routes, that says this; and a hint that says that.
fn refused(graphql: &str, what: &str, hint: &str) {
    let problems = problems(&route(graphql));
    let found = problems.list.iter().any(|problem| {
        problem.at.line == 5
            && problem.what.contains(what)
            && problem.hint.as_deref().unwrap_or_default().contains(hint)
    });
    assert!(found, "{what:?} and {hint:?} of {graphql}\n{problems}");
    assert_eq!(problems.list.len(), 1, "{graphql}\n{problems}");
}

fn read(graphql: &str) -> GraphQl {
    let config = config(&route(graphql));
    let Require::Token(requirement) = &config.routes[0].require else { panic!("public") };
    GraphQl::clone(requirement.graphql.as_ref().expect("graphql"))
}

#[test]
fn what_lets_nothing_through_is_refused() {
    for nothing in ["{}", "{csrf: false}", "{introspection: allow}"] {
        refused(nothing, "lets nothing through", "public: [Query]");
    }
    refused("{public: []}", "is an empty list", "leave the key out");
    refused("{fields: {}}", "`fields` is empty", "leave the key out");
    refused("permission", "is a mapping", "its keys are `permission`");
}

#[test]
fn keys_and_words_that_are_not_known_are_refused() {
    refused("{public: Query, permisson: a}", "unknown key `permisson`", "did you mean `permission`");
    refused("{public: Query, mode: log}", "unknown key `mode`", "");
    refused("{public: Query, operations: all}", "is none of `strict`, `selected`", "");
    refused("{public: Query, introspection: off}", "is none of `allow`, `authenticated`, `deny`", "");
    refused("{public: Query, introspection: {permission: 'a b'}}", "more than one scope", "");
    refused("{public: Query, unauthorized: filtr}", "is none of", "did you mean `filter`");
    refused("{public: Query, compat: 400}", "is more than 200", "");
    refused("{public: Query, batch: 101}", "is more than 100", "");
    refused("{public: Query, persisted: {safelist: {path: a, mode: warn}}}", "is none of", "");
    refused("{public: Query, persisted: {safelist: {mode: log}}}", "missing key `path`", "");
    refused("{public: Query, messages: {token: ''}}", "names no claim", "");
    refused("{public: Query, messages: {init_time: 2m}}", "is more than 1m", "");
    refused("{public: Query, messages: {operations: 0}}", "is less than 1", "");
    refused("{public: Query, reserved_streams: true}", "is no duration", "");
    refused("{public: Query, reserved_streams: 500ms}", "is less than 1s", "");
    refused("{public: Query, reserved_streams: 8d}", "is more than 7d", "");
}

#[test]
fn a_permission_is_made_of_what_is_there() {
    let field = "field: '^(?<action>[a-z]+)(?<type>[A-Z]\\w+)$'";
    refused(
        &format!("{{permission: '{{acton}}', {field}}}"),
        "which is no group of `field`",
        "did you mean `{action}`",
    );
    refused("{permission: '{type}'}", "which is no group of `field`", "`(?<type>…)` in `field`");
    refused("{permission: '{feild}'}", "which is no group", "did you mean `{field}`");
    refused("{permission: '{operation'}", "a brace without its pair", "{operation}:{field}");
    refused("{permission: 'a}'}", "a brace without its pair", "");
    refused("{permission: '{operation} {field}'}", "no grant can name", "RFC 6749");
    refused("{permission: ''}", "is empty", "");
    refused(&format!("{{permission: '{}'}}", "a".repeat(1_025)), "longer than 1024", "");
    refused(&format!("{{public: Query, {field}}}"), "`field` without `permission`", "permission: ");
    refused("{permission: a, field: '('}", "no regular expression: unclosed group", "single quotes");
    refused("{permission: a, field: 'a)|(?:b'}", "no regular expression: unopened group", "");
    refused("{permission: a, field: '(?=a)'}", "look-around", "");
    refused("{permission: a, field: '(a)\\1'}", "backreferences", "");
    refused("{permission: a, field: '\\w{9}{9}{9}{9}{9}'}", "too large", "");
    refused(
        "{permission: '{field}', field: '(?<field>a)'}",
        "a word of `permission` already",
        "another name",
    );
}

#[test]
fn rules_name_a_field_once_and_well() {
    refused("{fields: {Mutations.login: public}}", "is none of", "did you mean `Mutation`");
    refused("{fields: {login: public}}", "`login` is no field at the root", "Mutation.login");
    refused("{fields: {Mutation.: public}}", "no name in GraphQL", "");
    refused("{fields: {Mutation.a.b: public}}", "no name in GraphQL", "");
    refused("{fields: {Mutation.1a: public}}", "no name in GraphQL", "");
    refused("{fields: {Query.__schema: public}}", "one of GraphQL's own", "introspection");
    refused("{fields: {Query.a: []}}", "is an empty list", "");
    refused("{fields: {Query.a: [a, a]}}", "`a` is there twice", "");
    refused("{fields: {Query.a: [public, a]}}", "`public` stands alone", "");
    refused("{fields: {Query.a: 'a b'}}", "more than one scope", "");
    refused("{fields: {Query.a: 'a:{id}'}}", "no parameter of the path", "");
    refused("{public: [Query, Query]}", "`Query` is there twice", "");
    refused("{public: [Query.a, Query.a]}", "`Query.a` has a rule already", "leave one of them out");
    refused("{public: [Query, Query.a]}", "`Query.a` is public already", "leave one of them out");
    refused("{public: Query.a, fields: {Query.a: b}}", "`Query.a` has a rule already", "line 5");
    refused("{public: queries}", "is none of", "");
    let many: String = (0..10_001).map(|n| format!("Query.a{n}: b, ")).collect();
    refused(&format!("{{fields: {{{many}}}}}"), "more than 10000 rules", "");
}

#[test]
fn bounds_are_numbers() {
    refused("{public: Query, limits: {tokens: 0}}", "`0` is no bound for it", "from 1 to");
    refused("{public: Query, limits: {recursion: 501}}", "`501` is no bound for it", "from 1 to 500");
    refused("{public: Query, limits: {recursion: {most: 501, warn: true}}}", "`501` is no bound for it", "");
    refused("{public: Query, limits: {body: {warn: true}}}", "missing key `most`", "");
    refused("{public: Query, batch: 101}", "is more than 100", "");
    refused("{public: Query, batch: {most: 101, warn: true}}", "is more than 100", "");
    // It was taken, and meant nothing.
    let hint = "write 1MiB or less, or raise `inspected_body`";
    refused("{public: Query, limits: {body: 2MiB}}", "is more than `limits.inspected_body`, 1MiB", hint);
    refused("{public: Query, limits: {body: {most: 2MiB, warn: true}}}", "is more than `limits", hint);
    refused("{public: Query, limits: {depth: {warn: true}}}", "missing key `most`", "");
    refused("{public: Query, limits: {depth: many}}", "is no whole number", "");
    refused("{public: Query, limits: {body: 0B}}", "is less than 1B", "");
    refused("{public: Query, limits: {deep: 1}}", "unknown key `deep`", "");
}

#[test]
fn arguments_are_those_of_operations() {
    let text = file(&[("routes", "{/x: {require: {when: 'request.arguments.a.b == claims.sub'}}}")]);
    let said = problems(&text);
    assert!(said.list.iter().any(|problem| problem.what.contains("there is no `graphql` here")), "{said}");
    let with = |when: &str| format!("{{/x: {{require: {{when: '{when}', graphql: {{public: Query}}}}}}}}");
    for (when, names) in [("request.arguments.a.b == claims.sub", true), ("has(claims.sub)", false)] {
        let config = config(&file(&[("routes", &with(when))]));
        let Require::Token(requirement) = &config.routes[0].require else { panic!("public") };
        assert_eq!(requirement.graphql.as_ref().map(|graphql| graphql.arguments), Some(names), "{when}");
    }
}

/// A rule that nothing would ask for is no rule.
#[test]
fn rules_below_the_root_need_a_schema_and_a_schema_rules() {
    refused("{public: Query, types: {Person.email: a}}", "`types` without `schema`", "add `schema`");
    refused("{public: Query, schema: a.graphql}", "`schema` without `types`", "");
    refused("{public: Query, schema: a, types: {Person.email: public}}", "only ask for more", "");
    refused("{public: Query, schema: a, types: {Person.a.b: a}}", "no name in GraphQL", "");
    refused("{public: Query, schema: a, types: {'': a}}", "no name in GraphQL", "");
    refused("{public: Query, schema: a, types: {__Type: a}}", "one of GraphQL's own", "");
    refused("{public: Query, schema: a, types: {}}", "`types` is empty", "");
}

#[test]
fn documents_that_clients_bring_are_on_no_list_of_ids() {
    refused(
        "{public: Query, persisted: {automatic: true, safelist: {path: a, mode: ids}}}",
        "`automatic` beside `mode: ids`",
        "leave one of them out",
    );
    let persisted = read("{public: Query, persisted: {automatic: true, safelist: {path: a}}}").persisted;
    assert!(persisted.automatic);
    assert_eq!(persisted.safelist.map(|list| list.mode), Some(SafelistMode::Enforce));
}

/// An endpoint of our own has no `require` with operations in it, and a public route has no mapping at all.
#[test]
fn only_routes_that_forward_have_operations() {
    let text = file(&[
        ("credentials", "{a: {api_keys: {entries: []}, from: client}}"),
        ("tokens", "{t: {format: jwt, issuer: 'https://a.example', sign: ES256}}"),
        ("endpoints", "{POST /token: {issue: t, credential: a, require: {graphql: {public: Query}}}}"),
    ]);
    assert!(problems(&text).list.iter().any(|problem| problem.at.line == 8), "{}", problems(&text));
    let text = file(&[("routes", "{/x: {require: {graphql: {public: Query}}}}"), ("upstreams", "")]);
    assert!(problems(&text).list.iter().any(|problem| problem.what.contains("upstreams")));
    let text = file(&[("routes", "{/x: {require: {graphql: {public: Query}}}}"), ("issuers", "")]);
    assert!(problems(&text).list.iter().any(|problem| problem.what.contains("there is no issuer")));
}

#[test]
fn what_is_not_said_has_a_default() {
    let graphql = read("{permission: '{operation}:{field}'}");
    assert_eq!(graphql.introspection, Introspection::Authenticated);
    assert_eq!((graphql.operations, graphql.unauthorized), (Counted::Strict, Unauthorized::Refuse));
    assert_eq!((graphql.csrf, graphql.compat, graphql.show_scopes), (true, false, false));
    assert_eq!(graphql.batch, Bound { most: 0, warn: false });
    assert_eq!(graphql.limits.body, Bound { most: 1024 * 1024, warn: false });
    assert_eq!(graphql.limits.tokens, Bound { most: 15_000, warn: false });
    assert_eq!(graphql.limits.depth, Bound { most: 15, warn: true });
    assert_eq!(graphql.limits.cost, Bound { most: 0, warn: false });
    assert_eq!(graphql.messages.init_time, Duration::from_secs(10));
    assert_eq!(graphql.reserved_streams, None);
    assert_eq!(
        read("{public: Query, reserved_streams: 8h}").reserved_streams,
        Some(Duration::from_secs(28_800))
    );
    let places: Vec<&str> =
        graphql.messages.token.iter().map(|selector| selector.places()[0].written()).collect();
    assert_eq!(
        places,
        ["/Authorization", "/authorization", "/headers/Authorization", "/headers/authorization", "/token"]
    );
    assert_eq!(read("{public: Query}").introspection, Introspection::Allow);
}

#[test]
fn what_is_said_is_read() {
    let graphql = read(
        "{permission: '{operation}:{type}:x', field: '^(?P<type>[A-Z]+)$', fields: {Mutation.refund: [b, a], Query.me: \
         authenticated}, public: [Subscription, Mutation.login], limits: {depth: 3, aliases: {most: 9, warn: true}, body: \
         {most: 2KiB, warn: true}, tokens: {most: 5, warn: true}}, batch: 7, \
         schema: s.graphql, types: {Order: a, Person.email: authenticated}, messages: {token: [/a, b]}, compat: 200}",
    );
    let permission = graphql.permission.as_ref().expect("a permission");
    assert_eq!(permission.written(), Some("^(?P<type>[A-Z]+)$"));
    let pieces = [
        PermissionPiece::Operation,
        PermissionPiece::Literal(":".into()),
        PermissionPiece::Capture("type".into()),
        PermissionPiece::Literal(":x".into()),
    ];
    assert_eq!(permission.template, pieces);
    assert_eq!(graphql.public, [OperationKind::Subscription]);
    let rules: Vec<_> = graphql.fields.iter().map(|rule| (rule.kind, &*rule.field, &rule.need)).collect();
    let both = FieldNeed::Permissions(vec!["b".into(), "a".into()]);
    assert_eq!(
        rules,
        [
            (OperationKind::Mutation, "refund", &both),
            (OperationKind::Query, "me", &FieldNeed::Authenticated),
            (OperationKind::Mutation, "login", &FieldNeed::Public),
        ]
    );
    assert_eq!(graphql.limits.depth, Bound { most: 3, warn: false });
    assert_eq!(graphql.limits.aliases, Bound { most: 9, warn: true });
    assert_eq!(graphql.limits.body, Bound { most: 2048, warn: true });
    assert_eq!(graphql.limits.tokens, Bound { most: 5, warn: true });
    assert_eq!(graphql.batch, Bound { most: 7, warn: false });
    let schema = graphql.schema.expect("a schema");
    assert_eq!(schema.path.to_str(), Some("/etc/portcullis/s.graphql"));
    assert_eq!(
        schema.rules.iter().map(|rule| (&*rule.of, rule.field.as_deref())).collect::<Vec<_>>(),
        [("Order", None), ("Person", Some("email"))]
    );
    assert_eq!(graphql.messages.token.len(), 2);
    assert!(graphql.compat);
}

#[test]
fn the_long_form_says_the_same() {
    for graphql in [
        "{public: Query}",
        "{permission: '{operation}:{field}', introspection: deny, reserved_streams: 90m}",
        "{permission: 'a\u{27}\u{27}b{x}', field: '(?<x>a|\"b)', fields: {Query.a: [x, 'true']}, introspection: {permission: y}}",
        "{fields: {Query.a: public}, persisted: {automatic: true, safelist: {path: 'a b', mode: log}}, compat: 200}",
        "{public: Query, schema: a, types: {A.b: [c, d], E: authenticated}, messages: {token: ['/a~1b', c]}, limits: {depth: 0}}",
        "{public: Query, batch: {most: 3, warn: true}, limits: {body: {most: 3KiB, warn: true}, recursion: {most: 9, warn: true}}}",
    ] {
        super::printed::check(&route(graphql));
    }
}
