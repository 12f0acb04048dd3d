use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Waker};

use tokio::task::LocalSet;

use crate::proxy::turn::{TOGETHER, Turns};

/// So many requests that are ready at once: in which order each is read and sent.
async fn order(requests: usize) -> Vec<(&'static str, usize)> {
    let (seen, turns, all) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Turns::default()), LocalSet::new());
    for number in 0..requests {
        let (seen, turns) = (Rc::clone(&seen), Rc::clone(&turns));
        all.spawn_local(async move {
            seen.borrow_mut().push(("read", number));
            turns.after_others().await;
            seen.borrow_mut().push(("sent", number));
        });
    }
    all.await;
    assert_eq!(turns.waiting.get(), 0);
    seen.take()
}

#[tokio::test]
async fn what_is_ready_together_is_read_before_any_of_it_is_sent() {
    let wanted = [("read", 0), ("read", 1), ("read", 2), ("sent", 0), ("sent", 1), ("sent", 2)];
    assert_eq!(order(3).await, wanted);
}

#[tokio::test]
async fn where_more_are_ready_than_wait_at_a_time_the_others_are_sent_at_once() {
    let order = order(TOGETHER + 2).await;
    let wanted =
        [("read", TOGETHER), ("sent", TOGETHER), ("read", TOGETHER + 1), ("sent", TOGETHER + 1), ("sent", 0)];
    assert_eq!(order[TOGETHER..TOGETHER + 5], wanted);
}

#[test]
fn one_that_is_gone_while_it_waits_takes_no_place() {
    let turns = Turns::default();
    for _ in 0..2 * TOGETHER {
        let mut waits = Box::pin(turns.after_others());
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(turns.waiting.get(), 0);
}
