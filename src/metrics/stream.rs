//! How long streams end: WebSocket tunnels and event streams, and whatever else ended with its token.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::gate::denial::Reason;
use crate::metrics::{must, registered};

/// Why a long stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The client ended it, or is gone.
    Client,
    /// The upstream did, or is.
    Upstream,
    /// One side took nothing for too long, or stayed open alone.
    Stalled,
    /// The gateway is going away, and said so.
    Drained,
    /// Its token has expired.
    Expired,
    /// Its token was revoked.
    Revoked,
    /// The key that verified its token, or the issuer, is not the configuration's any more; or the token that it was to go on
    /// with was not accepted.
    Untrusted,
    /// A new token that its client sent was refused.
    Refused,
}

/// The handle of ended streams; all workers share the counters.
#[derive(Debug, Clone)]
pub struct StreamMetrics {
    closed: [IntCounter; StreamEnd::ALL.len()],
}

impl StreamEnd {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Client,
        Self::Upstream,
        Self::Stalled,
        Self::Drained,
        Self::Expired,
        Self::Revoked,
        Self::Untrusted,
        Self::Refused,
    ];

    /// Of a stream whose token does not count any more, for this reason.
    pub fn of(reason: Reason) -> Self {
        if reason == Reason::Expired {
            Self::Expired
        } else if reason == Reason::Revoked {
            Self::Revoked
        } else if matches!(reason, Reason::UnknownKey | Reason::UntrustedIssuer) {
            Self::Untrusted
        } else {
            Self::Refused
        }
    }

    /// Its label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Stalled => "stalled",
            Self::Drained => "drained",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Untrusted => "untrusted",
            Self::Refused => "refused",
        }
    }
}

impl StreamMetrics {
    pub(in crate::metrics) fn new(registry: &Registry) -> Self {
        let closed: IntCounterVec = registered(
            registry,
            must(IntCounterVec::new(
                Opts::new(
                    "portcullis_streams_closed_total",
                    "WebSockets, event streams, and others that ended with their token, by whose doing",
                ),
                &["reason"],
            )),
        );
        Self { closed: StreamEnd::ALL.map(|end| closed.with_label_values(&[end.name()])) }
    }

    /// A stream ended.
    pub fn closed(&self, end: StreamEnd) {
        if let Some(counter) = StreamEnd::ALL.iter().position(|known| *known == end) {
            self.closed[counter].inc();
        }
    }
}
