//! The long form of `credentials`, `tokens`, `endpoints` and `errors`. `oauth` is printed as what it comes to.

use serde_json::{Map, Value};

use crate::config::Config;
use crate::config::authority::Authority;
use crate::config::credential::{
    Credential, CredentialKind, CredentialPlace, Entries, EntriesSource, Listed, Reader,
};
use crate::config::decode::fields::Word;
use crate::config::endpoint::{
    Action, Answer, Endpoint, Errors, Issue, RequiredMember, Reuse, Revoke, Revoked, Selection,
};
use crate::config::minted::{Format, Lifetime, Minted, Shape, Sign};
use crate::config::print::{Out, places, print_claims, print_cors, quote, secret, words};
use crate::config::template::{Template, Text};
use crate::config::units::{write_duration, write_size};
use crate::config::{KeySource, Route, pattern};

/// All of it.
pub(super) fn print(out: &mut Out, config: &Config) {
    let Authority { credentials, tokens, endpoints: _, signing_keys, errors } = &config.authority;
    out.list("credentials", credentials, |out, credential| {
        out.nested(&quote(&credential.name), |out| print_credential(out, credential, config));
    });
    out.list("tokens", tokens, |out, token| {
        out.nested(&quote(&token.name), |out| print_token(out, token, config));
    });
    let leading: Vec<_> = config.routes.iter().filter(|route| route.endpoint.is_some()).collect();
    out.list("endpoints", &leading, |out, route| {
        let Some(endpoint) = &route.endpoint else { return };
        out.nested(&quote(&pattern::render(&route.methods, &route.host, &route.path)), |out| {
            print_endpoint(out, endpoint, route);
        });
    });
    if let Some(keys) = signing_keys {
        out.nested("signing_keys", |out| {
            if let Some(sealed_with) = &keys.sealed_with {
                out.entry("sealed_with", secret(sealed_with, false));
            }
            out.time("rotate", keys.rotate);
            out.time("publish", keys.publish);
        });
    }
    if let Some(errors) = errors {
        print_errors(out, errors);
    }
}

/// `errors`, of the file, a route or an endpoint.
pub(super) fn print_errors(out: &mut Out, errors: &Errors) {
    if errors.0.is_empty() {
        out.entry("errors", "{}");
        return;
    }
    out.nested("errors", |out| {
        errors.0.iter().for_each(|(reason, one)| out.entry(&quote(reason), answer(one)));
    });
}

fn print_credential(out: &mut Out, credential: &Credential, config: &Config) {
    match &credential.kind {
        CredentialKind::ApiKeys(keys) => out.nested("api_keys", |out| {
            if !keys.prefixes.is_empty() {
                let one = |prefix: &crate::config::credential::Prefix| {
                    format!("{}: {}", quote(&prefix.text), object(&prefix.attributes))
                };
                let all: Vec<String> = keys.prefixes.iter().map(one).collect();
                out.entry("prefixes", format!("{{{}}}", all.join(", ")));
            }
            print_entries(out, keys.entries.as_ref(), "secret");
            out.entry("managed", keys.managed);
            if let Some(pepper) = &keys.pepper {
                out.entry("pepper", secret(pepper, false));
            }
            out.entry("issuer", quote(&keys.issuer));
        }),
        CredentialKind::People(people) => out.nested("people", |out| {
            print_entries(out, people.entries.as_ref(), "password");
            out.entry("managed", people.managed);
            out.entry("memory", write_size(u64::from(people.memory) * 1024));
            out.entry("passes", people.passes);
        }),
        CredentialKind::Issuer(index) => {
            let name = config.issuers.get(*index).map(|issuer| quote(&issuer.name)).unwrap_or_default();
            out.entry("issuer", name);
            return;
        }
    }
    let from = match &credential.from {
        CredentialPlace::Client => "client".to_owned(),
        CredentialPlace::Basic => "basic".to_owned(),
        CredentialPlace::Whole(whole) => reader(whole),
        CredentialPlace::Pair { id, secret } => format!("{{id: {}, secret: {}}}", reader(id), reader(secret)),
    };
    out.entry("from", from);
    out.entry("scope_match", credential.scope_match.word());
}

fn print_entries(out: &mut Out, entries: Option<&Entries>, own: &str) {
    let Some(entries) = entries else { return };
    match &entries.source {
        EntriesSource::Secret(place) => {
            let place = secret(place, false);
            let place = place.strip_suffix('}').unwrap_or(&place);
            let (id, secret, scopes) = (quote(&entries.id), quote(&entries.secret), quote(&entries.scopes));
            out.entry("entries", format!("{place}, id: {id}, secret: {secret}, scopes: {scopes}}}"));
        }
        EntriesSource::Listed(listed) if listed.is_empty() => out.entry("entries", "[]"),
        EntriesSource::Listed(listed) => out.nested("entries", |out| {
            for Listed { id, secret: place, scopes, attributes } in listed {
                let attributes =
                    attributes.iter().map(|(name, value)| format!(", {}: {value}", Value::from(&**name)));
                let (id, place, scopes) = (quote(id), secret(place, false), words(scopes));
                let rest: String = attributes.collect();
                out.line(&format!("- {{id: {id}, {own}: {place}, scopes: {scopes}{rest}}}"));
            }
        }),
    }
}

