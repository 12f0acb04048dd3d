//! What is in a document, and which of its operations runs, as the server has it.

use serde_json::{Value, json};

use crate::external::graphql::disagreeing::{ERASE, PUBLIC_AND_NOT, Scene};
use crate::external::graphql::servers::{NEWER, Servers, Talk, codes, post, send};
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;

/// Which of several operations runs: the one that was judged, or none.
#[test]
fn operation_names_are_read_as_the_server_reads_them() {
    let named =
        |name: Value| post("/apollo", json!({"query": PUBLIC_AND_NOT, "operationName": name}).to_string());
    let mut selected = Scene::old_with(", operations: selected");
    selected.smuggles(&named(json!("B")), 401, "UNAUTHENTICATED");
    let answer = send(selected.gateway.ports.public, &named(json!("A")));
    assert_eq!((answer.status, selected.servers.ran()), (200, vec!["Query.hello".to_owned()]), "{answer:?}");
    for name in [json!(null), json!(""), json!("C"), json!("b")] {
        selected.refuses(&named(name), 400, "OPERATION_RESOLUTION_FAILURE");
    }
    for wrong in [json!(["B"]), json!({"B": 1}), json!(7), json!(true)] {
        selected.refuses(&named(wrong), 400, "BAD_REQUEST");
    }
    drop(selected);
    // Without that every mutation of the document counts, and no server can be of another opinion.
    let mut strict = Scene::old();
    for name in ["A", "B"] {
        strict.refuses(&named(json!(name)), 401, "UNAUTHENTICATED");
        strict.refuses(&named(json!(name)).bearer(&strict.other()), 403, "FORBIDDEN");
    }
}

/// Documents that two readers may read in two ways. What the server runs of them is written beside; the gateway lets
/// through what may run, and nothing else.
#[test]
fn documents_are_read_as_the_server_reads_them() {
    let both = &["Mutation.create", ERASE][..];
    let erase = &both[1..];
    let create = &both[..1];
    let mut old = Scene::old();
    for (document, runs) in [
        ("mutation{create:erase}", erase),
        ("mutation{...{erase}}", erase),
        ("mutation{...on Mutation{erase}}", erase),
        ("mutation{...F}fragment F on Mutation{...G}fragment G on Mutation{erase}", erase),
        ("fragment F on Mutation{create:erase}mutation{...F}", erase),
        ("mutation{create(text:\"a\")erase}", both),
        ("mutation{,create,,erase,}", both),
        // A comment ends with CR as well, and not with what else may look like the end of a line.
        ("mutation{create #\rerase\n}", both),
        ("mutation{create #\u{85}erase\n}", create),
        // Only `\"""` is an escape in a block string, and `\` before it is none.
        ("mutation{a:create(text:\"\"\"x\\\\\"\"\")b:create(text:\"\"\")erase #\"\"\")\n}", both),
        ("mutation{a:create(text:\"\"\"x\\\"\"\")erase #\"\"\")}", create),
        ("mutation{create(text:\"\"\"\\\"\"\"#\"\"\")erase}", both),
        ("mutation{create(text:\"#\")erase}", both),
        ("mutation{create(text:\"\\\"){erase}#\")}", create),
        ("mutation{create(text:\"\\\\\")erase}", both),
        ("mutation{create(text:\"\")erase(text:\"\"\"\"\"\")}", both),
        ("mutation($a:String=\"}\"){create(text:$a)erase}", both),
        ("mutation{create erase@include(if:true)}", both),
        ("mutation{create erase@skip(if:false)}", both),
        ("mutation{create erase@skip(if:true)}", create),
        ("mutation{create erase@include(if:false)}", create),
        ("mutation{create...@include(if:false){erase}}", create),
        ("mutation($a:Boolean=false){create erase@skip(if:$a)}", both),
        ("mutation{create...@skip(if:false){erase@include(if:true)}}", both),
    ] {
        let request = post("/apollo", json!({"query": document}).to_string());
        let answer = send(old.direct("/apollo"), &request);
        let mut ran = old.servers.ran();
        ran.dedup();
        assert_eq!(ran, runs, "direct: {document:?}: {answer:?}");
        let token = old.issuer.mint("Mutation:create");
        let through = send(old.gateway.ports.public, &request.clone().bearer(&token));
        let mut ran = old.servers.ran();
        ran.dedup();
        if runs == create {
            assert_eq!(
                (through.status, &*ran),
                (200, &["Mutation.create".to_owned()][..]),
                "{document:?}: {through:?}"
            );
        } else {
            assert_eq!((through.status, ran.len()), (403, 0), "{document:?}: {through:?}");
        }
        let token = old.issuer.mint("Mutation:create Mutation:erase");
        let through = send(old.gateway.ports.public, &request.bearer(&token));
        let mut ran = old.servers.ran();
        ran.dedup();
        assert_eq!(
            (through.status, ran),
            (200, runs.iter().map(|&field| field.to_owned()).collect()),
            "{document:?}"
        );
    }
}

