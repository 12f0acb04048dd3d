//! `portcullis test`: a policy is code, and its tests are a list of requests and what should come of them.
//!
//! A case gives either a whole `token`, which real keys decide about, or `claims`, which a throw-away key signs
//! that stands in for the issuer's. Everything else is production: the same load, the same `decide`.

mod cases;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli;
use crate::cli::explain;
use crate::cli::request::{Described, Told};
use crate::cli::terminal::{Exit, Terminal, visible};
use crate::cli::test::cases::{Case, Expected};
use crate::cli::time;
use crate::cli::token;
use crate::config::limits::Limits;
use crate::config::problems::{Position, Problems};
use crate::config::{Issuer, TokenPlace, TokenType};
use crate::keys::jwk;
use crate::keys::rotation::SigningKey;
use crate::snapshot::{self, Change, Keys, Reader, Snapshot};
use crate::token::{Algorithm, NumericDate};

/// What `test` is told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The cases.
    #[arg(value_name = "TESTS.yaml")]
    tests: PathBuf,
}

/// An issuer, and the throw-away key that stands in for its keys.
struct StandIn {
    issuer: Arc<Issuer>,
    key: SigningKey,
}

/// What every case is decided with.
struct Bench {
    limits: Limits,
    real: Reader,
    stood_in: Reader,
    stand_ins: Vec<StandIn>,
}

