//! graphql-js itself, asked again.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::verdicts::read;

#[test]
fn graphql_js_says_what_was_written_down() {
    let tools = match std::env::var_os("PORTCULLIS_TOOLS") {
        Some(tools) => PathBuf::from(tools),
        None => PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache/portcullis/tools"),
    };
    let verdicts = read();
    let texts: Vec<&str> = verdicts.iter().map(|verdict| verdict.text.as_str()).collect();
    let mut node = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/documents/verdicts.mjs"))
        .arg(tools.join("node/node_modules/graphql"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut input = node.stdin.take().expect("its input");
    input.write_all(&serde_json::to_vec(&texts).expect("texts")).expect("it reads");
    drop(input);
    let output = node.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let shapes: Vec<Option<String>> = serde_json::from_slice(&output.stdout).expect("its answer");
    assert_eq!(shapes.len(), verdicts.len());
    for (verdict, shape) in verdicts.iter().zip(shapes) {
        assert_eq!(verdict.shape, shape, "{:?}", verdict.text);
    }
}
