use super::*;

fn address(number: u32) -> IpAddr {
    std::net::Ipv4Addr::from(0x0a00_0000 + number).into()
}

#[test]
fn an_address_that_guesses_waits_and_nobody_else_does() {
    let (attempts, now) = (Attempts::default(), Instant::now());
    for _ in 0..PER_ADDRESS {
        assert_eq!(attempts.wait(address(1), now), None);
        attempts.failed(address(1), now);
    }
    let later = now + Duration::from_secs(10);
    assert_eq!(attempts.wait(address(1), later), Some(WINDOW - Duration::from_secs(10)));
    assert_eq!(attempts.wait(address(2), later), None);
    // It comes from another socket of the same machine, or says its address another way.
    let mapped = IpAddr::V6("::ffff:10.0.0.1".parse().expect("an address"));
    assert!(attempts.wait(mapped, later).is_some());
    assert_eq!(attempts.wait(address(1), now + WINDOW), None, "nobody is kept out for ever");
}

#[test]
fn a_network_of_ipv6_is_one_address() {
    let (attempts, now) = (Attempts::default(), Instant::now());
    for host in 0..PER_ADDRESS {
        attempts.failed(format!("2001:db8::{host:x}").parse().expect("an address"), now);
    }
    assert!(attempts.wait("2001:db8::ffff:1".parse().expect("an address"), now).is_some());
    assert_eq!(attempts.wait("2001:db8:0:1::1".parse().expect("an address"), now), None);
}

#[test]
fn many_strangers_wait_together_and_the_operator_does_not() {
    let (attempts, now) = (Attempts::default(), Instant::now());
    attempts.succeeded(address(0), now);
    for number in 1..=IN_ALL {
        assert_eq!(attempts.wait(address(number), now), None);
        attempts.failed(address(number), now);
    }
    assert!(attempts.wait(address(7_000), now).is_some(), "a stranger more");
    assert_eq!(attempts.wait(address(0), now), None, "who has had the right token");
    // And is held to the same bound.
    for _ in 0..PER_ADDRESS {
        attempts.failed(address(0), now);
    }
    assert!(attempts.wait(address(0), now).is_some());
    assert_eq!(attempts.wait(address(7_000), now + WINDOW), None);
}

#[test]
fn what_is_remembered_is_bounded() {
    let (attempts, now) = (Attempts::default(), Instant::now());
    for number in 0..10_000 {
        attempts.succeeded(address(number), now + Duration::from_millis(number.into()));
    }
    let counted = attempts.counted(now);
    assert_eq!((counted.known.len(), counted.by_address.len()), (KNOWN, 0));
    assert!(counted.known.contains_key(&address(9_999)) && !counted.known.contains_key(&address(0)));
}
