//! `tokens`, and `signing_keys`.

use std::sync::Arc;
use std::time::Duration;

use crate::config::decode::credentials;
use crate::config::decode::fields::Fields;
use crate::config::decode::issuers::{self, Issuers};
use crate::config::decode::names::{self, Named};
use crate::config::decode::oauth::OAuth;
use crate::config::decode::process::narrow;
use crate::config::decode::readers;
use crate::config::decode::secret;
use crate::config::decode::templates::Place;
use crate::config::decode::value::{Value, none_of};
use crate::config::defaults::{REFRESH_LIFETIME, TOKEN_LIFETIME, TOKEN_SUBJECT, TOKENS};
use crate::config::minted::{Format, Lifetime, Minted, Shape, Sign, SigningKeys};
use crate::config::problems::{Position, Problem, Wrong, quoted};
use crate::config::shape::{self, table};
use crate::config::template::{Source, Template, Text};
use crate::config::{ClaimMap, Issuer, KeySource, Located, Records, Secret};
use crate::token::Algorithm;
use crate::token::claims::{Place as ClaimPlace, Selector};

/// Reads `tokens`. Those that routes can be asked with become issuers of their names. The one that `oauth` gives out says its URL as
/// `iss` unless it has one of its own.
pub(crate) fn tokens(file: &Fields<'_>, oauth: Option<&OAuth>, issuers: &mut Issuers<'_>) -> Named<Minted> {
    let entries = file.value("tokens").map(|value| value.named("access: {lifetime: 1h}")).unwrap_or_default();
    if let Some(entry) = entries.get(TOKENS) {
        file.report.problem(Problem::new(entry.at, format!("more than {TOKENS} tokens")));
    }
    let mut read = Vec::with_capacity(entries.len());
    for entry in entries.iter().take(TOKENS) {
        if let Err(wrong) = names::check(&entry.key) {
            file.report.problem(Problem::new(entry.at, format!("{} {}", quoted(&entry.key), wrong.what)));
        }
        let value = Value::of(entry, file.report);
        let opened = Fields::open(value, &shape::token::TOKEN);
        let token = opened.and_then(|fields| {
            let format = fields.word_of("format")?;
            let url = oauth.and_then(|oauth| oauth.url_of(&entry.key));
            token(file, &entry.key, entry.at, &fields, format, url, issuers)
        });
        read.push((Box::from(&*entry.key), token.map(Arc::new)));
    }
    Named::new(read)
}

/// A token that nobody wrote: `access` and `refresh` of `oauth`, with every default.
pub(crate) fn made(
    file: &Fields<'_>,
    name: &str,
    at: Position,
    url: Option<&str>,
    issuers: &mut Issuers<'_>,
) -> Option<Minted> {
    let fields = Fields::empty_at(file, &shape::token::TOKEN, at);
    let format = if name == "refresh" { "refresh" } else { "jwt" };
    token(file, name, at, &fields, format, url, issuers)
}

