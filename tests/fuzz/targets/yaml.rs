//! A configuration is taken whole or refused with places in the file; what is printed is read back the same.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portcullis::config::{Context, parse, print};

fuzz_target!(|text: &str| {
    let context = Context { name: "fuzz.yaml", directory: Path::new("/etc"), env: &|_| None };
    match parse(text, &context) {
        Ok((config, _)) => {
            let printed = print(&config);
            // Secrets written into the file itself are redacted, so such a file cannot be read back.
            if !text.contains("inline") {
                let (again, _) = parse(&printed, &context).expect("what is printed is a configuration");
                assert_eq!(print(&again), printed);
            }
        }
        Err(problems) => {
            assert!(!problems.list.is_empty());
            assert!(problems.list.is_sorted_by_key(|problem| problem.at));
            assert!(!problems.to_string().is_empty());
        }
    }
});
