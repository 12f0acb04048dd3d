//! What is refused, and what is said about it.

use super::{file, issuer, problems, route};

/// One problem, which says this.
fn check(text: &str, part: &str) {
    let problems = problems(text);
    assert_eq!(problems.list.len(), 1, "{problems}\nin\n{text}");
    assert!(problems.to_string().contains(part), "{problems}\nlacks {part:?} in\n{text}");
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let text = "version: 2\nlisteners: [x]\nadmin: {adress: 127.0.0.1:1}\nlimitz: {}\nroutes:\n  GET /a: \n  \
                /b: {require: {scope: a}}\n  /c: {require: public, upstream: orders}\n";
    let shown = problems(text).to_string();
    let places: Vec<&str> = shown.lines().filter(|line| line.starts_with("gate.yaml:")).collect();
    let expected = [
        "gate.yaml:1:1: missing key `upstreams` in the file: its routes forward",
        "gate.yaml:1:10: `version`: `2` is more than 1",
        "gate.yaml:2:13: `listeners`: `x` is no address",
        "gate.yaml:3:9: unknown key `adress` in the admin listener",
        "gate.yaml:4:1: unknown key `limitz` in the file",
        "gate.yaml:6:3: the route `GET /a` requires nothing",
        "gate.yaml:7:17: a token is required, and there is no issuer",
        "gate.yaml:7:18: unknown key `scope` in `require`",
        "gate.yaml:8:35: `upstream`: `orders` is no upstream of this file",
    ];
    assert_eq!(places.iter().filter(|place| expected.contains(place)).count(), expected.len(), "{shown}");
    for hint in ["did you mean `address`?", "did you mean `limits`?", "did you mean `scopes`?"] {
        assert!(shown.contains(hint), "{shown}");
    }
}

#[test]
fn the_file_as_a_whole() {
    check("", "the file is empty");
    check("# nothing\n", "the file is empty");
    check("[1]", "a mapping, not a list");
    check("hello", "a mapping, not a single value");
    check(&file(&[("version", "")]), "missing key `version`");
    check(&file(&[("version", "'1'")]), "no whole number");
    check(&file(&[("version", "1.0")]), "no whole number");
    check(&file(&[("listeners", "")]), "missing key `listeners`");
    check(&file(&[("listeners", "[]")]), "empty list");
    check(&file(&[("listeners", "~")]), "has no value");
    check(&file(&[("routes", "")]), "missing key `routes`");
    check(&file(&[("routes", "{}")]), "`routes` is empty");
    check(&file(&[("routes", "[a]")]), "a mapping, not a list");
    check(&file(&[("upstreams", "")]), "missing key `upstreams`");
    check(&file(&[("issuers", "")]), "there is no issuer");
    check(&file(&[("workers", "0")]), "less than 1");
    check(&file(&[("workers", "two")]), "no whole number");
    check(&file(&[("shutdown_grace", "30")]), "no duration");
    check(&file(&[("limits", "{token: 8KB}")]), "no size");
    check(&file(&[("limits", "{token: 1B}")]), "less than 256B");
    check(&file(&[("limits", "{headers: -1}")]), "no whole number");
    check(&file(&[("limits", "{headers: 193}")]), "more than 192");
    check(&file(&[("log", "{level: loud}")]), "none of");
    check(&file(&[("log", "{access: yes}")]), "neither `true` nor `false`");
    check(&file(&[("log", "{access: 'true'}")]), "without quotes");
    check(&file(&[("store", "{}")]), "missing key `sqlite`");
    check(&file(&[("revocation", "{claims: []}")]), "empty");
    check(&file(&[("revocation", "{claims: [a, /b, a]}")]), "twice");
    check(&file(&[("revocation", "{claims: [/a~2]}")]), "names no claim");
    check(&file(&[("revocation", "{recheck_streams: 5}")]), "no duration");
    check(&file(&[("revocation", "{recheck_streams: 50ms}")]), "less than 100ms");
    let many: Vec<String> = (0..17).map(|name| format!("c{name}")).collect();
    check(&file(&[("revocation", &format!("{{claims: [{}]}}", many.join(", ")))]), "more than 16 claims");
}

#[test]
fn features_of_other_versions_say_so() {
    let absent = "not in this version";
    for key in ["policies", "feed"] {
        check(&file(&[(key, "{a: b}")]), absent);
    }
    check(&file(&[("store", "{postgres: {url: a}}")]), absent);
    check(&route("on_stale_revocations: deny"), absent);
    check(&file(&[("routes", "{/x: {require: {scopes: 'orders:{id}'}}}")]), "is no parameter of the path");
}

