//! Bodies (RFC 9112 sections 6 and 7): taking them apart as they arrive, without holding them.

#[cfg(test)]
mod tests;

use crate::http1::head::{Framing, is_token};

/// A body that is being read. Remembers its place octet by octet, so that how the input is cut never matters,
/// and the caller needs no room for a whole line.
#[derive(Debug, Clone)]
pub struct BodyReader {
    state: State,
    /// Octets of all chunk extensions so far.
    extensions: usize,
    /// Octets of all trailers so far.
    trailers: usize,
    trailer_lines: usize,
    /// The trailer lines themselves, where somebody wants them.
    kept: Option<Vec<u8>>,
}

/// A body that breaks its framing: 400 towards a client, an aborted answer towards an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BodyError(pub &'static str);

/// What one look at the input gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// `skip` octets of framing, then `length` octets of content; consume both.
    Content {
        /// Framing octets before the content.
        skip: usize,
        /// Content octets, at least 1.
        length: usize,
    },
    /// `skip` octets of framing and nothing else yet: consume them and read more.
    More {
        /// Framing octets.
        skip: usize,
    },
    /// The body ends after `skip` octets: consume them.
    End {
        /// Framing octets.
        skip: usize,
    },
}

/// What the next octet of a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    UntilClose,
    /// Content of a declared length: octets to come.
    Length(u64),
    /// Content of a chunk: octets to come.
    Chunk(u64),
    Framing(Place),
}

/// Where in the chunked coding the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A chunk's size line, this many digits in.
    Size {
        digits: u8,
        size: u64,
    },
    /// An extension, this many octets of the size line in. The first octet behind `;` begins a name.
    Extension {
        line: usize,
        size: u64,
        begins: bool,
    },
    SizeFeed {
        size: u64,
    },
    ChunkReturn,
    ChunkFeed,
    Trailer(Trailer),
    EndFeed,
}

/// Where in a trailer line the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trailer {
    /// At its start: it may also be the empty line, which ends the body.
    Start,
    Name,
    Value,
    Feed,
}

/// Digits of a chunk size.
const DIGITS_MAX: u8 = 16;
/// Octets of a chunk's size line, without CRLF.
const LINE_MAX: usize = 256;
/// Octets of all chunk extensions of a body: nobody needs them, and they cost work.
const EXTENSIONS_MAX: usize = 8 * 1024;
/// Octets of all trailers of a body, with their line ends.
const TRAILERS_MAX: usize = 8 * 1024;
/// Trailers of a body.
const TRAILER_LINES_MAX: usize = 64;
/// The beginning of a chunk.
const NEXT: State = State::Framing(Place::Size { digits: 0, size: 0 });

