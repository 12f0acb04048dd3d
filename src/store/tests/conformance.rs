//! What every engine behind the seam has to do. One function takes a store that is empty and new.

use super::*;

#[test]
fn sqlite_conforms() {
    let (_directory, path) = place();
    conforms(&open(&path));
}

/// Fails unless this store, which has to be empty, keeps every promise of [`Store`] that does not need another process.
fn conforms(store: &Store) {
    let beginning = store.snapshot(NOW, &mut |entry| panic!("{entry:?} in a new store")).expect("a snapshot");
    keeps_what_was_appended(store);
    applies_twice_as_once(store);
    lifts_and_never_resurrects(store);
    takes_all_or_nothing(store);
    is_followed(store, &beginning);
    pages_through_many(store, &beginning);
    lists_what_is_asked_for(store);
    forgets_what_is_over(store);
    forgets_nothing_while_the_clock_is_behind(store);
    forgets_tombstones_last(store, &beginning);
    pauses_and_goes_on(store);
    remembers_the_longest_lives(store);
    records::conform(store, NOW + 31 * 86_400);
    knows_its_own_cursors(store);
}

fn keeps_what_was_appended(store: &Store) {
    let committed = append(store, added(1..=5)).expect("appended");
    assert_eq!(committed.effective, 5);
    assert_eq!(live(store, NOW), (1..=5).map(entry).collect::<Vec<_>>(), "every field, in order");
    assert_eq!(store.find(entry(3).id), Ok(Some(entry(3))));
    assert_eq!(store.find(entry(6).id), Ok(None));
    let extreme = Entry {
        not_before: Some(i64::MIN),
        expires: Some(i64::MAX),
        reason: "".into(),
        actor: "\u{1f980} 'quoted'; --".into(),
        ..entry(u64::MAX / 7)
    };
    append(store, vec![Change::Added(extreme.clone())]).expect("appended");
    assert_eq!(store.find(extreme.id), Ok(Some(extreme.clone())));
    let Entry { id, kind, key, .. } = extreme.clone();
    let lift = Tombstone { id, kind, key, actor: "".into(), at: NOW };
    append(store, vec![Change::Lifted(lift)]).expect("lifted");
}

fn applies_twice_as_once(store: &Store) {
    let before = live(store, NOW);
    let changed = Entry { reason: "another".into(), ..entry(2) };
    let again = append(store, vec![Change::Added(entry(1)), Change::Added(changed)]).expect("appended");
    assert_eq!(again.effective, 0, "both ids are there already");
    assert_eq!(live(store, NOW), before);
    assert_eq!(
        store.changes(&again.cursor, 10).expect("a page").changes,
        [],
        "a change that is none is not heard of"
    );
    let nothing = append(store, Vec::new()).expect("appended");
    assert_eq!((nothing.effective, nothing.cursor), (0, again.cursor));
}

fn lifts_and_never_resurrects(store: &Store) {
    let behind = append(store, vec![lifted(2)]).expect("lifted");
    assert_eq!(behind.effective, 1);
    assert_eq!(store.find(entry(2).id), Ok(None));
    assert_eq!(append(store, vec![lifted(2)]).expect("lifted").effective, 0, "lifted twice is lifted once");
    assert_eq!(append(store, added([2])).expect("appended").effective, 0, "its tombstone wins");
    assert_eq!(append(store, vec![lifted(99)]).expect("lifted").effective, 0, "nobody of that name");
    assert_eq!(numbers(store), [1, 3, 4, 5]);
    // Added and lifted in one batch: it never was.
    let both = [added([6]), vec![lifted(6)]].concat();
    assert_eq!(append(store, both).expect("appended").effective, 2);
    assert_eq!(numbers(store), [1, 3, 4, 5]);
}

fn takes_all_or_nothing(store: &Store) {
    let before = live(store, NOW);
    let long = |octets: usize| "x".repeat(octets).into_boxed_str();
    let wrong = [
        Entry { kind: "".into(), ..entry(70) },
        Entry { kind: long(KIND_OCTETS + 1), ..entry(70) },
        Entry { issuer: long(ISSUER_OCTETS + 1), ..entry(70) },
        Entry { reason: long(REASON_OCTETS + 1), ..entry(70) },
        Entry { actor: long(ACTOR_OCTETS + 1), ..entry(70) },
    ];
    for entry in wrong {
        let batch = [added([71]), vec![Change::Added(entry)], added([72])].concat();
        assert!(matches!(append(store, batch), Err(StoreError::Refused(_))));
    }
    let Entry { id, kind, key, .. } = entry(1);
    let over = Tombstone { id, kind, key, actor: long(ACTOR_OCTETS + 1), at: NOW };
    assert!(matches!(append(store, vec![Change::Lifted(over)]), Err(StoreError::Refused(_))));
    let many = (1000..).take(BATCH + 1);
    assert!(matches!(append(store, added(many)), Err(StoreError::Refused(_))));
    assert_eq!(live(store, NOW), before);
}

