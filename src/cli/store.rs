//! `portcullis store`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::cli;
use crate::cli::terminal::{Exit, Terminal};
use crate::store::error::OpenError;
use crate::store::upkeep::{self, Migrated};

/// The commands about the store.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes a copy of the store to a new file, while a gateway may be using it.
    Backup(Backup),
    /// Puts a backup in the store's place, and keeps the old file beside it. No gateway may be running.
    Restore(Restore),
    /// Brings the store to this program's version. No gateway may be running.
    Migrate(Which),
}

/// Which store.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The one that this configuration names.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The one at this path.
    #[arg(long, value_name = "FILE")]
    sqlite: Option<PathBuf>,
}

/// What `store backup` is told.
#[derive(Debug, Args)]
pub struct Backup {
    #[command(flatten)]
    which: Which,
    /// The copy; nothing may be there.
    to: PathBuf,
}

/// What `store restore` is told.
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    which: Which,
    /// The backup.
    from: PathBuf,
}

/// Runs a command about the store.
pub fn store(command: &Command, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let which = match command {
        Command::Backup(Backup { which, .. })
        | Command::Restore(Restore { which, .. })
        | Command::Migrate(which) => which,
    };
    let path = match path(which, terminal)? {
        Ok(path) => path,
        Err(exit) => return Ok(exit),
    };
    match command {
        Command::Backup(Backup { to, .. }) => backup(&path, to, terminal),
        Command::Restore(Restore { from, .. }) => restore(&path, from, terminal),
        Command::Migrate(_) => migrate(&path, terminal),
    }
}

/// How what could not be done with a store ends.
pub fn exit(error: &OpenError) -> Exit {
    match error {
        OpenError::Held { .. } => Exit::Taken,
        OpenError::NotLocal { .. }
        | OpenError::Foreign { .. }
        | OpenError::Damaged { .. }
        | OpenError::Newer { .. }
        | OpenError::Older { .. }
        | OpenError::Unusable { .. }
        | OpenError::Failed { .. } => Exit::Refused,
    }
}

/// Where the store is. The inner error is how to end.
fn path(which: &Which, terminal: &mut Terminal<'_>) -> io::Result<Result<PathBuf, Exit>> {
    let config = match (&which.sqlite, &which.config) {
        (Some(path), _) => return Ok(Ok(path.clone())),
        (None, Some(config)) => config,
        (None, None) => return Ok(Err(Exit::Usage)),
    };
    match cli::load(config, terminal)? {
        Ok(loaded) => match loaded.config.store {
            Some(path) => Ok(Ok(path)),
            None => {
                let why = format!("{} has no `store`", config.display());
                terminal.end(Exit::Configuration, why).map(Err)
            }
        },
        Err(exit) => Ok(Err(exit)),
    }
}

fn backup(path: &Path, to: &Path, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match upkeep::backup(path, to) {
        Ok(rows) => {
            writeln!(terminal.out, "{}", to.display())?;
            writeln!(terminal.err, "{rows} entries, lifted ones among them, of {}", path.display())?;
            Ok(Exit::Fine)
        }
        Err(error) => terminal.end(exit(&error), error),
    }
}

fn restore(path: &Path, from: &Path, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let restored = match upkeep::restore(path, from) {
        Ok(restored) => restored,
        Err(error) => return terminal.end(exit(&error), error),
    };
    writeln!(terminal.out, "{}", path.display())?;
    writeln!(terminal.err, "{} entries, lifted ones among them, from {}", restored.rows, from.display())?;
    if let Some(kept) = &restored.kept {
        writeln!(terminal.err, "the file that was there before is kept: {}", kept.display())?;
    }
    match restored.missing {
        Some(0) => {}
        Some(missing) => writeln!(
            terminal.err,
            "warning: {missing} entries of the old file are not in the backup, and in force no more"
        )?,
        None if restored.kept.is_some() => {
            writeln!(
                terminal.err,
                "warning: the old file could not be read: what it had besides is not known"
            )?;
        }
        None => {}
    }
    Ok(Exit::Fine)
}

fn migrate(path: &Path, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match upkeep::migrate(path) {
        Ok(Migrated { from, to }) => {
            let done = if from == to { "nothing to do" } else { "done" };
            writeln!(terminal.out, "{}: version {from} to {to}: {done}", path.display())?;
            Ok(Exit::Fine)
        }
        Err(error) => terminal.end(exit(&error), error),
    }
}
