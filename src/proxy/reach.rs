//! Getting hold of a peer: a waiting connection, else a new one.

use std::io;

use rustix::io::Errno;
use smallvec::SmallVec;

use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::proxy::address::PeerAddress;
use crate::proxy::balance::Chosen;
use crate::proxy::connection::Connection;
use crate::proxy::deadline::Elapsed;
use crate::proxy::judge::from_now;
use crate::proxy::stream::Stream;
use crate::proxy::worker::UpstreamView;

/// Peers that one request tries to reach.
const REACHES: usize = 3;

/// Peers that were tried, so that each is tried once.
pub(in crate::proxy) type Tried = SmallVec<[PeerAddress; REACHES]>;

/// A connection to a peer.
pub(in crate::proxy) struct Link {
    pub(in crate::proxy) stream: Stream,
    pub(in crate::proxy) chosen: Chosen,
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
        if !fresh && let Some(stream) = connection.worker.pool.take(&chosen.address) {
            return Ok(Link { stream, chosen, reused: true });
        }
        match connection.deadline.within(from_now(wait), chosen.address.connect()).await {
            Ok(Ok(socket)) => return Ok(Link { stream: Stream::Plain(socket), chosen, reused: false }),
            // No peer's fault, and worth another try later.
            Ok(Err(error)) if is_exhausted(&error) => {
                return Err(Denial::new(
                    Reason::Overloaded,
                    "no descriptor is left for a connection upstream",
                ));
            }
            Ok(Err(_)) => denial = Denial::new(Reason::UpstreamFailed, "the peer refused the connection"),
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
