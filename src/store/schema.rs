//! The tables and their versions.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::error::StoreError;

/// What a store's head says it is a database of ("Port").
pub(crate) const APPLICATION: i64 = 0x506f_7274;

/// What leads from each version to the next; the first begins with nothing.
const STEPS: &[&str] =
    &[include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

/// The version that this program reads and writes.
pub(crate) const VERSION: i64 = STEPS.len() as i64;

/// The version of an open database.
pub(crate) fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Brings a database to [`VERSION`], all the way or not at all, and returns the version it had.
pub(crate) fn migrate(connection: &mut Connection) -> Result<i64, StoreError> {
    advance(connection, STEPS)
}

/// Takes the steps that are missing.
pub(crate) fn advance(connection: &mut Connection, steps: &[&str]) -> Result<i64, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    for (version, step) in (1..).zip(steps).filter(|(version, _)| *version > found) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
    }
    transaction.commit()?;
    Ok(found)
}
