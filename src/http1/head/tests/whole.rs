use super::*;

#[test]
fn a_whole_head_is_read_with_every_place() {
    let text = "\r\nPOST /a/%20?b=c HTTP/1.1\r\nHOST:api:81\r\nAuthorization: Bearer t\r\nCookie:  a=b \r\nOrigin: null\r\n\
                Content-Length: 5\r\nExpect: 100-continue\r\nVia: 1.1 x\r\nX-Empty:\r\nAccess-Control-Request-Method: PUT\r\n\r\nhello";
    let head = accepted(text);
    let buffer = text.as_bytes();
    let at = |span: &Span| super::text(buffer, span);
    assert_eq!((at(&head.method), at(&head.path)), ("POST", "/a/%20"));
    assert_eq!(head.query.as_ref().map(at), Some("b=c"));
    assert_eq!((at(&head.host), at(&head.authority)), ("api", "api:81"));
    assert_eq!((head.framing, head.declared_length), (Framing::Length(5), Some(5)));
    assert!(!head.http10 && head.keep_alive && head.expects_continue);
    assert_eq!(&text[head.length..], "hello");
    let lines = known(buffer, &head.lines);
    let lines: Vec<_> =
        lines.iter().map(|(name, value, known)| (name.as_str(), value.as_str(), *known)).collect();
    assert_eq!(
        lines,
        [
            ("HOST", "api:81", Known::Host),
            ("Authorization", "Bearer t", Known::Authorization),
            ("Cookie", "a=b", Known::Cookie),
            ("Origin", "null", Known::Origin),
            ("Content-Length", "5", Known::ContentLength),
            ("Expect", "100-continue", Known::Expect),
            ("Via", "1.1 x", Known::Via),
            ("X-Empty", "", Known::Other),
            ("Access-Control-Request-Method", "PUT", Known::Other),
        ]
    );
    for end in 0..head.length {
        assert!(matches!(read(&buffer[..end]), Ok(None)), "{end} octets are no whole head");
    }
}

#[test]
fn framing_and_keep_alive_are_as_said() {
    for (lines, framing, declared) in [
        ("X: y", Framing::None, None),
        ("Content-Length: 0", Framing::None, Some(0)),
        (
            "Content-Length: 9223372036854775807",
            Framing::Length(9_223_372_036_854_775_807),
            Some(9_223_372_036_854_775_807),
        ),
        ("Transfer-Encoding: Chunked", Framing::Chunked, None),
    ] {
        let head = accepted(&with(lines));
        assert_eq!((head.framing, head.declared_length), (framing, declared), "{lines}");
    }
    for (start, lines, keep_alive) in [
        ("GET / HTTP/1.1", "X: y", true),
        ("GET / HTTP/1.1", "Connection: x, Close", false),
        ("GET / HTTP/1.1", "Connection: keep-alive", true),
        ("GET / HTTP/1.1", "Connection: close\r\nConnection: keep-alive", false),
        ("GET / HTTP/1.0", "Connection: keep-alive", false),
        ("GET / HTTP/1.0", "X: y", false),
    ] {
        assert_eq!(
            accepted(&format!("{start}\r\nHost: a\r\n{lines}\r\n\r\n")).keep_alive,
            keep_alive,
            "{start} {lines}"
        );
    }
}

#[test]
fn a_head_read_again_remembers_nothing() {
    let mut head = RequestHead::default();
    let first =
        "POST http://a:81/x?y HTTP/1.0\r\nHost: a:81\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    assert_eq!(head.read(first.as_bytes(), &LIMITS), Ok(true));
    let second = "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
    assert_eq!(head.read(second.as_bytes(), &LIMITS), Ok(true));
    let fresh = accepted(second);
    assert_eq!(format!("{head:?}"), format!("{fresh:?}"));
}
