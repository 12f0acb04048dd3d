//! Getting hold of a peer: a waiting connection, else a new one.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;
use smallvec::SmallVec;

use crate::config::peer::Scheme;
use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::proxy::address::PeerAddress;
use crate::proxy::balance::Chosen;
use crate::proxy::connection::Connection;
use crate::proxy::deadline::{Deadline, Elapsed};
use crate::proxy::handshake;
use crate::proxy::pool::{Pool, Secured};
use crate::proxy::stream::{Socket, Stream};
use crate::proxy::worker::{UpstreamView, Worker};
use crate::tls::HTTP2;
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

/// Who wants to reach a peer.
pub(in crate::proxy) struct Reaching<'r> {
    pub(in crate::proxy) worker: &'r Worker,
    pub(in crate::proxy) deadline: &'r mut Deadline,
    /// A WebSocket takes a connection of HTTP/1.1 for itself.
    pub(in crate::proxy) alone: bool,
}

impl<'r> Reaching<'r> {
    /// For the request that came on this connection.
    pub(in crate::proxy) fn of(connection: &'r mut Connection) -> Self {
        let Connection { worker, deadline, handshake, .. } = connection;
        Self { worker, deadline, alone: handshake.is_some() }
    }
}

/// A connection to some peer: a waiting one unless `fresh`, else a new one, within `connect_timeout` each.
pub(in crate::proxy) async fn reach(
    reaching: Reaching<'_>,
    grant: &Grant,
    view: &UpstreamView,
    key: &[u8],
    tried: &mut Tried,
    fresh: bool,
) -> Result<Link, Denial> {
    let Reaching { worker, deadline, alone } = reaching;
    let wait = grant.upstream().connect_timeout;
    let mut denial = Denial::new(Reason::UpstreamFailed, "no healthy peer");
    while tried.len() < REACHES {
        let chosen = match view.balancer.choose(key, tried) {
            Some(chosen) => chosen,
            None if tried.is_empty() && view.balancer.resolved(wait).await => continue,
            None => break,
        };
        let (scheme, secured) = met(grant, view, &chosen.address)?;
        if !fresh
            && let Some(stream) = worker.pool.take(&chosen.address, secured.as_ref(), worker.moment.get())
        {
            return Ok(Link { stream, chosen, secured, reused: true });
        }
        let connecting = async {
            match scheme {
                Scheme::Http => connect(&chosen.address).await.map(|socket| (Stream::Plain(socket), false)),
                // Boxed: every connection would else carry the room for these.
                Scheme::H2c if alone => Err(failed("no WebSocket over HTTP/2 to a peer")),
                Scheme::H2c => Box::pin(share(&worker.pool, &chosen.address)).await,
                Scheme::Https => {
                    Box::pin(secure(&worker.pool, &chosen.address, secured.as_ref(), alone)).await
                }
            }
        };
        match deadline.at_most(wait, connecting).await {
            Ok(Ok((stream, reused))) => return Ok(Link { stream, chosen, secured, reused }),
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

fn failed(why: impl Into<Cow<'static, str>>) -> Denial {
    Denial::new(Reason::UpstreamFailed, why)
}

/// What the peer at this address speaks, and how it has to be verified if that is TLS. What is not known is never met
/// without.
fn met(
    grant: &Grant,
    view: &UpstreamView,
    address: &PeerAddress,
) -> Result<(Scheme, Option<Secured>), Denial> {
    let unknown = |what| Denial::new(Reason::UpstreamFailed, what);
    let scheme = view.balancer.scheme_of(address).ok_or_else(|| unknown("a peer that is gone"))?;
    let secured = match scheme {
        Scheme::Http | Scheme::H2c => None,
        Scheme::Https => {
            let tls = grant.upstream_tls().ok_or_else(|| unknown("no authority to verify the peer by"))?;
            let name = view.balancer.peer_of(address, |peer| server_name(peer.host())).flatten();
            let name = name.ok_or_else(|| unknown("a name that no certificate can have"))?;
            Some(Secured { tls: Arc::clone(tls), name })
        }
    };
    Ok((scheme, secured))
}

/// A new connection's octets, or a stream of a shared one, and whether that served others before.
type Reached = Result<(Stream, bool), Denial>;

async fn connect(address: &PeerAddress) -> Result<Socket, Denial> {
    address.connect().await.map_err(|error| match is_exhausted(&error) {
        true => Denial::new(Reason::Overloaded, "no descriptor is left for a connection upstream"),
        false => failed("the peer refused the connection"),
    })
}

/// A stream of a connection to a peer that speaks HTTP/2 with prior knowledge.
async fn share(pool: &Pool, address: &PeerAddress) -> Reached {
    let shared = pool.shared.of(address);
    if let Some(stream) = shared.lend(None) {
        return Ok((Stream::Peer(Box::new(stream)), true));
    }
    // One opens a connection, and those that wait for it share it.
    let _turn = shared.turn().await;
    if let Some(stream) = shared.lend(None) {
        return Ok((Stream::Peer(Box::new(stream)), true));
    }
    let socket = connect(address).await?;
    let stream = shared.open(Stream::Plain(socket), None).await.map_err(failed)?;
    Ok((Stream::Peer(Box::new(stream)), false))
}

/// A connection over TLS, or a stream of one where the peer chose HTTP/2, which it is not offered for what is to be
/// `alone`.
async fn secure(pool: &Pool, address: &PeerAddress, secured: Option<&Secured>, alone: bool) -> Reached {
    let Some(Secured { tls, name }) = secured else {
        return Err(failed("no authority to verify the peer by"));
    };
    // A peer that is known to share has one opened at a time; whether another does is known only afterwards.
    let known = pool.shared.known(address).filter(|_| !alone);
    let _turn = match &known {
        Some(shared) => {
            if let Some(stream) = shared.lend(secured) {
                return Ok((Stream::Peer(Box::new(stream)), true));
            }
            let turn = shared.turn().await;
            if let Some(stream) = shared.lend(secured) {
                return Ok((Stream::Peer(Box::new(stream)), true));
            }
            Some(turn)
        }
        None => None,
    };
    let offer = if alone { tls.http1() } else { tls.either() };
    let shaken = handshake::connect(connect(address).await?, offer, name.clone()).await;
    let stream = shaken.map_err(|why| failed(format!("no TLS with the peer: {why}")))?;
    let chose_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
    let stream = Stream::Tls(Box::new(stream));
    if !chose_http2 {
        return Ok((stream, false));
    }
    let stream = pool.shared.of(address).open(stream, secured.cloned()).await.map_err(failed)?;
    Ok((Stream::Peer(Box::new(stream)), false))
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
