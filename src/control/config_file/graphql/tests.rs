//! Schemas and safelists, as files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::config::Require;
use crate::config::graphql::GraphQl;
use crate::config::problems::Problems;
use crate::control::config_file::{Attempt, attempt};

/// A configuration whose only route has this `graphql`, on line 6; and files beside it.
fn scratch(graphql: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    let text = format!(
        "version: 1\nlisteners: 127.0.0.1:0\nupstreams: {{a: http://127.0.0.1:2}}\nkey_mirror: none\nissuers: {{a: {{issuer: \
         https://a.example, audience: any}}}}\nroutes: {{/graphql: {{require: {{graphql: {graphql}}}}}}}\n"
    );
    for (name, content) in files.iter().copied().chain([("gate.yaml", text.as_str())]) {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(&path, content).expect("written");
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("set");
    }
    root
}

fn load(root: &Path) -> Attempt {
    attempt(&root.join("gate.yaml"), &|_| None, None)
}

fn graphql(attempt: Attempt) -> GraphQl {
    let loaded = attempt.result.unwrap_or_else(|problems| panic!("{problems}"));
    let Require::Token(requirement) = &loaded.config.routes[0].require else { panic!("public") };
    GraphQl::clone(requirement.graphql.as_ref().expect("graphql"))
}

/// What is wrong, all of it on the line of the route.
fn refused(graphql: &str, files: &[(&str, &str)]) -> String {
    let root = scratch(graphql, files);
    let Problems { list, .. } = load(root.path()).result.expect_err("refused");
    assert!(list.iter().all(|problem| problem.at.line == 6), "{list:?}");
    list.iter()
        .map(|problem| format!("{} [{}]\n", problem.what, problem.hint.clone().unwrap_or_default()))
        .collect()
}

const SAFELIST: &str = "{public: Query, persisted: {safelist: {path: list}}}";
const SCHEMA: &str =
    "{public: Query, schema: s.graphql, types: {Query.a: a:read, Queyr.b: b, Query.totla: c}}";

#[test]
fn every_manifest_and_a_directory_come_to_the_same() {
    let apollo = r#"{"format":"apollo-persisted-query-manifest","version":1,"operations":[
        {"id":"two","name":"B","type":"query","body":"{ b }"},{"id":"one","name":"A","type":"query","body":"{ a }"}]}"#;
    let relay = r#"{"two":"{ b }","one":"{ a }"}"#;
    let files: [&[(&str, &str)]; 3] = [
        &[("list", apollo)],
        &[("list", relay)],
        &[
            // As editors end a file.
            ("list/two.gql", "{ b }\r\n"),
            ("list/one.graphql", "{ a }\n"),
            ("list/README.md", "x"),
            ("list/.x.gql", "x"),
            ("list/more/c.gql", "x"),
        ],
    ];
    for files in files {
        let root = scratch(SAFELIST, files);
        let safelist = graphql(load(root.path())).persisted.safelist.expect("a safelist");
        let expected: [(Box<str>, Box<str>); 2] =
            [("one".into(), "{ a }".into()), ("two".into(), "{ b }".into())];
        assert_eq!(*safelist.documents, expected, "{files:?}");
    }
}

