use super::*;

#[test]
fn h2_http10_with_transfer_encoding_is_refused() {
    check_malformed(["POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"]);
}

#[test]
fn h2_transfer_encoding_other_than_chunked_alone_is_refused() {
    check_lines_malformed(&[
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\ntransfer-encoding: identity",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunke",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chun\u{e9}ked",
    ]);
}

#[test]
fn h3_length_with_transfer_encoding_is_refused() {
    check_lines_malformed(&[
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
    ]);
}

#[test]
fn h3a_length_in_any_but_its_one_spelling_is_refused() {
    for value in [
        "",
        "+5",
        "-0",
        "-5",
        "05",
        "00",
        "000",
        "0x5",
        "5,5",
        "34, 34",
        "5;",
        "5/",
        "5 5",
        "5.0",
        "1e1",
        "a",
        "\u{b2}",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999",
        "5\u{a0}",
        "\u{85}5",
        "5_0",
    ] {
        check_lines_malformed(&[&format!("Content-Length: {value}")]);
    }
    check_lines_malformed(&[
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\ncontent-length: 6",
    ]);
}

#[test]
fn h10_expectations_that_cannot_be_met_are_refused() {
    for value in ["", "y", "y 100-continue", "100-continue, y", "100-continue;q=1", "200-ok", "100-continu"] {
        let outcome = read(with(&format!("Expect: {value}\r\nContent-Length: 5")).as_bytes());
        assert_eq!(outcome.err(), Some(RequestError::Expectation), "{value}");
    }
    check_lines_malformed(&["Expect: 100-continue\r\nExpect: 100-continue", "Expect: x\r\nHost: a"]);
}

#[test]
fn h10_continue_is_expected_only_with_a_body_to_come() {
    for (head, expects) in [
        (with("Expect: 100-Continue\r\nContent-Length: 5"), true),
        (with("Expect: 100-continue\r\nTransfer-Encoding: chunked"), true),
        (with("Expect: 100-continue\r\nContent-Length: 0"), false),
        (with("Expect: 100-continue"), false),
        (with("Content-Length: 5"), false),
        ("POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n".to_owned(), false),
    ] {
        assert_eq!(accepted(&head).expects_continue, expects, "{head}");
    }
}

#[test]
fn s2_misspelt_framing_is_refused_and_misspelt_forwarding_known() {
    check_lines_malformed(&[
        "Transfer_Encoding: chunked",
        "Content_Length: 5",
        "content.length: 5",
        "TRANSFER_ENCODING: x",
        "Transfer~Encoding: chunked",
    ]);
    for name in [
        "Forwarded",
        "forwarded",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "x.forwarded.host",
        "X~Forwarded-Prefix",
        "X-Forwarded",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "X_REAL_IP",
        "X-Original-URL",
        "X-Original-Method",
        "X_Rewrite_Url",
        "X-Rewrite-URL",
    ] {
        let head = accepted(&with(&format!("{name}: spoofed")));
        assert_eq!(kinds(&head.lines), [Known::Host, Known::Forwarding], "{name}");
    }
    for name in ["XForwardedFor", "X-Real-IPs", "Forwarde", "Y-Forwarded-For", "X-Forward"] {
        assert_eq!(
            kinds(&accepted(&with(&format!("{name}: y"))).lines),
            [Known::Host, Known::Other],
            "{name}"
        );
    }
}

#[test]
fn s3_connection_nominates_nothing_that_matters() {
    for option in [
        "Host",
        "authorization",
        "Cookie",
        "Content-Length",
        "content-type",
        "Content-Encoding",
        "Content_Type",
        "transfer-encoding",
        "X-Forwarded-For",
        "x_forwarded_host",
        "Forwarded",
        "Via",
        "Origin",
        "X-Real-IP",
        "Expect",
    ] {
        check_lines_malformed(&[
            &format!("Connection: {option}"),
            &format!("Connection: close, {option}"),
            &format!("Connection: keep-alive\r\nX: y\r\nConnection: x,\t{option} "),
        ]);
    }
    check_lines_malformed(&[
        "Connection: \"x-user-id\"",
        "Connection: a b",
        "Connection: x;y",
        "Connection: x\u{e9}",
    ]);
    check_lines_malformed(&[
        &format!("Connection: {}a", "a,".repeat(16)),
        &format!("Connection: {}", ",".repeat(16)),
    ]);
    assert!(read(with(&format!("Connection: {}a", "a,".repeat(15))).as_bytes()).is_ok());
}

