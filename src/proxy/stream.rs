//! A connection's octets, whatever carries them: the one type that both sides of the data plane read and write.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustix::net::{SendFlags, send};
use socket2::SockRef;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use crate::proxy::h2::peer::PeerStream;
use crate::proxy::h2::stream::ClientStream;

/// How long the other side may be silent before the kernel asks whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Octets that the kernel takes ahead of what is on its way: without a bound it grows to some megabytes for a receiver
/// that takes nothing, and that is what one short request would cost. What is on its way is not bounded by it, so a fast
/// receiver is as fast as ever.
const UNSENT: u32 = 128 * 1024;

/// Octets that a socket nearly always takes at once: the runtime is asked whether it does only where it did not.
const SHORT: usize = 4096;

/// A connected socket.
#[derive(Debug)]
pub(in crate::proxy) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection's octets.
#[derive(Debug)]
pub(in crate::proxy) enum Stream {
    /// As they are on the wire.
    Plain(Socket),
    /// One stream of a client's HTTP/2 connection, as HTTP/1.1.
    Http2(Box<ClientStream>),
    /// One stream of an HTTP/2 connection to a peer, as HTTP/1.1.
    Peer(Box<PeerStream>),
    /// Over TLS, as its server or its client. Boxed: connections without it shall not carry the room for it.
    Tls(Box<TlsStream<Socket>>),
}

impl Socket {
    /// Sets what every socket of ours has: no waiting to fill a packet, little held for a peer that takes nothing, and a
    /// kernel that asks after one that is silent. A socket that refuses an option is closed already, and the first read
    /// says so.
    pub(in crate::proxy) fn prepare(&self) {
        let Self::Tcp(stream) = self else { return };
        // Without it the last octets of an answer could wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let often = socket2::TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 4);
        let _ = SockRef::from(stream).set_tcp_keepalive(&often);
        let _ = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
    }

