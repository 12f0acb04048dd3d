use std::rc::Rc;

use super::Connection;
use crate::proxy::entrance::{Arrived, enter};
use crate::proxy::worker::Worker;

/// Octets of what an idle connection's task may hold. In a release build it is less; what a request needs only now and
/// then (a handshake, a body on its way, a tunnel) is in boxes of its own.
const MOST: usize = 6 * 1024;

/// Octets of the future that a function makes, made or not.
fn of<A, B, F>(_: impl FnOnce(A, B) -> F) -> usize {
    size_of::<F>()
}

/// Threats I5: an idle connection is a socket and this.
#[test]
fn i5_an_idle_connection_is_small() {
    let task = of::<Rc<Worker>, Arrived, _>(enter);
    assert!(task <= MOST, "{task} octets, of which {} for the connection itself", size_of::<Connection>());
}
