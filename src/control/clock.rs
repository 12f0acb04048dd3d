//! The wall clock, read at this edge only.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::token::NumericDate;

/// Milliseconds since 1970.
pub fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Now. A clock before 1970 says 1970: it never panics.
pub fn now() -> NumericDate {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    NumericDate(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
