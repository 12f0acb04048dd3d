use std::net::{IpAddr, Ipv4Addr};

use super::{Pushed, Queue};

fn address(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, n).into()
}

/// Puts items in line, each written as its address and a letter; gives what was put out or found no room.
fn push<'i>(queue: &mut Queue<&'i str>, items: &[&'i str]) -> Vec<&'i str> {
    let mut out = Vec::new();
    for item in items {
        let n = item[..1].parse().expect("an item begins with its address");
        match queue.push(address(n), item) {
            Pushed::In => {}
            Pushed::Instead(other) | Pushed::Full(other) => out.push(other),
        }
    }
    out
}

fn rest<'i>(queue: &mut Queue<&'i str>) -> Vec<&'i str> {
    std::iter::from_fn(|| queue.pop()).collect()
}

#[test]
fn one_address_is_served_in_order() {
    let mut queue = Queue::new(4);
    assert!(queue.is_empty());
    assert_eq!(push(&mut queue, &["1a", "1b", "1c"]), [""; 0]);
    assert!(!queue.is_empty());
    assert_eq!(rest(&mut queue), ["1a", "1b", "1c"]);
    assert_eq!(queue.pop(), None);
}

#[test]
fn addresses_take_turns() {
    let mut queue = Queue::new(9);
    push(&mut queue, &["1a", "1b", "1c", "1d", "2a", "2b", "3a"]);
    assert_eq!(rest(&mut queue), ["1a", "2a", "3a", "1b", "2b", "1c", "1d"]);
}

/// Whoever comes later waits for one of the others' at most.
#[test]
fn a_late_comer_is_not_put_behind_a_flood() {
    let mut queue = Queue::new(9);
    push(&mut queue, &["1a", "1b", "1c", "1d"]);
    assert_eq!([queue.pop(), queue.pop()], [Some("1a"), Some("1b")]);
    push(&mut queue, &["2a"]);
    assert_eq!(rest(&mut queue), ["1c", "2a", "1d"]);
}

/// An address that comes back as soon as it was served does not starve one that has been waiting.
#[test]
fn who_comes_back_at_once_goes_behind() {
    let mut queue = Queue::new(9);
    push(&mut queue, &["1a", "1b", "2a"]);
    assert_eq!([queue.pop(), queue.pop()], [Some("1a"), Some("2a")]);
    push(&mut queue, &["2b"]);
    assert_eq!(queue.pop(), Some("1b"));
    push(&mut queue, &["2c"]);
    assert_eq!(rest(&mut queue), ["2b", "2c"]);
}

#[test]
fn a_full_line_puts_out_who_asks_for_most() {
    let mut queue = Queue::new(4);
    assert_eq!(push(&mut queue, &["1a", "1b", "1c", "1d", "1e"]), ["1e"]);
    assert_eq!(push(&mut queue, &["2a"]), ["1d"]);
    assert_eq!(push(&mut queue, &["2b"]), ["1c"]);
    // Each has its half: neither gets more at the other's cost.
    assert_eq!(push(&mut queue, &["2c", "1f"]), ["2c", "1f"]);
    assert_eq!(rest(&mut queue), ["1a", "2a", "1b", "2b"]);
}

#[test]
fn as_many_addresses_as_places_leave_none() {
    let mut queue = Queue::new(3);
    assert_eq!(push(&mut queue, &["1a", "2a", "3a", "4a"]), ["4a"]);
    queue.pop();
    assert_eq!(push(&mut queue, &["4a"]), [""; 0]);
    assert_eq!(rest(&mut queue), ["2a", "3a", "4a"]);
}

#[test]
fn what_is_taken_out_leaves_its_place() {
    let mut queue = Queue::new(2);
    push(&mut queue, &["1a", "1b"]);
    assert_eq!(queue.find(|item| *item == "1b"), Some(&"1b"));
    assert_eq!(queue.remove(|item| *item == "1a"), Some("1a"));
    assert_eq!(queue.remove(|item| *item == "1a"), None);
    assert_eq!(push(&mut queue, &["1c"]), [""; 0]);
    assert_eq!(rest(&mut queue), ["1b", "1c"]);
}
