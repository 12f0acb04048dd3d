//! What is minted and answered here, wired: the registries know neither the writer nor the data plane, nor they them.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use crate::app::part::Part;
use crate::app::shutdown::Switches;
use crate::app::{AppError, after};
use crate::authority::api_keys;
use crate::authority::endpoints::Endpoints;
use crate::authority::means::{Doing, Means};
use crate::authority::trouble::LoadError;
use crate::authority::{Authority, clock, opaque};
use crate::config::problems::Problem;
use crate::config::{Issuer, KeySource, Records};
use crate::control::config_file::Loaded;
use crate::control::introspection::{self, Introspections};
use crate::control::revoking::RevokeError;
use crate::control::{Control, ControlHandle, own};
use crate::gate::call::AskAuthority;
use crate::gate::evidence::{AskRecord, RecordAnswer, RecordAsked, RecordFound};
use crate::keys::Verified;
use crate::metrics::Metrics;
use crate::snapshot::Reader;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::token::NumericDate;
use crate::token::claims::Claims;

/// The registries, and the way from them to the writer, which is there only after them.
pub(crate) struct Minting {
    authority: Arc<Authority>,
    handle: Arc<OnceLock<ControlHandle>>,
}

impl Minting {
    /// Reads what the store has, and puts the keys that it has into what is published first.
    pub(crate) fn open(
        origin: &Path,
        loaded: &mut Loaded,
        store: Option<&Arc<Store>>,
    ) -> Result<Self, AppError> {
        let handle = Arc::default();
        let config = Arc::new(loaded.config.clone());
        let material = std::mem::take(&mut loaded.material);
        let authority = Arc::new(Authority::new(config, material, means(&handle, store)));
        authority.load().map_err(|error| unread(origin, &error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|_| AppError::Fault("a runtime cannot be made"))?;
        runtime.block_on(authority.signing.prepare(clock::now())).map_err(|error| {
            AppError::Unavailable(format!("the keys that tokens are signed with cannot be made: {error}"))
        })?;
        own::fill(&mut loaded.change, None, &|issuer| authority.signing.keys(issuer));
        Ok(Self { authority, handle })
    }

    /// Has the registries and the writer know each other.
    pub(crate) fn join(&self, control: &mut Control, handle: &ControlHandle) {
        // It is set once: there is one writer.
        let _ = self.handle.set(handle.clone());
        let (configured, keys) = (Arc::clone(&self.authority), Arc::clone(&self.authority));
        control.on_config(Box::new(move |config, material| {
            let faults = configured.faults(&config, &material);
            if faults.is_empty() {
                configured.configure(config, material);
            }
            faults
        }));
        control.owned_by(Box::new(move |issuer| keys.signing.keys(issuer)));
    }

    /// Answers for endpoints.
    pub(crate) fn ask(&self, reader: &Reader, metrics: &Arc<Metrics>) -> AskAuthority {
        let endpoints = Endpoints::new(Arc::clone(&self.authority), reader.clone(), Arc::clone(metrics));
        Arc::new(endpoints).ask()
    }

    /// Looks tokens up.
    pub(crate) fn look_up(&self) -> AskRecord {
        let (authority, introspections) = (Arc::clone(&self.authority), Arc::new(Introspections::default()));
        Arc::new(move |asked| {
            let (authority, introspections) = (Arc::clone(&authority), Arc::clone(&introspections));
            Box::pin(async move {
                let answer = looked_up(&authority, &introspections, &asked, clock::now()).await;
                RecordFound { asked, answer }
            })
        })
    }

    /// Does what nobody waits for, for as long as control runs.
    pub(crate) fn part(&self, switches: &Switches) -> Part {
        let (authority, mut over) = (Arc::clone(&self.authority), switches.control.subscribe());
        let upkeep = async move {
            tokio::select! {
                _ = over.wait_for(|over| *over) => {}
                () = authority.upkeep() => {}
            }
            if let Err(error) = authority.settle().await {
                tracing::warn!(%error, "when credentials were last used is not written down");
            }
        };
        Part::new("minting", after(switches.go.subscribe(), upkeep)).0
    }

    /// What is managed at the admin listener.
    pub(crate) fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// Reads again what the process before has written, once it has paused.
    pub(crate) fn load(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
        let (authority, handle) = (Arc::clone(&self.authority), Arc::clone(&self.handle));
        Box::pin(async move {
            let load = Arc::clone(&authority);
            let loaded = tokio::task::spawn_blocking(move || load.load()).await;
            loaded.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
            let Some(handle) = handle.get() else { return Ok(()) };
            for issuer in &handle.config().issuers {
                let name = issuer.name.clone();
                let published = match &issuer.keys.value {
                    KeySource::Managed => {
                        handle.publish_keys(name, authority.signing.keys(&issuer.name)).await
                    }
                    KeySource::Records(Records::Opaque { .. } | Records::ApiKeys { .. }) => {
                        handle.records_changed(name).await
                    }
                    KeySource::Records(Records::Introspection(_))
                    | KeySource::Discovery
                    | KeySource::JwksUrl(_)
                    | KeySource::JwksFile(_)
                    | KeySource::JwksInline(_)
                    | KeySource::PemFile(_)
                    | KeySource::PemEnv(_)
                    | KeySource::PemInline(_)
                    | KeySource::Secret { .. }
                    | KeySource::SigningPem(_) => Ok(()),
                };
                published.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    }
}

/// Why it cannot start, with the line of the configuration that is to blame.
fn unread(origin: &Path, error: &LoadError) -> AppError {
    AppError::Configuration(match error {
        LoadError::Store(error) => format!("what the store has cannot be read: {error}"),
        LoadError::Sealed(problem) => {
            let Problem { at, what, hint } = &**problem;
            let (file, hint) = (origin.display(), hint.as_deref().unwrap_or_default());
            format!("{file}:{}:{}: {what}\nhint: {hint}", at.line, at.column)
        }
    })
}

/// What the registries do to the world outside of them.
fn means(handle: &Arc<OnceLock<ControlHandle>>, store: Option<&Arc<Store>>) -> Means {
    let at = || Arc::clone(handle);
    let (revoke, lift, records, keys) = (at(), at(), at(), at());
    Means {
        store: store.map(Arc::clone),
        revoke: Arc::new(move |entries| {
            doing(&revoke, move |handle| async move { handle.revoke(&entries).await })
        }),
        lift: Arc::new(move |ids| {
            doing(&lift, move |handle| async move {
                for id in ids {
                    match handle.find(id).await {
                        Ok(entry) => handle.lift(entry).await?,
                        Err(RevokeError::Unknown) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            })
        }),
        records_changed: Arc::new(move |issuer| {
            doing(&records, move |handle| async move { handle.records_changed(issuer).await })
        }),
        publish_keys: Arc::new(move |issuer, set| {
            doing(&keys, move |handle| async move { handle.publish_keys(issuer, set).await })
        }),
    }
}

/// Something that the writer does.
fn doing<F>(handle: &OnceLock<ControlHandle>, what: impl FnOnce(ControlHandle) -> F) -> Doing
where
    F: Future<Output = Result<(), RevokeError>> + Send + 'static,
{
    let Some(handle) = handle.get() else { return Box::pin(std::future::ready(Err(StoreError::Closed))) };
    let done = what(handle.clone());
    Box::pin(async move {
        done.await.map_err(|error| match error {
            RevokeError::Store(error) => error,
            RevokeError::NoStore => StoreError::Refused("no store is configured"),
            RevokeError::Unread(_) | RevokeError::Unknown => StoreError::Refused("it is no entry"),
            RevokeError::Stopped => StoreError::Closed,
        })
    })
}

/// Asks in the order of the candidates. That one of them cannot be asked is no answer, unless another knows the token.
async fn looked_up(
    authority: &Authority,
    introspections: &Introspections,
    asked: &RecordAsked,
    now: NumericDate,
) -> RecordAnswer {
    let (mut later, mut unavailable) = (false, false);
    for (candidate, (_, _, issuer)) in asked.candidates.iter().enumerate() {
        let found = match &issuer.keys.value {
            KeySource::Records(Records::Introspection(_)) => {
                introspected(authority, introspections, issuer, &asked.token.0).await
            }
            KeySource::Records(Records::Opaque { .. } | Records::ApiKeys { .. })
            | KeySource::Discovery
            | KeySource::JwksUrl(_)
            | KeySource::JwksFile(_)
            | KeySource::JwksInline(_)
            | KeySource::PemFile(_)
            | KeySource::PemEnv(_)
            | KeySource::PemInline(_)
            | KeySource::Secret { .. }
            | KeySource::Managed
            | KeySource::SigningPem(_) => registered(authority, issuer, &asked.token.0, now),
        };
        match found {
            Found::Known(claims, lasting) => {
                let verified = Box::new(Verified::of_record(claims));
                return RecordAnswer::Known { candidate, verified, lasting };
            }
            Found::NotNow => later = true,
            Found::Unavailable => unavailable = true,
            Found::Unknown => {}
        }
    }
    match (unavailable, later) {
        (true, _) => RecordAnswer::Unavailable,
        (false, true) => RecordAnswer::NotNow,
        (false, false) => RecordAnswer::Unknown,
    }
}

/// What one candidate knows.
enum Found {
    /// Until it is revoked, if the flag says so.
    Known(Claims, bool),
    NotNow,
    Unavailable,
    Unknown,
}

/// Asks whoever issued it.
async fn introspected(
    authority: &Authority,
    introspections: &Introspections,
    issuer: &Arc<Issuer>,
    token: &str,
) -> Found {
    let secret = authority.configured.load().material.introspection.get(&issuer.name).cloned();
    let Some(secret) = secret else { return Found::Unavailable };
    match introspections.ask(issuer, &secret, token).await {
        introspection::Answer::Active(claims) => Found::Known(Claims::clone(&claims), false),
        introspection::Answer::Inactive => Found::NotNow,
        introspection::Answer::Unavailable => Found::Unavailable,
    }
}

/// Asks the registries.
fn registered(authority: &Authority, issuer: &Issuer, token: &str, now: NumericDate) -> Found {
    let claims = match &issuer.keys.value {
        KeySource::Records(Records::Opaque { .. }) => {
            match authority.opaque.look_up(&issuer.name, token, now) {
                opaque::Looked::Known(claims) => claims,
                opaque::Looked::Unknown => return Found::Unknown,
            }
        }
        KeySource::Records(Records::ApiKeys { .. }) => {
            match authority.api_keys.look_up(&issuer.name, token, now) {
                api_keys::Looked::Known(claims) => claims,
                api_keys::Looked::NotNow => return Found::NotNow,
                api_keys::Looked::Unknown => return Found::Unknown,
            }
        }
        KeySource::Records(Records::Introspection(_))
        | KeySource::Discovery
        | KeySource::JwksUrl(_)
        | KeySource::JwksFile(_)
        | KeySource::JwksInline(_)
        | KeySource::PemFile(_)
        | KeySource::PemEnv(_)
        | KeySource::PemInline(_)
        | KeySource::Secret { .. }
        | KeySource::Managed
        | KeySource::SigningPem(_) => return Found::Unknown,
    };
    Claims::parse(&claims).map_or(Found::Unavailable, |claims| Found::Known(claims, true))
}
