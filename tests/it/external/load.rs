//! h2load: many requests at once over one connection and over several.

use crate::external::Nginx;
use crate::external::tools;
use crate::harness::api::usual;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::Upstream;

/// Requests of one run.
const REQUESTS: &str = "10000";

/// Runs h2load with these arguments, and expects an answer of success to every request.
#[track_caller]
fn all_succeed(what: &str, arguments: &[&str], url: &str) {
    let mut command = tools::program("h2load");
    let said = tools::output(
        command.args(["-n", REQUESTS, "-c", "10", "-m", "16", "-t", "1"]).args(arguments).arg(url),
    );
    let line = |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    println!("h2load {what}: {}; {}", line("status codes:"), line("finished in"));
    assert!(
        line("status codes:").starts_with(&format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx")),
        "{said}"
    );
}

#[test]
fn h2load_over_http_1_1_gets_every_answer() {
    let nginx = Nginx::start("{\"id\": 1}");
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let url = format!("http://127.0.0.1:{}", nginx.port);
    let gateway = usual(&upstream).quiet().upstream_as("api", &url).issuer("corp", &issuer).start();
    let token = format!("Authorization: Bearer {}", issuer.mint("orders:read"));
    let url = format!("http://{}/orders/1", gateway.ports.public);
    all_succeed("http/1.1", &["--h1", "-H", &token], &url);
}
