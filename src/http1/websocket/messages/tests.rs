use proptest::prelude::*;

use super::*;
use crate::http1::websocket::frame::{BINARY, CLOSE, CONTINUATION, FINAL, MASKED, PING, PONG, TEXT};
use crate::http1::websocket::{Close, Frames, text_to_client};

/// An event that owns what it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Message(Kind, Option<Vec<u8>>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Event<'_>> for Told {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message { kind, payload } => Self::Message(kind, payload),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(said) => Self::Close(said.map(|(code, reason)| (code, reason.to_owned()))),
        }
    }
}

/// A frame by the RFC's picture of one, put together apart from the writer.
fn raw(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { MASKED } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(bit | length as u8),
        length @ 126..65536 => {
            frame.push(bit | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(bit | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let key = mask.unwrap_or_default();
    frame.extend(mask.iter().flatten());
    frame.extend(payload.iter().enumerate().map(|(at, octet)| octet ^ key[at % 4]));
    frame
}

/// Reads pieces of these lengths, over and over.
fn read(sender: Sender, most: usize, octets: &[u8], cuts: &[usize]) -> Result<Vec<Told>, Violation> {
    let (mut messages, mut told, mut rest) = (Messages::new(sender, most), Vec::new(), octets);
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut piece, after) = rest.split_at((*cut).min(rest.len()));
        while !piece.is_empty() {
            let Step { used, control: _, event } = messages.next(piece)?;
            assert!(used > 0, "it stands still");
            told.extend(event.map(Told::from));
            piece = &piece[used..];
        }
        rest = after;
    }
    Ok(told)
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    raw(first, payload, Some(KEY))
}

/// What a client's octets are, the same however they are cut.
fn check(octets: &[u8], expected: Result<Vec<Told>, Violation>) {
    for cut in [octets.len().max(1), 1, 2, 3, 7] {
        assert_eq!(read(Sender::Client, 1000, octets, &[cut]), expected, "cut every {cut}");
    }
}

fn text(text: &str) -> Told {
    Told::Message(Kind::Text, Some(text.into()))
}

/// RFC 6455 section 5.7.
#[test]
fn the_examples_of_the_rfc() {
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    check(&hello, Ok(vec![text("Hello")]));
    let server = |octets: &[u8]| read(Sender::Server, 1000, octets, &[3]);
    assert_eq!(server(b"\x81\x05Hello"), Ok(vec![text("Hello")]));
    assert_eq!(server(b"\x01\x03Hel\x80\x02lo"), Ok(vec![text("Hello")]));
    assert_eq!(server(b"\x89\x05Hello"), Ok(vec![Told::Ping(b"Hello".to_vec())]));
    let long = [b"\x82\x7f\0\0\0\0\0\x01\0\0".to_vec(), vec![9; 65536]].concat();
    assert_eq!(server(&long), Ok(vec![Told::Message(Kind::Binary, None)]));
}

#[test]
fn fragments_are_one_message_and_control_frames_stand_between_them() {
    let octets = [
        masked(TEXT, b"a\xc3"),
        masked(FINAL | PING, b"there?"),
        masked(CONTINUATION, b""),
        masked(FINAL | PONG, b""),
        masked(FINAL | CONTINUATION, b"\xa9b"),
        masked(FINAL | BINARY, b"\xff"),
        masked(FINAL | CLOSE, b"\x03\xe8bye"),
    ];
    let expected = vec![
        Told::Ping(b"there?".to_vec()),
        Told::Pong(Vec::new()),
        text("a\u{e9}b"),
        Told::Message(Kind::Binary, Some(vec![0xff])),
        Told::Close(Some((1000, "bye".into()))),
    ];
    check(&octets.concat(), Ok(expected));
    check(&masked(FINAL | CLOSE, b""), Ok(vec![Told::Close(None)]));
}

#[test]
fn what_the_rfc_forbids_is_refused() {
    let one = |octets: &[u8], violation| check(octets, Err(violation));
    for bit in [0x40, 0x20, 0x10] {
        one(&masked(FINAL | bit | TEXT, b"a"), Violation::Reserved);
    }
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        one(&masked(FINAL | opcode, b"a"), Violation::Opcode);
    }
    one(&raw(FINAL | TEXT, b"a", None), Violation::Unmasked);
    assert_eq!(read(Sender::Server, 9, &masked(FINAL | TEXT, b"a"), &[1]), Err(Violation::Masked));
    for length in
        [&[0xfe, 0, 125][..], &[0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], &[0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]]
    {
        one(&[&[FINAL | BINARY], length, &KEY].concat(), Violation::Length);
    }
    for opcode in [CLOSE, PING, PONG] {
        one(&masked(opcode, b""), Violation::Control);
        one(&masked(FINAL | opcode, &[b'a'; 126]), Violation::Control);
    }
    one(&masked(FINAL | CONTINUATION, b"a"), Violation::Continuation);
    one(&[masked(FINAL | TEXT, b"a"), masked(CONTINUATION, b"a")].concat(), Violation::Continuation);
    for kind in [TEXT, BINARY] {
        one(&[masked(TEXT, b"a"), masked(kind, b"b")].concat(), Violation::Within);
        one(&[masked(FINAL | CLOSE, b""), masked(kind, b"b")].concat(), Violation::AfterClose);
    }
    let within = [masked(TEXT, b"a"), masked(FINAL | CLOSE, b""), masked(FINAL | CONTINUATION, b"b")];
    one(&within.concat(), Violation::AfterClose);
    one(&masked(FINAL | CLOSE, b"\x03"), Violation::Code);
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        one(&masked(FINAL | CLOSE, &code.to_be_bytes()), Violation::Code);
    }
    one(&masked(FINAL | CLOSE, b"\x03\xe8\xff"), Violation::Text);
    for wrong in [&b"\xff"[..], b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xc3("] {
        one(&masked(FINAL | TEXT, wrong), Violation::Text);
        let halves = [masked(TEXT, &wrong[..1]), masked(FINAL | CONTINUATION, &wrong[1..])];
        one(&halves.concat(), Violation::Text);
    }
}

