//! What fields need, by kind and name: rules as the file writes them.

use std::path::Path;

use crate::config::graphql::OperationKind::{self, Mutation, Query, Subscription};
use crate::config::{Context, Require, parse};
use crate::graphql::plan::Needs;
use crate::graphql::rules::Rules;

/// The rules of `graphql: {…}`.
fn rules(graphql: &str) -> Rules {
    let text = format!(
        "version: 1\nlisteners: 127.0.0.1:1\nupstreams: {{a: http://127.0.0.1:2}}\nissuers: {{a: {{issuer: \
         https://a.example, audience: any}}}}\nroutes: {{/graphql: {{require: {{graphql: {graphql}}}}}}}\n"
    );
    let context = Context { name: "a.yaml", directory: Path::new("/"), env: &|_| None };
    let (config, _) = parse(&text, &context).unwrap_or_else(|problems| panic!("{problems}"));
    let Require::Token(requirement) = &config.routes[0].require else { panic!("public") };
    Rules::compile(requirement.graphql.as_ref().expect("rules"))
}

/// What a field needs: `public`, `token`, the permissions, or `nobody`.
fn needs(rules: &Rules, kind: OperationKind, field: &str) -> String {
    shown(&rules.needs(kind, field))
}

fn shown(needs: &Needs) -> String {
    match (&needs.denied, needs.token, &*needs.permissions) {
        (Some(_), true, []) => "nobody".to_owned(),
        (None, false, []) => "public".to_owned(),
        (None, true, []) => "token".to_owned(),
        (None, true, permissions) => permissions.join(" "),
        other => panic!("{other:?}"),
    }
}

const TEMPLATE: &str =
    r#"permission: "{operation}:{type}:{action}", field: '^(?<action>[A-Z][a-z]+)(?<type>[A-Z]\w+)$'"#;

#[test]
fn a_field_that_nothing_knows_is_for_nobody() {
    let template = rules(&format!("{{{TEMPLATE}, public: Query}}"));
    // In another spelling, or matching in part.
    for field in
        ["createOrder", "Create_X", "Create2X", "AddX", "xCreateOrder", "CreateOrder\n", "Create", ""]
    {
        assert_eq!(needs(&template, Mutation, field), "nobody", "{field:?}");
    }
    assert_eq!(template.needs(Mutation, "createOrder").denied.as_deref(), Some("Mutation.createOrder"));
    let map = rules("{fields: {Mutation.login: public}}");
    for (kind, field) in
        [(Mutation, "Login"), (Mutation, "login2"), (Query, "login"), (Subscription, "login")]
    {
        assert_eq!(needs(&map, kind, field), "nobody", "{field}");
    }
}

/// What is asked for stands in refusals, challenges and logs.
#[test]
fn a_field_with_a_name_without_end_is_for_nobody() {
    for text in ["{public: [Query]}", "{permission: '{operation}:{field}'}"] {
        let rules = rules(text);
        for field in ["a".repeat(257), format!("__{}", "a".repeat(255))] {
            let denied = rules.needs(Query, &field).denied.expect("nobody may");
            assert_eq!(&*denied, "Query.a field whose name is too long");
        }
        assert!(rules.needs(Query, &"a".repeat(256)).denied.is_none());
    }
}

/// A group that takes no part in the match would leave a hole in the permission, and a smaller one to ask for.
#[test]
fn a_group_without_a_match_makes_no_permission() {
    let rules = rules(
        "{permission: '{operation}:{type}:{action}', field: '(?<action>create|drop)(?<type>[A-Z]\\w+)?'}",
    );
    assert_eq!(needs(&rules, Mutation, "createXy"), "Mutation:Xy:create");
    assert_eq!(needs(&rules, Mutation, "create"), "nobody");
}

/// Alternatives do not escape from the anchors, nor do flags.
#[test]
fn names_are_matched_whole() {
    let either = rules("{permission: '{operation}:{field}', field: 'a|b'}");
    let found = ["a", "b", "ab", "xa", "bx", "A"].map(|field| needs(&either, Query, field));
    assert_eq!(found, ["Query:a", "Query:b", "nobody", "nobody", "nobody", "nobody"]);
    let flags = rules("{permission: '{operation}:{field}', field: '(?im)^a$'}");
    assert_eq!(needs(&flags, Query, "a"), "Query:a");
    assert_eq!(needs(&flags, Query, "a\nb"), "nobody");
}

#[test]
fn permissions_are_made_of_operation_field_and_groups() {
    let both = rules(&format!("{{{TEMPLATE}}}"));
    let expected = [
        ("CreateOrder", "Mutation:Order:Create"),
        ("AddOrderLineDiscount", "Mutation:OrderLineDiscount:Add"),
        ("RequestRefund", "Mutation:Refund:Request"),
    ];
    for (field, permission) in expected {
        assert_eq!(needs(&both, Mutation, field), permission);
    }
    assert_eq!(needs(&both, Query, "CreateOrder"), "Query:Order:Create");
    let plain = rules("{permission: 'api/{operation}.{field}'}");
    assert_eq!(needs(&plain, Subscription, "orders_v2"), "api/Subscription.orders_v2");
}

#[test]
fn a_fields_own_rule_goes_before_public_kinds_and_those_before_the_template() {
    let rules = rules(
        "{permission: '{operation}:{field}', public: [Query, Mutation.register], fields: {Query.me: authenticated, \
         Query.all: people:read, Mutation.login: public, Mutation.refund: [orders:write, orders:refund]}}",
    );
    let expected = [
        (Query, "me", "token"),
        (Query, "all", "people:read"),
        (Query, "other", "public"),
        (Mutation, "login", "public"),
        (Mutation, "register", "public"),
        (Mutation, "refund", "orders:refund orders:write"),
        (Mutation, "other", "Mutation:other"),
        (Subscription, "me", "Subscription:me"),
    ];
    for (kind, field, needed) in expected {
        assert_eq!(needs(&rules, kind, field), needed, "{kind:?} {field}");
    }
}

#[test]
fn reading_the_schema_has_a_policy_of_its_own() {
    let policies = [
        ("public: Query", "public"),
        ("public: Mutation", "token"),
        ("public: Query, introspection: authenticated", "token"),
        ("public: Query, introspection: deny", "nobody"),
        ("public: Query, introspection: {permission: 'schema:read'}", "schema:read"),
        ("permission: '{field}', introspection: allow", "public"),
    ];
    for (graphql, needed) in policies {
        let rules = rules(&format!("{{{graphql}}}"));
        assert_eq!(shown(rules.introspection()), needed, "{graphql}");
        for field in ["__schema", "__type"] {
            assert_eq!(needs(&rules, Query, field), needed, "{graphql}");
            assert_eq!(needs(&rules, Mutation, field), "nobody", "{graphql}");
        }
        for kind in [Query, Mutation, Subscription] {
            assert_eq!(needs(&rules, kind, "__typename"), "public", "{graphql}");
            // No other name of GraphQL's own is anybody's, even where the kind is public.
            assert_eq!(needs(&rules, kind, "__other"), "nobody", "{graphql}");
        }
    }
}
