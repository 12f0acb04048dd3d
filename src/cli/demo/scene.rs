//! What stands around the gateway: an upstream that echoes, an issuer that publishes keys, and a directory that
//! goes when the demonstration ends.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::cli::demo::wire::{self, Answer, Asked};
use crate::cli::time;
use crate::cli::token;
use crate::keys::rotation::SigningKey;
use crate::token::Algorithm;

/// The surroundings.
pub(crate) struct Scene {
    directory: PathBuf,
    key: SigningKey,
    issuer: String,
    reached: Arc<AtomicUsize>,
    /// The API key's secret.
    secret: String,
}

/// Who has an API key here.
pub(crate) const CLIENT: &str = "demo";

/// The `jti` that the revocation file names.
const REVOKED: &str = "revoked-in-the-demo";

/// Whom the tokens are for.
const AUDIENCE: &str = "https://orders.example.com";

/// Octets of what seals the keys that sign.
const SEALING: usize = 32;

/// How long they are good.
const LIFE: Duration = Duration::from_secs(3_600);

impl Scene {
    /// Starts the servers and writes the files.
    pub(crate) fn new() -> io::Result<Self> {
        let key = SigningKey::generate(Algorithm::ES256).map_err(io::Error::other)?;
        let reached = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reached);
        let upstream = wire::serve(move |asked| {
            counted.fetch_add(1, Ordering::SeqCst);
            echo(asked)
        })?;
        let jwks = json!({"keys": [key.public_jwk()]});
        let issuer = wire::serve(move |asked| published(asked, &jwks))?;
        let directory = env::temp_dir().join(format!("portcullis-demo-{}", token::random_id()?));
        DirBuilder::new().mode(0o700).create(&directory)?;
        let secret = format!("{}{}", token::random_id()?, token::random_id()?);
        let scene = Self { directory, key, issuer: format!("http://{issuer}/"), reached, secret };
        // What seals and what hashes: random, of this demonstration alone.
        let sealing: Vec<u8> = format!("{}{}", token::random_id()?, token::random_id()?).into_bytes();
        scene.keep("kek", sealing.get(..SEALING).unwrap_or_default())?;
        scene.keep("key", scene.secret.as_bytes())?;
        fs::write(scene.config(), configuration(&scene.issuer, &format!("http://{upstream}")))?;
        let entry =
            format!("- {{kind: jti, issuer: \"{}\", value: {REVOKED}, reason: shown}}\n", scene.issuer);
        fs::write(scene.directory.join("revoked.yaml"), entry)?;
        Ok(scene)
    }

    /// The configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.join("portcullis.yaml")
    }

    /// The API key's secret.
    pub(crate) fn client_secret(&self) -> &str {
        &self.secret
    }

    /// Writes a secret that only the owner can read.
    fn keep(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(self.directory.join(name))?.write_all(content)
    }

    /// Requests that the upstream has seen.
    pub(crate) fn reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }

    /// A good token with this scope.
    pub(crate) fn token(&self, scope: &str) -> io::Result<String> {
        self.mint(&json!({"scope": scope}))
    }

    /// A token that was good an hour ago.
    pub(crate) fn expired(&self) -> io::Result<String> {
        let now = time::now().0;
        self.mint(&json!({"scope": "orders:read", "iat": now - 7_200, "exp": now - 3_600}))
    }

    /// A good token that the revocation file names.
    pub(crate) fn revoked(&self) -> io::Result<String> {
        self.mint(&json!({"scope": "orders:read", "jti": REVOKED}))
    }

    /// A good token whose scope was widened after it was signed.
    pub(crate) fn tampered(&self) -> io::Result<String> {
        let token = self.token("orders:read")?;
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, claims, signature] = parts.as_slice() else {
            return Err(io::Error::other("a token has three parts"));
        };
        let base64 = base64_simd::URL_SAFE_NO_PAD;
        let claims = base64.decode_to_vec(claims).map_err(io::Error::other)?;
        let mut claims: Map<String, Value> = serde_json::from_slice(&claims)?;
        claims.insert("scope".to_owned(), "orders:write".into());
        let claims = base64.encode_to_string(serde_json::to_vec(&claims)?);
        Ok(format!("{header}.{claims}.{signature}"))
    }

    fn mint(&self, claims: &Value) -> io::Result<String> {
        let claims = claims.as_object().cloned().unwrap_or_default();
        let defaults = [
            ("iss", self.issuer.as_str().into()),
            ("aud", AUDIENCE.into()),
            ("sub", "alice".into()),
            ("jti", token::random_id()?.into()),
        ];
        let claims = token::complete(&claims, time::now(), LIFE, defaults);
        self.key.mint(&claims, "at+jwt").map_err(io::Error::other)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // A temporary directory: what cannot be removed now goes with the others.
        let _removed = fs::remove_dir_all(&self.directory);
    }
}

/// The upstream: says what reached it.
fn echo(asked: &Asked) -> Answer {
    let shown = |(name, value): &(String, String)| {
        let telling = name.starts_with("x-") || name == "authorization";
        telling.then(|| (name.clone(), value.as_str().into()))
    };
    let headers: Map<String, Value> = asked.headers.iter().filter_map(shown).collect();
    let body = json!({"upstream": "reached", "method": asked.method, "path": asked.path, "headers": headers});
    Answer { status: 200, body: format!("{body:#}\n") }
}

/// The issuer: OpenID Connect discovery, and the keys it points to.
fn published(asked: &Asked, jwks: &Value) -> Answer {
    let host = asked.headers.iter().find(|(name, _)| name == "host").map_or("", |(_, host)| host);
    let body = match asked.path.as_str() {
        "/.well-known/openid-configuration" => {
            json!({"issuer": format!("http://{host}/"), "jwks_uri": format!("http://{host}/jwks.json")})
        }
        "/jwks.json" => jwks.clone(),
        _ => return Answer { status: 404, body: "{}".to_owned() },
    };
    Answer { status: 200, body: body.to_string() }
}

fn configuration(issuer: &str, upstream: &str) -> String {
    format!(
        "version: 1
listeners: [\"127.0.0.1:0\"]
admin: {{address: \"127.0.0.1:0\"}}
upstreams: {{orders: \"{upstream}\"}}
issuers: {{demo: {{issuer: \"{issuer}\", audience: {AUDIENCE}}}}}
routes:
  GET /orders/{{id}}:
    require: orders:read
    forward: {{headers: {{X-Subject: sub}}}}
  POST /orders: orders:write
  /health: public
revocation: {{file: revoked.yaml}}
store: {{sqlite: portcullis.db}}
signing_keys: {{sealed_with: {{file: kek}}}}
credentials:
  clients: {{api_keys: {{entries: [{{id: {CLIENT}, secret: {{file: key}}, scopes: [orders:read, orders:write]}}]}}}}
oauth: {{issuer: \"http://localhost\", clients: clients}}
key_mirror: none
log: {{format: text, level: warn, access: false}}
"
    )
}
