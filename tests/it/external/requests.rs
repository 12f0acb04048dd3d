//! gunicorn's request corpora, sent octet for octet to an upstream that believes anything (threats H5, I2).
//!
//! The files are those of its source distribution: `tests/requests/{invalid,valid}/*.http`, written with their
//! line ends spelled out. Everything is public here, so that nothing but the reading of requests refuses.

mod verdicts;

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::external::requests::verdicts::{INVALID_PASSED, VALID_REFUSED};
use crate::external::tools;
use crate::harness::api::Api;
use crate::harness::client::{Outcome, Request, Response};
use crate::harness::wait::PATIENCE;

/// The release whose corpora these are; `.ci/run` fetches it.
const CORPORA: &str = "corpora/gunicorn-27.0.1/tests/requests";

/// Gateways that work through a corpus side by side.
const LANES: usize = 4;

/// The requests of [`CORPORA`] that are two requests each, one after another.
const PAIRS: [&str; 4] = ["valid/018", "valid/022", "valid/023", "valid/pp_02"];

/// What became of one file.
#[derive(Debug, Clone)]
struct Verdict {
    name: String,
    /// The reason of the gateway's own answer, if it gave one; `closed` where there was no answer at all.
    refused: Option<String>,
    /// Answers that came from the upstream.
    passed: usize,
    /// Requests that the upstream believes it got.
    believed: usize,
    /// How many of those it got whole.
    whole: usize,
}

/// The files of a corpus by name, their octets as they go over the wire.
pub fn corpus(kind: &str) -> Vec<(String, Vec<u8>)> {
    let directory: PathBuf = tools::place().join(CORPORA).join(kind);
    let files =
        fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory:?}: {error}: .ci/run fetches it"));
    let mut cases: Vec<(String, Vec<u8>)> = files
        .map(|file| file.expect("a directory can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .map(|path| {
            let stem = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            (format!("{kind}/{stem}"), unescaped(&fs::read(&path).expect("a file can be read")))
        })
        .collect();
    cases.sort();
    cases
}

/// As the corpus' own reader does it: line ends of the file mean nothing, `\r`, `\n`, `\t`, `\0` and `\xHH` are
/// octets.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet == b'\n' {
            continue;
        }
        let escaped = if octet == b'\\' { after.split_first() } else { None };
        let Some((&letter, after)) = escaped else {
            octets.push(octet);
            continue;
        };
        rest = after;
        octets.push(match letter {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'x' => {
                let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                rest = after.get(2..).unwrap_or_default();
                u8::from_str_radix(digits.expect("two digits"), 16).expect("two digits")
            }
            other => panic!("no escape that the corpus has: {:?}", char::from(other)),
        });
    }
    octets
}

/// The same requests with the `Host` that most of the corpus lacks, and without which HTTP/1.1 is refused.
fn with_host((name, octets): (String, Vec<u8>)) -> Option<(String, Vec<u8>)> {
    const HOST: &[u8] = b"Host: corpus.test\r\n";
    if String::from_utf8_lossy(&octets).to_ascii_lowercase().contains("\nhost:") {
        return None;
    }
    let mut with = Vec::new();
    let mut rest = octets.as_slice();
    while let Some(at) =
        rest.windows(11).position(|end| end.starts_with(b" HTTP/1.") && end.ends_with(b"\r\n"))
    {
        let (line, after) = rest.split_at(at + 11);
        with.extend_from_slice(line);
        with.extend_from_slice(HOST);
        rest = after;
    }
    with.extend_from_slice(rest);
    (with.len() > octets.len()).then_some((name, with))
}

/// Sends every case on a connection of its own.
fn judge(cases: Vec<(String, Vec<u8>)>) -> Vec<Verdict> {
    let verdicts = Mutex::new(Vec::new());
    let left = Mutex::new(cases.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let api = Api::with(|setup| {
                    let setup = setup.no_routes().route("/{*rest}", "public").quiet();
                    setup.limits("idle_time: 200ms, header_time: 500ms, body_rate: 1KiB")
                });
                let next = || left.lock().expect("no test panics in here").next();
                let mut passed = 0;
                while let Some((name, octets)) = next() {
                    let verdict = send(&api, name, &octets);
                    passed += verdict.whole;
                    verdicts.lock().expect("no test panics in here").push(verdict);
                }
                // Whatever was left behind on a connection would come to light with the next request on it.
                api.allows(&Request::get("/last"));
                let whole = api.upstream.requests().iter().filter(|seen| seen.whole).count();
                assert_eq!(whole, passed + 1, "I2: the upstream got a request that nobody answered for");
            });
        }
    });
    let mut verdicts = verdicts.into_inner().expect("no test panics in here");
    verdicts.sort_by(|one, other| one.name.cmp(&other.name));
    verdicts
}

fn send(api: &Api, name: String, octets: &[u8]) -> Verdict {
    let before = api.upstream.count();
    let mut connection = api.gateway.connect();
    connection.write(octets);
    let mut answers: Vec<Response> = Vec::new();
    loop {
        match connection.wait("GET", PATIENCE) {
            Outcome::Answer(response) if response.status < 200 => {}
            Outcome::Answer(response) => answers.push(response),
            Outcome::Closed => break,
            Outcome::Silence => panic!("{name}: neither an answer nor the end"),
        }
    }
    let seen = api.upstream.requests().split_off(before);
    let passed = answers.iter().filter(|response| response.header("x-upstream").is_some()).count();
    let ours = answers.iter().find(|response| response.header("x-upstream").is_none());
    let refused = match ours {
        Some(response) => Some(response.reason()),
        None if answers.is_empty() => Some("closed".to_owned()),
        None => None,
    };
    let whole = seen.iter().filter(|seen| seen.whole).count();
    Verdict { name, refused, passed, believed: seen.len(), whole }
}

