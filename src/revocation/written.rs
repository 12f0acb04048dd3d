//! An entry as it is written (config.md section 3), the same in a file, in a request and on a command line: read
//! against a configuration, with every fault at once.

pub mod json;
pub mod presented;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::config::problems::{closest, quoted};
use crate::config::revocation::DeclaredClaim;
use crate::config::{Config, Issuer};
use crate::revocation::{Entry, Kind};
use crate::token::NumericDate;

/// What is written. What is absent is `None`.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the keys of an entry")]
pub struct Written<'w> {
    pub kind: Option<&'w str>,
    pub issuer: Option<&'w str>,
    pub claim: Option<&'w str>,
    pub value: Option<&'w str>,
    pub not_before: Option<i64>,
    pub expires: Option<i64>,
    pub reason: Option<&'w str>,
}

/// Where a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the keys of an entry")]
pub enum Field {
    /// What is missing is nowhere.
    Entry,
    Kind,
    Issuer,
    Claim,
    Value,
    NotBefore,
    Expires,
    Reason,
}

/// One thing that is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub field: Field,
    /// What.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// What entries are read against: the issuers and the claims of a configuration, and the moment.
#[derive(Debug)]
pub struct Vocabulary<'c> {
    now: NumericDate,
    /// By `iss`: how long after its watermark (or its block) no token lives, in seconds.
    lives: HashMap<&'c str, i64>,
    /// The longest of them, and of those that are remembered.
    longest: i64,
    remembered: Option<&'c Lives>,
    claims: &'c [DeclaredClaim],
}

/// By `iss`, how long after its issue a token is accepted, in seconds. What stands under the empty `iss` holds for each.
pub type Lives = BTreeMap<Box<str>, i64>;

impl<'c> Vocabulary<'c> {
    /// Of this configuration. `now` is what a block of a token's id lasts from: [`super::Revocations::latest`], where
    /// there is a set.
    pub fn new(config: &'c Config, now: NumericDate) -> Self {
        let mut lives: HashMap<&str, i64> = HashMap::new();
        for (iss, life) in each_life(config) {
            let longest = lives.entry(iss).or_default();
            *longest = life.max(*longest);
        }
        let longest = lives.values().copied().max().unwrap_or(0);
        let claims = config.revocation.as_ref().map(|revocation| &*revocation.claims).unwrap_or_default();
        Self { now, lives, longest, remembered: None, claims }
    }

    /// The same for entries that outlive this configuration: what ends by default ends no sooner than by any of these, or a
    /// longer life in a later configuration would bring back what was revoked under a shorter one.
    pub fn remembering(self, lives: &'c Lives) -> Self {
        let longest = lives.values().copied().max().unwrap_or(0).max(self.longest);
        Self { longest, remembered: Some(lives), ..self }
    }

    /// How long a token of this issuer may live; of one that nobody has ever known, the longest of all.
    fn life(&self, issuer: &str) -> i64 {
        let remembered = |iss: &str| self.remembered.and_then(|lives| lives.get(iss)).copied();
        let known = self.lives.get(issuer).copied().max(remembered(issuer));
        known.map_or(self.longest, |known| known.max(remembered("").unwrap_or(0)))
    }

    /// Whether an issuer of the configuration has this `iss`: an entry of any other matches no token.
    pub fn has_issuer(&self, iss: &str) -> bool {
        self.lives.contains_key(iss)
    }

    /// Reads one, or says everything that is wrong with it.
    pub fn read(&self, written: &Written<'_>) -> Result<Entry, Vec<Fault>> {
        let mut faults = Vec::new();
        let kind = required(written.kind, "kind", Field::Kind, &mut faults)
            .and_then(|kind| read_kind(kind, &mut faults));
        let dates = [("not_before", Field::NotBefore), ("expires", Field::Expires)];
        for ((_, field), date) in dates.into_iter().zip([written.not_before, written.expires]) {
            faults.extend(date.filter(|date| !is_date(*date)).map(|date| no_date(field, date)));
        }
        let (issuer, claim, value) = match kind {
            Some(kind) => self.whose(kind, written, &mut faults),
            // Which of the others it needs is not known: what is there and empty is wrong anyway.
            None => (
                required(written.issuer.or(Some("-")), "issuer", Field::Issuer, &mut faults),
                None,
                required(written.value.or(Some("-")), "value", Field::Value, &mut faults),
            ),
        };
        let (Some(kind), true) = (kind, faults.is_empty()) else { return Err(faults) };
        let issuer = issuer.unwrap_or_default();
        let not_before = written.not_before.map(NumericDate);
        let life = self.life(issuer);
        let expires = written.expires.map(NumericDate);
        Ok(Entry {
            kind,
            issuer: issuer.into(),
            claim: claim.unwrap_or_default().into(),
            value: value.unwrap_or_default().into(),
            not_before,
            expires: expires.or_else(|| kind.default_end(not_before, self.now, life)),
            reason: written.reason.map(Into::into),
        })
    }

