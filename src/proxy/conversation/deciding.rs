//! What is decided within a conversation: whether an operation is run, and whether it goes on under a new token.

use std::rc::Rc;
use std::task::Poll;

use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::gate::conversation::Conversation;
use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::gate::reauthenticate;
use crate::http1::head::{RequestHead, octets as field};
use crate::http1::websocket::Accept;
use crate::proxy::access_log::Record;
use crate::proxy::downstream::Downstream;
use crate::proxy::forward::upstream_view;
use crate::proxy::judge::{Asked, Judged, judge_unless};
use crate::proxy::refuse::operation;
use crate::proxy::refuse::worded::Worded;
use crate::proxy::request_id::RequestId;
use crate::proxy::worker::{UpstreamView, Worker};

/// A token that came in a message.
pub(super) type Token = Rc<Zeroizing<Box<str>>>;

/// The handshake of a conversation: every operation is decided as if it had come with it.
pub(super) struct Opened {
    pub(super) conversation: Conversation,
    pub(super) head: RequestHead,
    pub(super) octets: Box<[u8]>,
    pub(super) downstream: Downstream,
    /// What the 101 to its key says.
    pub(super) accept: Accept,
}

/// An operation that may be run.
pub(super) struct Granted {
    pub(super) grant: Rc<Grant>,
    /// The head of a handshake with the upstream, for this grant's identity, without the protocols to offer.
    pub(super) head: Vec<u8>,
    pub(super) view: Rc<UpstreamView>,
}

/// Decides on an operation, and says by which id that is known in the log.
pub(super) async fn operation(
    worker: Rc<Worker>,
    opened: Rc<Opened>,
    token: Option<Token>,
    payload: Rc<str>,
) -> (RequestId, Result<Granted, Denial>) {
    let mut record = record(&worker, &opened);
    let mut head = Vec::new();
    let presented = token.as_ref().map(|token| token.as_bytes());
    let asked = opened.asked(presented, Some(payload.as_bytes()));
    let judged = judge_unless(&worker, asked, |_| Poll::Pending, &mut head, &mut record).await;
    record.decided();
    let decided = match judged {
        // Results that come one by one are not told what was left out: then all of it is refused.
        Judged::Forward(grant) if grant.narrowed().is_some() => {
            let denial = Denial::new(Reason::InsufficientScope, "in part, over a WebSocket");
            record.granted(&grant);
            record.refused_after(&denial);
            Err(denial)
        }
        Judged::Forward(grant) => {
            record.granted(&grant);
            let view = upstream_view(&worker, &grant, &record);
            Ok(Granted { grant: Rc::from(grant), head, view })
        }
        Judged::Refuse(refusal) => {
            record.refused(&refusal);
            Err(refusal.denial)
        }
        Judged::Answer(_) | Judged::Body(_) | Judged::Converse(_) | Judged::Preflight(_) | Judged::Gone => {
            Err(astray())
        }
    };
    let id = record.id;
    record.end_within("operation");
    (id, decided)
}

/// Decides whether the conversation goes on under this token; `latest` is the grant by which it does so far, if any was
/// needed. What comes back is the grant to go on by.
pub(super) async fn renewal(
    worker: Rc<Worker>,
    opened: Rc<Opened>,
    token: Token,
    latest: Option<Rc<Grant>>,
) -> Result<Rc<Grant>, Denial> {
    let mut record = record(&worker, &opened);
    let asked = opened.asked(Some(token.as_bytes()), None);
    let judged = judge_unless(&worker, asked, |_| Poll::Pending, &mut Vec::new(), &mut record).await;
    record.decided();
    let decided = match judged {
        Judged::Forward(grant) => {
            record.granted(&grant);
            let same = latest.is_none_or(|latest| reauthenticate::continues(&latest, &grant));
            // One that its route only shadows speaks for nobody: nothing goes on as somebody else.
            if same || grant.shadow().is_some() {
                Ok(Rc::from(grant))
            } else {
                let denial = Denial::new(Reason::ConditionFailed, "the new token speaks for another subject");
                record.refused_after(&denial);
                Err(denial)
            }
        }
        Judged::Refuse(refusal) => {
            record.refused(&refusal);
            Err(refusal.denial)
        }
        Judged::Answer(_) | Judged::Body(_) | Judged::Converse(_) | Judged::Preflight(_) | Judged::Gone => {
            Err(astray())
        }
    };
    record.end_within("reauthentication");
    decided
}

impl Opened {
    fn asked<'a>(&'a self, presented: Option<&'a [u8]>, message: Option<&'a [u8]>) -> Asked<'a> {
        let Self { head, octets, downstream, .. } = self;
        Asked { head, octets, downstream, presented, message }
    }
}

fn record(worker: &Rc<Worker>, opened: &Opened) -> Record {
    let logged = worker.shared.parts.access_log;
    let mut record = Record::begin(worker.ids.next(), Instant::now(), opened.downstream.address, logged);
    let Opened { head, octets, .. } = opened;
    record.request(field(octets, &head.method), field(octets, &head.path));
    record
}

fn astray() -> Denial {
    Denial::new(Reason::Internal, "an operation came to another end than a grant or a refusal")
}

/// A refusal as an error of GraphQL; by `id` it is known in the log.
pub(super) fn error(denial: &Denial, id: RequestId, opened: &Opened) -> String {
    let (route, id) = (opened.conversation.route(), id.to_string());
    let own = route.config.errors.as_ref().and_then(|errors| Worded::error(denial, errors, &id));
    let show_scopes = route.graphql.as_ref().is_some_and(|rules| rules.config.show_scopes);
    own.unwrap_or_else(|| operation::error(denial, &id, show_scopes)).to_string()
}
