//! The clients that five vendors published, each against its file of `config/systems`, before an upstream that knows nothing
//! of tokens; and clients of OAuth 2.0 against the presets. `tests/systems` has their packages and what drives them.

mod jexia;
mod libraries;
mod prequel;
mod pubq;
mod trompa;
mod weavy;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::external::tools;
use crate::harness::canary;
use crate::harness::client::{Request, Response};
use crate::harness::gateway::Gateway;
use crate::harness::keys::decode;
use crate::harness::setup::Setup;
use crate::harness::upstream::Upstream;
use crate::harness::wait::eventually;

/// A browser that starts on two loaded cores takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The origin of a page that nobody opened.
const ORIGIN: &str = "https://app.example";

/// The gateway of one system, as its file has it, listening elsewhere, logging everything, and before this upstream.
fn system(name: &str, upstream: &str) -> Setup {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/systems").join(format!("{name}.yaml"));
    let text = fs::read_to_string(file).expect("the system's configuration");
    let moved = move |rendered: String| {
        let mut addresses = rendered.split('"').skip(1).step_by(2);
        let mut next = || addresses.next().expect("an address").to_owned();
        let (public, admin) = (next(), next());
        let text = text.replacen("0.0.0.0:8080", &format!("{public:?}"), 1);
        let text = text.replacen("127.0.0.1:9900", &format!("{admin:?}"), 1);
        format!("{text}log: {{format: json, level: trace, access: true}}\nworkers: 2\n")
    };
    Gateway::new().yaml(moved).env("UPSTREAM", upstream)
}

/// Sends a request on a connection whose answers need not look like the gateway's own.
#[track_caller]
fn send(gateway: &Gateway, request: &Request) -> Response {
    gateway.connect().unaudited().send(request)
}

/// `POST` of JSON.
fn post(target: &str, body: &Value) -> Request {
    Request::post(target, body.to_string()).header("Content-Type", "application/json")
}

/// `http://address` of the data plane.
fn address(gateway: &Gateway) -> String {
    format!("http://{}", gateway.ports.public)
}

/// The claims of a JWT.
#[track_caller]
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_else(|| panic!("no JWT: {token}"));
    serde_json::from_slice(&decode(payload)).expect("JSON")
}

/// A text that may stand in a request, a file or the environment, and nowhere else.
fn secret(prefix: &str) -> String {
    let random = crate::harness::keys::random_name();
    canary::secret(&format!("{prefix}{random}{random}{random}"))
}

/// Fails if anything that the upstream was sent has one of these in it.
#[track_caller]
fn never_reached(upstream: &Upstream, secrets: &[&str]) {
    let raw = upstream.raw();
    for secret in secrets {
        assert!(!secret.is_empty() && !raw.contains(secret), "{secret} reached the upstream:\n{raw}");
    }
    assert!(
        !raw.to_ascii_lowercase().contains("\nauthorization:"),
        "a credential reached the upstream:\n{raw}"
    );
}

/// A vendor's client in a process of its own: what it is told to do, it says what came of. It ends when this is dropped.
pub(in crate::external) struct Client {
    process: Child,
    input: Option<ChildStdin>,
    said: Receiver<String>,
    // Last, so that the process is gone before its directory is.
    _directory: TempDir,
}

impl Client {
    /// A script of `tests/systems` in Node.
    pub(in crate::external) fn node(script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = tools::program("node");
        command.arg(scripts().join(script)).args(arguments);
        Self::start(command, variables)
    }

    /// One in the Python of this environment.
    pub(in crate::external) fn python(environment: &str, script: &str, variables: &[(&str, &str)]) -> Self {
        let python = tools::place().join("systems").join(environment).join("bin/python");
        let mut command = tools::program(&python.to_string_lossy());
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(scripts().join(script));
        Self::start(command, variables)
    }

    fn start(mut command: Command, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        command.envs(variables.iter().copied()).env("TMPDIR", directory.path()).current_dir(directory.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it is there: tests/systems/install puts it there");
        let output = process.stdout.take().expect("piped");
        let (sender, said) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let input = process.stdin.take();
        let client = Self { process, input, said, _directory: directory };
        assert_eq!(client.answer("its start"), json!({"value": "ready"}), "{command:?}");
        client
    }

    #[track_caller]
    fn answer(&self, what: &str) -> Value {
        let line = self.said.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|error| panic!("{what}: the client said nothing more: {error}"));
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{what}: {line}"))
    }

    /// Does an act: `{"value": …}` or `{"error": …}`.
    #[track_caller]
    pub(in crate::external) fn ask(&mut self, act: &str, mut command: Value) -> Value {
        command["act"] = json!(act);
        let input = self.input.as_mut().expect("open until it is dropped");
        writeln!(input, "{command}").expect("the client reads");
        self.answer(&command.to_string())
    }

    /// Does an act that has to succeed.
    #[track_caller]
    pub(in crate::external) fn value(&mut self, act: &str, command: Value) -> Value {
        let answer = self.ask(act, command);
        answer.get("value").unwrap_or_else(|| panic!("{act}: {answer}")).clone()
    }

    /// Does an act that has to fail.
    #[track_caller]
    pub(in crate::external) fn error(&mut self, act: &str, command: Value) -> Value {
        let answer = self.ask(act, command);
        answer.get("error").unwrap_or_else(|| panic!("{act} succeeded: {answer}")).clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.input = None;
        let mut ended = || self.process.try_wait().is_ok_and(|status| status.is_some());
        if !eventually(Duration::from_secs(10), &mut ended) {
            self.process.kill().ok();
            self.process.wait().ok();
        }
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/systems")
}
