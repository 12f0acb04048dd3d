//! Event streams that are reserved before they are opened: graphql-sse's single connection mode. Whoever has a stream's name
//! could read what is answered to others, so that each name is its owner's.

mod serving;

use std::time::Duration;

use portcullis::gate::denial::Reason;
use serde_json::json;

use crate::graphql::posted::{body, said_code};
use crate::graphql::reserved::serving::{FIELD, OWN, named, serve_at};
use crate::harness::api::{Api, usual};
use crate::harness::client::{Connection, Request, Response};
use crate::harness::h2::client::Client;
use crate::harness::issuer::Issuer;
use crate::harness::setup::Setup;
use crate::harness::token::{Token, now};
use crate::harness::wait::{PATIENCE, wait_until};
use crate::harness::websocket::handshake;

const EVENTS: &str = "text/event-stream";
const TICKS: &str = "subscription { ticks }";
const SCOPE: &str = "Subscription:ticks";

fn api_with(graphql: &str, change: impl FnOnce(Setup) -> Setup) -> Api {
    let graphql = format!("{{permission: '{{operation}}:{{field}}', public: [Query], {graphql}}}");
    let api = Api::with_issuer(Issuer::start(), |setup, issuer| {
        let setup = setup.workers(2).issuer_with("corp", issuer, "leeway: 0s");
        let setup = setup.route("/graphql", &format!("{{require: {{issuers: [corp], graphql: {graphql}}}}}"));
        change(setup.yaml_tail("store: {sqlite: portcullis.db}\nrevocation: {recheck_streams: 1h}\n"))
    });
    serve_at(&api.upstream);
    api
}

fn api() -> Api {
    api_with("reserved_streams: 1h", |setup| setup)
}

fn token(api: &Api) -> Token {
    api.issuer.token().scope(SCOPE)
}

fn reserve(token: &str) -> Request {
    Request::new("PUT", "/graphql").header("Accept", "*/*").bearer(token)
}

fn open(name: &str) -> Request {
    Request::get("/graphql").header("Accept", EVENTS).header(FIELD, name)
}

fn run(name: &str, document: &str) -> Request {
    Request::post("/graphql", body(document)).header("Content-Type", "application/json").header(FIELD, name)
}

fn stop(name: &str) -> Request {
    Request::new("DELETE", "/graphql?operationId=1").header(FIELD, name)
}

/// A stream that this token has reserved, as its client knows it.
#[track_caller]
fn reserved(api: &Api, token: &str) -> String {
    let answer = api.gateway.send(&reserve(token));
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.text()
}

/// A stream that is open.
#[track_caller]
fn opened(api: &Api, request: &Request) -> Connection {
    let mut connection = api.gateway.connect();
    connection.write(&request.octets());
    let read = connection.read_until(":\n\n");
    assert!(read.starts_with("HTTP/1.1 200 ") && read.contains(EVENTS), "{read}");
    connection
}

/// Every request that a name is for.
fn uses(name: &str) -> [Request; 4] {
    [open(name), run(name, TICKS), run(name, "{ a }"), stop(name)]
}

#[track_caller]
fn unknown(api: &Api, request: &Request) -> Response {
    let answer = api.refuses(request, Reason::UnknownStream);
    assert_eq!((answer.status, said_code(&answer).as_str()), (404, "UNKNOWN_STREAM"), "{answer:?}");
    answer
}

#[test]
fn another_ones_stream_is_not_there() {
    let other = Issuer::start();
    let other_iss = other.token().scope(SCOPE).sign();
    let api = api_with("reserved_streams: 1h", |setup| {
        let both = "{require: {issuers: [corp, other], graphql: {permission: '{operation}:{field}', public: \
                    [Query], reserved_streams: 1h}}}";
        setup.issuer("other", &other).no_routes().route("/graphql", both)
    });
    let name = reserved(&api, &token(&api).sign());
    let told = |request: &Request| {
        let mut answer = unknown(&api, request).json();
        answer["errors"][0]["extensions"]["request_id"] = json!(null);
        answer
    };
    let owner = token(&api).sign();
    for stranger in [token(&api).set("sub", json!("mallory")).sign(), other_iss] {
        for request in uses(&name) {
            let foreign = told(&request.bearer(&stranger));
            // Nothing tells what is another's from what never was.
            assert_eq!(foreign, told(&uses("never-made")[0].clone().bearer(&owner)));
        }
    }
    let mut stream = opened(&api, &open(&name).bearer(&owner));
    assert_eq!(api.gateway.send(&run(&name, TICKS).bearer(&owner)).status, 202);
    assert!(stream.read_until("ticks").contains("event: next"));
}

