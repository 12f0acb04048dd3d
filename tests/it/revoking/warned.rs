//! What stops nothing is warned of: in the answer, in the log and in `/v1/status`.

use serde_json::{Value, json};

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::Response;
use crate::revoking::{Again, PATH, Revoked, STORE, ask, jti, orders, post, revoke, token};

fn warnings(body: &Value) -> Vec<String> {
    let texts = body["warnings"].as_array().unwrap_or_else(|| panic!("{body}")).iter();
    texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

#[track_caller]
fn reloaded(api: &Api, change: impl FnOnce(&str) -> String) -> Response {
    api.gateway.rewrite(|text| change(&text));
    let response = api.gateway.reload();
    assert_eq!(response.status, 200, "{response:?}");
    response
}

#[test]
fn an_entry_that_has_ended_is_warned_of() {
    let api = Api::with(|setup| {
        setup.yaml_tail(&format!("{STORE}revocation: {{file: revoked.yaml}}\n")).file("revoked.yaml", "[]")
    });
    let token = token(&api, "t-1");
    let mut entry = jti(&api, "t-1");
    entry["expires"] = json!(1_700_000_000);
    let response = post(&api, &json!([jti(&api, "t-2"), entry]));
    assert_eq!(response.status, 201, "{response:?}");
    let said = warnings(&response.json());
    assert!(said.len() == 1 && said[0].starts_with("entry 2: it has ended"), "{said:?}");
    assert_allowed(&api.gateway.send(&orders(&token)));
    // And in the file.
    assert_eq!(warnings(&api.gateway.status()), Vec::<String>::new());
    for text in [json!([entry, entry]).to_string(), format!("# YAML\n- {entry}\n- {entry}\n")] {
        api.gateway.replace("revoked.yaml", text);
        let said = warnings(&reloaded(&api, |text| format!("# again\n{text}")).json());
        assert!(said.len() == 1 && said[0].contains("2 entries have ended"), "{said:?}");
        assert_eq!(warnings(&api.gateway.status()), said);
    }
    api.gateway.wait_for_log(&["2 entries have ended"]);
    assert_allowed(&api.gateway.send(&orders(&token)));
}

#[test]
fn entries_of_a_claim_that_is_declared_no_more_are_warned_of() {
    const CLAIMS: &str = "revocation: {claims: [device_id, plan]}";
    let api = Api::with(|setup| setup.yaml_tail(&format!("{STORE}{CLAIMS}\n")));
    let token = api.issuer.token().scope("orders:read").set("device_id", json!("d-1")).sign();
    let ids = revoke(&api, &json!({"kind": "claim", "claim": "device_id", "value": "d-1"}));
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    assert_eq!(warnings(&reloaded(&api, |text| format!("# again\n{text}")).json()), Vec::<String>::new());
    // Of the two that are left out one has an entry.
    let said = warnings(&reloaded(&api, |text| text.replace(CLAIMS, "revocation: {claims: [tier]}")).json());
    assert!(
        said.len() == 1 && said[0].contains("`device_id`") && said[0].contains("revocation.claims"),
        "{said:?}"
    );
    assert_eq!(warnings(&api.gateway.status()), said);
    api.gateway.wait_for_log(&["the store has entries of the claim"]);
    assert_allowed(&api.gateway.send(&orders(&token)));
    // At a start too.
    api.gateway.signal("KILL");
    api.gateway.wait_for_any_exit();
    let _again = Again::start(&api);
    assert_eq!(warnings(&api.gateway.status()), said);
    // Declared again, they count again; lifted, there is nothing to warn of.
    let declared = reloaded(&api, |text| text.replace("[tier]", "[device_id]"));
    assert_eq!(warnings(&declared.json()), Vec::<String>::new());
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    assert_eq!(ask(&api, "DELETE", &format!("{PATH}/{}", ids[0]), None).status, 204);
    let lifted = reloaded(&api, |text| text.replace("[device_id]", "[tier]"));
    assert_eq!(warnings(&lifted.json()), Vec::<String>::new());
}