fn lists_what_is_asked_for(store: &Store) {
    let all = live(store, NOW);
    let listed = |kind: Option<&str>, issuer: Option<&str>| {
        let filter = Filter { kind: kind.map(Into::into), issuer: issuer.map(Into::into) };
        let (mut entries, mut after) = (Vec::new(), None);
        loop {
            let listed = store.list(NOW, &filter, after.as_ref(), 700).expect("a list");
            entries.extend(listed.entries);
            let Some(next) = listed.next else { break entries };
            after = Some(next);
        }
    };
    let only = |keep: &dyn Fn(&Entry) -> bool| -> Vec<Entry> {
        all.iter().filter(|entry| keep(entry)).cloned().collect()
    };
    let (device, issuer) = ("claim:device_id", "https://3.example");
    assert!(all.iter().any(|entry| &*entry.kind == device && &*entry.issuer == issuer), "there is one");
    assert_eq!(listed(None, None), all);
    assert_eq!(listed(Some("jti"), None), only(&|entry| &*entry.kind == "jti"));
    assert_eq!(listed(Some("claim"), None), only(&|entry| &*entry.kind == device));
    assert_eq!(listed(Some(device), None), only(&|entry| &*entry.kind == device));
    assert_eq!(listed(Some("cl"), None), []);
    assert_eq!(listed(None, Some(issuer)), only(&|entry| &*entry.issuer == issuer));
    assert_eq!(listed(None, Some("https://3")), []);
    let both = only(&|entry| &*entry.kind == "jti" && &*entry.issuer == issuer);
    assert_eq!(listed(Some("jti"), Some(issuer)), both);
}

fn is_followed(store: &Store, beginning: &Cursor) {
    let all = store.changes(beginning, 100).expect("a page");
    let heard: Vec<_> = all.changes.iter().map(name).collect();
    let extreme = (u64::MAX / 7, false);
    let expected = [(1, true), (3, true), (4, true), (5, true), extreme, (2, false), (6, false)];
    assert_eq!(heard, expected, "what is so, in order, and not all that ever was");
    // One at a time, each from the octets of a cursor, as another process would: the same.
    let (mut one_by_one, mut cursor) = (Vec::new(), beginning.clone());
    loop {
        let page = store.changes(&Cursor::new(cursor.octets()), 1).expect("a page");
        if page.changes.is_empty() {
            assert_eq!(page.cursor, cursor, "a cursor never advances by silence");
            break;
        }
        assert_eq!(page.changes.len(), 1);
        one_by_one.extend(page.changes);
        cursor = page.cursor;
    }
    assert_eq!(one_by_one, all.changes);
    assert_eq!(cursor, all.cursor);
    // What comes later is behind it, and asking twice answers twice.
    append(store, [added([7]), vec![lifted(1)]].concat()).expect("appended");
    for _ in 0..2 {
        let page = store.changes(&cursor, 100).expect("a page");
        assert_eq!(page.changes, [Change::Added(entry(7)), lifted(1)]);
    }
}

/// The number of a change's entry, and whether it was added.
fn name(change: &Change) -> (u64, bool) {
    let (id, is_added) = match change {
        Change::Added(entry) => (entry.id, true),
        Change::Lifted(tombstone) => (tombstone.id, false),
    };
    (u64::try_from(u128::from_be_bytes(id.0)).expect("a number of a test"), is_added)
}

fn pages_through_many(store: &Store, beginning: &Cursor) {
    let before = numbers(store);
    let from = 100_000_u64;
    let to = from + 2 * CHUNK as u64 + 1;
    let all: Vec<u64> = (from..to).collect();
    for batch in all.chunks(BATCH) {
        append(store, added(batch.iter().copied())).expect("appended");
    }
    assert_eq!(numbers(store), [before.clone(), all.clone()].concat());
    assert_eq!(
        store.changes(beginning, usize::MAX).expect("a page").changes.len(),
        CHUNK,
        "never more at once"
    );
    // A change that is made while a snapshot is read is behind its place.
    let mut seen = 0;
    let behind = store.snapshot(NOW, &mut |_| {
        if seen == 0 {
            append(store, [vec![lifted(to - 1)], added([50])].concat()).expect("appended");
        }
        seen += 1;
    });
    let page = store.changes(&behind.expect("a snapshot"), 10).expect("a page");
    assert_eq!(page.changes, [lifted(to - 1), Change::Added(entry(50))]);
    let lift: Vec<Change> = all.iter().copied().map(lifted).chain([lifted(50)]).collect();
    for batch in lift.chunks(BATCH) {
        append(store, batch.to_vec()).expect("lifted");
    }
    assert_eq!(numbers(store), before);
}

fn forgets_what_is_over(store: &Store) {
    let until = |number: u64, expires: i64| Change::Added(Entry { expires: Some(expires), ..entry(number) });
    let before = numbers(store);
    append(store, vec![until(201, NOW + 10), until(202, NOW + 20_000), until(203, NOW)]).expect("appended");
    let at = |now| live(store, now).len() - before.len();
    assert_eq!((at(NOW), at(NOW + 10), at(NOW + 11)), (3, 2, 1));
    assert_eq!(wait(store.purge(NOW + 10)), Ok(0), "clocks differ: not at once");
    assert_eq!(wait(store.purge(NOW + 10_000)), Ok(2));
    assert_eq!(store.find(entry(201).id), Ok(None));
    assert_eq!(store.find(entry(202).id).map(|found| found.is_some()), Ok(true));
    assert_eq!(wait(store.purge(NOW + 10_000)), Ok(0));
}

