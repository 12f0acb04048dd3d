//! What is minted and answered here, all of it.

use std::sync::Arc;

use crate::config::Secret;
use crate::config::credential::Credential;
use crate::config::endpoint::{Endpoint, Errors};
use crate::config::minted::{Minted, SigningKeys};

/// `credentials`, `tokens`, `endpoints`, and what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Authority {
    /// `credentials`, in file order.
    pub credentials: Vec<Arc<Credential>>,
    /// `tokens`, in file order.
    pub tokens: Vec<Arc<Minted>>,
    /// `endpoints` and those of `oauth`, in file order.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// `signing_keys`.
    pub signing_keys: Option<SigningKeys>,
    /// `errors` of the file: what is answered where no route is known. Routes have it among their own.
    pub errors: Option<Arc<Errors>>,
}

impl Authority {
    /// Every secret that it names, but for those that its tokens are signed with: their issuers have these.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let sealed_with = self.signing_keys.iter().filter_map(|keys| keys.sealed_with.as_ref());
        sealed_with.chain(self.credentials.iter().flat_map(|credential| credential.kind.secrets()))
    }
}
