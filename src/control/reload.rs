//! Reloading: who may ask, what comes of it, and what cannot change live.

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::config::address::Address;
use crate::config::limits::Limits;
use crate::config::problems::{Position, Problem, Problems};
use crate::config::{Config, Listener};
use crate::control::config_file::{self, Attempt};
use crate::control::files::Files;
use crate::snapshot::Snapshot;
use crate::token::NumericDate;

/// Looks a variable up in the environment of the process, or in what stands in for it.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Why a reload changed nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReloadError {
    /// The configuration, or something it names, has problems.
    #[error("{}", lines(.0).join("; "))]
    Problems(Arc<Problems>),
    /// It would change what cannot change live.
    #[error("a change of {} needs a restart", .0.join(", "))]
    NeedsRestart(Vec<&'static str>),
    /// The gateway stops, or its own code failed.
    #[error("the configuration is not being watched any more")]
    Stopped,
}

impl ReloadError {
    /// What is wrong, a line each, without snippets.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Problems(problems) => lines(problems),
            Self::NeedsRestart(_) | Self::Stopped => vec![self.to_string()],
        }
    }
}

fn lines(problems: &Problems) -> Vec<String> {
    let line = |Problem { at, what, hint }: &Problem| {
        let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}:{}:{}: {what}{hint}", problems.file, at.line, at.column)
    };
    let mut lines: Vec<String> = problems.list.iter().take(MOST_LINES).map(line).collect();
    if let Some(more) = problems.list.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// The latest load.
#[derive(Debug, Clone)]
pub struct Report {
    /// When it ended.
    pub at: NumericDate,
    /// The generation it published, or why it published none.
    pub result: Result<u64, ReloadError>,
}

/// Who asked for a reload, and what the latest one came to. Any number of requests made while one runs are
/// answered by the next: a storm of them is two loads, and the last wins.
#[derive(Debug)]
pub struct Requests {
    /// Counts requests.
    made: AtomicU64,
    /// There is one that no load has answered yet.
    pub wanted: Notify,
    /// Something on disk may have changed.
    pub hinted: Notify,
    done: watch::Sender<Done>,
    report: Mutex<Report>,
}

#[derive(Debug)]
struct Done {
    /// Requests up to this one are answered.
    up_to: u64,
    result: Result<u64, ReloadError>,
}

impl Requests {
    /// Nobody asked yet, and this came of the first load.
    pub fn new(first: Report) -> Self {
        Self {
            made: AtomicU64::new(0),
            wanted: Notify::new(),
            hinted: Notify::new(),
            done: watch::Sender::new(Done { up_to: 0, result: first.result.clone() }),
            report: Mutex::new(first),
        }
    }

    /// Asks for a reload and waits for what comes of it, or of a later one.
    pub async fn reload(&self) -> Result<u64, ReloadError> {
        let mut done = self.done.subscribe();
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        self.wanted.notify_one();
        let done = done.wait_for(|done| done.up_to >= number).await;
        done.map_or(Err(ReloadError::Stopped), |done| done.result.clone())
    }

