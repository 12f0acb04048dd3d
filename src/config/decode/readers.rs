//! Places of a request that an endpoint reads from.

use crate::config::credential::{CredentialPlace, Reader};
use crate::config::decode::fields::Fields;
use crate::config::decode::issuers::{cookie_name, credential_header, selector};
use crate::config::decode::value::Value;
use crate::config::problems::{Wrong, closest, quoted};
use crate::config::shape;

/// The places that a mapping names one of.
const PLACES: [&str; 5] = ["header", "cookie", "query", "path", "body"];

/// Reads a place.
pub(crate) fn reader(value: Value<'_>) -> Option<Reader> {
    if value.is_scalar() {
        return value.choice(&["bearer"], &[]).map(|_| Reader::Bearer);
    }
    one(&Fields::open(value, &shape::credential::READER)?, &PLACES)
}

/// Reads the one of these that a mapping has.
pub(crate) fn one(fields: &Fields<'_>, places: &[&'static str]) -> Option<Reader> {
    let (name, value) = fields.one_of(places)?;
    match name {
        "header" => value.read(credential_header).map(Reader::Header),
        "cookie" => value.read(cookie_name).map(Reader::Cookie),
        "query" => value.word().map(Reader::Query),
        "path" => value.word().map(Reader::Path),
        // One place: whoever chose among several could send two.
        _ if value.is_scalar() => {
            selector(value)?;
            value.word().map(Reader::Body)
        }
        _ => {
            value.problem("`body` is one member's name, or a pointer");
            None
        }
    }
}

/// Reads `from` of a credential.
pub(crate) fn credential_place(value: Value<'_>) -> Option<CredentialPlace> {
    if value.is_scalar() {
        return match value.choice(&["client", "basic", "bearer"], &[])? {
            0 => Some(CredentialPlace::Client),
            1 => Some(CredentialPlace::Basic),
            _ => Some(CredentialPlace::Whole(Reader::Bearer)),
        };
    }
    let fields = Fields::open(value, &shape::credential::CREDENTIAL_PLACE)?;
    if fields.entry("id").is_none() && fields.entry("secret").is_none() {
        return one(&fields, &PLACES).map(CredentialPlace::Whole);
    }
    if let Some(stray) = PLACES.iter().find(|place| fields.entry(place).is_some()) {
        value.problem_with_hint(
            format!("`{stray}` beside an id and a secret"),
            "write `{id: {body: id}, secret: {body: secret}}`, or the one place of the whole credential",
        );
        return None;
    }
    for (missing, other) in [("id", "secret"), ("secret", "id")] {
        if fields.entry(missing).is_none() {
            value.problem_with_hint(
                format!("a credential's `from` has `{other}` and no `{missing}`"),
                format!("say where the {missing} is"),
            );
            return None;
        }
    }
    let id = fields.value("id").and_then(reader);
    let secret = fields.value("secret").and_then(reader);
    let (id, secret) = (id?, secret?);
    if id == secret {
        value.problem("the id and the secret stand in one place");
        return None;
    }
    Some(CredentialPlace::Pair { id, secret })
}

/// The places of one credential.
pub(crate) fn places(place: &CredentialPlace) -> Vec<&Reader> {
    match place {
        CredentialPlace::Whole(reader) => vec![reader],
        CredentialPlace::Pair { id, secret } => vec![id, secret],
        CredentialPlace::Basic | CredentialPlace::Client => Vec::new(),
    }
}

/// Whether the path of an endpoint has what is read from it.
pub(crate) fn check_path(reader: &Reader, parameters: &[&str]) -> Result<(), Wrong> {
    let Reader::Path(name) = reader else { return Ok(()) };
    if parameters.contains(&&**name) {
        return Ok(());
    }
    let wrong = Wrong::is(format!("{} is no parameter of the path", quoted(name)));
    Err(match closest(name, parameters.iter().copied()) {
        Some(near) => wrong.hint(format!("did you mean `{near}`?")),
        None => wrong,
    })
}
