//! `/v1/revocations/import`: entries by the line, as many as there are, answered while they are read.
//!
//! Nothing is held but a batch, and no more is read while that batch is on its way to the disk: a client that is faster
//! than the disk waits. A client may send all it has before it reads a word of the answer: what is said meanwhile has
//! room, or is left out. How far it came is said at the end, so that what was cut short can go on from there.

#![expect(unused_qualifications, reason = "what utoipa's macros write")]

mod lines;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap};
use hyper::body::{Body as _, Frame};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use crate::admin::Ongoing;
use crate::admin::api::importing::lines::{Line, Lines};
use crate::admin::api::revocations::{malformed, refuse};
use crate::admin::api::shapes::{Extra, Problem};
use crate::admin::api::{Shared, handed_over, is_of_type, problem_body, rehearsed, written_or_logged};
use crate::admin::readiness;
use crate::admin::revocations::{Imported, Manner, Refused};
use crate::audit::{self, Asker, Audit, Event};
use crate::store::BATCH;

/// The query.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin::api) struct How {
    /// Says what would be added, and adds nothing.
    #[param(nullable = false)]
    dry_run: Option<bool>,
    /// Stops at the first line that is refused: what stands before it is in force, what stands behind it is not looked at.
    #[param(nullable = false)]
    strict: Option<bool>,
}

/// A line of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ImportLine)]
enum Said {
    Refused(RefusedLine),
    Progress(Progress),
    End(End),
}

/// A line that was refused. Of many, the first are told and the others counted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportRefused)]
struct RefusedLine {
    /// Counted from 1.
    line: u64,
    what: String,
    hint: String,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImportProgress)]
struct Progress {
    /// Lines that were dealt with, empty ones too: each of them was added or refused.
    lines: u64,
    /// Entries that were added, or would be.
    added: u64,
    /// Lines that were refused.
    refused: u64,
}

/// The last line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportEnd)]
struct End {
    /// Whether all lines were dealt with. If not, `lines` of them were: go on behind that one.
    done: bool,
    /// Like [`Progress::lines`].
    lines: u64,
    /// Like [`Progress::added`].
    added: u64,
    /// Like [`Progress::refused`].
    refused: u64,
    /// What is allowed, and hardly meant.
    warnings: Vec<String>,
    /// Why it is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip)]
    #[schema(ignore)]
    fault: Option<Fault>,
}

/// Why an import ended before its lines did.
#[derive(Debug)]
enum Stop {
    /// This line was refused, and no other was to be read behind one. That was said of the line: it is never the first
    /// thing that is said.
    Strict(u64),
    Fault(Fault),
}

/// What keeps an import from going on, and the request from an answer of lines if it was so from the beginning.
#[derive(Debug)]
enum Fault {
    Refused(Refused),
    /// The body does not keep to its framing, or the client has gone.
    Broken,
    /// The body does not go on.
    Stalled,
    /// The process ends, or another one has taken over.
    Ending,
}

