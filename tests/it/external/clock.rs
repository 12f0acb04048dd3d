//! Another clock for the gateway's process: libfaketime moves the wall clock, as an operator or a broken time server
//! does, and leaves the monotonic one alone (threats C7).

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use portcullis::gate::denial::Reason::{Expired, NotYetValid, Revoked};
use serde_json::json;
use tempfile::TempDir;

use crate::external::tools;
use crate::harness::api::{Api, assert_allowed, usual};
use crate::harness::client::{Connection, Outcome, Request};
use crate::harness::issuer::Issuer;
use crate::harness::setup::Setup;
use crate::harness::token::now;
use crate::harness::upstream::Upstream;
use crate::harness::wait::{pause, wait_until};

const DAY: i64 = 86_400;

/// The library, as faketime(1) names it.
static LIBRARY: LazyLock<String> = LazyLock::new(|| {
    let said = tools::output(tools::program("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]));
    said.trim().rsplit(':').next().unwrap_or_default().to_owned()
});

/// A wall clock that can be set while the gateway reads it.
struct Clock {
    directory: TempDir,
}

impl Clock {
    /// One that says this: `+0`, `+1d`, `@2038-01-19 03:14:07`.
    fn new(time: &str) -> Self {
        let clock = Self { directory: tempfile::tempdir().expect("a directory") };
        clock.set(time);
        clock
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("now")
    }

    fn set(&self, time: &str) {
        let new = self.directory.path().join("next");
        fs::write(&new, format!("{time}\n")).expect("a file");
        fs::rename(new, self.file()).expect("it takes the old one's place");
    }

    /// The gateway of `setup` lives by this clock.
    fn given_to(&self, setup: Setup) -> Setup {
        let file = self.file();
        setup
            .env("LD_PRELOAD", &LIBRARY)
            .env("FAKETIME_TIMESTAMP_FILE", &file.to_string_lossy())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
            .env("TZ", "UTC")
    }
}

/// A token for the readers' route that lives from `from` to `until`.
fn token(api: &Api, from: i64, until: i64) -> String {
    api.issuer.token().scope("orders:read").set("iat", json!(from)).set("exp", json!(until)).sign()
}

fn orders(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

fn start(clock: &Clock, change: impl FnOnce(Setup, &Issuer) -> Setup) -> Api {
    Api::with_issuer(Issuer::start(), |setup, issuer| change(clock.given_to(setup), issuer))
}

#[test]
fn c7_the_first_minute_of_1970() {
    let clock = Clock::new("@1970-01-01 00:00:30");
    let api = start(&clock, |setup, issuer| setup.issuer_fetched("corp", issuer, ""));
    api.allows_token(&token(&api, 0, 300));
    api.refuses_token(&token(&api, 0, 0), Expired);
    api.refuses_token(&token(&api, now(), now() + 300), NotYetValid);
    // Before the epoch there is nothing: it says 1970 and goes on.
    clock.set("-200y");
    api.allows_token(&token(&api, 0, 300));
    assert_eq!(api.gateway.reload().status, 200);
    clock.set("+0");
    api.allows_token(&token(&api, now(), now() + 300));
    api.refuses_token(&token(&api, 0, 300), Expired);
}

#[test]
fn c7_the_end_of_32_bits_in_2038() {
    const LAST: i64 = i32::MAX as i64;
    let clock = Clock::new("@2038-01-19 03:14:00");
    let api = start(&clock, |setup, issuer| setup.issuer_fetched("corp", issuer, ""));
    let across = token(&api, LAST - 60, LAST + 600);
    api.allows_token(&across);
    wait_until("the second after the last of 32 bits has come", || {
        let token = token(&api, LAST - 600, LAST - 28);
        assert_allowed(&api.gateway.send(&orders(&across)));
        api.gateway.send(&orders(&token)).status == 401
    });
    api.allows_token(&across);
    clock.set("@2038-01-19 04:14:00");
    api.refuses_token(&across, Expired);
    api.allows_token(&token(&api, LAST + 3600, LAST + 3900));
    clock.set("@2106-02-07 06:28:20");
    api.allows_token(&token(&api, i64::from(u32::MAX), i64::from(u32::MAX) + 300));
    assert_eq!(api.gateway.reload().status, 200);
}

#[test]
fn c7_decisions_follow_the_clock_a_day_ahead_and_a_day_back() {
    let clock = Clock::new("+0");
    let api = start(&clock, |setup, issuer| setup.issuer_fetched("corp", issuer, ""));
    let today = token(&api, now(), now() + 300);
    let tomorrow = token(&api, now() + DAY, now() + DAY + 300);
    let yesterday = token(&api, now() - DAY, now() - DAY + 300);
    let at_hand = |valid: &str, expired: &[&str], to_come: &[&str]| {
        api.allows_token(valid);
        expired.iter().for_each(|token| drop(api.refuses_token(token, Expired)));
        to_come.iter().for_each(|token| drop(api.refuses_token(token, NotYetValid)));
    };
    for _ in 0..3 {
        clock.set("+0");
        at_hand(&today, &[&yesterday], &[&tomorrow]);
        clock.set("+1d");
        at_hand(&tomorrow, &[&today, &yesterday], &[]);
        clock.set("-1d");
        at_hand(&yesterday, &[], &[&today, &tomorrow]);
    }
    // Keys are as old as the monotonic clock says: a day ahead is past `max_stale`, and they serve.
    assert_eq!(api.gateway.status()["ready"], json!(true), "{}", api.gateway.status());
}

#[test]
fn c7_no_timeout_fires_and_no_revocation_is_lost_when_the_clock_jumps() {
    let clock = Clock::new("+0");
    let upstream = Upstream::start();
    let go_on = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&go_on);
    upstream.on("/orders/slow", move |exchange| {
        while !told.load(Ordering::SeqCst) {
            pause();
        }
        exchange.answer(200, "X-Upstream: yes\r\n", b"late")
    });
    let issuer = Issuer::start();
    let revoked = json!([
        {"kind": "jti", "issuer": issuer.iss, "value": "stolen", "expires": now() + 600},
        {"kind": "jti", "issuer": issuer.iss, "value": "stolen-too"},
    ]);
    let setup =
        usual(&upstream).issuer_fetched("corp", &issuer, "").file("revoked.yaml", revoked.to_string());
    let setup = setup.yaml_tail("revocation: {file: revoked.yaml}");
    let gateway = clock.given_to(setup).start();
    let api = Api { gateway, upstream, issuer };
    let token = token(&api, now(), now() + 300);
    let [stolen, stolen_too] = ["stolen", "stolen-too"]
        .map(|id| api.issuer.token().scope("orders:read").set("jti", json!(id)).sign());
    // A connection at rest, one in the middle of a head, one that waits for its answer.
    let mut idle = api.gateway.connect();
    assert_allowed(&idle.send(&orders(&token)));
    let mut half = api.gateway.connect();
    half.write(b"GET /health HTTP/1.1\r\nHost: api.");
    let mut waiting = api.gateway.connect();
    waiting.write(&Request::get("/orders/slow").bearer(&token).octets());
    wait_until("the upstream has it", || api.upstream.count_of("/orders/slow") == 1);
    let fetches = api.issuer.fetches();
    // What a reload finds expired in a wrong hour has to be there when the right one is back.
    for (time, reloads) in [("+1d", true), ("-1d", true), ("+0", false), ("+1d", true), ("+0", false)] {
        clock.set(time);
        assert!(!reloads || api.gateway.reload().status == 200, "a reload at {time}");
        for connection in [&mut idle, &mut half, &mut waiting] {
            silent(connection);
        }
        api.allows(&Request::get("/health"));
    }
    api.refuses_token(&stolen, Revoked);
    api.refuses_token(&stolen_too, Revoked);
    assert_allowed(&idle.send(&orders(&token)));
    half.write(b"test\r\n\r\n");
    assert_allowed(&half.answer());
    go_on.store(true, Ordering::SeqCst);
    assert_allowed(&waiting.answer());
    assert!(
        api.issuer.fetches() <= fetches + 1,
        "keys were fetched again: {} of {fetches}",
        api.issuer.fetches()
    );
}

/// Fails if the gateway answers or ends it now.
#[track_caller]
fn silent(connection: &mut Connection) {
    let outcome = connection.wait("GET", Duration::from_millis(50));
    assert!(matches!(outcome, Outcome::Silence), "a timeout fired: {outcome:?}");
}
