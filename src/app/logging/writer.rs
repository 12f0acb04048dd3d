//! Log lines on their way to standard error, which may be a pipe that nobody reads: a worker never waits for it.
//!
//! Lines go through a bounded queue to one thread, which writes what has gathered at once. Past the bound lines
//! are dropped, and counted in a line of their own as soon as there is room again.

use std::io::{self, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait: a second of a busy gateway's.
const QUEUED: usize = 16 * 1024;

/// Octets gathered for one write.
const GATHERED: usize = 64 * 1024;

/// How long the end of the process waits for what is queued.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Makes lines.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// One line, queued when it is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    octets: Vec<u8>,
    queue: Queue,
}

/// Holds the end of the process until what is queued has been written, within bounds.
#[derive(Debug)]
pub(crate) struct Flush(Queue);

impl Queue {
    /// Starts the thread. Where it cannot be started, every line counts as dropped.
    pub(crate) fn start() -> (Self, Flush) {
        let (sender, receiver) = sync_channel(QUEUED);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        let thread = std::thread::Builder::new().name("log".to_owned());
        let _without_a_log = thread.spawn(move || write_lines(&receiver, &counter, &mut stderr()));
        let queue = Self { sender, dropped };
        (queue.clone(), Flush(queue))
    }
}

fn write_lines(receiver: &Receiver<Message>, dropped: &AtomicU64, out: &mut impl Write) {
    let mut gathered = Vec::new();
    while let Ok(first) = receiver.recv() {
        let mut flushed = None;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => gathered.extend_from_slice(&line),
                Message::Flush(done) => flushed = Some(done),
            }
            next = if gathered.len() < GATHERED { receiver.try_recv().ok() } else { None };
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            gathered.extend_from_slice(
                format!("{{\"level\":\"WARN\",\"message\":\"{lost} log lines dropped\"}}\n").as_bytes(),
            );
        }
        // Standard error is gone: there is nowhere to say so.
        let _ = out.write_all(&gathered);
        gathered.clear();
        if let Some(done) = flushed {
            let _ = done.try_send(());
        }
    }
}

impl<'w> MakeWriter<'w> for Queue {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line { octets: Vec::new(), queue: self.clone() }
    }
}

impl Write for Line {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.octets.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.octets);
        if line.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.sender.try_send(Message::Line(line))
        {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let (done, wait) = sync_channel(1);
        if self.0.sender.try_send(Message::Flush(done)).is_ok() {
            let _in_time = wait.recv_timeout(FLUSH_WAIT);
        }
    }
}

#[cfg(test)]
mod tests;
