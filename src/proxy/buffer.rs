//! Buffers that a worker lends to its connections: an idle connection holds none.

use std::cell::RefCell;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::proxy::downstream::Version;

/// Octets of a lent buffer: a head with a large token fits with room for a body's start.
pub(in crate::proxy) const ROOM: usize = 16 * 1024;

/// Octets of one for a stream of HTTP/2, which is one of many: what their client can have held for little is bounded
/// by it (threats D3). One that gets full grows.
const SMALL: usize = 8 * 1024;

/// Buffers kept for lending, a worker. More than this many busy connections at once allocate.
const KEPT: usize = 1024;

/// Octets that were read and not used yet.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Buffer {
    octets: Vec<u8>,
    start: usize,
    end: usize,
}

/// A worker's spare buffers.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Spares {
    read: RefCell<Vec<Vec<u8>>>,
    small: RefCell<Vec<Vec<u8>>>,
    write: RefCell<Vec<Vec<u8>>>,
}

impl Buffer {
    /// What is there.
    pub(in crate::proxy) fn filled(&self) -> &[u8] {
        &self.octets[self.start..self.end]
    }

    /// Whether there is room at all, used or not.
    pub(in crate::proxy) fn is_lent(&self) -> bool {
        !self.octets.is_empty()
    }

    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(in crate::proxy) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Takes `count` octets off the front.
    pub(in crate::proxy) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Reads once; 0 is the end. Grows up to `most` octets, and reads nothing past that.
    pub(in crate::proxy) async fn fill(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        most: usize,
    ) -> io::Result<usize> {
        if self.end == self.octets.len() {
            self.make_room(most);
        }
        let count = from.read(&mut self.octets[self.end..]).await?;
        self.end += count;
        Ok(count)
    }

    /// Whether [`Buffer::fill`] can still read anything.
    pub(in crate::proxy) fn is_full(&self, most: usize) -> bool {
        self.len() >= most.max(ROOM)
    }

    fn make_room(&mut self, most: usize) {
        if self.start > 0 {
            self.octets.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.octets.len() {
            let size = (self.octets.len() * 2).clamp(ROOM, most.max(ROOM));
            self.octets.resize(size, 0);
        }
    }
}

impl Spares {
    /// Lends a buffer for reading.
    pub(in crate::proxy) fn lend(&self) -> Buffer {
        let octets = self.read.borrow_mut().pop().unwrap_or_else(|| vec![0; ROOM]);
        Buffer { octets, start: 0, end: 0 }
    }

    /// Lends a buffer for reading the answer to a request that came in this version.
    pub(in crate::proxy) fn lend_for(&self, version: Version) -> Buffer {
        match version {
            Version::Http1 => self.lend(),
            Version::Http2 => {
                let octets = self.small.borrow_mut().pop().unwrap_or_else(|| vec![0; SMALL]);
                Buffer { octets, start: 0, end: 0 }
            }
        }
    }

    /// Takes one back. What it held is gone; one that has grown is dropped.
    pub(in crate::proxy) fn take_back(&self, buffer: Buffer) {
        let spares = match buffer.octets.len() {
            ROOM => &self.read,
            SMALL => &self.small,
            _ => return,
        };
        let mut spares = spares.borrow_mut();
        if spares.len() < KEPT {
            spares.push(buffer.octets);
        }
    }

    /// Drops half of what lies idle, the longest idle first: what a flood of requests took is given back in some
    /// rounds of this, and steady traffic has it made anew now and then.
    pub(in crate::proxy) fn sweep(&self) {
        for spares in [&self.read, &self.small, &self.write] {
            let mut spares = spares.borrow_mut();
            let half = spares.len().div_ceil(2);
            spares.drain(..half);
            if spares.is_empty() {
                *spares = Vec::new();
            }
        }
    }

    /// Lends a vector for writing.
    pub(in crate::proxy) fn lend_out(&self) -> Vec<u8> {
        self.write.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(ROOM / 4))
    }

    /// Takes one back.
    pub(in crate::proxy) fn take_back_out(&self, mut out: Vec<u8>) {
        let mut spares = self.write.borrow_mut();
        if (1..=2 * ROOM).contains(&out.capacity()) && spares.len() < KEPT {
            out.clear();
            spares.push(out);
        }
    }
}
