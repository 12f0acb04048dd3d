use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::control::files::Files;

fn scratch(content: &str) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("file");
    fs::write(&path, content).expect("written");
    (root, path)
}

fn read(path: &Path, limit: usize) -> (Files, Result<String, String>) {
    let mut files = Files::default();
    let text = files.read(path, limit).map(|content| String::from_utf8_lossy(&content.octets).into_owned());
    (files, text)
}

#[test]
fn what_is_no_bounded_regular_file_is_refused() {
    let (root, path) = scratch("12345");
    assert_eq!(read(&path, 4).1, Err("larger than 4 octets".into()));
    assert_eq!(read(root.path(), 9).1, Err("not a regular file".into()));
    assert_eq!(read(Path::new("/dev/zero"), 9).1, Err("not a regular file".into()));
    assert!(read(&root.path().join("none"), 9).1.is_err_and(|why| why.contains("No such file")));
    assert_eq!(read(&path, 5).1.as_deref(), Ok("12345"));
}

#[test]
fn every_way_a_file_can_change_is_seen() {
    type Edit = fn(&Path);
    let edits: [(&str, Edit); 6] = [
        ("in place", |path| fs::write(path, "b").expect("written")),
        ("truncated", |path| fs::write(path, "").expect("written")),
        ("removed", |path| fs::remove_file(path).expect("removed")),
        ("renamed over", |path| {
            let new = path.with_extension("new");
            fs::write(&new, "b").expect("written");
            fs::rename(new, path).expect("renamed");
        }),
        ("a directory", |path| {
            fs::remove_file(path).expect("removed");
            fs::create_dir(path).expect("created");
        }),
        ("too large", |path| fs::write(path, "123456789").expect("written")),
    ];
    for (name, edit) in edits {
        let (_root, path) = scratch("a");
        let (files, _) = read(&path, 8);
        assert!(!files.have_changed(), "{name}: nothing happened yet");
        edit(&path);
        assert!(files.have_changed(), "{name}");
    }
}

#[test]
fn what_is_written_again_the_same_has_not_changed() {
    let (_root, path) = scratch("a");
    let (files, _) = read(&path, 8);
    fs::remove_file(&path).expect("removed");
    fs::write(&path, "a").expect("written");
    assert!(!files.have_changed());
}

/// Kubernetes: `file` -> `..data/file`, `..data` -> `..1`, swapped to `..2` by a rename.
#[test]
fn a_swapped_link_is_seen() {
    let root = tempfile::tempdir().expect("a directory");
    let at = |name: &str| root.path().join(name);
    for (name, content) in [("..1", "a"), ("..2", "b")] {
        fs::create_dir(at(name)).expect("created");
        fs::write(at(name).join("file"), content).expect("written");
    }
    std::os::unix::fs::symlink("..1", at("..data")).expect("linked");
    std::os::unix::fs::symlink("..data/file", at("file")).expect("linked");
    let (files, text) = read(&at("file"), 8);
    assert_eq!(text.as_deref(), Ok("a"));
    std::os::unix::fs::symlink("..2", at("..new")).expect("linked");
    fs::rename(at("..new"), at("..data")).expect("renamed");
    assert!(files.have_changed());
    assert!(files.are_settled(), "the file that was read was not written to");
}

#[test]
fn a_file_that_appears_is_seen() {
    let (_root, path) = scratch("a");
    let missing = path.with_extension("missing");
    let (files, text) = read(&missing, 8);
    assert!(text.is_err());
    assert!(!files.have_changed());
    fs::write(&missing, "a").expect("written");
    assert!(files.have_changed());
}

#[test]
fn a_file_that_is_being_written_is_not_settled() {
    let (_root, path) = scratch("half");
    let (files, _) = read(&path, 99);
    assert!(files.are_settled());
    let now = SystemTime::now();
    assert!(files.are_fresh(now));
    assert!(files.are_fresh(now - Duration::from_secs(3_600)), "a clock that went back tells nothing");
    assert!(!files.are_fresh(now + Duration::from_secs(60)));
    let mut file = fs::OpenOptions::new().append(true).open(&path).expect("opened");
    file.write_all(b" and half").expect("written");
    assert!(!files.are_settled());
}

#[test]
fn a_replaced_file_is_settled() {
    let (_root, path) = scratch("a");
    let (files, _) = read(&path, 8);
    let new = path.with_extension("new");
    fs::write(&new, "b").expect("written");
    fs::rename(new, &path).expect("renamed");
    assert!(files.are_settled());
}

#[test]
fn after_a_failure_the_files_of_before_are_still_of_interest() {
    let (root, path) = scratch("a");
    let (older, _) = read(&path, 8);
    let (newer, _) = read(&root.path().join("other"), 8);
    let both = newer.closed(Some(&older));
    assert_eq!(both.paths().count(), 2);
    assert!(!both.have_changed());
    fs::write(&path, "b").expect("written");
    assert!(both.have_changed());
}

#[test]
fn the_mode_is_the_targets() {
    let (root, path) = scratch("a");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o646)).expect("set");
    let link = root.path().join("link");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    let content = Files::default().read(&link, 8).expect("read");
    assert_eq!(content.mode & 0o777, 0o646);
}
