//! Rules about the code that no compiler checks: the layers, what the core may touch, what a file must say.
//!
//! Each rule is a function from a file to findings, and each is shown to fire on a small bad file: a rule that
//! cannot fail is none. `cargo test --test tidy` runs them alone.

#![allow(
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test fails by panicking and exports nothing"
)]

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/systems.rs"]
mod systems;

use std::fs;
use std::path::Path;

use crate::source::{Source, walk};

/// A rule looks at one file.
type Rule = fn(&Source, &mut Vec<String>);

/// The rules for every Rust file.
const RULES: &[Rule] = &[
    layers::edges,
    layers::bans,
    module_doc,
    size,
    file_name,
    imports,
    tests_apart,
    marks,
    sleeps,
    reasons,
    external,
    white_space,
];

const LINES_MAX: usize = 500;

#[test]
fn the_code_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(root);
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "the sources were found");
    let mut report = Vec::new();
    for source in &sources {
        for rule in RULES {
            rule(source, &mut report);
        }
        if source.path == "src/lib.rs" {
            layers::map(source, &mut report);
        }
    }
    reachable(&sources, &mut report);
    nap_allowance(&sources, &mut report);
    for path in plain_files(root) {
        white_space(&Source::read(root, &path), &mut report);
    }
    let configs = walk(root, "config", &|path| path.ends_with(".yaml"));
    configurations_run(&configs, &sources, &mut report);
    let words = words_of_systems(root);
    sources.iter().for_each(|source| systems::strangers(source, &words, &mut report));
    readme(&fs::read_to_string(root.join("README.md")).unwrap_or_default(), &mut report);
    assert!(report.is_empty(), "{} findings\n{}", report.len(), report.join("\n"));
}

fn sources(root: &Path) -> Vec<Source> {
    ["src", "tests", "benches"]
        .into_iter()
        .flat_map(|directory| walk(root, directory, &|path| path.ends_with(".rs") && !is_built(path)))
        .map(|path| Source::read(root, &path))
        .collect()
}

/// What `config/systems` says that the source may not say.
fn words_of_systems(root: &Path) -> Vec<String> {
    let stems = walk(root, "config/systems", &|path| path.ends_with(".yaml"));
    assert!(stems.len() >= 5, "the five systems: {stems:?}");
    let words = |path: &String| {
        let stem = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".yaml");
        systems::words(stem, &fs::read_to_string(root.join(path)).expect("a configuration"))
    };
    stems.iter().flat_map(words).collect()
}

/// Text that is no Rust: what people edit, and not the octets that tests send.
fn plain_files(root: &Path) -> Vec<String> {
    const TOP: &[&str] = &[
        "Cargo.toml",
        "README.md",
        "CHANGELOG.md",
        ".clippy.toml",
        ".deny.toml",
        ".rustfmt.toml",
        ".ci/run",
    ];
    let kinds = [".yaml", ".yml", ".toml", ".json", ".md", ".mjs", ".py", ".html", ".service", "Dockerfile"];
    let mut files: Vec<String> = TOP.iter().map(|&path| path.to_owned()).collect();
    for directory in ["config", "deploy", "tests/systems", ".cargo", ".config", ".github"] {
        files.extend(walk(root, directory, &|path| kinds.iter().any(|kind| path.ends_with(kind))));
    }
    files.retain(|path| root.join(path).is_file());
    files
}

fn is_built(path: &str) -> bool {
    ["target", "artifacts", "corpus", "coverage"].iter().any(|part| path.contains(&format!("/fuzz/{part}/")))
}

/// Reports every line of the code for which `what` has something to say.
fn each_line(source: &Source, report: &mut Vec<String>, what: impl Fn(&str) -> Option<String>) {
    for (index, line) in source.code.lines().enumerate() {
        if let Some(what) = what(line) {
            report.push(format!("{}:{}: {what}", source.path, index + 1));
        }
    }
}

/// A file begins by saying what it is; the unit tests beside a file say it with their place.
fn module_doc(source: &Source, report: &mut Vec<String>) {
    let beside = source.path.starts_with("src/") && source.is_test();
    if !beside && !source.text.starts_with("//! ") {
        report.push(format!("{}:1: no module documentation", source.path));
    }
}

