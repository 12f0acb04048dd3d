//! Event streams that were reserved, and whose they are (graphql-sse's single connection mode).
//!
//! A stream is opened by one request, and operations that others bring are answered in it. Its upstream knows it by a name
//! that it has made up, and asks nobody for more: whoever has the name reads what is answered to others, or has it answered
//! to them. So clients never have it. What they have is the name sealed, bound to who has reserved the stream: nothing is
//! kept here, every worker can open it, and another process cannot.
//!
//! Nobody is told apart what was never made, made for another, made elsewhere, changed or too old.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64_simd::URL_SAFE_NO_PAD;

use crate::config::defaults::RESERVED_NAME;
use crate::config::{Issuer, TokenPlace};
use crate::gate::Request;
use crate::gate::denial::{Denial, Reason};
use crate::gate::memo::TokenFacts;
use crate::graphql::rejected::Rejected;
use crate::graphql::reserved::{self, Act, Head};
use crate::policy::route::{CompiledRoute, Upward};
use crate::token::NumericDate;

#[cfg(test)]
mod tests;

/// Octets of the moment up to which a name counts.
const MOMENT: usize = size_of::<i64>();

/// Octets of the longest sealed name, before it is written as text.
const SEALED: usize = NONCE_LEN + MOMENT + RESERVED_NAME + 16;

/// What names are sealed by: one for the whole process.
pub struct Seal(LessSafeKey);

/// Octets that are used for one name and never again.
pub type Once = [u8; NONCE_LEN];

/// What a grant has to do with a reserved stream.
pub enum Reserved {
    /// The answer will name one.
    Promised(Promise),
    /// It is about the one that its upstream calls so: no client's octets.
    Named(Box<str>),
}

/// A stream that is being reserved.
pub struct Promise {
    seal: Option<Arc<Seal>>,
    owner: Owner,
    until: NumericDate,
}

/// Whose a stream is: an upstream, an issuer, and whom its tokens speak for. As octets that are the same for no other.
struct Owner(Vec<u8>);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(***)")
    }
}

/// Whoever has its name has the stream.
impl std::fmt::Debug for Reserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Promised(_) => "Promised(***)",
            Self::Named(_) => "Named(***)",
        })
    }
}

impl Seal {
    /// `key` is random and never leaves the process. None where it cannot be used.
    pub fn new(key: [u8; 32]) -> Option<Self> {
        let key = UnboundKey::new(&AES_256_GCM, &key).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }

    fn seal(&self, once: Once, owner: &Owner, until: NumericDate, name: &str) -> Option<String> {
        let NumericDate(until) = until;
        let mut sealed = until.to_be_bytes().to_vec();
        sealed.extend_from_slice(name.as_bytes());
        let nonce = Nonce::assume_unique_for_key(once);
        self.0.seal_in_place_append_tag(nonce, Aad::from(&owner.0), &mut sealed).ok()?;
        Some(URL_SAFE_NO_PAD.encode_to_string([once.as_slice(), &sealed].concat()))
    }

    fn open(&self, owner: &Owner, now: NumericDate, sealed: &[u8]) -> Option<Box<str>> {
        if sealed.len() > SEALED.div_ceil(3) * 4 {
            return None;
        }
        let octets = URL_SAFE_NO_PAD.decode_to_vec(sealed).ok()?;
        let (once, sealed) = octets.split_first_chunk::<NONCE_LEN>()?;
        let (nonce, mut sealed) = (Nonce::assume_unique_for_key(*once), sealed.to_vec());
        let opened = self.0.open_in_place(nonce, Aad::from(&owner.0), &mut sealed).ok()?;
        let (until, name) = opened.split_first_chunk::<MOMENT>()?;
        let counts = now < NumericDate(i64::from_be_bytes(*until));
        std::str::from_utf8(name).ok().filter(|_| counts).map(Box::from)
    }
}

