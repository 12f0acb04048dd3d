use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::app::logging::writer::{Message, Queue, write_lines};

fn queue(room: usize) -> (Queue, std::sync::mpsc::Receiver<Message>) {
    let (sender, receiver) = sync_channel(room);
    (Queue { sender, dropped: Arc::new(AtomicU64::new(0)) }, receiver)
}

fn log(queue: &Queue, text: &str) {
    queue.make_writer().write_all(text.as_bytes()).expect("memory");
}

#[test]
fn a_line_past_the_bound_is_dropped_and_counted_and_nobody_waits() {
    let (queue, receiver) = queue(2);
    for line in ["one\n", "two\n", "three\n", "four\n"] {
        log(&queue, line);
    }
    assert_eq!(queue.dropped.load(Ordering::Relaxed), 2);
    let dropped = Arc::clone(&queue.dropped);
    drop(queue);
    let mut written = Vec::new();
    write_lines(&receiver, &dropped, &mut written);
    let written = String::from_utf8(written).expect("text");
    assert!(written.starts_with("one\ntwo\n"), "{written}");
    assert!(written.contains("2 log lines dropped"), "{written}");
}

#[test]
fn a_flush_waits_for_what_was_queued_before_it() {
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(octets);
            Ok(octets.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (queue, receiver) = queue(8);
    let written = Arc::new(Mutex::new(Vec::new()));
    log(&queue, "last words\n");
    let (counter, mut out) = (Arc::clone(&queue.dropped), Shared(Arc::clone(&written)));
    let thread = std::thread::spawn(move || write_lines(&receiver, &counter, &mut out));
    drop(crate::app::logging::writer::Flush(queue));
    assert_eq!(*written.lock().expect("no panic"), b"last words\n");
    thread.join().expect("it ends with the queue");
}
