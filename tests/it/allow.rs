//! What is allowed reaches the upstream: algorithms, requirements, routes, scopes, and where a token may stand.

use portcullis::gate::denial::Reason;
use serde_json::{Value, json};

use crate::harness::api::{Api, assert_allowed, assert_refused, usual};
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;
use crate::harness::keys::{ALGORITHMS, Key, random_name};
use crate::harness::upstream::Upstream;

#[test]
fn every_algorithm_is_served() {
    let upstream = Upstream::start();
    let mut setup = usual(&upstream);
    let mut issuers = Vec::new();
    for algorithm in ALGORITHMS {
        let name = algorithm.to_lowercase();
        let (key, members) = if algorithm.starts_with("HS") {
            let secret = random_name() + &random_name();
            setup = setup.file(&format!("{name}.secret"), format!("{secret}\n"));
            (Key::secret(algorithm, secret.as_bytes()), format!("keys: {{secret: {{file: {name}.secret}}}}"))
        } else {
            (Key::new(algorithm, "k1"), String::new())
        };
        let issuer = Issuer::with_keys(vec![key]);
        setup = setup.issuer_with(&name, &issuer, &members);
        issuers.push(issuer);
    }
    let gateway = setup.start();
    for (issuer, algorithm) in issuers.iter().zip(ALGORITHMS) {
        let token = issuer.mint("orders:read");
        for round in ["first seen", "remembered"] {
            let response = gateway.get("/orders/1", &token);
            assert_eq!(response.status, 200, "{algorithm} {round}: {response:?}");
        }
    }
    assert_eq!(upstream.count(), 2 * ALGORITHMS.len());
}

#[test]
fn keys_are_read_from_every_source() {
    let key = Key::new("ES256", "");
    let issuer = Issuer::with_keys(vec![key.clone()]);
    let inline = issuer.jwks().to_string();
    let pem = key.public_pem();
    let indented = pem.trim().replace('\n', "\\n");
    let sources = [
        format!("{{jwks: {{inline: '{inline}'}}}}"),
        format!("{{jwks: {{url: {:?}}}}}", issuer.jwks_url()),
        "{jwks: {file: keys.json}}".to_owned(),
        "{pem: {file: key.pem}}".to_owned(),
        "{pem: {env: IT_PUBLIC_KEY}}".to_owned(),
        format!("{{pem: {{inline: \"{indented}\"}}}}"),
        "discovery".to_owned(),
    ];
    for source in sources {
        let upstream = Upstream::start();
        let setup = usual(&upstream).issuer_with("corp", &issuer, &format!("keys: {source}"));
        let setup = setup.file("keys.json", &inline).file("key.pem", &pem).env("IT_PUBLIC_KEY", &pem);
        let response = setup.start().get("/orders/1", &issuer.mint("orders:read"));
        assert_eq!(response.status, 200, "{source}: {response:?}");
    }
}

/// A requirement as written, the scopes of a token (`-` is no token at all), and the answer.
const REQUIREMENTS: [(&str, &str, u16); 24] = [
    ("public", "-", 200),
    ("{require: public}", "-", 200),
    ("authenticated", "-", 401),
    ("authenticated", "", 200),
    ("{require: authenticated}", "", 200),
    ("{require: {issuers: [corp]}}", "", 200),
    ("{require: {issuers: corp}}", "-", 401),
    ("a:read", "-", 401),
    ("a:read", "", 403),
    ("a:read", "a:reader", 403),
    ("a:read", "a:rea", 403),
    ("a:read", "A:READ", 403),
    ("a:read", "a:*", 403),
    ("a:read", "b a:read c", 200),
    ("{require: a:read}", "a:read", 200),
    ("{require: {scopes: a:read}}", "a:read", 200),
    ("{require: {scopes: [a:read, b:read]}}", "a:read", 403),
    ("{require: {scopes: [a:read, b:read]}}", "b:read a:read", 200),
    ("{require: {any_scope: [a:read, b:read]}}", "c", 403),
    ("{require: {any_scope: [a:read, b:read]}}", "b:read", 200),
    ("{require: {scopes: [x], any_scope: [a, b]}}", "x", 403),
    ("{require: {scopes: [x], any_scope: [a, b]}}", "a b", 403),
    ("{require: {scopes: [x], any_scope: [a, b]}}", "x b", 200),
    ("{name: named, require: {issuers: [corp], scopes: [x]}}", "x", 200),
];

