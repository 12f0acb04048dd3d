//! Group commit, its bounds, a full disk, a disk that cannot be written, and who may write (threats R5).

use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;
use std::{fs, thread};

use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

use super::*;
use crate::store::sqlite::Bounds;

/// A store of so few pages.
fn small(path: &Path, pages: i64) -> Store {
    let bounds = Bounds { pages, ..Bounds::default() };
    Store { engine: Sqlite::open_within(path, bounds).expect("opened") }
}

#[test]
fn many_writers_are_each_answered_for_what_they_wrote() {
    let (_directory, path) = place();
    let store = open(&path);
    let (writers, each) = (16, 50);
    let together = Barrier::new(writers);
    thread::scope(|scope| {
        for writer in 0..writers as u64 {
            let (store, together) = (&store, &together);
            scope.spawn(move || {
                together.wait();
                for number in 0..each {
                    let committed = append(store, added([writer * 1000 + number])).expect("appended");
                    assert_eq!(committed.effective, 1);
                    // Answered is in force, for whoever asks.
                    assert!(store.find(entry(writer * 1000 + number).id).is_ok_and(|found| found.is_some()));
                }
            });
        }
    });
    assert_eq!(live(&store, NOW).len(), writers * 50);
}

#[test]
fn what_waits_to_be_written_is_bounded() {
    let (_directory, path) = place();
    let store = open(&path);
    // The database is kept busy, so that nothing can be committed meanwhile.
    let other = rusqlite::Connection::open(&path).expect("a second connection");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let (mut busy, mut waiting) = (0, Vec::new());
    wait(async {
        for number in 0..100 {
            let batch = added((0..BATCH as u64).map(|entry| number * BATCH as u64 + entry));
            let mut appending = Box::pin(store.append(batch));
            match futures_poll(&mut appending).await {
                Some(Err(StoreError::Busy)) => busy += 1,
                Some(done) => panic!("{done:?} while the database is locked"),
                None => waiting.push(appending),
            }
        }
        assert_eq!((waiting.len(), busy), (65, 35), "65,536 changes may wait");
        other.execute_batch("COMMIT").expect("unlocked");
        for appending in waiting {
            assert_eq!(appending.await.expect("appended").effective, BATCH);
        }
    });
    assert_eq!(append(&store, added([10_000_000])).expect("there is room again").effective, 1);
}

/// Whether it is done at once.
async fn futures_poll<F: Future + Unpin>(work: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *work).poll(context) {
            std::task::Poll::Ready(done) => Some(done),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn r5_a_full_disk_says_so_and_changes_nothing() {
    let (_directory, path) = place();
    let store = small(&path, 40);
    let mut kept = 0;
    let full = loop {
        match append(&store, added((0..100).map(|number| kept + number))) {
            Ok(_) => kept += 100,
            Err(error) => break error,
        }
        assert!(kept < 100_000, "it never fills");
    };
    assert_eq!(full, StoreError::Full);
    assert!(kept > 0);
    let all: Vec<u64> = (0..kept).collect();
    assert_eq!(numbers(&store), all, "nothing of what failed, all of what did not");
    for _ in 0..3 {
        assert_eq!(append(&store, added(kept..kept + 100)), Err(StoreError::Full), "again, and still alive");
    }
    store.close();
    let store = open(&path);
    assert_eq!(numbers(&store), all);
    assert_eq!(append(&store, added([kept])).expect("there is room now").effective, 1);
}

#[test]
fn r5_what_cannot_be_written_is_said_and_not_touched() {
    let (directory, path) = place();
    let store = open(&path);
    append(&store, added([1])).expect("appended");
    store.close();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o555)).expect("a mode");
    let before = fs::read(&path).expect("there");
    let asked = path.clone();
    // Root writes everywhere: the thread, and no other, becomes nobody. The store's owner is root, and reading is
    // allowed to all.
    let said = thread::spawn(move || {
        let read_only = fs::Permissions::from_mode(0o444);
        for name in ["portcullis.db", "portcullis.db.lock"] {
            fs::set_permissions(asked.with_file_name(name), read_only.clone()).expect("a mode");
        }
        if rustix::process::geteuid().is_root() {
            let nobody = Uid::from_raw(65_534);
            set_thread_res_uid(nobody, nobody, nobody).expect("to be nobody");
        }
        let of_a_file = refused(&asked);
        let of_a_directory = refused(&asked.with_file_name("other.db"));
        (of_a_file, of_a_directory)
    });
    let (of_a_file, of_a_directory) = said.join().expect("no panic");
    for said in [&of_a_file, &of_a_directory] {
        assert!(said.contains("cannot be used") && said.contains("Permission denied"), "{said}");
    }
    assert!(of_a_file.contains("portcullis.db") && of_a_directory.contains("other.db"));
    assert_eq!(fs::read(&path).expect("there"), before);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn r5_a_disk_that_turns_read_only_is_no_success() {
    let codes = [
        (rusqlite::ffi::SQLITE_READONLY, StoreError::ReadOnly),
        (rusqlite::ffi::SQLITE_READONLY_DBMOVED, StoreError::ReadOnly),
        (rusqlite::ffi::SQLITE_CANTOPEN, StoreError::ReadOnly),
        (rusqlite::ffi::SQLITE_FULL, StoreError::Full),
        (rusqlite::ffi::SQLITE_BUSY, StoreError::Busy),
        (rusqlite::ffi::SQLITE_BUSY_SNAPSHOT, StoreError::Busy),
    ];
    for (code, expected) in codes {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        assert_eq!(StoreError::from(error), expected);
    }
    let told = |code| StoreError::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
    assert!(matches!(told(rusqlite::ffi::SQLITE_IOERR_FSYNC), StoreError::Io(_)));
    assert!(matches!(told(rusqlite::ffi::SQLITE_CORRUPT), StoreError::Damaged(_)));
    assert!(matches!(told(rusqlite::ffi::SQLITE_NOTADB), StoreError::Damaged(_)));
}

