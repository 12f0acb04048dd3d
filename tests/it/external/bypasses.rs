//! bypass-url-parser: thousands of ways to ask for a protected path so that the one who judges reads another one
//! (threats P1, P2, P8). What counts is what the upstream heard, not what was answered.

use std::collections::BTreeSet;

use crate::external::tools;
use crate::harness::api::{Api, assert_allowed};
use crate::harness::client::Request;
use crate::harness::upstream::Seen;

/// Requests that the tool makes of one address; fewer, and it did not do its work.
const GENERATED: usize = 3900;

fn api() -> Api {
    Api::with(|setup| {
        let setup = setup.no_routes().quiet().route("/", "public").route("/public/{*rest}", "public");
        setup.route("/admin/{*rest}", "admin").limits("idle_time: 5s")
    })
}

/// Every path that some backend might take this one for: decoded once or more, either slash, parameters cut off,
/// dots resolved, case forgotten.
fn readings(target: &str) -> BTreeSet<String> {
    let mut path = target.split(['?', '#']).next().unwrap_or_default().to_owned();
    if let Some((_, rest)) = path.split_once("://") {
        path = format!("/{}", rest.split_once('/').map_or("", |(_, path)| path));
    }
    let mut readings = BTreeSet::new();
    for _ in 0..4 {
        readings.insert(resolved(&path));
        path = decoded(&path);
    }
    readings
}

fn decoded(path: &str) -> String {
    let octets = path.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        let digits = path.get(at + 1..at + 3).filter(|_| octet == b'%');
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(value.unwrap_or(octet));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn resolved(path: &str) -> String {
    let mut segments: Vec<String> = Vec::new();
    for segment in path.split(['/', '\\']) {
        let word: String =
            segment.split(';').next().unwrap_or_default().chars().filter(|c| c.is_ascii_graphic()).collect();
        match word.as_str() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            word => segments.push(word.to_ascii_lowercase()),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Whether no reading of what the upstream heard is a protected path, and no header of it asks for one.
fn is_public(seen: &Seen) -> bool {
    let public = |path: &String| path == "/" || path == "/public" || path.starts_with("/public/");
    let header = |(name, value): &(String, String)| {
        let name = name.to_ascii_lowercase().replace(['_', '.'], "-");
        let rewrites =
            ["x-original", "x-rewrite", "x-forwarded-prefix", "x-forwarded-path", "x-forwarded-uri"];
        rewrites.iter().any(|start| name.starts_with(start)) && value.contains("admin")
    };
    readings(&seen.head.target).iter().all(public) && !seen.head.headers.iter().any(header)
}

/// Runs the tool against `target`, and gives how many requests it made and how many the upstream heard.
#[track_caller]
fn attack(api: &Api, target: &str) -> (usize, Vec<Seen>) {
    let before = api.gateway.metric("http_requests_total", &[]);
    let heard = api.upstream.count();
    let url = format!("http://{}{target}", api.gateway.ports.public);
    tools::output(tools::program("bup").args(["-u", &url, "-S", "0", "-t", "2", "--jsonl"]));
    let made = api.gateway.metric("http_requests_total", &[]) - before;
    (made as usize, api.upstream.requests().split_off(heard))
}

#[test]
fn p1_no_generated_request_reaches_a_protected_path() {
    let api = api();
    let request = Request::get("/admin/x").bearer(&api.issuer.mint("admin"));
    assert_allowed(&api.gateway.send(&request));
    let (made, heard) = attack(&api, "/admin/x");
    let reached: Vec<_> = heard.iter().filter(|seen| !is_public(seen)).collect();
    println!(
        "corpus bypass-url-parser /admin/x: {made} requests, {} forwarded to public paths, {} reached a protected path",
        heard.len() - reached.len(),
        reached.len()
    );
    assert!(made >= GENERATED, "it made {made} requests");
    assert!(reached.is_empty(), "I1: {reached:#?}");
}

/// From a public path: what it inserts between the segments leads out of it.
#[test]
fn p1_no_generated_request_leads_from_a_public_path_to_a_protected_one() {
    let api = api();
    let (made, heard) = attack(&api, "/public/admin/x");
    let reached: Vec<_> = heard.iter().filter(|seen| !is_public(seen)).collect();
    println!(
        "corpus bypass-url-parser /public/admin/x: {made} requests, {} forwarded to public paths, {} reached a \
         protected path",
        heard.len() - reached.len(),
        reached.len()
    );
    assert!(
        made >= GENERATED && heard.len() > 100,
        "it made {made} requests, and {} were heard",
        heard.len()
    );
    assert!(reached.is_empty(), "I1: {reached:#?}");
}

#[test]
fn the_careless_reading_finds_what_is_hidden() {
    for hidden in [
        "/public/../admin/x",
        "/public/%2e%2e/ADMIN/x",
        "/public/..;/admin/x",
        "/public/%252e%252e%252fadmin/x",
        "/public\\..\\admin/x",
        "http://evil.test/admin/x",
        "//admin/x",
        "/%61dmin/x?public",
    ] {
        let found = readings(hidden).iter().any(|path| path.starts_with("/admin"));
        assert!(found, "{hidden}: {:?}", readings(hidden));
    }
    assert_eq!(readings("/public/a%20b"), ["/public/ab", "/public/a%20b"].map(str::to_owned).into());
}
