use proptest::prelude::*;

use crate::revocation::{Asked, Entry, Kind, Revocations};
use crate::token::NumericDate;

const A: &str = "https://a.example/";
const B: &str = "https://b.example/";
const NOW: NumericDate = NumericDate(1_000_000);

fn entry(kind: Kind, issuer: &str, value: &str, not_before: Option<i64>, expires: Option<i64>) -> Entry {
    Entry {
        kind,
        issuer: issuer.into(),
        value: value.into(),
        not_before: not_before.map(NumericDate),
        expires: expires.map(NumericDate),
        reason: None,
    }
}

fn asked<'a>(token_id: Option<&'a str>, subject: Option<&'a str>, issued_at: Option<i64>) -> Asked<'a> {
    Asked { issuer: A, token_id, subject, issued_at: issued_at.map(NumericDate), leeway: 30 }
}

#[track_caller]
fn check(entries: &[Entry], asked: &Asked<'_>, expected: Option<Kind>) {
    let compiled = Revocations::compile(entries, NumericDate(0));
    assert_eq!(compiled.revoked(asked, NOW), expected, "{entries:?} asked {asked:?}");
}

#[test]
fn a_block_revokes_whatever_the_iat() {
    for (kind, asked) in [
        (Kind::Jti, asked(Some("v"), None, Some(NOW.0 + 99))),
        (Kind::Jti, asked(Some("v"), None, None)),
        (Kind::Subject, asked(None, Some("v"), Some(NOW.0 + 99))),
        (Kind::Subject, asked(None, Some("v"), Some(i64::MAX))),
    ] {
        check(&[entry(kind, A, "v", None, None)], &asked, Some(kind));
    }
}

#[test]
fn a_watermark_revokes_what_is_older_leeway_added() {
    let entries = [entry(Kind::Subject, A, "s", Some(NOW.0 - 100), None)];
    for (issued_at, revoked) in [
        (None, true),
        (Some(0), true),
        (Some(NOW.0 - 101), true),
        (Some(NOW.0 - 100), true),
        (Some(NOW.0 - 71), true),
        (Some(NOW.0 - 70), false),
        (Some(NOW.0), false),
    ] {
        check(&entries, &asked(None, Some("s"), issued_at), revoked.then_some(Kind::Subject));
    }
    let far = [entry(Kind::Subject, A, "s", Some(i64::MAX - 1), None)];
    check(&far, &asked(None, Some("s"), Some(NOW.0)), Some(Kind::Subject));
}

/// Both Keycloak watermark CVEs had this shape: one kind's newer mark hid another's.
#[test]
fn each_kind_is_compared_alone() {
    let old = Some(NOW.0 - 500);
    let new = Some(NOW.0 - 100);
    let issued = Some(NOW.0 - 300);
    for (jti, subject, expected) in [
        (None, None, None),
        (Some(old), None, None),
        (None, Some(old), None),
        (Some(old), Some(old), None),
        (Some(new), None, Some(Kind::Jti)),
        (None, Some(new), Some(Kind::Subject)),
        (Some(new), Some(old), Some(Kind::Jti)),
        (Some(old), Some(new), Some(Kind::Subject)),
        (Some(new), Some(new), Some(Kind::Subject)),
    ] {
        let entries: Vec<Entry> = [(Kind::Jti, "j", jti), (Kind::Subject, "s", subject)]
            .into_iter()
            .filter_map(|(kind, value, mark)| mark.map(|mark| entry(kind, A, value, mark, None)))
            .collect();
        check(&entries, &asked(Some("j"), Some("s"), issued), expected);
    }
}

#[test]
fn several_entries_of_one_key_are_all_compared() {
    let issued = Some(NOW.0 - 300);
    let revoked = Some(Kind::Subject);
    for (first, second, expected) in [
        // The stronger has expired: the weaker still counts, and the other way round.
        ((None, Some(NOW.0)), (Some(NOW.0 - 100), None), revoked),
        ((None, Some(NOW.0)), (Some(NOW.0 - 900), None), None),
        ((None, Some(NOW.0 + 1)), (Some(NOW.0 - 900), None), revoked),
        ((Some(NOW.0 - 100), Some(NOW.0 + 1)), (Some(NOW.0 - 900), None), revoked),
        ((Some(NOW.0 - 100), None), (Some(NOW.0 - 900), None), revoked),
        ((Some(NOW.0 - 900), None), (Some(NOW.0 - 901), None), None),
    ] {
        for pair in [[first, second], [second, first]] {
            let entries = pair.map(|(mark, expires)| entry(Kind::Subject, A, "s", mark, expires));
            check(&entries, &asked(None, Some("s"), issued), expected);
        }
    }
}

#[test]
fn an_entry_counts_until_it_expires_and_is_compiled_out_after() {
    for (expires, counts) in
        [(NOW.0 - 1, false), (NOW.0, false), (NOW.0 + 1, true), (i64::MAX - 1, true), (i64::MAX, true)]
    {
        let entries = [entry(Kind::Jti, A, "j", None, Some(expires))];
        check(&entries, &asked(Some("j"), None, None), counts.then_some(Kind::Jti));
        let compiled = Revocations::compile(&entries, NOW);
        assert_eq!(compiled.len(Kind::Jti), usize::from(counts), "expires {expires}");
        assert_eq!(compiled.is_empty(), !counts, "expires {expires}");
    }
}