/// Decides every case and compares.
pub fn test(arguments: &Arguments, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let file = arguments.tests.display().to_string();
    let text = match fs::read_to_string(&arguments.tests) {
        Ok(text) => text,
        Err(error) => return terminal.end(Exit::Configuration, format!("{file}: {error}")),
    };
    let cases = match cases::read(&text) {
        Ok(cases) => cases,
        Err(list) => {
            // Without snippets: the lines hold tokens.
            cli::show(&Problems { file, text: Arc::from(""), list }, terminal)?;
            return Ok(Exit::Configuration);
        }
    };
    let loaded = match cli::load(&arguments.config, terminal)? {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let bench = match Bench::new(loaded.config.limits, loaded.change) {
        Ok(bench) => bench,
        Err(what) => return terminal.end(Exit::Bug, what),
    };
    let mut failed = 0;
    for case in &cases {
        let name = visible(&case.name);
        match bench.run(case, time::now()) {
            Ok(told) if case.expect.holds(&told) => writeln!(terminal.out, "ok    {name}")?,
            Ok(told) => {
                failed += 1;
                writeln!(terminal.out, "FAIL  {name}\n      expected {}", case.expect.text())?;
                for line in explain::as_text(&told).lines() {
                    writeln!(terminal.out, "      {line}")?;
                }
            }
            Err(what) => {
                let Position { line, column } = case.at;
                let why = format!("{file}:{line}:{column}: {name}: {}", visible(&what));
                return terminal.end(Exit::Configuration, why);
            }
        }
    }
    writeln!(terminal.out, "{} passed, {failed} failed", cases.len() - failed)?;
    Ok(if failed == 0 { Exit::Fine } else { Exit::Refused })
}

impl Expected {
    fn holds(&self, told: &Told) -> bool {
        let reason = told.verdict.reason();
        self.allow.is_none_or(|allow| allow == reason.is_none())
            && self.reason.is_none_or(|expected| reason == Some(expected))
            && self.status.is_none_or(|status| told.verdict.status() == Some(status))
    }

    fn text(&self) -> String {
        match (&self.reason, self.status) {
            (Some(reason), None) => format!("refused: {}", reason.code()),
            (Some(reason), Some(status)) => format!("refused: {status} {}", reason.code()),
            (None, Some(status)) => format!("refused: {status}"),
            (None, None) if self.allow == Some(true) => "allowed".to_owned(),
            (None, None) => "refused".to_owned(),
        }
    }
}

impl Bench {
    fn new(limits: Limits, change: Change) -> Result<Self, String> {
        let (_publisher, real) = snapshot::channel(change);
        let snapshot = real.load();
        let mut stand_ins = Vec::new();
        let mut issuers = Vec::new();
        for state in snapshot.issuers.iter() {
            let (stand_in, keys) = StandIn::new(&state.config)?;
            issuers.push((Arc::clone(&stand_in.issuer), keys));
            stand_ins.push(stand_in);
        }
        let (_publisher, stood_in) = snapshot::channel(replaced(&snapshot, issuers));
        drop(snapshot);
        Ok(Self { limits, real, stood_in, stand_ins })
    }

    fn run(&self, case: &Case, now: NumericDate) -> Result<Told, String> {
        let mut headers = Vec::new();
        for (name, values) in &case.request.headers {
            headers.extend(values.iter().map(|value| (name.clone(), value.clone())));
        }
        let mut url = case.request.url.clone();
        let mut reader = &self.real;
        if let Some(claims) = &case.request.claims {
            reader = &self.stood_in;
            let stand_in = self.stand_in(case.issuer.as_deref(), claims)?;
            let token = stand_in.mint(claims, now)?;
            put(&stand_in.issuer, &token, &mut headers, &mut url);
        } else if let Some(token) = &case.request.token {
            // Whose it is shows only when it is read, so it stands where most tokens stand.
            match self.stand_ins.first() {
                Some(only) if self.stand_ins.len() == 1 => put(&only.issuer, token, &mut headers, &mut url),
                Some(_) | None => headers.push(("Authorization".to_owned(), format!("Bearer {token}"))),
            }
        }
        let described = Described::new(&case.request.method, &url, &headers)?;
        let described = described.with_body(case.request.body.clone().into_bytes());
        Ok(described.explain(&self.limits, &reader.load(), now))
    }

    /// The named issuer, else the one that `iss` names, else the only one.
    fn stand_in(&self, name: Option<&str>, claims: &Map<String, Value>) -> Result<&StandIn, String> {
        if let Some(name) = name {
            let named = self.stand_ins.iter().find(|stand_in| *stand_in.issuer.name == *name);
            return named.ok_or_else(|| format!("there is no issuer `{name}` in the configuration"));
        }
        let iss = claims.get("iss").and_then(Value::as_str);
        let by_iss = self.stand_ins.iter().find(|stand_in| Some(&*stand_in.issuer.issuer) == iss);
        match (by_iss, self.stand_ins.as_slice()) {
            (Some(found), _) | (None, [found]) => Ok(found),
            (None, []) => Err("the configuration has no issuer that could sign `claims`".to_owned()),
            // Signed by anybody, it is a token of nobody here.
            (None, [first, ..]) if iss.is_some() => Ok(first),
            (None, _) => {
                Err("there are several issuers: say which by `issuer` or the claim `iss`".to_owned())
            }
        }
    }
}

impl StandIn {
    fn new(issuer: &Issuer) -> Result<(Self, Keys), String> {
        let key = SigningKey::generate(Algorithm::ES256).map_err(|error| error.to_string())?;
        let jwks = json!({"keys": [key.public_jwk()]}).to_string();
        let (set, _skipped) = jwk::parse_jwks(jwks.as_bytes(), None).map_err(|error| error.to_string())?;
        let issuer = Issuer { algorithms: Some(vec![Algorithm::ES256]), ..issuer.clone() };
        Ok((Self { issuer: Arc::new(issuer), key }, Keys::Ready { set: Arc::new(set), fetched: false }))
    }

    /// A token of this issuer that is good unless `claims` say otherwise.
    fn mint(&self, claims: &Map<String, Value>, now: NumericDate) -> Result<String, String> {
        let audience = self.issuer.audience.as_ref().and_then(|audience| audience.first());
        let defaults = [("iss", json!(self.issuer.issuer)), ("aud", json!(audience))];
        let typ = match self.issuer.token_type {
            TokenType::Any => "JWT",
            TokenType::AtJwt => "at+jwt",
        };
        self.key.mint(&token::complete(claims, now, LIFE, defaults), typ).map_err(|error| error.to_string())
    }
}

/// The same decisions, by other keys.
fn replaced(snapshot: &Snapshot, issuers: Vec<(Arc<Issuer>, Keys)>) -> Change {
    Change::Config {
        routes: Arc::clone(&snapshot.routes),
        issuers,
        revocations: Arc::clone(&snapshot.revocations),
        listeners: snapshot.listeners.to_vec(),
        token_limit: snapshot.token_limit,
    }
}

/// Puts a token where its issuer's tokens stand.
fn put(issuer: &Issuer, token: &str, headers: &mut Vec<(String, String)>, url: &mut String) {
    match issuer.from.first() {
        Some(TokenPlace::Bearer) | None => {
            headers.push(("Authorization".to_owned(), format!("Bearer {token}")))
        }
        Some(TokenPlace::Header(name)) => headers.push((name.to_string(), token.to_owned())),
        Some(TokenPlace::Cookie(name)) => headers.push(("Cookie".to_owned(), format!("{name}={token}"))),
        Some(TokenPlace::Query(name)) => {
            let separator = if url.contains('?') { '&' } else { '?' };
            *url += &format!("{separator}{name}={token}");
        }
    }
}

/// How long a minted token is good for unless its claims say otherwise.
const LIFE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
