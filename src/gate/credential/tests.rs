use std::net::{IpAddr, Ipv4Addr};

use crate::config::TokenPlace;
use crate::gate::credential::find;
use crate::gate::denial::Reason;
use crate::gate::{Field, Request};
use crate::path::Path;

fn check(
    places: &[TokenPlace],
    query: Option<&str>,
    headers: &[(&str, &str)],
    expected: Result<&str, Reason>,
) {
    let fields: Vec<Field<'_>> = headers
        .iter()
        .map(|(name, value)| Field { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let request = Request {
        method: "GET",
        host: "h",
        path: Path::Canonical("/".into()),
        query,
        headers: &fields,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        websocket: None,
        tls: None,
        presented: None,
        message: None,
    };
    let found = find(&request, places).and_then(|credential| credential.token());
    let found = found.map_err(|denial| denial.reason);
    assert_eq!(found, expected, "{places:?} {query:?} {headers:?}");
}

#[test]
fn c6_two_filled_places_are_many_credentials() {
    let places = [TokenPlace::Bearer, TokenPlace::Cookie("sid".into()), TokenPlace::Query("t".into())];
    check(&places, Some("t=a.b.c"), &[("authorization", "Bearer x.y.z")], Err(Reason::ManyCredentials));
    check(&places, Some("t=a&t=b"), &[], Err(Reason::ManyCredentials));
    check(&places, None, &[("cookie", "sid=a; sid=b")], Err(Reason::ManyCredentials));
    check(&places, None, &[("cookie", "sid=a"), ("cookie", "sid=b")], Err(Reason::ManyCredentials));
}

#[test]
fn a_place_that_is_empty_or_not_named_holds_nothing() {
    let places = [
        TokenPlace::Header("x-token".into()),
        TokenPlace::Cookie("sid".into()),
        TokenPlace::Query("t".into()),
    ];
    check(
        &places,
        Some("T=a&tt=b&t="),
        &[("cookie", "SID=a; xsid=b; sid="), ("x-token", "")],
        Err(Reason::NoCredentials),
    );
    check(&places, None, &[("authorization", "Bearer x.y.z")], Err(Reason::NoCredentials));
    check(&places, None, &[("x-token", "a b")], Err(Reason::MalformedRequest));
    check(&places, None, &[("x-token", "a"), ("X-Token", "b")], Err(Reason::MalformedRequest));
}

#[test]
fn each_place_is_found() {
    check(&[TokenPlace::Bearer], None, &[("Authorization", "bearer x.y.z")], Ok("x.y.z"));
    check(&[TokenPlace::Header("x-token".into())], None, &[("X-TOKEN", "x.y.z")], Ok("x.y.z"));
    check(&[TokenPlace::Cookie("sid".into())], None, &[("Cookie", "a=b; sid=x.y.z;c=d")], Ok("x.y.z"));
    check(&[TokenPlace::Query("t".into())], Some("a=b&t=x.y.z"), &[], Ok("x.y.z"));
}

/// Octets are looked at late, and all the same nothing is said of a second place before both are known to hold tokens.
#[test]
fn what_is_no_token_is_said_before_a_second_place() {
    let places = [TokenPlace::Bearer, TokenPlace::Header("x-token".into())];
    let bad = [("authorization", "Bearer a b"), ("x-token", "x.y.z")];
    check(&places, None, &bad, Err(Reason::MalformedRequest));
    check(&places, None, &bad[..1], Err(Reason::MalformedRequest));
    check(
        &places,
        None,
        &[("authorization", "Bearer a.b.c"), ("x-token", "x y")],
        Err(Reason::MalformedRequest),
    );
    let twice = [("authorization", "Bearer a b"), ("cookie", "t=1; t=2")];
    check(&[TokenPlace::Bearer, TokenPlace::Cookie("t".into())], None, &twice, Err(Reason::MalformedRequest));
    let both = [("authorization", "Bearer a.b.c"), ("x-token", "x.y.z")];
    check(&places, None, &both, Err(Reason::ManyCredentials));
}
