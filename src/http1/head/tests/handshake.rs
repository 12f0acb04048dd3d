use super::*;

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const SWITCH: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
const ACCEPT: &Accept = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn handshake(start: &str, lines: &[&str]) -> String {
    format!("{start}\r\nHost: a\r\n{}\r\n", lines.concat())
}

#[test]
fn h1_a_whole_handshake_is_recognised() {
    let octets = handshake("GET /chat HTTP/1.1", &[KEY, SWITCH, VERSION, "Content-Length: 0\r\n"]);
    let head = accepted(&octets);
    let key = head.websocket.as_ref().map(|key| text(octets.as_bytes(), key));
    assert_eq!(key, Some("dGhlIHNhbXBsZSBub25jZQ=="));
    // The switch is ours to write; its key goes on.
    let expected = [Known::Host, Known::Other, Known::HopByHop, Known::HopByHop, Known::Other];
    assert_eq!(kinds(&head.lines)[..5], expected);
    // A head that is read next is not a handshake because the last one was.
    let mut head = head;
    assert_eq!(head.read(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &LIMITS), Ok(true));
    assert_eq!(head.websocket, None);
}

#[test]
fn h1_half_a_handshake_is_malformed() {
    let get = "GET / HTTP/1.1";
    for octets in [
        handshake("POST / HTTP/1.1", &[SWITCH, VERSION, KEY]),
        handshake("HEAD / HTTP/1.1", &[SWITCH, VERSION, KEY]),
        handshake("GET / HTTP/1.0", &[SWITCH, VERSION, KEY]),
        handshake(get, &[SWITCH, VERSION]),
        handshake(get, &[SWITCH, KEY]),
        handshake(get, &[SWITCH, KEY, KEY, VERSION]),
        handshake(get, &[SWITCH, KEY, VERSION, VERSION]),
        handshake(get, &[SWITCH, KEY, "Sec-WebSocket-Version: 8\r\n"]),
        handshake(get, &[SWITCH, KEY, "Sec-WebSocket-Version: 13, 8\r\n"]),
        handshake(get, &[SWITCH, "Sec-WebSocket-Key: short==\r\n", VERSION]),
        handshake(get, &[SWITCH, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n", VERSION]),
        handshake(get, &[SWITCH, KEY, VERSION, "Content-Length: 1\r\n"]),
        handshake(get, &[SWITCH, KEY, VERSION, "Transfer-Encoding: chunked\r\n"]),
        handshake(get, &[SWITCH, KEY, VERSION, "Connection: close\r\n"]),
        handshake(get, &[SWITCH, KEY, VERSION, "Connection: Sec-WebSocket-Key\r\n"]),
    ] {
        check_malformed([octets]);
    }
}

#[test]
fn h1_an_upgrade_to_more_than_websocket_is_no_handshake() {
    for upgrade in ["websocket, h2c", "websocket/13", "h2c, websocket", "websocket\r\nUpgrade: websocket"] {
        let lines = format!("Connection: upgrade\r\nUpgrade: {upgrade}\r\n");
        let octets = handshake("GET / HTTP/1.1", &[&lines, VERSION, KEY]);
        assert_eq!(read(octets.as_bytes()).err(), Some(RequestError::Upgrade), "{upgrade}");
    }
}

#[test]
fn a_handshake_without_the_connection_option_is_a_plain_request() {
    let octets = handshake("GET / HTTP/1.1", &["Upgrade: websocket\r\n", VERSION, KEY]);
    assert_eq!(accepted(&octets).websocket, None);
}

#[test]
fn h1_only_the_answer_to_the_key_switches() {
    let good = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    let right = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let answer = |lines: &str| format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n");
    let mut head = ResponseHead::default();
    let whole = answer(&format!("{good}{right}"));
    assert_eq!(head.read_handshake(whole.as_bytes(), &LIMITS, ACCEPT), Ok(true));
    assert_eq!((head.status, head.framing, head.length), (101, Framing::None, whole.len()));
    // The same answer to a request that asked for nothing.
    assert!(head.read(whole.as_bytes(), &LIMITS, false).is_err());
    for lines in [
        good.to_owned(),
        right.to_owned(),
        format!("Connection: upgrade\r\n{right}"),
        format!("Upgrade: websocket\r\n{right}"),
        format!("Connection: upgrade\r\nUpgrade: foo\r\n{right}"),
        format!("{good}Upgrade: websocket\r\n{right}"),
        format!("{good}{right}{right}"),
        format!("{good}Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        format!("{good}Sec_WebSocket_Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        format!("{good}{right}Content-Length: 5\r\n"),
        format!("{good}{right}Transfer-Encoding: chunked\r\n"),
    ] {
        let read = head.read_handshake(answer(&lines).as_bytes(), &LIMITS, ACCEPT);
        assert!(read.is_err(), "{lines:?}: {read:?}");
    }
    let old = format!("HTTP/1.0 101 Switching Protocols\r\n{good}{right}\r\n");
    assert!(head.read_handshake(old.as_bytes(), &LIMITS, ACCEPT).is_err());
    // What is no 101 is an answer like any other.
    assert_eq!(
        head.read_handshake(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", &LIMITS, ACCEPT),
        Ok(true)
    );
    assert_eq!(head.framing, Framing::Length(2));
}
