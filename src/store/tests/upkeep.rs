//! Copies, and putting one back.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::store::upkeep::{Migrated, Restored, backup, migrate, restore};

#[test]
fn a_backup_is_of_one_moment_and_made_while_the_store_is_in_use() {
    let (directory, path) = place();
    let to = directory.path().join("copy.db");
    let store = open(&path);
    append(&store, [added(1..=3), vec![lifted(2)]].concat()).expect("appended");
    assert_eq!(backup(&path, &to).expect("copied"), 3);
    append(&store, added([4])).expect("the store goes on");
    assert_eq!(fs::metadata(&to).expect("there").permissions().mode() & 0o777, 0o600);
    let again = backup(&path, &to).expect_err("a file is there").to_string();
    assert!(again.contains("there is a file already"), "{again}");
    assert_eq!(numbers(&open(&to)), [1, 3], "a copy is a store");
    assert!(!directory.path().join("copy.db.new").exists());
    let nothing = backup(&directory.path().join("absent.db"), &directory.path().join("x.db"));
    assert!(nothing.expect_err("no store").to_string().contains("absent.db cannot be used"));
}

#[test]
fn a_restored_store_is_the_backup_and_the_old_file_is_kept() {
    let (directory, path) = place();
    let from = directory.path().join("copy.db");
    let store = open(&path);
    append(&store, added(1..=3)).expect("appended");
    backup(&path, &from).expect("copied");
    append(&store, [added([4, 5]), vec![lifted(1)]].concat()).expect("appended");
    let followed = store.snapshot(NOW, &mut |_| ()).expect("a snapshot");
    let held = restore(&path, &from).expect_err("in use").to_string();
    assert!(held.contains("is in use"), "{held}");
    store.close();

    let Restored { rows, kept, missing } = restore(&path, &from).expect("restored");
    assert_eq!((rows, missing), (3, Some(2)), "4 and 5 are in the old file alone");
    let kept = kept.expect("the old file");
    assert_eq!(numbers(&open(&kept)), [2, 3, 4, 5]);
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let store = open(&path);
    assert_eq!(numbers(&store), [1, 2, 3]);
    assert_eq!(store.changes(&followed, 1), Err(StoreError::Forgotten), "it is another store");
    append(&store, added([6])).expect("and takes more");
    store.close();
    // Once more, in the same second perhaps: nothing that was kept is replaced.
    let again = restore(&path, &from).expect("restored").kept.expect("the old file");
    assert_ne!(again, kept);
    assert_eq!(numbers(&open(&again)), [1, 2, 3, 6]);
}

#[test]
fn a_backup_that_is_none_changes_nothing() {
    let (directory, path) = place();
    let store = open(&path);
    append(&store, added(0..2_000)).ok();
    append(&store, added(0..900)).expect("appended");
    let from = directory.path().join("copy.db");
    backup(&path, &from).expect("copied");
    store.close();
    let whole = fs::read(&from).expect("there");
    let mut holed = whole.clone();
    let middle = whole.len() / 2 / 4096 * 4096;
    holed[middle..middle + 4096].fill(0);
    for octets in [&b""[..], b"a file of something else", &whole[..whole.len() / 2], &holed] {
        fs::write(&from, octets).expect("written");
        let before = fs::read(&path).expect("there");
        let said = restore(&path, &from).expect_err("no backup").to_string();
        assert!(said.contains("copy.db") && said.contains("nothing was changed"), "{said}");
        assert!(fs::read(&path).expect("there") == before);
    }
    assert!(restore(&path, &directory.path().join("absent")).is_err());
    assert_eq!(numbers(&open(&path)).len(), 900);
}

#[test]
fn a_store_that_is_damaged_or_lost_is_restored_and_its_remains_are_kept() {
    let (directory, path) = place();
    let from = directory.path().join("copy.db");
    let store = open(&path);
    append(&store, added([1])).expect("appended");
    backup(&path, &from).expect("copied");
    store.close();
    fs::write(&path, "nothing that can be read").expect("written");
    fs::write(path.with_extension("db-wal"), "nor this").expect("written");
    let Restored { kept, missing, .. } = restore(&path, &from).expect("restored");
    let kept = kept.expect("the remains");
    assert_eq!(missing, None);
    assert_eq!(fs::read(&kept).expect("kept"), b"nothing that can be read");
    let log = format!("{}-wal", kept.display());
    assert_eq!(fs::read(log).expect("kept"), b"nor this");
    assert_eq!(numbers(&open(&path)), [1]);
    fs::remove_file(&path).expect("removed");
    assert_eq!(restore(&path, &from).expect("restored").kept, None);
    assert_eq!(numbers(&open(&path)), [1]);
}

#[test]
fn a_store_is_migrated_by_one_process_at_a_time() {
    let (_directory, path) = place();
    assert_eq!(migrate(&path).expect("made"), Migrated { from: 0, to: 3 });
    assert_eq!(migrate(&path).expect("there"), Migrated { from: 3, to: 3 });
    let _store = open(&path);
    assert!(migrate(&path).expect_err("in use").to_string().contains("is in use"));
}
