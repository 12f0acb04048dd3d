use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::authority::means::Doing;
use crate::authority::signing::ring::{Dates, Due};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

fn key(signs_from: i64) -> Key {
    let dates = Dates { created: signs_from, signs_from, life: HOUR };
    let mut key = Key::generate(Algorithm::EdDSA, dates).expect("a key");
    key.published = true;
    key
}

fn ring(dates: &[i64]) -> Ring {
    let mut ring = Ring::default();
    dates.iter().rev().for_each(|signs_from| ring.insert(key(*signs_from)));
    ring
}

fn active(ring: &Ring, now: i64) -> Option<i64> {
    ring.active(now).map(|key| key.dates.signs_from)
}

fn states(ring: &Ring, now: i64) -> Vec<(i64, KeyState)> {
    ring.list(now).map(|listed| (listed.signs_from.0, listed.state)).collect()
}

#[test]
fn the_first_key_is_due_at_once_and_the_next_is_published_before_it_signs() {
    assert_eq!(Ring::default().due(100, DAY, HOUR), Due::Make(100));
    let one = ring(&[0]);
    assert_eq!(one.due(0, DAY, HOUR), Due::Nothing(DAY - HOUR));
    assert_eq!(one.due(DAY - HOUR, DAY, HOUR), Due::Make(DAY));
    // Whoever was away for long still publishes it first.
    assert_eq!(one.due(10 * DAY, DAY, HOUR), Due::Make(10 * DAY + HOUR));
    assert_eq!(one.due(1_000 * DAY, 0, HOUR), Due::Nothing(i64::MAX), "never");
}

#[test]
fn t8_the_last_key_whose_time_has_come_signs_once_it_is_published() {
    let mut two = ring(&[0, DAY]);
    assert_eq!(active(&two, DAY - 1), Some(0));
    assert_eq!(active(&two, DAY), Some(DAY));
    assert_eq!(active(&two, -1), Some(0), "a clock that was set back");
    two.keys_mut().for_each(|key| key.published = key.dates.signs_from == 0);
    assert_eq!(active(&two, DAY), Some(0), "verifiers do not know the other one yet");
    two.keys_mut().for_each(|key| key.published = false);
    assert_eq!(active(&two, DAY), None);
}

#[test]
fn what_was_replaced_stays_published_for_what_it_signed() {
    let two = ring(&[0, DAY]);
    assert_eq!(states(&two, 1), [(0, KeyState::Active), (DAY, KeyState::Staged)]);
    assert_eq!(states(&two, DAY), [(0, KeyState::Retiring), (DAY, KeyState::Active)]);
    let ends = DAY + HOUR + 60;
    assert_eq!(two.public(ends - 1).len(), 2);
    assert_eq!(two.public(ends).len(), 1);
    assert!(matches!(two.due(ends, 2 * DAY, HOUR), Due::Remove(_)));
    assert_eq!(two.due(ends - 1, 2 * DAY, HOUR), Due::Nothing(ends));
}

#[test]
fn a_record_opens_with_its_key_alone_and_in_its_own_place() {
    let (sealing, other) = (SealingKey::new(&[1; 32]), SealingKey::new(&[2; 32]));
    let (sealing, other) = (sealing.expect("a key"), other.expect("a key"));
    let key = key(7);
    let record = key.record(&sealing, key.dates).expect("a record");
    assert!(matches!(Key::read(&record, &other), Err(Unread::Sealed)));
    let elsewhere = key_record_renamed(&record);
    assert!(matches!(Key::read(&elsewhere, &sealing), Err(Unread::Sealed)));
    let text = String::from_utf8(record.body.clone()).expect("text");
    let renamed = text.replace("EdDSA", "ES256").into_bytes();
    let renamed = crate::store::records::Record { body: renamed, ..record.clone() };
    assert!(matches!(Key::read(&renamed, &sealing), Err(Unread::Sealed)));
    let Ok(read) = Key::read(&record, &sealing) else { panic!("it is ours") };
    assert_eq!((read.dates, read.key.public_jwk()), (key.dates, key.key.public_jwk()));
    let pem = key.key.to_pem().expect("a private key");
    let inside = pem.lines().nth(1).expect("base64");
    assert!(!text.contains(inside) && !text.contains("PRIVATE"), "sealed");
}

fn key_record_renamed(record: &crate::store::records::Record) -> crate::store::records::Record {
    let mut id = record.id.to_vec();
    id[0] ^= 1;
    crate::store::records::Record { id: id.into(), ..record.clone() }
}

/// What the old keys have signed would count still for whoever remembers it.
#[tokio::test]
async fn an_emergency_that_fails_midway_is_gone_on_with() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = crate::store::Store::open(&directory.path().join("store.db")).expect("a store");
    let (fails, revoked) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<String>>>::default());
    let (stuck, into) = (Arc::clone(&fails), Arc::clone(&revoked));
    let done = || -> Doing { Box::pin(async { Ok(()) }) };
    let signing = Signing::new(Means {
        store: Some(Arc::new(store)),
        revoke: Arc::new(move |entries| {
            if stuck.load(Ordering::Relaxed) {
                return Box::pin(async { Err(StoreError::Full) });
            }
            into.lock().expect("whole").extend(entries.iter().map(|entry| entry.kind.to_string()));
            Box::pin(async { Ok(()) })
        }),
        lift: Arc::new(move |_| done()),
        records_changed: Arc::new(move |_| done()),
        publish_keys: Arc::new(move |_, _| done()),
    });
    let text = "version: 1\nlisteners: [127.0.0.1:0]\nstore: {sqlite: a.db}\nsigning_keys: {sealed_with: {file: kek}}\n\
                tokens: {access: {sign: EdDSA}, other: {sign: ES256}}\n\
                upstreams: {u: http://127.0.0.1:1}\nroutes: {/: public}\n";
    let context =
        crate::config::Context { name: "c.yaml", directory: std::path::Path::new("/"), env: &|_| None };
    let (config, _) = crate::config::parse(text, &context).unwrap_or_else(|problems| panic!("{problems}"));
    let sealed_with = Some(Zeroizing::new(vec![7; 32]));
    signing.configure(&config, &Material { sealed_with, ..Material::default() });
    let now = NumericDate(1_800_000_000);
    signing.settle(now).await.expect("keys are made");
    let before: Vec<_> = signing.list(now).into_iter().map(|key| key.key_id).collect();
    fails.store(true, Ordering::Relaxed);
    assert!(signing.rotate(None, Manner::Emergency, now).await.is_err());
    assert!(signing.list(now).iter().all(|key| !before.contains(&key.key_id)), "each of them");
    assert!(signing.settle(now).await.is_err(), "it is not done yet");
    fails.store(false, Ordering::Relaxed);
    signing.settle(now).await.expect("it is done now");
    assert_eq!(*revoked.lock().expect("whole"), ["kid", "kid"]);
    signing.settle(now).await.expect("nothing is left to do");
    assert_eq!(revoked.lock().expect("whole").len(), 2);
}
