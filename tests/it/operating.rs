//! The command line: what each command prints, and with which code it exits.

mod commands;
mod revoke;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;

use crate::harness::api::{Api, usual};
use crate::harness::canary;
use crate::harness::issuer::Issuer;
use crate::harness::keys::random_name;
use crate::harness::process::{Run, keeps_secrets, run};
use crate::harness::setup::{Ports, Setup};
use crate::harness::upstream::Upstream;

/// A directory with the usual configuration, changed.
fn directory(change: impl FnOnce(Setup) -> Setup) -> TempDir {
    let (upstream, issuer) = (Upstream::start(), Issuer::start());
    let directory = tempfile::tempdir().expect("a directory");
    change(usual(&upstream).issuer("corp", &issuer)).write_to(directory.path(), Ports::free());
    directory
}

fn check(directory: &Path) -> Run {
    run(directory, &["check", "--config", "portcullis.yaml"])
}

/// Whatever whoever started it may: what is in memory stays there.
#[test]
fn o8_a_crash_leaves_no_memory_on_the_disk() {
    let api = Api::with(Setup::quiet);
    let limits = fs::read_to_string(format!("/proc/{}/limits", api.gateway.pid())).expect("a process");
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let words: Vec<&str> = core.expect("Linux says it").split_whitespace().collect();
    assert_eq!(words, ["0", "0", "bytes"]);
}

#[test]
fn usage_is_2() {
    let directory = directory(|setup| setup);
    let misused: [&[&str]; 9] = [
        &["nonsense"],
        &["run"],
        &["run", "--nonsense"],
        &["check"],
        &["explain", "--config", "portcullis.yaml"],
        &["test", "--config", "portcullis.yaml"],
        &["keys", "generate"],
        &["keys", "generate", "--algorithm", "none", "--out", "keys"],
        &["token", "mint"],
    ];
    for arguments in misused {
        let run = run(directory.path(), arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.output());
    }
    for fine in [&["--help"][..], &["--version"], &["run", "--help"], &["help"]] {
        run(directory.path(), fine).code(0).says(&["portcullis"]);
    }
}

#[test]
fn a_sound_configuration_is_0() {
    let directory = directory(|setup| setup);
    check(directory.path()).code(0);
    let printed = run(directory.path(), &["check", "--config", "portcullis.yaml", "--print"]).code(0);
    // The long form: short ones spelt out, defaults filled in, and a configuration itself.
    for spelt in ["peers:", "scopes:", "header_time:", "cooldown:", "orders:read", "connect_timeout:"] {
        assert!(printed.stdout.contains(spelt), "{spelt}: {}", printed.stdout);
    }
    fs::write(directory.path().join("long.yaml"), &printed.stdout).expect("the long form");
    let again = run(directory.path(), &["check", "--config", "long.yaml", "--print"]).code(0);
    assert_eq!(again.stdout, printed.stdout, "the long form is its own long form");
}

#[test]
fn a_bad_configuration_is_78_and_every_problem_is_said_at_once() {
    let directory = directory(|setup| {
        setup.yaml(|text| {
            text.replace("audience:", "audiance:").replace("orders:write", "{scopes: [a], any: [b]}")
        })
    });
    let text = fs::read_to_string(directory.path().join("portcullis.yaml")).expect("the configuration");
    let place = |word: &str| {
        let (line, content) =
            text.lines().enumerate().find(|(_, line)| line.contains(word)).expect("it is there");
        format!("portcullis.yaml:{}:{}", line + 1, content.find(word).expect("it is there") + 1)
    };
    let (misspelt, unknown) = (place("audiance"), place("any:"));
    for command in ["check", "run"] {
        let run = run(directory.path(), &[command, "--config", "portcullis.yaml"]).code(78);
        let run = run.says(&["audiance", "did you mean `audience`", &misspelt, &unknown]);
        // With the lines themselves, and a mark under the place.
        assert!(
            run.output().contains("\"corp\": {issuer:") && run.output().contains(" ^"),
            "{}",
            run.output()
        );
    }
}