#[test]
fn a_name_is_worth_nothing_without_its_owners_token() {
    let api = api();
    let name = reserved(&api, &token(&api).sign());
    let before = api.upstream.count();
    for request in uses(&name).into_iter().chain([Request::new("PUT", "/graphql")]) {
        for event in [request.clone(), request.header("Accept", "*/*")] {
            let answer = api.gateway.send(&event);
            // Whoever reads events is told by status too: a stream that has begun would be no refusal.
            assert_eq!((answer.status, said_code(&answer).as_str()), (401, "UNAUTHENTICATED"), "{event:?}");
        }
    }
    for request in uses(&name) {
        api.refuses(&request.clone().bearer("a.b.c"), Reason::MalformedToken);
        api.refuses(&request.bearer(&token(&api).set("exp", json!(now() - 60)).sign()), Reason::Expired);
    }
    assert_eq!(api.upstream.count(), before);
    // A public operation that is answered by itself needs none, as ever.
    api.allows(&Request::post("/graphql", body("{ a }")).header("Content-Type", "application/json"));
}

#[test]
fn a_name_that_was_made_up_or_changed_is_not_there() {
    let api = api();
    let owner = token(&api).sign();
    let name = reserved(&api, &owner);
    assert!(!name.contains(OWN), "the upstream's own name is nobody's business: {name}");
    let own = named(&{
        api.gateway.send(&stop(&name).bearer(&owner));
        api.upstream.last()
    });
    let changed: String =
        name.char_indices().map(|(at, letter)| if at != 40 { letter } else { next(letter) }).collect();
    let forged = [
        &*own[0],
        &changed,
        &name[1..],
        &name[..name.len() - 1],
        "x",
        "",
        &format!("{name}{name}"),
        &"A".repeat(5000),
    ];
    for forged in forged {
        for request in uses(forged) {
            unknown(&api, &request.bearer(&owner));
        }
    }
    assert_eq!(own, [format!("{OWN}0")]);
}

fn next(letter: char) -> char {
    if letter == 'A' { 'B' } else { 'A' }
}

#[test]
fn a_reservation_ends() {
    let api = api_with("reserved_streams: 1s", |setup| setup);
    let owner = token(&api).sign();
    let name = reserved(&api, &owner);
    wait_until("it has ended", || api.gateway.send(&stop(&name).bearer(&owner)).status == 404);
    for request in uses(&name) {
        unknown(&api, &request.bearer(&owner));
    }
}

#[test]
fn a_name_counts_where_it_was_made_alone() {
    let api = api();
    let owner = token(&api).sign();
    let name = reserved(&api, &owner);
    let graphql = "{require: {graphql: {public: [Query], reserved_streams: 1h}}}";
    let twin = usual(&api.upstream).issuer("corp", &api.issuer).route("/graphql", graphql).start();
    let before = api.upstream.count();
    let answer = twin.send(&open(&name).bearer(&owner));
    assert_eq!((answer.status, api.upstream.count()), (404, before), "{answer:?}");
    // But by any of its workers.
    for _ in 0..16 {
        assert_eq!(api.gateway.send(&stop(&name).bearer(&owner)).status, 200);
    }
}

