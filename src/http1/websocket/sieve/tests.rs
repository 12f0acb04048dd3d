use proptest::prelude::*;

use super::*;
use crate::http1::websocket::frame::{self, BINARY, CLOSE, CONTINUATION, FINAL, PING, TEXT};

const KEY: [u8; 4] = [7, 0, 255, 3];
const MOST: usize = 100;

/// A client's frame.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = frame::whole(first & 0x0f, payload, Some(KEY));
    frame[0] = first;
    frame.to_vec()
}

/// What goes on, and what was found in what does not: messages that begin with `{"take`.
fn sift(octets: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let look = |message: &[u8]| message.trim_ascii().starts_with(b"{\"take").then(|| message.to_vec());
    let (mut sieve, mut out, mut all, mut rest) = (Sieve::new(MOST), Vec::new(), Vec::new(), octets);
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut piece, after) = rest.split_at((*cut).min(rest.len()));
        while !piece.is_empty() {
            let Sifted { used, found } = sieve.sift(piece, &mut out, look).expect("frames");
            assert!(used == piece.len() || found.is_some());
            assert!(sieve.held.len() <= MOST + FRAGMENTS * HEADER);
            all.extend(found);
            piece = &piece[used..];
        }
        rest = after;
    }
    (out, all)
}

fn check(octets: &[Vec<u8>], on: &[Vec<u8>], taken: &[&[u8]]) {
    let octets = octets.concat();
    for cut in [octets.len(), 1, 2, 5] {
        let (out, found) = sift(&octets, &[cut]);
        assert_eq!(
            (out, found),
            (on.concat(), taken.iter().map(|one| one.to_vec()).collect()),
            "cut every {cut}"
        );
    }
}

#[test]
fn what_is_wanted_is_taken_out_and_all_else_goes_on() {
    let wanted = br#" {"take":1}"#;
    let others = [
        masked(FINAL | TEXT, b"hello"),
        masked(FINAL | TEXT, br#"{"leave":1}"#),
        masked(FINAL | BINARY, br#"{"take":1}"#),
        masked(FINAL | TEXT, b""),
        masked(FINAL | TEXT, b"  "),
        masked(FINAL | PING, br#"{"take":1}"#),
        masked(TEXT, br#"{"lea"#),
        masked(FINAL | CONTINUATION, b"ve\":1}"),
        masked(FINAL | CLOSE, b""),
    ];
    check(&others, &others, &[]);
    check(&[masked(FINAL | TEXT, wanted)], &[], &[wanted]);
    let twice =
        [masked(FINAL | TEXT, wanted), others[0].clone(), masked(FINAL | TEXT, wanted), others[1].clone()];
    check(&twice, &others[..2], &[wanted, wanted]);
}

/// Found by fuzzing: what came in one piece was looked at though it began no object, and in two it was not.
#[test]
fn what_begins_no_object_is_not_looked_at_in_one_piece_either() {
    let octets = masked(FINAL | TEXT, b"hello");
    let mut out = Vec::new();
    let sifted = Sieve::new(MOST).sift(&octets, &mut out, |_| Some(()));
    assert_eq!((sifted, out), (Ok(Sifted { used: octets.len(), found: None }), octets));
}

#[test]
fn a_ping_overtakes_the_fragments_it_stands_between() {
    let ping = masked(FINAL | PING, b"there?");
    let (first, last) = (masked(TEXT, b"{\"ta"), masked(FINAL | CONTINUATION, b"ke\":1}"));
    check(&[first, ping.clone(), last], std::slice::from_ref(&ping), &[br#"{"take":1}"#]);
    let (first, last) = (masked(TEXT, b"{\"le"), masked(FINAL | CONTINUATION, b"ave\":1}"));
    check(&[first.clone(), ping.clone(), last.clone()], &[ping, first, last], &[]);
}

/// A message is held only as long as it may be one: what cannot be goes on at once, in the middle of a frame.
#[test]
fn what_cannot_be_wanted_is_not_held() {
    let never = |_: &[u8]| None::<()>;
    let begin = |octets: &[u8]| {
        let (mut sieve, mut out) = (Sieve::new(MOST), Vec::new());
        sieve.sift(octets, &mut out, never).expect("frames");
        out
    };
    let not_json = masked(FINAL | TEXT, b" hello");
    assert_eq!(begin(&not_json[..8]), not_json[..8]);
    assert_eq!(begin(&not_json[..7]), b"", "white space begins JSON");
    let binary = masked(FINAL | BINARY, b"{hello");
    assert_eq!(begin(&binary[..6]), binary[..6], "of a binary message the header is enough");
    let long = masked(FINAL | TEXT, &[b'{'; MOST + 1]);
    assert_eq!(begin(&long[..9]), long[..9], "its header says that it is too long");
    let json = masked(FINAL | TEXT, b"{\"take\":1}");
    assert_eq!(begin(&json[..json.len() - 1]), b"");
    // Many fragments are held up to a bound, and go on then.
    let crumbs = [vec![masked(TEXT, b"{")], vec![masked(CONTINUATION, b""); 1000]].concat().concat();
    assert_eq!(begin(&crumbs), crumbs);
}

#[test]
fn what_are_no_clients_frames_is_refused() {
    let look = |_: &[u8]| None::<()>;
    let sift = |octets: &[u8]| Sieve::new(MOST).sift(octets, &mut Vec::new(), look);
    assert_eq!(sift(&frame::whole(TEXT, b"a", None)), Err(Violation::Unmasked));
    assert_eq!(sift(&masked(FINAL | 0x40 | TEXT, b"a")), Err(Violation::Reserved));
}

proptest! {
    /// Where nothing is wanted and no control frame stands within a message, every octet goes on, in order, however
    /// they are cut.
    #[test]
    fn what_is_not_wanted_is_the_same_octet_for_octet(
        all in prop::collection::vec((0_u8..3, "[{ a]{0,150}", any::<bool>()), 1..8),
        cuts in prop::collection::vec(1_usize..60, 1..20),
    ) {
        let mut octets = Vec::new();
        for (kind, payload, split) in &all {
            let opcode = [TEXT, BINARY, PING][usize::from(*kind)];
            let payload = &payload.as_bytes()[..if opcode == PING { payload.len().min(125) } else { payload.len() }];
            if *split && opcode != PING {
                let (first, last) = payload.split_at(payload.len() / 2);
                octets.extend(masked(opcode, first));
                octets.extend(masked(FINAL | CONTINUATION, last));
            } else {
                octets.extend(masked(FINAL | opcode, payload));
            }
        }
        prop_assert_eq!(sift(&octets, &cuts), (octets, Vec::new()));
    }
}
