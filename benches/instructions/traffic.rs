//! An issuer, its tokens, an upstream, and a client that waits for each answer.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis::keys::rotation::SigningKey;
use portcullis::token::Algorithm;
use serde_json::json;

use crate::operation;

/// What an upstream answers with: as much as an API does.
const BODY: usize = 1024;

/// An API key, as long as those that the gateway makes.
pub(crate) const KEY: &str = "pk_Zt8YwN3hUe6JgBf1oOdV4pRk2sXq9LmCWq7NbM4xLk9JhGf2R";

/// What a gateway is configured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// One route that wants a token.
    One,
    /// Ten thousand of them.
    Many,
    /// One that wants an API key.
    Keyed,
}

/// What every gateway here stands between.
pub(crate) struct Scene {
    key: SigningKey,
    pub(crate) upstream: SocketAddr,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self { key: SigningKey::generate(Algorithm::RS256).unwrap(), upstream: upstream() }
    }

    /// A token as identity providers make them, of about 800 octets.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.token_for(subject, "openid profile orders:read orders:write")
    }

    /// One with other scopes.
    pub(crate) fn token_for(&self, subject: &str, scope: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": "https://idp.test/", "aud": "api", "sub": subject, "azp": "web-frontend", "typ": "Bearer",
            "iat": now, "nbf": now - 60, "exp": now + 3600, "jti": "9f0cdb2b-0b0b-4e2f-8f0f-0a1b2c3d4e5f",
            "scope": scope, "email_verified": true, "name": "Jane Doe",
            "preferred_username": "jane.doe@example.com", "sid": "3c1cb4f7-0a27-4e9e-8a4b-3a62b8f8f4a1",
        });
        self.key.mint(&claims, "JWT").unwrap()
    }

    /// Writes a configuration and its key set; the file's path.
    pub(crate) fn write(&self, directory: &Path, listen: SocketAddr, table: Table) -> std::path::PathBuf {
        let jwks = json!({"keys": [self.key.public_jwk().unwrap()]}).to_string();
        std::fs::write(directory.join("jwks.json"), jwks).unwrap();
        let mut text = format!(
            "version: 1\nworkers: 1\nlisteners: [{listen}]\nupstreams: {{up: http://{}}}\nkey_mirror: none\n\
             issuers: {{idp: {{issuer: https://idp.test/, audience: api, keys: {{jwks: {{file: jwks.json}}}}}}}}\n\
             log: {{level: warn, access: false}}\nroutes:\n  GET /public/{{*rest}}: public\n  \
             POST /graphql: {{require: {}}}\n  POST /uninspected: {{require: {}}}\n",
            self.upstream,
            operation::RULES,
            operation::UNINSPECTED
        );
        let (routes, require) = match table {
            Table::One => (1, "orders:read"),
            Table::Many => (10_000, "orders:read"),
            Table::Keyed => (1, "{require: {issuers: [keys], scopes: orders:read}}"),
        };
        for number in 0..routes {
            text.push_str(&format!("  GET /service{number}/orders/{{id}}: {require}\n"));
        }
        if table == Table::Keyed {
            let keys = json!([{"id": "reporting", "secret": KEY, "scopes": ["orders:read"]}]).to_string();
            let file = directory.join("keys.json");
            std::fs::write(&file, keys).unwrap();
            std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            text.push_str(
                "credentials: {keys: {api_keys: {entries: {file: keys.json}}, from: {header: x-api-key}}}\n",
            );
        }
        let file = directory.join("portcullis.yaml");
        std::fs::write(&file, text).unwrap();
        file
    }
}

/// A request as a load generator sends it.
pub(crate) fn request(target: &str, credential: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: api.test\r\nUser-Agent: bench\r\nAccept: */*\r\n{credential}\r\n")
        .into_bytes()
}

/// One client's connection.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, answer: Vec::new() }
    }

    /// Sends one request and reads its answer to the end; the status.
    pub(crate) fn ask(&mut self, request: &[u8]) -> u16 {
        self.send(request);
        self.receive()
    }

    /// Sends one request.
    pub(crate) fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
    }

    /// Reads an answer to the end; the status.
    pub(crate) fn receive(&mut self) -> u16 {
        self.answer.clear();
        let mut piece = [0; 4096];
        loop {
            let count = self.stream.read(&mut piece).unwrap();
            assert!(count > 0, "closed after {}", String::from_utf8_lossy(&self.answer));
            self.answer.extend_from_slice(&piece[..count]);
            if let Some(status) = complete(&self.answer) {
                return status;
            }
        }
    }
}

/// The status, once the answer is there to its last octet.
fn complete(answer: &[u8]) -> Option<u16> {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).unwrap().to_ascii_lowercase();
    let length = text.split("content-length: ").nth(1).expect("a length").lines().next().unwrap();
    let whole = head + length.trim().parse::<usize>().unwrap();
    (answer.len() >= whole).then(|| text.split(' ').nth(1).unwrap().parse().unwrap())
}

/// Answers every request with the same octets, in one write.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {BODY}\r\n\r\n")
            .into_bytes();
    answer.resize(answer.len() + BODY, b'x');
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let (mut buffer, mut filled) = (vec![0; 16 * 1024], 0);
                while let Ok(count @ 1..) = stream.read(&mut buffer[filled..]) {
                    filled += count;
                    if is_whole(&buffer[..filled]) {
                        filled = 0;
                        if stream.write_all(&answer).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

/// Whether a request is there to its last octet.
fn is_whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let text = std::str::from_utf8(&request[..head]).unwrap().to_ascii_lowercase();
    let length = text.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.lines().next());
    request.len() >= head + 4 + length.map_or(0, |length| length.trim().parse::<usize>().unwrap())
}
