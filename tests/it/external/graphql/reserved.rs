//! graphql-sse's own client and server in single connection mode, with the gateway between them.

use serde_json::{Value, json};

use crate::external::graphql::servers::{Servers, post, send};
use crate::external::systems::Client;
use crate::harness::client::{Connection, Request};
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;
use crate::harness::wait::{PATIENCE, wait_until};

const FIELD: &str = "X-GraphQL-Event-Stream-Token";

/// A server, and a gateway before it that serves what is reserved there.
struct Scene {
    gateway: Gateway,
    servers: Servers,
    issuer: Issuer,
}

impl Scene {
    fn new() -> Self {
        let (servers, issuer) = (Servers::new(), Issuer::start());
        let graphql = "{permission: '{operation}:{field}', public: [Query], reserved_streams: 1h}";
        let gateway = Gateway::new()
            .issuer("corp", &issuer)
            .upstream_as("events", &servers.url("events"))
            .route("/events", &format!("{{upstream: events, require: {{graphql: {graphql}}}}}"))
            .yaml_tail("store: {sqlite: portcullis.db}\nrevocation: {recheck_streams: 1h}\n")
            .start();
        Self { gateway, servers, issuer }
    }

    fn token(&self, subject: &str, scope: &str) -> String {
        self.issuer.token().scope(scope).set("sub", json!(subject)).set("jti", json!(subject)).sign()
    }
}

/// Fields that ran, in no order.
fn ran(servers: &mut Servers) -> Vec<String> {
    let mut ran = servers.ran();
    ran.sort();
    ran
}

#[test]
fn its_client_has_all_that_it_may_over_one_stream() {
    let mut scene = Scene::new();
    let mut node = Client::node("../graphql/clients.mjs", &[], &[]);
    let url = format!("http://{}/events", scene.gateway.ports.public);
    let mut reserved = |operations: Value, token: Option<&str>| {
        node.value("reserved", json!({"url": url, "operations": operations, "token": token}))
    };
    let token = scene.token("alice", "Mutation:erase Subscription:ticks");
    let said = reserved(json!(["{hello}", "mutation{erase}", "subscription{ticks}"]), Some(&token));
    assert_eq!(
        said["came"],
        json!([
            {"data": [{"hello": "hello"}]},
            {"data": [{"erase": "erase"}]},
            {"data": [{"ticks": 1}, {"ticks": 2}]},
        ]),
        "{said}"
    );
    let sent = ["DELETE 200", "GET 200", "POST 202", "POST 202", "POST 202", "PUT 201"];
    assert_eq!(said["sent"], json!(sent), "{said}");
    assert_eq!(ran(&mut scene.servers), ["Mutation.erase", "Query.hello", "Subscription.ticks"]);
    // What it may not it is told by a status, and nothing of it ran.
    let said = reserved(json!(["mutation{create}"]), Some(&token));
    assert_eq!(said["came"][0]["error"]["status"], 403, "{said}");
    let said = reserved(json!(["{hello}"]), None);
    assert_eq!(
        (&said["came"][0]["error"]["status"], &said["sent"]),
        (&json!(401), &json!(["PUT 401"])),
        "{said}"
    );
    assert_eq!(ran(&mut scene.servers), Vec::<String>::new());
}

/// Its server asks for nothing but the name.
#[test]
fn its_server_gives_nobody_anothers_stream() {
    let mut scene = Scene::new();
    let gateway = scene.gateway.ports.public;
    let (alice, mallory) =
        (scene.token("alice", "Subscription:ticks"), scene.token("mallory", "Subscription:ticks"));
    let reserved = send(gateway, &Request::new("PUT", "/events").bearer(&alice));
    assert_eq!(reserved.status, 201, "{reserved:?}");
    let name = reserved.text();
    let open = Request::get("/events").header("Accept", "text/event-stream").header(FIELD, &name);
    let ticks = json!({"query": "subscription{ticks}", "extensions": {"operationId": "1"}});
    let run = post("/events", ticks.to_string()).header(FIELD, &name);
    let stop = Request::new("DELETE", "/events?operationId=1").header(FIELD, &name);
    let stranger = |request: &Request| send(gateway, &request.clone().bearer(&mallory)).status;
    assert_eq!([stranger(&open), stranger(&run), stranger(&stop)], [404, 404, 404]);
    let mut stream = Connection::open(gateway).unaudited();
    stream.write(&open.clone().bearer(&alice).octets());
    stream.read_until(":\n\n");
    assert_eq!(send(gateway, &run.clone().bearer(&alice)).status, 202);
    assert!(stream.read_until("\"ticks\":2").contains("\"id\":\"1\""));
    assert_eq!(stranger(&stop), 404);
    stream.read_until("\"ticks\"");
    // It is open once, and its server says so.
    assert_eq!(send(gateway, &open.clone().bearer(&alice)).status, 409);
    // What runs in it ends with it.
    let admin = scene.gateway.ports.admin;
    let entry = json!({"kind": "jti", "issuer": scene.issuer.iss, "value": "alice"}).to_string();
    let revoke = Request::post("/v1/revocations", entry).host(&admin.to_string());
    assert_eq!(send(admin, &revoke).status, 201);
    assert!(stream.ends_within(PATIENCE));
    let again = scene.issuer.token().scope("Subscription:ticks").set("sub", json!("alice")).sign();
    wait_until("its server knows that it is over", || {
        send(gateway, &run.clone().bearer(&again)).status == 404
    });
    assert_eq!(ran(&mut scene.servers), ["Subscription.ticks"]);
}
