//! Programs that nobody here wrote: real servers behind the gateway, real clients and real attackers before it.
//!
//! A program that is not there is a failure, never a skip: `.ci/run` installs them.

mod bypasses;
mod clock;
mod frames;
mod graphql;
mod link;
mod load;
mod look_up;
mod metrics;
mod peers;
mod requests;
mod schemathesis;
mod slow_clients;
mod systems;
mod tools;
mod watch;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use crate::harness::api::{assert_refused, usual};
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::Upstream;
use crate::harness::wait::wait_until;
use portcullis::gate::denial::Reason::NoCredentials;

/// nginx, serving one file, until dropped.
struct Nginx {
    process: Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl Nginx {
    fn start(body: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let at = directory.path().display();
        fs::create_dir_all(directory.path().join("html/orders")).expect("a directory");
        fs::write(directory.path().join("html/orders/1"), body).expect("a file");
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};"));
        let text = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log {at}/access.log; {}\n\
             server {{ listen 127.0.0.1:{port}; root {at}/html; }} }}\n",
            paths.join(" ")
        );
        fs::write(directory.path().join("nginx.conf"), text).expect("a file");
        let mut command = tools::program("nginx");
        command.arg("-p").arg(directory.path()).arg("-c").arg(directory.path().join("nginx.conf"));
        let process = command.stdin(Stdio::null()).spawn().expect("nginx is there: .ci/run installs it");
        wait_until("nginx listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { process, directory, port }
    }

    /// Lines of its own log: requests it has served.
    fn served(&self) -> usize {
        fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default().lines().count()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[test]
fn wrk_is_served_by_nginx_through_the_gateway() {
    let nginx = Nginx::start("{\"id\": 1}");
    let issuer = Issuer::start();
    let recording = Upstream::start();
    let url = format!("http://127.0.0.1:{}", nginx.port);
    let gateway = usual(&recording).quiet().upstream_as("api", &url).issuer("corp", &issuer).start();
    assert_refused(&gateway.send(&Request::get("/orders/1")), NoCredentials);
    assert_eq!(nginx.served(), 0, "I1: nginx heard of a refused request");
    let target = format!("http://{}/orders/1", gateway.ports.public);
    let token = format!("Authorization: Bearer {}", issuer.mint("orders:read"));
    let wrk = tools::program("wrk").args(["-t1", "-c16", "-d2s", "-H", &token, &target]).output();
    let said = String::from_utf8(wrk.expect("wrk is there: .ci/run installs it").stdout).expect("text");
    assert!(
        said.contains("requests in") && !said.contains("Non-2xx") && !said.contains("Socket errors"),
        "{said}"
    );
    wait_until("nginx has logged what it served", || nginx.served() > 100);
}
