use super::*;

#[test]
fn h5_line_ends_other_than_crlf_are_refused() {
    check_malformed([
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\nxx\r\n\r\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ]);
}

#[test]
fn h5_names_and_values_out_of_the_grammar_are_refused() {
    check_lines_malformed(&[
        "X: a\r\n folded",
        "X: a\r\n\tfolded",
        " X: a",
        "X : a",
        "X\t: a",
        ": a",
        "X",
        "X y: a",
        "X(: a",
        "X\": a",
        "X: a\0b",
        "X: a\u{1}b",
        "X: a\u{7f}b",
        "X: \u{8}",
        "X\0: a",
        "Transfer-Encoding : chunked",
        "\u{e9}: x",
    ]);
    check_malformed([b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: y\r\n\r\n"]);
    check_malformed([
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n",
    ]);
}

#[test]
fn h5_white_space_of_other_parsers_is_refused_at_the_edge_of_a_value() {
    for value in [&b"\x85x"[..], b"x\x85", b"\xa0x", b"x\xa0", b"\xa0", b" \x85 "] {
        let head = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", value, b"\r\n\r\n"].concat();
        check_malformed([head]);
    }
}

#[test]
fn h5_text_beyond_ascii_passes_only_where_nobody_reads_it() {
    for name in ["Host", "Authorization", "Connection", "Content-Length", "Transfer-Encoding", "TE", "Origin"]
    {
        let host = if name == "Host" { "" } else { "Host: a\r\n" };
        let head = [format!("GET / HTTP/1.1\r\n{host}{name}: a").as_bytes(), b"\xe9b\r\n\r\n"].concat();
        check_malformed([head]);
    }
    for name in ["X", "Cookie", "User-Agent"] {
        let head = [format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: a").as_bytes(), b"\xe9b\r\n\r\n"].concat();
        let read = read(&head).expect("obs-text is opaque").expect("a whole head");
        assert_eq!(octets(&head, &read.lines[1].value), b"a\xe9b");
    }
}

#[test]
fn h9_heads_past_their_bounds_are_too_large() {
    let limits = HeadLimits { line: 40, total: 200, lines: 4 };
    let line = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(length - 3));
    let start = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(length - 14));
    let lines = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    for head in [line(40), start(40), lines(4)] {
        assert!(read_within(head.as_bytes(), &limits).expect("within").is_some(), "{head}");
        // Neither is any beginning of them refused.
        for end in 0..head.len() {
            assert!(read_within(&head.as_bytes()[..end], &limits).expect("within").is_none());
        }
    }
    for head in [line(41), start(41), lines(5), lines(50), line(5000), start(5000)] {
        assert_eq!(read_within(head.as_bytes(), &limits).err(), Some(RequestError::TooLarge), "{head}");
    }
    let total = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(length));
    let limits = HeadLimits { line: 40, total: 27 + 6 * 10, lines: 100 };
    assert!(read_within(total(10).as_bytes(), &limits).expect("within").is_some());
    assert_eq!(read_within(total(11).as_bytes(), &limits).err(), Some(RequestError::TooLarge));
    // Before the end is there, too.
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(100));
    assert_eq!(read_within(endless.as_bytes(), &limits).err(), Some(RequestError::TooLarge));
    // What follows the head does not count.
    let followed = format!("{}{}", total(10), "y".repeat(1000));
    assert!(read_within(followed.as_bytes(), &limits).expect("within").is_some());
}

#[test]
fn h9_more_lines_than_fit_the_stack_are_too_large_whatever_the_limit() {
    let limits = HeadLimits { line: 1000, total: 1 << 20, lines: 10_000 };
    let lines = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert!(read_within(lines(256).as_bytes(), &limits).expect("within").is_some());
    assert_eq!(read_within(lines(257).as_bytes(), &limits).err(), Some(RequestError::TooLarge));
}

#[test]
fn garbage_is_refused_at_its_first_octets() {
    check_malformed([
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"\x16",
        b"\0",
        b"\x80\x2e",
        b"SSH-2.0-x\r\n",
        b"\n",
        b" ",
        b"{",
        b"get",
    ]);
    check_malformed([
        "GET / HTTP/1.1\nHost",
        "GET / HTTP/1.1\r\n\nHost",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ]);
}
