//! A token that comes within a stream is judged as if the handshake had come with it.

use serde_json::{Value, json};

use crate::gate::denial::Reason;
use crate::gate::evidence::{Evidence, Need};
use crate::gate::grant::Grant;
use crate::gate::reauthenticate::continues;
use crate::gate::tests::scene::{ISS, NOW, OTHER, Scene, claims};
use crate::gate::{Decision, Field, Request, decide};
use crate::path;
use crate::token::NumericDate;

/// Decides on a request that came with one token, and then with another one within its stream.
fn ask(scene: &mut Scene, target: &str, sent: &str, presented: Option<&str>) -> Result<Grant, Reason> {
    let authorization = format!("Bearer {sent}");
    let fields = [
        Field { name: b"authorization", value: authorization.as_bytes() },
        Field { name: b"x-tenant", value: b"acme" },
    ];
    let request = Request {
        method: "GET",
        host: "api.test",
        path: path::canonical(target).expect("a path"),
        query: None,
        headers: &fields,
        peer: [127, 0, 0, 1].into(),
        websocket: None,
        tls: None,
        presented: presented.map(str::as_bytes),
        message: None,
    };
    let mut evidence = Evidence::default();
    loop {
        let snapshot = scene.reader.load();
        match decide(&snapshot, &mut scene.memo, &request, &mut evidence, NumericDate(NOW)) {
            Decision::Need(Need::Signature(work)) => evidence.signature = Some(work.verify()),
            Decision::Allow(grant) => return Ok(grant),
            Decision::Refuse(refusal) => return Err(refusal.denial.reason),
            other @ (Decision::Need(Need::Keys(_) | Need::Record(_) | Need::Body(_))
            | Decision::Answer(_)
            | Decision::Converse(_)
            | Decision::Preflight(_)) => {
                panic!("{other:?}")
            }
        }
    }
}

#[test]
fn a_presented_token_is_refused_for_what_any_token_is() {
    let mut scene = Scene::new();
    let good = scene.token(claims(json!({})));
    let mut forged = good.clone();
    forged.replace_range(forged.len() - 8..forged.len() - 4, "AAAA");
    let minted = |over: Value| claims(over);
    let cases = [
        (scene.token(minted(json!({"exp": NOW - 31}))), Reason::Expired),
        (scene.token(minted(json!({"aud": "else"}))), Reason::WrongAudience),
        (scene.token(minted(json!({"scope": "profile"}))), Reason::InsufficientScope),
        (scene.token(minted(json!({"iss": "https://nobody.test/"}))), Reason::UntrustedIssuer),
        (forged, Reason::BadSignature),
        ("hello".into(), Reason::MalformedToken),
        (String::new(), Reason::MalformedToken),
        ("a b".into(), Reason::MalformedRequest),
    ];
    for (presented, expected) in &cases {
        // Fresh and remembered alike; and what the request came with does not count.
        for _ in 0..2 {
            let decided = ask(&mut scene, "/orders/1", &good, Some(presented));
            assert_eq!(decided.err(), Some(*expected), "{presented}");
        }
    }
    let tenant = scene.token(minted(json!({"tid": "other"})));
    assert_eq!(ask(&mut scene, "/tenant", &good, Some(&tenant)).err(), Some(Reason::ConditionFailed));
    assert!(ask(&mut scene, "/tenant", &tenant, Some(&good)).is_ok());
}

/// It counts where its own issuer looks for one, wherever that is.
#[test]
fn a_presented_token_stands_where_its_issuer_looks() {
    let mut scene = Scene::new();
    let good = scene.token(claims(json!({})));
    let over = json!({"iss": OTHER, "client_id": "c", "sub": "alice"});
    let other = scene.other.mint(&claims(over), "at+jwt").expect("a token");
    // In `Authorization` it would not count.
    assert_eq!(ask(&mut scene, "/me", &other, None).err(), Some(Reason::UntrustedIssuer));
    assert!(ask(&mut scene, "/me", &good, Some(&other)).is_ok());
    assert_eq!(ask(&mut scene, "/corp", &good, Some(&other)).err(), Some(Reason::UntrustedIssuer));
}

#[test]
fn a_stream_goes_on_for_the_same_subject_of_the_same_issuer_alone() {
    let mut scene = Scene::new();
    let corp = |scene: &mut Scene, over: Value| {
        let token = scene.token(claims(over));
        ask(scene, "/me", &token, None).expect("a grant")
    };
    let alice = corp(&mut scene, json!({}));
    let again = corp(&mut scene, json!({"jti": "t2", "iss": ISS}));
    let bob = corp(&mut scene, json!({"sub": "bob"}));
    let nobody = corp(&mut scene, json!({"sub": null}));
    let over = json!({"iss": OTHER, "client_id": "c"});
    let stranger = scene.other.mint(&claims(over), "at+jwt").expect("a token");
    let stranger = ask(&mut scene, "/me", "x", Some(&stranger)).expect("a grant");
    let public = ask(&mut scene, "/public/x", "x", None).expect("a grant");
    let shadow = ask(&mut scene, "/shadow", "x", None).expect("a grant");
    assert!(continues(&alice, &again));
    for other in [&bob, &nobody, &stranger, &public] {
        assert!(!continues(&alice, other) && !continues(other, &alice), "{other:?}");
    }
    assert!(!continues(&nobody, &nobody));
    // What began for nobody is nobody's; what is somebody's does not become so.
    assert!(continues(&shadow, &alice) && !continues(&alice, &shadow));
}
