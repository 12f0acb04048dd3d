//! `portcullis users`: what the admin listener takes about people, in the same words.

use std::io;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::holders::{Has, List, Sort, Which, secret, shown};
use crate::cli::terminal::{Exit, Terminal};

/// The commands about people. A running gateway does them, whose admin listener the configuration names.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lets somebody in. Their password is read from standard input, or a file.
    Add(Add),
    /// Shows who may sign in, one a line.
    List(List),
    /// Refuses somebody, and the tokens that were made for them, from now on.
    Disable(Which),
    /// Lets somebody who was disabled sign in again.
    Enable(Which),
    /// Sets another password, from standard input or a file.
    Password(Password),
    /// Removes somebody for good, and refuses the tokens that were made for them.
    Remove(Which),
}

/// What `users add` is told.
#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    has: Has,
    /// Where they belong; several are said several times.
    #[arg(long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,
    /// Where the password is, in the place of standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The name they sign in with.
    id: String,
}

/// What `users password` is told.
#[derive(Debug, Args)]
pub struct Password {
    #[command(flatten)]
    which: Which,
    /// Where the password is, in the place of standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Runs a command about people.
pub fn users(command: &Command, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match command {
        Command::Add(arguments) => add(arguments, terminal),
        Command::List(arguments) => PEOPLE.list(arguments, terminal),
        Command::Disable(which) => PEOPLE.change(which, &json!({"disabled": true}), "disabled", terminal),
        Command::Enable(which) => PEOPLE.change(which, &json!({"disabled": false}), "enabled", terminal),
        Command::Password(arguments) => password(arguments, terminal),
        Command::Remove(which) => PEOPLE.remove(which, terminal),
    }
}

fn add(arguments: &Add, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let password = match secret(arguments.password_file.as_deref(), "the password", terminal)? {
        Ok(password) => password,
        Err(exit) => return Ok(exit),
    };
    let mut new = json!({"id": arguments.id, "password": &**password, "namespaces": arguments.namespaces});
    for (name, value) in arguments.has.members() {
        if let Some(value) = value {
            new[name] = value;
        }
    }
    match PEOPLE.make(&arguments.has.config, &new, terminal)? {
        Ok(answer) => {
            writeln!(terminal.out, "{}", shown(&answer.body))?;
            Ok(Exit::Fine)
        }
        Err(exit) => Ok(exit),
    }
}

fn password(arguments: &Password, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let password = match secret(arguments.password_file.as_deref(), "the password", terminal)? {
        Ok(password) => password,
        Err(exit) => return Ok(exit),
    };
    let change = json!({"password": Value::from(password.as_str())});
    PEOPLE.change(&arguments.which, &change, "the password was changed", terminal)
}

const PEOPLE: Sort = Sort { path: "/v1/users", list: "users" };
