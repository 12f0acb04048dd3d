//! What the admin listener answers.

mod api_keys;
mod document;
mod holders;
mod importing;
mod revocations;
mod shapes;
mod signing_keys;
mod users;

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;
use subtle::ConstantTimeEq;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::api::shapes::{Extra, Problem, Ready, Reloaded, Status};
use crate::admin::attempts::Attempts;
use crate::admin::readiness::Readiness;
use crate::admin::{Arrived, Controls, Parts};
use crate::audit::{Asker, Audit, End, Event};
use crate::gate::denial::Reason;
use crate::metrics::Metrics;

/// What the endpoints share.
struct Shared {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    controls: Controls,
    audit: Option<Arc<Audit>>,
    attempts: Attempts,
    started: Instant,
    started_unix: u64,
    /// Of all endpoints.
    document: OpenApi,
}

/// Stands on an answer to what changes nothing, whatever came of it: only who read the query knows.
#[derive(Debug, Clone, Copy)]
struct Rehearsal;

/// Who asks: there is one token for all operators.
const ACTOR: &str = "admin";

/// What is answered while it is done.
const IMPORT: &str = "/v1/revocations/import";

/// Paths that never need the token.
const OPEN: [&str; 3] = ["/metrics", "/livez", "/readyz"];

/// Every endpoint, behind the checks that all of them share.
pub fn router(parts: Parts) -> Router {
    let (router, document) = documented().split_for_parts();
    let shared = Arc::new(Shared {
        address: parts.address,
        metrics: parts.metrics,
        readiness: parts.readiness,
        controls: parts.controls,
        audit: parts.audit,
        attempts: Attempts::default(),
        started: Instant::now(),
        started_unix: unix_seconds(),
        document: document::guarded(document),
    });
    router
        .fallback(|| async { problem(Reason::NoRoute, "there is no such endpoint") })
        .method_not_allowed_fallback(|| async { problem(Reason::MethodNotAllowed, "not by this method") })
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

/// The endpoints, and what is said of them: none is there that the document does not have.
fn documented() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::with_openapi(document::base())
        .routes(routes!(metrics))
        .routes(routes!(livez))
        .routes(routes!(readyz))
        .routes(routes!(openapi))
        .routes(routes!(status))
        .routes(routes!(config))
        .routes(routes!(reload))
        .routes(routes!(revocations::list, revocations::add))
        .routes(routes!(importing::import))
        .routes(routes!(revocations::lift))
        .routes(routes!(signing_keys::list))
        .routes(routes!(signing_keys::rotate))
        .routes(routes!(api_keys::list, api_keys::make))
        .routes(routes!(api_keys::show, api_keys::change, api_keys::remove))
        .routes(routes!(api_keys::add_secret))
        .routes(routes!(api_keys::remove_secret))
        .routes(routes!(users::list, users::make))
        .routes(routes!(users::show, users::change, users::remove))
}

