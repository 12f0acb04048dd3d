//! A WebSocket that goes on under a new token: the client's messages are looked at for one, and what it was opened by
//! is decided again as if the handshake had come with it.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use crate::gate::denial::{Denial, Reason};
use crate::gate::grant::Grant;
use crate::gate::reauthenticate;
use crate::http1::head::{RequestHead, octets as field};
use crate::http1::websocket::messages::Violation;
use crate::http1::websocket::sieve::{Sieve, Sifted};
use crate::policy::route::CompiledRoute;
use crate::proxy::access_log::Record;
use crate::proxy::connection::Connection;
use crate::proxy::downstream::Downstream;
use crate::proxy::judge::{Asked, Judged, judge_unless};
use crate::proxy::parting::Farewells;
use crate::proxy::worker::Worker;

/// Octets that a message may have beside its token.
const AROUND: usize = 1024;

/// The handshake of a stream that may go on under a new token.
pub(in crate::proxy) struct Opened {
    route: Arc<CompiledRoute>,
    head: RequestHead,
    octets: Box<[u8]>,
}

/// What such a stream's client sends, looked at.
pub(in crate::proxy) struct Renewal<'c> {
    worker: &'c Rc<Worker>,
    downstream: &'c Downstream,
    opened: Opened,
    sieve: Sieve,
    /// By what the stream goes on.
    first: &'c Grant,
    latest: Option<Box<Grant>>,
}

impl Opened {
    /// Takes what was kept of the handshake, if it was.
    pub(in crate::proxy) fn take(connection: &mut Connection, grant: &Grant) -> Option<Self> {
        let octets = connection.opened.take()?;
        let head = std::mem::take(&mut connection.head);
        Some(Self { route: Arc::clone(grant.route()), head, octets })
    }

    /// Looks at what this stream's client sends from here on.
    pub(in crate::proxy) fn renewable<'c>(
        self,
        worker: &'c Rc<Worker>,
        downstream: &'c Downstream,
        grant: &'c Grant,
    ) -> Renewal<'c> {
        // The limit of the moment: a reload may change it.
        let longest = worker.shared.parts.reader.load().token_limit;
        let sieve = Sieve::new(longest + AROUND);
        Renewal { worker, downstream, opened: self, sieve, first: grant, latest: None }
    }
}

impl Renewal<'_> {
    /// Sifts what the client has sent, up to a message that brings a token; what goes on is appended to `out`.
    pub(in crate::proxy) fn sift(
        &mut self,
        octets: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Sifted<Box<str>>, Violation> {
        let rule = self.opened.route.reauthenticate();
        self.sieve.sift(octets, out, |message| reauthenticate::token(rule?, message))
    }

    /// Whether nothing is held of a message that has begun.
    pub(in crate::proxy) fn holds_nothing(&self) -> bool {
        self.sieve.is_empty()
    }

    /// Decides whether the stream goes on under this token. If not, it is over.
    pub(in crate::proxy) async fn bring(&mut self, token: &str, farewells: Farewells<'_>) {
        let Opened { head, octets, .. } = &self.opened;
        let presented = Some(token.as_bytes());
        let asked = Asked { head, octets, downstream: self.downstream, presented, message: None };
        let (id, logged) = (self.worker.ids.next(), self.worker.shared.parts.access_log);
        let mut record = Record::begin(id, Instant::now(), self.downstream.address, logged);
        record.request(field(octets, &head.method), field(octets, &head.path));
        let mut heard = pin!(farewells.heard());
        let gone = |context: &mut std::task::Context<'_>| heard.as_mut().poll(context).map(drop);
        let judged = judge_unless(self.worker, asked, gone, &mut Vec::new(), &mut record).await;
        let refused = match judged {
            // It ends already.
            Judged::Gone => return,
            // Nothing is refused here, and it speaks for nobody: the stream goes on as what it was.
            Judged::Forward(grant) if grant.shadow().is_some() => {
                record.granted(&grant);
                None
            }
            Judged::Forward(grant) if self.continues(&grant) => {
                record.granted(&grant);
                if let Some(leash) = farewells.leash {
                    leash.renew(&grant);
                }
                self.latest = Some(grant);
                None
            }
            Judged::Forward(grant) => {
                let denial = Denial::new(Reason::ConditionFailed, "the new token speaks for another subject");
                record.granted(&grant);
                record.refused_after(&denial);
                Some(denial.reason)
            }
            Judged::Refuse(refusal) => {
                record.refused(&refusal);
                Some(refusal.denial.reason)
            }
            // A stream begins with none of these.
            Judged::Answer(_) | Judged::Converse(_) | Judged::Preflight(_) | Judged::Body(_) => {
                Some(Reason::Internal)
            }
        };
        record.end_within("reauthentication");
        if let (Some(why), Some(leash)) = (refused, farewells.leash) {
            leash.end(why);
        }
    }

    fn continues(&self, grant: &Grant) -> bool {
        reauthenticate::continues(self.latest.as_deref().unwrap_or(self.first), grant)
    }
}