#[test]
fn a_requirement_means_what_it_says_in_every_form() {
    let api = Api::with(|setup| {
        let routes = REQUIREMENTS.iter().enumerate();
        routes.fold(setup, |setup, (n, (value, ..))| setup.route(&format!("GET /r/{n}"), value))
    });
    for (n, (value, scopes, status)) in REQUIREMENTS.into_iter().enumerate() {
        let request = Request::get(&format!("/r/{n}"));
        let request = if scopes == "-" { request } else { request.bearer(&api.issuer.mint(scopes)) };
        let before = api.upstream.count();
        let response = api.gateway.send(&request);
        assert_eq!(response.status, status, "{value} with {scopes:?}: {response:?}");
        assert_eq!(api.upstream.count() - before, usize::from(status == 200), "{value} with {scopes:?}");
    }
}

/// Routes in an order that has to make no difference; each goes on under a `Host` that names it.
const ROUTES: [(&str, &str); 9] = [
    ("r5", "GET /{*rest}"),
    ("r3", "GET /a/{*rest}"),
    ("r1", "GET /a/b"),
    ("r4", "GET /{x}/b"),
    ("r2", "GET /a/{x}"),
    ("r7", "GET *.example.com/a/{x}"),
    ("r6", "GET api.example.com/a/b"),
    ("r8", "POST /deep/{*rest}"),
    ("r9", "GET /deep/{x}"),
];

/// Host, path, and the route that is best.
const BEST: [(&str, &str, &str); 21] = [
    ("other.test", "/a/b", "r1"),
    ("other.test", "/a/c", "r2"),
    ("other.test", "/a/c/d", "r3"),
    ("other.test", "/a/", "r3"),
    ("other.test", "/a/b/", "r3"),
    ("other.test", "/a", "r5"),
    ("other.test", "/A/b", "r4"),
    ("other.test", "/z/b", "r4"),
    ("other.test", "/z/c", "r5"),
    ("other.test", "/", "r5"),
    ("api.example.com", "/a/b", "r6"),
    ("api.example.com", "/a/c", "r7"),
    ("api.example.com", "/q", "r5"),
    ("api.example.com", "/a/c/d", "r3"),
    ("x.example.com", "/a/b", "r7"),
    ("x.y.example.com", "/a/c", "r7"),
    ("example.com", "/a/c", "r2"),
    ("notexample.com", "/a/c", "r2"),
    ("API.Example.COM", "/a/b", "r6"),
    ("api.example.com:8080", "/a/b", "r6"),
    ("api.example.com.", "/a/b", "r6"),
];

#[test]
fn p6_the_best_path_is_final_in_whatever_order_the_file_has_it() {
    for reversed in [false, true] {
        let upstream = Upstream::start();
        let mut routes = ROUTES.to_vec();
        if reversed {
            routes.reverse();
        }
        let setup = routes.into_iter().fold(Gateway::new(), |setup, (name, key)| {
            let peer = format!("{{peers: {:?}, host: {{literal: {name}.test}}}}", upstream.url());
            setup.upstream_as(name, &peer).route(key, &format!("{{require: public, upstream: {name}}}"))
        });
        let gateway = setup.start();
        for (host, path, best) in BEST {
            let response = gateway.send(&Request::get(path).host(host));
            assert_eq!(response.status, 200, "{host} {path}: {response:?}");
            let went = upstream.last().head.header("host").unwrap_or_default().to_owned();
            assert_eq!(went, format!("{best}.test"), "{host} {path} (reversed: {reversed})");
        }
        // The best path has no such method: 405, though a wider path has it.
        let response = gateway.send(&Request::post("/deep/1", ""));
        assert_refused(&response, Reason::MethodNotAllowed);
    }
}

