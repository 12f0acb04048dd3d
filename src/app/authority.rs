//! The authority's ways out, and its place beside the other parts.

use std::sync::Arc;

use crate::authority::means::{Doing, Means};
use crate::control::ControlHandle;
use crate::control::revoking::RevokeError;
use crate::store::error::StoreError;
use crate::store::{Entry, Id, Store};

/// Wires them: revocations are control's to add and to lift.
pub(crate) fn means(handle: &ControlHandle, store: Option<Arc<Store>>) -> Means {
    let (revoke, lift) = (handle.clone(), handle.clone());
    Means {
        store,
        revoke: Arc::new(move |entries: Vec<Entry>| -> Doing {
            let handle = revoke.clone();
            Box::pin(async move { handle.revoke(&entries).await.map_err(failed) })
        }),
        lift: Arc::new(move |ids: Vec<Id>| -> Doing {
            let handle = lift.clone();
            Box::pin(async move {
                for id in ids {
                    match handle.find(id).await {
                        Ok(entry) => handle.lift(entry).await.map_err(failed)?,
                        // It is over, or somebody has lifted it.
                        Err(RevokeError::Unknown) => {}
                        Err(error) => return Err(failed(error)),
                    }
                }
                Ok(())
            })
        }),
        records_changed: Arc::new(|_issuer| -> Doing { Box::pin(std::future::ready(Ok(()))) }),
    }
}

fn failed(error: RevokeError) -> StoreError {
    match error {
        RevokeError::Store(error) => error,
        RevokeError::NoStore => StoreError::Refused("no store is configured"),
        RevokeError::Unread(_) | RevokeError::Unknown => StoreError::Refused("no entry"),
        RevokeError::Stopped => StoreError::Closed,
    }
}
