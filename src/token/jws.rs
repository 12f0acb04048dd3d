//! The compact serialization of a JWS (RFC 7515 sections 3 and 7.1), read strictly and without crypto.

use crate::token::Algorithm;

/// Why a text is no compact JWS that this gateway would verify. Everything here is `malformed_token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say all")]
pub enum Malformed {
    #[error("longer than the limit")]
    TooLong,
    #[error("not three parts")]
    NotThreeParts,
    #[error("not strict base64url")]
    NotBase64Url,
    #[error("the JOSE header is not strict JSON")]
    Header,
    #[error("the JOSE header has a member of the wrong type")]
    HeaderType,
    #[error("the algorithm is none that this gateway verifies")]
    Algorithm,
    #[error("a critical extension that nobody here understands (RFC 7515 section 4.1.11)")]
    Critical,
    #[error("an unencoded payload (RFC 7797)")]
    Unencoded,
    #[error("the claims are not strict JSON")]
    Claims,
    #[error("a registered claim has the wrong type")]
    ClaimType,
}

/// A compact JWS taken apart, nothing verified yet.
#[derive(Debug, Clone)]
pub struct Compact<'a> {
    /// `alg`, already known to be one of ours.
    pub algorithm: Algorithm,
    /// `kid` (a string of at most 256 octets, opaque).
    pub key_id: Option<Box<str>>,
    /// `typ`, lower-cased, a leading `application/` removed (RFC 7515 section 4.1.9).
    pub typ: Option<Box<str>>,
    /// What the signature covers: header, dot, payload, as sent.
    pub signing_input: &'a [u8],
    /// The decoded payload.
    pub payload: Vec<u8>,
    /// The decoded signature.
    pub signature: Vec<u8>,
}

/// Takes `token` apart. `limit` is `limits.token`, in octets.
pub fn parse(token: &str, limit: usize) -> Result<Compact<'_>, Malformed> {
    todo!()
}