/// Servers take it for white space, wherever it stands, as the grammar says; other readers do not, and no client sends it.
#[test]
fn a_byte_order_mark_is_refused() {
    let mut old = Scene::old();
    for document in ["\u{feff}mutation{erase}", "mutation{create\u{feff}erase}"] {
        let request = post("/apollo", json!({"query": document}).to_string());
        old.smuggles(&request, 400, "GRAPHQL_PARSE_FAILED");
    }
}

/// What some reader takes and the grammar does not.
#[test]
fn what_is_no_document_is_refused() {
    let mut old = Scene::old();
    for document in [
        "mutation{...on}fragment on on Mutation{erase}",
        "query{hello}fragment on on Query{hello}",
        // A comment ends there for parsers of old.
        "mutation{create #\u{2028}erase\n}",
        "mutation{erase",
        "mutation{erase}}",
        "mutation{erase}\0",
        "mutation{erase(text:\"\n\")}",
        "mutation{erase} schema{query:Mutation}",
        "query A{hello} mutation A{erase}",
        "query{...F}fragment F on Query{...F}",
        "query{...F}",
        "query{hello}fragment F on Query{hello}fragment F on Query{secret}",
        "",
    ] {
        let request = post("/apollo", json!({"query": document, "operationName": "A"}).to_string());
        let answer = send(old.gateway.ports.public, &request.bearer(&old.issuer.mint("Mutation:erase")));
        assert_eq!((answer.status, old.servers.ran().len()), (400, 0), "{document:?}: {answer:?}");
    }
}

/// Who reads the schema is asked for wherever a document comes to it (CVE-2025-53364), by HTTP and in messages.
#[test]
fn the_schema_is_not_read_through_fragments_and_aliases() {
    let mut old = Scene::old_with(", introspection: deny");
    for document in [
        "{__schema{types{name}}}",
        "{s:__schema{types{name}}}",
        "{...F}fragment F on Query{...{a:__type(name:\"Query\"){name}}}",
        "query A{hello}query B{...F}fragment F on Query{__schema{types{name}}}",
    ] {
        let body = json!({"query": document, "operationName": document.contains("query B").then_some("B")});
        let asked = post("/apollo", body.to_string());
        let answer = send(old.direct("/apollo"), &asked);
        assert!(answer.text().contains("Query"), "direct: {answer:?}");
        old.refuses(&asked, 401, "UNAUTHENTICATED");
        old.refuses(&asked.bearer(&old.other()), 403, "FORBIDDEN");
        let mut talk = Talk::begin(old.gateway.ports.public, "/messages", NEWER, None);
        let said = talk.first("1", &body);
        assert_eq!(codes(&said), ["UNAUTHENTICATED"], "{document}: {said}");
    }
}

