//! HTTP/2 attacks, frame by frame (threats D1 to D5): a healthy client is served throughout, memory is bounded and
//! given back, the upstream sees no more at once than it may and nothing that was not asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::external::tools;
use crate::external::watch::{Served, Watch};
use crate::harness::api::{Api, assert_allowed, usual};
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::setup::Setup;
use crate::harness::upstream::{Then, Upstream};
use crate::harness::wait::{eventually, wait_until};

/// Resident memory that any attack may add, in KiB (threats 2I).
const MEMORY_KIB: u64 = 64 << 10;

/// What a connection of the bomb may cost, in KiB (threats D3).
const BOMB_KIB: u64 = 3 << 10;

/// What may stay of a bomb after five seconds, in KiB: the buffers that workers keep for lending are most of it.
const KEPT_KIB: u64 = 28 << 10;

/// What may stay of one, in KiB, when a worker has looked a few times at what is spare (every five seconds, and half of
/// it each time), and how long that may take: what is not free in whole pages, and the code that it was the first to
/// run.
const GIVEN_BACK_KIB: u64 = 24 << 10;
const GIVEN_BACK: Duration = Duration::from_secs(60);

/// Streams that a client may have open at once on a connection: `h2_streams`.
const STREAMS: usize = 32;

/// How much more processor time an attack may cost the gateway than the attacker (threats I5).
const AMPLIFICATION: f64 = 100.0;

/// Octets of the answer that a closed window holds up.
const LARGE: usize = 128 << 10;

/// A piece of it.
static PIECE: [u8; 16 << 10] = [b'a'; 16 << 10];

/// A gateway, an upstream that never answers `/hang`, and how many of these it has at once.
struct Scene {
    api: Api,
    most: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
}

/// What an attack came to.
struct Outcome {
    told: Value,
    served: Served,
    quiet: Served,
    /// Resident memory in KiB: before, and at most.
    resident: (u64, u64),
    /// Processor seconds of the gateway, without what it took to serve the healthy client.
    cpu: f64,
}

/// With these limits.
fn scene(limits: &str) -> Scene {
    scene_with(limits, |setup| setup)
}

fn scene_with(limits: &str, change: impl FnOnce(Setup) -> Setup) -> Scene {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let (most, at_once) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (highest, now) = (Arc::clone(&most), Arc::clone(&at_once));
    upstream.on("/hang", move |exchange| {
        highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        while exchange.read_some().is_ok_and(|octets| !octets.is_empty()) {}
        now.fetch_sub(1, Ordering::SeqCst);
        Ok(Then::Close)
    });
    upstream.on("/large", |exchange| {
        exchange.body()?;
        let head = format!("HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: {LARGE}\r\n\r\n");
        exchange.write(head.as_bytes())?;
        (0..LARGE / PIECE.len()).try_for_each(|_| exchange.write(&PIECE))?;
        Ok(Then::Keep)
    });
    let setup =
        usual(&upstream).issuer("corp", &issuer).quiet().route("/hang", "public").route("/large", "public");
    let setup = setup.route("/public/{*rest}", "{require: public, forward: {headers: {X-Identity: sub}}}");
    let gateway = change(setup.route("/admin/{*rest}", "admin").limits(limits)).start();
    Scene { api: Api { gateway, upstream, issuer }, most, at_once }
}

impl Scene {
    /// Runs an attack of `frames.py` beside a healthy client.
    #[track_caller]
    fn attack(&self, name: &str, count: usize) -> Outcome {
        let gateway = &self.api.gateway;
        let cpu = gateway.processor_time().as_secs_f64();
        let quiet = Watch::quiet(gateway.ports.public);
        let an_answer = (gateway.processor_time().as_secs_f64() - cpu) / quiet.count as f64;
        let (before, cpu) = (gateway.resident_kib(), gateway.processor_time().as_secs_f64());
        let mut command = tools::script(&tools::python(), "frames.py");
        command.args([name, &gateway.ports.public.port().to_string(), &count.to_string()]);
        let watch = Watch::start(gateway.ports.public);
        let attack = std::thread::spawn(move || tools::output(&mut command));
        let mut most = before;
        wait_until("the attack is over", || {
            most = most.max(gateway.resident_kib());
            attack.is_finished()
        });
        let served = watch.end();
        let said = attack.join().expect("it ends well");
        let told = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        let cpu = (gateway.processor_time().as_secs_f64() - cpu - an_answer * served.count as f64).max(0.0);
        Outcome { told, served, quiet, resident: (before, most), cpu }
    }

