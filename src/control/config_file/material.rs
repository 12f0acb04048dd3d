//! Secrets and lists of what is minted here ([`Material`]). Lists are judged as a whole: one entry that cannot be used
//! refuses all, so that nobody is locked out, or let in, by a slip of the hand that only a log line tells of.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::config::credential::{
    ApiKeys, Credential, CredentialKind, CredentialPlace, Entries, EntriesSource,
};
use crate::config::material::Material;
use crate::config::minted::{Format, Sign};
use crate::config::problems::Problem;
use crate::config::{Config, KeySource, Records, Secret, SecretSource};
use crate::control::config_file::{Loader, Sort};

impl Loader<'_> {
    /// Reads all of it.
    pub(super) fn material(&mut self, config: &Config) -> Material {
        let mut material = Material::default();
        for token in &config.authority.tokens {
            if let Format::Jwt { sign: Sign::Secret { key, .. } | Sign::Pem { key, .. }, .. } = &token.format
                && let Some(octets) = self.secret(key)
            {
                material.signing.insert(token.name.clone(), octets);
            }
        }
        for credential in &config.authority.credentials {
            let (entries, pepper) = match &credential.kind {
                CredentialKind::ApiKeys(keys) => (&keys.entries, keys.pepper.as_ref()),
                CredentialKind::People(people) => (&people.entries, None),
                CredentialKind::Issuer(_) => continue,
            };
            if let Some(pepper) = pepper.and_then(|secret| self.pepper(secret)) {
                material.peppers.insert(credential.name.clone(), pepper);
            }
            if let Some(entries) = entries {
                self.entries(credential, entries, &mut material);
            }
        }
        let sealed_with = config.authority.signing_keys.as_ref().and_then(|keys| keys.sealed_with.as_ref());
        material.sealed_with = sealed_with.and_then(|secret| self.sealing(secret));
        for issuer in &config.issuers {
            if let KeySource::Records(Records::Introspection(introspection)) = &issuer.keys.value
                && let Some(secret) = self.secret(&introspection.secret)
            {
                material.introspection.insert(issuer.name.clone(), secret);
            }
        }
        material
    }

    /// A pepper is a key of its own: nobody remembers it, and nobody may guess it.
    fn pepper(&mut self, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let octets = self.secret(secret)?;
        if octets.len() < PEPPER {
            let what = format!("the pepper ({secret:?}) is shorter than {PEPPER} octets");
            self.problems.push(Problem::new(secret.at, what).hint("`openssl rand -base64 32` makes one"));
        }
        Some(octets)
    }

    /// What seals the signing keys.
    fn sealing(&mut self, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let octets = self.secret(secret)?;
        let decoded = base64_simd::STANDARD.decode_to_vec(&octets[..]).map(Zeroizing::new);
        let fits = octets.len() == SEALING || decoded.is_ok_and(|octets| octets.len() == SEALING);
        if !fits {
            let what = format!("`sealed_with` ({secret:?}) is neither {SEALING} octets nor their base64");
            self.problems.push(Problem::new(secret.at, what).hint("`openssl rand -base64 32` makes one"));
        }
        Some(octets)
    }

    fn entries(&mut self, credential: &Credential, entries: &Entries, material: &mut Material) {
        let name = &credential.name;
        match &entries.source {
            EntriesSource::Secret(secret) => {
                let Some(text) = self.list(secret) else { return };
                match check(&text, entries, alone(credential)) {
                    Ok(()) => {
                        material.entries.insert(name.clone(), text);
                    }
                    Err(why) => {
                        let what = format!("the list of `{name}` ({secret:?}): {why}");
                        self.problems.push(Problem::new(secret.at, what));
                    }
                }
            }
            EntriesSource::Listed(listed) => {
                for entry in listed {
                    let Some(octets) = self.secret(&entry.secret) else { continue };
                    let keys = alone(credential);
                    if keys.is_some_and(|keys| is_guessable(&String::from_utf8_lossy(&octets), keys)) {
                        let what = format!("the secret of `{}` ({:?}) {GUESSABLE}", entry.id, entry.secret);
                        self.problems.push(Problem::new(entry.secret.at, what));
                    }
                    material.listed.insert((name.clone(), entry.id.clone()), octets);
                }
            }
        }
    }

    /// A list, which is as secret as what is in it, and longer.
    fn list(&mut self, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        match &secret.source {
            SecretSource::File(path) => self.file(path, secret.at, Sort::Entries),
            SecretSource::Env(name) => self.variable(name, secret.at),
            SecretSource::Inline(text) => Some(Zeroizing::new(text.clone().into_bytes())),
        }
    }
}

