use std::sync::Arc;
use std::time::Duration;

use crate::config::defaults::RECHECK_STREAMS;
use crate::config::problems::{Position, Problem};
use crate::config::revocation::{DeclaredClaim, Revocation};
use crate::config::{Config, Issuer, KeySource};
use crate::control::revocation_file::parse;
use crate::control::tests::fixture::{self, issuer};
use crate::revocation::{Entry, Kind};
use crate::token::NumericDate;
use crate::token::claims::Selector;

const NOW: i64 = 1_000_000;
const LIFE: i64 = 3_630;

/// Of these issuers, with a declared claim.
fn config(issuers: Vec<Issuer>) -> Config {
    let selector = Selector::parse(&["device_id"]).expect("a name");
    let claims = Arc::from([DeclaredClaim { name: "device_id".into(), selector }]);
    let at = Position { line: 1, column: 1 };
    Config {
        revocation: Some(Revocation { file: None, claims, recheck_streams: RECHECK_STREAMS, at }),
        ..fixture::config(issuers)
    }
}

fn one() -> Config {
    config(vec![issuer("a", KeySource::Discovery)])
}

type Said = Vec<(u32, u32, String)>;

fn said(list: Vec<Problem>) -> Said {
    list.into_iter()
        .map(|problem| {
            let hint = problem.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            (problem.at.line, problem.at.column, problem.what + &hint)
        })
        .collect()
}

fn read_with_warnings(text: &str) -> Result<(Vec<Entry>, Said), Said> {
    let read = parse(text, "revoked.yaml", &one(), NumericDate(NOW));
    read.map(|(entries, warnings)| (entries, said(warnings))).map_err(|problems| {
        assert_eq!(problems.file, "revoked.yaml");
        assert_eq!(&*problems.text, text);
        assert!(!problems.list.is_empty());
        said(problems.list)
    })
}

/// The entries of a file that gives no warning, but perhaps that some have ended.
fn read(text: &str) -> Result<Vec<Entry>, Said> {
    let (entries, mut warnings) = read_with_warnings(text)?;
    warnings.retain(|(_, _, what)| !what.contains("ended"));
    assert!(warnings.is_empty(), "{warnings:?}");
    Ok(entries)
}

/// Every problem at once: where, and some words of what.
#[track_caller]
fn refuse(text: &str, expected: &[(u32, u32, &str)]) {
    let found = read(text).expect_err(text);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((line, column, what), (at, by, words)) in found.iter().zip(expected) {
        assert!((line, column) == (at, by) && what.contains(words), "{found:?} is not {expected:?}");
    }
}

#[test]
fn what_is_no_list_of_entries_is_refused() {
    refuse("", &[(1, 1, "empty (write `[]`")]);
    refuse("# nobody\n", &[(1, 1, "empty")]);
    refuse("null\n", &[(1, 1, "empty")]);
    refuse("kind: jti\n", &[(1, 1, "a list of entries is expected, not a mapping")]);
    refuse("- jti\n- [a]\n", &[(1, 3, "not a single value"), (2, 3, "not a list")]);
    refuse("- {kind: jti\n", &[(1, 3, "unclosed")]);
    refuse("- {kind: jti, issuer: https://a.example/, value: v, until: 3}\n", &[(1, 53, "until")]);
    refuse("- {kind: jti, kind: jti, issuer: https://a.example/, value: v}\n", &[(1, 15, "duplicate")]);
    refuse("- {kind: [jti], issuer: https://a.example/, value: v}\n", &[(1, 10, "")]);
    refuse("- !!binary x\n", &[(1, 12, "tag"), (1, 12, "an entry is expected")]);
}

/// JSON's reader once took it for the members in their order.
#[test]
fn a_list_in_the_place_of_an_entry_is_refused() {
    let list = r#"[["jti", "https://a.example/", null, "x", null, null, null]]"#;
    refuse(list, &[(1, 2, "an entry is expected")]);
}

#[test]
fn every_problem_of_every_entry_is_reported_where_it_stands() {
    refuse(
        "- {kind: sessions, issuer: https://a.example/, value: v}\n\
         - {kind: jto, issuer: https://b.example/, value: \"\"}\n\
         - {}\n\
         - kind: jti\n  issuer: https://a.example/\n  value: v\n  not_before: soon\n  expires: 1767225600000\n",
        &[
            (1, 10, "there is no kind `sessions` (did you mean `session`?"),
            (2, 10, "there is no kind `jto` (did you mean `jti`?"),
            (2, 50, "`value` is empty"),
            (3, 3, "without `kind`"),
            (7, 15, "whole number of Unix seconds (such as"),
            (8, 12, "whole number of Unix seconds (this looks like milliseconds"),
        ],
    );
    for date in ["-1", "1.5", "1e9", "0x10", "2026-01-01", "''", "99999999999999999999"] {
        let text = format!("- {{kind: jti, issuer: https://a.example/, value: v, expires: {date}}}\n");
        refuse(&text, &[(1, 62, "whole number of Unix seconds")]);
    }
}

