//! `/v1/users`: let in, look, change, remove.

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
use crate::mint::managed::{NewPerson, NotDone, People, PersonChange, PersonShown};

/// Managed people, a page at a time.
#[utoipa::path(get, path = "/v1/users", params(Wanted), responses((status = 200, body = People)))]
pub(in crate::admin::api) async fn list(
    State(shared): State<Arc<Shared>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    holders::list(&shared.controls.managing.people, wanted.ok().map(|Query(wanted)| wanted)).await
}

/// Lets somebody in.
#[utoipa::path(post, path = "/v1/users", request_body = NewPerson, responses(
    (status = 201, description = "They may sign in.", body = PersonShown),
    (status = 409, description = "There is one of this name.", body = Problem, content_type = "application/problem+json"),
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
        Ok(new) => answered(StatusCode::CREATED, (shared.controls.managing.people.make)(new, asker).await),
        Err(refused) => refused,
    }
}

/// A person, without their password.
#[utoipa::path(get, path = "/v1/users/{credential}/{id}",
    params(("credential" = String, Path, description = "Their credential."), ("id" = String, Path, description = "The name they sign in with.")),
    responses(
        (status = 200, body = PersonShown),
        (status = 404, description = "There is none.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::admin::api) async fn show(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Response {
    match named(path) {
        Ok(name) => holders::show(&shared.controls.managing.people, name),
        Err(why) => refuse(why),
    }
}

/// Changes a person. Disabling them also refuses what was made for them.
#[utoipa::path(patch, path = "/v1/users/{credential}/{id}",
    params(("credential" = String, Path, description = "Their credential."), ("id" = String, Path, description = "The name they sign in with.")),
    request_body = PersonChange,
    responses(
        (status = 200, description = "It is so.", body = PersonShown),
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
            answered(StatusCode::OK, (shared.controls.managing.people.change)(name, change, asker).await)
        }
        Err(refused) => refused,
    }
}

/// Removes a person, and refuses what was made for them.
#[utoipa::path(delete, path = "/v1/users/{credential}/{id}",
    params(("credential" = String, Path, description = "Their credential."), ("id" = String, Path, description = "The name they sign in with.")),
    responses(
        (status = 204, description = "They may sign in no more."),
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
        (None, Ok(name)) => gone((shared.controls.managing.people.remove)(name, asker).await),
    }
}

/// Whom a path means: what is no text names nobody.
fn named(path: Result<Path<(String, String)>, PathRejection>) -> Result<Name, NotDone> {
    path.map(|Path((credential, id))| Name { credential, id }).map_err(|_| NotDone::Unknown)
}
