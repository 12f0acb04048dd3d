use super::{HostPattern, Segment, parse_key};

/// The methods, host and path that a key means.
fn check(key: &str, methods: &str, host: &str, path: &str) {
    let read = parse_key(key).unwrap_or_else(|wrong| panic!("{wrong}"));
    let shown = match &read.host {
        HostPattern::Exact(host) => format!("={host}"),
        HostPattern::Suffix(suffix) => format!("*{suffix}"),
        HostPattern::Any => String::new(),
    };
    assert_eq!(
        (read.methods.join(","), shown, read.path.render()),
        (methods.into(), host.into(), path.into()),
        "{key}"
    );
    assert_eq!(parse_key(&read.render()), Ok(read), "{key}");
}

fn check_refused(keys: &[&str], part: &str) {
    for key in keys {
        let wrong = parse_key(key).expect_err(key);
        assert!(wrong.contains(part), "{key:?} gave {wrong:?}");
    }
}

#[test]
fn what_is_no_route_key_is_refused() {
    check_refused(&["", "GET", "public", "GET api.example.com", "*"], "no path");
    check_refused(&["get /x", "Get /x", "GET,post /x"], "lower case");
    check_refused(&["GET, POST /x", ",GET /x", " /x"], "empty method");
    check_refused(&["G(T /x", "GET;POST /x"], "for a method");
    check_refused(&["CONNECT /x", "GET,TRACE /x"], "never forwarded");
    check_refused(&["GET,GET /x"], "twice");
    check_refused(&["*/x", "GET */x"], "every host");
    check_refused(&["api.*.com/x", "*a.com/x", "*.*.com/x", "**.com/x"], "host pattern");
    check_refused(&["api.example.com:8080/x", "[::1]:80/x"], "port");
    check_refused(&["a..b/x", "-\u{e9}.com/x", "*./x", "[::1/x", "a_b c/x"], "");
    check_refused(
        &["/a/{id", "/a/id}", "/a/x{id}", "/{}", "/{*}", "/{1a}", "/{a-b}", "/{a}{b}", "/{**a}", "/{a*}"],
        "segment",
    );
    check_refused(&["/*", "/a/*", "/a/**"], "`{*rest}`");
    check_refused(&["/{*rest}/a", "/{*rest}/"], "behind");
    check_refused(&["/{id}/{id}", "/{id}/{*id}"], "twice");
    check_refused(&["/a b", "/\u{e9}", "/a#b", "/a%2", "/a|b", "/a\u{7f}"], "");
    check_refused(&[&format!("/{}", "a".repeat(3000))], "longer");
    let many: Vec<String> = (0..70).map(|n| format!("M{n}")).collect();
    check_refused(&[&format!("{} /x", many.join(","))], "more than 64 methods");
    check_refused(
        &[&many.iter().map(|name| format!("/{{{name}}}")).collect::<String>()],
        "more than 64 parameters",
    );
}

/// Threats P1 to P5: no pattern is spelt so that another parser could read it differently.
#[test]
fn a_pattern_in_dangerous_spelling_is_refused() {
    let keys = [
        "//",
        "//a",
        "/a//b",
        "/a/./b",
        "/a/../b",
        "/..",
        "/a;b",
        "/a\\b",
        "/a%2fb",
        "/a%5Cb",
        "/%2e%2e/a",
        "/a%252fb",
    ];
    check_refused(&keys, "another parser");
}

#[test]
fn keys_mean_what_they_say() {
    check("/", "", "", "/");
    check("/health", "", "", "/health");
    check("GET /orders/{id}", "GET,HEAD", "", "/orders/{id}");
    check("HEAD,GET /x", "HEAD,GET", "", "/x");
    check("POST,PUT /orders", "POST,PUT", "", "/orders");
    check("PROPFIND /dav/", "PROPFIND", "", "/dav/");
    check("api.example.com/public/{*rest}", "", "=api.example.com", "/public/{*rest}");
    check("GET API.Example.com./x", "GET,HEAD", "=api.example.com", "/x");
    check("*.example.com/x", "", "*.example.com", "/x");
    check("GET  /x", "GET,HEAD", "", "/x");
    check("[::1]/x", "", "=[::1]", "/x");
    check("/{*rest}", "", "", "/{*rest}");
    check("/Aa/%C3%a9/%7e", "", "", "/Aa/%C3%A9/~");
    check("/files/*.txt", "", "", "/files/*.txt");
}

#[test]
fn segments_are_literals_parameters_and_a_rest() {
    let read = parse_key("/a/{b}/{*c}").expect("a key");
    let segments = [Segment::Literal("a".into()), Segment::Parameter("b".into()), Segment::Rest("c".into())];
    assert_eq!(read.path.segments, segments);
    assert_eq!(parse_key("/").expect("a key").path.segments, [Segment::Literal("".into())]);
    let slash = parse_key("/a/").expect("a key").path.segments;
    assert_eq!(slash, [Segment::Literal("a".into()), Segment::Literal("".into())]);
}
