//! The operator's listener: `/metrics`, the probes, and what the gateway says and does when asked.
//!
//! It is a listener of its own, on loopback in every example, and it defends itself as if it were not
//! (threats O3): probes and `/metrics` are open, everything else asks for the token (compared in constant time, and
//! not as often as one would like to guess) unless the listener is on loopback and no token is set; `Host` has to be
//! one that this listener has, so that a web page cannot reach it by rebinding its own name; heads and connections
//! have bounds.

pub mod api;
pub mod managing;
pub mod readiness;
pub mod revocations;

mod attempts;
mod places;

use std::future::{Future, pending};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use secrecy::SecretString;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::admin::managing::Managing;
use crate::admin::places::{Place, Places};
use crate::admin::readiness::Readiness;
use crate::admin::revocations::Revocations;
use crate::audit::Audit;
use crate::metrics::Metrics;

/// What the listener needs.
pub struct Parts {
    /// As configured.
    pub address: SocketAddr,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` says.
    pub readiness: Arc<Readiness>,
    /// What reaches control.
    pub controls: Controls,
    /// Where it is written down who asked for what.
    pub audit: Option<Arc<Audit>>,
}

/// What is asked of control; wired by `app`.
#[derive(Clone)]
pub struct Controls {
    /// The bearer token of the moment, if one is set: its file may change.
    pub token: Arc<dyn Fn() -> Option<Arc<SecretString>> + Send + Sync>,
    /// The state of the moment.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// The configuration in force in long form, secrets redacted.
    pub config: Arc<dyn Fn() -> String + Send + Sync>,
    /// The claims that entries may name, by the configuration in force.
    pub claims: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Reloads, and answers with the new generation.
    pub reload: Arc<dyn Fn() -> Reloading + Send + Sync>,
    /// Revokes and lifts.
    pub revocations: Revocations,
    /// Manages API keys and people.
    pub managing: Managing,
}

/// A reload under way.
pub type Reloading = Pin<Box<dyn Future<Output = Result<u64, ReloadRefused>> + Send>>;

/// Control's state.
#[derive(Debug, Clone)]
pub struct Status {
    /// The issuers that have no keys.
    pub waiting: Vec<String>,
    /// The rest, for `/v1/status`.
    pub detail: serde_json::Map<String, serde_json::Value>,
}

/// A reload that changed nothing.
#[derive(Debug, Clone)]
pub struct ReloadRefused {
    /// The file is right, and asks for what only a restart can do.
    pub needs_restart: bool,
    /// Everything that stands against it.
    pub problems: Vec<String>,
}

/// A connection's two ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived {
    /// The address it arrived at.
    pub(crate) at: IpAddr,
    /// Where it came from.
    pub(crate) from: SocketAddr,
}

/// One place, taken by what may need its connection for longer than others live.
#[derive(Debug, Clone)]
pub(crate) struct Ongoing(pub(crate) Arc<Semaphore>);

/// Serves until the process ends: also while draining, when `/readyz` is asked most. When another process has the
/// listener, `handed` says so: nothing is accepted any more, and who is connected is told to connect again.
pub async fn serve(listener: TcpListener, parts: Parts, mut handed: watch::Receiver<bool>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the admin listener cannot be served");
            return;
        }
    };
    let router = api::router(parts);
    let places = Arc::new(Places::default());
    loop {
        let next = async {
            let (stream, from) = listener.accept().await?;
            Ok::<_, std::io::Error>((stream, Places::take(&places, from.ip()).await))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            Ok(_) = handed.wait_for(|handed| *handed) => return,
        };
        match accepted {
            Ok((stream, place)) => {
                tokio::spawn(connection(stream, place, router.clone(), handed.clone()));
            }
            Err(error) => {
                // Out of descriptors, most likely: others have to close before it can go on.
                tracing::warn!(%error, "an admin connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, place: Place, router: Router, mut handed: watch::Receiver<bool>) {
    let (Ok(local), Ok(from)) = (stream.local_addr(), stream.peer_addr()) else { return };
    let ongoing = place.ongoing();
    let router = router
        .layer(Extension(Arrived { at: local.ip().to_canonical(), from }))
        .layer(Extension(Ongoing(Arc::clone(&ongoing))));
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEAD_SIZE)
        .half_close(false);
    let mut served =
        std::pin::pin!(protocol.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    // What goes wrong here is the client's, and it has gone.
    let told_to_go = async {
        if handed.wait_for(|handed| *handed).await.is_ok() {
            sleep(FAREWELL).await;
        } else {
            pending().await
        }
    };
    let served_out = tokio::select! {
        ended = timeout(LIFE, served.as_mut()) => ended.is_ok(),
        () = told_to_go => false,
        () = place.is_wanted() => {
            served.as_mut().graceful_shutdown();
            let _gone = timeout(MAKES_WAY, served).await;
            return;
        }
    };
    if !served_out {
        served.as_mut().graceful_shutdown();
        // What is ongoing ends by itself, and at the latest now.
        let last_answer = async {
            let _ended = timeout(ONGOING, ongoing.acquire()).await;
            sleep(LAST_ANSWER).await;
        };
        tokio::select! {
            _gone = served => {}
            () = last_answer => {}
        }
    }
}

/// How long an answer may take of a connection that makes way for another.
const MAKES_WAY: Duration = Duration::from_millis(250);

/// For a request's head, from the moment it may begin: also the longest a connection may be idle.
const HEADER_TIME: Duration = Duration::from_secs(30);

/// Octets of a request's head, and of what is written at once.
const HEAD_SIZE: usize = 64 * 1024;

/// A connection ends in good order after this, so that clients who do not read cannot keep their places.
const LIFE: Duration = Duration::from_secs(300);

/// How long a client may ask on a connection once another process has the listener. The answer says that the
/// connection ends; one that asks nothing is closed after this.
const FAREWELL: Duration = Duration::from_secs(2);

/// For the answer that is under way then.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// For what is ongoing when its connection should end.
const ONGOING: Duration = Duration::from_secs(3_600);

/// Before accepting again after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