#[test]
fn a_path_is_answered_405_with_what_it_allows() {
    let api = Api::with(|setup| {
        let setup = setup.route("GET /m", "public").route("PUT,DELETE /m", "public").route("/any", "public");
        setup.route("PATCH /any", "authenticated")
    });
    let response = api.refuses(&Request::post("/m", ""), Reason::MethodNotAllowed);
    let mut allow: Vec<String> =
        response.all("allow").join(",").split(',').map(|m| m.trim().to_owned()).collect();
    allow.sort();
    assert_eq!(allow, ["DELETE", "GET", "HEAD", "PUT"]);
    assert_allowed(&api.gateway.send(&Request::new("HEAD", "/m")));
    assert_eq!(api.upstream.last().head.method, "HEAD");
    // A route without methods ranks below one with.
    for method in ["GET", "POST", "OPTIONS", "DELETE", "PURGE"] {
        api.allows(&Request::new(method, "/any"));
    }
    api.refuses(&Request::new("PATCH", "/any"), Reason::NoCredentials);
}

#[test]
fn c5_scopes_are_read_as_the_rfcs_write_them() {
    let cases: [(Value, u16); 17] = [
        (json!({"scope": "orders:read"}), 200),
        (json!({"scope": "a orders:read b"}), 200),
        (json!({"scope": ["a", "orders:read"]}), 200),
        (json!({"scp": "orders:read"}), 200),
        (json!({"scp": ["orders:read", "a"]}), 200),
        (json!({"scope": "a orders:read", "scp": ["orders:read", "a"]}), 200),
        (json!({"scope": "orders:read", "scp": ["a"]}), 403),
        (json!({"scope": "orders:read a", "scp": ["orders:read"]}), 403),
        (json!({"scope": "a\torders:read"}), 403),
        (json!({"scope": "a,orders:read"}), 403),
        (json!({"scope": "orders:read\n"}), 403),
        (json!({"scope": "aorders:read"}), 403),
        (json!({"scope": ["orders:read", 1]}), 403),
        (json!({"scope": ["orders:read a"]}), 403),
        (json!({"scope": [["orders:read"]]}), 403),
        (json!({"scope": {"orders:read": true}}), 403),
        (json!({"scope": true}), 403),
    ];
    let api = Api::start();
    for (claims, status) in cases {
        let response = api.gateway.get("/orders/1", &api.issuer.token().merge(claims.clone()).sign());
        assert_eq!(response.status, status, "{claims}: {response:?}");
    }
}

/// How an issuer's scopes match, a granted scope, and whether it grants `orders:eu:read`.
const PATTERNS: [(&str, &str, bool); 25] = [
    ("exact", "orders:eu:read", true),
    ("exact", "orders:*:read", false),
    ("exact", "*", false),
    ("segments", "orders:eu:read", true),
    ("segments", "orders:*:read", true),
    ("segments", "orders:*", true),
    ("segments", "*", true),
    ("segments", "*:*:*", true),
    ("segments", "*:read", false),
    ("segments", "orders:e*:read", false),
    ("segments", "orders:*:*:*", false),
    ("segments", "orders:?u:read", false),
    ("glob", "orders:*", true),
    ("glob", "*read", true),
    ("glob", "orders:*read", true),
    ("glob", "orders:?u:read", true),
    ("glob", "orders:{us,eu}:read", true),
    ("glob", "orders:{us,uk}:read", false),
    ("glob", "orders:?:read", false),
    ("glob", "order:*", false),
    ("glob", "orders:eu:rea?d", false),
    ("glob", "orders:eu:read*", true),
    ("glob", "orders:[e]u:read", false),
    ("glob", "!nothing", false),
    ("segments", "orders:(eu):read", false),
];

#[test]
fn granted_scopes_are_patterns_only_where_the_issuer_says_so() {
    let (exact, segments, glob) = (Issuer::start(), Issuer::start(), Issuer::start());
    let upstream = Upstream::start();
    let gateway = usual(&upstream)
        .route("GET /eu", "orders:eu:read")
        .issuer("exact", &exact)
        .issuer_with("segments", &segments, "scope_match: segments")
        .issuer_with("glob", &glob, "scope_match: glob")
        .start();
    for (how, granted, grants) in PATTERNS {
        let issuer = match how {
            "exact" => &exact,
            "segments" => &segments,
            _ => &glob,
        };
        let response = gateway.get("/eu", &issuer.mint(granted));
        assert_eq!(response.status == 200, grants, "{how} {granted}: {response:?}");
    }
}

