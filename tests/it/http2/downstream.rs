//! Clients that speak HTTP/2.

use std::time::{Duration, Instant};

use portcullis::gate::denial::Reason;

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::client::{Request, Response};
use crate::harness::h2::client::Client;
use crate::harness::keys::random;
use crate::harness::upstream::Then;
use crate::harness::wait::wait_until;

fn api() -> Api {
    Api::with(|setup| setup.route("/any/{*rest}", "public"))
}

fn connect(api: &Api) -> Client {
    Client::connect(api.gateway.ports.public)
}

/// What a client is told besides the date of the day, the connection and the request's own id.
fn told(response: &Response) -> (u16, String, Vec<(String, String)>) {
    let passing = |name: &str| matches!(name, "connection" | "date" | "content-length");
    let lower = response.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let mut headers: Vec<_> = lower.filter(|(name, _)| !passing(name)).collect();
    headers.sort();
    (response.status, response.reason(), headers)
}

#[test]
fn refusals_are_those_of_http_1() {
    let api = api();
    let client = connect(&api);
    let (writer, stranger) = (api.issuer.mint("orders:write"), "a.b.c");
    let requests = [
        Request::get("/orders/1"),
        Request::get("/orders/1").bearer(&writer),
        Request::get("/orders/1").bearer(stranger),
        Request::get("/orders/1").header("authorization", "Bearer a").header("authorization", "Bearer b"),
        Request::get("/nowhere"),
        Request::new("DELETE", "/orders/1"),
        Request::post("/orders", "body"),
        Request::post("/orders", vec![b'a'; 300_000]),
        Request::get("/any/%00"),
        Request::get("/any/../orders/1"),
        Request::get("/health").header("expect", "a miracle"),
        Request::get("/health").header("content_length", "5"),
        Request::get("/health").host("a@b"),
        Request::new("HEAD", "/orders/1"),
        Request::new("TRACE", "/health"),
        Request::new("get", "/health"),
    ];
    for request in requests {
        let one = api.gateway.send(&request);
        let two = client.send(&request);
        assert!(one.status >= 400, "{one:?}");
        assert_eq!(told(&one), told(&two), "{} {}", request.method, request.target);
    }
    assert_eq!(api.upstream.count(), 0);
    assert_allowed(&client.send(&Request::get("/health")));
}

#[test]
fn what_is_granted_arrives_as_in_http_1() {
    let api = api();
    let client = connect(&api);
    let request = Request::get("/orders/1?a=b").bearer(&api.reader()).header("x-own", "kept");
    assert_allowed(&client.send(&request));
    let seen = api.upstream.last();
    assert_eq!((seen.head.method.as_str(), seen.head.target.as_str()), ("GET", "/orders/1?a=b"));
    assert_eq!(seen.head.version, "HTTP/1.1");
    assert_eq!((seen.head.header("host"), seen.head.header("x-own")), (Some("api.test"), Some("kept")));
    assert_eq!(seen.head.all("via"), ["2.0 portcullis"]);
    for name in ["authorization", "transfer-encoding", "content-length", "te", "connection"] {
        assert_eq!(seen.head.header(name), None, "{name}");
    }
    assert_eq!(seen.head.header("x-forwarded-proto"), Some("http"));
}

#[test]
fn cookie_crumbs_are_put_together() {
    let api = api();
    let request = Request::get("/any/x").header("cookie", "a=1").header("cookie", "b=2; c=3");
    assert_allowed(&connect(&api).send(&request));
    assert_eq!(api.upstream.last().head.all("cookie"), ["a=1; b=2; c=3"]);
}

#[test]
fn s1_s2_identity_headers_are_stripped() {
    let api = Api::with(|setup| {
        setup
            .route("GET /me", "{require: authenticated, forward: {headers: {X-User-Id: sub}}}")
            .route("/any/{*rest}", "public")
    });
    let client = connect(&api);
    let spoofed = ["x-user-id", "x_user_id", "x.user.id"];
    let with = |request: Request| spoofed.iter().fold(request, |request, name| request.header(name, "admin"));
    assert_allowed(&client.send(&with(Request::get("/any/x"))));
    for name in spoofed {
        assert_eq!(api.upstream.last().head.header(name), None, "{name}");
    }
    assert_allowed(&client.send(&with(Request::get("/me").bearer(&api.reader()))));
    let seen = api.upstream.last();
    assert_eq!(seen.head.aliases("x-user-id").len(), 1, "{seen:?}");
    assert_ne!(seen.head.header("x-user-id"), Some("admin"));
}