/// The checks before any endpoint: whom the request means, and who asks. What is refused here is written down too.
async fn guard(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let arrived = request.extensions().get::<Arrived>().copied();
    let peer = arrived.map_or_else(|| (IpAddr::from([0; 4]), 0).into(), |arrived| arrived.from);
    let mut asker = Asker { request_id: request_id().into(), peer, actor: None };
    let request_id = Arc::clone(&asker.request_id);
    let refused = misdirected(&request, shared.address.ip(), arrived.map(|arrived| arrived.at))
        .or_else(|| unauthenticated(&shared, &request, peer.ip()));
    let response = match refused {
        Some(refused) if OPEN.contains(&request.uri().path()) => refused,
        Some(refused) => {
            let (event, why) = (event(&request), why(&refused));
            let turned_away = move |audit: &Audit| audit.turned_away(&asker, event, &why);
            written_or_logged(&shared, turned_away).await;
            refused
        }
        None => {
            asker.actor = Some(ACTOR);
            request.extensions_mut().insert(asker.clone());
            written_down(&shared, asker, request, next).await
        }
    };
    let mut response = signed(response, &request_id);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if shared.readiness.is_handed_over() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Runs the endpoint, and writes down how a change that was asked for ended. That it is asked for, each endpoint writes
/// itself, once it knows what it is about and that it is no rehearsal.
async fn written_down(shared: &Arc<Shared>, asker: Asker, request: Request, next: Next) -> Response {
    let event = event(&request);
    if shared.audit.is_none() || event == Event::Read {
        return next.run(request).await;
    }
    let shared = Arc::clone(shared);
    // In a task of its own: a client that hangs up does not keep the end from being written.
    let ended = tokio::spawn(async move {
        let goes_on = request.uri().path() == IMPORT;
        let response = next.run(request).await;
        if response.extensions().get::<Rehearsal>().is_some() {
            return response;
        }
        let end = match response.status() {
            // What goes on behind its status writes down its end itself.
            status if status.is_success() && goes_on => return response,
            status if status.is_success() => End::Done,
            status if status.is_server_error() => End::Failed,
            _ => End::Refused,
        };
        let why = (end != End::Done).then(|| why(&response));
        written_or_logged(&shared, move |audit| audit.ended(&asker, event, end, why.as_deref())).await;
        response
    });
    ended.await.unwrap_or_else(|_| problem(Reason::Internal, "a fault of the gateway"))
}

/// What is asked for.
fn event(request: &Request) -> Event {
    let path = request.uri().path();
    match *request.method() {
        Method::POST if path == "/v1/reload" => Event::Reload,
        Method::POST if path.starts_with("/v1/revocations") => Event::Revoke,
        Method::DELETE if path.starts_with("/v1/revocations") => Event::Lift,
        Method::POST if path.starts_with("/v1/api-keys") && path.ends_with("/secrets") => Event::ChangeKey,
        Method::POST if path.starts_with("/v1/api-keys") => Event::MakeKey,
        Method::PATCH if path.starts_with("/v1/api-keys") => Event::ChangeKey,
        Method::DELETE if path.starts_with("/v1/api-keys") && path.contains("/secrets/") => Event::ChangeKey,
        Method::DELETE if path.starts_with("/v1/api-keys") => Event::RemoveKey,
        Method::POST if path == "/v1/keys/rotate" => Event::RotateKeys,
        Method::POST if path.starts_with("/v1/users") => Event::MakePerson,
        Method::PATCH if path.starts_with("/v1/users") => Event::ChangePerson,
        Method::DELETE if path.starts_with("/v1/users") => Event::RemovePerson,
        _ => Event::Read,
    }
}

/// The answer, which is that of a rehearsal.
fn rehearsed(mut response: Response) -> Response {
    response.extensions_mut().insert(Rehearsal);
    response
}

async fn written_or_logged(shared: &Shared, line: impl FnOnce(&Audit) -> io::Result<()> + Send + 'static) {
    if let Err(error) = write(shared, line).await {
        tracing::error!(%error, "the audit file cannot be written");
    }
}

/// Writes a line, if any is wanted, on a thread that may wait for the disk.
async fn write(
    shared: &Shared,
    line: impl FnOnce(&Audit) -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let Some(audit) = shared.audit.clone() else { return Ok(()) };
    tokio::task::spawn_blocking(move || line(&audit))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// What is answered when what was asked for cannot be written down first.
fn unwritten(error: &io::Error) -> Response {
    tracing::error!(%error, "the audit file cannot be written");
    let detail = format!("the audit file cannot be written: {error}; nothing has changed");
    problem_body(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", &detail, Extra::default())
}

/// The metrics, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let text = shared.metrics.render(i64::try_from(unix_seconds()).unwrap_or(i64::MAX));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whether the process lives: always, if it answers.
#[utoipa::path(get, path = "/livez", responses((status = 200, body = String, content_type = "text/plain")))]
async fn livez() -> &'static str {
    "ok\n"
}

/// Whether new traffic should come here, and if not, why.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "It should.", body = Ready),
    (status = 503, description = "It should not.", body = Ready),
))]
async fn readyz(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let reasons = shared.readiness.reasons(&(shared.controls.status)().waiting);
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: reasons.is_empty(), reasons }))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = Value)))]
async fn openapi(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(document::written(&shared.document, &(shared.controls.claims)()))
}

