//! What GraphQL routes name is part of the configuration: its files reload, and broken ones change nothing.

use std::fs;

use crate::harness::api::Api;
use crate::harness::wait::eventually;
use crate::reload::FILE_BOUND;

const GRAPHQL: &str = "{require: {graphql: {public: [Query], schema: schema.graphql, types: {Person.email: people:email}, \
                       persisted: {safelist: {path: operations}}}}}";

fn api() -> Api {
    Api::with(|setup| {
        setup
            .route("POST /graphql", GRAPHQL)
            .file("schema.graphql", "type Query { me: Person } type Person { email: String }")
            .file("operations/me.graphql", "{ me { email } }")
    })
}

#[test]
fn schemas_and_safelists_are_reloaded_with_everything_else() {
    let api = api();
    let before = api.gateway.generation();
    api.gateway
        .replace("schema.graphql", "type Query { me: Person } type Person { name: String, email: String }");
    assert!(eventually(FILE_BOUND, || api.gateway.generation() > before), "the schema");
    let before = api.gateway.generation();
    let directory = api.gateway.config_path().with_file_name("operations");
    fs::write(directory.join("more.graphql"), "{ me { name } }").expect("written");
    assert!(eventually(FILE_BOUND, || api.gateway.generation() > before), "a document more");
}

/// Rules that the schema has no place for refuse the reload, and what was in force stays.
#[test]
fn k7_a_broken_schema_or_safelist_changes_nothing() {
    let breaks = [
        ("schema.graphql", "type Query { me: Person } type Person { name: String }", "has no field `email`"),
        ("schema.graphql", "type Query { me: Persn }", "`Persn` is not defined"),
        ("schema.graphql", "", "without a query root"),
        ("operations/me.graphql", " ", "is empty"),
    ];
    for (name, content, what) in breaks {
        let api = api();
        let before = api.gateway.generation();
        fs::write(api.gateway.config_path().with_file_name(name), content).expect("written");
        let response = api.gateway.reload();
        assert!(response.status >= 400 && response.text().contains(what), "{name}: {response:?}");
        assert_eq!(api.gateway.generation(), before, "{name}");
        assert_eq!(api.gateway.metric("config_last_reload_success", &[]), 0.0, "{name}");
    }
}
