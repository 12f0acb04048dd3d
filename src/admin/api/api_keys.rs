//! `/v1/api-keys`: make, look, change, rotate, remove.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use http::header::HeaderMap;

use crate::admin::api::Shared;
use crate::admin::api::holders::{self, Wanted, answered, asked, gone, not_now, refuse};
use crate::admin::api::shapes::Problem;
use crate::admin::managing::Name;
use crate::audit::Asker;
use crate::mint::managed::{KeyChange, KeyMade, KeyShown, Keys, NewKey, NotDone};

/// Managed keys, a page at a time.
#[utoipa::path(get, path = "/v1/api-keys", params(Wanted), responses((status = 200, body = Keys)))]
pub(in crate::admin::api) async fn list(
    State(shared): State<Arc<Shared>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    holders::list(&shared.controls.managing.keys, wanted.ok().map(|Query(wanted)| wanted)).await
}

/// Makes a key. This answer alone has its secret.
#[utoipa::path(post, path = "/v1/api-keys", request_body = NewKey, responses(
    (status = 201, description = "It counts.", body = KeyMade),
    (status = 409, description = "There is one of this id.", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "More than a body may have.", body = Problem,
     content_type = "application/problem+json"),
    (status = 415, description = "The body is of another type.", body = Problem,
     content_type = "application/problem+json"),
    (status = 422, description = "It was refused; nothing has changed.", body = Problem,
     content_type = "application/problem+json"),
))]
pub(in crate::admin::api) async fn make(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match asked(&shared, query.as_deref(), &headers, body).await {
        Ok(new) => answered(StatusCode::CREATED, (shared.controls.managing.keys.make)(new, asker).await),
        Err(refused) => refused,
    }
}

/// A key, without its secrets.
#[utoipa::path(get, path = "/v1/api-keys/{credential}/{id}",
    params(("credential" = String, Path, description = "Its credential."), ("id" = String, Path, description = "Its id.")),
    responses(
        (status = 200, body = KeyShown),
        (status = 404, description = "There is none.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::admin::api) async fn show(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Response {
    match named(path) {
        Ok(name) => holders::show(&shared.controls.managing.keys, name),
        Err(why) => refuse(why),
    }
}

/// Changes a key. Disabling it also refuses what was made from it.
#[utoipa::path(patch, path = "/v1/api-keys/{credential}/{id}",
    params(("credential" = String, Path, description = "Its credential."), ("id" = String, Path, description = "Its id.")),
    request_body = KeyChange,
    responses(
        (status = 200, description = "It is so.", body = KeyShown),
        (status = 404, description = "There is none.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than a body may have.", body = Problem,
         content_type = "application/problem+json"),
        (status = 415, description = "The body is of another type.", body = Problem,
         content_type = "application/problem+json"),
        (status = 422, description = "It was refused; nothing has changed.", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(in crate::admin::api) async fn change(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let name = match named(path) {
        Ok(name) => name,
        Err(why) => return refuse(why),
    };
    match asked(&shared, query.as_deref(), &headers, body).await {
        Ok(change) => {
            answered(StatusCode::OK, (shared.controls.managing.keys.change)(name, change, asker).await)
        }
        Err(refused) => refused,
    }
}

/// Removes a key, and refuses what was made from it.
#[utoipa::path(delete, path = "/v1/api-keys/{credential}/{id}",
    params(("credential" = String, Path, description = "Its credential."), ("id" = String, Path, description = "Its id.")),
    responses(
        (status = 204, description = "It counts no more."),
        (status = 404, description = "There is none.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::admin::api) async fn remove(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    match (not_now(&shared, query.as_deref()), named(path)) {
        (Some(refused), _) => refused,
        (None, Err(why)) => refuse(why),
        (None, Ok(name)) => gone((shared.controls.managing.keys.remove)(name, asker).await),
    }
}

/// Makes a second secret: both count until one is removed. This answer alone has it.
#[utoipa::path(post, path = "/v1/api-keys/{credential}/{id}/secrets",
    params(("credential" = String, Path, description = "Its credential."), ("id" = String, Path, description = "Its id.")),
    responses(
        (status = 201, description = "It counts.", body = KeyMade),
        (status = 404, description = "There is no such key.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has two already.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A body was sent.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::admin::api) async fn add_secret(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Response {
    let refused = not_now(&shared, query.as_deref());
    match (refused.or(holders::nothing(body).await), named(path)) {
        (Some(refused), _) => refused,
        (None, Err(why)) => refuse(why),
        (None, Ok(name)) => {
            answered(StatusCode::CREATED, (shared.controls.managing.add_secret)(name, asker).await)
        }
    }
}

/// Removes a secret: it counts no more, nor does what was made from the key until now.
#[utoipa::path(delete, path = "/v1/api-keys/{credential}/{id}/secrets/{number}",
    params(
        ("credential" = String, Path, description = "Its credential."),
        ("id" = String, Path, description = "Its id."),
        ("number" = u32, Path, description = "Its number among the key's."),
    ),
    responses(
        (status = 204, description = "It counts no more."),
        (status = 404, description = "There is none.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is the only one.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::admin::api) async fn remove_secret(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    if let Some(refused) = not_now(&shared, query.as_deref()) {
        return refused;
    }
    let Ok(Path((credential, id, number))) = path else { return refuse(NotDone::Unknown) };
    let Ok(number) = number.parse() else { return refuse(NotDone::Unknown) };
    gone((shared.controls.managing.remove_secret)(Name { credential, id }, number, asker).await)
}

/// Whom a path means: what is no text names nobody.
fn named(path: Result<Path<(String, String)>, PathRejection>) -> Result<Name, NotDone> {
    path.map(|Path((credential, id))| Name { credential, id }).map_err(|_| NotDone::Unknown)
}
