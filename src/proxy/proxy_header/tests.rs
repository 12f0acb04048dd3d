use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{LONGEST, Origin, Progress, SIGNATURE, read};

/// Reads as a socket is read: never more than what was asked for. What it said, and the octets left over.
fn take(stream: &[u8], at_most: usize) -> Result<Option<(Origin, usize)>, super::Invalid> {
    let mut have = 0;
    loop {
        match read(&stream[..have])? {
            Progress::Whole(origin) => return Ok(Some((origin, stream.len() - have))),
            Progress::Missing(missing) => {
                assert!(missing > 0 && have + missing <= LONGEST, "{missing} after {have}");
                if have == stream.len() {
                    return Ok(None);
                }
                have += missing.min(at_most).min(stream.len() - have);
            }
        }
    }
}

fn binary(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("a length").to_be_bytes();
    [&SIGNATURE[..], &[version_and_command, family], &length, rest].concat()
}

/// The addresses of a connection from `source` to itself, in version 2.
fn addresses(source: IpAddr) -> (u8, Vec<u8>) {
    let ports = [0x1f, 0x90, 1, 187];
    match source {
        IpAddr::V4(source) => (0x11, [&source.octets()[..], &source.octets(), &ports].concat()),
        IpAddr::V6(source) => (0x21, [&source.octets()[..], &source.octets(), &ports].concat()),
    }
}

#[test]
fn what_is_no_header_of_version_1() {
    for text in [
        "GET / HTTP/1.1\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\n",
        "\u{16}\u{3}\u{1}",
        " PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "POST /a HTTP/1.1\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXYTCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP\r\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 222\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 222\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 0x1 2\r\n",
        "PROXY TCP4 1.2.3 1.2.3.4 1111 2222\r\n",
        "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4.5 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 a 1111111111 2\r\n",
        "PROXY TCP4 ::1 ::1 1111111111 22222\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP6 [::1] [::1] 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP4 1.2.3.4\t1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\0\r\n",
        "PROXY TCP4 \u{661}.2.3.4 1.2.3.4 1 2\r\n",
    ] {
        assert!(take(text.as_bytes(), 999).is_err(), "{text:?}: {:?}", take(text.as_bytes(), 999));
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "a".repeat(92));
    assert_eq!(long.len(), 108);
    assert!(take(long.as_bytes(), 999).is_err(), "longer than 107 octets");
    assert!(take(&b"PROXY TCP4 ".repeat(1000), 999).is_err());
}

#[test]
fn what_is_no_header_of_version_2() {
    let (tcp4, v4) = addresses(Ipv4Addr::LOCALHOST.into());
    let (tcp6, v6) = addresses(Ipv6Addr::LOCALHOST.into());
    for octets in [
        binary(0x11, tcp4, &v4),
        binary(0x31, tcp4, &v4),
        binary(0x22, tcp4, &v4),
        binary(0x2f, tcp4, &v4),
        binary(0x21, 0x10, &v4),
        binary(0x21, 0x12, &v4),
        binary(0x21, 0x22, &v6),
        binary(0x21, 0x01, &v4),
        binary(0x21, 0x41, &v6),
        binary(0x21, 0xff, &v6),
        binary(0x21, tcp4, &v4[..11]),
        binary(0x21, tcp6, &v6[..35]),
        binary(0x21, tcp6, &v4),
        binary(0x21, 0x31, &[b'a'; 215]),
        binary(0x21, tcp4, &vec![0; LONGEST - 15]),
        binary(0x20, 0, &vec![0; 0xffff]),
    ] {
        assert!(take(&octets, 9999).is_err(), "{:?}", &octets[12..]);
    }
    for at in 0..SIGNATURE.len() {
        let mut octets = binary(0x21, tcp4, &v4);
        octets[at] ^= 1;
        assert!(take(&octets, 9999).is_err(), "octet {at} of the signature");
    }
}

