use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::config::{Issuer, KeySource};
use crate::control::clock;
use crate::control::key_fetch::client::Client;
use crate::control::key_fetch::mirror::Mirror;
use crate::control::key_fetch::{AtHand, KeyFetch, Means, same_source};
use crate::control::tests::fixture::{Server, answer, issuer, jwks, path};
use crate::gate::evidence::KeysAnswer::{self, Fetched, Unavailable};
use crate::keys::jwk;
use crate::metrics::Metrics;
use crate::snapshot::Keys;
use crate::token::NumericDate;

const LIMIT: usize = 10_000;

/// A fetcher with a writer that publishes whatever comes.
struct Engine {
    fetch: Arc<KeyFetch>,
    /// What was published so far: the ids of each set, or nothing where keys were withdrawn.
    published: watch::Receiver<Vec<Vec<String>>>,
    metrics: Arc<Metrics>,
    tasks: [AbortHandle; 2],
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Engine {
    fn start(issuer: Issuer, at_hand: Option<AtHand>, mirror: Option<PathBuf>) -> Self {
        let issuer = Arc::new(issuer);
        let metrics = Arc::new(Metrics::new());
        let (arrivals, mut queue) = mpsc::channel(8);
        let (log, published) = watch::channel(Vec::new());
        let means = Means {
            client: Arc::new(Client::default()),
            mirror: mirror.map(|directory| Mirror::new(&directory, &issuer)),
            arrivals,
            task: 1,
            metrics: Arc::clone(&metrics),
        };
        let fetch = Arc::new(KeyFetch::new(issuer, LIMIT, at_hand));
        let writer = tokio::spawn(async move {
            while let Some(arrival) = queue.recv().await {
                let ids = match arrival.keys {
                    Keys::Ready { set, fetched } => {
                        assert!(fetched);
                        set.key_ids().map(ToOwned::to_owned).collect()
                    }
                    Keys::Unavailable | Keys::Records(_) => Vec::new(),
                };
                log.send_modify(|log| log.push(ids));
                let _ = arrival.published.send(());
            }
        });
        let task = tokio::spawn(Arc::clone(&fetch).run(means));
        Self { fetch, published, metrics, tasks: [writer.abort_handle(), task.abort_handle()] }
    }

    fn of(server: &Server) -> Self {
        Self::start(issuer("a", server.source()), None, None)
    }

    async fn ask(&self, kid: &str) -> KeysAnswer {
        self.fetch.ask(kid).await
    }

    fn published(&self) -> Vec<Vec<String>> {
        self.published.borrow().clone()
    }

    async fn wait_for(&mut self, ready: impl FnMut(&Vec<Vec<String>>) -> bool) {
        let wait = self.published.wait_for(ready);
        drop(tokio::time::timeout(Duration::from_secs(20), wait).await.expect("in time").expect("a writer"));
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics
            .render(clock::now().0)
            .lines()
            .any(|metric| metric.ends_with(line) && metric.contains("jwks"))
    }
}

/// A server whose key set is this one at each request.
async fn serving(set: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Server {
    Server::start(move |_, _, number| Some(set(number))).await
}

fn good(ids: &[&str]) -> Vec<u8> {
    answer("200 OK", "", &jwks(ids))
}

#[tokio::test]
async fn an_unknown_kid_is_proven_by_one_fetch_and_then_fetches_nothing() {
    let server = serving(|_| good(&["k1"])).await;
    let engine = Engine::of(&server);
    assert_eq!(engine.ask("").await, Fetched);
    assert_eq!(server.hits(), 1);
    assert_eq!(engine.ask("k1").await, Fetched);
    assert_eq!(server.hits(), 1, "it is there");
    for _ in 0..3 {
        assert_eq!(engine.ask("nope").await, Fetched, "decide again: 401");
        assert_eq!(server.hits(), 2);
    }
    assert_eq!(engine.ask("other").await, Unavailable, "the cooldown runs: 503");
    assert_eq!(server.hits(), 2);
    assert_eq!(engine.published(), [["k1"]], "the same keys are not published again");
}

/// Threats K3.
#[tokio::test]
async fn a_thousand_random_kids_force_one_fetch() {
    let server = serving(|_| good(&["k1"])).await;
    let engine = Engine::of(&server);
    assert_eq!(engine.ask("").await, Fetched);
    let mut asks = JoinSet::new();
    for index in 0..1_000 {
        let fetch = Arc::clone(&engine.fetch);
        asks.spawn(async move { fetch.ask(&format!("kid-{index}")).await });
    }
    let answers = asks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| **answer == Fetched).count(), 1, "the one that began it");
    assert_eq!(server.hits(), 2);
    assert_eq!(engine.fetch.health().fetches, 2);
}

