//! The real binary, as a child process.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use crate::harness::canary;
use crate::harness::wait::wait_for;

/// What a command of the binary came to.
#[derive(Debug)]
pub struct Run {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// Both outputs.
    pub fn output(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Fails unless the exit code is this one.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.output());
        self
    }

    /// Fails unless both outputs together say all of these.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        let output = self.output();
        for text in texts {
            assert!(output.contains(text), "it does not say {text:?}: {output}");
        }
        self
    }

    /// Fails if either output says this.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        assert!(!self.output().contains(text), "it says {text:?}: {}", self.output());
        self
    }
}

/// The binary's path.
pub const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

/// A command of the binary, not started yet, with no variable of the surroundings that it could read.
pub fn command() -> Command {
    let mut command = Command::new(BINARY);
    command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// The same in a process that may have so many descriptors open, and no more by its own doing.
pub fn command_with_descriptors(count: usize) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -n {count} && exec \"$0\" \"$@\"")).arg(BINARY);
    command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// Runs the binary to its end in `directory`.
#[track_caller]
pub fn run<A: AsRef<OsStr>>(directory: &Path, arguments: &[A]) -> Run {
    run_with_input(directory, arguments, b"")
}

/// Runs the binary to its end with this standard input.
#[track_caller]
pub fn run_with_input<A: AsRef<OsStr>>(directory: &Path, arguments: &[A], input: &[u8]) -> Run {
    let mut command = command();
    command.args(arguments).current_dir(directory).stdin(Stdio::piped());
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary can be started");
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).ok();
    }
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the binary ends");
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    let run = Run { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) };
    assert!(!run.output().contains("panicked at"), "{}", run.output());
    assert_ne!(run.code, 70, "a bug, by its own word: {}", run.output());
    run
}

/// Fails when a run's output holds a canary.
#[track_caller]
pub fn keeps_secrets(run: &Run) {
    if let Some(canary) = canary::find(&run.output()) {
        panic!("I4: {canary} was printed: {}", run.output());
    }
}

/// Sends a signal (`TERM`, `HUP`, `STOP`) to a child.
pub fn signal(child: &Child, name: &str) {
    Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().expect("kill(1) runs");
}

/// Waits for a child to end of its own accord.
#[track_caller]
pub fn wait_for_exit(child: &mut Child) -> ExitStatus {
    wait_for("the gateway exits", || child.try_wait().expect("a child can be asked"))
}

/// Resident memory of a process in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap_or(0)
}

/// Lets a process have so many descriptors from now on; those that are open stay.
pub fn limit_descriptors(pid: u32, count: usize) {
    let limit = format!("--nofile={count}:");
    let set = Command::new("prlimit").arg("--pid").arg(pid.to_string()).arg(limit).status();
    assert!(set.expect("prlimit(1) runs").success(), "the limit is taken");
}

/// Processor time that a process has used, its own and the system's for it (proc_pid_stat(5)).
pub fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, rest) = stat.rsplit_once(')').unwrap_or_default();
    let ticks = |field: usize| rest.split_whitespace().nth(field).and_then(|ticks| ticks.parse::<u64>().ok());
    // Of a hundred a second, on every Linux that there is.
    Duration::from_millis(10 * (ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0)))
}

/// Open descriptors of a process.
pub fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}
