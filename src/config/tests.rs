//! The whole of it: text in, configuration or problems out.

mod accepted;
mod authority;
mod examples;
mod graphql;
mod printed;
pub(in crate::config) mod processor;
mod reference;
mod refused;
mod robust;
mod schema;
mod secrets;

use std::path::Path;

use crate::config::problems::{Problem, Problems};
use crate::config::{Config, Context, parse};

/// Parses as if the file stood in `/etc/portcullis`, with a few environment variables set.
fn read(text: &str) -> Result<(Config, Vec<Problem>), Problems> {
    let env = |name: &str| {
        let value = match name {
            "PORT" => "8081",
            "ISSUER" => "https://env.example.com/",
            "FLAG" => "true",
            "DURATION" => "7s",
            "BAD" => "hunter2 is no address",
            "EMPTY" => "",
            _ => return None,
        };
        Some(value.to_owned())
    };
    parse(text, &Context { name: "gate.yaml", directory: Path::new("/etc/portcullis"), env: &env })
}

/// The configuration, which must have no problem.
fn config(text: &str) -> Config {
    match read(text) {
        Ok((config, _)) => config,
        Err(problems) => panic!("{problems}\nin\n{text}"),
    }
}

/// Everything that is wrong with a text, which must be something.
fn problems(text: &str) -> Problems {
    match read(text) {
        Ok(_) => panic!("no problem with\n{text}"),
        Err(problems) => problems,
    }
}

/// A valid file in which these top-level keys are replaced, added, or (with an empty text) left out.
fn file(changes: &[(&str, &str)]) -> String {
    let mut sections = vec![
        ("version", "1"),
        ("listeners", "[127.0.0.1:8080]"),
        ("upstreams", "{api: http://127.0.0.1:3000}"),
        ("issuers", "{corp: {issuer: https://login.example.com/, audience: https://api.example.com}}"),
        ("routes", "{/x: authenticated}"),
    ];
    for (key, text) in changes {
        match sections.iter_mut().find(|(known, _)| known == key) {
            Some(section) => section.1 = text,
            None => sections.push((key, text)),
        }
    }
    let shown = sections.iter().filter(|(_, text)| !text.is_empty());
    shown.map(|(key, text)| format!("{key}: {text}\n")).collect()
}

/// An issuer with these keys beside the required two.
fn issuer(more: &str) -> String {
    file(&[("issuers", &format!("{{corp: {{issuer: https://login.example.com/, audience: a, {more}}}}}"))])
}

/// A route with these keys beside `require`.
fn route(more: &str) -> String {
    file(&[("routes", &format!("{{/x: {{require: authenticated, {more}}}}}"))])
}
