//! The real binary, counted by callgrind or left alone.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::counted::Counts;
use crate::traffic::{Scene, Table};

/// Under callgrind, ten thousand routes take this long to start, and more on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The function that only the worker's thread runs.
const WORKER: &str = "portcullis::proxy::worker::Worker::run";

/// How a gateway is counted.
pub(crate) struct Valgrind {
    /// Where what callgrind wrote is kept, if it is.
    pub(crate) kept: Option<PathBuf>,
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    process: Child,
    pub(crate) address: SocketAddr,
    directory: TempDir,
    counted: Option<Option<PathBuf>>,
    dumps: usize,
}

impl Gateway {
    pub(crate) fn start(binary: &Path, valgrind: Option<&Valgrind>, scene: &Scene, table: Table) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let file = scene.write(directory.path(), address, table);
        let mut command = match valgrind {
            None => Command::new(binary),
            Some(_) => {
                let mut command = Command::new("valgrind");
                command
                    .args(["--tool=callgrind", "-q", "--separate-threads=yes"])
                    .arg(format!("--callgrind-out-file={}", directory.path().join("counted").display()))
                    .arg(format!("--vgdb-prefix={}", directory.path().join("vgdb").display()))
                    // Nothing before the first `zero` is of interest, and starting takes a tenth of the time so.
                    .arg("--instr-atstart=no")
                    .arg(binary);
                command
            }
        };
        command.args(["run", "--config"]).arg(&file).stderr(Stdio::inherit());
        let process = command.spawn().expect("valgrind is installed");
        let mut gateway = Self {
            process,
            address,
            directory,
            counted: valgrind.map(|valgrind| valgrind.kept.clone()),
            dumps: 0,
        };
        gateway.wait();
        if gateway.is_counted() {
            gateway.command(&["instrumentation", "on"]);
        }
        gateway
    }

    fn wait(&mut self) {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < end, "the gateway did not start");
            assert!(self.process.try_wait().unwrap().is_none(), "the gateway ended");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    pub(crate) fn is_counted(&self) -> bool {
        self.counted.is_some()
    }

    /// Sets every counter to zero.
    pub(crate) fn zero(&mut self) {
        self.command(&["zero"]);
    }

    /// What was counted since the last `zero`.
    pub(crate) fn counts(&mut self, name: &str) -> Counts {
        self.command(&["dump", name]);
        self.dumps += 1;
        // A file a thread. What the others do, such as looking at the files now and then, is no request's.
        let threads = format!("counted.{}-", self.dumps);
        let files = std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap());
        let dumps = files
            .filter(|file| file.file_name().to_string_lossy().starts_with(&threads))
            .map(|file| std::fs::read_to_string(file.path()).unwrap());
        let of_the_worker: Vec<_> = dumps.filter(|dump| dump.contains(WORKER)).collect();
        assert_eq!(of_the_worker.len(), 1, "the worker's thread is known by the name {WORKER}");
        if let Some(kept) = self.counted.iter().flatten().next() {
            std::fs::create_dir_all(kept).unwrap();
            std::fs::write(kept.join(format!("{name}.callgrind")), &of_the_worker[0]).unwrap();
        }
        Counts::read(&of_the_worker[0])
    }

    /// Tells callgrind something, through valgrind's own channel.
    fn command(&self, words: &[&str]) {
        let said = Command::new("vgdb")
            .arg(format!("--vgdb-prefix={}", self.directory.path().join("vgdb").display()))
            .arg(format!("--pid={}", self.process.id()))
            .args(words)
            .output()
            .expect("vgdb is installed");
        assert!(said.status.success(), "vgdb {words:?}: {}", String::from_utf8_lossy(&said.stderr));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself, which whoever waited for it has said.
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}
