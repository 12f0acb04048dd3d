//! `/v1/revocations`: revoke, look, lift.

use std::str::FromStr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use http::header::{self, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::admin::api::{Shared, handed_over, problem_body};
use crate::admin::revocations::{Added, Refused, Rehearsed};
use crate::audit::Asker;
use crate::config::problems::{closest, quoted};
use crate::revocation::Kind;
use crate::store::{BATCH, Cursor, Entry, Filter, Id, Listed};

/// The query of `POST`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin::api) struct How {
    dry_run: Option<bool>,
}

/// The query of `GET`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin::api) struct Wanted {
    kind: Option<String>,
    issuer: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// Adds one entry or a list of them; `?dry_run=true` says what that would add.
pub(in crate::admin::api) async fn add(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    how: Result<Query<How>, QueryRejection>,
    body: Body,
) -> Response {
    // A slip in the word must not turn a rehearsal into the thing itself.
    let Ok(Query(how)) = how else {
        return malformed("the query is `dry_run=true`, or nothing");
    };
    let Ok(octets) = to_bytes(body, BODY).await else {
        let detail = format!("a body of more than {BODY} octets; send the entries in several requests");
        return problem_body(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &detail, Value::Null);
    };
    let ways = &shared.controls.revocations;
    if how.dry_run == Some(true) {
        return match (ways.rehearse)(octets.into()).await {
            Ok(would) => Json(rehearsed(&would)).into_response(),
            Err(refused) => refuse(refused),
        };
    }
    if let Some(response) = handed_over(&shared) {
        return response;
    }
    match (ways.add)(octets.into(), asker).await {
        // Nothing is created for tokens that have expired.
        Ok(added) if added.entries.is_empty() => answer(StatusCode::OK, &added),
        Ok(added) => answer(StatusCode::CREATED, &added),
        Err(refused) => refuse(refused),
    }
}

/// Entries that count, a page at a time.
pub(in crate::admin::api) async fn list(
    State(shared): State<Arc<Shared>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let Ok(Query(Wanted { kind, issuer, after, limit })) = wanted else {
        return malformed(
            "the query has `kind`, `issuer`, `after` (what `next` said) and `limit`, each once",
        );
    };
    if let Some(kind) = kind.as_deref().filter(|kind| Kind::from_name(kind).is_none()) {
        let names = Kind::ALL.map(Kind::name);
        let hint = closest(kind, names).map_or_else(
            || format!("there are {}", names.join(", ")),
            |name| format!("did you mean `{name}`?"),
        );
        return malformed(&format!("there is no kind {} ({hint})", quoted(kind)));
    }
    let limit = limit.unwrap_or(PAGE);
    if !(1..=BATCH).contains(&limit) {
        return malformed(&format!("`limit` is a number from 1 to {BATCH}"));
    }
    let after = match after.map(|after| base64_simd::URL_SAFE_NO_PAD.decode_to_vec(after)).transpose() {
        Ok(after) => after.map(|octets| Cursor::new(&octets)),
        Err(_) => return malformed("`after` is what `next` of the page before said"),
    };
    let filter = Filter { kind: kind.map(Into::into), issuer: issuer.map(Into::into) };
    match (shared.controls.revocations.list)(filter, after, limit).await {
        Ok(Listed { entries, next }) => {
            let next = next.map(|next| base64_simd::URL_SAFE_NO_PAD.encode_to_string(next.octets()));
            let entries: Vec<Value> = entries.iter().map(shown).collect();
            Json(json!({"entries": entries, "next": next})).into_response()
        }
        Err(refused) => refuse(refused),
    }
}

/// Lifts an entry.
pub(in crate::admin::api) async fn lift(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(id): Path<String>,
) -> Response {
    if let Some(response) = handed_over(&shared) {
        return response;
    }
    let Ok(id) = Id::from_str(&id) else { return refuse(Refused::Unknown) };
    match (shared.controls.revocations.lift)(id, asker).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => refuse(refused),
    }
}

fn answer(status: StatusCode, added: &Added) -> Response {
    let entries: Vec<Value> = added.entries.iter().map(shown).collect();
    (status, Json(json!({"entries": entries, "warnings": added.warnings}))).into_response()
}

/// An entry without its value, which is not kept.
fn shown(entry: &Entry) -> Value {
    let mut members = members(entry);
    members.insert("id".into(), entry.id.to_string().into());
    members.insert("created".into(), entry.created.into());
    members.insert("actor".into(), (*entry.actor).into());
    Value::Object(members)
}

/// Entries that have no id yet, and what they would come to.
fn rehearsed(rehearsed: &Rehearsed) -> Value {
    let Rehearsed { would, already, each, any, of } = rehearsed;
    let entries = would.entries.iter().zip(already).zip(each).map(|((entry, already), tokens)| {
        let mut members = members(entry);
        members.insert("already".into(), (*already).into());
        members.insert("matches".into(), json!({"tokens": tokens}));
        Value::Object(members)
    });
    let entries: Vec<Value> = entries.collect();
    json!({"entries": entries, "warnings": would.warnings, "matches": {"tokens": any, "of": of}})
}

fn members(entry: &Entry) -> Map<String, Value> {
    let (kind, claim) = match entry.kind.split_once(':') {
        Some((kind, claim)) => (kind, Some(claim)),
        None => (&*entry.kind, None),
    };
    let said = |text: &str| (!text.is_empty()).then(|| Value::from(text));
    [
        ("kind", Some(kind.into())),
        ("claim", claim.map(Into::into)),
        ("issuer", said(&entry.issuer)),
        ("not_before", entry.not_before.map(Into::into)),
        ("expires", entry.expires.map(Into::into)),
        ("reason", said(&entry.reason)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

pub(in crate::admin::api) fn refuse(refused: Refused) -> Response {
    match refused {
        Refused::Malformed(detail) => malformed(&detail),
        Refused::Entries(problems) => {
            let shown: Vec<&String> = problems.iter().take(MOST_PROBLEMS).collect();
            let extra = json!({"problems": shown, "more": problems.len() - shown.len()});
            let detail = "the entries were refused; nothing has changed";
            problem_body(StatusCode::UNPROCESSABLE_ENTITY, "entries_refused", detail, extra)
        }
        Refused::Unknown => {
            let detail = "there is no such entry: it was lifted, is over, or stands in the revocation file";
            problem_body(StatusCode::NOT_FOUND, "no_entry", detail, Value::Null)
        }
        Refused::NoStore(detail) => {
            problem_body(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail, Value::Null)
        }
        Refused::Unavailable(detail) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let mut response = problem_body(status, "store_unavailable", &detail, Value::Null);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
    }
}

pub(in crate::admin::api) fn malformed(detail: &str) -> Response {
    problem_body(StatusCode::BAD_REQUEST, "malformed_request", detail, Value::Null)
}

/// Octets of a body: two thousand for each of the most entries there may be.
const BODY: usize = 2_000 * BATCH;
/// Entries of a page, unless it is said.
const PAGE: usize = 100;
/// Problems in one answer.
const MOST_PROBLEMS: usize = 50;
