//! Chunked bodies: against hyper on both sides, and the same however they are cut.
#![no_main]

#[path = "../../../src/http1/tests/cuts.rs"]
mod cuts;
#[path = "../../../src/http1/tests/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;
use portcullis::http1;

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

// The first four octets say where to cut (and the first of them whose body it is), the others are the body.
fuzz_target!(|input: &[u8]| {
    let Some((steps, body)) = input.split_at_checked(4) else { return };
    let _ = cuts::compare_cuts(http1::head::Framing::Chunked, body, steps);
    if steps[0] % 2 == 0 {
        oracle::compare_requests(&[REQUEST, body].concat());
    } else {
        oracle::compare_responses(&[RESPONSE, body].concat(), false);
    }
});
