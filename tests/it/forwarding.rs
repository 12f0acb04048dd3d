//! What the upstream is sent besides identity: hosts, paths, traces; and which peer it is.

use std::collections::BTreeMap;

use portcullis::gate::denial::Reason::UpstreamFailed;
use serde_json::json;

use crate::harness::api::{Api, assert_allowed, assert_refused, usual};
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::Upstream;
use crate::harness::wait::wait_until;

#[test]
fn the_upstream_gets_the_host_it_is_configured_to_get() {
    let upstream = Upstream::start();
    let peers = format!("peers: {:?}", upstream.url());
    let hosts = [
        ("default", format!("{{{peers}}}"), "api.test:8080".to_owned()),
        ("keep", format!("{{{peers}, host: keep}}"), "api.test:8080".to_owned()),
        ("upstream", format!("{{{peers}, host: upstream}}"), upstream.address.to_string()),
        ("literal", format!("{{{peers}, host: {{literal: api.internal}}}}"), "api.internal".to_owned()),
    ];
    let setup = hosts.iter().fold(usual(&upstream).no_routes(), |setup, (name, value, _)| {
        let route = format!("{{require: public, upstream: {name}}}");
        setup.upstream_as(name, value).route(&format!("/{name}"), &route)
    });
    let gateway = setup.start();
    for (name, _, host) in &hosts {
        assert_allowed(&gateway.send(&Request::get(&format!("/{name}")).host("api.test:8080")));
        let head = upstream.last().head;
        assert_eq!(head.all("host"), [host.as_str()], "{name}");
        assert_eq!(head.header("x-forwarded-host"), Some("api.test:8080"), "{name}");
    }
}

