//! How often a credential may be guessed: failed attempts, counted by the credential's id and by the client's address, in
//! windows of [`WINDOW`] (threats T3).

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The failed attempts of the moment. One for the process.
#[derive(Debug, Default)]
pub struct Attempts {}

impl Attempts {
    /// How long whoever is at this address has to wait before a credential with this id is looked at: where `most`
    /// attempts with the id, or from the address, have failed. To be asked before the credential is looked at, and
    /// answered with 429 and `Retry-After`, whatever was sent.
    pub fn wait(
        &self,
        _credential: &str,
        _id: &str,
        _from: IpAddr,
        _most: u32,
        _now: Instant,
    ) -> Option<Duration> {
        None
    }

    /// An attempt with this id, from this address, has failed.
    pub fn failed(&self, _credential: &str, _id: &str, _from: IpAddr, _now: Instant) {}
}

/// After which everybody may try again.
pub const WINDOW: Duration = Duration::from_secs(60);
