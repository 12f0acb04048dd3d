//! `portcullis revoke`: what the admin listener takes, in the same words.

mod importing;

use std::io::{self, Read};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::cli::admin_client::{Admin, Answer, Sent, encoded};
use crate::cli::terminal::{Exit, Terminal, visible};
use crate::cli::time;
use crate::token::NumericDate;

/// The commands about revocations. A running gateway does them, whose admin listener the configuration names.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Revokes; prints the entry's id once it is on the disk and in force.
    Add(Add),
    /// Revokes the token on standard input.
    Token(Presented),
    /// Shows the entries that are in force, one a line.
    List(List),
    /// Lifts entries.
    Lift(Lift),
    /// Revokes what a file says, one entry in JSON a line.
    Import(importing::Import),
}

/// What `revoke add` is told: an entry's own words.
#[derive(Debug, Args)]
pub struct Add {
    /// The configuration of the running gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// all, issuer, kid, tenant, client, api_key, subject, session, jti or claim.
    #[arg(long)]
    kind: String,
    /// Whose tokens: their `iss`.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Of kind claim: which of the declared ones.
    #[arg(long, value_name = "NAME")]
    claim: Option<String>,
    /// What they have there.
    #[arg(long)]
    value: Option<String>,
    /// Only tokens issued before this: `now`, Unix seconds, or RFC 3339 in UTC.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    not_before: Option<Moment>,
    /// When the entry can be forgotten: the same, or from now on, like 30d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    expires: Option<Moment>,
    /// Why, for people.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Says what would be added, and adds nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What `revoke token` is told.
#[derive(Debug, Args)]
pub struct Presented {
    /// The configuration of the running gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// When the entry of its session can be forgotten: `now`, Unix seconds, RFC 3339 in UTC, or from now on, like 30d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    expires: Option<Moment>,
    /// Why, for people.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Says what would be added, and adds nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What `revoke list` is told.
#[derive(Debug, Args)]
pub struct List {
    /// The configuration of the running gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Of this kind only.
    #[arg(long)]
    kind: Option<String>,
    /// Of this issuer only.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Prints JSON, an entry a line.
    #[arg(long)]
    json: bool,
}

/// What `revoke lift` is told.
#[derive(Debug, Args)]
pub struct Lift {
    /// The configuration of the running gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The entries' ids.
    #[arg(required = true)]
    ids: Vec<String>,
}

/// A point in time, perhaps from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Moment {
    At(NumericDate),
    In(i64),
}

/// Runs a command about revocations.
pub fn revoke(command: &Command, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match command {
        Command::Add(arguments) => add(arguments, terminal),
        Command::Token(arguments) => token(arguments, terminal),
        Command::List(arguments) => list(arguments, terminal),
        Command::Lift(arguments) => lift(arguments, terminal),
        Command::Import(arguments) => importing::import(arguments, terminal),
    }
}

fn add(arguments: &Add, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let now = time::now();
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    // What was issued this very second is from before.
    let not_before = arguments.not_before.map(|moment| moment.seconds(now, 1).into());
    let members = [
        ("kind", Some(Value::from(&*arguments.kind))),
        ("issuer", text(&arguments.issuer)),
        ("claim", text(&arguments.claim)),
        ("value", text(&arguments.value)),
        ("not_before", not_before),
        ("expires", arguments.expires.map(|moment| moment.seconds(now, 0).into())),
        ("reason", text(&arguments.reason)),
    ];
    let admin = match Admin::of(&arguments.config, terminal)? {
        Ok(admin) => admin,
        Err(exit) => return Ok(exit),
    };
    send(&admin, &object(members), arguments.dry_run, terminal)
}

fn token(arguments: &Presented, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let admin = match Admin::of(&arguments.config, terminal)? {
        Ok(admin) => admin,
        Err(exit) => return Ok(exit),
    };
    let mut text = Zeroizing::new(String::new());
    if let Err(error) = (&mut *terminal.input).take(INPUT_LIMIT).read_to_string(&mut text) {
        return terminal.end(Exit::Usage, format!("standard input: {error}"));
    }
    let token = text.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
    if token.is_empty() {
        return terminal.end(Exit::Usage, "the token is expected on standard input");
    }
    let expires = arguments.expires.map(|moment| moment.seconds(time::now(), 0).into());
    let reason = arguments.reason.as_deref().map(Value::from);
    let members = [("token", Some(token.into())), ("expires", expires), ("reason", reason)];
    send(&admin, &object(members), arguments.dry_run, terminal)
}

pub(in crate::cli) fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let said = |(name, value): (&str, Option<Value>)| Some((name.to_owned(), value?));
    Value::Object(members.into_iter().filter_map(said).collect::<Map<String, Value>>())
}

