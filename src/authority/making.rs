//! Tokens made from a grant, and tokens that were made once believed again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::authority::answer::Refusal;
use crate::authority::clock;
use crate::authority::credential::{self, Principal};
use crate::authority::endpoints::Endpoints;
use crate::authority::families::{Family, Given};
use crate::authority::filling::Made;
use crate::authority::grant::{Grant, Said};
use crate::authority::opaque::{Looked, NewToken};
use crate::authority::trouble::Trouble;
use crate::config::Issuer;
use crate::config::minted::{Format, Minted};
use crate::gate::held;
use crate::gate::memo::TokenFacts;
use crate::keys::Verified;
use crate::mint::opaque;
use crate::revocation::key::Key;
use crate::revocation::{Asked, Kind};
use crate::snapshot::Snapshot;
use crate::token::NumericDate;
use crate::token::claims::Claims;

impl From<Trouble> for Refusal {
    /// What stands in our own way; nothing of it is told but that it does.
    fn from(trouble: Trouble) -> Self {
        let mut refusal = Self::new(trouble.reason());
        if let Trouble::Overloaded | Trouble::Store(_) | Trouble::NoKey = trouble {
            refusal.retry_after = Some(1);
        }
        if let Trouble::Fault(what) = trouble {
            tracing::error!(what, "a token could not be made");
        }
        refusal
    }
}

impl Endpoints {
    /// Makes the tokens of a grant, in order, all of one moment: at that one `principal` counts still. Where a refresh token
    /// is among them a family begins.
    pub async fn make(
        &self,
        tokens: &[Arc<Minted>],
        grant: &Grant,
        principal: &Principal,
    ) -> Result<Vec<Made>, Refusal> {
        let now = self.moment(tokens, grant).await?;
        // What the tokens are made for was proven some time ago. Whatever takes it away from here on stops them.
        if !credential::still_counts(self, principal, NumericDate(now)) {
            return Err(Refusal::new("bad_credential"));
        }
        let mut made = Vec::with_capacity(tokens.len());
        for minted in tokens {
            let said = grant.tokens.get(&minted.name).ok_or_else(Refusal::internal)?;
            made.push(match &minted.format {
                Format::Refresh { .. } => {
                    let given =
                        self.authority.families.begin(minted, self.family(minted, tokens, grant, now));
                    of_family(minted, given.await?)
                }
                Format::Jwt { .. } | Format::Opaque { .. } => self.one(minted, said, now).await?,
            });
        }
        Ok(made)
    }

    /// Makes one token that says this.
    pub async fn one(&self, minted: &Minted, said: &Said, now: i64) -> Result<Made, Refusal> {
        let issuer = self.issuer_of(minted).ok_or_else(Refusal::internal)?;
        let expires = now.saturating_add(said.lifetime);
        let mut claims = said.claims.clone();
        let own: [(&str, Value); 3] =
            [("iss", (&*issuer.issuer).into()), ("iat", now.into()), ("exp", expires.into())];
        claims.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let text = match &minted.format {
            Format::Jwt { .. } => self.authority.signing.sign(&minted.name, &claims)?,
            Format::Opaque { shape, .. } => {
                let text = opaque::token(shape, &mut clock::fill).map_err(Trouble::from)?;
                let new = NewToken { token: &minted.name, text: &text, claims: &claims };
                self.authority.opaque.issue(new).await?;
                text
            }
            Format::Refresh { .. } => return Err(Refusal::internal()),
        };
        Ok(Made { name: minted.name.clone(), text, expires, refresh: false })
    }

    /// The family that a refresh token of this grant begins.
    fn family(&self, minted: &Minted, tokens: &[Arc<Minted>], grant: &Grant, now: i64) -> Family {
        let said = grant.tokens.get(&minted.name).map_or(0, |said| said.lifetime);
        let beside = tokens.iter().filter(|token| token.issuer.is_some());
        let beside =
            beside.filter_map(|token| Some((token.name.clone(), self.issuer_of(token)?.issuer.clone())));
        let lives = tokens.iter().filter_map(|token| {
            let leeway = self.issuer_of(token)?.leeway;
            Some(grant.tokens.get(&token.name)?.lifetime.saturating_add(seconds(leeway)))
        });
        Family {
            session: grant.session.clone(),
            token: minted.name.clone(),
            beside: beside.collect(),
            subject: grant.subject.clone(),
            credential: grant.credential.clone(),
            holder: grant.id.clone(),
            scopes: grant.scopes.clone(),
            carried: grant.carried(now),
            expires: NumericDate(now.saturating_add(said)),
            life: lives.max().unwrap_or(0),
        }
    }

