use crate::config::tests::{config, file, problems, read};

/// One problem, which says this, of a file with a store, something to seal keys with, and these sections.
fn check(sections: &[(&str, &str)], part: &str) {
    let text = service(sections);
    let problems = problems(&text);
    assert_eq!(problems.list.len(), 1, "{problems}\nin\n{text}");
    assert!(problems.to_string().contains(part), "{problems}\nlacks {part:?} in\n{text}");
}

fn service(sections: &[(&str, &str)]) -> String {
    let mut all = vec![("store", "{sqlite: a.db}"), ("signing_keys", "{sealed_with: {file: kek}}")];
    for (key, text) in sections {
        match all.iter_mut().find(|(known, _)| known == key) {
            Some(section) => section.1 = text,
            None => all.push((key, text)),
        }
    }
    file(&all)
}

const KEYS: (&str, &str) = (
    "credentials",
    "{keys: {api_keys: {entries: []}}, more: {api_keys: {entries: []}, scope_match: glob}, session: {issuer: corp}, \
     people: {people: {managed: true}, from: {id: {body: a}, secret: {body: b}}}, path: {api_keys: {entries: []}, from: {path: k}}}",
);
const TOKENS: (&str, &str) = (
    "tokens",
    "{access: {}, user: {format: opaque}, refresh: {format: refresh}, again: {format: refresh}, hmac: {sign: {algorithm: \
     HS256, secret: {env: S}}}}",
);

fn endpoint(key: &str, text: &str, part: &str) {
    check(&[KEYS, TOKENS, ("endpoints", &format!("{{{key}: {text}}}"))], part);
}

fn token(text: &str, part: &str) {
    check(&[("tokens", &format!("{{access: {text}}}"))], part);
}

fn credential(text: &str, part: &str) {
    check(&[("credentials", &format!("{{keys: {text}}}"))], part);
}

#[test]
fn credentials() {
    credential("{}", "wants one of `api_keys`, `people`, `issuer`");
    credential("{api_keys: {entries: []}, issuer: corp}", "both `api_keys` and `issuer`");
    credential("{api_keys: {entries: [], prefx: a}}", "did you mean `prefix`?");
    credential("{issuer: crop}", "did you mean `corp`?");
    credential("{api_keys: {prefix: a}}", "neither `managed` nor listed");
    credential("{people: {passes: 3}, from: basic}", "neither `managed` nor listed");
    credential("{api_keys: {managed: true}}", "without a `pepper`");
    credential("{api_keys: {managed: true, pepper: CANARY}}", "does not say where the secret is");
    credential("{api_keys: {entries: [], prefix: 'a b'}}", "is no prefix");
    credential("{api_keys: {entries: [], prefix: a, prefixes: {b: {}}}}", "both `prefix` and `prefixes`");
    credential("{api_keys: {entries: [], prefixes: {sk_: {}, sk_a_: {}}}}", "begin with each other");
    credential("{api_keys: {entries: [], prefixes: {sk_: x}}}", "mapping of attributes");
    credential("{api_keys: {entries: [{id: a}]}}", "missing key `secret`");
    credential("{api_keys: {entries: [{id: a, secret: {env: A}, scope: b}]}}", "did you mean `scopes`?");
    credential(
        "{api_keys: {entries: [{id: a, secret: {env: A}}, {id: a, secret: {env: B}}]}}",
        "there already",
    );
    credential("{api_keys: {entries: {file: a, env: b}}}", "both `file` and `env`");
    credential("{api_keys: {entries: []}, from: {body: a, header: b}}", "both `header` and `body`");
    credential("{api_keys: {entries: []}, from: {id: {body: a}}}", "`id` and no `secret`");
    credential(
        "{api_keys: {entries: []}, from: {body: x, id: bearer, secret: {body: a}}}",
        "beside an id and a secret",
    );
    credential("{api_keys: {entries: []}, from: {id: {body: a}, secret: {body: a}}}", "in one place");
    credential("{api_keys: {entries: []}, from: {header: authorization}}", "write `from: bearer`");
    credential("{api_keys: {entries: []}, from: {body: [a, b]}}", "one member's name");
    credential("{people: {managed: true}, from: bearer}", "people have a name and a password");
    credential("{issuer: corp, from: basic}", "its issuer says where it stands");
    credential("{issuer: corp, scope_match: glob}", "its issuer says how");
    check(&[("credentials", "{corp: {api_keys: {entries: []}, from: bearer}}")], "is an issuer already");
    check(
        &[("credentials", "{k: {people: {managed: true}, from: basic}}"), ("store", "")],
        "there is no `store`",
    );
}

