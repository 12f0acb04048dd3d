use super::*;

fn read_response(octets: &[u8], to_head: bool) -> Result<Option<ResponseHead>, ResponseError> {
    let mut head = ResponseHead::default();
    Ok(head.read(octets, &LIMITS, to_head)?.then_some(head))
}

#[track_caller]
fn accepted_response(head: &str, to_head: bool) -> ResponseHead {
    read_response(head.as_bytes(), to_head)
        .unwrap_or_else(|error| panic!("{head:?}: {error}"))
        .expect("a whole head")
}

#[track_caller]
fn check_refused<T: AsRef<[u8]>>(heads: impl IntoIterator<Item = T>) {
    for head in heads {
        let head = head.as_ref();
        assert!(read_response(head, false).is_err(), "{}", head.escape_ascii());
    }
}

#[test]
fn h11_status_lines_out_of_the_grammar_are_refused() {
    for line in [
        "HTTP/0.9 200 OK",
        "HTTP/2 200 OK",
        "HTTP/1.2 200 OK",
        "http/1.1 200 OK",
        "ICY 200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 x",
        "HTTP/1.1 000 x",
        "HTTP/1.1 600 x",
        "HTTP/1.1 999 x",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 -20 x",
        "HTTP/1.1",
        "HTTP/1.1 200 a\u{1}b",
        "HTTP/1.1 200 a\0b",
        "HTTP/1.1 101 Switching Protocols",
        " HTTP/1.1 200 OK",
        "\r\nHTTP/1.1 200 OK",
    ] {
        check_refused([format!("{line}\r\nX: y\r\n\r\n")]);
    }
    check_refused([
        "HTTP/1.1 200 OK\nX: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n\n",
    ]);
    check_refused([
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
    ]);
    // At their first octets.
    check_refused(["<html>", "HTTQ", "HTTP/2", "S"]);
}

#[test]
fn h11_framing_that_could_mean_two_things_is_refused() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: 05",
        "Content-Length:",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Connection: \"close\"",
    ] {
        check_refused([format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")]);
    }
    check_refused(["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]);
}

#[test]
fn h11_bounds_hold_for_responses() {
    let limits = HeadLimits { line: 40, total: 200, lines: 4 };
    let mut head = ResponseHead::default();
    for (text, fits) in [
        (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(37)), true),
        (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(38)), false),
        (format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(4)), true),
        (format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(5)), false),
        (format!("HTTP/1.1 200 {}\r\n\r\n", "y".repeat(28)), false),
        (format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(200)), false),
    ] {
        assert_eq!(head.read(text.as_bytes(), &limits, false).is_ok(), fits, "{text}");
    }
}

#[test]
fn h11_a_body_where_none_may_be_ends_the_connection() {
    for (head, to_head, keep_alive) in [
        ("HTTP/1.1 204 N\r\nContent-Length: 5", false, false),
        ("HTTP/1.1 204 N\r\nTransfer-Encoding: chunked", false, false),
        ("HTTP/1.1 100 C\r\nContent-Length: 5", false, false),
        ("HTTP/1.1 204 N\r\nContent-Length: 0", false, true),
        ("HTTP/1.1 204 N\r\nX: y", false, true),
        ("HTTP/1.1 304 N\r\nContent-Length: 5", false, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5", true, true),
    ] {
        let head = accepted_response(&format!("{head}\r\n\r\n"), to_head);
        assert_eq!((head.framing, head.keep_alive), (Framing::None, keep_alive), "{head:?}");
    }
}

#[test]
fn framing_follows_status_method_and_lines() {
    for (start, lines, to_head, framing, declared, keep_alive) in [
        ("HTTP/1.1 200 OK", "Content-Length: 5", false, Framing::Length(5), Some(5), true),
        ("HTTP/1.1 200 OK", "Content-Length: 0", false, Framing::None, Some(0), true),
        ("HTTP/1.1 200 OK", "transfer-encoding: CHUNKED", false, Framing::Chunked, None, true),
        ("HTTP/1.1 200 OK", "X: y", false, Framing::UntilClose, None, false),
        ("HTTP/1.1 200 OK", "X: y", true, Framing::None, None, true),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", true, Framing::None, None, true),
        ("HTTP/1.1 304 N", "Content-Length: 5", false, Framing::None, Some(5), true),
        ("HTTP/1.1 204 N", "Content-Length: 0", false, Framing::None, None, true),
        ("HTTP/1.1 103 E", "Link: x", false, Framing::None, None, true),
        (
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\nConnection: close",
            false,
            Framing::Length(5),
            Some(5),
            false,
        ),
        ("HTTP/1.0 200 OK", "Content-Length: 5", false, Framing::Length(5), Some(5), false),
        ("HTTP/1.0 200 OK", "X: y", false, Framing::UntilClose, None, false),
    ] {
        let head = accepted_response(&format!("{start}\r\n{lines}\r\n\r\n"), to_head);
        assert_eq!(
            (head.framing, head.declared_length, head.keep_alive),
            (framing, declared, keep_alive),
            "{start} {lines}"
        );
    }
}

#[test]
fn lines_and_reason_are_read() {
    let text = "HTTP/1.1 404 Not  Found!\r\nServer: x\r\nConnection: x-hop, Content-Length\r\nX-Hop: 1\r\nContent-Length: 2\r\n\
                Access-Control-Allow-Origin: *\r\nAccess_Control_Max_Age: 1\r\nVia: 1.1 u\r\nUpgrade: h2\r\nContent_Length: 7\r\n\r\nno";
    let head = accepted_response(text, false);
    assert_eq!(head.status, 404);
    assert_eq!(super::text(text.as_bytes(), &head.reason), "Not  Found!");
    assert_eq!(&text[head.length..], "no");
    let hop = Known::HopByHop;
    let expected =
        [Known::Other, hop, hop, Known::ContentLength, Known::Cors, Known::Cors, Known::Via, hop, hop];
    assert_eq!(kinds(&head.lines), expected);
    for end in 0..head.length {
        assert!(
            matches!(read_response(&text.as_bytes()[..end], false), Ok(None)),
            "{end} octets are no whole head"
        );
    }
    for (line, reason) in [("HTTP/1.1 200 ", ""), ("HTTP/1.1 200", ""), ("HTTP/1.1 200 a\u{e9}b", "a\u{e9}b")]
    {
        let text = format!("{line}\r\n\r\n");
        assert_eq!(super::text(text.as_bytes(), &accepted_response(&text, false).reason), reason);
    }
}

#[test]
fn an_event_stream_is_told_by_its_type() {
    for (line, expected) in [
        ("Content-Type: text/event-stream", true),
        ("content-type: Text/Event-Stream;charset=utf-8", true),
        ("Content-Type: text/event-stream ; x=y", true),
        ("Content-Type: text/event-streams", false),
        ("Content-Type: text/event", false),
        ("Content-Type: application/json", false),
        ("X-Content-Type: text/event-stream", false),
    ] {
        let mut head = ResponseHead { event_stream: !expected, ..ResponseHead::default() };
        let octets = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
        assert_eq!(head.read(octets.as_bytes(), &LIMITS, false), Ok(true));
        assert_eq!(head.event_stream, expected, "{line}");
    }
}
