//! A route that looks into operations and asks for nothing, as strangers see it: graphql-http's audits of the specification,
//! and schemathesis with operations of its own making.

use std::process::Output;

use serde_json::Value;

use crate::external::graphql::{AUDITS, Server, audit};
use crate::external::tools;
use crate::harness::api::usual;
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;
use crate::harness::upstream::Upstream;

const EVERYBODY: &str =
    "{require: {graphql: {public: [Query, Mutation, Subscription], introspection: allow, csrf: false}}}";

/// Operations that schemathesis makes for each field.
const EXAMPLES: &str = "60";

/// Audits that find something else through the gateway, and why: both ask for the status 200 for a document that cannot be
/// read, where the client takes `application/json`. So the older drafts had it; the present one has the same status for all
/// media types, 400 here.
const STRICTER: &[&str] = &["572B", "FDE2"];

/// A gateway with such a route before this server. What it has to be given is kept beside it.
fn gateway(server: &str) -> (Gateway, Upstream, Issuer) {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let setup = usual(&upstream).quiet().upstream_as("api", server).issuer("corp", &issuer);
    (setup.route("/graphql", EVERYBODY).start(), upstream, issuer)
}

/// An audit's id, and what it found.
fn found(line: &str) -> (String, String) {
    let said: Value = serde_json::from_str(line).expect("JSON");
    let text = |at: usize| said[at].as_str().unwrap_or_default().to_owned();
    (text(0), text(2))
}

#[test]
fn graphql_audits_find_the_same_where_operations_are_looked_into() {
    let server = Server::start();
    let (gateway, ..) = gateway(&server.address);
    let direct = audit(&server.address);
    let through = audit(&format!("http://{}", gateway.ports.public));
    assert_eq!((direct.len(), through.len()), (AUDITS, AUDITS), "the audits are others");
    let differ: Vec<(String, String)> = direct
        .iter()
        .zip(&through)
        .filter(|(direct, through)| found(direct) != found(through))
        .map(|(direct, through)| (found(direct).0, format!("direct: {direct}\nthrough: {through}")))
        .collect();
    let fine = through.iter().filter(|line| found(line).1 == "ok").count();
    println!(
        "corpus graphql-http: {} audits, {fine} ok where operations are looked into, {} differ",
        through.len(),
        differ.len()
    );
    let told: Vec<&String> = differ.iter().map(|(_, told)| told).collect();
    assert_eq!(differ.iter().map(|(id, _)| &**id).collect::<Vec<_>>(), STRICTER, "{told:#?}");
}

#[test]
fn schemathesis_finds_no_failure_in_a_graphql_upstream_behind_the_gateway() {
    let server = Server::start();
    let (gateway, ..) = gateway(&server.address);
    let program = tools::place().join("schemathesis/bin/schemathesis");
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = tools::program(&program.to_string_lossy());
    let url = format!("http://{}/graphql", gateway.ports.public);
    command.current_dir(directory.path()).args([
        "run",
        &url,
        "--seed",
        "1",
        "--no-color",
        "--continue-on-failure",
    ]);
    command.args(["--checks", "all", "--max-examples", EXAMPLES]).env("PYTHONDONTWRITEBYTECODE", "1");
    let ended = command.output().unwrap_or_else(|error| panic!("{error}: .ci/run installs schemathesis"));
    let Output { status, stdout, stderr } = ended;
    let (said, complained) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}\n{said}\n{complained}");
    let count = said.lines().find(|line| line.contains(" generated")).expect("a count").trim();
    println!("schemathesis {count} through a GraphQL route, no failure");
    assert!(gateway.metric("decisions_total", &[("decision", "allow")]) > 10.0, "they were looked into");
}
