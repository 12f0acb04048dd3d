//! Getting hold of a peer: a waiting connection, else a new one.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::net::TcpStream;

use crate::config::Scheme;
use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::proxy::balance::Chosen;
use crate::proxy::connection::Connection;
use crate::proxy::deadline::Elapsed;
use crate::proxy::handshake;
use crate::proxy::judge::from_now;
use crate::proxy::pool::Secured;
use crate::proxy::stream::{Socket, Stream};
use crate::proxy::worker::UpstreamView;
use crate::tls::client::server_name;

/// Peers that one request tries to reach.
const REACHES: usize = 3;

/// Peers that were tried, so that each is tried once.
pub(in crate::proxy) type Tried = SmallVec<[SocketAddr; REACHES]>;

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
        let secured = secured(grant, view, chosen.address)?;
        if !fresh && let Some(stream) = connection.worker.pool.take(chosen.address, secured.as_ref()) {
            return Ok(Link { stream, chosen, secured, reused: true });
        }
        let connecting = connect(chosen.address, secured.as_ref());
        match connection.deadline.within(from_now(wait), connecting).await {
            Ok(Ok(stream)) => return Ok(Link { stream, chosen, secured, reused: false }),
            Ok(Err(why)) => denial = Denial::new(Reason::UpstreamFailed, why),
            Err(Elapsed) => {
                denial = Denial::new(Reason::UpstreamTimeout, "no connection within connect_timeout")
            }
        }
        tried.push(chosen.address);
    }
    Err(denial)
}

/// How the peer at this address has to be verified; `None` if it speaks plain HTTP. What is not known is never met
/// without TLS.
fn secured(grant: &Grant, view: &UpstreamView, address: SocketAddr) -> Result<Option<Secured>, Denial> {
    let unknown = |what| Denial::new(Reason::UpstreamFailed, what);
    match view.balancer.scheme_of(address).ok_or_else(|| unknown("a peer that is gone"))? {
        Scheme::Http => Ok(None),
        Scheme::Https => {
            let tls = grant.upstream_tls().ok_or_else(|| unknown("no authority to verify the peer by"))?;
            let name = view.balancer.peer_of(address, |peer| server_name(&peer.host)).flatten();
            let name = name.ok_or_else(|| unknown("a name that no certificate can have"))?;
            Ok(Some(Secured { tls: Arc::clone(tls), name }))
        }
    }
}

/// Connects, and shakes hands where the peer is to be verified.
async fn connect(address: SocketAddr, secured: Option<&Secured>) -> Result<Stream, Cow<'static, str>> {
    let socket = TcpStream::connect(address).await.map_err(|_| "the peer refused the connection")?;
    let socket = Socket::Tcp(socket);
    socket.prepare();
    match secured {
        None => Ok(Stream::Plain(socket)),
        Some(Secured { tls, name }) => {
            // Boxed: every connection would else carry the room for this.
            let shaken = Box::pin(handshake::connect(socket, tls, name.clone())).await;
            let stream = shaken.map(|stream| Stream::Tls(Box::new(stream)));
            stream.map_err(|why| format!("no TLS with the peer: {why}").into())
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
