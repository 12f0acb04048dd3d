//! The second half of the tour: a token that the gateway mints itself, from an API key to its end.

use std::io::{self, Write};
use std::net::SocketAddr;

use serde_json::Value;

use crate::cli::demo::scene::{CLIENT, Scene};
use crate::cli::demo::wire::{self, Answer};

/// Where tokens are had, and ended.
const TOKEN: &str = "/oauth/token";
const REVOKE: &str = "/oauth/revoke";

/// The grant type of RFC 8693, and the type of its tokens.
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Prints lines to paste; each takes up what the one before has left in the shell.
pub(crate) fn print(scene: &Scene, public: SocketAddr, out: &mut dyn Write) -> io::Result<()> {
    let client = format!("-u {CLIENT}:{}", scene.client_secret());
    let member = |name: &str| format!("sed 's/.*\"{name}\":\"\\([^\"]*\\)\".*/\\1/'");
    let get = format!("curl -i http://{public}/orders/1 -H");
    writeln!(out, "# issue: an API key in, tokens out")?;
    writeln!(
        out,
        "PAIR=$(curl -s {client} -d grant_type=client_credentials http://{public}{TOKEN}); echo \"$PAIR\""
    )?;
    writeln!(
        out,
        "TOKEN=$(echo \"$PAIR\" | {}); REFRESH=$(echo \"$PAIR\" | {})\n",
        member("access_token"),
        member("refresh_token")
    )?;
    writeln!(out, "# call: 200\n{get} \"Authorization: Bearer $TOKEN\"\n")?;
    writeln!(out, "# narrow: a token with fewer scopes (RFC 8693)")?;
    writeln!(
        out,
        "curl {client} -d grant_type={EXCHANGE} -d subject_token=$TOKEN -d subject_token_type={ACCESS_TOKEN} \
         -d scope=orders:read http://{public}{TOKEN}\n"
    )?;
    writeln!(out, "# refresh: the next pair")?;
    writeln!(
        out,
        "curl {client} -d grant_type=refresh_token -d refresh_token=$REFRESH http://{public}{TOKEN}\n"
    )?;
    writeln!(out, "# revoke, and the token is refused: 401 revoked")?;
    writeln!(out, "curl {client} -d token=$TOKEN http://{public}{REVOKE}")?;
    writeln!(out, "{get} \"Authorization: Bearer $TOKEN\"\n")
}

/// What happens, in turn, and whether everything came as expected.
pub(crate) fn run(scene: &Scene, public: SocketAddr, out: &mut dyn Write) -> io::Result<bool> {
    let before = scene.reached();
    let mut tour = Tour { scene, public, out, as_expected: true };
    let issued = tour.form("issue", TOKEN, &[("grant_type", "client_credentials")], 200)?;
    let (access, refresh) = (member(&issued, "access_token"), member(&issued, "refresh_token"));
    tour.call("call with it", "GET", "/orders/1", &access, "200")?;
    let exchange = [
        ("grant_type", EXCHANGE),
        ("subject_token", &access),
        ("subject_token_type", ACCESS_TOKEN),
        ("scope", "orders:read"),
    ];
    let narrow = member(&tour.form("narrow", TOKEN, &exchange, 200)?, "access_token");
    tour.call("read with the narrow one", "GET", "/orders/1", &narrow, "200")?;
    tour.call("write with it", "POST", "/orders", &narrow, "403 insufficient_scope")?;
    let again = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let renewed = tour.form("refresh", TOKEN, &again, 200)?;
    let next = member(&renewed, "access_token");
    tour.call("call with the next one", "GET", "/orders/1", &next, "200")?;
    tour.form("revoke it", REVOKE, &[("token", &next)], 200)?;
    tour.call("call with it again", "GET", "/orders/1", &next, "401 revoked")?;
    let other = tour.form("issue another pair", TOKEN, &[("grant_type", "client_credentials")], 200)?;
    let (other, refresh) = (member(&other, "access_token"), member(&other, "refresh_token"));
    tour.form("revoke its refresh token", REVOKE, &[("token", &refresh)], 200)?;
    tour.call("call with its access token", "GET", "/orders/1", &other, "401 revoked")?;
    let (as_expected, reached) = (tour.as_expected, scene.reached() - before);
    writeln!(out, "\n{reached} of 6 requests reached the upstream, and {ALLOWED} were to.")?;
    Ok(as_expected && reached == ALLOWED)
}

/// Requests of the tour that are allowed.
const ALLOWED: usize = 3;

struct Tour<'t> {
    scene: &'t Scene,
    public: SocketAddr,
    out: &'t mut dyn Write,
    as_expected: bool,
}

impl Tour<'_> {
    /// A request to an endpoint, as the client.
    fn form(&mut self, what: &str, path: &str, pairs: &[(&str, &str)], expected: u16) -> io::Result<Value> {
        let client = (CLIENT, self.scene.client_secret());
        let answer = wire::post(self.public, path, client, pairs)?;
        self.line(what, &expected.to_string(), &answer)?;
        Ok(serde_json::from_str(&answer.body).unwrap_or_default())
    }

    /// A request to the API.
    fn call(&mut self, what: &str, method: &str, path: &str, token: &str, expected: &str) -> io::Result<()> {
        let answer = wire::ask(self.public, method, path, Some(token))?;
        self.line(what, expected, &answer)
    }

    fn line(&mut self, what: &str, expected: &str, answer: &Answer) -> io::Result<()> {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let got = match body["reason"].as_str() {
            Some(reason) => format!("{} {reason}", answer.status),
            None => answer.status.to_string(),
        };
        let mark = if got == expected { "" } else { "  <- not as expected" };
        self.as_expected &= got == expected;
        writeln!(self.out, "{what:25}  {expected:22}  {got}{mark}")
    }
}

fn member(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}
