//! J13, J14, J19, J20 and C1 to C4: registered claims, their types, and time.

use portcullis::gate::denial::Reason::{
    Expired, LivesTooLong, MalformedToken, MissingClaim, NotYetValid, UntrustedIssuer, WrongAudience,
    WrongType,
};
use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::canary;
use crate::harness::client::Request;
use crate::harness::issuer::Issuer;
use crate::harness::token::now;
use crate::tokens::refuse;

#[test]
fn j13_registered_claims_have_their_types() {
    let api = Api::start();
    let wrong = [json!(true), json!([]), json!({}), Value::Null];
    let dates = ["exp", "nbf", "iat"];
    for name in dates {
        for value in wrong.iter().chain(&[json!("99999999999"), json!(""), json!([now() + 100])]) {
            let token = api.issuer.token().scope("orders:read").set(name, value.clone()).sign();
            refuse(&api, &format!("{name} {value}"), &token, &[MalformedToken, MissingClaim]);
        }
    }
    for name in ["iss", "sub", "jti"] {
        for value in [json!(1), json!(true), json!([]), json!({}), Value::Null, json!(["alice"])] {
            let token = api.issuer.token().scope("orders:read").set(name, value.clone()).sign();
            refuse(&api, &format!("{name} {value}"), &token, &[MalformedToken, MissingClaim]);
        }
    }
    for value in [
        json!(1),
        json!(true),
        json!({}),
        Value::Null,
        json!([1]),
        json!([["api"]]),
        json!(["api", 1]),
        json!(["api", null]),
    ] {
        let token = api.issuer.token().scope("orders:read").set("aud", value.clone()).sign();
        refuse(&api, &format!("aud {value}"), &token, &[MalformedToken, MissingClaim]);
    }
}

#[test]
fn j14_the_issuer_is_one_exact_string() {
    let api = Api::start();
    let iss = api.issuer.iss.clone();
    let lists = [json!([iss]), json!([iss, "https://evil.test"]), json!(["https://evil.test", iss])];
    for list in lists {
        let token = api.issuer.token().scope("orders:read").set("iss", list.clone()).sign();
        refuse(&api, &list.to_string(), &token, &[MalformedToken]);
    }
    let others = [
        format!("{iss}/"),
        iss.to_uppercase(),
        format!(" {iss}"),
        format!("{iss} "),
        format!("{iss}\u{0}"),
        iss.replace("127.0.0.1", "127.0.0.\u{ff11}"),
        iss.replace("http", "https"),
        iss.replace("http://", ""),
        iss[..iss.len() - 1].to_owned(),
        String::new(),
    ];
    for other in others {
        let token = api.issuer.token().scope("orders:read").set("iss", json!(other)).sign();
        refuse(&api, &format!("{other:?}"), &token, &[UntrustedIssuer]);
    }
    let token = api.issuer.token().scope("orders:read").without("iss").sign();
    refuse(&api, "no issuer", &token, &[MissingClaim, UntrustedIssuer]);
}

#[test]
fn c1_c2_c3_time_is_checked_with_leeway_and_no_more() {
    let issuer = Issuer::start();
    let api = Api::with_issuer(issuer, |setup, issuer| {
        setup.issuer_with("corp", issuer, "leeway: 60s, max_token_lifetime: 1h")
    });
    let token = || api.issuer.token().scope("orders:read");
    let at = |seconds: i64| json!(now() + seconds);
    // Ten seconds on either side of a bound, so that a slow machine does not move a case across it.
    let sound = [
        ("expired within the leeway", token().merge(json!({"iat": now() - 100, "exp": now() - 50}))),
        ("begins within the leeway", token().set("nbf", at(50))),
        ("issued within the leeway", token().set("iat", at(50))),
        ("begun", token().set("nbf", at(-100))),
        ("lives as long as may be", token().merge(json!({"iat": now(), "exp": now() + 3600}))),
        ("without iat", token().without("iat").set("exp", at(3500))),
        ("fractions", token().merge(json!({"iat": now() as f64 - 0.5, "exp": now() as f64 + 100.25}))),
    ];
    for (what, token) in sound {
        let response = api.gateway.get("/orders/1", &token.sign());
        assert_eq!(response.status, 200, "{what}: {response:?}");
    }
    let refused = [
        ("expired", token().merge(json!({"iat": now() - 100, "exp": now() - 61})), Expired),
        ("expired long ago", token().merge(json!({"iat": 1, "exp": 2})), Expired),
        ("no expiry", token().without("exp"), MissingClaim),
        ("not begun", token().set("nbf", at(70)), NotYetValid),
        ("issued in the future", token().set("iat", at(70)), NotYetValid),
        (
            "issued in 2200",
            token().merge(json!({"iat": 7_258_118_400_i64, "exp": 7_258_118_500_i64})),
            NotYetValid,
        ),
        ("lives too long", token().set("exp", at(3700)), LivesTooLong),
        ("a hundred years", token().set("exp", at(100 * 365 * 86400)), LivesTooLong),
        ("too long without iat", token().without("iat").set("exp", at(3700)), LivesTooLong),
    ];
    for (what, token, reason) in refused {
        refuse(&api, what, &token.sign(), &[reason]);
    }
}

