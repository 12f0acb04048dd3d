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

/// Reads how long a token lives, in whole seconds: a duration, or as the `ms` package of npm has it (`2 days`, `1.5h`, `1w`,
/// `1y`, in any case). A number without a unit is seconds; the second value is whether there was one. What is negative,
/// no whole second, or written in a way that others read differently is refused.
pub fn span(text: &str) -> Result<(Duration, bool), Wrong> {
    let wrong = || {
        Wrong::is("is no lifetime")
            .hint("write a number and a unit, such as `90s`, `10h`, `1.5h` or `2 days`")
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| {
        !text.is_empty() && text.len() <= SPAN_DIGITS && text.bytes().all(|b| b.is_ascii_digit())
    };
    if !digits(whole) || (number.contains('.') && !digits(fraction)) {
        return Err(wrong());
    }
    if unit.is_empty() {
        if end < text.len() || !fraction.is_empty() {
            return Err(wrong());
        }
        return whole.parse().map(|seconds| (Duration::from_secs(seconds), false)).map_err(|_| wrong());
    }
    let millis = SPANS
        .iter()
        .find(|(names, _)| names.contains(&&*unit))
        .map(|(_, millis)| *millis)
        .ok_or_else(wrong)?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| wrong())?);
    let number: u128 = format!("{whole}{fraction}").parse().map_err(|_| wrong())?;
    let millis = number * u128::from(millis) / scale;
    if !millis.is_multiple_of(1_000) {
        return Err(Wrong::is("is no whole number of seconds"));
    }
    let seconds = u64::try_from(millis / 1_000).map_err(|_| wrong())?;
    Ok((Duration::from_secs(seconds), true))
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

/// The names of units that `ms` 2.1 knows, in milliseconds; a year is 365.25 days.
const SPANS: [(&[&str], u64); 7] = [
    (&["ms", "msec", "msecs", "millisecond", "milliseconds"], 1),
    (&["s", "sec", "secs", "second", "seconds"], 1_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
    (&["w", "week", "weeks"], 604_800_000),
    (&["y", "yr", "yrs", "year", "years"], 31_557_600_000),
];

/// Digits on either side of the point: more is longer than time itself.
const SPAN_DIGITS: usize = 12;

/// Smallest first, in octets (IEC 80000-13).
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
