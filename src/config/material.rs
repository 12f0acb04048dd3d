//! What the configuration names and does not hold: secrets and lists for [`crate::config::authority::Authority`], read by whoever reads
//! files, and read again when they change.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// A credential's name, and the id of one of its entries.
pub type CredentialAndId = (Box<str>, Box<str>);

/// Secrets and lists, by what they are for.
#[derive(Default, Clone)]
pub struct Material {
    /// `tokens.NAME.sign.secret` and `.pem`, by token.
    pub signing: BTreeMap<Box<str>, Zeroizing<Vec<u8>>>,
    /// `credentials.NAME.api_keys.pepper`, by credential.
    pub peppers: BTreeMap<Box<str>, Zeroizing<Vec<u8>>>,
    /// `credentials.NAME.….entries`, by credential: JSON text, an array of objects that was read with success once.
    pub entries: BTreeMap<Box<str>, Zeroizing<Vec<u8>>>,
    /// Secrets of entries that stand in the file itself, by credential and id.
    pub listed: BTreeMap<CredentialAndId, Zeroizing<Vec<u8>>>,
    /// `signing_keys.sealed_with`.
    pub sealed_with: Option<Zeroizing<Vec<u8>>>,
    /// `issuers.NAME.introspection.client.secret`, by issuer.
    pub introspection: BTreeMap<Box<str>, Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for Material {
    /// Names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("signing", &self.signing.keys())
            .field("entries", &self.entries.keys())
            .finish_non_exhaustive()
    }
}
