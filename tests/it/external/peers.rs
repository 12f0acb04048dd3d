//! The clients and servers that people use, with the gateway between them: grpcio's and `websockets`' own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::external::tools;
use crate::harness::api::usual;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::Upstream;

/// A server of theirs, until dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts `script server`, which says its port and serves until its input ends.
    fn start(script: &str) -> Self {
        let mut command = tools::script(&tools::python(), script);
        command.arg("server").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("python is there: .ci/run installs it");
        let mut port = String::new();
        let mut said = BufReader::new(process.stdout.take().expect("piped"));
        said.read_line(&mut port).expect("it says where it listens");
        let port = port.trim().parse().expect("a port: .ci/run installs what the server needs");
        Self { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Unary calls and streams of every direction, refusals as statuses of gRPC, trailers, deadlines, many at once.
#[test]
fn grpcio_calls_its_own_server_through_the_gateway() {
    let server = Server::start("grpc_peers.py");
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let gateway = usual(&upstream)
        .quiet()
        .upstream_as("api", &format!("h2c://127.0.0.1:{}", server.port))
        .issuer("corp", &issuer)
        .route("POST /shop.Orders/{call}", "{require: orders:read, forward: {headers: {X-Subject: sub}}}")
        .start();
    let (token, other) =
        (issuer.token().set("sub", "alice".into()).scope("orders:read").sign(), issuer.mint("orders:none"));
    let port = gateway.ports.public.port().to_string();
    let mut client = tools::script(&tools::python(), "grpc_peers.py");
    let said = tools::output(client.args(["client", &port, &token, &other]));
    assert!(said.contains("checks passed"), "{said}");
    println!("peers {}", said.trim());
}

#[test]
fn websockets_talks_to_its_own_server_through_the_gateway() {
    let server = Server::start("websocket_peers.py");
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let gateway = usual(&upstream)
        .quiet()
        .upstream_as("api", &format!("http://127.0.0.1:{}", server.port))
        .issuer("corp", &issuer)
        .route("GET /socket", "orders:read")
        .start();
    let url = format!("ws://{}/socket", gateway.ports.public);
    let mut client = tools::script(&tools::python(), "websocket_peers.py");
    let said = tools::output(client.args(["client", &url, &issuer.mint("orders:read")]));
    assert!(said.contains("checks passed"), "{said}");
    println!("peers {}", said.trim());
}
