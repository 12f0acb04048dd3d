//! Listeners on Unix sockets: the same decisions, for clients of this machine.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::harness::api::Api;
use crate::harness::process::run;
use crate::harness::setup::Setup;

/// An API that listens on `http.sock` beside its configuration, too; with these members of the listener.
fn api(members: &'static str, change: impl FnOnce(Setup) -> Setup) -> Api {
    Api::with(|setup| {
        change(setup).yaml(move |text| {
            text.replacen("]\nadmin:", &format!(", {{address: 'unix:http.sock'{members}}}]\nadmin:"), 1)
        })
    })
}

fn socket(api: &Api) -> PathBuf {
    api.gateway.directory.path().join("http.sock")
}

/// Sends a request and reads to the end of the connection.
fn ask(path: &Path, target: &str, more: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("it is answered");
    let request = format!("GET {target} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn what_is_refused_elsewhere_is_refused_here() {
    let api = api("", |setup| setup);
    let answer = ask(&socket(&api), "/orders/1", "");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(api.upstream.count(), 0, "I1: the upstream heard of it");
}

#[test]
fn a_client_is_of_this_machine() {
    let api = api("", |setup| setup);
    let token = format!("X-Forwarded-For: 9.9.9.9\r\nAuthorization: Bearer {}\r\n", api.reader());
    let answer = ask(&socket(&api), "/orders/1", &token);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(api.upstream.last().head.all("x-forwarded-for"), ["127.0.0.1"]);
    api.gateway.wait_for_log(&["/orders/1", "\"127.0.0.1\""]);
    let label = format!("unix:{}", socket(&api).display());
    let metrics = api.gateway.metrics();
    assert!(metrics.values("connections", "listener").contains(&*label), "{label}");
}

/// All of them come from one address, and none of them is anybody else's neighbour.
#[test]
fn clients_do_not_count_against_an_address() {
    let api = api("", |setup| setup.limits("connections_per_address: 3"));
    let held: Vec<UnixStream> = (0..8).map(|_| UnixStream::connect(socket(&api)).expect("taken")).collect();
    for _ in 0..4 {
        let answer = ask(&socket(&api), "/health", "");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    drop(held);
}

#[test]
fn its_file_has_the_permissions_that_were_chosen_and_is_gone_at_the_end() {
    for (members, mode) in [("", 0o660), (", mode: 0600", 0o600), (", mode: 0666", 0o666)] {
        let api = api(members, |setup| setup);
        let found = fs::metadata(socket(&api)).expect("a file").permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{members}");
        api.gateway.stop();
        assert!(!socket(&api).exists(), "the file is left behind");
    }
}

#[test]
fn a_socket_of_the_dead_is_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let dead = directory.path().join("dead.sock");
    drop(UnixListener::bind(&dead).expect("bound"));
    let address = format!(", 'unix:{}']\nadmin:", dead.display());
    let api = Api::with(move |setup| setup.yaml(move |text| text.replacen("]\nadmin:", &address, 1)));
    let answer = ask(&dead, "/health", "");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    api.gateway.signal("KILL");
    api.gateway.wait_for_any_exit();
    assert!(dead.exists(), "nobody was left to remove it");
}

#[test]
fn a_socket_of_the_living_is_taken() {
    let api = api("", |setup| setup);
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "version: 1\nlisteners: ['unix:{}']\nupstreams: {{a: 'http://127.0.0.1:9'}}\nroutes: {{/a: public}}\n",
        socket(&api).display()
    );
    fs::write(directory.path().join("portcullis.yaml"), text).expect("a file");
    run(directory.path(), &["run", "--config", "portcullis.yaml"]).code(69).says(&["cannot listen on unix:"]);
    let answer = ask(&socket(&api), "/health", "");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