#[test]
fn listeners_and_admin() {
    check(&file(&[("listeners", ":8080")]), "0.0.0.0:8080");
    check(&file(&[("listeners", "localhost:8080")]), "127.0.0.1");
    check(&file(&[("listeners", "'unix:'")]), "names no file");
    check(&file(&[("listeners", "['unix:/a', 'unix:/a']")]), "collides with the listener unix:/a");
    check(&file(&[("listeners", "{address: 1.2.3.4:5, mode: 0600}")]), "for the file of a Unix socket");
    check(&file(&[("listeners", "{address: 'unix:/a', mode: 660}")]), "four octal digits");
    check(&file(&[("listeners", "{address: 'unix:/a', mode: 0680}")]), "four octal digits");
    check(&file(&[("admin", "'unix:/a'")]), "is no address");
    check(&file(&[("listeners", "[127.0.0.1:1, 127.0.0.1:1]")]), "collides with the listener");
    check(&file(&[("listeners", "[0.0.0.0:1, 127.0.0.1:1]")]), "collides with the listener");
    check(&file(&[("listeners", "[{}]")]), "missing key `address`");
    let listener = |text: &str| file(&[("listeners", &format!("[{{address: 1.2.3.4:5, {text}}}]"))]);
    check(&listener("proxy_protocol: optional"), "none of `none`, `required`");
    check(&listener("trusted_proxies: [10.0.0.0/33]"), "is no network");
    check(&listener("trusted_proxies: localhost"), "is no network");
    check(&listener("trusted_proxies: 10.0.0.1/8"), "`10.0.0.0/8` is the network");
    check(&file(&[("admin", "127.0.0.1:8080")]), "collides with the listener");
    check(&file(&[("admin", "{address: 127.0.0.1:8080}")]), "collides with the listener");
    check(&file(&[("admin", "{token: {env: A}}")]), "missing key `address`");
}

#[test]
fn tls() {
    let tls = |text: &str| file(&[("listeners", &format!("[{{address: 1.2.3.4:5, tls: {text}}}]"))]);
    let pair = "certificate: a, private_key: {file: b}";
    check(&tls("{}"), "no certificate");
    check(&tls("true"), "is a mapping");
    check(&tls("{certificate: a}"), "`certificate` without `private_key`");
    check(&tls("{private_key: {file: b}}"), "`private_key` without `certificate`");
    check(&tls("{certificate: a, private_key: b}"), "does not say where the secret is");
    check(
        &tls(&format!("{{{pair}, certificates: [{{{pair}}}]}}")),
        "has both `certificates` and `certificate`",
    );
    check(&tls("{certificates: []}"), "empty list");
    check(&tls("{certificates: [{certificate: a}]}"), "missing key `private_key`");
    check(&tls(&format!("{{{pair}, client_certificate: always}}")), "none of");
    check(&tls(&format!("{{{pair}, client_certificate: optional}}")), "nothing says who signs them");
    check(&tls(&format!("{{{pair}, client_certificate: required}}")), "nothing says who signs them");
    check(&file(&[("limits", "{handshakes: 0}")]), "less than 1");
}

#[test]
fn upstreams() {
    let upstream = |text: &str| file(&[("upstreams", text)]);
    check(&upstream("{}"), "`upstreams` is empty");
    check(&upstream("{api: 10.0.0.5:8080}"), "no URL");
    check(&upstream("{api: http://a/path}"), "has a path");
    check(&upstream("{api: 'unix:'}"), "names no file");
    check(&upstream("{api: unix://run/app.sock}"), "written as a URL");
    check(&upstream(&format!("{{api: unix:/{}}}", "a".repeat(107))), "a socket's path has at most 107");
    check(&upstream("{api: {peers: [unix:a, unix:/etc/portcullis/a]}}"), "is there twice");
    check(&upstream("{api: {}}"), "missing key `peers`");
    check(&upstream("{api: {peers: []}}"), "empty list");
    check(&upstream("{api: {peers: [http://a, http://a:80]}}"), "is there twice");
    check(&upstream("{api: {peers: [https://a, http://a:443]}}"), "is there twice");
    check(&upstream("{api: {peers: http://a, tls: {ca: a}}}"), "without an `https` peer");
    check(
        &upstream("{api: {peers: https://a, tls: {certificate: a}}}"),
        "`certificate` without `private_key`",
    );
    check(&upstream("{api: {peers: https://a, tls: {private_key: {file: a}}}}"), "`private_key` without");
    check(&upstream("{api: {peers: https://a, tls: {verify: false}}}"), "unknown key `verify`");
    check(&upstream("{api: {peers: http://a, balance: random}}"), "none of");
    check(&upstream("{api: {peers: http://a, health: {}}}"), "missing key `path`");
    check(&upstream("{api: {peers: http://a, health: healthz}}"), "no path");
    check(&upstream("{api: {peers: http://a, host: api.internal}}"), "none of");
    check(&upstream("{api: {peers: http://a, host: {literal: 'a b'}}}"), "no host");
    check(&upstream("{api: {peers: http://a, connect_timeout: 0s}}"), "less than 1ms");
    check(&upstream("{api: {peers: http://a, conect_timeout: 1s}}"), "did you mean `connect_timeout`?");
    check(&upstream("{a/b: http://a}"), "is no name");
}

