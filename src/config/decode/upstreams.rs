//! `upstreams`.

use std::sync::Arc;

use crate::config::decode::certificate;
use crate::config::decode::fields::Fields;
use crate::config::decode::names::{self, Named};
use crate::config::decode::process::narrow;
use crate::config::decode::value::Value;
use crate::config::peer::{Peer, Scheme};
use crate::config::problems::{Problem, Wrong, quoted};
use crate::config::shape::table;
use crate::config::shown::UpstreamTls;
use crate::config::{Balance, Health, Upstream, UpstreamHost, defaults, net};

/// Reads `upstreams`.
pub(crate) fn upstreams(file: &Fields<'_>) -> Named<Upstream> {
    let entries = file.value("upstreams").map(|value| value.named("orders: http://10.0.0.5:8080"));
    let read = entries.unwrap_or_default().iter().map(|entry| {
        if let Err(wrong) = names::check(&entry.key) {
            file.report.problem(Problem::new(entry.at, format!("{} {}", quoted(&entry.key), wrong.what)));
        }
        (Box::from(&*entry.key), upstream(&entry.key, Value::of(entry, file.report)).map(Arc::new))
    });
    Named::new(read.collect())
}

fn upstream(name: &str, value: Value<'_>) -> Option<Upstream> {
    let plain = |peers| Upstream {
        name: name.into(),
        peers,
        balance: Balance::default(),
        health: None,
        host: UpstreamHost::default(),
        tls: None,
        connect_timeout: defaults::CONNECT_TIMEOUT,
        response_timeout: defaults::RESPONSE_TIMEOUT,
        max_requests: narrow(defaults::MAX_REQUESTS),
    };
    if value.is_scalar() {
        return Some(plain(vec![peer(value)?]));
    }
    let fields = Fields::open(value, &table::UPSTREAM)?;
    let upstream = Upstream {
        balance: fields.choice("balance"),
        health: fields.value("health").and_then(health),
        host: fields.value("host").and_then(host).unwrap_or_default(),
        connect_timeout: fields.duration("connect_timeout"),
        response_timeout: fields.duration("response_timeout"),
        max_requests: narrow(fields.whole("max_requests")),
        tls: fields.value("tls").and_then(tls),
        ..plain(peers(&fields))
    };
    let secured = upstream.peers.iter().any(|peer| peer.scheme() == Scheme::Https);
    if let (Some(entry), false) = (fields.entry("tls"), secured || upstream.peers.is_empty()) {
        let problem = Problem::new(entry.at, "`tls` of an upstream without an `https` peer");
        fields.report.problem(problem.hint("write its peers as `https://HOST`, or leave `tls` out"));
    }
    (!upstream.peers.is_empty()).then_some(upstream)
}

fn peers(fields: &Fields<'_>) -> Vec<Peer> {
    let mut peers: Vec<Peer> = Vec::new();
    let values = fields.value("peers").map(Value::some).unwrap_or_default();
    if let Some(value) = values.get(defaults::PEERS) {
        value.problem(format!("more than {} peers", defaults::PEERS));
    }
    for value in values.into_iter().take(defaults::PEERS) {
        let Some(peer) = peer(value) else { continue };
        // One address has one scheme: the balancer goes by addresses.
        let place = |peer: &Peer| match peer {
            Peer::Host { host, port, .. } => (host.to_string(), *port),
            Peer::Unix(path) => (path.display().to_string(), 0),
        };
        if peers.iter().any(|other| place(other) == place(&peer)) {
            // The balancer keeps a set of peers: a second one would be accepted and ignored.
            value.problem("a peer is there twice");
        } else {
            peers.push(peer);
        }
    }
    peers
}

fn peer(value: Value<'_>) -> Option<Peer> {
    value.read(|text| net::peer(text, value.report.context.directory))
}

fn tls(value: Value<'_>) -> Option<UpstreamTls> {
    let fields = Fields::open(value, &table::UPSTREAM_TLS)?;
    let (ca, client) = (certificate::file(&fields, "ca"), certificate::beside(&fields));
    Some(UpstreamTls { ca, client, at: fields.at })
}

fn health(value: Value<'_>) -> Option<Health> {
    let path = |value: Value<'_>| value.read(request_path);
    if value.is_scalar() {
        let word = value.word()?;
        let interval = defaults::HEALTH_INTERVAL;
        return if &*word == "none" { None } else { Some(Health { path: path(value)?, interval }) };
    }
    let fields = Fields::open(value, &table::HEALTH)?;
    let interval = fields.duration("interval");
    Some(Health { path: fields.value("path").and_then(path)?, interval })
}

fn request_path(text: &str) -> Result<Box<str>, Wrong> {
    if text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Ok(text.into());
    }
    Err(Wrong::is("is no path").hint("write it as a request does: `/healthz`"))
}

fn host(value: Value<'_>) -> Option<UpstreamHost> {
    if value.is_scalar() {
        return match value.choice(&["keep", "upstream"], &[])? {
            0 => Some(UpstreamHost::Keep),
            _ => Some(UpstreamHost::Upstream),
        };
    }
    let fields = Fields::open(value, &table::HOST)?;
    let literal = fields.value("literal")?;
    literal.read(|text| net::host_and_port(text).map(|()| UpstreamHost::Literal(text.into())))
}
