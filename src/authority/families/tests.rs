use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::*;
use crate::authority::means::{Doing, Means};
use crate::config::minted::{Encoding, Lifetime};
use crate::config::template::Text;
use crate::store::{Entry, Store};

const NOW: NumericDate = NumericDate(2_000_000_000);
const MILLISECONDS: i64 = 2_000_000_000_000;

/// A store, the families in it, and what was revoked.
struct Scene {
    directory: TempDir,
    families: Families,
    revoked: Arc<Mutex<Vec<Entry>>>,
    /// Revoking fails.
    stuck: Arc<AtomicBool>,
}

impl Scene {
    fn new() -> Self {
        Self::at(tempfile::tempdir().expect("a directory"))
    }

    fn at(directory: TempDir) -> Self {
        let store = Store::open(&directory.path().join("store.db")).expect("a store");
        let (revoked, stuck) = (Arc::<Mutex<Vec<Entry>>>::default(), Arc::<AtomicBool>::default());
        let (into, fails) = (Arc::clone(&revoked), Arc::clone(&stuck));
        let done = || -> Doing { Box::pin(async { Ok(()) }) };
        let means = Means {
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
        };
        let families = Families::new(means);
        families.load().expect("what was kept can be read");
        Self { directory, families, revoked, stuck }
    }

    /// As after `kill -9`: nothing of the process is left but its file.
    fn restarted(self) -> Self {
        let Self { directory, families, .. } = self;
        drop(families);
        Self::at(directory)
    }

    async fn begin(&self, minted: &Minted) -> String {
        let given = self.families.begin(minted, family("sid-1", "subject")).await.expect("a family");
        given.text.to_string()
    }

    async fn rotate(&self, minted: &Minted, token: &str, milliseconds: i64) -> Result<String, NotGiven> {
        let now = NumericDate(milliseconds / 1_000);
        let given = self.families.rotate_at(minted, token, None, (now, move || milliseconds)).await;
        given.map(|given| given.text.to_string())
    }

    fn sessions(&self) -> Vec<Box<str>> {
        self.revoked.lock().expect("unpoisoned").iter().map(|entry| entry.issuer.clone()).collect()
    }

    /// Everything that stands in the store's files.
    fn octets(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.directory.path()).expect("a directory");
        files.flat_map(|file| std::fs::read(file.expect("a file").path()).expect("octets")).collect()
    }
}

fn minted(grace: Duration, sliding: bool) -> Minted {
    let shape = Shape { prefix: "r_".into(), octets: 32, encoding: Encoding::Hex };
    let day = Duration::from_secs(86_400);
    Minted {
        name: "refresh".into(),
        at: Default::default(),
        format: Format::Refresh { shape, grace, sliding },
        lifetime: Lifetime { default: day, asked: None, max: day },
        subject: Text(Vec::new()),
        issuer: None,
    }
}

fn family(session: &str, subject: &str) -> Family {
    Family {
        session: session.into(),
        token: "refresh".into(),
        beside: vec![("access".into(), "https://api".into()), ("other".into(), "https://api".into())],
        subject: subject.into(),
        credential: "keys".into(),
        holder: "id".into(),
        scopes: vec!["read".into()],
        carried: Map::from_iter([("tenant".to_owned(), "acme".into())]),
        expires: NumericDate(NOW.0 + 86_400),
        life: 3_600,
    }
}