    /// Issuer, claim and value, of which each kind has its own.
    fn whose<'w>(
        &self,
        kind: Kind,
        written: &Written<'w>,
        faults: &mut Vec<Fault>,
    ) -> (Option<&'w str>, Option<&'w str>, Option<&'w str>)
    where
        'c: 'w,
    {
        let issuer = match kind {
            Kind::All => {
                let hint = "leave it out, or write `kind: issuer`";
                faults.extend(written.issuer.map(|_| unwanted(kind, "issuer", Field::Issuer, hint)));
                None
            }
            Kind::Claim => {
                let only = if self.lives.len() == 1 { self.lives.keys().next().copied() } else { None };
                required(written.issuer.or(only), "issuer", Field::Issuer, faults)
            }
            Kind::Issuer
            | Kind::Kid
            | Kind::Tenant
            | Kind::Client
            | Kind::ApiKey
            | Kind::Subject
            | Kind::Session
            | Kind::Jti => required(written.issuer, "issuer", Field::Issuer, faults),
        };
        let claim = match (kind, written.claim) {
            (Kind::Claim, claim) => required(claim, "claim", Field::Claim, faults),
            (_, None) => None,
            (_, Some(_)) => {
                faults.push(unwanted(kind, "claim", Field::Claim, "`claim` belongs to `kind: claim`"));
                None
            }
        };
        faults.extend(claim.and_then(|claim| self.undeclared(claim)));
        let value = match kind {
            Kind::All | Kind::Issuer => {
                let said_twice = kind == Kind::Issuer && written.value == written.issuer;
                let wrong = written.value.filter(|_| !said_twice);
                let hint = "leave it out: it is about every token";
                faults.extend(wrong.map(|_| unwanted(kind, "value", Field::Value, hint)));
                None
            }
            Kind::Kid
            | Kind::Tenant
            | Kind::Client
            | Kind::ApiKey
            | Kind::Subject
            | Kind::Session
            | Kind::Jti
            | Kind::Claim => required(written.value, "value", Field::Value, faults),
        };
        (issuer, claim, value)
    }

    fn undeclared(&self, claim: &str) -> Option<Fault> {
        if self.claims.iter().any(|declared| &*declared.name == claim) {
            return None;
        }
        let what = format!("{} is no claim that the configuration declares", quoted(claim));
        let declared = self.claims.iter().map(|declared| &*declared.name);
        let hint = match closest(claim, declared) {
            Some(declared) => format!("did you mean `{declared}`?"),
            None => "name it in `revocation.claims`: only declared claims are looked at".to_owned(),
        };
        Some(Fault { field: Field::Claim, what, hint })
    }
}

/// The lives of a configuration.
pub fn lives(config: &Config) -> Lives {
    let mut lives = Lives::new();
    for (iss, life) in each_life(config) {
        let longest = lives.entry(iss.into()).or_default();
        *longest = life.max(*longest);
    }
    lives
}

fn each_life(config: &Config) -> impl Iterator<Item = (&str, i64)> {
    config.issuers.iter().map(|issuer| (&*issuer.issuer, life(issuer)))
}

/// How long an issuer's tokens may live and be accepted, in seconds.
fn life(issuer: &Arc<Issuer>) -> i64 {
    let life = issuer.max_token_lifetime.saturating_add(issuer.leeway).as_secs();
    i64::try_from(life).unwrap_or(i64::MAX)
}

fn required<'w>(text: Option<&'w str>, name: &str, field: Field, faults: &mut Vec<Fault>) -> Option<&'w str> {
    let (field, what) = match text {
        Some("") => (field, format!("`{name}` is empty")),
        Some(text) => return Some(text),
        None => (Field::Entry, format!("an entry without `{name}`")),
    };
    faults.push(Fault { field, what, hint: FORM.to_owned() });
    None
}

fn unwanted(kind: Kind, name: &str, field: Field, hint: &str) -> Fault {
    let what = format!("an entry of kind `{}` has no `{name}`", kind.name());
    Fault { field, what, hint: hint.to_owned() }
}

fn read_kind(kind: &str, faults: &mut Vec<Fault>) -> Option<Kind> {
    let known = Kind::from_name(kind);
    if known.is_none() {
        let names = Kind::ALL.map(Kind::name);
        let hint = closest(kind, names).map_or_else(
            || format!("there are {}", names.join(", ")),
            |name| format!("did you mean `{name}`?"),
        );
        faults.push(Fault { field: Field::Kind, what: format!("there is no kind {}", quoted(kind)), hint });
    }
    known
}

fn is_date(date: i64) -> bool {
    (0..=LATEST).contains(&date)
}

fn no_date(field: Field, date: i64) -> Fault {
    let hint = if date > LATEST { "this looks like milliseconds" } else { "such as 1767225600" };
    Fault { field, what: "a time is a whole number of Unix seconds".to_owned(), hint: hint.to_owned() }
}

/// What an entry looks like.
pub const FORM: &str =
    "{kind: jti, issuer: https://…, value: \"…\", not_before: …, expires: …, reason: \"…\"}";
/// The year 5138: in milliseconds, 1973.
pub const LATEST: i64 = 100_000_000_000;
