//! Bodies (RFC 9112 sections 6 and 7): taking them apart as they arrive, without holding them.

use crate::http1::head::Framing;

/// A body that is being read.
#[derive(Debug, Clone)]
pub struct BodyReader {
    inner: (),
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

impl BodyReader {
    /// A reader for a body of this framing.
    pub fn new(framing: Framing) -> Self {
        todo!()
    }
    /// Looks at `input`, which starts where the last piece ended. Chunk sizes are at most 16 digits and fit in
    /// 63 bits, a chunk line at most 256 octets with its extension, trailers at most 8 KiB and dropped. With
    /// [`Framing::UntilClose`] everything is content and the end is the connection's.
    pub fn next(&mut self, input: &[u8]) -> Result<Piece, BodyError> {
        todo!()
    }
    /// Whether the end was seen (or there was no body to begin with).
    pub fn is_done(&self) -> bool {
        todo!()
    }
    /// Octets still to come, where the length is declared.
    pub fn remaining(&self) -> Option<u64> {
        todo!()
    }
}