    /// The moment at which a token of this grant may be said to be made. A watermark stops every token of the second it falls
    /// in: whoever signs in again at once gets one of the next. What is blocked gets none.
    async fn moment(&self, tokens: &[Arc<Minted>], grant: &Grant) -> Result<i64, Refusal> {
        for _ in 0..MOMENTS {
            let (now, milliseconds) = (clock::now().0, clock::milliseconds());
            if !self.is_stopped(tokens, grant, now) {
                return Ok(now);
            }
            if self.is_stopped(tokens, grant, now.saturating_add(2)) {
                return Err(Refusal::new("bad_credential"));
            }
            tokio::time::sleep(Duration::from_millis(1_000 - milliseconds % 1_000)).await;
        }
        Err(Refusal::new("bad_credential"))
    }

    /// Whether a token that is made now would be revoked already.
    fn is_stopped(&self, tokens: &[Arc<Minted>], grant: &Grant, now: i64) -> bool {
        let snapshot = self.reader.load();
        if snapshot.revocations.is_empty() {
            return false;
        }
        tokens.iter().filter_map(|minted| Some((minted, self.issuer_of(minted)?))).any(|(minted, issuer)| {
            let key = |kind, value: &str| (kind, Key::new(kind, &issuer.issuer, value));
            let mut keys = vec![
                (Kind::All, Key::new(Kind::All, "", "")),
                key(Kind::Issuer, ""),
                key(Kind::Subject, &grant.subject),
                key(Kind::Client, &grant.id),
                key(Kind::Session, &grant.session),
            ];
            keys.extend(
                grant.tokens.get(&minted.name).map(|said| said_by(&issuer, said)).unwrap_or_default(),
            );
            let issued_at = Some(NumericDate(now));
            let asked = Asked { keys: &keys, issued_at, leeway: seconds(issuer.leeway) };
            snapshot.revocations.revoked(&asked, NumericDate(now)).is_some()
        })
    }

    /// Believes a JWT or an opaque token of one of these as a route would.
    pub fn believed(&self, tokens: &[Arc<Minted>], text: &str) -> Option<(Arc<Minted>, TokenFacts)> {
        let snapshot = self.reader.load();
        let now = clock::now();
        tokens.iter().find_map(|minted| {
            let facts = match &minted.format {
                Format::Jwt { .. } => {
                    held::verified(&snapshot, text, &[self.place(&snapshot, minted)?], now).ok()
                }
                Format::Opaque { .. } => {
                    let Looked::Known(claims) = self.authority.opaque.look_up(&minted.name, text, now) else {
                        return None;
                    };
                    let verified = Verified::of_record(Claims::parse(&claims).ok()?);
                    held::judged(&snapshot, self.place(&snapshot, minted)?, verified, now).ok()
                }
                Format::Refresh { .. } => None,
            }?;
            Some((Arc::clone(minted), facts))
        })
    }

    /// The family of a refresh token of one of these, if it counts.
    pub fn family_of(&self, tokens: &[Arc<Minted>], text: &str) -> Option<(Arc<Minted>, Arc<Family>)> {
        let now = clock::now();
        tokens.iter().find_map(|minted| {
            let family = self.authority.families.find(minted, text, now)?;
            // Its session may have been ended by an entry.
            self.left_of(&family, now).map(|_| (Arc::clone(minted), family))
        })
    }

    /// Seconds for which what a family gives may live; nothing where it gives nothing any more: what it was begun with is
    /// revoked, or whose it is does not count.
    pub fn left_of(&self, family: &Family, now: NumericDate) -> Option<i64> {
        let left = credential::left(self, &family.credential, &family.holder, now)?;
        (!self.is_over(family, now)).then_some(left)
    }