/// Whether a list is one, and each entry of it has an id of its own, a secret, and scopes that are texts. What is wrong
/// names the entry by its place, and nothing that stands in it.
fn check(text: &[u8], entries: &Entries, alone: Option<&ApiKeys>) -> Result<(), String> {
    let list: Vec<Value> = serde_json::from_slice(text)
        .map_err(|error| format!("it is no JSON array (line {}, column {})", error.line(), error.column()))?;
    if list.len() > LISTED {
        return Err(format!("it has more than {LISTED} entries"));
    }
    let mut ids = BTreeSet::new();
    for (entry, place) in list.iter().zip(1_usize..) {
        let object = entry.as_object().ok_or_else(|| format!("entry {place} is no object"))?;
        let id = one(object, entries).map_err(|why| format!("entry {place}: {why}"))?;
        if !ids.insert(id) {
            return Err(format!("entry {place} has the id of another one"));
        }
        let secret = object.get(&*entries.secret).and_then(Value::as_str);
        if let (Some(keys), Some(secret)) = (alone, secret)
            && is_guessable(secret, keys)
        {
            return Err(format!("entry {place}: `{}` {GUESSABLE}", entries.secret));
        }
    }
    Ok(())
}

/// The id of an entry that is as it has to be.
fn one(entry: &Map<String, Value>, entries: &Entries) -> Result<String, String> {
    let id = match entry.get(&*entries.id) {
        Some(Value::String(id)) if !id.is_empty() => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        None => return Err(format!("it has no `{}`", entries.id)),
        Some(Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(format!("`{}` is no text", entries.id));
        }
    };
    match entry.get(&*entries.secret) {
        Some(Value::String(secret)) if !secret.is_empty() => {}
        None => return Err(format!("it has no `{}`", entries.secret)),
        Some(_) => return Err(format!("`{}` is no text, or empty", entries.secret)),
    }
    let fits = match entry.get(&*entries.scopes) {
        None | Some(Value::Null | Value::String(_)) => true,
        Some(Value::Array(scopes)) => scopes.iter().all(Value::is_string),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => false,
    };
    if fits { Ok(id) } else { Err(format!("`{}` is no list of texts", entries.scopes)) }
}

/// The API keys of a credential that are one text each, which stands alone: whoever tries them needs no id, and on routes nobody
/// counts how often.
fn alone(credential: &Credential) -> Option<&ApiKeys> {
    match (&credential.kind, &credential.from) {
        (CredentialKind::ApiKeys(keys), CredentialPlace::Whole(_)) => Some(keys),
        (
            CredentialKind::ApiKeys(_),
            CredentialPlace::Pair { .. } | CredentialPlace::Basic | CredentialPlace::Client,
        )
        | (CredentialKind::People(_) | CredentialKind::Issuer(_), _) => None,
    }
}

/// Whether a key is too short, behind its prefix, to be beyond guessing.
fn is_guessable(secret: &str, keys: &ApiKeys) -> bool {
    let prefixes = keys.prefixes.iter().filter_map(|prefix| secret.strip_prefix(&*prefix.text));
    let own = prefixes.min_by_key(|rest| rest.len()).unwrap_or(secret);
    own.chars().count() < ALONE
}

const GUESSABLE: &str = "is shorter than 16 characters behind its prefix: a key that stands alone can be guessed at without an id";
/// Characters of the shortest key that stands alone, behind its prefix.
const ALONE: usize = 16;
/// Octets of the shortest pepper: 128 bits.
const PEPPER: usize = 16;
/// Octets of the key that seals others: AES-256.
const SEALING: usize = 32;
/// Entries of one list: what is longer is managed by a program, which has the admin listener for it.
const LISTED: usize = 100_000;
