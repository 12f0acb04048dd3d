//! The compact serialization of a JWS (RFC 7515 sections 3 and 7.1), read strictly and without crypto.
//!
//! Header members that name or hold a key (`jwk`, `jku`, `x5u`, `x5c`) are never looked at: keys come from the
//! issuer's configuration alone (RFC 8725 section 3.10).

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use base64_simd::{AsOut, URL_SAFE_NO_PAD};

use crate::token::Algorithm;
use crate::token::json::{self, Bounds, Member};

/// Why a text is no compact JWS that this gateway would verify. Everything here is `malformed_token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say all")]
pub enum Malformed {
    #[error("longer than the limit")]
    TooLong,
    #[error("not three parts that hold something")]
    NotThreeParts,
    #[error("not strict base64url")]
    NotBase64Url,
    #[error("the JOSE header is not that of a signed token in strict JSON")]
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
    /// `kid` (a string of at most [`KEY_ID`] octets without control characters, opaque).
    pub key_id: Option<Box<str>>,
    /// `typ`, lower-cased, a leading `application/` removed (RFC 7515 section 4.1.9).
    pub typ: Option<Cow<'static, str>>,
    /// What the signature covers: header, dot, payload, as sent.
    pub signing_input: &'a [u8],
    /// The decoded payload.
    pub payload: Vec<u8>,
    /// The decoded signature.
    pub signature: Vec<u8>,
}

/// Takes `token` apart. `limit` is `limits.token`, in octets.
pub fn parse(token: &str, limit: usize) -> Result<Compact<'_>, Malformed> {
    if token.len() > limit {
        return Err(Malformed::TooLong);
    }
    let (header, payload, signature) = three_parts(token)?;
    let mut room = [0; HEADER_ROOM];
    let seen = match room.get_mut(..decoded_length(header)?) {
        Some(room) => Header::read(decode_into(header, room)?)?,
        None => Header::read(&decode(header)?)?,
    };
    Ok(Compact {
        algorithm: seen.algorithm,
        key_id: seen.key_id,
        typ: seen.typ,
        signing_input: &token.as_bytes()[..header.len() + 1 + payload.len()],
        payload: decode(payload)?,
        signature: decode(signature)?,
    })
}

/// Splits at the dots. Looks no further than the third one, so that a text of nothing but dots costs no more
/// than another; five parts are a JWE (RFC 7516 section 9), which is never decrypted.
fn three_parts(token: &str) -> Result<(&str, &str, &str), Malformed> {
    let mut dots = memchr::memchr_iter(b'.', token.as_bytes());
    match (dots.next(), dots.next(), dots.next()) {
        (Some(one), Some(other), None) => {
            let (header, payload, signature) = (&token[..one], &token[one + 1..other], &token[other + 1..]);
            if header.is_empty() || payload.is_empty() || signature.is_empty() {
                return Err(Malformed::NotThreeParts);
            }
            Ok((header, payload, signature))
        }
        (_, _, Some(_)) | (_, None, None) | (None, Some(_), None) => Err(Malformed::NotThreeParts),
    }
}

/// base64url without padding, white space, other alphabets or spare bits that are set (RFC 7515 section 2):
/// two texts never decode to the same octets, so that a token has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode_to_vec(part).map_err(|_| Malformed::NotBase64Url)
}

/// [`decode`], into `room` of [`decoded_length`].
fn decode_into<'r>(part: &str, room: &'r mut [u8]) -> Result<&'r [u8], Malformed> {
    match URL_SAFE_NO_PAD.decode(part.as_bytes(), room.as_out()) {
        Ok(decoded) => Ok(decoded),
        Err(_) => Err(Malformed::NotBase64Url),
    }
}

fn decoded_length(part: &str) -> Result<usize, Malformed> {
    URL_SAFE_NO_PAD.decoded_length(part.as_bytes()).map_err(|_| Malformed::NotBase64Url)
}

/// What counts of a JOSE header.
struct Header {
    algorithm: Algorithm,
    key_id: Option<Box<str>>,
    typ: Option<Cow<'static, str>>,
}

/// The members of a header as they are met.
#[derive(Default)]
struct Seen<'t> {
    algorithm: Option<Member<'t>>,
    key_id: Option<Member<'t>>,
    typ: Option<Member<'t>>,
    content_type: Option<Member<'t>>,
    critical: bool,
    unencoded: bool,
    encrypted: bool,
}

impl Header {
    fn read(text: &[u8]) -> Result<Self, Malformed> {
        let mut seen = Seen::default();
        json::members(text, HEADER, |name, value| match name {
            "alg" => seen.algorithm = Some(value),
            "kid" => seen.key_id = Some(value),
            "typ" => seen.typ = Some(value),
            "cty" => seen.content_type = Some(value),
            "crit" => seen.critical = true,
            "b64" => seen.unencoded = true,
            "zip" | "enc" => seen.encrypted = true,
            _ => {}
        })
        .map_err(|_| Malformed::Header)?;
        // No extension is understood here, so that every `crit` names one that is not, or names nothing and
        // is itself forbidden (RFC 7515 section 4.1.11).
        if seen.critical {
            return Err(Malformed::Critical);
        }
        if seen.unencoded {
            return Err(Malformed::Unencoded);
        }
        if seen.encrypted {
            return Err(Malformed::Header);
        }
        let Some(Member::Text(algorithm)) = seen.algorithm else { return Err(Malformed::Algorithm) };
        let algorithm = Algorithm::from_name(&algorithm).ok_or(Malformed::Algorithm)?;
        let key_id = short_text(seen.key_id)?.map(Cow::into_owned).map(Box::from);
        let typ = short_text(seen.typ)?.map(|typ| media_type(&typ));
        // A nested token (RFC 7519 section 5.2) would need a second verification that nobody makes.
        if short_text(seen.content_type)?.is_some_and(|content| media_type(&content) == "jwt") {
            return Err(Malformed::Header);
        }
        Ok(Self { algorithm, key_id, typ })
    }
}

/// A member that has to be a string, if it is there: short, and without control characters, because it is
/// shown in logs.
fn short_text(member: Option<Member<'_>>) -> Result<Option<Cow<'_, str>>, Malformed> {
    match member {
        None => Ok(None),
        Some(Member::Text(text)) if text.len() <= KEY_ID && !text.chars().any(char::is_control) => {
            Ok(Some(text))
        }
        Some(Member::Text(_) | Member::Other) => Err(Malformed::HeaderType),
    }
}

/// Media types compare without case, and `application/` is implied (RFC 7515 sections 4.1.9 and 4.1.10).
fn media_type(text: &str) -> Cow<'static, str> {
    let implied = "application/";
    let rest = match text.split_at_checked(implied.len()) {
        Some((front, rest)) if front.eq_ignore_ascii_case(implied) => rest,
        Some(_) | None => text,
    };
    // Those that nearly all tokens have take no memory.
    match ["jwt", "at+jwt"].into_iter().find(|known| rest.eq_ignore_ascii_case(known)) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(rest.to_ascii_lowercase()),
    }
}

/// Octets of a key id, and of `typ` and `cty` (threats J5).
pub const KEY_ID: usize = 256;

/// Bounds of a JOSE header. The token's length bounds the rest.
const HEADER: Bounds = Bounds { depth: 32, members: 64, elements: 1024 };

/// Octets of a header that is decoded without an allocation: nearly all are shorter.
const HEADER_ROOM: usize = 256;