    /// An attack that has to cost the others nothing, and to be over when it is over.
    #[track_caller]
    fn withstands(&self, name: &str, count: usize) -> Outcome {
        let outcome = self.attack(name, count);
        println!("attack {name}: {outcome}");
        outcome.served.within_three_times(&outcome.quiet);
        let (before, most) = outcome.resident;
        assert!(most < before + MEMORY_KIB, "{before} KiB, then {most} KiB");
        let line = outcome.cpu / outcome.told["cpu"].as_f64().unwrap_or_default().max(0.01);
        assert!(line < AMPLIFICATION, "{line:.1} times the attacker's processor time: {outcome}");
        let given_back = || self.at_once.load(Ordering::SeqCst) == 0;
        assert!(eventually(Duration::from_secs(5), given_back), "requests stay at the upstream");
        let calm = || self.api.gateway.resident_kib() < before + MEMORY_KIB / 4;
        assert!(
            eventually(Duration::from_secs(5), calm),
            "{} KiB stay, of {before}",
            self.api.gateway.resident_kib()
        );
        outcome
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Served { count, p99, worst } = self.served;
        let (before, most) = self.resident;
        let cpu = self.told["cpu"].as_f64().unwrap_or_default();
        write!(
            f,
            "healthy client {count} answers, p99 {p99:?} (quiet {:?}), worst {worst:?}; resident {} KiB more at most; cpu \
             {:.2} s of the gateway, {cpu:.2} s of the attacker, {:.1} times; {}",
            self.quiet.p99,
            most.saturating_sub(before),
            self.cpu,
            self.cpu / cpu.max(0.01),
            self.told
        )
    }
}

/// Every connection of the attack was ended, with or without a word.
#[track_caller]
fn all_ended(outcome: &Outcome) {
    let ends = outcome.told["ends"].as_object().expect("a count of ends");
    assert!(ends.keys().all(|end| !end.starts_with("open, no")), "a connection stays: {ends:?}");
}

/// Attacks of which each counts the requests that it had at the upstream at once.
#[track_caller]
fn few_at_once(attacks: &[(&str, usize)]) -> Vec<Outcome> {
    let scene = scene("write_stall: 3s");
    let run = |&(name, count): &(&str, usize)| {
        scene.most.store(0, Ordering::SeqCst);
        let outcome = scene.withstands(name, count);
        let most = scene.most.load(Ordering::SeqCst);
        println!("attack {name}: the upstream had {most} at once at most");
        // A connection after the other: what one leaves behind is still on its way out when the next begins.
        assert!(most <= 2 * STREAMS, "{name}: {most} at once at the upstream");
        outcome
    };
    attacks.iter().map(run).collect()
}

#[test]
fn d1_rapid_reset() {
    let outcomes = few_at_once(&[("rapid_reset", 100_000)]);
    all_ended(&outcomes[0]);
    few_at_once(&[("rapid_reset_below", 100_000), ("rapid_reset_late", 10_000)]);
}

#[test]
fn d1_made_to_reset() {
    let outcomes = few_at_once(&[
        ("made_to_reset_by_window", 20_000),
        ("made_to_reset_by_overflow", 20_000),
        ("made_to_reset_by_data", 20_000),
        ("made_to_reset_by_length", 20_000),
    ]);
    outcomes.iter().for_each(all_ended);
    few_at_once(&[("made_to_reset_by_priority", 20_000), ("made_to_reset_late", 5_000)]);
}

#[test]
fn d2_continuation_flood() {
    let scene = scene("write_stall: 3s");
    for name in ["continuation", "empty_continuation"] {
        all_ended(&scene.withstands(name, 1_000_000));
    }
}

#[test]
fn d4_floods() {
    let scene = scene("write_stall: 3s");
    for name in
        ["empty_data", "settings", "settings_unread", "ping", "ping_unread", "priority", "window_update"]
    {
        scene.withstands(name, 1_000_000);
    }
}

#[test]
fn d3_hpack_bomb() {
    const CONNECTIONS: u64 = 30;
    // The allocator gives back at once what is freed, so that what is measured is what the gateway holds.
    let scene = scene_with("write_stall: 30s", |setup| setup.env("MIMALLOC_PURGE_DELAY", "0"));
    let gateway = &scene.api.gateway;
    Watch::quiet(gateway.ports.public);
    // A connection's cost is counted from here: what one attack leaves behind is not free for the next.
    let start = gateway.resident_kib();
    let run = |name: &str| {
        let outcome = scene.attack(name, CONNECTIONS as usize);
        let more = outcome.resident.1.saturating_sub(start);
        let each = more / CONNECTIONS;
        let ratio = (more * 1024) as f64 / outcome.told["sent"].as_u64().unwrap_or_default().max(1) as f64;
        println!("attack {name}: {each} KiB a connection, {ratio:.1} octets held for one sent; {outcome}");
        outcome.served.within_three_times(&outcome.quiet);
        assert!(each <= BOMB_KIB, "{each} KiB a connection: {outcome}");
        let near = || gateway.resident_kib() < start + KEPT_KIB;
        assert!(eventually(Duration::from_secs(5), near), "{} KiB stay, of {start}", gateway.resident_kib());
        ratio
    };
    let bombs = ["bomb_of_the_advisory", "bomb_of_large_fields", "bomb_of_small_fields", "bomb_that_fits"];
    for name in [&bombs[..], &["honest_requests"]].concat() {
        let ratio = run(name);
        assert!(ratio < AMPLIFICATION, "{name}: {ratio:.1} octets held for one sent");
    }
}

