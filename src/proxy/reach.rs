//! Getting hold of a peer: a waiting connection, else a new one.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;
use smallvec::SmallVec;

use crate::config::Scheme;
use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::proxy::address::PeerAddress;
use crate::proxy::balance::Chosen;
use crate::proxy::connection::Connection;
use crate::proxy::deadline::Elapsed;
use crate::proxy::handshake;
use crate::proxy::judge::from_now;
use crate::proxy::pool::Secured;
use crate::proxy::stream::Stream;
use crate::proxy::worker::UpstreamView;
use crate::tls::client::server_name;

/// Peers that one request tries to reach.
const REACHES: usize = 3;

/// Peers that were tried, so that each is tried once.
pub(in crate::proxy) type Tried = SmallVec<[PeerAddress; REACHES]>;

/// A connection to a peer.
pub(in crate::proxy) struct Link {
    pub(in crate::proxy) stream: Stream,
    pub(in crate::proxy) chosen: Chosen,
    /// How its peer was verified; `None` on a plain connection.
    pub(in crate::proxy) secured: Option<Secured>,
    /// It has served a request before, and may be about to be closed.
    pub(in crate::proxy) reused: bool,
}

/// A connection to some peer: a waiting one unless `fresh`, else a new one, within `connect_timeout` each.
pub(in crate::proxy) async fn reach(
    connection: &mut Connection,
    grant: &Grant,
    view: &UpstreamView,
    key: &[u8],
    tried: &mut Tried,
    fresh: bool,
) -> Result<Link, Denial> {
    let wait = grant.upstream().connect_timeout;
    let mut denial = Denial::new(Reason::UpstreamFailed, "no healthy peer");
    while tried.len() < REACHES {
        let chosen = match view.balancer.choose(key, tried) {
            Some(chosen) => chosen,
            None if tried.is_empty() && view.balancer.resolved(wait).await => continue,
            None => break,
        };
        let secured = secured(grant, view, &chosen.address)?;
        if !fresh && let Some(stream) = connection.worker.pool.take(&chosen.address, secured.as_ref()) {
            return Ok(Link { stream, chosen, secured, reused: true });
        }
        let connecting = connect(&chosen.address, secured.as_ref());
        match connection.deadline.within(from_now(wait), connecting).await {
            Ok(Ok(stream)) => return Ok(Link { stream, chosen, secured, reused: false }),
            // No peer's fault, and worth another try later.
            Ok(Err(failed)) if failed.reason == Reason::Overloaded => return Err(failed),
            Ok(Err(failed)) => denial = failed,
            Err(Elapsed) => {
                denial = Denial::new(Reason::UpstreamTimeout, "no connection within connect_timeout")
            }
        }
        tried.push(chosen.address.clone());
    }
    Err(denial)
}

/// Whether the process, or the system, is out of descriptors.
fn is_exhausted(error: &io::Error) -> bool {
    let [process, system] = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| code == process || code == system)
}

/// How the peer at this address has to be verified; `None` if it speaks plain HTTP. What is not known is never met
/// without TLS.
fn secured(grant: &Grant, view: &UpstreamView, address: &PeerAddress) -> Result<Option<Secured>, Denial> {
    let unknown = |what| Denial::new(Reason::UpstreamFailed, what);
    match view.balancer.scheme_of(address).ok_or_else(|| unknown("a peer that is gone"))? {
        Scheme::Http => Ok(None),
        Scheme::Https => {
            let tls = grant.upstream_tls().ok_or_else(|| unknown("no authority to verify the peer by"))?;
            let name = view.balancer.peer_of(address, |peer| server_name(peer.host())).flatten();
            let name = name.ok_or_else(|| unknown("a name that no certificate can have"))?;
            Ok(Some(Secured { tls: Arc::clone(tls), name }))
        }
    }
}

/// Connects, and shakes hands where the peer is to be verified.
async fn connect(address: &PeerAddress, secured: Option<&Secured>) -> Result<Stream, Denial> {
    let socket = address.connect().await.map_err(|error| match is_exhausted(&error) {
        true => Denial::new(Reason::Overloaded, "no descriptor is left for a connection upstream"),
        false => Denial::new(Reason::UpstreamFailed, "the peer refused the connection"),
    })?;
    match secured {
        None => Ok(Stream::Plain(socket)),
        Some(Secured { tls, name }) => {
            // Boxed: every connection would else carry the room for this.
            let shaken = Box::pin(handshake::connect(socket, tls, name.clone())).await;
            let stream = shaken.map(|stream| Stream::Tls(Box::new(stream)));
            stream.map_err(|why| Denial::new(Reason::UpstreamFailed, format!("no TLS with the peer: {why}")))
        }
    }
}

/// Writes the peer's name over the `Host` line, which is the first.
pub(in crate::proxy) fn name_host(out: &mut Vec<u8>, peer: &str) {
    let find = |from: usize, what: &[u8]| {
        out[from..]
            .windows(what.len())
            .position(|window| window.eq_ignore_ascii_case(what))
            .map(|at| from + at)
    };
    let Some(start) = find(0, b"\r\nhost: ").map(|at| at + 8) else { return };
    let Some(end) = find(start, b"\r\n") else { return };
    out.splice(start..end, peer.bytes());
}
