//! What the commands about API keys and about people have in common: who is meant, what is said, how it is shown.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::cli::admin_client::{Admin, Answer, Sent, encoded};
use crate::cli::terminal::{Exit, Terminal, visible};
use crate::cli::time;
use crate::token::NumericDate;

/// Of what: where it is asked for, and what it is called.
pub(in crate::cli) struct Sort {
    /// The admin listener's path.
    pub(in crate::cli) path: &'static str,
    /// The member of a page that holds them.
    pub(in crate::cli) list: &'static str,
}

/// Which of them a command is about.
#[derive(Debug, Args)]
pub struct Which {
    /// The configuration of the running gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The credential's name in the configuration.
    credential: String,
    /// The id: of an API key what `list` shows, of a person the name they sign in with.
    id: String,
}

/// What `list` is told.
#[derive(Debug, Args)]
pub struct List {
    /// The configuration of the running gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Of this credential only.
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// Prints JSON, one a line.
    #[arg(long)]
    json: bool,
}

/// What both kinds have.
#[derive(Debug, Args)]
pub struct Has {
    /// The configuration of the running gateway.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: PathBuf,
    /// The credential's name in the configuration; the only managed one, unless it is said.
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// What people call it.
    #[arg(long)]
    name: Option<String>,
    /// A scope that it may have; several are said several times.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// An attribute, NAME=VALUE: JSON if it is any, else text; several are said several times.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, Value)>,
}

