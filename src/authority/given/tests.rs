use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Given, KEPT, Name};
use crate::authority::filling::Made;

fn made(expires: i64) -> Arc<[Made]> {
    let text = Zeroizing::new("t".to_owned());
    Arc::from([Made { name: "t".into(), text, expires, refresh: false }])
}

fn name(number: usize) -> Name {
    let mut octets = [0; 32];
    octets[..8].copy_from_slice(&number.to_be_bytes());
    Name(octets)
}

#[test]
fn a_token_is_given_again_while_it_lives_long_enough() {
    let given = Given::default();
    given.keep(name(1), &made(100), 0);
    assert!(given.find(name(1), 60, 40).is_some());
    assert!(given.find(name(1), 60, 41).is_none());
    assert!(given.find(name(1), 0, 100).is_none(), "it has ended");
    assert!(given.find(name(2), 0, 0).is_none());
    given.keep(name(1), &made(200), 50);
    assert!(given.find(name(1), 60, 140).is_some(), "the later one took its place");
}

#[test]
fn no_more_is_kept_than_there_is_room_for() {
    let given = Given::default();
    (0..KEPT).for_each(|number| given.keep(name(number), &made(100), 0));
    given.keep(name(KEPT), &made(100), 0);
    assert!(given.find(name(KEPT), 0, 0).is_none());
    given.keep(name(KEPT), &made(300), 200);
    assert!(given.find(name(KEPT), 0, 200).is_some(), "what had ended made room");
}

#[test]
fn what_has_ended_is_not_kept_until_there_is_no_room() {
    let given = Given::default();
    given.keep(name(1), &made(100), 0);
    given.keep(name(2), &made(200), 0);
    let first = Arc::downgrade(&given.find(name(1), 0, 0).expect("it was given"));
    given.sweep(99);
    assert!(first.upgrade().is_some());
    given.sweep(100);
    assert!(first.upgrade().is_none(), "nobody has its text");
    assert!(given.find(name(2), 0, 100).is_some());
}
