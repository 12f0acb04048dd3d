//! Connections of one listener: those that are open, and those that were never served.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::metrics::{int_gauge_vec, must, registered};

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

/// What the handles are made from.
#[derive(Debug)]
pub(crate) struct ConnectionSeries {
    open: IntGaugeVec,
    unserved: IntCounterVec,
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

impl ConnectionSeries {
    /// The families, registered.
    pub(crate) fn new(registry: &Registry) -> Self {
        let open = int_gauge_vec("portcullis_connections", "Client connections that are open", &["listener"]);
        let unserved = Opts::new(
            "portcullis_connections_unserved_total",
            "Client connections that were closed before their first request, by why",
        );
        let unserved = must(IntCounterVec::new(unserved, &["listener", "reason"]));
        Self { open: registered(registry, open), unserved: registered(registry, unserved) }
    }

    /// The handle of the listener with this label.
    pub(crate) fn of(&self, listener: &str) -> ConnectionMetrics {
        ConnectionMetrics {
            open: self.open.with_label_values(&[listener]),
            unserved: Unserved::ALL.map(|why| self.unserved.with_label_values(&[listener, why.name()])),
        }
    }
}

impl ConnectionMetrics {
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
