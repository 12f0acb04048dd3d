//! The long form of a configuration, as YAML (`check --print`): every key, every default, secrets redacted.
//!
//! Paths are printed as they were resolved. What is printed parses to the same configuration, but for secrets
//! that stood in the file.

mod graphql;
mod minted;

use std::fmt::{Display, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::address::Address;
use crate::config::decode::fields::Word;
use crate::config::forward::ForwardHeader;
use crate::config::limits::Limits;
use crate::config::network::Network;
use crate::config::peer::Peer;
use crate::config::scope::BuiltScope;
use crate::config::shown::{CertificateFiles, ListenerTls, UpstreamTls};
use crate::config::streams::{Literal, Member, Reauthenticate, Streams, Warning};
use crate::config::units::{write_duration, write_size};
use crate::config::websocket::WebSocket;
use crate::config::{
    ClaimMap, Config, Cors, Health, Issuer, KeySource, Records, Require, Requirement, Route, Secret,
    SecretSource, TokenPlace, Upstream, UpstreamHost, pattern,
};
use crate::token::claims::{Place, Selector};

/// What [`crate::config::print()`] does.
pub(crate) fn print(config: &Config) -> String {
    let mut out = Out::default();
    out.entry("version", 1);
    if let Some(workers) = config.workers {
        out.entry("workers", workers);
    }
    out.line("listeners:");
    for listener in &config.listeners {
        out.line(&format!("  - address: {}", quote(&listener.address.to_string())));
        if let Address::Unix(_) = listener.address {
            out.line(&format!("    mode: {:04o}", listener.mode));
        }
        if let Some(tls) = &listener.tls {
            out.line(&format!("    tls: {}", listener_tls(tls)));
        }
        out.line(&format!("    proxy_protocol: {}", listener.proxy_protocol.word()));
        if !listener.trusted_proxies.is_empty() {
            let networks: Vec<String> = listener.trusted_proxies.iter().map(Network::to_string).collect();
            out.line(&format!("    trusted_proxies: {}", words(&networks)));
        }
    }
    if let Some(admin) = &config.admin {
        out.nested("admin", |out| {
            out.entry("address", quote(&admin.address.to_string()));
            if let Some(token) = &admin.token {
                out.entry("token", secret(token, false));
            }
        });
    }
    out.list("upstreams", &config.upstreams, |out, upstream| {
        out.nested(&quote(&upstream.name), |out| print_upstream(out, upstream));
    });
    let issuers = written(config);
    out.list("issuers", &issuers, |out, issuer| {
        out.nested(&quote(&issuer.name), |out| print_issuer(out, issuer));
    });
    minted::print(&mut out, config);
    let routes: Vec<&Arc<Route>> = config.routes.iter().filter(|route| route.endpoint.is_none()).collect();
    out.list("routes", &routes, |out, route| {
        out.nested(&quote(&pattern::render(&route.methods, &route.host, &route.path)), |out| {
            print_route(out, route, config);
        });
    });
    if let Some(revocation) = &config.revocation {
        let names: Vec<_> = revocation.claims.iter().map(|claim| claim.name.clone()).collect();
        let claims = (!names.is_empty()).then(|| format!("claims: {}", words(&names)));
        let file = revocation.file.as_deref().map(|file| format!("file: {}", path(file)));
        let recheck = format!("recheck_streams: {}", write_duration(revocation.recheck_streams));
        let given: Vec<_> = file.into_iter().chain(claims).chain([recheck]).collect();
        out.entry("revocation", format!("{{{}}}", given.join(", ")));
    }
    if let Some(store) = &config.store {
        out.entry("store", format!("{{sqlite: {}}}", path(store)));
    }
    if let Some(audit) = &config.audit {
        out.entry("audit", format!("{{file: {}}}", path(audit)));
    }
    out.entry("key_mirror", config.key_mirror.as_deref().map_or_else(|| "none".to_owned(), path));
    out.nested("limits", |out| print_limits(out, &config.limits));
    out.time("shutdown_grace", config.shutdown_grace);
    if let Some(socket) = &config.upgrade_socket {
        out.entry("upgrade_socket", path(socket));
    }
    let log = &config.log;
    out.entry(
        "log",
        format!("{{format: {}, level: {}, access: {}}}", log.format.word(), log.level, log.access),
    );
    out.text
}

/// The issuers that stand under `issuers`: tokens and API keys bring the others about.
fn written(config: &Config) -> Vec<&Arc<Issuer>> {
    let minted: Vec<usize> = config.authority.tokens.iter().filter_map(|token| token.issuer).collect();
    let issuers = config.issuers.iter().enumerate().filter(|(index, issuer)| {
        let keys = matches!(issuer.keys.value, KeySource::Records(Records::ApiKeys { .. }));
        !keys && !minted.contains(index)
    });
    issuers.map(|(_, issuer)| issuer).collect()
}

fn print_upstream(out: &mut Out, upstream: &Upstream) {
    out.line("peers:");
    for peer in &upstream.peers {
        let written = match peer {
            Peer::Host { scheme, host, port } if host.contains(':') => {
                format!("{}://[{host}]:{port}", scheme.name())
            }
            Peer::Host { scheme, host, port } => format!("{}://{host}:{port}", scheme.name()),
            Peer::Unix(path) => format!("unix:{}", path.display()),
        };
        out.line(&format!("  - {}", quote(&written)));
    }
    out.entry("balance", upstream.balance.word());
    match &upstream.health {
        None => out.entry("health", "none"),
        Some(Health { path, interval }) => {
            out.entry(
                "health",
                format!("{{path: {}, interval: {}}}", quote(path), write_duration(*interval)),
            );
        }
    }
    match &upstream.host {
        UpstreamHost::Keep => out.entry("host", "keep"),
        UpstreamHost::Upstream => out.entry("host", "upstream"),
        UpstreamHost::Literal(host) => out.entry("host", format!("{{literal: {}}}", quote(host))),
    }
    if let Some(UpstreamTls { ca, client, at: _ }) = &upstream.tls {
        let ca = ca.as_ref().map(|ca| format!("ca: {}", path(&ca.value)));
        let members = ca.into_iter().chain(client.as_ref().map(certificate)).collect::<Vec<_>>();
        out.entry("tls", format!("{{{}}}", members.join(", ")));
    }
    out.time("connect_timeout", upstream.connect_timeout);
    out.time("response_timeout", upstream.response_timeout);
    out.entry("max_requests", upstream.max_requests);
}

fn listener_tls(tls: &ListenerTls) -> String {
    let certificates = match &*tls.certificates {
        [only] => certificate(only),
        several => {
            let all: Vec<String> =
                several.iter().map(|files| format!("{{{}}}", certificate(files))).collect();
            format!("certificates: [{}]", all.join(", "))
        }
    };
    let ca = tls.client_ca.as_ref().map(|ca| format!(", client_ca: {}", path(&ca.value))).unwrap_or_default();
    format!("{{{certificates}{ca}, client_certificate: {}}}", tls.client_certificate.word())
}

fn certificate(files: &CertificateFiles) -> String {
    let key = secret(&files.private_key, false);
    format!("certificate: {}, private_key: {key}", path(&files.certificate.value))
}

fn print_issuer(out: &mut Out, issuer: &Issuer) {
    out.entry("issuer", quote(&issuer.issuer));
    out.entry("audience", issuer.audience.as_deref().map_or_else(|| "any".to_owned(), words));
    match &issuer.keys.value {
        KeySource::Records(Records::Introspection(introspection)) => {
            out.nested("introspection", |out| {
                out.entry("url", quote(&introspection.url));
                out.entry("client", quote(&introspection.client));
                out.entry("secret", secret(&introspection.secret, false));
                out.time("cache", introspection.cache);
                out.time("timeout", introspection.timeout);
            });
        }
        source @ (KeySource::Discovery
        | KeySource::JwksUrl(_)
        | KeySource::JwksFile(_)
        | KeySource::JwksInline(_)
        | KeySource::PemFile(_)
        | KeySource::PemEnv(_)
        | KeySource::PemInline(_)
        | KeySource::Secret { .. }
        | KeySource::Managed
        | KeySource::SigningPem(_)
        | KeySource::Records(_)) => out.entry("keys", keys(source)),
    }
    out.time("refresh", issuer.refresh);
    out.time("cooldown", issuer.cooldown);
    out.time("max_stale", issuer.max_stale);
    out.time("miss_wait", issuer.miss_wait);
    if let Some(algorithms) = &issuer.algorithms {
        out.entry(
            "algorithms",
            words(&algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>()),
        );
    }
    out.time("leeway", issuer.leeway);
    out.time("max_token_lifetime", issuer.max_token_lifetime);
    out.entry("token_type", issuer.token_type.word());
    out.entry("scope_match", issuer.scope_match.word());
    out.nested("claims", |out| print_claims(out, &issuer.claims));
    out.entry("from", places(&issuer.from));
    out.entry("dangerous_http", issuer.dangerous_http);
}

fn print_claims(out: &mut Out, claims: &ClaimMap) {
    out.entry("scope", selector(&claims.scope));
    out.entry("subject", selector(&claims.subject));
    out.entry("client", selector(&claims.client));
    out.entry("id", selector(&claims.id));
    out.entry("session", selector(&claims.session));
    out.entry("tenant", selector(&claims.tenant));
}

/// Where tokens stand.
fn places(places: &[TokenPlace]) -> String {
    let place = |place: &TokenPlace| match place {
        TokenPlace::Bearer => "bearer".to_owned(),
        TokenPlace::Header(name) => format!("{{header: {}}}", quote(name)),
        TokenPlace::Cookie(name) => format!("{{cookie: {}}}", quote(name)),
        TokenPlace::Query(name) => format!("{{query: {}}}", quote(name)),
    };
    format!("[{}]", places.iter().map(place).collect::<Vec<_>>().join(", "))
}

fn keys(keys: &KeySource) -> String {
    match keys {
        KeySource::Discovery => "discovery".to_owned(),
        KeySource::JwksUrl(url) => format!("{{jwks: {{url: {}}}}}", quote(url)),
        KeySource::JwksFile(file) => format!("{{jwks: {{file: {}}}}}", path(file)),
        KeySource::JwksInline(json) => format!("{{jwks: {{inline: {}}}}}", quote(json)),
        KeySource::PemFile(file) => format!("{{pem: {{file: {}}}}}", path(file)),
        KeySource::PemEnv(name) => format!("{{pem: {{env: {}}}}}", quote(name)),
        KeySource::PemInline(pem) => format!("{{pem: {{inline: {}}}}}", quote(pem)),
        KeySource::Secret { secret: place, dangerous_short } => {
            format!("{{secret: {}}}", secret(place, *dangerous_short))
        }
        // Not written under `issuers`: their tokens and credentials bring them about.
        KeySource::Managed | KeySource::SigningPem(_) | KeySource::Records(_) => String::new(),
    }
}

fn secret(secret: &Secret, short: bool) -> String {
    let short = if short { ", dangerous_short_secret: true" } else { "" };
    match &secret.source {
        SecretSource::File(file) => format!("{{file: {}{short}}}", path(file)),
        SecretSource::Env(name) => format!("{{env: {}{short}}}", quote(name)),
        SecretSource::Inline(_) => format!("{{inline: \"***\", dangerous_inline_secret: true{short}}}"),
    }
}

fn print_route(out: &mut Out, route: &Route, config: &Config) {
    out.entry("name", quote(&route.name));
    match &route.require {
        Require::Public => out.entry("require", "public"),
        Require::Token(requirement) => {
            out.nested("require", |out| print_requirement(out, requirement, config))
        }
    }
    out.nested("forward", |out| {
        if !route.forward.headers.is_empty() {
            out.nested("headers", |out| {
                route.forward.headers.iter().for_each(|header| print_header(out, header))
            });
        }
        out.entry("authorization", if route.forward.keep_authorization { "keep" } else { "strip" });
    });
    if let Some(cors) = &route.cors {
        out.nested("cors", |out| print_cors(out, cors));
    }
    match &route.websocket {
        WebSocket::SameOrigin => out.entry("websocket", "same_origin"),
        WebSocket::Never => out.entry("websocket", "none"),
        WebSocket::Any => out.entry("websocket", "any"),
        WebSocket::Origins(origins) => out.entry("websocket", format!("{{origins: {}}}", words(origins))),
    }
    out.nested("streams", |out| print_streams(out, &route.streams));
    if let Some(upstream) = config.upstreams.get(route.upstream) {
        out.entry("upstream", quote(&upstream.name));
    }
    out.entry("enforce", route.enforce.word());
    out.entry("on_stale_revocations", "serve");
    if let Some(errors) = &route.errors {
        minted::print_errors(out, errors);
    }
    out.entry("dangerous_path", route.dangerous_path);
}

fn print_requirement(out: &mut Out, requirement: &Requirement, config: &Config) {
    let issuers = requirement.issuers.iter().filter_map(|index| config.issuers.get(*index));
    out.entry("issuers", words(&issuers.map(|issuer| &issuer.name).collect::<Vec<_>>()));
    let built = requirement.built.as_deref();
    let both = |literal: &[Box<str>], built: Option<&Vec<BuiltScope>>| {
        let built = built.into_iter().flatten().map(BuiltScope::written);
        literal.iter().map(|scope| scope.to_string()).chain(built).collect::<Vec<_>>()
    };
    let scopes = both(&requirement.scopes, built.map(|built| &built.scopes));
    let any_scope = both(&requirement.any_scope, built.map(|built| &built.any_scope));
    for (key, scopes) in [("scopes", scopes), ("any_scope", any_scope)] {
        if !scopes.is_empty() {
            out.entry(key, words(&scopes));
        }
    }
    if let Some(when) = &requirement.when {
        out.entry("when", quote(when.source()));
    }
    if let Some(rules) = &requirement.graphql {
        out.nested("graphql", |out| graphql::print(out, rules));
    }
}

fn print_header(out: &mut Out, header: &ForwardHeader) {
    let claim = selector(&header.claim);
    out.entry(&quote(&header.name), format!("{{claim: {claim}, array: {}}}", header.array.word()));
}

fn print_streams(out: &mut Out, streams: &Streams) {
    out.entry("close", streams.close);
    out.time("grace", streams.grace);
    if let Some(Warning { before, message }) = &streams.warning {
        let before = write_duration(*before);
        out.entry("warning", format!("{{before: {before}, message: {}}}", quote(message)));
    }
    if let Some(Reauthenticate { token, when }) = &streams.reauthenticate {
        let one = |member: &Member| {
            let value = match &member.value {
                Literal::Text(text) => quote(text),
                Literal::Flag(flag) => flag.to_string(),
                Literal::Whole(number) => number.to_string(),
            };
            format!("{}: {value}", quote(&member.name))
        };
        let when: Vec<String> = when.iter().map(one).collect();
        let when = if when.is_empty() { String::new() } else { format!(", when: {{{}}}", when.join(", ")) };
        out.entry("reauthenticate", format!("{{token: {}{when}}}", place(token)));
    }
}

fn print_cors(out: &mut Out, cors: &Cors) {
    out.entry("origins", words(&cors.origins));
    out.entry("credentials", cors.credentials);
    out.entry("headers", words(&cors.headers));
    out.entry("expose", words(&cors.expose));
    out.time("max_age", cors.max_age);
}

fn print_limits(out: &mut Out, limits: &Limits) {
    out.size("token", limits.token);
    out.size("header_line", limits.header_line);
    out.size("header_total", limits.header_total);
    out.entry("headers", limits.headers);
    out.size("h2_header_list", limits.h2_header_list as usize);
    out.entry("h2_streams", limits.h2_streams);
    out.entry("connections", limits.connections);
    out.entry("connections_per_address", limits.connections_per_address);
    out.entry("handshakes", limits.handshakes);
    out.entry("requests_per_connection", limits.requests_per_connection);
    out.time("header_time", limits.header_time);
    out.time("idle_time", limits.idle_time);
    out.entry("body_rate", write_size(limits.body_rate));
    out.time("write_stall", limits.write_stall);
    out.size("drain", limits.drain);
    out.size("verified_cache", limits.verified_cache);
    out.entry("signatures_in_flight", limits.signatures_in_flight);
    out.size("inspected_body", limits.inspected_body);
    out.size("inspected_total", limits.inspected_total);
    out.size("key_set", limits.key_set);
}

/// The text so far, and how far the next line is indented.
#[derive(Default)]
struct Out {
    text: String,
    indent: usize,
}

impl Out {
    fn line(&mut self, line: &str) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.text, "{:indent$}{line}", "", indent = self.indent);
    }
    fn entry(&mut self, key: &str, value: impl Display) {
        self.line(&format!("{key}: {value}"));
    }
    fn time(&mut self, key: &str, value: Duration) {
        self.entry(key, write_duration(value));
    }
    fn size(&mut self, key: &str, value: usize) {
        self.entry(key, write_size(value as u64));
    }
    fn nested(&mut self, key: &str, inside: impl FnOnce(&mut Self)) {
        self.line(&format!("{key}:"));
        self.indent += 2;
        inside(self);
        self.indent -= 2;
    }
    fn list<T>(&mut self, key: &str, values: &[T], each: impl Fn(&mut Self, &T)) {
        if !values.is_empty() {
            self.nested(key, |out| values.iter().for_each(|value| each(out, value)));
        }
    }
}

fn selector(selector: &Selector) -> String {
    words(&selector.places().iter().map(Place::written).collect::<Vec<_>>())
}

/// A selector of one place.
fn place(selector: &Selector) -> String {
    selector.places().iter().map(|place| quote(place.written())).collect()
}

fn words(words: &[impl AsRef<str>]) -> String {
    format!("[{}]", words.iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(", "))
}

fn path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// As it is where that is safe in any place, else in double quotes with JSON's escapes, which are YAML's too
/// (YAML 1.2.2 section 5.7).
fn quote(word: &str) -> String {
    let plain = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._+-".contains(&b))
        && !matches!(
            word.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off"
        );
    if plain { word.to_owned() } else { serde_json::Value::from(word).to_string() }
}