/// What is small and asks for much is counted as what it asks for, by HTTP, in lists and in messages (CVE-2026-35441,
/// GHSA-3j43-9v8v): the server runs it.
#[test]
fn what_is_multiplied_is_counted_as_often() {
    let aliases: String = (0..40).map(|number| format!("a{number}:hello ")).collect();
    let mut doubled = "{...F0}".to_owned();
    for number in 0..8 {
        doubled += &format!("fragment F{number} on Query{{...F{0} ...F{0}}}", number + 1);
    }
    doubled += "fragment F8 on Query{a:hello}";
    let mut old = Scene::old_with(", batch: 3");
    for document in [format!("{{{aliases}}}"), doubled] {
        let body = json!({"query": document});
        let asked = post("/apollo", body.to_string());
        let answer = send(old.direct("/apollo"), &asked);
        assert_eq!(answer.status, 200, "direct: {answer:?}");
        assert!(!old.servers.ran().is_empty(), "direct: {answer:?}");
        old.refuses(&asked, 400, "MAX_ALIASES_LIMIT");
        old.refuses(
            &post("/apollo", format!("[{{\"query\":\"{{hello}}\"}},{body}]")),
            400,
            "MAX_ALIASES_LIMIT",
        );
        let said = Talk::begin(old.gateway.ports.public, "/messages", NEWER, None).first("1", &body);
        assert_eq!(codes(&said), ["MAX_ALIASES_LIMIT"], "{document}: {said}");
    }
}

/// Who may not read a type does not read it as what it implements, nor behind another one (GHSA-x33c-7c2v-mrj9,
/// GHSA-mx7m-j9xf-62hw): the server runs it.
#[test]
fn what_is_of_several_types_is_asked_for_as_each_of_them() {
    const SCHEMA: &str = "type Query { hello: String, named(text: String): Named, door: Door }\n\
                          interface Named { name(text: String): String } type Vault implements Named { name(text: String): String }\n\
                          type Door implements Named { name(text: String): String, behind: Named }";
    let (mut servers, issuer) = (Servers::old(), Issuer::start());
    let rules = "{issuers: [corp], graphql: {permission: any, public: [Query], schema: schema.graphql, \
                 types: {Vault.name: 'vault:read'}}}";
    let gateway = Gateway::new()
        .issuer("corp", &issuer)
        .upstream_as("old", &servers.url(""))
        .route("POST /apollo", &format!("{{upstream: old, require: {rules}}}"))
        .file("schema.graphql", SCHEMA)
        .start();
    let ask = |address, document: &str, scope: Option<&str>| {
        let asked = post("/apollo", json!({"query": document}).to_string());
        let asked = if let Some(scope) = scope { asked.bearer(&issuer.mint(scope)) } else { asked };
        send(address, &asked)
    };
    for document in [
        r#"{named(text:"Vault"){name}}"#,
        r#"{named(text:"Vault"){...on Vault{n:name}}}"#,
        r#"{named(text:"Vault"){...F}} fragment F on Named{name}"#,
        r#"{named(text:"Vault"){...on Named{...on Vault{name}}}}"#,
        "{door{behind{name}}}",
        "{door{...F}} fragment F on Door{behind{...{name}}}",
        "{named{...on Door{behind{name}}}}",
    ] {
        let answer = ask(servers.address(""), document, None);
        assert_eq!(servers.ran(), ["Vault.name"], "direct, {document}: {answer:?}");
        for (scope, status) in [(None, 401), (Some("other"), 403)] {
            let answer = ask(gateway.ports.public, document, scope);
            assert_eq!((answer.status, servers.ran().len()), (status, 0), "{document}: {answer:?}");
        }
        let answer = ask(gateway.ports.public, document, Some("vault:read"));
        assert_eq!(
            (answer.status, servers.ran()),
            (200, vec!["Vault.name".to_owned()]),
            "{document}: {answer:?}"
        );
    }
    for document in ["{door{name}}", "{named{...on Door{name}}}", "{named{__typename}}"] {
        let answer = ask(gateway.ports.public, document, None);
        assert_eq!(answer.status, 200, "{document}: {answer:?}");
    }
}

/// Servers, and a gateway before these of their paths that lets nobody ask for another's secret; and alice's token.
fn conditioned(paths: &[&str]) -> (Servers, Gateway, String) {
    let (servers, issuer) = (Servers::old(), Issuer::start());
    let rules =
        "{issuers: [corp], when: 'request.arguments.secret.text == claims.sub', graphql: {permission: any}}";
    let mut setup = Gateway::new().workers(1).issuer("corp", &issuer).upstream_as("old", &servers.url(""));
    for path in paths {
        setup = setup.route(&format!("POST {path}"), &format!("{{upstream: old, require: {rules}}}"));
    }
    (servers, setup.start(), issuer.mint("any"))
}

/// A secret by a variable.
fn named(default: &str) -> String {
    format!("query ($t: String{default}) {{ secret(text: $t) }}")
}

