//! A set that changes while it serves: added to, lifted from, swept, split.

use crate::revocation::held::{Held, Id};
use crate::revocation::key::Key;
use crate::revocation::loading::Loading;
use crate::revocation::tests::{A, NOW, asked, entry, keys};
use crate::revocation::{Asked, Entry, Kind, Revocations};
use crate::token::NumericDate;

const DAY: i64 = 86_400;

fn block(id: u64, value: &str) -> Held {
    entry(Kind::Subject, A, value, None, None).held(Id(id))
}

fn revoked(set: &Revocations, value: &str) -> bool {
    set.revoked(&asked(&keys(A, &[(Kind::Subject, value)]), None), NOW).is_some()
}

/// A key whose first bits are those of `number`, so that a test says where it comes to lie.
fn spread(number: u64) -> Key {
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    octets[8..].copy_from_slice(&number.wrapping_mul(0xd6e8_feb8_6659_fd93).to_be_bytes());
    Key(octets)
}

fn numbered(id: u64, expires: Option<i64>) -> Held {
    Held { id: Id(id), kind: Kind::Jti, key: spread(id), not_before: None, expires: expires.map(NumericDate) }
}

fn has(set: &Revocations, number: u64, now: i64) -> bool {
    let keys = [(Kind::Jti, spread(number))];
    set.revoked(&Asked { leeway: 0, ..asked(&keys, None) }, NumericDate(now)).is_some()
}

#[test]
fn another_entry_of_the_same_key_outlives_what_is_lifted() {
    let (one, other) = (block(1, "s"), block(2, "s"));
    let both = Revocations::default().with([one, other], &[], NOW);
    assert_eq!(both.len(Kind::Subject), 2);
    let left = both.with([], &[one], NOW);
    assert!(revoked(&left, "s"));
    assert_eq!(left.len(Kind::Subject), 1);
    let none = left.with([], &[other], NOW);
    assert!(!revoked(&none, "s"));
    assert_eq!(none.len(Kind::Subject), 0);
    // What was published before is what it was.
    assert!(revoked(&both, "s") && revoked(&left, "s"));
}

#[test]
fn what_is_heard_twice_or_too_late_changes_nothing() {
    let one = block(1, "s");
    let set = Revocations::default().with([one], &[], NOW).with([one, one], &[], NOW);
    assert_eq!(set.len(Kind::Subject), 1);
    let lifted = set.with([one], &[one, one], NOW);
    assert!(!revoked(&lifted, "s"));
    // A feed that delivers out of order: lifted before it was added.
    let early = Revocations::default().with([], &[one], NOW).with([one], &[], NOW);
    assert!(!revoked(&early, "s"));
    assert_eq!(early.len(Kind::Subject), 0);
    // Also once the list of recent ones has become part of the other.
    let many = (100..400).map(|id| block(id, &format!("other-{id}")));
    let later = lifted.with(many, &[], NOW).with([one], &[], NOW);
    assert!(!revoked(&later, "s"));
    assert_eq!(later.len(Kind::Subject), 300);
    // A lifted one that another of its key was added after.
    assert!(revoked(&later.with([block(7, "s")], &[], NOW), "s"));
}

/// Two hundred thousand, split over many shards, in batches of all sizes.
#[test]
fn r6_a_set_that_grows_loses_nothing() {
    const COUNT: u64 = 200_000;
    let mut set = Revocations::default();
    let (mut from, mut size) = (0, 1);
    while from < COUNT {
        let end = COUNT.min(from + size);
        set = set.with((from..end).map(|id| numbered(id, None)), &[], NOW);
        (from, size) = (end, size * 5 % 20_011 + 1);
    }
    assert_eq!(set.len(Kind::Jti), COUNT as usize);
    for number in 0..COUNT {
        assert!(has(&set, number, NOW.0), "{number}");
    }
    let in_vain = (COUNT..2 * COUNT).filter(|number| has(&set, *number, NOW.0)).count();
    assert_eq!(in_vain, 0);
    let odd: Vec<Held> = (0..COUNT).filter(|id| id % 2 == 1).map(|id| numbered(id, None)).collect();
    for lifted in odd.chunks(30_000) {
        set = set.with([], lifted, NOW);
    }
    assert_eq!(set.len(Kind::Jti), COUNT as usize / 2);
    for number in 0..COUNT {
        assert_eq!(has(&set, number, NOW.0), number % 2 == 0, "{number}");
    }
}

/// Splitting would never part them.
#[test]
fn very_many_entries_of_one_key_are_kept() {
    let one = |id| Held { key: spread(1), ..numbered(id, Some(NOW.0 + 1)) };
    let mut set = Revocations::default();
    for batch in 0..5 {
        set = set.with((batch * 10_000..(batch + 1) * 10_000).map(one), &[], NOW);
    }
    set = set.with((2..100).map(|id| numbered(id, None)), &[], NOW);
    assert_eq!(set.len(Kind::Jti), 50_098);
    assert!((1..100).all(|id| has(&set, id, NOW.0)));
    let lifted: Vec<Held> = (0..49_999).map(one).collect();
    set = set.with([], &lifted, NOW);
    assert!(has(&set, 1, NOW.0), "the last of them is in force");
    assert!(!has(&set.with([], &[one(49_999)], NOW), 1, NOW.0));
}

