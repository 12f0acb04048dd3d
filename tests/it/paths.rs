//! What is matched is byte for byte what is forwarded, and no spelling of a guarded path slips past its route.

use portcullis::gate::denial::Reason;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::api::Api;
use crate::harness::client::Request;

/// `/admin` and all below it need a scope; `/public` and all below it are open; one route takes dangerous paths.
fn api() -> Api {
    Api::with(|setup| {
        let setup = setup.no_routes().route("/admin", "admin").route("/admin/{*rest}", "admin");
        let setup = setup.route("/public", "public").route("/public/{*rest}", "public");
        setup.route("/raw/{*rest}", "{require: public, dangerous_path: true}")
    })
}

/// Targets that some parser reads as the guarded path, sent without any token. None may reach the upstream (threats P1 to
/// P5).
const GUARDED: [&str; 70] = [
    "/admin",
    "/admin/",
    "/admin/x",
    "/%61dmin",
    "/%61%64%6d%69%6e",
    "/adm%69n/x",
    "//admin",
    "///admin",
    "/./admin",
    "/%2e/admin",
    "/%2E/admin",
    "/x/../admin",
    "/public/../admin",
    "/public/..%2fadmin",
    "/public/%2e%2e/admin",
    "/public/%2E%2E/admin",
    "/public/.%2e/admin",
    "/public/%2e./admin",
    "/public/..%5cadmin",
    "/public/..\\admin",
    "/public/..;/admin",
    "/public/..;x=1/admin",
    "/public/;/../admin",
    "/public/./../admin",
    "/public//../admin",
    "/public/../../admin",
    "/public/x/../../admin",
    "/public/%252e%252e/admin",
    "/public/%25%32%65%25%32%65/admin",
    "/public/..%252fadmin",
    "/public/%2e%2e%2fadmin",
    "/public%2f..%2fadmin",
    "/public%2f../admin",
    "/public/..%c0%afadmin",
    "/public/%c0%ae%c0%ae/admin",
    "/public/%e0%80%ae%e0%80%ae/admin",
    "/public/..%u2216admin",
    "/public/..%00/admin",
    "/public%00/../admin",
    "/public/..%0a/admin",
    "/public/..%0d/admin",
    "/public/.. /admin",
    "/public/..%23/admin",
    "/admin%2f",
    "/admin%2fx",
    "/admin%5c",
    "/admin%00",
    "/admin%00.html",
    "/admin%0a",
    "/admin;x",
    "/admin;/public",
    "/admin;x=1/y",
    "/;/admin",
    "/;x/admin",
    "/.;/admin",
    "/..;/admin",
    "/%3b/admin",
    "/\\admin",
    "/%5cadmin",
    "/admin/.",
    "/admin/..",
    "/admin/./x",
    "/admin//x",
    "/admin/x/../y",
    "/../admin",
    "/..%2fadmin",
    "/%2e%2e/admin",
    "/%",
    "/%4",
    "/%zzadmin",
];

#[test]
fn p1_p2_p5_no_spelling_of_a_guarded_path_passes() {
    let api = api();
    for target in GUARDED {
        let response = api.gateway.send(&Request::get(target));
        assert!(matches!(response.status, 400 | 401 | 404), "{target}: {response:?}");
        assert_eq!(api.upstream.count(), 0, "{target} reached the upstream: {:?}", api.upstream.last());
    }
}

/// The octets that reach the upstream, where a spelling may be made canonical and passed on.
const FORWARDED: [(&str, &str); 21] = [
    ("/public/a", "/public/a"),
    ("/public/", "/public/"),
    ("/%70ublic/%61", "/public/a"),
    ("/public/%41%7A%30%2d%5F%7e", "/public/Az0-_~"),
    ("/public/a%2eb", "/public/a.b"),
    ("/public/.a", "/public/.a"),
    ("/public/a.", "/public/a."),
    ("/public/...", "/public/..."),
    ("/public/%c3%a9", "/public/%C3%A9"),
    ("/public/%C3%A9", "/public/%C3%A9"),
    ("/public/%20x", "/public/%20x"),
    ("/public/a%3a", "/public/a%3A"),
    ("/public/a:b@c!$&'()*+,=", "/public/a:b@c!$&'()*+,="),
    ("/public/a?b=%2f..%2F//;%5c", "/public/a?b=%2f..%2F//;%5c"),
    ("/public/a?", "/public/a?"),
    ("/public/a?x=/../admin", "/public/a?x=/../admin"),
    ("/public/a??", "/public/a??"),
    ("/raw/a%2Fb", "/raw/a%2Fb"),
    ("/raw/a%2fb", "/raw/a%2fb"),
    ("/raw//a", "/raw//a"),
    ("/raw/a;b", "/raw/a;b"),
];

#[test]
fn i2_the_matched_octets_are_the_forwarded_octets() {
    let api = api();
    for (sent, forwarded) in FORWARDED {
        api.allows(&Request::get(sent));
        assert_eq!(api.upstream.last().head.target, forwarded, "{sent}");
    }
}

/// With the scope, what is refused is refused still: hygiene is not a matter of permission.
#[test]
fn p1_a_dangerous_path_is_malformed_on_a_route_that_does_not_take_it() {
    let api = api();
    let token = api.issuer.mint("admin");
    for path in [
        "/a%2fb", "/a%5cb", "/a%00", "/a\\b", "/a;b", "//a", "/./a", "/../a", "/a/.", "/a/..", "/%252e",
        "/%2500",
    ] {
        let request = Request::get(&format!("/admin{path}")).bearer(&token);
        api.refuses(&request, Reason::MalformedRequest);
    }
    api.allows(&Request::get("/admin/a").bearer(&token));
}

