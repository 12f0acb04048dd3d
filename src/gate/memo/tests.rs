use std::sync::Arc;

use crate::gate::denial::Reason;
use crate::gate::memo::{GRANTED_PLACES, Memo, Remembered};
use crate::token::json::document::Value;
use crate::token::scope::{Granted, ScopeMatch};

#[test]
fn a_bad_verdict_dies_with_the_epoch_it_was_made_under() {
    let mut memo = Memo::new([1; 16], 1 << 20);
    let token = memo.fingerprint(b"x.y.z");
    assert!(matches!(memo.find(token, |_, _| true, |_| Some(0)), Remembered::Unknown));
    memo.remember_bad(token, 5, Reason::BadSignature);
    assert!(matches!(
        memo.find(token, |_, _| true, |epoch| (epoch == 5).then_some(3)),
        Remembered::Bad(Reason::BadSignature, Some(3))
    ));
    assert!(matches!(memo.find(token, |_, _| true, |epoch| (epoch == 6).then_some(3)), Remembered::Unknown));
    memo.remember_bad(token, 0, Reason::MalformedToken);
    assert!(matches!(
        memo.find(token, |_, _| false, |_| None),
        Remembered::Bad(Reason::MalformedToken, None)
    ));
}

#[test]
fn tokens_of_the_same_scopes_share_them_and_others_do_not() {
    let mut memo = Memo::new([1; 16], 1 << 20);
    let granted = |scope: &str, how| Granted::from_claims([Value::Text(scope)], how);
    let one = memo.shared(granted("read write:*", ScopeMatch::Exact));
    assert!(Arc::ptr_eq(&one, &memo.shared(granted("read write:*", ScopeMatch::Exact))));
    let patterns = memo.shared(granted("read write:*", ScopeMatch::Segments));
    assert!(patterns.covers("write:all") && !one.covers("write:all"));
    assert!(Arc::ptr_eq(&patterns, &memo.shared(granted("read write:*", ScopeMatch::Segments))));
    for number in 0..2 * GRANTED_PLACES {
        let other = format!("scope{number}");
        assert!(memo.shared(granted(&other, ScopeMatch::Exact)).covers(&other));
        assert!(memo.granted.len() <= GRANTED_PLACES);
    }
    let again = memo.shared(granted("read write:*", ScopeMatch::Exact));
    assert!(!Arc::ptr_eq(&one, &again) && one == again);
}