#[tokio::test]
async fn a_new_kid_is_found_at_once_and_published_before_anybody_is_told() {
    let server = serving(|number| if number == 1 { good(&["k1"]) } else { good(&["k1", "k2"]) }).await;
    let engine = Engine::of(&server);
    assert_eq!(engine.ask("").await, Fetched);
    assert_eq!(engine.ask("k2").await, Fetched);
    assert_eq!(engine.published(), [vec!["k1"], vec!["k1", "k2"]]);
}

/// Threats K4 and K6.
#[tokio::test]
async fn the_last_good_set_stays_whatever_the_provider_answers() {
    let cases = [
        answer("500 No", "", ""),
        answer("200 OK", "", "<html>"),
        answer("200 OK", "", r#"{"keys":[]}"#),
        answer("200 OK", "", r#"{"keys":[{"kty":"unknown"}]}"#),
        answer("200 OK", "", &jwks(&["twice", "twice"])),
        answer("200 OK", "", &jwks(&["k1"])[..40]),
        answer("200 OK", "", &" ".repeat(LIMIT + 1)),
        answer("302 There", "location: http://192.0.2.1/\r\n", ""),
    ];
    for bad in cases {
        let shown = String::from_utf8_lossy(&bad).chars().take(200).collect::<String>();
        let server = serving(move |number| if number == 1 { good(&["k1"]) } else { bad.clone() }).await;
        let engine = Engine::of(&server);
        assert_eq!(engine.ask("").await, Fetched);
        assert_eq!(engine.ask("k2").await, Unavailable, "503, not 401: {shown}");
        assert_eq!(engine.ask("k1").await, Fetched, "{shown}");
        assert_eq!(engine.published(), [["k1"]], "{shown}");
        let health = engine.fetch.health();
        assert!(health.last_error.is_some() && health.failures == 1, "{shown}: {health:?}");
        assert!(health.last_success.is_some(), "{shown}");
    }
}

/// Threats K5: denied while there are no keys, and well as soon as there are, without a restart.
#[tokio::test]
async fn a_provider_that_is_down_at_first_is_recovered_from() {
    let server = serving(|number| if number < 2 { answer("503 Out", "", "") } else { good(&["k1"]) }).await;
    let engine = Engine::of(&server);
    // Joins the first fetch, which fails, and begins the second.
    assert_eq!(engine.ask("").await, Fetched);
    assert_eq!(server.hits(), 2);
    assert_eq!(engine.published(), [["k1"]]);
    assert_eq!(engine.fetch.health().last_error, None);
    assert!(engine.counted("result=\"failed\"} 1") && engine.counted("result=\"success\"} 1"));
}

#[tokio::test]
async fn nobody_waits_longer_than_miss_wait() {
    let server = Server::start(|_, _, _| None).await;
    let engine = Engine::start(
        Issuer { miss_wait: Duration::from_millis(50), ..issuer("a", server.source()) },
        None,
        None,
    );
    let begun = Instant::now();
    assert_eq!(engine.ask("").await, Unavailable);
    assert_eq!(engine.ask("k1").await, Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(engine.published().is_empty());
}

#[tokio::test]
async fn a_fetch_that_never_ends_is_ended() {
    let server = Server::start(|_, _, number| (number > 1).then(|| good(&["k1"]))).await;
    let slow = Issuer { miss_wait: Duration::from_secs(20), ..issuer("a", server.source()) };
    let engine = Engine::start(slow, None, None);
    assert_eq!(engine.ask("").await, Fetched, "after the first was given up");
    assert_eq!(server.hits(), 2);
    assert!(engine.counted("result=\"failed\"} 1"));
}

#[tokio::test]
async fn a_confirmed_set_is_a_success_and_nothing_new() {
    let server = Server::start(|head, _, _| {
        Some(if head.contains("if-none-match: \"v1\"") {
            answer("304 Same", "", "")
        } else {
            answer("200 OK", "etag: \"v1\"\r\n", &jwks(&["k1"]))
        })
    })
    .await;
    let engine = Engine::of(&server);
    assert_eq!(engine.ask("").await, Fetched);
    assert_eq!(engine.ask("nope").await, Fetched);
    assert_eq!(server.hits(), 2);
    assert_eq!(engine.published(), [["k1"]]);
    assert!(engine.counted("result=\"not_modified\"} 1") && engine.counted("result=\"success\"} 1"));
}

/// After a set that could not be used, no validator of it may confirm it.
#[tokio::test]
async fn a_refused_set_is_never_confirmed() {
    let server = Server::start(|head, _, number| {
        Some(match number {
            1 => answer("200 OK", "etag: \"v1\"\r\n", "{}"),
            _ if head.contains("if-none-match") => answer("304 Same", "", ""),
            _ => good(&["k1"]),
        })
    })
    .await;
    let engine = Engine::of(&server);
    assert_eq!(engine.ask("").await, Fetched);
    assert_eq!(engine.published(), [["k1"]]);
}

#[tokio::test]
async fn keys_are_refreshed_in_the_background() {
    let server = serving(|number| if number < 3 { good(&["k1"]) } else { good(&["k2"]) }).await;
    let fast = Issuer { refresh: Duration::from_millis(100), ..issuer("a", server.source()) };
    let mut engine = Engine::start(fast, None, None);
    engine.wait_for(|published| *published == [["k1"], ["k2"]]).await;
}

#[tokio::test]
async fn a_shorter_refresh_counts_at_once() {
    let server = serving(|number| if number == 1 { good(&["k1"]) } else { good(&["k2"]) }).await;
    let mut engine = Engine::of(&server);
    assert_eq!(engine.ask("").await, Fetched);
    let fast = Issuer { refresh: Duration::from_millis(100), ..issuer("a", server.source()) };
    engine.fetch.reconfigure(Arc::new(fast), LIMIT);
    engine.wait_for(|published| *published == [["k1"], ["k2"]]).await;
}

fn at_hand(ids: &[&str], age: Duration) -> AtHand {
    let (set, _) = jwk::parse_jwks(jwks(ids).as_bytes(), None).expect("a good set");
    AtHand { keys: Arc::new(set), fetched_at: NumericDate(1_000), age }
}

#[tokio::test]
async fn keys_past_max_stale_are_withdrawn_and_come_back() {
    let up = Arc::new(Mutex::new(false));
    let server = serving({
        let up = Arc::clone(&up);
        move |_| if *up.lock().expect("sound") { good(&["k1"]) } else { answer("503 Out", "", "") }
    })
    .await;
    let brief = Issuer {
        max_stale: Duration::from_secs(60),
        cooldown: Duration::from_millis(1),
        ..issuer("a", server.source())
    };
    let old = at_hand(&["k1"], Duration::from_millis(59_700));
    let mut engine = Engine::start(brief, Some(old), None);
    assert_eq!(engine.ask("k1").await, Fetched, "at hand");
    assert_eq!(engine.ask("k9").await, Unavailable);
    engine.wait_for(|published| *published == [[""; 0]]).await;
    assert_eq!(engine.ask("").await, Unavailable);
    *up.lock().expect("sound") = true;
    engine.wait_for(|published| published.len() > 1 && published[1] == ["k1"]).await;
    assert_eq!(engine.ask("k1").await, Fetched);
}

#[tokio::test]
async fn keys_at_hand_serve_while_the_provider_hangs() {
    let server = Server::start(|_, _, _| None).await;
    let old = at_hand(&["k1"], Duration::from_secs(5));
    let engine = Engine::start(issuer("a", server.source()), Some(old), None);
    assert_eq!(engine.ask("k1").await, Fetched);
    assert_eq!(engine.ask("").await, Fetched);
    assert!(engine.published().is_empty(), "the first configuration had them");
    let health = engine.fetch.health();
    assert_eq!(health.last_success, Some(NumericDate(1_000)));
    assert!(health.age.is_some_and(|age| age >= Duration::from_secs(5)));
}

/// Waits for a server's n-th request: what came of the one before is done with by then.
async fn until(server: &Server, hits: usize) {
    let wait = async {
        while server.hits() < hits {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("in time");
}

#[tokio::test]
async fn a_good_set_is_mirrored_and_a_bad_one_is_not() {
    let root = tempfile::tempdir().expect("a directory");
    let server = serving(|number| match number {
        1 => good(&["k1"]),
        2 => answer("200 OK", "", "{}"),
        _ => good(&["k3"]),
    })
    .await;
    let fast = Issuer { refresh: Duration::from_millis(100), ..issuer("a", server.source()) };
    let mirror = Mirror::new(root.path(), &fast);
    let kept = || mirror.read(LIMIT).expect("sound").expect("there");
    let before = clock::now();
    let _engine = Engine::start(fast, None, Some(root.path().to_owned()));
    for (hits, ids) in [(2, ["k1"]), (3, ["k1"]), (4, ["k3"])] {
        until(&server, hits).await;
        assert_eq!(kept().key_set(), jwks(&ids).as_bytes());
        assert!(kept().fetched_at() >= before);
    }
}

#[tokio::test]
async fn discovery_is_asked_once_and_again_after_a_failure() {
    let server = Server::start(|head, own, number| {
        Some(match path(head) {
            "/.well-known/openid-configuration" => {
                answer("200 OK", "", &format!(r#"{{"issuer": "{own}", "jwks_uri": "{own}/keys"}}"#))
            }
            "/keys" if number == 4 => answer("500 No", "", ""),
            "/keys" => good(&["k1"]),
            _ => answer("404 No", "", ""),
        })
    })
    .await;
    let discovered = Issuer {
        issuer: server.address.as_str().into(),
        refresh: Duration::from_millis(100),
        ..issuer("a", KeySource::Discovery)
    };
    let engine = Engine::start(discovered, None, None);
    until(&server, 6).await;
    let heads = server.heads();
    let paths: Vec<&str> = heads.iter().take(6).map(|head| path(head)).collect();
    let (document, keys) = ("/.well-known/openid-configuration", "/keys");
    assert_eq!(paths, [document, keys, keys, keys, document, keys]);
    assert_eq!(engine.published(), [["k1"]]);
}

/// A writer that serves another task by now drops what comes: the old one ends.
#[tokio::test]
async fn an_obsolete_task_ends() {
    let server = serving(|_| good(&["k1"])).await;
    let issuer = Arc::new(issuer("a", server.source()));
    let (arrivals, mut queue) = mpsc::channel(8);
    let means =
        Means { client: Arc::default(), mirror: None, arrivals, task: 1, metrics: Arc::new(Metrics::new()) };
    let task = tokio::spawn(Arc::new(KeyFetch::new(issuer, LIMIT, None)).run(means));
    drop(queue.recv().await.expect("an arrival"));
    tokio::time::timeout(Duration::from_secs(20), task).await.expect("in time").expect("no panic");
}

#[test]
fn keys_are_only_carried_to_the_same_source() {
    let url = |url: &str| KeySource::JwksUrl(url.into());
    let one = issuer("a", url("https://a.example/keys"));
    let other = |change: fn(&mut Issuer)| {
        let mut other = one.clone();
        change(&mut other);
        same_source(&one, &other)
    };
    assert!(!other(|other| other.name = "b".into()));
    assert!(!other(|other| other.issuer = "https://b.example/".into()));
    assert!(!other(|other| other.keys.value = KeySource::Discovery));
    assert!(!other(|other| other.keys.value = KeySource::JwksUrl("https://a.example/other".into())));
    assert!(!other(|other| other.algorithms = Some(Vec::new())));
    assert!(!other(|other| other.dangerous_http = true));
    assert!(other(|other| other.keys.at.line += 1));
    assert!(other(|other| other.refresh = Duration::from_secs(1)));
    assert!(other(|other| other.audience = Some(Vec::new())));
}