impl Has {
    /// As the admin listener takes it.
    pub(in crate::cli) fn members(&self) -> [(&'static str, Option<Value>); 4] {
        let text = |text: &Option<String>| text.as_deref().map(Value::from);
        let attributes: Map<String, Value> = self.attributes.iter().cloned().collect();
        [
            ("credential", text(&self.credential)),
            ("name", text(&self.name)),
            ("scopes", Some(self.scopes.clone().into())),
            ("attributes", Some(attributes.into())),
        ]
    }
}

fn attribute(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("an attribute is written NAME=VALUE")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

impl Which {
    fn target(&self, sort: &Sort) -> String {
        format!("{}/{}/{}", sort.path, encoded(&self.credential), encoded(&self.id))
    }

    /// For people.
    pub(in crate::cli) fn shown(&self) -> String {
        visible(&self.id)
    }
}

impl Sort {
    /// Makes one. The inner error is how to end.
    pub(in crate::cli) fn make(
        &self,
        config: &Path,
        new: &Value,
        terminal: &mut Terminal<'_>,
    ) -> io::Result<Result<Answer, Exit>> {
        ask(config, "POST", self.path, &Sent::Json(new), 201, terminal)
    }

    /// Asks about one, or something of it. The inner error is how to end.
    pub(in crate::cli) fn ask(
        &self,
        which: &Which,
        method: &str,
        of: &str,
        sent: &Sent<'_>,
        wanted: u16,
        terminal: &mut Terminal<'_>,
    ) -> io::Result<Result<Answer, Exit>> {
        let target = which.target(self) + of;
        ask(&which.config, method, &target, sent, wanted, terminal)
    }

    /// Changes one, and says so.
    pub(in crate::cli) fn change(
        &self,
        which: &Which,
        change: &Value,
        said: &str,
        terminal: &mut Terminal<'_>,
    ) -> io::Result<Exit> {
        match self.ask(which, "PATCH", "", &Sent::Json(change), 200, terminal)? {
            Ok(_) => {
                writeln!(terminal.err, "{said}: {}", which.shown())?;
                Ok(Exit::Fine)
            }
            Err(exit) => Ok(exit),
        }
    }

    /// Removes one, and says so.
    pub(in crate::cli) fn remove(&self, which: &Which, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
        match self.ask(which, "DELETE", "", &Sent::Nothing, 204, terminal)? {
            Ok(_) => {
                writeln!(terminal.err, "removed: {}", which.shown())?;
                Ok(Exit::Fine)
            }
            Err(exit) => Ok(exit),
        }
    }

    /// Shows all of them, one a line.
    pub(in crate::cli) fn list(&self, arguments: &List, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
        let of = arguments.credential.as_deref().map(encoded).unwrap_or_default();
        let of = if of.is_empty() { of } else { format!("&credential={of}") };
        let first = format!("{}?limit={PAGE}{of}", self.path);
        let mut target = first.clone();
        loop {
            let asked = ask(&arguments.config, "GET", &target, &Sent::Nothing, 200, terminal)?;
            let answer = match asked {
                Ok(answer) => answer,
                Err(exit) => return Ok(exit),
            };
            for one in answer.body[self.list].as_array().into_iter().flatten() {
                if arguments.json {
                    writeln!(terminal.out, "{one}")?;
                } else {
                    writeln!(terminal.out, "{}", shown(one))?;
                }
            }
            match answer.body["next"].as_str() {
                Some(next) => target = format!("{first}&after={}", encoded(next)),
                None => return Ok(Exit::Fine),
            }
        }
    }
}

/// Asks, and ends where the answer is none that was wanted.
pub(in crate::cli) fn ask(
    config: &Path,
    method: &str,
    target: &str,
    sent: &Sent<'_>,
    wanted: u16,
    terminal: &mut Terminal<'_>,
) -> io::Result<Result<Answer, Exit>> {
    let admin = match Admin::of(config, terminal)? {
        Ok(admin) => admin,
        Err(exit) => return Ok(Err(exit)),
    };
    match admin.ask(method, target, sent, terminal)? {
        Ok(answer) if answer.status == wanted => Ok(Ok(answer)),
        Ok(answer) => admin.refused(&answer, terminal).map(Err),
        Err(exit) => Ok(Err(exit)),
    }
}

/// One of them for people, on a line.
pub(in crate::cli) fn shown(one: &Value) -> String {
    let text = |name: &str| one[name].as_str().map(str::to_owned);
    let list = |name: &str| {
        let texts: Vec<&str> = one[name].as_array()?.iter().filter_map(Value::as_str).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    };
    let date = |name: &str| one[name].as_i64().map(|date| time::format(NumericDate(date)));
    let disabled = one["disabled"].as_bool().unwrap_or_default();
    let secrets = one["secrets"].as_array().into_iter().flatten().map(|secret| {
        let (number, last4) = (secret["number"].as_u64().unwrap_or_default(), secret["last4"].as_str());
        let usable = secret["usable"].as_bool().unwrap_or_default();
        let is = if usable { "" } else { ", under another pepper" };
        format!("secret {number} (…{}{is})", last4.unwrap_or_default())
    });
    let parts = [
        text("credential"),
        text("id"),
        text("name").map(|name| format!("({name})")),
        list("scopes"),
        list("namespaces").map(|namespaces| format!("in {namespaces}")),
        date("expires").map(|date| format!("until {date}")),
        disabled.then(|| "disabled".to_owned()),
        date("last_used").map(|date| format!("last used {date}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().chain(secrets).collect();
    visible(&parts.join("  ").replace('\n', " "))
}

/// Reads a secret from a file, or from standard input where none is named (or `-` is). The inner error is how to end.
pub(in crate::cli) fn secret(
    from: Option<&Path>,
    what: &str,
    terminal: &mut Terminal<'_>,
) -> io::Result<Result<Zeroizing<String>, Exit>> {
    let mut text = Zeroizing::new(String::new());
    let read = match from.filter(|from| **from != *Path::new("-")) {
        Some(file) => File::open(file).and_then(|file| file.take(INPUT_LIMIT).read_to_string(&mut text)),
        None => (&mut *terminal.input).take(INPUT_LIMIT).read_to_string(&mut text),
    };
    if let Err(error) = read {
        let from = from.map_or("standard input".to_owned(), |from| from.display().to_string());
        return terminal.end(Exit::Usage, format!("{from}: {error}")).map(Err);
    }
    // One newline is the editor's, or the terminal's.
    let secret = text.strip_suffix('\n').map_or(&**text, |text| text.strip_suffix('\r').unwrap_or(text));
    if secret.is_empty() {
        return terminal
            .end(Exit::Usage, format!("{what} is expected on standard input, or in a file"))
            .map(Err);
    }
    Ok(Ok(Zeroizing::new(secret.to_owned())))
}

/// Of a page, so many.
const PAGE: usize = 1_000;
/// Octets that are read for a secret: far more than any may have.
const INPUT_LIMIT: u64 = 64 * 1024;
