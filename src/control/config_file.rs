//! From a path to everything that can be published: the configuration and every file and variable it names.
//!
//! All or nothing: any problem anywhere refuses the whole, and every problem is reported at once. Nothing is
//! fetched here. Secrets are read, used and wiped; what is kept of them is digests and prepared keys.

mod certificates;
mod graphql;
mod material;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::config::defaults::{GRAPHQL_SCHEMA, SAFELIST_OCTETS};
use crate::config::material::Material;
use crate::config::problems::{Position, Problem, Problems};
use crate::config::{self, Config, Context, Issuer, KeySource, Secret, SecretSource};
use crate::control::files::Files;
use crate::control::key_fetch::mirror::Mirror;
use crate::control::key_fetch::{AtHand, is_fetched, same_source};
use crate::control::{clock, revocation_file};
use crate::keys::KeySet;
use crate::keys::jwk::{self, KeySetError, SkippedKey};
use crate::policy::route::Routes;
use crate::revocation::Revocations;
use crate::snapshot::{Change, Keys, Snapshot};

/// A configuration that loaded, and everything it names.
#[derive(Debug)]
pub struct Loaded {
    /// As parsed.
    pub config: Config,
    /// What to publish: always a [`Change::Config`]. Of issuers whose tokens are made here it has no keys.
    pub change: Change,
    /// What it names and does not hold.
    pub material: Material,
    /// What the operator should know; nothing that refuses.
    pub warnings: Vec<Problem>,
    /// The admin listener's token, if it has one.
    pub admin_token: Option<SecretString>,
    /// What the mirror held of fetched issuers, by name.
    pub at_hand: BTreeMap<Box<str>, AtHand>,
    /// The files it was made of.
    pub files: Files,
}

/// One attempt to load: the files it came to are known even if it failed.
#[derive(Debug)]
pub struct Attempt {
    /// Every file that was asked for.
    pub files: Files,
    /// What came of it; the files stand beside.
    pub result: Result<Loaded, Problems>,
}

/// The environment of a load.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads the file and everything it names (secrets, PEM, JWKS and revocation files), parses, compiles; nothing
/// is fetched. Keys of fetched issuers whose source is as in `previous` are its keys; of others, the mirror's.
pub fn load(path: &Path, env: Env<'_>, previous: Option<&Snapshot>) -> Result<Loaded, Problems> {
    let Attempt { files, result } = attempt(path, env, previous);
    result.map(|loaded| Loaded { files, ..loaded })
}

/// The same, when a failure's files are of interest too.
pub fn attempt(path: &Path, env: Env<'_>, previous: Option<&Snapshot>) -> Attempt {
    let mut files = Files::default();
    let result = read(path, env, &mut files).and_then(|(text, config, warnings)| {
        let directory = std::path::absolute(path).unwrap_or_default().with_file_name("");
        let mut loader = Loader { env, directory, files: &mut files, problems: Vec::new(), warnings };
        let mut revocation = None;
        let loaded = loader.load(config, previous, &mut revocation);
        let Loader { problems, warnings, .. } = loader;
        match refusal(path, &text, &loaded.config, problems, revocation) {
            Some(problems) => Err(problems),
            None => Ok(Loaded { warnings: once(warnings), ..loaded }),
        }
    });
    Attempt { files, result }
}

fn read(path: &Path, env: Env<'_>, files: &mut Files) -> Result<(String, Config, Vec<Problem>), Problems> {
    let name = &*path.display().to_string();
    let refuse = |what: String| Problems {
        file: name.to_owned(),
        text: Arc::from(""),
        list: vec![Problem::new(START, what)],
    };
    // Absolute: what it names is found even after the process changes its directory.
    let path =
        std::path::absolute(path).map_err(|error| refuse(format!("the path cannot be used: {error}")))?;
    let content =
        files.read(&path, MOST_CONFIG).map_err(|why| refuse(cannot_read("configuration", &path, &why)))?;
    let text = str::from_utf8(&content.octets).map_err(|_| refuse("the file is not UTF-8".to_owned()))?;
    let directory = path.parent().unwrap_or(&path);
    let (config, warnings) = config::parse(text, &Context { name, directory, env })?;
    Ok((text.to_owned(), config, warnings))
}

