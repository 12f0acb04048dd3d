//! `portcullis run`.

use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::app::{self, AppError, Stop};
use crate::cli;
use crate::cli::terminal::{Exit, Terminal};

/// What `run` is told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Takes the listeners over from a running gateway. Not in this version.
    #[arg(long)]
    upgrade: bool,
}

/// Runs the gateway until it is told to end.
pub fn run(arguments: &Arguments, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    if arguments.upgrade {
        return terminal.end(Exit::Usage, "--upgrade is not in this version");
    }
    let loaded = match cli::load(&arguments.config, terminal)? {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    match app::serve(arguments.config.clone(), loaded, Stop::Signals, Box::new(|_| ())) {
        Ok(()) => Ok(Exit::Fine),
        Err(error) => terminal.end(exit(&error), error),
    }
}

/// How a gateway that could not run ends.
pub fn exit(error: &AppError) -> Exit {
    match error {
        AppError::Listen { .. } => Exit::Taken,
        AppError::Fault(_) => Exit::Bug,
    }
}
