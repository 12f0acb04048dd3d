//! One request's decision: the rounds of asking, and what each needs done.

use std::borrow::Cow;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use crate::config::{TokenPlace, UpstreamHost};
use crate::gate::call::Called;
use crate::gate::conversation::Conversation;
use crate::gate::denial::{Denial, Reason, Refusal};
use crate::gate::evidence::{BodyAsked, Evidence, Need};
use crate::gate::grant::{Grant, Identity};
use crate::gate::preflight::Preflight;
use crate::gate::websocket::Handshake;
use crate::gate::{self, Decision, Field, Request};
use crate::http1::head::{Framing, Known, RequestHead, octets, text};
use crate::http1::write::{self, RequestEdits};
use crate::path::{self, Path};
use crate::policy::condition;
use crate::policy::route::Routes;
use crate::proxy::access_log::Record;
use crate::proxy::downstream::{Downstream, Way};
use crate::proxy::reserved;
use crate::proxy::signatures::Waited;
use crate::proxy::stream::Stream;
use crate::proxy::worker::{Worker, now};

/// Times a decision is made: at first, for each kind of need, for a signature that was another's, and for a snapshot that
/// changed meanwhile.
const ROUNDS: usize = 5;

/// What came of a request.
pub(in crate::proxy) enum Judged {
    /// It goes upstream; its head has been written.
    Forward(Box<Grant>),
    /// An endpoint of our own answers it.
    Answer(Box<Called>),
    /// A WebSocket whose messages are decided one by one.
    Converse(Box<Conversation>),
    /// It is refused.
    Refuse(Refusal),
    /// It is a preflight.
    Preflight(Preflight),
    /// Its body has to be read before it is known.
    Body(BodyAsked),
    /// Its client has gone before that was known.
    Gone,
}

/// A request head and where it was read from.
#[derive(Clone, Copy)]
pub(in crate::proxy) struct Asked<'a> {
    pub(in crate::proxy) head: &'a RequestHead,
    pub(in crate::proxy) octets: &'a [u8],
    pub(in crate::proxy) downstream: &'a Downstream,
    /// A token that came within the stream that the request began: what is decided is whether it goes on.
    pub(in crate::proxy) presented: Option<&'a [u8]>,
    /// An operation that came there: what is decided is whether it is run.
    pub(in crate::proxy) message: Option<&'a [u8]>,
}

/// Decides, doing what the decision needs; a grant's request head is appended to `out`.
pub(in crate::proxy) async fn judge(
    worker: &Rc<Worker>,
    asked: Asked<'_>,
    client: &mut Stream,
    out: &mut Vec<u8>,
    record: &mut Record,
) -> Judged {
    let mut evidence = Evidence::default();
    evidence.body = body_here(worker, asked).map(Cow::Borrowed);
    judge_rounds(worker, asked, &mut evidence, |context| client.poll_gone(context), (out, record)).await
}

/// Decides with what was found out before, which gets what is found out now.
pub(in crate::proxy) async fn judge_with(
    worker: &Rc<Worker>,
    asked: Asked<'_>,
    evidence: &mut Evidence<'_>,
    client: &mut Stream,
    out: &mut Vec<u8>,
    record: &mut Record,
) -> Judged {
    judge_rounds(worker, asked, evidence, |context| client.poll_gone(context), (out, record)).await
}