#[test]
fn a_token_counts_where_its_own_issuer_says() {
    let (bearer, header, cookie, query) =
        (Issuer::start(), Issuer::start(), Issuer::start(), Issuer::start());
    let upstream = Upstream::start();
    let gateway = usual(&upstream)
        .issuer("bearer", &bearer)
        .issuer_with("header", &header, "from: {header: X-Token}")
        .issuer_with("cookie", &cookie, "from: {cookie: sid}")
        .issuer_with("query", &query, "from: [{query: access_token}, bearer]")
        .start();
    let place = |place: &str, token: &str| match place {
        "bearer" => Request::get("/me").bearer(token),
        "header" => Request::get("/me").header("X-Token", token),
        "cookie" => Request::get("/me").header("Cookie", &format!("a=b; sid={token}; c=d")),
        _ => Request::get(&format!("/me?x=1&access_token={token}&y=2")),
    };
    let issuers = [("bearer", &bearer), ("header", &header), ("cookie", &cookie), ("query", &query)];
    for (name, issuer) in issuers {
        for (where_it_stands, _) in issuers {
            let token = issuer.mint("");
            let response = gateway.send(&place(where_it_stands, &token));
            let counts = name == where_it_stands || (name == "query" && where_it_stands == "bearer");
            assert_eq!(response.status == 200, counts, "{name} in {where_it_stands}: {response:?}");
            // S6: a credential does not travel on, wherever it stood.
            if counts {
                assert!(!upstream.raw().contains(&token), "{name} in {where_it_stands} reached the upstream");
            }
        }
    }
    let seen = upstream.requests();
    assert!(
        seen.iter().any(|seen| seen.head.target == "/me?x=1&y=2"),
        "the rest of the query stays: {seen:?}"
    );
    assert!(seen.iter().any(|seen| seen.head.header("cookie") == Some("a=b; c=d")), "other cookies stay");
}

#[test]
fn an_issuer_may_take_any_audience_of_several_or_any_at_all() {
    let (several, any) = (Issuer::start(), Issuer::start());
    let upstream = Upstream::start();
    let gateway = usual(&upstream)
        .issuer_with("several", &several, "audience: [one, two]")
        .issuer_with("any", &any, "audience: any")
        .start();
    let cases = [
        (&several, json!("one"), 200),
        (&several, json!(["x", "two"]), 200),
        (&several, json!("any"), 401),
        (&several, json!([]), 401),
        (&any, json!("whatever"), 200),
        (&any, json!([]), 200),
    ];
    for (issuer, audience, status) in cases {
        let token = issuer.token().set("aud", audience.clone()).sign();
        assert_eq!(gateway.get("/me", &token).status, status, "{audience}");
    }
    assert_eq!(gateway.get("/me", &any.token().without("aud").sign()).status, 200);
    assert_eq!(gateway.get("/me", &several.token().without("aud").sign()).status, 401);
}

#[test]
fn a_key_without_an_id_fits_and_an_id_decides_where_there_is_one() {
    let (first, second, other) = (Key::new("ES256", "k1"), Key::new("ES256", "k2"), Key::new("EdDSA", "k3"));
    let issuer = Issuer::with_keys(vec![first.clone(), second, other.clone()]);
    let nameless = Issuer::with_keys(vec![Key::new("ES256", "")]);
    let api =
        Api::with_issuer(issuer, |setup, issuer| setup.issuer("corp", issuer).issuer("bare", &nameless));
    let token = |key: &Key| api.issuer.token().signed_by(key).header("alg", json!(key.algorithm));
    let cases = [
        ("its own", token(&first).sign(), 200),
        ("no kid, one key of its algorithm", token(&other).without_header("kid").sign(), 200),
        ("no kid, two keys of its algorithm", token(&first).without_header("kid").sign(), 401),
        ("another key's kid", token(&first).header("kid", json!("k2")).sign(), 401),
        ("a kid for a key without one", nameless.token().header("kid", json!("x")).sign(), 200),
        ("no kid for a key without one", nameless.token().sign(), 200),
    ];
    for (what, token, status) in cases {
        let response = api.gateway.get("/me", &token);
        assert_eq!(response.status, status, "{what}: {response:?}");
    }
}
