//! A gateway with a store, who signs for it, and what is asked of it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use portcullis::keys::rotation::SigningKey;
use portcullis::token::Algorithm;
use serde_json::{Value, json};
use tokio::time::interval;

use crate::client::Connection;
use crate::process::{Process, free_address};

/// Who signs.
pub(crate) const ISS: &str = "https://idp.test/";

/// Subject, client and session of a token that does not say otherwise.
pub(crate) const SUBJECT: &str = "user-000000000001";

pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    key: SigningKey,
}

impl Gateway {
    /// Starts with the store in `directory`, and with what it had there before. It may not serve yet.
    pub(crate) fn spawn(directory: &Path, upstream: SocketAddr, workers: usize) -> Self {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let jwks = json!({"keys": [key.public_jwk().unwrap()]}).to_string();
        std::fs::write(directory.join("jwks.json"), jwks).unwrap();
        let (address, admin) = (free_address(), free_address());
        let text = format!(
            "version: 1\nworkers: {workers}\nlisteners: [{address}]\nadmin: {{address: {admin}}}\n\
             upstreams: {{up: http://{upstream}}}\nkey_mirror: none\nstore: {{sqlite: portcullis.db}}\n\
             issuers: {{idp: {{issuer: {ISS}, audience: orders-api, keys: {{jwks: {{file: jwks.json}}}}}}}}\n\
             routes:\n  /{{*rest}}: orders:read\nlimits: {{connections: 50000, connections_per_address: 50000, idle_time: 10m}}\n\
             log: {{level: warn, access: false}}\n"
        );
        let process = Process::spawn(directory, &text);
        Self { process, address, admin, key }
    }

    /// The same, and waits until it serves.
    pub(crate) async fn start(directory: &Path, upstream: SocketAddr, workers: usize) -> Self {
        let mut gateway = Self::spawn(directory, upstream, workers);
        gateway.process.listens(gateway.address);
        until_answered(gateway.admin, &ready()).await;
        gateway
    }

    pub(crate) fn token(&self, subject: &str, jti: &str) -> String {
        let now = now();
        let claims = json!({
            "iss": ISS, "aud": "orders-api", "sub": subject, "azp": "web-frontend", "sid": format!("session-{subject}"),
            "iat": now, "nbf": now - 60, "exp": now + 7200, "jti": jti,
            "scope": "openid profile orders:read orders:write",
        });
        self.key.mint(&claims, "JWT").unwrap()
    }

    /// A request with a token of this id.
    pub(crate) fn request(&self, jti: &str) -> Vec<u8> {
        request(&self.token(SUBJECT, jti))
    }

    /// Kibibytes that it holds (`VmRSS`) or ever held (`VmHWM`).
    pub(crate) fn memory(&self, which: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(which)).expect("a line");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// A connection to the admin listener.
    pub(crate) async fn operator(&self) -> Operator {
        Operator { connection: Connection::open(self.admin).await }
    }
}

/// One who revokes.
pub(crate) struct Operator {
    pub(crate) connection: Connection,
}

impl Operator {
    /// Revokes one entry, or a list of them; it is in force from then on.
    pub(crate) async fn revoke(&mut self, entries: &[u8]) {
        let answer = self.connection.send(&post("/v1/revocations", "application/json", entries)).await;
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    }
}

pub(crate) fn entry(kind: &str, value: &str) -> Value {
    json!({"kind": kind, "issuer": ISS, "value": value})
}

pub(crate) fn post(path: &str, form: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {form}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    request
}

pub(crate) fn request(token: &str) -> Vec<u8> {
    format!(
        "GET /orders/123 HTTP/1.1\r\nHost: api.test\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    .into_bytes()
}

pub(crate) fn ready() -> Vec<u8> {
    b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()
}

/// Asks until somebody listens and the answer is 200.
pub(crate) async fn until_answered(at: SocketAddr, request: &[u8]) {
    let end = Instant::now() + PATIENCE;
    let mut next = interval(Duration::from_millis(1));
    loop {
        next.tick().await;
        assert!(Instant::now() < end, "it does not become ready");
        if let Ok(stream) = tokio::net::TcpStream::connect(at).await {
            let mut connection = Connection::of(stream);
            if connection.send(request).await.status == 200 {
                return;
            }
        }
    }
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// For ten million entries read by a debug build.
const PATIENCE: Duration = Duration::from_secs(300);