/// What a condition takes for an argument is what the server is asked with: the server says it back. Whatever is let through
/// says `alice`, and what is plain is let through.
#[test]
fn what_a_condition_saw_is_what_the_server_was_asked_with() {
    let (mut servers, gateway, token) = conditioned(&["/apollo", "/express-graphql"]);
    let plain = [
        ("{ secret(text: \"alice\") }".to_owned(), "null"),
        (
            "{ x: secret(text: \"alice\") ...F } fragment F on Query { secret(text: \"alice\") }".to_owned(),
            "null",
        ),
        ("{ secret(text: \"\\u0061lice\") }".to_owned(), "{}"),
        ("{ secret # (text: \"bob\")\n (text: \"alice\") }".to_owned(), "{}"),
        (named(""), r#"{"t":"alice"}"#),
        (named(" = \"bob\""), r#"{"\u0074":"\u0061lice"}"#),
        (named(" = \"alice\""), "{}"),
    ];
    let odd = [
        ("{ secret(text: \"bob\") }".to_owned(), "null"),
        ("{ secret }".to_owned(), "null"),
        ("{ secret(text: null) }".to_owned(), "null"),
        ("{ alice: secret(text: \"bob\") }".to_owned(), "null"),
        ("{ secret(text: \"\"\"alice\"\"\") }".to_owned(), "null"),
        ("{ secret(text: \"\"\"\n  alice\n\"\"\") }".to_owned(), "null"),
        ("{ a: secret(text: \"alice\") b: secret(text: \"bob\") }".to_owned(), "null"),
        ("{ secret(text: \"alice\", text: \"bob\") }".to_owned(), "null"),
        ("{ secret(text: alice) }".to_owned(), "null"),
        (named(" = \"alice\""), r#"{"t":null}"#),
        (named(" = \"alice\""), r#"{"t":"bob"}"#),
        (named(""), r#"{"t":"alice","t":"bob"}"#),
        (named(""), r#"{"T":"alice","t":"bob"}"#),
        (named(""), r#"{"t":["alice"]}"#),
        (named(""), r#"[{"t":"alice"}]"#),
        ("query ($t: [String] = [\"alice\"]) { secret(text: $t) }".to_owned(), "{}"),
        ("query A($t: String = \"alice\") { secret(text: $t) } query B($t: String = \"bob\") { secret(text: $t) }".to_owned(), "{}"),
    ];
    for path in ["/apollo", "/express-graphql"] {
        for (place, (document, variables)) in plain.iter().chain(&odd).enumerate() {
            let name = if document.starts_with("query A") { ",\"operationName\":\"B\"" } else { "" };
            let body = format!("{{\"query\":{},\"variables\":{variables}{name}}}", json!(document));
            let answer = send(gateway.ports.public, &post(path, body).bearer(&token));
            let ran = servers.ran();
            if place < plain.len() {
                assert_eq!(answer.status, 200, "{path} {document} {variables}: {answer:?}");
                assert!(!ran.is_empty(), "{path} {document}");
            }
            if !ran.is_empty() {
                let data = answer.json()["data"].as_object().cloned().unwrap_or_default();
                assert!(!data.is_empty(), "{path} {document} {variables}: {answer:?}");
                assert!(
                    data.values().all(|said| said == "alice"),
                    "{path} {document} {variables}: {answer:?}"
                );
            }
        }
    }
}

/// What is missing is found in the prototype of a copy.
#[test]
fn a_prototype_is_refused() {
    let (mut servers, gateway, token) = conditioned(&["/assign"]);
    for name in ["__proto__", "\\u005f_proto__"] {
        let document = json!(named(" = \"alice\""));
        let body = format!("{{\"query\":{document},\"{name}\":{{\"variables\":{{\"t\":\"bob\"}}}}}}");
        let answer = send(servers.address(""), &post("/assign", &body));
        assert_eq!(
            (answer.json()["data"]["secret"].as_str(), servers.ran().len()),
            (Some("bob"), 1),
            "direct"
        );
        let answer = send(gateway.ports.public, &post("/assign", body).bearer(&token));
        assert_eq!((answer.status, servers.ran().len()), (400, 0), "{answer:?}");
    }
}