#[test]
fn issuers() {
    let issuers = |text: &str| file(&[("issuers", text)]);
    check(&issuers("{corp: https://login.example.com/}"), "a mapping, not a single value");
    check(&issuers("{corp: {issuer: https://a/}}"), "missing key `audience`");
    check(&issuers("{corp: {audience: a}}"), "missing key `issuer`");
    check(&issuers("{corp: {issuer: https://a/, audiance: a}}"), "did you mean `audience`?");
    check(&issuers("{corp: {issuer: https://a/, audience: []}}"), "empty list");
    check(&issuers("{corp: {issuer: https://a/, audience: [a, any]}}"), "`audience: any`");
    check(&issuers("{corp: {issuer: https://a/, audience: ['']}}"), "is empty");
    check(&issuers("{corp: {issuer: corp, audience: a}}"), "no URL");
    check(&issuers("{corp: {issuer: http://login.example.com/, audience: a}}"), "plain HTTP");
    let twice = "{a: {issuer: https://a/, audience: a}, b: {issuer: https://a/, audience: b}}";
    check(&issuers(twice), "the same `issuer` as `a`");
    check(&issuer("refresh: 99ms"), "less than 100ms");
    check(&issuer("cooldown: 99ms"), "less than 100ms");
    check(&issuer("leeway: 10m"), "more than 5m");
    check(&issuer("max_token_lifetime: forever"), "no duration");
    check(&issuer("token_type: jwt"), "none of");
    check(&issuer("scope_match: segment"), "did you mean `segments`?");
    check(&issuer("claims: {scope: []}"), "empty list");
    check(&issuer("claims: {scope: /a~2}"), "names no claim");
    check(&issuer("claims: {subject: ''}"), "names no claim");
    check(&issuer("claims: {scopes: scope}"), "did you mean `scope`?");
    check(&issuer("from: cookie"), "none of");
    check(&issuer("from: []"), "empty list");
    check(&issuer("from: [bearer, bearer]"), "is there twice");
    check(&issuer("from: {header: Authorization}"), "`from: bearer`");
    check(&issuer("from: {header: Host}"), "holds no token");
    check(&issuer("from: {header: a, cookie: b}"), "both `header` and `cookie`");
    check(&issuer("from: {cookie: 'a b'}"), "no cookie name");
    check(&issuer("from: {}"), "wants one of");
}

/// Threat O4, RFC 8725 section 2.1 and RFC 7518 section 3.6.
#[test]
fn algorithms_agree_with_the_keys() {
    check(&issuer("algorithms: [HS256]"), "`HS256` is an HMAC algorithm, and these keys are public");
    check(&issuer("algorithms: [RS256, HS512], keys: {jwks: {file: a}}"), "HMAC");
    check(&issuer("algorithms: HS256, keys: {pem: {file: a}}"), "HMAC");
    check(&issuer("algorithms: [RS256], keys: {secret: {file: a}}"), "`RS256` wants public keys");
    for none in ["none", "None", "nOnE"] {
        check(&issuer(&format!("algorithms: {none}")), "an unsigned token proves nothing");
    }
    check(&issuer("algorithms: [rs256]"), "did you mean `RS256`?");
    check(&issuer("algorithms: [ES256K]"), "none of");
    check(&issuer("algorithms: []"), "empty list");
}