#[test]
fn a_safelist_that_is_none_is_refused() {
    let refusals: [(&[(&str, &str)], &str); 12] = [
        (&[], "the safelist file"),
        (&[("list", "")], "list:1:1: no manifest"),
        (&[("list", "[]")], "no manifest of documents [write `{\"id\": \"document\"}`"),
        (&[("list", "{\"a\":\n1}")], "list:2:1: no manifest"),
        (&[("list", "{}")], "has no documents"),
        (&[("list", "{\"a\":\" \"}")], "has an id or a document that is empty"),
        (&[("list", "{\"\":\"{ a }\"}")], "has an id or a document that is empty"),
        (&[("list", "{\"a\":\"{ a }\",\"a\":\"{ b }\"}")], "has one id twice"),
        (
            &[("list", r#"{"format":"apollo-persisted-query-manifest","version":2,"operations":[]}"#)],
            "a manifest of version 2",
        ),
        (
            &[("list", r#"{"format":"apollo-persisted-query-manifest","version":1}"#)],
            "no manifest of documents",
        ),
        (&[("list/a.txt", "{ a }")], "has no documents"),
        (&[("list/a.gql", "{ a }"), ("list/a.graphql", "{ b }")], "has one id twice"),
    ];
    for (files, what) in refusals {
        let said = refused(SAFELIST, files);
        assert!(said.contains(what), "{files:?}\n{said}");
    }
}

#[test]
fn a_schema_and_its_rules_are_bound_or_refused_where_they_stand() {
    let said = refused(SCHEMA, &[("s.graphql", "type Query { a: Int, total: Int }")]);
    assert!(said.contains("has no type `Queyr` [did you mean `Query`?]"), "{said}");
    assert!(
        said.contains("the type `Query` of the schema has no field `totla` [did you mean `total`?]"),
        "{said}"
    );
    let said = refused(SCHEMA, &[("s.graphql", "type Query {\n a: Itn }")]);
    assert!(said.contains("s.graphql:2:5: `Itn` is not defined"), "{said}");
    assert!(refused(SCHEMA, &[]).contains("the schema file"));
    let root = scratch(
        "{public: Query, schema: s.graphql, types: {Query.a: a}}",
        &[("s.graphql", "type Query { a: Int }")],
    );
    assert_eq!(&*graphql(load(root.path())).schema.expect("a schema").text, "type Query { a: Int }");
}

/// Whoever may write them decides who may do what.
#[test]
fn files_that_anybody_may_write_are_refused() {
    for (graphql, name) in [(SAFELIST, "list/a.gql"), (SCHEMA, "s.graphql")] {
        let root = scratch(graphql, &[(name, "{ a }")]);
        fs::set_permissions(root.path().join(name), Permissions::from_mode(0o602)).expect("set");
        let Problems { list, .. } = load(root.path()).result.expect_err("refused");
        assert!(list.iter().any(|problem| problem.what.contains("is world-writable")), "{list:?}");
    }
}

#[test]
fn every_change_of_a_directory_is_seen() {
    type Edit = fn(&Path);
    let edits: [(&str, Edit); 5] = [
        ("another document", |root| fs::write(root.join("list/b.gql"), "{ b }").expect("written")),
        ("a document less", |root| fs::remove_file(root.join("list/a.gql")).expect("removed")),
        ("another text", |root| fs::write(root.join("list/a.gql"), "{ c }").expect("written")),
        ("another name", |root| {
            fs::rename(root.join("list/a.gql"), root.join("list/c.gql")).expect("renamed")
        }),
        ("gone", |root| fs::remove_dir_all(root.join("list")).expect("removed")),
    ];
    for (name, edit) in edits {
        let root = scratch(SAFELIST, &[("list/a.gql", "{ a }"), ("list/z.gql", "{ z }")]);
        let files = load(root.path()).files;
        assert!(!files.have_changed(), "{name}: nothing happened yet");
        assert!(files.are_settled() && files.are_fresh(std::time::SystemTime::now()), "{name}");
        fs::write(root.path().join("list/note.txt"), "x").expect("written");
        assert!(!files.have_changed(), "{name}: what is no document changes nothing");
        edit(root.path());
        assert!(files.have_changed(), "{name}");
        assert!(files.closed(None).have_changed(), "{name}: and stays so");
    }
}

/// It was warned of, and refused to whoever asked for it: half a list went live with the next change of its file.
#[test]
fn a_list_with_a_document_that_is_none_is_refused() {
    let root = scratch(SAFELIST, &[("list/a.gql", "{ a }"), ("list/b.gql", "{ b\n c } }")]);
    let Problems { list, .. } = load(root.path()).result.expect_err("refused");
    let said: Vec<&str> = list.iter().map(|problem| problem.what.as_str()).collect();
    assert!(
        matches!(said[..], [only] if only.contains("has a document that is none, `b`: line 2, column 6: ")),
        "{said:?}"
    );
}

#[test]
fn a_document_that_the_route_would_never_run_is_warned_of() {
    let past = format!("{{ {} }}", (0..21).map(|field| format!("a{field} ")).collect::<String>());
    let root = scratch(SAFELIST, &[("list/a.gql", "{ a }"), ("list/b.gql", &past)]);
    let loaded = load(root.path()).result.unwrap_or_else(|problems| panic!("{problems}"));
    let said: Vec<&str> = loaded.warnings.iter().map(|warning| warning.what.as_str()).collect();
    assert!(
        matches!(said[..], [only] if only.contains("the document `b` of the safelist is never run")),
        "{said:?}"
    );
}
