//! API keys and people as operators manage them: what is asked for, what is shown, why something is not done.
//!
//! These are the words of the admin listener, which reads and writes them, and of whoever keeps keys and people: they meet
//! here.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A secret that was sent: never shown.
#[derive(Clone, Default, ToSchema)]
#[schema(value_type = String)]
pub struct Hidden(pub Zeroizing<String>);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(***)")
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Zeroizing::new).map(Self)
    }
}

/// Which signing keys are to be replaced, and how.
#[derive(Debug, Default, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Those of this algorithm; all that tokens are signed with, unless it is said.
    #[serde(default)]
    #[schema(max_length = 16)]
    pub algorithm: Option<String>,
    /// The new one signs at once, and nothing counts any more that those before it have signed.
    #[serde(default)]
    pub emergency: bool,
}

/// Signing keys that the gateway made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SigningKeys {
    /// By algorithm, and then by when they sign first.
    pub keys: Vec<SigningKeyShown>,
}

/// A signing key, as it is shown: nothing of it that is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SigningKeyShown {
    /// Its id in tokens and in key sets: the thumbprint of RFC 7638.
    pub kid: String,
    /// What it signs with.
    pub algorithm: String,
    /// `staged`: published, and does not sign yet; `active`: signs; `retiring`: published for what it signed.
    pub state: String,
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// When it signs first.
    pub signs_from: i64,
    /// When the next one signs in its place, if there is one.
    #[schema(required = true)]
    pub signs_until: Option<i64>,
    /// When it is published no longer, if that is known.
    #[schema(required = true)]
    pub published_until: Option<i64>,
}

/// An API key that is to be made.
#[derive(Debug, Default, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Of which credential; the only managed one of its kind, unless it is said.
    #[serde(default)]
    pub credential: Option<String>,
    /// Which of its prefixes; the first, unless it is said.
    #[serde(default)]
    pub prefix: Option<String>,
    /// An id of somebody else's making: then the key is presented as an id and a secret, never as one text.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128)]
    pub id: Option<String>,
    /// A secret of somebody else's making, beside such an id: at least 16 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 16, max_length = 1024)]
    pub secret: Option<Hidden>,
    /// What people call it.
    #[serde(default)]
    #[schema(max_length = 256)]
    pub name: Option<String>,
    /// What it may have.
    #[serde(default)]
    #[schema(max_items = 256)]
    pub scopes: Vec<String>,
    /// What templates and claims find as its own members.
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// When it ends, in Unix seconds; never, unless it is said.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 4_294_967_295_i64)]
    pub expires: Option<i64>,
}

/// What is to be changed of an API key: what is absent stays, and what is null is taken away (RFC 7396).
#[derive(Debug, Default, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// What people call it.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>, max_length = 256)]
    pub name: Option<Option<String>>,
    /// What it may have. Tokens that were made already keep what they have.
    #[serde(default, deserialize_with = "some")]
    #[schema(max_items = 256, nullable = false)]
    pub scopes: Option<Vec<String>>,
    /// All of its attributes, in the place of those that it has.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub attributes: Option<Map<String, Value>>,
    /// When it ends, in Unix seconds.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_i64)]
    pub expires: Option<Option<i64>>,
    /// Whether it is refused, and what was made from it.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub disabled: Option<bool>,
}

/// An API key, as it is shown: without its secrets.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KeyShown {
    /// Of which credential.
    pub credential: String,
    /// Names it, and is what `api_key` revokes.
    pub id: String,
    /// What the whole key begins with.
    pub prefix: String,
    /// What people call it.
    #[schema(required = true)]
    pub name: Option<String>,
    /// What it may have.
    pub scopes: Vec<String>,
    /// Its own attributes: those of its prefix are not among them.
    pub attributes: Map<String, Value>,
    /// When it ends, in Unix seconds.
    #[schema(required = true)]
    pub expires: Option<i64>,
    /// Whether it is refused, and what was made from it.
    pub disabled: bool,
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// When it was last used, to the minute.
    #[schema(required = true)]
    pub last_used: Option<i64>,
    /// One, or two while one replaces the other.
    pub secrets: Vec<SecretShown>,
}

/// A secret, as far as it is shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SecretShown {
    /// Names it among those of its key.
    pub number: u32,
    /// Its last four characters.
    pub last4: String,
    /// When it was made, in Unix seconds.
    pub created: i64,
    /// Whether it counts: it does not where it was hashed under another pepper than that of now.
    pub usable: bool,
}

