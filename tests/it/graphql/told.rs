//! How a client of GraphQL is told of a refusal.

use serde_json::{Value, json};

use crate::graphql::posted::{CREATE, ROUTE, api, body, by, get, post, route_and, said_code};
use crate::harness::api::Api;
use crate::harness::client::{Request, Response};
use crate::harness::upstream::Then;

fn media(response: &Response) -> &str {
    response.header("content-type").unwrap_or_default()
}

#[test]
fn the_answer_is_of_a_type_that_the_client_accepts() {
    let api = api(ROUTE);
    let ask = |accept: &str| api.gateway.send(&post(body(CREATE)).header("Accept", accept));
    assert_eq!(media(&ask("application/json")), "application/json; charset=utf-8");
    let new = ask("application/graphql-response+json, application/json;q=0.9");
    assert_eq!(media(&new), "application/graphql-response+json; charset=utf-8");
    assert_eq!((new.status, said_code(&new).as_str()), (401, "UNAUTHENTICATED"));
    assert_eq!(new.header("www-authenticate"), Some("Bearer realm=\"portcullis\""));
}

#[test]
fn scopes_are_named_only_where_that_is_asked_for() {
    let shown = |api: &Api| {
        let response = api.gateway.send(&by(api, post(body(CREATE)), Some("other")));
        let challenge = response.header("www-authenticate").unwrap_or_default().to_owned();
        (response.status, challenge, response.json()["errors"][0]["extensions"]["requiredScopes"].clone())
    };
    let (status, challenge, scopes) = shown(&api(ROUTE));
    assert_eq!((status, scopes), (403, Value::Null));
    assert!(challenge.contains("insufficient_scope") && !challenge.contains("scope=\"Mut"), "{challenge}");
    let (_, challenge, scopes) = shown(&api(&route_and("show_scopes: true")));
    assert_eq!(scopes, json!(["Mutation:Person:Create"]));
    assert!(challenge.contains("scope=\"Mutation:Person:Create\""), "{challenge}");
}

#[test]
fn a_server_of_old_answers_200() {
    let api = api(&route_and("compat: 200"));
    let null = json!({"CreatePerson": null});
    for (request, data) in [
        (post(body(CREATE)), null.clone()),
        (by(&api, post(body(CREATE)), Some("other")), null),
        (
            post(body("mutation { a: CreatePerson { x } b: CreatePlace { x } }")),
            json!({"a": null, "b": null}),
        ),
        (post("{"), Value::Null),
        (post(body("{")), Value::Null),
    ] {
        let response = api.gateway.connect().unaudited().send(&request);
        assert_eq!(
            (response.status, media(&response)),
            (200, "application/json; charset=utf-8"),
            "{response:?}"
        );
        let answer = response.json();
        assert_eq!(answer["data"], data, "{answer}");
        assert!(answer["errors"][0]["message"].is_string(), "{answer}");
        let first = data.as_object().and_then(|data| data.keys().next());
        assert_eq!(answer["errors"][0]["path"], first.map_or(Value::Null, |key| json!([key])), "{answer}");
    }
    assert_eq!(api.upstream.count(), 0);
}

#[test]
fn a_client_of_events_gets_one() {
    let api = api(ROUTE);
    let events = |request: Request| api.gateway.send(&request.header("Accept", "text/event-stream"));
    let refused = events(by(&api, post(body(CREATE)), Some("other")));
    assert_eq!((refused.status, media(&refused)), (200, "text/event-stream"), "{refused:?}");
    assert!(refused.text().starts_with("event: next\ndata: {\"errors\":[{"), "{refused:?}");
    assert!(refused.text().ends_with("\n\nevent: complete\ndata:\n\n"), "{refused:?}");
    assert_eq!(events(post(body(CREATE))).status, 401);
}

#[test]
fn what_fails_behind_the_gate_is_told_alike() {
    let api = api(ROUTE);
    api.upstream.on("/graphql", |exchange| {
        exchange.body()?;
        Ok(Then::Close)
    });
    let failed = api.gateway.send(&post(body("{a}")));
    assert_eq!((failed.status, said_code(&failed).as_str()), (502, "UPSTREAM_FAILED"), "{failed:?}");
    let failed = api.gateway.send(&get("{a}"));
    assert_eq!((failed.status, said_code(&failed).as_str()), (502, "UPSTREAM_FAILED"), "{failed:?}");
}

#[test]
fn the_words_of_the_configuration_go_first() {
    let api = Api::with(|setup| {
        let errors = r#"errors: {no_credentials: {status: 200, body: {errors: [{message: "No authorization token."}], data: null}}}"#;
        setup.route("/graphql", &format!("{{require: {{graphql: {ROUTE}}}, {errors}}}"))
    });
    let response = api.gateway.connect().unaudited().send(&post(body(CREATE)));
    assert_eq!(response.status, 200);
    assert_eq!(response.json(), json!({"errors": [{"message": "No authorization token."}], "data": null}));
}

