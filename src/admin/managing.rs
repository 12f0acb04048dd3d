//! What is asked of the authority about API keys and people.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::audit::Asker;
use crate::mint::managed::{
    KeyChange, KeyMade, KeyShown, Keys, NewKey, NewPerson, NotDone, People, PersonChange, PersonShown,
    Rotation, SigningKeys,
};

/// The ways in; wired by `app`. Each change is written down before it is begun, runs to its end whoever hangs up, and is on
/// the disk and in force once it is answered.
#[derive(Clone)]
pub struct Managing {
    /// API keys.
    pub keys: Holders<NewKey, KeyMade, KeyChange, KeyShown, Keys>,
    /// Makes a second secret.
    pub add_secret: Arc<dyn Fn(Name, Asker) -> Doing<KeyMade> + Send + Sync>,
    /// Removes a secret.
    pub remove_secret: Arc<dyn Fn(Name, u32, Asker) -> Doing<()> + Send + Sync>,
    /// People.
    pub people: Holders<NewPerson, PersonShown, PersonChange, PersonShown, People>,
    /// Shows the keys that tokens are signed with.
    pub signing_keys: Arc<dyn Fn() -> SigningKeys + Send + Sync>,
    /// Replaces them, and shows the new ones.
    pub rotate: Arc<dyn Fn(Rotation, Asker) -> Doing<SigningKeys> + Send + Sync>,
}

/// What is done about holders of one kind.
pub struct Holders<New, Made, Changes, Shown, Page> {
    /// Makes one.
    pub make: Arc<dyn Fn(New, Asker) -> Doing<Made> + Send + Sync>,
    /// Shows one.
    pub show: Arc<dyn Fn(Name) -> Result<Shown, NotDone> + Send + Sync>,
    /// Shows those of a credential, or of all, behind a page, at most so many.
    pub list: Listing<Page>,
    /// Changes one.
    pub change: Arc<dyn Fn(Name, Changes, Asker) -> Doing<Shown> + Send + Sync>,
    /// Removes one.
    pub remove: Arc<dyn Fn(Name, Asker) -> Doing<()> + Send + Sync>,
}

impl<New, Made, Changes, Shown, Page> Clone for Holders<New, Made, Changes, Shown, Page> {
    fn clone(&self) -> Self {
        Self {
            make: Arc::clone(&self.make),
            show: Arc::clone(&self.show),
            list: Arc::clone(&self.list),
            change: Arc::clone(&self.change),
            remove: Arc::clone(&self.remove),
        }
    }
}

/// Who is meant: a credential's name, and an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Of which credential.
    pub credential: String,
    /// Which of its holders.
    pub id: String,
}

/// Shows those of a credential, or of all, behind a page, at most so many.
pub type Listing<Page> = Arc<dyn Fn(Option<String>, Option<String>, usize) -> Doing<Page> + Send + Sync>;

/// Something under way.
pub type Doing<T> = Pin<Box<dyn Future<Output = Result<T, NotDone>> + Send>>;
