//! Idle WebSockets: what one costs, and how soon it ends when its token is revoked.

use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::{CLOSE, Connection, Frame, TEXT};
use crate::gateway::{Gateway, SUBJECT, entry};
use crate::{Size, row, spread};

/// Opened at once, and before memory is looked at: what is made once and kept is made then.
const AT_ONCE: usize = 50;

/// Of so many streams one is revoked alone.
const ONE_IN: usize = 100;

/// Descriptors for all else: the gateway keeps a thousand from its clients.
const OTHERS: usize = 1_200;

/// Said by a route that does not say otherwise.
const CODE: [u8; 2] = 4403_u16.to_be_bytes();

pub(crate) async fn measure(size: &Size, upstream: SocketAddr) {
    let count = affordable(size.streams);
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), upstream, 2).await;
    let mut streams = Vec::new();
    open(&gateway, &mut streams, AT_ONCE).await;
    let before = gateway.memory("VmRSS");
    open(&gateway, &mut streams, count).await;
    let grown = gateway.memory("VmRSS") - before;
    let cost = grown / (count - AT_ONCE) as f64;
    row(&format!("streams: {count} idle WebSockets, resident"), &format!("{cost:.1} KiB each"), "25 KiB");
    idle(&gateway, size.idle).await;
    let mut operator = gateway.operator().await;

    let (some, rest): (Vec<_>, Vec<_>) =
        streams.into_iter().enumerate().partition(|(number, _)| number % ONE_IN == 1);
    let entries: Vec<Value> = some.iter().map(|(number, _)| entry("jti", &jti(*number))).collect();
    operator.revoke(Value::Array(entries).to_string().as_bytes()).await;
    let times = closed(some, Instant::now()).await;
    row(&format!("streams: answered to Close, {} of them by `jti`", times.len()), &spread(times), "1 s");
    pass(size.idle.min(Duration::from_secs(1))).await;
    let rest = echoed(rest).await;
    row("streams: the others go on", &format!("{} of {}", rest.len(), rest.len()), "all");

    operator.revoke(entry("subject", SUBJECT).to_string().as_bytes()).await;
    let count = rest.len();
    let times = closed(rest, Instant::now()).await;
    row(&format!("streams: answered to Close, all {count} by their subject"), &spread(times), "1 s");
}

/// As many as the system lets us have: each has two sockets in the gateway, and two here.
fn affordable(wanted: usize) -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the hard limit");
    let most = maximum.map_or(usize::MAX, |most| most as usize);
    (most.saturating_sub(OTHERS) / 2).min(wanted)
}

fn jti(number: usize) -> String {
    format!("stream-{number}")
}

/// Opens more, until there are `count`.
async fn open(gateway: &Gateway, streams: &mut Vec<Connection>, count: usize) {
    while streams.len() < count {
        let mut tasks = JoinSet::new();
        for number in streams.len()..count.min(streams.len() + AT_ONCE) {
            let head = format!(
                "GET /ws HTTP/1.1\r\nHost: api.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {}\r\n\r\n",
                gateway.token(SUBJECT, &jti(number))
            );
            let address = gateway.address;
            tasks.spawn(async move {
                let mut connection = Connection::open(address).await;
                connection.write(head.as_bytes()).await;
                let head = connection.head().await;
                assert!(head.starts_with("HTTP/1.1 101"), "{head}");
                (number, connection)
            });
        }
        let mut opened = tasks.join_all().await;
        opened.sort_by_key(|(number, _)| *number);
        streams.extend(opened.into_iter().map(|(_, connection)| connection));
    }
}

/// What the gateway does while nothing happens.
async fn idle(gateway: &Gateway, time: Duration) {
    let (before, begun) = (gateway.process.cpu(), Instant::now());
    pass(time).await;
    let used = (gateway.process.cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    row("streams: processor while all are idle", &format!("{:.2} % of a core", used * 100.0), "");
}

/// Lets so much time pass.
async fn pass(time: Duration) {
    let _over = timeout(time, pending::<()>()).await;
}

/// From `at` to each one's Close frame.
async fn closed(streams: Vec<(usize, Connection)>, at: Instant) -> Vec<Duration> {
    let mut tasks = JoinSet::new();
    for (number, mut connection) in streams {
        tasks.spawn(async move {
            let Frame { opcode, payload } = connection.frame().await;
            let time = at.elapsed();
            assert!(opcode == CLOSE && payload.starts_with(&CODE), "{number}: {opcode} {payload:?}");
            // It is kept until all have ended: what its end costs is not what is measured.
            (connection, time)
        });
    }
    tasks.join_all().await.into_iter().map(|(_, time)| time).collect()
}

/// Each still carries a message there and back.
async fn echoed(streams: Vec<(usize, Connection)>) -> Vec<(usize, Connection)> {
    let mut tasks = JoinSet::new();
    for (number, mut connection) in streams {
        tasks.spawn(async move {
            connection.write(&[128 | TEXT, 128 | 2, 0, 0, 0, 0, b'h', b'i']).await;
            let Frame { opcode, payload } = connection.frame().await;
            assert!(opcode == TEXT && payload == b"hi", "{number}: {opcode} {payload:?}");
            (number, connection)
        });
    }
    tasks.join_all().await
}
