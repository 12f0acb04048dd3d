//! Who is at the other end of a client's connection, and how they came.

use std::net::IpAddr;
use std::rc::Rc;

use crate::tls::facts::TlsFacts;

/// What is known of a client before its first request.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Downstream {
    /// Its address: the socket's, or what the PROXY header says.
    pub(in crate::proxy) address: IpAddr,
    /// What it speaks.
    pub(in crate::proxy) version: Version,
    /// What its handshake said; `None` on a plain connection.
    pub(in crate::proxy) tls: Option<Rc<TlsFacts>>,
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

impl Downstream {
    /// `http` or `https`: how the client reached us.
    pub(in crate::proxy) fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }
}