#[test]
fn tokens() {
    token("{fromat: jwt}", "did you mean `format`?");
    token("{format: paseto}", "is none of");
    token("{sign: HS256}", "which wants a secret");
    token("{sign: none}", "unsigned");
    token("{sign: {algorithm: HS256, pem: {file: a}}}", "`pem` goes with these");
    token("{sign: {algorithm: ES256, secret: {file: a}}}", "`secret` goes with these");
    token("{sign: {algorithm: ES256}}", "wants one of `secret`, `pem`");
    token("{type: id+jwt}", "is none of");
    token("{prefix: a}", "says nothing about a token of the format `jwt`");
    token("{format: opaque, sign: ES256}", "says nothing about a token of the format `opaque`");
    token("{format: refresh, claims: {a: b}}", "says nothing about a token of the format `refresh`");
    token("{format: opaque, octets: 8}", "less than 16");
    token("{lifetime: 0s}", "less than 1s");
    token("{lifetime: {default: 1h, max: 2h}}", "cannot be asked for");
    token("{lifetime: {default: 1h, asked: {body: x}, max: 1m}}", "less than `default`");
    token("{claims: {iss: a}}", "is set for every token");
    token("{claims: {a: '{token.access}'}}", "which a claim does not know");
    token("{claims: {a: {b: ['{message}']}}}", "which a claim does not know");
    token("{claims: {a: '{credental.id}'}}", "nothing fills");
    token("{claims: {a: '{'}}", "without its pair");
    token("{subject: '{subject}'}", "which a subject does not know");
    check(&[("tokens", "{corp: {}}")], "is an issuer already");
    check(&[("tokens", "{a: {issuer: x}, b: {issuer: x}}")], "has the same `issuer` as `a`");
    check(&[("tokens", "{a: {}}"), ("store", "")], "there is no `store`");
    check(&[("tokens", "{a: {format: opaque}}"), ("store", "")], "there is no `store`");
    check(&[("tokens", "{a: {}}"), ("signing_keys", "")], "nothing seals them");
}

/// As `ms` of npm reads them, but for what nobody means: graphql.md 1.3.
#[test]
fn lifetimes_of_the_environment() {
    for (text, seconds) in [
        ("1d", 86_400),
        ("2 days", 172_800),
        ("10h", 36_000),
        ("1.5h", 5_400),
        ("90s", 90),
        ("1w", 604_800),
        ("1y", 31_557_600),
        ("1D", 86_400),
        ("1 hour", 3_600),
        ("1M", 60),
        ("60", 60),
        ("3600", 3_600),
    ] {
        let text = service(&[("tokens", &format!("{{access: {{lifetime: {text}}}}}"))]);
        let (config, warnings) = read(&text).expect(&text);
        assert_eq!(config.authority.tokens[0].lifetime.default.as_secs(), seconds, "{text}");
        let bare = seconds == 60 && text.contains(": 60") || seconds == 3_600 && text.contains(": 3600");
        assert_eq!(
            warnings.iter().filter(|one| one.what.contains("taken for seconds")).count(),
            usize::from(bare)
        );
    }
    for text in
        ["-1d", "abc", "1mo", "' 1d'", "500ms", "1.5", "1.h", ".5h", "1e3s", "''", "9999999999999d", "200y"]
    {
        token(&format!("{{lifetime: {text}}}"), "`lifetime`");
    }
    let empty = service(&[("tokens", "{access: {lifetime: {env: EMPTY, default: 2h}}}")]);
    assert_eq!(config(&empty).authority.tokens[0].lifetime.default.as_secs(), 7_200);
    let given = service(&[("tokens", "{access: {lifetime: {env: DURATION, default: 2h}}}")]);
    assert_eq!(config(&given).authority.tokens[0].lifetime.default.as_secs(), 7);
}

