//! graphql-http's audits of a GraphQL server: through a public route they find what they find without a gateway
//! (threats 2L: whoever does not look into bodies changes nothing of them).

mod audited;
mod clients;
mod disagreeing;
mod reserved;
pub mod servers;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::external::tools;
use crate::harness::api::usual;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::Upstream;

/// Audits that the pinned release has.
const AUDITS: usize = 61;

/// graphql-http behind Node's own HTTP server, until dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut command = tools::script("node", "graphql.cjs");
        let process = command.arg("serve").stdout(Stdio::piped()).spawn();
        let mut process = process.expect("node is there: .ci/run installs it");
        let mut said = BufReader::new(process.stdout.take().expect("piped"));
        let mut port = String::new();
        said.read_line(&mut port).expect("it says where it listens");
        assert!(!port.is_empty(), "the GraphQL server did not start: .ci/run installs its modules");
        Self { process, address: format!("http://127.0.0.1:{}", port.trim()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn audit(address: &str) -> Vec<String> {
    let said =
        tools::output(tools::script("node", "graphql.cjs").args(["audit", &format!("{address}/graphql")]));
    said.lines().map(str::to_owned).collect()
}

#[test]
fn graphql_audits_find_the_same_through_a_public_route() {
    let server = Server::start();
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let setup = usual(&upstream).quiet().upstream_as("api", &server.address).issuer("corp", &issuer);
    let gateway = setup.route("/graphql", "public").start();
    let direct = audit(&server.address);
    let through = audit(&format!("http://{}", gateway.ports.public));
    let differ = direct.iter().zip(&through).filter(|(direct, through)| direct != through);
    let differ: Vec<_> = differ.collect();
    let fine = |lines: &[String]| lines.iter().filter(|line| line.contains("\"ok\"")).count();
    println!(
        "corpus graphql-http: {} audits, {} ok direct, {} ok through the gateway, {} differ",
        through.len(),
        fine(&direct),
        fine(&through),
        differ.len()
    );
    assert_eq!((direct.len(), through.len()), (AUDITS, AUDITS), "the audits are others");
    assert!(fine(&direct) > AUDITS / 2, "the server is no GraphQL server: {direct:#?}");
    assert!(differ.is_empty(), "direct, and through the gateway: {differ:#?}");
}
