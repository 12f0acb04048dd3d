//! Large bodies, both ways and in both framings, in memory that does not grow with them (invariant I5).

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::harness::api::Api;
use crate::harness::client::Connection;
use crate::harness::upstream::Then;
use crate::harness::wait::pause;

/// Octets of a body. In chunks the scripts on both ends look at each one: fewer.
const fn length(chunked: bool) -> usize {
    if chunked { 64 << 20 } else { 256 << 20 }
}

const PIECE: usize = 64 << 10;

/// What the gateway may grow by, whatever passes through it: its buffers, and pages of its code touched first.
const GROWTH_KIB: u64 = 16 << 10;

/// Watches the gateway's memory while `work` is done, and says how fast that was.
#[track_caller]
fn bounded<T>(api: &Api, what: &str, chunked: bool, work: impl FnOnce() -> T) -> T {
    let before = api.gateway.resident_kib();
    let (done, most) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                most.fetch_max(api.gateway.resident_kib(), Ordering::SeqCst);
                pause();
            }
        });
        // Set also where `work` fails: the watch would else never end.
        let _done = Done(&done);
        work()
    });
    let rate = (length(chunked) >> 20) as f64 / start.elapsed().as_secs_f64();
    let grown = most.load(Ordering::SeqCst).saturating_sub(before);
    eprintln!("{what}: {rate:.0} MiB/s, {grown} KiB more at most");
    assert!(grown < GROWTH_KIB, "I5: {grown} KiB for {what}");
    outcome
}

/// Says so when dropped.
struct Done<'d>(&'d AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn api() -> Api {
    let api = Api::with(|setup| setup.route("/any/{*rest}", "public").quiet());
    for (path, chunked) in [("/any/length", false), ("/any/chunks", true)] {
        api.upstream.on(path, move |exchange| {
            let mut left = if exchange.request.method == "POST" { length(chunked) } else { 0 };
            while left > 0 {
                left = left.saturating_sub(content(&exchange.read_some()?, chunked)?);
            }
            let head = "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nConnection: close\r\n";
            if exchange.request.method == "POST" {
                exchange.write(format!("{head}Content-Length: 0\r\n\r\n").as_bytes())?;
                return Ok(Then::Close);
            }
            let framing = if chunked {
                "Transfer-Encoding: chunked".to_owned()
            } else {
                format!("Content-Length: {}", length(chunked))
            };
            exchange.write(format!("{head}{framing}\r\n\r\n").as_bytes())?;
            send(chunked, |octets| exchange.write(octets))?;
            Ok(Then::Close)
        });
    }
    api
}

/// Octets of content in a piece: all of the content is `z`, and nothing of the framing is.
fn content(octets: &[u8], chunked: bool) -> io::Result<usize> {
    if octets.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(if chunked { octets.iter().filter(|octet| **octet == b'z').count() } else { octets.len() })
}

/// Sends the body.
fn send(chunked: bool, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut piece = if chunked { format!("{PIECE:x}\r\n").into_bytes() } else { Vec::new() };
    piece.resize(piece.len() + PIECE, b'z');
    piece.extend_from_slice(if chunked { b"\r\n" } else { b"" });
    for _ in 0..length(chunked) / PIECE {
        write(&piece)?;
    }
    write(if chunked { b"0\r\n\r\n" } else { b"" })
}

fn up(connection: &mut Connection, path: &str, chunked: bool) {
    let framing = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {}", length(chunked))
    };
    connection.write(format!("POST {path} HTTP/1.1\r\nHost: api.test\r\n{framing}\r\n\r\n").as_bytes());
    send(chunked, |octets| connection.try_write(octets)).expect("the body goes out");
    let answer = connection.answer();
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn down(connection: &mut Connection, path: &str, chunked: bool) {
    connection.write(format!("GET {path} HTTP/1.1\r\nHost: api.test\r\n\r\n").as_bytes());
    let read = connection.read_until("\r\n\r\n");
    let (_, first) = read.split_once("\r\n\r\n").expect("a head");
    let (mut left, mut tail) =
        (length(chunked) - content(first.as_bytes(), chunked).unwrap_or(0), Vec::new());
    while left > 0 {
        let octets = connection.read_some();
        left = left.checked_sub(content(&octets, chunked).expect("more")).expect("no more than was sent");
        tail = octets;
    }
    if chunked && !tail.ends_with(b"0\r\n\r\n") {
        connection.read_until("0\r\n\r\n");
    }
}

#[test]
fn i5_large_uploads_take_no_memory() {
    let api = api();
    for (path, chunked) in [("/any/length", false), ("/any/chunks", true)] {
        bounded(&api, &format!("up, {path}"), chunked, || up(&mut api.gateway.connect(), path, chunked));
    }
}

#[test]
fn i5_large_downloads_take_no_memory() {
    let api = api();
    for (path, chunked) in [("/any/length", false), ("/any/chunks", true)] {
        bounded(&api, &format!("down, {path}"), chunked, || down(&mut api.gateway.connect(), path, chunked));
    }
}
