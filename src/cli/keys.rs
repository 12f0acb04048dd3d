//! `portcullis keys`.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::terminal::{Exit, Terminal};
use crate::keys::rotation::SigningKey;
use crate::token::Algorithm;

/// The file of the private key.
pub const PRIVATE: &str = "private.pem";

/// The file of the public key.
pub const JWKS: &str = "jwks.json";

/// The commands about key pairs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes a key pair: private.pem, to mint with, and jwks.json, to verify with.
    Generate(Generate),
}

/// What `keys generate` is told.
#[derive(Debug, Args)]
pub struct Generate {
    /// RS256, PS256, ES256, EdDSA, or another asymmetric one.
    #[arg(long, default_value = "ES256", value_parser = algorithm)]
    algorithm: Algorithm,
    /// The directory to write to; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replaces a key pair that is there already.
    #[arg(long)]
    force: bool,
}

/// Runs a command about key pairs.
pub fn keys(command: &Command, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match command {
        Command::Generate(arguments) => generate(arguments, terminal),
    }
}

/// Reads an algorithm's registered name.
pub fn algorithm(name: &str) -> Result<Algorithm, String> {
    let names = Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()).map(Algorithm::name);
    Algorithm::from_name(name)
        .filter(|algorithm| !algorithm.is_symmetric())
        .ok_or_else(|| format!("the algorithms of key pairs are {}", names.collect::<Vec<_>>().join(", ")))
}

fn generate(arguments: &Generate, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let key = match SigningKey::generate(arguments.algorithm) {
        Ok(key) => key,
        Err(error) => return terminal.end(Exit::Bug, error),
    };
    let (private, public) = (arguments.out.join(PRIVATE), arguments.out.join(JWKS));
    if !arguments.force {
        for path in [&private, &public] {
            if path.try_exists()? {
                let why = format!("{} is there already; --force replaces it", path.display());
                return terminal.end(Exit::Refused, why);
            }
        }
    }
    let (Some(pem), Some(jwk)) = (key.to_pem(), key.public_jwk()) else {
        return terminal.end(Exit::Bug, "a key pair has two halves");
    };
    let jwks = format!("{:#}\n", json!({"keys": [jwk]}));
    let written = fs::create_dir_all(&arguments.out)
        .and_then(|()| write(&private, pem.as_bytes(), 0o600, arguments.force))
        .and_then(|()| write(&public, jwks.as_bytes(), 0o644, arguments.force));
    if let Err(error) = written {
        return terminal.end(Exit::Refused, format!("{}: {error}", arguments.out.display()));
    }
    writeln!(terminal.out, "{}\n{}", private.display(), public.display())?;
    writeln!(terminal.err, "{} key {}", key.algorithm().name(), key.key_id().unwrap_or_default())?;
    Ok(Exit::Fine)
}

/// Writes a file that nobody may read in between: it has its mode before it has its content.
fn write(path: &Path, octets: &[u8], mode: u32, replace: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).mode(mode);
    if replace {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut file = options.open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(octets)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
