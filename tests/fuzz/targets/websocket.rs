//! A WebSocket's messages: the same however they are cut, their boundaries those of the frames, and bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::http1::websocket::Frames;
use portcullis::http1::websocket::messages::{Event, Messages, Sender, Violation};
use portcullis::http1::websocket::sieve::Sieve;

const MOST: usize = 64;

// The first four octets say where to cut, and the first of them who sends; the others are frames.
fuzz_target!(|input: &[u8]| {
    let Some((steps, octets)) = input.split_at_checked(4) else { return };
    let sender = if steps[0] % 2 == 0 { Sender::Client } else { Sender::Server };
    assert_eq!(read(sender, octets, steps), read(sender, octets, &[255]));
    assert_eq!(sift(octets, steps), sift(octets, &[255]));
});

/// What a sieve lets go on, whole where all are frames, and what it takes out: JSON that has an `a` early.
fn sift(octets: &[u8], steps: &[u8]) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let look = |message: &[u8]| message.get(..4)?.contains(&b'a').then(|| message.to_vec());
    let (mut sieve, mut out, mut found) = (Sieve::new(MOST), Vec::new(), Vec::new());
    let mut steps = steps.iter().cycle();
    let mut rest = octets;
    while !rest.is_empty() {
        let length = steps.next().map_or(1, |step| usize::from(*step) + 1).min(rest.len());
        let (mut piece, after) = rest.split_at(length);
        rest = after;
        while !piece.is_empty() {
            let sifted = sieve.sift(piece, &mut out, look).ok()?;
            assert!(sifted.used > 0, "it stands still");
            piece = &piece[sifted.used..];
            found.extend(sifted.found);
        }
    }
    // What has not ended may still be wanted, as far as it has come.
    if sieve.is_empty() { Some((out, found)) } else { None }
}

/// What was told, in words, and how it ended.
fn read(sender: Sender, octets: &[u8], steps: &[u8]) -> (Vec<String>, Option<Violation>) {
    let (mut messages, mut frames, mut told) = (Messages::new(sender, MOST), Frames::default(), Vec::new());
    let mut steps = steps.iter().cycle();
    let mut rest = octets;
    while !rest.is_empty() {
        let length = steps.next().map_or(1, |step| usize::from(*step) + 1).min(rest.len());
        let (mut piece, after) = rest.split_at(length);
        rest = after;
        while !piece.is_empty() {
            let step = match messages.next(piece) {
                Ok(step) => step,
                Err(violation) => return (told, Some(violation)),
            };
            assert!(step.used > 0, "it stands still");
            let used = step.used;
            if let Some(Event::Message { payload: Some(payload), .. }) = &step.event {
                assert!(payload.len() <= MOST);
            }
            told.extend(step.event.map(|event| format!("{event:?}")));
            frames.pass(&piece[..used]);
            piece = &piece[used..];
            assert!(messages.so_far().and_then(|(_, kept)| kept).is_none_or(|kept| kept.len() <= MOST));
            assert_eq!(messages.is_between(), frames.is_between_messages());
        }
    }
    (told, None)
}
