//! Each reason alone, all of them, and keys that were there once.

use super::*;

#[track_caller]
fn check(prepare: impl FnOnce(&Readiness), waiting: &[&str], reasons: usize) {
    let readiness = Readiness::default();
    readiness.start();
    prepare(&readiness);
    let waiting: Vec<String> = waiting.iter().map(|name| (*name).to_owned()).collect();
    let told = readiness.reasons(&waiting);
    assert_eq!(told.len(), reasons, "{told:?}");
}

#[test]
fn every_reason_counts_alone() {
    check(|_| (), &["corp"], 1);
    check(|_| (), &["corp", "partner"], 2);
    check(Readiness::drain, &[], 1);
    check(Readiness::fail, &[], 1);
    check(Readiness::drain, &["corp"], 2);
    check(|_| (), &[], 0);
}

#[test]
fn an_issuer_that_loses_its_keys_takes_no_others_with_it() {
    let began = |readiness: &Readiness| assert!(readiness.reasons(&[]).is_empty());
    check(began, &["corp"], 0);
    check(|readiness| (began(readiness), readiness.drain()).1, &["corp"], 1);
}

#[test]
fn nobody_is_sent_here_before_signals_are_taken() {
    let readiness = Readiness::default();
    assert_eq!(readiness.reasons(&[]), ["starting"]);
    readiness.start();
    assert!(readiness.reasons(&[]).is_empty());
}
