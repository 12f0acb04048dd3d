//! What clients of other systems expect, each by configuration: places, orders, shapes of answers and of errors.

use serde_json::{Value, json};

use crate::authority::{ALICE, BOB, Scene, basic, claims, text};
use crate::harness::canary;
use crate::harness::client::{Connection, Request};
use crate::harness::issuer::Issuer;

const GLOBS: &str = r#"
store: {sqlite: portcullis.db}
credentials:
  keys:
    api_keys: {entries: {env: KEYS, secret: apiKey}}
    from: {id: {body: id}, secret: {body: apiKey}}
    scope_match: glob
tokens:
  pass:
    sign: {algorithm: HS256, secret: {env: SIGNING}}
    lifetime: 1d
    claims: {id: "{credential.id}", scopes: "{scopes}"}
    claim_names: {scope: scopes, subject: id}
    scope_match: glob
endpoints:
  POST /jwt:
    issue: pass
    credential: keys
    require: {scopes: {type: text_list, error: bad_scopes}}
    scopes: {asked: {body: scopes}}
    answer: {body: {success: true, jwt: "{token.pass}"}}
    errors:
      missing_credential: {status: 401, body: {success: false, message: "id or apiKey is missing"}}
      bad_scopes: {status: 401, body: {success: false, message: "scopes is no list"}}
      bad_credential: {status: 403, body: {success: false, message: "not correct"}}
      scope_denied: {status: 403, body: {success: false, message: "no access to '{scope}'"}}
"#;

/// HMAC secrets are 32 octets at the least.
const SIGNING: &str = "a-secret-that-signs-Xc8VbN2mLk5JhGf4Rt6Yu";

fn globs() -> Scene {
    let keys = json!([{"id": "alice", "apiKey": ALICE, "scopes": ["Mutation:*"]},
        {"id": "bob", "apiKey": BOB, "scopes": ["Mutation:Perso?:Create", "!x:y"]}]);
    Scene::of(GLOBS, |setup| {
        setup
            .env("KEYS", &keys.to_string())
            .env("SIGNING", &canary::secret(SIGNING))
            .route("GET /orders", "Mutation:Person:Create")
    })
}

/// The whole order: the credential is there, `require`, the credential is right, its scopes.
#[test]
fn what_is_wrong_first_is_said_first() {
    let scene = globs();
    let ask = |body: Value| {
        let response = scene.json("/jwt", &body);
        let said = response.json()["message"].as_str().unwrap_or_default().to_owned();
        (response.status, said)
    };
    let (wrong, denied) = ("wrong", json!(["Query:x"]));
    assert_eq!(ask(json!({"id": "alice", "scopes": []})), (401, "id or apiKey is missing".into()));
    assert_eq!(
        ask(json!({"id": "", "apiKey": ALICE, "scopes": denied})),
        (401, "id or apiKey is missing".into())
    );
    assert_eq!(ask(json!({"id": "alice", "apiKey": wrong})), (401, "scopes is no list".into()));
    for scopes in [json!([]), json!("Mutation:*"), json!(null), json!({}), json!([1])] {
        let body = json!({"id": "alice", "apiKey": wrong, "scopes": scopes});
        assert_eq!(ask(body), (401, "scopes is no list".into()));
    }
    assert_eq!(ask(json!({"id": "alice", "apiKey": wrong, "scopes": denied})), (403, "not correct".into()));
    assert_eq!(ask(json!({"id": 5, "apiKey": ALICE, "scopes": denied})), (403, "not correct".into()));
    let body = json!({"id": "alice", "apiKey": ALICE, "scopes": ["Mutation:a", "Query:x", "Query:y"]});
    assert_eq!(ask(body), (403, "no access to 'Query:x'".into()), "the first that is refused");
    let empty = json!({"id": "alice", "apiKey": ALICE, "scopes": [""]});
    assert_eq!(ask(empty), (403, "no access to ''".into()));
    let good = scene.json("/jwt", &json!({"id": "alice", "apiKey": ALICE, "scopes": ["Mutation:Person:*"]}));
    assert_eq!((good.status, &good.json()["success"]), (200, &json!(true)), "{good:?}");
    let token = text(&good.json(), "jwt");
    let said = claims(&token);
    assert_eq!(said["id"], "alice");
    assert_eq!(said["scopes"], json!(["Mutation:Person:*"]));
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 86_400);
    assert_eq!(scene.status("/orders", &token), 200);
    let method = scene.ask(&Request::get("/jwt"));
    assert_eq!((method.status, method.header("allow")), (405, Some("POST")));
}

