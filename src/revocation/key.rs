//! What an entry is kept by: never the value itself.

use aws_lc_rs::digest;

use crate::revocation::Kind;

/// 128 bits of SHA-256 over kind, issuer and value: whose tokens an entry is about, unreadable at rest.
///
/// The octets are kept in stores: what is hashed never changes. It is, in order: the kind's [`Kind::tag`]; the
/// issuer's length in octets as 64 bits, big end first; the issuer; for `claim` the name's length likewise, and the
/// name; the value. With the lengths before them no two entries give the same octets: a subject at one issuer is
/// never one at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 16]);

impl Key {
    /// The key of `value` at `issuer`. What a kind does not have is empty: `all` has neither, `issuer` no value.
    /// Values of the kind `claim` have [`Key::of_claim`].
    pub fn new(kind: Kind, issuer: &str, value: &str) -> Self {
        Self::of([&[kind.tag()], &length(issuer), issuer.as_bytes(), value.as_bytes(), &[], &[]])
    }

    /// The key of `value` of the claim that the configuration declares as `name`.
    pub fn of_claim(issuer: &str, name: &str, value: &str) -> Self {
        let tag = [Kind::Claim.tag()];
        Self::of([&tag, &length(issuer), issuer.as_bytes(), &length(name), name.as_bytes(), value.as_bytes()])
    }

    fn of(parts: [&[u8]; 6]) -> Self {
        // One call over a buffer on the stack: the library's streaming context lives on the heap.
        let mut buffer = [0; ON_STACK];
        let digest = match concatenate(parts, &mut buffer) {
            Some(whole) => digest::digest(&digest::SHA256, whole),
            None => {
                let mut context = digest::Context::new(&digest::SHA256);
                parts.iter().for_each(|part| context.update(part));
                context.finish()
            }
        };
        Self(digest.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

fn length(text: &str) -> [u8; 8] {
    (text.len() as u64).to_be_bytes()
}

/// Issuer and value together are hardly ever longer; what is, is hashed through the heap.
const ON_STACK: usize = 512;

fn concatenate<'b>(parts: [&[u8]; 6], buffer: &'b mut [u8; ON_STACK]) -> Option<&'b [u8]> {
    let mut end = 0;
    for part in parts {
        buffer.get_mut(end..end + part.len())?.copy_from_slice(part);
        end += part.len();
    }
    buffer.get(..end)
}

#[cfg(test)]
mod tests;
