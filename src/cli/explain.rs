//! `portcullis explain`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::cli;
use crate::cli::request::{Described, Told, Verdict};
use crate::cli::terminal::{Exit, Terminal, visible};
use crate::cli::time;
use crate::config::defaults::GRAPHQL_BODY_MAX;
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
    /// The request's body, for a route of GraphQL; no other is decided by it.
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
    let body = match arguments.body.as_deref().map(body).transpose() {
        Ok(body) => body.unwrap_or_default(),
        Err(error) => return terminal.end(Exit::Usage, format!("--body: {error}")),
    };
    let described = match Described::new(&arguments.method, &arguments.url, &arguments.headers) {
        Ok(described) => described.with_body(body),
        Err(what) => return terminal.end(Exit::Usage, what),
    };
    let loaded = match cli::load(&arguments.config, terminal)? {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let (limits, kept) = (loaded.config.limits, loaded.config.store.is_some());
    let (_publisher, reader) = snapshot::channel(loaded.change);
    let told = described.explain(&limits, &reader.load(), arguments.at.unwrap_or_else(time::now));
    if arguments.json {
        writeln!(terminal.out, "{:#}", as_json(&told))?;
    } else {
        write!(terminal.out, "{}", as_text(&told))?;
    }
    let reason = told.verdict.reason();
    if reason == Some(Reason::KeysUnavailable) {
        writeln!(
            terminal.err,
            "note: explain fetches nothing and looks nothing up: an issuer's fetched keys come from key_mirror alone, and \
             tokens that are not signed are unknown to it"
        )?;
    }
    if kept && reason.is_none() {
        writeln!(
            terminal.err,
            "note: explain does not open the store: what was revoked by the admin listener is not asked"
        )?;
    }
    Ok(if reason.is_none() { Exit::Fine } else { Exit::Refused })
}

/// As much of a file as any route reads of a body, and an octet more.
fn body(path: &Path) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    File::open(path)?.take(GRAPHQL_BODY_MAX + 1).read_to_end(&mut octets)?;
    Ok(octets)
}

/// One line a step, and the verdict.
pub fn as_text(told: &Told) -> String {
    let width = told.steps.iter().map(|(step, _)| step.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (step, what) in &told.steps {
        text += &format!("{step:width$}  {}\n", visible(&what.replace('\n', " ")));
    }
    text + &format!("=> {}\n", visible(&verdict(&told.verdict)))
}

/// The verdict in a few words.
fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allowed(allowed) => {
            let mut text = format!("allowed by route \"{}\"", allowed.route);
            for (what, value) in [("issuer", &allowed.issuer), ("subject", &allowed.subject)] {
                text += &value.as_ref().map(|value| format!(", {what} {value}")).unwrap_or_default();
            }
            for (name, value) in &allowed.headers {
                text += &format!("\n   {name}: {value}");
            }
            let shadow = allowed.shadow.map(|reason| {
                format!("\n   only in shadow: would be refused with {} {}", reason.status(), reason.code())
            });
            text + &shadow.unwrap_or_default()
        }
        Verdict::Answered { route, endpoint, issuer, subject } => {
            let mut text = format!("answered by endpoint \"{endpoint}\" of route \"{route}\"");
            for (what, value) in [("issuer", issuer), ("subject", subject)] {
                text += &value.as_ref().map(|value| format!(", {what} {value}")).unwrap_or_default();
            }
            text + "\n   what it answers is not known here: its credential, its body and what is kept are not looked at"
        }
        Verdict::Conversation(route) => {
            format!("a WebSocket of route \"{route}\": its operations are decided one by one")
        }
        Verdict::Preflight(route) => format!("answered as a CORS preflight of route \"{route}\""),
        Verdict::Refused { reason, status, detail } => {
            let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
            format!("refused: {status} {}{detail}", reason.code())
        }
    }
}

fn as_json(told: &Told) -> Value {
    let mut text = match &told.verdict {
        Verdict::Allowed(allowed) => json!({
            "allowed": true,
            "route": allowed.route,
            "issuer": allowed.issuer,
            "subject": allowed.subject,
            "headers": allowed.headers,
            "shadow": allowed.shadow.map(Reason::code),
        }),
        Verdict::Answered { route, endpoint, issuer, subject } => json!({
            "allowed": true,
            "route": route,
            "endpoint": endpoint,
            "issuer": issuer,
            "subject": subject,
        }),
        Verdict::Conversation(route) => json!({"allowed": true, "route": route, "conversation": true}),
        Verdict::Preflight(route) => json!({"allowed": true, "route": route, "preflight": true}),
        Verdict::Refused { reason, status, detail } => json!({
            "allowed": false,
            "reason": reason.code(),
            "status": status,
            "detail": detail,
        }),
    };
    let step = |(step, what): &(&'static str, String)| json!({"step": step, "what": what});
    text["steps"] = told.steps.iter().map(step).collect();
    text
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written 'Name: value'")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}
