//! People: names, passwords, and who may sign in. Passwords are hashed with argon2id, by few at a time.

use std::sync::Arc;

use crate::authority::holder::Holder;
use crate::authority::means::Means;
use crate::config::Config;
use crate::config::material::Material;
use crate::store::error::StoreError;
use crate::token::NumericDate;

/// Everybody of every credential. One for the process.
pub struct People {
    _means: Means,
}

/// Why nobody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSignedIn {
    /// Unknown, disabled, or another password: the same answer, after the same work.
    Refused,
    /// Too many wait to sign in already: `overloaded`.
    Overloaded,
}

impl People {
    /// Nobody yet.
    pub fn new(means: Means) -> Self {
        Self { _means: means }
    }

    /// Takes on whom a configuration lists, and what hashing costs.
    pub fn configure(&self, _config: &Config, _material: &Material) {}

    /// Reads what the store has, in the place of what was read before. Blocks.
    pub fn load(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Who has this name and this password, for the credential of this name. Waits for its turn to hash.
    pub async fn sign_in(
        &self,
        _credential: &str,
        _name: &str,
        _password: &str,
    ) -> Result<Arc<Holder>, NotSignedIn> {
        Err(NotSignedIn::Refused)
    }

    /// The person of this name, if they may sign in now: for `act_as`, and for a family that is refreshed.
    pub fn find(&self, _credential: &str, _name: &str, _now: NumericDate) -> Option<Arc<Holder>> {
        None
    }
}