#[test]
fn what_expired_is_swept_part_by_part_and_counted() {
    let set = Revocations::default().with(
        (0..100_000).map(|id| numbered(id, Some(if id % 4 == 0 { NOW.0 + 10 } else { NOW.0 + 9 * DAY }))),
        &[],
        NOW,
    );
    assert_eq!(set.len(Kind::Jti), 100_000);
    let sweep = |set: &Revocations, now: i64| {
        (0..Revocations::PARTS).fold(set.clone(), |set, part| set.swept(part, NumericDate(now)))
    };
    // Over, and kept all the same: the clock may be set back.
    let over = sweep(&set, NOW.0 + 10);
    assert_eq!(over.len(Kind::Jti), 75_000);
    assert!(!has(&over, 0, NOW.0 + 10) && has(&over, 0, NOW.0 + 9) && has(&over, 1, NOW.0 + 10));
    let long_over = sweep(&set, NOW.0 + 3 * DAY);
    assert_eq!(long_over.len(Kind::Jti), 75_000);
    assert!(!has(&long_over, 0, NOW.0) && has(&long_over, 1, NOW.0));
    let nothing = sweep(&set, NOW.0 + 12 * DAY);
    assert_eq!(nothing.len(Kind::Jti), 0);
    assert!(nothing.is_empty());
}

/// Nothing is forgotten while the clock is behind what it once was; and what begins then ends as if it were not.
#[test]
fn c7_no_garbage_is_collected_while_the_clock_is_back() {
    let old = numbered(1, Some(NOW.0 - 5 * DAY));
    let ahead = Revocations::default().with([numbered(2, None)], &[], NumericDate(NOW.0 + 100));
    assert_eq!(ahead.latest(NOW), NumericDate(NOW.0 + 100));
    assert_eq!(ahead.latest(NumericDate(NOW.0 + 101)), NumericDate(NOW.0 + 101));
    let kept = |set: &Revocations| has(set, 1, NOW.0 - 6 * DAY);
    let back = ahead.with([old], &[], NOW);
    assert!(kept(&back), "collected while the clock was back");
    let back = (0..Revocations::PARTS).fold(back, |set, part| set.swept(part, NOW));
    assert!(kept(&back), "swept while the clock was back");
    let right =
        |now| (0..Revocations::PARTS).fold(back.clone(), |set, part| set.swept(part, NumericDate(now)));
    assert!(kept(&right(NOW.0 + 99)) && !kept(&right(NOW.0 + 100)));
}

#[test]
fn a_new_list_leaves_what_was_added_one_by_one() {
    let list = |value: &str| -> Vec<Entry> { vec![entry(Kind::Subject, A, value, None, None)] };
    let set = Revocations::compile(&list("first"), NOW).with([block(1, "added")], &[], NOW);
    assert_eq!(set.len(Kind::Subject), 2);
    let both = [set.listing(&list("second"), NOW), Revocations::compile(&list("second"), NOW).beside(&set)];
    for set in both {
        assert!(revoked(&set, "second") && revoked(&set, "added") && !revoked(&set, "first"));
        assert!(!revoked(&set.with([], &[block(1, "added")], NOW), "added"));
        // An id is one of the store's, never one of the list's.
        assert!(revoked(&set.with([], &[block(0, "second")], NOW), "second"));
    }
}

/// From a store that is read whole: what was loaded is what would have been added, and goes on from there.
#[test]
fn what_is_loaded_is_what_was_added() {
    for count in [0, 1, 127, 128, 129, 5_000, 100_000] {
        let mut loading = Loading::default();
        // Not in the order of ids, and some of them twice.
        let order = (0..count).rev().chain((0..count).filter(|id| id % 3 == 0));
        order.for_each(|id| loading.push(&numbered(id, Some(NOW.0 + 10))));
        loading.push(&block(count, "s"));
        let set = loading.finish(NOW);
        assert_eq!((set.len(Kind::Jti), set.len(Kind::Subject)), (count as usize, 1));
        assert!(revoked(&set, "s") && !revoked(&set, "t"));
        assert!((0..count).all(|id| has(&set, id, NOW.0)), "{count}");
        assert!(!(0..count).any(|id| has(&set, id, NOW.0 + 10)), "{count}");
        assert!(!(count..2 * count + 9).any(|id| has(&set, id, NOW.0)), "{count}");
        let lifted: Vec<Held> = (0..count).filter(|id| id % 2 == 0).map(|id| numbered(id, None)).collect();
        let changed = set.with([numbered(count + 7, None)], &lifted, NOW);
        assert_eq!(changed.len(Kind::Jti), (count / 2 + 1) as usize, "{count}");
        assert!((0..count).all(|id| has(&changed, id, NOW.0) == (id % 2 == 1)), "{count}");
        assert!(has(&changed, count + 7, NOW.0) && revoked(&changed, "s"));
    }
    assert!(Loading::default().finish(NOW).is_empty());
}
