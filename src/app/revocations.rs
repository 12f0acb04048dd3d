//! The ways in for revocations: what the admin listener asks is control's to do.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::admin::revocations::{Added, Imported, Manner, Refused, Rehearsed, Revocations, Stopping};
use crate::audit::{About, Asker, Audit, Event};
use crate::control::ControlHandle;
use crate::control::importing::Lines;
use crate::control::revoking::{RevokeError, Revoked};
use crate::control::weighing::Weighed;
use crate::gate::matching::{Matching, Stopped};
use crate::proxy::recall::{Known, Recall};
use crate::revocation::written::json::Unread;
use crate::store::error::StoreError;
use crate::store::{self, BATCH};

/// Wires them. What is asked for is written down before it is done.
pub(crate) fn ways(handle: &ControlHandle, audit: Option<Arc<Audit>>, recall: Arc<Recall>) -> Revocations {
    let (rehearse, add, list, lift) = (handle.clone(), handle.clone(), handle.clone(), handle.clone());
    let (import, for_import) = (handle.clone(), audit.clone());
    let for_lift = audit.clone();
    Revocations {
        rehearse: Arc::new(move |octets| {
            let handle = rehearse.clone();
            let recall = Arc::clone(&recall);
            Box::pin(async move {
                let revoked = prepared(&handle, octets).await?;
                weighed(handle, revoked, recall.known().await).await
            })
        }),
        add: Arc::new(move |octets, by| {
            let (handle, audit) = (add.clone(), audit.clone());
            Box::pin(async move {
                let revoked = prepared(&handle, octets).await?;
                asked(audit, by, Event::Revoke, &revoked.entries).await?;
                handle.revoke(&revoked.entries).await.map_err(refused)?;
                Ok(added(revoked))
            })
        }),
        import: Arc::new(move |lines, Manner { dry_run, strict }, by| {
            let (handle, audit) = (import.clone(), for_import.clone());
            Box::pin(async move {
                let (entries, imported) = lines_read(&handle, lines, strict).await?;
                if !dry_run {
                    asked(audit, by, Event::Revoke, &entries).await?;
                    handle.revoke(&entries).await.map_err(refused)?;
                }
                Ok(imported)
            })
        }),
        list: Arc::new(move |filter, after, most| {
            let handle = list.clone();
            Box::pin(async move { handle.revocations(filter, after, most).await.map_err(refused) })
        }),
        lift: Arc::new(move |id, by| {
            let (handle, audit) = (lift.clone(), for_lift.clone());
            Box::pin(async move {
                let entry = handle.find(id).await.map_err(refused)?;
                asked(audit, by, Event::Lift, std::slice::from_ref(&entry)).await?;
                handle.lift(entry).await.map_err(refused)
            })
        }),
    }
}

/// Reads entries on a thread that may take its time.
async fn prepared(handle: &ControlHandle, octets: Vec<u8>) -> Result<Revoked, Refused> {
    let handle = handle.clone();
    let read = tokio::task::spawn_blocking(move || handle.rehearse(&octets)).await;
    read.unwrap_or(Err(RevokeError::Stopped)).map_err(refused)
}

/// Reads lines there too.
async fn lines_read(
    handle: &ControlHandle,
    lines: Vec<Bytes>,
    strict: bool,
) -> Result<(Vec<store::Entry>, Imported), Refused> {
    let handle = handle.clone();
    let read = tokio::task::spawn_blocking(move || handle.read_lines(&lines, strict)).await;
    let (entries, lines) = read.unwrap_or(Err(RevokeError::Stopped)).map_err(refused)?;
    let Lines { refused, warnings } = lines;
    let added = entries.len();
    Ok((entries, Imported { added, refused, warnings }))
}

/// What entries would come to, on a thread that may take its time.
async fn weighed(handle: ControlHandle, revoked: Revoked, known: Known) -> Result<Rehearsed, Refused> {
    let weighed = tokio::task::spawn_blocking(move || {
        let Weighed { already, matching } = handle.weigh(&revoked.entries, (&known.tokens, known.streams))?;
        let Matching { each, any, of } = matching;
        let each = each.into_iter().map(stopping).collect();
        Ok(Rehearsed { would: added(revoked), already, each, any: stopping(any), of: stopping(of) })
    });
    weighed.await.unwrap_or(Err(RevokeError::Stopped)).map_err(refused)
}

fn stopping(Stopped { tokens, streams }: Stopped) -> Stopping {
    Stopping { tokens, streams }
}

/// Writes down what is going to be done, unless it is nothing.
async fn asked(
    audit: Option<Arc<Audit>>,
    by: Asker,
    event: Event,
    entries: &[store::Entry],
) -> Result<(), Refused> {
    let Some(audit) = audit.filter(|_| !entries.is_empty()) else { return Ok(()) };
    let entries: Vec<About> = entries.iter().map(about).collect();
    let written = tokio::task::spawn_blocking(move || audit.asked(&by, event, &entries)).await;
    written.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| {
        tracing::error!(%error, "the audit file cannot be written");
        Refused::Unavailable(format!("the audit file cannot be written: {error}; nothing has changed"))
    })
}

fn about(entry: &store::Entry) -> About {
    About {
        id: entry.id.to_string(),
        kind: entry.kind.clone(),
        key: entry.key,
        issuer: entry.issuer.clone(),
        not_before: entry.not_before,
        expires: entry.expires,
        reason: entry.reason.clone(),
    }
}

fn added(Revoked { entries, warnings }: Revoked) -> Added {
    Added { entries, warnings }
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
