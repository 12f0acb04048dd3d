use super::*;

#[track_caller]
fn is_none_of_a_clients(text: &str) {
    assert_eq!(read(Protocol::Transport, Party::Client, text), None, "{text}");
}

#[test]
fn what_is_no_message_is_refused() {
    for text in [
        "",
        "null",
        "[]",
        "\"ping\"",
        "{}",
        "{\"type\":1}",
        "{\"type\":\"nonsense\"}",
        "{\"type\":\"ping\"} {}",
        "{\"type\":\"ping\"",
        "\u{feff}{\"type\":\"ping\"}",
        "{\"type\":\"ping\",}",
        "{\"type\":\"subscribe\",\"payload\":{}}",
        "{\"type\":\"subscribe\",\"id\":1,\"payload\":{}}",
        "{\"type\":\"subscribe\",\"id\":\"\",\"payload\":{}}",
        "{\"type\":\"subscribe\",\"id\":\"\\ud800\",\"payload\":{}}",
        "{\"type\":\"subscribe\",\"id\":\"1\"}",
        "{\"type\":\"subscribe\",\"id\":\"1\",\"payload\":null}",
        "{\"type\":\"subscribe\",\"id\":\"1\",\"payload\":[]}",
        "{\"type\":\"subscribe\",\"id\":\"1\",\"payload\":\"{}\"}",
        "{\"type\":\"connection_init\",\"payload\":[]}",
        "{\"type\":\"ping\",\"payload\":1}",
        "{\"type\":\"complete\"}",
    ] {
        is_none_of_a_clients(text);
    }
}

#[test]
fn an_id_past_its_bound_is_refused() {
    let text = |length| format!("{{\"type\":\"complete\",\"id\":\"{}\"}}", "a".repeat(length));
    assert!(read(Protocol::Transport, Party::Client, &text(ID)).is_some());
    is_none_of_a_clients(&text(ID + 1));
}

#[test]
fn a_member_that_means_something_stands_once_however_it_is_spelt() {
    for again in ["type", "t\\u0079pe", "Type", "TYPE"] {
        is_none_of_a_clients(&format!("{{\"type\":\"ping\",\"{again}\":\"ping\"}}"));
    }
    for again in ["payload", "p\\u0061yload", "Payload", "id", "ID"] {
        let text = format!("{{\"type\":\"subscribe\",\"id\":\"1\",\"payload\":{{}},\"{again}\":{{}}}}");
        is_none_of_a_clients(&text);
    }
    is_none_of_a_clients("{\"TYPE\":\"ping\"}");
    let others = "{\"x\":1,\"x\":2,\"type\":\"ping\"}";
    assert_eq!(read(Protocol::Transport, Party::Client, others), Some(Message::Ping(None)));
}

#[test]
fn a_payload_is_taken_as_it_stands() {
    let text = "{ \"id\" : \"\\u0031\", \"payload\" : { \"query\" : \"{a}\" , \"a\":1,\"a\":2 } , \"type\":\"start\" }";
    let read = read(Protocol::Legacy, Party::Client, text).expect("a message");
    let Message::Begin { id, payload } = read else { panic!("not an operation: {read:?}") };
    assert_eq!((&*id, payload), ("1", "{ \"query\" : \"{a}\" , \"a\":1,\"a\":2 }"));
}

#[test]
fn a_null_payload_is_none() {
    for text in ["{\"type\":\"connection_init\"}", "{\"type\":\"connection_init\",\"payload\":null}"] {
        assert_eq!(read(Protocol::Legacy, Party::Client, text), Some(Message::Init(None)));
    }
}

#[test]
fn nesting_without_end_is_read_without_recursion() {
    let deep =
        format!("{{\"type\":\"ping\",\"payload\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert!(matches!(read(Protocol::Transport, Party::Client, &deep), Some(Message::Ping(Some(_)))));
    let deep = format!("{{\"type\":\"ping\",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(Protocol::Transport, Party::Client, &deep).is_some());
}

#[test]
fn what_is_written_reads_the_same() {
    let id = || Cow::Borrowed("a\"\\\u{7}é");
    let said = [
        (Party::Client, Message::Init(Some("{\"a\":1}"))),
        (Party::Client, Message::Begin { id: id(), payload: "{}" }),
        (Party::Client, Message::Complete { id: id() }),
        (Party::Server, Message::Ack(None)),
        (Party::Server, Message::Next { id: id(), payload: "{\"data\":null}" }),
        (Party::Server, Message::Complete { id: id() }),
    ];
    for (party, message) in said {
        for protocol in [Protocol::Transport, Protocol::Legacy] {
            let text = write(protocol, party, &message).expect("a word for it");
            assert_eq!(read(protocol, party, &text), Some(message.clone()), "{text}");
        }
    }
}

#[test]
fn an_error_has_the_shape_of_its_protocol() {
    let write = |protocol, payload| {
        let text = write(protocol, Party::Server, &Message::Error { id: "1".into(), payload });
        text.expect("a word for it")
    };
    let (one, list) = ("{\"message\":\"m\"}", "[{\"message\":\"m\"},{}]");
    assert!(write(Protocol::Transport, one).contains("\"payload\":[{\"message\":\"m\"}]"));
    assert!(write(Protocol::Transport, list).contains(list));
    assert!(write(Protocol::Legacy, one).contains("\"payload\":{\"message\":\"m\"}}"));
    assert!(write(Protocol::Legacy, list).contains("\"payload\":{\"message\":\"m\"}}"));
}

#[test]
fn the_newer_protocol_is_chosen_wherever_it_stands() {
    let chosen = |offered: &[&'static str]| Protocol::chosen(offered.iter().copied());
    assert_eq!(chosen(&["graphql-ws", "graphql-transport-ws"]), Some(Protocol::Transport));
    assert_eq!(chosen(&["graphql-transport-ws", "graphql-ws"]), Some(Protocol::Transport));
    assert_eq!(chosen(&["mqtt", "graphql-ws"]), Some(Protocol::Legacy));
    assert_eq!(chosen(&["GraphQL-WS", "mqtt"]), None);
    assert_eq!(chosen(&[]), None);
}
