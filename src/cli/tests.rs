//! Command lines: what is refused, how each ends, and where it is written.

use super::*;

/// Runs a command line; returns how it ended, standard output and standard error.
fn run(line: &[&str], input: &str) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut input = input.as_bytes();
    let arguments = std::iter::once("portcullis").chain(line.iter().copied()).map(OsString::from);
    let exit = main(arguments, &mut Terminal { input: &mut input, out: &mut out, err: &mut err });
    let text = |octets| String::from_utf8(octets).expect("text");
    (exit, text(out), text(err))
}

#[track_caller]
fn check(line: &[&str], exit: Exit, says: &str) {
    let (ended, out, err) = run(line, "");
    assert_eq!(ended, exit, "{line:?}\n{out}{err}");
    let text = if exit == Exit::Fine { &out } else { &err };
    assert!(text.contains(says), "{says} is not in\n{text}");
    if exit != Exit::Fine {
        assert_eq!(out, "", "{line:?} wrote a result");
    }
}

#[test]
fn a_wrong_command_line_is_usage() {
    check(&[], Exit::Usage, "Usage");
    check(&["rum"], Exit::Usage, "run");
    check(&["run"], Exit::Usage, "--config");
    check(&["check", "--conf", "x"], Exit::Usage, "--conf");
    check(&["explain", "--config", "x"], Exit::Usage, "--url");
    check(&["explain", "--config", "x", "--url", "orders"], Exit::Usage, "begins with");
    check(&["explain", "--config", "x", "--url", "/", "--header", "X"], Exit::Usage, "Name: value");
    check(&["explain", "--config", "x", "--url", "/", "--at", "soon"], Exit::Usage, "RFC 3339");
    check(&["test", "--config", "x"], Exit::Usage, "TESTS.yaml");
    check(&["revoke", "add", "--config", "x"], Exit::Usage, "--kind");
    check(&["revoke", "add", "--config", "x", "--kind", "all", "--expires", "soon"], Exit::Usage, "RFC 3339");
    check(&["revoke", "lift", "--config", "x"], Exit::Usage, "IDS");
    check(&["revoke", "import", "--config", "x"], Exit::Usage, "FROM");
    check(&["keys", "generate", "--algorithm", "HS256", "--out", "x"], Exit::Usage, "key pairs");
    check(&["token", "mint", "--key", "x", "--claims", "[]"], Exit::Usage, "JSON object");
    check(&["token", "mint", "--key", "x", "--claims", "{}", "--expires-in", "1w"], Exit::Usage, "duration");
    check(&["token", "mint", "--key", "/nowhere/at/all", "--claims", "{}"], Exit::Usage, "/nowhere/at/all");
}

#[test]
fn a_store_is_named_in_one_way() {
    check(&["store"], Exit::Usage, "backup");
    check(&["store", "migrate"], Exit::Usage, "--config");
    check(&["store", "migrate", "--config", "x", "--sqlite", "y"], Exit::Usage, "cannot be used with");
    check(&["store", "backup", "--sqlite", "x"], Exit::Usage, "TO");
    check(&["store", "backup", "--sqlite", "/nowhere/at/all", "x"], Exit::Refused, "/nowhere/at/all");
}

#[test]
fn a_store_is_copied_restored_and_migrated() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("text").to_owned();
    let (store, copy) = (path("p.db"), path("copy.db"));
    check(&["store", "migrate", "--sqlite", &store], Exit::Fine, "version 0 to 3: done");
    check(&["store", "migrate", "--sqlite", &store], Exit::Fine, "version 3 to 3: nothing to do");
    check(&["store", "backup", "--sqlite", &store, &copy], Exit::Fine, "copy.db");
    check(&["store", "backup", "--sqlite", &store, &copy], Exit::Refused, "there is a file already");
    let (exit, out, err) = run(&["store", "restore", "--sqlite", &store, &copy], "");
    assert_eq!((exit, out), (Exit::Fine, format!("{store}\n")));
    assert!(err.contains("is kept") && !err.contains("warning"), "{err}");
    let held = crate::store::Store::open(Path::new(&store)).expect("opened");
    check(&["store", "restore", "--sqlite", &store, &copy], Exit::Taken, "is in use by process");
    check(&["store", "migrate", "--sqlite", &store], Exit::Taken, "is in use by process");
    drop(held);
    std::fs::write(&copy, "something else").expect("written");
    check(&["store", "restore", "--sqlite", &store, &copy], Exit::Refused, "no store of Portcullis");
}

#[test]
fn a_missing_file_of_tests_is_bad_configuration() {
    check(&["test", "--config", "x", "/nowhere.yaml"], Exit::Configuration, "/nowhere.yaml");
}

#[test]
fn help_and_version_are_results() {
    check(&["--version"], Exit::Fine, env!("CARGO_PKG_VERSION"));
    check(&["--help"], Exit::Fine, "explain");
    check(&["token", "mint", "--help"], Exit::Fine, "--expires-in");
}

#[test]
fn a_token_is_inspected_from_either_place() {
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.";
    for (line, input) in [(vec!["token", "inspect", token], ""), (vec!["token", "inspect"], token)] {
        let (exit, out, err) = run(&line, input);
        assert_eq!(exit, Exit::Fine, "{err}");
        assert!(out.contains("\"sub\": \"a\""), "{out}");
    }
    check(&["token", "inspect", "x"], Exit::Refused, "3 parts");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let arguments = ["portcullis", "--help"].map(OsString::from);
    let (mut err, mut input) = (Vec::new(), io::empty());
    let exit = main(arguments, &mut Terminal { input: &mut input, out: &mut Closed, err: &mut err });
    assert_eq!(exit, Exit::Fine);
}
