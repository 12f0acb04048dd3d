//! `/v1/revocations`: revoke, look, lift.

#![expect(unused_qualifications, reason = "what utoipa's macros write")]

use std::str::FromStr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::schema::{Object, Schema, Type};

use crate::admin::api::shapes::{self, Extra, Problem, Revoked};
use crate::admin::api::{Shared, handed_over, is_of_type, problem_body, rehearsed, with_query};
use crate::admin::revocations::Refused;
use crate::audit::Asker;
use crate::config::problems::{closest, quoted};
use crate::revocation::Kind;
use crate::store::{BATCH, Cursor, Filter, Id, Listed};

/// The query of `POST`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin::api) struct How {
    /// Says what would be added, and what that would come to, and adds nothing.
    #[param(nullable = false)]
    dry_run: Option<bool>,
}

/// The query of `GET`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin::api) struct Wanted {
    /// Entries of this kind only.
    #[param(nullable = false, schema_with = kinds)]
    kind: Option<String>,
    /// Entries of this issuer only.
    #[param(nullable = false)]
    issuer: Option<String>,
    /// Behind the page whose `next` this is.
    #[param(nullable = false, format = "cursor")]
    after: Option<String>,
    /// Entries of a page; 100, if it is absent.
    #[param(nullable = false, minimum = 1, maximum = 1_000)]
    limit: Option<usize>,
}

/// The words for kinds.
fn kinds() -> Schema {
    Object::builder().schema_type(Type::String).enum_values(Some(Kind::ALL.map(Kind::name))).build().into()
}

/// Adds one entry or a list of them; `?dry_run=true` says what that would add.
#[utoipa::path(post, path = "/v1/revocations", params(How), request_body(content = serde_json::Value), responses(
    (status = 200, description = "What would be added; or nothing was to be.", body = shapes::Rehearsed),
    (status = 201, description = "They are on the disk and in force.", body = Revoked),
    (status = 413, description = "More than a body may have.", body = Problem,
     content_type = "application/problem+json"),
    (status = 415, description = "The body is of another type.", body = Problem,
     content_type = "application/problem+json"),
    (status = 422, description = "Entries were refused; nothing has changed.", body = Problem,
     content_type = "application/problem+json"),
))]
pub(in crate::admin::api) async fn add(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    how: Result<Query<How>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    // A slip in the word must not turn a rehearsal into the thing itself.
    let Ok(Query(How { dry_run })) = how else {
        return malformed("the query is `dry_run=true`, or nothing");
    };
    if dry_run == Some(true) {
        return rehearsed(rehearse(&shared, &headers, body).await);
    }
    if let Some(response) = handed_over(&shared) {
        return response;
    }
    let octets = match octets(&headers, body).await {
        Ok(octets) => octets,
        Err(refused) => return refused,
    };
    match (shared.controls.revocations.add)(octets, asker).await {
        // Nothing is created for tokens that have expired.
        Ok(added) if added.entries.is_empty() => {
            Json(shapes::Rehearsed::nothing(added.warnings)).into_response()
        }
        Ok(added) => (StatusCode::CREATED, Json(Revoked::from(&added))).into_response(),
        Err(refused) => refuse(refused),
    }
}

async fn rehearse(shared: &Shared, headers: &HeaderMap, body: Body) -> Response {
    let octets = match octets(headers, body).await {
        Ok(octets) => octets,
        Err(refused) => return refused,
    };
    match (shared.controls.revocations.rehearse)(octets).await {
        Ok(would) => Json(shapes::Rehearsed::from(&would)).into_response(),
        Err(refused) => refuse(refused),
    }
}

/// The body, as far as it may be one.
async fn octets(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Response> {
    if !is_of_type(headers, "application/json") {
        let detail = "the body is application/json: an entry, or a list of them";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(problem_body(status, "unsupported_media_type", detail, Extra::default()));
    }
    to_bytes(body, BODY).await.map(Into::into).map_err(|_| {
        let detail = format!("a body of more than {BODY} octets; send the entries in several requests");
        problem_body(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &detail, Extra::default())
    })
}

/// Entries that count, a page at a time.
#[utoipa::path(get, path = "/v1/revocations", params(Wanted), responses((status = 200, body = shapes::Listed)))]
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
            Json(shapes::Listed::new(&entries, next)).into_response()
        }
        Err(refused) => refuse(refused),
    }
}

/// Lifts an entry.
#[utoipa::path(delete, path = "/v1/revocations/{id}",
    params(("id" = String, Path, description = "What adding it answered.", pattern = "^[0-9a-f]{32}$")),
    responses(
        (status = 204, description = "What only it revoked counts again."),
        (status = 404, description = "There is no such entry.", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(in crate::admin::api) async fn lift(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    if let Some(response) = with_query(query.as_deref()).or_else(|| handed_over(&shared)) {
        return response;
    }
    let Ok(id) = Id::from_str(&id) else { return refuse(Refused::Unknown) };
    match (shared.controls.revocations.lift)(id, asker).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => refuse(refused),
    }
}

pub(in crate::admin::api) fn refuse(refused: Refused) -> Response {
    match refused {
        Refused::Malformed(detail) => malformed(&detail),
        Refused::Entries(problems) => {
            let shown: Vec<String> = problems.iter().take(MOST_PROBLEMS).cloned().collect();
            let more = Some(problems.len() - shown.len());
            let extra = Extra { problems: Some(shown), more };
            let detail = "the entries were refused; nothing has changed";
            problem_body(StatusCode::UNPROCESSABLE_ENTITY, "entries_refused", detail, extra)
        }
        Refused::Unknown => {
            let detail = "there is no such entry: it was lifted, is over, or stands in the revocation file";
            problem_body(StatusCode::NOT_FOUND, "no_entry", detail, Extra::default())
        }
        Refused::NoStore(detail) => {
            problem_body(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail, Extra::default())
        }
        Refused::Unavailable(detail) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let mut response = problem_body(status, "store_unavailable", &detail, Extra::default());
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
    }
}

pub(in crate::admin::api) fn malformed(detail: &str) -> Response {
    problem_body(StatusCode::BAD_REQUEST, "malformed_request", detail, Extra::default())
}

/// Octets of a body: two thousand for each of the most entries there may be.
const BODY: usize = 2_000 * BATCH;
/// Entries of a page, unless it is said.
const PAGE: usize = 100;
/// Problems in one answer.
const MOST_PROBLEMS: usize = 50;
