//! From the answer that a token is revoked to its first refusal, on every connection that has used it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::gateway::{Gateway, entry};
use crate::{Size, row, spread};

/// Connections that share a token.
const CONNECTIONS: usize = 200;

pub(crate) async fn measure(size: &Size, upstream: SocketAddr) {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), upstream, 2).await;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(gateway.address).await);
    }
    let mut operator = gateway.operator().await;
    let rounds = size.rounds;
    for busy in [false, true] {
        let (mut asked, mut refused) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let jti = format!("revoked-{busy}-{round}");
            let request: Arc<[u8]> = gateway.request(&jti).into();
            connections = used(connections, &request).await;
            let answered = Arc::new(OnceLock::new());
            let started = Arc::new(Barrier::new(CONNECTIONS + 1));
            let ends = busy.then(|| ends(std::mem::take(&mut connections), &request, &started, &answered));
            if busy {
                started.wait().await;
            }
            let begun = Instant::now();
            operator.revoke(entry("jti", &jti).to_string().as_bytes()).await;
            asked.push(begun.elapsed());
            let at = *answered.get_or_init(Instant::now);
            let ends = ends.unwrap_or_else(|| {
                let connections = std::mem::take(&mut connections);
                first(connections, &request, at)
            });
            for (connection, time) in ends.join_all().await {
                connections.push(connection);
                refused.push(time);
            }
        }
        let when = if busy { "under load" } else { "idle" };
        row(&format!("revoke: asked to answered, {when}"), &spread(asked), "");
        let what = format!("revoke: answered to first refusal on each of {CONNECTIONS} connections, {when}");
        row(&what, &spread(refused), "");
        row(&format!("revoke: stale successes after the answer, {rounds} rounds, {when}"), "0", "0");
    }
}

/// Every connection has had its answer by this token, so that the workers remember it.
async fn used(connections: Vec<Connection>, request: &Arc<[u8]>) -> Vec<Connection> {
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let request = Arc::clone(request);
        tasks.spawn(async move {
            assert_eq!(connection.send(&request).await.status, 200);
            connection
        });
    }
    tasks.join_all().await
}

/// One request on each, sent after the answer.
fn first(connections: Vec<Connection>, request: &Arc<[u8]>, at: Instant) -> JoinSet<(Connection, Duration)> {
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let request = Arc::clone(request);
        tasks.spawn(async move {
            let status = connection.send(&request).await.status;
            assert_eq!(status, 401, "a stale success");
            (connection, at.elapsed())
        });
    }
    tasks
}

/// Request after request on each. What was sent before the answer may be allowed or refused; what is sent after it is
/// refused.
fn ends(
    connections: Vec<Connection>,
    request: &Arc<[u8]>,
    started: &Arc<Barrier>,
    answered: &Arc<OnceLock<Instant>>,
) -> JoinSet<(Connection, Duration)> {
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let (request, answered) = (Arc::clone(request), Arc::clone(answered));
        let started = Arc::clone(started);
        tasks.spawn(async move {
            assert_eq!(connection.send(&request).await.status, 200);
            started.wait().await;
            loop {
                let sent = Instant::now();
                let status = connection.send(&request).await.status;
                assert!(matches!(status, 200 | 401), "{status}");
                if let Some(at) = answered.get().filter(|at| **at < sent) {
                    assert_eq!(status, 401, "a stale success");
                    return (connection, at.elapsed());
                }
            }
        });
    }
    tasks
}
