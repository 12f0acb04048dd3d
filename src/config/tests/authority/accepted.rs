use crate::config::credential::{CredentialKind, CredentialPlace, EntriesSource, Reader};
use crate::config::endpoint::{Action, Revoked, ScopeMode, Selection};
use crate::config::minted::{Encoding, Format, Sign};
use crate::config::template::{Source, Template};
use crate::config::tests::{config, file, read};
use crate::config::{Config, KeySource, Records, Require, TokenPlace};
use crate::token::Algorithm;
use crate::token::scope::ScopeMatch;

/// What every section has, beside what it is about.
const SERVICE: &str = r#"
version: 1
listeners: [127.0.0.1:8080]
upstreams: {api: "http://127.0.0.1:3000"}
store: {sqlite: portcullis.db}
signing_keys: {sealed_with: {file: kek}, rotate: 7d}
credentials:
  keys:
    api_keys: {prefixes: {live_: {env: production}, test_: {env: staging}}, managed: true, pepper: {file: pepper}}
    from: {header: X-Key}
    scope_match: glob
  listed:
    api_keys: {entries: {env: KEYS, secret: password}}
    from: {id: {body: id}, secret: {body: password}}
    scope_match: glob
  here:
    api_keys: {entries: [{id: a, secret: {file: a}, scopes: [x], tenant: t1}], issuer: https://keys.example.com}
    from: {path: key}
  people: {people: {managed: true, memory: 16MiB}, from: {id: {body: email}, secret: {body: password}}, scope_match: glob}
  session: {issuer: app}
issuers:
  app: {issuer: https://app.example.com, audience: any, keys: {secret: {env: S}}, from: {cookie: sid}}
  partner:
    issuer: https://partner.example.net
    audience: any
    introspection: {url: https://partner.example.net/introspect, client: id, secret: {file: partner}}
tokens:
  access:
    issuer: https://api.example.com
    audience: https://api.example.com
    lifetime: {default: 1h, asked: {body: expires_in}, max: 30d}
    claims: {sub: "{subject}", ns: "{credential.namespaces?}", jti: "{random.16}", n: 1, sid: ~}
    scope_match: glob
    from: [bearer, {query: access_token}]
  short: {sign: {algorithm: HS256, secret: {env: S}}, type: JWT, claim_names: {scope: scopes, subject: id}, leeway: 1s}
  pem: {sign: {algorithm: ES256, pem: {file: k.pem}}}
  user: {format: opaque, prefix: usr_, octets: 30, subject: "{path.user}"}
  refresh: {format: refresh, encoding: hex, lifetime: 2h}
endpoints:
  POST /auth:
    issue: [access, refresh]
    credential: {by: {body: method}, of: {key: listed, password: people}}
    require: {scopes: {type: text_list, error: bad_scopes}, /a/b: text}
    scopes: {asked: {body: scopes}}
    answer: {body: {access_token: "{token.access}", expires_in: "{token.access.lifetime}", again: "{token.refresh}"}}
    errors: {bad_scopes: {body: {m: "{message}"}}, expired: {status: 418}, "*": {status: 401, body: ["{reason}"]}}
    cors: {origins: [https://app.example.com]}
  POST /pair/refresh: {refresh: refresh, answer: {body: {a: "{token.access}", r: "{token.refresh}"}}}
  POST /users/{user}/tokens: {issue: user, credential: keys, scopes: {mode: inherit}, attempts: 3}
  GET /token:
    issue: [short]
    credential: session
    act_as: {credential: keys, id: k1}
    reuse: {unless: {query: refresh, is: "true"}}
  POST /again: {refresh: short, from: {body: token}}
  DELETE /users/{user}/tokens: {revoke: [user], subject: "{path.user}", credential: keys}
  POST /revoke: {revoke: [short, user], from: [bearer, {body: token}], family: true}
  POST /introspect: {introspect: [access, refresh], credential: keys}
  GET /jwks: {key_set: [access, pem]}
  GET /.well-known/x: {metadata: {issuer: https://api.example.com, a: [1, true, ~]}}
  GET /.well-known/oauth-protected-resource: {resource: {}}
errors: {expired: {status: 440}, "*": {body: {status: error, message: "{message}"}}}
routes:
  /any: authenticated
  /keys: {require: {issuers: [keys, access]}, errors: {expired: {status: 419}}}
"#;

fn service() -> Config {
    config(SERVICE)
}

#[test]
fn tokens_and_keys_are_issuers_that_routes_trust() {
    let config = service();
    let names: Vec<&str> = config.issuers.iter().map(|issuer| &*issuer.name).collect();
    assert_eq!(names, ["app", "partner", "access", "short", "pem", "user", "keys"]);
    let issuer = |name: &str| config.issuers.iter().find(|issuer| &*issuer.name == name).expect(name);
    assert_eq!(issuer("access").keys.value, KeySource::Managed);
    assert_eq!(issuer("access").max_token_lifetime.as_secs(), 30 * 86_400);
    assert_eq!(issuer("access").audience.as_deref(), Some(&["https://api.example.com".into()][..]));
    assert_eq!(issuer("access").from, [TokenPlace::Bearer, TokenPlace::Query("access_token".into())]);
    assert_eq!(issuer("access").scope_match, ScopeMatch::Glob);
    assert!(matches!(issuer("short").keys.value, KeySource::Secret { dangerous_short: false, .. }));
    assert_eq!(issuer("short").algorithms.as_deref(), Some(&[Algorithm::HS256][..]));
    assert_eq!((&*issuer("short").issuer, issuer("short").leeway.as_secs()), ("short", 1));
    assert!(matches!(issuer("pem").keys.value, KeySource::SigningPem(_)));
    let records = |name: &str| {
        let KeySource::Records(records) = &issuer(name).keys.value else { panic!("{name} is not looked up") };
        records.clone()
    };
    assert_eq!(records("user"), Records::Opaque { prefix: "usr_".into() });
    assert_eq!(records("keys"), Records::ApiKeys { prefixes: vec!["live_".into(), "test_".into()] });
    assert!(matches!(records("partner"), Records::Introspection(_)));
    assert_eq!(issuer("keys").from, [TokenPlace::Header("x-key".into())]);
    let required = |index: usize| match &config.routes[index].require {
        Require::Token(requirement) => requirement.issuers.clone(),
        Require::Public => panic!("public"),
    };
    assert_eq!(required(0), [0, 1, 2, 3, 4, 5], "API keys count only where they are named");
    assert_eq!(required(1), [2, 6]);
}

#[test]
fn credentials_are_where_they_are_said_to_be() {
    let config = service();
    let credential = |name: &str| {
        config.authority.credentials.iter().find(|credential| &*credential.name == name).expect(name)
    };
    let CredentialKind::ApiKeys(keys) = &credential("keys").kind else { panic!("no keys") };
    assert_eq!(keys.prefixes[0].attributes["env"], "production");
    assert!(keys.managed && keys.pepper.is_some());
    assert_eq!(credential("keys").from, CredentialPlace::Whole(Reader::Header("x-key".into())));
    let CredentialKind::ApiKeys(listed) = &credential("listed").kind else { panic!("no keys") };
    let entries = listed.entries.as_ref().expect("entries");
    assert_eq!((&*entries.id, &*entries.secret, &*entries.scopes), ("id", "password", "scopes"));
    let CredentialKind::ApiKeys(here) = &credential("here").kind else { panic!("no keys") };
    let Some(EntriesSource::Listed(list)) = here.entries.as_ref().map(|entries| &entries.source) else {
        panic!("no list")
    };
    assert_eq!((&*list[0].id, &list[0].attributes["tenant"]), ("a", &"t1".into()));
    assert_eq!(&*here.issuer, "https://keys.example.com");
    let CredentialKind::People(people) = &credential("people").kind else { panic!("no people") };
    assert_eq!((people.memory, people.passes), (16 * 1024, 2));
    assert_eq!(credential("session").kind, CredentialKind::Issuer(0));
}

#[test]
fn a_token_says_what_its_template_does_and_what_it_is_revoked_by() {
    let config = service();
    let token = |name: &str| config.authority.tokens.iter().find(|token| &*token.name == name).expect(name);
    let claims = |name: &str| match &token(name).format {
        Format::Jwt { claims, .. } | Format::Opaque { claims, .. } => claims.clone(),
        Format::Refresh { .. } => panic!("a refresh token"),
    };
    let names = |name: &str| claims(name).into_iter().map(|(name, _)| name.into()).collect::<Vec<String>>();
    assert_eq!(names("access"), ["sub", "ns", "jti", "n", "aud"], "a null leaves `sid` out");
    assert_eq!(claims("access")[2].1, Template::hole(Source::Random(16), false));
    assert_eq!(names("short"), ["id", "client_id", "scopes", "jti", "sid"]);
    assert_eq!(names("user"), ["sub", "client_id", "scope", "jti", "sid"]);
    let Format::Jwt { sign, typ, .. } = &token("access").format else { panic!("no JWT") };
    assert_eq!((sign, &**typ), (&Sign::Managed(Algorithm::ES256), "at+jwt"));
    let Format::Refresh { shape, grace, sliding } = &token("refresh").format else {
        panic!("no refresh token")
    };
    assert_eq!((shape.encoding, shape.octets, grace.as_secs(), *sliding), (Encoding::Hex, 32, 10, true));
    assert_eq!((token("refresh").issuer, token("user").issuer), (None, Some(5)));
    assert_eq!(token("access").lifetime.asked, Some(Reader::Body("expires_in".into())));
}

#[test]
fn an_endpoint_is_a_route() {
    let config = service();
    let endpoint = |name: &str| {
        let found = config.authority.endpoints.iter().find(|endpoint| &*endpoint.name == name).expect(name);
        let route = config.routes.iter().find(|route| route.endpoint.as_ref() == Some(found)).expect(name);
        (found, route)
    };
    let (auth, route) = endpoint("POST /auth");
    let Action::Issue(issue) = &auth.action else { panic!("no issue") };
    assert_eq!((&*issue.require[0].error, issue.require.len()), ("bad_scopes", 2));
    assert_eq!((issue.scopes.mode, issue.scopes.matching), (ScopeMode::Subset, ScopeMatch::Glob));
    assert!(matches!(&issue.credential, Selection::By { of, .. } if of.len() == 2));
    assert_eq!(auth.errors.find("expired").expect("an answer").status, Some(418));
    assert_eq!(auth.errors.find("bad_scopes").expect("an answer").status, None);
    assert_eq!((auth.attempts, route.cors.is_some(), &route.require), (10, true, &Require::Public));
    let (token, route) = endpoint("GET /token");
    let Action::Issue(issue) = &token.action else { panic!("no issue") };
    assert_eq!(issue.scopes.matching, ScopeMatch::Glob, "of the key in whose name it acts");
    assert_eq!(endpoint("POST /users/{user}/tokens").0.attempts, 3);
    assert!(matches!(&route.require, Require::Token(requirement) if requirement.issuers == [0]));
    let Action::Refresh(refresh) = &endpoint("POST /pair/refresh").0.action else { panic!("no refresh") };
    assert_eq!(refresh.from, [Reader::Body("refresh_token".into())]);
    let Action::Revoke(revoke) = &endpoint("POST /revoke").0.action else { panic!("no revoke") };
    assert!(matches!(&revoke.what, Revoked::Presented { family: true, from, .. } if from.len() == 2));
    assert!(matches!(&endpoint("GET /jwks").0.action, Action::KeySet(tokens) if tokens.len() == 2));
}

/// A token that several paths give out is for whom one of them names, and otherwise for whoever asks.
#[test]
fn an_optional_hole_may_name_a_parameter_that_only_some_paths_have() {
    let written = |subject: &str| {
        let text = SERVICE.replace(r#"subject: "{path.user}"}"#, &format!("subject: \"{subject}\"}}"));
        text.replace("  GET /jwks:", "  POST /own: {issue: user, credential: keys}\n  GET /jwks:")
    };
    assert!(read(&written("{path.user}")).is_err());
    let config = config(&written("{path.user?}{credential.sub?}"));
    assert!(config.routes.iter().any(|route| &*route.name == "POST /own"));
}

#[test]
fn errors_of_a_route_go_before_those_of_the_file() {
    let config = service();
    let status = |route: usize, reason: &str| {
        config.routes[route].errors.as_ref().expect("errors").find(reason).expect("an answer").status
    };
    assert_eq!((status(0, "expired"), status(1, "expired")), (Some(440), Some(419)));
    assert_eq!((status(0, "revoked"), status(1, "revoked")), (None, None));
    let own = file(&[
        ("errors", "{expired: {status: 440}}"),
        ("routes", "{/x: {require: authenticated, errors: {'*': {status: 403}}}}"),
    ]);
    let route = self::config(&own).routes[0].clone();
    assert_eq!(route.errors.as_ref().expect("errors").find("expired").expect("an answer").status, Some(403));
}

#[test]
fn oauth_makes_a_whole_authorization_server() {
    let text = file(&[
        ("oauth", "{pepper: {file: pepper}}"),
        ("store", "{sqlite: a.db}"),
        ("signing_keys", "{sealed_with: {file: kek}}"),
    ]);
    let (config, warnings) = read(&text).expect("a configuration");
    let names: Vec<&str> = config.authority.endpoints.iter().map(|endpoint| &*endpoint.name).collect();
    let expected = [
        "POST /oauth/token",
        "POST /oauth/revoke",
        "POST /oauth/introspect",
        "GET /.well-known/jwks.json",
        "GET /.well-known/oauth-authorization-server",
        "GET /.well-known/oauth-protected-resource",
    ];
    assert_eq!(names, expected);
    assert_eq!(config.issuers[1].issuer, "http://localhost:8080".into());
    assert!(warnings.iter().any(|warning| warning.what.contains("http://localhost:8080")), "{warnings:?}");
    let own = file(&[
        ("oauth", "{issuer: https://api.example.com/t, clients: c, refresh: none, path: /}"),
        ("credentials", "{c: {api_keys: {entries: {env: K}}}}"),
        ("store", "{sqlite: a.db}"),
        ("signing_keys", "{sealed_with: {file: kek}}"),
    ]);
    let (config, warnings) = read(&own).expect("a configuration");
    assert_eq!(warnings, []);
    assert!(config.authority.tokens.iter().all(|token| &*token.name != "refresh"));
    let names: Vec<&str> = config.authority.endpoints.iter().map(|endpoint| &*endpoint.name).collect();
    assert!(names.contains(&"POST /token"), "{names:?}");
    assert!(names.contains(&"GET /.well-known/oauth-authorization-server/t"), "{names:?}");
}

#[test]
fn what_is_printed_parses_to_the_same_service() {
    crate::config::tests::printed::check(SERVICE);
    let oauth = file(&[
        ("oauth", "{pepper: {file: pepper}, issuer: https://api.example.com}"),
        ("store", "{sqlite: a.db}"),
        ("signing_keys", "{sealed_with: {file: kek}}"),
    ]);
    crate::config::tests::printed::check(&oauth);
}

/// Disabling a key has to end what was made from it, and finds it by nothing but whose the token says it is.
#[test]
fn a_token_that_does_not_say_whose_it_is_outlives_its_key_and_is_warned_of() {
    let warned = |token: &str, managed: bool, issue: &str| {
        let key = if managed { "managed: true, pepper: {file: p}" } else { "entries: []" };
        let text = file(&[
            ("store", "{sqlite: a.db}"),
            ("signing_keys", "{sealed_with: {file: kek}}"),
            ("credentials", &format!("{{keys: {{api_keys: {{{key}}}}}, session: {{issuer: corp}}}}")),
            ("tokens", &format!("{{access: {token}}}")),
            ("endpoints", &format!("{{'POST /{{user}}': {{issue: access, {issue}}}}}")),
        ]);
        let (_, warnings) = read(&text).unwrap_or_else(|problems| panic!("{problems}"));
        let says = |what: &str| warnings.len() == 1 && warnings[0].what.contains(what);
        assert!(warnings.is_empty() || says("does not say whose it is"), "{warnings:?}");
        !warnings.is_empty()
    };
    let (keys, acting) = ("credential: keys", "credential: session, act_as: {credential: keys, id: k}");
    for (token, managed, issue, is_warned) in [
        ("{}", true, keys, false),
        ("{claims: {sub: '{subject}'}}", true, keys, false),
        ("{claims: {sub: '{credential.id}'}}", true, acting, false),
        ("{subject: '{path.user}'}", true, keys, false),
        ("{subject: '{path.user}', claims: {client_id: '{credential.id}'}}", true, keys, false),
        ("{claims: {id: '{subject}'}, claim_names: {subject: id}}", true, keys, false),
        ("{claims: {scope: '{scope}'}}", true, keys, true),
        ("{claims: {sub: '{subject}'}, subject: '{path.user}'}", true, keys, true),
        ("{claims: {sub: '{credential.id}'}, subject: '{path.user}'}", true, keys, true),
        ("{claims: {sub: 'k-{credential.id}'}}", true, acting, true),
        ("{claims: {client_id: me, scope: '{scope}'}}", true, keys, true),
        ("{claims: {scope: '{scope}'}}", false, keys, false),
        ("{claims: {scope: '{scope}'}}", true, "credential: session", false),
    ] {
        assert_eq!(warned(token, managed, issue), is_warned, "{token} {managed} {issue}");
    }
}
