//! What is held from before the first listener until the last request: the store, opened or taken over with its lock,
//! and the audit file.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::AppError;
use crate::audit::Audit;
use crate::config::Config;
use crate::control::config_file::Loaded;
use crate::control::revoking::Kept;
use crate::store::Store;
use crate::store::error::OpenError;

/// The lock of a store that a running gateway holds, and the store's path in its configuration.
pub(crate) type Held = (PathBuf, OwnedFd);

/// Reads what the store has, before any listener accepts.
pub(crate) fn load(store: Option<&Arc<Store>>, loaded: &mut Loaded) -> Result<Option<Kept>, AppError> {
    let kept = store.map(|store| Kept::load(Arc::clone(store))).transpose();
    let kept =
        kept.map_err(|error| AppError::Configuration(format!("what the store has cannot be read: {error}")))?;
    if let Some(kept) = &kept {
        let warnings = kept.remember(&loaded.config);
        loaded.warnings.extend(warnings.map_err(|_| AppError::Fault("a runtime cannot be made"))?);
    }
    Ok(kept)
}

/// Refuses to take over from a gateway with another store than `wanted`: what is revoked there would count no more here, and
/// while that one drains it would not hear of what is revoked here.
pub(crate) fn same_store(wanted: Option<&Path>, held: Option<&Held>) -> Result<(), AppError> {
    let place = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let held = held.map(|(path, _)| &**path);
    if wanted.map(place) == held.map(place) {
        return Ok(());
    }
    let named = |path: Option<&Path>| path.map_or("none".to_owned(), |path| path.display().to_string());
    Err(AppError::Unavailable(format!(
        "no upgrade: the running gateway's `store` is {}, and this configuration's is {}; a store does not change in an \
         upgrade: stop that one and start anew, after `portcullis store backup` and `restore` if its revocations are to count",
        named(held),
        named(wanted)
    )))
}

/// Opens the store that the configuration names. One that the running gateway holds is taken over: it refuses appends
/// until it is told to take them; [`same_store`] has looked whether it is this one.
pub(crate) fn open(config: &Config, held: Option<Held>) -> Result<Option<Arc<Store>>, AppError> {
    let Some(path) = &config.store else { return Ok(None) };
    let store = match held {
        Some((_, lock)) => Store::inherit(path, lock),
        None => Store::open(path),
    };
    store.map(|store| Some(Arc::new(store))).map_err(|error| match error {
        OpenError::Held { .. } => AppError::Unavailable(error.to_string()),
        OpenError::NotLocal { .. }
        | OpenError::Foreign { .. }
        | OpenError::Damaged { .. }
        | OpenError::Newer { .. }
        | OpenError::Older { .. }
        | OpenError::Unusable { .. }
        | OpenError::Failed { .. } => AppError::Configuration(error.to_string()),
    })
}

/// Opens the audit file, if one is wanted.
pub(crate) fn audit(config: &Config) -> Result<Option<Arc<Audit>>, AppError> {
    let Some(path) = &config.audit else { return Ok(None) };
    let audit = Audit::open(path).map_err(|error| {
        let path = path.display();
        AppError::Configuration(format!("the audit file {path} cannot be opened: {error}"))
    })?;
    Ok(Some(Arc::new(audit)))
}
