//! The admin listener: probes and metrics for everybody who reaches it, the rest behind its token, all of it behind
//! its own name; and nothing of it on the public side (threats O3).

use portcullis::gate::denial::Reason::{Misdirected, NoRoute};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::canary;
use crate::harness::client::{Connection, Request, Response};
use crate::harness::issuer::{Fault, Issuer};
use crate::harness::keys::random_name;
use crate::harness::upstream::Upstream;

const OPEN: [&str; 3] = ["/metrics", "/livez", "/readyz"];
const GUARDED: [(&str, &str); 3] = [("GET", "/v1/status"), ("GET", "/v1/config"), ("POST", "/v1/reload")];

fn ask(api: &Api, method: &str, target: &str, token: &str) -> Response {
    let request = Request::new(method, target).host(&api.gateway.ports.admin.to_string());
    let request = if method == "POST" { request.body("") } else { request };
    api.gateway.send_admin(&if token.is_empty() { request } else { request.bearer(token) })
}

#[test]
fn o3_the_token_guards_everything_but_probes_and_metrics() {
    let secret = canary::secret(&random_name());
    let api = Api::with(|setup| setup.admin("token: {env: IT_ADMIN_TOKEN}").env("IT_ADMIN_TOKEN", &secret));
    for target in OPEN {
        assert_eq!(ask(&api, "GET", target, "").status, 200, "{target}");
    }
    let wrong = [
        "",
        "wrong",
        &secret[..secret.len() - 1],
        &format!("{secret}x"),
        &secret.to_uppercase(),
        &api.reader(),
    ];
    for (method, target) in GUARDED {
        for token in wrong {
            let response = ask(&api, method, target, token);
            assert_eq!(response.status, 401, "{method} {target}: {response:?}");
            let challenge = response.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Bearer"), "{response:?}");
            assert!(!response.text().contains(&secret), "{response:?}");
        }
        let response = ask(&api, method, target, &secret);
        assert_eq!(response.status, 200, "{method} {target}: {response:?}");
        assert!(canary::find(&response.text()).is_none(), "I4: {response:?}");
    }
    // In the query or a cookie it is no token.
    let response = ask(&api, "GET", &format!("/v1/status?token={secret}&access_token={secret}"), "");
    assert_eq!(response.status, 401);
}

#[test]
fn on_loopback_without_a_token_nothing_is_asked() {
    let api = Api::start();
    for (method, target) in GUARDED {
        assert_eq!(ask(&api, method, target, "").status, 200, "{method} {target}");
    }
}

/// A page on the internet whose name was made to point here is sent away.
#[test]
fn o3_another_host_is_misdirected() {
    let api = Api::start();
    let port = api.gateway.ports.admin.port();
    let hosts = [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        "api.test".to_owned(),
    ];
    for host in hosts {
        for (method, target) in GUARDED {
            let request = Request::new(method, target).host(&host);
            let response = api.gateway.send_admin(&if method == "POST" { request.body("") } else { request });
            assert_refused(&response, Misdirected);
        }
    }
    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
    ] {
        let response = api.gateway.send_admin(&Request::get("/v1/status").host(&host));
        assert_eq!(response.status, 200, "{host}: {response:?}");
    }
}

