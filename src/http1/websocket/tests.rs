use proptest::prelude::*;

use super::*;
use crate::http1::websocket::frame::{FINAL, MASKED};

/// A frame of this opcode and payload length.
fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
    let mut frame = vec![FINAL | opcode];
    let mask = if masked { MASKED } else { 0 };
    match length {
        0..126 => frame.push(mask | length as u8),
        126..65536 => {
            frame.push(mask | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            frame.push(mask | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.resize(frame.len() + if masked { 4 } else { 0 }, 7);
    // Payload that would be a header wherever it were taken for one.
    frame.resize(frame.len() + length, FINAL | CLOSE);
    frame
}

/// RFC 6455 section 1.3.
#[test]
fn the_key_of_the_rfc_has_its_answer() {
    assert_eq!(&accept(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn a_key_is_sixteen_octets_in_one_spelling() {
    for key in ["dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAA==", "////////////////////+w=="] {
        assert!(is_key(key.as_bytes()), "{key}");
    }
    for key in [
        "",
        "==",
        "SGVsbG8sIHdvcmxkIQ==",
        "dGhlIHNhbXBsZSBub25jZR==",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ== ",
        "dGhlIHNhbXBsZSBub25j_Q==",
        "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        assert!(!is_key(key.as_bytes()), "{key}");
    }
}

#[test]
fn a_close_frame_says_its_code() {
    assert_eq!(Close::GoingAway.to_client()[..], [0x88, 2, 0x03, 0xe9]);
    let masked = Close::GoingAway.to_server([1, 2, 3, 4]);
    assert_eq!(masked[..], [0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe9 ^ 2]);
    for octets in [&Close::GoingAway.to_client()[..], &masked[..]] {
        let mut frames = Frames::default();
        frames.pass(octets);
        assert!(frames.is_closed());
    }
}

/// A message may be in fragments, and what stands between them is none of it.
#[test]
fn a_message_ends_with_its_last_fragment() {
    let more = |mut frame: Vec<u8>| {
        frame[0] &= !FINAL;
        frame
    };
    let (first, ping, last) = (more(frame(1, 3, false)), frame(9, 2, false), frame(0, 4, false));
    let message = [first.clone(), ping.clone(), last].concat();
    let mut frames = Frames::default();
    assert_eq!((frames.is_between_messages(), frames.to_message_end(&message)), (true, 0));
    for (at, octet) in message.iter().enumerate() {
        frames.pass(&[*octet]);
        let left = [&message[at + 1..], &ping].concat();
        assert_eq!(frames.to_message_end(&left), message.len() - at - 1);
        assert_eq!(frames.is_between_messages(), at + 1 == message.len());
        let between = at + 1 == first.len() || at + 1 == first.len() + ping.len() || at + 1 == message.len();
        assert_eq!(frames.is_between(), between);
    }
}

/// A length that no 63 bits hold is nothing to wait for, and no fault.
#[test]
fn an_absurd_length_is_followed_without_a_fault() {
    let mut frames = Frames::default();
    frames.pass(&[0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    frames.pass(&[0; 100]);
    assert!(!frames.is_between());
}

proptest! {
    /// However the octets are cut, the boundaries are where the frames end.
    #[test]
    fn boundaries_are_where_frames_end(
        kinds in prop::collection::vec((0_u8..8, prop_oneof![0_usize..200, 65_500_usize..65_600], any::<bool>()), 1..6),
        cuts in prop::collection::vec(1_usize..400, 1..50),
    ) {
        let whole: Vec<Vec<u8>> = kinds.iter().map(|(opcode, length, masked)| frame(*opcode, *length, *masked)).collect();
        let mut ends = Vec::new();
        let octets: Vec<u8> = whole.iter().fold(Vec::new(), |mut all, frame| {
            all.extend_from_slice(frame);
            ends.push(all.len());
            all
        });
        let (mut frames, mut at) = (Frames::default(), 0);
        for cut in cuts.iter().cycle() {
            prop_assert_eq!(frames.is_between(), at == 0 || ends.contains(&at));
            prop_assert!(!frames.is_closed());
            let next = ends.iter().find(|end| **end > at || (frames.is_between() && **end >= at));
            let rest = &octets[at..];
            let expected = if frames.is_between() { 0 } else { next.map_or(0, |end| end - at) };
            prop_assert_eq!(frames.to_end(rest), expected);
            if rest.is_empty() {
                break;
            }
            let piece = &rest[..(*cut).min(rest.len())];
            frames.pass(piece);
            at += piece.len();
        }
    }
}