/// Decides, unless it is of no use any more: then [`Judged::Gone`].
pub(in crate::proxy) async fn judge_unless(
    worker: &Rc<Worker>,
    asked: Asked<'_>,
    gone: impl FnMut(&mut Context<'_>) -> Poll<()>,
    out: &mut Vec<u8>,
    record: &mut Record,
) -> Judged {
    judge_rounds(worker, asked, &mut Evidence::default(), gone, (out, record)).await
}

async fn judge_rounds(
    worker: &Rc<Worker>,
    asked: Asked<'_>,
    evidence: &mut Evidence<'_>,
    mut gone: impl FnMut(&mut Context<'_>) -> Poll<()>,
    (out, record): (&mut Vec<u8>, &mut Record),
) -> Judged {
    // A request waits for another's signature once at most: should that not be remembered, it has its own verified.
    let mut alone = false;
    for _ in 0..ROUNDS {
        match decide_once(worker, asked, evidence, out, record) {
            Decision::Allow(grant) => return Judged::Forward(Box::new(grant)),
            Decision::Answer(called) => return Judged::Answer(Box::new(called)),
            Decision::Refuse(refusal) => return Judged::Refuse(refusal),
            Decision::Preflight(preflight) => return Judged::Preflight(preflight),
            Decision::Converse(conversation) => return Judged::Converse(Box::new(conversation)),
            Decision::Need(Need::Body(wanted)) => return Judged::Body(wanted),
            Decision::Need(Need::Keys(miss)) => {
                let Some(answer) = unless_gone(&mut gone, (worker.shared.parts.ask_keys)(miss)).await else {
                    return Judged::Gone;
                };
                record.waited();
                evidence.keys = Some(answer);
            }
            Decision::Need(Need::Record(asked)) => {
                let found = unless_gone(&mut gone, (worker.shared.parts.ask_record)(asked)).await;
                let Some(found) = found else { return Judged::Gone };
                record.waited();
                evidence.record = Some(found);
            }
            Decision::Need(Need::Signature(work)) => {
                let wait = worker.signatures.wait(work, record.client, alone);
                let waited = unless_gone(&mut gone, wait).await;
                record.waited();
                match waited {
                    Some(Waited::Verdict(verdict)) => evidence.signature = Some(verdict),
                    Some(Waited::Shared) => alone = true,
                    Some(Waited::Refused(refusal)) => return Judged::Refuse(refusal),
                    None => return Judged::Gone,
                }
            }
        }
    }
    Judged::Refuse(
        Denial::new(Reason::Overloaded, "keys changed faster than a decision could be made").into(),
    )
}

/// The body, where it has come with its head and may be judged by: it stays where it is, to go on as any that has, and
/// takes no more room than the buffer does that it stands in.
fn body_here<'a>(worker: &Worker, asked: Asked<'a>) -> Option<&'a [u8]> {
    let Framing::Length(length) = asked.head.framing else { return None };
    let length = usize::try_from(length).ok()?;
    let begins = asked.head.length;
    let here = asked.octets.get(begins..begins.checked_add(length)?)?;
    (length <= worker.limits().inspected_body && !asked.head.expects_continue).then_some(here)
}

/// Waits, as long as the client does.
async fn unless_gone<T>(
    gone: &mut impl FnMut(&mut Context<'_>) -> Poll<()>,
    wait: impl Future<Output = T>,
) -> Option<T> {
    let mut wait = pin!(wait);
    poll_fn(|context| match wait.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => gone(context).map(|()| None),
    })
    .await
}

