//! `/v1/keys`: the keys that tokens are signed with.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::{Extension, Json};
use http::StatusCode;
use http::header::HeaderMap;

use crate::admin::api::Shared;
use crate::admin::api::holders::{answered, asked};
use crate::admin::api::shapes::Problem;
use crate::audit::Asker;
use crate::mint::managed::{Rotation, SigningKeys};

/// The keys that the gateway made, without what is secret of them.
#[utoipa::path(get, path = "/v1/keys", responses((status = 200, body = SigningKeys)))]
pub(in crate::admin::api) async fn list(State(shared): State<Arc<Shared>>) -> Json<SigningKeys> {
    Json((shared.controls.managing.signing_keys)())
}

/// Replaces keys: with the next ones, which are published before they sign, or in an emergency with such that sign at once.
#[utoipa::path(post, path = "/v1/keys/rotate", request_body = Rotation, responses(
    (status = 200, description = "The new ones are published.", body = SigningKeys),
    (status = 404, description = "Nothing is signed with keys of this algorithm.", body = Problem,
     content_type = "application/problem+json"),
    (status = 413, description = "More than a body may have.", body = Problem,
     content_type = "application/problem+json"),
    (status = 415, description = "The body is of another type.", body = Problem,
     content_type = "application/problem+json"),
    (status = 422, description = "It was refused; nothing has changed.", body = Problem,
     content_type = "application/problem+json"),
))]
pub(in crate::admin::api) async fn rotate(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match asked(&shared, query.as_deref(), &headers, body).await {
        Ok(rotation) => answered(StatusCode::OK, (shared.controls.managing.rotate)(rotation, asker).await),
        Err(refused) => refused,
    }
}
