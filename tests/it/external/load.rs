//! h2load: many requests at once over several connections, of HTTP/1.1 and of HTTP/2, in the clear and over TLS.

use crate::external::Nginx;
use crate::external::tools;
use crate::harness::api::usual;
use crate::harness::certificates::Authority;
use crate::harness::issuer::Issuer;
use crate::harness::setup::Setup;
use crate::harness::upstream::Upstream;

/// Requests of one run.
const REQUESTS: &str = "10000";

/// Runs h2load with these arguments against nginx behind a gateway, and expects every request to succeed, by the
/// protocol that was meant.
#[track_caller]
fn all_succeed(protocol: &str, scheme: &str, arguments: &[&str], change: impl FnOnce(Setup) -> Setup) {
    let nginx = Nginx::start("{\"id\": 1}");
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let behind = format!("http://127.0.0.1:{}", nginx.port);
    let setup = usual(&upstream).quiet().upstream_as("api", &behind).issuer("corp", &issuer);
    let gateway = change(setup).start();
    let token = format!("Authorization: Bearer {}", issuer.mint("orders:read"));
    let url = format!("{scheme}://{}/orders/1", gateway.ports.public);
    // None of the workers has seen the token, and more than `limits.signatures_in_flight` bring it at once.
    let said = tools::output(
        tools::program("h2load")
            .args(["-n", REQUESTS, "-c", "10", "-m", "16", "-t", "1", "-H", &token])
            .args(arguments)
            .arg(&url),
    );
    let line = |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    println!("h2load {protocol}: {}; {}", line("status codes:"), line("finished in"));
    let all = format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx");
    assert!(line("status codes:").starts_with(&all), "{said}");
    assert_eq!(line("Application protocol:"), format!("Application protocol: {protocol}"), "{said}");
}

/// A listener that speaks TLS.
fn over_tls(setup: Setup) -> Setup {
    let shown = Authority::new("ours").server(&["api.test"]);
    let setup = setup.file("cert.pem", &shown.certificate).file("key.pem", &shown.key);
    setup.listener("tls: {certificate: cert.pem, private_key: {file: key.pem}}")
}

#[test]
fn h2load_over_http_1_1_gets_every_answer() {
    all_succeed("http/1.1", "http", &["--h1"], |setup| setup);
}

#[test]
fn h2load_over_http_1_1_and_tls_gets_every_answer() {
    all_succeed("http/1.1", "https", &["--h1"], over_tls);
}

#[test]
fn h2load_by_prior_knowledge_gets_every_answer() {
    all_succeed("h2c", "http", &[], |setup| setup);
}

#[test]
fn h2load_over_tls_gets_every_answer() {
    all_succeed("h2", "https", &[], over_tls);
}