#[test]
fn bodies_arrive_octet_for_octet() {
    let api = api();
    let client = connect(&api);
    let (up, down) = (random(1 << 20), random(1 << 20));
    let sent = down.clone();
    api.upstream.on("/any/large", move |exchange| exchange.answer(200, "X-Upstream: yes\r\n", &sent));
    // Without a length, and with one.
    let length = up.len().to_string();
    for request in
        [Request::post("/any/large", &up), Request::post("/any/large", &up).header("content-length", &length)]
    {
        let response = client.send(&request);
        assert!(response.body == down, "an answer differs");
        let seen = api.upstream.last();
        assert!(seen.whole && seen.body == up, "a request differs");
        let declared = seen.head.header("content-length").is_some();
        assert_eq!(declared, request.headers.len() > 1, "{:?}", seen.head);
    }
}

#[test]
fn bodies_are_passed_on_as_they_come() {
    let api = api();
    let client = connect(&api);
    api.upstream.on("/any/echo", |exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        while !exchange.read_some()?.ends_with(b"0\r\n\r\n") {
            exchange.write(b"4\r\necho\r\n")?;
        }
        exchange.write(b"0\r\n\r\n")?;
        Ok(Then::Close)
    });
    let mut stream = client.open(&Request::new("POST", "/any/echo"), false).expect("a stream");
    stream.send_data(b"one", false).expect("room");
    assert_eq!(stream.head().expect("a head").status, 200);
    for _ in 0..3 {
        assert_eq!(stream.data().expect("an echo").expect("no reset"), "echo");
        stream.send_data(b"more", false).expect("room");
    }
    stream.send_data(b"", true).expect("room");
    while let Some(data) = stream.data() {
        data.expect("no reset");
    }
}

#[test]
fn answers_without_a_body_have_none() {
    let api = api();
    let client = connect(&api);
    let length = "Content-Length: 42\r\nX-Upstream: yes\r\n\r\n";
    api.upstream.on_raw("/any/head", format!("HTTP/1.1 200 OK\r\n{length}"), Then::Keep);
    api.upstream.on_raw("/any/204", "HTTP/1.1 204 No Content\r\nX-Upstream: yes\r\n\r\n", Then::Keep);
    api.upstream.on_raw("/any/304", format!("HTTP/1.1 304 Not Modified\r\n{length}"), Then::Keep);
    api.upstream.on_raw(
        "/any/0",
        "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\nContent-Length: 0\r\n\r\n",
        Then::Keep,
    );
    for (method, path, status, length) in [
        ("HEAD", "/any/head", 200, Some("42")),
        ("GET", "/any/204", 204, None),
        ("GET", "/any/304", 304, Some("42")),
        ("GET", "/any/0", 200, Some("0")),
    ] {
        let response = client.send(&Request::new(method, path));
        assert_eq!((response.status, response.header("content-length")), (status, length), "{response:?}");
        assert!(response.body.is_empty() && response.header("x-upstream") == Some("yes"), "{response:?}");
    }
}

#[test]
fn continue_is_said_after_the_decision() {
    let api = api();
    let client = connect(&api);
    let request = Request::new("POST", "/any/x").header("expect", "100-continue");
    let mut stream = client.open(&request, false).expect("a stream");
    wait_until("the request is there before its body", || api.upstream.count() == 1);
    stream.send_all(b"body").expect("room");
    assert_allowed(&stream.answer().expect("an answer"));
    assert_eq!(
        (api.upstream.last().body, api.upstream.last().head.header("expect")),
        (b"body".to_vec(), None)
    );
    assert_refused(
        &client.send(&Request::post("/orders", "x").header("expect", "100-continue")),
        Reason::NoCredentials,
    );
}

#[test]
fn u3_a_client_that_gives_up_ends_the_request_upstream() {
    let api = api();
    let client = connect(&api);
    let (ended, end) = std::sync::mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    api.upstream.on("/any/hang", move |exchange| {
        exchange.body()?;
        // The end of the connection is what this waits for.
        while !matches!(exchange.read_some().as_deref(), Ok([]) | Err(_)) {}
        ended.lock().expect("no test panics in here").send(Instant::now()).ok();
        Ok(Then::Close)
    });
    let mut stream = client.open(&Request::get("/any/hang"), true).expect("a stream");
    wait_until("the request is upstream", || api.upstream.count() == 1);
    let given_up = Instant::now();
    stream.reset();
    let at = end.recv_timeout(Duration::from_secs(10)).expect("the upstream hears of it");
    assert!(at - given_up < Duration::from_secs(1), "after {:?}", at - given_up);
    // The other streams of the connection go on.
    assert_allowed(&client.send(&Request::get("/health")));
}