/// Matched as texts, `Perso*` is within `Perso?`, and `!x:…` means everything else somewhere.
#[test]
fn no_pattern_is_a_way_to_more_scopes() {
    let scene = globs();
    for (id, key, scope) in [
        ("bob", BOB, "Mutation:Perso*:Create"),
        ("bob", BOB, "!x:y"),
        ("alice", ALICE, "!Mutation:Person:Create"),
        ("alice", ALICE, "!x:*"),
        ("alice", ALICE, "*"),
        ("alice", ALICE, "{Mutation:a,Query:b}"),
        ("alice", ALICE, "[M]utation:a"),
    ] {
        let response = scene.json("/jwt", &json!({"id": id, "apiKey": key, "scopes": [scope]}));
        assert_eq!(response.status, 403, "{scope}: {response:?}");
        assert_eq!(response.json()["message"], format!("no access to '{scope}'"));
    }
    for (id, key, scope) in [
        ("bob", BOB, "Mutation:Perso?:Create"),
        ("alice", ALICE, "Mutation:{a,b}:?"),
        ("alice", ALICE, "Mutation:*"),
    ] {
        let response = scene.json("/jwt", &json!({"id": id, "apiKey": key, "scopes": [scope]}));
        assert_eq!(response.status, 200, "{scope}: {response:?}");
    }
}

const LISTS: &str = r#"
store: {sqlite: portcullis.db}
credentials:
  keys:
    api_keys: {entries: [{id: alice, secret: {env: ALICE}, scopes: ["read:ds/orders"]}]}
    from: {id: {body: key}, secret: {body: secret}}
tokens:
  access: {sign: {algorithm: HS256, secret: {env: SIGNING}}, lifetime: 2h, claims: {sub: "{subject}", jti: "{uuid}", sid: "{session}", nbf: "{now}", kind: key, scope: "{scope}", echo: "{body.echo?}"}}
  refresh: {format: refresh, octets: 32, encoding: hex, lifetime: 2h}
endpoints:
  POST /auth:
    issue: [access, refresh]
    credential: {by: {body: method}, of: {apk: keys}}
    answer: {body: {access_token: "{token.access}", refresh_token: "{token.refresh}"}}
    errors: &errors
      bad_token: {status: 404, body: [{request_id: "{request.id}", message: "{message}"}]}
      "*": {body: [{request_id: "{request.id}", message: "{message}"}]}
    cors: &cors {origins: ["https://app.example.com"], headers: [content-type]}
  POST /auth/refresh:
    refresh: refresh
    from: {body: refresh_token}
    answer: {body: {access_token: "{token.access}", refresh_token: "{token.refresh}"}}
    errors: *errors
    cors: *cors
"#;

fn lists() -> Scene {
    Scene::of(LISTS, |setup| {
        setup.env("SIGNING", &canary::secret(SIGNING)).route("GET /orders", "\"read:ds/orders\"")
    })
}

