use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use crate::control::key_fetch::schedule::{Ask, Due, Outcome, Schedule, Timing};

const OK: Outcome = Outcome::Success { max_age: None };
const MIDDLE: f64 = 0.5;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn timing() -> Timing {
    Timing { refresh: seconds(300), cooldown: seconds(30), max_stale: seconds(86_400) }
}

/// A schedule whose first fetch has ended, and the moment at which it did.
fn ended(outcome: Outcome) -> (Schedule, Instant) {
    let now = Instant::now();
    let mut schedule = Schedule::begin(timing(), None, now);
    schedule.end(outcome, MIDDLE, now);
    (schedule, now)
}

#[test]
fn the_first_fetch_begins_at_once_and_a_miss_joins_it() {
    let now = Instant::now();
    let mut schedule = Schedule::begin(timing(), None, now);
    assert_eq!(schedule.due(now), Due::Fetch);
    assert_eq!(schedule.ask("", false, now), Ask::Wait);
    assert_eq!(schedule.ask("a", false, now), Ask::Wait);
    schedule.end(OK, MIDDLE, now);
    assert_eq!(schedule.ask("", true, now), Ask::Settled);
    // That fetch had begun before "a" was seen: it proves nothing, and joining it claimed nothing.
    assert_eq!(schedule.ask("a", false, now), Ask::Begin);
    assert_eq!(schedule.begun(), 2);
}

#[test]
fn unknown_is_said_only_after_a_successful_fetch_begun_after_the_kid_was_seen() {
    for (outcome, settled) in [(OK, true), (Outcome::Failure, false)] {
        let (mut schedule, now) = ended(OK);
        assert_eq!(schedule.ask("a", false, now), Ask::Begin);
        assert_eq!(schedule.ask("late", false, now), Ask::Wait, "joins the one that runs");
        schedule.end(outcome, MIDDLE, now);
        let expected = if settled { Ask::Settled } else { Ask::Refuse };
        assert_eq!(schedule.ask("a", false, now), expected);
        assert_eq!(schedule.ask("a", false, now + seconds(29)), expected);
        assert_eq!(schedule.ask("late", false, now), Ask::Refuse, "was seen after that fetch had begun");
        assert_eq!(schedule.begun(), 2);
    }
}

#[test]
fn the_cooldown_is_claimed_before_the_fetch_and_whatever_comes_of_it() {
    for outcome in [OK, Outcome::Failure] {
        let (mut schedule, start) = ended(OK);
        assert_eq!(schedule.ask("a", false, start), Ask::Begin);
        // A slow fetch: the cooldown ran from its beginning.
        let end = start + seconds(5);
        schedule.end(outcome, MIDDLE, end);
        assert_eq!(schedule.ask("b", false, start + Duration::from_millis(29_999)), Ask::Refuse);
        assert_eq!(schedule.ask("b", false, start + seconds(30)), Ask::Begin);
    }
}

/// mobula #28: an empty set must not be a way round the cooldown.
#[test]
fn no_keys_at_all_is_no_way_round_the_cooldown() {
    let (mut schedule, now) = ended(Outcome::Failure);
    assert_eq!(schedule.ask("", false, now), Ask::Begin);
    schedule.end(Outcome::Failure, MIDDLE, now);
    for kid in ["", "a", "b", ""] {
        assert_eq!(schedule.ask(kid, false, now), Ask::Refuse);
    }
    assert_eq!(schedule.begun(), 2);
}

#[test]
fn a_known_kid_is_settled_whatever_runs() {
    let (mut schedule, now) = ended(Outcome::Failure);
    assert_eq!(schedule.ask("a", true, now), Ask::Settled);
    assert_eq!(schedule.ask("x", false, now), Ask::Begin);
    assert_eq!(schedule.ask("a", true, now), Ask::Settled);
}

#[test]
fn five_thousand_random_kids_force_one_fetch_a_cooldown() {
    let (mut schedule, start) = ended(OK);
    let before = schedule.begun();
    let mut settled = 0;
    for step in 0..5_000_u64 {
        let now = start + Duration::from_millis(step * 20);
        match schedule.ask(&format!("kid-{step}"), false, now) {
            Ask::Begin => schedule.end(OK, MIDDLE, now),
            Ask::Settled => settled += 1,
            Ask::Wait | Ask::Refuse => {}
        }
        assert!(schedule.misses.begun.len() <= super::MOST_MISSES);
        assert_eq!(schedule.misses.begun.len(), schedule.misses.order.len());
    }
    // 100 s, a cooldown of 30 s: at 0, 30, 60 and 90.
    assert_eq!(schedule.begun() - before, 4);
    assert_eq!(settled, 0, "every kid was new");
}

