use proptest::prelude::*;

use crate::revocation::held::{Held, Id};
use crate::revocation::key::Key;
use crate::revocation::{Asked, Entry, Kind, Revocations, watermark};
use crate::token::NumericDate;

const A: &str = "https://a.example/";
const B: &str = "https://b.example/";
const NOW: NumericDate = NumericDate(1_000_000);
const LEEWAY: i64 = 30;

fn entry(kind: Kind, issuer: &str, value: &str, not_before: Option<i64>, expires: Option<i64>) -> Entry {
    Entry {
        kind,
        issuer: issuer.into(),
        claim: if kind == Kind::Claim { "device_id" } else { "" }.into(),
        value: value.into(),
        not_before: not_before.map(NumericDate),
        expires: expires.map(NumericDate),
        reason: None,
    }
}

/// What a token of this issuer is asked about, that has this value of each of these kinds.
fn keys(issuer: &str, values: &[(Kind, &str)]) -> Vec<(Kind, Key)> {
    values.iter().map(|(kind, value)| (*kind, entry(*kind, issuer, value, None, None).key())).collect()
}

fn asked(keys: &[(Kind, Key)], issued_at: Option<i64>) -> Asked<'_> {
    Asked { keys, issued_at: issued_at.map(NumericDate), leeway: LEEWAY }
}

#[track_caller]
fn check(entries: &[Entry], values: &[(Kind, &str)], issued_at: Option<i64>, expected: Option<Kind>) {
    let compiled = Revocations::compile(entries, NumericDate(0));
    let found = compiled.revoked(&asked(&keys(A, values), issued_at), NOW);
    assert_eq!(found, expected, "{entries:?} asked {values:?} of {issued_at:?}");
}

#[test]
fn a_block_revokes_whatever_the_iat() {
    for kind in Kind::ALL {
        for issued_at in [None, Some(0), Some(NOW.0 + 99), Some(i64::MAX)] {
            check(&[entry(kind, A, "v", None, None)], &[(kind, "v")], issued_at, Some(kind));
        }
    }
}

#[test]
fn a_watermark_revokes_what_is_older_leeway_added() {
    for kind in Kind::ALL {
        let entries = [entry(kind, A, "s", Some(NOW.0 - 100), None)];
        for (issued_at, revoked) in [
            (None, true),
            (Some(0), true),
            (Some(NOW.0 - 101), true),
            (Some(NOW.0 - 100), true),
            (Some(NOW.0 - 71), true),
            (Some(NOW.0 - 70), false),
            (Some(NOW.0), false),
        ] {
            check(&entries, &[(kind, "s")], issued_at, revoked.then_some(kind));
        }
    }
    for far in [i64::from(u32::MAX) - 2, i64::from(u32::MAX), i64::MAX - 1] {
        let far = [entry(Kind::Subject, A, "s", Some(far), None)];
        check(&far, &[(Kind::Subject, "s")], Some(NOW.0), Some(Kind::Subject));
    }
}

/// The moment of a revocation has a fraction, `iat` has none: what was issued in the same second is stopped, what is
/// issued in the next is not (without leeway).
#[test]
fn a_watermark_of_now_is_the_next_whole_second() {
    for (milliseconds, seconds) in [(0, 1), (999, 1), (1_000, 2), (1_700_000_000_500, 1_700_000_001), (-1, 0)]
    {
        assert_eq!(watermark(milliseconds), NumericDate(seconds), "{milliseconds}");
    }
    let entries = [entry(Kind::Subject, A, "s", Some(watermark(NOW.0 * 1_000 + 1).0), None)];
    let compiled = Revocations::compile(&entries, NOW);
    let keys = keys(A, &[(Kind::Subject, "s")]);
    for (issued_at, expected) in [(NOW.0 - 1, true), (NOW.0, true), (NOW.0 + 1, false)] {
        let asked = Asked { leeway: 0, ..asked(&keys, Some(issued_at)) };
        assert_eq!(compiled.revoked(&asked, NOW).is_some(), expected, "{issued_at}");
    }
}

