//! What can be given out under the grants of OAuth 2.0, and to whom.

use crate::config::credential::CredentialKind;
use crate::config::endpoint::Selection;
use crate::config::minted::{Format, Minted};
use crate::config::problems::{Wrong, quoted};

/// Whether clients can be given this.
pub(crate) fn check_access(token: &Minted) -> Result<(), Wrong> {
    match token.format {
        Format::Jwt { .. } | Format::Opaque { .. } => Ok(()),
        Format::Refresh { .. } => Err(Wrong::is("is a refresh token, which no route takes")),
    }
}

/// Whether this refreshes others.
pub(crate) fn check_refresh(token: &Minted) -> Result<(), Wrong> {
    match token.format {
        Format::Refresh { .. } => Ok(()),
        Format::Jwt { .. } | Format::Opaque { .. } => Err(Wrong::is("is no token of the format `refresh`")),
    }
}

/// Whether these can be clients of OAuth 2.0.
pub(crate) fn check_clients(clients: &Selection) -> Result<(), String> {
    match clients {
        Selection::One(credential) => match credential.kind {
            CredentialKind::ApiKeys(_) => Ok(()),
            CredentialKind::People(_) | CredentialKind::Issuer(_) => {
                Err(format!("{} are no API keys, which clients are", quoted(&credential.name)))
            }
        },
        Selection::By { .. } => Err("clients are of one credential".to_owned()),
    }
}
