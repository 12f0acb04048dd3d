use super::*;

fn address(number: u32) -> IpAddr {
    IpAddr::from(number.to_be_bytes())
}

fn after(now: Instant, seconds: u64) -> Instant {
    now + Duration::from_secs(seconds)
}

fn failed(attempts: &Attempts, (credential, id): (&str, &str), from: IpAddr, now: Instant) {
    attempts.begun(credential, Some(id), now);
    attempts.failed(from, now);
}

#[test]
fn t3_an_id_and_an_address_are_each_counted_for_a_minute() {
    let (attempts, now) = (Attempts::default(), Instant::now());
    for number in 0..10 {
        assert_eq!(attempts.wait("keys", Some("a"), address(number), 10, now), None);
        failed(&attempts, ("keys", "a"), address(number), now);
    }
    // From wherever: the id has used up its attempts. Other ids have not, nor has it with another credential.
    let wait = attempts.wait("keys", Some("a"), address(99), 10, after(now, 20)).expect("it has to wait");
    assert!(wait <= Duration::from_secs(40) && wait > Duration::from_secs(39), "{wait:?}");
    assert_eq!(attempts.wait("keys", Some("b"), address(99), 10, now), None);
    assert_eq!(attempts.wait("people", Some("a"), address(99), 10, now), None);
    assert_eq!(
        attempts.wait("keys", Some("a"), address(99), 11, now),
        None,
        "who allows more, counts further"
    );
    assert_eq!(attempts.wait("keys", Some("a"), address(99), 10, after(now, 61)), None, "a minute later");
    for number in 0..10 {
        failed(&attempts, ("keys", &format!("c{number}")), address(7), now);
    }
    assert!(attempts.wait("keys", Some("new"), address(7), 10, now).is_some());
}

#[test]
fn t3_an_ipv6_client_is_its_network_and_a_mapped_one_its_ipv4_address() {
    let (attempts, now) = (Attempts::default(), Instant::now());
    let of = |text: &str| text.parse::<IpAddr>().expect("an address");
    for number in 0..10 {
        failed(&attempts, ("keys", &format!("{number}")), of(&format!("2001:db8:0:1::{number}")), now);
        failed(&attempts, ("keys", &format!("{number}")), of("::ffff:192.0.2.1"), now);
    }
    assert!(attempts.wait("keys", Some("x"), of("2001:db8:0:1:ffff::1"), 10, now).is_some());
    assert!(attempts.wait("keys", Some("x"), of("192.0.2.1"), 10, now).is_some());
    assert_eq!(attempts.wait("keys", Some("x"), of("2001:db8:0:2::1"), 10, now), None);
}

/// One who has used up their attempts is not forgotten for a million others, and the table does not grow.
#[test]
fn t3_a_million_addresses_neither_grow_the_table_nor_make_it_forget() {
    let (attempts, now) = (Attempts::default(), Instant::now());
    for _ in 0..10 {
        failed(&attempts, ("keys", "victim"), address(1), now);
    }
    for number in 0..1_000_000 {
        failed(&attempts, ("keys", &format!("{number}")), address(0x0a00_0000 + number), after(now, 1));
    }
    assert!(attempts.wait("keys", Some("victim"), address(2), 10, after(now, 2)).is_some(), "by its id");
    assert!(
        attempts.wait("keys", Some("another"), address(1), 10, after(now, 2)).is_some(),
        "by its address"
    );
    let places: usize = attempts.parts.iter().map(|part| part.lock().expect("whole").places.len()).sum();
    assert_eq!(places, PLACES);
    assert_eq!(size_of::<Place>() * PLACES, 24 * 65_536);
}

#[test]
fn t3_ten_thousand_attempts_at_one_id_are_ten() {
    let (attempts, now) = (Attempts::default(), Instant::now());
    let allowed = (0..10_000).filter(|number| {
        let from = address(0x0b00_0000 + number);
        let may = attempts.wait("keys", Some("a"), from, 10, now).is_none();
        if may {
            failed(&attempts, ("keys", "a"), from, now);
        }
        may
    });
    assert_eq!(allowed.count(), 10);
}

#[test]
fn t3_attempts_at_once_count_before_they_have_failed_and_those_that_have_not_are_excused() {
    let (attempts, now) = (Attempts::default(), Instant::now());
    for number in 0..10 {
        assert_eq!(attempts.wait("people", Some("a"), address(number), 10, now), None);
        attempts.begun("people", Some("a"), now);
    }
    assert!(attempts.wait("people", Some("a"), address(99), 10, now).is_some());
    attempts.excused("people", Some("a"), now);
    assert_eq!(attempts.wait("people", Some("a"), address(99), 10, now), None);
    attempts.excused("people", Some("nobody"), now);
}