#[test]
fn u4_an_answer_that_breaks_off_is_reset() {
    let api = api();
    let client = connect(&api);
    let half = "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\n";
    for (path, rest) in [
        ("/any/length", "Content-Length: 1000\r\n\r\nhalf"),
        ("/any/chunks", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        ("/any/garbage", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n"),
    ] {
        api.upstream.on_raw(path, format!("{half}{rest}"), Then::Close);
        let answer = client.open(&Request::get(path), true).expect("a stream").answer();
        let error = answer.expect_err("no clean end");
        assert!(error.is_reset() && error.is_remote(), "{error}");
    }
    assert_allowed(&client.send(&Request::get("/health")));
}

#[test]
fn an_early_answer_ends_the_upload_without_harm() {
    let api = api();
    let client = connect(&api);
    let mut stream = client.open(&Request::new("POST", "/orders"), false).expect("a stream");
    stream.send_data(&[b'a'; 1000], false).expect("room");
    assert_refused(&stream.answer().expect("a whole answer"), Reason::NoCredentials);
    // RFC 9113 section 8.1: the rest is not wanted, and that is no error.
    assert_eq!(stream.reset_by(Duration::from_secs(10)), Some(h2::Reason::NO_ERROR));
    assert_allowed(&client.send(&Request::get("/health")));
    assert_eq!(api.upstream.count(), 1);
}

#[test]
fn streams_do_not_wait_for_each_other() {
    let api = api();
    let client = connect(&api);
    let (open, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    api.upstream.on("/any/slow", move |exchange| {
        wait.lock().expect("no test panics in here").recv().ok();
        exchange.answer(200, "X-Upstream: yes\r\n", b"slow")
    });
    let mut slow = client.open(&Request::get("/any/slow"), true).expect("a stream");
    for _ in 0..20 {
        assert_allowed(&client.send(&Request::get("/health")));
    }
    open.send(()).expect("the script waits");
    assert_eq!(slow.answer().expect("an answer").text(), "slow");
}

#[test]
fn the_log_and_the_metrics_know_each_request_and_one_connection() {
    let api = api();
    let client = connect(&api);
    for _ in 0..3 {
        assert_allowed(&client.send(&Request::get("/health")));
    }
    assert_refused(&client.send(&Request::get("/orders/1")), Reason::NoCredentials);
    let refused = [("decision", "refuse"), ("reason", "no_credentials")];
    assert_eq!(api.gateway.metric("decisions_total", &refused), 1.0);
    assert_eq!(api.gateway.metric("http_requests_total", &[("route", "/health")]), 3.0);
    assert_eq!(api.gateway.metric("connections", &[]), 1.0);
    api.gateway.wait_for_log(&["\"no_credentials\"", "/orders/1"]);
    drop(client);
    wait_until("the connection is gone", || api.gateway.metric("connections", &[]) == 0.0);
}

#[test]
fn o5_draining_says_goodbye_and_loses_nothing() {
    let api = Api::with(|setup| setup.route("/any/{*rest}", "public").yaml_tail("shutdown_grace: 10s"));
    let client = connect(&api);
    let (open, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    api.upstream.on("/any/slow", move |exchange| {
        wait.lock().expect("no test panics in here").recv().ok();
        exchange.answer(200, "X-Upstream: yes\r\n", b"slow")
    });
    let idle = connect(&api);
    let mut slow = client.open(&Request::get("/any/slow"), true).expect("a stream");
    wait_until("the request is upstream", || api.upstream.count() == 1);
    api.gateway.signal("TERM");
    idle.ended().expect("a connection with nothing open ends in good order");
    open.send(()).expect("the script waits");
    assert_eq!(slow.answer().expect("an answer").text(), "slow");
    client.ended().expect("the connection ends in good order");
    api.gateway.wait_for_exit(0);
}

#[test]
fn requests_per_connection_ends_it_after_that_many() {
    let api = Api::with(|setup| setup.limits("requests_per_connection: 3"));
    let client = connect(&api);
    for _ in 0..3 {
        assert_allowed(&client.send(&Request::get("/health")));
    }
    client.ended().expect("in good order");
    assert_eq!(api.upstream.count(), 3);
}

#[test]
fn a_connection_without_requests_ends_after_idle_time() {
    let api = Api::with(|setup| setup.limits("idle_time: 300ms"));
    let client = connect(&api);
    assert_allowed(&client.send(&Request::get("/health")));
    client.ended().expect("in good order");
}
