//! The upstream, on a thread of its own: one answer to every request, and an echo on every WebSocket.

use std::net::SocketAddr;

use portcullis::http1::websocket::accept;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

use crate::client::{CLOSE, Connection, line};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"order\":123,\"state\":\"new\"}";

/// The library's own is 128: with 200 connections at once the rest would wait for a second SYN.
const BACKLOG: i32 = 4_096;

/// Starts it, for as long as the process lasts.
pub(crate) fn start() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(BACKLOG).unwrap();
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
    });
    address
}

async fn serve(stream: TcpStream) {
    let mut connection = Connection::of(stream);
    while connection.goes_on().await {
        let head = connection.head().await;
        match line(&head, "sec-websocket-key") {
            None => connection.write(ANSWER).await,
            Some(key) => return echo(&mut connection, key).await,
        }
    }
}

async fn echo(connection: &mut Connection, key: &str) {
    let accept = accept(key.as_bytes());
    let accept = str::from_utf8(&accept).unwrap();
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    connection.write(head.as_bytes()).await;
    while connection.goes_on().await {
        let frame = connection.frame().await;
        if frame.opcode == CLOSE {
            return;
        }
        let mut answer = vec![128 | frame.opcode, frame.payload.len() as u8];
        answer.extend(frame.payload);
        connection.write(&answer).await;
    }
}
