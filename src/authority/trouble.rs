//! Why nothing could be issued, refreshed or revoked although whoever asked may: the endpoint's own faults.

use crate::config::problems::Problem;
use crate::keys::rotation::SigningError;
use crate::mint::NoEntropy;
use crate::store::error::StoreError;

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// As many are kept as may be, or the store has more to write than it can.
    #[error("as much is kept as may be")]
    Overloaded,
    /// What has to be remembered is not on the disk.
    #[error("{0}")]
    Store(StoreError),
    /// There is no key that signs: keys are being made, or could not be.
    #[error("there is no key to sign with")]
    NoKey,
    /// The token would be longer than the gate reads (`limits.token`).
    #[error("the token would be longer than `limits.token`")]
    TooLong,
    /// Ours.
    #[error("{0}")]
    Fault(&'static str),
}

impl Trouble {
    /// Which of [`crate::config::endpoint::REASONS`] says so.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Store(_) | Self::NoKey => "store_unavailable",
            Self::TooLong | Self::Fault(_) => "internal",
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        if error == StoreError::Busy { Self::Overloaded } else { Self::Store(error) }
    }
}

impl From<NoEntropy> for Trouble {
    fn from(_: NoEntropy) -> Self {
        Self::Fault("there is no randomness to be had")
    }
}

impl From<SigningError> for Trouble {
    fn from(_: SigningError) -> Self {
        Self::Fault("the token could not be signed")
    }
}

/// Why what the store has cannot be taken on.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The signing keys that it has cannot be opened: which line of the configuration says with what.
    #[error("{}", .0.what)]
    Sealed(Box<Problem>),
}
