//! The new process's side of an upgrade.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use crate::app::handover::words::{self, Name};
use crate::app::handover::{HandoverError, Offered, STEP, of_us};

/// The running process: it has given its sockets and waits to hear that we are ready.
#[derive(Debug)]
pub(crate) struct Predecessor {
    stream: UnixStream,
}

/// Asks the process that listens at `path` for its sockets.
pub(crate) fn ask(path: &Path) -> Result<(Predecessor, Vec<Offered>), HandoverError> {
    let mut stream = UnixStream::connect(path).map_err(|error| {
        HandoverError::Refused(format!("no gateway answers at {}: {error}", path.display()))
    })?;
    of_us(&stream)?;
    stream.set_read_timeout(Some(STEP))?;
    stream.set_write_timeout(Some(STEP))?;
    stream.write_all(&words::hello())?;
    let names = match words::read_inventory(&read(&mut stream)?)? {
        Ok(names) => names,
        Err(why) => return Err(HandoverError::Refused(why)),
    };
    let mut sockets = Vec::with_capacity(names.len());
    let begun = Instant::now();
    while sockets.len() < names.len() {
        let batch = words::receive(stream.as_fd())?;
        if batch.is_empty() || begun.elapsed() > STEP {
            return Err(HandoverError::Slow);
        }
        sockets.extend(batch);
        stream.write_all(b"+")?;
    }
    let offered = |(name, socket): (Name, _)| Offered { name, socket };
    Ok((Predecessor { stream }, names.into_iter().zip(sockets).map(offered).collect()))
}

impl Predecessor {
    /// Has it take no change any more, and waits until what it has answered can be read.
    pub(crate) fn still(mut self) -> Result<Self, HandoverError> {
        self.stream.write_all(&words::frame(words::STILL))?;
        let answer = read(&mut self.stream)?;
        if answer == words::STILL { Ok(self) } else { Err(HandoverError::Refused(answer)) }
    }

    /// Says that we accept, and waits until it has let go.
    pub(crate) fn ready(mut self) -> Result<(), HandoverError> {
        self.stream.write_all(&words::frame(words::READY))?;
        let answer = read(&mut self.stream)?;
        if answer == words::YOURS { Ok(()) } else { Err(HandoverError::Refused(answer)) }
    }
}

fn read(stream: &mut UnixStream) -> Result<String, HandoverError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut text = vec![0; words::length(length)?];
    stream.read_exact(&mut text)?;
    Ok(words::text(text)?)
}
