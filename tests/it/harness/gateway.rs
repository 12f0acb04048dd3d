//! The gateway under test: the real binary with its own configuration, ports and log.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::canary;
use crate::harness::client::{Connection, Outcome, Request, Response};
use crate::harness::metrics::Scrape;
use crate::harness::process::{
    command, command_with_descriptors, descriptors, limit_descriptors, processor_time, resident_kib, signal,
    wait_for_exit,
};
use crate::harness::setup::{Ports, Setup};
use crate::harness::wait::{PATIENCE, wait_for, wait_until};

/// A running gateway. Dropping it kills it, and fails the test if it had died by itself, had panicked, or had
/// logged what nobody may see.
pub struct Gateway {
    /// Where it listens.
    pub ports: Ports,
    /// Its directory.
    pub directory: TempDir,
    child: Mutex<Child>,
    ended: AtomicBool,
    admin_token: Option<String>,
}

impl Setup {
    /// Starts the gateway and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Gateway {
        self.start_until("/readyz")
    }

    /// Starts the gateway and waits only until it is alive: some issuer's keys may be missing.
    #[track_caller]
    pub fn start_unready(self) -> Gateway {
        self.start_until("/livez")
    }

    #[track_caller]
    fn start_until(self, probe: &str) -> Gateway {
        // A port found free may be taken a moment later by another process: exit code 69, and another try.
        for _ in 0..5 {
            if let Some(gateway) = self.try_start(probe) {
                return gateway;
            }
        }
        panic!("five times in a row the ports were taken");
    }

    #[track_caller]
    fn try_start(&self, probe: &str) -> Option<Gateway> {
        let ports = Ports::free();
        let directory = tempfile::tempdir().expect("a directory");
        self.write_to(directory.path(), ports);
        let log = |name: &str| Stdio::from(File::create(directory.path().join(name)).expect("a log file"));
        let mut command = self.descriptors.map_or_else(command, command_with_descriptors);
        command.arg("run").arg("--config").arg(directory.path().join("portcullis.yaml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(log("stdout.log")).stderr(log("stderr.log"));
        let child = command.spawn().expect("the binary can be started");
        let gateway = Gateway {
            ports,
            directory,
            child: Mutex::new(child),
            ended: AtomicBool::new(false),
            admin_token: None,
        };
        let started = wait_for("the gateway starts", || {
            if let Some(status) = gateway.child().try_wait().expect("a child can be asked") {
                gateway.ended.store(true, Ordering::SeqCst);
                assert_eq!(status.code(), Some(69), "the gateway did not start: {}", gateway.logs());
                return Some(false);
            }
            gateway.probe(probe).filter(|status| *status == 200).map(|_| true)
        });
        started.then_some(gateway)
    }
}

impl Gateway {
    /// A configuration to start one with.
    #[expect(clippy::new_ret_no_self, reason = "a gateway begins as its configuration")]
    pub fn new() -> Setup {
        Setup::new()
    }

    /// Sends the admin token along from now on.
    pub fn with_admin_token(mut self, token: &str) -> Self {
        self.admin_token = Some(token.to_owned());
        self
    }

    /// A new connection to the data plane.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.ports.public)
    }

    /// Sends a request on a new connection.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        self.connect().send(request)
    }

    /// `GET` with a token on a new connection.
    #[track_caller]
    pub fn get(&self, target: &str, token: &str) -> Response {
        self.send(&Request::get(target).bearer(token))
    }

    /// Sends a request to the admin listener, with the admin token if there is one, and its own `Host`.
    #[track_caller]
    pub fn admin(&self, method: &str, target: &str) -> Response {
        let mut request = Request::new(method, target).host(&self.ports.admin.to_string());
        if let Some(token) = &self.admin_token {
            request = request.bearer(token);
        }
        if method == "POST" {
            request = request.body("");
        }
        self.send_admin(&request)
    }

    /// Sends exactly this to the admin listener.
    #[track_caller]
    pub fn send_admin(&self, request: &Request) -> Response {
        Connection::open(self.ports.admin).unaudited().send(request)
    }

    /// `POST /v1/reload`.
    #[track_caller]
    pub fn reload(&self) -> Response {
        self.admin("POST", "/v1/reload")
    }

    /// `GET /v1/status`.
    #[track_caller]
    pub fn status(&self) -> Value {
        let response = self.admin("GET", "/v1/status");
        assert_eq!(response.status, 200, "{response:?}");
        response.json()
    }

    /// How often something was published.
    #[track_caller]
    pub fn generation(&self) -> u64 {
        let status = self.status();
        status["generation"].as_u64().unwrap_or_else(|| panic!("no generation in {status}"))
    }

    /// `GET /metrics`.
    #[track_caller]
    pub fn metrics(&self) -> Scrape {
        let response = self.admin("GET", "/metrics");
        assert_eq!(response.status, 200, "{response:?}");
        let text = response.text();
        assert!(canary::find(&text).is_none(), "I4: a canary in the metrics: {text}");
        Scrape::parse(&text)
    }

    /// The sum of a metric's samples with these labels.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().sum(name, labels)
    }

    /// Waits until the metric has come to `value`, and holds it to that: what ends a connection is counted behind it.
    #[track_caller]
    pub fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        wait_until(name, || self.metric(name, labels) >= value);
        assert_eq!(self.metric(name, labels), value, "{name} {labels:?}");
    }

    /// The configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.directory.path().join("portcullis.yaml")
    }

    /// The configuration's text.
    pub fn config(&self) -> String {
        fs::read_to_string(self.config_path()).expect("the configuration")
    }

    /// Rewrites the configuration as careful editors do: a new file, renamed over the old one.
    pub fn rewrite(&self, edit: impl FnOnce(String) -> String) {
        self.replace("portcullis.yaml", edit(self.config()));
    }

    /// Replaces a file of the directory by renaming another over it.
    pub fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        let new = self.directory.path().join(format!(".{name}.new"));
        fs::write(&new, content).expect("a new file");
        fs::rename(new, self.directory.path().join(name)).expect("the new file takes the old one's place");
    }

    /// Waits until a request is answered with this status.
    #[track_caller]
    pub fn wait_for_status(&self, request: &Request, status: u16) -> Response {
        wait_for(&format!("an answer {status}"), || {
            Some(self.send(request)).filter(|response| response.status == status)
        })
    }

    /// Sends a signal (`TERM`, `HUP`, `STOP`, `CONT`).
    pub fn signal(&self, name: &str) {
        signal(&self.child(), name);
    }

    /// Stops every one of its threads while `meanwhile` runs: what comes then is all there when they go on.
    #[track_caller]
    pub fn stopped<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.pid());
        wait_until("every thread has stopped", || {
            let mut tasks = fs::read_dir(&tasks).expect("the process is there");
            tasks.all(|task| {
                let stat = task.and_then(|task| fs::read_to_string(task.path().join("stat")));
                // Behind the name, which stands in brackets.
                stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')))
            })
        });
        let done = meanwhile();
        self.signal("CONT");
        done
    }

    /// SIGHUP.
    pub fn sighup(&self) {
        self.signal("HUP");
    }

    /// SIGTERM, and the exit code 0 that has to follow.
    #[track_caller]
    pub fn stop(&self) {
        self.signal("TERM");
        self.wait_for_exit(0);
    }

    /// Waits for the process to exit with this code.
    #[track_caller]
    pub fn wait_for_exit(&self, code: i32) {
        let status = wait_for_exit(&mut self.child());
        self.ended.store(true, Ordering::SeqCst);
        assert_eq!(status.code(), Some(code), "{status}: {}", self.logs());
    }

    /// Waits for the process to exit, with whatever code.
    #[track_caller]
    pub fn wait_for_any_exit(&self) {
        wait_for_exit(&mut self.child());
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Whether it has exited by itself.
    pub fn has_exited(&self) -> bool {
        self.child().try_wait().expect("a child can be asked").is_some()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        resident_kib(self.pid())
    }

    /// Lets it have so many descriptors from now on.
    pub fn limit_descriptors(&self, count: usize) {
        limit_descriptors(self.pid(), count);
    }

    /// Processor time that it has used.
    pub fn processor_time(&self) -> Duration {
        processor_time(self.pid())
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        descriptors(self.pid())
    }

    /// Everything it wrote so far.
    pub fn logs(&self) -> String {
        let read = |name: &str| fs::read(self.directory.path().join(name)).unwrap_or_default();
        let both = [read("stdout.log"), read("stderr.log")].concat();
        String::from_utf8_lossy(&both).into_owned()
    }

    /// Waits until a line of the log has all of these texts, and gives it.
    #[track_caller]
    pub fn wait_for_log(&self, texts: &[&str]) -> String {
        wait_for(&format!("a log line with {texts:?}"), || {
            let logs = self.logs();
            let line = logs.lines().find(|line| texts.iter().all(|text| line.contains(text)));
            line.map(str::to_owned)
        })
    }

    /// Waits until it is ready.
    #[track_caller]
    pub fn wait_until_ready(&self) {
        wait_until("the gateway is ready", || self.probe("/readyz") == Some(200));
    }

    /// The status of an admin endpoint; `None` when nobody answers.
    pub fn probe(&self, target: &str) -> Option<u16> {
        let local = std::net::Ipv4Addr::LOCALHOST.into();
        let mut connection = Connection::from_source(local, self.ports.admin).ok()?.unaudited();
        connection.write(&Request::get(target).host(&self.ports.admin.to_string()).octets());
        match connection.wait("GET", PATIENCE) {
            Outcome::Answer(response) => Some(response.status),
            Outcome::Closed | Outcome::Silence => None,
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let died = !self.ended.load(Ordering::SeqCst) && self.has_exited();
        let mut child = self.child();
        child.kill().ok();
        child.wait().ok();
        drop(child);
        let logs = self.logs();
        let newest: Vec<&str> = logs.lines().rev().take(25).collect();
        let newest = newest.join("\n");
        if std::thread::panicking() {
            eprintln!("--- the gateway's last lines, newest first ---\n{newest}");
            return;
        }
        assert!(!died, "I6: the gateway died; its last lines, newest first:\n{newest}");
        let told = ["panicked at", "a fault of the gateway itself"];
        let panic = logs.lines().find(|line| told.iter().any(|text| line.contains(text)));
        assert!(panic.is_none(), "I6: the gateway panicked: {panic:?}");
        if let Some(canary) = canary::find(&logs) {
            panic!("I4: {canary} was logged");
        }
    }
}
