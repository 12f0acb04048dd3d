//! An upgrade that does not come about changes nothing for the process that runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::api::{Api, assert_allowed};
use crate::harness::client::Request;
use crate::harness::issuer::{Fault, Issuer};
use crate::harness::process::{run, wait_for_exit};
use crate::harness::wait::{holds, wait_until};
use crate::upgrade::{api, said, serving, start};

/// The gateway that was there answers still, and is the one that does.
#[track_caller]
fn goes_on(api: &Api) {
    assert_allowed(&api.gateway.send(&Request::get("/health")));
    assert!(!api.gateway.has_exited());
    assert_eq!(serving(api), Some(u64::from(api.gateway.pid())));
    assert_eq!(api.gateway.probe("/readyz"), Some(200));
}

#[test]
fn without_an_upgrade_socket_there_is_none() {
    let api = Api::with(|setup| setup.quiet());
    let directory = api.gateway.directory.path();
    run(directory, &["run", "--upgrade", "--config", "portcullis.yaml"]).code(78).says(&["upgrade_socket"]);
    goes_on(&api);
}

#[test]
fn without_a_running_gateway_there_is_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = "version: 1\nlisteners: ['127.0.0.1:1']\nupstreams: {a: 'http://127.0.0.1:9'}\n\
                routes: {/a: public}\nupgrade_socket: run/upgrade.sock\n";
    fs::write(directory.path().join("portcullis.yaml"), text).expect("a file");
    let ended = run(directory.path(), &["run", "--upgrade", "--config", "portcullis.yaml"]);
    ended.code(69).says(&["no gateway answers at", "upgrade.sock"]);
    let directory = directory.path().join("run");
    assert_eq!(fs::metadata(directory).expect("it is made").permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_directory_that_others_may_enter_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = "version: 1\nlisteners: ['127.0.0.1:1']\nupstreams: {a: 'http://127.0.0.1:9'}\n\
                routes: {/a: public}\nupgrade_socket: run/upgrade.sock\n";
    fs::write(directory.path().join("portcullis.yaml"), text).expect("a file");
    fs::create_dir(directory.path().join("run")).expect("a directory");
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory.path().join("run"), open).expect("changed");
    for more in [&["--upgrade"][..], &[]] {
        let arguments = [&["run", "--config", "portcullis.yaml"], more].concat();
        run(directory.path(), &arguments).code(78).says(&["0755", "chmod 0700"]);
    }
}

#[test]
fn a_gateway_that_is_started_twice_is_told_so() {
    let api = api(|setup| setup);
    let directory = api.gateway.directory.path();
    run(directory, &["run", "--config", "portcullis.yaml"]).code(69).says(&["running already", "--upgrade"]);
    goes_on(&api);
}

#[test]
fn a_wrong_configuration_changes_nothing() {
    let api = api(|setup| setup);
    let directory = api.gateway.directory.path();
    fs::write(directory.join("broken.yaml"), "version: 1\nlisteners: []\n").expect("a file");
    run(directory, &["run", "--upgrade", "--config", "broken.yaml"]).code(78);
    goes_on(&api);
}

