//! `Authorization: Bearer` (RFC 6750 section 2.1).

/// What an `Authorization` value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// Scheme `Bearer` (any case, RFC 9110 section 11.1), one space, and one b68token.
    Bearer(&'a str),
    /// Another scheme: for the bearer step no credential was sent.
    OtherScheme,
    /// Scheme `Bearer` and something that is no token: nothing, two spaces, a tab, a comma, other octets.
    Malformed,
}

/// Reads one `Authorization` field value.
pub fn parse(value: &[u8]) -> Authorization<'_> {
    todo!()
}
