//! Times and durations, wrong ones first.

use super::*;

#[track_caller]
fn check(text: &str, seconds: Option<i64>) {
    assert_eq!(parse(text).ok().map(|date| date.0), seconds, "{text}");
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        "now",
        "1.5",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00:00+01:00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-1-01T00:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.xZ",
        "+026-01-01T00:00:00Z",
        "2026-01-01-01T00:00:00Z",
        "2026-01-01T00:00:00:00Z",
        "9223372036854775808",
    ] {
        check(text, None);
    }
}

#[test]
fn times_are_read() {
    check("0", Some(0));
    check("-5", Some(-5));
    check("1700000000", Some(1_700_000_000));
    check("1970-01-01T00:00:00Z", Some(0));
    check("2023-11-14T22:13:20Z", Some(1_700_000_000));
    check("2023-11-14 22:13:20.999z", Some(1_700_000_000));
    check("2024-02-29T23:59:60Z", Some(1_709_251_199));
    check("2000-02-29T00:00:00Z", Some(951_782_400));
    check("0000-01-01T00:00:00Z", Some(-62_167_219_200));
}

#[test]
fn every_day_reads_back_as_it_was_written() {
    // The calendar repeats after 400 years, which are 146,097 days.
    for day in (-719_528..-719_000).chain(-73_000..73_100).chain(2_932_000..2_932_896_i64) {
        let date = NumericDate(day * DAY + day.rem_euclid(DAY));
        assert_eq!(parse(&format(date)), Ok(date), "{}", format(date));
    }
}

#[test]
fn distances_are_told() {
    let relative = |seconds: i64| relative(NumericDate(1_000_000 + seconds), NumericDate(1_000_000));
    assert_eq!(relative(0), "now");
    assert_eq!(relative(-1), "1s ago");
    assert_eq!(relative(300), "in 5m");
    assert_eq!(relative(-7_200), "2h ago");
    assert_eq!(relative(864_000), "in 10d");
}

#[test]
fn durations_are_read() {
    for text in ["", "5", "s", "-5s", "5 s", "1.5h", "5S", "1w", "18446744073709551615d"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    for (text, milliseconds) in
        [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000)]
    {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
}