/// A token is accepted for the leeway longer than it says, and an entry may end when its token does (threats R6).
#[test]
fn r6_an_entry_lasts_as_long_as_the_last_token_it_stops() {
    let end = NOW.0 + 1_000;
    let entries =
        [entry(Kind::Subject, A, "s", Some(NOW.0), Some(end)), entry(Kind::Jti, A, "j", None, Some(end))];
    let compiled = Revocations::compile(&entries, NOW);
    let (subject, id) = (keys(A, &[(Kind::Subject, "s")]), keys(A, &[(Kind::Jti, "j")]));
    let at = |keys, now| compiled.revoked(&asked(keys, Some(NOW.0 + LEEWAY - 1)), NumericDate(now));
    assert_eq!(at(&subject, end + LEEWAY - 1), Some(Kind::Subject));
    assert_eq!(at(&subject, end + LEEWAY), None);
    assert_eq!(at(&id, end + LEEWAY - 1), Some(Kind::Jti));
    assert_eq!(at(&id, end + LEEWAY), None);
}

/// Both Keycloak watermark CVEs (CVE-2026-8922, CVE-2026-18218) had this shape: one kind's newer or older mark hid
/// another's. A token is dead if and only if any one comparison says so.
#[test]
fn each_kind_is_compared_alone() {
    let issued = NOW.0 - 300;
    // Absent, older than the token, equal to its `iat`, newer. The leeway is none, so that equal is not before.
    let marks = [None, Some(issued - 100), Some(issued), Some(issued + 1)];
    for three in [
        [Kind::Issuer, Kind::Client, Kind::Subject],
        [Kind::All, Kind::Tenant, Kind::Session],
        [Kind::Kid, Kind::Jti, Kind::Claim],
    ] {
        for combination in 0..64 {
            let of = [combination % 4, combination / 4 % 4, combination / 16];
            let marks = of.map(|which| marks[which]);
            let entries: Vec<Entry> = three
                .into_iter()
                .zip(marks)
                .filter_map(|(kind, mark)| Some(entry(kind, A, "v", Some(mark?), None)))
                .collect();
            let compiled = Revocations::compile(&entries, NOW);
            let keys = keys(A, &three.map(|kind| (kind, "v")));
            let asked = Asked { leeway: 0, ..asked(&keys, Some(issued)) };
            let expected = three.into_iter().zip(of).find(|(_, which)| *which == 3).map(|(kind, _)| kind);
            assert_eq!(compiled.revoked(&asked, NOW), expected, "{three:?} {of:?}");
        }
    }
}

#[test]
fn several_entries_of_one_key_are_all_compared() {
    let issued = Some(NOW.0 - 300);
    let revoked = Some(Kind::Subject);
    for (first, second, expected) in [
        // The stronger has expired: the weaker still counts, and the other way round.
        ((None, Some(NOW.0 - LEEWAY)), (Some(NOW.0 - 100), None), revoked),
        ((None, Some(NOW.0 - LEEWAY)), (Some(NOW.0 - 900), None), None),
        ((None, Some(NOW.0 + 1)), (Some(NOW.0 - 900), None), revoked),
        ((Some(NOW.0 - 100), Some(NOW.0 + 1)), (Some(NOW.0 - 900), None), revoked),
        ((Some(NOW.0 - 100), None), (Some(NOW.0 - 900), None), revoked),
        ((Some(NOW.0 - 900), None), (Some(NOW.0 - 901), None), None),
    ] {
        for pair in [[first, second], [second, first]] {
            let entries = pair.map(|(mark, expires)| entry(Kind::Subject, A, "s", mark, expires));
            check(&entries, &[(Kind::Subject, "s")], issued, expected);
        }
    }
}

#[test]
fn an_entry_counts_until_it_expires_and_is_compiled_out_after() {
    for (expires, counts) in [
        (NOW.0 - LEEWAY, false),
        (NOW.0 - 1, false),
        (NOW.0, false),
        (NOW.0 + 1, true),
        (i64::MAX - 1, true),
        (i64::MAX, true),
    ] {
        let entries = [entry(Kind::Jti, A, "j", None, Some(expires))];
        let revokes = counts || expires > NOW.0 - LEEWAY;
        check(&entries, &[(Kind::Jti, "j")], None, revokes.then_some(Kind::Jti));
        let compiled = Revocations::compile(&entries, NOW);
        assert_eq!(compiled.len(Kind::Jti), usize::from(counts), "expires {expires}");
    }
}

