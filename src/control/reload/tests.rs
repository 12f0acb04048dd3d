use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::config::log::LogFormat;
use crate::config::problems::{Position, Problem, Problems};
use crate::config::revocation::Revocation;
use crate::config::shown::{CertificateFiles, ClientCertificate, ListenerTls};
use crate::config::{Admin, Config, KeySource, Located, Secret, SecretSource};
use crate::control::reload::{Origin, ReloadError, Report, Requests, load_settled, needs_restart};
use crate::control::tests::fixture::{config, issuer};
use crate::policy::route::Routes;
use crate::revocation::Revocations;
use crate::snapshot::{Change, channel};
use crate::token::NumericDate;

fn report(result: Result<u64, ReloadError>) -> Report {
    Report { at: NumericDate(7), result }
}

fn tls(certificate: &str) -> ListenerTls {
    let at = Position { line: 7, column: 7 };
    let private_key = Secret { source: SecretSource::File("key.pem".into()), at };
    let certificate = Located { value: certificate.into(), at };
    let certificates = vec![CertificateFiles { certificate, private_key }];
    let client_certificate = ClientCertificate::None;
    ListenerTls { certificates, client_ca: None, client_certificate, at }
}

#[test]
fn what_cannot_change_live_needs_a_restart() {
    let token = || Some(Secret { source: SecretSource::Env("T".into()), at: Position::default() });
    let admin = |config: &mut Config, token| {
        config.admin = Some(Admin { address: ([127, 0, 0, 1], 1).into(), token })
    };
    let recheck = |config: &mut Config, recheck_streams| {
        let (file, claims, at) = (None, Arc::default(), Position::default());
        config.revocation = Some(Revocation { file, claims, recheck_streams, at });
    };
    type Edit<'e> = Box<dyn Fn(&mut Config) + 'e>;
    let edits: Vec<(Edit<'_>, &str)> = vec![
        (Box::new(|config| config.workers = None), "`workers`"),
        (Box::new(|config| config.listeners.push(config.listeners[0].clone())), "`listeners`"),
        (Box::new(|config| config.listeners[0].tls = Some(tls("a.pem"))), "whether a listener has `tls`"),
        (Box::new(|config| admin(config, None)), "`admin.address`"),
        (Box::new(|config| config.store = Some(PathBuf::from("p.db"))), "`store`"),
        (Box::new(|config| config.key_mirror = Some(PathBuf::from("keys"))), "`key_mirror`"),
        (Box::new(|config| config.limits.drain += 1), "`limits` other than `token` and `key_set`"),
        (Box::new(|config| config.shutdown_grace = Duration::from_secs(9)), "`shutdown_grace`"),
        (Box::new(|config| recheck(config, Duration::from_secs(9))), "`revocation.recheck_streams`"),
        (Box::new(|config| config.upgrade_socket = Some(PathBuf::from("u"))), "`upgrade_socket`"),
        (Box::new(|config| config.log.format = LogFormat::Text), "`log`"),
    ];
    let running = config(Vec::new());
    for (edit, name) in &edits {
        let mut new = running.clone();
        edit(&mut new);
        assert_eq!(needs_restart(&running, &new), [*name]);
        assert_eq!(needs_restart(&new, &running), [*name]);
    }
    let mut all = running.clone();
    edits.iter().for_each(|(edit, _)| edit(&mut all));
    admin(&mut all, token());
    assert_eq!(needs_restart(&running, &all).len(), edits.len() + 1, "and whether there is a token");
    let (mut with, mut without) = (running.clone(), running);
    admin(&mut with, token());
    admin(&mut without, None);
    assert_eq!(needs_restart(&with, &without), ["whether there is an `admin.token`"]);
}

#[test]
fn everything_else_can_change_live() {
    let running = config(vec![issuer("a", KeySource::Discovery)]);
    let mut new = config(vec![issuer("b", KeySource::Discovery), issuer("a", KeySource::Discovery)]);
    new.limits.token = 1;
    new.limits.key_set = 1;
    assert!(needs_restart(&running, &new).is_empty());
    let secret =
        |name: &str| Some(Secret { source: SecretSource::Env(name.into()), at: Position::default() });
    let admin = |name| Some(Admin { address: ([127, 0, 0, 1], 1).into(), token: secret(name) });
    let (mut one, mut other) = (Config { admin: admin("A"), ..running }, Config { admin: admin("B"), ..new });
    assert!(needs_restart(&one, &other).is_empty(), "another token is read live");
    one.listeners[0].tls = Some(tls("a.pem"));
    other.listeners[0].tls = Some(tls("b.pem"));
    assert!(needs_restart(&one, &other).is_empty(), "another certificate is read live");
}

