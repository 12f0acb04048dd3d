//! Durations and sizes as the file writes them: one whole number and one unit.

use std::time::Duration;

use crate::config::problems::Wrong;

#[cfg(test)]
mod tests;

/// Reads `250ms 30s 5m 2h 1d`.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    let wrong = || {
        Wrong::is("is no duration")
            .hint("write a whole number and a unit, such as `250ms`, `30s`, `5m`, `2h` or `1d`")
    };
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let millis =
        DURATIONS.iter().find(|(name, _)| *name == unit).map(|(_, millis)| *millis).ok_or_else(wrong)?;
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or_else(|| Wrong::is("is longer than time itself"))
}

/// Reads `512B 16KiB 1MiB 1GiB`, in octets.
pub fn size(text: &str) -> Result<u64, Wrong> {
    let wrong = || {
        let hint = "write a whole number and a unit: `512B`, `16KiB`, `1MiB` or `1GiB`";
        Wrong::is("is no size").hint(hint)
    };
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let octets = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, octets)| *octets).ok_or_else(wrong)?;
    number.checked_mul(octets).ok_or_else(|| Wrong::is("is larger than anything"))
}

/// Writes a duration in the largest unit that keeps it whole.
pub fn write_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    write(millis, &DURATIONS, "0s")
}

/// Writes a size in the largest unit that keeps it whole.
pub fn write_size(octets: u64) -> String {
    write(octets, &SIZES, "0B")
}

fn write(number: u64, units: &[(&str, u64)], zero: &str) -> String {
    if number == 0 {
        return zero.to_owned();
    }
    let whole = units.iter().rev().find(|(_, unit)| number.is_multiple_of(*unit));
    whole.map_or_else(|| zero.to_owned(), |(name, unit)| format!("{}{name}", number / unit))
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit))
}

/// Smallest first, in milliseconds.
const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Smallest first, in octets (IEC 80000-13).
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