/// A list was read while the clock was a day ahead, and the clock set right: what had not expired was forgotten.
#[test]
fn c7_an_entry_outlives_a_clock_that_was_ahead() {
    const DAY: i64 = 86_400;
    let entries = [entry(Kind::Jti, A, "j", None, Some(NOW.0 + 1))];
    let compiled = Revocations::compile(&entries, NumericDate(NOW.0 + DAY));
    let keys = keys(A, &[(Kind::Jti, "j")]);
    let asked = asked(&keys, None);
    assert_eq!(compiled.revoked(&asked, NumericDate(NOW.0 + DAY)), None);
    assert_eq!(compiled.revoked(&asked, NOW), Some(Kind::Jti));
    assert_eq!(compiled.len(Kind::Jti), 0);
    // Not for ever: lists are not kept that nobody needs.
    let compiled = Revocations::compile(&entries, NumericDate(NOW.0 + 3 * DAY));
    assert_eq!(compiled.revoked(&asked, NOW), None);
    assert!(compiled.is_empty());
}

#[test]
fn what_does_not_match_is_not_revoked() {
    let entries = Kind::ALL.map(|kind| entry(kind, A, kind.name(), None, None));
    let compiled = Revocations::compile(&entries, NOW);
    let revoked =
        |issuer, values: &[(Kind, &str)]| compiled.revoked(&asked(&keys(issuer, values), None), NOW);
    for kind in Kind::ALL {
        assert_eq!(revoked(A, &[(kind, kind.name())]), Some(kind));
        assert_eq!(revoked(B, &[(kind, kind.name())]), None, "another issuer's {kind:?}");
        assert_eq!(revoked(A, &[(kind, &kind.name().to_uppercase())]), None, "{kind:?}");
        assert_eq!(revoked(A, &[(kind, "")]), None, "{kind:?}");
        for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
            assert_eq!(revoked(A, &[(kind, other.name())]), None, "{kind:?} named like {other:?}");
        }
    }
    let another = [(Kind::Claim, Key::of_claim(A, "device", "claim"))];
    assert_eq!(compiled.revoked(&asked(&another, None), NOW), None, "another claim");
    assert_eq!(compiled.revoked(&asked(&[], None), NOW), None);
    assert_eq!(Revocations::default().revoked(&asked(&another, None), NOW), None);
    assert!(Revocations::default().is_empty() && !compiled.is_empty());
}

#[test]
fn many_entries_are_all_found_and_counted() {
    for count in [1, 3, 31, 32, 33, 1_000, 20_000, 70_000] {
        let values: Vec<String> = (0..count).map(|index| format!("token-{index}")).collect();
        let mut entries: Vec<Entry> =
            values.iter().map(|value| entry(Kind::Jti, A, value, None, None)).collect();
        entries.push(entries[0].clone());
        let compiled = Revocations::compile(&entries, NOW);
        assert_eq!(compiled.len(Kind::Jti), count + 1);
        assert_eq!(compiled.len(Kind::Subject), 0);
        let revoked = |value: &str| compiled.revoked(&asked(&keys(A, &[(Kind::Jti, value)]), None), NOW);
        for value in &values {
            assert_eq!(revoked(value), Some(Kind::Jti), "{value}");
        }
        for index in count..count + 100 {
            assert_eq!(revoked(&format!("token-{index}")), None);
        }
    }
}

/// Everything by hand: the list of all that was added and lifted, asked by the rules.
#[derive(Debug, Clone, Default)]
struct Plain {
    added: Vec<Held>,
    lifted: Vec<Held>,
}

