use std::net::IpAddr;

use proptest::prelude::{any, proptest};

use super::Network;

fn network(text: &str) -> Network {
    Network::read(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
}

#[test]
fn what_is_no_network() {
    for text in [
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/08",
        "10.0.0/8",
        "10.0.0.0/8/8",
        "10.0.0.0 /8",
        "::/129",
        "[::]/0",
        "a.example/8",
        "10.0.0.1/8",
        "::1/64",
        "10.0.0.0/256",
    ] {
        assert!(Network::read(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn which_addresses_belong() {
    let check = |text: &str, address: &str, expected: bool| {
        let address: IpAddr = address.parse().expect("an address");
        assert_eq!(network(text).contains(address), expected, "{address} in {text}");
    };
    check("10.0.0.0/8", "10.255.255.255", true);
    check("10.0.0.0/8", "11.0.0.0", false);
    check("10.0.0.0/8", "::ffff:10.1.2.3", true);
    check("10.0.0.0/8", "::10.1.2.3", false);
    check("::ffff:10.0.0.0/104", "10.1.2.3", true);
    check("::ffff:10.0.0.0/104", "11.1.2.3", false);
    check("127.0.0.1", "127.0.0.1", true);
    check("127.0.0.1", "127.0.0.2", false);
    check("0.0.0.0/0", "255.255.255.255", true);
    check("0.0.0.0/0", "::1", false);
    check("::/0", "2001:db8::1", true);
    // The mapped addresses are IPv4 ones: a network of IPv6 addresses does not hold them.
    check("::/0", "::ffff:1.2.3.4", false);
    check("2001:db8::/33", "2001:db8:7fff::1", true);
    check("2001:db8::/33", "2001:db8:8000::1", false);
}

#[test]
fn they_are_written_as_they_are_read() {
    for (text, written) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("127.0.0.1", "127.0.0.1/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ] {
        assert_eq!(network(text).to_string(), written);
        assert_eq!(network(written), network(text));
    }
}

proptest! {
    /// The first so many bits of both agree, and nothing else is asked.
    #[test]
    fn an_address_belongs_by_its_first_bits(a: u32, b: u32, length in 0_u8..=32) {
        let first = |bits: u32| u64::from(bits) >> (32 - u32::from(length));
        let begins = (first(a) << (32 - u32::from(length))) as u32;
        let net = network(&format!("{}/{length}", std::net::Ipv4Addr::from_bits(begins)));
        let address = std::net::Ipv4Addr::from_bits(b);
        assert_eq!(net.contains(address.into()), first(a) == first(b));
        assert_eq!(net.contains(address.to_ipv6_mapped().into()), first(a) == first(b));
    }

    #[test]
    fn no_text_is_too_odd(text in any::<String>()) {
        let _ = Network::read(&text);
    }
}