const GRACE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn what_is_no_token_of_a_family_is_unknown_and_changes_nothing() {
    let (scene, minted) = (Scene::new(), minted(GRACE, true));
    let token = scene.begin(&minted).await;
    for stranger in ["", "r_", "r_0000", &format!("r_{}", "0".repeat(64)), &token[2..], &token[..20]] {
        assert_eq!(scene.rotate(&minted, stranger, MILLISECONDS).await, Err(NotGiven::Unknown), "{stranger}");
    }
    // Cut, mistyped, or with something behind it.
    let last = token.char_indices().last().map_or(0, |(at, _)| at);
    let mistyped = format!("{}{}", &token[..last], if token.ends_with('0') { '1' } else { '0' });
    for wrong in [&token[..30], &token[..last], &mistyped, &format!("{token} "), &format!("{token}\n")] {
        assert_eq!(scene.rotate(&minted, wrong, MILLISECONDS).await, Err(NotGiven::Unknown), "{wrong:?}");
        assert_eq!(scene.families.of_member(&minted, wrong, NOW), None, "{wrong:?}");
    }
    let other = Minted { name: "other".into(), ..minted.clone() };
    assert_eq!(scene.rotate(&other, &token, MILLISECONDS).await, Err(NotGiven::Unknown));
    let over = MILLISECONDS + 86_400_000;
    assert_eq!(scene.rotate(&minted, &token, over).await, Err(NotGiven::Unknown));
    let another = scene.families.rotate(&minted, &token, Some("another"), NOW).await;
    assert_eq!(another, Err(NotGiven::Unknown));
    assert!(scene.rotate(&minted, &token, MILLISECONDS).await.is_ok());
}

#[tokio::test]
async fn t5_a_replayed_refresh_token_kills_its_family() {
    let (scene, minted) = (Scene::new(), minted(GRACE, true));
    let first = scene.begin(&minted).await;
    let second = scene.rotate(&minted, &first, MILLISECONDS).await.expect("the next one");
    let late = MILLISECONDS + 10_000;
    assert_eq!(scene.rotate(&minted, &first, late).await, Err(NotGiven::Replayed));
    assert_eq!(scene.rotate(&minted, &second, late).await, Err(NotGiven::Unknown), "the new one is dead too");
    assert_eq!(scene.sessions(), ["https://api".into()], "once for each issuer");
    let scene = scene.restarted();
    assert_eq!(scene.rotate(&minted, &second, late).await, Err(NotGiven::Unknown));
    assert!(scene.families.is_empty());
}

#[tokio::test]
async fn t5_a_token_of_any_older_generation_is_a_replay() {
    let (scene, minted) = (Scene::new(), minted(GRACE, true));
    let first = scene.begin(&minted).await;
    let mut newest = first.clone();
    for use_of in 0..20 {
        newest = scene.rotate(&minted, &newest, MILLISECONDS + use_of).await.expect("the next one");
    }
    // Within the grace of the last use, which is not its own.
    assert_eq!(scene.rotate(&minted, &first, MILLISECONDS + 20).await, Err(NotGiven::Replayed));
    assert_eq!(scene.rotate(&minted, &newest, MILLISECONDS + 20).await, Err(NotGiven::Unknown));
}

#[tokio::test]
async fn t5_sixty_four_concurrent_uses_leave_one_family_and_one_token() {
    let (scene, minted) = (Scene::new(), minted(GRACE, true));
    let token = scene.begin(&minted).await;
    let uses = (0..64).map(|_| {
        let (families, minted, token) = (scene.families.clone(), minted.clone(), token.clone());
        tokio::spawn(async move { families.rotate(&minted, &token, None, NOW).await })
    });
    let mut texts = Vec::new();
    for used in uses.collect::<Vec<_>>() {
        texts.push(used.await.expect("a use").expect("the next one").text.to_string());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "the same answer to all of them");
    assert_eq!(scene.families.len(), 1);
    assert!(scene.families.find(&minted, &texts[0], NOW).is_some());
    assert!(scene.families.find(&minted, &token, NOW).is_none());
    assert!(scene.sessions().is_empty());
}

#[tokio::test]
async fn t5_without_a_grace_one_of_sixty_four_succeeds_and_the_family_is_dead() {
    let (scene, minted) = (Scene::new(), minted(Duration::ZERO, true));
    let token = scene.begin(&minted).await;
    let uses = (0..64).map(|_| {
        let (families, minted, token) = (scene.families.clone(), minted.clone(), token.clone());
        tokio::spawn(async move { families.rotate(&minted, &token, None, NOW).await })
    });
    let mut given = Vec::new();
    for used in uses.collect::<Vec<_>>() {
        given.extend(used.await.expect("a use").ok());
    }
    assert_eq!(given.len(), 1);
    assert!(scene.families.find(&minted, &given[0].text, NOW).is_none());
    assert!(scene.families.is_empty());
}