#[test]
fn a_body_is_json_whatever_it_is_called_and_errors_have_the_systems_own_shape() {
    let scene = lists();
    let stale = "Bearer not.a.token";
    let sign_in = json!({"method": "apk", "key": "alice", "secret": ALICE, "echo": {"a": [1]}}).to_string();
    // Some clients send JSON as text, and a stale token along with everything.
    let request = Request::post("/auth", &sign_in)
        .header("Content-Type", "text/plain;charset=UTF-8")
        .header("Authorization", stale);
    let response = scene.ask(&request);
    assert_eq!(response.status, 200, "{response:?}");
    let body = response.json();
    assert_eq!(body.as_object().unwrap().len(), 2, "as the template has it, and nothing else: {body}");
    let refresh = text(&body, "refresh_token");
    assert!(
        refresh.len() >= 64 && refresh.bytes().all(|octet| b"0123456789abcdef".contains(&octet)),
        "{refresh}"
    );
    let first = claims(&text(&body, "access_token"));
    assert_eq!((&first["kind"], &first["nbf"]), (&json!("key"), &first["iat"]));
    assert_eq!(first["echo"], json!({"a": [1]}), "a value keeps its type");
    assert_eq!(scene.status("/orders", &text(&body, "access_token")), 200);
    for (body, status) in [
        (json!({"method": "apk", "key": "alice", "secret": "wrong"}), 401),
        (json!({"method": "apk", "key": "alice"}), 401),
        (json!({"method": "other", "key": "alice", "secret": ALICE}), 400),
        (json!({"key": "alice", "secret": ALICE}), 400),
    ] {
        let response = scene.json("/auth", &body);
        assert_eq!(response.status, status, "{body}: {response:?}");
        let said = response.json();
        assert!(said[0]["request_id"].is_string() && said[0]["message"].is_string(), "{said}");
        assert_eq!(said.as_array().map(Vec::len), Some(1), "{said}");
    }
    let broken = scene.ask(&Request::post("/auth", "{\"method\": \"apk\", \"method\": \"apk\"}"));
    assert_eq!(broken.status, 400, "{broken:?}");
    let renewed = scene.json("/auth/refresh", &json!({"refresh_token": refresh})).json();
    let second = claims(&text(&renewed, "access_token"));
    for carried in ["sub", "sid", "kind", "scope", "echo"] {
        assert_eq!(second[carried], first[carried], "{carried} is carried over");
    }
    assert_ne!(second["jti"], first["jti"]);
    assert_ne!(renewed["refresh_token"], body["refresh_token"]);
    assert_eq!(scene.json("/auth/refresh", &json!({})).status, 400);
    let unknown = scene.json("/auth/refresh", &json!({"refresh_token": "0".repeat(64)}));
    assert_eq!(unknown.status, 404, "{unknown:?}");
    assert!(unknown.json()[0]["message"].is_string());
}

/// Without them a browser sees a network error, and never asks for another token.
#[test]
fn errors_have_cors_lines_too() {
    let scene = lists();
    for body in ["{}", "{\"refresh_token\": \"x\"}", "["] {
        let request = Request::post("/auth/refresh", body).header("Origin", "https://app.example.com");
        let response = scene.ask(&request);
        assert!(response.status >= 400, "{response:?}");
        let allowed = response.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://app.example.com"), "{response:?}");
    }
    let preflight = Request::new("OPTIONS", "/auth")
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "POST");
    let allowed = scene.ask(&preflight);
    assert_eq!(
        (allowed.status, allowed.header("access-control-allow-methods")),
        (200, Some("POST")),
        "{allowed:?}"
    );
}

const CARRIED: &str = r#"
store: {sqlite: portcullis.db}
credentials:
  keys: {api_keys: {entries: [{id: app.key, secret: {env: ALICE}, scopes: [publish]}]}, from: basic}
  session: {issuer: app}
tokens:
  live:
    sign: {algorithm: HS256, secret: {env: SIGNING}}
    subject: "{credential.id}"
    claims: {sub: "{subject}", jti: "{random.16}", sid: "{session}", nbf: "{now}", permissions: "{scopes}", restrictions: null, clientId: "{body.clientId?}", asked_by: "{credential.sub?}"}
    claim_names: {scope: permissions}
endpoints:
  POST /keys/tokens: {issue: live, credential: keys, answer: &answer {body: {data: {token: "{token.live}", token_type: Bearer, expires_in: "{token.live.expires}"}}}}
  POST /auth: {issue: live, credential: session, act_as: {credential: keys, id: app.key}, scopes: {mode: inherit}, answer: *answer}
  POST /keys/tokens/refresh: {refresh: live, from: bearer, answer: *answer, errors: {bad_token: {status: 401, body: {message: "{message}"}}}}
  POST /refresh: {refresh: live, from: {body: token}, answer: *answer}
  POST /revoke: {revoke: live, from: {body: token}, family: true, answer: {body: {data: {}}}}
  POST /revoke-one: {revoke: live, from: bearer, answer: {body: {data: {}}}}
"#;

fn carried() -> (Scene, Issuer) {
    let app = Issuer::start();
    let scene = Scene::of(CARRIED, |setup| {
        setup
            .issuer("app", &app)
            .env("SIGNING", &canary::secret(SIGNING))
            .route("GET /orders", "{require: {issuers: [live], scopes: [publish]}}")
    });
    (scene, app)
}

