//! Trailers: an answer's travel to whoever takes them, a request's never do (threats H6).

use crate::harness::api::{Api, assert_allowed};
use crate::harness::client::Request;
use crate::harness::h2::client::Client;
use crate::harness::upstream::Then;

const TRAILERS: &str = "grpc-status: 0\r\nX-Checksum: abc\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: evil\r\n\
                        Connection: close\r\nAccess-Control-Allow-Origin: *\r\nX-Forwarded-For: 1.1.1.1\r\nSet-Cookie: a=b\r\n\
                        X_Forwarded_Host: evil\r\nAuthorization: x\r\n";

fn api() -> Api {
    let api = Api::with(|setup| setup.route("/any/{*rest}", "public"));
    let answer = format!(
        "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n{TRAILERS}\r\n"
    );
    api.upstream.on_raw("/any/trailers", answer, Then::Keep);
    api
}

fn kept() -> Vec<(String, String)> {
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![line("grpc-status", "0"), line("x-checksum", "abc")]
}

fn lower(trailers: &[(String, String)]) -> Vec<(String, String)> {
    trailers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
}

#[test]
fn an_answers_trailers_reach_a_client_that_takes_them() {
    let api = api();
    let mut connection = api.gateway.connect().taking_trailers();
    let request = Request::get("/any/trailers").header("TE", "trailers").header("Connection", "TE");
    for _ in 0..2 {
        let response = connection.send(&request);
        assert_eq!((response.text().as_str(), lower(&response.trailers)), ("body", kept()));
    }
    // The harness fails on trailers that nobody asked for.
    assert_eq!(api.gateway.send(&Request::get("/any/trailers")).text(), "body");
    let response = Client::connect(api.gateway.ports.public).send(&Request::get("/any/trailers"));
    assert_eq!((response.text().as_str(), response.trailers), ("body", kept()));
}

#[test]
fn h6_a_requests_trailers_never_reach_the_upstream() {
    let api = api();
    let mut connection = api.gateway.connect();
    connection.write(
        b"POST /any/x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX_User_Id: evil-trailer\r\n\r\n",
    );
    assert_allowed(&connection.answer());
    let client = Client::connect(api.gateway.ports.public);
    let mut stream = client.open(&Request::new("POST", "/any/x"), false).expect("a stream");
    stream.send_data(b"body", false).expect("room");
    stream.send_trailers(&[("x-user-id", "evil-trailer"), ("x-forwarded-prefix", "evil-trailer")]);
    assert_allowed(&stream.answer().expect("an answer"));
    assert_eq!(api.upstream.count(), 2);
    for seen in api.upstream.requests() {
        assert!(seen.whole && seen.body == b"body", "{seen:?}");
    }
    assert!(!api.upstream.raw().contains("evil-trailer"), "{}", api.upstream.raw());
}
