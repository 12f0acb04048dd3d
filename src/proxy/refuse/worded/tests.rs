use serde_json::{Value, json};

use crate::config::endpoint::{Answer, Errors};
use crate::config::template::{Hole, Piece, Source, Template, Text};
use crate::gate::denial::{Advice, Denial, Reason};
use crate::proxy::refuse::{Addition, Manner, respond};
use crate::proxy::request_id::RequestIds;

fn hole(source: Source) -> Template {
    Template::Text(Text(vec![Piece::Hole(Hole { source, optional: false })]))
}

fn literal(text: &str) -> Text {
    Text(vec![Piece::Literal(text.into())])
}

fn answer(status: Option<u16>, body: Option<Template>) -> Answer {
    Answer { status, headers: Vec::new(), body }
}

const MANNER: Manner = Manner { to_head: false, close: false, grpc: false };

/// Head and body of the answer, and the status that it was said to have.
fn written(denial: &Denial, addition: Addition<'_>, manner: Manner) -> (String, String, u16) {
    let mut out = Vec::new();
    let status = respond(&mut out, denial, &RequestIds::new(1).next(), addition, manner);
    let text = String::from_utf8(out).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    (head.to_owned(), body.to_owned(), status)
}

fn with(errors: &Errors) -> Addition<'_> {
    Addition { errors: Some(errors), ..Addition::default() }
}

#[test]
fn the_challenge_stays_whatever_the_template_says() {
    let scope = Denial::new(Reason::InsufficientScope, "").advice(Advice::Scope("a b".to_owned()));
    let errors = Errors(vec![("*".into(), answer(None, None))]);
    let (head, body, status) = written(&scope, with(&errors), MANNER);
    assert_eq!((status, body.as_str()), (403, ""));
    assert!(head.contains(
        "\r\nwww-authenticate: Bearer realm=\"portcullis\", error=\"insufficient_scope\", scope=\"a b\""
    ));
    assert!(
        head.contains("\r\ncontent-length: 0\r\n") && head.contains("\r\ncache-control: no-store"),
        "{head}"
    );

    let errors = Errors(vec![("keys_unavailable".into(), answer(Some(401), None))]);
    let (head, _, status) = written(&Denial::new(Reason::KeysUnavailable, ""), with(&errors), MANNER);
    assert_eq!(status, 401);
    assert!(head.contains("\r\nwww-authenticate: Bearer realm=\"portcullis\""), "{head}");
    assert!(!head.contains("retry-after"), "{head}");
}

#[test]
fn holes_are_filled_by_the_refusal_and_by_nothing_of_the_request() {
    let members = ["message", "reason", "id", "scope"];
    let sources = [Source::Message, Source::Reason, Source::RequestId, Source::Scope];
    let body = members.iter().zip(sources).map(|(name, source)| ((*name).into(), hole(source))).collect();
    let errors = Errors(vec![("insufficient_scope".into(), answer(Some(400), Some(Template::Object(body))))]);
    let denial = Denial::new(Reason::InsufficientScope, "").advice(Advice::Scope("read".to_owned()));
    let (head, body, status) = written(&denial, with(&errors), MANNER);
    let id = RequestIds::new(1).next().hex().text().to_owned();
    assert_eq!(status, 400);
    assert_eq!(
        serde_json::from_str::<Value>(&body).expect("JSON"),
        json!({"message": "The token's scopes do not suffice", "reason": "insufficient_scope", "id": id, "scope": "read"}),
    );
    assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
    assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
}

/// Half an answer is worse than the usual one.
#[test]
fn what_nothing_fills_is_answered_as_it_would_be_without() {
    for source in [Source::Subject, Source::Body("a".into()), Source::Header("authorization".into())] {
        let errors = Errors(vec![("*".into(), answer(Some(200), Some(hole(source))))]);
        let (head, _, status) = written(&Denial::new(Reason::Expired, ""), with(&errors), MANNER);
        assert_eq!(status, 401);
        assert!(head.contains("application/problem+json"), "{head}");
    }
    let others = Errors(vec![("revoked".into(), answer(Some(200), None))]);
    assert_eq!(written(&Denial::new(Reason::Expired, ""), with(&others), MANNER).2, 401);
}

#[test]
fn a_line_that_would_end_the_head_or_frame_it_is_left_out() {
    let named = |name: &str, value: &str| (name.into(), literal(value));
    let headers = vec![
        named("x-good", "yes"),
        named("x-split", "a\r\nx-evil: b"),
        named("content-length", "5"),
        named("transfer-encoding", "chunked"),
        named("content-type", "text/plain"),
        named("cache-control", "private"),
    ];
    let errors =
        Errors(vec![("*".into(), Answer { status: None, headers, body: Some(Template::Plain(json!(1))) })]);
    let (head, body, _) = written(&Denial::new(Reason::Expired, ""), with(&errors), MANNER);
    assert!(head.contains("\r\nx-good: yes\r\n") && !head.contains("evil"), "{head}");
    assert!(head.contains("\r\ncontent-type: text/plain\r\n") && !head.contains("json"), "{head}");
    assert_eq!(head.matches("content-length: 1").count(), 1, "{head}");
    assert!(
        !head.contains("chunked") && !head.contains("content-length: 5") && !head.contains("no-store"),
        "{head}"
    );
    assert_eq!(body, "1");
}

#[test]
fn an_answer_to_head_has_no_body_and_grpc_its_own_fields() {
    let errors = Errors(vec![("*".into(), answer(None, Some(Template::Plain(json!("x")))))]);
    let denial = Denial::new(Reason::Expired, "");
    let (head, body, _) = written(&denial, with(&errors), Manner { to_head: true, ..MANNER });
    assert!(head.contains("\r\ncontent-length: 3\r\n") && body.is_empty(), "{head}{body}");
    let mut out = Vec::new();
    respond(&mut out, &denial, &RequestIds::new(1).next(), with(&errors), Manner { grpc: true, ..MANNER });
    assert!(String::from_utf8_lossy(&out).contains("grpc-status: 16"));
}

#[test]
fn a_challenge_says_where_the_resource_is_described() {
    let address = "https://api.test/.well-known/oauth-protected-resource";
    let metadata = Some(address);
    let addition = Addition { metadata, ..Addition::default() };
    for (reason, error) in
        [(Reason::NoCredentials, ""), (Reason::Expired, ", error=\"invalid_token\""), (Reason::NoRoute, "-")]
    {
        let (head, _, _) = written(&Denial::new(reason, ""), addition, MANNER);
        let challenge = format!(
            "www-authenticate: Bearer realm=\"portcullis\"{error}, resource_metadata=\"{}\"",
            address
        );
        assert_eq!(head.contains(&challenge), error != "-", "{head}");
    }
}
