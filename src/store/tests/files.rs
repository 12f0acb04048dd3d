//! A file that is torn, cut, foreign or too new is named, and never emptied.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rusqlite::Connection;

use super::*;
use crate::store::place as place_of;
use crate::store::place::remote;
use crate::store::schema;
use crate::store::sqlite::Bounds;

/// A store with this many entries, closed.
fn filled(path: &Path, entries: u64) -> Vec<u8> {
    let store = open(path);
    for first in (0..entries).step_by(BATCH) {
        append(&store, added(first..entries.min(first + BATCH as u64))).expect("appended");
    }
    store.close();
    fs::read(path).expect("a file")
}

/// Puts `octets` at `path`: opening it is refused in these words, and leaves the file as it was.
#[track_caller]
fn check(path: &Path, octets: &[u8], words: &[&str]) {
    fs::write(path, octets).expect("written");
    let said = refused(path);
    for word in words.iter().chain([&path.to_str().expect("text"), &"nothing was changed"]) {
        assert!(said.contains(word), "{word:?}: {said}");
    }
    assert!(fs::read(path).expect("there") == octets, "{words:?}: the file was changed");
}

#[test]
fn a_new_store_is_for_its_owner_alone_and_all_settings_hold() {
    let (directory, path) = place();
    let store = open(&path);
    append(&store, added([1])).expect("appended");
    let mut found = 0;
    for file in fs::read_dir(directory.path()).expect("a directory") {
        let file = file.expect("a file");
        assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600, "{file:?}");
        found += 1;
    }
    assert_eq!(found, 4, "the database, its log, its index, its lock");
    let connection = sqlite::connect(&path).expect("opened");
    let setting = |name: &str| -> rusqlite::types::Value {
        connection.pragma_query_value(None, name, |row| row.get(0)).expect("a setting")
    };
    assert_eq!(setting("journal_mode"), rusqlite::types::Value::Text("wal".into()));
    assert_eq!(setting("synchronous"), 2.into(), "FULL");
    assert_eq!(setting("application_id"), schema::APPLICATION.into());
    let strict = "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND strict = 0 AND name NOT LIKE 'sqlite_%'";
    assert_eq!(connection.query_row(strict, [], |row| row.get::<_, i64>(0)), Ok(0), "every table is strict");
}

#[test]
fn no_secret_and_no_subject_is_in_the_file() {
    // The store is given hashes: what could be in the clear is what its columns can hold.
    let (_directory, path) = place();
    drop(open(&path));
    let connection = Connection::open(&path).expect("opened");
    let columns = "SELECT group_concat(name, ' ') FROM pragma_table_info('revocation')";
    let columns: String = connection.query_row(columns, [], |row| row.get(0)).expect("columns");
    assert_eq!(columns, "place id kind key issuer not_before expires reason actor created lifted lifted_by");
}

#[test]
fn a_torn_file_is_named_and_never_emptied() {
    let (_directory, path) = place();
    let whole = filled(&path, 3_000);
    let half = whole.len() / 2;
    check(&path, b"", &["is damaged", "it is empty", "portcullis store restore"]);
    check(&path, &whole[..10], &["is damaged", "its beginning is lost"]);
    check(&path, &whole[..50], &["is damaged", "it ends after 50 octets"]);
    check(&path, &whole[..half], &["is damaged", &format!("it has {half} octets of {}", whole.len())]);
    check(&path, &whole[..whole.len() - 1], &["is damaged", "octets of"]);
    check(&path, &vec![0; whole.len()], &["is damaged", "its beginning is lost"]);
    // A page in the middle was never written, or something else was written there.
    for octet in [0, 0xff] {
        let mut holed = whole.clone();
        holed[half - half % 4096..][..4096].fill(octet);
        check(&path, &holed, &["is damaged"]);
    }
    fs::write(&path, &whole).expect("written");
    assert_eq!(numbers(&open(&path)).len(), 3_000, "and the whole one is fine");
}

#[test]
fn a_large_file_that_is_torn_is_named_when_it_is_read() {
    let (_directory, path) = place();
    let mut octets = filled(&path, 3_000);
    // A leaf of the table (type 13): a leaf of an index is not read here.
    let half = octets.len() / 2;
    let leaf = octets[half - half % 4096..].chunks_mut(4096).find(|page| page[0] == 13);
    leaf.expect("a leaf of the table").fill(0);
    fs::write(&path, &octets).expect("written");
    let bounds = Bounds { checked: 1, ..Bounds::default() };
    let store = Store { engine: Sqlite::open_within(&path, bounds).expect("opened") };
    let read = store.snapshot(NOW, &mut |_| ());
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
}

