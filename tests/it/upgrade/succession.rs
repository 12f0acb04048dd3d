//! What goes from one process to the next, and what does not.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::api::assert_allowed;
use crate::harness::client::{Connection, Outcome, Request};
use crate::harness::process::{signal, wait_for_exit};
use crate::harness::wait::{PATIENCE, eventually, wait_until};
use crate::upgrade::{api, serving, start};

fn health(socket: &Path) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// What is open finishes in the old process, and what is idle hears that it ends.
#[test]
fn the_old_process_finishes_what_it_has_begun() {
    let api = api(|setup| setup.yaml_tail("shutdown_grace: 20s\n"));
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    api.upstream.on("/health", move |exchange| {
        released.lock().expect("no test panics in here").recv_timeout(PATIENCE).ok();
        exchange.answer(200, "X-Upstream: yes\r\n", b"done")
    });
    let mut open = api.gateway.connect();
    open.write(&Request::get("/health").octets());
    wait_until("it has reached the upstream", || api.upstream.count_of("/health") == 1);
    let mut idle = api.gateway.connect();
    let token = api.reader();
    assert_allowed(&idle.send(&Request::get("/orders/1").bearer(&token)));

    let mut new = start(api.gateway.directory.path(), "new");
    wait_until("it has taken over", || serving(&api) == Some(u64::from(new.id())));
    let last = idle.send(&Request::get("/orders/1").bearer(&token));
    assert_allowed(&last);
    assert!(last.closes(), "a connection that was idle is told to go: {last:?}");
    assert!(!api.gateway.has_exited(), "it did not wait");
    release.send(()).expect("the upstream waits");
    let answer = open.answer();
    assert_allowed(&answer);
    assert!(answer.closes());
    api.gateway.wait_for_exit(0);
    assert_eq!(serving(&api), Some(u64::from(new.id())));
    signal(&new, "TERM");
    assert_eq!(wait_for_exit(&mut new).code(), Some(0));
    assert!(!api.gateway.directory.path().join("run/upgrade.sock").exists(), "its file is gone with it");
}

/// Each process has its own file of Unix sockets' owners: the path stays through an upgrade, and goes at the end.
#[test]
fn a_unix_socket_is_taken_over_with_its_file() {
    let api = api(|setup| {
        setup.yaml(|text| {
            let path = "]\nadmin:";
            text.replacen(path, ", 'unix:kept.sock', 'unix:dropped.sock'", 1).replacen(
                "'unix:dropped.sock'",
                "'unix:dropped.sock']\nadmin:",
                1,
            )
        })
    });
    let directory = api.gateway.directory.path().to_owned();
    let (kept, dropped) = (directory.join("kept.sock"), directory.join("dropped.sock"));
    assert!(health(&kept).is_some() && health(&dropped).is_some());
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).expect("a file"));
    let before = inode(&kept);
    let text = fs::read_to_string(directory.join("portcullis.yaml")).expect("the configuration");
    // A new file that the running process does not read: it would say that this needs a restart.
    fs::write(directory.join("next.yaml"), text.replacen(", 'unix:dropped.sock'", "", 1)).expect("a file");
    fs::rename(directory.join("next.yaml"), directory.join("portcullis.yaml")).expect("replaced");
    let mut new = start(&directory, "new");
    wait_until("it has taken over", || serving(&api) == Some(u64::from(new.id())));
    api.gateway.wait_for_exit(0);
    assert_eq!(inode(&kept), before, "the same socket");
    assert!(health(&kept).is_some_and(|answer| answer.starts_with("HTTP/1.1 200 ")));
    wait_until("nobody can connect where nobody answers", || !dropped.exists());
    signal(&new, "TERM");
    assert_eq!(wait_for_exit(&mut new).code(), Some(0));
    assert!(!kept.exists(), "the file is left behind");
}