#[test]
fn a_refusal_is_one_line_with_every_problem_and_no_snippet() {
    let at = |line| Position { line, column: 2 };
    let mut list =
        vec![Problem::new(at(1), "this is wrong").hint("do that"), Problem::new(at(3), "that is wrong")];
    let problems = |list| Problems { file: "p.yaml".into(), text: Arc::from("secret: hunter2"), list };
    let error = ReloadError::Problems(Arc::new(problems(list.clone())));
    assert_eq!(error.to_string(), "p.yaml:1:2: this is wrong (do that); p.yaml:3:2: that is wrong");
    list.resize(60, Problem::new(at(9), "wrong"));
    let error = ReloadError::Problems(Arc::new(problems(list)));
    assert_eq!(error.lines().len(), 51);
    assert!(error.to_string().ends_with("; and 10 more"));
    let error = ReloadError::NeedsRestart(vec!["`store`", "`log`"]);
    assert_eq!(error.to_string(), "a change of `store`, `log` needs a restart");
}

/// Threats K9: a storm is answered by the load that runs when it ends, and the last wins.
#[tokio::test]
async fn requests_made_while_a_load_runs_are_answered_by_the_next() {
    let requests = Arc::new(Requests::new(report(Ok(1))));
    let first = tokio::spawn({
        let requests = Arc::clone(&requests);
        async move { requests.reload().await }
    });
    requests.wanted.notified().await;
    let up_to = requests.latest();
    // The load of the first runs; a storm begins.
    let mut storm = JoinSet::new();
    for _ in 0..1_000 {
        let requests = Arc::clone(&requests);
        storm.spawn(async move { requests.reload().await });
    }
    requests.wanted.notified().await;
    while requests.latest() < 1_001 {
        tokio::task::yield_now().await;
    }
    requests.answer(up_to, report(Err(ReloadError::NeedsRestart(vec!["`log`"]))));
    assert!(matches!(first.await.expect("no panic"), Err(ReloadError::NeedsRestart(_))));
    assert!(storm.try_join_next().is_none(), "that load began before they asked");
    // A load that nobody asked for answers nobody.
    requests.answer(0, report(Ok(5)));
    assert!(storm.try_join_next().is_none());
    assert!(requests.report().result.is_ok());
    requests.answer(requests.latest(), report(Ok(9)));
    let answers = storm.join_all().await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(9))));
    assert_eq!(answers.len(), 1_000);
}

#[tokio::test]
async fn whoever_waits_is_told_that_there_will_be_no_more() {
    let requests = Arc::new(Requests::new(report(Ok(1))));
    let waits = tokio::spawn({
        let requests = Arc::clone(&requests);
        async move { requests.reload().await }
    });
    requests.wanted.notified().await;
    requests.stop();
    assert!(matches!(waits.await.expect("no panic"), Err(ReloadError::Stopped)));
    assert!(matches!(requests.reload().await, Err(ReloadError::Stopped)));
}

fn origin(path: PathBuf) -> Origin {
    Origin { path, env: Arc::new(|_| None) }
}

fn snapshot() -> Arc<crate::snapshot::Snapshot> {
    let (_, reader) = channel(Change::Config {
        routes: Arc::new(Routes::default()),
        issuers: Vec::new(),
        revocations: Arc::new(Revocations::default()),
        listeners: Vec::new(),
        token_limit: 1,
    });
    Arc::clone(&reader.load())
}

#[tokio::test]
async fn nothing_is_loaded_while_the_files_are_the_same() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("p.yaml");
    // Not UTF-8: refused before it is parsed.
    fs::write(&path, [0xff]).expect("written");
    let first = load_settled(origin(path.clone()), snapshot(), None).await.expect("loaded");
    let refused = first.result.expect_err("refused");
    assert!(refused.list[0].what.contains("not UTF-8"), "{refused:?}");
    let files = Arc::new(first.files.closed(None));
    let again = |files| load_settled(origin(path.clone()), snapshot(), Some(files));
    assert!(again(Arc::clone(&files)).await.is_none());
    fs::write(&path, [0xfe]).expect("written");
    assert!(again(files).await.is_some());
}

/// Threats K8: a file that is written octet by octet is not read until that is over.
#[tokio::test]
async fn a_file_is_loaded_once_nobody_writes_to_it() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("p.yaml");
    let mut file = fs::File::create(&path).expect("created");
    // Not UTF-8 at any length: refused before it is parsed.
    file.write_all(&[0xff]).expect("written");
    let writer = tokio::spawn(async move {
        let mut pause = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..60 {
            pause.tick().await;
            file.write_all(&[0xff]).expect("written");
        }
        file
    });
    let loaded = load_settled(origin(path.clone()), snapshot(), None).await.expect("loaded");
    assert!(writer.is_finished(), "loaded while it was being written to");
    assert!(!loaded.files.have_changed());
}
