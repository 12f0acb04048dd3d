//! `issuers`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::decode::fields::Fields;
use crate::config::decode::keys;
use crate::config::decode::names::{self, Named};
use crate::config::decode::value::{Value, none_of};
use crate::config::problems::{Position, Problem, Wrong, quoted};
use crate::config::revocation::DeclaredClaim;
use crate::config::shape;
use crate::config::{ClaimMap, Issuer, KeySource, Located, TokenPlace, TokenType, net};
use crate::token::Algorithm;
use crate::token::claims::Selector;
use crate::token::scope::ScopeMatch;

/// All issuers: those of the file, and those that tokens and API keys of our own are.
pub(crate) struct Issuers<'f> {
    /// By name.
    pub(crate) named: Named<Issuer>,
    /// Which count on routes that name none.
    pub(crate) general: Vec<usize>,
    seen: HashMap<Box<str>, String>,
    empty: Fields<'f>,
    revocable: Arc<[DeclaredClaim]>,
}

impl Issuers<'_> {
    /// An issuer of our own with every default.
    pub(crate) fn plain(&self, name: &str, iss: &str, keys: Located<KeySource>) -> Option<Issuer> {
        let fields = &self.empty;
        Some(Issuer {
            name: name.into(),
            issuer: iss.into(),
            audience: None,
            refresh: fields.duration("refresh"),
            cooldown: fields.duration("cooldown"),
            max_stale: fields.duration("max_stale"),
            miss_wait: fields.duration("miss_wait"),
            algorithms: None,
            leeway: Duration::ZERO,
            max_token_lifetime: fields.duration("max_token_lifetime"),
            token_type: TokenType::Any,
            scope_match: ScopeMatch::Exact,
            claims: claims(fields, "claims")?,
            revocable: Arc::clone(&self.revocable),
            from: Vec::new(),
            dangerous_http: false,
            keys,
        })
    }

    /// Adds one of our own; `named_only` counts on routes that name it and on no other. Answers its index; `None` after
    /// saying that its name or its `iss` is taken.
    pub(crate) fn add(
        &mut self,
        file: &Fields<'_>,
        name: &str,
        at: Position,
        issuer: Issuer,
        named_only: bool,
    ) -> Option<usize> {
        if self.named.names("issuer").has(name) {
            let what = format!("{} is an issuer already", quoted(name));
            let hint = "routes name issuers, tokens and API keys alike: give one of them another name";
            file.report.problem(Problem::new(at, what).hint(hint));
            return None;
        }
        if let Some(other) = self.seen.insert(issuer.issuer.clone(), name.to_owned()) {
            let what = format!("{} has the same `issuer` as {}", quoted(name), quoted(&other));
            file.report.problem(
                Problem::new(at, what).hint("a token names its issuer by `iss` alone: give each its own"),
            );
        }
        let index = self.named.push(name, Some(Arc::new(issuer)));
        if !named_only {
            self.general.push(index);
        }
        Some(index)
    }
}

/// Reads `issuers`. No two have the same `iss`: a token could not be told whose it is. `revocable` are
/// `revocation.claims`.
pub(crate) fn issuers<'f>(file: &Fields<'f>, revocable: &Arc<[DeclaredClaim]>) -> Issuers<'f> {
    let example = "corp: {issuer: https://login.example.com/, audience: https://api.example.com}";
    let entries = file.value("issuers").map(|value| value.named(example)).unwrap_or_default();
    let mut seen: HashMap<Box<str>, String> = HashMap::new();
    let mut read = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Err(wrong) = names::check(&entry.key) {
            file.report.problem(Problem::new(entry.at, format!("{} {}", quoted(&entry.key), wrong.what)));
        }
        let issuer = issuer(&entry.key, Value::of(entry, file.report), revocable);
        if let Some(issuer) = &issuer
            && let Some(other) = seen.insert(issuer.issuer.clone(), entry.key.to_string())
        {
            let what = format!("{} has the same `issuer` as {}", quoted(&entry.key), quoted(&other));
            file.report.problem(
                Problem::new(entry.at, what)
                    .hint("a token names its issuer by `iss` alone: keep one of them"),
            );
        }
        read.push((Box::from(&*entry.key), issuer.map(Arc::new)));
    }
    Issuers {
        general: (0..read.len()).collect(),
        named: Named::new(read),
        seen,
        empty: Fields::empty(file, &shape::issuer::ISSUER),
        revocable: Arc::clone(revocable),
    }
}

