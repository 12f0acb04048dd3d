//! An upstream that serves graphql-sse's single connection mode to whoever has a stream's name: it asks nobody for more.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::harness::upstream::{Exchange, Seen, Then, Upstream};
use crate::harness::wait::PATIENCE;

/// The header that names a stream.
pub const FIELD: &str = "X-GraphQL-Event-Stream-Token";

/// How its names begin.
pub const OWN: &str = "upstreams-own-";

type Ends = (Sender<String>, Option<Receiver<String>>);

/// Its streams, by their names.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<HashMap<String, Ends>>>);

/// Serves at `/graphql`.
pub fn serve_at(upstream: &Upstream) {
    let streams = Streams::default();
    upstream.on("/graphql", move |exchange| streams.serve(exchange));
}

/// The name by which the upstream was asked.
pub fn named(seen: &Seen) -> Vec<String> {
    seen.head.all(FIELD).into_iter().map(str::to_owned).collect()
}

impl Streams {
    fn serve(&self, exchange: &mut Exchange) -> io::Result<Then> {
        let body = exchange.body()?;
        let name = exchange.request.header(FIELD).unwrap_or_default().to_owned();
        match exchange.request.method.as_str() {
            "PUT" => {
                let mut streams = self.0.lock().expect("no test panics in here");
                let name = format!("{OWN}{}", streams.len());
                let (to, from) = channel();
                streams.insert(name.clone(), (to, Some(from)));
                let lines = format!("Content-Type: text/plain\r\nX-Upstream: yes\r\nLocation: /{name}\r\n");
                exchange.answer_read(201, &lines, name.as_bytes())
            }
            "GET" if name.is_empty() => exchange.answer_read(200, "X-Upstream: yes\r\n", b"{}"),
            "GET" => match self.opened(&name) {
                Some(events) => stream(exchange, &events),
                None => exchange.answer_read(409, "X-Upstream: yes\r\n", b"no such stream, or open"),
            },
            "DELETE" => exchange.answer_read(200, "X-Upstream: yes\r\n", b""),
            _ => {
                let streams = self.0.lock().expect("no test panics in here");
                let Some((to, _)) = streams.get(&name) else {
                    return exchange.answer_read(200, "X-Upstream: yes\r\n", b"{}");
                };
                to.send(format!("event: next\ndata: {}\n\n", String::from_utf8_lossy(&body))).ok();
                exchange.answer_read(202, "X-Upstream: yes\r\n", b"")
            }
        }
    }

    fn opened(&self, name: &str) -> Option<Receiver<String>> {
        self.0.lock().expect("no test panics in here").get_mut(name)?.1.take()
    }
}

fn stream(exchange: &mut Exchange, events: &Receiver<String>) -> io::Result<Then> {
    exchange.write(b"HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Type: text/event-stream\r\n")?;
    exchange.write(b"Transfer-Encoding: chunked\r\n\r\n3\r\n:\n\n\r\n")?;
    while let Ok(event) = events.recv_timeout(PATIENCE) {
        exchange.write(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())?;
    }
    Ok(Then::Close)
}
