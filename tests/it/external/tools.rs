//! Where the other programs are.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where `.ci/run` puts what no system package brings: corpora, a Python environment, Node modules.
pub fn place() -> PathBuf {
    if let Some(place) = env::var_os("PORTCULLIS_TOOLS") {
        return place.into();
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME")?;
        Some(Path::new(&home).join(".cache"))
    });
    cache.expect("a home directory").join("portcullis/tools")
}

/// A program, looked for there first.
pub fn program(name: &str) -> Command {
    let place = place();
    let ours = ["bin", "usr/bin", "usr/sbin", "venv/bin"].map(|directory| place.join(directory));
    let theirs = env::var_os("PATH").unwrap_or_default();
    let path: OsString = env::join_paths(ours.into_iter().chain(env::split_paths(&theirs))).expect("a path");
    let mut command = Command::new(name);
    command.env("PATH", path).env("PORTCULLIS_TOOLS", place).stdin(Stdio::null());
    command
}

/// The Python that has the packages.
pub fn python() -> String {
    place().join("venv/bin/python").to_string_lossy().into_owned()
}

/// A script beside the tests, run by `interpreter`.
pub fn script(interpreter: &str, name: &str) -> Command {
    let mut command = program(interpreter);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/external").join(name));
    command
}

/// Runs it to its end, which has to be a good one, and gives what it said.
#[track_caller]
pub fn output(command: &mut Command) -> String {
    let run = command.output();
    let Output { status, stdout, stderr } =
        run.unwrap_or_else(|error| panic!("{command:?}: {error}: .ci/run installs it"));
    let (said, complained) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{said}\n{complained}");
    said.into_owned()
}
