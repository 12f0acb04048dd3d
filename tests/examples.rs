//! What a newcomer is told works: the README's quickstart runs as it stands, and every example under `config/`
//! passes `portcullis check`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory with a copy of `config/`, in which the commands of the documentation are run.
struct Checkout {
    root: TempDir,
}

impl Checkout {
    fn new() -> Self {
        let checkout = Self { root: TempDir::new().expect("a directory") };
        fs::create_dir_all(checkout.at("config/keys")).expect("a directory");
        for name in examples() {
            fs::copy(repository().join("config").join(&name), checkout.at("config").join(&name))
                .expect("a copy");
        }
        fs::create_dir(checkout.at("bin")).expect("a directory");
        symlink(BINARY, checkout.at("bin/portcullis")).expect("a link");
        checkout
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(path), content).expect("written");
        fs::set_permissions(self.at(path), Permissions::from_mode(0o600)).expect("a mode");
    }

    /// A shell that finds `portcullis` as a newcomer's would.
    fn shell(&self, script: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.arg("-euc").arg(script).current_dir(self.root.path()).stdin(Stdio::null());
        shell.env("PATH", format!("{}:{path}", self.at("bin").display())).env_remove("RUST_LOG");
        shell
    }

    /// What a script prints; it must succeed.
    #[track_caller]
    fn output(&self, script: &str) -> String {
        let output = self.shell(script).output().expect("sh runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

/// The files of `config/`.
fn examples() -> Vec<String> {
    let entries =
        fs::read_dir(repository().join("config")).expect("config/").map(|entry| entry.expect("an entry"));
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().expect("a name"))
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    names
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The fenced blocks of this language in the README's section of this title.
fn blocks(title: &str, language: &str) -> Vec<String> {
    let readme = fs::read_to_string(repository().join("README.md")).expect("the README");
    let section = readme.split("\n## ").find(|section| section.starts_with(title)).expect("the section");
    let fence = format!("```{language}\n");
    let blocks = section.split(fence.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// Commands, each on one line.
fn commands(blocks: &[String]) -> Vec<String> {
    let joined = blocks.concat().replace("\\\n", " ");
    joined.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// An HTTP server that answers every request with `Hello, Alice.` and tells what it was asked.
fn upstream() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, heard) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let Ok(head) = head(&stream) else { continue };
            // A connection without a request is only somebody looking whether the port is open.
            if !head.is_empty() && sender.send(head).is_ok() {
                let answer =
                    "HTTP/1.1 200 OK\r\ncontent-length: 14\r\nconnection: close\r\n\r\nHello, Alice.\n";
                stream.write_all(answer.as_bytes()).ok();
            }
        }
    });
    (port, heard)
}

/// A message's head, up to its empty line.
fn head(stream: &TcpStream) -> io::Result<String> {
    let mut head = String::new();
    let mut lines = BufReader::new(stream);
    while lines.read_line(&mut head)? > 2 {}
    Ok(head)
}

/// Two ports that nobody listens on.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// Starts the gateway and waits until it says that it is ready.
fn start(checkout: &Checkout, command: &str) -> Running {
    // `exec`, lest the shell be ended in place of the gateway.
    let mut shell = checkout.shell(&format!("exec {command} 2>&1"));
    let mut running = Running(shell.stdout(Stdio::piped()).spawn().expect("sh runs"));
    let output = running.0.stdout.take().expect("its output");
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            sender.send(line).ok();
        }
    });
    let mut said = String::new();
    while !said.contains("\"ready\"") {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{command}: {error}\n{said}"));
        said = said + &line + "\n";
    }
    running
}

