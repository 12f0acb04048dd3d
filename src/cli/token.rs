//! `portcullis token`.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::rand;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::cli::keys;
use crate::cli::terminal::{Exit, Terminal, visible};
use crate::cli::time;
use crate::keys::rotation::SigningKey;
use crate::token::{Algorithm, NumericDate};

/// The commands about tokens.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Signs a token.
    Mint(Mint),
    /// Shows what a token says. Nothing is verified.
    Inspect(Inspect),
}

/// What `token mint` is told.
#[derive(Debug, Args)]
pub struct Mint {
    /// The private key.
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// The claims, as a JSON object. `iat`, `exp` and `jti` are filled in unless they are there; null leaves
    /// one out.
    #[arg(long, value_name = "JSON", value_parser = object)]
    claims: Map<String, Value>,
    /// How long it is good for.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = time::parse_duration)]
    expires_in: Duration,
    /// The algorithm, where the key leaves a choice (an RSA key: what
    /// `keys generate` made it for, else RS256).
    #[arg(long, value_parser = keys::algorithm)]
    algorithm: Option<Algorithm>,
    /// The header's `typ`.
    #[arg(long = "type", value_name = "TYP", default_value = "JWT")]
    typ: String,
}

/// What `token inspect` is told.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The token; standard input if absent.
    token: Option<String>,
}

/// Runs a command about tokens.
pub fn token(command: &Command, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match command {
        Command::Mint(arguments) => mint(arguments, terminal),
        Command::Inspect(arguments) => inspect(arguments, terminal),
    }
}

/// Completes claims: `iat`, `exp` and what `more` names are set unless they are there, and a null leaves a claim
/// out.
pub fn complete(
    claims: &Map<String, Value>,
    now: NumericDate,
    expires_in: Duration,
    more: impl IntoIterator<Item = (&'static str, Value)>,
) -> Value {
    let life = i64::try_from(expires_in.as_secs()).unwrap_or(i64::MAX);
    let defaults = [("iat", now.0.into()), ("exp", now.0.saturating_add(life).into())];
    let mut whole = claims.clone();
    for (name, value) in defaults.into_iter().chain(more) {
        whole.entry(name).or_insert(value);
    }
    whole.retain(|_, value| !value.is_null());
    Value::Object(whole)
}

/// 128 random bits in hexadecimal, for a `jti`.
pub fn random_id() -> io::Result<String> {
    let mut octets = [0; 16];
    rand::fill(&mut octets).map_err(|_| io::Error::other("the system has no randomness"))?;
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect())
}

fn mint(arguments: &Mint, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let pem = match fs::read(&arguments.key) {
        Ok(pem) => Zeroizing::new(pem),
        Err(error) => return terminal.end(Exit::Usage, format!("{}: {error}", arguments.key.display())),
    };
    let key = match SigningKey::from_pem(&pem, arguments.algorithm) {
        Ok(key) => key,
        Err(error) => return terminal.end(Exit::Usage, format!("{}: {error}", arguments.key.display())),
    };
    let id = random_id()?.into();
    let claims = complete(&arguments.claims, time::now(), arguments.expires_in, [("jti", id)]);
    match key.mint(&claims, &arguments.typ) {
        Ok(token) => {
            writeln!(terminal.out, "{token}")?;
            Ok(Exit::Fine)
        }
        Err(error) => terminal.end(Exit::Refused, error),
    }
}

fn inspect(arguments: &Inspect, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let mut text = String::new();
    match &arguments.token {
        Some(token) => text.push_str(token),
        None => {
            let read = (&mut *terminal.input).take(INPUT_LIMIT).read_to_string(&mut text);
            if let Err(error) = read {
                return terminal.end(Exit::Usage, format!("standard input: {error}"));
            }
        }
    }
    match shown(&text, time::now()) {
        Ok(shown) => {
            write!(terminal.out, "{shown}")?;
            Ok(Exit::Fine)
        }
        Err(what) => terminal.end(Exit::Refused, what),
    }
}

/// Header, claims and times of a compact JWS, for a person. Lenient where a gateway is strict: a token that is
/// refused is the one that is looked at.
fn shown(text: &str, now: NumericDate) -> Result<String, String> {
    let token = text.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return Err(format!("a token in compact form has 3 parts, and this has {}", parts.len()));
    };
    let (header, claims) = (decoded("header", header)?, decoded("claims", claims)?);
    let signature = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signature);
    let mut shown = format!("header {header:#}\nclaims {claims:#}\n");
    for name in ["iat", "nbf", "exp", "auth_time"] {
        if let Some(date) = claims.get(name).and_then(date) {
            let _infallible = writeln!(shown, "{name} {}, {}", time::format(date), time::relative(date, now));
        }
    }
    let signature = match signature {
        Ok(octets) => format!("{} octets, not checked", octets.len()),
        Err(_) => "not base64url".to_owned(),
    };
    let _infallible = writeln!(shown, "signature {signature}");
    Ok(visible(&shown))
}

fn decoded(what: &str, part: &str) -> Result<Value, String> {
    let octets = base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(part)
        .map_err(|_| format!("the {what} is not base64url"))?;
    serde_json::from_slice(&octets).map_err(|error| format!("the {what} is not JSON: {error}"))
}

fn date(value: &Value) -> Option<NumericDate> {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and it is only shown")]
    let fraction = || value.as_f64().map(|seconds| seconds as i64);
    value.as_i64().or_else(fraction).map(NumericDate)
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("the claims are one JSON object: {error}"))
}

/// Octets of standard input that are read: far more than any gateway accepts.
const INPUT_LIMIT: u64 = 1024 * 1024;

#[cfg(test)]
mod tests;
