//! `credentials`.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::config::credential::{
    ApiKeys, Credential, CredentialKind, CredentialPlace, Entries, EntriesSource, Listed, People, Prefix,
    Reader,
};
use crate::config::decode::fields::Fields;
use crate::config::decode::issuers::Issuers;
use crate::config::decode::names::{self, Named, Names};
use crate::config::decode::readers;
use crate::config::decode::secret;
use crate::config::decode::value::Value;
use crate::config::defaults::{CREDENTIALS, ENTRY_ID, ENTRY_SCOPES, LISTED, TOKEN_LIFETIME_MAX};
use crate::config::problems::{Position, Problem, Wrong, quoted};
use crate::config::raw::Content;
use crate::config::shape::{self, Mapping, table};
use crate::config::{Issuer, KeySource, Located, Records, Secret, SecretSource, TokenPlace};
use crate::token::scope::ScopeMatch;

/// Reads `credentials`. API keys that stand where tokens do become issuers of their names.
pub(crate) fn credentials(file: &Fields<'_>, issuers: &mut Issuers<'_>) -> Named<Credential> {
    let example = "clients: {api_keys: {managed: true, pepper: {file: pepper}}}";
    let entries = file.value("credentials").map(|value| value.named(example)).unwrap_or_default();
    if let Some(entry) = entries.get(CREDENTIALS) {
        file.report.problem(Problem::new(entry.at, format!("more than {CREDENTIALS} credentials")));
    }
    let mut read = Vec::with_capacity(entries.len());
    let trusted = issuers.named.names("issuer or token");
    for entry in entries.iter().take(CREDENTIALS) {
        if let Err(wrong) = names::check(&entry.key) {
            file.report.problem(Problem::new(entry.at, format!("{} {}", quoted(&entry.key), wrong.what)));
        }
        let credential = credential(&entry.key, entry.at, Value::of(entry, file.report), &trusted);
        read.push((Box::from(&*entry.key), credential.map(Arc::new)));
    }
    drop(trusted);
    for (name, credential) in &read {
        let places = credential.as_ref().map(|credential| token_places(&credential.from)).unwrap_or_default();
        if let (Some(credential), false) = (credential, places.is_empty())
            && let CredentialKind::ApiKeys(keys) = &credential.kind
        {
            let own = issuer(credential, keys, places, issuers);
            own.and_then(|own| issuers.add(file, name, credential.at, own, true));
        }
    }
    Named::new(read)
}

fn credential(name: &str, at: Position, value: Value<'_>, issuers: &Names<'_>) -> Option<Credential> {
    let fields = Fields::open(value, &shape::credential::CREDENTIAL)?;
    let from = match fields.value("from") {
        Some(value) => readers::credential_place(value),
        None => Some(CredentialPlace::Client),
    };
    let scope_match = fields.choice("scope_match");
    let (kind, inner) = fields.one_of(&["api_keys", "people", "issuer"])?;
    let kind = match kind {
        "api_keys" => api_keys(name, inner).map(|keys| CredentialKind::ApiKeys(Arc::new(keys)))?,
        "people" => people(inner).map(|people| CredentialKind::People(Arc::new(people)))?,
        _ => CredentialKind::Issuer(issuers.find(inner)?),
    };
    let from = from?;
    if let Some(given) = fields.entry("from") {
        let (what, hint) = match (&kind, &from) {
            (CredentialKind::Issuer(_), _) => {
                ("`from` of a token: its issuer says where it stands", "leave it out here")
            }
            (CredentialKind::People(_), CredentialPlace::Whole(_)) => (
                "people have a name and a password: `from` is one place",
                "write `{id: {body: email}, secret: {body: password}}`",
            ),
            (CredentialKind::ApiKeys(_) | CredentialKind::People(_), _) => ("", ""),
        };
        if !what.is_empty() {
            fields.report.problem(Problem::new(given.at, what).hint(hint));
        }
    }
    if let (CredentialKind::Issuer(_), Some(entry)) = (&kind, fields.entry("scope_match")) {
        let problem =
            Problem::new(entry.at, "`scope_match` of a token: its issuer says how its scopes are read");
        fields.report.problem(problem.hint("leave it out here"));
    }
    Some(Credential { name: name.into(), at, kind, from, scope_match })
}