/// A route that takes dangerous paths is no way round the others.
#[test]
fn p1_a_dangerous_path_is_matched_exactly_as_it_is_forwarded() {
    let api = api();
    for (target, reaches) in
        [("/raw/../admin", true), ("/raw/%2e%2e/admin", true), ("/raw%2f../admin", false)]
    {
        let before = api.upstream.count();
        let response = api.gateway.send(&Request::get(target));
        if reaches && response.status == 200 {
            assert_eq!(api.upstream.last().head.target, target, "forwarded is what was matched");
        } else {
            assert!(matches!(response.status, 400 | 404), "{target}: {response:?}");
            assert_eq!(api.upstream.count(), before, "{target}");
        }
    }
}

#[test]
fn p2_the_query_and_the_fragment_take_no_part() {
    let api = api();
    for target in ["/admin?x=/public/", "/admin?/public", "/admin?/../public/a", "/admin/x?%2f..%2fpublic"] {
        api.refuses(&Request::get(target), Reason::NoCredentials);
    }
    for target in ["/admin#/public", "/admin%23/public", "/public/a#x", "/admin%3f/public"] {
        let response = api.gateway.send(&Request::get(target));
        assert!(matches!(response.status, 400 | 401 | 404), "{target}: {response:?}");
    }
    assert_eq!(api.upstream.count(), 0);
}

#[test]
fn p3_p4_p5_case_boundaries_and_slashes() {
    let api = Api::with(|setup| {
        let setup =
            setup.no_routes().route("/admin", "admin").route("/a.b", "public").route("/caf%c3%a9", "public");
        setup.route("/%7euser/{id}", "public")
    });
    for target in
        ["/ADMIN", "/Admin", "/adminx", "/admin.", "/admin.html", "/adminXio", "/axb", "/a", "/admi"]
    {
        api.refuses(&Request::get(target), Reason::NoRoute);
    }
    for target in ["/admin/", "/admin/x", "/a.b/", "/a.b/x", "/~user/", "/~user/1/2"] {
        api.refuses(&Request::get(target), Reason::NoRoute);
    }
    // A pattern and a path are made canonical by the same function.
    for target in ["/a.b", "/a%2Eb", "/caf%C3%A9", "/caf%c3%a9", "/~user/1", "/%7Euser/1", "/%7euser/1"] {
        api.allows(&Request::get(target));
    }
}

/// However many hosts there are, each is found in whatever case it is written (Caddy's CVE-2026-27588).
#[test]
fn h8_a_host_is_the_same_in_every_case() {
    let api = Api::with(|setup| {
        let setup = setup.no_routes().route("/x", "public");
        (0..150).fold(setup, |setup, n| setup.route(&format!("h{n}.test/x"), "admin"))
    });
    for n in [0, 1, 99, 100, 101, 149] {
        for host in
            [format!("h{n}.test"), format!("H{n}.TEST"), format!("h{n}.Test:80"), format!("h{n}.test.")]
        {
            api.refuses(&Request::get("/x").host(&host), Reason::NoCredentials);
        }
    }
    api.allows(&Request::get("/x").host("h150.test"));
}

/// `User-Agent`, client addresses and paths in headers open nothing.
#[test]
fn p8_no_header_is_an_exemption() {
    let api = api();
    let headers = [
        ("User-Agent", "GoogleHC/1.0"),
        ("User-Agent", "kube-probe/1.31"),
        ("User-Agent", "ELB-HealthChecker/2.0"),
        ("X-Forwarded-Uri", "/public/a"),
        ("X-Original-URL", "/public/a"),
        ("X-Original-Uri", "/public/a"),
        ("X-Rewrite-URL", "/public/a"),
        ("X-Forwarded-Prefix", "/public"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Host", "public.test"),
        ("X-Real-IP", "127.0.0.1"),
        ("X-Client-Cert", "yes"),
        ("Forwarded", "for=127.0.0.1;host=public.test"),
        ("Referer", "http://api.test/public/a"),
    ];
    for (name, value) in headers {
        api.refuses(&Request::get("/admin").header(name, value), Reason::NoCredentials);
    }
}

/// Whatever path is drawn: it is refused, or what the upstream got stands under the open tree in every reading.
#[test]
fn p1_no_drawn_path_escapes_the_open_tree() {
    let api = api();
    let piece = prop::sample::select(vec![
        "admin", "public", "a", ".", "..", "%2e", "%2E%2e", "%2f", "%5c", "\\", ";", "//", "/", "/", "/",
        "%00", "%25", "%61dmin", "%c0%af", "?", "x=1", "%",
    ]);
    let path = prop::collection::vec(piece, 1..9).prop_map(|pieces| format!("/public/{}", pieces.concat()));
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&path, |target| {
        let before = api.upstream.count();
        let response = api.gateway.send(&Request::get(&target));
        if api.upstream.count() > before {
            let seen = api.upstream.last();
            let read = thoroughly_decoded(seen.head.path());
            prop_assert!(
                read.starts_with("/public/") || read == "/public",
                "{} went on as {}",
                target,
                seen.head.target
            );
        } else {
            prop_assert!(matches!(response.status, 400 | 401 | 404), "{}: {:?}", target, response);
        }
        Ok(())
    });
    outcome.expect("no path escapes");
}

/// The path as the most eager of backends would read it: decoded until nothing changes, `\` as `/`, parameters
/// cut off, segments resolved.
fn thoroughly_decoded(path: &str) -> String {
    let mut text = path.to_owned();
    for _ in 0..4 {
        for (escape, plain) in [
            ("%25", "%"),
            ("%2e", "."),
            ("%2E", "."),
            ("%2f", "/"),
            ("%2F", "/"),
            ("%5c", "\\"),
            ("%5C", "\\"),
        ] {
            text = text.replace(escape, plain);
        }
    }
    let text = text.replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}
