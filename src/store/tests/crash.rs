//! What was answered survives `kill -9` (threats R5): a process appends as fast as it can and is killed, again and
//! again, at whatever moment it happens to be.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::{env, thread};

use super::*;
use crate::store::records::{Record, RecordChange, RecordKind};

const KILLS: u64 = 200;

/// Names the store to the process that is to be killed.
const STORE: &str = "PORTCULLIS_TEST_STORE";
/// Tells its entries from those of the processes before it.
const ROUND: &str = "PORTCULLIS_TEST_ROUND";

/// Entries of a batch, which is there whole or not at all.
const ENTRIES: u64 = 20;

#[test]
fn r5_two_hundred_kills_lose_nothing_that_was_answered() {
    let (_directory, path) = place();
    let mut answered = Vec::new();
    for round in 0..KILLS {
        let mut child = start(&path, round);
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut lines = lines.map_while(Result::ok).filter_map(|line| {
            let (_, number) = line.split_once("answered ")?;
            number.strip_suffix('.')?.parse::<u64>().ok()
        });
        // A different number of answers each time; the last is not a millisecond old.
        let first: Vec<u64> = lines.by_ref().take(usize::try_from(1 + round % 17).expect("few")).collect();
        assert!(!first.is_empty(), "round {round}: it answered nothing");
        child.kill().expect("killed");
        // What it had said when it died, it had said.
        let rest: Vec<u64> = lines.collect();
        child.wait().expect("dead");
        let store = open(&path);
        for &number in first.iter().chain(&rest) {
            let found = store.find(entry(number).id).expect("it can be read");
            assert_eq!(found, Some(entry(number)), "round {round} lost {number}");
            answered.push(number);
        }
    }
    let store = open(&path);
    let present = numbers(&store);
    assert!(present.len() >= answered.len());
    for number in &answered {
        assert!(present.binary_search(number).is_ok() || present.contains(number), "{number} was lost later");
    }
    let mut batches: BTreeMap<u64, u64> = BTreeMap::new();
    for number in present.iter().filter(|number| *number % 100_000 >= BATCHES) {
        *batches.entry(number / ENTRIES).or_default() += 1;
    }
    assert!(!batches.is_empty() && batches.values().all(|&entries| entries == ENTRIES), "a torn batch");
}

fn start(path: &Path, round: u64) -> Child {
    start_test("a_process_to_be_killed", path, round)
}

fn start_test(name: &str, path: &Path, round: u64) -> Child {
    Command::new(env::current_exe().expect("this program"))
        .args(["--exact", &format!("store::tests::crash::{name}"), "--nocapture"])
        .env(STORE, path)
        .env(ROUND, round.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started")
}

/// Does nothing unless the test above has started it.
#[test]
fn a_process_to_be_killed() {
    let Some(path) = env::var_os(STORE) else { return };
    let round: u64 = env::var(ROUND).ok().and_then(|round| round.parse().ok()).expect("a round");
    let store = open(Path::new(&path));
    // Runs until it is killed, or until nobody reads any more.
    let answer = |number: u64| writeln!(io::stdout(), "answered {number}.").is_ok();
    thread::scope(|scope| {
        let store = &store;
        for writer in 0..3 {
            scope.spawn(move || {
                let first = round * 100_000 + writer * 10_000;
                (first..first + 10_000).all(|number| append(store, added([number])).is_ok() && answer(number))
            });
        }
        scope.spawn(move || {
            let first = round * 100_000 + BATCHES;
            (first..first + 10_000)
                .step_by(ENTRIES as usize)
                .all(|number| append(store, added(number..number + ENTRIES)).is_ok() && answer(number))
        });
    });
}

/// Where the numbers of batches begin in those of a round.
const BATCHES: u64 = 80_000;

/// A family of refresh tokens is rotated as fast as it can be, by a process that is killed again and again: the record is at
/// least as far as what was answered, and what changed with it in one batch has changed with it (threats R5, T5).
#[test]
fn t5_no_kill_takes_back_a_record_that_was_answered() {
    let (_directory, path) = place();
    for round in 0..RECORD_KILLS {
        let mut child = start_test("a_process_that_keeps_records", &path, round);
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut lines = lines.map_while(Result::ok).filter_map(|line| {
            let (_, number) = line.split_once("answered ")?;
            number.strip_suffix('.')?.parse::<u64>().ok()
        });
        let first: Vec<u64> = lines.by_ref().take(usize::try_from(1 + round % 17).expect("few")).collect();
        assert!(!first.is_empty(), "round {round}: it answered nothing");
        child.kill().expect("killed");
        let answered = lines.last().or(first.last().copied()).expect("an answer");
        child.wait().expect("dead");
        let store = open(&path);
        let generations = generations(&store);
        assert_eq!(generations.len(), 2, "round {round}");
        assert!(
            generations[0] >= answered,
            "round {round}: {} was answered, {generations:?} is kept",
            answered
        );
        assert_eq!(generations[0], generations[1], "round {round}: a torn batch");
    }
}

/// How far each record of the family is.
fn generations(store: &Store) -> Vec<u64> {
    let mut generations = Vec::new();
    let read = store.kept(RecordKind::Family, &mut |record| {
        let text = String::from_utf8(record.body).expect("text");
        generations.push(text.parse().expect("a number"));
    });
    read.expect("read");
    generations
}

/// Does nothing unless the test above has started it.
#[test]
fn a_process_that_keeps_records() {
    let Some(path) = env::var_os(STORE) else { return };
    let store = open(Path::new(&path));
    let from = generations(&store).first().copied().unwrap_or_default();
    let record = |id: &[u8], generation: u64| {
        let body = generation.to_string().into_bytes();
        RecordChange::Keep(Record {
            kind: RecordKind::Family,
            id: id.into(),
            subject: None,
            expires: None,
            body,
        })
    };
    for generation in from + 1..from + 100_000 {
        let both = vec![record(b"current", generation), record(b"previous", generation)];
        let kept = wait(store.keep(both)).is_ok();
        if !kept || writeln!(io::stdout(), "answered {generation}.").is_err() {
            return;
        }
    }
}

const RECORD_KILLS: u64 = 50;
