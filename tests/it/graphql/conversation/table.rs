//! The rows of graphql.md 1.6, column G, that a WebSocket can say.

use serde_json::{Value, json};

use crate::graphql::conversation::spoken::{BOTH, CREATE, EVENTS, NEW, PUBLIC, Scene};
use crate::harness::keys::Key;
use crate::harness::token::now;

/// Number of the row, scopes, what is asked, and the code of the refusal; none where it runs.
type Row = (u8, Option<&'static str>, &'static str, Option<&'static str>);

const COMPOSER: &str = "mutation { AddMusicCompositionComposer(from: {a: 1}, to: {a: 1}) { from { a } } }";
const REQUEST: &str = "mutation { RequestControlAction { identifier } }";
const DELETE: &str = "mutation { DeletePerson(identifier: \"a\") { identifier } }";

const ROWS: &[Row] = &[
    (1, None, "{ __typename }", None),
    (1, None, PUBLIC, None),
    (1, None, "{ __schema { types { name } } }", None),
    (2, None, CREATE, Some("UNAUTHENTICATED")),
    (3, Some("*"), CREATE, None),
    (3, Some("Mutation:*"), CREATE, None),
    (3, Some("Mutation:*:Create"), CREATE, None),
    (3, Some("Mutation:Person:*"), CREATE, None),
    (3, Some("Mutation:Person:Create"), CREATE, None),
    (4, Some("Mutation:Place:*"), CREATE, Some("FORBIDDEN")),
    (4, Some("Query:Person:*"), CREATE, Some("FORBIDDEN")),
    (4, Some("mutation:person:create"), CREATE, Some("FORBIDDEN")),
    (4, Some(""), CREATE, Some("FORBIDDEN")),
    (5, Some("Mutation:*:Create"), DELETE, Some("FORBIDDEN")),
    (6, Some("Mutation:MusicCompositionComposer:Add"), COMPOSER, None),
    (6, Some("Mutation:*:Add"), COMPOSER, None),
    (6, Some("Mutation:MusicComposition*:*"), COMPOSER, None),
    (7, Some("Mutation:MusicComposition:*"), COMPOSER, Some("FORBIDDEN")),
    (7, Some("Mutation:*:Create"), COMPOSER, Some("FORBIDDEN")),
    (7, Some("Mutation:MusicCompositionComposer:Remove"), COMPOSER, Some("FORBIDDEN")),
    (8, Some("Mutation:ControlAction:Request"), REQUEST, None),
    (8, Some("Mutation:ControlAction:Create"), REQUEST, Some("FORBIDDEN")),
    (
        9,
        Some("Mutation:Person:Create"),
        "mutation { CreatePerson: DeletePerson(identifier: \"a\") { identifier } }",
        Some("FORBIDDEN"),
    ),
    (
        10,
        Some("Mutation:Person:Create"),
        "mutation { ...F } fragment F on Mutation { DeletePerson { identifier } }",
        Some("FORBIDDEN"),
    ),
    (
        10,
        Some("Mutation:Person:Create"),
        "mutation { ... { DeletePerson { identifier } } }",
        Some("FORBIDDEN"),
    ),
    (
        10,
        Some("Mutation:Person:Create"),
        "mutation { ... on Mutation { DeletePerson { identifier } } }",
        Some("FORBIDDEN"),
    ),
    (
        11,
        Some("Mutation:Person:*"),
        "mutation { a: CreatePerson { a } b: CreatePlace { a } }",
        Some("FORBIDDEN"),
    ),
    (
        12,
        Some("Mutation:Person:Create"),
        "mutation { DeletePerson @skip(if: true) { a } CreatePerson { a } }",
        None,
    ),
    (
        12,
        Some("Mutation:Person:Create"),
        "mutation($a: Boolean!) { DeletePerson @skip(if: $a) { a } CreatePerson { a } }",
        Some("FORBIDDEN"),
    ),
];

fn scene() -> Scene {
    let route = crate::graphql::conversation::spoken::route("", "");
    let issuer = crate::harness::issuer::Issuer::start();
    let scene = Scene::by(issuer, &route, "leeway: 0s, scope_match: glob");
    assert!(scene.heard.ran().is_empty());
    scene
}

#[test]
fn each_row_of_the_table_holds_over_both_protocols() {
    let scene = scene();
    let mut runs = 0;
    for protocol in BOTH {
        for (row, scope, query, code) in ROWS {
            let token = scope.map(|scope| scene.token(scope)).unwrap_or_default();
            let mut client = scene.begin(protocol, &token);
            client.run("1", query);
            match code {
                Some(code) => assert_eq!(client.refused("1"), *code, "row {row}: {scope:?} {query}"),
                None => {
                    client.runs("1", &format!("row {row}: {scope:?} {query}"));
                    runs += 1;
                    assert_eq!(scene.heard.ran().len(), runs, "row {row}: {scope:?} {query}");
                    assert_eq!(
                        scene.heard.ran().last().map(String::as_str),
                        Some(*query),
                        "what was judged is what ran"
                    );
                }
            }
            client.socket.send(&crate::harness::websocket::Frame::close(1000));
        }
        let mut client = scene.begin(protocol, "");
        client.run("1", EVENTS);
        assert_eq!(client.result("1"), "", "row 1: a subscription");
        runs += 1;
    }
    assert_eq!(scene.heard.ran().len(), runs);
}

fn payload(protocol: &str, id: &str, payload: &Value) -> Value {
    json!({"id": id, "type": if protocol == NEW { "subscribe" } else { "start" }, "payload": payload})
}

#[test]
fn rows_13_to_17_what_is_in_the_payload_beside_the_document() {
    let scene = scene();
    let two = "query Q { __typename } mutation M { CreatePerson { a } }";
    let hash = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";
    for protocol in BOTH {
        let mut client = scene.begin(protocol, "");
        for (given, code) in [
            (json!({"query": two, "operationName": "M"}), "UNAUTHENTICATED"),
            // Strict: what every mutation of the document needs.
            (json!({"query": two, "operationName": "Q"}), "UNAUTHENTICATED"),
            (json!({"query": two}), "OPERATION_RESOLUTION_FAILURE"),
            (json!({"query": two, "operationName": "X"}), "OPERATION_RESOLUTION_FAILURE"),
            (
                json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}}),
                "PERSISTED_QUERY_NOT_SUPPORTED",
            ),
        ] {
            client.say(&payload(protocol, "1", &given));
            assert_eq!(client.refused("1"), code, "{given}");
        }
        let kind = if protocol == NEW { "subscribe" } else { "start" };
        for keys in [
            r#""query":"{a}","query":"mutation{CreatePerson{a}}""#,
            r#""query":"{a}","Query":"mutation{CreatePerson{a}}""#,
            r#""query":"{a}","qu\u0065ry":"{b}""#,
        ] {
            let text = format!(r#"{{"id":"1","type":"{kind}","payload":{{{keys}}}}}"#);
            client.socket.send(&crate::harness::websocket::Frame::new(crate::harness::websocket::TEXT, text));
            assert_eq!(client.refused("1"), "BAD_REQUEST", "{keys}");
        }
        client.goes_on();
    }
    assert!(scene.heard.ran().iter().all(|ran| ran == PUBLIC));
}

