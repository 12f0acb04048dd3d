//! `/openapi.json`: what this listener takes and answers (OpenAPI 3.1), from the types that are read and written and from
//! the routes themselves.
//!
//! It is made when it is asked for: which claims an entry may name is for the configuration of the moment to say.

#![expect(unused_qualifications, reason = "what utoipa's macros write")]

use serde_json::{Map, Value, json};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};

use crate::admin::api::shapes::{Extra, Problem};
use crate::admin::api::{IMPORT, OPEN};
use crate::revocation::Kind;
use crate::revocation::written::LATEST;
use crate::revocation::written::json::Json;
use crate::revocation::written::presented::Held;
use crate::store::BATCH;

/// What is said of all of it.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Portcullis, the admin listener",
        description = "What operators and their programs ask of a gateway. Every refusal is a problem (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem, Extra)),
    security(("admin" = []))
)]
struct Base;

/// The document without its paths.
pub(in crate::admin::api) fn base() -> OpenApi {
    let mut document = Base::openapi();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The admin token of the configuration; on loopback there may be none."))
        .build();
    if let Some(components) = &mut document.components {
        components.add_security_scheme("admin", SecurityScheme::Http(bearer));
    }
    document
}

/// Adds to every operation what the checks before it may answer.
pub(in crate::admin::api) fn guarded(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let open = OPEN.contains(&path.as_str());
        for operation in operations(item) {
            refuses(operation, "400", "It is not a request that can be understood.");
            refuses(
                operation,
                "421",
                "The Host is not one of this listener's, or a page of another origin asks.",
            );
            if open {
                operation.security = Some(Vec::new());
            } else {
                refuses(operation, "401", "The admin token is missing or wrong.");
                refuses(operation, "429", "Too many wrong tokens came from this address; try again later.");
                refuses(operation, "503", "The store, the audit file or the process cannot do it now.");
            }
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}

/// A problem with this status, unless the operation says itself what that means.
fn refuses(operation: &mut Operation, status: &str, why: &str) {
    let schema = Ref::from_schema_name(Problem::name());
    let content = Content::new(Some(schema));
    let response: Response =
        ResponseBuilder::new().description(why).content("application/problem+json", content).build();
    operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
}

/// The document, for entries that may name these claims.
pub(in crate::admin::api) fn written(document: &OpenApi, claims: &[String]) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Claim || !claims.is_empty());
    let variants: Vec<Value> = kinds.map(|kind| entry(kind, claims)).collect();
    let schemas = &mut document["components"]["schemas"];
    schemas["Entry"] = json!({
        "description": "What no longer counts. Without `not_before` it is a block. Times are Unix seconds; an issuer has \
            at most 1024 octets and a reason 512.",
        "oneOf": variants,
    });
    schemas["HeldToken"] = held();
    schemas["Entries"] = json!({
        "anyOf": [
            {"$ref": "#/components/schemas/Entry"},
            {"$ref": "#/components/schemas/HeldToken"},
            {
                "type": "array",
                "maxItems": BATCH,
                "items": {"anyOf": [
                    {"$ref": "#/components/schemas/Entry"},
                    {"$ref": "#/components/schemas/HeldToken"},
                ]},
            },
        ],
    });
    let body =
        &mut document["paths"]["/v1/revocations"]["post"]["requestBody"]["content"]["application/json"];
    body["schema"] = json!({"$ref": "#/components/schemas/Entries"});
    // No lines are lines too.
    document["paths"][IMPORT]["post"]["requestBody"]["required"] = json!(false);
    document
}

/// The object that a type is read from: what it has to have, may have as null, and has not.
fn object<T: PartialSchema>() -> Map<String, Value> {
    let schema: RefOr<Schema> = T::schema();
    match serde_json::to_value(schema) {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// An entry of this kind.
fn entry(kind: Kind, claims: &[String]) -> Value {
    let text = json!({"type": "string", "minLength": 1});
    let nothing = json!({"type": "null"});
    let of_the_only = json!({
        "type": ["string", "null"],
        "minLength": 1,
        "description": "May be left out where the configuration has one issuer.",
    });
    let (issuer, claim, value) = match kind {
        Kind::All => (&nothing, &nothing, &nothing),
        Kind::Issuer => (&text, &nothing, &nothing),
        Kind::Claim => (&of_the_only, &json!({"type": "string", "enum": claims}), &text),
        Kind::Kid
        | Kind::Tenant
        | Kind::Client
        | Kind::ApiKey
        | Kind::Subject
        | Kind::Session
        | Kind::Jti => (&text, &nothing, &text),
    };
    let mut object = object::<Json<'_>>();
    let fixed = [
        ("kind", json!({"type": "string", "const": kind.name()})),
        ("issuer", issuer.clone()),
        ("claim", claim.clone()),
        ("value", value.clone()),
    ];
    let required: Vec<&str> =
        fixed.iter().filter(|(_, schema)| schema["type"] == "string").map(|(name, _)| *name).collect();
    object.insert("required".into(), json!(required));
    for (name, schema) in &fixed {
        object["properties"][name] = schema.clone();
    }
    dated(&mut object);
    object.insert("title".into(), format!("kind: {}", kind.name()).into());
    Value::Object(object)
}

fn held() -> Value {
    let mut object = object::<Held<'_>>();
    object["properties"]["token"] = json!({
        "type": "string",
        "format": "jwt",
        "writeOnly": true,
        "description": "A token of a configured issuer, verified by its keys; it becomes entries of kind jti and session.",
    });
    dated(&mut object);
    Value::Object(object)
}

/// The bounds of times.
fn dated(object: &mut Map<String, Value>) {
    for name in ["not_before", "expires"] {
        if let Some(date) = object.get_mut("properties").and_then(|properties| properties.get_mut(name)) {
            date["minimum"] = json!(0);
            date["maximum"] = json!(LATEST);
        }
    }
}
