//! The five systems that `config/systems` rebuilds are configuration: the source knows nothing of any of them.

use crate::source::Source;

/// Names, prefixes, headers and messages of theirs, whatever their case.
const OURS: &[&str] = &[
    "trompa",
    "jexia",
    "weavy",
    "prequel",
    "pubq",
    "ce-api",
    "x-app-id",
    "x-api-key",
    "digitaldocument",
    "musiccomposition",
    "controlaction",
    "createperson",
    "jwt_auth_keys",
    "scoped_token",
    "no authorization token",
    "your token is expired",
    "not authorized for this resource",
    "combination is not correct",
];

/// Words that only their case tells from ours, or their surroundings: methods of signing in, members, paths, scopes.
const OURS_AS_WRITTEN: &[&str] = &["apk", " ums:", "apiKey", "/ds/", ":ds/", "/fs/", "/ums/", "clientId"];

/// What is short enough to be anybody's: `/auth`, `/refresh`, `ok`.
const ANYBODYS: usize = 12;

/// What reads like a path of theirs, and is anybody's.
const COMMON: &[&str] = &["/public/{*rest}", "/{identifier}"];

/// What a configuration says that no source may say: its own name, the paths of its endpoints and routes, the prefixes of
/// its tokens and keys, and its messages, all in lower case.
pub fn words(stem: &str, text: &str) -> Vec<String> {
    let mut words = vec![stem.to_owned()];
    for line in text.lines().map(|line| line.split(" #").next().unwrap_or_default()) {
        let key = line.strip_prefix("  ").filter(|rest| !rest.starts_with([' ', '#']));
        let path =
            key.and_then(|key| key.split_once(": ").or_else(|| key.strip_suffix(':').map(|key| (key, ""))));
        let path = path.and_then(|(key, _)| key.find('/').map(|at| &key[at..]));
        words.extend(path.filter(|path| path.len() >= ANYBODYS && !COMMON.contains(path)).map(str::to_owned));
        words.extend(prefixes(line));
        let said = line.split("message: \"").skip(1).filter_map(|rest| rest.split('"').next());
        words.extend(
            said.flat_map(|said| said.split(['{', '}']))
                .map(str::to_owned)
                .filter(|said| said.len() >= ANYBODYS),
        );
    }
    words.iter().map(|word| word.to_lowercase()).collect()
}

/// What tokens or keys begin with: `prefix: a_`, or `prefixes: {a_: …, b_: …}`.
fn prefixes(line: &str) -> Vec<String> {
    let word = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    let places = line.split(word).filter(|word| word.ends_with('_') && word.len() > 2);
    places.map(str::to_owned).collect()
}

/// Reports every line of the source, its comments too, that has one of the words.
pub fn strangers(source: &Source, words: &[String], report: &mut Vec<String>) {
    if !source.path.starts_with("src/") {
        return;
    }
    for (index, written) in source.text.lines().enumerate() {
        let line = written.to_lowercase();
        let mut all = words.iter().map(String::as_str).chain(OURS.iter().copied());
        let as_written = || OURS_AS_WRITTEN.iter().copied().find(|word| written.contains(word));
        if let Some(word) = all.find(|word| line.contains(word)).or_else(as_written) {
            report.push(format!("{}:{}: `{word}` belongs to config/systems", source.path, index + 1));
        }
    }
}

#[test]
fn what_belongs_to_one_system_is_found_in_the_source() {
    let text = "tokens:\n  user:\n    prefix: wyu_\nendpoints:\n  POST /actions/make-a-token: {issue: user}\n  \
                POST /auth:\n    errors: {\"*\": {body: {message: \"A pair {scope} is not right\"}}}\n";
    let words = words("acme", text);
    assert_eq!(words, ["acme", "wyu_", "/actions/make-a-token", " is not right"], "{words:?}");
    let found = |path: &str, text: &str| {
        let mut report = Vec::new();
        strangers(&Source::new(path, text), &words, &mut report);
        report.len()
    };
    assert_eq!(found("src/a.rs", "// like `wyu_…`\nlet a = \"/actions/make-a-token\";\n// for ACME"), 3);
    assert_eq!(found("src/a.rs", "// Jexia's\n"), 1);
    assert_eq!(found("src/a.rs", "{apk: keys}\n\"/ds/{set}\"\nbody: apiKey\nlet api_keys = ApiKeys;"), 3);
    assert_eq!(found("src/a.rs", "\"/auth\"\n"), 0);
    assert_eq!(found("tests/a.rs", "\"wyu_\"\n"), 0);
}