impl Promise {
    /// What the client is to call the stream that its upstream has named so. None where that is no name that could stand
    /// in a header, or one past its bound.
    pub fn seal(&self, once: Once, name: &str) -> Option<String> {
        let fits = !name.is_empty() && name.len() <= RESERVED_NAME;
        let is_name = fits && name.bytes().all(|octet| octet.is_ascii_graphic());
        self.seal.as_ref().filter(|_| is_name)?.seal(once, &self.owner, self.until, name)
    }
}

impl Owner {
    /// The one that a stream may go on under ([`crate::gate::reauthenticate::continues`]); of a token without a subject,
    /// whoever has that very token. None where it has no name either.
    fn of(upward: &Upward, issuer: &Issuer, facts: &TokenFacts) -> Option<Self> {
        let (kind, who) = match (facts.subject(), facts.token_id()) {
            (Some(subject), _) => ("subject", subject),
            (None, Some(id)) => ("token", id),
            (None, None) => return None,
        };
        Some(Self::named([&upward.upstream.name, &issuer.issuer, kind, who]))
    }

    fn named(parts: [&str; 4]) -> Self {
        let mut octets = Vec::new();
        for part in parts {
            octets.extend_from_slice(&(part.len() as u64).to_be_bytes());
            octets.extend_from_slice(part.as_bytes());
        }
        Self(octets)
    }
}

/// Step 2: what the request has to do with reserved streams. Where they are not served, a request that names one is refused:
/// its upstream may serve them.
pub(in crate::gate) fn asked<'r>(
    request: &Request<'r>,
    route: &CompiledRoute,
    served: bool,
) -> Result<Option<Act<'r>>, Rejected> {
    // What it says of itself a message cannot have said, nor does a WebSocket's URL.
    if request.websocket.is_some() {
        return Ok(None);
    }
    let is_credential =
        |place: &TokenPlace| matches!(place, TokenPlace::Query(name) if **name == *reserved::PARAMETER);
    let by_parameter = || !route.places.iter().any(is_credential);
    if !served {
        return match request.query.is_some_and(reserved::is_named_in) && by_parameter() {
            true => Err(Rejected::new("BAD_REQUEST", "reserved event streams are not served")),
            false => Ok(None),
        };
    }
    let head = Head { method: request.method, query: request.query, by_parameter: by_parameter() };
    Act::of(head, request.headers.iter().map(|field| (field.name, field.value)))
}

/// What is granted to whom this token speaks for.
pub(in crate::gate) fn granted(
    act: Act<'_>,
    seal: Option<&Arc<Seal>>,
    route: &CompiledRoute,
    (upward, issuer): (&Upward, &Issuer),
    (facts, now): (&TokenFacts, NumericDate),
) -> Result<Reserved, Denial> {
    let Some(owner) = Owner::of(upward, issuer, facts) else {
        const WHY: &str =
            "a token that names neither a subject nor itself: its event stream would be anybody's";
        return Err(Denial::new(Reason::InsufficientScope, WHY));
    };
    match act {
        Act::Reserve => {
            let life = route.graphql.as_ref().and_then(|rules| rules.config.reserved_streams);
            let life = life.map_or(0, |life| i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
            let NumericDate(now) = now;
            let until = NumericDate(now.saturating_add(life));
            Ok(Reserved::Promised(Promise { seal: seal.map(Arc::clone), owner, until }))
        }
        Act::Open(sealed) | Act::Run(sealed) | Act::Stop(sealed) => {
            let opened = seal.and_then(|seal| seal.open(&owner, now, sealed));
            opened.map(Reserved::Named).ok_or_else(unknown)
        }
    }
}

/// One refusal for all that has no stream.
fn unknown() -> Denial {
    Denial::new(Reason::UnknownStream, "the name of no event stream of this token's owner")
}

/// What a request has to do with a stream, in words.
pub(in crate::gate) fn told(act: Act<'_>) -> &'static str {
    match act {
        Act::Reserve => "it reserves an event stream: a token is needed",
        Act::Open(_) => "it opens a reserved event stream: its owner's token is needed",
        Act::Run(_) => "it is answered in a reserved event stream: its owner's token is needed",
        Act::Stop(_) => "it ends an operation of a reserved event stream: its owner's token is needed",
    }
}
