//! A token that is given again, unless another is asked for.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::authority::shapes::subjects;
use crate::authority::{Scene, text};
use crate::harness::client::Request;

fn token(scene: &Scene, target: &str, session: &str) -> String {
    let response = scene.ask(&Request::get(target).bearer(session));
    assert_eq!(response.status, 200, "{response:?}");
    text(&response.json(), "access_token")
}

/// A client that is given the same token again although it asked for another asks for ever.
#[test]
fn refresh_true_gives_another_token_and_without_it_the_same() {
    let (scene, app) = subjects();
    let session = app.mint("anything");
    let first = token(&scene, "/token", &session);
    assert_eq!(token(&scene, "/token", &session), first);
    assert_eq!(token(&scene, "/token?refresh=false", &session), first);
    let second = token(&scene, "/token?refresh=true", &session);
    assert_ne!(second, first);
    assert_eq!(token(&scene, "/token", &session), second, "the newest is the one that is given");
    assert_eq!(scene.status("/mine", &first), 200);
    assert_eq!(scene.status("/mine", &second), 200);
}

#[test]
fn a_token_that_was_revoked_is_not_given_again() {
    let (scene, app) = subjects();
    let session = app.mint("anything");
    let first = token(&scene, "/token", &session);
    let claims = crate::authority::claims(&session);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let entry = serde_json::json!({"kind": "subject", "issuer": "own", "value": claims["sub"],
        "not_before": now.as_secs() + 1});
    let request =
        Request::post("/v1/revocations", entry.to_string()).host(&scene.gateway.ports.admin.to_string());
    let revoked = scene.gateway.send_admin(&request);
    assert_eq!(revoked.status, 201, "{revoked:?}");
    assert_eq!(scene.status("/mine", &first), 401);
    let second = token(&scene, "/token", &session);
    assert_ne!(second, first);
    assert_eq!(scene.status("/mine", &second), 200);
}
