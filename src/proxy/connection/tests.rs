use std::rc::Rc;

use super::Connection;
use crate::proxy::entrance::{Arrived, enter};
use crate::proxy::worker::Worker;

/// Octets of what a function's future holds, made or not.
fn of<A, F>(_: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

fn of_two<A, B, F>(_: impl FnOnce(A, B) -> F) -> usize {
    size_of::<F>()
}

/// An idle connection is hardly more than its future (threats I5): what only a request under way needs is in a box.
#[test]
fn i5_an_idle_connection_is_small() {
    let (connection, served) = (size_of::<Connection>(), of(Connection::serve));
    let entered = of_two::<Rc<Worker>, Arrived, _>(enter);
    eprintln!("{connection} {served} {entered}");
    assert!(entered < 1000, "{connection} {served} {entered}");
}
