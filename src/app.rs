//! Builds each part, wires them, runs them, and lets them end: the only room that knows all the others.
//!
//! `pingora-core` runs the process: every part is a service of its server with a runtime of its own. Its traps
//! are handled here: its graceful stop sleeps its whole grace period even when idle, so [`shutdown`] drains by
//! itself and then answers `FastShutdown`; `run_forever` exits the process, so `run` is used; its upgrade socket
//! and pid file stand in `/tmp` by default and are never touched because nothing bootstraps or daemonizes.
//!
//! Why the parts meet here and not in each other: the admin listener asks for a reload through a function, the
//! data plane asks for a key through a function, and both functions are control's. No edge imports another.

mod activation;
mod descriptors;
mod handover;
mod holders;
mod holding;
mod logging;
mod minting;
mod notify;
mod part;
mod revocations;
mod shutdown;
mod succession;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::admin;
use crate::admin::readiness::Readiness;
use crate::app::minting::Minting;
use crate::app::part::Part;
use crate::app::shutdown::{Conductor, Fault, Switches};
use crate::app::succession::{CatchUp, Inheritance, Prospects, Succession};
use crate::audit::{Audit, Event as AuditEvent};
use crate::authority::Authority;
use crate::config::Config;
use crate::config::address::Address;
use crate::control::config_file::Loaded;
use crate::control::reload::{Environment, ReloadError};
use crate::control::{Control, ControlHandle, Unasked};
use crate::metrics::Metrics;
use crate::proxy::recall::Recall;
use crate::proxy::{self, Proxy, Signals};
use crate::snapshot::Reader;

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With sockets of its own, or of the service manager.
    Fresh,
    /// With the sockets of a running gateway, which then drains (`run --upgrade`).
    Upgrade,
}

/// What ends a run.
#[derive(Debug)]
pub enum Stop {
    /// SIGTERM or SIGINT drains, a second one stops at once; SIGHUP reloads.
    Signals,
    /// This turning true drains; signals keep their default meaning.
    When(watch::Receiver<bool>),
}

/// Where a running gateway is reached, ports included that were chosen by the system.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Where clients connect.
    pub listeners: Vec<Address>,
    /// The admin listener.
    pub admin: Option<SocketAddr>,
}

/// Why the gateway did not run, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// What the configuration asks for cannot be, with what is outside of it.
    #[error("{0}")]
    Configuration(String),
    /// Another process stands in the way, or one that is needed is not there.
    #[error("{0}")]
    Unavailable(String),
    /// Our bug, or a system that refuses what every system gives.
    #[error("{0}")]
    Fault(&'static str),
}

/// What a caller of [`serve`] hears of a run, and how it ends it.
pub struct Until {
    /// What ends the run.
    pub stop: Stop,
    /// What is called once it serves.
    pub on_ready: OnReady,
}

/// What [`serve`] tells its caller once every listener is bound and signals are taken.
pub type OnReady = Box<dyn FnOnce(&Ready) + Send>;

