//! `/v1/api-keys` and `/v1/users`: who may have tokens made. What both have in common.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::admin::api::revocations::malformed;
use crate::admin::api::shapes::Extra;
use crate::admin::api::{Shared, handed_over, is_of_type, problem_body};
use crate::admin::managing::{Holders, Name};
use crate::config::problems::quoted;
use crate::mint::managed::NotDone;
use crate::store::BATCH;

/// The query of the lists.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin::api) struct Wanted {
    /// Of this credential only.
    #[param(nullable = false)]
    credential: Option<String>,
    /// Behind the page whose `next` this is.
    #[param(nullable = false, format = "place")]
    after: Option<String>,
    /// Of a page, so many; 100, if it is absent.
    #[param(nullable = false, minimum = 1, maximum = 1_000)]
    limit: Option<usize>,
}

/// A page.
pub(in crate::admin::api) async fn list<N, M, C, S, P: Serialize>(
    holders: &Holders<N, M, C, S, P>,
    wanted: Option<Wanted>,
) -> Response {
    let Some(Wanted { credential, after, limit }) = wanted else {
        return malformed("the query has `credential`, `after` (what `next` said) and `limit`, each once");
    };
    let limit = limit.unwrap_or(PAGE);
    if !(1..=BATCH).contains(&limit) {
        return malformed(&format!("`limit` is a number from 1 to {BATCH}"));
    }
    match (holders.list)(credential, after, limit).await {
        Ok(page) => axum::Json(page).into_response(),
        Err(NotDone::Invalid(what)) => malformed(&what.join("; ")),
        Err(why) => refuse(why),
    }
}

/// One of them.
pub(in crate::admin::api) fn show<N, M, C, S: Serialize, P>(
    holders: &Holders<N, M, C, S, P>,
    name: Name,
) -> Response {
    answered(StatusCode::OK, (holders.show)(name))
}

/// What was asked for, read from a body; or why it is not done.
pub(in crate::admin::api) async fn asked<T: DeserializeOwned>(
    shared: &Arc<Shared>,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Response> {
    if let Some(response) = not_now(shared, query) {
        return Err(response);
    }
    if !is_of_type(headers, "application/json") {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let detail = "the body is application/json: an object";
        return Err(problem_body(status, "unsupported_media_type", detail, Extra::default()));
    }
    let octets = to_bytes(body, BODY).await.map_err(|_| {
        let detail = format!("a body of more than {BODY} octets");
        problem_body(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &detail, Extra::default())
    })?;
    // A list of values would be read as an object's members, in order.
    if octets.trim_ascii_start().starts_with(b"[") {
        return Err(refuse(NotDone::Invalid(vec!["the body is an object".to_owned()])));
    }
    serde_json::from_slice(&octets).map_err(|error| {
        if error.is_data() {
            refuse(NotDone::Invalid(vec![unread(&error)]))
        } else {
            malformed("the body is JSON: an object")
        }
    })
}

/// Why a body is refused where none is read: whoever sends one expects something of it. Null and an empty object say nothing.
pub(in crate::admin::api) async fn nothing(body: Body) -> Option<Response> {
    let octets = to_bytes(body, BODY).await.ok();
    let is_nothing = |octets: &[u8]| matches!(octets.trim_ascii(), b"" | b"{}" | b"null");
    if octets.is_some_and(|octets| is_nothing(&octets)) {
        return None;
    }
    Some(refuse(NotDone::Invalid(vec!["no body belongs here: a secret is made, and shown once".to_owned()])))
}

/// What is wrong with an object, without what was sent: a password may be in it.
fn unread(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let member = |before: &str| {
        let rest = text.split_once(before)?.1.strip_prefix('`')?;
        let name = rest.split_once('`')?.0;
        name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_').then(|| name.to_owned())
    };
    if let Some(missing) = member("missing field ") {
        format!("{} is missing", quoted(&missing))
    } else if let Some(unknown) = member("unknown field ") {
        format!("there is no {}", quoted(&unknown))
    } else if text.starts_with("unknown field ") {
        "a member of this name is not known".to_owned()
    } else {
        format!("a member is of another type than it has to be, at column {}", error.column())
    }
}

/// What stands against any change: a query where there is none, or another process that has taken over.
pub(in crate::admin::api) fn not_now(shared: &Shared, query: Option<&str>) -> Option<Response> {
    crate::admin::api::with_query(query).or_else(|| handed_over(shared))
}

/// The answer with this status, or why nothing was done.
pub(in crate::admin::api) fn answered<T: Serialize>(
    status: StatusCode,
    done: Result<T, NotDone>,
) -> Response {
    match done {
        Ok(done) => (status, axum::Json(done)).into_response(),
        Err(why) => refuse(why),
    }
}

/// No content, or why nothing was done.
pub(in crate::admin::api) fn gone(done: Result<(), NotDone>) -> Response {
    done.map_or_else(refuse, |()| StatusCode::NO_CONTENT.into_response())
}

/// Why nothing was done.
pub(in crate::admin::api) fn refuse(why: NotDone) -> Response {
    match why {
        NotDone::Unknown => {
            problem_body(StatusCode::NOT_FOUND, "unknown", "there is nothing of this name", Extra::default())
        }
        NotDone::Conflict(detail) => {
            problem_body(StatusCode::CONFLICT, "conflict", &detail, Extra::default())
        }
        NotDone::Invalid(problems) => {
            let extra = Extra { problems: Some(problems), more: None };
            let detail = "what was asked for is wrong; nothing has changed";
            problem_body(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail, extra)
        }
        NotDone::Unavailable(detail) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let mut response = problem_body(status, "store_unavailable", &detail, Extra::default());
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
    }
}

/// Octets of a body: attributes and scopes at their longest.
const BODY: usize = 256 * 1024;
/// Of a page, unless it is said.
const PAGE: usize = 100;
