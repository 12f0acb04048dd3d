//! API keys: who holds which, in memory; those that are managed are kept in the store.

use std::sync::Arc;

use crate::authority::holder::{Holder, Presented, Refused};
use crate::authority::means::Means;
use crate::config::Config;
use crate::config::material::Material;
use crate::store::error::StoreError;
use crate::token::NumericDate;

/// Every API key of every credential. One for the process.
pub struct ApiKeys {
    _means: Means,
}

/// What looking up an API key as a route's credential came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Looked {
    /// It counts: its claims (`iss sub scope api_key exp?`, and the attributes), as JSON.
    Known(Vec<u8>),
    /// It does not count now, and may again: it is disabled or over.
    NotNow,
    /// There is none.
    Unknown,
}

impl ApiKeys {
    /// None yet.
    pub fn new(means: Means) -> Self {
        Self { _means: means }
    }

    /// Takes on what a configuration lists, and under which pepper secrets are hashed.
    pub fn configure(&self, _config: &Config, _material: &Material) {}

    /// Reads what the store has, in the place of what was read before. Blocks.
    pub fn load(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Who holds what was presented for the credential of this name. Takes as long whatever is wrong.
    pub fn check(
        &self,
        _credential: &str,
        _presented: Presented<'_>,
        _now: NumericDate,
    ) -> Result<Arc<Holder>, Refused> {
        Err(Refused)
    }

    /// The key of this id, if it counts now: for `act_as`, where another credential has vouched already.
    pub fn find(&self, _credential: &str, _id: &str, _now: NumericDate) -> Option<Arc<Holder>> {
        None
    }

    /// The claims of a key that is itself a route's credential, for the issuer of this name.
    pub fn look_up(&self, _issuer: &str, _token: &str, _now: NumericDate) -> Looked {
        Looked::Unknown
    }
}