/// Sends an entry, and shows what was added.
fn send(admin: &Admin, entry: &Value, dry_run: bool, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let target = format!("{PATH}?dry_run={dry_run}");
    let answer = match admin.ask("POST", &target, &Sent::Json(entry), terminal)? {
        Ok(answer) => answer,
        Err(exit) => return Ok(exit),
    };
    if !matches!(answer.status, 200 | 201) {
        return admin.refused(&answer, terminal);
    }
    for warning in answer.body["warnings"].as_array().into_iter().flatten() {
        let warning = warning.as_str().unwrap_or_default();
        writeln!(terminal.err, "{}", visible(&format!("warning: {warning}")))?;
    }
    for entry in entries(&answer) {
        if dry_run {
            writeln!(terminal.out, "{}", shown(entry))?;
        } else {
            writeln!(terminal.out, "{}", visible(entry["id"].as_str().unwrap_or_default()))?;
            writeln!(terminal.err, "in force: {}", shown(entry))?;
        }
    }
    let matches = &answer.body["matches"];
    if let Some((tokens, of)) = matches["tokens"].as_u64().zip(matches["of"].as_u64()) {
        let streams = matches["streams"].as_u64().unwrap_or_default();
        let what =
            format!("{tokens} of the {of} tokens that the gateway remembers, and end {streams} open streams");
        writeln!(terminal.err, "would stop {what}")?;
    }
    Ok(Exit::Fine)
}

fn list(arguments: &List, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let admin = match Admin::of(&arguments.config, terminal)? {
        Ok(admin) => admin,
        Err(exit) => return Ok(exit),
    };
    let mut first = format!("{PATH}?limit={PAGE}");
    for (name, value) in [("kind", &arguments.kind), ("issuer", &arguments.issuer)] {
        first += &value.as_ref().map(|value| format!("&{name}={}", encoded(value))).unwrap_or_default();
    }
    let mut target = first.clone();
    loop {
        let answer = match admin.ask("GET", &target, &Sent::Nothing, terminal)? {
            Ok(answer) => answer,
            Err(exit) => return Ok(exit),
        };
        if answer.status != 200 {
            return admin.refused(&answer, terminal);
        }
        for entry in entries(&answer) {
            if arguments.json {
                writeln!(terminal.out, "{entry}")?;
            } else {
                let id = visible(entry["id"].as_str().unwrap_or_default());
                writeln!(terminal.out, "{id}  {}", shown(entry))?;
            }
        }
        match answer.body["next"].as_str() {
            Some(next) => target = format!("{first}&after={}", encoded(next)),
            None => return Ok(Exit::Fine),
        }
    }
}

fn lift(arguments: &Lift, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let admin = match Admin::of(&arguments.config, terminal)? {
        Ok(admin) => admin,
        Err(exit) => return Ok(exit),
    };
    let mut exit = Exit::Fine;
    for id in &arguments.ids {
        let answer =
            match admin.ask("DELETE", &format!("{PATH}/{}", encoded(id)), &Sent::Nothing, terminal)? {
                Ok(answer) => answer,
                Err(exit) => return Ok(exit),
            };
        if answer.status == 204 {
            writeln!(terminal.err, "lifted: {}", visible(id))?;
            continue;
        }
        let refused = admin.refused(&answer, terminal)?;
        // The others may still be there.
        if answer.status != 404 {
            return Ok(refused);
        }
        exit = refused;
    }
    Ok(exit)
}

fn entries(answer: &Answer) -> impl Iterator<Item = &Value> {
    answer.body["entries"].as_array().into_iter().flatten()
}

/// An entry for people, on a line.
fn shown(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().map(str::to_owned);
    let date = |name: &str| entry[name].as_i64().map(|date| time::format(NumericDate(date)));
    let parts = [
        text("kind"),
        text("claim").map(|claim| format!("of {claim}")),
        text("issuer"),
        date("not_before").map(|date| format!("issued before {date}")),
        date("expires").map(|date| format!("until {date}")),
        text("reason").map(|reason| format!("({reason})")),
    ];
    visible(&parts.into_iter().flatten().collect::<Vec<_>>().join(" ").replace('\n', " "))
}

/// Reads `now`, a point in time, or how far from now it is.
pub(in crate::cli) fn moment(text: &str) -> Result<Moment, String> {
    if text == "now" {
        return Ok(Moment::In(0));
    }
    if let Ok(date) = time::parse(text) {
        return Ok(Moment::At(date));
    }
    let duration =
        time::parse_duration(text).ok().and_then(|duration| i64::try_from(duration.as_secs()).ok());
    duration.map(Moment::In).ok_or_else(|| {
        "a time is `now`, Unix seconds, RFC 3339 in UTC like 2026-01-31T12:00:00Z, or from now on like 30d".to_owned()
    })
}

impl Moment {
    /// In Unix seconds; what is from now on, so much later.
    pub(in crate::cli) fn seconds(self, now: NumericDate, later: i64) -> i64 {
        match self {
            Self::At(date) => date.0,
            Self::In(seconds) => now.0.saturating_add(seconds).saturating_add(later),
        }
    }
}

/// Where revocations are asked for.
const PATH: &str = "/v1/revocations";
/// Entries that are listed at once.
const PAGE: usize = 1_000;
/// Octets of standard input that are read for a token: far more than any gateway accepts.
const INPUT_LIMIT: u64 = 1024 * 1024;

#[cfg(test)]
mod tests;