/// One round: nothing in it waits, and nothing of the snapshot outlives it.
fn decide_once(
    worker: &Worker,
    asked: Asked<'_>,
    evidence: &mut Evidence<'_>,
    out: &mut Vec<u8>,
    record: &mut Record,
) -> Decision {
    let Asked { head, octets: buffer, downstream, presented, message } = asked;
    let snapshot = worker.shared.parts.reader.load();
    record.read(snapshot.generation, worker.view(&snapshot));
    let way = downstream.way(head, buffer);
    record.client = way.client;
    let Ok(path) = path::canonical(text(buffer, &head.path)) else {
        return Decision::Refuse(Denial::new(Reason::MalformedRequest, "a path that is none").into());
    };
    let fields: SmallVec<[Field<'_>; 32]> = head
        .lines
        .iter()
        // What is not forwarded is not judged by: nobody could tell the one from the other afterwards.
        .filter(|line| !matches!(line.known, Known::HopByHop | Known::Forwarding | Known::Via))
        .map(|line| Field { name: octets(buffer, &line.name), value: octets(buffer, &line.value) })
        .collect();
    let host = lower(text(buffer, &head.host));
    let request = Request {
        method: text(buffer, &head.method),
        host: &host,
        path,
        query: head.query.as_ref().map(|query| text(buffer, query)),
        headers: &fields,
        peer: way.client,
        websocket: head
            .websocket
            .as_ref()
            .map(|_| Handshake { authority: way.authority, secure: way.scheme == "https" }),
        tls: downstream.tls.as_deref(),
        presented,
        message,
    };
    let mut memo = worker.memo.borrow_mut();
    let decided = guarded(|| gate::decide(&snapshot, &mut memo, &request, evidence, now()));
    drop(memo);
    worker.count_memo();
    match decided {
        Ok(Decision::Allow(grant)) if presented.is_some() && message.is_none() => Decision::Allow(grant),
        Ok(Decision::Allow(grant)) => {
            write_head(out, asked, &way, &request, &grant, &snapshot.routes);
            Decision::Allow(grant)
        }
        Ok(decision) => decision,
        Err(denial) => Decision::Refuse(denial.into()),
    }
}

/// Does what may have a fault of ours in it: a panic fails this request and no other, and never lets it through. The
/// process's hook counts it.
pub(in crate::proxy) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Denial> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| Denial::new(Reason::Internal, "a fault of the gateway itself"))
}

/// Writes the head to send upstream: what was matched, without any credential or identity header of the
/// client's, and with the grant's.
fn write_head(
    out: &mut Vec<u8>,
    asked: Asked<'_>,
    way: &Way<'_>,
    request: &Request<'_>,
    grant: &Grant,
    routes: &Routes,
) {
    let Asked { head, octets: buffer, downstream, presented: _, message } = asked;
    let places = routes.credential_places();
    let identity = routes.identity_headers();
    let keep = grant.route().config.forward.keep_authorization;
    let host = match &grant.upstream().host {
        UpstreamHost::Keep => Cow::Borrowed(way.authority),
        // The peer's, which is chosen later: `forward` writes it over this one.
        UpstreamHost::Upstream => Cow::Borrowed(way.authority),
        UpstreamHost::Literal(host) => Cow::Borrowed(&**host),
    };
    let instead = grant.asked().filter(|_| request.message.is_none());
    let instead = instead.and_then(|asked| asked.instead.as_deref());
    // What was asked for may stand in the query, where the request has no body.
    let (asked_by_query, length) = match instead {
        Some(text) if matches!(request.method, "GET" | "HEAD") => (std::str::from_utf8(text).ok(), None),
        Some(text) => (None, Some(text.len() as u64)),
        None => (None, None),
    };
    // A query ends in logs and histories: a token in it goes no further, `keep` or not.
    let query = asked_by_query.or(request.query).map(|query| without(query, &places.parameters));
    let query = query.and_then(|query| reserved::query(grant, query));
    // `keep` is for the credential that was verified: one that this route does not look at says nothing.
    let kept = |place: &TokenPlace| keep && grant.route().places.contains(place);
    let stripped: SmallVec<[&str; 4]> = places
        .cookies
        .iter()
        .map(|name| &**name)
        .filter(|name| !kept(&TokenPlace::Cookie((*name).into())))
        .collect();
    let cookies = if stripped.is_empty() { Vec::new() } else { other_cookies(request, &stripped) };
    let mut add: SmallVec<[(&str, &[u8]); 8]> =
        grant.headers().iter().map(|(name, value)| (&**name, value.as_bytes())).collect();
    add.extend(cookies.iter().map(|value| ("cookie", value.as_slice())));
    let keeps = |name: &[u8]| {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        kept(&TokenPlace::Header(name.into()))
    };
    // A message that an extension has transformed could not be read.
    let read = message.is_some() || grant.route().reauthenticate().is_some();
    let plain = request.websocket.is_some() && read;
    let narrowed = grant.narrowed();
    add.extend(narrowed.map(|narrowed| ("accept", narrowed.accept.as_bytes())));
    add.extend(reserved::line(grant));
    let is_read = narrowed.is_some() || reserved::is_read(grant);
    let drop = |name: &[u8], value: &[u8]| {
        identity.contains(name)
            || (is_read && is_about_the_answer(name))
            || reserved::drops(grant, name)
            || (plain && name.eq_ignore_ascii_case(b"sec-websocket-extensions"))
            // What is spoken with the upstream is said by whoever speaks it.
            || (message.is_some() && name.eq_ignore_ascii_case(b"sec-websocket-protocol"))
            || (places.headers.contains(name) && !keeps(name))
            || (!stripped.is_empty() && name.eq_ignore_ascii_case(b"cookie") && has_cookie(value, &stripped))
    };
    write::request_head(
        out,
        buffer,
        head,
        &RequestEdits {
            path: match &request.path {
                Path::Canonical(path) => path,
                Path::Dangerous(path) => path,
            },
            query: query.as_deref(),
            length,
            host: &host,
            original_host: way.host,
            client: way.client,
            through: &way.through,
            scheme: way.scheme,
            received: downstream.version.received(head.http10),
            authorization: keep && !identity.contains(b"authorization"),
            drop: &drop,
            add: &add,
        },
    );
}

