//! `portcullis check`.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli;
use crate::cli::terminal::{Exit, Terminal, visible};
use crate::config;
use crate::config::problems::{Position, Problem};

/// What `check` is told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Prints the long form, secrets redacted.
    #[arg(long)]
    print: bool,
}

/// Loads everything that `run` would load, and starts nothing.
pub fn check(arguments: &Arguments, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let loaded = match cli::load(&arguments.config, terminal)? {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    for warning in &loaded.warnings {
        warn(&arguments.config, warning, terminal)?;
    }
    let config = &loaded.config;
    if arguments.print {
        write!(terminal.out, "{}", config::print(config))?;
    } else {
        let counts = [
            count(config.routes.len(), "route"),
            count(config.issuers.len(), "issuer"),
            count(config.upstreams.len(), "upstream"),
        ];
        writeln!(terminal.out, "{}: fine ({})", arguments.config.display(), counts.join(", "))?;
    }
    Ok(Exit::Fine)
}

fn warn(path: &Path, warning: &Problem, terminal: &mut Terminal<'_>) -> io::Result<()> {
    let Position { line, column } = warning.at;
    let text = format!("{}:{line}:{column}: warning: {}", path.display(), warning.what);
    writeln!(terminal.err, "{}", visible(&text))?;
    if let Some(hint) = &warning.hint {
        writeln!(terminal.err, "  = hint: {}", visible(hint))?;
    }
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