fn api_keys(name: &str, value: Value<'_>) -> Option<ApiKeys> {
    let fields = Fields::open(value, &shape::credential::API_KEYS)?;
    if let (Some(_), Some(entry)) = (fields.entry("prefix"), fields.entry("prefixes")) {
        let problem = Problem::new(entry.at, "`api_keys` has both `prefix` and `prefixes`");
        fields.report.problem(problem.hint("keep one of them"));
    }
    let one = fields.value("prefix").and_then(|value| value.read(prefix));
    let mut prefixes: Vec<Prefix> =
        one.into_iter().map(|text| Prefix { text, attributes: Map::new() }).collect();
    prefixes.extend(fields.value("prefixes").map(several).unwrap_or_default());
    for (index, one) in prefixes.iter().enumerate() {
        if prefixes
            .iter()
            .take(index)
            .any(|other| other.text.starts_with(&*one.text) || one.text.starts_with(&*other.text))
        {
            let at = fields.entry("prefixes").map_or(fields.at, |entry| entry.at);
            let what = format!("{} and another prefix begin with each other", quoted(&one.text));
            fields.report.problem(Problem::new(at, what).hint("a key has to have one of them"));
        }
    }
    let pepper = fields.value("pepper").and_then(|value| secret::read(value, &table::SECRET));
    let managed = fields.flag("managed");
    if let (true, None, Some(entry)) = (managed, fields.entry("pepper"), fields.entry("managed")) {
        let problem = Problem::new(entry.at, "`managed` API keys without a `pepper`");
        fields.report.problem(problem.hint("their hashes are keyed with it: write `pepper: {file: PATH}`"));
    }
    let entries =
        fields.value("entries").and_then(|value| entries(value, "secret", &shape::credential::LISTED_KEY));
    if !managed && fields.entry("managed").is_none() && fields.entry("entries").is_none() {
        value.problem_with_hint("API keys that are neither `managed` nor listed: there are none", NONE);
    }
    let issuer = match fields.value("issuer") {
        Some(value) => value.word()?,
        None => name.into(),
    };
    Some(ApiKeys { issuer, prefixes, entries, managed, pepper: pepper.map(|(pepper, _)| pepper) })
}

fn several(value: Value<'_>) -> Vec<Prefix> {
    let mut prefixes = Vec::new();
    for entry in value.named("live_: {env: production}") {
        let own = Value::of(entry, value.report);
        if let Err(wrong) = prefix(&entry.key) {
            own.problem(format!("the prefix {} {}", quoted(&entry.key), wrong.what));
        }
        // `{env: production}` is an attribute here, and no variable.
        let attributes = match own.node.to_json() {
            Json::Object(attributes) => attributes,
            Json::Null => Map::new(),
            Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                own.problem_with_hint(
                    format!("{} is a mapping of attributes, not {}", own.name(), own.node.kind()),
                    "write `live_: {env: production}`",
                );
                continue;
            }
        };
        prefixes.push(Prefix { text: Box::from(&*entry.key), attributes });
    }
    prefixes
}

/// What keys and tokens may begin with: it stands in headers, URLs and cookies.
pub(crate) fn prefix(text: &str) -> Result<Box<str>, Wrong> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if !text.is_empty() && text.len() <= PREFIX && text.bytes().all(fits) {
        return Ok(text.into());
    }
    Err(Wrong::is(format!("is no prefix: letters, digits, `_`, `-` and `.`, at most {PREFIX}")))
}

fn people(value: Value<'_>) -> Option<People> {
    let fields = Fields::open(value, &shape::credential::PEOPLE)?;
    let managed = fields.flag("managed");
    if !managed && fields.entry("managed").is_none() && fields.entry("entries").is_none() {
        value.problem_with_hint("people who are neither `managed` nor listed: there are none", NONE);
    }
    let memory = u32::try_from(fields.size("memory") / 1024).unwrap_or(u32::MAX);
    let passes = u32::try_from(fields.whole("passes")).unwrap_or(u32::MAX);
    let entries = fields
        .value("entries")
        .and_then(|value| entries(value, "password", &shape::credential::LISTED_PERSON));
    Some(People { entries, managed, memory, passes })
}