/// Whether a request's line is about what its answer shall be like: one that something is added to can be neither encoded
/// nor in parts, and is no other's.
fn is_about_the_answer(name: &[u8]) -> bool {
    const LINES: [&[u8]; 7] = [
        b"accept",
        b"accept-encoding",
        b"range",
        b"if-range",
        b"if-none-match",
        b"if-match",
        b"if-modified-since",
    ];
    LINES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The key that a consistent hash goes by: the subject, else the client's address.
pub(in crate::proxy) fn balance_key(grant: &Grant, client: std::net::IpAddr) -> Vec<u8> {
    match grant.identity() {
        Identity::Token { facts, .. } => match facts.subject() {
            Some(subject) => subject.as_bytes().to_vec(),
            None => client.to_string().into_bytes(),
        },
        Identity::Anonymous => client.to_string().into_bytes(),
    }
}

/// A host as routes are matched by it: lower case, without the dot of the root.
pub(in crate::proxy) fn lower(host: &str) -> Cow<'_, str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|octet| octet.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// A query without these parameters, however an upstream may spell their names: escaped, or after a `;`.
fn without<'q>(query: &'q str, parameters: &[Box<str>]) -> Cow<'q, str> {
    let named = |pair: &str| {
        let name = condition::decoded(pair.split_once('=').map_or(pair, |(name, _)| name));
        parameters.iter().any(|parameter| **parameter == name)
    };
    let is_credential = |pair: &str| pair.split(';').any(named);
    if parameters.is_empty() || !query.split('&').any(is_credential) {
        return Cow::Borrowed(query);
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_credential(pair)).collect();
    Cow::Owned(kept.join("&"))
}

fn has_cookie(value: &[u8], names: &[&str]) -> bool {
    value.split(|octet| *octet == b';').any(|pair| is_cookie(pair, names))
}

fn is_cookie(pair: &[u8], names: &[&str]) -> bool {
    let name = pair.split(|octet| *octet == b'=').next().unwrap_or_default().trim_ascii();
    names.iter().any(|known| known.as_bytes() == name)
}

/// What is left of the `Cookie` lines that held a credential.
fn other_cookies(request: &Request<'_>, names: &[&str]) -> Vec<Vec<u8>> {
    let lines = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"cookie"));
    lines
        .filter(|field| has_cookie(field.value, names))
        .map(|field| {
            let pairs = field.value.split(|octet| *octet == b';').map(<[u8]>::trim_ascii);
            pairs.filter(|pair| !is_cookie(pair, names)).collect::<Vec<_>>().join(&b"; "[..])
        })
        .filter(|rest| !rest.is_empty())
        .collect()
}

/// Time left until a deadline a duration from now.
pub(in crate::proxy) fn from_now(duration: Duration) -> Instant {
    Instant::now() + duration
}

#[cfg(test)]
mod tests;
