//! When a signature has its turn.

use super::*;

#[test]
fn a_signature_that_took_long_once_does_not_shut_out_all_others() {
    assert!(is_enough(SAVED, Duration::from_secs(1)));
    assert!(!is_enough(SAVED - Duration::from_nanos(1), Duration::from_secs(1)));
    assert!(is_enough(Duration::from_micros(40), Duration::from_micros(40)));
    assert!(!is_enough(Duration::from_micros(39), Duration::from_micros(40)));
}