fn issuer(name: &str, value: Value<'_>, revocable: &Arc<[DeclaredClaim]>) -> Option<Issuer> {
    let fields = Fields::open(value, &shape::issuer::ISSUER)?;
    let iss = fields.value("issuer").and_then(|value| Some((value, value.word()?)));
    let audience = fields.value("audience").and_then(audience);
    let dangerous_http = fields.flag("dangerous_http");
    let keys = keys::source(&fields, dangerous_http);
    let algorithms = fields.value("algorithms").and_then(algorithms);
    if let Some(keys) = &keys {
        check_algorithms(&fields, &keys.value);
        if let (KeySource::Discovery, Some((value, _))) = (&keys.value, &iss) {
            // OpenID Connect Discovery section 4: the metadata's URL is built from the issuer.
            value.read(|text| net::fetched(text, dangerous_http));
        }
    }
    let issuer = Issuer {
        name: name.into(),
        issuer: Box::default(),
        audience: None,
        refresh: fields.duration("refresh"),
        cooldown: fields.duration("cooldown"),
        max_stale: fields.duration("max_stale"),
        miss_wait: fields.duration("miss_wait"),
        algorithms,
        leeway: fields.duration("leeway"),
        max_token_lifetime: fields.duration("max_token_lifetime"),
        token_type: fields.choice("token_type"),
        scope_match: fields.choice("scope_match"),
        claims: claims(&fields, "claims")?,
        revocable: Arc::clone(revocable),
        from: places(&fields),
        dangerous_http,
        keys: keys?,
    };
    Some(Issuer { issuer: iss?.1, audience: audience?, ..issuer })
}

/// Reads the accepted audiences; the inner `None` is `any`.
pub(crate) fn audience(value: Value<'_>) -> Option<Option<Vec<Box<str>>>> {
    if value.is_scalar() {
        let word = value.word()?;
        return Some(if &*word == "any" { None } else { Some(vec![word]) });
    }
    let any = |text: &str| match text {
        "" => Err(Wrong::is("is empty")),
        "any" => Err(Wrong::is("accepts every audience").hint("write `audience: any`, not in a list")),
        _ => Ok(text.into()),
    };
    let audiences: Vec<Option<Box<str>>> = value.some().into_iter().map(|value| value.read(any)).collect();
    let audiences: Vec<Box<str>> = audiences.into_iter().collect::<Option<_>>()?;
    (!audiences.is_empty()).then_some(Some(audiences))
}

fn algorithms(value: Value<'_>) -> Option<Vec<Algorithm>> {
    let algorithms =
        value.some().into_iter().map(|value| value.read(algorithm)).collect::<Option<Vec<_>>>()?;
    (!algorithms.is_empty()).then_some(algorithms)
}

pub(crate) fn algorithm(text: &str) -> Result<Algorithm, Wrong> {
    if text.eq_ignore_ascii_case("none") {
        // RFC 8725 section 3.2.
        return Err(Wrong::is("is no algorithm: an unsigned token proves nothing"));
    }
    Algorithm::from_name(text).ok_or_else(|| none_of(text, &Algorithm::ALL.map(Algorithm::name)))
}