/// What each kind has, and what it does not have.
#[test]
fn every_kind_has_its_own_keys() {
    let all = "there are all, issuer, kid, tenant, client, api_key, subject, session, jti, claim";
    refuse("- {kind: nobody, value: v}\n", &[(1, 10, &format!("no kind `nobody` ({all})"))]);
    refuse(
        "- {kind: all, issuer: https://a.example/, value: v, claim: device_id}\n\
         - {kind: issuer}\n\
         - {kind: issuer, issuer: https://a.example/, value: https://b.example/}\n\
         - {kind: jti, claim: device_id, value: d, issuer: https://a.example/}\n\
         - {kind: claim, issuer: https://a.example/}\n\
         - {kind: claim, claim: devise_id, value: d}\n\
         - {kind: claim, claim: colour, value: d}\n\
         - {kind: claim, claim: '', value: d, reason: ''}\n",
        &[
            (1, 23, "kind `all` has no `issuer` (leave it out, or write `kind: issuer`"),
            (1, 50, "kind `all` has no `value` (leave it out: it is about every token"),
            (1, 60, "kind `all` has no `claim` (`claim` belongs to `kind: claim`"),
            (2, 3, "without `issuer` ({kind: jti"),
            (3, 53, "kind `issuer` has no `value`"),
            (4, 22, "kind `jti` has no `claim`"),
            (5, 3, "without `claim`"),
            (5, 3, "without `value`"),
            (6, 24, "`devise_id` is no claim that the configuration declares (did you mean `device_id`?"),
            (7, 24, "`colour` is no claim that the configuration declares (name it in `revocation.claims`"),
            (8, 24, "`claim` is empty"),
        ],
    );
    for kind in ["kid", "tenant", "client", "api_key", "subject", "session", "jti"] {
        let text = format!("- {{kind: {kind}}}\n");
        refuse(&text, &[(1, 3, "without `issuer`"), (1, 3, "without `value`")]);
    }
    let of = |kind: Kind, issuer: &str, claim: &str, value: &str| Entry {
        issuer: issuer.into(),
        claim: claim.into(),
        ..entry(kind, value, None, None)
    };
    let a = "https://a.example/";
    for (text, expected) in [
        (r#"{"kind": "all"}"#, of(Kind::All, "", "", "")),
        (r#"{"kind": "issuer", "issuer": "https://a.example/"}"#, of(Kind::Issuer, a, "", "")),
        // Said twice is said once.
        (
            r#"{"kind": "issuer", "issuer": "https://a.example/", "value": "https://a.example/"}"#,
            of(Kind::Issuer, a, "", ""),
        ),
        (
            r#"{"kind": "claim", "issuer": "https://a.example/", "claim": "device_id", "value": "d"}"#,
            of(Kind::Claim, a, "device_id", "d"),
        ),
        // While there is one issuer, which one is meant is plain.
        (r#"{"kind": "claim", "claim": "device_id", "value": "d"}"#, of(Kind::Claim, a, "device_id", "d")),
        (
            r#"{"kind": "api_key", "issuer": "https://a.example/", "value": "k"}"#,
            of(Kind::ApiKey, a, "", "k"),
        ),
        (r#"{"kind": "kid", "issuer": "https://a.example/", "value": "k"}"#, of(Kind::Kid, a, "", "k")),
    ] {
        assert_eq!(read(&format!("[{text}]")), Ok(vec![expected.clone()]), "{text}");
        assert_eq!(read(&format!("- {text} # YAML\n")), Ok(vec![expected]), "{text}");
    }
    let two = config(vec![issuer("a", KeySource::Discovery), issuer("b", KeySource::Discovery)]);
    let text = "[{kind: claim, claim: device_id, value: d}]";
    let refused = parse(text, "revoked.yaml", &two, NumericDate(NOW)).expect_err("whose?");
    assert_eq!(said(refused.list)[0].2.split(" (").next(), Some("an entry without `issuer`"));
}

/// Of all issuers the longest life: tokens of any are meant.
#[test]
fn the_end_of_a_watermark_for_all_is_the_latest_of_all() {
    let long =
        Issuer { max_token_lifetime: Duration::from_secs(90_000), ..issuer("b", KeySource::Discovery) };
    let config = config(vec![long, issuer("a", KeySource::Discovery)]);
    let (entries, _) =
        parse("[{kind: all, not_before: 500}]", "revoked.yaml", &config, NumericDate(NOW)).expect("entries");
    assert_eq!(entries[0].expires, Some(NumericDate(500 + 90_030)));
}

fn entry(kind: Kind, value: &str, not_before: Option<i64>, expires: Option<i64>) -> Entry {
    Entry {
        kind,
        issuer: "https://a.example/".into(),
        claim: "".into(),
        value: value.into(),
        not_before: not_before.map(NumericDate),
        expires: expires.map(NumericDate),
        reason: None,
    }
}

#[test]
fn the_end_defaults_to_when_no_such_token_can_be_accepted() {
    let json = |entry: &str| format!("[{{{entry}, \"issuer\": \"https://a.example/\", \"value\": \"v\"}}]");
    for (written, expected) in [
        (r#""kind": "jti""#, entry(Kind::Jti, "v", None, Some(NOW + LIFE))),
        (r#""kind": "jti", "expires": 7"#, entry(Kind::Jti, "v", None, Some(7))),
        (r#""kind": "jti", "not_before": 500"#, entry(Kind::Jti, "v", Some(500), Some(500 + LIFE))),
        (r#""kind": "subject""#, entry(Kind::Subject, "v", None, None)),
        (r#""kind": "session""#, entry(Kind::Session, "v", None, None)),
        (r#""kind": "tenant", "not_before": 500"#, entry(Kind::Tenant, "v", Some(500), Some(500 + LIFE))),
        (r#""kind": "subject", "expires": 7"#, entry(Kind::Subject, "v", None, Some(7))),
        (r#""kind": "subject", "not_before": 500"#, entry(Kind::Subject, "v", Some(500), Some(500 + LIFE))),
        (
            r#""kind": "subject", "not_before": 500, "expires": 9"#,
            entry(Kind::Subject, "v", Some(500), Some(9)),
        ),
    ] {
        // JSON is YAML too: a comment keeps the second from being read as JSON.
        let text = json(written);
        assert_eq!(read(&text), Ok(vec![expected.clone()]), "{text}");
        assert_eq!(read(&format!("# list\n{text}")), Ok(vec![expected]), "{text}");
    }
}

#[test]
fn scalars_are_taken_as_written() {
    let found = read(
        "- kind: subject\n  issuer: https://a.example/\n  value: 0123\n  reason: left\n\
         - {kind: jti, issuer: 'https://a.example/', value: yes, not_before: 10, expires: 20}\n\
         - {kind: jti, issuer: https://a.example/, value: \"\\u00e4\\n\"}\n",
    );
    let left = Entry { reason: Some("left".into()), ..entry(Kind::Subject, "0123", None, None) };
    let expected = vec![
        left,
        entry(Kind::Jti, "yes", Some(10), Some(20)),
        entry(Kind::Jti, "ä\n", None, Some(NOW + LIFE)),
    ];
    assert_eq!(found, Ok(expected));
    assert_eq!(read("[]\n"), Ok(Vec::new()));
}

/// Entries of an issuer that was removed match no token, and must not block every later reload.
#[test]
fn an_issuer_that_is_not_configured_is_a_warning() {
    let yaml = "- {kind: jti, issuer: https://a.example/, value: v}\n\
                - {kind: jti, issuer: https://gone.example/, value: v}\n\
                - {kind: subject, issuer: https://c.example/, value: v}\n\
                - {kind: jti, issuer: https://gone.example/, value: w, expires: 1000007}\n";
    let json = "[{\"kind\": \"jti\", \"issuer\": \"https://a.example/\", \"value\": \"v\"},\n\
                {\"kind\": \"jti\", \"issuer\": \"https://gone.example/\", \"value\": \"v\"},\n\
                {\"kind\": \"subject\", \"issuer\": \"https://c.example/\", \"value\": \"v\"},\n\
                {\"kind\": \"jti\", \"issuer\": \"https://gone.example/\", \"value\": \"w\", \"expires\": 1000007}]\n";
    for (text, column) in [(yaml, [23, 27]), (json, [27, 31])] {
        let (entries, warnings) = read_with_warnings(text).expect("entries");
        let of = |issuer: &str, entry| Entry { issuer: issuer.into(), ..entry };
        let expected = [
            entry(Kind::Jti, "v", None, Some(NOW + LIFE)),
            of("https://gone.example/", entry(Kind::Jti, "v", None, Some(NOW + LIFE))),
            of("https://c.example/", entry(Kind::Subject, "v", None, None)),
            of("https://gone.example/", entry(Kind::Jti, "w", None, Some(NOW + 7))),
        ];
        assert_eq!(entries, expected);
        let hint = "(an entry is scoped by an issuer's `iss`, exactly as configured)";
        let warning = |line, column, what: &str| {
            (line, column, format!("no issuer of the configuration is `{what} no token {hint}"))
        };
        assert_eq!(
            warnings,
            [
                warning(2, column[0], "https://gone.example/`: 2 entries match"),
                warning(3, column[1], "https://c.example/`: the entry matches"),
            ]
        );
    }
    let many: String =
        (0..100).map(|n| format!("- {{kind: jti, issuer: https://{n}.example/, value: v}}\n")).collect();
    assert_eq!(read_with_warnings(&many).expect("entries").1.len(), super::MOST_STRANGERS);
}

#[test]
fn entries_that_have_ended_are_one_warning() {
    for (dates, words) in [
        (vec!["expires: 1000001", "not_before: 999000"], None),
        (vec!["expires: 1000000", "expires: 1000001"], Some("an entry has ended")),
        (vec!["expires: 7", "expires: 1000001", "not_before: 5"], Some("2 entries have ended")),
    ] {
        let entry = |date: &str| format!("- {{kind: jti, issuer: https://a.example/, value: v, {date}}}\n");
        let text: String = dates.into_iter().map(entry).collect();
        let (_, warnings) = read_with_warnings(&text).expect("entries");
        assert_eq!(warnings.len(), usize::from(words.is_some()), "{text}{warnings:?}");
        let said = warnings.first().map(|(_, _, what)| what.as_str()).unwrap_or_default();
        assert!(said.contains(words.unwrap_or_default()), "{text}{said}");
    }
}

/// Which issuer's life would bound the tokens of a stranger is not known: the longest is safe.
#[test]
fn the_end_of_a_stranger_is_the_latest_of_all() {
    let long = Issuer {
        name: "b".into(),
        issuer: "https://b.example/".into(),
        max_token_lifetime: Duration::from_secs(90_000),
        ..issuer("b", KeySource::Discovery)
    };
    let text = "[{kind: jti, issuer: https://gone.example/, value: v}]";
    let ends = |issuers: Vec<Issuer>| {
        let (entries, _) = parse(text, "revoked.yaml", &config(issuers), NumericDate(NOW)).expect("entries");
        entries[0].expires.map(|end| end.0)
    };
    assert_eq!(ends(vec![long, issuer("a", KeySource::Discovery)]), Some(NOW + 90_030));
    assert_eq!(ends(Vec::new()), Some(NOW));
}

/// Read as JSON or, as soon as anything is wrong, as YAML: the same verdict, with positions.
#[test]
fn a_json_file_with_a_problem_is_refused_with_its_place() {
    refuse(
        "[\n {\"kind\": \"jti\", \"issuer\": \"https://a.example/\", \"value\": \"v\"},\n \
         {\"kind\": \"jto\", \"issuer\": \"https://b.example/\", \"value\": \"v\"}\n]\n",
        &[(3, 11, "no kind `jto`")],
    );
    refuse(
        r#"[{"kind": "jti", "issuer": "https://a.example/", "value": "v", "expires": 1767225600000}]"#,
        &[(1, 75, "milliseconds")],
    );
    refuse(
        r#"[{"kind": "jti", "issuer": "https://a.example/", "value": "v", "kind": "jti"}]"#,
        &[(1, 64, "duplicate")],
    );
    refuse(r#"[{"kind": "jti", "issuer": "https://a.example/", "value": ""}]"#, &[(1, 59, "empty")]);
}

#[test]
fn a_large_list_is_no_problem() {
    let entry =
        r#"{"kind": "jti", "issuer": "https://a.example/", "value": "3f2504e0-4f89-11d3-9a0c-0305e82c3301"}"#;
    let json = format!("[{}]", vec![entry; 20_000].join(",\n"));
    assert_eq!(read(&json).map(|entries| entries.len()), Ok(20_000));
    let yaml = format!("- {entry}\n").repeat(20_000);
    assert_eq!(read(&yaml).map(|entries| entries.len()), Ok(20_000));
}

#[test]
fn aliases_cannot_blow_it_up() {
    let mut bomb = String::from("- &a0 {kind: jti, issuer: https://a.example/, value: v}\n");
    for level in 1..30 {
        let below = format!("*a{}", level - 1);
        bomb.push_str(&format!("- &a{level} [{}]\n", [below.as_str(); 9].join(", ")));
    }
    assert!(read(&bomb).is_err());
}
