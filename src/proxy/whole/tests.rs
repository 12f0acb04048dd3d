use std::sync::Arc;

use crate::proxy::whole::{Bodies, Held};

#[test]
fn octets_of_bodies_are_bounded_together_and_given_back() {
    let bodies = Arc::new(Bodies::default());
    let held = || Held { bodies: Arc::clone(&bodies), most: 10, octets: 0 };
    let (mut one, mut other) = (held(), held());
    assert!(one.take(6));
    assert!(!other.take(5), "eleven of ten");
    drop(other);
    let mut other = held();
    assert!(other.take(4));
    drop((one, other));
    assert!(held().take(10), "all of them were given back");
}
