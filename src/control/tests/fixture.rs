//! An issuer, a configuration and an identity provider to test with.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::config::address::Address;
use crate::config::authority::Authority;
use crate::config::limits::Limits;
use crate::config::log::{Log, LogFormat};
use crate::config::problems::Position;
use crate::config::{
    ClaimMap, Config, Issuer, KeySource, Listener, Located, ProxyProtocol, TokenPlace, TokenType,
};
use crate::token::claims::Selector;
use crate::token::scope::ScopeMatch;

/// An issuer `https://<name>.example/`.
pub(crate) fn issuer(name: &str, keys: KeySource) -> Issuer {
    let selector = || Selector::parse(&["x"]).expect("a name");
    Issuer {
        name: name.into(),
        issuer: format!("https://{name}.example/").into(),
        audience: None,
        keys: Located { value: keys, at: Position { line: 7, column: 3 } },
        refresh: Duration::from_secs(300),
        cooldown: Duration::from_secs(30),
        max_stale: Duration::from_secs(86_400),
        miss_wait: Duration::from_secs(5),
        algorithms: None,
        leeway: Duration::from_secs(30),
        max_token_lifetime: Duration::from_secs(3_600),
        token_type: TokenType::Any,
        scope_match: ScopeMatch::Exact,
        claims: ClaimMap {
            scope: selector(),
            subject: selector(),
            client: selector(),
            id: selector(),
            session: selector(),
            tenant: selector(),
        },
        revocable: Arc::default(),
        from: vec![TokenPlace::Bearer],
        dangerous_http: false,
    }
}

/// A configuration of these issuers and nothing else.
pub(crate) fn config(issuers: Vec<Issuer>) -> Config {
    Config {
        workers: Some(1),
        listeners: vec![Listener {
            address: Address::Ip(([127, 0, 0, 1], 0).into()),
            mode: 0o660,
            tls: None,
            proxy_protocol: ProxyProtocol::None,
            trusted_proxies: Vec::new(),
        }],
        admin: None,
        upstreams: Vec::new(),
        issuers: issuers.into_iter().map(Arc::new).collect(),
        routes: Vec::new(),
        authority: Authority::default(),
        revocation: None,
        store: None,
        audit: None,
        key_mirror: None,
        limits: Limits {
            token: 8_192,
            header_line: 1,
            header_total: 1,
            headers: 1,
            h2_header_list: 1,
            h2_streams: 1,
            connections: 1,
            connections_per_address: 1,
            handshakes: 1,
            requests_per_connection: 1,
            header_time: Duration::ZERO,
            idle_time: Duration::ZERO,
            body_rate: 1,
            write_stall: Duration::ZERO,
            drain: 1,
            verified_cache: 1,
            signatures_in_flight: 1,
            inspected_body: 1,
            inspected_total: 1,
            key_set: 10_000,
        },
        shutdown_grace: Duration::ZERO,
        upgrade_socket: None,
        log: Log { format: LogFormat::Json, level: "info".into(), access: true },
    }
}

/// A configuration that mirrors keys in `directory`.
pub(crate) fn mirroring(issuers: Vec<Issuer>, directory: PathBuf) -> Config {
    Config { key_mirror: Some(directory), ..config(issuers) }
}

/// A public key set with these ids (the key is that of RFC 8037 appendix A.2).
pub(crate) fn jwks(ids: &[&str]) -> String {
    let key = |id: &&str| {
        format!(
            r#"{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"{id}"}}"#
        )
    };
    format!(r#"{{"keys":[{}]}}"#, ids.iter().map(key).collect::<Vec<_>>().join(","))
}

/// A server on loopback. It answers every request by what its function makes of the whole head; where that is
/// nothing it never answers.
pub(crate) struct Server {
    pub(crate) address: String,
    heads: Arc<Mutex<Vec<String>>>,
    hits: Arc<AtomicUsize>,
}

impl Server {
    /// The function is given the head, the server's address, and the number of the request from 1.
    pub(crate) async fn start(
        answer: impl Fn(&str, &str, usize) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Self { address, heads: Arc::default(), hits: Arc::default() };
        let answer = Arc::new(answer);
        let (heads, hits, address) =
            (Arc::clone(&server.heads), Arc::clone(&server.hits), server.address.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (heads, hits) = (Arc::clone(&heads), Arc::clone(&hits));
                let (answer, address) = (Arc::clone(&answer), address.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(octet) = stream.read_u8().await else { return };
                        head.push(octet);
                    }
                    let head = String::from_utf8(head).expect("text");
                    heads.lock().expect("sound").push(head.clone());
                    let number = hits.fetch_add(1, Ordering::SeqCst) + 1;
                    match answer(&head, &address, number) {
                        Some(octets) => drop(stream.write_all(&octets).await),
                        None => std::future::pending().await,
                    }
                });
            }
        });
        server
    }

    pub(crate) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("sound").clone()
    }

    pub(crate) fn source(&self) -> KeySource {
        KeySource::JwksUrl(format!("{}/keys", self.address))
    }
}

/// A response that ends its connection.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// The path a head asks for.
pub(crate) fn path(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}