/// What is refused, and a word of why.
const REFUSED: [(&str, &str, &str); 26] = [
    ("version: 1\n", "version: 9\n", "version"),
    ("listeners: [", "listeners: [8080, ", "listeners"),
    ("listeners: [", "listeners: []\nunused: [", "listeners"),
    ("corp.json", "nowhere.json", "nowhere.json"),
    ("public\n", "{require: {}}\n", "require"),
    ("public\n", "{require: {scopes: []}}\n", "scopes"),
    ("public\n", "{require: {roles: [a]}}\n", "roles"),
    ("public\n", "{require: {when: 'claims.'}}\n", "when"),
    ("public\n", "{require: {when: 'nobody.knows == 1'}}\n", "nobody"),
    ("public\n", "{require: public, upstream: nowhere}\n", "nowhere"),
    ("public\n", "{require: {issuers: [nobody]}}\n", "nobody"),
    ("public\n", "yes\n  \"GET /orders/{x}\": public\n", "/orders/{x}"),
    ("\"/health\"", "\"health\"", "health"),
    ("\"/health\"", "\"/health/{a}/{a}\"", "{a}"),
    ("\"/health\"", "\"/health/{*rest}/more\"", "rest"),
    ("\"/health\"", "\"/a/../health\"", ".."),
    ("audience: api", "audience: []", "audience"),
    ("audience: api, ", "", "audience"),
    ("keys: {jwks: {file: corp.json}}", "keys: {jwks: {file: corp.json}}, algorithms: [HS256]", "HS256"),
    ("keys: {jwks: {file: corp.json}}", "keys: {jwks: {file: corp.json}}, algorithms: [none]", "none"),
    ("keys: {jwks: {file: corp.json}}", "keys: {secret: plain-text-in-the-file-itself-and-long}", "secret"),
    ("keys: {jwks: {file: corp.json}}", "keys: {jwks: {url: 'http://keys.example.com/x'}}", "dangerous_http"),
    ("keys: {jwks: {file: corp.json}}", "keys: {jwks: {file: corp.json}}, leeway: 30", "leeway"),
    ("workers: 2", "workers: 0", "workers"),
    ("workers: 2", "workers: 2\nshutdown_grace: 5 minutes", "shutdown_grace"),
    ("workers: 2", "workers: 2\nlimits: {token: 8 bananas}", "token"),
];

/// Keys of features that this version does not have.
const NOT_YET: [(&str, &str); 3] = [
    ("workers: 2", "workers: 2\npolicies: {a: b}"),
    ("public\n", "{require: a, on_stale_revocations: deny}\n"),
    ("workers: 2", "workers: 2\nstore: {postgres: {url: {env: DATABASE_URL}}}"),
];

fn changed(from: &'static str, to: &'static str) -> TempDir {
    directory(move |setup| {
        setup.file("r.yaml", "[]").yaml(move |text| {
            assert!(text.contains(from), "{from} is not in {text}");
            text.replacen(from, to, 1)
        })
    })
}

#[test]
fn o4_what_cannot_be_meant_is_refused() {
    for (from, to, word) in REFUSED {
        let run = check(changed(from, to).path());
        assert_eq!(run.code, 78, "{to}: {}", run.output());
        let run = run.says(&[word]);
        assert!(run.output().contains("portcullis.yaml:"), "{to}: no place: {}", run.output());
    }
}

/// A narrower route takes nothing over from a wider one, and cannot be open by leaving something out: it says what it
/// requires, or there is no start.
#[test]
fn p7_a_narrower_route_is_open_only_where_it_says_so() {
    for value in
        ["null", "{}", "''", "[]", "{enforce: deny}", "{require: null}", "{require: {}}", "{require: []}"]
    {
        let open = directory(|setup| setup.route("/orders/{id}/open", value));
        let run = check(open.path());
        assert_eq!(run.code, 78, "{value}: {}", run.output());
    }
    let open = directory(|setup| setup.route("/orders/{id}/open", "{require: public}"));
    check(open.path()).code(0);
}

#[test]
fn what_this_version_lacks_is_said_to_be_lacking() {
    for (from, to) in NOT_YET {
        let run = check(changed(from, to).path());
        assert_eq!(run.code, 78, "{to}: {}", run.output());
        run.says(&["not in this version"]);
    }
    // The store is accepted already, and makes nothing.
    let store = directory(|setup| setup.yaml_tail("store: {sqlite: portcullis.db}"));
    check(store.path()).code(0);
    assert!(!store.path().join("portcullis.db").exists());
}

#[test]
fn a_missing_or_unreadable_file_is_78() {
    let directory = directory(|setup| setup);
    for (command, file) in [("check", "nowhere.yaml"), ("run", "nowhere.yaml"), ("check", "."), ("run", ".")]
    {
        let run = run(directory.path(), &[command, "--config", file]);
        assert_eq!(run.code, 78, "{command} {file}: {}", run.output());
    }
}

