use std::sync::Arc;

use crate::config::defaults::{GRAPHQL_PLAN_TEXT, GRAPHQL_REJECTIONS};
use crate::graphql::envelope::Written;
use crate::graphql::planning::tests::rules;
use crate::graphql::plans::Plans;

#[test]
fn a_document_is_planned_once() {
    let (rules, mut plans) = (Arc::new(rules("{public: Query}")), Plans::default());
    let one = plans.plan(&rules, &"{a}".into()).expect("a plan");
    let again = plans.plan(&rules, &"{a}".into()).expect("a plan");
    assert!(Arc::ptr_eq(&one, &again));
    let other = plans.plan(&rules, &"{a }".into()).expect("a plan");
    assert_ne!(one.serial, other.serial);
    assert_eq!(plans.remembered(), (2, 0));
    let wrong = plans.plan(&rules, &"{a".into()).expect_err("no plan");
    assert_eq!(plans.plan(&rules, &"{a".into()).expect_err("no plan"), wrong);
    assert_eq!(plans.remembered(), (2, 1));
}

/// Octets that are one thing as they are and another unescaped are not taken for each other.
#[test]
fn an_escaped_document_is_none_that_only_looks_like_it() {
    let (rules, mut plans) = (Arc::new(rules("{public: Query}")), Plans::default());
    let text = r#"{a(b:"\u0022){secret}#")}"#;
    let plain = plans.plan(&rules, &Written::Plain(text.into())).map(|plan| plan.serial);
    let escaped = plans.plan(&rules, &Written::Escaped(text)).map(|plan| plan.serial);
    assert_ne!(plain, escaped);
    let again = plans.plan(&rules, &Written::Escaped(text)).map(|plan| plan.serial);
    assert_eq!(escaped, again);
}

/// What one route lets everybody do is not for everybody on another.
#[test]
fn a_plan_is_not_taken_for_one_under_other_rules() {
    let (open, mut plans) = (Arc::new(rules("{public: Query}")), Plans::default());
    assert!(plans.plan(&open, &"{a}".into()).expect("a plan").operations[0].needs.are_none());
    let closed = Arc::new(rules("{fields: {Query.a: authenticated}}"));
    assert!(!plans.plan(&closed, &"{a}".into()).expect("a plan").operations[0].needs.are_none());
    // Nor for one under rules that came to stand in the same place.
    drop(open);
    for _ in 0..100 {
        let closed = Arc::new(rules("{fields: {Query.a: authenticated}}"));
        assert!(!plans.plan(&closed, &"{a}".into()).expect("a plan").operations[0].needs.are_none());
    }
}

/// Rules of a configuration that is gone are not kept for their plans' sake.
#[test]
fn plans_do_not_keep_rules() {
    let (rules, mut plans) = (Arc::new(rules("{public: Query}")), Plans::default());
    plans.plan(&rules, &"{a}".into()).expect("a plan");
    assert_eq!(Arc::strong_count(&rules), 1);
}

#[test]
fn d7_plans_are_bounded_in_octets() {
    let (rules, mut plans) = (Arc::new(rules("{public: Query}")), Plans::new(64 * 1024, 1));
    for number in 0..10_000 {
        plans.plan(&rules, &format!("{{field{number}}}").as_str().into()).expect("a plan");
    }
    assert!((10..200).contains(&plans.remembered().0), "{:?}", plans.remembered());
    let mut plans = Plans::default();
    plans.plan(&rules, &format!("{{a{}}}", " ".repeat(GRAPHQL_PLAN_TEXT)).as_str().into()).expect("a plan");
    assert_eq!(plans.remembered(), (0, 0));
}

#[test]
fn d7_what_is_no_document_makes_no_plan_go() {
    let (rules, mut plans) = (Arc::new(rules("{public: Query}")), Plans::new(64 * 1024, 1));
    let kept = plans.plan(&rules, &"{a}".into()).expect("a plan");
    for number in 0..10_000 {
        plans.plan(&rules, &format!("{{field{number}").as_str().into()).expect_err("no plan");
    }
    assert!(Arc::ptr_eq(&kept, &plans.plan(&rules, &"{a}".into()).expect("a plan")));
    assert!(plans.remembered().1 <= GRAPHQL_REJECTIONS as usize / 100, "{:?}", plans.remembered());
}