impl BodyReader {
    /// A reader for a body of this framing.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => NEXT,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, extensions: 0, trailers: 0, trailer_lines: 0, kept: None }
    }

    /// The same, but the trailer section of a chunked body can be had at its end.
    pub fn keeping_trailers(framing: Framing) -> Self {
        Self { kept: Some(Vec::new()), ..Self::new(framing) }
    }

    /// The trailer lines so far, each with its CRLF, at most 8 KiB; empty unless they are kept.
    pub fn trailers(&self) -> &[u8] {
        self.kept.as_deref().unwrap_or_default()
    }

    /// Looks at `input`, which starts where the last piece ended. Chunk sizes are at most 16 digits and fit in
    /// 63 bits, a chunk line at most 256 octets with its extension, all extensions of a body at most 8 KiB,
    /// trailers at most 64 lines and 8 KiB, and dropped unless kept. With [`Framing::UntilClose`] everything is content and the end is
    /// the connection's. After an error the reader is of no use.
    pub fn next(&mut self, input: &[u8]) -> Result<Piece, BodyError> {
        let mut skip = 0;
        loop {
            let place = match self.state {
                State::Done => return Ok(Piece::End { skip }),
                State::UntilClose if input.is_empty() => return Ok(Piece::More { skip }),
                State::UntilClose => return Ok(Piece::Content { skip, length: input.len() }),
                State::Length(left) => {
                    let (piece, left) = content(left, input, skip);
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                    return Ok(piece);
                }
                State::Chunk(left) => {
                    let (piece, left) = content(left, input, skip);
                    self.state =
                        if left == 0 { State::Framing(Place::ChunkReturn) } else { State::Chunk(left) };
                    return Ok(piece);
                }
                State::Framing(place) => place,
            };
            let Some(octet) = input.get(skip) else { return Ok(Piece::More { skip }) };
            self.state = self.step(place, *octet)?;
            skip += 1;
        }
    }

    /// Whether the end was seen (or there was no body to begin with).
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Octets still to come, where the length is declared.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Length(left) => Some(left),
            State::UntilClose | State::Chunk(_) | State::Framing(_) => None,
        }
    }

    /// One octet of framing (RFC 9112 section 7.1), with none of its leniency: white space around a size, a
    /// bare CR or LF anywhere, an octet that could end a line elsewhere (threats H6).
    fn step(&mut self, place: Place, octet: u8) -> Result<State, BodyError> {
        let next = match (place, octet) {
            (Place::Size { digits, size }, _) => size_line(digits, size, octet)?,
            (Place::Extension { size, begins: false, .. }, b'\r') => Place::SizeFeed { size },
            (Place::Extension { line, size, begins }, _) => self.extension(line, size, begins, octet)?,
            (Place::SizeFeed { size: 0 }, b'\n') => Place::Trailer(Trailer::Start),
            (Place::SizeFeed { size }, b'\n') => return Ok(State::Chunk(size)),
            (Place::ChunkReturn, b'\r') => Place::ChunkFeed,
            (Place::ChunkFeed, b'\n') => return Ok(NEXT),
            (Place::EndFeed, b'\n') => return Ok(State::Done),
            (Place::Trailer(Trailer::Start), b'\r') => Place::EndFeed,
            (Place::Trailer(trailer), _) => Place::Trailer(self.trailer(trailer, octet)?),
            (Place::SizeFeed { .. } | Place::ChunkReturn | Place::ChunkFeed | Place::EndFeed, _) => {
                return Err(BodyError("a chunk that does not end in CRLF"));
            }
        };
        Ok(State::Framing(next))
    }

    fn extension(&mut self, line: usize, size: u64, begins: bool, octet: u8) -> Result<Place, BodyError> {
        self.extensions += 1;
        if line >= LINE_MAX || self.extensions > EXTENSIONS_MAX {
            return Err(BodyError("chunk extensions past their bound"));
        }
        let allowed = if begins { is_token(octet) } else { matches!(octet, b'\t' | b' '..=b'~') };
        if !allowed {
            return Err(BodyError("an invalid chunk extension"));
        }
        Ok(Place::Extension { line: line + 1, size, begins: false })
    }

    /// Trailers are well-formed field lines (RFC 9112 section 7.1.2). A request's are then forgotten: what was
    /// decided on cannot be changed by what comes after it.
    fn trailer(&mut self, trailer: Trailer, octet: u8) -> Result<Trailer, BodyError> {
        self.trailers += 1;
        self.trailer_lines += usize::from(trailer == Trailer::Start);
        if self.trailers > TRAILERS_MAX || self.trailer_lines > TRAILER_LINES_MAX {
            return Err(BodyError("trailers past their bound"));
        }
        if let Some(kept) = &mut self.kept {
            kept.push(octet);
        }
        match (trailer, octet) {
            (Trailer::Start | Trailer::Name, _) if is_token(octet) => Ok(Trailer::Name),
            (Trailer::Name, b':') => Ok(Trailer::Value),
            (Trailer::Value, b'\t' | b' '..=b'~' | 0x80..) => Ok(Trailer::Value),
            (Trailer::Value, b'\r') => Ok(Trailer::Feed),
            (Trailer::Feed, b'\n') => Ok(Trailer::Start),
            (Trailer::Start | Trailer::Name | Trailer::Value | Trailer::Feed, _) => {
                Err(BodyError("an invalid trailer"))
            }
        }
    }
}

/// The content that `input` holds behind `skip` octets, of `left` still to come; and what is left then.
fn content(left: u64, input: &[u8], skip: usize) -> (Piece, u64) {
    let here = input.len().saturating_sub(skip);
    if here == 0 {
        return (Piece::More { skip }, left);
    }
    let length = usize::try_from(left).map_or(here, |left| left.min(here));
    (Piece::Content { skip, length }, left - length as u64)
}

/// One octet of a chunk's size line.
fn size_line(digits: u8, size: u64, octet: u8) -> Result<Place, BodyError> {
    match (char::from(octet).to_digit(16), octet) {
        (Some(digit), _) if digits < DIGITS_MAX => {
            let size = size.checked_mul(16).and_then(|size| size.checked_add(u64::from(digit)));
            let size = size.filter(|size| *size <= i64::MAX.unsigned_abs());
            let size = size.ok_or(BodyError("a chunk size beyond 63 bits"))?;
            Ok(Place::Size { digits: digits + 1, size })
        }
        (Some(_), _) => Err(BodyError("a chunk size of too many digits")),
        (None, b'\r') if digits > 0 => Ok(Place::SizeFeed { size }),
        (None, b';') if digits > 0 => {
            Ok(Place::Extension { line: usize::from(digits) + 1, size, begins: true })
        }
        (None, _) => Err(BodyError("an invalid chunk size")),
    }
}