/// What the problems come to, as those of one file. The revocation file's own stand for themselves if there are
/// no others; else they stand where the configuration names it.
fn refusal(
    path: &Path,
    text: &str,
    config: &Config,
    mut problems: Vec<Problem>,
    revocation: Option<Problems>,
) -> Option<Problems> {
    if problems.is_empty() {
        return revocation;
    }
    let at = config.revocation.as_ref().map_or(START, |revocation| revocation.at);
    if let Some(Problems { file, list, .. }) = revocation {
        problems.extend(list.into_iter().map(|problem| named(&file, at, problem)));
    }
    problems.sort_by_key(|problem| problem.at);
    // No snippet of a file that has a secret in it.
    let text = if has_inline_secret(config) { "" } else { text };
    Some(Problems { file: path.display().to_string(), text: text.into(), list: problems })
}

/// Each warning once: one file may hold several secrets' place.
fn once(warnings: Vec<Problem>) -> Vec<Problem> {
    let mut kept: Vec<Problem> = Vec::with_capacity(warnings.len());
    for warning in warnings {
        if !kept.contains(&warning) {
            kept.push(warning);
        }
    }
    kept
}

/// A problem of another file, said where the configuration names that file.
fn named(file: &str, at: Position, problem: Problem) -> Problem {
    let Position { line, column } = problem.at;
    Problem { at, what: format!("{file}:{line}:{column}: {}", problem.what), hint: problem.hint }
}

fn has_inline_secret(config: &Config) -> bool {
    let admin = config.admin.iter().filter_map(|admin| admin.token.as_ref());
    let issuers = config.issuers.iter().filter_map(|issuer| issuer.keys.value.secret());
    let listeners = config.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let shown = listeners.flat_map(|tls| &tls.certificates);
    let upstreams = config.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref()?.client.as_ref());
    let certificates = shown.chain(upstreams).map(|files| &files.private_key);
    let minted = config.authority.secrets();
    admin
        .chain(issuers)
        .chain(certificates)
        .chain(minted)
        .any(|secret| matches!(secret.source, SecretSource::Inline(_)))
}

/// What a file holds, and so who may read and write it and how large it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Secret,
    PublicKeys,
    Revocations,
    Certificates,
    Entries,
    Schema,
    Safelist,
}

