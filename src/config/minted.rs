//! `tokens`: what the gateway mints itself.

use std::time::Duration;

use crate::config::Secret;
use crate::config::credential::Reader;
use crate::config::problems::Position;
use crate::config::template::{Template, Text};
use crate::token::Algorithm;

/// One of `tokens`. Where it is a JWT or opaque, `Config::issuers` has an issuer of the same name, by which routes trust it.
#[derive(Debug, Clone, PartialEq)]
pub struct Minted {
    /// Its name in the file.
    pub name: Box<str>,
    /// Where it stands.
    pub at: Position,
    /// What it looks like.
    pub format: Format,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// Whom it is for; `{credential.id}` unless given.
    pub subject: Text,
    /// Its index in `Config::issuers`; none for [`Format::Refresh`].
    pub issuer: Option<usize>,
}

/// What a token looks like.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// `jwt`: signed claims.
    Jwt {
        /// With what.
        sign: Sign,
        /// Beside `iss`, `iat` and `exp`, which every token has.
        claims: Vec<(Box<str>, Template)>,
        /// The JOSE header's `typ`: `at+jwt`, or `JWT`.
        typ: Box<str>,
    },
    /// `opaque`: random, looked up.
    Opaque {
        /// What it looks like.
        shape: Shape,
        /// What routes find as its claims.
        claims: Vec<(Box<str>, Template)>,
    },
    /// `refresh`: random, and of use for nothing but the next pair.
    Refresh {
        /// What it looks like.
        shape: Shape,
        /// For how long the one before still counts, with the same answer: for callers that come together, and for an
        /// answer that was lost.
        grace: Duration,
        /// Each use begins its lifetime anew; otherwise the family ends when its first token would have.
        sliding: bool,
    },
}

/// How a random token is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// What it begins with; empty for nothing.
    pub prefix: Box<str>,
    /// Octets of randomness: 16 to 64.
    pub octets: usize,
    /// How they are written.
    pub encoding: Encoding,
}

/// How randomness is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// `0-9A-Za-z`.
    #[default]
    Base62,
    /// `0-9a-f`.
    Hex,
    /// RFC 4648 section 5, without padding.
    Base64Url,
}

/// With what a JWT is signed.
#[derive(Debug, Clone, PartialEq)]
pub enum Sign {
    /// Keys that the gateway makes, keeps sealed in the store, and replaces.
    Managed(Algorithm),
    /// A private key in PEM (PKCS#8).
    Pem {
        /// Where.
        key: Secret,
        /// With which algorithm.
        algorithm: Algorithm,
    },
    /// A shared secret.
    Secret {
        /// Where.
        key: Secret,
        /// HS256, HS384 or HS512.
        algorithm: Algorithm,
    },
}

impl Sign {
    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Managed(algorithm) | Self::Pem { algorithm, .. } | Self::Secret { algorithm, .. } => {
                *algorithm
            }
        }
    }
}

/// How long a token lives.
#[derive(Debug, Clone, PartialEq)]
pub struct Lifetime {
    /// Unless another is asked for.
    pub default: Duration,
    /// Where a caller may ask for another, in whole seconds.
    pub asked: Option<Reader>,
    /// The longest that can be asked for; longer is cut to it.
    pub max: Duration,
}

/// `signing_keys`: how keys that the gateway makes are kept and replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct SigningKeys {
    /// Seals them in the store: 32 octets, or their base64. Required where a token has [`Sign::Managed`] and there is a store.
    pub sealed_with: Option<Secret>,
    /// How old an active key becomes; zero is for ever.
    pub rotate: Duration,
    /// How long a key is published before it signs.
    pub publish: Duration,
}