    /// Its descriptor's number.
    pub(in crate::proxy) fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }

    /// Resolves when a read would not wait.
    pub(in crate::proxy) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context),
            Self::Unix(stream) => stream.poll_read_ready(context),
        }
    }

    /// Writes what can be written without waiting. It asks the kernel: the runtime, which has not looked at a socket
    /// that was just accepted, would say that nothing can. The call goes past the C library, whose own can be
    /// cancelled and takes two locked instructions for that. Not inlined, so that the bench of instructions sees it called.
    #[inline(never)]
    pub(in crate::proxy) fn try_write(&self, octets: &[u8]) -> io::Result<usize> {
        let at_once = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = match self {
            Self::Tcp(stream) => send(stream, octets, at_once),
            Self::Unix(stream) => send(stream, octets, at_once),
        };
        Ok(sent?)
    }

    /// Whether the runtime knows of nothing that has come. Octets that have would be lost: whoever asks keeps nothing
    /// that is not quiet.
    fn is_quiet(&self) -> bool {
        let read = match self {
            Self::Tcp(stream) => stream.try_read(&mut [0; 1]),
            Self::Unix(stream) => stream.try_read(&mut [0; 1]),
        };
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether nothing has come, neither octets nor an end, by the kernel's own word.
    fn is_silent(&self) -> bool {
        self.peek().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether an end has come and no octet before it, by the kernel's own word.
    fn has_ended(&self) -> bool {
        match self.peek() {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// How much there is to read, up to an octet.
    fn peek(&self) -> io::Result<usize> {
        let mut octet = [MaybeUninit::uninit(); 1];
        match self {
            Self::Tcp(stream) => SockRef::from(stream).peek(&mut octet),
            Self::Unix(stream) => SockRef::from(stream).peek(&mut octet),
        }
    }

    /// Has the coming close be a reset, so that the other side cannot take what it has for everything there was.
    fn abort(&self) {
        match self {
            Self::Tcp(stream) => {
                let _ = stream.set_zero_linger();
            }
            // Such a socket knows no reset; what was announced and is missing says it.
            Self::Unix(_) => {}
        }
    }
}

impl Stream {
    /// Resolves when a read would not wait: no buffer of ours is needed to wait with.
    pub(in crate::proxy) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_readable(context),
            Self::Http2(stream) => stream.poll_readable(context),
            // Whoever asks reads next.
            Self::Peer(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_fill_buf(context).map_ok(|_| ()),
        }
    }

    /// Resolves when a client that waits has gone, as far as that can be seen past what it has sent ahead.
    pub(in crate::proxy) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let gone = match self {
            Self::Plain(socket) => match ready!(socket.poll_readable(context)) {
                Ok(()) => socket.has_ended(),
                Err(_) => true,
            },
            Self::Http2(stream) => return stream.poll_gone(context).map(|_| ()),
            Self::Peer(_) => false,
            Self::Tls(stream) => {
                !ready!(Pin::new(&mut **stream).poll_fill_buf(context)).is_ok_and(|ahead| !ahead.is_empty())
            }
        };
        if gone { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether nothing has been heard: no octets, no end. No system call, but where the last read filled its
    /// buffer and left the question open.
    pub(in crate::proxy) fn is_quiet(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        match self {
            Self::Plain(socket) => socket.is_quiet(),
            // What is there is read and stays; the tickets that a TLS 1.3 server sends of its own accord are nothing.
            Self::Tls(stream) => Pin::new(&mut **stream).poll_fill_buf(&mut context).is_pending(),
            Self::Http2(stream) => stream.poll_readable(&mut context).is_pending(),
            // A stream of its own: nothing can come on it that was not asked for.
            Self::Peer(_) => true,
        }
    }

    /// Whether what is written is framed before it is on the wire.
    pub(in crate::proxy) fn is_tls(&self) -> bool {
        match self {
            Self::Tls(_) => true,
            Self::Plain(_) | Self::Http2(_) | Self::Peer(_) => false,
        }
    }

    /// Whether the request that was sent on it has surely not been begun with by its peer.
    pub(in crate::proxy) fn is_unprocessed(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Tls(_) | Self::Http2(_) => false,
            Self::Peer(stream) => stream.is_unprocessed(),
        }
    }

    /// Whether nothing has been heard up to this very moment. [`Stream::is_quiet`] knows what the runtime knew when it
    /// last looked at all its sockets; this asks, which is a system call.
    pub(in crate::proxy) fn is_silent(&mut self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_silent(),
            Self::Tls(stream) => stream.get_ref().0.is_silent() && self.is_quiet(),
            Self::Http2(_) => self.is_quiet(),
            Self::Peer(_) => true,
        }
    }

    /// Has the coming close be a reset, so that the other side cannot take what it has for everything there was.
    pub(in crate::proxy) fn abort(&mut self) {
        match self {
            Self::Plain(socket) => socket.abort(),
            Self::Http2(stream) => stream.abort(),
            Self::Peer(stream) => stream.abort(),
            // Without a `close_notify`, which would say that all is told (RFC 8446 section 6.1).
            Self::Tls(stream) => stream.get_ref().0.abort(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        // Whatever else the kernel says, it says to the runtime once more, which waits or fails.
        if octets.len() <= SHORT
            && let Ok(sent) = self.try_write(octets)
        {
            return Poll::Ready(Ok(sent));
        }
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, octets),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, into),
            Self::Http2(stream) => stream.poll_read(context, into),
            Self::Peer(stream) => stream.poll_read(context, into),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, octets),
            Self::Http2(stream) => stream.poll_write(context, octets),
            Self::Peer(stream) => stream.poll_write(context, octets),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(context, octets),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            Self::Http2(stream) => stream.poll_write(context, first(slices)),
            Self::Peer(stream) => stream.poll_write(context, first(slices)),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Tls(_) => true,
            Self::Http2(_) | Self::Peer(_) => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Http2(_) | Self::Peer(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Http2(stream) => Poll::Ready(stream.shut_down()),
            Self::Peer(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}

/// The first slice that holds anything.
fn first<'s>(slices: &'s [IoSlice<'_>]) -> &'s [u8] {
    slices.iter().find(|slice| !slice.is_empty()).map_or(&[], |slice| slice)
}

/// A stream that two futures of one task use at once, one reading and one writing.
pub(in crate::proxy) struct Halves<'s>(RefCell<&'s mut Stream>);

/// The reading half.
pub(in crate::proxy) struct ReadHalf<'h, 's>(&'h Halves<'s>);

/// The writing half.
pub(in crate::proxy) struct WriteHalf<'h, 's>(&'h Halves<'s>);

impl<'s> Halves<'s> {
    pub(in crate::proxy) fn of(stream: &'s mut Stream) -> Self {
        Self(RefCell::new(stream))
    }

    pub(in crate::proxy) fn both(&self) -> (ReadHalf<'_, 's>, WriteHalf<'_, 's>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Never held across a wait: a poll borrows and gives back.
    fn with<T>(&self, poll: impl FnOnce(Pin<&mut Stream>) -> T) -> T {
        poll(Pin::new(&mut **self.0.borrow_mut()))
    }
}

impl ReadHalf<'_, '_> {
    /// Resolves when a read would not wait.
    pub(in crate::proxy) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.with(|stream| stream.get_mut().poll_readable(context))
    }
}

impl AsyncRead for ReadHalf<'_, '_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.with(|stream| stream.poll_read(context, into))
    }
}

impl AsyncWrite for WriteHalf<'_, '_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.0.with(|stream| stream.poll_write(context, octets))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.with(|stream| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.0.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.with(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.with(|stream| stream.poll_shutdown(context))
    }
}