fn forgets_nothing_while_the_clock_is_behind(store: &Store) {
    let over = Entry { expires: Some(NOW - 100_000), ..entry(204) };
    append(store, vec![Change::Added(over)]).expect("appended");
    assert_eq!(wait(store.purge(NOW)), Ok(0), "the clock was further already");
    assert_eq!(wait(store.purge(NOW + 10_001)), Ok(1));
}

fn forgets_tombstones_last(store: &Store, beginning: &Cursor) {
    assert_eq!(wait(store.purge(NOW + 20 * 86_400)), Ok(1), "entry 202 alone");
    assert!(store.changes(beginning, 10).is_ok());
    let purged = wait(store.purge(NOW + 31 * 86_400)).expect("purged");
    assert!(purged > 2 * CHUNK as u64, "{purged} tombstones");
    assert_eq!(
        store.changes(beginning, 10),
        Err(StoreError::Forgotten),
        "who has not heard of them cannot go on as if there had been none"
    );
    let now = store.snapshot(NOW, &mut |_| ()).expect("a snapshot");
    assert_eq!(store.changes(&now, 10).expect("a page").changes, []);
    assert_eq!(numbers(store), [3, 4, 5, 7]);
}

fn pauses_and_goes_on(store: &Store) {
    wait(store.pause()).expect("paused");
    assert_eq!(append(store, added([300])), Err(StoreError::Paused));
    assert_eq!(wait(store.purge(NOW)), Err(StoreError::Paused));
    assert_eq!(numbers(store), [3, 4, 5, 7], "reading goes on");
    wait(store.resume()).expect("resumed");
    assert_eq!(append(store, added([300])).expect("appended").effective, 1);
}

fn remembers_the_longest_lives(store: &Store) {
    let lives = |lives: &[(&str, i64)]| lives.iter().map(|(iss, life)| ((*iss).into(), *life)).collect();
    let kept = || store.lives().expect("lives");
    let before = live(store, NOW);
    assert_eq!(kept(), lives(&[]));
    wait(store.remember(lives(&[("a", 10), ("b", 20)]))).expect("remembered");
    wait(store.remember(lives(&[("a", 30), ("b", 10)]))).expect("remembered");
    assert_eq!(kept(), lives(&[("a", 30), ("b", 20)]), "the larger one of each");
    let long = "x".repeat(ISSUER_OCTETS + 1);
    wait(store.remember(lives(&[(&long, 5), ("c", 1)]))).expect("remembered");
    assert_eq!(kept(), lives(&[("", 5), ("a", 30), ("b", 20), ("c", 1)]), "too long for a place");
    wait(store.pause()).expect("paused");
    assert_eq!(wait(store.remember(lives(&[("a", 99)]))), Err(StoreError::Paused));
    wait(store.resume()).expect("resumed");
    let many = (0..LIVES + 10).map(|number| (format!("n-{number}").into(), 100)).collect();
    wait(store.remember(many)).expect("remembered");
    wait(store.remember(lives(&[("a", 40), ("late", 77)]))).expect("remembered");
    assert_eq!(kept().len(), LIVES, "no more places");
    let of = |iss: &str| kept().get(iss).copied();
    assert_eq!((of("a"), of("late"), of("")), (Some(40), None, Some(100)), "who has no place shares one");
    assert_eq!(live(store, NOW), before, "entries are another thing");
}

fn knows_its_own_cursors(store: &Store) {
    let end = store.snapshot(NOW, &mut |_| ()).expect("a snapshot");
    let octets = end.octets();
    let beyond = {
        let mut beyond = octets.to_vec();
        *beyond.last_mut().expect("octets") += 1;
        beyond
    };
    let elsewhere = octets.iter().map(|octet| !octet).collect();
    for strange in [Vec::new(), octets[1..].to_vec(), [octets, &[0]].concat(), elsewhere, beyond] {
        assert_eq!(store.changes(&Cursor::new(&strange), 1), Err(StoreError::Forgotten), "{strange:?}");
    }
}

#[test]
fn an_id_has_one_spelling() {
    let id = Id(0x0123_4567_89ab_cdef_u128.to_be_bytes());
    assert_eq!(id.to_string(), "00000000000000000123456789abcdef");
    assert_eq!(id.to_string().parse(), Ok(id));
    for text in
        ["", "0", "+0000000000000000123456789abcdef", "00000000000000000123456789ABCDEF", &"0".repeat(33)]
    {
        assert!(text.parse::<Id>().is_err(), "{text}");
    }
    let (one, other) = (Id::new(0x1234).expect("an id"), Id::new(0x1234).expect("an id"));
    assert!(one != other && one.to_string().starts_with("000000001234"), "{one}");
    assert!(Id::new(0x1235).expect("an id") > one);
}