#[test]
fn r8_a_reserved_stream_ends_with_its_token() {
    let api = api();
    let with = |jti: &str, end: i64| token(&api).set("jti", json!(jti)).set("exp", json!(now() + end)).sign();
    let open_with = |token: &str| opened(&api, &open(&reserved(&api, token)).bearer(token));
    let (mut expires, mut revoked) = (open_with(&with("e", 3)), open_with(&with("r", 900)));
    let mut other = open_with(&with("o", 900));
    let admin = api.gateway.ports.admin;
    let entry = json!({"kind": "jti", "issuer": api.issuer.iss, "value": "r"});
    let post = Request::post("/v1/revocations", entry.to_string()).host(&admin.to_string());
    assert_eq!(Connection::open(admin).unaudited().send(&post).status, 201);
    assert!(revoked.ends_within(PATIENCE), "revoked");
    assert!(expires.ends_within(PATIENCE), "expired");
    assert!(!other.ends_within(Duration::from_millis(300)), "another token's goes on");
    for request in uses("any") {
        api.refuses(&request.bearer(&with("r", 900)), Reason::Revoked);
    }
    api.refuses(&reserve(&with("r", 900)), Reason::Revoked);
}

#[test]
fn what_is_answered_in_a_stream_is_judged_as_ever() {
    for more in ["", ", unauthorized: filter", ", compat: 200"] {
        let api = api_with(&format!("reserved_streams: 1h{more}"), |setup| setup);
        let owner = token(&api).sign();
        let name = reserved(&api, &owner);
        let refused = |request: Request, status: u16, code: &str| {
            let before = api.upstream.count();
            let answer = api.gateway.send(&request.bearer(&owner));
            assert_eq!((answer.status, said_code(&answer).as_str()), (status, code), "{more}: {answer:?}");
            assert_eq!(api.upstream.count(), before);
        };
        refused(run(&name, "mutation { erase }"), 403, "FORBIDDEN");
        refused(run(&name, "mutation { erase ticks }"), 403, "FORBIDDEN");
        refused(run(&name, "subscription { ticks"), 400, "GRAPHQL_PARSE_FAILED");
        let get = Request::get("/graphql?query=mutation%7Berase%7D").header("graphql-require-preflight", "1");
        refused(get.header(FIELD, &name), 405, "METHOD_NOT_ALLOWED");
        let request = run(&name, TICKS).bearer(&owner);
        assert_eq!(api.gateway.send(&request).status, 202);
        let seen = api.upstream.last();
        assert_eq!((named(&seen), seen.body), (vec![format!("{OWN}0")], request.body.expect("a body")));
    }
}

#[test]
fn a_route_that_only_shadows_gives_nobody_anothers_stream() {
    let api = api_with("reserved_streams: 1h", |setup| {
        let graphql = "{enforce: shadow, require: {issuers: [corp], graphql: {public: [Query, Subscription], reserved_streams: 1h}}}";
        setup.no_routes().route("/graphql", graphql)
    });
    let name = reserved(&api, &token(&api).sign());
    for request in uses(&name).into_iter().chain([Request::new("PUT", "/graphql")]) {
        api.refuses(&request, Reason::NoCredentials);
    }
    for request in uses(&name) {
        unknown(&api, &request.bearer(&token(&api).set("sub", json!("mallory")).sign()));
    }
}

