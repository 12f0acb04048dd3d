pub(crate) mod fixture;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::config::material::Material;
use crate::config::{Config, Issuer, KeySource};
use crate::control::config_file::Loaded;
use crate::control::files::Files;
use crate::control::key_fetch::is_fetched;
use crate::control::reload::ReloadError;
use crate::control::tests::fixture::{Server, answer, config, issuer, jwks};
use crate::control::{Control, ControlHandle, clock};
use crate::gate::evidence::{KeyMiss, KeysAnswer};
use crate::keys::jwk;
use crate::metrics::Metrics;
use crate::policy::route::Routes;
use crate::revocation::{Entry, Kind, Revocations};
use crate::snapshot::{Change, Keys, Reader};

fn loaded(config: Config, ids: &[&str]) -> Loaded {
    let keys = |issuer: &Issuer| {
        if is_fetched(&issuer.keys.value) {
            return Keys::Unavailable;
        }
        let (set, _) = jwk::parse_jwks(jwks(ids).as_bytes(), None).expect("a good set");
        Keys::Ready { set: Arc::new(set), fetched: false }
    };
    let entry = Entry {
        kind: Kind::Jti,
        issuer: "https://a.example/".into(),
        claim: "".into(),
        value: "v".into(),
        not_before: None,
        expires: None,
        reason: None,
    };
    let change = Change::Config {
        routes: Arc::new(Routes::default()),
        issuers: config.issuers.iter().map(|issuer| (Arc::clone(issuer), keys(issuer))).collect(),
        revocations: Arc::new(Revocations::compile(&[entry], clock::now())),
        listeners: Vec::new(),
        token_limit: config.limits.token,
    };
    Loaded {
        config,
        change,
        warnings: Vec::new(),
        material: Material::default(),
        admin_token: Some(SecretString::from("token")),
        at_hand: BTreeMap::new(),
        files: Files::default(),
    }
}

/// A running writer.
struct Running {
    reader: Reader,
    handle: ControlHandle,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn start(path: PathBuf, issuers: Vec<Issuer>) -> (Control, Running) {
    let metrics = Arc::new(Metrics::new());
    let loaded = loaded(config(issuers), &["k1"]);
    let (control, reader, handle) =
        Control::start(path, Arc::new(|_| None), loaded, None, Arc::clone(&metrics));
    let (stop, _) = watch::channel(false);
    let task = tokio::spawn(async {}).abort_handle();
    (control, Running { reader, handle, metrics, stop, task })
}

fn run(path: PathBuf, issuers: Vec<Issuer>) -> Running {
    let (control, mut running) = start(path, issuers);
    running.task = tokio::spawn(control.run(running.stop.subscribe())).abort_handle();
    running
}

async fn ask(handle: &ControlHandle, issuer: &str, key_id: &str) -> KeysAnswer {
    handle.ask_keys()(KeyMiss { issuer: issuer.into(), key_id: key_id.into() }).await
}

#[tokio::test]
async fn fetched_keys_are_published_for_their_issuer_alone() {
    let good = Server::start(|_, _, _| Some(answer("200 OK", "", &jwks(&["a1", "a2"])))).await;
    let hung = Server::start(|_, _, _| None).await;
    let slow = Issuer { miss_wait: Duration::from_millis(20), ..issuer("hung", hung.source()) };
    let running = run(
        PathBuf::from("/nowhere/p.yaml"),
        vec![issuer("good", good.source()), slow, issuer("static", KeySource::JwksInline(jwks(&["k1"])))],
    );
    assert_eq!(ask(&running.handle, "hung", "").await, KeysAnswer::Unavailable);
    assert_eq!(ask(&running.handle, "good", "").await, KeysAnswer::Fetched);
    let snapshot = running.reader.load();
    let keys: Vec<usize> = snapshot.issuers.iter().map(|state| state.keys.len()).collect();
    assert_eq!(keys, [2, 0, 1]);
    assert_eq!(snapshot.generation, 2);
    assert!(matches!(snapshot.issuers[0].keys, Keys::Ready { fetched: true, .. }));
    // A miss of an issuer whose keys are not fetched has nothing to wait for.
    assert_eq!(ask(&running.handle, "static", "k9").await, KeysAnswer::Fetched);
    assert_eq!(ask(&running.handle, "nobody", "k9").await, KeysAnswer::Fetched);
}

/// Found under load: a file that changed after it was read and before its directory was watched went unnoticed until
/// the next poll.
#[tokio::test]
async fn a_change_before_the_first_watch_is_noticed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("portcullis.yaml");
    let text = |route: &str| {
        format!(
            "version: 1\nlisteners: 127.0.0.1:0\nkey_mirror: none\nupstreams: {{a: http://a}}\nroutes: {{{route}: public}}\n"
        )
    };
    fs::write(&path, text("/before")).expect("written");
    let loaded = crate::control::config_file::load(&path, &|_| None, None).expect("a configuration");
    let metrics = Arc::new(Metrics::new());
    let (control, reader, _handle) = Control::start(path.clone(), Arc::new(|_| None), loaded, None, metrics);
    fs::write(&path, text("/after")).expect("written");
    let (_stop, stopped) = watch::channel(false);
    let task = tokio::spawn(control.run(stopped));
    let noticed = async {
        while reader.load().generation == 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), noticed).await.expect("the change is noticed without a poll");
    task.abort();
}