/// What the running gateway has revoked would count no more, or it would not hear of what is revoked while it drains.
#[test]
fn another_store_or_none_changes_nothing() {
    const STORE: &str = "store: {sqlite: portcullis.db}\n";
    let with = api(|setup| setup.yaml_tail(STORE));
    let without = api(|setup| setup);
    let next = |api: &Api, change: &dyn Fn(String) -> String, words: &[&str]| {
        let directory = api.gateway.directory.path();
        fs::write(directory.join("next.yaml"), change(api.gateway.config())).expect("a file");
        run(directory, &["run", "--upgrade", "--config", "next.yaml"]).code(69).says(words);
        assert!(!directory.join("other.db").exists(), "no other store is made");
        goes_on(api);
    };
    next(
        &with,
        &|text| text.replace("portcullis.db", "other.db"),
        &["no upgrade", "portcullis.db", "other.db"],
    );
    next(&with, &|text| text.replace(STORE, ""), &["no upgrade", "portcullis.db", "is none"]);
    next(&without, &|text| text + STORE, &["no upgrade", "`store` is none", "portcullis.db"]);
    assert!(!without.gateway.directory.path().join("portcullis.db").exists());
    // It still takes changes: nothing has paused it.
    let entry = "{\"kind\": \"all\", \"not_before\": 1}";
    let request =
        Request::new("POST", "/v1/revocations").host(&with.gateway.ports.admin.to_string()).body(entry);
    assert_eq!(with.gateway.send_admin(&request).status, 201);
    // By another name it is the same.
    let directory = with.gateway.directory.path();
    std::os::unix::fs::symlink(directory, directory.join("here")).expect("a link");
    let text = with.gateway.config().replace("portcullis.db", "here/portcullis.db");
    fs::write(directory.join("portcullis.next"), text).expect("a file");
    fs::rename(directory.join("portcullis.next"), directory.join("portcullis.yaml")).expect("replaced");
    let mut new = start(directory, "new");
    wait_until("it has taken over", || serving(&with) == Some(u64::from(new.id())));
    with.gateway.wait_for_exit(0);
    assert_eq!(with.gateway.send_admin(&request).status, 201);
    new.kill().expect("it can be killed");
    wait_for_exit(&mut new);
}

#[test]
fn a_port_that_is_taken_changes_nothing() {
    let api = api(|setup| setup);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let directory = api.gateway.directory.path();
    let also = format!("{:?}, {:?}]\nadmin", api.gateway.ports.public, taken.local_addr().expect("bound"));
    let text = api.gateway.config();
    let (before, after) = text.split_once("]\nadmin").expect("listeners stand before admin");
    let (head, _) = before.split_once("listeners: [").expect("listeners");
    fs::write(directory.join("more.yaml"), format!("{head}listeners: [{also}{after}")).expect("a file");
    run(directory, &["run", "--upgrade", "--config", "more.yaml"]).code(69).says(&["cannot listen on"]);
    goes_on(&api);
}

/// The new process waits for keys that the running one has: it must not be worse off, and is killed while it waits.
#[test]
fn a_new_process_that_dies_before_it_is_ready_changes_nothing() {
    let issuer = Issuer::start();
    let api = Api::with_issuer(issuer, |setup, issuer| {
        let setup = setup.issuer_fetched("corp", issuer, "");
        setup.yaml(|text| format!("{text}upgrade_socket: run/upgrade.sock\nkey_mirror: none\n"))
    });
    api.issuer.set_fault(Fault::ServerError);
    let directory = api.gateway.directory.path().to_owned();
    let mut new = start(&directory, "new");
    api.gateway.wait_for_log(&["asks for the listeners"]);
    assert!(holds(std::time::Duration::from_millis(300), || {
        assert_allowed(&api.gateway.send(&Request::get("/health")));
        new.try_wait().expect("a child can be asked").is_none()
    }));
    // One is under way, and another one is told.
    run(&directory, &["run", "--upgrade", "--config", "portcullis.yaml"])
        .code(69)
        .says(&["another upgrade is under way"]);
    new.kill().expect("it can be killed");
    wait_for_exit(&mut new);
    for _ in 0..50 {
        assert_allowed(&api.gateway.send(&Request::get("/health")));
    }
    goes_on(&api);
    // And the next one succeeds.
    api.issuer.set_fault(Fault::None);
    let mut next = start(&directory, "next");
    wait_until("it has taken over", || serving(&api) == Some(u64::from(next.id())));
    api.gateway.wait_for_exit(0);
    assert_allowed(&api.gateway.send(&Request::get("/health")));
    next.kill().expect("it can be killed");
    wait_for_exit(&mut next);
    assert!(!said(&directory, "next").contains("panicked"));
}
