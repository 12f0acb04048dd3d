//! What was revoked stays so when tokens may live longer again: an entry ends no sooner than by the largest
//! `max_token_lifetime` and `leeway` that ever were in force (state.md 1.3).

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::issuer::Issuer;
use crate::revoking::{Again, Revoked, STORE, jti, orders, post, token};

const LONG: &str = "max_token_lifetime: 24h";
const SHORT: &str = "max_token_lifetime: 2s";

fn living(life: &str) -> Api {
    Api::with_issuer(Issuer::start(), |setup, issuer| {
        setup.issuer_with("corp", issuer, &format!("leeway: 0s, {life}")).yaml_tail(STORE)
    })
}

/// Puts another life in force, and gives what is warned of.
#[track_caller]
fn live(api: &Api, from: &str, to: &str) -> Vec<Value> {
    api.gateway.rewrite(|text| text.replace(from, to));
    let response = api.gateway.reload();
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["warnings"].as_array().expect("warnings").clone()
}

/// Revokes a token, and gives how long the entry lasts from now.
#[track_caller]
fn lasts(api: &Api, value: &str) -> i64 {
    let response = post(api, &jti(api, value));
    assert_eq!(response.status, 201, "{response:?}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
    response.json()["entries"][0]["expires"].as_i64().expect("an end") - now.cast_signed()
}

#[test]
fn bug_a_longer_life_in_a_later_configuration_revived_revoked_tokens() {
    let api = living(LONG);
    let token = token(&api, "t-1");
    assert_allowed(&api.gateway.send(&orders(&token)));
    assert_eq!(live(&api, LONG, SHORT), Vec::<Value>::new());
    assert!(lasts(&api, "t-1") > 86_000, "by the life of the moment it would have ended in two seconds");
    assert_eq!(live(&api, SHORT, LONG), Vec::<Value>::new(), "it never was longer");
    assert_refused(&api.gateway.send(&orders(&token)), Revoked);
    // And after a restart under the shorter one.
    live(&api, LONG, SHORT);
    api.gateway.signal("KILL");
    api.gateway.wait_for_any_exit();
    let again = Again::start(&api);
    assert!(lasts(&api, "t-2") > 86_000);
    live(&api, SHORT, "max_token_lifetime: 48h");
    again.kill();
    api.gateway.rewrite(|text| text.replace("max_token_lifetime: 48h", SHORT));
    let _again = Again::start(&api);
    assert!(lasts(&api, "t-3") > 2 * 86_000, "what a reload brought is remembered too");
}

/// What was made before a life that is longer than any before has ended already: nobody can know what it was about.
#[test]
fn a_life_that_is_longer_than_ever_is_warned_of() {
    let api = living(SHORT);
    assert_eq!(
        live(&api, SHORT, "max_token_lifetime: 3s"),
        Vec::<Value>::new(),
        "no entry could end too early"
    );
    lasts(&api, "t-1");
    let said = live(&api, "max_token_lifetime: 3s", LONG);
    let text = said.first().and_then(Value::as_str).unwrap_or_default();
    assert!(said.len() == 1 && text.contains("86400 s") && text.contains("more than 3 s"), "{said:?}");
    assert_eq!(api.gateway.status()["warnings"], Value::from(said));
    api.gateway.wait_for_log(&["never were for more than 3 s"]);
    assert_eq!(live(&api, LONG, SHORT), Vec::<Value>::new());
    // At a start too.
    api.gateway.signal("KILL");
    api.gateway.wait_for_any_exit();
    api.gateway.rewrite(|text| text.replace(SHORT, "max_token_lifetime: 48h"));
    let _again = Again::start(&api);
    let said = api.gateway.status()["warnings"].to_string();
    assert!(said.contains("172800 s") && said.contains("more than 86400 s"), "{said}");
}
