//! What a gateway pays for what a client sends: memory, and time on a processor, against the client's own.

use std::fs;
use std::time::Duration;

use crate::harness::gateway::Gateway;

/// The line that no request may cross: a hundred times what it cost its sender.
pub const LINE: u64 = 100;

/// What an idle connection may hold, in KiB: with a buffer lent to it, which is what one octet of a head takes. What a
/// build without optimization holds is several times that of a release.
pub const CONNECTION_KIB: u64 = if cfg!(debug_assertions) { 96 } else { 48 };

/// How many times longer a build without optimization takes.
const UNOPTIMIZED: u32 = if cfg!(debug_assertions) { 10 } else { 1 };

/// A reading, to measure from.
pub struct Meter<'g> {
    gateway: &'g Gateway,
    resident_kib: u64,
    gateway_time: Duration,
    own_time: Duration,
}

/// What was paid since.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// More resident memory than before.
    pub kib: u64,
    /// The gateway's time on a processor.
    pub gateway_time: Duration,
    /// The calling thread's.
    pub own_time: Duration,
}

impl<'g> Meter<'g> {
    /// Begins here. What was freed before may be handed out again without showing: warm up first.
    pub fn begin(gateway: &'g Gateway) -> Self {
        Self {
            gateway,
            resident_kib: gateway.resident_kib(),
            gateway_time: process_time(gateway.pid()),
            own_time: run_time("/proc/thread-self/schedstat"),
        }
    }

    /// Up to now.
    pub fn read(&self) -> Cost {
        Cost {
            kib: self.gateway.resident_kib().saturating_sub(self.resident_kib),
            gateway_time: process_time(self.gateway.pid()).saturating_sub(self.gateway_time),
            own_time: run_time("/proc/thread-self/schedstat").saturating_sub(self.own_time),
        }
    }
}

impl Cost {
    /// Fails when it is over the line for so many octets sent on so many connections.
    #[track_caller]
    pub fn assert_below_the_line(&self, what: &str, octets: usize, connections: usize) {
        let (octets, connections) = (octets as u64, connections as u64);
        let most = LINE * octets / 1024 + CONNECTION_KIB * connections;
        let ratio = self.gateway_time.as_secs_f64() / self.own_time.as_secs_f64().max(1e-6);
        eprintln!(
            "{what}: {octets} octets on {connections} connections: {} KiB more (line {most}), processor {:?} against {:?}: {ratio:.1} to 1",
            self.kib, self.gateway_time, self.own_time
        );
        assert!(self.kib <= most, "I5, {what}: {} KiB for {octets} octets", self.kib);
        // A quarter of a second is what this machine's noise and the gateway's own housekeeping may take.
        let line = u32::try_from(LINE).unwrap_or(u32::MAX) * UNOPTIMIZED;
        let time = self.own_time * line + Duration::from_millis(250);
        assert!(self.gateway_time <= time, "I5, {what}: {self:?}");
    }
}

/// All threads of a process.
fn process_time(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.map(|task| run_time(&task.path().join("schedstat").to_string_lossy())).sum()
}

/// The first number of `schedstat`: nanoseconds on a processor.
fn run_time(path: &str) -> Duration {
    let text = fs::read_to_string(path).unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0))
}