struct Loader<'a> {
    env: Env<'a>,
    directory: PathBuf,
    files: &'a mut Files,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Loader<'_> {
    /// Loads what `config` names. Where there is a problem something stands in, and is never published.
    fn load(
        &mut self,
        mut config: Config,
        previous: Option<&Snapshot>,
        revocation: &mut Option<Problems>,
    ) -> Loaded {
        self.graphql(&mut config);
        let admin_token =
            config.admin.as_ref().and_then(|admin| admin.token.as_ref()).and_then(|token| self.token(token));
        let mut at_hand = BTreeMap::new();
        let mut issuers = Vec::with_capacity(config.issuers.len());
        for issuer in &config.issuers {
            let keys = if is_fetched(&issuer.keys.value) {
                self.fetched(&config, issuer, previous, &mut at_hand)
            } else {
                let set = self.key_set(issuer);
                set.map_or(Keys::Unavailable, |set| Keys::Ready { set: Arc::new(set), fetched: false })
            };
            issuers.push((Arc::clone(issuer), keys));
        }
        let listeners = self.listeners(&config, previous);
        let clients = self.clients(&config, previous);
        let revocations = self.revocations(&config, previous).unwrap_or_else(|problems| {
            *revocation = problems;
            Revocations::default()
        });
        let change = Change::Config {
            routes: Arc::new(Routes::compile_with(&config, &clients)),
            issuers,
            revocations: Arc::new(revocations),
            listeners,
            token_limit: config.limits.token,
        };
        let material = self.material(&config);
        let (warnings, files) = (Vec::new(), Files::default());
        Loaded { config, change, warnings, admin_token, material, at_hand, files }
    }

    /// The admin token: what can stand in `Authorization: Bearer` (RFC 6750 section 2.1).
    fn token(&mut self, secret: &Secret) -> Option<SecretString> {
        let octets = self.secret(secret)?;
        let word = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(octet);
        let token = str::from_utf8(&octets).ok().filter(|token| token.as_bytes().iter().all(word));
        if token.is_none() {
            let what = "the admin token holds a character that no bearer token can have";
            self.problems.push(Problem::new(secret.at, what).hint("letters, digits and -._~+/= only"));
        }
        token.map(SecretString::from)
    }

    /// A secret's octets; never empty.
    fn secret(&mut self, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let octets = match &secret.source {
            SecretSource::File(path) => trimmed(self.file(path, secret.at, Sort::Secret)?),
            SecretSource::Env(name) => self.variable(name, secret.at)?,
            SecretSource::Inline(text) => Zeroizing::new(text.clone().into_bytes()),
        };
        if octets.is_empty() {
            self.problems.push(Problem::new(secret.at, format!("the secret ({secret:?}) is empty")));
            return None;
        }
        Some(octets)
    }

    /// The keys of an issuer whose keys are not fetched.
    fn key_set(&mut self, issuer: &Issuer) -> Option<KeySet> {
        let at = issuer.keys.at;
        let allowed = issuer.algorithms.as_deref();
        let set = match &issuer.keys.value {
            KeySource::Discovery | KeySource::JwksUrl(_) | KeySource::Managed | KeySource::Records(_) => {
                return None;
            }
            KeySource::SigningPem(secret) => jwk::from_private_pem(&self.secret(secret)?, allowed),
            KeySource::JwksFile(path) => {
                let text = self.file(path, at, Sort::PublicKeys)?;
                jwk::parse_jwks(&text, allowed).map(|(set, skipped)| self.skipped(issuer, set, &skipped))
            }
            KeySource::JwksInline(text) => {
                let parsed = jwk::parse_jwks(text.as_bytes(), allowed);
                parsed.map(|(set, skipped)| self.skipped(issuer, set, &skipped))
            }
            KeySource::PemFile(path) => jwk::parse_pem(&self.file(path, at, Sort::PublicKeys)?, allowed),
            KeySource::PemEnv(name) => jwk::parse_pem(&self.variable(name, at)?, allowed),
            KeySource::PemInline(text) => jwk::parse_pem(text.as_bytes(), allowed),
            KeySource::Secret { secret, dangerous_short } => {
                jwk::from_secret(&self.secret(secret)?, allowed, *dangerous_short)
            }
        };
        let keep = |error: KeySetError| {
            self.problems.push(Problem::new(at, format!("the keys of `{}`: {error}", issuer.name)));
        };
        set.map_err(keep).ok()
    }

    fn skipped(&mut self, issuer: &Issuer, set: KeySet, skipped: &[SkippedKey]) -> KeySet {
        self.warnings.extend(skipped.iter().map(|key| {
            let (name, index, why) = (&issuer.name, key.index, &key.why);
            Problem::new(issuer.keys.at, format!("key {index} of `{name}` is skipped: {why}"))
        }));
        set
    }

    /// The keys of a fetched issuer, as far as they are at hand.
    fn fetched(
        &mut self,
        config: &Config,
        issuer: &Issuer,
        previous: Option<&Snapshot>,
        at_hand: &mut BTreeMap<Box<str>, AtHand>,
    ) -> Keys {
        let mut states = previous.into_iter().flat_map(|previous| previous.issuers.iter());
        if let Some(state) = states.find(|state| same_source(&state.config, issuer)) {
            return state.keys.clone();
        }
        let Some(directory) = &config.key_mirror else { return Keys::Unavailable };
        match mirrored(&self.directory.join(directory), issuer, config.limits.key_set) {
            Ok(Some(mirrored)) if mirrored.age <= issuer.max_stale => {
                let set = Arc::clone(&mirrored.keys);
                at_hand.insert(issuer.name.clone(), mirrored);
                Keys::Ready { set, fetched: true }
            }
            Ok(_) => Keys::Unavailable,
            Err(why) => {
                let what = format!("the mirrored keys of `{}` are not used: {why}", issuer.name);
                self.warnings.push(Problem::new(issuer.keys.at, what));
                Keys::Unavailable
            }
        }
    }

    /// The compiled revocations. The inner error is the file's own problems; without it, it could not be read.
    fn revocations(
        &mut self,
        config: &Config,
        previous: Option<&Snapshot>,
    ) -> Result<Revocations, Option<Problems>> {
        let Some(revocation) = &config.revocation else { return Ok(Revocations::default()) };
        let Some(file) = &revocation.file else { return Ok(Revocations::default()) };
        let octets = self.file(file, revocation.at, Sort::Revocations).ok_or(None)?;
        let now = clock::now();
        let name = file.display().to_string();
        let text = str::from_utf8(&octets).map_err(|_| {
            self.problems
                .push(Problem::new(revocation.at, format!("the revocation file {name} is not UTF-8")));
            None
        })?;
        // An entry that is read while the clock is back must not end too soon once it is right.
        let latest = previous.map_or(now, |previous| previous.revocations.latest(now));
        let (entries, warnings) = revocation_file::parse(text, &name, config, latest).map_err(Some)?;
        self.warnings.extend(warnings.into_iter().map(|warning| named(&name, revocation.at, warning)));
        Ok(Revocations::compile(&entries, now))
    }

    fn variable(&mut self, name: &str, at: Position) -> Option<Zeroizing<Vec<u8>>> {
        let value = (self.env)(name);
        if value.is_none() {
            let what = format!("the environment variable {name} is not set, or not UTF-8");
            self.problems.push(Problem::new(at, what));
        }
        value.map(|value| Zeroizing::new(value.into_bytes()))
    }

    fn file(&mut self, path: &Path, at: Position, sort: Sort) -> Option<Zeroizing<Vec<u8>>> {
        let path = self.directory.join(path);
        let content = match self.files.read(&path, sort.limit()) {
            Ok(content) => content,
            Err(why) => {
                self.problems.push(Problem::new(at, cannot_read(sort.name(), &path, &why)));
                return None;
            }
        };
        let says = |what: &str| format!("the {} file {} {what}", sort.name(), path.display());
        if content.mode & 0o002 != 0 {
            let problem = Problem::new(at, says("is world-writable")).hint("chmod o-w");
            match sort {
                Sort::Secret
                | Sort::PublicKeys
                | Sort::Certificates
                | Sort::Entries
                | Sort::Schema
                | Sort::Safelist => self.problems.push(problem),
                Sort::Revocations => self.warnings.push(problem),
            }
        }
        if matches!(sort, Sort::Secret | Sort::Entries) && content.mode & 0o004 != 0 {
            self.warnings.push(Problem::new(at, says("is world-readable")).hint("chmod 0400"));
        }
        Some(content.octets)
    }
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::PublicKeys => "key",
            Self::Revocations => "revocation",
            Self::Certificates => "certificate",
            Self::Entries => "list",
            Self::Schema => "schema",
            Self::Safelist => "safelist",
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::Secret => MOST_SECRET,
            Self::PublicKeys | Self::Certificates => MOST_KEYS,
            Self::Revocations => MOST_REVOCATIONS,
            Self::Entries => MOST_ENTRIES,
            Self::Schema => GRAPHQL_SCHEMA,
            Self::Safelist => SAFELIST_OCTETS,
        }
    }
}