#[test]
fn a_live_token_refreshes_itself_and_carries_its_claims_over() {
    let (scene, _) = carried();
    let request = Request::post("/keys/tokens", "{\"clientId\": \"John\"}")
        .header("Authorization", &basic("app.key", ALICE));
    let response = scene.ask(&request);
    assert_eq!(response.status, 200, "{response:?}");
    let data = response.json()["data"].clone();
    let first = text(&data, "token");
    let said = claims(&first);
    assert_eq!(data["expires_in"], said["exp"], "absolute");
    assert_eq!(said["permissions"], json!(["publish"]));
    assert_eq!(said["restrictions"], Value::Null);
    assert_eq!(said["clientId"], "John");
    assert!(said.get("asked_by").is_none(), "an optional hole takes its key with it: {said}");
    // The token is in the body; `Authorization` is somebody else's.
    let strangers = Request::post("/refresh", json!({"token": first, "clientId": "Eve"}).to_string())
        .header("Authorization", "Bearer of-the-application");
    let second = text(&scene.ask(&strangers).json()["data"], "token");
    let renewed = claims(&second);
    for carried in ["sub", "sid", "permissions", "restrictions", "clientId"] {
        assert_eq!(renewed[carried], said[carried], "{carried} is carried over");
    }
    assert_ne!(renewed["jti"], said["jti"]);
    let third = scene.ask(&Request::post("/keys/tokens/refresh", "").bearer(&second));
    assert_eq!(third.status, 200, "{third:?}");
    let third = text(&third.json()["data"], "token");
    for live in [&first, &second, &third] {
        assert_eq!(scene.status("/orders", live), 200);
    }
    let one = scene.ask(&Request::post("/revoke-one", "{}").bearer(&third));
    assert_eq!((one.status, one.json()), (200, json!({"data": {}})));
    assert_eq!(scene.status("/orders", &third), 401);
    assert_eq!(scene.status("/orders", &first), 200, "alone");
    assert_eq!(scene.json("/revoke", &json!({"token": second})).status, 200);
    for dead in [&first, &second] {
        assert_eq!(scene.status("/orders", dead), 401, "with its family");
    }
    let dead = scene.ask(&Request::post("/keys/tokens/refresh", "{}").bearer(&second));
    assert_eq!(dead.status, 401, "{dead:?}");
    assert_eq!(scene.json("/revoke", &json!({"token": second})).status, 200, "again is no error");
    assert_eq!(scene.json("/revoke", &json!({"token": "nonsense"})).status, 200);
}

#[test]
fn another_issuers_session_acts_as_a_key() {
    let (scene, app) = carried();
    let session = app.mint("anything");
    let response = scene.ask(&Request::post("/auth", "").bearer(&session));
    assert_eq!(response.status, 200, "an empty body will do: {response:?}");
    let said = claims(&text(&response.json()["data"], "token"));
    assert_eq!(said["sub"], "app.key", "the key's");
    assert_eq!(said["permissions"], json!(["publish"]));
    assert_eq!(said["asked_by"], claims(&session)["sub"], "what the key has not is the caller's");
    let none = scene.ask(&Request::post("/auth", ""));
    assert_eq!(none.status, 401, "{none:?}");
    assert_eq!(none.json()["error"], "invalid_client");
    let bad = scene.ask(&Request::post("/auth", "").bearer("no.token.atall"));
    assert_eq!(bad.status, 401, "{bad:?}");
    let strangers = scene.ask(&Request::post("/auth", "").bearer(&Issuer::start().mint("x")));
    assert_eq!(strangers.status, 401, "{strangers:?}");
}

const SUBJECTS: &str = r#"
store: {sqlite: portcullis.db}
credentials:
  server_key: {api_keys: {prefixes: {wys_: {}}, entries: [{id: server, secret: {env: SERVER}}]}, from: bearer}
  session: {issuer: app}
tokens:
  user: {format: opaque, prefix: wyu_, octets: 30, subject: "{path.user}", lifetime: {default: 1h, asked: {body: expires_in}, max: 30d}}
  own: {format: opaque, prefix: wyo_, subject: "{credential.sub}"}