/// What is in force, where it came from, and how the process is.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status)))]
async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    let now = (shared.controls.status)();
    let reasons = shared.readiness.reasons(&now.waiting);
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        started: shared.started_unix,
        uptime_seconds: shared.started.elapsed().as_secs(),
        ready: Ready { ready: reasons.is_empty(), reasons },
        detail: now.detail,
    })
}

/// The configuration in force, in long form, secrets redacted.
#[utoipa::path(get, path = "/v1/config", responses((status = 200, body = Value, content_type = "application/yaml")))]
async fn config(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/yaml")], (shared.controls.config)())
}

/// Reads the configuration, and every file it names, again.
#[utoipa::path(post, path = "/v1/reload", responses(
    (status = 200, description = "It is in force.", body = Reloaded),
    (status = 409, description = "The change needs a restart; nothing has changed.", body = Problem,
     content_type = "application/problem+json"),
    (status = 422, description = "It was refused; nothing has changed.", body = Problem,
     content_type = "application/problem+json"),
))]
async fn reload(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    RawQuery(query): RawQuery,
) -> Response {
    if let Some(response) = with_query(query.as_deref()).or_else(|| handed_over(&shared)) {
        return response;
    }
    if let Err(error) = write(&shared, move |audit| audit.asked(&asker, Event::Reload, &[])).await {
        return unwritten(&error);
    }
    match (shared.controls.reload)().await {
        Ok(generation) => {
            let status = (shared.controls.status)();
            let warnings = status.detail.get("warnings").and_then(Value::as_array);
            let text = |warning: &Value| warning.as_str().map(str::to_owned);
            let warnings = warnings.map(|warnings| warnings.iter().filter_map(text).collect());
            Json(Reloaded { generation, warnings: warnings.unwrap_or_default() }).into_response()
        }
        Err(refused) => {
            let (status, detail) = if refused.needs_restart {
                (StatusCode::CONFLICT, "this change needs a restart; nothing has changed")
            } else {
                (StatusCode::UNPROCESSABLE_ENTITY, "the configuration was refused; nothing has changed")
            };
            let extra = Extra { problems: Some(refused.problems), more: None };
            problem_body(status, "reload_refused", detail, extra)
        }
    }
}

/// What is refused where nothing may be said in a query: who believes that it is a rehearsal must not do the thing itself.
fn with_query(query: Option<&str>) -> Option<Response> {
    let refused = || problem(Reason::MalformedRequest, "there is no query here, and no `dry_run`");
    query.is_some_and(|query| !query.is_empty()).then(refused)
}

/// What this process must not change any more.
fn handed_over(shared: &Shared) -> Option<Response> {
    let detail = "another process has taken over; ask again";
    let refused = || problem_body(StatusCode::SERVICE_UNAVAILABLE, "handed_over", detail, Extra::default());
    shared.readiness.is_handed_over().then(refused)
}

/// A `Host` (or absolute-form target) that is not this listener's: DNS rebinding, or a proxy gone wrong. And a
/// change that a web page of another origin asks for.
fn misdirected(request: &Request, configured: IpAddr, arrived: Option<IpAddr>) -> Option<Response> {
    let ours = |authority: &str| is_ours(authority, configured, arrived);
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Some(problem(Reason::MalformedRequest, "exactly one Host is needed"));
    };
    let host = host.to_str().unwrap_or_default();
    let target = request.uri().authority();
    if !ours(host) || target.is_some_and(|target| !ours(target.as_str())) {
        return Some(problem(Reason::Misdirected, "the Host is not one of this listener's"));
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let foreign = request.headers().get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        origin.strip_prefix("http://").is_none_or(|origin| !origin.eq_ignore_ascii_case(host))
    });
    (!safe && foreign)
        .then(|| problem(Reason::Misdirected, "a page of another origin may not ask for changes"))
}

