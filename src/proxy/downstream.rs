//! Who is at the other end of a client's connection, and how they came.

use std::net::IpAddr;
use std::rc::Rc;

use crate::tls::facts::TlsFacts;

/// What is known of a client before its first request.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Downstream {
    /// Its address: the socket's, or what the PROXY header says.
    pub(in crate::proxy) address: IpAddr,
    /// What its handshake said; `None` on a plain connection.
    pub(in crate::proxy) tls: Option<Rc<TlsFacts>>,
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
