//! What is accepted, and what it means.

use std::path::PathBuf;
use std::time::Duration;

use super::{config, file, issuer, read, route};
use crate::config::forward::ArrayForm;
use crate::config::log::LogFormat;
use crate::config::peer::Peer;
use crate::config::streams::{Literal, Streams, Warning};
use crate::config::{
    Balance, Enforce, Health, Issuer, KeySource, Require, Requirement, Secret, SecretSource, TokenPlace,
    TokenType, UpstreamHost,
};
use crate::token::Algorithm;
use crate::token::claims::Selector;
use crate::token::scope::ScopeMatch;

fn the_issuer(more: &str) -> Issuer {
    Issuer::clone(&config(&issuer(more)).issuers[0])
}

fn requirement(text: &str) -> Requirement {
    match &config(&file(&[("routes", &format!("{{/x: {text}}}"))])).routes[0].require {
        Require::Token(requirement) => requirement.clone(),
        Require::Public => panic!("{text} is public"),
    }
}

/// Accepted, as the reference shows it; but not in silence.
#[test]
fn an_authority_that_nobody_is_verified_by_warns() {
    let text = "{certificate: a, private_key: {file: b}, client_ca: c}";
    let (config, warnings) = read(&file(&[("listeners", &format!("[{{address: 1.2.3.4:5, tls: {text}}}]"))]))
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert!(config.listeners[0].tls.is_some());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].what.contains("`client_ca` is not used"), "{warnings:?}");
}

#[test]
fn short_forms_mean_their_long_forms() {
    let short = config(&file(&[("listeners", "127.0.0.1:8080"), ("admin", "127.0.0.1:9900")]));
    let long = config(&file(&[
        ("listeners", "[{address: 127.0.0.1:8080, proxy_protocol: none}]"),
        ("admin", "{address: 127.0.0.1:9900}"),
        ("upstreams", "{api: {peers: [http://127.0.0.1:3000], health: none, host: keep}}"),
        ("routes", "{/x: {require: authenticated, on_stale_revocations: serve}}"),
        ("limits", "{token: 8KiB}"),
    ]));
    assert_eq!(short.listeners, long.listeners);
    assert_eq!(short.upstreams, long.upstreams);
    assert_eq!(short.limits, long.limits);
    assert_eq!(short.routes[0].require, long.routes[0].require);
    assert_eq!(short.admin.map(|admin| admin.address), long.admin.map(|admin| admin.address));
    assert_eq!(requirement("orders:read"), requirement("{require: {scopes: [orders:read]}}"));
    assert_eq!(requirement("orders:read"), requirement("{require: orders:read}"));
}

/// Fetches may be as frequent as their schedule allows.
#[test]
fn the_shortest_times_between_fetches() {
    let fast = the_issuer("refresh: 100ms, cooldown: 100ms");
    assert_eq!((fast.refresh, fast.cooldown), (Duration::from_millis(100), Duration::from_millis(100)));
}

#[test]
fn requirements() {
    let authenticated = Requirement { issuers: vec![0], ..Requirement::default() };
    assert_eq!(requirement("authenticated"), authenticated);
    assert_eq!(requirement("{require: {issuers: corp}}"), authenticated);
    let any = requirement("{require: {any_scope: [a, b], when: claims.a == 'b'}}");
    assert_eq!(any.any_scope, ["a".into(), "b".into()]);
    assert_eq!(any.when.map(|when| when.source().to_owned()).as_deref(), Some("claims.a == 'b'"));
    assert_eq!(requirement("123").scopes, ["123".into()]);
    assert_eq!(
        config(&file(&[("routes", "{/x: public}"), ("issuers", "")])).routes[0].require,
        Require::Public
    );
    let two = "{a: {issuer: https://a/, audience: x}, b: {issuer: https://b/, audience: x}}";
    let both = config(&file(&[("issuers", two)]));
    assert_eq!(
        both.routes[0].require,
        Require::Token(Requirement { issuers: vec![0, 1], ..Requirement::default() })
    );
}

#[test]
fn a_scalar_is_taken_as_written_where_a_word_is_expected() {
    let issuer = the_issuer("keys: {secret: {file: a}}, claims: {tenant: 1.10, id: true}");
    assert_eq!(Some(issuer.claims.tenant), Selector::parse(&["1.10"]));
    assert_eq!(Some(issuer.claims.id), Selector::parse(&["true"]));
    let text = file(&[("issuers", "{corp: {issuer: 123, audience: 0x1F, keys: {jwks: {file: a}}}}")]);
    let corp = &config(&text).issuers[0];
    assert_eq!((&*corp.issuer, corp.audience.as_deref()), ("123", Some(&["0x1F".into()][..])));
}

