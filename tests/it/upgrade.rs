//! A new process takes over and nobody notices (threats O6).

mod load;
mod refusals;
mod succession;

use std::fs;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::harness::api::Api;
use crate::harness::client::{Outcome, Request};
use crate::harness::process::command;
use crate::harness::setup::Setup;
use crate::harness::wait::PATIENCE;

/// An API that can be upgraded.
pub fn api(change: impl FnOnce(Setup) -> Setup) -> Api {
    Api::with(|setup| change(setup.quiet()).yaml(|text| format!("{text}upgrade_socket: run/upgrade.sock\n")))
}

/// A new process with the configuration in `directory`, which writes to `NAME.log` there.
pub fn start(directory: &Path, name: &str) -> Child {
    let log = File::create(directory.join(format!("{name}.log"))).expect("a log file");
    let errors = log.try_clone().expect("a log file");
    let mut command = command();
    command.arg("run").arg("--upgrade").arg("--config").arg(directory.join("portcullis.yaml"));
    command.stdout(Stdio::from(log)).stderr(Stdio::from(errors)).spawn().expect("the binary can be started")
}

/// What it wrote.
fn said(directory: &Path, name: &str) -> String {
    fs::read_to_string(directory.join(format!("{name}.log"))).unwrap_or_default()
}

/// The process that answers on the admin listener.
pub fn serving(api: &Api) -> Option<u64> {
    let local = std::net::Ipv4Addr::LOCALHOST.into();
    let admin = api.gateway.ports.admin;
    let mut connection = crate::harness::client::Connection::from_source(local, admin).ok()?.unaudited();
    connection.write(&Request::get("/v1/status").host(&admin.to_string()).octets());
    match connection.wait("GET", PATIENCE) {
        Outcome::Answer(response) => response.json()["pid"].as_u64(),
        Outcome::Closed | Outcome::Silence => None,
    }
}
