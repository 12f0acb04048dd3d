//! Passwords: argon2id (RFC 9106) by few at a time.
//!
//! Hashing one takes megabytes and tens of milliseconds of a core: as many run at once as half the cores, some more
//! wait, and who comes then is told so; those that forward requests go before those that hash, which let others have the
//! processor every few microseconds. A flood of sign-ins slows sign-ins, and nothing else (threats T2).

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, yield_now};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Params, Version};
use argon2id::{Costs, Memory, argon2id};
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, oneshot};
use zeroize::Zeroizing;

use crate::authority::clock;
use crate::mint::managed::PASSWORD_OCTETS;
use crate::store::error::StoreError;

/// Where passwords are hashed.
pub(in crate::authority) struct Hashing {
    pub(in crate::authority) running: Arc<Semaphore>,
    /// Places for those that run and those that wait.
    pub(in crate::authority) places: Arc<Semaphore>,
    /// What is kept for those that wait: as many at most as run.
    spare: Arc<Mutex<Vec<Memory>>>,
}

/// What a password is compared with.
#[derive(Clone)]
pub(in crate::authority) enum Known {
    /// A PHC string.
    Hash(Box<str>),
    /// A keyed hash of a password that a list has in clear, and a PHC string that is hashed with all the same.
    Listed([u8; 32], Box<str>),
}

/// Too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::authority) struct Overloaded;

impl Hashing {
    pub(in crate::authority) fn new(cores: usize) -> Self {
        let running = (cores / 2).max(1);
        Self {
            running: Arc::new(Semaphore::new(running)),
            places: Arc::new(Semaphore::new(running + WAITING)),
            spare: Arc::default(),
        }
    }

    /// Does work that hashes, once it is its turn.
    pub(in crate::authority) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Overloaded)?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Overloaded)?;
        let (tell, done) = oneshot::channel();
        let (spare, waiting) = (Arc::clone(&self.spare), Arc::clone(&self.places));
        // A thread of its own costs a thousandth of what it does.
        let spawned = Builder::new().name("hashing".into()).spawn(move || {
            let spare = || spare.lock().unwrap_or_else(PoisonError::into_inner);
            let mut memory = spare().pop().unwrap_or_default();
            let done = work(&mut memory);
            // Whoever waits goes on with it; where nobody does, all is given back.
            if waiting.available_permits() < WAITING {
                spare().push(memory);
            } else {
                spare().clear();
            }
            // Who hangs up does not make room for another: what runs keeps its place until it has ended.
            drop((turn, place));
            // Whoever asked may have gone.
            let _ = tell.send(done);
        });
        spawned.map_err(|_| Overloaded)?;
        done.await.map_err(|_| Overloaded)
    }
}

/// Whether a password can be one at all. A longer one is refused and not cut: what is cut off would not count.
pub(in crate::authority) fn fits(password: &str) -> bool {
    !password.is_empty() && password.len() <= PASSWORD_OCTETS
}

/// Works for a tag, and lets whoever waits for the processor go first: for as long as there is patience, so that somebody
/// signs in on a machine that is never idle, too.
fn tag_of(password: &str, salt: &[u8], costs: &Params, tag: &mut [u8], memory: &mut Memory) {
    let costs = Costs { memory: costs.m_cost(), passes: costs.t_cost(), lanes: costs.p_cost() };
    let mut given = Duration::ZERO;
    let mut pause = || {
        if given < PATIENCE {
            let begun = Instant::now();
            yield_now();
            given += begun.elapsed();
        }
    };
    argon2id(password.as_bytes(), salt, costs, tag, memory, &mut pause);
}

/// Hashes a password that is to be kept.
pub(in crate::authority) fn hash(
    password: &Zeroizing<String>,
    costs: &Params,
    memory: &mut Memory,
) -> Result<Box<str>, StoreError> {
    let salt: [u8; SALT] = clock::random()?;
    let mut tag = Zeroizing::new([0; HASH]);
    tag_of(password, &salt, costs, tag.as_mut_slice(), memory);
    Ok(written(costs, &salt, tag.as_slice()))
}

/// Whether it is the password that a PHC string was made from: work as its costs say, and none for one that is not ours.
pub(in crate::authority) fn verify(password: &str, known: &str, memory: &mut Memory) -> bool {
    let Some((parsed, costs)) = read(known) else { return false };
    let (Some(salt), Some(hash)) = (parsed.salt, parsed.hash) else { return false };
    let mut made = Zeroizing::new([0; Output::MAX_LENGTH]);
    let Some(made) = made.get_mut(..hash.len()) else { return false };
    tag_of(password, &salt, &costs, made, memory);
    made.ct_eq(hash.as_bytes()).into()
}

/// Whether a PHC string was made with these costs.
pub(in crate::authority) fn costs(known: &str, costs: &Params) -> bool {
    read(known).is_some_and(|(_, of)| {
        (of.m_cost(), of.t_cost(), of.p_cost()) == (costs.m_cost(), costs.t_cost(), costs.p_cost())
    })
}

/// A PHC string of argon2id that is not dearer than any that is sensible.
fn read(known: &str) -> Option<(PasswordHash, Params)> {
    let parsed = PasswordHash::new(known).ok()?;
    let costs = Params::try_from(&parsed).ok()?;
    let is_ours = parsed.algorithm.as_str() == "argon2id"
        && parsed.version == Some(Version::V0x13.into())
        // Data that is hashed with it: somebody else's, which nobody brings.
        && costs.data().is_empty();
    let bounded = costs.m_cost() <= MEMORY && costs.t_cost() <= PASSES && costs.p_cost() <= LANES;
    (is_ours && bounded).then_some((parsed, costs))
}

/// Whether a text is such a string.
pub(in crate::authority) fn is_hash(text: &str) -> bool {
    read(text).is_some_and(|(parsed, _)| parsed.salt.is_some() && parsed.hash.is_some())
}

/// A PHC string that no password has, at these costs: what is hashed with where nobody is meant.
pub(in crate::authority) fn decoy(costs: &Params) -> Box<str> {
    let octets: [u8; SALT + HASH] = clock::random().unwrap_or([1; SALT + HASH]);
    let (salt, hash) = octets.split_at(SALT);
    written(costs, salt, hash)
}

/// A PHC string.
fn written(costs: &Params, salt: &[u8], hash: &[u8]) -> Box<str> {
    let base64 = |octets: &[u8]| base64_simd::STANDARD_NO_PAD.encode_to_string(octets);
    let (m, t, p) = (costs.m_cost(), costs.t_cost(), costs.p_cost());
    format!("$argon2id$v=19$m={m},t={t},p={p}${}${}", base64(salt), base64(hash)).into()
}

/// What one that hashes gives others of its time: a password of the usual costs takes a fifth of that.
const PATIENCE: Duration = Duration::from_millis(100);
/// Sign-ins that wait for their turn: at thirty milliseconds each, the last of them waits two seconds.
pub(in crate::authority) const WAITING: usize = 64;
/// Octets of a salt and of a hash.
const SALT: usize = 16;
const HASH: usize = 32;
/// What hashes of somebody else's making may cost: KiB of memory, passes, and lanes.
const MEMORY: u32 = 1024 * 1024;
const PASSES: u32 = 16;
const LANES: u32 = 16;