#[test]
fn s3_what_connection_nominates_ends_here() {
    let request = with(
        "X-A: 1\r\nx-b: 2\r\nConnection: keep-alive, X-B\r\nX-B: 3\r\nConnection: ,x-C\r\nX-C: 4\r\nX-D: 5",
    );
    let hop = Known::HopByHop;
    let expected = [Known::Host, Known::Other, hop, hop, hop, hop, hop, Known::Other];
    assert_eq!(kinds(&accepted(&request).lines), expected);
}

#[test]
fn s4_several_of_what_there_is_one_of_are_refused() {
    for name in
        ["Authorization", "Origin", "Content-Type", "Content-Length", "Host", "Expect", "authorization"]
    {
        let value = if name == "Content-Length" { "5" } else { "100-continue" };
        check_lines_malformed(&[&format!("{name}: {value}\r\nX: y\r\n{}: {value}", name.to_uppercase())]);
    }
    assert_eq!(accepted(&with("Cookie: a=1\r\nCookie: b=2\r\nX: 1\r\nX: 2")).lines.len(), 5);
}

#[test]
fn h1_upgrades_are_refused_and_h2c_is_ignored() {
    let several = "Connection: upgrade\r\nUpgrade: websocket, foo";
    for lines in [several, "Upgrade: foo\r\nConnection: close, Upgrade"] {
        assert_eq!(read(with(lines).as_bytes()).err(), Some(RequestError::Upgrade), "{lines}");
    }
    let both = "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket";
    assert_eq!(read(with(both).as_bytes()).err(), Some(RequestError::Upgrade));
    for lines in
        ["Upgrade: websocket", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: x"]
    {
        let head = accepted(&with(lines));
        assert!(head.lines[1..].iter().all(|line| line.known == Known::HopByHop), "{lines}");
    }
}

#[test]
fn hop_by_hop_fields_are_known() {
    for name in [
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authenticate",
        "proxy-authorization",
        "TE",
        "Trailer",
        "Upgrade",
        "Keep_Alive",
        "Proxy.Connection",
    ] {
        assert_eq!(
            kinds(&accepted(&with(&format!("{name}: x"))).lines),
            [Known::Host, Known::HopByHop],
            "{name}"
        );
    }
}

#[test]
fn what_the_content_is_and_whether_trailers_are_taken() {
    for (lines, grpc, takes_trailers) in [
        ("A: b", false, false),
        ("Content-Type: application/grpc", true, false),
        ("content-type: Application/gRPC+proto\r\nTE: trailers", true, true),
        ("Content-Type: application/grpc; charset=x\r\nTE: gzip, Trailers", true, true),
        ("Content-Type: application/grpc-web\r\nTE: trailers;q=0", false, false),
        ("Content-Type: text/plain\r\nTE: \"trailers\"", false, false),
    ] {
        let head = accepted(&with(lines));
        assert_eq!((head.grpc, head.takes_trailers), (grpc, takes_trailers), "{lines}");
    }
    // HTTP/1.0 has no chunks, and so no trailers.
    assert!(!accepted("GET / HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n\r\n").takes_trailers);
}

/// Names are compared by words: every octet in every place still tells one from another.
#[test]
fn a_name_is_known_by_all_its_octets() {
    for known in ["Host", "Content-Length", "Transfer-Encoding", "Proxy-Authorization", "TE", "Connection"] {
        for at in 0..known.len() {
            for octet in (0x21..0x7f_u8).filter(|octet| is_token(*octet)) {
                let mut name = known.as_bytes().to_vec();
                name[at] = octet;
                let same = name.eq_ignore_ascii_case(known.as_bytes());
                assert_eq!(
                    crate::http1::head::fields::is(&name, known.to_ascii_lowercase().as_bytes()),
                    same,
                    "{}",
                    name.escape_ascii()
                );
            }
        }
    }
}
