use super::*;
use crate::store::records::{BODY_OCTETS, RECORD_ID_OCTETS, Record, RecordChange, RecordKind};

/// The record of this number: all of its fields are told from each other and from those of other numbers.
fn record(kind: RecordKind, number: u64) -> Record {
    Record {
        kind,
        id: format!("clients\0{number:06}").into_bytes().into(),
        subject: number.is_multiple_of(2).then_some(u128::from(number).to_be_bytes()),
        expires: None,
        body: format!("{{\"name\":\"{} {number}\"}}", kind.name()).into_bytes(),
    }
}

fn kept_of(kind: RecordKind, number: u64) -> RecordChange {
    RecordChange::Keep(record(kind, number))
}

fn removed(kind: RecordKind, number: u64) -> RecordChange {
    RecordChange::Remove { kind, id: record(kind, number).id }
}

fn keep(store: &Store, changes: Vec<RecordChange>) -> Result<(), StoreError> {
    wait(store.keep(changes))
}

/// All records of a kind, in the order in which they are given.
fn all(store: &Store, kind: RecordKind) -> Vec<Record> {
    let mut records = Vec::new();
    store.kept(kind, &mut |record| records.push(record)).expect("read");
    records
}

/// Part of the conformance suite: what every engine promises of records. Leaves none behind; `clock` is as far as the store's
/// clock has been.
pub(super) fn conform(store: &Store, clock: i64) {
    use RecordKind::{ApiKey, Family, Opaque, Person, SigningKey};
    let before = live(store, NOW);
    for kind in [ApiKey, Person, Opaque, Family, SigningKey] {
        assert_eq!(all(store, kind), [], "a new store");
        keep(store, vec![kept_of(kind, 2), kept_of(kind, 1)]).expect("kept");
    }
    for kind in [ApiKey, Person, Opaque, Family, SigningKey] {
        assert_eq!(all(store, kind), [record(kind, 1), record(kind, 2)], "every field, of its kind alone");
    }
    replaces_and_removes_in_order(store);
    takes_all_records_or_none(store);
    forgets_records_that_are_over(store, clock);
    wait(store.pause()).expect("paused");
    assert_eq!(keep(store, vec![kept_of(ApiKey, 9)]), Err(StoreError::Paused));
    assert_eq!(all(store, ApiKey).len(), 2, "reading goes on");
    wait(store.resume()).expect("resumed");
    pages_through_many_records(store);
    for kind in [ApiKey, Person, Opaque, Family, SigningKey] {
        keep(store, vec![removed(kind, 1), removed(kind, 2)]).expect("removed");
        assert_eq!(all(store, kind), []);
    }
    assert_eq!(live(store, NOW), before, "entries are another thing");
}

fn replaces_and_removes_in_order(store: &Store) {
    let kind = RecordKind::ApiKey;
    let changed = Record { subject: None, body: b"{}".to_vec(), ..record(kind, 2) };
    let changes = vec![RecordChange::Keep(changed.clone()), kept_of(kind, 3), removed(kind, 3)];
    keep(store, changes).expect("kept");
    assert_eq!(all(store, kind), [record(kind, 1), changed]);
    keep(store, vec![removed(kind, 99), removed(kind, 2), kept_of(kind, 2)]).expect("kept");
    assert_eq!(all(store, kind), [record(kind, 1), record(kind, 2)]);
    assert_eq!(keep(store, Vec::new()), Ok(()));
}

fn takes_all_records_or_none(store: &Store) {
    let kind = RecordKind::Family;
    let wrong = [
        Record { id: Box::default(), ..record(kind, 5) },
        Record { id: vec![b'x'; RECORD_ID_OCTETS + 1].into(), ..record(kind, 5) },
        Record { body: vec![b'x'; BODY_OCTETS + 1], ..record(kind, 5) },
    ];
    for record in wrong {
        let batch = vec![kept_of(kind, 4), RecordChange::Keep(record), removed(kind, 1)];
        assert!(matches!(keep(store, batch), Err(StoreError::Refused(_))));
    }
    let many = (0..=BATCH as u64).map(|number| kept_of(kind, number)).collect();
    assert!(matches!(keep(store, many), Err(StoreError::Refused(_))));
    assert_eq!(all(store, kind), [record(kind, 1), record(kind, 2)]);
    let longest = Record {
        id: vec![0xff; RECORD_ID_OCTETS].into(),
        body: vec![0; BODY_OCTETS],
        expires: Some(i64::MIN),
        ..record(kind, 6)
    };
    keep(store, vec![RecordChange::Keep(longest.clone())]).expect("kept");
    assert_eq!(all(store, kind).last(), Some(&longest));
    keep(store, vec![RecordChange::Remove { kind, id: longest.id }]).expect("removed");
}

