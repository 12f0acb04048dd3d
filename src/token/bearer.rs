//! `Authorization: Bearer` (RFC 6750 section 2.1).

#[cfg(test)]
mod tests;

/// What an `Authorization` value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// Scheme `Bearer` (any case, RFC 9110 section 11.1), one space, and what [`token`] has yet to look at: whoever has
    /// seen these very octets before need not.
    Bearer(&'a [u8]),
    /// Another scheme: for the bearer step no credential was sent.
    OtherScheme,
    /// Scheme `Bearer` and not the one space that has to follow. Also another scheme with a `Bearer` after a comma:
    /// which of the two the upstream reads is anybody's guess.
    Malformed,
}

/// Reads one `Authorization` field value.
pub fn parse(value: &[u8]) -> Authorization<'_> {
    let (scheme, rest) = split_scheme(value);
    if is_bearer(scheme) {
        return rest.strip_prefix(b" ").map_or(Authorization::Malformed, Authorization::Bearer);
    }
    // A field that may stand once is often joined with commas by intermediaries (RFC 9110 section 5.3).
    // Commas inside quoted strings are not told apart: refusing those is the safe side.
    let hides_bearer =
        value.split(|&octet| octet == b',').any(|element| is_bearer(split_scheme(element.trim_ascii()).0));
    if hides_bearer { Authorization::Malformed } else { Authorization::OtherScheme }
}

/// The one b64token that follows `Bearer`; `None` for anything else: nothing, another space, a comma, other octets.
pub fn token(octets: &[u8]) -> Option<&str> {
    if is_b64token(octets) { str::from_utf8(octets).ok() } else { None }
}

/// The leading token (RFC 9110 section 5.6.2) and what follows it.
fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let end = value.iter().position(|octet| !is_token_octet(*octet)).unwrap_or(value.len());
    value.split_at(end)
}

fn is_bearer(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"Bearer")
}

fn is_token_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750 section 2.1).
fn is_b64token(text: &[u8]) -> bool {
    let padding = text.iter().rev().take_while(|octet| **octet == b'=').count();
    let body = &text[..text.len() - padding];
    // Without a way out at the first wrong octet, so that many are looked at together: nearly none is wrong.
    let wrong = body.iter().fold(0, |wrong, &octet| wrong | u8::from(!is_b64octet(octet)));
    !body.is_empty() && wrong == 0
}

/// Written without branches.
fn is_b64octet(octet: u8) -> bool {
    let letter = (octet | 0x20).wrapping_sub(b'a') < 26;
    // "-./" stand together before the digits.
    let digit_or_near = octet.wrapping_sub(b'-') <= b'9' - b'-';
    letter | digit_or_near | (octet == b'_') | (octet == b'~') | (octet == b'+')
}
