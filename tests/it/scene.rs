//! The scene itself: a harness that cannot be fooled, or that never fails, proves nothing.

use serde_json::json;

use crate::harness::canary;
use crate::harness::client::{Connection, Request};
use crate::harness::issuer::{Fault, Issuer};
use crate::harness::keys::{ALGORITHMS, Key, encode, mac};
use crate::harness::metrics::Scrape;
use crate::harness::token::Token;
use crate::harness::upstream::{Then, Upstream};

#[test]
fn tokens_are_sound_by_another_implementation() {
    for algorithm in ALGORITHMS {
        let key = Key::new(algorithm, "k1");
        let token = Token::new("https://issuer.test", &key).scope("a").sign();
        let jwk = serde_json::from_value(key.jwk()).expect("a JWK");
        let decoding = jsonwebtoken::DecodingKey::from_jwk(&jwk).expect("a key");
        let algorithm = algorithm.parse().expect("an algorithm");
        let mut validation = jsonwebtoken::Validation::new(algorithm);
        validation.set_audience(&["api"]);
        let claims =
            jsonwebtoken::decode::<serde_json::Value>(&token, &decoding, &validation).expect("sound");
        assert_eq!(claims.claims["scope"], json!("a"));
    }
    // What forges with an empty secret works as well.
    assert_eq!(mac("HS256", b"", b"x").len(), 32);
}

#[test]
fn the_upstream_can_be_fooled() {
    let hostile =
        "POST / HTTP/1.1\r\nContent-Length: 34, 34\r\n\r\nGET /admin HTTP/1.1\r\nHost: evil\r\n\r\n";
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address).unaudited();
    connection.write(hostile.as_bytes());
    connection.finish_writing();
    connection.read_to_end();
    let paths: Vec<String> = upstream.requests().iter().map(|seen| seen.head.path().to_owned()).collect();
    assert_eq!(paths, ["/", "/admin"]);
}

#[test]
fn the_upstream_records_and_follows_its_script() {
    let upstream = Upstream::start();
    upstream.on_raw("/raw", "HTTP/1.1 204 No Content\r\nX-Tag: 1\r\n\r\n", Then::Close);
    let mut connection = Connection::open(upstream.address).unaudited();
    let chunked =
        "POST /a?b HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX_Y: z\r\n\r\n3\r\nabc\r\n0\r\nT: r\r\n\r\n";
    connection.write(chunked.as_bytes());
    assert_eq!(connection.answer().status, 200);
    let seen = upstream.last();
    assert_eq!((seen.body.as_slice(), seen.whole, seen.head.path()), (&b"abc"[..], true, "/a"));
    assert_eq!(seen.head.aliases("x-y"), ["X_Y"]);
    assert_eq!(connection.send(&Request::get("/raw")).status, 204);
    connection.expect_end();
    assert_eq!((upstream.count(), upstream.count_of("/raw"), upstream.connections()), (2, 1, 1));
    upstream.go_down();
    assert!(Connection::from_source([127, 0, 0, 1].into(), upstream.address).is_err());
    upstream.come_up();
    let mut connection = Connection::open(upstream.address).unaudited();
    assert_eq!(connection.send(&Request::get("/")).status, 200);
}

#[test]
fn the_issuer_serves_its_keys_and_breaks_on_demand() {
    let issuer = Issuer::start();
    let fetch = || {
        let address = issuer.iss.trim_start_matches("http://").parse().expect("an address");
        Connection::open(address).unaudited().send(&Request::get("/jwks.json"))
    };
    assert_eq!(fetch().json(), issuer.jwks());
    issuer.rotate("k2");
    assert_eq!(fetch().json()["keys"].as_array().map(Vec::len), Some(2));
    issuer.set_fault(Fault::ServerError);
    assert_eq!(fetch().status, 500);
    assert_eq!(issuer.fetches(), 3);
}

#[test]
fn canaries_are_found_and_other_texts_are_not() {
    let token = Issuer::start().mint("a");
    assert!(canary::find(&format!("a log line with {token} in it")).is_some());
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    assert!(canary::find(&format!("\"{signature}\"")).is_some());
    assert!(canary::find(input).is_none());
    assert!(canary::find(&encode(&[0; 64])).is_none());
}

#[test]
fn samples_are_summed_by_their_labels() {
    let text = "# HELP x y\nportcullis_a{b=\"c\\\"d\",e=\"f\"} 2\nportcullis_a{b=\"g\",e=\"f\"} 3.5\nup 1\n";
    let scrape = Scrape::parse(text);
    assert_eq!(scrape.sum("a", &[]), 5.5);
    assert_eq!(scrape.sum("a", &[("b", "c\"d")]), 2.0);
    assert_eq!(scrape.sum("a", &[("b", "nobody")]), 0.0);
    assert_eq!(scrape.values("a", "e").into_iter().collect::<Vec<_>>(), ["f"]);
}