#[test]
fn what_is_not_ours_passes_through() {
    let api = Api::start();
    let request = Request::get("/health?a=1&b=%20&&c")
        .header("Accept", "text/html, */*;q=0.1")
        .header("X-Twice", "1")
        .header("X-Twice", "2")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("tracestate", "a=b")
        .header("Cookie", "a=b; c=\"d\"")
        .header("User-Agent", "it/1");
    api.allows(&request);
    let head = api.upstream.last().head;
    assert_eq!(head.target, "/health?a=1&b=%20&&c");
    assert_eq!(head.version, "HTTP/1.1");
    assert_eq!(head.all("x-twice"), ["1", "2"]);
    for (name, value) in [
        ("accept", "text/html, */*;q=0.1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "a=b"),
        ("cookie", "a=b; c=\"d\""),
        ("user-agent", "it/1"),
    ] {
        assert_eq!(head.all(name), [value]);
    }
    // And back: what the upstream says, it says to the client.
    let answer = "HTTP/1.1 418 Teapot\r\nX-Upstream: yes\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nETag: \"x\"\r\n\
                  Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nshort";
    api.upstream.on_raw("/health", answer, crate::harness::upstream::Then::Keep);
    let response = api.gateway.send(&Request::get("/health"));
    assert_eq!((response.status, response.text().as_str()), (418, "short"));
    assert_eq!(response.all("set-cookie"), ["a=1", "b=2"]);
    assert!(response.header("x-hop").is_none() && response.header("keep-alive").is_none(), "{response:?}");
}

/// How often each of the peers was asked.
fn shares(peers: &[Upstream]) -> Vec<usize> {
    peers.iter().map(Upstream::count).collect()
}

fn balanced(balance: &str, peers: &[Upstream], issuer: &Issuer) -> crate::harness::gateway::Gateway {
    let urls: Vec<String> = peers.iter().map(Upstream::url).collect();
    let value = format!("{{peers: {urls:?}, balance: {balance}}}");
    usual(&peers[0]).workers(1).upstream_as("api", &value).issuer("corp", issuer).start()
}

#[test]
fn requests_go_round_the_peers() {
    let (peers, issuer) = ([Upstream::start(), Upstream::start(), Upstream::start()], Issuer::start());
    let gateway = balanced("round_robin", &peers, &issuer);
    for _ in 0..30 {
        assert_allowed(&gateway.send(&Request::get("/health")));
    }
    assert_eq!(shares(&peers), [10, 10, 10]);
}

#[test]
fn the_peer_with_the_fewest_requests_is_asked() {
    let (peers, issuer) = ([Upstream::start(), Upstream::start()], Issuer::start());
    peers[0].on("/health", |exchange| {
        while !exchange.read_some()?.is_empty() {}
        Ok(crate::harness::upstream::Then::Close)
    });
    let gateway = balanced("least_requests", &peers, &issuer);
    // One request is stuck at the first peer; from then on the second is always the less busy one.
    let mut stuck: Vec<_> = (0..2).map(|_| gateway.connect()).collect();
    for connection in &mut stuck {
        connection.write(&Request::get("/health").octets());
    }
    wait_until("both are asked", || shares(&peers).iter().sum::<usize>() == 2);
    let before = peers[1].count();
    if peers[0].count() > 0 {
        for _ in 0..10 {
            assert_allowed(&gateway.send(&Request::get("/health")));
        }
        assert_eq!(peers[1].count() - before, 10);
    } else {
        panic!("the first peer was never asked: {:?}", shares(&peers));
    }
}

#[test]
fn a_subject_stays_with_its_peer() {
    let (peers, issuer) = ([Upstream::start(), Upstream::start(), Upstream::start()], Issuer::start());
    let gateway = balanced("consistent_hash", &peers, &issuer);
    let mut homes: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0..3 {
        for n in 0..24 {
            let subject = format!("subject-{n}");
            let before = shares(&peers);
            assert_allowed(&gateway.get("/me", &issuer.token().set("sub", json!(subject)).sign()));
            let after = shares(&peers);
            let home = (0..3).find(|&peer| after[peer] > before[peer]).expect("some peer was asked");
            let known = *homes.entry(subject.clone()).or_insert(home);
            assert_eq!(known, home, "{subject} in round {round}");
        }
    }
    assert!(
        shares(&peers).iter().filter(|&&share| share > 0).count() > 1,
        "all on one peer: {:?}",
        shares(&peers)
    );
}

#[test]
fn a_peer_that_is_not_well_is_not_asked() {
    let (well, ill) = (Upstream::start(), Upstream::start());
    ill.on("/healthz", |exchange| exchange.answer(500, "", b""));
    let urls = [well.url(), ill.url()];
    let issuer = Issuer::start();
    let value = format!("{{peers: {urls:?}, health: {{path: /healthz, interval: 100ms}}}}");
    let gateway = usual(&well).upstream_as("api", &value).issuer("corp", &issuer).start();
    wait_until("checks are made", || ill.count_of("/healthz") > 3);
    wait_until("the ill peer is left out", || {
        let before = ill.count_of("/health");
        for _ in 0..6 {
            assert_allowed(&gateway.send(&Request::get("/health")));
        }
        ill.count_of("/health") == before
    });
    // And taken back when it is well.
    ill.on("/healthz", |exchange| exchange.answer(200, "", b""));
    wait_until("it is asked again", || {
        let before = ill.count_of("/health");
        assert_allowed(&gateway.send(&Request::get("/health")));
        ill.count_of("/health") > before
    });
    // A check carries no client's anything.
    let check = well.requests().into_iter().find(|seen| seen.head.path() == "/healthz").expect("a check");
    assert_eq!(check.head.method, "GET");
    assert!(check.head.header("authorization").is_none());
}

#[test]
fn with_no_peer_left_the_answer_is_502() {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let gateway = usual(&upstream).issuer("corp", &issuer).start();
    upstream.go_down();
    assert_refused(&gateway.send(&Request::get("/health")), UpstreamFailed);
}

/// Connections to the upstream are kept and used again.
#[test]
fn upstream_connections_are_reused() {
    let api = Api::with(|setup| setup.workers(1));
    let mut connection = api.gateway.connect();
    for _ in 0..50 {
        assert_allowed(&connection.send(&Request::get("/health")));
    }
    assert!(
        api.upstream.connections() <= 2,
        "{} connections for 50 requests in a row",
        api.upstream.connections()
    );
}