endpoints:
  POST /api/users/{user}/tokens: {issue: user, credential: server_key, answer: {body: {access_token: "{token.user}", expires_in: "{token.user.lifetime}"}}}
  DELETE /api/users/{user}/tokens: {revoke: user, subject: "{path.user}", credential: server_key, answer: {status: 200}}
  GET /token: {issue: own, credential: session, reuse: {unless: {query: refresh, is: "true"}, min_remaining: 60s}, answer: {body: {access_token: "{token.own}"}}}
"#;

/// The secret of the only server key: with its prefix it is the whole key.
pub const SERVER: &str = "wys_Nb4ZqW8eRt2YuIo6PaSd";

pub fn subjects() -> (Scene, Issuer) {
    let app = Issuer::start();
    let scene = Scene::of(SUBJECTS, |setup| {
        setup
            .issuer("app", &app)
            .env("SERVER", &canary::secret(SERVER))
            .route("GET /orders", "{require: {issuers: [user]}, forward: {headers: {X-User: sub}}}")
            .route("GET /mine", "{require: {issuers: [own]}}")
            .route("GET /admin", "{require: {issuers: [server_key]}}")
    });
    (scene, app)
}

fn issued(scene: &Scene, user: &str, body: &str) -> Value {
    let target = format!("/api/users/{user}/tokens");
    let response = scene.ask(&Request::new("POST", &target).body(body).bearer(SERVER));
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

#[test]
fn an_opaque_token_is_of_its_subject_and_dies_with_all_of_them() {
    let (scene, _) = subjects();
    let first = issued(&scene, "other%2Buser", "");
    assert_eq!(first["expires_in"], 3600);
    let first = text(&first, "access_token");
    assert!(first.starts_with("wyu_"), "{first}");
    assert_eq!(scene.status("/orders", &first), 200);
    assert_eq!(scene.upstream.last().head.header("x-user"), Some("other+user"));
    let second = text(&issued(&scene, "bugs", "{\"name\": \"x\", \"expires_in\": 60}"), "access_token");
    assert_eq!(issued(&scene, "bugs", "{\"expires_in\": 60}")["expires_in"], 60);
    assert_eq!(issued(&scene, "bugs", "{\"expires_in\": 999999999}")["expires_in"], 30 * 86_400, "cut");
    for nonsense in ["0", "-1", "1.5", "\"soon\"", "[]", "{}"] {
        let request = Request::post("/api/users/bugs/tokens", format!("{{\"expires_in\": {nonsense}}}"));
        assert_eq!(scene.ask(&request.bearer(SERVER)).status, 400, "{nonsense}");
    }
    assert_eq!(scene.status("/orders", &second), 200);
    assert_eq!(scene.upstream.last().head.header("x-user"), Some("bugs"));
    let revoke = Request::new("DELETE", "/api/users/bugs/tokens");
    assert_eq!(scene.ask(&revoke.clone().bearer("wys_wrong")).status, 401);
    assert_eq!(scene.ask(&revoke.clone()).status, 401);
    assert_eq!(scene.status("/orders", &second), 200);
    let revoked = scene.ask(&revoke.bearer(SERVER));
    assert_eq!((revoked.status, revoked.text()), (200, String::new()), "{revoked:?}");
    assert_eq!(scene.status("/orders", &second), 401, "at once");
    assert_eq!(scene.status("/orders", &first), 200, "another subject's");
    let again = text(&issued(&scene, "bugs", ""), "access_token");
    assert_eq!(scene.status("/orders", &again), 200, "whoever comes back at once is let in");
}

#[test]
fn an_api_key_is_a_credential_of_routes_that_name_it() {
    let (scene, _) = subjects();
    assert_eq!(scene.status("/admin", SERVER), 200);
    assert_eq!(scene.upstream.last().head.header("authorization"), None);
    assert_eq!(scene.status("/admin", "wys_wrong"), 401);
    assert_eq!(scene.status("/orders", SERVER), 401, "this route does not");
}

#[test]
fn one_connection_carries_endpoints_and_routes_alike() {
    let (scene, _) = subjects();
    let mut connection = Connection::open(scene.gateway.ports.public).unaudited();
    let issue = Request::post("/api/users/bugs/tokens", "{}").bearer(SERVER);
    let token = text(&connection.send(&issue).json(), "access_token");
    assert_eq!(connection.send(&Request::get("/orders").bearer(&token)).status, 200);
    assert_eq!(connection.send(&Request::post("/api/users/bugs/tokens", "[").bearer(SERVER)).status, 400);
    assert_eq!(connection.send(&Request::get("/orders").bearer(&token)).status, 200);
}

/// Remembered by a worker, it was accepted until its end: nothing named it that could be told.
#[test]
fn an_opaque_token_without_an_id_is_revoked_for_those_who_remember_it() {
    let scene = Scene::with(
        "
tokens:
  plain: {format: opaque, claims: {sub: '{subject}', jti: null}}
  named: {format: opaque, prefix: n_, claims: {sub: '{subject}', tid: '{uuid}'}, claim_names: {id: tid}}
endpoints:
  POST /plain: {issue: plain, credential: clients}
  POST /named: {issue: named, credential: clients}
  POST /revoke: {revoke: [plain, named], from: {body: token}}
",
    );
    for target in ["/plain", "/named"] {
        let token = text(&scene.form(target, Some(("alice", ALICE)), &[]).json(), "access_token");
        let other = text(&scene.form(target, Some(("alice", ALICE)), &[]).json(), "access_token");
        for _ in 0..8 {
            assert_eq!((scene.status("/me", &token), scene.status("/me", &other)), (200, 200));
        }
        assert_eq!(scene.form("/revoke", None, &[("token", &token)]).status, 200);
        for _ in 0..8 {
            assert_eq!((scene.status("/me", &token), scene.status("/me", &other)), (401, 200), "{target}");
        }
    }
}

/// What a key has as a text is no pattern, though the token's scopes are read as patterns.
#[test]
fn a_literal_scope_of_a_key_is_no_pattern_in_its_token() {
    let scene = Scene::of(
        "
credentials:
  keys: {api_keys: {entries: [{id: alice, secret: {env: ALICE}, scopes: ['orders:*', other]}]}, from: basic}
tokens:
  pass: {sign: {algorithm: HS256, secret: {env: SIGNING}}, scope_match: glob}
endpoints:
  POST /subset: {issue: pass, credential: keys}
  POST /inherit: {issue: pass, credential: keys, scopes: {mode: inherit}}
",
        |setup| setup.env("SIGNING", &canary::secret(SIGNING)),
    );
    for target in ["/subset", "/inherit"] {
        let request = Request::post(target, "{}").header("Authorization", &basic("alice", ALICE));
        let body = scene.ask(&request).json();
        assert_eq!(body["scope"], "other", "{target}");
        assert_eq!(scene.status("/orders", &text(&body, "access_token")), 403, "{target}");
    }
}

/// It was given, and refused by every route as `missing_claim`.
#[test]
fn a_claim_that_no_upstream_could_be_told_is_refused_where_it_is_asked_for() {
    let yaml = r#"
store: {sqlite: portcullis.db}
credentials: {keys: {api_keys: {entries: {env: KEYS}}, from: basic}}
tokens:
  pass: {sign: {algorithm: HS256, secret: {env: SIGNING}}, claims: {who: "{body.who?}", note: "{body.note?}"}}
endpoints: {POST /token: {issue: pass, credential: keys, answer: {body: {access: "{token.pass}"}}}}
"#;
    let keys = json!([{"id": "alice", "secret": ALICE}]).to_string();
    let scene = Scene::of(yaml, |setup| {
        let setup = setup.env("KEYS", &keys).env("SIGNING", &canary::secret(SIGNING));
        setup.route("GET /who", "{require: authenticated, forward: {headers: {X-Who: who}}}")
    });
    let ask = |body: Value| {
        let request =
            Request::post("/token", body.to_string()).header("Authorization", &basic("alice", ALICE));
        scene.ask(&request)
    };
    for odd in ["J\u{fc}r\u{e7}", "a,b", " a", "a\nb", &"a".repeat(4_097)] {
        let response = ask(json!({"who": odd}));
        assert_eq!((response.status, &response.json()["error"]), (400, &json!("invalid_request")), "{odd:?}");
    }
    // What nobody is told may be anything.
    for body in [json!({"who": "John Doe"}), json!({"note": "J\u{fc}r\u{e7}, \u{1f600}"}), json!({})] {
        let response = ask(body);
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(scene.status("/who", &text(&response.json(), "access")), 200);
    }
}