#[test]
fn whose_connection_it_is() {
    let client = |address: &str| Origin::Client(address.parse().expect("an address"));
    let check = |octets: &[u8], expected: Origin| {
        for at_most in [1, 2, 7, 9999] {
            let stream = [octets, b"GET / HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(
                take(&stream, at_most),
                Ok(Some((expected, 18))),
                "{}",
                String::from_utf8_lossy(octets)
            );
        }
    };
    check(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", client("192.0.2.1"));
    check(b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", client("255.255.255.255"));
    check(b"PROXY TCP4 1.1.1.1 2.2.2.2 0 0\r\n", client("1.1.1.1"));
    check(b"PROXY TCP6 2001:db8::1 ::1 56324 443\r\n", client("2001:db8::1"));
    check(b"PROXY TCP6 :: :: 1 2\r\n", client("::"));
    check(b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n", client("::ffff:192.0.2.1"));
    check(b"PROXY UNKNOWN\r\n", Origin::Sender);
    let longest = "ffff:".repeat(7) + "ffff";
    let unknown = format!("PROXY UNKNOWN {longest} {longest} 65535 65535\r\n");
    assert_eq!(unknown.len(), 107);
    check(unknown.as_bytes(), Origin::Sender);
    for address in ["192.0.2.1", "2001:db8::1"] {
        let (family, mut rest) = addresses(address.parse().expect("an address"));
        check(&binary(0x21, family, &rest), client(address));
        // What stands behind the addresses is skipped.
        rest.extend_from_slice(&[3, 0, 4, 1, 2, 3, 4]);
        check(&binary(0x21, family, &rest), client(address));
        rest.resize(LONGEST - 16, b'\r');
        check(&binary(0x21, family, &rest), client(address));
        check(&binary(0x20, family, &rest), Origin::Sender);
    }
    check(&binary(0x20, 0, b""), Origin::Sender);
    check(&binary(0x20, 0xff, b"x"), Origin::Sender);
    check(&binary(0x21, 0, b""), Origin::Sender);
    check(&binary(0x21, 0, b"abc"), Origin::Sender);
    check(&binary(0x21, 0x31, &[b'/'; 216]), Origin::Sender);
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<Ipv4Addr>().prop_map(IpAddr::V4), any::<Ipv6Addr>().prop_map(IpAddr::V6)]
}

proptest! {
    /// A header is read to its last octet and not one further, however it arrives.
    #[test]
    fn exactly_the_header_is_read(
        source in any_address(), ports in any::<(u16, u16)>(), tail in vec(any::<u8>(), 0..64), step in 1_usize..64,
        text in any::<bool>(), following in vec(any::<u8>(), 0..64),
    ) {
        let header = if text {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            format!("PROXY {family} {source} {source} {} {}\r\n", ports.0, ports.1).into_bytes()
        } else {
            let (family, mut rest) = addresses(source);
            rest.extend_from_slice(&tail);
            binary(0x21, family, &rest)
        };
        let stream = [&header[..], &following].concat();
        prop_assert_eq!(take(&stream, step), Ok(Some((Origin::Client(source), following.len()))));
        // A header that is cut short is none.
        for length in 0..header.len() {
            prop_assert_eq!(take(&header[..length], step), Ok(None));
        }
    }

    #[test]
    fn no_octets_are_too_odd(
        start in prop_oneof![
            Just(Vec::new()), Just(b"PROXY ".to_vec()), Just(b"PROXY TCP4 ".to_vec()), Just(b"PROXY UNKNOWN".to_vec()),
            Just(SIGNATURE.to_vec()), Just([&SIGNATURE[..], &[0x21, 0x11]].concat()),
        ],
        octets in vec(any::<u8>(), 0..300), step in 1_usize..300,
    ) {
        let stream = [start, octets].concat();
        if let Ok(Some((origin, left))) = take(&stream, step) {
            let header = &stream[..stream.len() - left];
            prop_assert!(header.starts_with(b"PROXY ") || header.starts_with(SIGNATURE), "{:?}", origin);
        }
    }
}
