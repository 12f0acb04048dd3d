use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use tokio::net::TcpListener;

use crate::control::key_fetch::client::{Client, FetchError, Fetched, Place, max_age};
use crate::control::tests::fixture::{Server, answer, path};

const LIMIT: usize = 1_000;

fn place(server: &Server, path: &str) -> Place {
    Place::new(&format!("{}{path}", server.address), false).expect("loopback")
}

async fn fetch(server: &Server, path: &str) -> Result<Fetched, FetchError> {
    Client::default().key_set(&place(server, path), None, LIMIT).await
}

#[test]
fn places_that_are_not_safe_are_refused() {
    for (url, dangerous_http, safe) in [
        ("http://login.example.com/keys", false, false),
        ("http://10.0.0.1/keys", false, false),
        ("http://127.0.0.1.example.com/", false, false),
        ("http://localhost.example.com/", false, false),
        ("http://0.0.0.0/", false, false),
        ("http://[::2]/", false, false),
        ("file:///etc/passwd", true, false),
        ("gopher://127.0.0.1/", true, false),
        ("ftp://127.0.0.1/", true, false),
        ("https://user:pw@login.example.com/", false, false),
        ("https://user@login.example.com/", false, false),
        ("http://:pw@127.0.0.1/", true, false),
        ("https://", false, false),
        ("/keys", false, false),
        ("", false, false),
        ("https://login.example.com/keys?a=b", false, true),
        ("http://127.0.0.1:81/", false, true),
        ("http://127.9.9.9/", false, true),
        ("http://[::1]:81/", false, true),
        ("http://localhost/", false, true),
        ("http://login.example.com/keys", true, true),
    ] {
        assert_eq!(Place::new(url, dangerous_http).is_ok(), safe, "{url}");
    }
}

#[test]
fn redirects_stay_where_they_began() {
    for (from, to, follows) in [
        ("https://a.example/keys", "https://b.example/keys", false),
        ("https://a.example/keys", "http://a.example/keys", false),
        ("https://a.example/keys", "https://a.example:8443/keys", false),
        ("https://a.example/keys", "https://sub.a.example/keys", false),
        ("https://a.example/keys", "//b.example/keys", false),
        ("https://a.example/keys", "https://u:p@a.example/keys", false),
        ("https://a.example/keys", "file:///etc/passwd", false),
        ("https://a.example/keys", "http://127.0.0.1/", false),
        ("http://127.0.0.1:80/keys", "http://127.0.0.1:81/keys", false),
        ("http://127.0.0.1/keys", "http://localhost/keys", false),
        ("https://a.example/keys", "https://a.example:443/other", true),
        ("https://a.example/x/keys", "../other", true),
        ("http://localhost/keys", "https://localhost/keys", true),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_static(to));
        let from = Place::new(from, false).expect("safe");
        assert_eq!(from.redirect(&headers).is_ok(), follows, "{from:?} -> {to}");
    }
    let nowhere = Place::new("https://a.example/", false).expect("safe").redirect(&HeaderMap::new());
    assert_eq!(nowhere, Err(FetchError::StrayRedirect));
}

