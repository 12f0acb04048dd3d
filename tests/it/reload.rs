//! A configuration is taken whole or not at all, however it arrives, and nobody's request pays for it (K7 to K9).

mod broken;
mod graphql;
mod load;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use portcullis::gate::denial::Reason::NoRoute;

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::Request;
use crate::harness::upstream::Upstream;
use crate::harness::wait::{eventually, holds, pause, wait_until};

/// A change of a file counts within a second; twice that on a loaded machine.
const FILE_BOUND: Duration = Duration::from_secs(2);

fn with_route(yaml: String, path: &str) -> String {
    format!("{yaml}  \"GET {path}\": public\n")
}

fn serves(api: &Api, path: &str) -> bool {
    api.gateway.send(&Request::get(path)).status == 200
}

#[test]
fn a_new_file_counts_on_connections_that_are_open() {
    let api = Api::start();
    let mut connection = api.gateway.connect();
    assert_allowed(&connection.send(&Request::get("/health")));
    assert_refused(&connection.send(&Request::get("/new")), NoRoute);
    api.gateway.rewrite(|yaml| with_route(yaml, "/new"));
    assert!(eventually(FILE_BOUND, || connection.send(&Request::get("/new")).status == 200));
    api.gateway.rewrite(|yaml| yaml.replace("\"GET /new\": public\n", "\"GET /new\": authenticated\n"));
    assert!(eventually(FILE_BOUND, || connection.send(&Request::get("/new")).status == 401));
    api.gateway.rewrite(|yaml| yaml.replace("  \"GET /new\": authenticated\n", ""));
    assert!(eventually(FILE_BOUND, || connection.send(&Request::get("/new")).status == 404));
}

/// `POST /v1/reload` answers when the new configuration is in force, and with the generation it made.
#[test]
fn a_reload_that_was_asked_for_has_happened_when_it_is_answered() {
    let api = Api::start();
    let other = Upstream::start();
    for round in 0..10 {
        let before = api.gateway.generation();
        let path = format!("/round/{round}");
        api.gateway.rewrite(|yaml| with_route(yaml, &path));
        let response = api.gateway.reload();
        assert_eq!(response.status, 200, "{response:?}");
        assert_allowed(&api.gateway.send(&Request::get(&path)));
        assert!(api.gateway.generation() > before);
    }
    assert_eq!(api.gateway.metric("config_last_reload_success", &[]), 1.0);
    assert_eq!(api.gateway.metric("config_generation", &[]), api.gateway.generation() as f64);
    assert!(api.gateway.metric("config_reloads_total", &[]) >= 10.0);
    // Upstreams change live too.
    api.gateway.rewrite(|yaml| yaml.replace(&api.upstream.url(), &other.url()));
    assert_eq!(api.gateway.reload().status, 200);
    assert_allowed(&api.gateway.send(&Request::get("/health")));
    assert_eq!(other.count(), 1);
}

#[test]
fn sighup_reloads() {
    let api = Api::start();
    // A change in place, and the signal at once: whichever is noticed first, the signal ends nothing.
    fs::write(api.gateway.config_path(), with_route(api.gateway.config(), "/new"))
        .expect("the configuration");
    api.gateway.sighup();
    wait_until("the new route", || serves(&api, "/new"));
}

/// A Kubernetes ConfigMap: the file is a link through `..data`, which is swapped.
#[test]
fn k8_the_symlink_swap_of_a_configmap_is_noticed() {
    let api = Api::start();
    let directory = api.gateway.directory.path();
    let generation = |name: &str, text: String| {
        let versioned = directory.join(name);
        fs::create_dir(&versioned).expect("a directory");
        fs::write(versioned.join("portcullis.yaml"), text).expect("a configuration");
        let swap = directory.join("..data_tmp");
        symlink(name, &swap).expect("a link");
        fs::rename(swap, directory.join("..data")).expect("the swap");
    };
    generation("..2026_01_01", with_route(api.gateway.config(), "/first"));
    let link = directory.join("link");
    symlink("..data/portcullis.yaml", &link).expect("a link");
    fs::rename(link, directory.join("portcullis.yaml")).expect("the file becomes a link");
    // Keys are named relative to the file; a ConfigMap carries them along.
    wait_until("through the link", || serves(&api, "/first"));
    let text = with_route(api.gateway.config(), "/second");
    generation("..2026_01_02", text);
    assert!(eventually(FILE_BOUND, || serves(&api, "/second")), "the swap of ..data went unnoticed");
    fs::remove_dir_all(directory.join("..2026_01_01")).expect("the old generation goes");
    assert!(serves(&api, "/second"));
}

