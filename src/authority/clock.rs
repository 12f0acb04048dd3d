//! The clock and the randomness, read at this edge only.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;

use crate::mint::NoEntropy;
use crate::store::error::StoreError;
use crate::token::NumericDate;

/// Now. A clock before 1970 says 1970.
pub fn now() -> NumericDate {
    NumericDate(i64::try_from(milliseconds() / 1_000).unwrap_or(i64::MAX))
}

/// Milliseconds since 1970.
pub fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Fresh randomness.
pub fn random<const OCTETS: usize>() -> Result<[u8; OCTETS], StoreError> {
    let mut octets = [0; OCTETS];
    rand::fill(&mut octets).map_err(|_| StoreError::Io("no randomness".to_owned()))?;
    Ok(octets)
}

/// Fills octets with fresh randomness: what [`crate::mint`] draws from.
pub fn fill(octets: &mut [u8]) -> Result<(), NoEntropy> {
    rand::fill(octets).map_err(|_| NoEntropy)
}

/// Between two times that uses are written down.
pub(in crate::authority) const USES: std::time::Duration = std::time::Duration::from_secs(60);
