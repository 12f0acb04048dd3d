use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::authority::means::Doing;
use crate::revocation::key::Key;
use crate::store::{Entry, Store};

const NOW: i64 = 4_000_000_000;

struct Scene {
    directory: TempDir,
    opaque: Opaque,
    revoked: Arc<std::sync::Mutex<Vec<Entry>>>,
    stuck: Arc<AtomicBool>,
}

impl Scene {
    fn new() -> Self {
        Self::at(tempfile::tempdir().expect("a directory"))
    }

    fn at(directory: TempDir) -> Self {
        let store = Store::open(&directory.path().join("store.db")).expect("a store");
        let (revoked, stuck) = (Arc::<std::sync::Mutex<Vec<Entry>>>::default(), Arc::<AtomicBool>::default());
        let (into, fails) = (Arc::clone(&revoked), Arc::clone(&stuck));
        let done = || -> Doing { Box::pin(async { Ok(()) }) };
        let opaque = Opaque::new(Means {
            store: Some(Arc::new(store)),
            revoke: Arc::new(move |entries| {
                if fails.load(Ordering::Relaxed) {
                    return Box::pin(async { Err(StoreError::Full) });
                }
                into.lock().expect("unpoisoned").extend(entries);
                Box::pin(async { Ok(()) })
            }),
            lift: Arc::new(move |_| done()),
            records_changed: Arc::new(move |_| done()),
            publish_keys: Arc::new(move |_, _| done()),
        });
        opaque.load().expect("what was kept can be read");
        Self { directory, opaque, revoked, stuck }
    }

    fn restarted(self) -> Self {
        let Self { directory, opaque, .. } = self;
        drop(opaque);
        Self::at(directory)
    }

    async fn issue(&self, text: &str, subject: &str, id: &str) {
        let claims = claims(subject, id, NOW + 100);
        let new = NewToken { token: "user", text, claims: &claims };
        self.opaque.issue(new).await.expect("it is kept");
    }

    fn knows(&self, text: &str) -> bool {
        self.opaque.look_up("user", text, NumericDate(NOW)) != Looked::Unknown
    }
}

fn claims(subject: &str, id: &str, expires: i64) -> Map<String, Value> {
    let claims = json!({
        "iss": "https://api", "sub": subject, "jti": id, "sid": format!("session of {subject}"), "scope": "read",
        "iat": NOW, "exp": expires,
    });
    claims.as_object().cloned().expect("an object")
}

#[tokio::test]
async fn a_token_counts_under_its_own_name_and_until_its_end() {
    let scene = Scene::new();
    scene.issue("usr_1", "ann", "1").await;
    assert_eq!(scene.opaque.look_up("user", "usr_2", NumericDate(NOW)), Looked::Unknown);
    assert_eq!(scene.opaque.look_up("other", "usr_1", NumericDate(NOW)), Looked::Unknown);
    assert_eq!(scene.opaque.look_up("user", "usr_1", NumericDate(NOW + 100)), Looked::Unknown);
    let Looked::Known(said) = scene.opaque.look_up("user", "usr_1", NumericDate(NOW + 99)) else {
        panic!("it counts");
    };
    let said: Map<String, Value> = serde_json::from_slice(&said).expect("JSON");
    assert_eq!(said, claims("ann", "1", NOW + 100));
}

#[tokio::test]
async fn tokens_survive_a_restart_and_those_that_are_over_do_not() {
    let scene = Scene::new();
    scene.issue("usr_1", "ann", "1").await;
    let over = claims("ann", "2", 1);
    let new = NewToken { token: "user", text: "usr_2", claims: &over };
    scene.opaque.issue(new).await.expect("it is kept");
    let scene = scene.restarted();
    assert!(scene.knows("usr_1"));
    assert_eq!(scene.opaque.len(), 1);
    scene.opaque.sweep(NumericDate(NOW + 100));
    assert!(scene.opaque.is_empty());
}

#[tokio::test]
async fn t7_no_opaque_token_stands_in_the_store() {
    let scene = Scene::new();
    scene.issue("usr_a-canary-that-nobody-may-find", "ann", "1").await;
    let files = std::fs::read_dir(scene.directory.path()).expect("a directory");
    let kept: Vec<u8> =
        files.flat_map(|file| std::fs::read(file.expect("a file").path()).expect("octets")).collect();
    let has = |text: &[u8]| kept.windows(text.len()).any(|window| window == text);
    assert!(has(b"session of ann"), "the token is there");
    assert!(!has(b"canary"));
}

#[tokio::test]
async fn what_is_revoked_is_gone_and_whoever_remembers_it_hears_of_it() {
    let scene = Scene::new();
    for (text, subject) in [("1", "ann"), ("2", "ann"), ("3", "bob"), ("4", "eve")] {
        scene.issue(text, subject, text).await;
    }
    let revoke = async |which| scene.opaque.revoke(&["user"], which).await.expect("revoked");
    assert_eq!(revoke(Which::Text("none")).await, 0);
    assert_eq!(scene.opaque.revoke(&["other"], Which::Text("1")).await, Ok(0), "it is none of these");
    assert_eq!(revoke(Which::Subject("ann")).await, 2);
    assert_eq!(revoke(Which::Text("3")).await, 1);
    assert_eq!(revoke(Which::Session("session of eve")).await, 1);
    let mut keys: Vec<[u8; 16]> =
        scene.revoked.lock().expect("unpoisoned").iter().map(|entry| entry.key).collect();
    let mut wanted: Vec<[u8; 16]> =
        ["1", "2", "3", "4"].iter().map(|id| Key::new(Kind::Jti, "https://api", id).0).collect();
    keys.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
    assert!(scene.opaque.is_empty());
    // Revoking somebody's tokens is not revoking those that they are given afterwards.
    scene.issue("5", "ann", "5").await;
    assert!(scene.knows("5"));
    assert_eq!(scene.restarted().opaque.len(), 1);
}

#[tokio::test]
async fn what_could_not_be_revoked_still_counts() {
    let scene = Scene::new();
    scene.issue("1", "ann", "1").await;
    scene.stuck.store(true, Ordering::Relaxed);
    let failed = scene.opaque.revoke(&["user"], Which::Subject("ann")).await;
    assert_eq!(failed, Err(Trouble::Store(StoreError::Full)));
    assert!(scene.knows("1"), "or whoever was told so would believe it");
}

#[tokio::test]
async fn there_are_no_more_than_so_many() {
    let mut held = Held::default();
    for _ in 0..TOKENS {
        held.reserve("user", NOW).expect("room");
    }
    assert_eq!(held.reserve("user", NOW), Err(Trouble::Overloaded));
    assert_eq!(held.reserve("other", NOW), Ok(()), "another has room of its own");
    held.release("user");
    assert_eq!(held.reserve("user", NOW), Ok(()));
}
