//! What holds of what was decided, wrong ones first.

use super::*;
use crate::cli::request::Verdict;
use crate::gate::denial::Reason;

#[track_caller]
fn check_holds(expect: &str, refused: Option<Reason>, holds: bool) {
    let text = format!("[{{name: n, request: {{url: /}}, expect: {expect}}}]");
    let case = cases::read(&text).expect("a case").remove(0);
    let verdict = match refused {
        Some(reason) => Verdict::Refused { reason, status: reason.status(), detail: String::new() },
        None => Verdict::Preflight("r".to_owned()),
    };
    assert_eq!(case.expect.holds(&Told { steps: Vec::new(), verdict }), holds, "{expect} {refused:?}");
}

#[test]
fn an_expectation_holds_only_if_all_of_it_does() {
    check_holds("{allow: true}", Some(Reason::Expired), false);
    check_holds("{allow: false}", None, false);
    check_holds("{reason: expired}", None, false);
    check_holds("{reason: expired}", Some(Reason::Revoked), false);
    check_holds("{status: 401}", Some(Reason::NoRoute), false);
    check_holds("{status: 401}", None, false);
    check_holds("{allow: true}", None, true);
    check_holds("{allow: false}", Some(Reason::NoRoute), true);
    check_holds("{reason: expired, status: 401}", Some(Reason::Expired), true);
    check_holds("{status: 401}", Some(Reason::Expired), true);
}
