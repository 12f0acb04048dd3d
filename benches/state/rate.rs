//! Revocations a second, by every way that the admin listener has. Each is on the disk and in force when it is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use portcullis::store::BATCH;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::gateway::{Gateway, Operator, entry, post};
use crate::{Size, row, spread};

/// Half as many as the admin listener has places.
const OPERATORS: usize = 32;

pub(crate) async fn measure(size: &Size, upstream: SocketAddr) {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(directory.path(), upstream, 2).await;
    for (operators, batch) in [(1, 1), (OPERATORS, 1), (1, BATCH), (4, BATCH)] {
        several(&gateway, operators, batch, size.time).await;
    }
    import(&gateway, size.lines).await;
}

/// Entries by this many connections at once, in lists of this many, for this long.
async fn several(gateway: &Gateway, operators: usize, batch: usize, time: Duration) {
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..operators {
        let (operator, count) = (gateway.operator().await, Arc::clone(&count));
        let name = format!("{operators}-{batch}-{number}");
        tasks.spawn(one_after_another(operator, name, batch, begun + time, count));
    }
    let times = tasks.join_all().await.concat();
    let rate = (count.load(Ordering::Relaxed) * batch as u64) as f64 / begun.elapsed().as_secs_f64();
    let what = match batch {
        1 => format!("rate: single ones, {operators} at once"),
        batch => format!("rate: lists of {batch}, {operators} at once"),
    };
    row(&what, &format!("{rate:.0}/s; {}", spread(times)), "");
}

async fn one_after_another(
    mut operator: Operator,
    name: String,
    batch: usize,
    end: Instant,
    count: Arc<AtomicU64>,
) -> Vec<Duration> {
    let mut times = Vec::new();
    while Instant::now() < end {
        let asked = times.len();
        let mut entries = (0..batch).map(|number| entry("jti", &format!("{name}-{asked}-{number}")));
        let body = if batch == 1 { json!(entries.next()) } else { Value::Array(entries.collect()) };
        let body = body.to_string();
        let begun = Instant::now();
        operator.revoke(body.as_bytes()).await;
        times.push(begun.elapsed());
        count.fetch_add(1, Ordering::Relaxed);
    }
    times
}

/// All lines in one request.
async fn import(gateway: &Gateway, lines: usize) {
    let body: String =
        (0..lines).map(|number| format!("{}\n", entry("jti", &format!("imported-{number}")))).collect();
    let request = post("/v1/revocations/import", "application/x-ndjson", body.as_bytes());
    drop(body);
    let (mut from, mut to) = gateway.operator().await.connection.split();
    let begun = Instant::now();
    let sending = tokio::spawn(async move {
        to.write_all(&request).await.unwrap();
        // The other half of the connection is not to be closed before all was read.
        to
    });
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n0\r\n\r\n") {
        assert!(from.read_buf(&mut answer).await.unwrap() > 0, "closed");
        assert!(b"HTTP/1.1 200".iter().zip(&answer).all(|(ours, theirs)| ours == theirs), "refused");
    }
    let time = begun.elapsed();
    sending.await.unwrap();
    let text = String::from_utf8_lossy(&answer);
    let end = text.lines().rfind(|line| line.contains("\"done\"")).unwrap_or(&text);
    assert!(end.contains("\"done\":true") && end.contains(&format!("\"added\":{lines},")), "{end}");
    let rate = lines as f64 / time.as_secs_f64();
    row(&format!("rate: import of {lines} lines"), &format!("{rate:.0}/s; {:.1} s", time.as_secs_f64()), "");
}
