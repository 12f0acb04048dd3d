//! Points in time and durations as people write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::token::NumericDate;

/// This second.
pub fn now() -> NumericDate {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    NumericDate(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// Reads Unix seconds, or RFC 3339 in UTC (`2026-01-31T12:00:00Z`; a fraction is dropped).
pub fn parse(text: &str) -> Result<NumericDate, String> {
    let date = text.parse().ok().or_else(|| rfc3339(text)).map(NumericDate);
    date.ok_or_else(|| "a time is Unix seconds, or RFC 3339 in UTC like 2026-01-31T12:00:00Z".to_owned())
}

/// Reads a duration: `250ms`, `30s`, `5m`, `2h`, `1d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let milliseconds: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let duration =
        number.parse::<u64>().ok().zip(milliseconds).and_then(|(number, unit)| number.checked_mul(unit));
    duration
        .map(Duration::from_millis)
        .ok_or_else(|| "a duration is written like 250ms, 30s, 5m, 2h or 1d".to_owned())
}

/// RFC 3339 in UTC. What lies outside the years 0 to 9999 is written as seconds.
pub fn format(date: NumericDate) -> String {
    let (days, second) = (date.0.div_euclid(DAY), date.0.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        return date.0.to_string();
    }
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// How far `date` is from `now`: `in 5m`, `2h ago`, `now`.
pub fn relative(date: NumericDate, now: NumericDate) -> String {
    let distance = date.0.saturating_sub(now.0);
    let seconds = distance.unsigned_abs();
    let text = match seconds {
        0 => return "now".to_owned(),
        1..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    };
    if distance > 0 { format!("in {text}") } else { format!("{text} ago") }
}

fn rfc3339(text: &str) -> Option<i64> {
    let (date, clock) = text.strip_suffix(['Z', 'z'])?.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    // A leap second is the second before it (RFC 7519 section 2: NumericDate ignores them).
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days(year, month, day);
    let exists = civil(days) == (year, month, day);
    exists.then_some(days * DAY + hour * 3_600 + minute * 60 + second.min(59))
}

/// Three numbers of exactly these many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut found = [0; 3];
    for (slot, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar (Hinnant's algorithm: years begin in
/// March, so that the leap day is the last).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date that is so many days from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

const DAY: i64 = 86_400;

#[cfg(test)]
mod tests;