fn print_token(out: &mut Out, token: &Minted, config: &Config) {
    let shape = |out: &mut Out, shape: &Shape| {
        if !shape.prefix.is_empty() {
            out.entry("prefix", quote(&shape.prefix));
        }
        out.entry("octets", shape.octets);
        out.entry("encoding", shape.encoding.word());
    };
    let claims = match &token.format {
        Format::Jwt { sign, claims, typ } => {
            out.entry("format", "jwt");
            let short = token.issuer.and_then(|index| config.issuers.get(index)).is_some_and(|issuer| {
                matches!(issuer.keys.value, KeySource::Secret { dangerous_short: true, .. })
            });
            let sign = match sign {
                Sign::Managed(algorithm) => algorithm.name().to_owned(),
                Sign::Pem { key, algorithm } => {
                    format!("{{algorithm: {}, pem: {}}}", algorithm.name(), secret(key, false))
                }
                Sign::Secret { key, algorithm } => {
                    format!("{{algorithm: {}, secret: {}}}", algorithm.name(), secret(key, short))
                }
            };
            out.entry("sign", sign);
            out.entry("type", quote(typ));
            claims
        }
        Format::Opaque { shape: own, claims } => {
            out.entry("format", "opaque");
            shape(out, own);
            claims
        }
        Format::Refresh { shape: own, grace, sliding } => {
            out.entry("format", "refresh");
            shape(out, own);
            out.time("grace", *grace);
            out.entry("sliding", sliding);
            print_lifetime(out, &token.lifetime);
            return;
        }
    };
    print_lifetime(out, &token.lifetime);
    out.entry("subject", text(&token.subject));
    let Some(issuer) = token.issuer.and_then(|index| config.issuers.get(index)) else { return };
    print_token_claims(out, claims, issuer);
    out.entry("issuer", quote(&issuer.issuer));
    out.entry("audience", issuer.audience.as_deref().map_or_else(|| "any".to_owned(), words));
    out.nested("claim_names", |out| print_claims(out, &issuer.claims));
    out.entry("from", places(&issuer.from));
    out.time("leeway", issuer.leeway);
    out.entry("scope_match", issuer.scope_match.word());
}

/// What a token says; what it would say by itself and does not is written as `null`.
fn print_token_claims(out: &mut Out, claims: &[(Box<str>, Template)], issuer: &crate::config::Issuer) {
    let audience = issuer.audience.is_some().then_some("aud");
    let by_itself = [&issuer.claims.id, &issuer.claims.session].into_iter().filter_map(|selector| {
        selector.places().first().map(|place| place.written()).filter(|name| !name.starts_with('/'))
    });
    let missing = audience
        .into_iter()
        .chain(by_itself)
        .filter(|name| claims.iter().all(|(known, _)| &**known != *name))
        .map(|name| format!("{}: null", Value::from(name)));
    let given = claims.iter().map(|(name, claim)| format!("{}: {}", Value::from(&**name), template(claim)));
    let all: Vec<String> = given.chain(missing).collect();
    out.entry("claims", format!("{{{}}}", all.join(", ")));
}

fn print_lifetime(out: &mut Out, lifetime: &Lifetime) {
    let (default, max) = (write_duration(lifetime.default), write_duration(lifetime.max));
    match &lifetime.asked {
        None => out.entry("lifetime", default),
        Some(asked) => {
            out.entry("lifetime", format!("{{default: {default}, asked: {}, max: {max}}}", reader(asked)));
        }
    }
}

fn print_endpoint(out: &mut Out, endpoint: &Endpoint, route: &Route) {
    out.entry("name", quote(&endpoint.name));
    let names = |tokens: &[std::sync::Arc<Minted>]| {
        words(&tokens.iter().map(|token| &token.name).collect::<Vec<_>>())
    };
    match &endpoint.action {
        Action::Issue(issue) => {
            out.entry("issue", names(&issue.tokens));
            out.entry("credential", selection(&issue.credential));
            print_issue(out, issue);
        }
        Action::Refresh(refresh) => {
            out.entry("refresh", quote(&refresh.token.name));
            out.entry("from", readers(&refresh.from));
            print_selection(out, refresh.credential.as_ref());
        }
        Action::Revoke(Revoke { what, credential }) => {
            match what {
                Revoked::Presented { tokens, from, family } => {
                    out.entry("revoke", names(tokens));
                    out.entry("from", readers(from));
                    out.entry("family", family);
                }
                Revoked::Subject { tokens, subject } => {
                    out.entry("revoke", names(tokens));
                    out.entry("subject", text(subject));
                }
            }
            print_selection(out, credential.as_ref());
        }
        Action::Introspect { credential, tokens, from } => {
            out.entry("introspect", names(tokens));
            out.entry("from", reader(from));
            out.entry("credential", selection(credential));
        }
        Action::KeySet(tokens) => out.entry("key_set", names(tokens)),
        Action::Metadata(metadata) => out.entry("metadata", template(metadata)),
        Action::Resource => out.entry("resource", "{}"),
        Action::OAuthToken { clients, access, refresh } => {
            let refresh = refresh.iter().map(|token| format!(", refresh: {}", quote(&token.name)));
            let refresh: String = refresh.collect();
            out.entry("grants", format!("{{access: {}{refresh}}}", quote(&access.name)));
            out.entry("credential", selection(clients));
        }
    }
    if let Some(one) = &endpoint.answer {
        out.entry("answer", answer(one));
    }
    if !endpoint.errors.0.is_empty() {
        print_errors(out, &endpoint.errors);
    }
    if endpoint.action.counts_attempts() {
        out.entry("attempts", endpoint.attempts);
    }
    if let Some(cors) = &route.cors {
        out.nested("cors", |out| print_cors(out, cors));
    }
}

