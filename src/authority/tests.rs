//! What the tests of the registries share: a configuration, a store on a disk, and ways out that remember.

use std::path::Path;
use std::sync::Mutex;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::*;
use crate::config::credential::{
    ApiKeys as ApiKeysConfig, Credential, CredentialKind, CredentialPlace, Entries, EntriesSource,
    People as PeopleConfig, Prefix, Reader,
};
use crate::config::problems::Position;
use crate::config::{Context, Secret, SecretSource};
use crate::store::{Change, Entry, Id, Store};
use crate::token::scope::ScopeMatch;

/// An authority with a store, and what it said to the outside.
pub(super) struct Scene {
    directory: TempDir,
    /// What was revoked and not lifted, and whose records changed.
    pub(super) said: Arc<Said>,
    config: Config,
    material: Material,
}

#[derive(Default)]
pub(super) struct Said {
    pub(super) revoked: Mutex<Vec<Entry>>,
    pub(super) changed: Mutex<Vec<Box<str>>>,
}

impl Scene {
    /// With the managed credentials `keys` (prefixes `pk_` and `pk_live_`) and `people`.
    pub(super) fn new() -> Self {
        let text = "version: 1\nlisteners: [{address: 127.0.0.1:0}]\nupstreams: {u: http://127.0.0.1:1}\n\
                    routes: {/: {upstream: u, require: public}}\n";
        let context = Context { name: "c.yaml", directory: Path::new("/"), env: &|_| None };
        let (config, _) =
            crate::config::parse(text, &context).unwrap_or_else(|problems| panic!("{problems}"));
        let mut scene = Self {
            directory: tempfile::tempdir().expect("a directory"),
            said: Arc::default(),
            config,
            material: Material::default(),
        };
        let prefix =
            |text: &str, attributes: Value| Prefix { text: text.into(), attributes: object(attributes) };
        scene.credential(
            "keys",
            CredentialKind::ApiKeys(Arc::new(ApiKeysConfig {
                issuer: "https://keys.example".into(),
                prefixes: vec![
                    prefix("pk_", json!({})),
                    prefix("pk_live_", json!({"env": "live", "tier": 1})),
                ],
                entries: None,
                managed: true,
                pepper: Some(secret()),
            })),
        );
        scene.credential("people", CredentialKind::People(Arc::new(people(None, true))));
        scene.pepper("keys", b"a pepper for tests");
        scene
    }

    pub(super) fn credential(&mut self, name: &str, kind: CredentialKind) {
        self.config.authority.credentials.push(Arc::new(Credential {
            name: name.into(),
            at: Position::default(),
            kind,
            from: CredentialPlace::Whole(Reader::Bearer),
            scope_match: ScopeMatch::Glob,
        }));
    }

    /// API keys that a list has.
    pub(super) fn listed_keys(&mut self, name: &str, prefixes: &[&str], list: &Value) {
        let prefix = |text: &&str| Prefix { text: (**text).into(), attributes: object(json!({"of": *text})) };
        let keys = ApiKeysConfig {
            issuer: name.into(),
            prefixes: prefixes.iter().map(prefix).collect(),
            entries: Some(entries()),
            managed: false,
            pepper: None,
        };
        self.credential(name, CredentialKind::ApiKeys(Arc::new(keys)));
        self.list(name, list);
    }

    pub(super) fn list(&mut self, name: &str, list: &Value) {
        self.material.entries.insert(name.into(), list.to_string().into_bytes().into());
    }

    pub(super) fn pepper(&mut self, name: &str, pepper: &[u8]) {
        self.material.peppers.insert(name.into(), pepper.to_vec().into());
    }

    /// An authority that has read what the store has. There is one at a time.
    pub(super) fn start(&self) -> Authority {
        let store = Store::open(&self.store_file()).unwrap_or_else(|error| panic!("{error}"));
        let (revoked, lifted, changed) =
            (Arc::clone(&self.said), Arc::clone(&self.said), Arc::clone(&self.said));
        let store = Arc::new(store);
        let kept = Arc::clone(&store);
        let means = Means {
            store: Some(store),
            revoke: Arc::new(move |entries| {
                revoked.revoked.lock().expect("whole").extend(entries.clone());
                let kept = Arc::clone(&kept);
                let changes = entries.into_iter().map(Change::Added).collect();
                Box::pin(async move { kept.append(changes).await.map(drop) })
            }),
            lift: Arc::new(move |ids: Vec<Id>| {
                lifted.revoked.lock().expect("whole").retain(|entry| !ids.contains(&entry.id));
                Box::pin(async { Ok(()) })
            }),
            records_changed: Arc::new(move |issuer| {
                changed.changed.lock().expect("whole").push(issuer);
                Box::pin(async { Ok(()) })
            }),
            publish_keys: Arc::new(|_, _| Box::pin(async { Ok(()) })),
        };
        let authority = Authority::new(Arc::new(self.config.clone()), self.material.clone(), means);
        authority.load().expect("what the store has");
        authority
    }

    /// Takes on what the scene has by now.
    pub(super) fn reload(&self, authority: &Authority) {
        authority.configure(Arc::new(self.config.clone()), self.material.clone());
    }

    pub(super) fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    pub(super) fn store_file(&self) -> std::path::PathBuf {
        self.directory.path().join("portcullis.db")
    }

    /// Every octet of the store's files.
    pub(super) fn octets(&self) -> Vec<u8> {
        let read = |suffix: &str| {
            let path = format!("{}{suffix}", self.store_file().display());
            std::fs::read(Path::new(&path)).unwrap_or_default()
        };
        ["", "-wal"].into_iter().flat_map(read).collect()
    }

    /// What is revoked now: kinds and issuers.
    pub(super) fn revoked(&self) -> Vec<(String, String)> {
        let revoked = self.said.revoked.lock().expect("whole");
        revoked.iter().map(|entry| (entry.kind.to_string(), entry.issuer.to_string())).collect()
    }
}

pub(super) fn people(entries: Option<Entries>, managed: bool) -> PeopleConfig {
    // As cheap as argon2 can be: what it costs is another test's.
    PeopleConfig { entries, managed, memory: 8, passes: 1 }
}

pub(super) fn entries() -> Entries {
    Entries {
        source: EntriesSource::Secret(secret()),
        id: "id".into(),
        secret: "secret".into(),
        scopes: "scopes".into(),
    }
}

fn secret() -> Secret {
    Secret { source: SecretSource::Env("NOT_READ".into()), at: Position::default() }
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value} is no object") };
    object
}

pub(super) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// A text that is in no file by chance.
pub(super) fn holds(octets: &[u8], text: &str) -> bool {
    octets.windows(text.len()).any(|window| window == text.as_bytes())
}
