//! What carries a client's octets: a socket, or TLS over one.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use rustls::{ClientConnection, StreamOwned};

use crate::harness::client::Connection;

/// What carries a connection's octets.
pub enum Wire {
    /// As it is.
    Plain(TcpStream),
    /// Over TLS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// The socket.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(octets),
            Self::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Connection {
    /// Over TLS whose handshake is done; every answer is audited.
    pub fn over_tls(stream: StreamOwned<ClientConnection, TcpStream>) -> Self {
        Self {
            stream: Wire::Tls(Box::new(stream)),
            buffer: Vec::new(),
            audit: true,
            ended_well: false,
            trailers: false,
        }
    }

    /// The bare socket.
    pub fn into_tcp(self) -> TcpStream {
        match self.stream {
            Wire::Plain(stream) => stream,
            Wire::Tls(stream) => stream.sock,
        }
    }

    /// What the handshake came to.
    #[track_caller]
    pub fn tls(&self) -> &ClientConnection {
        match &self.stream {
            Wire::Plain(_) => panic!("a plain connection"),
            Wire::Tls(stream) => &stream.conn,
        }
    }

    /// Whether the end that was seen was an orderly one: over TLS, with a `close_notify`.
    pub fn ended_well(&self) -> bool {
        self.ended_well
    }
}
