//! Telling a service manager how we are (sd_notify(3)): one datagram each, if it asked.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

#[cfg(test)]
mod tests;

/// We serve, and this is the process that does: after an upgrade it is another one than was started.
pub(crate) fn ready() {
    tell(&format!("READY=1\nMAINPID={}", std::process::id()));
}

/// We drain. Never said by a process that has been taken over from: the service goes on.
pub(crate) fn stopping() {
    tell("STOPPING=1");
}

fn tell(what: &str) {
    let Ok(socket) = std::env::var("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&socket, what) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Sends one datagram to a path, or to a name in the abstract namespace, which is written with an `@`.
fn send(socket: &str, what: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &address).map(drop)
}
