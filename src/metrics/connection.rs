//! Connections of one listener: those that are open, and those that were never served.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// Why a connection was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unserved {
    /// As many are open as `limits.connections`, or the process's descriptors, allow.
    Connections,
    /// As many are open from its address as `limits.connections_per_address` allows.
    ConnectionsPerAddress,
    /// It does not begin with a PROXY header, or not in time.
    ProxyHeader,
    /// As many TLS handshakes are under way as `limits.handshakes` allows.
    Handshakes,
    /// Its TLS handshake failed, or took too long.
    Handshake,
}

/// One listener's handle.
#[derive(Debug, Clone)]
pub struct ConnectionMetrics {
    open: IntGauge,
    unserved: [IntCounter; Unserved::ALL.len()],
}

impl Unserved {
    /// Every reason.
    const ALL: [Self; 5] = [
        Self::Connections,
        Self::ConnectionsPerAddress,
        Self::ProxyHeader,
        Self::Handshakes,
        Self::Handshake,
    ];

    /// Its label; a bound's is the bound's name.
    fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsPerAddress => "connections_per_address",
            Self::ProxyHeader => "proxy_header",
            Self::Handshakes => "handshakes",
            Self::Handshake => "handshake",
        }
    }
}

impl ConnectionMetrics {
    /// The handle of the listener with this label.
    pub(crate) fn new(open: &IntGaugeVec, unserved: &IntCounterVec, listener: &str) -> Self {
        Self {
            open: open.with_label_values(&[listener]),
            unserved: Unserved::ALL.map(|why| unserved.with_label_values(&[listener, why.name()])),
        }
    }

    /// A connection was accepted.
    pub fn opened(&self) {
        self.open.inc();
    }

    /// It is gone.
    pub fn closed(&self) {
        self.open.dec();
    }

    /// One was accepted and not served.
    pub fn unserved(&self, why: Unserved) {
        for (known, counter) in Unserved::ALL.iter().zip(&self.unserved) {
            if *known == why {
                counter.inc();
            }
        }
    }
}
