//! What brings an operation has to be what every server reads alike (graphql.md 2.3): bypasses of others, refused here.

use portcullis::gate::denial::Reason;

use crate::graphql::posted::{CREATE, ROUTE, api, body, check, get, post, refused, runs};
use crate::harness::client::Request;

const MEDIA: &str = "UNSUPPORTED_MEDIA_TYPE";

#[test]
fn g15_a_member_that_stands_twice_is_refused() {
    let api = api(ROUTE);
    for twice in [
        r#"{"query":"{__typename}","query":"mutation{CreatePerson{x}}"}"#,
        r#"{"query":"mutation{CreatePerson{x}}","query":"{__typename}"}"#,
        r#"{"query":"{__typename}","\u0071uery":"mutation{CreatePerson{x}}"}"#,
        r#"{"query":"{__typename}","Query":"mutation{CreatePerson{x}}"}"#,
        r#"{"Query":"{__typename}"}"#,
        r#"{"query":"{a}","operationName":"a","operationName":"b"}"#,
    ] {
        check(&api, &post(twice), Some("BAD_REQUEST"));
    }
}

#[test]
fn g17_other_bodies_than_json_are_not_looked_at() {
    let api = api(ROUTE);
    let multipart =
        "--x\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{\"query\":\"{a}\"}\r\n--x--\r\n";
    for (media, body) in [
        ("multipart/form-data; boundary=x", multipart),
        ("application/graphql", "{a}"),
        ("application/x-www-form-urlencoded", "query=%7Ba%7D"),
        ("text/plain", r#"{"query":"{a}"}"#),
        ("application/json; charset=utf-16", r#"{"query":"{a}"}"#),
    ] {
        let request = Request::post("/graphql", body).header("Content-Type", media);
        refused(&api, &request, Reason::UnsupportedMediaType, MEDIA);
    }
    refused(&api, &Request::post("/graphql", body("{a}")), Reason::UnsupportedMediaType, MEDIA);
    let twice = post(body("{a}")).header("Content-Type", "text/plain");
    // No head has two of them, whatever the route.
    api.refuses(&twice, Reason::MalformedRequest);
    runs(
        &api,
        &Request::post("/graphql", body("{a}")).header("Content-Type", "application/json; charset=UTF-8"),
    );
}

#[test]
fn d7_a_body_in_another_encoding_is_not_decoded() {
    let api = api(ROUTE);
    for encoding in ["gzip", "br", "identity"] {
        let request = post([0x1f, 0x8b, 8, 0]).header("Content-Encoding", encoding);
        refused(&api, &request, Reason::UnsupportedMediaType, MEDIA);
    }
}

#[test]
fn the_url_of_a_post_names_no_operation() {
    let api = api(ROUTE);
    for query in [
        "query=mutation%7BCreatePerson%7Bx%7D%7D",
        "QUERY=x",
        "%71uery=x",
        "query[]=x",
        "a=b;query=x",
        // What qs, Rack, PHP and readers of a second mark make of names.
        "[query]=mutation%7BCreatePerson%7Bx%7D%7D",
        "%5Bquery%5D=x",
        ".query=x",
        "%71uery%00%ff=x",
        "?query=x",
        "doc.id=x",
        "operationName=M",
        "variables=%7B%7D",
        "extensions=%7B%7D",
        "id=x",
        "documentId=x",
    ] {
        let request = Request::post(&format!("/graphql?{query}"), body("{__typename}"));
        check(&api, &request.header("Content-Type", "application/json"), Some("BAD_REQUEST"));
    }
    let other = Request::post("/graphql?trace=1", body("{a}")).header("Content-Type", "application/json");
    runs(&api, &other);
}

#[test]
fn what_is_no_json_in_utf_8_is_refused() {
    let api = api(ROUTE);
    let sixteen: Vec<u8> = body("{a}").bytes().flat_map(|octet| [octet, 0]).collect();
    for bad in [
        &b"\xef\xbb\xbf{\"query\":\"{a}\"}"[..],
        &sixteen,
        b"{\"query\":\"{a}\\ud800\"}",
        b"{\"query\":\"\xff{a}\"}",
        b"{\"query\":\"{a}\"}{}",
        b"{\"query\":{\"query\":\"{a}\"}}",
        b"{\"query\":\"{a}\",\"variables\":[]}",
        b"",
    ] {
        check(&api, &post(bad), Some("BAD_REQUEST"));
    }
    // In the document itself a mark is no white space either.
    let marked = api.gateway.send(&post("{\"query\":\"\u{feff}mutation{CreatePerson{x}}\"}"));
    assert!([400, 401].contains(&marked.status), "{marked:?}");
    assert_eq!(api.upstream.count(), 0);
}

#[test]
fn what_is_unknown_goes_on_as_it_is() {
    let api = api(ROUTE);
    runs(
        &api,
        &post(" {\"onError\" : \"NULL\",\n\"query\":\"{a}\" , \"variables\":{\"n\": 1.50}, \"x\":[1,2] } "),
    );
    runs(&api, &post(r#"{"query":"\u007ba}","operationName":null,"extensions":{"k":{"a":1,"a":2}}}"#));
}

#[test]
fn xs_search_a_get_of_an_odd_kind_is_refused() {
    let api = api(ROUTE);
    for media in ["message/json", "text/plain", "application/x-www-form-urlencoded"] {
        let request = get("{a}").header("Content-Type", media);
        refused(&api, &request, Reason::UnsupportedMediaType, MEDIA);
    }
    let request = get("{a}").body("{}");
    refused(&api, &request, Reason::UnsupportedMediaType, MEDIA);
    for query in ["query={a}&query={b}", "query={a};query={b}", "query=%ff", "query[]={a}", "Query={a}"] {
        check(&api, &Request::get(&format!("/graphql?{query}")), Some("BAD_REQUEST"));
    }
    check(&api, &Request::get("/graphql"), Some("BAD_REQUEST"));
}

#[test]
fn csrf_a_get_that_any_page_could_send_is_refused() {
    let api = api(&ROUTE.replace("csrf: false", "csrf: true"));
    check(&api, &get("{a}"), Some("CSRF_ERROR"));
    api.allows(&get("{a}").header("GraphQL-Require-Preflight", "1"));
    api.allows(&get("{a}").header("X-Apollo-Operation-Name", "Q"));
    api.allows(&get("{a}").header("Content-Type", "application/json"));
    runs(&api, &post(body("{a}")));
    check(&api, &post(body(CREATE)), Some("UNAUTHENTICATED"));
}