#[test]
fn o4_a_taken_port_is_69() {
    let api = Api::start();
    let directory = api.gateway.directory.path();
    // The whole configuration a second time: our own workers' shared listening must not hide it.
    let second = run(directory, &["run", "--config", "portcullis.yaml"]).code(69);
    let second = second.says(&[&api.gateway.ports.public.port().to_string()]);
    keeps_secrets(&second);
    // Another program's port, of either listener.
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = holder.local_addr().expect("an address").to_string();
    let text = api.gateway.config();
    for own in [api.gateway.ports.public, api.gateway.ports.admin] {
        let other =
            if own == api.gateway.ports.public { api.gateway.ports.admin } else { api.gateway.ports.public };
        let free = Ports::free().public.to_string();
        let changed = text.replace(&own.to_string(), &taken).replace(&other.to_string(), &free);
        fs::write(directory.join("second.yaml"), changed).expect("a configuration");
        run(directory, &["run", "--config", "second.yaml"]).code(69).says(&[&taken]);
    }
    assert_eq!(api.gateway.get("/orders/1", &api.reader()).status, 200);
}

#[test]
fn k10_secrets_are_never_printed() {
    let secret = canary::secret(&(random_name() + &random_name()));
    let issuer = Issuer::with_keys(vec![crate::harness::keys::Key::secret("HS256", secret.as_bytes())]);
    let upstream = Upstream::start();
    let directory = tempfile::tempdir().expect("a directory");
    let setup = usual(&upstream)
        .issuer_with("corp", &issuer, "keys: {secret: {file: hidden}}")
        .file("hidden", &secret);
    setup.write_to(directory.path(), Ports::free());
    let token = issuer.mint("orders:read");
    let header = format!("Authorization: Bearer {token}");
    let commands: [&[&str]; 3] = [
        &["check", "--config", "portcullis.yaml"],
        &["check", "--config", "portcullis.yaml", "--print"],
        &[
            "explain",
            "--config",
            "portcullis.yaml",
            "--method",
            "GET",
            "--url",
            "/orders/1",
            "--header",
            &header,
        ],
    ];
    for arguments in commands {
        let run = run(directory.path(), arguments).code(0);
        keeps_secrets(&run);
    }
    // A secret where none belongs is not quoted back.
    let inline = directory.path().join("portcullis.yaml");
    let text = fs::read_to_string(&inline).expect("the configuration").replace("{file: hidden}", &secret);
    fs::write(&inline, text).expect("the configuration");
    keeps_secrets(&check(directory.path()).code(78));
}

#[test]
fn k10_the_mode_of_a_secret_file_matters() {
    use std::os::unix::fs::PermissionsExt;
    let secret = random_name() + &random_name();
    for (mode, code, word) in [
        (0o600, 0, ""),
        (0o640, 0, ""),
        (0o644, 0, "world-readable"),
        (0o666, 78, "world-writable"),
        (0o602, 78, "world-writable"),
    ] {
        let directory = directory(|setup| {
            let issuer = Issuer::start();
            setup.issuer_with("corp", &issuer, "keys: {secret: {file: hidden}}").file("hidden", &secret)
        });
        let hidden = directory.path().join("hidden");
        fs::set_permissions(&hidden, fs::Permissions::from_mode(mode)).expect("a mode");
        let run = check(directory.path());
        assert_eq!(run.code, code, "{mode:o}: {}", run.output());
        assert!(word.is_empty() || run.output().contains(word), "{mode:o}: no word of it: {}", run.output());
        assert!(mode != 0o600 || !run.output().contains("warning"), "{mode:o}: {}", run.output());
    }
}

#[test]
fn what_is_dangerous_warns() {
    let cases = [
        ("public\n", "{require: public, dangerous_path: true}\n", "dangerous_path"),
        (
            "keys: {jwks: {file: corp.json}}",
            "keys: {jwks: {file: corp.json}}, dangerous_http: true",
            "dangerous_http",
        ),
    ];
    for (from, to, word) in cases {
        check(changed(from, to).path()).code(0).says(&[word]);
    }
    check(directory(|setup| setup).path()).code(0).never_says("dangerous");
}

#[test]
fn scalars_may_come_from_the_environment() {
    let upstream = Upstream::start();
    let issuer = Issuer::start();
    let setup = usual(&upstream).issuer_with("corp", &issuer, "audience: {env: IT_AUDIENCE, default: other}");
    let gateway = setup.env("IT_AUDIENCE", "api").start();
    assert_eq!(gateway.get("/me", &issuer.mint("")).status, 200);
    drop(gateway);
    let setup =
        usual(&upstream).issuer_with("corp", &issuer, "audience: {env: IT_AUDIENCE_UNSET, default: other}");
    assert_eq!(setup.start().get("/me", &issuer.mint("")).status, 401);
    let directory = directory(|setup| {
        setup.yaml(|text| text.replace("audience: api", "audience: {env: IT_AUDIENCE_UNSET}"))
    });
    check(directory.path()).code(78).says(&["IT_AUDIENCE_UNSET"]);
}