/// They were plain JSON, whatever the client reads.
#[test]
fn the_words_of_the_configuration_come_in_the_form_that_the_client_reads() {
    let api = Api::with(|setup| {
        let errors = r#"errors: {"*": {body: {errors: [{message: "No."}]}}}"#;
        setup.route("/graphql", &format!("{{require: {{graphql: {ROUTE}}}, {errors}}}"))
    });
    let ask = |request: Request, accept: &str| {
        let response = api.gateway.connect().unaudited().send(&request.header("Accept", accept));
        (response.status, media(&response).to_owned(), response.text())
    };
    let said = r#"{"errors":[{"message":"No."}]}"#;
    let poor = || by(&api, post(body(CREATE)), Some("other"));
    let own = "application/graphql-response+json";
    assert_eq!(ask(poor(), own), (403, format!("{own}; charset=utf-8"), format!("{said}\n")));
    let event = format!("event: next\ndata: {said}\n\nevent: complete\ndata:\n\n");
    assert_eq!(ask(poor(), "text/event-stream"), (200, "text/event-stream".to_owned(), event));
    let plain = "application/json; charset=utf-8".to_owned();
    assert_eq!(ask(post(body(CREATE)), "text/event-stream"), (401, plain.clone(), format!("{said}\n")));
    assert_eq!(ask(post("{"), own), (400, plain, format!("{said}\n")));
}

/// They answered with the refusal's own status although the route answers everything with 200.
#[test]
fn with_compat_the_words_of_the_configuration_are_answered_with_200_and_to_each_of_a_list() {
    let api = Api::with(|setup| {
        let errors = r#"errors: {no_credentials: {body: {errors: [{message: "No authorization token."}], data: null}}}"#;
        let graphql = route_and("compat: 200, batch: 3");
        setup.route("/graphql", &format!("{{require: {{graphql: {graphql}}}, {errors}}}"))
    });
    let one = json!({"errors": [{"message": "No authorization token."}], "data": null});
    let list = format!("[{}, {}]", body("{a}"), body(CREATE));
    for (asked, said) in [(body(CREATE), one.clone()), (list, json!([one, one]))] {
        let response = api.gateway.connect().unaudited().send(&post(asked));
        assert_eq!((response.status, response.json()), (200, said), "{response:?}");
    }
}

/// It was one error for all of them: Apollo's BatchHttpLink then lost it.
#[test]
fn a_list_that_is_refused_with_200_gets_an_answer_to_each() {
    let api = api(&route_and("compat: 200, batch: 3, persisted: {automatic: true}"));
    let ask = |list: &str| api.gateway.connect().unaudited().send(&post(list));
    let codes = |response: &Response| -> Vec<Value> {
        let answers = response.json().as_array().cloned().expect("a list");
        answers.iter().map(|answer| answer["errors"][0]["extensions"]["code"].clone()).collect()
    };
    let refused = ask(&format!("[{}, {}]", body("{a}"), body(CREATE)));
    assert_eq!((refused.status, codes(&refused)), (200, vec![json!("UNAUTHENTICATED"); 2]), "{refused:?}");
    let broken = ask(&format!("[{0}, {0}, {1}]", body("{a}"), body("{")));
    assert_eq!(codes(&broken), vec![json!("GRAPHQL_PARSE_FAILED"); 3], "{broken:?}");
    let hash = json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0".repeat(64)}}});
    let unknown = ask(&format!("[{hash}, {}]", body("{a}")));
    assert_eq!(codes(&unknown), vec![json!("PERSISTED_QUERY_NOT_FOUND"); 2], "{unknown:?}");
    assert_eq!(api.upstream.count(), 0);
}

#[test]
fn what_is_no_request_of_graphql_is_answered_in_plain_json() {
    let api = api(ROUTE);
    let ask = |request: Request| {
        let response = api.gateway.send(&request.header("Accept", "application/graphql-response+json"));
        (response.status, media(&response).to_owned())
    };
    let (plain, own) =
        ("application/json; charset=utf-8", "application/graphql-response+json; charset=utf-8");
    assert_eq!(ask(post("{")), (400, plain.to_owned()));
    assert_eq!(
        ask(Request::post("/graphql", "{a}").header("Content-Type", "text/plain")),
        (415, plain.to_owned())
    );
    assert_eq!(ask(get(CREATE)), (405, plain.to_owned()));
    assert_eq!(ask(post(body("{"))), (400, own.to_owned()));
    assert_eq!(ask(by(&api, post(body(CREATE)), Some("other"))), (403, own.to_owned()));
}

#[test]
fn other_origins_may_read_the_refusal() {
    let api = Api::with(|setup| {
        setup.route(
            "/graphql",
            &format!("{{require: {{graphql: {ROUTE}}}, cors: {{origins: [https://app.test]}}}}"),
        )
    });
    for request in [post(body(CREATE)), post("{"), post(body("{a}")), get(CREATE)] {
        let response = api.gateway.send(&request.header("Origin", "https://app.test"));
        assert_eq!(response.header("access-control-allow-origin"), Some("https://app.test"), "{response:?}");
    }
}