impl Plain {
    fn revoked(&self, asked: &Asked<'_>, now: NumericDate) -> Option<Kind> {
        let revokes = |held: &Held| {
            let lifted = |other: &Held| (other.kind, other.key, other.id) == (held.kind, held.key, held.id);
            let is_before = |mark: NumericDate| asked.issued_at.is_none_or(|at| at.0 < mark.0 + asked.leeway);
            !self.lifted.iter().any(lifted)
                && held.not_before.is_none_or(is_before)
                && held.expires.is_none_or(|end| now.0 < end.0 + asked.leeway)
        };
        let of = |kind, key| self.added.iter().filter(move |held| (held.kind, held.key) == (kind, key));
        asked.keys.iter().find(|&&(kind, key)| of(kind, key).any(revokes)).map(|(kind, _)| *kind)
    }
}

const KINDS: [Kind; 3] = [Kind::Tenant, Kind::Subject, Kind::Jti];

fn held(id: u64, kind: usize, value: u8, not_before: Option<i64>, expires: Option<i64>) -> Held {
    entry(KINDS[kind], A, &value.to_string(), not_before, expires).held(Id(id))
}

type Token = ([Option<u8>; 3], Option<i64>, i64, i64);

fn token() -> impl Strategy<Value = Token> {
    let value = || proptest::option::of(0..3_u8);
    let date = proptest::option::of(0..40_i64);
    ((value(), value(), value()), date, 0..5_i64, 0..80_i64)
        .prop_map(|((tenant, subject, id), date, leeway, now)| ([tenant, subject, id], date, leeway, now))
}

fn agrees(
    set: &Revocations,
    plain: &Plain,
    (values, issued_at, leeway, now): Token,
) -> Result<(), TestCaseError> {
    let texts = values.map(|value| value.map(|value| value.to_string()));
    let values: Vec<(Kind, &str)> =
        KINDS.into_iter().zip(&texts).filter_map(|(kind, text)| Some((kind, text.as_deref()?))).collect();
    let keys = keys(A, &values);
    let asked = Asked { leeway, ..asked(&keys, issued_at) };
    prop_assert_eq!(set.revoked(&asked, NumericDate(now)), plain.revoked(&asked, NumericDate(now)));
    Ok(())
}

proptest! {
    /// Against the plain reading of the rules over the list itself.
    #[test]
    fn compiled_agrees_with_the_list(
        list in proptest::collection::vec(
            (0..3_usize, 0..3_u8, proptest::option::of(0..40_i64), proptest::option::of(0..40_i64)),
            0..40,
        ),
        token in token(),
        compiled_at in 0..40_i64,
    ) {
        let entries: Vec<Entry> = list
            .iter()
            .map(|&(kind, value, mark, expires)| entry(KINDS[kind], A, &value.to_string(), mark, expires))
            .collect();
        let added = entries.iter().zip(0..).map(|(entry, id)| entry.held(Id(id))).collect();
        let compiled = Revocations::compile(&entries, NumericDate(compiled_at));
        agrees(&compiled, &Plain { added, lifted: Vec::new() }, token)?;
    }

    /// In whatever batches, order and number of times changes arrive, and lifted before or after they were added.
    #[test]
    fn changes_in_any_order_and_number_give_one_set(
        entries in proptest::collection::vec(
            (0..3_usize, 0..3_u8, proptest::option::of(0..40_i64), proptest::option::of(0..40_i64), any::<bool>()),
            1..40,
        ),
        order in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 0..80),
        token in token(),
    ) {
        let all: Vec<Held> = entries
            .iter()
            .zip(0..)
            .map(|(&(kind, value, mark, expires, _), id)| held(id, kind, value, mark, expires))
            .collect();
        let lifted: Vec<Held> =
            all.iter().zip(&entries).filter(|(_, entry)| entry.4).map(|(held, _)| *held).collect();
        let plain = Plain { added: all.clone(), lifted: lifted.clone() };
        let mut set = Revocations::default();
        let (mut adding, mut lifting) = (Vec::new(), Vec::new());
        for (index, lift, flush) in order {
            match lift {
                true if lifted.is_empty() => {}
                true => lifting.push(*index.get(&lifted)),
                false => adding.push(*index.get(&all)),
            }
            if flush {
                set = set.with(adding.drain(..), &lifting, NumericDate(0));
                lifting.clear();
            }
        }
        // At the end everything was heard of.
        set = set.with(adding, &lifting, NumericDate(0)).with(all, &lifted, NumericDate(0));
        agrees(&set, &plain, token)?;
    }
}

mod growing;