#[test]
fn a_store_whose_file_is_taken_away_takes_nothing_more() {
    let (_directory, path) = place();
    let store = open(&path);
    append(&store, added([1])).expect("appended");
    fs::rename(&path, path.with_extension("moved")).expect("moved");
    assert_eq!(append(&store, added([2])), Err(StoreError::Gone));
    fs::write(&path, "another").expect("written");
    assert_eq!(append(&store, added([2])), Err(StoreError::Gone));
    fs::rename(path.with_extension("moved"), &path).expect("moved");
    append(&store, added([2])).expect("appended");
}

#[test]
fn one_process_holds_a_store_and_hands_it_over() {
    let (_directory, path) = place();
    let old = open(&path);
    append(&old, added([1])).expect("appended");
    let said = refused(&path);
    let number = std::process::id().to_string();
    for text in [path.to_str().expect("text"), &number, "stop that one first", "run --upgrade", "postgres"] {
        assert!(said.contains(text), "{text:?}: {said}");
    }
    let new = Store::inherit(&path, old.hand_over().expect("a copy")).expect("inherited");
    assert_eq!(numbers(&new), [1]);
    let seen = new.snapshot(NOW, &mut |_| ()).expect("a snapshot");
    assert_eq!(append(&new, added([2])), Err(StoreError::Paused), "not yet");
    append(&old, added([2])).expect("the old one still serves");
    wait(old.pause()).expect("paused");
    assert_eq!(append(&old, added([3])), Err(StoreError::Paused));
    assert_eq!(new.changes(&seen, 10).expect("a page").changes, added([2]), "what came meanwhile");
    wait(new.resume()).expect("resumed");
    append(&new, added([3])).expect("the new one writes");
    old.close();
    refused(&path);
    assert_eq!(numbers(&new), [1, 2, 3]);
    append(&new, added([4])).expect("the new one writes alone");
    new.close();
    assert_eq!(numbers(&open(&path)), [1, 2, 3, 4]);
}

#[test]
fn a_successor_that_dies_leaves_the_store_to_the_one_before() {
    let (_directory, path) = place();
    let old = open(&path);
    let new = Store::inherit(&path, old.hand_over().expect("a copy")).expect("inherited");
    wait(old.pause()).expect("paused");
    new.close();
    wait(old.resume()).expect("resumed");
    append(&old, added([1])).expect("it goes on");
    refused(&path);
    let stranger = fs::File::open(&path).expect("a file").into();
    assert!(
        matches!(Store::inherit(&path, stranger), Err(OpenError::Held { .. })),
        "a descriptor of something else"
    );
}
