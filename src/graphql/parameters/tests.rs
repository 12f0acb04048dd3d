use super::*;

#[track_caller]
fn refused(query: &str, why: &'static str) {
    assert_eq!(read(query).map(|parameters| parameters.envelope).err(), Some(Malformed(why)), "{query}");
}

#[test]
fn an_operation_is_read_from_a_query() {
    let parameters =
        read("query=%7Ba%7D+%23x&operationName=Q&variables=%7B%22a%22:1%7D&x=%zz&x=2").expect("a query");
    assert_eq!(parameters.envelope.query, Some("{a} #x".into()));
    assert_eq!(parameters.envelope.operation_name.as_deref(), Some("Q"));
    assert_eq!(parameters.with("{b}"), "query=%7Bb%7D&operationName=Q&variables=%7B%22a%22:1%7D&x=%zz&x=2");
    let empty = read("query=&operationName=&variables=&extensions=&id=").expect("a query");
    assert_eq!(empty.envelope, Envelope::default());
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    refused("query={a}&query={b}", "a parameter stands twice");
    refused("query={a}&%71uery={b}", "a parameter stands twice");
    refused("query=&query={b}", "a parameter stands twice");
    refused("Query={a}", "a member whose name is known in another case");
    refused("query[]={a}", "a parameter that could be taken for one of an operation");
    refused("query={a}&%20query={b}", "a parameter that could be taken for one of an operation");
    for name in
        ["[query]", "%5Bquery%5D", "]query", ".query", "%2Equery", "query.", "[[query", "doc.id", "doc%20id"]
    {
        let text = format!("query={{a}}&{name}={{b}}");
        refused(&text, "a parameter that could be taken for one of an operation");
    }
    refused("query={a(b:\"]=\")}&x=1", "a parameter whose name could be taken to end later");
    refused("query={a(b:\"%5D=\")}&x=1", "a parameter whose name could be taken to end later");
    refused("query={a}%23?%0A{b}", "a query with a question mark that is not escaped");
    refused("query={a};query={b}", "a query with a semicolon that is not escaped");
    refused("query=%", "a broken escape in the query");
    refused("query=%7", "a broken escape in the query");
    refused("query=%zz", "a broken escape in the query");
    refused("query=%ff", "not UTF-8");
    refused("variables=[]", "an object belongs there, or null");
    refused("variables={}x", "something follows the JSON value");
    refused("extensions={", "not JSON");
    refused("id=a&documentId=b", "two parameters that name a document");
}

#[test]
fn what_names_a_document_is_left_out_of_what_is_written_anew() {
    let query = "extensions={\"a\":1,\"persistedQuery\":{\"version\":1,\"sha256Hash\":\"ab\"}}&variables={}";
    let parameters = read(query).expect("a query");
    let persisted = parameters.envelope.persisted.as_ref().map(|persisted| &*persisted.hash);
    assert_eq!(persisted, Some("ab"));
    assert_eq!(parameters.with("é"), "query=%C3%A9&variables={}&extensions=%7B%22a%22%3A1%7D");
    let parameters = read("documentId=x").expect("a query");
    assert_eq!(parameters.envelope.id.as_deref(), Some("x"));
    assert_eq!(parameters.with("{a}"), "query=%7Ba%7D");
}