    /// The number of the latest request: a load that begins now answers up to it.
    pub fn latest(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    /// A load that began when `up_to` was the latest request has ended.
    pub fn answer(&self, up_to: u64, report: Report) {
        let result = report.result.clone();
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
        self.done.send_modify(|done| *done = Done { up_to: done.up_to.max(up_to), result });
    }

    /// There will be no more loads.
    pub fn stop(&self) {
        self.done.send_replace(Done { up_to: u64::MAX, result: Err(ReloadError::Stopped) });
    }

    /// What the latest load came to.
    pub fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What differs between two configurations that only a restart can bring about.
pub fn needs_restart(running: &Config, new: &Config) -> Vec<&'static str> {
    // Every field is named, so that a new one has to be thought about.
    let Config {
        workers,
        listeners,
        admin,
        upstreams: _,
        issuers: _,
        routes: _,
        authority: _,
        revocation: _,
        store,
        audit,
        key_mirror,
        limits,
        shutdown_grace,
        upgrade_socket,
        log,
    } = running;
    let address = |config: &Config| config.admin.as_ref().map(|admin| admin.address);
    let has_token = |config: &Config| config.admin.as_ref().is_some_and(|admin| admin.token.is_some());
    // Octets of a token and of a key set are read where they are used.
    let bounds = |limits: &Limits| Limits { token: 0, key_set: 0, ..limits.clone() };
    [
        ("`workers`", *workers != new.workers),
        ("`listeners`", places(listeners) != places(&new.listeners)),
        ("whether a listener has `tls`", secured(listeners) != secured(&new.listeners)),
        ("`admin.address`", admin.as_ref().map(|admin| admin.address) != address(new)),
        ("whether there is an `admin.token`", has_token(running) != has_token(new)),
        ("`store`", *store != new.store),
        ("`audit`", *audit != new.audit),
        ("`key_mirror`", *key_mirror != new.key_mirror),
        ("`limits` other than `token` and `key_set`", bounds(limits) != bounds(&new.limits)),
        ("`shutdown_grace`", *shutdown_grace != new.shutdown_grace),
        ("`revocation.recheck_streams`", running.recheck_streams() != new.recheck_streams()),
        ("`upgrade_socket`", *upgrade_socket != new.upgrade_socket),
        ("`log`", *log != new.log),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// Listeners as they are bound: certificates are read live.
fn places(listeners: &[Listener]) -> Vec<Listener> {
    listeners.iter().map(|listener| Listener { tls: None, ..listener.clone() }).collect()
}

/// The addresses that speak TLS, as far as the listeners are the same.
fn secured(listeners: &[Listener]) -> Vec<&Address> {
    let secured = listeners.iter().filter(|listener| listener.tls.is_some());
    secured.map(|listener| &listener.address).collect()
}

/// What a load is made from.
#[derive(Clone)]
pub struct Origin {
    /// The configuration file.
    pub path: PathBuf,
    /// The environment.
    pub env: Environment,
}

/// Loads once nobody is writing to any of the files: a half-written one may well parse, and say less than it
/// should. With `unless_same` nothing is loaded while the files are the same as those.
pub async fn load_settled(
    origin: Origin,
    previous: Arc<Snapshot>,
    unless_same: Option<Arc<Files>>,
) -> Option<Attempt> {
    if let Some(files) = unless_same {
        let changed = tokio::task::spawn_blocking(move || files.have_changed()).await;
        if !changed.unwrap_or(true) {
            return None;
        }
    }
    for _ in 0..MOST_TRIES {
        let (Origin { path, env }, previous) = (origin.clone(), Arc::clone(&previous));
        let load = move || config_file::attempt(&path, &*env, Some(&previous));
        // A panic in there is our bug, and no reason to stop serving.
        let Ok(attempt) = tokio::task::spawn_blocking(load).await else {
            return Some(refused(&origin));
        };
        if !attempt.files.are_fresh(SystemTime::now()) {
            return Some(attempt);
        }
        sleep(SETTLE).await;
        if attempt.files.are_settled() {
            return Some(attempt);
        }
    }
    Some(refuse(&origin, "a file is being written to all the time"))
}

/// What a load that failed by our own fault comes to.
pub fn refused(origin: &Origin) -> Attempt {
    refuse(origin, "the load failed inside the gateway")
}

fn refuse(origin: &Origin, what: &str) -> Attempt {
    let problem = Problem::new(Position { line: 1, column: 1 }, what);
    let file = origin.path.display().to_string();
    let problems = Problems { file, text: Arc::from(""), list: vec![problem] };
    Attempt { files: Files::default(), result: Err(problems) }
}

/// Problems in one log line.
const MOST_LINES: usize = 50;
/// A file that was written to within two seconds is looked at again after this.
const SETTLE: Duration = Duration::from_millis(100);
/// With [`SETTLE`] between them: three seconds.
const MOST_TRIES: usize = 30;
