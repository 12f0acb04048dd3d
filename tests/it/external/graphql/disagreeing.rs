//! Servers that do not read a request alike: for each way by which an operation was smuggled past somebody, a server that
//! runs it when asked directly, and a gateway before the same server through which it does not run.

mod documents;

use std::net::SocketAddr;

use serde_json::json;

use crate::external::graphql::servers::{ELDER, Heard, NEWER, Servers, Talk, codes, post, send};
use crate::harness::client::{Request, Response};
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;

/// What nobody here may.
const ERASE: &str = "Mutation.erase";

/// Some servers, and a gateway before them.
struct Scene {
    gateway: Gateway,
    servers: Servers,
    issuer: Issuer,
    /// Paths, and the server of each.
    places: Vec<(&'static str, &'static str)>,
}

impl Scene {
    /// `more` are members of `graphql`, in flow style.
    #[track_caller]
    fn new(servers: Servers, places: &[(&'static str, &'static str)], more: &str) -> Self {
        let issuer = Issuer::start();
        // One worker: a hash is known to the worker that was told it.
        let mut setup = Gateway::new().workers(1).issuer("corp", &issuer);
        for (path, server) in places {
            let name = path.trim_start_matches('/');
            setup = setup.upstream_as(name, &servers.url(server)).route(
                &format!("POST,GET {path}"),
                &format!(
                    "{{upstream: {name}, websocket: any, require: {{issuers: [corp], graphql: \
                     {{permission: '{{operation}}:{{field}}', public: [Query, Subscription]{more}}}}}}}"
                ),
            );
        }
        Self { gateway: setup.start(), servers, issuer, places: places.to_vec() }
    }

    fn old() -> Self {
        Self::old_with("")
    }

    fn old_with(more: &str) -> Self {
        let paths = ["/express-graphql", "/any-type", "/apollo", "/plain", "/folding", "/messages"];
        Self::new(Servers::old(), &paths.map(|path| (path, "")), more)
    }

    fn today() -> Self {
        Self::new(Servers::new(), &[("/yoga", "yoga"), ("/mercurius", "mercurius")], "")
    }

    fn graphene() -> Self {
        Self::new(Servers::graphene(), &[("/graphene", "")], "")
    }

    /// The server that this is for.
    #[track_caller]
    fn direct(&self, target: &str) -> SocketAddr {
        let path = target.split('?').next().unwrap_or_default();
        let place = self.places.iter().find(|(known, _)| *known == path);
        self.servers.address(place.unwrap_or_else(|| panic!("no server has {path}")).1)
    }

    /// A token that may do other things.
    fn other(&self) -> String {
        self.issuer.mint("Mutation:create Query:hello Mutation:erased")
    }

    /// The server runs it when it is asked itself; the gateway refuses it, with this status and code, whoever asks; and then
    /// nothing ran.
    #[track_caller]
    fn smuggles(&mut self, request: &Request, status: u16, code: &str) {
        let answer = send(self.direct(&request.target), request);
        let ran = self.servers.ran();
        assert!(
            ran.iter().any(|field| field == ERASE),
            "direct, only {ran:?} ran of {request:?}: {answer:?}"
        );
        self.refuses(request, status, code);
        let answer = send(self.gateway.ports.public, &request.clone().bearer(&self.other()));
        assert!((400..500).contains(&answer.status), "{request:?}: {answer:?}");
        assert_eq!(self.servers.ran(), Vec::<String>::new(), "{request:?}");
    }

    /// Whatever the server makes of it when it is asked itself, nothing of it runs through the gateway.
    #[track_caller]
    fn smuggles_if_it_runs(&mut self, request: &Request) {
        send(self.direct(&request.target), request);
        self.servers.ran();
        for request in [request.clone(), request.clone().bearer(&self.other())] {
            let answer = send(self.gateway.ports.public, &request);
            let ran = self.servers.ran();
            assert!(ran.iter().all(|field| field == "Query.hello"), "{request:?}: {ran:?} {answer:?}");
        }
    }

    #[track_caller]
    fn refuses(&mut self, request: &Request, status: u16, code: &str) -> Response {
        let answer = send(self.gateway.ports.public, request);
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        assert_eq!(self.servers.ran(), Vec::<String>::new(), "{request:?}: {answer:?}");
        if request.method != "HEAD" {
            let said = codes(&answer.json());
            assert_eq!(said, [code], "{request:?}: {answer:?}");
        }
        answer
    }

