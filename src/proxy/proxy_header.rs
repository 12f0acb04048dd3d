//! The PROXY protocol, versions 1 and 2 (haproxy.org, `proxy-protocol.txt`): what a load balancer says, before
//! anything else, about the connection that it passes on.
//!
//! Nothing here reads: [`read`] is given the octets so far and asks for more, never for an octet that could belong
//! to what follows the header.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Octets of the longest header that is read: version 1 has at most 107, and what version 2 is sent with beyond
/// its addresses is a few hundred at most.
pub(in crate::proxy) const LONGEST: usize = 4096;

/// Octets of the longest header of version 1, its CRLF included (section 2.1).
const LONGEST_TEXT: usize = 107;

/// What begins a header of version 2 (section 2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Octets of version 2 before the addresses.
const FIXED: usize = 16;

/// Octets of the shortest header of all: `PROXY UNKNOWN` and CRLF.
const SHORTEST: usize = 15;

/// How far a header has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Progress {
    /// At least this many octets are missing, at least 1.
    Missing(usize),
    /// It is whole.
    Whole(Origin),
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Origin {
    /// The sender's own (a health check), or one of which it does not say or cannot know where it came from.
    Sender,
    /// A client's at this address.
    Client(IpAddr),
}

/// Not a PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::proxy) struct Invalid(&'static str);

/// Reads a header from its beginning. `octets` is never longer than what was asked for.
pub(in crate::proxy) fn read(octets: &[u8]) -> Result<Progress, Invalid> {
    match octets.first() {
        None => Ok(Progress::Missing(SHORTEST)),
        Some(b'P') => text(octets),
        Some(_) => binary(octets),
    }
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` and CRLF.
fn text(octets: &[u8]) -> Result<Progress, Invalid> {
    let whole = octets.strip_suffix(b"\r\n");
    let line = whole.or_else(|| octets.strip_suffix(b"\r")).unwrap_or(octets);
    if !line.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ') {
        return Err(Invalid("no line of text"));
    }
    let line = std::str::from_utf8(line).map_err(|_| Invalid("no line of text"))?;
    let mut fields = line.splitn(3, ' ');
    let (word, family) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let rest = fields.next();
    let begins =
        |whole: &str, part: &str, last: bool| if last { whole.starts_with(part) } else { whole == part };
    let families = ["TCP4", "TCP6", "UNKNOWN"];
    if !begins("PROXY", word, line.len() <= 5)
        || !families.iter().any(|known| begins(known, family, rest.is_none() && whole.is_none()))
    {
        return Err(Invalid("neither version of the header"));
    }
    if whole.is_some() {
        return addresses(family, rest);
    }
    let missing = if octets.ends_with(b"\r") { 1 } else { 2 + unsaid(line, family, rest) };
    if octets.len() + missing > LONGEST_TEXT {
        return Err(Invalid("longer than a header may be"));
    }
    Ok(Progress::Missing(missing))
}

/// Octets that a line at least lacks before its CRLF.
fn unsaid(line: &str, family: &str, rest: Option<&str>) -> usize {
    let address = match family {
        "TCP4" => "0.0.0.0".len(),
        "TCP6" => "::".len(),
        // What follows UNKNOWN is anything, or nothing.
        _ => return SHORTEST.saturating_sub(2 + line.len()),
    };
    // A space and the shortest of its kind for each field that has not begun.
    let fields = [address, address, 1, 1];
    let begun = rest.map_or(0, |rest| rest.split(' ').count());
    fields.iter().skip(begun).map(|shortest| 1 + shortest).sum()
}

/// The client's address, of a line that is whole.
fn addresses(family: &str, rest: Option<&str>) -> Result<Progress, Invalid> {
    if family == "UNKNOWN" {
        return Ok(Progress::Whole(Origin::Sender));
    }
    let invalid = || Invalid("addresses that are none");
    let fields: Vec<&str> = rest.unwrap_or_default().splitn(5, ' ').collect();
    let &[source, destination, source_port, destination_port] = fields.as_slice() else {
        return Err(invalid());
    };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => Ipv4Addr::from_str(text).ok().map(IpAddr::V4),
            _ => Ipv6Addr::from_str(text).ok().map(IpAddr::V6),
        }
    };
    let port = |text: &str| {
        let plain = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
        plain && text.parse::<u16>().is_ok()
    };
    if address(destination).is_none() || !port(source_port) || !port(destination_port) {
        return Err(invalid());
    }
    address(source).map(|source| Progress::Whole(Origin::Client(source))).ok_or_else(invalid)
}

/// Version 2: the signature, version and command, family and protocol, a length, and so many octets of addresses
/// and of what is not looked at.
fn binary(octets: &[u8]) -> Result<Progress, Invalid> {
    if !octets.iter().zip(SIGNATURE).all(|(octet, expected)| octet == expected) {
        return Err(Invalid("neither version of the header"));
    }
    let Some((fixed, rest)) = octets.split_at_checked(FIXED) else {
        return Ok(Progress::Missing(FIXED - octets.len()));
    };
    let &[version_and_command, family, high, low] = &fixed[SIGNATURE.len()..] else {
        return Err(Invalid("neither version of the header"));
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // The octets of addresses that have to be there.
    let least = match (version_and_command, family) {
        // LOCAL: what follows is of no interest, whatever it is.
        (0x20, _) => 0,
        // PROXY, of an unspecified family.
        (0x21, 0x00) => 0,
        (0x21, TCP4) => 12,
        (0x21, TCP6) => 36,
        (0x21, UNIX) => 216,
        (0x21, _) => return Err(Invalid("a family or protocol that no such connection has")),
        (_, _) => return Err(Invalid("an unknown version or command")),
    };
    if length < least {
        return Err(Invalid("shorter than its addresses"));
    }
    if FIXED + length > LONGEST {
        return Err(Invalid("longer than a header may be"));
    }
    if rest.len() < length {
        return Ok(Progress::Missing(length - rest.len()));
    }
    let origin = match (version_and_command, family) {
        (0x21, TCP4) => rest.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        (0x21, TCP6) => rest.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        (_, _) => None,
    };
    Ok(Progress::Whole(origin.map_or(Origin::Sender, Origin::Client)))
}

/// TCP over IPv4.
const TCP4: u8 = 0x11;
/// TCP over IPv6.
const TCP6: u8 = 0x21;
/// A stream between Unix sockets: its paths are no address that anything here goes by.
const UNIX: u8 = 0x31;