/// With the allocator as it comes, and nothing to do afterwards: what comes back does so by the gateway's own doing.
#[test]
fn d3_what_a_bomb_took_is_given_back() {
    const CONNECTIONS: u64 = 60;
    let scene = scene("write_stall: 30s");
    let gateway = &scene.api.gateway;
    Watch::quiet(gateway.ports.public);
    let start = gateway.resident_kib();
    for name in ["bomb_of_small_fields", "bomb_that_fits", "bomb_that_fits"] {
        let outcome = scene.attack(name, CONNECTIONS as usize);
        let (most, since) = (outcome.resident.1.saturating_sub(start), Instant::now());
        let mut stays = u64::MAX;
        let near = || {
            stays = stays.min(gateway.resident_kib().saturating_sub(start));
            stays < GIVEN_BACK_KIB
        };
        let near = eventually(GIVEN_BACK, near);
        println!("attack {name}: {stays} of {most} KiB stay after {:?}", since.elapsed());
        assert!(near, "{stays} of {most} KiB stay, beside {start}");
    }
}

#[test]
fn d5_nothing_is_injected_into_http_1() {
    let scene = scene("write_stall: 3s");
    let outcome = scene.attack("injections", 1);
    assert_allowed(&scene.api.gateway.send(&Request::get("/public/last")));
    let told = outcome.told["told"].as_object().expect("a verdict each");
    let seen = scene.api.upstream.requests();
    let attacked: Vec<_> =
        seen.iter().filter(|seen| !["/health", "/public/last"].contains(&seen.head.path())).collect();
    for seen in &attacked {
        assert_eq!(seen.head.path(), "/public/x", "I1: {seen:?}");
        assert!(seen.head.aliases("x-identity").is_empty(), "I3: {seen:?}");
        assert_eq!(seen.head.header("host"), Some("api.test"), "I2: {seen:?}");
        assert!(!String::from_utf8_lossy(&seen.body).contains("/admin"), "I2: {seen:?}");
    }
    let raw = scene.api.upstream.raw().to_ascii_lowercase();
    assert!(!raw.contains("x-identity") && !raw.contains("smuggled"), "I3: {raw}");
    // Which cases came through, by the number that each puts in its query: each once, and what is listed.
    let name = |target: &str| -> String {
        let number = target.split_once('?').and_then(|(_, number)| number.parse::<usize>().ok());
        let name = number.and_then(|number| outcome.told["names"][number].as_str());
        // The one whose path is another's has no number.
        name.unwrap_or("a fragment in the path").to_owned()
    };
    let mut whole: Vec<String> =
        attacked.iter().filter(|seen| seen.whole).map(|seen| name(&seen.head.target)).collect();
    whole.sort();
    println!(
        "corpus http/2 injections: {} cases, {} forwarded as one harmless request each, {} broken off on the way",
        told.len(),
        whole.len(),
        attacked.len() - whole.len()
    );
    let listed: Vec<&str> = HARMLESS.iter().map(|(name, _)| *name).collect();
    assert_eq!(whole, listed, "what passes: {told:#?}");
}

#[test]
fn an_orderly_client_of_another_library_is_served() {
    let scene = scene("write_stall: 3s");
    let mut command = tools::script(&tools::python(), "frames.py");
    let said =
        tools::output(command.args(["orderly", &scene.api.gateway.ports.public.port().to_string(), "500"]));
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(told["statuses"]["200"], 500, "{told}");
}

/// Cases of `frames.py` that are forwarded, each as one request with nothing in it that was injected, and why.
const HARMLESS: [(&str, &str); 8] = [
    ("a fragment in the path", "the `h2` crate takes it away: what is judged is what is forwarded"),
    ("a length of nothing", "without the body, whose stream is reset"),
    ("a length trailer", "no trailer is forwarded"),
    ("a pseudo-field trailer", "no trailer is forwarded"),
    ("an alias of one", "the header is not forwarded"),
    ("an identity header", "the header is not forwarded"),
    ("an identity trailer", "no trailer is forwarded"),
    ("octets beyond ASCII", "obs-text (RFC 9110 section 5.5)"),
];