fn forgets_records_that_are_over(store: &Store, clock: i64) {
    let until = |number, expires| {
        RecordChange::Keep(Record { expires: Some(expires), ..record(RecordKind::Opaque, number) })
    };
    keep(store, vec![until(10, clock), until(11, clock + 20_000)]).expect("kept");
    let count = || all(store, RecordKind::Opaque).len();
    assert_eq!((wait(store.purge(clock + 10)), count()), (Ok(0), 4), "clocks differ: not at once");
    assert_eq!((wait(store.purge(clock - 1)), count()), (Ok(0), 4), "nor while the clock is behind");
    assert_eq!((wait(store.purge(clock + 10_000)), count()), (Ok(1), 3));
    assert_eq!((wait(store.purge(clock + 30_000)), count()), (Ok(1), 2), "and what has no end stays");
}

fn pages_through_many_records(store: &Store) {
    let kind = RecordKind::Person;
    let numbers: Vec<u64> = (10..10 + CHUNK as u64).collect();
    for batch in numbers.chunks(BATCH) {
        keep(store, batch.iter().map(|&number| kept_of(kind, number)).collect()).expect("kept");
    }
    let read = all(store, kind);
    let expected = [1, 2].into_iter().chain(numbers.iter().copied()).map(|number| record(kind, number));
    assert!(read.into_iter().eq(expected), "each once, in order");
    for batch in numbers.chunks(BATCH) {
        keep(store, batch.iter().map(|&number| removed(kind, number)).collect()).expect("removed");
    }
}

#[test]
fn records_survive_being_closed_copied_and_put_back() {
    let (directory, path) = place();
    let copy = directory.path().join("copy.db");
    let store = open(&path);
    keep(&store, vec![kept_of(RecordKind::ApiKey, 1)]).expect("kept");
    store.close();
    crate::store::upkeep::backup(&path, &copy).expect("a copy");
    let store = open(&path);
    assert_eq!(all(&store, RecordKind::ApiKey), [record(RecordKind::ApiKey, 1)]);
    keep(&store, vec![removed(RecordKind::ApiKey, 1)]).expect("removed");
    store.close();
    crate::store::upkeep::restore(&path, &copy).expect("put back");
    assert_eq!(all(&open(&path), RecordKind::ApiKey), [record(RecordKind::ApiKey, 1)]);
}

/// A successor opens the store beside its predecessor, and reads what that one has written until it paused.
#[test]
fn a_successor_reads_the_records_of_a_predecessor_that_has_paused() {
    let (_directory, path) = place();
    let first = open(&path);
    let second = Store::inherit(&path, first.hand_over().expect("a descriptor")).expect("inherited");
    assert_eq!(keep(&second, vec![kept_of(RecordKind::Person, 1)]), Err(StoreError::Paused));
    keep(&first, vec![kept_of(RecordKind::Family, 1)]).expect("kept");
    wait(first.pause()).expect("paused");
    assert_eq!(all(&second, RecordKind::Family), [record(RecordKind::Family, 1)]);
    wait(second.resume()).expect("resumed");
    keep(&second, vec![removed(RecordKind::Family, 1)]).expect("removed");
    assert_eq!(keep(&first, vec![kept_of(RecordKind::Family, 1)]), Err(StoreError::Paused));
    assert_eq!(all(&first, RecordKind::Family), []);
}

/// Records and revocations that come together share commits, and each caller hears of its own.
#[test]
fn records_and_revocations_share_commits() {
    let (_directory, path) = place();
    let store = &open(&path);
    std::thread::scope(|scope| {
        for writer in 0..8_u64 {
            scope.spawn(move || {
                for number in writer * 100..writer * 100 + 50 {
                    keep(store, vec![kept_of(RecordKind::Family, number)]).expect("kept");
                    assert_eq!(append(store, added([number])).expect("appended").effective, 1);
                }
            });
        }
    });
    assert_eq!(all(store, RecordKind::Family).len(), 400);
    assert_eq!(live(store, NOW).len(), 400);
}
