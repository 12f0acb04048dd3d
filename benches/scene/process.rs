//! The real binary as a process of its own, and what the system says of it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running gateway; killed when dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts with this configuration, which is written into `directory`. It may not listen yet.
    pub(crate) fn spawn(directory: &Path, configuration: &str) -> Self {
        let file = directory.join("portcullis.yaml");
        std::fs::write(&file, configuration).expect("a directory of our own");
        let child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["run", "--config"])
            .arg(&file)
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary that was built with this bench");
        Self { child }
    }

    /// Waits until it listens here.
    pub(crate) fn listens(&mut self, address: SocketAddr) {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "the gateway did not start");
            assert!(self.is_running(), "the gateway ended");
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_none()
    }

    /// User and system time so far, of all its threads that have not ended.
    pub(crate) fn cpu(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("it runs");
        let time = |thread: std::io::Result<std::fs::DirEntry>| -> u64 {
            // One that has ended meanwhile has no file any more.
            let path = thread.expect("a thread").path().join("schedstat");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.split(' ').next().map_or(0, |nanoseconds| nanoseconds.parse().unwrap_or(0))
        };
        Duration::from_nanos(threads.map(time).sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which whoever waited for it has said.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// An address on loopback that nobody has.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// For a start, and ten million entries read by a debug build.
const PATIENCE: Duration = Duration::from_secs(120);
