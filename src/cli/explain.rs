//! `portcullis explain`.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli;
use crate::cli::request::{Described, Told};
use crate::cli::terminal::{Exit, Terminal, visible};
use crate::cli::time;
use crate::gate::denial::Reason;
use crate::snapshot;
use crate::token::NumericDate;

/// What `explain` is told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The request's method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// The request's URL: a path, or a whole one to name the host.
    #[arg(long)]
    url: String,
    /// A header, as often as needed.
    #[arg(long = "header", value_name = "K: V", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The request's body. No route of this version looks into bodies, so it changes nothing.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// When: Unix seconds or RFC 3339 in UTC; now if absent.
    #[arg(long, value_name = "TIME", value_parser = time::parse, allow_negative_numbers = true)]
    at: Option<NumericDate>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Decides one request by the production `decide` and tells each step.
pub fn explain(arguments: &Arguments, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    if let Some(Err(error)) = arguments.body.as_ref().map(fs::metadata) {
        return terminal.end(Exit::Usage, format!("--body: {error}"));
    }
    let described = match Described::new(&arguments.method, &arguments.url, &arguments.headers) {
        Ok(described) => described,
        Err(what) => return terminal.end(Exit::Usage, what),
    };
    let loaded = match cli::load(&arguments.config, terminal)? {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let limits = loaded.config.limits;
    let (_publisher, reader) = snapshot::channel(loaded.change);
    let told = described.explain(&limits, &reader.load(), arguments.at.unwrap_or_else(time::now));
    if arguments.json {
        writeln!(terminal.out, "{:#}", as_json(&told))?;
    } else {
        write!(terminal.out, "{}", as_text(&told))?;
    }
    if told.verdict == Err(Reason::KeysUnavailable) {
        writeln!(
            terminal.err,
            "note: explain fetches nothing: an issuer's fetched keys come from key_mirror alone"
        )?;
    }
    Ok(if told.verdict.is_ok() { Exit::Fine } else { Exit::Refused })
}

/// One line a step, and the verdict.
pub fn as_text(told: &Told) -> String {
    let width = told.steps.iter().map(|(step, _)| step.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (step, what) in &told.steps {
        text += &format!("{step:width$}  {}\n", visible(&what.replace('\n', " ")));
    }
    text + &format!("=> {}\n", visible(&verdict(told)))
}

/// The verdict in a few words.
pub fn verdict(told: &Told) -> String {
    match &told.verdict {
        Ok(allowed) => {
            let route = format!("allowed by route \"{}\"", allowed.route);
            let issuer = allowed.issuer.as_ref().map(|issuer| format!(", issuer {issuer}"));
            let subject = allowed.subject.as_ref().map(|subject| format!(", subject {subject}"));
            route + &issuer.unwrap_or_default() + &subject.unwrap_or_default()
        }
        Err(reason) => format!("refused: {} {}", reason.status(), reason.code()),
    }
}

fn as_json(told: &Told) -> Value {
    let steps: Vec<Value> =
        told.steps.iter().map(|(step, what)| json!({"step": step, "what": what})).collect();
    match &told.verdict {
        Ok(allowed) => json!({
            "allowed": true,
            "route": allowed.route,
            "issuer": allowed.issuer,
            "subject": allowed.subject,
            "steps": steps,
        }),
        Err(reason) => json!({
            "allowed": false,
            "reason": reason.code(),
            "status": reason.status(),
            "steps": steps,
        }),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written 'Name: value'")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}
