//! `portcullis api-keys`: what the admin listener takes about API keys, in the same words.

use std::io;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::admin_client::Sent;
use crate::cli::holders::{Has, List, Sort, Which, secret, shown};
use crate::cli::revoke::{Moment, moment};
use crate::cli::terminal::{Exit, Terminal};
use crate::cli::time;

/// The commands about API keys. A running gateway does them, whose admin listener the configuration names.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes a key, and prints it: it is shown this once.
    Add(Add),
    /// Shows the keys, one a line.
    List(List),
    /// Shows a key.
    Show(Which),
    /// Makes a second secret and prints it, or with --remove takes one away.
    Rotate(Rotate),
    /// Refuses a key, and the tokens that were made from it, from now on.
    Disable(Which),
    /// Lets a key that was disabled count again.
    Enable(Which),
    /// Removes a key for good, and refuses the tokens that were made from it.
    Remove(Which),
}

/// What `api-keys add` is told.
#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    has: Has,
    /// Which of the credential's prefixes; the first, unless it is said.
    #[arg(long)]
    prefix: Option<String>,
    /// When it ends: `now`, Unix seconds, RFC 3339 in UTC, or from now on, like 30d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    expires: Option<Moment>,
    /// An id of somebody else's making: then id and secret are presented apart.
    #[arg(long)]
    id: Option<String>,
    /// Where the secret of somebody else's making is, beside such an id; `-` is standard input.
    #[arg(long, value_name = "FILE", requires = "id")]
    secret_file: Option<PathBuf>,
}

/// What `api-keys rotate` is told.
#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    which: Which,
    /// Takes the secret of this number away, and makes none.
    #[arg(long, value_name = "NUMBER")]
    remove: Option<u32>,
}

/// Runs a command about API keys.
pub fn api_keys(command: &Command, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match command {
        Command::Add(arguments) => add(arguments, terminal),
        Command::List(arguments) => KEYS.list(arguments, terminal),
        Command::Show(which) => show(which, terminal),
        Command::Rotate(arguments) => rotate(arguments, terminal),
        Command::Disable(which) => KEYS.change(which, &json!({"disabled": true}), "disabled", terminal),
        Command::Enable(which) => KEYS.change(which, &json!({"disabled": false}), "enabled", terminal),
        Command::Remove(which) => KEYS.remove(which, terminal),
    }
}

fn add(arguments: &Add, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let foreign = match &arguments.secret_file {
        Some(file) => match secret(Some(file), "the secret", terminal)? {
            Ok(secret) => Some(secret),
            Err(exit) => return Ok(exit),
        },
        None => None,
    };
    let mut new = Value::Object(serde_json::Map::new());
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let own = [
        ("prefix", text(&arguments.prefix)),
        ("expires", arguments.expires.map(|moment| moment.seconds(time::now(), 0).into())),
        ("id", text(&arguments.id)),
        ("secret", foreign.as_ref().map(|secret| secret.as_str().into())),
    ];
    for (name, value) in arguments.has.members().into_iter().chain(own) {
        if let Some(value) = value {
            new[name] = value;
        }
    }
    match KEYS.make(&arguments.has.config, &new, terminal)? {
        Ok(answer) => made(&answer.body, terminal),
        Err(exit) => Ok(exit),
    }
}

/// Prints what is shown this once: the whole key, or the secret where it has none.
fn made(body: &Value, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let secret = body["key"].as_str().or_else(|| body["secret"].as_str()).unwrap_or_default();
    writeln!(terminal.out, "{secret}")?;
    writeln!(terminal.err, "it is shown this once: {}", shown(body))?;
    Ok(Exit::Fine)
}

fn show(which: &Which, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match KEYS.ask(which, "GET", "", &Sent::Nothing, 200, terminal)? {
        Ok(answer) => {
            writeln!(terminal.out, "{:#}", answer.body)?;
            Ok(Exit::Fine)
        }
        Err(exit) => Ok(exit),
    }
}

fn rotate(arguments: &Rotate, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let Some(number) = arguments.remove else {
        return match KEYS.ask(&arguments.which, "POST", "/secrets", &Sent::Nothing, 201, terminal)? {
            Ok(answer) => made(&answer.body, terminal),
            Err(exit) => Ok(exit),
        };
    };
    let of = format!("/secrets/{number}");
    match KEYS.ask(&arguments.which, "DELETE", &of, &Sent::Nothing, 204, terminal)? {
        Ok(_) => {
            writeln!(terminal.err, "secret {number} counts no more: {}", arguments.which.shown())?;
            Ok(Exit::Fine)
        }
        Err(exit) => Ok(exit),
    }
}

const KEYS: Sort = Sort { path: "/v1/api-keys", list: "keys" };