/// Whether `authority` names this listener: a loopback name or address, the configured address, or the one the
/// connection arrived at. The port is not looked at: it changes when it is forwarded.
fn is_ours(authority: &str, configured: IpAddr, arrived: Option<IpAddr>) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) if port.is_empty() || port.starts_with(':') => host,
            Some(_) | None => return false,
        },
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let Ok(address) = host.parse::<IpAddr>() else { return false };
    let address = address.to_canonical();
    address.is_loopback() || address == configured.to_canonical() || arrived == Some(address)
}

fn unauthenticated(shared: &Shared, request: &Request, from: IpAddr) -> Option<Response> {
    if OPEN.contains(&request.uri().path()) {
        return None;
    }
    let Some(token) = (shared.controls.token)() else {
        if shared.address.ip().to_canonical().is_loopback() {
            return None;
        }
        let detail = "no admin token is configured, and this listener is not on loopback";
        return Some(challenge(Reason::NoCredentials, "Bearer realm=\"portcullis\"", detail));
    };
    let now = Instant::now();
    match presented(request.headers()) {
        // Before it is looked at, so that the answer does not depend on it.
        Some(_) if let Some(wait) = shared.attempts.wait(from, now) => Some(limited(wait)),
        Some(sent) if same(sent, token.expose_secret().as_bytes()) => {
            shared.attempts.succeeded(from, now);
            None
        }
        Some(_) => {
            shared.attempts.failed(from, now);
            let with = "Bearer realm=\"portcullis\", error=\"invalid_token\"";
            Some(challenge(Reason::UnknownKey, with, "this is not the admin token"))
        }
        None => {
            Some(challenge(Reason::NoCredentials, "Bearer realm=\"portcullis\"", "the admin token is needed"))
        }
    }
}

/// What is answered where wrong tokens came from, until then whatever comes.
fn limited(wait: Duration) -> Response {
    let detail =
        "too many wrong tokens came from this address, or from all of them; this one was not looked at";
    let mut response = problem_body(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail, Extra::default());
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    response
}

/// What one `Authorization: Bearer` line carries. Any octets: the token is the operator's, not an RFC 6750 one.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let (scheme, token) = line.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// Whether the body is of this type, as far as is said.
fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    headers.get_all(header::CONTENT_TYPE).iter().all(|said| {
        let said = said.to_str().unwrap_or_default();
        let essence = said.split_once(';').map_or(said, |(essence, _)| essence);
        essence.trim().eq_ignore_ascii_case(wanted)
    })
}

/// In constant time. Digests have one length, so comparing them tells nothing about the token's.
fn same(sent: &[u8], token: &[u8]) -> bool {
    let (sent, token) = (digest(&SHA256, sent), digest(&SHA256, token));
    sent.as_ref().ct_eq(token.as_ref()).into()
}

fn challenge(reason: Reason, challenge: &'static str, detail: &str) -> Response {
    let mut response = problem(reason, detail);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

fn problem(reason: Reason, detail: &str) -> Response {
    let status = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    problem_body(status, reason.code(), detail, Extra::default())
}

/// A problem body (RFC 9457) with the members that every refusal of the gateway has, on its way to [`signed`].
fn problem_body(status: StatusCode, reason: &str, detail: &str, extra: Extra) -> Response {
    let mut response = status.into_response();
    response.extensions_mut().insert(Problem {
        kind: format!("urn:portcullis:reason:{reason}"),
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        extra,
        request_id: String::new(),
    });
    response
}

/// The word for what is wrong.
fn why(response: &Response) -> Box<str> {
    response.extensions().get::<Problem>().map_or("refused", |problem| &problem.reason).into()
}

/// The answer with the request's id, which a problem has in its body too.
fn signed(mut response: Response, request_id: &str) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let problem = Problem { request_id: request_id.to_owned(), ..problem };
        *response.body_mut() = Body::from(serde_json::to_vec(&problem).unwrap_or_default());
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert("x-request-id", request_id);
    }
    response
}

/// 128 random bits in hexadecimal.
fn request_id() -> String {
    let mut octets = [0; 16];
    // It is no secret: without randomness it is all zeros, and the answer still goes out.
    let _random = rand::fill(&mut octets);
    octets.iter().fold(String::new(), |mut text, octet| {
        let _infallible = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
