//! The store of a running gateway: one process holds it, what is wrong with it is said, and it travels (threats R5, O6).

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::api::{Api, assert_allowed};
use crate::harness::client::Request;
use crate::harness::process::{Run, run, signal, wait_for_exit};
use crate::harness::wait::wait_until;
use crate::upgrade::{self, serving, start};

const STORE: &str = "store: {sqlite: portcullis.db}\n";

fn api() -> Api {
    Api::with(|setup| setup.quiet().yaml_tail(STORE))
}

fn file(api: &Api) -> PathBuf {
    api.gateway.directory.path().join("portcullis.db")
}

/// A configuration that needs nothing but its store, in a directory of its own.
fn alone(store: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let text = "version: 1\nlisteners: ['127.0.0.1:1']\nupstreams: {a: 'http://127.0.0.1:9'}\n\
                routes: {/a: public}\nkey_mirror: none\n";
    fs::write(directory.path().join("portcullis.yaml"), format!("{text}{store}")).expect("a file");
    directory
}

fn start_alone(directory: &Path) -> Run {
    run(directory, &["run", "--config", "portcullis.yaml"])
}

#[test]
fn a_gateway_without_a_store_makes_none() {
    let api = Api::with(|setup| setup.quiet());
    assert_allowed(&api.gateway.send(&Request::get("/health")));
    assert!(!file(&api).exists() && !file(&api).with_extension("db.lock").exists());
}

#[test]
fn one_gateway_holds_a_store_and_another_is_told_what_to_do() {
    let api = api();
    assert!(file(&api).is_file(), "it is made at the start");
    let directory = alone(&format!("store: {{sqlite: '{}'}}\n", file(&api).display()));
    let (number, path) = (api.gateway.pid().to_string(), file(&api).display().to_string());
    start_alone(directory.path()).code(69).says(&[&path, &number, "stop that one first", "--upgrade"]);
    assert_allowed(&api.gateway.send(&Request::get("/health")));
    // However it ends, the store is free at once.
    api.gateway.signal("KILL");
    api.gateway.wait_for_any_exit();
    run(directory.path(), &["store", "migrate", "--config", "portcullis.yaml"])
        .code(0)
        .says(&["nothing to do"]);
}

#[test]
fn a_file_that_is_no_store_is_bad_configuration_and_stays() {
    let directory = alone(STORE);
    let path = directory.path().join("portcullis.db");
    for (content, words) in [
        (&b""[..], ["portcullis.db is damaged", "it is empty", "store restore"]),
        (b"SQLite format 3\0 and no more", ["portcullis.db is damaged", "it ends after", "store restore"]),
        (b"- kind: jti\n", ["portcullis.db is no store", "no SQLite database", "another path"]),
    ] {
        fs::write(&path, content).expect("written");
        start_alone(directory.path()).code(78).says(&words);
        assert_eq!(fs::read(&path).expect("there"), content);
    }
    let nowhere = alone("store: {sqlite: absent/portcullis.db}\n");
    start_alone(nowhere.path()).code(78).says(&["absent/portcullis.db cannot be used", "directory"]);
}

#[test]
fn another_store_needs_a_restart() {
    let api = api();
    for (from, to) in [(STORE, ""), (STORE, "store: {sqlite: other.db}\n")] {
        let text = api.gateway.config();
        api.gateway.rewrite(|text| text.replace(from, to));
        let response = api.gateway.reload();
        assert_eq!(response.status, 409, "{response:?}");
        assert!(response.text().contains("`store`"), "{response:?}");
        api.gateway.replace("portcullis.yaml", text);
        assert_eq!(api.gateway.reload().status, 200);
    }
    assert!(!api.gateway.directory.path().join("other.db").exists());
}

#[test]
fn a_running_gateways_store_is_copied_and_not_replaced() {
    let api = api();
    let directory = api.gateway.directory.path();
    let store = |arguments: &[&str]| {
        run(directory, &[&["store"], arguments, &["--config", "portcullis.yaml"]].concat())
    };
    store(&["backup", "copy.db"]).code(0).says(&["copy.db", "0 entries"]);
    store(&["backup", "copy.db"]).code(1).says(&["copy.db", "there is a file already"]);
    store(&["restore", "copy.db"]).code(69).says(&["is in use by process", &api.gateway.pid().to_string()]);
    store(&["migrate"]).code(69).says(&["is in use by process"]);
    assert_allowed(&api.gateway.send(&Request::get("/health")));
    api.gateway.stop();
    store(&["restore", "copy.db"]).code(0).says(&["is kept", "before-restore"]).never_says("warning");
    store(&["migrate"]).code(0).says(&["version 3 to 3"]);
}

#[test]
fn o6_the_stores_lock_goes_along_in_an_upgrade() {
    let api = upgrade::api(|setup| setup.yaml_tail(STORE));
    let directory = api.gateway.directory.path();
    let other = alone(&format!("store: {{sqlite: '{}'}}\n", file(&api).display()));
    let mut new = start(directory, "new");
    wait_until("it has taken over", || serving(&api) == Some(u64::from(new.id())));
    start_alone(other.path()).code(69).says(&["is in use by process"]);
    api.gateway.wait_for_exit(0);
    start_alone(other.path()).code(69).says(&["is in use by process", &new.id().to_string()]);
    assert_allowed(&api.gateway.send(&Request::get("/health")));
    // And on to the one after.
    let mut newer = start(directory, "newer");
    wait_until("it has taken over", || serving(&api) == Some(u64::from(newer.id())));
    assert_eq!(wait_for_exit(&mut new).code(), Some(0));
    start_alone(other.path()).code(69).says(&["is in use by process", &newer.id().to_string()]);
    signal(&newer, "TERM");
    assert_eq!(wait_for_exit(&mut newer).code(), Some(0));
    run(other.path(), &["store", "migrate", "--config", "portcullis.yaml"]).code(0);
}
