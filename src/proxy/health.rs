//! Whether a peer is healthy: `GET` what is configured, over whatever the peer speaks; 2xx is healthy.
//!
//! *Why not the balancer's own check.* It is built without TLS, and would need another library's to have it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashMap;
use http::Request;
use pingora_core::{Error, ErrorType};
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::HealthCheck;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::config::Upstream;
use crate::config::peer::{Peer, Scheme};
use crate::http1::head::{HeadLimits, ResponseHead};
use crate::proxy::address::PeerAddress;
use crate::proxy::balance::address_of;
use crate::proxy::downstream::Version;
use crate::proxy::handshake;
use crate::tls::HTTP2;
use crate::tls::client::{ClientTls, server_name};

/// Bounds on the head of an answer; its body is not read.
const HEAD: HeadLimits = HeadLimits { line: 8 * 1024, total: 16 * 1024, lines: 100 };

/// The same in HTTP/2.
const HEAD_LIST: u32 = 16 * 1024;

/// A connection of either kind, on a runtime that moves tasks between threads.
trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Octets for T {}

/// How an upstream's peers are checked.
pub(in crate::proxy) struct PeerCheck {
    path: Box<str>,
    connect_timeout: Duration,
    /// For the answer: a peer that takes longer than from one check to the next is not well.
    answer_timeout: Duration,
    names: Arc<DashMap<PeerAddress, Peer>>,
    tls: Option<Arc<ClientTls>>,
}

impl PeerCheck {
    /// `None` where the upstream's peers are not checked. `names` says what an address is called.
    pub(in crate::proxy) fn new(
        upstream: &Upstream,
        tls: Option<&Arc<ClientTls>>,
        names: &Arc<DashMap<PeerAddress, Peer>>,
    ) -> Option<Self> {
        let health = upstream.health.as_ref()?;
        Some(Self {
            path: health.path.clone(),
            connect_timeout: upstream.connect_timeout,
            answer_timeout: health.interval.max(upstream.connect_timeout),
            names: Arc::clone(names),
            tls: tls.cloned(),
        })
    }

    async fn status(&self, address: &PeerAddress) -> Result<u16, &'static str> {
        // Cloned: nothing of the map is held across a wait.
        let peer = self.names.get(address).map(|peer| peer.clone()).ok_or("a peer that is gone")?;
        let connecting = timeout(self.connect_timeout, self.connect(address, &peer)).await;
        let (stream, version) = connecting.map_err(|_| "no connection within connect_timeout")??;
        let asking = async {
            match version {
                Version::Http1 => ask(stream, &peer, &self.path).await,
                Version::Http2 => ask_http2(stream, &peer, &self.path).await,
            }
        };
        timeout(self.answer_timeout, asking).await.map_err(|_| "no answer in time")?
    }

    /// A connection, and what is spoken on it.
    async fn connect(
        &self,
        address: &PeerAddress,
        peer: &Peer,
    ) -> Result<(Box<dyn Octets>, Version), &'static str> {
        let socket = address.connect().await.map_err(|_| "the connection was refused")?;
        match peer.scheme() {
            Scheme::Http => Ok((Box::new(socket), Version::Http1)),
            Scheme::H2c => Ok((Box::new(socket), Version::Http2)),
            Scheme::Https => {
                let tls = self.tls.as_ref().ok_or("no authority to verify it by")?;
                let name = server_name(peer.host()).ok_or("a name that no certificate can have")?;
                let stream = handshake::connect(socket, tls.either(), name).await?;
                let version = match stream.get_ref().1.alpn_protocol() {
                    Some(HTTP2) => Version::Http2,
                    Some(_) | None => Version::Http1,
                };
                Ok((Box::new(stream), version))
            }
        }
    }
}

async fn ask(mut stream: Box<dyn Octets>, peer: &Peer, path: &str) -> Result<u16, &'static str> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {peer}\r\nUser-Agent: portcullis\r\nConnection: close\r\n\r\n");
    let broke = |_| "the connection broke";
    stream.write_all(request.as_bytes()).await.map_err(broke)?;
    stream.flush().await.map_err(broke)?;
    let (mut head, mut answer) = (ResponseHead::default(), Vec::new());
    while answer.len() <= HEAD.total {
        match head.read(&answer, &HEAD, false) {
            Err(_) => return Err("an answer that is none"),
            Ok(true) if head.status >= 200 => return Ok(head.status),
            Ok(true) => drop(answer.drain(..head.length)),
            Ok(false) => {
                if stream.read_buf(&mut answer).await.map_err(broke)? == 0 {
                    return Err("the peer closed without an answer");
                }
            }
        }
    }
    Err("an answer's head past its bound")
}

/// The same in HTTP/2.
async fn ask_http2(stream: Box<dyn Octets>, peer: &Peer, path: &str) -> Result<u16, &'static str> {
    let scheme = if peer.scheme() == Scheme::Https { "https" } else { "http" };
    let request = Request::get(format!("{scheme}://{peer}{path}")).header("user-agent", "portcullis");
    let request = request.version(http::Version::HTTP_2).body(()).map_err(|_| "a path that is none")?;
    let mut builder = h2::client::Builder::new();
    builder.enable_push(false).max_header_list_size(HEAD_LIST);
    let handshake = builder.handshake::<_, Bytes>(stream).await;
    let (sender, connection) = handshake.map_err(|_| "the peer does not speak HTTP/2")?;
    let asking = async {
        let broke = |_| "the connection broke";
        let (answer, _) = sender.ready().await.map_err(broke)?.send_request(request, true).map_err(broke)?;
        Ok(answer.await.map_err(broke)?.status().as_u16())
    };
    tokio::select! {
        asked = asking => asked,
        _ = connection => Err("the connection broke"),
    }
}

#[async_trait]
impl HealthCheck for PeerCheck {
    async fn check(&self, target: &Backend) -> pingora_core::Result<()> {
        let failed =
            |code: u16, why: &'static str| Error::e_explain(ErrorType::CustomCode("health check", code), why);
        let Some(address) = address_of(target) else { return failed(0, "no address") };
        match self.status(&address).await {
            Ok(200..=299) => Ok(()),
            Ok(status) => failed(status, "not a 2xx answer"),
            Err(why) => failed(0, why),
        }
    }

    fn health_threshold(&self, _success: bool) -> usize {
        1
    }
}