/// An editor that writes slowly, in place: at no moment is half a file in force. Half of this file would be a sound
/// one without what stands last in it. A writer that pauses for long cannot be told from one that is done, so an
/// attempt in which this machine made ours pause says nothing, and is made again.
#[test]
fn k8_a_file_is_not_read_while_it_is_being_written() {
    const LONGEST_PAUSE: Duration = Duration::from_millis(40);
    for attempt in 0..10 {
        let api = Api::start();
        let new = format!("/new/{attempt}");
        let text = with_route(with_route(api.gateway.config(), &new), "/very-last");
        let (longest, torn) = std::thread::scope(|scope| {
            let path = api.gateway.config_path();
            let writer = scope.spawn(move || write_slowly(&path, &text));
            let mut torn = false;
            while !writer.is_finished() {
                torn |= !serves(&api, "/health") || (serves(&api, &new) && !serves(&api, "/very-last"));
            }
            (writer.join().expect("the file is written"), torn)
        });
        wait_until("the whole file", || serves(&api, "/very-last"));
        if longest < LONGEST_PAUSE {
            assert!(!torn, "half a file was in force");
            return;
        }
    }
    eprintln!("this machine is too busy to write a file steadily");
}

/// Writes a file in place, eight octets at a time; the longest pause between two of them.
fn write_slowly(path: &std::path::Path, text: &str) -> Duration {
    let mut file = fs::File::create(path).expect("the configuration");
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    for piece in text.as_bytes().chunks(8) {
        file.write_all(piece).expect("a piece");
        longest = longest.max(last.elapsed());
        last = Instant::now();
        pause();
    }
    longest
}

#[test]
fn k8_a_file_that_is_gone_for_a_while_is_missed_by_nobody() {
    let api = Api::start();
    let text = api.gateway.config();
    fs::remove_file(api.gateway.config_path()).expect("the configuration goes");
    assert!(holds(Duration::from_millis(500), || serves(&api, "/health")));
    assert!(api.gateway.reload().status >= 400, "there is nothing to reload");
    fs::write(api.gateway.config_path(), with_route(text, "/new")).expect("and comes back");
    wait_until("the new file", || serves(&api, "/new"));
}

#[test]
fn k8_a_flood_of_new_files_ends_with_the_last() {
    let api = Api::start();
    let text = api.gateway.config();
    for round in 0..200 {
        api.gateway.replace("portcullis.yaml", with_route(text.clone(), &format!("/round/{round}")));
        if round % 10 == 0 {
            assert!(serves(&api, "/health"));
        }
    }
    wait_until("the last one", || serves(&api, "/round/199"));
    assert_refused(&api.gateway.send(&Request::get("/round/198")), NoRoute);
}

#[test]
fn k9_a_storm_of_signals_is_weathered() {
    let api = Api::start();
    assert!(serves(&api, "/health"));
    let (descriptors, resident) = (api.gateway.descriptors(), api.gateway.resident_kib());
    let text = api.gateway.config();
    let storm = std::thread::scope(|scope| {
        let pid = api.gateway.pid();
        let storm = scope.spawn(move || {
            let script = "i=0; while [ $i -lt 1000 ]; do kill -HUP $0; i=$((i+1)); done";
            std::process::Command::new("sh").args(["-c", script, &pid.to_string()]).status()
        });
        let mut connection = api.gateway.connect();
        while !storm.is_finished() {
            assert_allowed(&connection.send(&Request::get("/health")));
        }
        storm.join().expect("the storm passes")
    });
    assert!(storm.expect("sh runs").success());
    fs::write(api.gateway.config_path(), with_route(text, "/after")).expect("the configuration");
    api.gateway.sighup();
    wait_until("the last one wins", || serves(&api, "/after"));
    assert!(eventually(FILE_BOUND, || api.gateway.descriptors() <= descriptors + 8), "descriptors leak");
    let grown = api.gateway.resident_kib().saturating_sub(resident);
    assert!(grown < 32 << 10, "{grown} KiB more after the storm");
}

#[test]
fn k9_a_signal_during_shutdown_changes_nothing() {
    let api = Api::start();
    for name in ["HUP", "TERM", "HUP", "HUP"] {
        api.gateway.signal(name);
    }
    api.gateway.wait_for_exit(0);
}

/// A secret that is replaced counts without a change of the configuration.
#[test]
fn secrets_are_reloaded_with_everything_else() {
    use crate::harness::issuer::Issuer;
    use crate::harness::keys::{Key, random_name};
    use crate::harness::token::Token;
    let secret = || random_name() + &random_name();
    let (old, new) = (secret(), secret());
    let issuer = Issuer::with_keys(vec![Key::secret("HS256", old.as_bytes())]);
    let api = Api::with_issuer(issuer, |setup, issuer| {
        setup.issuer_with("corp", issuer, "keys: {secret: {file: secret}}").file("secret", &old)
    });
    let token = |secret: &str| {
        Token::new(&api.issuer.iss, &Key::secret("HS256", secret.as_bytes())).scope("orders:read").sign()
    };
    api.allows_token(&token(&old));
    api.gateway.replace("secret", format!("{new}\n"));
    let request = Request::get("/orders/1").bearer(&token(&new));
    assert_allowed(&api.gateway.wait_for_status(&request, 200));
    assert_eq!(api.gateway.get("/orders/1", &token(&old)).status, 401);
}
