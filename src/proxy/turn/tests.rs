use std::cell::RefCell;
use std::rc::Rc;

use tokio::task::LocalSet;

use crate::proxy::turn::after_others;

#[tokio::test]
async fn what_is_ready_together_is_read_before_any_of_it_is_sent() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let all = LocalSet::new();
    for number in 0..3 {
        let seen = Rc::clone(&seen);
        all.spawn_local(async move {
            seen.borrow_mut().push(("read", number));
            after_others().await;
            seen.borrow_mut().push(("sent", number));
        });
    }
    all.await;
    let wanted = [("read", 0), ("read", 1), ("read", 2), ("sent", 0), ("sent", 1), ("sent", 2)];
    assert_eq!(*seen.borrow(), wanted);
}

#[tokio::test]
async fn a_request_that_comes_alone_waits_for_nobody() {
    after_others().await;
}
