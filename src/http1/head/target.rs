//! Methods and request targets (RFC 9112 section 3).

use crate::http1::head::RequestError;
use crate::http1::head::authority::{self, Authority};

/// A request target taken apart; all are slices of it.
#[derive(Debug)]
pub(super) struct Target<'b> {
    pub(super) path: &'b [u8],
    pub(super) query: Option<&'b [u8]>,
    /// Of an absolute-form target.
    pub(super) authority: Option<Authority<'b>>,
    /// The port its scheme implies.
    pub(super) default_port: u16,
}

/// The longest method served; the longest registered one has 16 octets.
const METHOD_MAX: usize = 32;

/// Refuses at the first octets what cannot become a request: TLS on a plain port, other protocols, garbage.
pub(super) fn check_start(octets: &[u8]) -> Result<(), RequestError> {
    let start = octets.get(..METHOD_MAX + 1).unwrap_or(octets);
    let length = memchr::memchr(b' ', start);
    let method = start.get(..length.unwrap_or(start.len())).unwrap_or_default();
    let begins = method.first().is_some_and(u8::is_ascii_uppercase);
    let goes_on = method.iter().all(|octet| matches!(octet, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_'));
    if !begins || !goes_on || method.len() > METHOD_MAX {
        return Err(RequestError::Malformed("an invalid method"));
    }
    Ok(())
}

/// Reads the target of a request with this (valid) method: origin-form, or absolute-form of `http` and `https`.
pub(super) fn read<'b>(method: &[u8], target: &'b [u8]) -> Result<Target<'b>, RequestError> {
    // Both are refused before their targets are looked at: a tunnel or an echo of credentials is never served.
    if matches!(method, b"CONNECT" | b"TRACE") {
        return Err(RequestError::Method);
    }
    if target.first() == Some(&b'/') {
        let (path, query) = split_query(target)?;
        return Ok(Target { path, query, authority: None, default_port: 80 });
    }
    let (scheme, default_port) = if starts_with(target, b"http://") {
        (b"http://".len(), 80)
    } else if starts_with(target, b"https://") {
        (b"https://".len(), 443)
    } else {
        return Err(RequestError::Malformed("a target of no served form"));
    };
    let rest = target.get(scheme..).unwrap_or_default();
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (name, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    let authority =
        authority::parse(name).ok_or(RequestError::Malformed("an invalid authority in the target"))?;
    let (path, query) = split_query(after)?;
    // RFC 9110 section 4.2.3: an empty path is "/"; the last octet of the scheme's `://` is one to point at.
    let path = if path.is_empty() { target.get(scheme - 1..scheme).unwrap_or_default() } else { path };
    Ok(Target { path, query, authority: Some(authority), default_port })
}

fn starts_with(target: &[u8], scheme: &[u8]) -> bool {
    target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

const PATH: u8 = 1;
const QUERY: u8 = 2;

/// What may stand in a path (RFC 3986 section 3.3, and `\`, which `path::canonical` judges) and in a query.
/// A query may also hold what browsers leave as it is: ``[ ] { } | ^ ` \``.
const OCTETS: [u8; 256] = {
    let mut octets = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        octets[octet] = match octet as u8 {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'%' => PATH | QUERY,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => PATH | QUERY,
            b':' | b'@' | b'\\' => PATH | QUERY,
            b'?' | b'[' | b']' | b'{' | b'}' | b'|' | b'^' | b'`' => QUERY,
            _ => 0,
        };
        octet += 1;
    }
    octets
};

fn split_query(target: &[u8]) -> Result<(&[u8], Option<&[u8]>), RequestError> {
    let malformed = RequestError::Malformed("an octet that a target may not hold");
    let end = target.iter().position(|octet| OCTETS[usize::from(*octet)] & PATH == 0).unwrap_or(target.len());
    let (path, after) = target.split_at_checked(end).unwrap_or((target, &[]));
    let Some((mark, query)) = after.split_first() else { return Ok((path, None)) };
    if *mark != b'?' || query.iter().any(|octet| OCTETS[usize::from(*octet)] & QUERY == 0) {
        return Err(malformed);
    }
    Ok((path, Some(query)))
}
