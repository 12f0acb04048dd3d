//! The store on a real disk: what every engine promises, and what SQLite's files can suffer.

mod conformance;
mod crash;
mod files;
mod records;
mod upkeep;
mod writing;

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A directory, and where a store may be in it.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("portcullis.db");
    (directory, path)
}

/// Opens a store.
#[track_caller]
fn open(path: &Path) -> Store {
    Store::open(path).unwrap_or_else(|error| panic!("{error}"))
}

/// Why it is not opened.
#[track_caller]
fn refused(path: &Path) -> String {
    match Store::open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string(),
    }
}

/// The entry of this number: all of its fields are told from each other and from those of other numbers.
fn entry(number: u64) -> Entry {
    let octets = u128::from(number).to_be_bytes();
    Entry {
        id: Id(octets),
        kind: if number.is_multiple_of(2) { "jti" } else { "claim:device_id" }.into(),
        key: u128::from(number * 7).to_be_bytes(),
        issuer: format!("https://{}.example", number % 5).into(),
        not_before: number.is_multiple_of(3).then_some(NOW - number.cast_signed()),
        expires: None,
        reason: format!("ticket {number}").into(),
        actor: "admin".into(),
        created: NOW + number.cast_signed(),
    }
}

fn added(numbers: impl IntoIterator<Item = u64>) -> Vec<Change> {
    numbers.into_iter().map(|number| Change::Added(entry(number))).collect()
}

fn lifted(number: u64) -> Change {
    let Entry { id, kind, key, .. } = entry(number);
    Change::Lifted(Tombstone { id, kind, key, actor: "support".into(), at: NOW + 1 })
}

/// Appends and waits for the commit.
fn append(store: &Store, changes: Vec<Change>) -> Result<Committed, StoreError> {
    wait(store.append(changes))
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

/// Everything that counts at `now`, in order, by both ways of asking.
fn live(store: &Store, now: i64) -> Vec<Entry> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let Listed { entries: more, next } =
            store.list(now, &Filter::default(), after.as_ref(), 4_000).expect("a list");
        entries.extend(more);
        let Some(next) = next else { break };
        after = Some(next);
    }
    let mut whole = entries.iter();
    let snapshot = store.snapshot(now, &mut |live| {
        let entry = whole.next().expect("one of the list");
        let same = Live {
            id: entry.id,
            kind: (&*entry.kind).into(),
            key: entry.key,
            not_before: entry.not_before,
            expires: entry.expires,
        };
        assert_eq!(live, same);
    });
    snapshot.expect("a snapshot");
    assert_eq!(whole.next(), None, "the snapshot has it too");
    entries
}

/// What is in force, by number.
fn numbers(store: &Store) -> Vec<u64> {
    let number = |entry: Entry| u64::try_from(u128::from_be_bytes(entry.id.0)).expect("a number of a test");
    live(store, NOW).into_iter().map(number).collect()
}

const NOW: i64 = 1_800_000_000;