/// One request in is at most one request out, and none that was refused arrives whole.
#[track_caller]
fn one_in_is_one_out(verdicts: &[Verdict]) -> usize {
    let wrong = |verdict: &&Verdict| {
        let meant = if PAIRS.contains(&verdict.name.as_str()) { 2 } else { 1 };
        verdict.believed > meant || verdict.whole != verdict.passed
    };
    let mismatches: Vec<&Verdict> = verdicts.iter().filter(wrong).collect();
    assert!(mismatches.is_empty(), "I2: {mismatches:#?}");
    mismatches.len()
}

/// Fails when what is listed and what happened differ, either way.
#[track_caller]
fn as_listed(what: &str, happened: &[(String, String)], listed: &[(&str, &str, &str)]) {
    let listed: Vec<(String, String)> =
        listed.iter().map(|(name, reason, _)| ((*name).to_owned(), (*reason).to_owned())).collect();
    let news: Vec<_> = happened.iter().filter(|one| !listed.contains(one)).collect();
    let gone: Vec<_> = listed.iter().filter(|one| !happened.contains(one)).collect();
    assert!(
        news.is_empty() && gone.is_empty(),
        "{what}: not listed {news:#?}; listed, and not so: {gone:#?}"
    );
}

fn refusals(verdicts: &[Verdict]) -> Vec<(String, String)> {
    let refused = |verdict: &Verdict| Some((verdict.name.clone(), verdict.refused.clone()?));
    verdicts.iter().filter_map(refused).collect()
}

fn passes(verdicts: &[Verdict]) -> Vec<(String, String)> {
    let passed = verdicts.iter().filter(|verdict| verdict.passed > 0);
    passed.map(|verdict| (verdict.name.clone(), "passed".to_owned())).collect()
}

#[test]
fn h5_invalid_requests_are_refused_or_are_one_request() {
    let cases = corpus("invalid");
    assert_eq!(cases.len(), 81, "the corpus is another one");
    let verdicts = judge(cases.clone());
    let mismatches = one_in_is_one_out(&verdicts);
    let passed = passes(&verdicts);
    let with_host = judge(cases.into_iter().filter_map(with_host).collect());
    let mismatches = mismatches + one_in_is_one_out(&with_host);
    let mut all = passed.clone();
    all.extend(passes(&with_host));
    all.sort();
    all.dedup();
    println!(
        "corpus gunicorn invalid: {} requests as written, {} again with a Host: {mismatches} request-count mismatches, \
         {} passed as written, {} in all",
        verdicts.len(),
        with_host.len(),
        passed.len(),
        all.len()
    );
    as_listed("invalid requests that pass", &all, &INVALID_PASSED);
}

#[test]
fn h5_valid_requests_pass_or_their_refusal_is_listed() {
    let cases = corpus("valid");
    assert_eq!(cases.len(), 62, "the corpus is another one");
    let verdicts = judge(cases.clone());
    let mismatches = one_in_is_one_out(&verdicts);
    let with_host = judge(cases.into_iter().filter_map(with_host).collect());
    let mismatches = mismatches + one_in_is_one_out(&with_host);
    let again = refusals(&with_host);
    println!(
        "corpus gunicorn valid: {} requests as written, {} again with a Host: {mismatches} request-count mismatches, \
         {} refused as written, {} with a Host",
        verdicts.len(),
        with_host.len(),
        refusals(&verdicts).len(),
        again.len()
    );
    let second = |name: &str| {
        let tried = with_host.iter().find(|verdict| verdict.name == name);
        tried.map_or("-".to_owned(), |verdict| verdict.refused.clone().unwrap_or_else(|| "passed".to_owned()))
    };
    let happened: Vec<_> = refusals(&verdicts)
        .into_iter()
        .map(|(name, reason)| (name.clone(), format!("{reason}, {}", second(&name))))
        .collect();
    as_listed("valid requests that are refused", &happened, &VALID_REFUSED);
    let beyond: Vec<_> =
        again.iter().filter(|(name, _)| !happened.iter().any(|(other, _)| other == name)).collect();
    assert!(beyond.is_empty(), "with a Host they are refused, and without one they pass: {beyond:?}");
}

/// The same corpora's PROXY headers, before a listener that asks for one.
#[test]
fn h5_proxy_headers_are_read_or_the_connection_ends() {
    let api = Api::with(|setup| {
        let setup =
            setup.no_routes().route("/{*rest}", "public").quiet().listener("proxy_protocol: required");
        setup.limits("idle_time: 200ms, header_time: 500ms")
    });
    let cases = corpus("valid").into_iter().chain(corpus("invalid"));
    let cases: Vec<_> = cases.filter(|(name, _)| name.contains("/pp_")).collect();
    let sent = cases.into_iter().map(|case| with_host(case.clone()).unwrap_or(case));
    let verdicts: Vec<Verdict> = sent.map(|(name, octets)| send(&api, name, &octets)).collect();
    one_in_is_one_out(&verdicts);
    let passed: Vec<_> = verdicts.iter().filter(|verdict| verdict.passed > 0).collect();
    println!("corpus gunicorn PROXY headers: {} cases, {} passed", verdicts.len(), passed.len());
    let passed: Vec<_> = passed.iter().map(|verdict| (verdict.name.as_str(), verdict.passed)).collect();
    // The one that is called valid and does not pass has no PROXY header: here it is not optional.
    let listed = [("valid/pp_01", 1), ("valid/pp_02", 2), ("valid/pp_04", 1), ("valid/pp_05", 1)];
    assert_eq!(passed, listed, "{verdicts:#?}");
}
