//! What stands under `deploy/` is true: its configurations and commands go through the real binary, its manifests
//! agree with the configuration inside them, and its queries name only metrics that exist.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "deploy/external.rs"]
#[cfg(feature = "external")]
mod external;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use portcullis::config::raw;
use portcullis::metrics::FAMILIES;
use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

/// The families of [`FAMILIES`] whose series end in `_bucket`, `_sum` and `_count`.
const HISTOGRAMS: &[&str] = &[
    "portcullis_http_request_duration_seconds",
    "portcullis_token_verify_seconds",
    "portcullis_upstream_duration_seconds",
];

const OK: i32 = 0;
const USAGE: i32 = 2;
const BAD_CONFIGURATION: i32 = 78;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A directory that stands in for the absolute paths of an installation.
struct Host {
    root: TempDir,
}

impl Host {
    /// With these files in its `/etc/portcullis`, every secret that they ask for, and a broken configuration in
    /// `/etc/broken`.
    fn new(files: &[(&str, &str)]) -> Self {
        let host = Self { root: TempDir::new().unwrap() };
        host.write("/etc/broken/portcullis.yaml", "version: 1\nlisteners: []\n");
        host.write("/run/credentials/portcullis.service/admin-token", "0123456789abcdef0123456789abcdef\n");
        fs::create_dir_all(host.at("/var/lib/portcullis")).unwrap();
        for (name, text) in files {
            host.write(&format!("/etc/portcullis/{name}"), &host.moved(text));
        }
        host
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The text with the installation's paths moved here.
    fn moved(&self, text: &str) -> String {
        ["/etc/", "/run/credentials/", "/var/lib/portcullis"].iter().fold(text.to_owned(), |text, path| {
            text.replace(path, &format!("{}{path}", self.root.path().display()))
        })
    }

    /// Runs our binary with a command line of the installation and returns how it ended.
    fn run(&self, arguments: &[String]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(arguments.iter().map(|argument| self.moved(argument)))
            .env("PORTCULLIS_ADMIN_TOKEN", "0123456789abcdef0123456789abcdef")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    /// Expects a command line of the installation to be one of ours: `check` passes; `run` gets as far as a
    /// broken configuration, which is past reading its arguments.
    fn understands(&self, command: &[String]) {
        let (code, said) = match command.first().map(String::as_str) {
            Some("check") => self.run(command),
            Some("run") => {
                let broken: Vec<String> =
                    command.iter().map(|word| word.replace("/etc/portcullis/", "/etc/broken/")).collect();
                assert_ne!(broken, command, "it names a configuration");
                let (code, said) = self.run(&broken);
                assert_eq!(code, BAD_CONFIGURATION, "{command:?}: {said}");
                let check: Vec<String> =
                    std::iter::once("check".to_owned()).chain(command[1..].to_vec()).collect();
                self.run(&check)
            }
            other => panic!("no command for an installation: {other:?}"),
        };
        assert_eq!(code, OK, "{command:?}: {said}");
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn documents(path: &str) -> Vec<Value> {
    text(path).split("\n---\n").map(yaml).collect()
}

fn yaml(text: &str) -> Value {
    let document = raw::parse(text);
    assert!(document.problems.is_empty(), "{:?} in\n{text}", document.problems);
    document.root.unwrap().to_json()
}

/// The Kubernetes object of this kind and name.
fn object(kind: &str, name: &str) -> Value {
    let found = documents("deploy/kubernetes/portcullis.yaml")
        .into_iter()
        .find(|document| document["kind"] == kind && document["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("a {kind} {name}"))
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn port(address: &str) -> u64 {
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.trim_end_matches('s').parse().unwrap())
}

/// `shutdown_grace` of a configuration; its default is 30 seconds.
fn grace(config: &Value) -> Duration {
    seconds(config["shutdown_grace"].as_str().unwrap_or("30s"))
}

/// The values of a unit's setting, in order.
fn setting<'u>(unit: &'u str, name: &str) -> Vec<&'u str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

#[test]
fn a_foreign_command_line_would_be_found() {
    let host = Host::new(&[("portcullis.yaml", &text("deploy/config/host.yaml"))]);
    let (code, said) = host.run(&words("run --configuration /etc/portcullis/portcullis.yaml"));
    assert_eq!(code, USAGE, "{said}");
    let (code, said) = host.run(&words("check --config /etc/broken/portcullis.yaml"));
    assert_eq!(code, BAD_CONFIGURATION, "{said}");
    let (code, said) = host.run(&words("check --config /etc/portcullis/portcullis.yaml"));
    assert_eq!(code, BAD_CONFIGURATION, "revoked.yaml is not there: {said}");
}

#[test]
fn the_unit_runs_our_commands() {
    let unit = text("deploy/portcullis.service");
    let host = Host::new(&[
        ("portcullis.yaml", &text("deploy/config/host.yaml")),
        ("revoked.yaml", &text("deploy/config/revoked.yaml")),
    ]);
    let commands = [setting(&unit, "ExecStartPre"), setting(&unit, "ExecStart")].concat();
    assert_eq!(commands.len(), 2);
    for command in commands {
        let command = command.strip_prefix("/usr/local/bin/portcullis ").expect("our binary");
        host.understands(&words(command));
    }
    assert_eq!(setting(&unit, "ExecReload"), ["/bin/kill -HUP $MAINPID"]);
}

#[test]
fn the_unit_is_hardened_and_patient() {
    let unit = text("deploy/portcullis.service");
    let config = yaml(&text("deploy/config/host.yaml"));
    let one = |name: &str| match setting(&unit, name).as_slice() {
        [value] => (*value).to_owned(),
        values => panic!("{name} is set {} times", values.len()),
    };
    for (name, value) in [
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("CapabilityBoundingSet", ""),
        ("LimitCORE", "0"),
        ("StateDirectory", "portcullis"),
        ("RuntimeDirectoryMode", "0700"),
        ("Type", "notify"),
        ("NotifyAccess", "all"),
        ("KillSignal", "SIGTERM"),
    ] {
        assert_eq!(one(name), value, "{name}");
    }
    assert!(seconds(&one("TimeoutStopSec")) > grace(&config), "systemd waits for the drain");
    assert!(one("LimitNOFILE").parse::<u32>().unwrap() > 2 * 10_000, "two descriptors a connection");
    assert!(one("RestartPreventExitStatus").split(' ').any(|code| code == BAD_CONFIGURATION.to_string()));
    let token = config["admin"]["token"]["file"].as_str().unwrap();
    let (name, _) = one("LoadCredential").split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(token, format!("/run/credentials/portcullis.service/{name}"));
    assert!(config["key_mirror"].as_str().unwrap().starts_with("/var/lib/portcullis/"));
    let upgrade = format!("/run/{}/", one("RuntimeDirectory"));
    assert!(config["upgrade_socket"].as_str().unwrap().starts_with(&upgrade));
}

#[test]
fn the_sockets_are_listeners_of_the_configuration() {
    let config = yaml(&text("deploy/config/host.yaml"));
    let listeners = strings(&config["listeners"]);
    let unit = text("deploy/portcullis.socket");
    let sockets = setting(&unit, "ListenStream");
    assert!(!sockets.is_empty());
    for socket in sockets {
        assert!(listeners.iter().any(|listener| listener == socket), "{socket} is none of {listeners:?}");
    }
    let service = text("deploy/portcullis.service");
    assert_eq!(setting(&service, "Requires"), ["portcullis.socket"]);
}

#[test]
fn the_image_runs_our_command_without_root() {
    let dockerfile = text("deploy/Dockerfile");
    let last = dockerfile.rsplit("\nFROM ").next().unwrap();
    assert!(last.starts_with("gcr.io/distroless/") && last.lines().next().unwrap().ends_with(":nonroot"));
    assert!(last.lines().any(|line| line == "USER nonroot:nonroot"), "not root");
    let list = |name: &str| {
        let line = last.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}"));
        strings(&serde_json::from_str(line).unwrap())
    };
    assert_eq!(list("ENTRYPOINT "), ["/usr/local/bin/portcullis"]);
    let host = Host::new(&[
        ("portcullis.yaml", &text("deploy/config/host.yaml")),
        ("revoked.yaml", &text("deploy/config/revoked.yaml")),
    ]);
    host.understands(&list("CMD "));
    for copied in ["!Cargo.toml", "!Cargo.lock", "!src"] {
        assert!(text("deploy/Dockerfile.dockerignore").lines().any(|line| line == copied), "{copied}");
    }
}

#[test]
fn the_manifest_runs_our_command_on_its_configuration() {
    let data = object("ConfigMap", "portcullis")["data"].clone();
    let files: Vec<(&str, &str)> = data
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str().unwrap()))
        .collect();
    let container = object("Deployment", "portcullis")["spec"]["template"]["spec"]["containers"][0].clone();
    Host::new(&files).understands(&strings(&container["args"]));
}

#[test]
fn the_manifest_agrees_with_its_configuration() {
    let config = yaml(object("ConfigMap", "portcullis")["data"]["portcullis.yaml"].as_str().unwrap());
    let pod = object("Deployment", "portcullis")["spec"]["template"].clone();
    let container = &pod["spec"]["containers"][0];

    let ports = container["ports"].as_array().unwrap();
    let named = |name: &str| {
        ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].as_u64().unwrap()
    };
    assert_eq!(named("http"), port(config["listeners"][0].as_str().unwrap()));
    let admin = config["admin"]["address"].as_str().unwrap();
    assert_eq!(named("admin"), port(admin));
    assert!(!admin.starts_with("127."), "the kubelet comes from outside the pod");

    for (probe, path) in
        [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
    {
        assert_eq!(container[probe]["httpGet"]["path"], path, "{probe}");
        assert_eq!(container[probe]["httpGet"]["port"], "admin", "{probe}");
    }

    let environment = &container["env"][0];
    assert_eq!(environment["name"], config["admin"]["token"]["env"], "the token comes from the Secret");
    let secret = environment["valueFrom"]["secretKeyRef"]["name"].as_str().unwrap();
    assert!(object("Secret", secret).get("stringData").is_none(), "no token that everybody knows");

    let pause = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    let patience = Duration::from_secs(pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap());
    assert!(patience > grace(&config) + Duration::from_secs(pause), "the kubelet waits for the drain");

    let mounts = container["volumeMounts"].as_array().unwrap();
    let mounted = |path: &str| mounts.iter().find(|mount| mount["mountPath"] == path).unwrap();
    assert!(strings(&container["args"]).iter().any(|argument| argument.starts_with("/etc/portcullis/")));
    assert!(mounted("/etc/portcullis").get("subPath").is_none(), "a subPath mount never changes");
    assert!(config["key_mirror"].as_str().unwrap().starts_with("/var/lib/portcullis/"));
    assert!(mounted("/var/lib/portcullis").get("readOnly").is_none());

    let selector = &object("Deployment", "portcullis")["spec"]["selector"]["matchLabels"];
    assert_eq!(pod["metadata"]["labels"], *selector);
    for (kind, name, target) in [("Service", "portcullis", "http"), ("Service", "portcullis-admin", "admin")]
    {
        let spec = object(kind, name)["spec"].clone();
        assert_eq!(spec["selector"], *selector, "{name}");
        assert_eq!(spec["ports"][0]["targetPort"], target, "{name}");
    }
    assert_eq!(object("PodDisruptionBudget", "portcullis")["spec"]["selector"]["matchLabels"], *selector);
}

#[test]
fn the_pod_may_do_nothing_that_a_gateway_need_not() {
    let pod = object("Deployment", "portcullis")["spec"]["template"]["spec"].clone();
    let container = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(strings(&container["securityContext"]["capabilities"]["drop"]), ["ALL"]);
    assert!(container["resources"]["limits"]["memory"].is_string());
}

#[test]
fn the_scraper_goes_where_metrics_are() {
    let config = documents("deploy/prometheus/prometheus.yaml").remove(0);
    let host = yaml(&text("deploy/config/host.yaml"));
    let [on_hosts, in_cluster] = config["scrape_configs"].as_array().unwrap().as_slice() else {
        panic!("two jobs");
    };
    assert_eq!(on_hosts["static_configs"][0]["targets"][0], host["admin"]["address"]);
    let found = &in_cluster["dns_sd_configs"][0];
    let service = found["names"][0].as_str().unwrap().split('.').next().unwrap().to_owned();
    let service = object("Service", &service);
    assert_eq!(service["spec"]["clusterIP"], "None", "one address a pod");
    assert_eq!(service["spec"]["ports"][0]["port"], found["port"]);
    for rules in strings(&config["rule_files"]) {
        assert!(repository("deploy/prometheus").join(rules).is_file());
    }
}

/// Every rule of the rules file.
fn rules() -> Vec<Value> {
    let groups = documents("deploy/prometheus/alerts.yaml").remove(0)["groups"].clone();
    groups.as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Every query of the dashboard, and those that fill its variables.
fn dashboard_queries() -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        Value::String(text) if name == "expr" || name == "definition" => {
                            found.push(text.clone())
                        }
                        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
                        Value::Array(_) | Value::Object(_) => collect(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    collect(&serde_json::from_str(&text("deploy/grafana/portcullis.json")).unwrap(), &mut found);
    found
}

/// The metrics that a PromQL expression names: what is left when strings, selectors, ranges, label lists, functions
/// and keywords are gone. `label_values(metric, label)` is Grafana's.
fn metrics(query: &str) -> BTreeSet<String> {
    let strip = |query: &str, pattern: &str, by: &str| {
        Regex::new(pattern).unwrap().replace_all(query, by).into_owned()
    };
    let query = strip(query, r"label_values\((\w+), *\w+\)", "$1");
    let query = strip(&query, r#""(\\.|[^"\\])*""#, " ");
    let query = strip(&query, r"\{[^}]*\}|\[[^\]]*\]", " ");
    let query = strip(&query, r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ");
    let query = strip(&query, r"\b[a-z_]\w*\s*\(", "(");
    Regex::new(r"\b[a-zA-Z_:][\w:]*")
        .unwrap()
        .find_iter(&query)
        .map(|found| found.as_str().to_owned())
        .filter(|word| !["and", "or", "unless", "offset", "bool", "inf"].contains(&word.as_str()))
        .collect()
}

/// Is there a series of this name? `recorded` are those that our own rules make.
fn exists(name: &str, recorded: &BTreeSet<String>) -> bool {
    let histogram = HISTOGRAMS
        .iter()
        .any(|family| ["_bucket", "_sum", "_count"].iter().any(|part| name == format!("{family}{part}")));
    let plain = FAMILIES.contains(&name) && !HISTOGRAMS.contains(&name);
    name == "up" || plain || histogram || recorded.contains(name)
}

#[test]
fn the_metrics_of_a_query_are_found() {
    let check = |query: &str, want: &[&str]| {
        assert_eq!(metrics(query).iter().map(String::as_str).collect::<Vec<_>>(), want, "{query}");
    };
    check(r#"sum by (route) (rate(a_total{b="c{d}", e=~"f"}[5m] offset 15m)) / 1e3 > 0.5"#, &["a_total"]);
    check("a:b:c unless on (x, y) d <= 900 or 0 * vector(1)", &["a:b:c", "d"]);
    check("histogram_quantile(0.9, sum by (le) (rate(a_bucket[$__rate_interval])))", &["a_bucket"]);
    check("label_values(a_info, instance)", &["a_info"]);
    let none = BTreeSet::new();
    assert!(!exists("portcullis_no_such_total", &none));
    assert!(!exists("portcullis_token_verify_seconds", &none), "a histogram has no series of its own name");
    assert!(exists("portcullis_token_verify_seconds_bucket", &none));
    assert!(!exists("portcullis_connections_count", &none), "a gauge has no count");
}

#[test]
fn queries_name_only_metrics_that_exist() {
    assert!(HISTOGRAMS.iter().all(|family| FAMILIES.contains(family)));
    let rules = rules();
    let recorded = rules.iter().filter_map(|rule| rule["record"].as_str()).map(str::to_owned).collect();
    let expressions = rules.iter().map(|rule| rule["expr"].as_str().unwrap().to_owned());
    let queries: Vec<String> = expressions.chain(dashboard_queries()).collect();
    assert!(queries.len() > 30, "they were found");
    for query in queries {
        let named = metrics(&query);
        assert!(!named.is_empty(), "{query}");
        for name in named {
            assert!(exists(&name, &recorded), "no metric {name}: {query}");
        }
    }
}

#[test]
fn every_alert_has_a_test_and_says_what_to_do() {
    let tests = text("deploy/prometheus/alerts_test.yaml");
    let alerts: Vec<Value> = rules().into_iter().filter(|rule| rule["alert"].is_string()).collect();
    assert!(alerts.len() >= 6);
    for alert in alerts {
        let name = alert["alert"].as_str().unwrap();
        assert!(tests.contains(&format!("alertname: {name}\n        exp_alerts:")), "{name} is seen firing");
        assert!(tests.contains(&format!("alertname: {name}}}")), "{name} is seen silent");
        assert!(alert["labels"]["severity"].is_string(), "{name}");
        for annotation in ["summary", "description"] {
            assert!(alert["annotations"][annotation].is_string(), "{name}: {annotation}");
        }
    }
}