#[test]
fn endpoints() {
    endpoint("POST /a", "{}", "wants one of `issue`");
    endpoint("POST /a", "{issue: access, refresh: refresh, credential: keys}", "both `issue` and `refresh`");
    endpoint("POST /a", "{issue: acess, credential: keys}", "did you mean `access`?");
    endpoint("POST /a", "{issue: access, credential: kees}", "did you mean `keys`?");
    endpoint("POST /a", "{issue: access}", "anybody could ask");
    endpoint("POST /a", "{issue: [access, access], credential: keys}", "is there twice");
    endpoint("POST /a", "{issue: refresh, credential: keys}", "of use for nothing");
    endpoint("POST /a", "{issue: [access, refresh, again], credential: keys}", "more than one refresh token");
    endpoint("POST /a", "{issue: access, credential: keys, from: bearer}", "says nothing about `issue`");
    endpoint(
        "POST /a",
        "{issue: access, credential: {by: {body: m}, of: {s: session}}}",
        "which no word of the request",
    );
    endpoint(
        "POST /a",
        "{issue: access, credential: {by: {body: m}, of: {a: keys, b: more}}}",
        "`scope_match` differ",
    );
    endpoint("POST /a", "{issue: access, credential: path}", "is no parameter of the path");
    endpoint("POST /a", "{issue: access, credential: keys, require: {/a~2: text}}", "names no member");
    endpoint("POST /a", "{issue: access, credential: keys, require: {a: number}}", "is none of");
    endpoint(
        "POST /a",
        "{issue: access, credential: keys, require: {a: {error: 'Bad!'}}}",
        "no name of a reason",
    );
    endpoint(
        "POST /a",
        "{issue: access, credential: keys, scopes: {asked: {path: s}}}",
        "is no parameter of the path",
    );
    endpoint(
        "POST /a",
        "{issue: access, credential: keys, scopes: {ceiling: '{body.scopes}'}}",
        "a ceiling does not know",
    );
    endpoint("POST /a", "{issue: access, credential: keys, scopes: {ceiling: 7}}", "no list of scopes");
    endpoint(
        "POST /a",
        "{issue: access, credential: keys, act_as: {credential: people, id: a}}",
        "are no API keys",
    );
    endpoint(
        "POST /a",
        "{issue: access, credential: keys, act_as: {credential: keys, id: '{body.id}'}}",
        "does not know",
    );
    endpoint(
        "POST /a",
        "{issue: [access, refresh], credential: keys, reuse: {}}",
        "`reuse` where a refresh token",
    );
    endpoint(
        "POST /a",
        "{issue: access, credential: keys, reuse: {unless: {is: a}}}",
        "wants one of `header`",
    );
    endpoint("POST /a", "{issue: access, credential: keys, attempts: 0}", "less than 1");
}

