//! Broken files give problems, in bounded time (threat K7).

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::processor::Spent;
use super::{file, read};

const REFERENCE: &str = include_str!("../../../config/portcullis.yaml");
const ROLES: &str = include_str!("../../../config/roles.yaml");

/// A half-written file is the commonest broken one.
#[test]
fn every_truncation_parses_or_gives_problems() {
    for text in [
        ROLES,
        include_str!("../../../config/several-issuers.yaml"),
        include_str!("../../../config/browser.yaml"),
    ] {
        let mut accepted = 0;
        for (end, _) in text.char_indices() {
            let begun = Spent::since_now();
            match read(&text[..end]) {
                Ok(_) => accepted += 1,
                Err(problems) => assert!(!problems.list.is_empty() && !problems.to_string().is_empty()),
            }
            assert!(begun.so_far() < Duration::from_secs(2), "at {end}");
        }
        assert!(accepted < text.len() / 2, "{accepted} truncations are accepted");
    }
}

/// Reading takes time in proportion to the file, whatever its routes are: 20,000 of them stay far below what a
/// reload may take, in a debug build too.
#[test]
fn twenty_thousand_routes_are_read_in_time() {
    let mut routes = String::from("\n");
    for n in 0..20_000 {
        writeln!(routes, "  GET,POST /tenants/{{tenant}}/things-{n}/{{id}}: things:{n}:read")
            .expect("a line");
    }
    let text = file(&[("routes", &routes)]);
    let begun = Spent::since_now();
    let (config, _) = read(&text).expect("a configuration");
    let took = begun.so_far();
    assert_eq!(config.routes.len(), 20_000);
    println!("20,000 routes took {took:?}");
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn a_file_of_mistakes_is_no_slower_and_its_report_is_bounded() {
    let routes: String = (0..20_000).map(|n| format!("\n  get /{n}: ''")).collect();
    let text = file(&[("routes", &routes)]);
    let begun = Spent::since_now();
    let shown = read(&text).expect_err("problems").to_string();
    assert!(begun.so_far() < Duration::from_secs(6), "{:?}", begun.so_far());
    assert!(shown.contains("and 19000 more problems") && shown.len() < 1 << 20, "{}", shown.len());
}

#[test]
fn a_file_that_doubled_itself_is_all_duplicates() {
    let problems = read(&format!("{ROLES}\n{ROLES}")).expect_err("problems");
    assert!(
        problems.list.iter().filter(|problem| problem.what == "a duplicate key").count() >= 5,
        "{problems}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// One octet or line changed, doubled or lost: no panic, and a refusal says something.
    #[test]
    fn no_change_of_the_reference_makes_it_panic(at in 0..REFERENCE.len(), with in "[-a:\\[\\]{},&*!|>'\"#? \n\t<~0é]{0,3}", cut in 0_usize..40) {
        prop_assume!(REFERENCE.is_char_boundary(at));
        let end = (at + cut).min(REFERENCE.len());
        prop_assume!(REFERENCE.is_char_boundary(end));
        let text = format!("{}{with}{}", &REFERENCE[..at], &REFERENCE[end..]);
        if let Err(problems) = read(&text) {
            prop_assert!(!problems.to_string().is_empty());
        }
    }

    #[test]
    fn truncations_of_the_reference(end in 0..REFERENCE.len()) {
        prop_assume!(REFERENCE.is_char_boundary(end));
        if let Err(problems) = read(&REFERENCE[..end]) {
            prop_assert!(!problems.list.is_empty());
        }
    }
}
