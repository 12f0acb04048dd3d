//! A network between the gateway and its upstream that delays, loses and stops carrying packets (threats U3). Needs to be
//! root, as `.ci/run` is: the upstream is in a network namespace of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use portcullis::gate::denial::Reason::UpstreamTimeout;

use crate::external::tools;
use crate::harness::api::{assert_allowed, assert_refused, usual};
use crate::harness::client::Request;
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::Upstream;
use crate::harness::wait::{PATIENCE, wait_until};

/// The network, with a server behind it, until dropped.
struct Link {
    process: Child,
    said: BufReader<ChildStdout>,
    server: SocketAddr,
}

impl Link {
    fn start() -> Self {
        let mut command = tools::script("python3", "link.py");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("python is there: .ci/run installs it");
        let mut said = BufReader::new(process.stdout.take().expect("piped"));
        let mut address = String::new();
        said.read_line(&mut address).expect("it says where the server is");
        let server = address.trim().parse().expect("an address: this needs root, iproute2 and /dev/net/tun");
        wait_until("the server listens", || TcpStream::connect_timeout(&server, PATIENCE).is_ok());
        Self { process, said, server }
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.process.stdin.as_mut().expect("piped"), "{what}").expect("it listens");
        let mut done = String::new();
        self.said.read_line(&mut done).expect("it answers");
        assert_eq!(done.trim(), "done", "{what}");
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Told to, it takes its namespace away.
        let told = self.process.stdin.take().map(|mut input| input.write_all(b"end\n"));
        if !matches!(told, Some(Ok(()))) {
            let _gone_already = self.process.kill();
        }
        let _reaped = self.process.wait();
    }
}

fn gateway(link: &Link, members: &str) -> Gateway {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let value = format!("{{peers: 'http://{}', {members}}}", link.server);
    let setup = usual(&upstream).quiet().upstream_as("api", &value).issuer("corp", &issuer);
    setup.route("/any/{*rest}", "public").start()
}

/// What is lost is sent again by TCP, not by us: every request is answered, and none is delivered twice.
#[test]
fn u3_a_network_that_loses_packets_loses_and_repeats_no_request() {
    const CLIENTS: usize = 8;
    const EACH: usize = 12;
    let mut link = Link::start();
    let gateway = gateway(&link, "response_timeout: 60s, connect_timeout: 30s");
    link.tell("delay 20");
    link.tell("lose 5");
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let gateway = &gateway;
            scope.spawn(move || {
                let mut connection = gateway.connect();
                for number in 0..EACH {
                    let name = format!("{client}-{number}");
                    connection.write(&Request::post(&format!("/any/pay/{name}"), vec![b'x'; 9_000]).octets());
                    let answer = connection.answer_to("POST");
                    assert_allowed(&answer);
                    assert_eq!(answer.text(), name, "somebody else's answer");
                }
            });
        }
    });
    link.tell("lose 0");
    let counts = gateway.send(&Request::get("/any/counts")).json();
    let counts = counts.as_object().expect("a mapping");
    assert_eq!(counts.len(), CLIENTS * EACH);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

/// Nothing comes back, not even a refusal: in time both on a connection that waits and on one that has to be made.
#[test]
fn u3_a_network_that_is_cut_is_504_in_time_and_mended_is_served_again() {
    let mut link = Link::start();
    let gateway = gateway(&link, "response_timeout: 1s, connect_timeout: 1s");
    let get = Request::get("/any/counts");
    wait_until("it is served", || gateway.send(&get).status == 200);
    link.tell("cut");
    for request in [&get, &get, &Request::post("/any/pay/lost", "body")] {
        let start = Instant::now();
        let answer = gateway.send(request);
        assert_refused(&answer, UpstreamTimeout);
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
        assert_eq!(gateway.probe("/livez"), Some(200));
    }
    link.tell("mend");
    wait_until("it is served again", || gateway.send(&get).status == 200);
}
