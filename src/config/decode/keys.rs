//! `keys` of an issuer.

use serde_json::Value as Json;

use crate::config::decode::fields::{self, Fields};
use crate::config::decode::secret;
use crate::config::decode::value::Value;
use crate::config::problems::{Problem, Wrong};
use crate::config::raw::Content;
use crate::config::shape::{self, table};
use crate::config::{Introspection, KeySource, Located, Records, net};

/// Reads where an issuer's keys come from. `plain` accepts fetching over plain HTTP beyond loopback.
pub(crate) fn source(issuer: &Fields<'_>, plain: bool) -> Option<Located<KeySource>> {
    if let Some(entry) = issuer.entry("introspection") {
        if let Some(keys) = issuer.entry("keys") {
            let problem = Problem::new(keys.at, "`keys` beside `introspection`");
            issuer
                .report
                .problem(problem.hint("its tokens are asked about, and not verified: leave `keys` out"));
        }
        let source = introspection(issuer.value("introspection")?, plain)?;
        return Some(Located { value: KeySource::Records(Records::Introspection(source)), at: entry.at });
    }
    let Some(entry) = issuer.entry("keys") else {
        return Some(Located { value: KeySource::Discovery, at: issuer.at });
    };
    let at = entry.at;
    let value = issuer.value("keys")?;
    if value.is_scalar() {
        value.choice(&["discovery"], &[])?;
        return Some(Located { value: KeySource::Discovery, at });
    }
    let fields = Fields::open(value, &shape::issuer::KEYS)?;
    let (name, value) = fields.one_of(&["jwks", "pem", "secret"])?;
    let source = match name {
        "jwks" => jwks(value, plain),
        "pem" => pem(value),
        _ => shared_secret(value),
    };
    Some(Located { value: source?, at })
}

fn introspection(value: Value<'_>, plain: bool) -> Option<Introspection> {
    let fields = Fields::open(value, &shape::issuer::INTROSPECTION)?;
    let url = fields
        .value("url")
        .and_then(|value| value.read(|text| net::fetched(text, plain).map(|()| text.to_owned())));
    let client = fields.value("client").and_then(Value::word);
    let secret = fields.value("secret").and_then(|value| secret::read(value, &table::SECRET));
    let (cache, timeout) = (fields.duration("cache"), fields.duration("timeout"));
    Some(Introspection { url: url?, client: client?, secret: secret?.0, cache, timeout })
}

fn jwks(value: Value<'_>, plain: bool) -> Option<KeySource> {
    let fields = Fields::open(value, &shape::issuer::JWKS)?;
    let (name, place) = fields.one_of(&["url", "file", "inline"])?;
    match name {
        "url" => place.read(|text| net::fetched(text, plain).map(|()| KeySource::JwksUrl(text.to_owned()))),
        "file" => fields::path(place).map(KeySource::JwksFile),
        _ => inline(place).map(KeySource::JwksInline),
    }
}

/// A JWKS in the file, as YAML or as JSON text. What it holds is for [`crate::keys`] to judge, except for
/// what has no business in any configuration: private keys.
fn inline(value: Value<'_>) -> Option<String> {
    if value.is_scalar() {
        let check = |text: &str| {
            let json: Json = serde_json::from_str(text).map_err(|_| Wrong::is("is no JSON").secret())?;
            check_public(&json).map(|()| text.to_owned())
        };
        return value.read(check);
    }
    let Content::Mapping(_) = value.node.content else {
        value.problem("`inline` is a key set: a mapping with `keys`");
        return None;
    };
    let json = value.node.to_json();
    if let Err(wrong) = check_public(&json) {
        value.report.hide(value.node);
        value.problem_with_hint(format!("`inline` {}", wrong.what), wrong.hint.unwrap_or_default());
        return None;
    }
    Some(json.to_string())
}

/// RFC 7517 section 5 wants `keys`; RFC 7518 section 6 says which members are private.
fn check_public(json: &Json) -> Result<(), Wrong> {
    let Some(keys) = json.get("keys").and_then(Json::as_array) else {
        return Err(Wrong::is("is no key set: it lacks `keys`, a list").secret());
    };
    let private =
        |key: &Json| ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| key.get(name).is_some());
    if keys.iter().any(private) {
        return Err(Wrong::is("holds a private key").hint("keep only its public members").secret());
    }
    Ok(())
}

fn pem(value: Value<'_>) -> Option<KeySource> {
    let fields = Fields::open(value, &shape::issuer::PEM)?;
    let (name, place) = fields.one_of(&["file", "env", "inline"])?;
    match name {
        "file" => fields::path(place).map(KeySource::PemFile),
        "env" => place.word().map(|name| KeySource::PemEnv(name.into())),
        _ => place.read(public_pem).map(KeySource::PemInline),
    }
}

fn public_pem(text: &str) -> Result<String, Wrong> {
    if text.contains("PRIVATE KEY") {
        return Err(Wrong::is("holds a private key").hint("give the public key alone").secret());
    }
    if !text.contains("-----BEGIN ") {
        return Err(Wrong::is("is no PEM").hint("it begins with `-----BEGIN PUBLIC KEY-----`").secret());
    }
    Ok(text.to_owned())
}

fn shared_secret(value: Value<'_>) -> Option<KeySource> {
    let (secret, fields) = secret::read(value, &table::SHARED_SECRET)?;
    Some(KeySource::Secret { secret, dangerous_short: fields.flag("dangerous_short_secret") })
}