#[test]
fn discovery_addresses_are_those_of_the_standards() {
    for (issuer, expected) in [
        (
            "https://a.example",
            Some(["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]),
        ),
        (
            "https://a.example/",
            Some(["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]),
        ),
        (
            "https://a.example/realms/x/",
            Some([
                "/realms/x/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/realms/x",
            ]),
        ),
        ("https://a.example/?q", None),
        ("https://a.example/#f", None),
        ("http://a.example/", None),
        ("corp", None),
    ] {
        let found =
            Place::discovery(issuer, false).ok().map(|places| places.map(|place| place.url.to_string()));
        let expected = expected.map(|paths| paths.map(|path| format!("https://a.example{path}")));
        assert_eq!(found, expected, "{issuer}");
    }
}

#[test]
fn max_age_is_read_from_cache_control() {
    for (value, expected) in [
        ("", None),
        ("no-store", None),
        ("max-age", None),
        ("max-age=", None),
        ("max-age=-1", None),
        ("s-maxage=7", None),
        ("max-age=60", Some(60)),
        ("public, Max-Age=\"86400\" , stale-if-error=9", Some(86_400)),
        ("max-age=0, no-cache", Some(0)),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
        assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{value}");
    }
    assert_eq!(max_age(&HeaderMap::new()), None);
}

/// K4: what a broken provider may answer.
#[tokio::test]
async fn a_bad_answer_is_refused() {
    let big = "x".repeat(LIMIT + 1);
    let chunked =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{big}\r\n0\r\n\r\n", big.len());
    for (bad, expected) in [
        (answer("500 No", "", ""), Some(FetchError::Status(500))),
        (answer("404 No", "", "<html>"), Some(FetchError::Status(404))),
        (answer("204 No", "", ""), Some(FetchError::Status(204))),
        (answer("206 Part", "", "{"), Some(FetchError::Status(206))),
        // Nobody asked conditionally.
        (answer("304 Same", "", ""), Some(FetchError::Status(304))),
        (answer("302 There", "", ""), Some(FetchError::StrayRedirect)),
        (answer("302 There", "location: http://192.0.2.1/\r\n", ""), Some(FetchError::StrayRedirect)),
        (answer("200 OK", "", &big), Some(FetchError::TooLong(LIMIT))),
        (chunked.into_bytes(), Some(FetchError::TooLong(LIMIT))),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_vec(), None),
        (b"garbage\r\n\r\n".to_vec(), None),
        (Vec::new(), None),
    ] {
        let shown = String::from_utf8_lossy(&bad[..bad.len().min(60)]).into_owned();
        let server = Server::start(move |_, _, _| Some(bad.clone())).await;
        let error = fetch(&server, "/keys").await.expect_err("refused");
        match expected {
            Some(expected) => assert_eq!(error, expected, "{shown}"),
            None => assert!(matches!(error, FetchError::Unreachable(_)), "{shown}: {error}"),
        }
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/?secret", listener.local_addr().expect("an address"));
    drop(listener);
    let place = Place::new(&url, false).expect("loopback");
    let error = Client::default().key_set(&place, None, LIMIT).await.expect_err("refused");
    assert!(matches!(error, FetchError::Unreachable(_)), "{error:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_twice_and_not_three_times() {
    let server = Server::start(|head, _, _| {
        Some(match path(head) {
            "/2" => answer("302 There", "location: /1\r\n", ""),
            "/1" => answer("308 There", "location: /0\r\n", ""),
            "/0" => answer("200 OK", "", "{}"),
            _ => answer("301 Round", "location: /loop\r\n", ""),
        })
    })
    .await;
    assert_eq!(fetch(&server, "/loop").await, Err(FetchError::ManyRedirects));
    assert_eq!(server.hits(), 3);
    let found = fetch(&server, "/2").await.expect("found");
    assert_eq!(found.text.as_deref(), Some(b"{}".as_slice()));
}

#[tokio::test]
async fn a_validator_is_sent_and_304_confirms() {
    let server = Server::start(|head, _, _| {
        Some(match path(head) {
            "/first" => answer("200 OK", "etag: \"v1\"\r\ncache-control: max-age=77\r\n", "{}"),
            _ => answer("304 Same", "cache-control: max-age=99\r\n", ""),
        })
    })
    .await;
    let first = fetch(&server, "/first").await.expect("found");
    assert_eq!(first.max_age, Some(Duration::from_secs(77)));
    let etag = first.etag.expect("an etag");
    let again =
        Client::default().key_set(&place(&server, "/again"), Some(&etag), LIMIT).await.expect("found");
    assert_eq!(again, Fetched { text: None, etag: Some(etag), max_age: Some(Duration::from_secs(99)) });
    let heads = server.heads();
    assert!(!heads[0].contains("if-none-match"), "{}", heads[0]);
    assert!(heads[1].contains("if-none-match: \"v1\""), "{}", heads[1]);
    assert!(heads[0].contains("user-agent: portcullis/"), "{}", heads[0]);
}

/// A discovery document at `at`, for `issuer` (`{}` is the server), naming `keys`.
async fn discover(at: &'static str, issuer: &'static str, keys: &'static str) -> Result<String, FetchError> {
    let server = Server::start(move |head, own, _| {
        let document =
            serde_json::json!({"issuer": issuer.replace("{}", own), "jwks_uri": keys.replace("{}", own)});
        let found = path(head) == at;
        Some(if found { answer("200 OK", "", &document.to_string()) } else { answer("404 No", "", "") })
    })
    .await;
    let place = Client::default().discover(&format!("{}/realm", server.address), false).await?;
    Ok(place.url.as_str().replace(&server.address, "{}"))
}

#[tokio::test]
async fn a_discovery_document_must_be_this_issuers_and_name_a_safe_place() {
    let openid = "/realm/.well-known/openid-configuration";
    let oauth = "/.well-known/oauth-authorization-server/realm";
    for at in [openid, oauth] {
        for issuer in ["{}/realm/", "{}/Realm", "{}", "https://a.example/realm", ""] {
            let refused = discover(at, issuer, "{}/keys").await;
            assert!(matches!(refused, Err(FetchError::WrongIssuer(_))), "{issuer}: {refused:?}");
        }
        for keys in ["http://192.0.2.1/keys", "file:///etc/passwd", "/keys", ""] {
            assert_eq!(discover(at, "{}/realm", keys).await, Err(FetchError::BadUrl), "{keys}");
        }
        assert_eq!(discover(at, "{}/realm", "{}/keys").await.as_deref(), Ok("{}/keys"));
    }
    assert_eq!(discover("/nowhere", "{}/realm", "{}/keys").await, Err(FetchError::Status(404)));
}

#[tokio::test]
async fn what_is_no_discovery_document_is_refused_and_an_outage_is_not_asked_round() {
    for (bad, not_a_document) in [
        (answer("200 OK", "", "<html>"), true),
        (answer("200 OK", "", "[]"), true),
        (answer("200 OK", "", "{\"issuer\": \"a\"}"), true),
        (answer("200 OK", "", "{\"issuer\": \"a\", \"issuer\": \"a\", \"jwks_uri\": \"b\"}"), true),
        (answer("200 OK", "", "{\"issuer\": [\"a\"], \"jwks_uri\": \"b\"}"), true),
        (answer("503 Out", "", ""), false),
    ] {
        let shown = String::from_utf8_lossy(&bad).into_owned();
        let server = Server::start(move |_, _, _| Some(bad.clone())).await;
        let error = Client::default().discover(&server.address, false).await.expect_err("refused");
        assert_eq!(matches!(error, FetchError::NotADocument(_)), not_a_document, "{shown}: {error}");
        assert_eq!(server.hits(), 1, "{shown}");
    }
}

/// A server's words are cut and cleaned before they reach a log.
#[tokio::test]
async fn a_wrong_issuer_cannot_write_to_the_log() {
    let server = Server::start(|_, _, _| {
        let issuer = format!("\n\u{1b}[31m{}", "x".repeat(5_000));
        Some(answer("200 OK", "", &serde_json::json!({"issuer": issuer, "jwks_uri": "b"}).to_string()))
    })
    .await;
    let error = Client::default().discover(&server.address, false).await.expect_err("refused").to_string();
    assert!(!error.contains(char::is_control), "{error}");
    assert!(error.len() < 400, "{}", error.len());
}