#[test]
fn a_log_without_its_store_is_named() {
    let (_directory, path) = place();
    let log = path.with_extension("db-wal");
    fs::write(&log, "a log").expect("written");
    let said = refused(&path);
    assert!(said.contains("it is missing, and its log") && said.contains("portcullis.db-wal"), "{said}");
    assert!(!path.exists() && log.exists());
}

#[test]
fn a_foreign_file_is_named_and_left_alone() {
    let (directory, path) = place();
    check(
        &path,
        b"version: 1\nlisteners: [0.0.0.0:8080]\n",
        &["is no store", "no SQLite database", "another path"],
    );
    fs::remove_file(&path).expect("removed");
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("CREATE TABLE people (name TEXT)").expect("made");
    other.close().expect("closed");
    let octets = fs::read(&path).expect("there");
    check(&path, &octets, &["is no store", "the SQLite database of something else"]);
    let said = refused(directory.path());
    assert!(said.contains("cannot be opened") || said.contains("it is no file"), "{said}");
    let said = refused(&directory.path().join("absent/portcullis.db"));
    assert!(said.contains("its directory cannot be found"), "{said}");
}

#[test]
fn a_newer_store_is_refused_and_an_older_one_migrated() {
    let (_directory, path) = place();
    filled(&path, 1);
    let connection = Connection::open(&path).expect("opened");
    connection.pragma_update(None, "user_version", schema::VERSION + 1).expect("set");
    connection.close().expect("closed");
    let said = refused(&path);
    let newer = schema::VERSION + 1;
    for text in [&format!("has version {newer}"), "use the program that wrote it", "store restore"] {
        assert!(said.contains(text), "{text:?}: {said}");
    }
    let steps = ["CREATE TABLE a (x INTEGER) STRICT", "ALTER TABLE a ADD COLUMN y INTEGER", "BROKEN"];
    let mut connection = Connection::open_in_memory().expect("opened");
    assert_eq!(schema::advance(&mut connection, &steps[..1]), Ok(0));
    assert_eq!(schema::advance(&mut connection, &steps[..2]), Ok(1));
    assert_eq!(schema::advance(&mut connection, &steps[..2]), Ok(2));
    connection.execute_batch("INSERT INTO a VALUES (1, 2)").expect("both columns");
    assert!(schema::advance(&mut connection, &steps).is_err());
    assert_eq!(schema::version(&connection), Ok(2), "all the way or not at all");
}

#[test]
fn a_store_that_was_never_finished_is_no_obstacle() {
    let (_directory, path) = place();
    for left in ["db.new", "db.new-wal", "db.new-shm"] {
        fs::write(path.with_extension(left), "left by a crash").expect("written");
    }
    let store = open(&path);
    append(&store, added([1])).expect("appended");
    assert!(!path.with_extension("db.new").exists());
}

#[test]
fn a_store_has_one_lock_by_whatever_name() {
    let (directory, path) = place();
    let _store = open(&path);
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    assert!(refused(&link).contains("is in use"));
    let around = directory.path().join("..").join(directory.path().file_name().expect("a name"));
    assert!(refused(&around.join("portcullis.db")).contains("is in use"));
}

#[test]
fn network_file_systems_are_refused() {
    for (number, name) in [
        (0x6969, "NFS"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x6573_5546, "FUSE"),
        (0x0102_1997, "9P"),
    ] {
        assert_eq!(remote(number), Some(name));
    }
    // ext4, XFS, Btrfs, tmpfs, overlayfs, ZFS, F2FS.
    for number in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1, 0xf2f5_2010] {
        assert_eq!(remote(number), None);
    }
    let (_directory, path) = place();
    place_of::local(&path).expect("a temporary directory is local");
    let said = OpenError::NotLocal { path, system: "NFS" }.to_string();
    assert!(said.contains("NFS") && said.contains("local disk"), "{said}");
}

/// A program that is being started has copies of our descriptors until it runs, the lock's too.
#[test]
fn a_store_that_is_closed_is_free_while_another_thread_starts_programs() {
    let (_directory, path) = place();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    Command::new("true").status().expect("started");
                }
            });
        }
        let opened: Vec<_> = (0..100).map(|_| Store::open(&path).map(Store::close).is_ok()).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(opened.iter().all(|opened| *opened), "{opened:?}");
    });
}