#[test]
fn a_forgotten_kid_is_unproven_again() {
    let (mut schedule, start) = ended(OK);
    assert_eq!(schedule.ask("a", false, start), Ask::Begin);
    schedule.end(OK, MIDDLE, start);
    assert_eq!(schedule.ask("a", false, start + super::MISS_LIFE), Ask::Settled);
    let past = start + super::MISS_LIFE + seconds(1);
    assert_eq!(schedule.ask("a", false, past), Ask::Begin, "by age");
    schedule.end(OK, MIDDLE, past);
    assert_eq!(schedule.ask("a", false, past), Ask::Settled);
    for index in 0..super::MOST_MISSES {
        assert_eq!(schedule.ask(&format!("kid-{index}"), false, past), Ask::Refuse);
    }
    assert_eq!(schedule.ask("a", false, past), Ask::Refuse, "by number");
}

/// The pause after an outcome, jitter at its least and most.
#[track_caller]
fn check_pause(timing: Timing, failures: u32, outcome: Outcome, least: Duration, most: Duration) {
    for (jitter, expected) in [(0.0, least), (1.0, most), (-7.0, least), (f64::INFINITY, most)] {
        let now = Instant::now();
        let mut schedule = Schedule::begin(timing, None, now);
        for _ in 0..failures {
            schedule.end(Outcome::Failure, jitter, now);
        }
        schedule.end(outcome, jitter, now);
        let pause = schedule.next - now;
        let difference = pause.abs_diff(expected);
        assert!(difference < Duration::from_millis(1), "{outcome:?} after {failures}: {pause:?}");
        assert_eq!(schedule.due(now + pause), Due::Fetch);
    }
}

#[test]
fn the_pause_follows_the_outcome() {
    let millis = Duration::from_millis;
    let success = |max_age| Outcome::Success { max_age };
    let timing = timing();
    for (failures, outcome, least, most) in [
        (0, success(None), seconds(270), seconds(330)),
        (9, success(None), seconds(270), seconds(330)),
        // Cache-Control shortens to a minute and never lengthens.
        (0, success(Some(seconds(100))), seconds(90), seconds(110)),
        (0, success(Some(seconds(10))), seconds(54), seconds(66)),
        (0, success(Some(Duration::ZERO)), seconds(54), seconds(66)),
        (0, success(Some(seconds(9_999))), seconds(270), seconds(330)),
        (0, success(Some(Duration::MAX)), seconds(270), seconds(330)),
        (0, Outcome::Failure, millis(500), seconds(1)),
        (1, Outcome::Failure, seconds(1), seconds(2)),
        (2, Outcome::Failure, seconds(2), seconds(4)),
        (8, Outcome::Failure, seconds(128), seconds(256)),
        (9, Outcome::Failure, seconds(150), seconds(300)),
        (50_000, Outcome::Failure, seconds(150), seconds(300)),
    ] {
        check_pause(timing, failures, outcome, least, most);
    }
    // A refresh below a minute is the operator's wish; max-age does not lengthen it.
    let fast = Timing { refresh: seconds(10), ..timing };
    check_pause(fast, 0, success(Some(seconds(30))), seconds(9), seconds(11));
    check_pause(fast, 9, Outcome::Failure, seconds(5), seconds(10));
    // The shortest that a configuration may have.
    let fastest = Timing { refresh: millis(100), ..timing };
    check_pause(fastest, 0, success(None), millis(90), millis(110));
    check_pause(fastest, 0, Outcome::Failure, millis(50), millis(100));
    // Keys that would turn stale before the next refresh are renewed in time.
    let brief = Timing { max_stale: seconds(60), ..timing };
    check_pause(brief, 0, success(None), seconds(27), seconds(33));
    // No configuration overflows the clock or spins.
    let never = Timing { refresh: Duration::MAX, cooldown: Duration::MAX, max_stale: Duration::MAX };
    check_pause(never, 0, success(None), super::FOREVER / 2 * 9 / 10, super::FOREVER / 2 * 11 / 10);
    let always = Timing { refresh: Duration::ZERO, cooldown: Duration::ZERO, max_stale: Duration::ZERO };
    check_pause(always, 0, success(None), millis(90), millis(110));
}

#[test]
fn without_a_cooldown_there_still_is_one() {
    let now = Instant::now();
    let mut schedule = Schedule::begin(Timing { cooldown: Duration::ZERO, ..timing() }, None, now);
    schedule.end(Outcome::Failure, MIDDLE, now);
    assert_eq!(schedule.ask("", false, now), Ask::Begin);
    schedule.end(Outcome::Failure, MIDDLE, now);
    assert_eq!(schedule.ask("", false, now + Duration::from_millis(99)), Ask::Refuse);
    assert_eq!(schedule.ask("", false, now + Duration::from_millis(100)), Ask::Begin);
}

