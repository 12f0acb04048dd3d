//! Builds each part, wires them, runs them, and lets them end: the only room that knows all the others.
//!
//! `pingora-core` runs the process: every part is a service of its server with a runtime of its own. Its traps
//! are handled here: its graceful stop sleeps its whole grace period even when idle, so [`shutdown`] drains by
//! itself and then answers `FastShutdown`; `run_forever` exits the process, so `run` is used; its upgrade socket
//! and pid file stand in `/tmp` by default and are never touched because nothing bootstraps or daemonizes.
//!
//! Why the parts meet here and not in each other: the admin listener asks for a reload through a function, the
//! data plane asks for a key through a function, and both functions are control's. No edge imports another.

mod descriptors;
mod logging;
mod part;
mod shutdown;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use tokio::sync::watch;

use crate::admin;
use crate::admin::readiness::Readiness;
use crate::app::part::Part;
use crate::app::shutdown::{Conductor, Switches};
use crate::config::address::Address;
use crate::control::config_file::Loaded;
use crate::control::reload::{Environment, ReloadError};
use crate::control::{Control, ControlHandle};
use crate::metrics::Metrics;
use crate::proxy::{self, Proxy};

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
    /// Our bug, or a system that refuses what every system gives.
    #[error("{0}")]
    Fault(&'static str),
}

/// What [`serve`] tells its caller once every listener is bound and signals are taken.
pub type OnReady = Box<dyn FnOnce(&Ready) + Send>;

/// Runs the gateway until `stop`, then drains it. Blocks; must not be called from within a tokio runtime.
/// `path` is where the configuration came from and is reloaded from.
pub fn serve(path: PathBuf, loaded: Loaded, stop: Stop, on_ready: OnReady) -> Result<(), AppError> {
    install_crypto()?;
    let metrics = Arc::new(Metrics::new());
    let _written_at_the_end = logging::start(&loaded.config.log);
    logging::report_panics(Arc::clone(&metrics));
    for warning in &loaded.warnings {
        let hint = warning.hint.as_deref().unwrap_or_default();
        tracing::warn!(file = %path.display(), line = warning.at.line, hint, "{}", warning.what);
    }

    let config = loaded.config.clone();
    let (control, reader, handle) = Control::start(path, environment(), loaded, Arc::clone(&metrics));
    let proxy = Proxy::new(proxy::Parts {
        reader,
        ask_keys: handle.ask_keys(),
        metrics: Arc::clone(&metrics),
        listeners: config.listeners.clone(),
        limits: config.limits.clone(),
        descriptors: descriptors::raise(),
        workers: config.workers.unwrap_or_else(cores),
        access_log: config.log.access,
        shutdown_grace: config.shutdown_grace,
    });
    let mut bound = proxy
        .bind(&config.listeners, Vec::new())
        .map_err(|refused| AppError::Listen { address: refused.address, source: refused.source })?;
    let admin_listener = config.admin.as_ref().map(|admin| listen(admin.address)).transpose()?;
    let ready = Ready {
        listeners: bound.addresses(),
        admin: admin_listener.as_ref().and_then(|listener| listener.local_addr().ok()),
    };

    let readiness = Arc::new(Readiness::default());
    let switches = Switches::new();
    let mut server = server();
    if let (Some(admin), Some(listener)) = (&config.admin, admin_listener) {
        let parts = admin::Parts {
            address: admin.address,
            metrics,
            readiness: Arc::clone(&readiness),
            controls: controls(&handle),
        };
        server.add_service(Part::new("admin", admin::serve(listener, parts)).0);
    }
    let (control, control_ended) = Part::new("control", control.run(switches.control.subscribe()));
    server.add_service(control);
    let bound_files = bound.take_files();
    let run = proxy.run(bound, switches.drain.subscribe(), switches.stop.subscribe());
    let (proxy, proxy_ended) = Part::new("proxy", run);
    server.add_service(proxy);

    let fault = Arc::new(OnceLock::new());
    let reload = Box::new(move || spawn_reload(handle.clone()));
    let conductor = Conductor {
        stop,
        ready,
        files: bound_files,
        on_ready,
        reload,
        readiness,
        switches,
        proxy_ended,
        control_ended,
        grace: config.shutdown_grace,
        fault: Arc::clone(&fault),
    };
    server.run(RunArgs { shutdown_signal: conductor.into_signal_watch() });
    fault.get().map_or(Ok(()), |what| Err(AppError::Fault(what)))
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

fn listen(address: SocketAddr) -> Result<TcpListener, AppError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| AppError::Listen { address: Address::Ip(address), source })
}

/// The process's own, read again at every reload.
fn environment() -> Environment {
    Arc::new(|name| std::env::var(name).ok())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn controls(handle: &ControlHandle) -> admin::Controls {
    let (token, status, config, reload) = (handle.clone(), handle.clone(), handle.clone(), handle.clone());
    admin::Controls {
        token: Arc::new(move || token.admin_token()),
        status: Arc::new(move || {
            let status = status.status();
            let waiting = status.issuers.iter().filter(|issuer| !issuer.ready);
            admin::Status {
                waiting: waiting.map(|issuer| issuer.name.to_string()).collect(),
                detail: serde_json::to_value(&status).unwrap_or_default(),
            }
        }),
        config: Arc::new(move || crate::config::print(&config.config())),
        reload: Arc::new(move || {
            let handle = reload.clone();
            Box::pin(async move { handle.reload().await.map_err(|error| refused(&error)) })
        }),
    }
}

fn refused(error: &ReloadError) -> admin::ReloadRefused {
    let needs_restart = match error {
        ReloadError::NeedsRestart(_) => true,
        ReloadError::Problems(_) | ReloadError::Stopped => false,
    };
    admin::ReloadRefused { needs_restart, problems: error.lines() }
}

/// A reload takes its time and signals are to be taken meanwhile; control logs what comes of it.
fn spawn_reload(handle: ControlHandle) {
    tokio::spawn(async move { handle.reload().await });
}

/// How long the parts may take to end once they were told to stop at once.
const STOP_TIME: Duration = Duration::from_secs(1);
