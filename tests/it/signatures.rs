//! Tokens never seen before: each costs one signature, and their signatures stand in nobody's way.
//!
//! Nothing here depends on how fast anything is: while the gateway is stopped, requests gather in front of it, and all of
//! them are there when it goes on.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use portcullis::gate::denial::Reason::{BadSignature, InsufficientScope, NoCredentials, Overloaded};

use serde_json::json;

use crate::harness::api::{Api, assert_allowed, assert_refused, usual};
use crate::harness::certificates::Authority;
use crate::harness::client::{Connection, Outcome, Request, Response};
use crate::harness::gateway::Gateway;
use crate::harness::h2::client::Client;
use crate::harness::issuer::{Fault, Issuer};
use crate::harness::keys::{Key, random, random_name};
use crate::harness::tls::TlsClient;
use crate::harness::upstream::Upstream;
use crate::harness::wait::{PATIENCE, wait_until};

/// One worker: a line is a worker's own.
fn api(limits: &'static str) -> Api {
    let issuer = Issuer::with_keys(vec![Key::new("ES256", "k1")]);
    Api::with_issuer(issuer, |setup, issuer| setup.workers(1).issuer("corp", issuer).limits(limits).quiet())
}

fn orders(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

/// A request with a token that nobody has sent, signed by nobody.
fn forged(api: &Api) -> Request {
    orders(&api.issuer.token().scope("orders:read").with_signature(&random(64)))
}

/// Signatures verified so far.
fn verified(api: &Api) -> f64 {
    api.gateway.metric("token_verify_seconds_count", &[])
}

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// A connection from 127.0.0.`last` that has been served once.
fn from(api: &Api, last: u8) -> Connection {
    let connection = Connection::from_source(address(last), api.gateway.ports.public);
    let mut connection = connection.expect("the gateway accepts");
    assert_allowed(&connection.send(&Request::get("/health")));
    connection
}

/// Sends each request on a connection of its own from 127.0.0.`last`, so that the gateway finds all of them at once and
/// in this order; gives the answers.
fn at_once(api: &Api, requests: &[(u8, Request)]) -> Vec<Response> {
    let mut connections: Vec<Connection> = requests.iter().map(|(last, _)| from(api, *last)).collect();
    api.gateway.stopped(|| {
        for (connection, (_, request)) in connections.iter_mut().zip(requests) {
            connection.write(&request.octets());
        }
    });
    connections.iter_mut().map(Connection::answer).collect()
}

fn count(responses: &[Response], reason: &str) -> usize {
    responses.iter().filter(|response| response.reason() == reason).count()
}

/// U5: what there is no room for is `overloaded`, a 503 with a time to come back, and never a 401 (the audit of every
/// answer holds it to that). What needs no signature does not hear of it, and what was turned away is judged when it
/// comes back.
#[test]
fn u5_past_the_bound_new_tokens_are_overloaded_and_nothing_else_is() {
    let api = api("signatures_in_flight: 8");
    let cached = orders(&api.reader());
    api.allows(&cached);
    let before = verified(&api);
    let flood: Vec<Request> = (0..30).map(|_| forged(&api)).collect();
    let mut requests: Vec<(u8, Request)> = flood.iter().map(|request| (1, request.clone())).collect();
    requests.extend((0..10).map(|_| (1, cached.clone())));
    requests.extend((0..10).map(|_| (1, Request::get("/orders/1"))));
    let responses = at_once(&api, &requests);
    let (of_flood, others) = responses.split_at(flood.len());
    for response in &others[..10] {
        assert_allowed(response);
    }
    for response in &others[10..] {
        assert_refused(response, NoCredentials);
    }
    assert_eq!(count(of_flood, BadSignature.code()), 8, "as many as there is room for: {of_flood:?}");
    assert_eq!(verified(&api) - before, 8.0);
    for (request, response) in flood.iter().zip(of_flood) {
        if response.reason() != BadSignature.code() {
            assert_refused(response, Overloaded);
            assert_eq!(response.header("retry-after"), Some("1"));
            api.refuses(request, BadSignature);
        }
    }
    assert_eq!(verified(&api) - before, 30.0, "each of them once");
}

/// A flood that is turned away is not back at once: it hears of it a little later.
#[test]
fn u5_who_is_turned_away_comes_back_later() {
    let api = api("signatures_in_flight: 1");
    let mut connections: Vec<Connection> = (0..10).map(|_| from(&api, 1)).collect();
    let begun = api.gateway.stopped(|| {
        for connection in &mut connections {
            connection.write(&forged(&api).octets());
        }
        Instant::now()
    });
    let responses: Vec<Response> = connections.iter_mut().map(Connection::answer).collect();
    assert_eq!(count(&responses, Overloaded.code()), 9, "{responses:?}");
    assert!(begun.elapsed() >= Duration::from_millis(50), "{:?}", begun.elapsed());
}

/// Single flight: however many bring one new token at once, it is verified once, and nobody is turned away.
#[test]
fn u5_concurrent_uses_of_a_new_token_share_one_signature() {
    let api = api("signatures_in_flight: 1");
    let good = api.reader();
    let before = verified(&api);
    let mut requests: Vec<(u8, Request)> = (0..150).map(|_| (1, orders(&good))).collect();
    // Shared is the signature alone: each request is decided for itself.
    requests.push((1, Request::post("/orders", "").bearer(&good)));
    let mut responses = at_once(&api, &requests);
    assert_refused(&responses.pop().expect("one for each request"), InsufficientScope);
    responses.iter().for_each(assert_allowed);
    assert_eq!(verified(&api) - before, 1.0);

    let bad = forged(&api);
    let requests: Vec<(u8, Request)> = (0..150).map(|_| (1, bad.clone())).collect();
    for response in at_once(&api, &requests) {
        assert_refused(&response, BadSignature);
    }
    assert_eq!(verified(&api) - before, 2.0);
}

/// Where nothing can be remembered, whoever waited for another's signature gets one of its own.
#[test]
fn u5_what_cannot_be_remembered_is_verified_for_each() {
    let api = api("verified_cache: 0B, signatures_in_flight: 40");
    let token = api.reader();
    let requests: Vec<(u8, Request)> = (0..30).map(|_| (1, orders(&token))).collect();
    at_once(&api, &requests).iter().for_each(assert_allowed);
}

/// R3: a bad token that is remembered costs no signature, however often it comes.
#[test]
fn r3_a_remembered_bad_token_costs_no_signature() {
    let api = api("signatures_in_flight: 8");
    let bad = forged(&api);
    api.refuses(&bad, BadSignature);
    let before = verified(&api);
    for _ in 0..20 {
        api.refuses(&bad, BadSignature);
    }
    let requests: Vec<(u8, Request)> = (0..20).map(|n| (n, bad.clone())).collect();
    for response in at_once(&api, &requests) {
        assert_refused(&response, BadSignature);
    }
    assert_eq!(verified(&api), before);
}

/// Whoever floods loses places to others, and takes none from them.
#[test]
fn u5_a_flood_from_one_address_takes_no_place_from_others() {
    let api = api("signatures_in_flight: 8");
    for flood_first in [true, false] {
        let before = verified(&api);
        let mut requests: Vec<(u8, Request)> = (0..30).map(|_| (2, forged(&api))).collect();
        let good = (3..=5).map(|last| (last, orders(&api.reader())));
        match flood_first {
            true => requests.extend(good),
            false => requests.splice(..0, good).for_each(drop),
        }
        let responses = at_once(&api, &requests);
        for ((last, _), response) in requests.iter().zip(&responses) {
            if *last != 2 {
                assert_allowed(response);
            }
        }
        assert_eq!(count(&responses, BadSignature.code()), 5, "{responses:?}");
        assert_eq!(count(&responses, Overloaded.code()), 25, "{responses:?}");
        assert_eq!(verified(&api) - before, 8.0);
    }
}

/// Whoever waits for a signature that somebody else's flood stood in line with does not lose it with that one.
#[test]
fn u5_a_shared_place_that_is_lost_is_not_lost_for_others() {
    let api = api("signatures_in_flight: 4");
    let shared = orders(&api.reader());
    let mut requests: Vec<(u8, Request)> = (0..3).map(|_| (2, forged(&api))).collect();
    requests.push((2, shared.clone()));
    requests.push((3, shared.clone()));
    // This one needs the flood's last place.
    requests.push((4, orders(&api.reader())));
    let responses = at_once(&api, &requests);
    assert_refused(&responses[3], Overloaded);
    assert_allowed(&responses[4]);
    assert_allowed(&responses[5]);
}

/// Those that wait for one signature are turned away together, each from the route that it asked for.
#[test]
fn a_place_that_was_lost_together_was_counted_for_the_first_ones_route() {
    let api = api("signatures_in_flight: 4");
    let shared = api.reader();
    let mut requests: Vec<(u8, Request)> = (0..3).map(|_| (2, forged(&api))).collect();
    requests.push((2, orders(&shared)));
    requests.push((2, Request::get("/me").bearer(&shared)));
    // This one needs the place of both.
    requests.push((4, orders(&api.reader())));
    let responses = at_once(&api, &requests);
    assert_refused(&responses[3], Overloaded);
    assert_refused(&responses[4], Overloaded);
    for route in ["GET /orders/{id}", "GET /me"] {
        let refused = [("route", route), ("reason", Overloaded.code())];
        assert_eq!(api.gateway.metric("decisions_total", &refused), 1.0, "{route}");
    }
}

/// Clients that have gone wait for nothing: their places are others', and no signature is verified for them.
#[test]
fn u5_a_client_that_goes_away_frees_its_place() {
    let api = api("signatures_in_flight: 4");
    let before = verified(&api);
    for _ in 0..5 {
        let gone: Vec<Connection> = (0..8).map(|_| from(&api, 1)).collect();
        let mut staying: Vec<Connection> = (0..4).map(|_| from(&api, 1)).collect();
        api.gateway.stopped(|| {
            for mut connection in gone {
                connection.write(&forged(&api).octets());
            }
            for connection in &mut staying {
                connection.write(&orders(&api.reader()).octets());
            }
        });
        for connection in &mut staying {
            assert_allowed(&connection.answer());
        }
    }
    assert_eq!(verified(&api) - before, 20.0);
}

/// The line empties: after any flood there is as much room as before it.
#[test]
fn u5_nothing_is_left_of_a_flood() {
    let api = api("signatures_in_flight: 2");
    for _ in 0..10 {
        let requests: Vec<(u8, Request)> = (0..20).map(|n| (n % 3 + 1, forged(&api))).collect();
        let responses = at_once(&api, &requests);
        assert_eq!(count(&responses, BadSignature.code()), 2, "{responses:?}");
        assert_eq!(count(&responses, Overloaded.code()), 18, "{responses:?}");
    }
    // At once, and from an address that had most of it.
    let requests: Vec<(u8, Request)> = (0..2).map(|_| (1, orders(&api.reader()))).collect();
    at_once(&api, &requests).iter().for_each(assert_allowed);
    api.allows_token(&api.reader());
}

/// While a flood goes on and on, a client with a token that was seen before is always answered, and one with new tokens
/// at another address is too.
#[test]
fn u5_healthy_clients_are_answered_throughout_a_flood() {
    let api = api("signatures_in_flight: 8");
    let cached = orders(&api.reader());
    api.allows(&cached);
    let mut flood: Vec<Connection> = (0..32).map(|_| from(&api, 2)).collect();
    let mut healthy = (from(&api, 3), from(&api, 4));
    let (mut refused, mut turned_away) = (0, 0);
    wait_until("the flood is past its bound", || {
        api.gateway.stopped(|| {
            for connection in &mut flood {
                connection.write(&forged(&api).octets());
            }
            healthy.0.write(&cached.octets());
            healthy.1.write(&orders(&api.reader()).octets());
        });
        assert_allowed(&healthy.0.answer());
        assert_allowed(&healthy.1.answer());
        for connection in &mut flood {
            match connection.wait("GET", PATIENCE) {
                Outcome::Answer(response) if response.reason() == Overloaded.code() => turned_away += 1,
                Outcome::Answer(response) => {
                    assert_refused(&response, BadSignature);
                    refused += 1;
                }
                outcome @ (Outcome::Closed | Outcome::Silence) => panic!("{outcome:?}"),
            }
        }
        refused > 200 && turned_away > 0
    });
}

/// Whoever goes away waits for nothing, neither for a signature nor for the keys to verify it with: the request ends
/// there and then, by a connection that closes, in the clear or over TLS, or by a stream that is reset.
#[test]
fn u3_a_client_that_has_gone_waits_for_no_keys() {
    let (issuer, upstream) = (Issuer::start(), Upstream::start());
    let shown = Authority::new("ours");
    let files = shown.server(&["api.test"]);
    let start = |tls: bool| {
        // Longer than anything here is waited for.
        let members = "cooldown: 100ms, miss_wait: 30s";
        let setup = usual(&upstream).workers(1).issuer_fetched("corp", &issuer, members);
        let over_tls = "tls: {certificate: cert.pem, private_key: {file: key.pem}}";
        let setup = setup.file("cert.pem", &files.certificate).file("key.pem", &files.key);
        if tls { setup.listener(over_tls).start() } else { setup.start() }
    };
    let unknown = || {
        let token = issuer.token().scope("orders:read").header("kid", json!(random_name()));
        orders(&token.with_signature(&random(64)))
    };
    let ended =
        |gateway: &Gateway| gateway.wait_for_log(&["portcullis::access", "/orders/1", "\"status\":0"]);
    let asked = |before: usize| wait_until("keys are asked for", || issuer.fetches() > before);
    for way in ["plain", "tls", "h2"] {
        issuer.set_fault(Fault::None);
        let gateway = start(way == "tls");
        issuer.set_fault(Fault::Hang);
        let before = issuer.fetches();
        match way {
            "h2" => {
                let client = Client::connect(gateway.ports.public);
                let mut stream = client.open(&unknown(), true).expect("a stream");
                asked(before);
                stream.reset();
                ended(&gateway);
            }
            "tls" => {
                let mut connection = TlsClient::new(&shown).connect(gateway.ports.public, "api.test");
                connection.write(&unknown().octets());
                asked(before);
                drop(connection);
                ended(&gateway);
            }
            _ => {
                let mut connection = gateway.connect();
                connection.write(&unknown().octets());
                asked(before);
                drop(connection);
                ended(&gateway);
            }
        }
    }
    assert_eq!(upstream.count(), 0);
}
