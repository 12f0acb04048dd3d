//! A connection without HTTP on it: octets, and how they end.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use crate::harness::client::Connection;
use crate::harness::wait::PATIENCE;

impl Connection {
    /// Octets as they come; empty at the end of the connection.
    pub fn read_some(&mut self) -> Vec<u8> {
        let end = Instant::now() + PATIENCE;
        if self.buffer.is_empty() {
            self.fill(end).expect("octets, or the end");
        }
        std::mem::take(&mut self.buffer)
    }

    /// The next `count` octets; `None` where the connection ends, or is reset, before they are all there.
    pub fn read_exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        let end = Instant::now() + PATIENCE;
        while self.buffer.len() < count {
            match self.fill(end) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => panic!("waited for {count} octets, got {}: {error}", self.buffer.len()),
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// How the connection ends: `true` in good order, `false` by a reset. What comes before is passed over.
    #[track_caller]
    pub fn ends_well(&mut self) -> bool {
        self.stream.tcp().set_read_timeout(Some(PATIENCE)).expect("a time");
        let mut piece = [0; 16 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("waited for the end: {error}"),
            }
        }
    }

    /// Closes at once, by a reset.
    pub fn reset(self) {
        socket2::SockRef::from(self.stream.tcp()).set_linger(Some(Duration::ZERO)).ok();
    }
}
