//! How a conversation ends: what each side is told, and how long it may take to hear it.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::gate::denial::Reason;
use crate::graphql::conversation::fault::Fault;
use crate::graphql::conversation::message::{self, Message, Party, Protocol};
use crate::metrics::stream::StreamEnd;
use crate::proxy::conversation::side::Side;
use crate::proxy::conversation::upward::Reached;
use crate::proxy::parting::{HASTE, Stay};
use crate::proxy::worker::Worker;

/// How long an upstream that was told goodbye is still read, so that it sees it before the reset.
const LINGER: Duration = Duration::from_secs(1);

/// The codes of RFC 6455 section 7.4.1, and of the registry that it begins.
pub(super) const NORMAL: u16 = 1000;
pub(super) const GOING_AWAY: u16 = 1001;
pub(super) const PROTOCOL: u16 = 1002;
pub(super) const UNSUPPORTED: u16 = 1003;
pub(super) const NOT_TEXT: u16 = 1007;
pub(super) const POLICY: u16 = 1008;
pub(super) const TOO_BIG: u16 = 1009;
pub(super) const TRY_LATER: u16 = 1013;
/// What was behind a gateway failed it: clients try again.
pub(super) const BAD_GATEWAY: u16 = 1014;

/// Why it ends, and with which words.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) end: StreamEnd,
    /// What the client is told; nothing where it has gone.
    pub(super) client: Option<Words>,
    /// What every upstream is told.
    pub(super) upstream: Words,
    /// The token is over.
    pub(super) over: Option<Reason>,
}

/// A Close frame, and what goes before it.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) code: Option<u16>,
    pub(super) reason: String,
    /// `connection_error`, of a protocol without codes.
    pub(super) error: Option<String>,
}

impl Words {
    /// A code, and a reason.
    pub(super) fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code: Some(code), reason: reason.into(), error: None }
    }

    /// A fault in the words of this protocol: the older one has no codes, but a message.
    pub(super) fn of(fault: Fault, protocol: Protocol) -> Self {
        match protocol {
            Protocol::Transport => Self::new(fault.code(), fault.reason()),
            Protocol::Legacy => {
                let payload = serde_json::json!({"message": fault.reason()}).to_string();
                let error = message::write(protocol, Party::Server, &Message::NotBegun(Some(&payload)));
                Self { error, ..Self::new(NORMAL, fault.reason()) }
            }
        }
    }
}

impl Ending {
    /// By the client's doing; it has gone, or is told this.
    pub(super) fn by_client(client: Option<Words>) -> Self {
        Self { end: StreamEnd::Client, client, upstream: Words::new(NORMAL, ""), over: None }
    }

    /// By the upstream's.
    pub(super) fn by_upstream(words: Words) -> Self {
        Self { end: StreamEnd::Upstream, client: Some(words), upstream: Words::new(NORMAL, ""), over: None }
    }
}

/// Tells the other side, and sees that it is sent, within `most`; whether it was.
pub(super) async fn tell<S: AsyncRead + AsyncWrite + Unpin>(
    side: &mut Side<S>,
    words: &Words,
    most: Duration,
) -> bool {
    let said = match &words.error {
        Some(error) => side.say(error),
        None => Ok(()),
    };
    if said.and_then(|()| side.close(words.code, &words.reason)).is_err() {
        return false;
    }
    matches!(timeout(most, poll_fn(|context| side.poll_sent(context))).await, Ok(Ok(())))
}

/// Takes leave of an upstream, beside what comes next: it is told, and read to its end, each within bounds.
pub(super) fn leave(worker: &Rc<Worker>, mut reached: Reached, words: &Words) {
    let stay = Stay::on(worker);
    if reached.side.close(words.code, &words.reason).is_err() {
        return;
    }
    tokio::task::spawn_local(async move {
        let _stay = stay;
        let Reached { mut side, _held, .. } = reached;
        let told = timeout(
            HASTE,
            poll_fn(|context| {
                if ready!(side.poll_sent(context)).is_err() {
                    return Poll::Ready(Err(()));
                }
                side.poll_shutdown(context).map_err(drop)
            }),
        );
        if matches!(told.await, Ok(Ok(()))) {
            // Closing with octets unread would reset what the upstream has not read yet.
            let _read = timeout(LINGER, poll_fn(|context| side.poll_waste(context))).await;
        } else {
            side.stream().abort();
        }
    });
}
