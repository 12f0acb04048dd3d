//! Who is at the other end of a client's connection, and how they came.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use smallvec::SmallVec;

use crate::http1::head::{Known, RequestHead, octets, text};
use crate::proxy::entrance::Door;
use crate::tls::facts::TlsFacts;

/// Proxies that a request is believed to have come through: past that, the last one is taken for the client.
const PROXIES: usize = 16;

/// What is known of a client before its first request.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Downstream {
    /// Its address: the socket's, or what the PROXY header says.
    pub(in crate::proxy) address: IpAddr,
    /// What it speaks.
    pub(in crate::proxy) version: Version,
    /// What its handshake said; `None` on a plain connection.
    pub(in crate::proxy) tls: Option<Rc<TlsFacts>>,
    /// Where it came in.
    pub(in crate::proxy) door: Rc<Door>,
    /// It is a proxy whose `X-Forwarded-*` are believed.
    pub(in crate::proxy) trusted: bool,
}

/// The protocol of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Version {
    /// HTTP/1.0 or HTTP/1.1, as each request says.
    Http1,
    /// HTTP/2: each stream is a connection of one request.
    Http2,
}

impl Version {
    /// As `Via` names it.
    pub(in crate::proxy) fn received(self, http10: bool) -> &'static str {
        match (self, http10) {
            (Self::Http2, _) => "2.0",
            (Self::Http1, true) => "1.0",
            (Self::Http1, false) => "1.1",
        }
    }
}

/// The way that one request came.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Way<'r> {
    /// Who sent it first, as far as that can be believed.
    pub(in crate::proxy) client: IpAddr,
    /// The trusted proxies that it came through, ours the last.
    pub(in crate::proxy) through: SmallVec<[IpAddr; 2]>,
    /// `http` or `https`.
    pub(in crate::proxy) scheme: &'static str,
    /// The host and port that were asked for here.
    pub(in crate::proxy) authority: &'r str,
    /// The host and port that the client asked for, as far as that can be believed.
    pub(in crate::proxy) host: &'r str,
}

impl Downstream {
    /// A client at this address, come in by this door.
    pub(in crate::proxy) fn new(
        address: IpAddr,
        version: Version,
        tls: Option<Rc<TlsFacts>>,
        door: Rc<Door>,
    ) -> Self {
        let trusted = door.listener.trusted_proxies.iter().any(|network| network.contains(address));
        Self { address, version, tls, door, trusted }
    }

    /// `http` or `https`: how the client reached us.
    pub(in crate::proxy) fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// The way that this request came: what its connection shows, unless a trusted proxy says more.
    pub(in crate::proxy) fn way<'r>(&self, head: &RequestHead, buffer: &'r [u8]) -> Way<'r> {
        let authority = text(buffer, &head.authority);
        let mut way = Way {
            client: self.address,
            through: SmallVec::new(),
            scheme: self.scheme(),
            host: authority,
            authority,
        };
        if self.trusted {
            self.follow(&mut way, head, buffer);
        }
        way
    }

    /// Takes a trusted proxy's word.
    fn follow<'r>(&self, way: &mut Way<'r>, head: &RequestHead, buffer: &'r [u8]) {
        // Only these spellings: an alias with `_` or `.` is what a client sends past a proxy that knows it not.
        let values = |name: &'static str| {
            let lines = head.lines.iter().filter(|line| line.known == Known::Forwarding);
            let lines =
                lines.filter(move |line| octets(buffer, &line.name).eq_ignore_ascii_case(name.as_bytes()));
            lines.map(|line| octets(buffer, &line.value))
        };
        let only = |name: &'static str| {
            let mut values = values(name);
            values.next().filter(|_| values.next().is_none())
        };
        let scheme = only("x-forwarded-proto");
        for known in ["http", "https"] {
            if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(known.as_bytes())) {
                way.scheme = known;
            }
        }
        let host = only("x-forwarded-host").filter(|host| RequestHead::is_authority(host));
        way.host = host.and_then(|host| std::str::from_utf8(host).ok()).unwrap_or(way.host);

        // From the right: each entry was added by the one after it, and is worth as much as that one's word.
        let lines: SmallVec<[&[u8]; 4]> = values("x-forwarded-for").collect();
        let entries = lines.iter().rev().flat_map(|line| line.rsplit(|octet| *octet == b','));
        for entry in entries.take(PROXIES) {
            let Some(said) = address(entry) else { break };
            way.through.push(way.client);
            way.client = said;
            if !self.door.listener.trusted_proxies.iter().any(|network| network.contains(said)) {
                break;
            }
        }
        way.through.reverse();
    }
}

/// An entry of `X-Forwarded-For`: an address, to which some add the port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare.parse().ok().filter(IpAddr::is_ipv6),
        None => entry.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip())),
    };
    address.map(|address| address.to_canonical())
}
