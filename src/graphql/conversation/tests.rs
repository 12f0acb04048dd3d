use super::*;

fn begun(protocol: Protocol) -> Conversation<u8> {
    let mut conversation = Conversation::new(protocol, 2);
    assert_eq!(conversation.hear(r#"{"type":"connection_init"}"#), Ok(Said::Init(None)));
    conversation
}

fn begin(protocol: Protocol, id: &str) -> String {
    let kind = if protocol == Protocol::Transport { "subscribe" } else { "start" };
    format!(r#"{{"type":"{kind}","id":"{id}","payload":{{"query":"{{a}}"}}}}"#)
}

const BOTH: [Protocol; 2] = [Protocol::Transport, Protocol::Legacy];

#[test]
fn cve_2026_35523_nothing_begins_before_connection_init() {
    for protocol in BOTH {
        let mut conversation = Conversation::<u8>::new(protocol, 2);
        assert_eq!(conversation.hear(&begin(protocol, "1")), Err(Fault::Early), "{protocol:?}");
        assert_eq!(conversation.running(), 0);
    }
}

#[test]
fn the_words_of_one_protocol_are_none_of_the_other() {
    for (spoken, other) in [(Protocol::Transport, Protocol::Legacy), (Protocol::Legacy, Protocol::Transport)]
    {
        assert_eq!(begun(spoken).hear(&begin(other, "1")), Err(Fault::Malformed));
    }
    let terminate = r#"{"type":"connection_terminate"}"#;
    assert_eq!(begun(Protocol::Legacy).hear(terminate), Ok(Said::Terminate));
    assert_eq!(begun(Protocol::Transport).hear(terminate), Err(Fault::Malformed));
}

#[test]
fn what_only_a_server_says_is_no_clients() {
    for kind in ["connection_ack", "next", "data", "error", "ka", "connection_error"] {
        let text = format!(r#"{{"type":"{kind}","id":"1","payload":{{}}}}"#);
        for protocol in BOTH {
            assert_eq!(begun(protocol).hear(&text), Err(Fault::Malformed), "{kind}");
        }
    }
}

#[test]
fn an_id_is_taken_until_its_operation_has_ended() {
    for protocol in BOTH {
        let mut conversation = begun(protocol);
        let text = begin(protocol, "1");
        assert!(matches!(conversation.hear(&text), Ok(Said::Begin { .. })));
        assert_eq!(conversation.hear(&text), Err(Fault::SameId), "while it is being decided on");
        conversation.runs("1", 7);
        assert_eq!(conversation.hear(&text), Err(Fault::SameId), "while it runs");
        assert_eq!(conversation.place("1"), Some(7));
        assert_eq!(conversation.ended("1"), Some(7));
        assert!(matches!(conversation.hear(&text), Ok(Said::Begin { .. })));
    }
}

#[test]
fn operations_past_the_bound_take_no_id() {
    let mut conversation = begun(Protocol::Transport);
    for id in ["1", "2"] {
        assert!(matches!(conversation.hear(&begin(Protocol::Transport, id)), Ok(Said::Begin { .. })));
    }
    for id in ["3", "4"] {
        assert_eq!(conversation.hear(&begin(Protocol::Transport, id)), Ok(Said::Full { id: id.into() }));
    }
    assert_eq!(conversation.running(), 2);
    conversation.ended("1");
    assert!(matches!(conversation.hear(&begin(Protocol::Transport, "3")), Ok(Said::Begin { .. })));
}

#[test]
fn a_second_init_is_a_fault_or_a_renewal() {
    let text = r#"{"type":"connection_init","payload":{"token":"t"}}"#;
    assert_eq!(begun(Protocol::Transport).hear(text), Err(Fault::TwoInits));
    assert_eq!(begun(Protocol::Legacy).hear(text), Ok(Said::Again(Some(r#"{"token":"t"}"#))));
}

#[test]
fn what_runs_somewhere_is_known() {
    let mut conversation = begun(Protocol::Transport);
    conversation.hear(&begin(Protocol::Transport, "1")).expect("begins");
    assert!(!conversation.is_any_at(1));
    conversation.runs("1", 1);
    assert_eq!((conversation.is_any_at(1), conversation.is_any_at(2)), (true, false));
    conversation.ended("1");
    assert!(!conversation.is_any_at(1));
}

#[test]
fn every_code_may_be_sent_and_every_reason_fits() {
    for fault in Fault::ALL {
        assert!((4000..5000).contains(&fault.code()), "{fault:?}");
        assert!((1..=123).contains(&fault.reason().len()), "{fault:?}");
    }
}