    /// Whether revocations stop what a family was begun with: it is as old as its sign-in, however new its tokens are, or a
    /// watermark would stop the tokens of the moment and nobody who can have new ones.
    fn is_over(&self, family: &Family, now: NumericDate) -> bool {
        let snapshot = self.reader.load();
        if snapshot.revocations.is_empty() {
            return false;
        }
        let tokens = Grant::of_family(family).map(|grant| grant.tokens).unwrap_or_default();
        let config = self.config();
        family.beside.iter().any(|(name, iss)| {
            let issuer = config.issuers.iter().find(|issuer| issuer.name == *name && issuer.issuer == *iss);
            let key = |kind, value: &str| (kind, Key::new(kind, iss, value));
            let mut keys = vec![
                (Kind::All, Key::new(Kind::All, "", "")),
                key(Kind::Issuer, ""),
                key(Kind::Session, &family.session),
                key(Kind::Client, &family.holder),
                key(Kind::Subject, &family.subject),
            ];
            if let (Some(issuer), Some(said)) = (issuer, tokens.get(name)) {
                keys.extend(said_by(issuer, said));
            }
            let began = family.carried.get(BEGAN).and_then(Value::as_i64).map(NumericDate);
            let asked = Asked { keys: &keys, issued_at: began, leeway: 0 };
            snapshot.revocations.revoked(&asked, now).is_some()
        })
    }

    /// The issuer that routes trust a token by.
    pub fn issuer_of(&self, minted: &Minted) -> Option<Arc<Issuer>> {
        self.config().issuers.get(minted.issuer?).cloned()
    }

    /// Its place in a snapshot, which may be of another configuration than the endpoint.
    pub fn place(&self, snapshot: &Snapshot, minted: &Minted) -> Option<usize> {
        minted.issuer?;
        snapshot.issuers.iter().position(|state| state.config.name == minted.name)
    }
}

/// What revocations may name a token by that says this: tenants, declared claims and all else but its own id, which is of one
/// token alone.
fn said_by(issuer: &Issuer, said: &Said) -> Vec<(Kind, Key)> {
    let claims = serde_json::to_vec(&said.claims).ok().and_then(|text| Claims::parse(&text).ok());
    let Some(claims) = claims else { return Vec::new() };
    let named = held::named(issuer, &Verified::of_record(claims));
    named.into_iter().filter(|(kind, _)| *kind != Kind::Jti).collect()
}

/// A refresh token as it is given.
pub fn of_family(minted: &Minted, Given { text, family }: Given) -> Made {
    let text = Zeroizing::new(text.to_string());
    Made { name: minted.name.clone(), text, expires: family.expires.0, refresh: true }
}

impl Grant {
    /// As a family carries it.
    fn carried(&self, began: i64) -> Map<String, Value> {
        let tokens = serde_json::to_value(&self.tokens).unwrap_or_default();
        let (began, own) = ((BEGAN.to_owned(), began.into()), (OWN.to_owned(), self.own.into()));
        Map::from_iter([(TOKENS.to_owned(), tokens), began, own])
    }

    /// What a family was issued with.
    pub fn of_family(family: &Family) -> Option<Self> {
        let tokens = serde_json::from_value(family.carried.get(TOKENS)?.clone()).ok()?;
        Some(Self {
            credential: family.credential.clone(),
            id: family.holder.clone(),
            subject: family.subject.clone(),
            scopes: family.scopes.clone(),
            // Of families that are older than this, nobody knows.
            own: family.carried.get(OWN).and_then(Value::as_bool).unwrap_or_default(),
            session: family.session.clone(),
            tokens,
        })
    }
}

/// Whole seconds.
pub fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Seconds that a sign-in may wait for a watermark to pass: it is never more than one ahead.
const MOMENTS: usize = 3;

/// The member under which a family carries what its tokens say.
const TOKENS: &str = "tokens";

/// And the one under which it carries when it began.
const BEGAN: &str = "began";

/// And the one under which it carries whether its scopes were the holder's own.
const OWN: &str = "own";
