//! Messages against hyper: what both accept means the same, what hyper refuses is refused here.
#![no_main]

#[path = "../../../src/http1/tests/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;
use portcullis::http1;

fuzz_target!(|input: &[u8]| {
    if input.starts_with(b"HTTP") {
        oracle::compare_responses(input, false);
        oracle::compare_responses(input, true);
    } else {
        oracle::compare_requests(input);
    }
});
