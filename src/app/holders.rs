//! The ways in for API keys and people: what the admin listener asks is the authority's to do.

use std::io;
use std::sync::Arc;

use crate::admin::managing::{Doing, Holders, Managing, Name};
use crate::audit::{Asker, Audit, Event};
use crate::authority::signing::{Listed, Manner};
use crate::authority::{Authority, clock};
use crate::mint::managed::{
    KeyChange, KeyMade, KeyShown, Keys, NewKey, NewPerson, NotDone, People, PersonChange, PersonShown,
    Rotation, SigningKeyShown, SigningKeys,
};
use crate::revocation::Kind;
use crate::revocation::key::Key;
use crate::token::Algorithm;

/// Whom a line of the audit file is about: a credential's name, and an id or the hash of one.
type Whom = (String, String);

#[derive(Clone)]
struct Ways {
    authority: Arc<Authority>,
    audit: Option<Arc<Audit>>,
}

/// Wires them. What is asked for is written down before it is done, and is done to its end whoever hangs up.
pub(crate) fn ways(authority: &Arc<Authority>, audit: Option<Arc<Audit>>) -> Managing {
    let ways = Ways { authority: Arc::clone(authority), audit };
    let (add, remove) = (ways.clone(), ways.clone());
    let (signing, rotate) = (Arc::clone(authority), ways.clone());
    Managing {
        keys: keys(&ways),
        add_secret: Arc::new(move |Name { credential, id }, by| {
            let whom = (credential.clone(), id.clone());
            add.done(by, Event::ChangeKey, whom, async move |authority| {
                authority.api_keys.add_secret(&credential, &id).await
            })
        }),
        remove_secret: Arc::new(move |Name { credential, id }, number, by| {
            let whom = (credential.clone(), id.clone());
            remove.done(by, Event::ChangeKey, whom, async move |authority| {
                authority.api_keys.remove_secret(&credential, &id, number).await
            })
        }),
        people: people(&ways),
        signing_keys: Arc::new(move || shown(signing.signing.list(clock::now()))),
        rotate: Arc::new(move |Rotation { algorithm, emergency }, by| {
            let manner = if emergency { Manner::Emergency } else { Manner::Planned };
            let how = if emergency { "emergency" } else { "planned" };
            let whom = (algorithm.clone().unwrap_or_default(), how.to_owned());
            rotate.done(by, Event::RotateKeys, whom, async move |authority| {
                let named =
                    algorithm.as_deref().map(|name| Algorithm::from_name(name).ok_or(NotDone::Unknown));
                let rotated = authority.signing.rotate(named.transpose()?, manner, clock::now()).await;
                match rotated {
                    Ok(keys) if keys.is_empty() => Err(NotDone::Unknown),
                    Ok(keys) => Ok(shown(keys)),
                    Err(error) => Err(NotDone::Unavailable(error.to_string())),
                }
            })
        }),
    }
}

/// Signing keys, for operators.
fn shown(keys: Vec<Listed>) -> SigningKeys {
    let one = |listed: Listed| SigningKeyShown {
        kid: listed.key_id.into(),
        algorithm: listed.algorithm.name().to_owned(),
        state: listed.state.name().to_owned(),
        created: listed.created.0,
        signs_from: listed.signs_from.0,
        signs_until: listed.signs_until.map(|date| date.0),
        published_until: listed.published_until.map(|date| date.0),
    };
    SigningKeys { keys: keys.into_iter().map(one).collect() }
}

