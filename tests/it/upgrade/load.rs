//! Twenty upgrades in a row under load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::client::{Connection, Outcome, Request};
use crate::harness::process::{signal, wait_for_exit};
use crate::harness::wait::{PATIENCE, pause, wait_until};
use crate::upgrade::{api, said, serving, start};

/// What became of the requests.
#[derive(Debug, Default)]
struct Tally {
    answered: AtomicUsize,
    /// Connections that were refused, or reset while they were made.
    refused: AtomicUsize,
    /// Requests that were sent and not answered, whole.
    lost: AtomicUsize,
    /// Answers that are not the upstream's.
    unexpected: AtomicUsize,
}

impl Tally {
    fn count(&self, what: &AtomicUsize) {
        what.fetch_add(1, Ordering::SeqCst);
    }
}

/// Asks again and again, at a steady pace: on one connection as long as it lasts, or on a new one each time.
fn client(address: SocketAddr, keep: bool, pace: Duration, stop: &AtomicBool, tally: &Tally) {
    let mut kept: Option<Connection> = None;
    let mut next = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        next += pace;
        while Instant::now() < next {
            std::thread::park_timeout(next - Instant::now());
        }
        let connection = match kept.take() {
            Some(connection) => Ok(connection),
            None => Connection::from_source([127, 0, 0, 1].into(), address),
        };
        let Ok(mut connection) = connection else {
            tally.count(&tally.refused);
            continue;
        };
        if connection.try_write(&Request::get("/health").octets()).is_err() {
            tally.count(&tally.lost);
            continue;
        }
        match connection.wait("GET", PATIENCE) {
            Outcome::Answer(response) if response.status == 200 && response.whole => {
                tally.count(&tally.answered);
                if keep && !response.closes() {
                    kept = Some(connection);
                }
            }
            Outcome::Answer(_) => tally.count(&tally.unexpected),
            Outcome::Closed | Outcome::Silence => tally.count(&tally.lost),
        }
    }
}

/// Scrapes the admin listener all the while.
fn scraper(admin: SocketAddr, stop: &AtomicBool, tally: &Tally) {
    while !stop.load(Ordering::SeqCst) {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        let scraped = TcpStream::connect(admin).and_then(|mut stream| {
            stream.write_all(request.as_bytes())?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        });
        match scraped {
            Ok(text) if text.starts_with("HTTP/1.1 200 ") && text.contains("portcullis_process_id") => {
                tally.count(&tally.answered);
            }
            Ok(_) => tally.count(&tally.unexpected),
            Err(_) => tally.count(&tally.refused),
        }
        pause();
    }
}

#[test]
fn o6_twenty_upgrades_under_load_lose_nothing() {
    const UPGRADES: usize = 20;
    let api = api(|setup| setup.yaml_tail("shutdown_grace: 20s\n"));
    let (address, admin) = (api.gateway.ports.public, api.gateway.ports.admin);
    let directory = api.gateway.directory.path().to_owned();
    let (load, scrapes, stop) = (Tally::default(), Tally::default(), AtomicBool::new(false));
    let begun = Instant::now();
    let mut last = std::thread::scope(|scope| {
        // 6 × 125 kept and 4 × 62 fresh: about 1,000 a second.
        for _ in 0..6 {
            scope.spawn(|| client(address, true, Duration::from_millis(8), &stop, &load));
        }
        for _ in 0..4 {
            scope.spawn(|| client(address, false, Duration::from_millis(16), &stop, &load));
        }
        scope.spawn(|| scraper(admin, &stop, &scrapes));
        wait_until("there is load", || load.answered.load(Ordering::SeqCst) > 500);
        let upgraded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut running: Option<Child> = None;
            for number in 0..UPGRADES {
                // Every second time with another number of workers, more or fewer.
                let workers = [2, 2, 4, 4, 1, 1, 3, 3][number % 8];
                api.gateway.rewrite(|text| {
                    let (before, rest) = text.split_once("workers: ").expect("workers");
                    let (_, after) = rest.split_once('\n').expect("a line");
                    format!("{before}workers: {workers}\n{after}")
                });
                let name = format!("upgrade-{number}");
                let new = start(&directory, &name);
                wait_until("it has taken over", || serving(&api) == Some(u64::from(new.id())));
                match running.replace(new) {
                    None => api.gateway.wait_for_exit(0),
                    Some(mut old) => assert_eq!(wait_for_exit(&mut old).code(), Some(0)),
                }
                assert!(!said(&directory, &name).contains("panicked"));
            }
            running
        }));
        stop.store(true, Ordering::SeqCst);
        upgraded.expect("twenty upgrades").expect("the last one runs")
    });
    // Nobody asks any more: what was refused or lost was so before.
    signal(&last, "TERM");
    assert_eq!(wait_for_exit(&mut last).code(), Some(0));
    let rate = load.answered.load(Ordering::SeqCst) as f64 / begun.elapsed().as_secs_f64();
    eprintln!("{UPGRADES} upgrades in {:?} at {rate:.0}/s: {load:?}; scrapes {scrapes:?}", begun.elapsed());
    for (what, tally) in [("requests", &load), ("scrapes", &scrapes)] {
        let bad = [&tally.refused, &tally.lost, &tally.unexpected].map(|count| count.load(Ordering::SeqCst));
        assert_eq!(bad, [0, 0, 0], "refused, lost, unexpected {what}: {tally:?}");
    }
}
