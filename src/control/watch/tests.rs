use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::EventKind;
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::control::watch::{Watcher, hint, is_change, quiet};

#[test]
fn reading_is_no_change_and_everything_else_is() {
    for (kind, expected) in [
        (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
        (EventKind::Access(AccessKind::Read), false),
        (EventKind::Access(AccessKind::Close(AccessMode::Read)), false),
        (EventKind::Access(AccessKind::Close(AccessMode::Write)), true),
        (EventKind::Create(CreateKind::Any), true),
        (EventKind::Modify(ModifyKind::Name(RenameMode::To)), true),
        (EventKind::Remove(RemoveKind::File), true),
        (EventKind::Any, true),
        (EventKind::Other, true),
    ] {
        assert_eq!(is_change(kind), expected, "{kind:?}");
    }
}

/// Every way in which editors and Kubernetes change a file is noticed.
#[tokio::test]
async fn every_way_to_change_a_file_is_noticed() {
    type Edit = fn(&Path);
    let edits: [(&str, Edit); 6] = [
        ("in place", |at| fs::write(at.join("file"), "b").expect("written")),
        ("renamed over", |at| {
            fs::write(at.join("new"), "b").expect("written");
            fs::rename(at.join("new"), at.join("file")).expect("renamed");
        }),
        ("removed", |at| fs::remove_file(at.join("file")).expect("removed")),
        ("mode", |at| {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(at.join("file"), fs::Permissions::from_mode(0o600)).expect("set");
        }),
        ("link swapped", |at| {
            symlink("..2", at.join("..new")).expect("linked");
            fs::rename(at.join("..new"), at.join("..data")).expect("renamed");
        }),
        ("where a link leads", |at| fs::write(at.join("..1/linked"), "b").expect("written")),
    ];
    for (name, edit) in edits {
        let root = tempfile::tempdir().expect("a directory");
        let at = root.path();
        fs::write(at.join("file"), "a").expect("written");
        fs::create_dir(at.join("..1")).expect("created");
        fs::create_dir(at.join("..2")).expect("created");
        fs::write(at.join("..1/linked"), "a").expect("written");
        symlink("..1", at.join("..data")).expect("linked");
        symlink("..data/linked", at.join("linked")).expect("linked");
        let mut watcher = Watcher::start();
        watcher.follow([at.join("file").as_path(), at.join("linked").as_path()]);
        edit(at);
        let changed = watcher.changed();
        timeout(Duration::from_secs(20), changed.notified()).await.unwrap_or_else(|_| panic!("{name}"));
    }
}

#[tokio::test]
async fn a_directory_that_is_not_followed_any_more_is_not_watched() {
    let (one, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut watcher = Watcher::start();
    watcher.follow([one.path().join("file").as_path()]);
    watcher.follow([other.path().join("file").as_path()]);
    let changed = watcher.changed();
    fs::write(one.path().join("file"), "a").expect("written");
    fs::write(other.path().join("file"), "a").expect("written");
    timeout(Duration::from_secs(20), changed.notified()).await.expect("noticed");
    assert_eq!(watcher.directories.len(), 1);
    // A directory that is not there is no reason to fail.
    watcher.follow([Path::new("/nowhere/at/all")]);
}

#[tokio::test(start_paused = true)]
async fn changes_are_passed_on_when_they_rest_and_at_the_latest_after_a_second() {
    let changed = Arc::new(Notify::new());
    let begun = Instant::now();
    quiet(&changed).await;
    assert_eq!(begun.elapsed(), super::QUIET);
    let restless = tokio::spawn({
        let changed = Arc::clone(&changed);
        async move {
            let mut pause = tokio::time::interval(Duration::from_millis(20));
            loop {
                pause.tick().await;
                changed.notify_one();
            }
        }
    });
    let begun = Instant::now();
    quiet(&changed).await;
    assert!(begun.elapsed() >= super::MOST_QUIET && begun.elapsed() < super::MOST_QUIET + super::QUIET);
    restless.abort();
}

#[tokio::test(start_paused = true)]
async fn without_any_event_there_is_a_poll() {
    let hinted = Arc::new(Notify::new());
    let hints = tokio::spawn({
        let hinted = Arc::clone(&hinted);
        hint(Arc::new(Notify::new()), move || hinted.notify_one())
    });
    let begun = Instant::now();
    hinted.notified().await;
    assert_eq!(begun.elapsed(), super::POLL);
    hinted.notified().await;
    assert_eq!(begun.elapsed(), super::POLL * 2);
    hints.abort();
}