/// A secret that was just made: this answer alone has it.
#[derive(Serialize, ToSchema)]
pub struct KeyMade {
    /// The key.
    #[serde(flatten)]
    pub shown: KeyShown,
    /// The whole key, for where one text is all of it; null where its id is of somebody else's making.
    #[serde(serialize_with = "shown_if_any")]
    #[schema(value_type = Option<String>, required = true)]
    pub key: Option<Zeroizing<String>>,
    /// Its new secret, for where it stands beside the id.
    #[serde(serialize_with = "shown_once")]
    #[schema(value_type = String)]
    pub secret: Zeroizing<String>,
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct Keys {
    /// In the order of their credentials and ids.
    pub keys: Vec<KeyShown>,
    /// `after` of the next page; null if there is none.
    #[schema(required = true)]
    pub next: Option<String>,
}

/// Somebody who is to be let in.
#[derive(Debug, Default, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// For which credential; the only managed one of its kind, unless it is said.
    #[serde(default)]
    pub credential: Option<String>,
    /// The name they sign in with: an address, or a word.
    #[schema(min_length = 1, max_length = 128)]
    pub id: String,
    /// At least 8 characters, and at most 128 octets.
    #[schema(value_type = String, min_length = 8, max_length = 128)]
    pub password: Hidden,
    /// What people call them.
    #[serde(default)]
    #[schema(max_length = 256)]
    pub name: Option<String>,
    /// What they may have.
    #[serde(default)]
    #[schema(max_items = 256)]
    pub scopes: Vec<String>,
    /// Where they belong; templates and claims find it as the attribute of this name.
    #[serde(default)]
    #[schema(max_items = 256)]
    pub namespaces: Vec<String>,
    /// What templates and claims find as their own members.
    #[serde(default)]
    pub attributes: Map<String, Value>,
}

/// What is to be changed of a person: what is absent stays, and what is null is taken away (RFC 7396).
#[derive(Debug, Default, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonChange {
    /// At least 8 characters, and at most 128 octets.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<String>, min_length = 8, max_length = 128, nullable = false)]
    pub password: Option<Hidden>,
    /// What people call them.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>, max_length = 256)]
    pub name: Option<Option<String>>,
    /// What they may have. Tokens that were made already keep what they have.
    #[serde(default, deserialize_with = "some")]
    #[schema(max_items = 256, nullable = false)]
    pub scopes: Option<Vec<String>>,
    /// Where they belong.
    #[serde(default, deserialize_with = "some")]
    #[schema(max_items = 256, nullable = false)]
    pub namespaces: Option<Vec<String>>,
    /// All of their attributes, in the place of those that they have.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub attributes: Option<Map<String, Value>>,
    /// Whether they are refused, and what was made for them.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub disabled: Option<bool>,
}

/// A person, as they are shown: without their password.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PersonShown {
    /// For which credential.
    pub credential: String,
    /// The name they sign in with.
    pub id: String,
    /// What people call them.
    #[schema(required = true)]
    pub name: Option<String>,
    /// What they may have.
    pub scopes: Vec<String>,
    /// Where they belong.
    pub namespaces: Vec<String>,
    /// All else.
    pub attributes: Map<String, Value>,
    /// Whether they are refused, and what was made for them.
    pub disabled: bool,
    /// When they were let in, in Unix seconds.
    pub created: i64,
    /// When they last signed in, to the minute.
    #[schema(required = true)]
    pub last_used: Option<i64>,
}

/// A page of people.
#[derive(Debug, Serialize, ToSchema)]
pub struct People {
    /// In the order of their credentials and ids.
    pub users: Vec<PersonShown>,
    /// `after` of the next page; null if there is none.
    #[schema(required = true)]
    pub next: Option<String>,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// There is none.
    Unknown,
    /// It cannot be, beside what is there: why.
    Conflict(String),
    /// What was asked for is wrong: what, a line each.
    Invalid(Vec<String>),
    /// The store, or the gateway, cannot do it now: why.
    Unavailable(String),
}

/// Null is said too.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

/// What cannot be taken away is not null.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

fn shown_once<S: Serializer>(secret: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret)
}

fn shown_if_any<S: Serializer>(key: &Option<Zeroizing<String>>, to: S) -> Result<S::Ok, S::Error> {
    key.as_deref().serialize(to)
}

/// Characters of an id of somebody else's making, and of a name to sign in with.
pub const ID_CHARACTERS: usize = 128;
/// Characters that a secret of somebody else's making has at least: guessing it has to be hopeless, because nothing slows it
/// down but attempts.
pub const SECRET_CHARACTERS: usize = 16;
/// Octets of it at the most.
pub const SECRET_OCTETS: usize = 1_024;
/// Characters that a password has at least.
pub const PASSWORD_CHARACTERS: usize = 8;
/// Octets of a password at the most. A longer one is refused, and never cut.
pub const PASSWORD_OCTETS: usize = 128;
/// Octets of what people call something.
pub const NAME_OCTETS: usize = 256;
/// Scopes that somebody may have.
pub const SCOPES: usize = 256;
/// Octets of attributes, written as JSON.
pub const ATTRIBUTES_OCTETS: usize = 16 * 1_024;
