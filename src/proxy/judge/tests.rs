use crate::gate::denial::Reason;
use crate::proxy::judge::{guarded, without};
use crate::proxy::refuse::{self, Addition, Manner};
use crate::proxy::request_id::RequestIds;

/// O7: a fault of ours is 500 for one request, tells nothing of itself, and never lets it through.
#[test]
fn o7_a_panic_refuses_its_own_request_and_no_other() {
    let refused: Result<(), _> = guarded(|| panic!("octets of a request"));
    let denial = refused.expect_err("it panicked");
    assert_eq!(denial.reason, Reason::Internal);
    let mut out = Vec::new();
    let id = RequestIds::new(7).next();
    refuse::respond(
        &mut out,
        &denial,
        &id,
        Addition::default(),
        Manner { to_head: false, close: false, grpc: false },
    );
    let answer = String::from_utf8(out).expect("text");
    assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answer}");
    assert!(answer.contains("\"reason\":\"internal\""), "{answer}");
    assert!(!answer.contains("octets"), "{answer}");
    assert_eq!(guarded(|| 1), Ok(1));
}

#[test]
fn c6_a_credential_in_the_query_goes_no_further_however_its_name_is_spelt() {
    let check =
        |query: &str, expected: &str| assert_eq!(without(query, &["token".into()]), expected, "{query}");
    for query in ["token=x", "t%6fken=x", "a;token=x", "token", "token=x&token=y", "%74oken=x;b"] {
        check(query, "");
    }
    check("a=1&token=x&b=2", "a=1&b=2");
    check("tokens=x&Token=y&a=token", "tokens=x&Token=y&a=token");
    check("", "");
}
