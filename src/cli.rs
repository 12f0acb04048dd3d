//! The command line: one file a command, results on standard output, messages on standard error.

pub mod api_keys;
pub mod check;
pub mod demo;
pub mod explain;
pub mod holders;
pub mod keys;
pub mod request;
pub mod revoke;
pub mod run;
pub mod store;
pub mod terminal;
pub mod test;
pub mod time;
pub mod token;
pub mod users;

mod admin_client;

use std::ffi::OsString;
use std::io;
use std::path::Path;

use clap::{Parser, Subcommand};

use crate::cli::terminal::{Exit, Terminal};
use crate::config::problems::Problems;
use crate::config::schema;
use crate::control::config_file::{self, Loaded};

/// A reverse-proxy authentication gateway: every request's token and scopes are verified in memory, then the
/// request is forwarded or refused.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gateway.
    Run(run::Arguments),
    /// Checks a configuration and shows every problem in it.
    Check(check::Arguments),
    /// Prints the JSON Schema of the configuration.
    Schema,
    /// Decides one request as the gateway would, and shows each step.
    Explain(explain::Arguments),
    /// Decides the requests of a file of tests and compares.
    Test(test::Arguments),
    /// Runs a gateway with an upstream and an issuer of its own, to try things out.
    Demo(demo::Arguments),
    /// Key pairs.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Tokens.
    #[command(subcommand)]
    Token(token::Command),
    /// Revocations, one by one or a file of them, at a running gateway.
    #[command(subcommand)]
    Revoke(revoke::Command),
    /// API keys, at a running gateway.
    #[command(subcommand)]
    ApiKeys(api_keys::Command),
    /// People who may sign in, at a running gateway.
    #[command(subcommand)]
    Users(users::Command),
    /// What must survive a restart.
    #[command(subcommand)]
    Store(store::Command),
}

/// Runs the command that `arguments` (the program's name first) name.
pub fn main(arguments: impl IntoIterator<Item = OsString>, terminal: &mut Terminal<'_>) -> Exit {
    let done = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => command(&arguments.command, terminal),
        Err(error) => usage(&error, terminal),
    };
    match done {
        Ok(exit) => exit,
        // Whoever read us has seen enough (`portcullis schema | head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Fine,
        Err(error) => terminal.end(Exit::Refused, error).unwrap_or(Exit::Refused),
    }
}

fn command(command: &Command, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match command {
        Command::Run(arguments) => run::run(arguments, terminal),
        Command::Check(arguments) => check::check(arguments, terminal),
        Command::Schema => {
            writeln!(terminal.out, "{:#}", schema::json_schema())?;
            Ok(Exit::Fine)
        }
        Command::Explain(arguments) => explain::explain(arguments, terminal),
        Command::Test(arguments) => test::test(arguments, terminal),
        Command::Demo(arguments) => demo::demo(arguments, terminal),
        Command::Keys(command) => keys::keys(command, terminal),
        Command::Token(command) => token::token(command, terminal),
        Command::Revoke(command) => revoke::revoke(command, terminal),
        Command::ApiKeys(command) => api_keys::api_keys(command, terminal),
        Command::Users(command) => users::users(command, terminal),
        Command::Store(command) => store::store(command, terminal),
    }
}

/// `--help` and `--version` are results; everything else is a wrong command line.
fn usage(error: &clap::Error, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let text = error.render();
    if error.use_stderr() {
        write!(terminal.err, "{text}")?;
        Ok(Exit::Usage)
    } else {
        write!(terminal.out, "{text}")?;
        Ok(Exit::Fine)
    }
}

/// Loads a configuration as `run` would, and shows its problems. The inner error is how to end.
fn load(path: &Path, terminal: &mut Terminal<'_>) -> io::Result<Result<Loaded, Exit>> {
    let env = |name: &str| std::env::var(name).ok();
    match config_file::load(path, &env, None) {
        Ok(loaded) => Ok(Ok(loaded)),
        Err(problems) => {
            show(&problems, terminal)?;
            Ok(Err(Exit::Configuration))
        }
    }
}

fn show(problems: &Problems, terminal: &mut Terminal<'_>) -> io::Result<()> {
    let text = problems.to_string();
    writeln!(terminal.err, "{}", terminal::visible(text.trim_end()))?;
    let count = problems.list.len();
    writeln!(
        terminal.err,
        "\n{count} {} in {}",
        if count == 1 { "problem" } else { "problems" },
        problems.file
    )
}

#[cfg(test)]
mod tests;