/// Text that is too long to be kept is text all the same, and what follows it is read.
#[test]
fn a_long_message_is_passed_by_and_not_kept() {
    let long = "\u{e9}".repeat(501);
    let after = masked(FINAL | TEXT, b"after");
    let passed = Told::Message(Kind::Text, None);
    check(
        &[masked(FINAL | TEXT, long.as_bytes()), after.clone()].concat(),
        Ok(vec![passed.clone(), text("after")]),
    );
    let (first, last) =
        (masked(TEXT, &long.as_bytes()[..999]), masked(FINAL | CONTINUATION, &long.as_bytes()[999..]));
    check(&[first.clone(), last, after].concat(), Ok(vec![passed, text("after")]));
    check(&[first, masked(FINAL | CONTINUATION, b"\xa9\xff")].concat(), Err(Violation::Text));
    // It is passed by as soon as its header says so, and a message without end holds nothing.
    let mut messages = Messages::new(Sender::Client, 1000);
    let endless = [&[TEXT, 0xff, 0x7f][..], &[0xff; 7], &[0; 4]].concat();
    messages.next(&endless).expect("a header");
    assert_eq!(messages.so_far(), Some((Kind::Text, None)));
    assert!(!messages.is_between());
    for _ in 0..100 {
        assert_eq!(messages.next(&[b'a'; 4096]), Ok(Step { used: 4096, control: false, event: None }));
        assert_eq!(messages.so_far(), Some((Kind::Text, None)));
    }
}

#[test]
fn what_there_is_so_far_can_be_looked_at_and_passed_by() {
    let mut messages = Messages::new(Sender::Client, 1000);
    let octets = masked(FINAL | TEXT, b"hello");
    let step = messages.next(&octets[..8]).expect("a piece").used;
    assert_eq!((step, messages.so_far()), (8, Some((Kind::Text, Some(&b"he"[..])))));
    messages.pass_by();
    assert_eq!(messages.so_far(), Some((Kind::Text, None)));
    let event = messages.next(&octets[8..]).expect("the rest").event;
    assert_eq!(event, Some(Event::Message { kind: Kind::Text, payload: None }));
    assert!(messages.is_between());
}