#[test]
fn rows_18_to_20_tokens() {
    let scene = scene();
    let base = || scene.api.issuer.token().scope("*");
    let stranger = Key::new("ES256", &scene.api.issuer.key().id);
    for protocol in BOTH {
        for token in [
            base().set("exp", json!(now() - 10)).sign(),
            base().without("exp").sign(),
            base().set("iss", json!("https://else.test")).sign(),
            base().set("nbf", json!(now() + 3600)).sign(),
            base().signed_by(&stranger).sign(),
            format!("Basic {}", base().sign()),
        ] {
            let mut client = scene.begin(protocol, &token);
            client.run("1", CREATE);
            assert_eq!(client.refused("1"), "UNAUTHENTICATED");
            client.goes_on();
        }
        for (scheme, runs) in
            [("", true), ("Bearer ", true), ("bearer ", true), ("Bearer  ", true), ("Basic ", false)]
        {
            let mut client = scene.open(protocol);
            client.init(&json!({"Authorization": format!("{scheme}{}", base().sign())}));
            client.run("1", CREATE);
            match runs {
                true => assert_eq!(client.only_result("1"), "alice", "{scheme:?}"),
                false => assert_eq!(client.refused("1"), "UNAUTHENTICATED", "{scheme:?}"),
            }
        }
    }
}