#[tokio::test]
async fn t5_within_the_grace_the_same_token_is_given_and_after_it_is_forgotten() {
    let (scene, minted) = (Scene::new(), minted(GRACE, true));
    let first = scene.begin(&minted).await;
    let second = scene.rotate(&minted, &first, MILLISECONDS).await.expect("the next one");
    assert_eq!(scene.rotate(&minted, &first, MILLISECONDS + 9_999).await, Ok(second.clone()));
    let slot = scene.families.shared.lock().of_session("sid-1").expect("the family");
    assert!(slot.live().again.is_some());
    scene.families.shared.lock().sweep(NOW.0, MILLISECONDS + 10_000);
    assert!(slot.live().again.is_none(), "the text is gone with the grace");
    assert!(scene.rotate(&minted, &second, MILLISECONDS + 10_000).await.is_ok());
}

#[tokio::test]
async fn t5_after_a_crash_the_lost_answer_is_given_another_way() {
    let (scene, minted) = (Scene::new(), minted(GRACE, true));
    let first = scene.begin(&minted).await;
    let lost = scene.rotate(&minted, &first, MILLISECONDS).await.expect("the next one");
    let scene = scene.restarted();
    let sibling = scene.rotate(&minted, &first, MILLISECONDS + 5_000).await.expect("a sibling");
    assert_ne!(sibling, lost);
    assert_eq!(scene.rotate(&minted, &first, MILLISECONDS + 6_000).await, Ok(sibling.clone()));
    // Either counts, until one is used; then the other is the one before.
    let third = scene.rotate(&minted, &lost, MILLISECONDS + 7_000).await.expect("the next one");
    assert_eq!(scene.rotate(&minted, &sibling, MILLISECONDS + 8_000).await, Ok(third.clone()));
    assert_eq!(scene.rotate(&minted, &sibling, MILLISECONDS + 17_000).await, Err(NotGiven::Replayed));
    assert_eq!(scene.rotate(&minted, &third, MILLISECONDS + 17_000).await, Err(NotGiven::Unknown));
}

#[tokio::test]
async fn t5_restarts_do_not_make_tokens_without_end() {
    let (mut scene, minted) = (Scene::new(), minted(GRACE, true));
    let first = scene.begin(&minted).await;
    assert!(scene.rotate(&minted, &first, MILLISECONDS).await.is_ok());
    for crash in 1..4 {
        scene = scene.restarted();
        assert!(scene.rotate(&minted, &first, MILLISECONDS + crash).await.is_ok(), "{crash}");
    }
    scene = scene.restarted();
    assert_eq!(scene.rotate(&minted, &first, MILLISECONDS + 5).await, Err(NotGiven::Unknown));
}

#[tokio::test]
async fn t5_a_clock_that_was_set_back_makes_no_grace_longer() {
    let (scene, minted) = (Scene::new(), minted(GRACE, true));
    let first = scene.begin(&minted).await;
    assert!(scene.rotate(&minted, &first, MILLISECONDS).await.is_ok());
    let before = MILLISECONDS - 3_600_000;
    assert_eq!(scene.rotate(&minted, &first, before).await, Err(NotGiven::Replayed));
}

#[tokio::test]
async fn t5_a_family_whose_end_cannot_be_written_down_is_dead_nonetheless() {
    let (scene, minted) = (Scene::new(), minted(Duration::ZERO, true));
    let first = scene.begin(&minted).await;
    let second = scene.rotate(&minted, &first, MILLISECONDS).await.expect("the next one");
    scene.stuck.store(true, Ordering::Relaxed);
    for token in [&first, &second, &first] {
        let refused = scene.rotate(&minted, token, MILLISECONDS).await;
        assert_eq!(refused, Err(NotGiven::Trouble(Trouble::Store(StoreError::Full))));
    }
    scene.stuck.store(false, Ordering::Relaxed);
    assert_eq!(scene.rotate(&minted, &second, MILLISECONDS).await, Err(NotGiven::Unknown));
    assert_eq!(scene.sessions().len(), 1);
    assert!(scene.families.is_empty());
}

