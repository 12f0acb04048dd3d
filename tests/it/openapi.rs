//! `/openapi.json` says what the admin listener does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::client::{Request, Response};

const STORE: &str = "store: {sqlite: portcullis.db}\n";
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

fn ask(api: &Api, method: &str, target: &str) -> Response {
    api.gateway.send_admin(&Request::new(method, target).host(&api.gateway.ports.admin.to_string()))
}

#[track_caller]
fn document(api: &Api) -> Value {
    let response = ask(api, "GET", "/openapi.json");
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
    response.json()
}

#[test]
fn every_operation_is_in_the_document_and_every_other_method_is_405() {
    let api = Api::with(|setup| setup.quiet().yaml_tail(STORE));
    let document = document(&api);
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    let expected = [
        "/livez",
        "/metrics",
        "/openapi.json",
        "/readyz",
        "/v1/api-keys",
        "/v1/api-keys/{credential}/{id}",
        "/v1/api-keys/{credential}/{id}/secrets",
        "/v1/api-keys/{credential}/{id}/secrets/{number}",
        "/v1/config",
        "/v1/keys",
        "/v1/keys/rotate",
        "/v1/reload",
        "/v1/revocations",
        "/v1/revocations/import",
        "/v1/revocations/{id}",
        "/v1/status",
        "/v1/users",
        "/v1/users/{credential}/{id}",
    ];
    assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    for (path, item) in paths {
        let target =
            path.replace("{id}", &"0".repeat(32)).replace("{credential}", "keys").replace("{number}", "1");
        let mut said: BTreeSet<String> =
            item.as_object().expect("an item").keys().map(|method| method.to_uppercase()).collect();
        if said.contains("GET") {
            said.insert("HEAD".to_owned());
        }
        for method in METHODS {
            let response = ask(&api, method, &target);
            if said.contains(method) {
                let operation = &item[method.replace("HEAD", "GET").to_lowercase()];
                let status = response.status.to_string();
                assert!(response.status != 405, "{method} {path}: {response:?}");
                assert!(!operation["responses"][&status].is_null(), "{method} {path}: {status} is not said");
            } else {
                assert_eq!(response.status, 405, "{method} {path}");
                let allow = response.header("allow").unwrap_or_default();
                let allow: BTreeSet<String> =
                    allow.split(',').map(|method| method.trim().to_owned()).collect();
                assert_eq!(allow, said, "{method} {path}");
            }
        }
    }
}

#[test]
fn what_is_open_is_said_to_be_and_the_rest_asks_for_the_token() {
    let api = Api::with(|setup| {
        setup.quiet().yaml_tail(STORE).admin("token: {env: IT_ADMIN_TOKEN}").env("IT_ADMIN_TOKEN", "secret")
    });
    assert_eq!(ask(&api, "GET", "/openapi.json").status, 401, "the document is behind the token too");
    let host = api.gateway.ports.admin.to_string();
    let with = Request::get("/openapi.json").host(&host).bearer("secret");
    let document = api.gateway.send_admin(&with).json();
    assert_eq!(document["components"]["securitySchemes"]["admin"]["scheme"], "bearer");
    assert_eq!(document["security"], json!([{"admin": []}]));
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            let status = ask(&api, &method.to_uppercase(), &path.replace(['{', '}'], "")).status;
            let open = operation["security"] == json!([]);
            assert_eq!(status != 401, open, "{method} {path}: {status}");
            assert_eq!(operation["responses"]["401"].is_null(), open, "{method} {path}");
        }
    }
}

/// The kinds are those of the vocabulary, and claims are those of the configuration of the moment.
#[test]
fn an_entry_is_described_as_it_is_read() {
    let api = Api::with(|setup| {
        setup.quiet().yaml_tail(STORE).yaml_tail("revocation: {claims: [device_id, site]}")
    });
    let kinds = |document: &Value| -> Vec<(String, Value)> {
        let variants = document["components"]["schemas"]["Entry"]["oneOf"].as_array().expect("variants");
        let kind = |variant: &Value| {
            let properties = &variant["properties"];
            (properties["kind"]["const"].as_str().expect("a kind").to_owned(), variant.clone())
        };
        variants.iter().map(kind).collect()
    };
    let all = kinds(&document(&api));
    assert_eq!(all.len(), 10);
    let host = api.gateway.ports.admin.to_string();
    for (kind, variant) in all {
        assert_eq!(variant["additionalProperties"], false, "{kind}");
        let names: BTreeSet<&str> =
            variant["properties"].as_object().expect("properties").keys().map(String::as_str).collect();
        let expected = ["claim", "expires", "issuer", "kind", "not_before", "reason", "value"];
        assert_eq!(names, BTreeSet::from(expected), "{kind}");
        let mut entry = json!({"kind": kind});
        let required: Vec<&str> =
            variant["required"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        for name in &required {
            let value = match *name {
                "kind" => kind.clone(),
                "issuer" => api.issuer.iss.clone(),
                "claim" => variant["properties"]["claim"]["enum"][1].as_str().expect("a claim").to_owned(),
                _ => "x".to_owned(),
            };
            entry[*name] = value.into();
        }
        let post = |entry: &Value| {
            let request = Request::post("/v1/revocations?dry_run=true", entry.to_string()).host(&host);
            api.gateway.send_admin(&request.header("Content-Type", "application/json")).status
        };
        assert_eq!(post(&entry), 200, "{entry}");
        for name in required {
            let mut less = entry.clone();
            less.as_object_mut().expect("an object").remove(name);
            assert_eq!(post(&less), 422, "{less}");
        }
    }
    api.gateway.rewrite(|text| text.replace("revocation: {claims: [device_id, site]}", ""));
    assert_eq!(api.gateway.reload().status, 200);
    assert!(kinds(&document(&api)).iter().all(|(kind, _)| kind != "claim"));
}

#[test]
fn entries_are_json_or_nothing_is_said_of_them() {
    let api = Api::with(|setup| setup.quiet().yaml_tail(STORE));
    let host = api.gateway.ports.admin.to_string();
    let post = |content: &str| {
        let request = Request::post("/v1/revocations", "[]").host(&host).header("Content-Type", content);
        api.gateway.send_admin(&request)
    };
    for content in
        ["text/plain", "application/x-www-form-urlencoded", "application/x-ndjson", "application/json2"]
    {
        let response = post(content);
        assert_eq!(
            (response.status, response.reason().as_str()),
            (415, "unsupported_media_type"),
            "{content}"
        );
    }
    assert_eq!(post("application/json; charset=utf-8").status, 200);
}