/// An HMAC algorithm beside public keys would take a public key for a secret, and anybody could sign
/// (RFC 8725 section 2.1).
fn check_algorithms(fields: &Fields<'_>, keys: &KeySource) {
    let secret = matches!(keys, KeySource::Secret { .. });
    for value in fields.value("algorithms").map(Value::list).unwrap_or_default() {
        let Some(algorithm) = value.text().and_then(|text| Algorithm::from_name(&text.text)) else {
            continue;
        };
        match (algorithm.is_symmetric(), secret) {
            (true, false) => value.problem_with_hint(
                format!("`{}` is an HMAC algorithm, and these keys are public", algorithm.name()),
                "leave it out, or give `keys: {secret: …}`",
            ),
            (false, true) => value.problem_with_hint(
                format!("`{}` wants public keys, and `keys` is a secret", algorithm.name()),
                "use HS256, HS384 or HS512, or leave `algorithms` out",
            ),
            (true, true) | (false, false) => {}
        }
    }
}

/// Reads where claims are, under this key.
pub(crate) fn claims(issuer: &Fields<'_>, key: &str) -> Option<ClaimMap> {
    let empty = Fields::empty(issuer, &shape::issuer::CLAIMS);
    let fields = match issuer.value(key) {
        Some(value) => Fields::open(value, &shape::issuer::CLAIMS)?,
        None => empty,
    };
    let claim = |name: &str| match fields.value(name) {
        Some(value) => selector(value),
        None => Selector::parse(&fields.default(name).words()),
    };
    let (scope, subject, client) = (claim("scope"), claim("subject"), claim("client"));
    let (id, session, tenant) = (claim("id"), claim("session"), claim("tenant"));
    Some(ClaimMap {
        scope: scope?,
        subject: subject?,
        client: client?,
        id: id?,
        session: session?,
        tenant: tenant?,
    })
}

/// Reads a claim selector (principle 7): a name, a pointer, or a list of either.
pub(crate) fn selector(value: Value<'_>) -> Option<Selector> {
    let place = |text: &str| match Selector::parse(&[text]) {
        Some(_) => Ok(text.to_owned()),
        None => Err(Wrong::is("names no claim")
            .hint("write a claim's name, or a pointer such as `/realm_access/roles` (RFC 6901)")),
    };
    let places = value.some().into_iter().map(|value| value.read(place)).collect::<Option<Vec<_>>>()?;
    Selector::parse(&places)
}

/// Where the tokens stand in a request. Two places of one kind and name would always be two credentials.
pub(crate) fn places(fields: &Fields<'_>) -> Vec<TokenPlace> {
    let Some(value) = fields.value("from") else { return vec![TokenPlace::Bearer] };
    let mut places = Vec::new();
    for value in value.some() {
        let Some(place) = place(value) else { continue };
        if places.contains(&place) {
            value.problem("this place is there twice");
        } else {
            places.push(place);
        }
    }
    places
}

fn place(value: Value<'_>) -> Option<TokenPlace> {
    if value.is_scalar() {
        return value.choice(&["bearer"], &[]).map(|_| TokenPlace::Bearer);
    }
    let fields = Fields::open(value, &shape::issuer::PLACE)?;
    let (name, value) = fields.one_of(&["header", "cookie", "query"])?;
    match name {
        "header" => value.read(credential_header).map(TokenPlace::Header),
        "cookie" => value.read(cookie_name).map(TokenPlace::Cookie),
        _ => value.word().map(TokenPlace::Query),
    }
}

pub(crate) fn credential_header(text: &str) -> Result<Box<str>, Wrong> {
    net::header_name(text)?;
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "authorization" => Err(Wrong::is("is where `bearer` looks").hint("write `from: bearer`")),
        "cookie" => Err(Wrong::is("holds every cookie").hint("write `from: {cookie: NAME}`")),
        "host" | "connection" | "content-length" | "transfer-encoding" => {
            Err(Wrong::is("frames the request and holds no token"))
        }
        _ => Ok(lower.into()),
    }
}

/// Reads a cookie's name. RFC 6265 section 4.1.1: it is a cookie's name is a token.
pub(crate) fn cookie_name(text: &str) -> Result<Box<str>, Wrong> {
    if net::is_token(text) { Ok(text.into()) } else { Err(Wrong::is("is no cookie name")) }
}