/// The old process may be scraped on a connection that it has; it changes nothing any more.
#[test]
fn the_old_process_is_read_only_and_says_goodbye_to_its_scrapers() {
    let api = api(|setup| setup.yaml_tail("shutdown_grace: 20s\n").route("/any/{*rest}", "public"));
    let admin = api.gateway.ports.admin;
    let mut scraper = Connection::open(admin).unaudited();
    let ask = |method: &str, target: &str| Request::new(method, target).host(&admin.to_string()).body("");
    let before = scraper.send(&ask("GET", "/v1/status"));
    assert_eq!(before.json()["pid"].as_u64(), Some(u64::from(api.gateway.pid())));
    assert!(!before.closes());
    // Something is open, so that the old process stays.
    let mut held = api.gateway.connect();
    held.write(b"POST /any/up HTTP/1.1\r\nHost: api.test\r\nContent-Length: 10\r\n\r\nfirst");
    wait_until("it is half-way", || api.upstream.raw().contains("first"));
    let mut new = start(api.gateway.directory.path(), "new");
    wait_until("it has taken over", || serving(&api) == Some(u64::from(new.id())));
    let refused = scraper.send(&ask("POST", "/v1/reload"));
    assert_eq!((refused.status, refused.reason().as_str()), (503, "handed_over"), "{refused:?}");
    assert!(refused.closes(), "{refused:?}");
    drop(held);
    api.gateway.wait_for_exit(0);
    let started = api.gateway.metric("process_start_time_seconds", &[]);
    assert!(started >= before.json()["started"].as_f64().expect("a time"));
    assert_eq!(api.gateway.metric("process_id", &[]), f64::from(new.id()));
    new.kill().expect("it can be killed");
    wait_for_exit(&mut new);
}

#[test]
fn bodies_half_way_through_go_the_other_half() {
    let api = api(|setup| setup.yaml_tail("shutdown_grace: 30s\n").route("/any/{*rest}", "public"));
    let mut uploads: Vec<Connection> = (0..20)
        .map(|_| {
            let mut up = api.gateway.connect();
            up.write(b"POST /any/up HTTP/1.1\r\nHost: api.test\r\nContent-Length: 10\r\n\r\nfirst");
            up
        })
        .collect();
    wait_until("half of them is there", || api.upstream.raw().matches("first").count() == 20);
    let mut new = start(api.gateway.directory.path(), "new");
    wait_until("it has taken over", || serving(&api) == Some(u64::from(new.id())));
    for up in &mut uploads {
        up.write(b"last!");
        assert_allowed(&up.answer());
    }
    api.gateway.wait_for_exit(0);
    signal(&new, "TERM");
    assert_eq!(wait_for_exit(&mut new).code(), Some(0));
}

/// Two hundred connections in the middle of their bodies, and SIGTERM: none is cut before the grace has ended.
#[test]
fn o5_nothing_open_is_cut_before_the_grace_ends() {
    const GRACE: Duration = Duration::from_secs(3);
    let api = api(|setup| setup.yaml_tail("shutdown_grace: 3s\n").route("/any/{*rest}", "public"));
    let mut open: Vec<Connection> = Vec::new();
    // A few at a time: the upstream's queue is short.
    for round in 1..=10 {
        open.extend((0..20).map(|_| {
            let mut up = api.gateway.connect();
            up.write(b"POST /any/up HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1000\r\n\r\nfirst");
            up
        }));
        wait_until("all of them are half-way", || api.upstream.raw().matches("first").count() == 20 * round);
    }
    let told = Instant::now();
    api.gateway.signal("TERM");
    let mut finished = open.split_off(100);
    for up in &mut finished {
        up.write(&[b'x'; 995]);
        assert_allowed(&up.answer());
    }
    // The others are not done, and are held to the end of the grace.
    let mut cut = 0;
    assert!(eventually(PATIENCE, || {
        let look = Duration::from_millis(1);
        let ended = |up: &mut Connection| !matches!(up.wait("POST", look), Outcome::Silence);
        cut = open.iter_mut().filter_map(|up| ended(up).then_some(())).count();
        assert!(cut == 0 || told.elapsed() >= GRACE, "{cut} cut after {:?}", told.elapsed());
        cut == 100
    }));
    api.gateway.wait_for_exit(0);
}