#[test]
fn o3_nothing_of_it_is_served_in_public() {
    let api = Api::start();
    for target in OPEN.into_iter().chain(GUARDED.map(|(_, target)| target)).chain([
        "/debug",
        "/-/reload",
        "/openapi.json",
        "/",
    ]) {
        for method in ["GET", "POST"] {
            api.refuses(&Request::new(method, target), NoRoute);
            // Not even when asked for by the admin listener's name.
            api.refuses(&Request::new(method, target).host(&api.gateway.ports.admin.to_string()), NoRoute);
        }
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let api = Api::start();
    for target in ["/nowhere", "/v1", "/v1/nothing", "/metrics/", "/../metrics", "/orders/1", "/health"] {
        let response = ask(&api, "GET", target, "");
        assert!(matches!(response.status, 400 | 404), "{target}: {response:?}");
    }
    for (method, target) in
        [("GET", "/v1/reload"), ("POST", "/v1/status"), ("DELETE", "/v1/config"), ("POST", "/metrics")]
    {
        let response = ask(&api, method, target, "");
        assert_eq!(response.status, 405, "{method} {target}: {response:?}");
    }
    assert_eq!(api.upstream.count(), 0);
}

#[test]
fn the_status_says_what_is_in_force() {
    let api = Api::start();
    let status = api.gateway.status();
    assert_eq!(status["generation"].as_u64().map(|generation| generation > 0), Some(true), "{status}");
    let text = status.to_string();
    assert!(text.contains("corp"), "the issuers' state is missing: {text}");
    let response = ask(&api, "GET", "/v1/status", "");
    assert!(
        response.header("content-type").is_some_and(|kind| kind.starts_with("application/json")),
        "{response:?}"
    );
}

/// The configuration in force, every default filled in, and no secret in it.
#[test]
fn o2_the_configuration_is_shown_without_secrets() {
    let secret = canary::secret(&(random_name() + &random_name()));
    let issuer = Issuer::with_keys(vec![crate::harness::keys::Key::secret("HS256", secret.as_bytes())]);
    let admin = canary::secret(&random_name());
    let api = Api::with_issuer(issuer, |setup, issuer| {
        let setup =
            setup.issuer_with("corp", issuer, "keys: {secret: {file: hidden}}").file("hidden", &secret);
        setup.admin("token: {env: IT_ADMIN_TOKEN}").env("IT_ADMIN_TOKEN", &admin)
    });
    assert_allowed(&api.gateway.get("/orders/1", &api.reader()));
    let response = ask(&api, "GET", "/v1/config", &admin);
    assert_eq!(response.status, 200, "{response:?}");
    let text = response.text();
    assert!(canary::find(&text).is_none(), "I4: {text}");
    for shown in ["corp", "/orders/{id}", "orders:read", "header_time", "IT_ADMIN_TOKEN", "hidden"] {
        assert!(text.contains(shown), "{shown} is not shown: {text}");
    }
}

#[test]
fn readiness_follows_the_keys() {
    let issuer = Issuer::start();
    issuer.set_fault(Fault::NotFound);
    let upstream = Upstream::start();
    let setup =
        crate::harness::api::usual(&upstream).issuer_fetched("corp", &issuer, "refresh: 1s, cooldown: 100ms");
    let gateway = setup.start_unready();
    assert_eq!(gateway.probe("/readyz"), Some(503));
    issuer.set_fault(Fault::None);
    gateway.wait_until_ready();
    // An outage with keys at hand is no reason to be taken out of service.
    issuer.set_fault(Fault::NotFound);
    let fetched = issuer.fetches();
    crate::harness::wait::wait_until("fetches fail", || issuer.fetches() > fetched + 1);
    assert_eq!(gateway.probe("/readyz"), Some(200));
}

#[test]
fn a_hostile_client_of_the_admin_listener_harms_nobody() {
    let api = Api::start();
    for octets in
        [&b"\0\0\0\r\n\r\n"[..], b"GET /metrics HTTP/9\r\n\r\n", &[b'A'; 100_000], b"GET / HTTP/1.1\r\n\r\n"]
    {
        let mut connection = Connection::open(api.gateway.ports.admin).unaudited();
        connection.write(octets);
        connection.finish_writing();
        connection.read_to_end();
    }
    assert_eq!(ask(&api, "GET", "/livez", "").status, 200);
    let huge = Request::new("POST", "/v1/reload")
        .host(&api.gateway.ports.admin.to_string())
        .body(vec![b'a'; 4 << 20]);
    let response = api.gateway.send_admin(&huge);
    assert!(matches!(response.status, 200 | 400 | 413), "{response:?}");
}

/// Threat O3: connections that ask for nothing make way for who does.
#[test]
fn o3_strangers_who_hold_connections_keep_nobody_out() {
    let api = Api::start();
    let admin = api.gateway.ports.admin;
    let stranger = std::net::IpAddr::from([127, 0, 0, 7]);
    let probe = Request::get("/livez").host(&admin.to_string());
    let held: Vec<Connection> = (0..100)
        .map(|number| {
            let mut connection = Connection::from_source(stranger, admin).expect("connects").unaudited();
            if number % 2 == 0 {
                assert_eq!(connection.send(&probe).status, 200, "{number}");
            } else {
                // Half a head, for which there is half a minute.
                connection.write(b"GET /livez HTTP/1.1\r\nHost:");
            }
            connection
        })
        .collect();
    let mut operator = Connection::open(admin).unaudited();
    for _ in 0..20 {
        assert_eq!(operator.send(&Request::get("/v1/status").host(&admin.to_string())).status, 200);
        let mut another = Connection::from_source(stranger, admin).expect("connects").unaudited();
        another.write(b"GET /livez HTTP/1.1\r\nHost:");
    }
    drop(held);
}