#[test]
fn endpoints_that_refresh_revoke_and_tell() {
    endpoint("POST /a", "{refresh: user}", "does not refresh itself");
    endpoint("POST /a", "{refresh: refresh}", "is issued by no endpoint");
    // Nothing is shown there that could be guessed and counted.
    endpoint("POST /a", "{refresh: access, attempts: 5}", "`attempts` counts nothing here");
    endpoint("POST /a", "{revoke: access, from: bearer, attempts: 5}", "`attempts` counts nothing here");
    endpoint(
        "POST /a",
        "{issue: access, credential: session, attempts: 5}",
        "`attempts` counts nothing here",
    );
    endpoint(
        "POST /a",
        "{revoke: [access], subject: '{path.user}', credential: keys}",
        "no parameter of the path",
    );
    endpoint("'POST /a/{user}'", "{revoke: [access], subject: '{path.user}'}", "anybody could revoke");
    endpoint(
        "'POST /a/{user}'",
        "{revoke: access, subject: '{path.user}', from: bearer, credential: keys}",
        "`from` where",
    );
    endpoint("POST /a", "{introspect: access}", "anybody could ask");
    endpoint(
        "POST /a",
        "{introspect: access, credential: keys, answer: {}}",
        "says nothing about `introspect`",
    );
    endpoint("GET /a", "{key_set: hmac}", "shown to nobody");
    endpoint("GET /a", "{key_set: user}", "has no keys");
    endpoint("GET /a", "{metadata: {a: '{now}'}}", "metadata does not know");
    endpoint("POST /a", "{grants: {access: refresh}, credential: keys}", "which no route takes");
    endpoint(
        "POST /a",
        "{grants: {access: access, refresh: user}, credential: keys}",
        "no token of the format `refresh`",
    );
    endpoint("POST /a", "{grants: {access: access}, credential: people}", "no API keys");
    endpoint("POST a", "{key_set: access}", "has no path");
    endpoint("/x", "{key_set: access}", "ties with");
}

#[test]
fn answers_and_errors() {
    let answer = |text: &str, part: &str| {
        endpoint("POST /a", &format!("{{issue: access, credential: keys, answer: {text}}}"), part);
    };
    answer("{body: '{token.user}'}", "is no token that is made here");
    answer("{body: '{token.acess}'}", "did you mean `access`?");
    answer("{body: ['{reason}']}", "an answer does not know");
    answer("{body: '{path.user}'}", "is no parameter of the path");
    answer("{status: 99}", "less than 200");
    answer("{status: 204, body: a}", "has no body");
    answer("{headers: {content-length: '3'}}", "writes itself");
    answer("{headers: {'a b': c}}", "no header name");
    answer("{headers: {a: \"b\\nc\"}}", "control character");
    let errors = |text: &str, part: &str| {
        endpoint("POST /a", &format!("{{issue: access, credential: keys, errors: {text}}}"), part);
    };
    errors("{bad_credentials: {}}", "did you mean `bad_credential`?");
    errors("{bad_scopes: {}}", "no reason of a refusal here");
    errors("{'*': {body: '{credential.id}'}}", "an error does not know");
    errors("{'*': {body: '{token.access}'}}", "an error does not know");
    check(&[("errors", "{expird: {}}")], "did you mean `expired`?");
    check(&[("errors", "{bad_credential: {}}")], "no reason of a refusal here");
    check(&[("routes", "{/x: {require: authenticated, errors: {nope: {}}}}")], "no reason of a refusal here");
}

#[test]
fn oauth() {
    let oauth = |text: &str, part: &str| check(&[KEYS, ("oauth", text)], part);
    oauth("{}", "no `pepper` to make them with");
    oauth("{clients: kees}", "`kees` is no credential");
    oauth("{clients: people}", "no API keys");
    oauth("{clients: keys, access: nope}", "`nope` is no token");
    oauth("{clients: keys, access: refresh}", "which no route takes");
    oauth("{clients: keys, pepper: {file: a}}", "whose clients are among `credentials`");
    oauth("{clients: keys, issuer: api.example.com}", "no URL");
    oauth("{clients: keys, issuer: 'https://a.example/?x'}", "has a query");
    oauth("{clients: keys, path: oauth}", "is no path");
    oauth("{clients: keys, path: '/{a}'}", "is no path");
    oauth("{client: keys, pepper: {file: a}}", "did you mean `clients`?");
    check(
        &[
            KEYS,
            TOKENS,
            ("oauth", "{clients: keys}"),
            ("endpoints", "{POST /oauth/token: {key_set: access}}"),
        ],
        "ties with",
    );
}