/// What a server could take for two things is nothing here.
#[test]
fn a_request_is_one_thing() {
    let api = api();
    let owner = token(&api).sign();
    let name = reserved(&api, &owner);
    let to = |method: &str, query: &str| Request::new(method, &format!("/graphql?{query}"));
    let json = |request: Request| request.header("Content-Type", "application/json");
    let graphql = "query=%7Ba%7D";
    for (request, reason) in [
        (open(&name).header(FIELD, &name), Reason::GraphqlRejected),
        (to("GET", &format!("token={name}&token={name}")).header("Accept", EVENTS), Reason::GraphqlRejected),
        (to("GET", &format!("token={name}")).header(FIELD, &name), Reason::GraphqlRejected),
        (to("GET", &format!("token={name}&token[]=x")).header("Accept", EVENTS), Reason::GraphqlRejected),
        (to("GET", &format!("%74oken={name}")).header("Accept", EVENTS), Reason::GraphqlRejected),
        (json(to("POST", &format!("Token={name}")).body(body("{ a }"))), Reason::GraphqlRejected),
        (json(to("POST", &format!("a=b;token={name}")).body(body("{ a }"))), Reason::GraphqlRejected),
        (run(&name, TICKS).header("Accept", EVENTS), Reason::GraphqlRejected),
        (
            run(&name, TICKS).header("Accept", "application/json, Text/Event-Stream;q=0"),
            Reason::GraphqlRejected,
        ),
        (to("GET", graphql).header(FIELD, &name).header("Accept", EVENTS), Reason::GraphqlRejected),
        (stop(&name).header("Accept", EVENTS), Reason::GraphqlRejected),
        (to("DELETE", "operationId=1"), Reason::GraphqlRejected),
        (to("DELETE", &format!("operationId=1&{graphql}")).header(FIELD, &name), Reason::GraphqlRejected),
        (stop(&name).body("{}"), Reason::GraphqlRejected),
        (open(&name).body("{}"), Reason::GraphqlRejected),
        (reserve(&owner).header(FIELD, &name), Reason::GraphqlRejected),
        (to("PUT", graphql), Reason::GraphqlRejected),
        (to("PUT", "token=x"), Reason::GraphqlRejected),
        (json(to("PUT", "").body(body("{ a }"))), Reason::GraphqlRejected),
        (Request::new("HEAD", "/graphql").header(FIELD, &name), Reason::MethodNotAllowed),
        (Request::new("PATCH", "/graphql").header(FIELD, &name), Reason::MethodNotAllowed),
        (Request::new("PATCH", "/graphql"), Reason::MethodNotAllowed),
    ] {
        let is_owners = request.headers.iter().any(|(name, _)| name == "Authorization");
        let request = if is_owners { request } else { request.bearer(&owner) };
        let before = api.upstream.count();
        let answer = api.gateway.send(&request);
        assert_eq!(answer.status, reason.status(), "{request:?} {answer:?}");
        assert_eq!(api.upstream.count(), before, "{request:?}");
    }
}

#[test]
fn a_stream_that_is_named_by_a_parameter_is_named_by_a_header_upstream() {
    let api = api();
    let owner = token(&api).sign();
    let name = reserved(&api, &owner);
    let (by, json) =
        (|query: &str| format!("/graphql?{query}token={name}"), ("Content-Type", "application/json"));
    let mut stream = opened(&api, &Request::get(&by("")).header("Accept", EVENTS).bearer(&owner));
    let sent = |target: &str| {
        let seen = api.upstream.last();
        assert_eq!((seen.head.target.as_str(), named(&seen)), (target, vec![format!("{OWN}0")]));
    };
    sent("/graphql");
    let run = Request::post(&by("trace=1&"), body(TICKS)).header(json.0, json.1).bearer(&owner);
    assert_eq!(api.gateway.send(&run).status, 202);
    sent("/graphql?trace=1");
    assert!(stream.read_until("ticks").contains("event: next"));
    let stop = Request::new("DELETE", &by("operationId=7&")).bearer(&owner);
    assert_eq!(api.gateway.send(&stop).status, 200);
    sent("/graphql?operationId=7");
    let get = Request::get(&by("query=%7Ba%7D&extensions=%7B%22operationId%22%3A%221%22%7D&"));
    let answer = api.gateway.send(&get.header("graphql-require-preflight", "1").bearer(&owner));
    assert_eq!(answer.header("x-upstream"), Some("yes"), "{answer:?}");
    sent("/graphql?query=%7Ba%7D&extensions=%7B%22operationId%22%3A%221%22%7D");
}

/// Where tokens stand in that parameter, what stands there is one.
#[test]
fn a_parameter_that_holds_a_credential_names_no_stream() {
    let api = Api::with_issuer(Issuer::start(), |setup, issuer| {
        let graphql = "{require: {graphql: {permission: '{operation}:{field}', reserved_streams: 1h}}}";
        setup.issuer_with("corp", issuer, "from: [{query: token}]").route("/graphql", graphql)
    });
    serve_at(&api.upstream);
    let owner = token(&api).sign();
    let by = |method: &str| Request::new(method, &format!("/graphql?token={owner}"));
    let answer = api.gateway.send(&by("PUT"));
    assert_eq!((answer.status, api.upstream.last().head.target.as_str()), (201, "/graphql?"), "{answer:?}");
    opened(&api, &by("GET").header("Accept", EVENTS).header(FIELD, &answer.text()));
}