    /// What is asked plainly runs: the refusals are not for something else.
    #[track_caller]
    fn serves(&mut self, path: &str) {
        let query = post(path, r#"{"query":"{hello}"}"#);
        let answer = send(self.gateway.ports.public, &query);
        assert_eq!(
            (answer.status, &answer.json()["data"]["hello"]),
            (200, &json!("hello")),
            "{path}: {answer:?}"
        );
        let erase = post(path, r#"{"query":"mutation{erase}"}"#);
        let answer =
            send(self.gateway.ports.public, &erase.clone().bearer(&self.issuer.mint("Mutation:erase")));
        assert_eq!(
            (answer.status, &answer.json()["data"]["erase"]),
            (200, &json!("erase")),
            "{path}: {answer:?}"
        );
        assert_eq!(self.servers.ran(), ["Query.hello", ERASE], "{path}");
        self.refuses(&erase, 401, "UNAUTHENTICATED");
        self.refuses(&erase.bearer(&self.other()), 403, "FORBIDDEN");
    }
}

const HELLO: &str = r#"{"query":"{hello}"}"#;
const PUBLIC_AND_NOT: &str = "query A{hello} mutation B{erase}";

#[test]
fn what_is_asked_plainly_is_served_by_every_server() {
    for (mut scene, paths) in [
        (Scene::old(), &["/express-graphql", "/any-type", "/apollo", "/plain", "/folding"][..]),
        (Scene::today(), &["/yoga", "/mercurius"]),
        (Scene::graphene(), &["/graphene"]),
    ] {
        paths.iter().for_each(|path| scene.serves(path));
    }
}

/// express-graphql, graphene-django and handlers of many projects.
#[test]
fn the_url_that_goes_before_the_body_is_refused() {
    let smuggle = |scene: &mut Scene, path: &str| {
        scene.smuggles(&post(&format!("{path}?query=mutation%7Berase%7D"), HELLO), 400, "BAD_REQUEST");
        let both = json!({"query": PUBLIC_AND_NOT, "operationName": "A"}).to_string();
        scene.smuggles(&post(&format!("{path}?operationName=B"), both), 400, "BAD_REQUEST");
    };
    let mut old = Scene::old_with(", operations: selected");
    smuggle(&mut old, "/express-graphql");
    smuggle(&mut old, "/plain");
    old.smuggles(&post("/plain?%71uery=mutation%7Berase%7D", HELLO), 400, "BAD_REQUEST");
    // Express reads names of parameters as paths (qs): brackets around one are none, and so is what follows them.
    for name in ["[query]", "%5Bquery%5D", "%5bquery]", "query%5B", "[query", "[query]]", "%00[query]"] {
        let target = format!("/plain?{name}=mutation%7Berase%7D");
        old.smuggles_if_it_runs(&post(&target, HELLO));
    }
    for target in ["/plain?[query]=mutation%7Berase%7D", "/plain?a=1&%5Bquery%5D=mutation%7Berase%7D"] {
        old.smuggles(&post(target, HELLO), 400, "BAD_REQUEST");
    }
    let both = json!({"query": PUBLIC_AND_NOT, "operationName": "A"}).to_string();
    old.smuggles(&post("/plain?[operationName]=B", both), 400, "BAD_REQUEST");
    drop(old);
    smuggle(&mut Scene::graphene(), "/graphene");
}

/// JSON leaves it open which of two members counts; every reader here takes the last.
#[test]
fn the_second_of_two_members_is_refused() {
    let bodies = [
        r#"{"query":"{hello}","query":"mutation{erase}"}"#,
        r#"{"query":"{hello}","\u0071uery":"mutation{erase}"}"#,
        r#"{"query":"query A{hello} mutation B{erase}","operationName":"A","operationName":"B"}"#,
        r#"{"query":"query A{hello} mutation B{erase}","operationName":"A","operation\u004eame":"B"}"#,
    ];
    let mut old = Scene::old_with(", operations: selected");
    for path in ["/express-graphql", "/apollo", "/plain"] {
        bodies.iter().for_each(|body| old.smuggles(&post(path, body), 400, "BAD_REQUEST"));
    }
    drop(old);
    let mut today = Scene::today();
    bodies[..2].iter().for_each(|body| today.smuggles(&post("/yoga", body), 400, "BAD_REQUEST"));
    drop(today);
    let mut graphene = Scene::graphene();
    bodies[..2].iter().for_each(|body| graphene.smuggles(&post("/graphene", body), 400, "BAD_REQUEST"));
}

/// As Go's reader has it.
#[test]
fn a_member_in_another_case_is_refused() {
    let mut old = Scene::old_with(", operations: selected");
    for body in [
        r#"{"query":"{hello}","QUERY":"mutation{erase}"}"#,
        r#"{"query":"{hello}","quer\u0059":"mutation{erase}"}"#,
        r#"{"query":"query A{hello} mutation B{erase}","operationName":"A","operationname":"B"}"#,
    ] {
        old.smuggles(&post("/folding", body), 400, "BAD_REQUEST");
    }
}

#[test]
fn a_mutation_in_a_list_is_refused_with_all_of_the_list() {
    let lists = [
        r#"[{"query":"{hello}"},{"query":"mutation{erase}"}]"#,
        r#"[{"query":"mutation{erase}"}]"#,
        " \n[{\"query\":\"mutation{erase}\"},{\"query\":\"{hello}\"}]",
    ];
    let mut off = Scene::old();
    lists.iter().for_each(|list| off.smuggles(&post("/apollo", list), 400, "BATCHING_NOT_ALLOWED"));
    drop(off);
    let mut today = Scene::today();
    lists.iter().for_each(|list| today.smuggles(&post("/mercurius", list), 400, "BATCHING_NOT_ALLOWED"));
    drop(today);
    let mut on = Scene::old_with(", batch: 3");
    lists.iter().for_each(|list| on.smuggles(&post("/apollo", list), 401, "UNAUTHENTICATED"));
    let four = format!("[{HELLO},{HELLO},{HELLO},{HELLO}]");
    on.refuses(&post("/apollo", four), 400, "BATCH_LIMIT");
    let token = on.issuer.mint("Mutation:erase");
    let answer = send(on.gateway.ports.public, &post("/apollo", lists[0]).bearer(&token));
    assert_eq!(answer.json()[1]["data"]["erase"], "erase", "{answer:?}");
    assert_eq!(on.servers.ran(), ["Query.hello", ERASE]);
}

/// `operations` of graphql-multipart-request-spec, as a page of any origin may send it.
#[test]
fn multipart_is_refused() {
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let erase = r#"{"query":"mutation{erase}"}"#;
    let form = |operations: &[&str]| {
        let parts: String = operations.iter().map(|value| part("operations", value)).collect();
        format!("{parts}{}--b--\r\n", part("map", "{}"))
    };
    let request = |path: &str, operations: &[&str]| {
        Request::post(path, form(operations)).header("Content-Type", "multipart/form-data; boundary=b")
    };
    let mut old = Scene::old();
    old.smuggles(&request("/apollo", &[erase]), 415, "UNSUPPORTED_MEDIA_TYPE");
    drop(old);
    let mut today = Scene::today();
    today.smuggles(&request("/yoga", &[erase]), 415, "UNSUPPORTED_MEDIA_TYPE");
    today.smuggles(&request("/yoga", &[HELLO, erase]), 415, "UNSUPPORTED_MEDIA_TYPE");
}

fn by_hash(document: Option<&str>) -> String {
    let hash = hex_sha256("mutation{erase}");
    let extensions = json!({"persistedQuery": {"version": 1, "sha256Hash": hash}});
    match document {
        Some(document) => json!({"query": document, "extensions": extensions}),
        None => json!({"extensions": extensions}),
    }
    .to_string()
}

/// Whoever may has run it once, and the server knows it by its hash from then on.
#[test]
fn a_mutation_known_by_its_hash_alone_is_refused() {
    for (more, expected) in [
        ("", (400, "PERSISTED_QUERY_NOT_SUPPORTED")),
        (", persisted: {automatic: true}", (200, "PERSISTED_QUERY_NOT_FOUND")),
    ] {
        let mut old = Scene::old_with(more);
        let token = old.issuer.mint("Mutation:erase");
        let first = send(old.direct("/apollo"), &post("/apollo", by_hash(Some("mutation{erase}"))));
        assert_eq!(first.json()["data"]["erase"], "erase", "{first:?}");
        old.servers.ran();
        let hash_only = post("/apollo", by_hash(None));
        send(old.direct("/apollo"), &hash_only);
        assert_eq!(old.servers.ran(), [ERASE], "the server does not know it by its hash");
        for request in [hash_only.clone(), hash_only.clone().bearer(&token)] {
            old.refuses(&request, expected.0, expected.1);
        }
        // The hash of another document.
        let other = post("/apollo", by_hash(Some("{hello}")));
        let answer = send(old.gateway.ports.public, &other);
        let ran = old.servers.ran();
        assert!(!ran.contains(&ERASE.to_owned()), "{ran:?}: {answer:?}");
        if more.is_empty() {
            continue;
        }
        // Known to the gateway, it is judged like any other.
        let known =
            send(old.gateway.ports.public, &post("/apollo", by_hash(Some("mutation{erase}"))).bearer(&token));
        assert_eq!((known.status, old.servers.ran()), (200, vec![ERASE.to_owned()]), "{known:?}");
        old.refuses(&hash_only, 401, "UNAUTHENTICATED");
        old.refuses(&hash_only.clone().bearer(&old.other()), 403, "FORBIDDEN");
        let again = send(old.gateway.ports.public, &hash_only.bearer(&token));
        assert_eq!((again.status, old.servers.ran()), (200, vec![ERASE.to_owned()]), "{again:?}");
    }
}

/// Strawberry CVE-2026-35523, and TROMPA's own server.
#[test]
fn a_start_before_the_init_is_refused() {
    let erase = json!({"query": "mutation{erase}"});
    let mut old = Scene::old();
    let direct = Talk::open(old.direct("/messages"), "/messages", ELDER).first("1", &erase);
    assert_eq!(
        (direct["data"]["erase"].as_str(), old.servers.ran()),
        (Some("erase"), vec![ERASE.to_owned()])
    );
    for payload in [erase, json!({"query": "{hello}"})] {
        let mut talk = Talk::open(old.gateway.ports.public, "/messages", ELDER);
        talk.ask("1", &payload);
        while let Heard::Message(message) = talk.hear() {
            assert_ne!(message["type"], "data", "{message}");
        }
        let mut talk = Talk::open(old.gateway.ports.public, "/messages", NEWER);
        talk.ask("1", &payload);
        assert_eq!(talk.hear(), Heard::End(Some(4401)));
    }
    assert_eq!(old.servers.ran(), Vec::<String>::new());
}

/// Mercurius CVE-2026-30241 and others: what holds for HTTP did not hold for WebSockets.
#[test]
fn a_mutation_over_a_websocket_is_judged_as_over_http() {
    let erase = json!({"query": "mutation{erase}"});
    for (mut scene, path) in [(Scene::old(), "/messages"), (Scene::today(), "/mercurius")] {
        for protocol in [NEWER, ELDER] {
            let mut direct = Talk::begin(scene.direct(path), path, protocol, None);
            assert_eq!(direct.first("1", &erase)["data"]["erase"], "erase", "{path} {protocol}");
            assert_eq!(scene.servers.ran(), [ERASE]);
            let public = scene.gateway.ports.public;
            for (token, code) in [(None, "UNAUTHENTICATED"), (Some(scene.other()), "FORBIDDEN")] {
                let mut talk = Talk::begin(public, path, protocol, token.as_deref());
                assert_eq!(codes(&talk.first("1", &erase)), [code], "{path} {protocol}");
                assert_eq!(scene.servers.ran(), Vec::<String>::new());
                // One operation is refused, not the connection.
                assert_eq!(talk.first("2", &json!({"query": "{hello}"}))["data"]["hello"], "hello");
                assert_eq!(scene.servers.ran(), ["Query.hello"]);
            }
            let token = scene.issuer.mint("Mutation:erase");
            let mut talk = Talk::begin(public, path, protocol, Some(&token));
            assert_eq!(talk.first("1", &erase)["data"]["erase"], "erase", "{path} {protocol}");
            assert_eq!(scene.servers.ran(), [ERASE]);
        }
    }
}

/// What is read only after it was decoded.
#[test]
fn compressed_and_recoded_bodies_are_refused() {
    let mut old = Scene::old();
    let text = r#"{"query":"mutation{erase}"}"#;
    let gzip = gzip(text.as_bytes());
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_bom = [&[0xff, 0xfe], &*utf16].concat();
    for path in ["/apollo", "/express-graphql", "/plain"] {
        let packed = post(path, &gzip).header("Content-Encoding", "gzip");
        old.smuggles(&packed, 415, "UNSUPPORTED_MEDIA_TYPE");
        for (body, charset) in [(&with_bom, "utf-16"), (&utf16, "utf-16le")] {
            let kind = format!("application/json; charset={charset}");
            let recoded = Request::post(path, body).header("Content-Type", &kind);
            old.smuggles(&recoded, 415, "UNSUPPORTED_MEDIA_TYPE");
        }
        let marked = [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat();
        let answer = send(old.direct(path), &post(path, &marked));
        if old.servers.ran() == [ERASE] {
            old.smuggles(&post(path, &marked), 400, "BAD_REQUEST");
        } else {
            assert_ne!(answer.status, 200, "{answer:?}");
        }
    }
}

/// What a page of any origin may send without asking first.
#[test]
fn what_needs_no_preflight_is_refused() {
    let text = r#"{"query":"mutation{erase}"}"#;
    let form = "query=mutation%7Berase%7D";
    let of = |path: &str, kind: &str, body: &str| Request::post(path, body).header("Content-Type", kind);
    let urlencoded = "application/x-www-form-urlencoded";
    let mut old = Scene::old();
    for kind in ["text/plain", "text/plain;charset=UTF-8", "application/octet-stream"] {
        old.smuggles(&of("/any-type", kind, text), 415, "UNSUPPORTED_MEDIA_TYPE");
        old.smuggles(&of("/folding", kind, text), 415, "UNSUPPORTED_MEDIA_TYPE");
    }
    old.smuggles(&Request::post("/folding", text), 415, "UNSUPPORTED_MEDIA_TYPE");
    old.smuggles(&of("/express-graphql", urlencoded, form), 415, "UNSUPPORTED_MEDIA_TYPE");
    old.smuggles(
        &of("/express-graphql", "application/graphql", "mutation{erase}"),
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    );
    drop(old);
    let mut today = Scene::today();
    today.smuggles(&of("/yoga", urlencoded, form), 415, "UNSUPPORTED_MEDIA_TYPE");
    today.smuggles(&of("/yoga", "application/graphql", "mutation{erase}"), 415, "UNSUPPORTED_MEDIA_TYPE");
    drop(today);
    let mut graphene = Scene::graphene();
    graphene.smuggles(&of("/graphene", urlencoded, form), 415, "UNSUPPORTED_MEDIA_TYPE");
}

/// A handler that does not ask for the method.
#[test]
fn a_mutation_by_get_is_refused() {
    let mut old = Scene::old_with(", csrf: false, operations: selected");
    let both = "query%20A%7Bhello%7D%20mutation%20B%7Berase%7D";
    for query in ["query=mutation%7Berase%7D", &format!("query={both}&operationName=B")] {
        let get = Request::get(&format!("/plain?{query}"));
        old.smuggles(&get, 405, "METHOD_NOT_ALLOWED");
        let answer = send(old.gateway.ports.public, &get);
        assert_eq!(answer.header("allow"), Some("POST"), "{answer:?}");
    }
    let head = Request::new("HEAD", "/plain?query=mutation%7Berase%7D");
    send(old.direct("/plain"), &head);
    assert_eq!(old.servers.ran(), [ERASE]);
    let answer = send(old.gateway.ports.public, &head);
    assert_eq!((answer.status, old.servers.ran().len()), (405, 0), "{answer:?}");
    // A body that counts although the method has none.
    let body = Request::get("/plain")
        .header("Content-Type", "application/json")
        .body(r#"{"query":"mutation{erase}"}"#);
    old.smuggles(&body, 415, "UNSUPPORTED_MEDIA_TYPE");
    let twice = Request::get("/plain?query=%7Bhello%7D&query=mutation%7Berase%7D");
    old.refuses(&twice, 400, "BAD_REQUEST");
    let hello = send(old.gateway.ports.public, &Request::get("/plain?query=%7Bhello%7D"));
    assert_eq!((hello.status, old.servers.ran()), (200, vec!["Query.hello".to_owned()]), "{hello:?}");
}

/// Nor may a page of another origin have a query run that way, where it is not allowed to: Apollo's rule.
#[test]
fn a_get_that_needs_no_preflight_is_refused() {
    let mut old = Scene::old();
    let get = Request::get("/apollo?query=%7Bhello%7D");
    old.refuses(&get, 400, "CSRF_ERROR");
    for odd in ["text/plain", "application/x-www-form-urlencoded"] {
        old.refuses(&get.clone().header("Content-Type", odd), 415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let asked = send(old.gateway.ports.public, &get.header("apollo-require-preflight", "yes"));
    assert_eq!((asked.status, old.servers.ran()), (200, vec!["Query.hello".to_owned()]), "{asked:?}");
}

/// A member of gzip (RFC 1952) with nothing compressed (RFC 1951 section 3.2.4).
fn gzip(octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len()).expect("a short one");
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    packed.extend_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(&(!length).to_le_bytes());
    packed.extend_from_slice(octets);
    let crc = !octets.iter().fold(u32::MAX, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    });
    packed.extend_from_slice(&crc.to_le_bytes());
    packed.extend_from_slice(&u32::from(length).to_le_bytes());
    packed
}

/// SHA-256 in hexadecimal.
fn hex_sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}
