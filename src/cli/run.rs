//! `portcullis run`.

use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::app::{self, AppError, Start, Stop, Until};
use crate::cli;
use crate::cli::terminal::{Exit, Terminal};

/// What `run` is told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Takes the listeners over from a running gateway, which then drains and ends.
    #[arg(long)]
    upgrade: bool,
}

/// Runs the gateway until it is told to end.
pub fn run(arguments: &Arguments, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let start = if arguments.upgrade { Start::Upgrade } else { Start::Fresh };
    let loaded = match cli::load(&arguments.config, terminal)? {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let until = Until { stop: Stop::Signals, on_ready: Box::new(|_| ()) };
    match app::serve(arguments.config.clone(), loaded, start, until) {
        Ok(()) => Ok(Exit::Fine),
        Err(error) => terminal.end(exit(&error), error),
    }
}

/// How a gateway that could not run ends.
pub fn exit(error: &AppError) -> Exit {
    match error {
        AppError::Listen { .. } | AppError::Unavailable(_) => Exit::Taken,
        AppError::Configuration(_) => Exit::Configuration,
        AppError::Fault(_) => Exit::Bug,
    }
}
