use std::path::Path;

use crate::config::graphql::{GraphQl, Safelist};
use crate::config::{Context, Require, parse};

use super::*;

/// The rules of a route where queries are public and mutations are named by a template, changed.
pub(in crate::graphql) fn rules_with(change: impl FnOnce(&mut GraphQl)) -> Arc<Rules> {
    let text = "version: 1\nlisteners: 127.0.0.1:1\nupstreams: {a: http://127.0.0.1:2}\nissuers: {a: {issuer: \
                https://a.example, audience: any}}\nroutes: {/graphql: {require: {graphql: {permission: \
                '{operation}-{field}', public: Query}}}}\n";
    let context = Context { name: "a.yaml", directory: Path::new("/"), env: &|_| None };
    let (config, _) = parse(text, &context).unwrap_or_else(|problems| panic!("{problems}"));
    let Require::Token(requirement) = &config.routes[0].require else { panic!("public") };
    let mut config = GraphQl::clone(requirement.graphql.as_ref().expect("rules"));
    change(&mut config);
    Arc::new(Rules::compile(&config))
}

fn at_most(most: u64) -> Bound {
    Bound { most, warn: false }
}

struct Asking {
    rules: Arc<Rules>,
    documents: Documents,
}

impl Asking {
    fn with(change: impl FnOnce(&mut GraphQl)) -> Self {
        Self { rules: rules_with(change), documents: Documents::default() }
    }

    fn listed(mode: SafelistMode, automatic: bool) -> Self {
        let documents = vec![("a".into(), "{a}".into()), ("m".into(), "mutation M{m}".into())];
        let safelist =
            Safelist { path: "x".into(), at: Default::default(), mode, documents: Arc::new(documents) };
        Self::with(|config| {
            config.persisted.safelist = Some(safelist);
            config.persisted.automatic = automatic;
        })
    }

    fn way(&mut self, way: Way<'_>) -> Result<Asked, Rejected> {
        read(&self.rules, &mut self.documents, &Incoming { way, ..Incoming::default() })
    }

    fn post(&mut self, body: &str) -> Result<Asked, Rejected> {
        self.way(Way::Request { method: "POST", query: None, body: Some(body.as_bytes()) })
    }

    fn get(&mut self, query: &str) -> Result<Asked, Rejected> {
        self.way(Way::Request { method: "GET", query: Some(query), body: None })
    }
}

/// The operations, by what they need, and what goes on instead.
#[track_caller]
fn shown(asked: Result<Asked, Rejected>) -> (String, Option<String>) {
    let asked = match asked {
        Ok(asked) => asked,
        Err(rejected) => return (rejected.code.to_owned(), None),
    };
    let one = |item: &Item| {
        let planned = item.planned().expect("an operation");
        format!("{} {}", planned.name.as_deref().unwrap_or("-"), planned.needs.permissions.join(" "))
    };
    let items: Vec<String> = asked.items.iter().map(one).collect();
    let instead = asked.instead.map(|text| String::from_utf8(text.to_vec()).expect("text"));
    (items.join("; "), instead)
}

#[track_caller]
fn check(asked: Result<Asked, Rejected>, items: &str, instead: Option<&str>) {
    let (shown_items, shown_instead) = shown(asked);
    assert_eq!((shown_items.as_str(), shown_instead.as_deref()), (items, instead));
}

const BOTH: &str = "query Q{__typename} mutation M{create}";