/// Adds what stands on the lines of the body.
///
/// A line of the body is an entry (`#/components/schemas/Entry`). Lines of the answer are those that were refused, how far it
/// is now and then, and at last whether it is done, or up to which line and why no further.
#[utoipa::path(post, path = "/v1/revocations/import", params(How),
    request_body(content = serde_json::Value, content_type = "application/x-ndjson", description = "An entry a line."),
    responses(
        (status = 200, description = "Lines.", body = Said, content_type = "application/x-ndjson"),
        (status = 408, description = "The body did not go on.", body = Problem,
         content_type = "application/problem+json"),
        (status = 415, description = "The body is of another type.", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(in crate::admin::api) async fn import(
    State(shared): State<Arc<Shared>>,
    ongoing: Option<Extension<Ongoing>>,
    Extension(asker): Extension<Asker>,
    how: Result<Query<How>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(Query(How { dry_run, strict })) = how else {
        return malformed("the query is `dry_run=true` or `strict=true`, both of them, or nothing");
    };
    let manner = Manner { dry_run: dry_run.unwrap_or(false), strict: strict.unwrap_or(false) };
    let response = import_in(shared, ongoing, asker, manner, &headers, body).await;
    if manner.dry_run { rehearsed(response) } else { response }
}

/// Answers once it is known whether there is anything to be said of lines.
async fn import_in(
    shared: Arc<Shared>,
    ongoing: Option<Extension<Ongoing>>,
    asker: Asker,
    manner: Manner,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    if !is_of_type(headers, NDJSON) {
        let detail = "the body is application/x-ndjson: one entry a line";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return problem_body(status, "unsupported_media_type", detail, Extra::default());
    }
    if let Some(response) = handed_over(&shared).filter(|_| !manner.dry_run) {
        return response;
    }
    // The connection lives as long as this does.
    let ongoing = ongoing.and_then(|Extension(Ongoing(ongoing))| ongoing.try_acquire_owned().ok());
    let (sender, mut said) = mpsc::channel(ROOM);
    let (answer, is_answered) = oneshot::channel();
    let import = Import {
        manner,
        body,
        progress: Progress::default(),
        told: (0, Instant::now()),
        warnings: BTreeSet::new(),
        said: sender,
        place: shared.readiness.import(),
        shared,
        asker,
        has_said: false,
    };
    // Who asks and hangs up must not leave a batch half way.
    tokio::spawn(import.run(ongoing, is_answered));
    match said.recv().await {
        Some(Said::End(End { fault: Some(fault), lines: 0, .. })) => fault.response(),
        Some(first) => {
            let lines = Body::new(Answer { first: Some(first), said, _answered: answer });
            (StatusCode::OK, [(header::CONTENT_TYPE, NDJSON)], lines).into_response()
        }
        None => Fault::Broken.response(),
    }
}

struct Import {
    shared: Arc<Shared>,
    asker: Asker,
    manner: Manner,
    body: Body,
    progress: Progress,
    /// At which line, and when, progress was told last.
    told: (u64, Instant),
    warnings: BTreeSet<String>,
    said: mpsc::Sender<Said>,
    /// Anything at all: what is refused before is answered with a status, and written down by who sees that.
    has_said: bool,
    place: readiness::Import,
}

impl Import {
    /// Until the last word is on its way. `answered` ends with the answer.
    async fn run(mut self, _ongoing: Option<OwnedSemaphorePermit>, answered: oneshot::Receiver<()>) {
        let stop = self.lines().await.err();
        let Progress { lines, added, refused } = self.progress;
        tracing::info!(lines, added, refused, done = stop.is_none(), "revocations were imported");
        let (reason, detail) = stop.as_ref().map(|stop| stop.words(lines)).unzip();
        let end = End {
            done: stop.is_none(),
            lines,
            added,
            refused,
            warnings: self.warnings.iter().cloned().collect(),
            reason,
            detail,
            fault: stop.and_then(Stop::fault),
        };
        if !self.manner.dry_run && (self.has_said || lines > 0 || end.done) {
            let (asker, why) = (self.asker.clone(), end.reason);
            let how = if end.done { audit::End::Done } else { audit::End::Failed };
            let ended = move |audit: &Audit| audit.ended(&asker, Event::Revoke, how, why);
            written_or_logged(&self.shared, ended).await;
        }
        // Whoever asked may be gone.
        let _told = timeout(LAST_WORD, self.said.send(Said::End(end))).await;
        // A connection that closes on what it has not read is reset, and the end may not arrive.
        let _drained =
            timeout(LAST_WORD, async { while let Ok(Some(_)) = octets(&mut self.body).await {} }).await;
        let Self { said, place, .. } = self;
        drop(said);
        let _gone_or_not = timeout(LAST_WORD, answered).await;
        drop(place);
    }

    async fn lines(&mut self) -> Result<(), Stop> {
        let (mut lines, mut batch) = (Lines::default(), Vec::new());
        let mut octets = 0;
        while let Some(mut piece) = self.piece().await? {
            while let Some(line) = lines.next(&mut piece) {
                octets += line.octets.len();
                batch.push(line);
                if batch.len() == BATCH || octets >= OCTETS {
                    self.keep(std::mem::take(&mut batch)).await?;
                    octets = 0;
                }
            }
        }
        batch.extend(lines.rest());
        self.keep(batch).await?;
        self.progress.lines = lines.number();
        Ok(())
    }

    /// The next octets of the body, unless this is to end.
    async fn piece(&mut self) -> Result<Option<Bytes>, Fault> {
        let Self { body, place, .. } = self;
        tokio::select! {
            biased;
            () = place.is_to_end() => Err(Fault::Ending),
            octets = octets(body) => octets,
        }
    }

    async fn keep(&mut self, batch: Vec<Line>) -> Result<(), Stop> {
        // Also without a line, to hear whether there is a store at all.
        let numbers: Vec<u64> = batch.iter().map(|line| line.number).collect();
        let number = |place: usize| numbers.get(place).copied().unwrap_or_default();
        let lines = batch.into_iter().map(|line| line.octets).collect();
        let import = &self.shared.controls.revocations.import;
        let done = import(lines, self.manner, self.asker.clone()).await.map_err(Fault::Refused)?;
        let Imported { added, refused, warnings } = done;
        self.progress.added += added as u64;
        for (place, whys) in &refused {
            self.progress.refused += 1;
            for why in whys.iter().take(WHYS) {
                if self.progress.refused <= MOST_PROBLEMS {
                    let (what, hint) = (why.what.clone(), why.hint.clone());
                    self.tell(Said::Refused(RefusedLine { line: number(*place), what, hint }));
                }
            }
        }
        for warning in warnings {
            if self.warnings.len() < MOST_WARNINGS {
                self.warnings.insert(warning);
            }
        }
        if let (true, Some((place, _))) = (self.manner.strict, refused.first()) {
            self.progress.lines = number(*place);
            return Err(Stop::Strict(number(*place)));
        }
        self.progress.lines = numbers.last().copied().unwrap_or(self.progress.lines);
        let (line, at) = self.told;
        if self.progress.lines - line >= EVERY || at.elapsed() >= OFTEN {
            self.told = (self.progress.lines, Instant::now());
            self.tell(Said::Progress(self.progress));
        }
        Ok(())
    }

    /// Says it if there is room: a client may not read before it has sent everything.
    fn tell(&mut self, said: Said) {
        self.has_said = true;
        let _left_out = self.said.try_send(said);
    }
}

/// The next octets of a body.
async fn octets(body: &mut Body) -> Result<Option<Bytes>, Fault> {
    match timeout(STALL, poll_fn(|context| Pin::new(&mut *body).poll_frame(context))).await {
        Err(_) => Err(Fault::Stalled),
        Ok(None) => Ok(None),
        Ok(Some(Err(_))) => Err(Fault::Broken),
        Ok(Some(Ok(frame))) => Ok(Some(frame.into_data().unwrap_or_default())),
    }
}

impl Stop {
    /// Why, in a word and in a sentence.
    fn words(&self, lines: u64) -> (&'static str, String) {
        match self {
            Self::Strict(line) => ("entries_refused", up_to(lines, &format!("line {line} was refused"))),
            Self::Fault(fault) => fault.words(lines),
        }
    }

    fn fault(self) -> Option<Fault> {
        match self {
            Self::Strict(_) => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Fault {
    fn words(&self, lines: u64) -> (&'static str, String) {
        let (reason, why) = match self {
            Self::Refused(Refused::Malformed(why)) => ("malformed_request", why.clone()),
            Self::Refused(Refused::Entries(whys)) => ("entries_refused", whys.join("; ")),
            Self::Refused(Refused::Unknown) => ("no_entry", "there is no such entry".to_owned()),
            Self::Refused(Refused::NoStore(why)) => ("store_unavailable", (*why).to_owned()),
            Self::Refused(Refused::Unavailable(why)) => ("store_unavailable", why.clone()),
            Self::Broken => ("malformed_request", "the body broke off".to_owned()),
            Self::Stalled => ("request_timeout", "the body did not go on".to_owned()),
            Self::Ending => ("handed_over", "this process ends; ask the one that serves then".to_owned()),
        };
        (reason, up_to(lines, &why))
    }

    /// The answer where nothing has been said yet.
    fn response(self) -> Response {
        let (reason, detail) = self.words(0);
        let status = match self {
            Self::Refused(refused) => return refuse(refused),
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Ending => StatusCode::SERVICE_UNAVAILABLE,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
        };
        problem_body(status, reason, &detail, Extra::default())
    }
}

/// Why, and where to go on.
fn up_to(lines: u64, why: &str) -> String {
    match lines {
        0 => format!("{why}; no line was added"),
        1.. => format!("{why}; up to line {lines} all was dealt with: go on behind it"),
    }
}

/// The answer's body, a line for each thing that is said.
struct Answer {
    first: Option<Said>,
    said: mpsc::Receiver<Said>,
    /// Dropped with this.
    _answered: oneshot::Sender<()>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let said = match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => self.said.poll_recv(context),
        };
        said.map(|said| {
            let mut line = serde_json::to_vec(&said?).unwrap_or_default();
            line.push(b'\n');
            Some(Ok(Frame::data(line.into())))
        })
    }
}

/// What the lines are (and those of the answer).
pub(in crate::admin::api) const NDJSON: &str = "application/x-ndjson";
/// Octets after which a batch is added, however few lines it has.
const OCTETS: usize = 2_000_000;
/// For the next octet of the body.
const STALL: Duration = Duration::from_secs(30);
/// For the client to take the last line, and then to end its body.
const LAST_WORD: Duration = Duration::from_secs(10);
/// Lines after which progress is told, and time.
const EVERY: u64 = 100_000;
const OFTEN: Duration = Duration::from_secs(1);
/// Lines that were refused of which it is said why, and things that are said of one.
const MOST_PROBLEMS: u64 = 50;
const WHYS: usize = 8;
/// Warnings that are kept.
const MOST_WARNINGS: usize = 20;
/// Things that are said and not read yet.
const ROOM: usize = 512;