/// Numbers as JSON texts: whatever they are, nothing panics, wraps, or lives for ever.
#[test]
fn j19_numbers_are_dates_or_refused() {
    let api = Api::start();
    let texts = [
        "0",
        "-0",
        "-1",
        "1",
        "1.9",
        "-1.5",
        "1e1",
        "1e18",
        "1e19",
        "1e308",
        "1e400",
        "-1e400",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "4294967296",
        "253402300800",
        "0.1e-400",
        "99999999999999999999999999999999",
    ];
    let refusals = [Expired, LivesTooLong, MalformedToken, NotYetValid];
    for text in texts {
        for name in ["exp", "nbf", "iat"] {
            let claims = api.issuer.token().scope("orders:read").without(name).claims_text();
            let claims = format!("{},\"{name}\":{text}}}", claims.trim_end_matches('}'));
            let token =
                canary::token(api.issuer.key().compact(r#"{"alg":"ES256","kid":"k1"}"#, claims.as_bytes()));
            let response = api.gateway.get("/orders/1", &token);
            // A token may have begun at any time in the past.
            let past = text.parse::<f64>().is_ok_and(|date| date >= 0.0 && date < now() as f64);
            let harmless = name == "nbf" && past && response.status == 200;
            let refused = refusals.iter().any(|reason| reason.code() == response.reason());
            assert!(harmless || refused, "{name}: {text}: {response:?}");
        }
    }
    for text in ["NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10", "1_000"] {
        let claims = api.issuer.token().without("exp").claims_text();
        let claims = format!("{},\"exp\":{text}}}", claims.trim_end_matches('}'));
        let token =
            canary::token(api.issuer.key().compact(r#"{"alg":"ES256","kid":"k1"}"#, claims.as_bytes()));
        refuse(&api, text, &token, &[MalformedToken]);
    }
}

#[test]
fn c4_the_audience_is_ours_exactly() {
    let api = Api::start();
    let with = |audience: Value| api.issuer.token().scope("orders:read").set("aud", audience).sign();
    for audience in [json!("api"), json!(["api"]), json!(["api", "api"]), json!(["other", "api"])] {
        api.allows_token(&with(audience));
    }
    let others = [
        json!([]),
        json!(""),
        json!([""]),
        json!("API"),
        json!("api "),
        json!(" api"),
        json!("api,other"),
        json!("api other"),
        json!("apis"),
        json!("ap"),
        json!("https://api"),
        json!("api/"),
        json!("*"),
        json!(["other"]),
        json!("api\u{0}"),
    ];
    for audience in others {
        refuse(&api, &audience.to_string(), &with(audience), &[WrongAudience, MissingClaim]);
    }
    refuse(&api, "none", &api.issuer.token().without("aud").sign(), &[MissingClaim, WrongAudience]);
}

/// RFC 9068: an issuer that says `at+jwt` is held to it.
#[test]
fn j17_the_access_token_profile_asks_for_its_claims() {
    let api = Api::with_issuer(Issuer::start(), |setup, issuer| {
        setup.issuer_with("corp", issuer, "token_type: at+jwt")
    });
    let token = || {
        api.issuer.token().scope("orders:read").header("typ", json!("at+jwt")).set("client_id", json!("app"))
    };
    api.allows_token(&token().sign());
    api.allows_token(&token().header("typ", json!("application/AT+JWT")).sign());
    for typ in [json!("JWT"), json!("at"), json!("at+jwt2"), json!("")] {
        api.refuses_token(&token().header("typ", typ).sign(), WrongType);
    }
    api.refuses_token(&token().without_header("typ").sign(), WrongType);
    for claim in ["sub", "client_id", "iat", "jti"] {
        api.refuses_token(&token().without(claim).sign(), MissingClaim);
    }
}

/// Subjects that would be a header, a log line or two of something, were they copied as they are.
#[test]
fn j20_claims_do_not_write_headers() {
    let api = Api::with(|setup| {
        setup.route("GET /me", "{require: authenticated, forward: {headers: {X-Subject: sub}}}")
    });
    let long = "a".repeat(5000);
    let subjects = [
        "a\r\nX-Role: admin",
        "a\nX-Role: admin",
        "a\rX-Role: admin",
        "a\u{0}b",
        "a\u{7f}b",
        "a\u{1b}[31m",
        "\t",
        long.as_str(),
    ];
    for subject in subjects {
        let token = api.issuer.token().set("sub", json!(subject)).sign();
        let before = api.upstream.count();
        let response = api.gateway.send(&Request::get("/me").bearer(&token));
        // Refused, or passed on without the header; never with half of it.
        assert!(matches!(response.status, 200 | 401 | 403), "{subject:?}: {response:?}");
        for seen in api.upstream.requests().split_off(before) {
            assert!(seen.head.header("x-role").is_none(), "{subject:?}: {seen:?}");
            let subjects = seen.head.all("x-subject");
            assert!(subjects.is_empty() || subjects == [long.as_str()], "{subject:?}: {seen:?}");
        }
    }
    assert_eq!(api.gateway.get("/me", &api.issuer.mint("")).status, 200);
    assert_eq!(api.upstream.last().head.header("x-subject"), Some("alice"));
}