#[test]
fn who_comes_back_with_a_new_token_has_the_stream_still() {
    let api = api();
    let name = reserved(&api, &token(&api).sign());
    let mut stream = opened(&api, &open(&name).bearer(&token(&api).sign()));
    assert_eq!(api.gateway.send(&run(&name, TICKS).bearer(&token(&api).sign())).status, 202);
    assert!(stream.read_until("ticks").contains("event: next"));
    // Whoever has no subject is known by the token alone, and nobody where it has no name.
    let nobody = |jti: &str| token(&api).without("sub").set("jti", json!(jti)).sign();
    let name = reserved(&api, &nobody("a"));
    assert_eq!(api.gateway.send(&stop(&name).bearer(&nobody("a"))).status, 200);
    unknown(&api, &stop(&name).bearer(&nobody("b")));
    unknown(&api, &stop(&name).bearer(&token(&api).set("sub", json!("a")).sign()));
    let nameless = token(&api).without("sub").without("jti").sign();
    api.refuses(&reserve(&nameless), Reason::InsufficientScope);
}

#[test]
fn an_answer_that_reserves_nothing_is_not_passed_off_as_one() {
    let api = api();
    let owner = token(&api).sign();
    let answers = |status: u16, body: &str, lines: &str| {
        let length = body.len();
        let raw = format!("HTTP/1.1 {status} Said\r\n{lines}Content-Length: {length}\r\n\r\n{body}");
        api.upstream.on_raw("/graphql", raw, crate::harness::upstream::Then::Keep);
        let answer = api.gateway.send(&reserve(&owner).header("Accept-Encoding", "gzip"));
        let seen = api.upstream.last();
        assert_eq!((seen.head.all("accept"), seen.head.all("accept-encoding")), (vec!["text/plain"], vec![]));
        assert!(!answer.text().contains("secret") && !format!("{:?}", answer.headers).contains("secret"));
        answer
    };
    let long = "s".repeat(1025);
    for (status, body) in [
        (200, "secret"),
        (202, "secret"),
        (201, ""),
        (201, "secret name"),
        (201, "secret\nname"),
        (201, &long),
    ] {
        let answer = answers(status, body, "");
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (502, "upstream_failed"),
            "{status} {answer:?}"
        );
    }
    let answer = answers(201, "secret\n", "Content-Type: text/plain\r\nLocation: /secret\r\n");
    assert_eq!((answer.status, answer.header("content-type")), (201, Some("text/plain")), "{answer:?}");
    assert_eq!(answers(201, &"s".repeat(1024), "").status, 201);
    // What it refuses is refused in its own words.
    let answer = answers(409, "taken", "X-Upstream: yes\r\n");
    assert_eq!((answer.status, answer.text().as_str()), (409, "taken"), "{answer:?}");
}

#[test]
fn streams_are_reserved_over_http_2_too() {
    let api = api();
    let client = Client::connect(api.gateway.ports.public);
    let (owner, stranger) = (token(&api).sign(), token(&api).set("sub", json!("mallory")).sign());
    let name = client.send(&reserve(&owner)).text();
    for request in uses(&name) {
        assert_eq!(client.send(&request.bearer(&stranger)).status, 404);
    }
    let mut stream = client.open(&open(&name).bearer(&owner), true).expect("a stream");
    assert_eq!(stream.head().expect("a head").status, 200);
    assert_eq!(client.send(&run(&name, TICKS).bearer(&owner)).status, 202);
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains("ticks") {
        read.extend_from_slice(&stream.data().expect("more").expect("some data"));
    }
    assert_eq!(client.send(&stop(&name).bearer(&owner)).status, 200);
}

/// A WebSocket's URL may have a parameter of that name, which is none of this.
#[test]
fn a_websocket_is_opened_as_ever() {
    for graphql in ["reserved_streams: 1h", "csrf: true"] {
        let route = format!(
            "{{websocket: any, require: {{issuers: [corp], graphql: {{public: [Query], {graphql}}}}}}}"
        );
        let api = api_with(graphql, |setup| setup.no_routes().route("/graphql", &route));
        let offered = handshake("/graphql?token=x").header("Sec-WebSocket-Protocol", "graphql-transport-ws");
        let mut connection = api.gateway.connect();
        connection.write(&offered.octets());
        assert!(connection.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "), "{graphql}");
    }
}