/// A list was read while the clock was a day ahead, and the clock set right: what had not expired was forgotten.
#[test]
fn c7_an_entry_outlives_a_clock_that_was_ahead() {
    const DAY: i64 = 86_400;
    let entries = [entry(Kind::Jti, A, "j", None, Some(NOW.0 + 1))];
    let compiled = Revocations::compile(&entries, NumericDate(NOW.0 + DAY));
    let asked = asked(Some("j"), None, None);
    assert_eq!(compiled.revoked(&asked, NumericDate(NOW.0 + DAY)), None);
    assert_eq!(compiled.revoked(&asked, NOW), Some(Kind::Jti));
    assert_eq!(compiled.len(Kind::Jti), 0);
    // Not for ever: lists are not kept that nobody needs.
    let compiled = Revocations::compile(&entries, NumericDate(NOW.0 + 3 * DAY));
    assert_eq!(compiled.revoked(&asked, NOW), None);
}

#[test]
fn what_does_not_match_is_not_revoked() {
    let entries = [
        entry(Kind::Jti, A, "j", None, None),
        entry(Kind::Subject, A, "s", None, None),
        entry(Kind::Jti, B, "other", None, None),
    ];
    let kept = |asked: Asked<'_>| check(&entries, &asked, None);
    kept(asked(None, None, None));
    kept(asked(Some("s"), Some("j"), None));
    kept(asked(Some("other"), None, None));
    kept(asked(Some(""), Some(""), None));
    kept(asked(Some("J"), Some("S"), None));
    kept(Asked { issuer: B, ..asked(Some("j"), Some("s"), None) });
    kept(Asked { issuer: "", ..asked(Some("https://a.example/j"), None, None) });
    assert_eq!(Revocations::default().revoked(&asked(Some("j"), Some("s"), None), NOW), None);
}

/// Where issuer ends and value begins is part of what is hashed, on the stack and beyond it.
#[test]
fn the_hash_is_unambiguous_at_every_length() {
    for length in [1, 400, 500, 503, 504, 505, 600, 9_000] {
        let value = "x".repeat(length);
        let entries = [entry(Kind::Jti, A, &value, None, None)];
        check(&entries, &asked(Some(&value), None, None), Some(Kind::Jti));
        check(&entries, &Asked { issuer: &A[..17], ..asked(Some(&format!("/{value}")), None, None) }, None);
        check(&entries, &asked(Some(&value[1..]), None, None), None);
    }
}

#[test]
fn many_entries_are_all_found_and_counted() {
    for count in [1, 3, 4, 7, 8, 9, 1_000, 20_000] {
        let values: Vec<String> = (0..count).map(|index| format!("token-{index}")).collect();
        let mut entries: Vec<Entry> =
            values.iter().map(|value| entry(Kind::Jti, A, value, None, None)).collect();
        entries.push(entries[0].clone());
        let compiled = Revocations::compile(&entries, NOW);
        assert_eq!(compiled.len(Kind::Jti), count + 1);
        assert_eq!(compiled.len(Kind::Subject), 0);
        for value in &values {
            assert_eq!(compiled.revoked(&asked(Some(value), None, None), NOW), Some(Kind::Jti), "{value}");
        }
        for index in count..count + 100 {
            assert_eq!(compiled.revoked(&asked(Some(&format!("token-{index}")), None, None), NOW), None);
        }
    }
}

proptest! {
    /// Against the plain reading of the rules over the list itself.
    #[test]
    fn compiled_agrees_with_the_list(
        list in proptest::collection::vec(
            (0..2_usize, 0..3_u8, proptest::option::of(0..40_i64), proptest::option::of(0..40_i64)),
            0..40,
        ),
        token in (proptest::option::of(0..3_u8), proptest::option::of(0..3_u8), proptest::option::of(0..40_i64)),
        leeway in 0..5_i64,
        compiled_at in 0..40_i64,
        later in 0..40_i64,
    ) {
        let entries: Vec<Entry> = list
            .iter()
            .map(|&(kind, value, mark, expires)| {
                entry([Kind::Jti, Kind::Subject][kind], A, &value.to_string(), mark, expires)
            })
            .collect();
        let (id, subject) = (token.0.map(|id| id.to_string()), token.1.map(|subject| subject.to_string()));
        let asked = Asked { leeway, ..asked(id.as_deref(), subject.as_deref(), token.2) };
        let now = NumericDate(compiled_at + later);
        let naive = [Kind::Subject, Kind::Jti].into_iter().find(|&kind| {
            let value = match kind { Kind::Jti => asked.token_id, _ => asked.subject };
            entries.iter().any(|entry| {
                entry.kind == kind
                    && Some(&*entry.value) == value
                    && entry.expires.is_none_or(|end| now < end)
                    && entry.not_before.is_none_or(|mark| {
                        asked.issued_at.is_none_or(|at| at.0 < mark.0 + leeway)
                    })
            })
        });
        let compiled = Revocations::compile(&entries, NumericDate(compiled_at));
        prop_assert_eq!(compiled.revoked(&asked, now), naive);
    }
}