#[test]
fn the_operation_that_is_asked_for_is_found() {
    let mut asking = Asking::with(|config| config.operations = Counted::Selected);
    check(asking.post(r#"{"query":"mutation{create}"}"#), "- Mutation-create", None);
    let named = |name: &str| format!("{{\"query\":\"{BOTH}\",\"operationName\":{name}}}");
    check(asking.post(&named("\"Q\"")), "Q ", None);
    check(asking.post(&named("\"M\"")), "M Mutation-create", None);
    for none in ["null", "\"\"", "\"X\"", "\"m\""] {
        check(asking.post(&named(none)), "OPERATION_RESOLUTION_FAILURE", None);
    }
    check(asking.post("{}"), "BAD_REQUEST", None);
    check(asking.post(r#"{"query":""}"#), "BAD_REQUEST", None);
    check(asking.post(""), "BAD_REQUEST", None);
    assert_eq!(
        asking.post(r#"{"query":"{"}"#).map_err(|rejected| rejected.code).err(),
        Some("GRAPHQL_PARSE_FAILED")
    );
    let message = asking.way(Way::Message(br#"{"query":"mutation{create}"}"#));
    check(message, "- Mutation-create", None);
}

#[test]
fn a_mutation_does_not_come_by_get() {
    let mut asking = Asking::with(|_| {});
    check(asking.get("query=%7Ba%7D"), "- ", None);
    check(asking.get("query=mutation%7Bcreate%7D"), "METHOD_NOT_ALLOWED", None);
    // Whatever the server takes it for: no mutation is in the document at all.
    check(
        asking.get(&format!("query={}&operationName=Q", BOTH.replace(' ', "+"))),
        "METHOD_NOT_ALLOWED",
        None,
    );
    check(asking.get(""), "BAD_REQUEST", None);
}

#[test]
fn a_list_is_judged_whole_and_only_where_lists_are_taken() {
    let list = r#"[{"query":"{a}"},{"query":"mutation{create}"}]"#;
    let mut asking = Asking::with(|_| {});
    check(asking.post(list), "BATCHING_NOT_ALLOWED", None);
    check(asking.post("[]"), "BATCHING_NOT_ALLOWED", None);
    let mut asking = Asking::with(|config| config.batch = at_most(2));
    check(asking.post(list), "- ; - Mutation-create", None);
    check(asking.post("[]"), "BAD_REQUEST", None);
    check(asking.post(r#"[{"query":"{a}"},{"query":"{a}"},{"query":"{a}"}]"#), "BATCH_LIMIT", None);
    check(asking.post(r#"[{"query":"{a}"},{"query":"{"}]"#), "GRAPHQL_PARSE_FAILED", None);
    check(asking.way(Way::Message(list.as_bytes())), "BATCHING_NOT_ALLOWED", None);
}

/// It took none.
#[test]
fn where_lists_of_one_are_taken_one_is() {
    let mut asking = Asking::with(|config| config.batch = at_most(1));
    check(asking.post(r#"[{"query":"{a}"}]"#), "- ", None);
    check(asking.post(r#"[{"query":"{a}"},{"query":"{a}"}]"#), "BATCH_LIMIT", None);
}

#[test]
fn what_is_past_a_bound_that_only_warns_passes_to_the_most_there_is() {
    let mut asking = Asking::with(|config| {
        config.batch = Bound { most: 1, warn: true };
        config.limits.body = Bound { most: 40, warn: true };
    });
    let list = |length: usize| format!("[{}]", vec![r#"{"query":"{a}"}"#; length].join(","));
    let mut warned =
        |text: &str| asking.post(text).map(|asked| asked.warned().join(" ")).map_err(|no| no.code);
    assert_eq!(warned(&list(1)), Ok(String::new()));
    assert_eq!(warned(&list(2)), Ok("batch".to_owned()));
    assert_eq!(warned(&list(3)), Ok("body batch".to_owned()));
    assert_eq!(warned(&list(100)), Ok("body batch".to_owned()));
    assert_eq!(warned(&list(101)), Err("BATCH_LIMIT"));
}

#[test]
fn d7_a_body_past_the_routes_own_bound_is_refused() {
    let mut asking = Asking::with(|config| config.limits.body = at_most(40));
    let body = |length: usize| format!("{{\"query\":\"{{a}}\"{}}}", " ".repeat(length - 15));
    assert_eq!(body(40).len(), 40);
    check(asking.post(&body(40)), "- ", None);
    check(asking.post(&body(41)), "BODY_TOO_LARGE", None);
    check(asking.way(Way::Message(body(41).as_bytes())), "BODY_TOO_LARGE", None);
}

/// SHA-256 of `{__typename}`.
const HASH: &str = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";

fn hashed(query: Option<&str>, hash: &str) -> String {
    let query = query.map(|query| format!("\"query\":\"{query}\",")).unwrap_or_default();
    format!(
        "{{{query}\"variables\":{{\"v\" : 1}},\"extensions\":{{\"k\":[ ],\"persistedQuery\":{{\"version\":1,\"sha256Hash\":\"{hash}\"}}}}}}"
    )
}

#[test]
fn g16_a_hash_is_resolved_here_or_not_at_all() {
    let mut asking = Asking::with(|config| config.persisted.automatic = true);
    check(asking.post(&hashed(None, HASH)), "PERSISTED_QUERY_NOT_FOUND", None);
    let rejected = asking.post(&hashed(None, HASH)).expect_err("unknown");
    assert_eq!((rejected.kind, &*rejected.message), (Kind::NotFound, "PersistedQueryNotFound"));
    // Another document under this hash is none.
    check(asking.post(&hashed(Some("{a}"), HASH)), "BAD_REQUEST", None);
    check(asking.post(&hashed(None, HASH)), "PERSISTED_QUERY_NOT_FOUND", None);
    let anew = r#"{"query":"{__typename}","variables":{"v" : 1},"extensions":{"k":[ ]}}"#;
    check(asking.post(&hashed(Some("{__typename}"), HASH)), "- ", Some(anew));
    check(asking.post(&hashed(None, HASH)), "- ", Some(anew));
    let by_url = format!(
        "operationName=&extensions={{\"persistedQuery\":{{\"version\":1,\"sha256Hash\":\"{HASH}\"}}}}"
    );
    check(asking.get(&by_url), "- ", Some("query=%7B__typename%7D"));
    check(
        asking.post(&hashed(None, HASH).replace("\"version\":1", "\"version\":2")),
        "PERSISTED_QUERY_NOT_SUPPORTED",
        None,
    );
    check(asking.post(r#"{"query":"{a}","id":"a"}"#), "PERSISTED_QUERY_NOT_SUPPORTED", None);
}

#[test]
fn g16_a_hash_without_its_document_is_refused_where_none_are_kept() {
    let mut asking = Asking::with(|_| {});
    check(asking.post(&hashed(None, HASH)), "PERSISTED_QUERY_NOT_SUPPORTED", None);
    let anew = r#"{"query":"{__typename}","variables":{"v" : 1},"extensions":{"k":[ ]}}"#;
    check(asking.post(&hashed(Some("{__typename}"), HASH)), "- ", Some(anew));
    check(asking.post(&hashed(None, HASH)), "PERSISTED_QUERY_NOT_SUPPORTED", None);
    check(asking.post(&hashed(Some("{a}"), HASH)), "BAD_REQUEST", None);
    for id in ["id", "documentId", "doc_id", "queryId"] {
        check(asking.post(&format!("{{\"{id}\":\"a\"}}")), "PERSISTED_QUERY_NOT_SUPPORTED", None);
        check(asking.post(&format!("{{\"query\":\"{{a}}\",\"{id}\":null}}")), "- ", None);
        check(asking.get(&format!("{id}=a")), "PERSISTED_QUERY_NOT_SUPPORTED", None);
    }
}

#[test]
fn a_safelist_resolves_ids_and_refuses_other_documents() {
    let mut asking = Asking::listed(SafelistMode::Enforce, false);
    check(asking.post(r#"{"query":"{a}"}"#), "- ", None);
    check(asking.post(r#"{"query":"{ a }"}"#), "QUERY_NOT_IN_SAFELIST", None);
    check(
        asking.post(r#"{"id":"m","variables":{}}"#),
        "M Mutation-m",
        Some(r#"{"query":"mutation M{m}","variables":{}}"#),
    );
    check(asking.post(r#"{"id":"m","query":"{a}"}"#), "BAD_REQUEST", None);
    check(asking.post(r#"{"documentId":"x"}"#), "PERSISTED_QUERY_NOT_FOUND", None);
    check(asking.get("documentId=a"), "- ", Some("query=%7Ba%7D"));
    check(asking.get("documentId=m"), "METHOD_NOT_ALLOWED", None);
    check(asking.post(&hashed(Some("{__typename}"), HASH)), "QUERY_NOT_IN_SAFELIST", None);
    check(asking.post(&hashed(None, HASH)), "PERSISTED_QUERY_NOT_SUPPORTED", None);
}

#[test]
fn a_safelist_of_ids_takes_no_document() {
    let mut asking = Asking::listed(SafelistMode::Ids, true);
    check(asking.post(r#"{"query":"{a}"}"#), "PERSISTED_QUERY_ID_REQUIRED", None);
    check(asking.post(r#"{"query":"{a}","id":"a"}"#), "- ", Some(r#"{"query":"{a}"}"#));
    check(asking.post(&hashed(Some("{__typename}"), HASH)), "PERSISTED_QUERY_NOT_FOUND", None);
    check(asking.post(&hashed(None, HASH)), "PERSISTED_QUERY_NOT_FOUND", None);
    let hash: String = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"{a}")
        .as_ref()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let anew = r#"{"query":"{a}","variables":{"v" : 1},"extensions":{"k":[ ]}}"#;
    check(asking.post(&hashed(None, &hash)), "- ", Some(anew));
}

#[test]
fn what_clients_have_sent_is_on_no_safelist_for_that() {
    let mut asking = Asking::listed(SafelistMode::Enforce, true);
    check(asking.post(&hashed(Some("{__typename}"), HASH)), "QUERY_NOT_IN_SAFELIST", None);
    check(asking.post(&hashed(None, HASH)), "PERSISTED_QUERY_NOT_FOUND", None);
}

#[test]
fn a_safelist_that_logs_lets_other_documents_pass() {
    let mut asking = Asking::listed(SafelistMode::Log, false);
    let asked = asking.post(r#"{"query":"{b}"}"#).expect("it passes");
    let hash = "75e5e9d68022b515a5c1bed65ce2086997a95ce3cd7b740fd7dd02444e6a38c6";
    assert_eq!(asked.warned().as_slice(), ["safelist"]);
    assert_eq!(asked.unlisted.iter().map(ToString::to_string).collect::<Vec<_>>(), [hash]);
    let asked = asking.post(r#"{"query":"{a}"}"#).expect("it is listed");
    assert!(asked.warned().is_empty() && asked.unlisted.is_empty());
}

#[test]
fn a_list_in_which_one_is_named_is_written_anew() {
    let mut asking = Asking::listed(SafelistMode::Enforce, false);
    let rules = rules_with(|config| {
        config.clone_from(&asking.rules.config);
        config.batch = at_most(3);
    });
    asking.rules = rules;
    let anew = r#"[{ "query" : "{a}" },{"query":"mutation M{m}","x":"\u0041"}]"#;
    check(
        asking.post(r#"[ { "query" : "{a}" } , {"id":"m","x":"\u0041"} ]"#),
        "- ; M Mutation-m",
        Some(anew),
    );
}
