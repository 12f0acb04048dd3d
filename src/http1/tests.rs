//! Against hyper: what both accept means the same, what hyper refuses is refused here.

pub(crate) mod cuts;
mod messages;
mod oracle;

use proptest::prelude::*;

use self::messages::{requests, responses};
use self::oracle::{compare_requests, compare_responses};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn what_hyper_and_we_accept_of_clients_means_the_same(input in requests()) {
        compare_requests(&input);
    }

    #[test]
    fn what_hyper_and_we_accept_of_upstreams_means_the_same(input in responses(), to_head in any::<bool>()) {
        compare_responses(&input, to_head);
    }
}

/// The properties above would hold for a parser that refuses everything.
#[test]
fn good_messages_are_accepted_by_both() {
    let get = "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n";
    let sized = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let chunked = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n0\r\nX: y\r\n\r\n";
    let absolute = "GET http://a?x HTTP/1.1\r\nHost: A:80\r\n\r\n";
    let old = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
    assert_eq!(compare_requests([get, sized, chunked, absolute, old, get].concat().as_bytes()), 5);
    for (response, to_head) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            false,
        ),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", false),
    ] {
        assert!(compare_responses(response.as_bytes(), to_head), "{response}");
    }
}
