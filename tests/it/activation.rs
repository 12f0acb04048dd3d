//! A service manager binds the sockets and hears how we are (sd_listen_fds(3), sd_notify(3)).

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::process::{BINARY, signal, wait_for_exit};
use crate::harness::setup::Ports;
use crate::harness::upstream::Upstream;
use crate::harness::wait::PATIENCE;

/// Writes a configuration with these listeners, one public route, and more top-level YAML.
fn configure(directory: &Path, upstream: &Upstream, listeners: &str, more: &str) {
    let text = format!(
        "version: 1\nworkers: 2\nlisteners: {listeners}\nupstreams: {{api: {:?}}}\nroutes: {{/health: public}}\n\
         log: {{format: json, level: info, access: false}}\n{more}\n",
        upstream.url()
    );
    fs::write(directory.join("portcullis.yaml"), text).expect("a file");
}

/// Starts the gateway as a service manager does, with these sockets from descriptor 3 on.
fn activate(directory: &Path, sockets: Vec<OwnedFd>) -> Child {
    // A shell moves what is its input and output to where a service manager puts sockets, and keeps its own number.
    let script = match sockets.len() {
        1 => "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"",
        2 => "exec 3<&0 4<&1 0</dev/null 1>&2; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" \"$@\"",
        other => panic!("{other} sockets"),
    };
    let log = fs::File::create(directory.join("log")).expect("a log file");
    let mut command = Command::new("sh");
    command
        .args(["-c", script, BINARY, "run", "--config"])
        .arg(directory.join("portcullis.yaml"))
        .stderr(log);
    let mut sockets = sockets.into_iter().map(Stdio::from);
    if let Some(first) = sockets.next() {
        command.stdin(first);
    }
    if let Some(second) = sockets.next() {
        command.stdout(second);
    }
    command.spawn().expect("a shell")
}

fn said(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap_or_default()
}

fn ask(mut stream: impl Read + Write, target: &str, host: &str) -> String {
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        .expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A listening socket, and where it is. Nobody else can bind there.
fn bound() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

#[test]
fn a_socket_that_no_listener_is_for_is_an_error() {
    let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::start());
    let (socket, address) = bound();
    configure(directory.path(), &upstream, "['127.0.0.1:1', 'unix:/x/y']", "");
    let mut gateway = activate(directory.path(), vec![socket.into()]);
    assert_eq!(wait_for_exit(&mut gateway).code(), Some(78), "{}", said(directory.path()));
    let said = said(directory.path());
    assert!(said.contains(&address.to_string()) && said.contains("127.0.0.1:1, unix:/x/y"), "{said}");
}

#[test]
fn what_is_no_listening_socket_is_an_error() {
    let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::start());
    configure(directory.path(), &upstream, "['127.0.0.1:1']", "");
    let (one, _other) = UnixStream::pair().expect("a pair");
    let file = fs::File::create(directory.path().join("file")).expect("a file");
    for wrong in [OwnedFd::from(one), file.into()] {
        let mut gateway = activate(directory.path(), vec![wrong]);
        assert_eq!(wait_for_exit(&mut gateway).code(), Some(78), "{}", said(directory.path()));
        assert!(said(directory.path()).contains("no listening stream socket"), "{}", said(directory.path()));
    }
}

/// The variables are another process's.
#[test]
fn sockets_of_another_process_are_not_taken() {
    let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::start());
    let (_socket, address) = bound();
    configure(directory.path(), &upstream, &format!("[{:?}]", address.to_string()), "");
    let mut command = Command::new(BINARY);
    command.args(["run", "--config"]).arg(directory.path().join("portcullis.yaml"));
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1").stderr(Stdio::null());
    assert_eq!(wait_for_exit(&mut command.spawn().expect("started")).code(), Some(69), "the port is taken");
}

/// Who comes between two processes waits in the queue: a restart refuses nobody.
#[test]
fn a_restart_between_two_activations_refuses_nobody() {
    let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::start());
    let ((public, address), (admin, admin_address)) = (bound(), bound());
    let more = format!("admin: {:?}", admin_address.to_string());
    configure(directory.path(), &upstream, &format!("[{:?}]", address.to_string()), &more);
    let mut waiting = TcpStream::connect(address).expect("the socket listens");
    for round in 0..3 {
        let sockets =
            vec![public.try_clone().expect("a copy").into(), admin.try_clone().expect("a copy").into()];
        let mut gateway = activate(directory.path(), sockets);
        let answer = ask(waiting, "/health", "api.test");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{round}: {answer}: {}", said(directory.path()));
        let metrics = ask(
            TcpStream::connect(admin_address).expect("it listens"),
            "/metrics",
            &admin_address.to_string(),
        );
        assert!(metrics.contains(&format!("portcullis_process_id {}", gateway.id())), "{metrics}");
        signal(&gateway, "TERM");
        assert_eq!(wait_for_exit(&mut gateway).code(), Some(0), "{}", said(directory.path()));
        waiting = TcpStream::connect(address).expect("the socket listens");
    }
}

#[test]
fn a_unix_socket_of_the_manager_stays_the_managers() {
    let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::start());
    let path = directory.path().join("http.sock");
    let socket = UnixListener::bind(&path).expect("bound");
    configure(directory.path(), &upstream, "['unix:http.sock']", "");
    let mut gateway = activate(directory.path(), vec![socket.into()]);
    let answer = ask(UnixStream::connect(&path).expect("it listens"), "/health", "api.test");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    signal(&gateway, "TERM");
    assert_eq!(wait_for_exit(&mut gateway).code(), Some(0));
    assert!(path.exists(), "it is not ours to remove");
}

/// Starts a gateway that tells `manager` how it is.
fn notifying(directory: &Path, more: &[&str]) -> Child {
    let log = fs::File::create(directory.join("log")).expect("a log file");
    let mut command = Command::new(BINARY);
    command.arg("run").args(more).arg("--config").arg(directory.join("portcullis.yaml"));
    command.env("NOTIFY_SOCKET", directory.join("notify")).stderr(log).spawn().expect("started")
}

/// The service stays what it is when another process has taken over: the manager hears of the new one, and not
/// that the old one stops.
#[test]
fn the_manager_hears_who_serves() {
    let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::start());
    let manager = UnixDatagram::bind(directory.path().join("notify")).expect("bound");
    manager.set_read_timeout(Some(PATIENCE)).expect("a time");
    let hear = || {
        let mut said = [0; 128];
        let length = manager.recv(&mut said).expect("one datagram");
        String::from_utf8_lossy(&said[..length]).into_owned()
    };
    let listeners = format!("[{:?}]", Ports::free().public.to_string());
    configure(directory.path(), &upstream, &listeners, "upgrade_socket: run/upgrade.sock");
    let mut old = notifying(directory.path(), &[]);
    assert_eq!(hear(), format!("READY=1\nMAINPID={}", old.id()));
    let mut new = notifying(directory.path(), &["--upgrade"]);
    assert_eq!(hear(), format!("READY=1\nMAINPID={}", new.id()));
    assert_eq!(wait_for_exit(&mut old).code(), Some(0));
    signal(&new, "TERM");
    assert_eq!(hear(), "STOPPING=1", "and nothing of the old one before");
    assert_eq!(wait_for_exit(&mut new).code(), Some(0));
}
