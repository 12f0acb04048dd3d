use serde_json::json;

use super::*;
use crate::control::introspection::asking::read;
use crate::token::NumericDate;

const CACHE: Duration = Duration::from_secs(30);
const NOW: NumericDate = NumericDate(1_000);

fn said(answer: &serde_json::Value) -> Option<(Answer, Duration)> {
    read(answer.to_string().as_bytes(), "https://partner", CACHE, NOW).ok()
}

#[test]
fn what_is_no_answer_is_trouble() {
    for text in ["", "[]", "true", "{}", r#"{"active": "true"}"#, r#"{"active": 1}"#, r#"{"active": null}"#] {
        assert!(read(text.as_bytes(), "https://partner", CACHE, NOW).is_err(), "{text}");
    }
    assert_eq!(said(&json!({"active": true, "exp": "soon"})), None);
    assert_eq!(said(&json!({"active": true, "sub": 1})), None);
}

#[test]
fn what_does_not_count_is_remembered_and_what_does_no_longer_than_it_may() {
    let inactive = Some((Answer::Inactive, CACHE));
    assert_eq!(said(&json!({"active": false, "sub": "ann"})), inactive);
    assert_eq!(said(&json!({"active": true, "exp": 1_000})), inactive);
    assert_eq!(said(&json!({"active": true, "iss": "https://elsewhere"})), inactive);
    assert_eq!(said(&json!({"active": true, "iss": ["https://partner"]})), inactive);
    for (expires, lasts) in [(1_001, 1), (1_029, 29), (1_030, 30), (9_999, 30)] {
        let (answer, time) = said(&json!({"active": true, "exp": expires, "nbf": null})).expect("an answer");
        let Answer::Active(claims) = answer else { panic!("it counts") };
        assert_eq!(claims.issuer(), Some("https://partner"));
        assert_eq!(time, Duration::from_secs(lasts));
    }
    let Some((Answer::Active(claims), CACHE)) = said(&json!({"active": true})) else { panic!("it counts") };
    assert_eq!(claims.expires(), Some(NumericDate(1_030)), "until it is asked about again");
}

#[test]
fn a_question_is_asked_once_and_in_trouble_one_at_a_time() {
    let (mut state, now) = (State::default(), Instant::now());
    assert!(matches!(state.way([1; 32], now), Way::Ask(..)));
    assert!(matches!(state.way([1; 32], now), Way::Wait(_)));
    assert!(matches!(state.way([2; 32], now), Way::Ask(..)));
    state.asking.clear();
    state.troubled = Some(now + COOLDOWN);
    assert!(matches!(state.way([1; 32], now), Way::Known(Answer::Unavailable)));
    let later = now + COOLDOWN;
    assert!(matches!(state.way([1; 32], later), Way::Ask(..)), "one is let through");
    assert!(matches!(state.way([2; 32], later), Way::Known(Answer::Unavailable)));
    assert!(matches!(state.way([1; 32], later), Way::Wait(_)));
}

#[test]
fn answers_and_questions_are_bounded() {
    let (mut state, now) = (State::default(), Instant::now());
    let key = |number: usize| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    };
    for number in 0..ANSWERS + 100 {
        state.remember(key(number), Answer::Inactive, now + CACHE, now);
    }
    assert_eq!((state.answers.len(), state.order.len()), (ANSWERS, ANSWERS));
    assert!(matches!(state.way(key(0), now), Way::Ask(..)), "the oldest went");
    assert!(matches!(state.way(key(ANSWERS), now), Way::Known(Answer::Inactive)));
    assert!(matches!(state.way(key(ANSWERS), now + CACHE), Way::Ask(..)), "its time is over");
    for number in 0..ASKING {
        state.way(key(1_000_000 + number), now);
    }
    assert_eq!(state.asking.len(), ASKING);
    assert!(matches!(state.way(key(2_000_000), now), Way::Known(Answer::Unavailable)));
}