#[test]
fn key_sources() {
    check(&issuer("keys: {}"), "wants one of `jwks`, `pem`, `secret`");
    check(&issuer("keys: jwks"), "none of `discovery`");
    check(&issuer("keys: {jwks: {file: a}, pem: {file: a}}"), "both `jwks` and `pem`");
    check(&issuer("keys: {jwks: {}}"), "wants one of `url`, `file`, `inline`");
    check(&issuer("keys: {jwks: {url: a, file: b}}"), "both `url` and `file`");
    check(&issuer("keys: {jwks: {url: http://login.example.com/jwks}}"), "plain HTTP");
    check(&issuer("keys: {jwks: {url: /jwks.json}}"), "no URL");
    check(&issuer("keys: {url: https://a/jwks}"), "`url` belongs in `jwks`");
    check(&issuer("keys: {jwks: {inline: {}}}"), "lacks `keys`");
    check(&issuer("keys: {jwks: {inline: 'x'}}"), "no JSON");
    check(&issuer("keys: {jwks: {inline: [1]}}"), "is a key set");
    check(&issuer("keys: {pem: {inline: x}}"), "no PEM");
}

#[test]
fn routes() {
    let routes = |text: &str| file(&[("routes", text)]);
    for nothing in ["", "~", "{}", "null", "[]"] {
        check(&routes(&format!("{{/x: {nothing}}}")), "requires nothing");
    }
    check(&routes("{/x: [a, b]}"), "a mapping, not a list");
    check(&routes("{/x: {name: a}}"), "missing key `require`");
    check(&routes("{/x: {require: }}"), "has no value");
    check(&routes("{/x: {require: {}}}"), "requires nothing");
    check(&routes("{/x: {scopes: a}}"), "`scopes` belongs in `require`");
    check(&routes("{/x: a b}"), "more than one scope");
    check(&routes("{/x: 'a\"b'}"), "is no scope");
    check(&routes("{/x: {require: {issuers: []}}}"), "empty list");
    check(&routes("{/x: {require: {issuers: crop}}}"), "did you mean `corp`?");
    check(&routes("{/x: {require: {scopes: []}}}"), "empty list");
    check(&routes("{/x: {require: {any_scope: []}}}"), "empty list");
    check(&routes("{/x: {require: {when: claims.}}}"), "cannot be used");
    check(&routes("{/x: {require: {when: user.name == 'a'}}}"), "there is no variable `user`");
    check(&routes("{get /x: public}"), "lower case");
    check(&routes("{/x/../y: public}"), "another parser");
    check(&route("upstream: apo"), "did you mean `api`?");
    check(&route("enforce: off"), "none of `deny`, `shadow`");
    check(&route("dangerous_path: 1"), "neither `true` nor `false`");
    check(&route("name: ''"), "is empty");
    let several = [("upstreams", "{a: http://a, b: http://b}")];
    check(&file(&several), "missing key `upstream` in the route");
}

#[test]
fn routes_that_tie() {
    let check = |keys: &[&str], ties: bool| {
        let routes: String = keys.iter().map(|key| format!("  {key:?}: public\n")).collect();
        let text = file(&[("routes", &format!("\n{routes}"))]);
        match super::read(&text) {
            Ok(_) => assert!(!ties, "{keys:?} do not tie"),
            Err(problems) => {
                assert!(ties && problems.list.len() == 1, "{problems}");
                assert!(problems.list[0].what.contains("ties with"), "{problems}");
            }
        }
    };
    check(&["/a", "a.com/a", "*.a.com/a", "*.b.com/a", "/A", "/a/"], false);
    check(&["GET /a", "POST /a", "/a"], false);
    check(&["/a/{id}", "/a/b", "/a/{*rest}"], false);
    check(&["/a/{id}/c", "/a/b/{id}"], false);
    check(&["/a/{id}", "/a/{name}"], true);
    check(&["/a/{*rest}", "/a/{*all}"], true);
    check(&["GET,POST /a", "POST,PUT /a"], true);
    check(&["GET /a", "HEAD /a"], true);
    check(&["/%61", "/a"], true);
    check(&["A.com/a", "a.com./a"], true);
}

#[test]
fn what_the_upstream_is_told() {
    check(&route("forward: {headers: {'X Y': sub}}"), "no header name");
    check(&route("forward: {headers: [a]}"), "a mapping, not a list");
    check(&route("forward: {headers: {X-A: {array: json}}}"), "missing key `claim`");
    check(&route("forward: {headers: {X-A: {claim: a, array: csv}}}"), "none of `comma`, `json`, `repeat`");
    check(&route("forward: {headers: {X-A: []}}"), "empty list");
    check(&route("forward: {headers: {X-A: a, x_a: b}}"), "the same header as `X-A`");
    check(&route("forward: {authorization: drop}"), "none of `strip`, `keep`");
    for name in [
        "Host",
        "content-length",
        "Content_Length",
        "Transfer-Encoding",
        "Connection",
        "Authorization",
        "TE",
        "Upgrade",
        "X-Forwarded-For",
        "Forwarded",
        "Via",
        "Cookie",
        "Content-Type",
        "Origin",
        "Proxy-Authorization",
    ] {
        check(&route(&format!("forward: {{headers: {{{name}: sub}}}}")), "the gateway controls");
    }
}

