//! Tokens that only whoever issued them can read: asked about at their issuer (RFC 7662), and remembered for a little while.
//!
//! One question is under way about a token, however many requests come with it. An answer counts for no longer than `cache`,
//! and not beyond the token's `exp`; that a token does not count is remembered likewise. A provider in trouble is asked by one
//! request a second, and all others are told at once that it cannot be asked: that is no answer about any token, and none is
//! remembered. One that answers, and not about this token, is in no trouble: whoever sends strange tokens would keep
//! everybody's from being asked about.

mod asking;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::sync::watch;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::config::{Introspection, Issuer, KeySource, Records};
use crate::control::introspection::asking::{Asked, Question, asked};
use crate::control::key_fetch::client::Client;
use crate::token::claims::Claims;

/// Asks issuers about their tokens. One for the process.
#[derive(Default)]
pub struct Introspections {
    client: Arc<Client>,
    providers: Mutex<BTreeMap<Box<str>, Arc<Provider>>>,
}

/// What asking came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The token counts, and says this.
    Active(Arc<Claims>),
    /// It does not.
    Inactive,
    /// Nobody can say now.
    Unavailable,
}

/// One issuer, as it was configured, and what is known of its tokens.
struct Provider {
    issuer: Arc<Issuer>,
    secret: Zeroizing<Vec<u8>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By SHA-256 of the token.
    answers: HashMap<Hash, (Answer, Instant)>,
    /// The same, the oldest first.
    order: VecDeque<Hash>,
    /// Questions under way.
    asking: HashMap<Hash, watch::Receiver<Option<Answer>>>,
    /// The last question failed: until then none is asked, and then one.
    troubled: Option<Instant>,
}

type Hash = [u8; 32];

/// What is done about a token.
enum Way {
    Known(Answer),
    Wait(watch::Receiver<Option<Answer>>),
    Ask(watch::Sender<Option<Answer>>, watch::Receiver<Option<Answer>>),
}

impl Introspections {
    /// What its issuer says of a token, with the secret that the gateway has there. Bounded by the issuer's `timeout`.
    pub async fn ask(&self, issuer: &Arc<Issuer>, secret: &Zeroizing<Vec<u8>>, token: &str) -> Answer {
        let KeySource::Records(Records::Introspection(source)) = &issuer.keys.value else {
            return Answer::Unavailable;
        };
        let provider = self.provider(issuer, secret);
        let key = hash(token);
        let way = provider.lock().way(key, Instant::now());
        let mut answer = match way {
            Way::Known(answer) => return answer,
            Way::Wait(answer) => answer,
            Way::Ask(sender, answer) => {
                let question = Question::new(issuer, source, secret, token);
                let client = Arc::clone(&self.client);
                // On a task of its own: others may wait for the answer when this request is gone.
                tokio::spawn(async move {
                    let answer = match question {
                        Some(question) => asked(&client, question).await,
                        None => Asked::Trouble,
                    };
                    provider.end(key, answer, &sender);
                });
                answer
            }
        };
        let found = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
        found.unwrap_or(Answer::Unavailable)
    }

    /// What is known of an issuer: nothing, once it is configured otherwise.
    fn provider(&self, issuer: &Arc<Issuer>, secret: &Zeroizing<Vec<u8>>) -> Arc<Provider> {
        let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = providers.get(&issuer.name) {
            let same = Arc::ptr_eq(&provider.issuer, issuer) || provider.issuer == *issuer;
            if same && provider.secret == *secret {
                return Arc::clone(provider);
            }
        }
        let state = Mutex::default();
        let new = Arc::new(Provider { issuer: Arc::clone(issuer), secret: secret.clone(), state });
        providers.insert(issuer.name.clone(), Arc::clone(&new));
        new
    }
}

impl Provider {
    /// Ends a question.
    fn end(&self, key: Hash, answer: Asked, waiting: &watch::Sender<Option<Answer>>) {
        let (now, name) = (Instant::now(), &*self.issuer.name);
        let mut state = self.lock();
        state.asking.remove(&key);
        let answered = match answer {
            Asked::Answer(answer, lasts) => Some((answer, lasts)),
            Asked::NotThis => Some((Answer::Unavailable, COOLDOWN)),
            Asked::Trouble => None,
        };
        let said = match answered {
            Some((answer, lasts)) => {
                if state.troubled.take().is_some() {
                    tracing::info!(issuer = name, "tokens can be asked about again");
                }
                state.remember(key, answer.clone(), now + lasts, now);
                answer
            }
            None => {
                state.troubled = Some(now + COOLDOWN);
                Answer::Unavailable
            }
        };
        drop(state);
        // Whoever waited may be gone.
        let _ = waiting.send(Some(said));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn way(&mut self, key: Hash, now: Instant) -> Way {
        if let Some((answer, _)) = self.answers.get(&key).filter(|(_, until)| *until > now) {
            return Way::Known(answer.clone());
        }
        if let Some(answer) = self.asking.get(&key) {
            return Way::Wait(answer.clone());
        }
        let probe = self.troubled.is_some();
        let resting = self.troubled.is_some_and(|until| until > now);
        if resting || probe && !self.asking.is_empty() || self.asking.len() >= ASKING {
            return Way::Known(Answer::Unavailable);
        }
        let (sender, answer) = watch::channel(None);
        self.asking.insert(key, answer.clone());
        Way::Ask(sender, answer)
    }

    fn remember(&mut self, key: Hash, answer: Answer, until: Instant, now: Instant) {
        if self.answers.insert(key, (answer, until)).is_none() {
            self.order.push_back(key);
        }
        // All answers last about as long: the oldest are over first.
        while let Some(oldest) = self.order.front() {
            let over = self.answers.get(oldest).is_none_or(|(_, until)| *until <= now);
            if !over && self.order.len() <= ANSWERS {
                break;
            }
            self.answers.remove(oldest);
            self.order.pop_front();
        }
    }
}

/// For how long an answer counts, and how long it is waited for.
fn times(source: &Introspection) -> (Duration, Duration) {
    (source.cache, source.timeout)
}

fn hash(token: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// Answers that are remembered, of each issuer: some megabytes.
const ANSWERS: usize = 10_000;
/// Questions under way, of each issuer.
const ASKING: usize = 256;
/// For how long a provider in trouble is left alone.
const COOLDOWN: Duration = Duration::from_secs(1);