/// Reads `entries`: somewhere else, or here.
fn entries(value: Value<'_>, secret: &'static str, listed: &'static Mapping) -> Option<Entries> {
    let defaults =
        |source| Entries { source, id: ENTRY_ID.into(), secret: secret.into(), scopes: ENTRY_SCOPES.into() };
    if let Content::Sequence(_) = &value.node.content {
        let values = value.list();
        if let Some(value) = values.get(LISTED) {
            value.problem_with_hint(format!("more than {LISTED} entries"), "write `{file: PATH}`");
        }
        let mut entries: Vec<Listed> = Vec::new();
        for value in values.into_iter().take(LISTED) {
            let Some(one) = self::listed(value, secret, listed) else { continue };
            if entries.iter().any(|other| other.id == one.id) {
                value.problem("an entry with this id is there already");
            }
            entries.push(one);
        }
        return Some(defaults(EntriesSource::Listed(entries)));
    }
    let fields = Fields::open(value, &shape::credential::ENTRIES)?;
    let (name, place) = fields.one_of(&["file", "env"])?;
    let source = match name {
        "file" => SecretSource::File(crate::config::decode::fields::path(place)?),
        _ => SecretSource::Env(place.word()?.into()),
    };
    let source = EntriesSource::Secret(Secret { source, at: value.node.at });
    let member = |name: &str| match fields.value(name) {
        Some(value) => value.word(),
        None => fields.default(name).words().first().map(|word| Box::from(*word)),
    };
    let (id, own, scopes) = (member("id"), fields.value("secret").map(Value::word), member("scopes"));
    let own = own.unwrap_or_else(|| Some(secret.into()));
    Some(Entries { id: id?, secret: own?, scopes: scopes?, ..defaults(source) })
}

fn listed(value: Value<'_>, secret: &str, shape: &'static Mapping) -> Option<Listed> {
    let fields = Fields::open(value, shape)?;
    let id = fields.value("id").and_then(Value::word);
    let secret = fields.value(secret).and_then(|value| secret::read(value, &table::SECRET));
    let scopes = fields.value("scopes").map(Value::list).unwrap_or_default();
    let scopes = scopes.into_iter().filter_map(Value::word).collect();
    Some(Listed { id: id?, secret: secret?.0, scopes, attributes: fields.attributes() })
}

/// The places of a whole credential that a token may stand in too: a route can ask for it there.
fn token_places(from: &CredentialPlace) -> Vec<TokenPlace> {
    match from {
        CredentialPlace::Whole(Reader::Bearer) => vec![TokenPlace::Bearer],
        CredentialPlace::Whole(Reader::Header(name)) => vec![TokenPlace::Header(name.clone())],
        CredentialPlace::Whole(Reader::Cookie(name)) => vec![TokenPlace::Cookie(name.clone())],
        CredentialPlace::Whole(Reader::Query(name)) => vec![TokenPlace::Query(name.clone())],
        CredentialPlace::Whole(Reader::Path(_) | Reader::Body(_))
        | CredentialPlace::Pair { .. }
        | CredentialPlace::Basic
        | CredentialPlace::Client => Vec::new(),
    }
}

fn issuer(
    credential: &Credential,
    keys: &ApiKeys,
    from: Vec<TokenPlace>,
    issuers: &Issuers<'_>,
) -> Option<Issuer> {
    let prefixes = keys.prefixes.iter().map(|prefix| prefix.text.clone()).collect();
    let keys_of = Located { value: KeySource::Records(Records::ApiKeys { prefixes }), at: credential.at };
    Some(Issuer {
        from,
        scope_match: credential.scope_match,
        max_token_lifetime: TOKEN_LIFETIME_MAX,
        ..issuers.plain(&credential.name, &keys.issuer, keys_of)?
    })
}

/// A credential that nobody listed: clients of `oauth`.
pub(crate) fn made(name: &str, at: Position, pepper: Secret) -> Credential {
    let keys = ApiKeys {
        issuer: name.into(),
        prefixes: Vec::new(),
        entries: None,
        managed: true,
        pepper: Some(pepper),
    };
    Credential {
        name: name.into(),
        at,
        kind: CredentialKind::ApiKeys(Arc::new(keys)),
        from: CredentialPlace::Client,
        scope_match: ScopeMatch::Exact,
    }
}

/// Characters of a prefix.
const PREFIX: usize = 64;

/// For hints.
const NONE: &str = "write `managed: true`, or `entries: {file: PATH}`";
