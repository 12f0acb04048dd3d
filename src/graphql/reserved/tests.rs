use super::*;

const NAME: (&str, &str) = ("X-GraphQL-Event-Stream-Token", "n");
const EVENTS: (&str, &str) = ("Accept", "text/event-stream");

fn of<'r>(
    method: &'r str,
    query: &'r str,
    lines: &'r [(&'r str, &'r str)],
) -> Result<Option<Act<'r>>, &'static str> {
    let query = Some(query).filter(|query| !query.is_empty());
    let lines = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    Act::of(Head { method, query, by_parameter: true }, lines).map_err(|rejected| rejected.code)
}

#[test]
fn a_request_that_could_be_two_things_is_nothing() {
    for (method, query, lines) in [
        ("GET", "", &[NAME, NAME, EVENTS][..]),
        ("GET", "token=n", &[NAME, EVENTS]),
        ("GET", "token=n&token=m", &[EVENTS]),
        ("GET", "TOKEN=n", &[EVENTS]),
        ("GET", "token%5B%5D=n", &[EVENTS]),
        ("GET", "token", &[EVENTS]),
        ("GET", "a=1;token=n", &[EVENTS]),
        ("GET", "query=%7Ba%7D", &[NAME, EVENTS]),
        ("GET", "", &[NAME, EVENTS, ("Content-Length", "1")]),
        ("GET", "", &[NAME, EVENTS, ("Transfer-Encoding", "chunked")]),
        ("POST", "", &[NAME, ("accept", "application/json, TEXT/event-stream")]),
        ("PUT", "", &[NAME]),
        ("PUT", "token=n", &[]),
        ("PUT", "query=%7Ba%7D", &[]),
        ("PUT", "", &[("content-length", "2")]),
        ("DELETE", "operationId=1", &[]),
        ("DELETE", "operationId=1", &[NAME, EVENTS]),
        ("DELETE", "operationName=a", &[NAME]),
    ] {
        assert_eq!(of(method, query, lines), Err("BAD_REQUEST"), "{method} {query} {lines:?}");
    }
    for (method, lines) in [("HEAD", &[NAME][..]), ("PATCH", &[NAME]), ("PATCH", &[]), ("put", &[])] {
        assert_eq!(of(method, "", lines), Err("METHOD_NOT_ALLOWED"), "{method} {lines:?}");
    }
}

#[test]
fn each_request_is_one_act() {
    assert_eq!(of("PUT", "", &[("Content-Length", "0"), EVENTS]), Ok(Some(Act::Reserve)));
    assert_eq!(of("GET", "", &[NAME, EVENTS]), Ok(Some(Act::Open(b"n"))));
    assert_eq!(of("GET", "a=1&token=m", &[EVENTS]), Ok(Some(Act::Open(b"m"))));
    assert_eq!(of("GET", "query=%7Ba%7D&token=m", &[]), Ok(Some(Act::Run(b"m"))));
    assert_eq!(of("POST", "", &[NAME, ("Content-Length", "9")]), Ok(Some(Act::Run(b"n"))));
    assert_eq!(of("DELETE", "operationId=1", &[NAME]), Ok(Some(Act::Stop(b"n"))));
    // An empty name is one: of nothing.
    assert_eq!(of("POST", "token=", &[]), Ok(Some(Act::Run(b""))));
    for (method, query, lines) in
        [("GET", "query=%7Ba%7D", &[EVENTS][..]), ("POST", "", &[EVENTS]), ("HEAD", "query=%7Ba%7D", &[])]
    {
        assert_eq!(of(method, query, lines), Ok(None), "{method} {query}");
    }
}

#[test]
fn a_parameter_that_is_a_credential_names_nothing() {
    let head = Head { method: "GET", query: Some("query=%7Ba%7D&token=jwt"), by_parameter: false };
    assert_eq!(Act::of(head, std::iter::empty()), Ok(None));
    let head = Head { method: "PUT", ..head };
    assert!(Act::of(Head { query: Some("token=jwt"), ..head }, std::iter::empty()).is_ok());
}

#[test]
fn a_query_loses_the_name_and_nothing_else() {
    assert_eq!(unnamed("token=n"), None);
    assert_eq!(unnamed("a=1&token=n&b=%26"), Some("a=1&b=%26".to_owned()));
    assert_eq!(unnamed("%54oken=n&tokens=2"), Some("tokens=2".to_owned()));
    assert!(is_named_in("a;token=1") && is_named_in("token[]=1") && is_named_in("token"));
    assert!(!is_named_in("tokens=1&a=token"));
}