/// What the mirror holds of an issuer, if anything.
fn mirrored(directory: &Path, issuer: &Issuer, limit: usize) -> Result<Option<AtHand>, String> {
    let Some(kept) = Mirror::new(directory, issuer).read(limit).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let parsed = jwk::parse_jwks(kept.key_set(), issuer.algorithms.as_deref());
    let (set, _) = parsed.map_err(|error| error.to_string())?;
    let fetched_at = kept.fetched_at();
    // A clock that went back makes the set young, not lost.
    let age = u64::try_from(clock::now().0.saturating_sub(fetched_at.0)).unwrap_or(0);
    Ok(Some(AtHand { keys: Arc::new(set), fetched_at, age: Duration::from_secs(age) }))
}

/// One trailing newline belongs to the editor, not to the secret; but octets that are no text are kept as they
/// are.
fn trimmed(mut octets: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    if str::from_utf8(&octets).is_ok() && octets.last() == Some(&b'\n') {
        octets.pop();
        if octets.last() == Some(&b'\r') {
            octets.pop();
        }
    }
    octets
}

fn cannot_read(sort: &str, path: &Path, why: &str) -> String {
    format!("the {sort} file {} cannot be read: {why}", path.display())
}

const START: Position = Position { line: 1, column: 1 };
/// 40,000 routes take about 3 MiB.
const MOST_CONFIG: usize = 16 * 1024 * 1024;
const MOST_SECRET: usize = 64 * 1024;
/// 100,000 entries of 160 octets.
const MOST_ENTRIES: usize = 16 * 1024 * 1024;
const MOST_KEYS: usize = 1024 * 1024;
/// About two million entries.
const MOST_REVOCATIONS: usize = 256 * 1024 * 1024;
