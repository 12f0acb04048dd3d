//! Where an upstream is reached, and what is spoken there.

use std::path::Path;
use std::sync::Arc;

/// What a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scheme {
    /// HTTP/1.1, as it is on the wire.
    #[default]
    Http,
    /// HTTP/2 with prior knowledge, as it is on the wire.
    H2c,
    /// HTTP over TLS: HTTP/2 or HTTP/1.1, as the peer chooses.
    Https,
}

impl Scheme {
    /// As a URL begins with it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::H2c => "h2c",
            Self::Https => "https",
        }
    }

    /// Where it is spoken unless a URL says otherwise.
    pub fn port(self) -> u16 {
        match self {
            Self::Http | Self::H2c => 80,
            Self::Https => 443,
        }
    }
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Peer {
    /// What it speaks, a host and a port.
    Host {
        /// What it speaks.
        scheme: Scheme,
        /// Host name, IPv4 or IPv6 address without brackets.
        host: Box<str>,
        /// Port; the scheme's own unless given.
        port: u16,
    },
    /// A Unix socket, where plain HTTP/1.1 is spoken. Absolute, or resolved against the configuration's directory
    /// already.
    Unix(Arc<Path>),
}

impl Peer {
    /// What it speaks.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Host { scheme, .. } => *scheme,
            Self::Unix(_) => Scheme::Http,
        }
    }

    /// Its host; what listens on a Unix socket is on this one.
    pub fn host(&self) -> &str {
        match self {
            Self::Host { host, .. } => host,
            Self::Unix(_) => "localhost",
        }
    }
}
