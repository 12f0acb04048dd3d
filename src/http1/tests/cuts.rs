//! How a body is cut by the network never changes what it is. Also compiled into the fuzz targets.

use crate::http1::body::{BodyError, BodyReader, Piece};
use crate::http1::head::Framing;

/// What reading some octets came to: content, octets consumed, and whether the end was seen.
pub(crate) type Reading = Result<(Vec<u8>, usize, bool), BodyError>;

/// Reads `input` in pieces whose lengths are `steps`, over and over (0 is 1). Like a caller with a buffer, it
/// gives the octets of a piece that were not consumed again, together with those of the next one.
pub(crate) fn read(framing: Framing, input: &[u8], steps: &[u8]) -> Reading {
    let mut reader = BodyReader::new(framing);
    let mut content = Vec::new();
    let (mut at, mut end) = (0, 0);
    let mut steps = steps.iter().cycle();
    loop {
        match reader.next(&input[at..end])? {
            Piece::Content { skip, length } => {
                assert!(length > 0);
                content.extend_from_slice(&input[at + skip..at + skip + length]);
                at += skip + length;
            }
            Piece::More { skip } => {
                at += skip;
                assert_eq!(at, end, "nothing is left lying");
                if end == input.len() {
                    return Ok((content, at, reader.is_done()));
                }
                end = input.len().min(end + usize::from(*steps.next().unwrap_or(&u8::MAX)).max(1));
            }
            Piece::End { skip } => {
                assert!(reader.is_done());
                return Ok((content, at + skip, true));
            }
        }
    }
}

/// Asserts that `input` read in `steps` is `input` read whole.
pub(crate) fn compare_cuts(framing: Framing, input: &[u8], steps: &[u8]) -> Reading {
    let mut reader = BodyReader::new(framing);
    let whole = whole(&mut reader, input);
    assert_eq!(read(framing, input, steps), whole);
    whole
}

fn whole(reader: &mut BodyReader, input: &[u8]) -> Reading {
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        match reader.next(&input[at..])? {
            Piece::Content { skip, length } => {
                content.extend_from_slice(&input[at + skip..at + skip + length]);
                at += skip + length;
            }
            Piece::More { skip } => return Ok((content, at + skip, reader.is_done())),
            Piece::End { skip } => return Ok((content, at + skip, true)),
        }
    }
}