#[test]
fn any_scalar_may_come_from_the_environment() {
    let text = file(&[
        ("listeners", "[{env: NOWHERE, default: 127.0.0.1:8082}]"),
        ("issuers", "{corp: {issuer: {env: ISSUER}, audience: {env: NOWHERE, default: any}}}"),
        ("shutdown_grace", "{env: DURATION}"),
        ("log", "{access: {env: FLAG, default: false}, level: {env: NOWHERE, default: warn}}"),
        ("workers", "{env: PORT, default: 2}"),
    ]);
    let text = text.replace("{env: PORT, default: 2}", "{env: NOWHERE, default: 2}");
    let config = config(&text);
    assert_eq!(config.listeners[0].address.ip().map(|address| address.port()), Some(8082));
    assert_eq!(&*config.issuers[0].issuer, "https://env.example.com/");
    assert_eq!(config.issuers[0].audience, None);
    assert_eq!(config.shutdown_grace, Duration::from_secs(7));
    assert_eq!((config.log.access, &*config.log.level, config.workers), (true, "warn", Some(2)));
}

#[test]
fn paths_are_relative_to_the_file() {
    let config = config(&file(&[("revocation", "revoked.yaml"), ("store", "{sqlite: /var/p.db}")]));
    let etc = PathBuf::from("/etc/portcullis");
    let revoked = config.revocation.and_then(|revocation| revocation.file);
    assert_eq!(revoked, Some(etc.join("revoked.yaml")));
    assert_eq!(config.store, Some("/var/p.db".into()));
    for audit in ["audit.jsonl", "{file: audit.jsonl}"] {
        assert_eq!(super::config(&file(&[("audit", audit)])).audit, Some(etc.join("audit.jsonl")));
    }
    assert_eq!(config.key_mirror, Some(etc.join("portcullis-keys")));
    assert_eq!(super::config(&file(&[("key_mirror", "none")])).key_mirror, None);
}

#[test]
fn streams() {
    let read = |text: &str| config(&route(text)).routes[0].streams.clone();
    assert_eq!(config(&file(&[])).routes[0].streams, Streams::default());
    let given = read(
        "streams: {close: 1008, grace: 1h, warning: '{\"a\": 1}', reauthenticate: {token: /p/t, when: {/e: x, \
         '/n': 7, '/s': '7', '/f': true, '/g': 'true', '/h': -1, '/o': 007}}}",
    );
    assert_eq!((given.close, given.grace), (1008, Duration::from_secs(3600)));
    let warning = Warning { before: Duration::from_secs(30), message: "{\"a\": 1}".into() };
    assert_eq!(given.warning, Some(warning));
    let when = given.reauthenticate.map(|reauthenticate| reauthenticate.when).unwrap_or_default();
    let values: Vec<_> = when.into_iter().map(|member| member.value).collect();
    let text = |text: &str| Literal::Text(text.into());
    let expected =
        [text("x"), Literal::Whole(7), text("7"), Literal::Flag(true), text("true"), text("-1"), text("007")];
    assert_eq!(values, expected);
    let longest = "m".repeat(1024);
    let long = read(&format!("streams: {{close: 4999, warning: {{before: 1d, message: {longest}}}}}"));
    assert_eq!(long.warning.map(|warning| warning.message.len()), Some(1024));
    let both = config(&file(&[("revocation", "{recheck_streams: 2s}")])).revocation;
    assert_eq!(both.map(|revocation| revocation.recheck_streams), Some(Duration::from_secs(2)));
}

#[test]
fn the_streams_of_a_public_route_have_no_token() {
    let (_, warnings) =
        read(&file(&[("routes", "{/x: {require: public, streams: {grace: 1s}}}")])).expect("a file");
    assert!(warnings.iter().any(|warning| warning.what.contains("no token")), "{warnings:?}");
}

#[test]
fn upstreams() {
    let text = "{api: {peers: [http://a, 'http://[::1]:81'], balance: consistent_hash, health: {path: /h, interval: 1s}, \
                host: {literal: a.b}, connect_timeout: 2s, response_timeout: 1m, max_requests: 7}}";
    let upstream = &config(&file(&[("upstreams", text)])).upstreams[0];
    let port = |peer: &Peer| match peer {
        Peer::Host { port, .. } => *port,
        Peer::Unix(path) => panic!("{path:?}"),
    };
    assert_eq!(upstream.peers.iter().map(port).collect::<Vec<_>>(), [80, 81]);
    assert_eq!(upstream.balance, Balance::ConsistentHash);
    assert_eq!(upstream.health, Some(Health { path: "/h".into(), interval: Duration::from_secs(1) }));
    assert_eq!(upstream.host, UpstreamHost::Literal("a.b".into()));
    assert_eq!(
        (upstream.connect_timeout, upstream.response_timeout),
        (Duration::from_secs(2), Duration::from_secs(60))
    );
    assert_eq!(upstream.max_requests, 7);
}