/// A file can be read at one sitting.
fn size(source: &Source, report: &mut Vec<String>) {
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        report.push(format!("{}: {lines} lines, more than {LINES_MAX}: split it", source.path));
    }
}

/// A room is named after what is in it.
fn file_name(source: &Source, report: &mut Vec<String>) {
    let name = source.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    if name == "mod" {
        report.push(format!("{}: `name.rs` beside `name/`, never `mod.rs`", source.path));
    }
    if ["util", "utils", "helper", "helpers", "common", "misc", "manager", "handler"].contains(&name) {
        report.push(format!("{}: a name that says nothing: move it to its noun", source.path));
    }
}

/// One way to spell an import: `use crate::module::Item;`, and each item has one name.
fn imports(source: &Source, report: &mut Vec<String>) {
    if source.is_test() {
        return;
    }
    each_line(source, report, |line| {
        let line = line.trim_start();
        let reexport = line.strip_prefix("pub").is_some_and(|rest| {
            let rest = rest.trim_start();
            let rest =
                if rest.starts_with('(') { rest.split_once(')').map_or("", |(_, rest)| rest) } else { rest };
            rest.trim_start().starts_with("use ")
        });
        if reexport {
            Some("a re-export: an item has one path".to_owned())
        } else if line.contains("super::") {
            Some("`super::` outside tests: spell it `crate::`".to_owned())
        } else if line.starts_with("use self::") {
            Some("`self::` in an import: spell it `crate::`".to_owned())
        } else {
            None
        }
    });
    for named in source.paths() {
        if named.segments.last().is_some_and(|last| last == "*") {
            report.push(format!("{}:{}: a glob import outside tests", source.path, named.line));
        }
    }
}

/// Unit tests stand in a sibling file.
fn tests_apart(source: &Source, report: &mut Vec<String>) {
    if !source.is_test() {
        each_line(source, report, |line| {
            line.contains("mod tests {")
                .then(|| "tests in the file: move them to `tests.rs` beside it".to_owned())
        });
    }
}

/// Nothing is left half done, and no test is skipped.
fn marks(source: &Source, report: &mut Vec<String>) {
    // Spelled apart, so that this file has none of them.
    let marks = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("db", "g!("),
        concat!("#[ig", "nore"),
    ];
    let words = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];
    for (index, line) in source.text.lines().enumerate() {
        let found = marks.into_iter().find(|mark| line.contains(mark)).or_else(|| {
            let is_word = |word: &&str| line.split(|c: char| !c.is_alphanumeric()).any(|part| part == *word);
            words.into_iter().find(is_word)
        });
        if let Some(found) = found {
            report.push(format!("{}:{}: {found}", source.path, index + 1));
        }
    }
}

fn is_nap(line: &str) -> bool {
    [concat!("thread::", "sleep"), concat!("time::", "sleep")].iter().any(|nap| line.contains(nap))
}

fn is_harness(source: &Source) -> bool {
    source.path.starts_with("tests/it/harness")
}

/// A test waits for what it waits for.
fn sleeps(source: &Source, report: &mut Vec<String>) {
    if source.is_test() && !is_harness(source) {
        each_line(source, report, |line| {
            is_nap(line).then(|| "a sleep in a test: wait on a condition".to_owned())
        });
    }
}

/// The harness has one line that sleeps: the pause of its polling loop.
fn nap_allowance(sources: &[Source], report: &mut Vec<String>) {
    let naps = sources.iter().filter(|source| is_harness(source)).flat_map(|source| source.code.lines());
    let naps = naps.filter(|line| is_nap(line)).count();
    if naps > 1 {
        report.push(format!("tests/it/harness: {naps} lines sleep, and one may"));
    }
}

/// An exception says why.
fn reasons(source: &Source, report: &mut Vec<String>) {
    for start in ["[allow(", "[expect("] {
        for (at, _) in source.code.match_indices(start) {
            let attribute = source.code[at..].split(']').next().unwrap_or_default();
            if source.code[..at].ends_with(['#', '!']) && !attribute.contains("reason") {
                let line = source.code[..at].matches('\n').count() + 1;
                report.push(format!("{}:{line}: `#{start}…)]` without a reason", source.path));
            }
        }
    }
}

