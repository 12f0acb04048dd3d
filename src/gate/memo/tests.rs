use crate::gate::denial::Reason;
use crate::gate::memo::{Memo, Remembered};

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