#[test]
fn what_is_written_is_read_back() {
    let long = "x".repeat(70_000);
    for message in ["", "\u{e9}", &long[..125], &long[..126], &long[..65_535], &long[..65_536], &long] {
        let frame = text_to_client(message);
        assert_eq!(read(Sender::Server, 1 << 20, &frame, &[frame.len()]), Ok(vec![text(message)]));
    }
    // 122 octets and the half of a character: the character is left out.
    const WORDS: &str = "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\
                         1234567890123456789012\u{e9} and more";
    for (close, reason) in [
        (Close::GoingAway, ""),
        (Close::Because { code: 4403, reason: "expired" }, "expired"),
        (Close::Because { code: 1008, reason: WORDS }, &WORDS[..122]),
    ] {
        let told = Ok(vec![Told::Close(Some((close.code(), reason.to_owned())))]);
        assert_eq!(read(Sender::Server, 0, &close.to_client(), &[1]), told);
        assert_eq!(read(Sender::Client, 0, &close.to_server([9, 0, 255, 1]), &[1]), told);
    }
}

/// A fragment, and a ping behind it or not.
type Fragment = (String, Option<Vec<u8>>);

/// A message: whether it is text, and its fragments.
fn message() -> impl Strategy<Value = (bool, Vec<Fragment>)> {
    let ping = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    let length = prop_oneof![0_usize..20, 100_usize..140, 60_000_usize..70_000];
    let fragment =
        (length, any::<char>()).prop_map(|(length, letter)| std::iter::repeat_n(letter, length).collect());
    (any::<bool>(), prop::collection::vec((fragment, ping), 1..4))
}

proptest! {
    /// However the octets are cut, within characters too, the messages are those that were sent.
    #[test]
    fn messages_are_those_that_were_sent(
        all in prop::collection::vec(message(), 0..4),
        from_client in any::<bool>(),
        key in any::<[u8; 4]>(),
        split in 0_usize..10,
        cuts in prop::collection::vec(1_usize..5000, 1..50),
    ) {
        const MOST: usize = 300_000;
        let key = from_client.then_some(key);
        let (mut octets, mut expected) = (Vec::new(), Vec::new());
        for (is_text, fragments) in &all {
            let payload: Vec<u8> = fragments.iter().flat_map(|(text, _)| text.bytes()).collect();
            let (mut rest, last) = (&payload[..], fragments.len() - 1);
            for (index, (text, ping)) in fragments.iter().enumerate() {
                // The fragments end where no character does.
                let here = if index == last { rest.len() } else { (text.len() + split).min(rest.len()) };
                let opcode = if index > 0 { CONTINUATION } else if *is_text { TEXT } else { BINARY };
                octets.extend(raw(opcode | if index == last { FINAL } else { 0 }, &rest[..here], key));
                rest = &rest[here..];
                if let (Some(ping), true) = (ping, index < last) {
                    octets.extend(raw(FINAL | PING, ping, key));
                    expected.push(Told::Ping(ping.clone()));
                }
            }
            let kind = if *is_text { Kind::Text } else { Kind::Binary };
            expected.push(Told::Message(kind, (payload.len() <= MOST).then_some(payload)));
        }
        let sender = if from_client { Sender::Client } else { Sender::Server };
        prop_assert_eq!(read(sender, MOST, &octets, &cuts), Ok(expected));
    }

    /// Whatever comes, it is the same however it is cut; and where both see a boundary, it is one.
    #[test]
    fn any_octets_are_read_alike_in_any_pieces(
        octets in prop::collection::vec(prop_oneof![3 => any::<u8>(), 2 => prop::sample::select(vec![0x81, 0x01, 0x80, 0x89, 0x82, 0, 1])], 0..200),
        cuts in prop::collection::vec(1_usize..9, 1..20),
    ) {
        for sender in [Sender::Client, Sender::Server] {
            prop_assert_eq!(read(sender, 20, &octets, &cuts), read(sender, 20, &octets, &[octets.len().max(1)]));
            let (mut messages, mut frames, mut rest) = (Messages::new(sender, 20), Frames::default(), &octets[..]);
            while let (false, Ok(Step { used, .. })) = (rest.is_empty(), messages.next(rest).map(|step| Step { event: None, ..step })) {
                frames.pass(&rest[..used]);
                rest = &rest[used..];
                prop_assert_eq!(messages.is_between(), frames.is_between_messages());
            }
        }
    }
}