#[test]
fn introspection() {
    let issuer = |text: &str, part: &str| {
        let text = format!("{{corp: {{issuer: https://login.example.com/, audience: a, {text}}}}}");
        check(&[("issuers", &text)], part);
    };
    issuer("introspection: {url: https://a.example, client: c}", "missing key `secret`");
    issuer("introspection: {url: http://a.example, client: c, secret: {env: S}}", "plain HTTP");
    issuer(
        "introspection: {url: https://a.example, client: c, secret: {env: S}}, keys: discovery",
        "beside `introspection`",
    );
    issuer("introspection: {url: https://a.example, client: c, secret: {env: S}, cache: 2h}", "more than 1h");
}

#[test]
fn scopes_built_from_the_request() {
    let route = |path: &str, scope: &str, part: &str| {
        check(&[("routes", &format!("{{'{path}': '{scope}'}}"))], part);
    };
    route("/shelves/{set}", "read:{sett}", "did you mean `{set}`?");
    route("/shelves", "read:{set}", "is no parameter of the path");
    route("/shelves/{set}", "read:{set", "without its pair");
    route("/shelves/{set}", "read:set}", "without its pair");
    route("/shelves/{set}", "read:{{set}}", "without its pair");
    let text = file(&[(
        "routes",
        "{'/shelves/{set}/{*rest}': {require: {scopes: ['read:{set}', a], any_scope: ['{rest}', b]}}}",
    )]);
    let config = config(&text);
    let crate::config::Require::Token(requirement) = &config.routes[0].require else { panic!("public") };
    assert_eq!((&*requirement.scopes, &*requirement.any_scope), (&["a".into()][..], &["b".into()][..]));
    let built = requirement.built.as_ref().expect("built scopes");
    assert_eq!(
        (built.scopes[0].written(), built.any_scope[0].written()),
        ("read:{set}".into(), "{rest}".into())
    );
    let printed = crate::config::print(&config);
    assert!(printed.contains("read:{set}"), "{printed}");
}

/// The names that `errors` may have are those of the one enum, and of no other.
#[test]
fn reasons_of_routes_are_those_of_the_gate() {
    let known: Vec<&str> = crate::gate::denial::Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(crate::config::endpoint::ROUTE_REASONS, known);
}

/// What could only fail, or do less than it says, when somebody signs out.
#[test]
fn revocations_that_could_not_be_made() {
    let revoke = |store: &str, more: &str, endpoint: &str, part: &str| {
        let token = format!("{{hmac: {{sign: {{algorithm: HS256, secret: {{env: S}}}}{more}}}}}");
        let endpoints = format!("{{'POST /a/{{user}}': {endpoint}}}");
        let keys = ("credentials", "{keys: {api_keys: {entries: []}}}");
        check(&[("store", store), keys, ("tokens", &token), ("endpoints", &endpoints)], part);
    };
    let store = "{sqlite: a.db}";
    revoke("", "", "{revoke: hmac}", "there is no `store`");
    revoke("", "", "{revoke: hmac, subject: '{path.user}', credential: keys}", "there is no `store`");
    revoke(store, ", claims: {jti: ~}", "{revoke: hmac}", "no claim `jti`");
    revoke(store, ", claim_names: {id: tid}, claims: {tid: ~}", "{revoke: hmac}", "no claim `tid`");
    revoke(store, ", claims: {sid: ~}", "{revoke: hmac, family: true}", "no claim `sid`");
    revoke(store, ", claims: {jti: ~, sid: ~}", "{revoke: hmac, family: true}", "no claim `sid`");
    revoke(
        store,
        ", claims: {scope: a}",
        "{revoke: hmac, subject: '{path.user}', credential: keys}",
        "no claim `sub`",
    );
    let fits = |more: &str, endpoint: &str| {
        let token = format!("{{hmac: {{sign: {{algorithm: HS256, secret: {{env: S}}}}{more}}}}}");
        let text = service(&[("tokens", &token), ("endpoints", &format!("{{POST /a: {endpoint}}}"))]);
        config(&text);
    };
    fits(", claims: {sid: ~}", "{revoke: hmac}");
    fits(", claims: {jti: ~}", "{revoke: hmac, family: true}");
    fits(", claim_names: {id: /a/b}, claims: {a: {b: '{uuid}'}, jti: ~}", "{revoke: hmac}");
}