fn keys(ways: &Ways) -> Holders<NewKey, KeyMade, KeyChange, KeyShown, Keys> {
    let (make, show, list) = (ways.clone(), Arc::clone(&ways.authority), Arc::clone(&ways.authority));
    let (change, remove) = (ways.clone(), ways.clone());
    Holders {
        make: Arc::new(move |new: NewKey, by| {
            let whom = (new.credential.clone().unwrap_or_default(), new.id.clone().unwrap_or_default());
            make.done(by, Event::MakeKey, whom, async move |authority| authority.api_keys.make(new).await)
        }),
        show: Arc::new(move |Name { credential, id }| show.api_keys.show(&credential, &id)),
        list: Arc::new(move |credential, after, most| {
            let authority = Arc::clone(&list);
            listed(move || authority.api_keys.list(credential.as_deref(), after.as_deref(), most))
        }),
        change: Arc::new(move |Name { credential, id }, changes, by| {
            let whom = (credential.clone(), id.clone());
            change.done(by, Event::ChangeKey, whom, async move |authority| {
                authority.api_keys.change(&credential, &id, changes).await
            })
        }),
        remove: Arc::new(move |Name { credential, id }, by| {
            let whom = (credential.clone(), id.clone());
            remove.done(by, Event::RemoveKey, whom, async move |authority| {
                authority.api_keys.remove(&credential, &id).await
            })
        }),
    }
}

fn people(ways: &Ways) -> Holders<NewPerson, PersonShown, PersonChange, PersonShown, People> {
    let (make, show, list) = (ways.clone(), Arc::clone(&ways.authority), Arc::clone(&ways.authority));
    let (change, remove) = (ways.clone(), ways.clone());
    Holders {
        make: Arc::new(move |new: NewPerson, by| {
            let whom = hashed(new.credential.as_deref().unwrap_or_default(), &new.id);
            make.done(by, Event::MakePerson, whom, async move |authority| authority.people.make(new).await)
        }),
        show: Arc::new(move |Name { credential, id }| show.people.show(&credential, &id)),
        list: Arc::new(move |credential, after, most| {
            let authority = Arc::clone(&list);
            listed(move || authority.people.list(credential.as_deref(), after.as_deref(), most))
        }),
        change: Arc::new(move |Name { credential, id }, changes, by| {
            let whom = hashed(&credential, &id);
            change.done(by, Event::ChangePerson, whom, async move |authority| {
                authority.people.change(&credential, &id, changes).await
            })
        }),
        remove: Arc::new(move |Name { credential, id }, by| {
            let whom = hashed(&credential, &id);
            remove.done(by, Event::RemovePerson, whom, async move |authority| {
                authority.people.remove(&credential, &id).await
            })
        }),
    }
}

impl Ways {
    /// Writes down what is asked for, and does it, in a task of its own.
    fn done<T: Send + 'static, W: Future<Output = Result<T, NotDone>> + Send + 'static>(
        &self,
        by: Asker,
        event: Event,
        whom: Whom,
        work: impl FnOnce(Arc<Authority>) -> W + Send + 'static,
    ) -> Doing<T> {
        let Self { authority, audit } = self.clone();
        let done = async move {
            asked(audit, by, event, whom).await?;
            work(authority).await
        };
        Box::pin(async move { tokio::spawn(done).await.unwrap_or_else(|_| Err(stopped())) })
    }
}

/// Looks at all of them, on a thread that may take its time.
fn listed<T: Send + 'static>(list: impl FnOnce() -> Result<T, NotDone> + Send + 'static) -> Doing<T> {
    Box::pin(async move { tokio::task::spawn_blocking(list).await.unwrap_or_else(|_| Err(stopped())) })
}

/// Writes down what is going to be done.
async fn asked(
    audit: Option<Arc<Audit>>,
    by: Asker,
    event: Event,
    (credential, holder): Whom,
) -> Result<(), NotDone> {
    let Some(audit) = audit else { return Ok(()) };
    let write = move || audit.asked_of(&by, event, &credential, &holder);
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| {
        tracing::error!(%error, "the audit file cannot be written");
        NotDone::Unavailable(format!("the audit file cannot be written: {error}; nothing has changed"))
    })
}

/// A person, as they are written down: not by their name.
fn hashed(credential: &str, id: &str) -> Whom {
    let Key(key) = Key::new(Kind::Subject, credential, id);
    (credential.to_owned(), format!("{:032x}", u128::from_be_bytes(key)))
}

fn stopped() -> NotDone {
    NotDone::Unavailable("the gateway is stopping; it may be so after the start".to_owned())
}
