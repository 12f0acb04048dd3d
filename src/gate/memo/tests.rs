use crate::gate::denial::Reason;
use crate::gate::memo::{Memo, Remembered};

#[test]
fn r2_tokens_that_share_all_but_one_octet_have_their_own_fingerprints() {
    let memo = Memo::new([1; 16], 1 << 20);
    let long = "a".repeat(2000);
    let texts = [
        long.clone(),
        format!("{long}b"),
        format!("b{}", &long[1..]),
        format!("{}b", &long[1..]),
        String::new(),
    ];
    for (at, one) in texts.iter().enumerate() {
        for other in &texts[at + 1..] {
            assert_ne!(memo.fingerprint(one), memo.fingerprint(other));
        }
    }
    assert_ne!(memo.fingerprint("a"), Memo::new([2; 16], 1 << 20).fingerprint("a"));
}

#[test]
fn a_bad_verdict_dies_with_the_epoch_it_was_made_under() {
    let mut memo = Memo::new([1; 16], 1 << 20);
    let token = memo.fingerprint("x.y.z");
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
