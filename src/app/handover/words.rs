//! What the two processes of an upgrade say to each other: length-prefixed texts, and sockets.

#[cfg(test)]
mod tests;

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::config::address::Address;
use crate::proxy::listening::Origin;

/// What a socket is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// A listener of the data plane, by its configured address.
    Listener(Address, Origin),
    /// The admin listener, by its configured address.
    Admin(Address),
    /// The lock of the store at this path, as configured.
    Store(PathBuf),
}

/// Sockets sent at once: the kernel's limit (`SCM_MAX_FD`).
pub(crate) const BATCH: usize = 253;

/// Octets of a text: some ten thousand sockets.
const LONGEST: usize = 4 * 1024 * 1024;

/// The first word. The number changes when anything here does.
const HELLO: &str = "portcullis upgrade 2";
/// The new process is about to accept: the running one is to change nothing from here on. Its answer is the same word.
pub(crate) const STILL: &str = "still";
/// The new process accepts.
pub(crate) const READY: &str = "ready";
/// The running process lets go.
pub(crate) const YOURS: &str = "yours";
const REFUSED: &str = "refused ";
const INVENTORY: &str = "sockets ";

/// A text with its length before it.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// The length that stands before a text.
pub(crate) fn length(octets: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_be_bytes(octets)).unwrap_or(usize::MAX);
    if length > LONGEST { Err(strange("a text that is too long")) } else { Ok(length) }
}

/// The text itself.
pub(crate) fn text(octets: Vec<u8>) -> io::Result<String> {
    String::from_utf8(octets).map_err(|_| strange("a text that is none"))
}

/// The first word.
pub(crate) fn hello() -> Vec<u8> {
    frame(HELLO)
}

/// Whether the first word is ours; the error is for the other side.
pub(crate) fn is_hello(text: &str) -> Result<(), String> {
    if text == HELLO {
        return Ok(());
    }
    Err(format!("the running gateway only understands {HELLO:?}: stop it, and start the new one"))
}

/// A refusal, and why.
pub(crate) fn refused(why: &str) -> Vec<u8> {
    frame(&format!("{REFUSED}{why}"))
}

/// What the sockets are that follow, in order.
pub(crate) fn inventory(names: &[&Name]) -> Vec<u8> {
    // A zero cannot stand in any address.
    let names: Vec<String> = names.iter().map(|name| written(name)).collect();
    frame(&format!("{INVENTORY}{}", names.join("\0")))
}

/// Reads what the running process answers: what the sockets are, or why there are none.
pub(crate) fn read_inventory(text: &str) -> io::Result<Result<Vec<Name>, String>> {
    if let Some(why) = text.strip_prefix(REFUSED) {
        return Ok(Err(why.to_owned()));
    }
    let names = text.strip_prefix(INVENTORY).ok_or_else(|| strange("another answer than sockets"))?;
    names.split('\0').filter(|name| !name.is_empty()).map(name).collect::<io::Result<_>>().map(Ok)
}

fn written(name: &Name) -> String {
    match name {
        Name::Listener(address, Origin::Own) => format!("listener {address}"),
        Name::Listener(address, Origin::Manager) => format!("activated {address}"),
        Name::Admin(address) => format!("admin {address}"),
        Name::Store(path) => format!("store {}", path.display()),
    }
}

fn name(text: &str) -> io::Result<Name> {
    let (kind, address) = text.split_once(' ').ok_or_else(|| strange("a socket without an address"))?;
    if kind == "store" {
        return Ok(Name::Store(address.into()));
    }
    let address =
        Address::read(address, Path::new("/")).map_err(|_| strange("a socket with a strange address"))?;
    match kind {
        "listener" => Ok(Name::Listener(address, Origin::Own)),
        "activated" => Ok(Name::Listener(address, Origin::Manager)),
        "admin" => Ok(Name::Admin(address)),
        _ => Err(strange("a socket of a strange kind")),
    }
}

/// Sends sockets, at most [`BATCH`], with one octet.
pub(crate) fn send(stream: BorrowedFd<'_>, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    if !with.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(strange("more sockets than fit"));
    }
    sendmsg(stream, &[IoSlice::new(b"+")], &mut with, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives what [`send`] has sent.
pub(crate) fn receive(stream: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let mut octet = [0; 1];
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut octet)], &mut with, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = Vec::new();
    for message in with.drain() {
        if let RecvAncillaryMessage::ScmRights(those) = message {
            sockets.extend(those);
        }
    }
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(strange("more sockets than this process may have open: raise its limit of descriptors"));
    }
    Ok(sockets)
}

fn strange(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
