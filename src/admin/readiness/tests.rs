//! Each reason alone, and all of them.

use super::*;

#[track_caller]
fn check(prepare: impl FnOnce(&Readiness), keys: bool, reasons: usize) {
    let readiness = Readiness::default();
    prepare(&readiness);
    assert_eq!(readiness.reasons(keys).len(), reasons, "{:?}", readiness.reasons(keys));
}

#[test]
fn every_reason_counts_alone() {
    check(|_| (), false, 1);
    check(Readiness::drain, true, 1);
    check(Readiness::fail, true, 1);
    check(Readiness::drain, false, 2);
    check(|_| (), true, 0);
}
