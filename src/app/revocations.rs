//! The ways in for revocations: what the admin listener asks is control's to do.

use std::sync::Arc;

use crate::admin::revocations::{Added, Imported, Manner, Refused, Revocations};
use crate::control::ControlHandle;
use crate::control::importing;
use crate::control::revoking::{RevokeError, Revoked};
use crate::revocation::written::json::Unread;
use crate::store::BATCH;
use crate::store::error::StoreError;

/// Wires them.
pub(crate) fn ways(handle: &ControlHandle) -> Revocations {
    let (rehearse, add, list, lift) = (handle.clone(), handle.clone(), handle.clone(), handle.clone());
    let import = handle.clone();
    Revocations {
        rehearse: Arc::new(move |octets| {
            let rehearsed = rehearse.rehearse(&octets).map(added).map_err(refused);
            Box::pin(async move { rehearsed })
        }),
        add: Arc::new(move |octets| {
            let handle = add.clone();
            Box::pin(async move { handle.revoke(&octets).await.map(added).map_err(refused) })
        }),
        import: Arc::new(move |lines, Manner { dry_run, strict }| {
            let handle = import.clone();
            let manner = importing::Manner { dry_run, strict };
            Box::pin(async move { handle.import(&lines, manner).await.map(imported).map_err(refused) })
        }),
        list: Arc::new(move |filter, after, most| {
            let handle = list.clone();
            Box::pin(async move { handle.revocations(filter, after, most).await.map_err(refused) })
        }),
        lift: Arc::new(move |id| {
            let handle = lift.clone();
            Box::pin(async move { handle.lift(id).await.map_err(refused) })
        }),
    }
}

fn added(Revoked { entries, warnings }: Revoked) -> Added {
    Added { entries, warnings }
}

fn imported(done: importing::Imported) -> Imported {
    let importing::Imported { added, refused, warnings } = done;
    Imported { added, refused, warnings }
}

fn refused(error: RevokeError) -> Refused {
    match error {
        RevokeError::Unread(Unread::NotJson(expected)) => Refused::Malformed(expected.to_owned()),
        RevokeError::Unread(Unread::TooMany(count)) => {
            let what =
                format!("{count} entries, and at most {BATCH} at once (send them in several requests)");
            Refused::Entries(vec![what])
        }
        RevokeError::Unread(Unread::Faults(faults)) => Refused::Entries(faults),
        RevokeError::Unknown => Refused::Unknown,
        RevokeError::NoStore => Refused::NoStore(NO_STORE),
        RevokeError::Store(StoreError::Forgotten) => {
            Refused::Malformed("`after` is of another store, or too old: begin without it".to_owned())
        }
        RevokeError::Store(StoreError::Refused(why)) => Refused::Entries(vec![why.to_owned()]),
        RevokeError::Store(
            error @ (StoreError::Full
            | StoreError::ReadOnly
            | StoreError::Busy
            | StoreError::Paused
            | StoreError::Gone
            | StoreError::Damaged(_)),
        ) => {
            tracing::error!(%error, "the store failed");
            Refused::Unavailable(format!("{error}; nothing has changed"))
        }
        RevokeError::Store(error @ (StoreError::Closed | StoreError::Io(_))) => {
            tracing::error!(%error, "the store failed");
            Refused::Unavailable(format!("{error}; nothing has changed, but a restart may show it kept"))
        }
        RevokeError::Stopped => {
            Refused::Unavailable("the gateway is stopping; it may be in force after the start".to_owned())
        }
    }
}

const NO_STORE: &str = "no store is configured, and what is revoked here has to survive a restart: \
    write `store: {sqlite: portcullis.db}` into the configuration and restart, or use the revocation file";