#[test]
fn keys_turn_stale_by_the_age_they_have() {
    for (mirrored, left) in [
        (None, None),
        (Some(Duration::ZERO), Some(86_400)),
        (Some(seconds(86_000)), Some(400)),
        (Some(seconds(86_400)), Some(0)),
    ] {
        let now = Instant::now();
        let mut schedule = Schedule::begin(timing(), mirrored, now);
        schedule.end(Outcome::Failure, MIDDLE, now);
        let Some(left) = left else {
            assert!(schedule.is_stale(now));
            assert_eq!(schedule.age(now), None);
            continue;
        };
        let last = now + seconds(left);
        assert!(!schedule.is_stale(last), "{mirrored:?}");
        assert!(schedule.is_stale(last + Duration::from_millis(1)), "{mirrored:?}");
        // A confirmed set is young again.
        schedule.end(OK, MIDDLE, last + seconds(9));
        assert_eq!(schedule.age(last + seconds(10)), Some(seconds(1)));
        assert!(!schedule.is_stale(last + seconds(10)));
    }
    let now = Instant::now();
    assert!(Schedule::begin(timing(), Some(seconds(86_401)), now).is_stale(now));
}

/// Whoever sleeps until the named moment wakes for the staleness too, and not over and over after it.
#[test]
fn due_names_the_moment_at_which_keys_turn_stale() {
    let now = Instant::now();
    let mut schedule = Schedule::begin(timing(), Some(seconds(86_399)), now);
    for _ in 0..9 {
        schedule.end(Outcome::Failure, 1.0, now);
    }
    let Due::Nothing(first) = schedule.due(now) else { panic!("a fetch is due") };
    assert_eq!(first, now + Duration::from_millis(1_001));
    assert!(schedule.is_stale(first));
    let Due::Nothing(second) = schedule.due(first) else { panic!("a fetch is due") };
    assert_eq!(second, now + seconds(256));
}

#[test]
fn a_changed_configuration_counts_at_once() {
    let (mut schedule, now) = ended(OK);
    schedule.retime(Timing { refresh: seconds(7), cooldown: seconds(2), max_stale: seconds(20) }, now);
    assert_eq!(schedule.due(now + seconds(6)), Due::Nothing(now + seconds(7)));
    assert_eq!(schedule.ask("a", false, now), Ask::Begin);
    schedule.end(Outcome::Failure, MIDDLE, now);
    assert_eq!(schedule.ask("a", false, now + seconds(2)), Ask::Begin);
    assert!(schedule.is_stale(now + seconds(21)));
    // A longer refresh does not put off what was due.
    let (mut schedule, now) = ended(OK);
    schedule.retime(Timing { refresh: seconds(900), ..timing() }, now);
    assert_eq!(schedule.due(now + seconds(300)), Due::Fetch);
}

#[derive(Debug, Clone)]
enum Step {
    Ask(u8),
    End(bool),
    Background,
}

fn step() -> impl Strategy<Value = (Step, u64)> {
    let step = prop_oneof![
        4 => (0..6_u8).prop_map(Step::Ask),
        3 => any::<bool>().prop_map(Step::End),
        1 => Just(Step::Background),
    ];
    (step, 0..20_000_u64)
}

proptest! {
    /// Against the sentence of config.md: an unknown kid is unproven until a fetch begun after it was first seen
    /// has succeeded. Forced fetches keep the cooldown; two fetches never overlap.
    #[test]
    fn the_promises_hold_for_any_history(steps in proptest::collection::vec(step(), 0..200)) {
        let start = Instant::now();
        let mut now = start;
        let mut schedule = Schedule::begin(timing(), None, now);
        let mut running: Option<u64> = Some(1);
        let mut succeeded = 0;
        let mut forced: Vec<Instant> = Vec::new();
        let mut seen: HashMap<u8, (u64, Instant)> = HashMap::new();
        for (step, pause) in steps {
            now += Duration::from_millis(pause);
            let begun = schedule.begun();
            match step {
                Step::Ask(kid) => {
                    let entry = seen.entry(kid).or_insert((begun, now));
                    if now - entry.1 > super::MISS_LIFE {
                        *entry = (begun, now);
                    }
                    let proven = succeeded > entry.0;
                    let cooling = forced.last().is_some_and(|last| now - *last < seconds(30));
                    let expected = match (proven, running, cooling) {
                        (true, _, _) => Ask::Settled,
                        (false, Some(_), _) => Ask::Wait,
                        (false, None, true) => Ask::Refuse,
                        (false, None, false) => Ask::Begin,
                    };
                    prop_assert_eq!(schedule.ask(&kid.to_string(), false, now), expected);
                    if expected == Ask::Begin {
                        forced.push(now);
                        running = Some(begun + 1);
                    }
                }
                Step::End(success) => {
                    let Some(number) = running.take() else { continue };
                    schedule.end(if success { OK } else { Outcome::Failure }, MIDDLE, now);
                    if success {
                        succeeded = number;
                    }
                }
                Step::Background => {
                    let was = running;
                    if schedule.due(now) == Due::Fetch && was.is_none() {
                        running = Some(begun + 1);
                    }
                }
            }
            prop_assert_eq!(schedule.begun(), begun + u64::from(schedule.begun() != begun));
            let elapsed = (now - start).as_secs();
            prop_assert!(forced.len() as u64 <= 1 + elapsed / 30);
        }
    }
}
