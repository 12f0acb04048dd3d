//! `host:port` (RFC 9110 section 7.2, RFC 3986 section 3.2), stricter than either.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A valid authority, as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// Host name without a trailing dot, IPv4 address, or IPv6 address in brackets.
    pub(super) name: &'a [u8],
    /// The port, if one was sent.
    pub(super) port: Option<u16>,
}

impl Authority<'_> {
    /// Whether both name the same host and port, where an absent port is `default`.
    pub(super) fn names_same(&self, other: &Self, default: u16) -> bool {
        self.name.eq_ignore_ascii_case(other.name)
            && self.port.unwrap_or(default) == other.port.unwrap_or(default)
    }
}

/// Reads an authority. User information, lists, escapes, an empty host or port, addresses of any form but the
/// usual ones, and names longer than the DNS allows are none.
pub(super) fn parse(value: &[u8]) -> Option<Authority<'_>> {
    if value.starts_with(b"[") {
        let end = memchr::memchr(b']', value)? + 1;
        let (name, after) = value.split_at_checked(end)?;
        let address = std::str::from_utf8(name.get(1..end - 1)?).ok()?;
        address.parse::<Ipv6Addr>().ok()?;
        return Some(Authority { name, port: port(after)? });
    }
    let end = memchr::memchr(b':', value).unwrap_or(value.len());
    let (name, after) = value.split_at_checked(end)?;
    let name = name.strip_suffix(b".").unwrap_or(name);
    is_name(name).then_some(Authority { name, port: port(after)? })
}

/// What follows the host: nothing, or a colon and a port in its one spelling. `None` is neither.
fn port(after: &[u8]) -> Option<Option<u16>> {
    let Some((colon, digits)) = after.split_first() else { return Some(None) };
    if *colon != b':'
        || !matches!(digits.first(), Some(b'1'..=b'9'))
        || !digits.iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    Some(Some(std::str::from_utf8(digits).ok()?.parse().ok()?))
}

fn is_name(name: &[u8]) -> bool {
    let mut labels = 0;
    let mut last_is_number = true;
    for label in name.split(|octet| *octet == b'.') {
        labels += 1;
        last_is_number = label.iter().all(u8::is_ascii_digit);
        let fits = (1..=63).contains(&label.len());
        if !fits || !label.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')) {
            return false;
        }
    }
    if name.len() > 253 {
        return false;
    }
    // A name that ends in a number is an address to every resolver; only its usual form means one thing.
    !last_is_number
        || (labels == 4 && std::str::from_utf8(name).is_ok_and(|address| address.parse::<Ipv4Addr>().is_ok()))
}