/// Runs the gateway until `stop`, then drains it. Blocks; must not be called from within a tokio runtime.
/// `origin` is where the configuration came from and is reloaded from.
pub fn serve(origin: PathBuf, mut loaded: Loaded, start: Start, until: Until) -> Result<(), AppError> {
    let inheritance = Inheritance::receive(&loaded.config, start)?;
    install_crypto()?;
    let metrics = Arc::new(Metrics::new());
    metrics.process(std::process::id(), seconds_since_1970());
    let _written_at_the_end = logging::start(&loaded.config.log);
    logging::report_panics(Arc::clone(&metrics));

    let config = loaded.config.clone();
    let audit = holding::audit(&config)?;
    let store = holding::open(&config, inheritance.store)?;
    let kept = holding::load(store.as_ref(), &mut loaded)?;
    show_warnings(&origin, &loaded);
    let minting = Minting::open(&origin, &mut loaded, store.as_ref())?;
    let (mut control, reader, handle) =
        Control::start(origin, environment(), loaded, kept, Arc::clone(&metrics));
    control.tell(by_file(audit.clone()));
    let recall = Arc::new(Recall::default());
    minting.join(&mut control, &handle);
    let proxy = data_plane(&config, reader, &handle, &minting, (Arc::clone(&metrics), Arc::clone(&recall)));
    let mut bound = proxy
        .bind(&config.listeners, inheritance.listeners)
        .map_err(|refused| AppError::Listen { address: refused.address, source: refused.source })?;
    let admin_listener =
        config.admin.as_ref().map(|admin| listen(admin.address, inheritance.admin)).transpose()?;
    let ready = Ready {
        listeners: bound.addresses(),
        admin: admin_listener.as_ref().and_then(|listener| listener.local_addr().ok()),
    };
    let readiness = Arc::new(Readiness::default());
    let (predecessor, told) = (inheritance.predecessor, Arc::clone(&readiness));
    let held = (store, audit.clone());
    let succession = Succession::new(&config, &bound, admin_listener.as_ref(), held, predecessor, told)?;

    let switches = Switches::new();
    let mut server = server();
    if let (Some(admin), Some(listener)) = (&config.admin, admin_listener) {
        let parts = admin::Parts {
            address: admin.address,
            metrics,
            readiness: Arc::clone(&readiness),
            controls: controls(&handle, minting.authority(), audit.clone(), recall),
            audit: audit.clone(),
        };
        let serve = admin::serve(listener, parts, succession.handed());
        server.add_service(Part::new("admin", after(switches.answer.subscribe(), serve)).0);
    }
    server.add_service(minting.part(&switches));
    let (control, control_ended) = Part::new("control", control.run(switches.control.subscribe()));
    server.add_service(control);
    let (files, workers) = (bound.take_files(), bound.workers());
    let (accepting, accepted) = watch::channel(0);
    let signals = Signals { drain: switches.drain.subscribe(), stop: switches.stop.subscribe(), accepting };
    let (proxy, proxy_ended) = Part::new("proxy", after(switches.go.subscribe(), proxy.run(bound, signals)));
    server.add_service(proxy);

    let fault = Fault::default();
    let conductor = Conductor {
        stop: until.stop,
        ready,
        files,
        succession,
        prospects: prospects(&handle, minting, accepted, workers),
        on_ready: until.on_ready,
        reload: by_signal(handle, audit),
        readiness,
        switches,
        proxy_ended,
        control_ended,
        grace: config.shutdown_grace,
        fault: fault.clone(),
    };
    server.run(RunArgs { shutdown_signal: conductor.into_signal_watch() });
    fault.take().map_or(Ok(()), Err)
}

fn show_warnings(path: &Path, loaded: &Loaded) {
    for warning in &loaded.warnings {
        let hint = warning.hint.as_deref().unwrap_or_default();
        tracing::warn!(file = %path.display(), line = warning.at.line, hint, "{}", warning.what);
    }
}

/// Work that begins once `go` is true; never, if nobody can say so any more.
async fn after(mut go: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    if go.wait_for(|go| *go).await.is_ok() {
        work.await;
    }
}

fn data_plane(
    config: &Config,
    reader: Reader,
    handle: &ControlHandle,
    minting: &Minting,
    (metrics, recall): (Arc<Metrics>, Arc<Recall>),
) -> Proxy {
    Proxy::new(proxy::Parts {
        ask_keys: handle.ask_keys(),
        ask_record: minting.look_up(),
        ask_authority: minting.ask(&reader, &metrics),
        reader,
        metrics,
        listeners: config.listeners.clone(),
        limits: config.limits.clone(),
        descriptors: descriptors::raise(),
        workers: config.workers.unwrap_or_else(cores),
        access_log: config.log.access,
        shutdown_grace: config.shutdown_grace,
        recall,
        recheck_streams: config.recheck_streams(),
    })
}

/// One provider for every TLS and signature in the process, chosen before anything can choose another one
/// (pingora and reqwest are built without).
fn install_crypto() -> Result<(), AppError> {
    let ours = rustls::crypto::aws_lc_rs::default_provider();
    let wanted = format!("{:?}", ours.secure_random);
    // An error means that one is installed already: a second gateway in one process.
    let _installed_before = ours.install_default();
    let installed =
        rustls::crypto::CryptoProvider::get_default().map(|found| format!("{:?}", found.secure_random));
    if installed.as_ref() == Some(&wanted) {
        Ok(())
    } else {
        Err(AppError::Fault("the process has another TLS provider than aws-lc-rs"))
    }
}