/// Tests that need other programs are in a module `external`: `cargo test --features external external` runs
/// all of them and nothing else.
fn external(source: &Source, report: &mut Vec<String>) {
    let gate = concat!("feature = \"", "external\"");
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(gate)) {
        let next = lines.get(index + 1).copied().unwrap_or_default();
        if *line != format!("#[cfg({gate})]") || !next.starts_with("mod external") {
            report.push(format!(
                "{}:{}: {gate} gates a module `external` and nothing else",
                source.path,
                index + 1
            ));
        }
    }
}

/// What an editor should have done.
fn white_space(source: &Source, report: &mut Vec<String>) {
    for (index, line) in source.text.split('\n').enumerate() {
        let what = if line.contains('\r') {
            "a carriage return"
        } else if line.contains('\t') {
            "a tab"
        } else if line.ends_with(' ') {
            "white space at the end"
        } else {
            continue;
        };
        report.push(format!("{}:{}: {what}", source.path, index + 1));
    }
    if !source.text.ends_with('\n') || source.text.ends_with("\n\n") {
        report.push(format!("{}: a file ends with one line feed", source.path));
    }
}

/// No file is forgotten: each is declared by the one above it.
fn reachable(sources: &[Source], report: &mut Vec<String>) {
    for source in sources.iter().filter(|source| source.path.starts_with("src/")) {
        let Some((above, name)) = source.path.trim_end_matches(".rs").rsplit_once('/') else { continue };
        // The first is that of a package.
        let parents = [format!("{above}/lib.rs"), format!("{above}.rs")];
        let declares = |parent: &Source| {
            parents.contains(&parent.path)
                && parent.code.lines().any(|line| line.trim().ends_with(&format!("mod {name};")))
        };
        if !["lib", "main"].contains(&name) && !sources.iter().any(declares) {
            report.push(format!("{}: nobody declares this module", source.path));
        }
    }
}

/// Every YAML file under `config/` is named by a test, or its directory is.
fn configurations_run(configs: &[String], sources: &[Source], report: &mut Vec<String>) {
    for path in configs {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let names = |source: &Source| {
            let whole = directory != "config" && source.text.contains(directory);
            whole || source.text.contains(path.as_str())
        };
        if !sources.iter().any(|source| source.is_test() && names(source)) {
            report.push(format!("{path}: no test names it"));
        }
    }
}

/// The two commands that a newcomer needs stand at the top.
fn readme(text: &str, report: &mut Vec<String>) {
    let top: Vec<&str> = text.lines().take(20).map(str::trim).collect();
    for command in ["cargo run --release -- demo --once", "cargo test"] {
        if !top.iter().any(|line| line.split(" #").next().unwrap_or_default().trim_end() == command) {
            report.push(format!("README.md: `{command}` does not stand at the top"));
        }
    }
}

fn check(rule: Rule, path: &str, text: &str, findings: usize) {
    let mut report = Vec::new();
    rule(&Source::new(path, text), &mut report);
    assert_eq!(report.len(), findings, "{path}: {text}\n{report:#?}");
}

#[test]
fn a_file_without_a_say_or_a_name_is_found() {
    check(module_doc, "src/a.rs", "use b::c;", 1);
    check(module_doc, "src/a.rs", "//! What it is.\n", 0);
    check(module_doc, "src/a/tests.rs", "use b::c;", 0);
    check(module_doc, "tests/a.rs", "use b::c;", 1);
    check(size, "src/a.rs", &"\n".repeat(LINES_MAX + 1), 1);
    check(size, "src/a.rs", &"\n".repeat(LINES_MAX), 0);
    check(file_name, "src/a/mod.rs", "", 1);
    check(file_name, "tests/it/helpers.rs", "", 1);
    check(file_name, "src/gate/memo.rs", "", 0);
    check(white_space, "src/a.rs", "a \n", 1);
    check(white_space, "src/a.rs", "\ta\n", 1);
    check(white_space, "src/a.rs", "a\r\n", 1);
    check(white_space, "src/a.rs", "a", 1);
    check(white_space, "src/a.rs", "a\n", 0);
}