#[tokio::test]
async fn a_miss_before_the_writer_runs_joins_the_first_fetch() {
    let server = Server::start(|_, _, _| Some(answer("200 OK", "", &jwks(&["a1"])))).await;
    let (control, running) = start(PathBuf::from("/nowhere/p.yaml"), vec![issuer("a", server.source())]);
    let asked = tokio::spawn({
        let handle = running.handle.clone();
        async move { ask(&handle, "a", "").await }
    });
    tokio::task::yield_now().await;
    assert_eq!(server.hits(), 0);
    let task = tokio::spawn(control.run(running.stop.subscribe()));
    assert_eq!(asked.await.expect("no panic"), KeysAnswer::Fetched);
    assert_eq!(server.hits(), 1);
    task.abort();
}

#[tokio::test]
async fn the_status_says_what_is_there() {
    let server = Server::start(|_, _, _| Some(answer("503 Out", "", ""))).await;
    let source = server.source();
    let quick = Issuer { miss_wait: Duration::from_secs(2), ..issuer("down", source) };
    let running = run(
        PathBuf::from("/nowhere/p.yaml"),
        vec![issuer("static", KeySource::JwksInline(jwks(&["k1"]))), quick],
    );
    assert_eq!(ask(&running.handle, "down", "").await, KeysAnswer::Unavailable);
    let status = running.handle.status();
    assert!(!status.is_ready());
    let json = serde_json::to_value(&status).expect("JSON");
    assert_eq!(json["generation"], 1);
    assert_eq!(json["reload"]["success"], true);
    assert_eq!(json["issuers"][0]["ready"], true);
    assert_eq!(json["issuers"][0]["key_ids"][0], "k1");
    assert!(json["issuers"][0]["fetched"].is_null());
    assert_eq!(json["issuers"][1]["ready"], false);
    assert_eq!(json["issuers"][1]["fetched"]["last_error"], "the server answered 503");
    assert_eq!(json["issuers"][1]["fetched"]["fetches"], 2);
    assert_eq!(json["revocations"]["jti"], 1);
    assert_eq!(json["revocations"]["subject"], 0);
    let metrics = running.metrics.render(clock::now().0);
    for line in ["portcullis_revocation_entries{kind=\"jti\"} 1", "portcullis_config_generation 1"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    assert_eq!(running.handle.admin_token().expect("a token").expose_secret(), "token");
    assert_eq!(running.handle.config().issuers.len(), 2);
}

#[tokio::test]
async fn a_reload_that_is_refused_changes_nothing() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("p.yaml");
    fs::write(&path, [0xff]).expect("written");
    let running = run(path.clone(), vec![issuer("static", KeySource::JwksInline(jwks(&["k1"])))]);
    let before = Arc::clone(&running.reader.load());
    for _ in 0..2 {
        let refused = running.handle.reload().await.expect_err("refused");
        assert!(matches!(refused, ReloadError::Problems(_)), "{refused}");
        assert!(refused.to_string().contains("p.yaml:1:1: the file is not UTF-8"), "{refused}");
    }
    assert!(Arc::ptr_eq(&before, &running.reader.load()));
    let status = running.handle.status();
    assert!(!status.reload.success);
    assert_eq!(status.reload.problems.len(), 1);
    let metrics = running.metrics.render(clock::now().0);
    assert!(metrics.contains("portcullis_config_last_reload_success 0"), "{metrics}");
}