#[test]
fn key_sources() {
    let keys = |text: &str| the_issuer(&format!("keys: {text}")).keys.value;
    let etc = PathBuf::from("/etc/portcullis");
    assert_eq!(keys("discovery"), KeySource::Discovery);
    assert_eq!(keys("{jwks: {url: https://a/jwks}}"), KeySource::JwksUrl("https://a/jwks".into()));
    assert_eq!(
        keys("{jwks: {url: 'http://127.0.0.1:1/'}}"),
        KeySource::JwksUrl("http://127.0.0.1:1/".into())
    );
    assert_eq!(keys("{jwks: {file: k.json}}"), KeySource::JwksFile(etc.join("k.json")));
    let inline = KeySource::JwksInline(r#"{"keys":[{"e":"AQAB","kid":"7","kty":"RSA","n":"x"}]}"#.into());
    assert_eq!(keys("{jwks: {inline: {keys: [{e: AQAB, kid: '7', kty: RSA, n: x}]}}}"), inline);
    assert_eq!(keys(r#"{jwks: {inline: '{"keys":[{"e":"AQAB","kid":"7","kty":"RSA","n":"x"}]}'}}"#), inline);
    assert_eq!(keys("{pem: {file: /k.pem}}"), KeySource::PemFile("/k.pem".into()));
    assert_eq!(keys("{pem: {env: KEY}}"), KeySource::PemEnv("KEY".into()));
    let KeySource::Secret { secret: Secret { source, .. }, dangerous_short } =
        keys("{secret: {env: HMAC, dangerous_short_secret: true}}")
    else {
        panic!("no secret");
    };
    assert_eq!((source == SecretSource::Env("HMAC".into()), dangerous_short), (true, true));
}

#[test]
fn issuers() {
    let issuer = the_issuer(
        "algorithms: [ES256, EdDSA], token_type: at+jwt, scope_match: glob, from: [bearer, {header: X-Token}, \
         {cookie: sid}, {query: t}], claims: {scope: [permissions, /a/b]}, leeway: 5m, max_stale: 0s",
    );
    assert_eq!(issuer.algorithms, Some(vec![Algorithm::ES256, Algorithm::EdDSA]));
    assert_eq!((issuer.token_type, issuer.scope_match), (TokenType::AtJwt, ScopeMatch::Glob));
    let places = [
        TokenPlace::Bearer,
        TokenPlace::Header("x-token".into()),
        TokenPlace::Cookie("sid".into()),
        TokenPlace::Query("t".into()),
    ];
    assert_eq!(issuer.from, places);
    assert_eq!(Some(issuer.claims.scope), Selector::parse(&["permissions", "/a/b"]));
    assert_eq!((issuer.leeway, issuer.max_stale), (Duration::from_secs(300), Duration::ZERO));
}

#[test]
fn routes() {
    let text = route(
        "name: mine, forward: {headers: {X-A: [a, b], X-B: {claim: /c, array: repeat}}, authorization: keep}, \
         cors: {origins: [https://a, 'http://b:81']}, enforce: shadow",
    );
    let config = config(&text);
    let route = &config.routes[0];
    assert_eq!(
        (&*route.name, route.enforce, route.forward.keep_authorization),
        ("mine", Enforce::Shadow, true)
    );
    assert_eq!(
        route.forward.headers.iter().map(|header| header.array).collect::<Vec<_>>(),
        [ArrayForm::Comma, ArrayForm::Repeat]
    );
    let cors = route.cors.as_ref().expect("cors");
    assert_eq!((cors.credentials, cors.headers.len(), cors.expose.len()), (true, 2, 0));
    let every = super::config(&super::route("cors: {origins: '*'}"));
    assert_eq!(every.routes[0].cors.as_ref().map(|cors| cors.credentials), Some(false));
}

#[test]
fn defaults_hold_without_their_sections() {
    let config = config(&file(&[]));
    assert_eq!((config.workers, config.log.format, config.log.access), (None, LogFormat::Json, true));
    assert_eq!((config.limits.token, config.limits.requests_per_connection), (8192, 100_000));
    assert_eq!(&*config.routes[0].name, "/x");
}

#[test]
fn dangerous_keys_warn_with_their_place() {
    let text = issuer("dangerous_http: true, keys: {secret: {file: a, dangerous_short_secret: true}}");
    let (_, warnings) = read(&text).expect("a configuration");
    let said: Vec<&str> = warnings.iter().map(|warning| &*warning.what).collect();
    assert_eq!(said, ["`dangerous_http` is set", "`dangerous_short_secret` is set"]);
    assert!(warnings.iter().all(|warning| warning.at.line == 4));
    let quiet = |text: &str| assert_eq!(read(text).expect("a configuration").1, []);
    quiet(&issuer("dangerous_http: false"));
    quiet(&route("dangerous_path: false"));
    let warns = |text: &str, part: &str| {
        let (_, warnings) = read(text).expect("a configuration");
        assert!(warnings.iter().any(|warning| warning.what.contains(part)), "{warnings:?}");
    };
    warns(&route("dangerous_path: true"), "dangerous_path");
    warns(&file(&[("routes", "{/x: 'orders:*'}")]), "compared as it stands");
    warns(&file(&[("routes", "{/x: {require: public, forward: {headers: {X-A: sub}}}}")]), "no identity");
}

#[test]
fn aliases_share_a_block_between_routes() {
    let text = "version: 1\nlisteners: 127.0.0.1:8080\nupstreams: {a: http://a, b: http://b}\nroutes:\n  /a: &b\n    \
                require: public\n    upstream: b\n  /b: *b\n";
    let config = config(text);
    assert_eq!(config.routes.iter().map(|route| route.upstream).collect::<Vec<_>>(), [1, 1]);
}