#[tokio::test]
async fn a_family_ends_when_it_would_have_unless_it_slides() {
    for (sliding, ends) in [(false, NOW.0 + 86_400), (true, NOW.0 + 3_600 + 86_400)] {
        let (scene, minted) = (Scene::new(), minted(GRACE, sliding));
        let first = scene.begin(&minted).await;
        let at = (NumericDate(NOW.0 + 3_600), || MILLISECONDS + 3_600_000);
        let given = scene.families.rotate_at(&minted, &first, None, at).await.expect("the next one");
        assert_eq!(given.family.expires.0, ends, "sliding: {sliding}");
        scene.families.shared.lock().sweep(ends - 1, 0);
        assert_eq!(scene.families.len(), 1);
        scene.families.shared.lock().sweep(ends, 0);
        assert!(scene.families.is_empty());
    }
}

#[tokio::test]
async fn families_are_ended_by_name_and_by_subject() {
    let (scene, minted) = (Scene::new(), minted(GRACE, true));
    let mut tokens = Vec::new();
    for (session, subject) in [("s1", "ann"), ("s2", "ann"), ("s3", "bob"), ("s4", "ann")] {
        tokens.push(scene.families.begin(&minted, family(session, subject)).await.expect("a family").text);
    }
    assert_eq!(scene.families.end("nobody").await, Ok(false));
    assert_eq!(scene.families.end("s1").await, Ok(true));
    assert_eq!(scene.families.end_of_subject(&["other"], "ann").await, Ok(0));
    assert_eq!(scene.families.end_of_subject(&["refresh"], "ann").await, Ok(2));
    let live: Vec<bool> =
        tokens.iter().map(|token| scene.families.find(&minted, token, NOW).is_some()).collect();
    assert_eq!(live, [false, false, true, false]);
    assert_eq!(scene.restarted().families.len(), 1);
}

#[tokio::test]
async fn t7_no_refresh_token_stands_in_the_store() {
    let (scene, minted) = (Scene::new(), minted(GRACE, true));
    let first = scene.begin(&minted).await;
    let second = scene.rotate(&minted, &first, MILLISECONDS).await.expect("the next one");
    let kept = scene.octets();
    let has = |text: &[u8]| kept.windows(text.len()).any(|window| window == text);
    assert!(has(b"sid-1"), "the family is there");
    for token in [first, second] {
        for part in [&token[..], &token[2..20], &token[20..]] {
            assert!(!has(part.as_bytes()), "{part}");
        }
        let raw: Vec<u8> = (2..token.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&token[at..at + 2], 16).expect("hex"))
            .collect();
        assert!(!has(&raw[9..]));
    }
}

/// Of those who came together, one that had asked first and got its turn second was taken for a thief, and its family died.
#[tokio::test]
async fn t5_whoever_asked_first_and_is_served_second_is_within_the_grace() {
    let (scene, minted) = (Scene::new(), minted(GRACE, true));
    let first = scene.begin(&minted).await;
    let families = scene.families.clone();
    let slot = families.shared.lock().of_session("sid-1").into_iter().next().expect("its place");
    let turn = slot.turn.lock().await;
    let (asking, with, token) = (families.clone(), minted.clone(), first.clone());
    let waiting = tokio::spawn(async move { asking.rotate(&with, &token, None, NOW).await });
    let begun = clock::milliseconds();
    while clock::milliseconds() < begun + 3 {
        tokio::task::yield_now().await;
    }
    let Format::Refresh { shape, grace, .. } = &minted.format else { panic!("a refresh token") };
    let using = Use {
        shape: shape.clone(),
        grace: *grace,
        lifetime: None,
        presented: Zeroizing::new(first.into()),
        holder: None,
        now: NOW,
        milliseconds: i64::try_from(clock::milliseconds()).expect("a time"),
    };
    let other = families.shared.use_of(&slot, using).await.expect("the next one");
    drop(turn);
    let waited = waiting.await.expect("a task").expect("the same again");
    assert_eq!(waited.text, other.text);
}