#[tokio::test]
async fn a_writer_that_stops_says_so_to_whoever_waits() {
    let running = run(PathBuf::from("/nowhere/p.yaml"), Vec::new());
    running.stop.send_replace(true);
    let stopped = timeout(Duration::from_secs(20), async {
        while !matches!(running.handle.reload().await, Err(ReloadError::Stopped)) {}
    });
    stopped.await.expect("in time");
}

#[tokio::test]
async fn a_writer_that_was_never_run_leaves_nobody_waiting() {
    let (control, running) = start(PathBuf::from("/nowhere/p.yaml"), Vec::new());
    drop(control);
    assert!(matches!(running.handle.reload().await, Err(ReloadError::Stopped)));
}

/// Applies another configuration as a reload does, without a file.
fn apply(control: &mut Control, issuers: Vec<Issuer>) -> Result<u64, ReloadError> {
    control.apply(loaded(config(issuers), &["k1"]))
}

#[tokio::test]
async fn a_reload_keeps_the_keys_and_the_fetches_of_issuers_that_stay() {
    let one = Server::start(|_, _, _| Some(answer("200 OK", "", &jwks(&["a1"])))).await;
    let other = Server::start(|_, _, _| Some(answer("200 OK", "", &jwks(&["b1", "b2"])))).await;
    let (mut control, running) = start(PathBuf::from("/nowhere/p.yaml"), vec![issuer("a", one.source())]);
    control.run_fetches();
    let arrival = control.arrivals.1.recv().await.expect("keys");
    control.publish_keys(arrival);
    assert_eq!(ask(&running.handle, "a", "").await, KeysAnswer::Fetched);
    let epoch = |name: &str| {
        let snapshot = running.reader.load();
        snapshot
            .issuers
            .iter()
            .find(|state| &*state.config.name == name)
            .map(|state| (state.epoch, state.keys.len()))
    };
    let (first, _) = epoch("a").expect("there");
    // The same, and something else about it.
    apply(&mut control, vec![issuer("a", one.source())]).expect("applied");
    assert_eq!(epoch("a"), Some((first, 1)));
    let patient = Issuer { refresh: Duration::from_secs(900), ..issuer("a", one.source()) };
    apply(&mut control, vec![issuer("b", other.source()), patient]).expect("applied");
    assert_eq!(epoch("a").map(|(_, keys)| keys), Some(1));
    assert_eq!(epoch("b").map(|(_, keys)| keys), Some(0));
    let arrival = control.arrivals.1.recv().await.expect("keys");
    assert_eq!(&*arrival.issuer, "b");
    control.publish_keys(arrival);
    assert_eq!(epoch("b").map(|(_, keys)| keys), Some(2));
    assert_eq!((one.hits(), other.hits()), (1, 1), "keys that stayed were not fetched again");
    // Another source: the old keys are no good for it.
    apply(&mut control, vec![issuer("a", other.source())]).expect("applied");
    assert_eq!(epoch("a").map(|(_, keys)| keys), Some(0));
    assert_eq!(epoch("b"), None);
    assert_eq!(running.handle.status().issuers.len(), 1);
}

#[tokio::test]
async fn keys_of_a_task_that_was_replaced_are_not_published() {
    let one = Server::start(|_, _, _| Some(answer("200 OK", "", &jwks(&["a1"])))).await;
    let hung = Server::start(|_, _, _| None).await;
    let (mut control, running) = start(PathBuf::from("/nowhere/p.yaml"), vec![issuer("a", one.source())]);
    control.run_fetches();
    let arrival = control.arrivals.1.recv().await.expect("keys");
    apply(&mut control, vec![issuer("a", hung.source())]).expect("applied");
    let generation = running.reader.load().generation;
    control.publish_keys(arrival);
    let snapshot = running.reader.load();
    assert_eq!(snapshot.generation, generation);
    assert!(snapshot.issuers[0].keys.is_empty());
}

#[tokio::test]
async fn what_cannot_change_live_is_refused_whole() {
    let (mut control, running) = start(PathBuf::from("/nowhere/p.yaml"), Vec::new());
    let mut new = config(vec![issuer("a", KeySource::JwksInline(jwks(&["k1"])))]);
    new.workers = Some(9);
    let refused = control.apply(loaded(new, &["k1"])).expect_err("refused");
    assert_eq!(refused.to_string(), "a change of `workers` needs a restart");
    assert_eq!(running.reader.load().generation, 1);
    assert!(running.reader.load().issuers.is_empty());
    assert!(running.handle.config().issuers.is_empty());
}
