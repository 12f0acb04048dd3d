//! A gateway that mints, and what is asked of it.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::interval;

use crate::client::{Answer, Connection};
use crate::process::{Process, free_address};

pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// Starts it, and waits until it serves.
pub(crate) async fn start(directory: &Path, upstream: SocketAddr) -> Gateway {
    let secret = |name: &str, octets: &[u8]| {
        std::fs::write(directory.join(name), octets).unwrap();
        std::fs::set_permissions(directory.join(name), Permissions::from_mode(0o600)).unwrap();
    };
    secret("pepper", &[7; 32]);
    secret("kek", &[9; 32]);
    secret("hmac", b"0123456789abcdef0123456789abcdef");
    let keys = json!([{"id": "bench", "secret": "a-secret-of-the-bench", "scopes": ["orders:read", "orders:write"]}]);
    secret("keys.json", keys.to_string().as_bytes());
    // The hash of a password that nobody is asked for.
    let people = json!([{"id": "ada@example.com", "password": PASSWORD, "scopes": ["orders:read"]}]);
    secret("people.json", people.to_string().as_bytes());
    let address = free_address();
    let text = format!(
        "version: 1\nworkers: 2\nlisteners: [{address}]\nupstreams: {{up: http://{upstream}}}\nstore: {{sqlite: portcullis.db}}\n{}",
        include_str!("gateway.yaml")
    );
    let mut process = Process::spawn(directory, &text);
    process.listens(address);
    let end = Instant::now() + Duration::from_secs(30);
    let mut next = interval(Duration::from_millis(5));
    while Connection::open(address).await.send(&issue("hs256")).await.status != 200 {
        assert!(Instant::now() < end, "nothing is issued");
        next.tick().await;
    }
    Gateway { process, address }
}

/// Asks for a token of this kind.
pub(crate) fn issue(kind: &str) -> Vec<u8> {
    post(&format!("/issue/{kind}"), &json!({"key": "bench", "secret": "a-secret-of-the-bench"}))
}

pub(crate) fn post(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) fn get(token: &str) -> Vec<u8> {
    format!("GET /orders/1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// A member of an answer's body.
pub(crate) fn member(answer: &Answer, name: &str) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, 200, "{text}");
    let value: Value = serde_json::from_slice(&answer.body).unwrap();
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

/// argon2id, with the parameters that there are by default, of some password.
const PASSWORD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$P0hTHdXq1eYLNOrw0sDqyYYfzTCGnXDG7l0kXK1lSBY";