#[test]
fn an_import_in_another_spelling_is_found() {
    check(imports, "src/a.rs", "pub use crate::b::C;", 1);
    check(imports, "src/a.rs", "pub(crate) use crate::b::C;", 1);
    check(imports, "src/a.rs", "use super::C;", 1);
    check(imports, "src/a.rs", "use self::b::C;", 1);
    check(imports, "src/a.rs", "use crate::b::*;", 1);
    check(imports, "src/a/tests.rs", "use super::*;", 0);
    check(imports, "src/a.rs", "use crate::b::C;\npub mod d;\npub fn user() {}", 0);
    check(tests_apart, "src/a.rs", "#[cfg(test)]\nmod tests {}", 1);
    check(tests_apart, "src/a.rs", "#[cfg(test)]\nmod tests;", 0);
}

#[test]
fn what_is_unfinished_asleep_or_unexplained_is_found() {
    for mark in
        [concat!("to", "do!()"), concat!("db", "g!(x)"), concat!("// TO", "DO: x"), concat!("#[ig", "nore]")]
    {
        check(marks, "src/a.rs", mark, 1);
    }
    check(marks, "src/a.rs", "// A to-do list, and toDOs.", 0);
    let nap = concat!("std::thread::", "sleep(x);");
    check(sleeps, "tests/it/limits.rs", nap, 1);
    check(sleeps, "tests/it/limits.rs", concat!("tokio::time::", "sleep(x).await;"), 1);
    check(sleeps, "tests/it/harness.rs", nap, 0);
    let mut report = Vec::new();
    nap_allowance(&[Source::new("tests/it/harness.rs", nap)], &mut report);
    assert!(report.is_empty(), "{report:?}");
    nap_allowance(&[Source::new("tests/it/harness.rs", &format!("{nap}\n{nap}"))], &mut report);
    assert_eq!(report.len(), 1);
    check(reasons, "src/a.rs", "#[allow(dead_code)]", 1);
    check(reasons, "tests/a.rs", "#![expect(\n  dead_code\n)]", 1);
    check(reasons, "src/a.rs", "#[expect(dead_code, reason = \"x\")]", 0);
    let gate = concat!("#[cfg(feature = \"", "external\")]");
    check(external, "tests/a.rs", &format!("{gate}\nmod external {{"), 0);
    check(external, "tests/a.rs", &format!("{gate}\n#[test]\nfn a() {{}}"), 1);
}

#[test]
fn a_forgotten_file_is_found() {
    let lib = Source::new("src/lib.rs", "pub mod gate;");
    let gate = Source::new("src/gate.rs", "pub mod memo;\nmod tests;");
    let mut report = Vec::new();
    let all = [lib, gate, Source::new("src/gate/memo.rs", ""), Source::new("src/gate/tests.rs", "")];
    reachable(&all, &mut report);
    assert!(report.is_empty(), "{report:?}");
    reachable(&[Source::new("src/lib.rs", "// mod a;"), Source::new("src/a.rs", "")], &mut report);
    assert_eq!(report.len(), 1);

    let test = Source::new("tests/a.rs", "\"config/a.yaml\" \"config/examples\"");
    let configs = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect::<Vec<_>>();
    report.clear();
    configurations_run(&configs(&["config/a.yaml", "config/examples/b.yaml"]), &[test], &mut report);
    assert!(report.is_empty(), "{report:?}");
    configurations_run(&configs(&["config/c.yaml"]), &all, &mut report);
    assert_eq!(report.len(), 1);
}

#[test]
fn a_readme_without_its_commands_is_found() {
    let good = "# Portcullis\n\n    cargo run --release -- demo --once   # a tour\n    cargo test\n";
    let mut report = Vec::new();
    readme(good, &mut report);
    assert!(report.is_empty(), "{report:?}");
    readme(&good.replace("--once", ""), &mut report);
    assert_eq!(report.len(), 1);
    readme(&format!("{}{good}", "\n".repeat(20)), &mut report);
    assert_eq!(report.len(), 3);
}
