use std::time::Duration;

use super::{duration, size, write_duration, write_size};

#[test]
fn what_is_no_duration_is_refused() {
    for text in
        ["", "5", "s", "5 s", "-5s", "+5s", "1.5s", "5S", "5sec", "1h30m", "5m ", "18446744073709551616s"]
    {
        assert!(duration(text).is_err(), "{text}");
    }
    assert!(duration("18446744073709551615d").is_err());
}

#[test]
fn durations_are_read_and_written_the_same() {
    for (text, millis) in
        [("0s", 0), ("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000)]
    {
        assert_eq!(duration(text).ok(), Some(Duration::from_millis(millis)));
        assert_eq!(write_duration(Duration::from_millis(millis)), text);
    }
}

#[test]
fn what_is_no_size_is_refused() {
    for text in
        ["", "16", "KiB", "16KB", "16K", "16kib", "16 KiB", "-1B", "1.5MiB", "18446744073709551615KiB"]
    {
        assert!(size(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_are_read_and_written_the_same() {
    for (text, octets) in
        [("0B", 0), ("512B", 512), ("16KiB", 16384), ("1MiB", 1 << 20), ("3GiB", 3 << 30), ("1025B", 1025)]
    {
        assert_eq!(size(text).ok(), Some(octets));
        assert_eq!(write_size(octets), text);
    }
}