fn token(
    file: &Fields<'_>,
    name: &str,
    at: Position,
    fields: &Fields<'_>,
    format: &'static str,
    url: Option<&str>,
    issuers: &mut Issuers<'_>,
) -> Option<Minted> {
    refuse_strays(fields, format);
    let lifetime = lifetime(fields, if format == "refresh" { REFRESH_LIFETIME } else { TOKEN_LIFETIME });
    let subject = match fields.value("subject") {
        Some(value) => Place::SUBJECT.text(value),
        None => Text::parse(TOKEN_SUBJECT).ok(),
    };
    let shape = random(fields);
    if format == "refresh" {
        let (grace, sliding) = (fields.duration("grace"), fields.flag("sliding"));
        let format = Format::Refresh { shape: shape?, grace, sliding };
        return Some(Minted {
            name: name.into(),
            at,
            format,
            lifetime: lifetime?,
            subject: subject?,
            issuer: None,
        });
    }
    let audience = fields.value("audience").map(issuers::audience);
    let claim_names = issuers::claims(fields, "claim_names");
    let signed = (format == "jwt").then(|| sign(fields));
    let iss = match fields.value("issuer") {
        Some(value) => value.word(),
        None => Some(url.unwrap_or(name).into()),
    };
    let from = issuers::places(fields);
    let (leeway, scope_match) = (fields.duration("leeway"), fields.choice("scope_match"));
    // RFC 9068 section 3: where nobody says whom it is for, it is for somebody all the same.
    let is_access = format == "jwt" && fields.word_of("type").is_none_or(|typ| typ == "at+jwt");
    let audience =
        audience.unwrap_or_else(|| Some(iss.clone().filter(|_| is_access).map(|iss| vec![iss])))?;
    let claim_names = claim_names?;
    let claims = claims(fields, &claim_names, audience.as_deref());
    let (lifetime, shape) = (lifetime?, shape?);
    let (format, keys, algorithms) = match signed {
        None => {
            let source = KeySource::Records(Records::Opaque { prefix: shape.prefix.clone() });
            (Format::Opaque { shape, claims: claims? }, source, None)
        }
        Some(signed) => {
            let (sign, keys) = signed?;
            let algorithms = match &sign {
                // A key of another algorithm still verifies until what it signed has expired.
                Sign::Managed(_) => None,
                Sign::Pem { algorithm, .. } | Sign::Secret { algorithm, .. } => Some(vec![*algorithm]),
            };
            let typ = fields.word_of("type").unwrap_or_default().into();
            (Format::Jwt { sign, claims: claims?, typ }, keys, algorithms)
        }
    };
    let issuer = Issuer {
        audience,
        algorithms,
        leeway,
        max_token_lifetime: lifetime.max,
        scope_match,
        claims: claim_names,
        from,
        ..issuers.plain(name, &iss?, Located { value: keys, at })?
    };
    let issuer = issuers.add(file, name, at, issuer, false)?;
    Some(Minted { name: name.into(), at, format, lifetime, subject: subject?, issuer: Some(issuer) })
}

/// Refuses what says nothing about tokens of the format.
fn refuse_strays(fields: &Fields<'_>, format: &str) {
    let strays: &[&str] = match format {
        "jwt" => &["prefix", "octets", "encoding", "sliding", "grace"],
        "opaque" => &["sign", "type", "sliding", "grace"],
        _ => &[
            "issuer",
            "audience",
            "sign",
            "type",
            "subject",
            "claims",
            "claim_names",
            "from",
            "leeway",
            "scope_match",
        ],
    };
    for entry in strays.iter().filter_map(|name| fields.entry(name)) {
        let what = format!("`{}` says nothing about a token of the format `{format}`", entry.key);
        fields.report.problem(Problem::new(entry.at, what).hint("leave it out, or give another `format`"));
    }
}

fn random(fields: &Fields<'_>) -> Option<Shape> {
    let prefix = match fields.value("prefix") {
        Some(value) => value.read(credentials::prefix)?,
        None => Box::default(),
    };
    Some(Shape { prefix, octets: narrow(fields.whole("octets")), encoding: fields.choice("encoding") })
}

fn lifetime(fields: &Fields<'_>, default: Duration) -> Option<Lifetime> {
    let fixed = |default| Lifetime { default, asked: None, max: default };
    let Some(value) = fields.value("lifetime") else { return Some(fixed(default)) };
    if value.is_scalar() {
        let shape::Takes::Span(min, max) = shape::token::SPAN else { return None };
        return value.span(min, max).map(fixed);
    }
    let own = Fields::open(value, &shape::token::LIFETIME)?;
    let default = own.span("default")?;
    let asked = own.value("asked").map(readers::reader);
    let max = own.span("max");
    match (own.entry("max"), own.entry("asked")) {
        (Some(entry), None) => {
            let problem = Problem::new(entry.at, "`max` of a lifetime that cannot be asked for");
            own.report.problem(problem.hint("give `asked: {body: expires_in}`, or leave `max` out"));
        }
        (Some(entry), Some(_)) if max.is_some_and(|max| max < default) => {
            own.report.problem(Problem::new(entry.at, "`max` is less than `default`"));
        }
        (Some(_), Some(_)) | (None, _) => {}
    }
    let asked = match asked {
        Some(asked) => Some(asked?),
        None => None,
    };
    Some(Lifetime { default, asked, max: max.unwrap_or(default) })
}

