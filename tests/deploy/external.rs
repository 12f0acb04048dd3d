//! With the programs that will read these files in earnest.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{dashboard_queries, repository, text};

fn succeeds(program: &str, arguments: &[&str], directory: &Path) {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

#[test]
fn prometheus_takes_its_configuration_and_rules() {
    let directory = repository("deploy/prometheus");
    succeeds("promtool", &["check", "config", "prometheus.yaml"], &directory);
    succeeds("promtool", &["check", "rules", "alerts.yaml"], &directory);
    succeeds("promtool", &["test", "rules", "alerts_test.yaml"], &directory);
}

#[test]
fn prometheus_can_read_every_query_of_the_dashboard() {
    let queries = dashboard_queries().into_iter().filter(|query| !query.starts_with("label_values"));
    let rules: Vec<Value> = queries
        .enumerate()
        .map(|(index, query)| {
            let query =
                query.replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$route", ".*");
            serde_json::json!({"record": format!("dashboard:query:{index}"), "expr": query})
        })
        .collect();
    let directory = TempDir::new().unwrap();
    // JSON is YAML.
    let group = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    fs::write(directory.path().join("queries.yaml"), group.to_string()).unwrap();
    succeeds("promtool", &["check", "rules", "queries.yaml"], directory.path());
}

#[test]
fn systemd_takes_the_unit() {
    let directory = TempDir::new().unwrap();
    let unit = text("deploy/portcullis.service")
        .replace("/usr/local/bin/portcullis", env!("CARGO_BIN_EXE_portcullis"));
    fs::write(directory.path().join("portcullis.service"), unit).unwrap();
    fs::write(directory.path().join("portcullis.socket"), text("deploy/portcullis.socket")).unwrap();
    let both = ["verify", "--man=no", "./portcullis.service", "./portcullis.socket"];
    succeeds("systemd-analyze", &both, directory.path());
    // Exposure in tenths: 14 when this was written, 96 for a unit that hardens nothing.
    let arguments = ["security", "--offline=true", "--threshold=20", "./portcullis.service"];
    succeeds("systemd-analyze", &arguments, directory.path());
}