#[test]
fn cors() {
    check(&route("websocket: same-origin"), "same_origin");
    check(&route("websocket: {}"), "missing key `origins`");
    check(&route("websocket: {origins: []}"), "empty list");
    check(&route("websocket: {origins: '*'}"), "websocket: any");
    check(&route("websocket: {origins: https://a/}"), "has a path");
    check(&route("cors: {}"), "missing key `origins`");
    check(&route("cors: {origins: []}"), "empty list");
    check(&route("cors: {origins: ['*'], credentials: true}"), "with `credentials: true`");
    check(&route("cors: {origins: ['*', https://a]}"), "stands alone");
    check(&route("cors: {origins: https://a/}"), "has a path");
    check(&route("cors: {origins: 'null'}"), "sandboxed");
    check(&route("cors: {origins: https://*.a}"), "compared exactly");
    check(&route("cors: {origins: https://a, headers: '*'}"), "name them");
    check(&route("cors: {origins: https://a, max_age: 10}"), "no duration");
}

#[test]
fn streams() {
    check(&route("streams: 4403"), "a mapping, not a single value");
    check(&route("streams: {closed: 4403}"), "did you mean `close`?");
    check(&route("streams: {close: 1000}"), "less than 1008");
    check(&route("streams: {close: 5000}"), "more than 4999");
    for code in ["1009", "1011", "3000", "3999"] {
        check(&route(&format!("streams: {{close: {code}}}")), "one from `4000` to `4999`");
    }
    check(&route("streams: {close: '4403'}"), "no whole number");
    check(&route("streams: {grace: 61m}"), "more than 1h");
    check(&route("streams: {grace: 5}"), "no duration");
    check(&route("streams: {warning: {before: 30s}}"), "missing key `message`");
    check(&route("streams: {warning: {before: 0s, message: a}}"), "less than 1s");
    check(&route("streams: {warning: ''}"), "is empty");
    check(&route("streams: {warning: {message: ''}}"), "is empty");
    check(&route("streams: {warning: [a]}"), "a mapping, not a list");
    check(&route(&format!("streams: {{warning: '{}'}}", "\u{e9}".repeat(513))), "longer than 1KiB");
    check(&route("streams: {reauthenticate: /token}"), "a mapping, not a single value");
    check(&route("streams: {reauthenticate: {when: {a: b}}}"), "missing key `token`");
    check(&route("streams: {reauthenticate: {token: /a~2}}"), "names no member");
    check(&route("streams: {reauthenticate: {token: ''}}"), "names no member");
    check(&route("streams: {reauthenticate: {token: [/a, /b]}}"), "wants a single value");
    check(&route("streams: {reauthenticate: {token: /a, when: {}}}"), "`when` is empty");
    check(&route("streams: {reauthenticate: {token: /a, when: [/b]}}"), "a mapping, not a list");
    check(&route("streams: {reauthenticate: {token: /a, when: {/b~: c}}}"), "`/b~` names no member");
    check(&route("streams: {reauthenticate: {token: /a, when: {/b: [c]}}}"), "wants a single value");
    check(&route("streams: {reauthenticate: {token: /a, when: {/b: c, /b: d}}}"), "/b");
    let many: Vec<String> = (0..9).map(|name| format!("/m{name}: x")).collect();
    let many = format!("streams: {{reauthenticate: {{token: /a, when: {{{}}}}}}}", many.join(", "));
    check(&route(&many), "more than 8 members");
}

#[test]
fn the_environment() {
    check(&file(&[("listeners", "{env: NOWHERE}")]), "the environment variable `NOWHERE` is not set");
    check(&file(&[("shutdown_grace", "{env: [a]}")]), "wants the name");
    check(&file(&[("shutdown_grace", "{env: ''}")]), "no name of an environment variable");
    check(&file(&[("shutdown_grace", "{env: A, default: [1s]}")]), "single value");
    let text = file(&[("listeners", "{env: BAD}")]);
    check(&text, "the value of $BAD is no address");
    assert!(!problems(&text).to_string().contains("hunter2"));
    check(
        &issuer("issuer: {env: EMPTY}").replacen("issuer: https://login.example.com/, ", "", 1),
        "is empty",
    );
}