/// With what a JWT is signed, and what verifies it.
fn sign(fields: &Fields<'_>) -> Option<(Sign, KeySource)> {
    let Some(value) = fields.value("sign") else {
        return Some((Sign::Managed(Algorithm::ES256), KeySource::Managed));
    };
    if value.is_scalar() {
        let managed = |text: &str| match issuers::algorithm(text)? {
            algorithm if algorithm.is_symmetric() => Err(Wrong::is(
                "is an HMAC algorithm, which wants a secret",
            )
            .hint(format!("write `sign: {{algorithm: {}, secret: {{env: NAME}}}}`", algorithm.name()))),
            algorithm => Ok(algorithm),
        };
        return value.read(managed).map(|algorithm| (Sign::Managed(algorithm), KeySource::Managed));
    }
    let own = Fields::open(value, &shape::token::SIGN)?;
    let algorithm = own.value("algorithm").and_then(|value| Some((value, value.read(issuers::algorithm)?)));
    let (kind, place) = own.one_of(&["secret", "pem"])?;
    let shape = if kind == "secret" { &table::SHARED_SECRET } else { &table::SECRET };
    let (key, flags) = secret::read(place, shape)?;
    let (at, algorithm) = algorithm?;
    let fits = |algorithm: &Algorithm| algorithm.is_symmetric() == (kind == "secret");
    if !fits(&algorithm) {
        let names: Vec<&str> = Algorithm::ALL.iter().filter(|one| fits(one)).map(|one| one.name()).collect();
        let wrong = none_of(algorithm.name(), &names);
        at.blame(algorithm.name(), Wrong { hint: Some(format!("`{kind}` goes with these")), ..wrong });
        return None;
    }
    if kind == "secret" {
        let dangerous_short = flags.flag("dangerous_short_secret");
        let source = KeySource::Secret { secret: key.clone(), dangerous_short };
        return Some((Sign::Secret { key, algorithm }, source));
    }
    Some((Sign::Pem { key: key.clone(), algorithm }, KeySource::SigningPem(key)))
}

/// What a token says. Beside what is written it says whom it is for, and by which names it can be revoked, unless the
/// template has something else there; what is `null` in the template is left out.
fn claims(
    fields: &Fields<'_>,
    names: &ClaimMap,
    audience: Option<&[Box<str>]>,
) -> Option<Vec<(Box<str>, Template)>> {
    let mut claims: Vec<(Box<str>, Template)> = Vec::new();
    let mut clean = true;
    for entry in fields.value("claims").map(|value| value.named("scope: \"{scope}\"")).unwrap_or_default() {
        if let Some(wrong) =
            (["iss", "iat", "exp"].contains(&&*entry.key)).then_some("is set for every token")
        {
            let problem = Problem::new(entry.at, format!("the claim {} {wrong}", quoted(&entry.key)));
            fields.report.problem(problem.hint("`issuer` and `lifetime` of the token say what stands there"));
        }
        match Place::CLAIM.template(Value::of(entry, fields.report)) {
            Some(template) => claims.push((Box::from(&*entry.key), template)),
            None => clean = false,
        }
    }
    let mut add = |name: Option<Box<str>>, template: Template| {
        if let Some(name) = name.filter(|name| claims.iter().all(|(known, _)| known != name)) {
            claims.push((name, template));
        }
    };
    if fields.entry("claims").is_none() {
        add(named(&names.subject), Template::hole(Source::Subject, false));
        add(named(&names.client), Template::hole(Source::Credential("id".into()), true));
        add(named(&names.scope), Template::hole(Source::Scope, true));
    }
    if let Some(audience) = audience {
        let text = |audience: &str| Template::Text(Text::literal(audience));
        let template = match audience {
            [one] => text(one),
            several => Template::List(several.iter().map(|one| text(one)).collect()),
        };
        add(Some("aud".into()), template);
    }
    add(named(&names.id), Template::hole(Source::Uuid, false));
    add(named(&names.session), Template::hole(Source::Session, true));
    claims.retain(|(_, template)| *template != Template::Plain(serde_json::Value::Null));
    clean.then_some(claims)
}

/// The claim that a selector finds first, if it is a top-level one.
fn named(selector: &Selector) -> Option<Box<str>> {
    let place: &ClaimPlace = selector.places().first()?;
    let written = place.written();
    (!written.starts_with('/')).then(|| written.into())
}

/// Reads `signing_keys`.
pub(crate) fn signing_keys(file: &Fields<'_>) -> Option<SigningKeys> {
    let fields = Fields::open(file.value("signing_keys")?, &shape::token::SIGNING_KEYS)?;
    let sealed_with: Option<Secret> = fields
        .value("sealed_with")
        .and_then(|value| secret::read(value, &table::SECRET))
        .map(|(secret, _)| secret);
    Some(SigningKeys { sealed_with, rotate: fields.duration("rotate"), publish: fields.duration("publish") })
}
