//! Label values: closed sets, whatever a client sends.

/// The label of what is absent: no route, no issuer, no reason, a key without an id.
pub const NONE: &str = "none";

/// The label of what is outside a closed set.
pub const OTHER: &str = "other";

/// The methods that are labels of their own (RFC 9110 section 9, RFC 5789).
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Octets of a key id that are shown.
const KEY_ID_OCTETS: usize = 64;

/// A method's label: itself, exact case, if it is a standard one.
pub fn method(method: &[u8]) -> &'static str {
    METHODS.into_iter().find(|known| known.as_bytes() == method).unwrap_or(OTHER)
}

/// A status as sent, if it is one (RFC 9110 section 15).
pub fn status(status: u16) -> Option<u16> {
    (100..=599).contains(&status).then_some(status)
}

/// A key's id for display: visible ASCII, cut to a bound. It comes from a key set, never from a token.
pub fn key_id(id: &str) -> String {
    if id.is_empty() {
        return NONE.to_owned();
    }
    let shown = |octet: char| if octet.is_ascii_graphic() { octet } else { '_' };
    id.chars().take(KEY_ID_OCTETS).map(shown).collect()
}