/// What `curl -i` with these arguments shows.
fn curl(arguments: &[&str]) -> String {
    let ["-i", url, headers @ ..] = arguments else { panic!("no such curl: {arguments:?}") };
    let (authority, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL with a path");
    let mut request = format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
    for pair in headers.chunks(2) {
        let ["-H", header] = pair else { panic!("no such curl: {arguments:?}") };
        request = request + header + "\r\n";
    }
    let mut stream = TcpStream::connect(authority).expect("the gateway listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(format!("{request}\r\n").as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.replace("\r\n", "\n")
}

/// The command lines of the README's quickstart, run in order; and what it says becomes of them.
#[test]
fn the_quickstart_does_what_the_readme_says() {
    let checkout = Checkout::new();
    let (upstream, heard) = upstream();
    let [listener, admin] = free_ports();
    let moved = |text: &str| {
        [("8080", listener), ("3000", upstream), ("9900", admin)]
            .iter()
            .fold(text.to_owned(), |text, (port, free)| {
                text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{free}"))
            })
    };
    let config = fs::read_to_string(checkout.at("config/quickstart.yaml")).expect("the configuration");
    checkout.write("config/quickstart.yaml", moved(&config));

    let mut variables = String::new();
    let mut gateway = None;
    let mut answers = Vec::new();
    for command in commands(&blocks("Quickstart", "sh")) {
        if command.starts_with("cargo build") || command.starts_with("export PATH=") {
            // Built already, and in the path of the checkout's shell.
        } else if command.starts_with("python3 -m http.server 3000 --bind 127.0.0.1") {
            // Stood in for by `upstream`.
        } else if let Some(serving) = command.strip_suffix('&') {
            assert!(gateway.is_none(), "a second one: {command}");
            gateway = Some(start(&checkout, serving));
        } else if command.starts_with("curl ") {
            // The shell takes the command apart.
            let words = checkout
                .output(&format!("{variables}\ncurl() {{ printf '%s\\n' \"$@\"; }}\n{}", moved(&command)));
            answers.push(curl(&words.lines().collect::<Vec<_>>()));
        } else if let Some((name, _)) = command.split_once("=$(") {
            let value = checkout.output(&format!("{command}\nprintf '%s' \"${name}\""));
            variables = format!("{variables}{name}='{value}'\n");
        } else {
            checkout.output(&command);
        }
    }

    assert!(gateway.is_some(), "no gateway was started");
    let [allowed, refused] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(
        allowed.starts_with("HTTP/1.1 200 OK\n") && allowed.ends_with("\n\nHello, Alice.\n"),
        "{allowed}"
    );
    let id =
        refused.split("\"request_id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    let shown = refused.replace(id, "…").replace("connection: close\n", "");
    assert_eq!(blocks("Quickstart", "text"), [shown]);
    let heard: Vec<String> = heard.try_iter().collect();
    let [request] = heard.as_slice() else { panic!("the upstream heard {heard:?}") };
    assert!(request.starts_with("GET /hello HTTP/1.1\r\n"), "{request}");
    assert!(!request.to_lowercase().contains("authorization:"), "the token travelled on: {request}");
}

/// Every file under `config/` passes `check` as it stands, once what it names is there.
#[test]
fn every_example_passes_check_without_a_warning() {
    let checkout = Checkout::new();
    checkout.output("portcullis keys generate --algorithm ES256 --out config/keys");
    let partner = repository().join("tests/vectors/keys/p256_public.pem");
    checkout.write("config/keys/partner.pem", fs::read(partner).expect("a public key"));
    checkout.write("config/admin.token", "0123456789abcdef0123456789abcdef\n");
    for name in ["kek", "pepper"] {
        checkout.write(&format!("config/{name}"), "c2VjcmV0IG9jdGV0cyBvZiB0aGUgZXhhbXBsZXMhISE=\n");
    }
    let variables = BTreeMap::from([("LEGACY_HMAC_KEY", "0123456789abcdef0123456789abcdef")]);
    let check = |name: &str| {
        let mut command = Command::new(BINARY);
        command.args(["check", "--config"]).arg(format!("config/{name}"));
        let output =
            command.current_dir(checkout.root.path()).env_clear().envs(&variables).output().expect("it runs");
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let mut passed = Vec::new();
    // A list of entries, which `config/revocation.yaml` names.
    for name in examples().iter().filter(|name| *name != "revoked.yaml") {
        let (code, out, err) = check(name);
        assert_eq!((code, &*err), (Some(0), ""), "config/{name}: {out}");
        assert!(out.contains("fine ("), "config/{name}: {out}");
        passed.push(name.trim_end_matches(".yaml").to_owned());
    }
    let all = [
        "browser",
        "minimal",
        "portcullis",
        "quickstart",
        "revocation",
        "roles",
        "several-issuers",
        "tokens",
    ];
    assert_eq!(passed, all);
    // What they name is really read.
    for (path, name) in [
        ("config/keys/jwks.json", "quickstart.yaml"),
        ("config/keys/partner.pem", "several-issuers.yaml"),
        ("config/admin.token", "revocation.yaml"),
        ("config/revoked.yaml", "revocation.yaml"),
    ] {
        fs::remove_file(checkout.at(path)).expect("it was there");
        let (code, _, err) = check(name);
        assert!(code == Some(78) && err.contains(path.trim_start_matches("config/")), "{path}: {err}");
    }
}

/// The same for the five systems, each with the variables and files that its page explains.
#[test]
fn every_system_passes_check_without_a_warning() {
    let directory = TempDir::new().expect("a directory");
    let entries = fs::read_dir(repository().join("config/systems")).expect("config/systems");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    let (files, pages): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.ends_with(".yaml"));
    assert_eq!(files, ["jexia.yaml", "prequel.yaml", "pubq.yaml", "trompa.yaml", "weavy.yaml"]);
    let stems = |names: &[&String]| {
        names.iter().filter_map(|name| name.split('.').next().map(str::to_owned)).collect()
    };
    let (stems, explained): (Vec<String>, Vec<String>) = (stems(&files), stems(&pages));
    assert_eq!(explained, stems, "each has its page");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("a mode");
    };
    write("weavy-keys.json", r#"[{"id": "backend", "secret": "wys_0123456789abcdef0123456789abcdef"}]"#);
    write(
        "jexia-users.json",
        r#"[{"email": "a@example.com", "password": "$argon2id$v=19$m=19456,t=2,p=1$pyUyL2TUERQHSVaWTww8kQ$zbZbuNgQX9LkD7oCduGKizNoXVKw8BPIoCUvEc6JWvg"}]"#,
    );
    let key = "0123456789abcdef0123456789abcdef";
    let keys = format!(r#"[{{"id": "a", "secret": "{key}", "scopes": ["*"], "restrictions": null}}]"#);
    let pairs = format!(r#"[{{"id": "a", "apiKey": "{key}", "scopes": ["*"]}}]"#);
    let prefixed = format!(r#"[{{"id": "a", "secret": "sk_prod_{key}"}}]"#);
    let variables = [
        ("JWT_SECRET", key),
        ("JWT_AUTH_KEYS", &pairs),
        ("JEXIA_KEYS", &keys),
        ("JEXIA_SECRET", key),
        ("SESSION_KEY", key),
        ("APP_SECRET", key),
        ("PUBQ_KEYS", &keys),
        ("PREQUEL_KEYS", &prefixed),
        ("SCOPED_KEY", key),
    ];
    for name in files {
        let config = directory.path().join(name);
        fs::copy(repository().join("config/systems").join(name), &config).expect("a copy");
        let check = |variables: &[(&str, &str)]| {
            let mut command = Command::new(BINARY);
            command.args(["check", "--config"]).arg(&config).env_clear().envs(variables.iter().copied());
            let output = command.output().expect("it runs");
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
            (output.status.code(), text(&output.stdout), text(&output.stderr))
        };
        let (code, out, err) = check(&variables);
        assert_eq!((code, &*err), (Some(0), ""), "config/systems/{name}: {out}");
        // Without its secrets it says so.
        assert_eq!(check(&[]).0, Some(78), "config/systems/{name}");
    }
}

/// Long enough for two loaded cores; a passing test never waits it out.
const PATIENCE: Duration = Duration::from_secs(30);
