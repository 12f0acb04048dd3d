//! What concerns the process: `revocation`, `store`, `audit`, `key_mirror`, `limits`, `log`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::address;
use crate::config::decode::fields::{self, Fields};
use crate::config::decode::issuers;
use crate::config::decode::value::Value;
use crate::config::defaults::{KEY_MIRROR, RECHECK_STREAMS, REVOCATION_CLAIMS};
use crate::config::limits::Limits;
use crate::config::log::Log;
use crate::config::revocation::{DeclaredClaim, Revocation};
use crate::config::shape::table;

/// Reads `revocation`.
pub(crate) fn revocation(file: &Fields<'_>) -> Option<Revocation> {
    let value = file.value("revocation")?;
    let at = value.node.at;
    if value.is_scalar() {
        let recheck_streams = RECHECK_STREAMS;
        return Some(Revocation {
            file: Some(fields::path(value)?),
            claims: Arc::default(),
            recheck_streams,
            at,
        });
    }
    let fields = Fields::open(value, &table::REVOCATION)?;
    let claims = fields.value("claims").map(declared).unwrap_or_default();
    let recheck_streams = fields.duration("recheck_streams");
    Some(Revocation { file: fields.path("file"), claims: claims.into(), recheck_streams, at })
}

/// The claims that entries may name: each is written one way, and looked for in every token.
fn declared(value: Value<'_>) -> Vec<DeclaredClaim> {
    let values = value.some();
    if let Some(value) = values.get(REVOCATION_CLAIMS) {
        value.problem(format!("more than {REVOCATION_CLAIMS} claims"));
    }
    let mut claims: Vec<DeclaredClaim> = Vec::new();
    for value in values.into_iter().take(REVOCATION_CLAIMS) {
        let (Some(name), Some(selector)) = (value.word(), issuers::selector(value)) else { continue };
        if claims.iter().any(|claim| claim.name == name) {
            value.problem("this claim is there twice");
        } else {
            claims.push(DeclaredClaim { name, selector });
        }
    }
    claims
}

/// Reads `store`.
pub(crate) fn store(file: &Fields<'_>) -> Option<PathBuf> {
    Fields::open(file.value("store")?, &table::STORE)?.path("sqlite")
}

/// Reads `audit`.
pub(crate) fn audit(file: &Fields<'_>) -> Option<PathBuf> {
    let value = file.value("audit")?;
    if value.is_scalar() { fields::path(value) } else { Fields::open(value, &table::AUDIT)?.path("file") }
}

/// Reads `key_mirror`.
pub(crate) fn key_mirror(file: &Fields<'_>) -> Option<PathBuf> {
    match file.value("key_mirror") {
        None => Some(file.report.context.directory.join(KEY_MIRROR)),
        Some(value) if value.text().is_some_and(|text| text.text == "none") => None,
        Some(value) => fields::path(value),
    }
}

/// Reads `upgrade_socket`.
pub(crate) fn upgrade_socket(file: &Fields<'_>) -> Option<PathBuf> {
    let directory = file.report.context.directory;
    file.value("upgrade_socket")?.read(|text| address::socket_file(text, directory))
}

/// Reads `limits`.
pub(crate) fn limits(file: &Fields<'_>) -> Limits {
    let given = file.value("limits").and_then(|value| Fields::open(value, &table::LIMITS));
    let fields = given.unwrap_or_else(|| Fields::empty(file, &table::LIMITS));
    Limits {
        token: narrow(fields.size("token")),
        header_line: narrow(fields.size("header_line")),
        header_total: narrow(fields.size("header_total")),
        headers: narrow(fields.whole("headers")),
        h2_header_list: fields.size("h2_header_list").try_into().unwrap_or(u32::MAX),
        h2_streams: fields.whole("h2_streams").try_into().unwrap_or(u32::MAX),
        connections: narrow(fields.whole("connections")),
        connections_per_address: narrow(fields.whole("connections_per_address")),
        handshakes: narrow(fields.whole("handshakes")),
        requests_per_connection: fields.whole("requests_per_connection"),
        header_time: fields.duration("header_time"),
        idle_time: fields.duration("idle_time"),
        body_rate: fields.size("body_rate"),
        write_stall: fields.duration("write_stall"),
        drain: narrow(fields.size("drain")),
        verified_cache: narrow(fields.size("verified_cache")),
        signatures_in_flight: narrow(fields.whole("signatures_in_flight")),
        inspected_body: narrow(fields.size("inspected_body")),
        inspected_total: narrow(fields.size("inspected_total")),
        key_set: narrow(fields.size("key_set")),
    }
}

/// Reads `log`.
pub(crate) fn log(file: &Fields<'_>) -> Log {
    let given = file.value("log").and_then(|value| Fields::open(value, &table::LOG));
    let fields = given.unwrap_or_else(|| Fields::empty(file, &table::LOG));
    Log {
        format: fields.choice("format"),
        level: fields.word_of("level").unwrap_or_default().into(),
        access: fields.flag("access"),
    }
}

/// A number that the table bounds far below what any platform's `usize` holds.
pub(crate) fn narrow(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
