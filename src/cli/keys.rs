//! `portcullis keys`.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::admin_client::{Answer, Sent};
use crate::cli::holders::ask;
use crate::cli::terminal::{Exit, Terminal, visible};
use crate::cli::time;
use crate::keys::rotation::SigningKey;
use crate::token::{Algorithm, NumericDate};

/// The file of the private key.
pub const PRIVATE: &str = "private.pem";

/// The file of the public key.
pub const JWKS: &str = "jwks.json";

/// The commands about key pairs, and about the keys that a running gateway made.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes a key pair: private.pem, to mint with, and jwks.json, to verify with.
    Generate(Generate),
    /// Shows the keys that a running gateway signs with, one a line.
    List(List),
    /// Has a running gateway replace them: the next ones sign once they were published for long enough.
    Rotate(Rotate),
}

/// What `keys list` is told.
#[derive(Debug, Args)]
pub struct List {
    /// The configuration of the running gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Prints JSON, one a line.
    #[arg(long)]
    json: bool,
}

/// What `keys rotate` is told.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The configuration of the running gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Those of this algorithm only.
    #[arg(long)]
    algorithm: Option<String>,
    /// The new ones sign at once, and nothing counts any more that those before them have signed.
    #[arg(long)]
    emergency: bool,
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
        Command::List(List { config, json }) => {
            shown(ask(config, "GET", "/v1/keys", &Sent::Nothing, 200, terminal)?, *json, terminal)
        }
        Command::Rotate(Rotate { config, algorithm, emergency }) => {
            let mut rotation = json!({ "emergency": emergency });
            if let Some(algorithm) = algorithm {
                rotation["algorithm"] = algorithm.as_str().into();
            }
            let asked = ask(config, "POST", "/v1/keys/rotate", &Sent::Json(&rotation), 200, terminal)?;
            shown(asked, false, terminal)
        }
    }
}

/// Reads an algorithm's registered name.
pub fn algorithm(name: &str) -> Result<Algorithm, String> {
    let names = Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()).map(Algorithm::name);
    Algorithm::from_name(name)
        .filter(|algorithm| !algorithm.is_symmetric())
        .ok_or_else(|| format!("the algorithms of key pairs are {}", names.collect::<Vec<_>>().join(", ")))
}

/// Shows the keys of an answer.
fn shown(asked: Result<Answer, Exit>, json: bool, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let answer = match asked {
        Ok(answer) => answer,
        Err(exit) => return Ok(exit),
    };
    for key in answer.body["keys"].as_array().into_iter().flatten() {
        if json {
            writeln!(terminal.out, "{key}")?;
            continue;
        }
        let text = |name: &str| visible(key[name].as_str().unwrap_or_default());
        let date = |name: &str| {
            let date = key[name].as_i64();
            date.map_or_else(|| "-".to_owned(), |date| time::format(NumericDate(date)))
        };
        let (kid, algorithm, state) = (text("kid"), text("algorithm"), text("state"));
        let (from, until) = (date("signs_from"), date("signs_until"));
        writeln!(terminal.out, "{kid}  {algorithm:5}  {state:8}  signs from {from} until {until}")?;
    }
    Ok(Exit::Fine)
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
