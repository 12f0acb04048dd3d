//! What a token costs, and how many there are in a second.

use std::time::Instant;

use serde_json::json;
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::gateway::{Gateway, get, issue, member, post};
use crate::{Size, row};

/// Who asks at once.
const CALLERS: usize = 32;

pub(crate) async fn measure(size: &Size, gateway: &Gateway) {
    for kind in ["hs256", "es256", "opaque", "paired"] {
        let what = match kind {
            "paired" => "an ES256 token and a refresh token".to_owned(),
            kind => format!("{kind} token"),
        };
        same(size, gateway, &format!("issue: API key to {what}"), &issue(kind)).await;
    }
    refresh(size, gateway).await;
    for kind in ["es256", "opaque"] {
        let issued = Connection::open(gateway.address).await.send(&issue(kind)).await;
        let token = member(&issued, "access_token");
        let asked = json!({"token": token, "key": "bench", "secret": "a-secret-of-the-bench"});
        same(size, gateway, &format!("introspect: {kind} token"), &post("/introspect", &asked)).await;
        same(size, gateway, &format!("proxy: {kind} token, remembered"), &get(&token)).await;
    }
}

/// The same request, again and again.
async fn same(size: &Size, gateway: &Gateway, what: &str, request: &[u8]) {
    let (before, begun) = (gateway.process.cpu(), Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS {
        let mut connection = Connection::open(gateway.address).await;
        let (request, end) = (request.to_vec(), begun + size.time);
        tasks.spawn(async move {
            let mut count = 0_u64;
            while Instant::now() < end {
                let answer = connection.send(&request).await;
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                count += 1;
            }
            count
        });
    }
    said(gateway, what, tasks.join_all().await, (before, begun));
}

/// Each caller refreshes what the refresh before gave it.
async fn refresh(size: &Size, gateway: &Gateway) {
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let mut connection = Connection::open(gateway.address).await;
        let token = member(&connection.send(&issue("paired")).await, "refresh_token");
        callers.push((connection, token));
    }
    let (before, begun) = (gateway.process.cpu(), Instant::now());
    let end = begun + size.time;
    let mut tasks = JoinSet::new();
    for (mut connection, mut token) in callers {
        tasks.spawn(async move {
            let mut count = 0_u64;
            while Instant::now() < end {
                let answer = connection.send(&post("/refresh", &json!({"refresh_token": token}))).await;
                token = member(&answer, "refresh_token");
                count += 1;
            }
            count
        });
    }
    said(gateway, "refresh: rotation, and an ES256 token", tasks.join_all().await, (before, begun));
}

fn said(gateway: &Gateway, what: &str, counts: Vec<u64>, (before, begun): (std::time::Duration, Instant)) {
    let (spent, took) = (gateway.process.cpu().saturating_sub(before), begun.elapsed());
    let count = counts.iter().sum::<u64>().max(1) as f64;
    let figures = format!(
        "{:.0}/s; {:.1} µs of processor each",
        count / took.as_secs_f64(),
        spent.as_secs_f64() * 1e6 / count
    );
    row(what, &figures, "");
}