fn print_issue(out: &mut Out, issue: &Issue) {
    let member = |member: &RequiredMember| {
        let Reader::Body(name) = &member.reader else { return String::new() };
        format!("{}: {{type: {}, error: {}}}", Value::from(&**name), member.kind.word(), quote(&member.error))
    };
    if !issue.require.is_empty() {
        let members: Vec<String> = issue.require.iter().map(member).collect();
        out.entry("require", format!("{{{}}}", members.join(", ")));
    }
    let scopes = &issue.scopes;
    let asked: String = scopes.asked.iter().map(|asked| format!("asked: {}, ", reader(asked))).collect();
    let ceiling = template(&scopes.ceiling);
    out.entry("scopes", format!("{{{asked}mode: {}, ceiling: {ceiling}}}", scopes.mode.word()));
    if let Some((credential, id)) = &issue.act_as {
        out.entry("act_as", format!("{{credential: {}, id: {}}}", quote(&credential.name), text(id)));
    }
    if let Some(Reuse { unless, min_remaining }) = &issue.reuse {
        let unless = unless.iter().map(|(place, is)| {
            let place = reader(place);
            let place = place.strip_suffix('}').unwrap_or(&place);
            format!("unless: {place}, is: {}}}, ", quote(is))
        });
        let unless: String = unless.collect();
        out.entry("reuse", format!("{{{unless}min_remaining: {}}}", write_duration(*min_remaining)));
    }
}

fn print_selection(out: &mut Out, given: Option<&Selection>) {
    if let Some(given) = given {
        out.entry("credential", selection(given));
    }
}

fn selection(selection: &Selection) -> String {
    match selection {
        Selection::One(credential) => quote(&credential.name),
        Selection::By { reader: by, of } => {
            let one = |(word, credential): &(Box<str>, std::sync::Arc<Credential>)| {
                format!("{}: {}", quote(word), quote(&credential.name))
            };
            let of: Vec<String> = of.iter().map(one).collect();
            format!("{{by: {}, of: {{{}}}}}", reader(by), of.join(", "))
        }
    }
}

fn answer(answer: &Answer) -> String {
    let status = answer.status.map(|status| format!("status: {status}"));
    let line = |(name, value): &(Box<str>, Text)| format!("{}: {}", quote(name), text(value));
    let lines: Vec<String> = answer.headers.iter().map(line).collect();
    let headers = (!lines.is_empty()).then(|| format!("headers: {{{}}}", lines.join(", ")));
    let body = answer.body.as_ref().map(|body| format!("body: {}", template(body)));
    format!("{{{}}}", status.into_iter().chain(headers).chain(body).collect::<Vec<_>>().join(", "))
}

fn readers(readers: &[Reader]) -> String {
    format!("[{}]", readers.iter().map(reader).collect::<Vec<_>>().join(", "))
}

fn reader(reader: &Reader) -> String {
    let (kind, name) = match reader {
        Reader::Bearer => return "bearer".to_owned(),
        Reader::Header(name) => ("header", name),
        Reader::Cookie(name) => ("cookie", name),
        Reader::Query(name) => ("query", name),
        Reader::Path(name) => ("path", name),
        Reader::Body(name) => ("body", name),
    };
    format!("{{{kind}: {}}}", quote(name))
}

fn object(object: &Map<String, Value>) -> String {
    Value::Object(object.clone()).to_string()
}

fn text(text: &Text) -> String {
    Value::from(text.written()).to_string()
}

/// As JSON, which is YAML too.
fn template(one: &Template) -> String {
    match one {
        Template::Plain(value) => value.to_string(),
        Template::Text(one) => text(one),
        Template::List(items) => format!("[{}]", items.iter().map(template).collect::<Vec<_>>().join(", ")),
        Template::Object(members) => {
            let member = |(name, value): &(Box<str>, Template)| {
                format!("{}: {}", Value::from(&**name), template(value))
            };
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}