/// Every part brings its own concurrency, so one thread each is enough for pingora's runtimes.
fn server() -> Server {
    let conf = ServerConf {
        threads: 1,
        daemon: false,
        error_log: None,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    Server::new_with_opt_and_conf(None, conf)
}

/// The admin listener: the socket that was given for it, or one of our own.
fn listen(address: SocketAddr, given: Option<TcpListener>) -> Result<TcpListener, AppError> {
    let bound = given.map_or_else(|| TcpListener::bind(address), Ok).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| AppError::Listen { address: Address::Ip(address), source })
}

/// The process's own, read again at every reload.
fn environment() -> Environment {
    Arc::new(|name| std::env::var(name).ok())
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn controls(
    handle: &ControlHandle,
    authority: &Arc<Authority>,
    audit: Option<Arc<Audit>>,
    recall: Arc<Recall>,
) -> admin::Controls {
    let (token, status, config, reload) = (handle.clone(), handle.clone(), handle.clone(), handle.clone());
    let claims = handle.clone();
    admin::Controls {
        token: Arc::new(move || token.admin_token()),
        status: Arc::new(move || {
            let detail = match serde_json::to_value(status.status()) {
                Ok(Value::Object(detail)) => detail,
                Ok(_) | Err(_) => Map::new(),
            };
            admin::Status { waiting: waiting_issuers(&status), detail }
        }),
        config: Arc::new(move || crate::config::print(&config.config())),
        claims: Arc::new(move || {
            let config = claims.config();
            let declared = config.revocation.iter().flat_map(|revocation| revocation.claims.iter());
            declared.map(|claim| claim.name.to_string()).collect()
        }),
        reload: Arc::new(move || {
            let handle = reload.clone();
            Box::pin(async move { handle.reload().await.map_err(|error| refused(&error)) })
        }),
        managing: holders::ways(authority, audit.clone()),
        revocations: revocations::ways(handle, audit, recall),
    }
}

fn prospects(
    handle: &ControlHandle,
    minting: Minting,
    accepting: watch::Receiver<usize>,
    workers: usize,
) -> Prospects {
    let (waiting, following) = (handle.clone(), handle.clone());
    let waiting = Box::new(move || waiting_issuers(&waiting));
    let catch_up: CatchUp = Box::new(move || {
        let handle = following.clone();
        Box::pin(async move { handle.catch_up().await.map_err(|error| error.to_string()) })
    });
    let load: CatchUp = Box::new(move || minting.load());
    Prospects { waiting, catch_up, load, accepting, workers }
}

/// The issuers that have no keys.
fn waiting_issuers(handle: &ControlHandle) -> Vec<String> {
    let status = handle.status();
    status.issuers.iter().filter(|issuer| !issuer.ready).map(|issuer| issuer.name.to_string()).collect()
}

fn refused(error: &ReloadError) -> admin::ReloadRefused {
    let needs_restart = match error {
        ReloadError::NeedsRestart(_) => true,
        ReloadError::Problems(_) | ReloadError::Stopped => false,
    };
    admin::ReloadRefused { needs_restart, problems: error.lines() }
}

/// A reload takes its time and signals are to be taken meanwhile; control logs what comes of it.
fn by_signal(handle: ControlHandle, audit: Option<Arc<Audit>>) -> Box<dyn Fn() + Send> {
    Box::new(move || {
        let (handle, audit) = (handle.clone(), audit.clone());
        tokio::spawn(async move {
            let reloaded = handle.reload().await;
            holding::write(audit.as_ref(), "signal", AuditEvent::Reload, reloaded.is_ok()).await;
        });
    })
}

fn by_file(audit: Option<Arc<Audit>>) -> Unasked {
    Box::new(move |done| drop(holding::write(audit.as_ref(), "file", AuditEvent::Reload, done)))
}

/// How long the parts may take to end once they were told to stop at once.
const STOP_TIME: Duration = Duration::from_secs(1);
