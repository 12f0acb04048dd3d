//! The secrets and lists that `credentials`, `tokens` and `signing_keys` name.

use crate::config::credential::{CredentialKind, Entries, EntriesSource};
use crate::config::material::Material;
use crate::config::minted::{Format, Sign};
use crate::config::problems::Problem;
use crate::config::{Config, KeySource, Records};
use crate::control::config_file::Loader;

impl Loader<'_> {
    /// Reads all of them.
    pub(in crate::control::config_file) fn material(&mut self, config: &Config) -> Material {
        let mut material = Material::default();
        for minted in &config.authority.tokens {
            let Format::Jwt { sign: Sign::Pem { key, .. } | Sign::Secret { key, .. }, .. } = &minted.format
            else {
                continue;
            };
            let octets = self.secret(key);
            material.signing.extend(octets.map(|octets| (minted.name.clone(), octets)));
        }
        for credential in &config.authority.credentials {
            let entries = match &credential.kind {
                CredentialKind::ApiKeys(keys) => {
                    let pepper = keys.pepper.as_ref().and_then(|pepper| self.secret(pepper));
                    material.peppers.extend(pepper.map(|pepper| (credential.name.clone(), pepper)));
                    &keys.entries
                }
                CredentialKind::People(people) => &people.entries,
                CredentialKind::Issuer(_) => continue,
            };
            if let Some(entries) = entries {
                self.entries(&credential.name, entries, &mut material);
            }
        }
        if let Some(secret) =
            config.authority.signing_keys.as_ref().and_then(|keys| keys.sealed_with.as_ref())
        {
            material.sealed_with = self.secret(secret);
        }
        for issuer in &config.issuers {
            if let KeySource::Records(Records::Introspection(introspection)) = &issuer.keys.value {
                let octets = self.secret(&introspection.secret);
                material.introspection.extend(octets.map(|octets| (issuer.name.clone(), octets)));
            }
        }
        material
    }

    fn entries(&mut self, name: &str, entries: &Entries, material: &mut Material) {
        match &entries.source {
            EntriesSource::Secret(secret) => {
                let Some(octets) = self.secret(secret) else { return };
                // What is in it is nobody's to show.
                let array =
                    serde_json::from_slice::<Vec<serde_json::Map<String, serde_json::Value>>>(&octets);
                if array.is_err() {
                    let what = format!("the entries of `{name}` ({secret:?}) are no JSON array of objects");
                    self.problems.push(Problem::new(secret.at, what));
                }
                material.entries.insert(name.into(), octets);
            }
            EntriesSource::Listed(listed) => {
                for entry in listed {
                    let octets = self.secret(&entry.secret);
                    material.listed.extend(octets.map(|octets| ((name.into(), entry.id.clone()), octets)));
                }
            }
        }
    }
}
