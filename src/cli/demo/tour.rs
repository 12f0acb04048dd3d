//! The tour: one request for each thing that can become of one.

use std::io::{self, Write};
use std::net::SocketAddr;

use serde_json::Value;

use crate::cli::demo::minted;
use crate::cli::demo::scene::Scene;
use crate::cli::demo::wire;
use crate::gate::denial::Reason;

/// One request and what should come of it.
struct Step {
    what: &'static str,
    method: &'static str,
    path: &'static str,
    token: Option<String>,
    refused: Option<Reason>,
}

/// Prints lines to paste.
pub(crate) fn print(
    scene: &Scene,
    public: SocketAddr,
    admin: SocketAddr,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "The gateway listens on http://{public}.")?;
    writeln!(out, "Paste these into another terminal; Ctrl-C ends.\n")?;
    for step in steps(scene)? {
        let method = if step.method == "GET" { String::new() } else { format!(" -X {}", step.method) };
        let token = step.token.as_ref().map(|token| format!(" -H 'Authorization: Bearer {token}'"));
        writeln!(out, "# {}: {}", step.what, step.expected())?;
        writeln!(out, "curl -i{method} http://{public}{}{}\n", step.path, token.unwrap_or_default())?;
    }
    minted::print(scene, public, out)?;
    writeln!(out, "# what was counted\ncurl http://{admin}/metrics\n")?;
    writeln!(out, "# the configuration, whole; it is reloaded when you change {}", scene.config().display())?;
    writeln!(out, "curl http://{admin}/v1/config")
}

/// Makes the requests, prints a table, and says whether everything came as expected: also that the upstream saw
/// what was allowed and nothing else.
pub(crate) fn run(scene: &Scene, public: SocketAddr, out: &mut dyn Write) -> io::Result<bool> {
    let steps = steps(scene)?;
    let mut as_expected = true;
    writeln!(out, "{:25}  {:22}  got", "request", "expected")?;
    for step in &steps {
        let expected = step.expected();
        let got = match wire::ask(public, step.method, step.path, step.token.as_deref()) {
            Ok(answer) => outcome(answer.status, reason(&answer.body).as_deref()),
            Err(error) => error.to_string(),
        };
        let mark = if got == expected { "" } else { "  <- not as expected" };
        as_expected &= got == expected;
        writeln!(out, "{:25}  {expected:22}  {got}{mark}", step.what)?;
    }
    let allowed = steps.iter().filter(|step| step.refused.is_none()).count();
    let reached = scene.reached();
    as_expected &= reached == allowed;
    writeln!(out, "\n{reached} of {} requests reached the upstream, and {allowed} were to.", steps.len())?;
    Ok(as_expected)
}

impl Step {
    fn expected(&self) -> String {
        self.refused
            .map_or_else(|| outcome(200, None), |reason| outcome(reason.status(), Some(reason.code())))
    }
}

fn steps(scene: &Scene) -> io::Result<Vec<Step>> {
    let read = |what, token, refused| Step { what, method: "GET", path: "/orders/1", token, refused };
    let write = |what, token, refused| Step { what, method: "POST", path: "/orders", token, refused };
    let good = || scene.token("orders:read").map(Some);
    Ok(vec![
        read("a good token", good()?, None),
        Step { what: "a public path", method: "GET", path: "/health", token: None, refused: None },
        read("no token", None, Some(Reason::NoCredentials)),
        read("an expired token", Some(scene.expired()?), Some(Reason::Expired)),
        write("a token of another scope", good()?, Some(Reason::InsufficientScope)),
        read("a revoked token", Some(scene.revoked()?), Some(Reason::Revoked)),
        write("a tampered token", Some(scene.tampered()?), Some(Reason::BadSignature)),
        Step {
            what: "a path without a route",
            method: "GET",
            path: "/admin",
            token: good()?,
            refused: Some(Reason::NoRoute),
        },
    ])
}

fn outcome(status: u16, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{status} {reason}"),
        None => status.to_string(),
    }
}

/// The reason in a problem body; the upstream's bodies have none.
fn reason(body: &str) -> Option<String> {
    serde_json::from_str::<Value>(body).ok()?.get("reason")?.as_str().map(str::to_owned)
}
