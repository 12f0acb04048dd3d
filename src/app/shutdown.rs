//! From the first signal to the last part: what makes `kubectl rollout` lose nothing (threats O5).

use std::fmt::Display;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::admin::readiness::Readiness;
use crate::app::part::Ended;
use crate::app::succession::{Prospects, Succession, Taken, follow};
use crate::app::{AppError, OnReady, Ready, STOP_TIME, Stop, notify};
use crate::proxy::listening::SocketFiles;

/// What tells the parts to end.
pub(crate) struct Switches {
    /// The data plane accepts.
    pub(crate) go: watch::Sender<bool>,
    /// The admin listener answers: in an upgrade only once there is no other process that does, or probes and
    /// scrapes would meet the one or the other.
    pub(crate) answer: watch::Sender<bool>,
    /// The data plane accepts nothing new and ends when nothing is open.
    pub(crate) drain: watch::Sender<bool>,
    /// The data plane ends now.
    pub(crate) stop: watch::Sender<bool>,
    /// Control ends; after the data plane, which may still need keys while it drains.
    pub(crate) control: watch::Sender<bool>,
}

/// What went wrong first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fault(Arc<Mutex<Option<AppError>>>);

/// Takes signals and ends the parts in order.
pub(crate) struct Conductor {
    pub(crate) stop: Stop,
    pub(crate) ready: Ready,
    pub(crate) files: SocketFiles,
    pub(crate) succession: Succession,
    pub(crate) prospects: Prospects,
    pub(crate) on_ready: OnReady,
    pub(crate) reload: Box<dyn Fn() + Send>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) switches: Switches,
    pub(crate) proxy_ended: Ended,
    pub(crate) control_ended: Ended,
    pub(crate) grace: Duration,
    pub(crate) fault: Fault,
}

enum Event {
    Reload,
    Stop,
    HandedOver,
    ProxyEnded,
    ControlEnded,
}

/// Why a process drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Told,
    HandedOver,
}

impl Why {
    fn said(self) -> &'static str {
        match self {
            Self::Told => "told to stop",
            Self::HandedOver => "another process has taken over",
        }
    }
}

/// The signals that are listened to, or what stands for them.
enum Source {
    Signals { terminate: Signal, interrupt: Signal, hang_up: Signal },
    When(watch::Receiver<bool>),
}

/// pingora asks a shared reference once; the conductor is consumed by it.
struct Watch(Mutex<Option<Conductor>>);

#[async_trait]
impl ShutdownSignalWatch for Watch {
    /// Resolves when there is nothing left to wait for, so the answer is always the fast way out.
    async fn recv(&self) -> ShutdownSignal {
        let conductor = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(conductor) = conductor {
            conductor.conduct().await;
        }
        ShutdownSignal::FastShutdown
    }
}

impl Switches {
    pub(crate) fn new() -> Self {
        let new = || watch::channel(false).0;
        Self { go: new(), answer: new(), drain: new(), stop: new(), control: new() }
    }
}

impl Fault {
    pub(crate) fn take(&self) -> Option<AppError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Conductor {
    pub(crate) fn into_signal_watch(self) -> Box<dyn ShutdownSignalWatch> {
        Box::new(Watch(Mutex::new(Some(self))))
    }

    async fn conduct(mut self) {
        let mut source = match Source::new(&self.stop) {
            Ok(source) => source,
            Err(error) => {
                tracing::error!(%error, "signals cannot be taken");
                return self.fail(AppError::Fault("signals cannot be taken"));
            }
        };
        if !self.succession.takes_over() {
            self.switches.answer.send_replace(true);
        }
        let taken = tokio::select! {
            taken = self.succession.take_over(&self.switches.go, &mut self.prospects) => taken,
            () = source.insists() => return tracing::info!("stopped before anything was taken over"),
        };
        match taken {
            Ok(Taken::Over) => self.files.adopt(),
            Ok(Taken::Nothing) => {}
            Err(error) => {
                tracing::error!(%error, "nothing was taken over");
                return self.fail(error);
            }
        }
        self.succession.listen();
        self.readiness.start();
        self.switches.answer.send_replace(true);
        notify::ready();
        tracing::info!(
            listeners = %listed(&self.ready.listeners),
            admin = %listed(self.ready.admin.as_slice()),
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        );
        (std::mem::replace(&mut self.on_ready, Box::new(|_| ())))(&self.ready);
        let mut control_ended = false;
        let why = loop {
            match self.next(&mut source, control_ended).await {
                Event::Reload => (self.reload)(),
                Event::Stop => break Why::Told,
                Event::HandedOver => break Why::HandedOver,
                Event::ControlEnded => {
                    // What is decided from here on misses key rotations and revocations: no new traffic.
                    tracing::error!("control ended: keys and revocations are not updated any more");
                    self.readiness.fail();
                    control_ended = true;
                }
                Event::ProxyEnded => {
                    tracing::error!("the data plane ended by itself");
                    return self.fail(AppError::Fault("the data plane ended by itself"));
                }
            }
        };
        self.drain(source, control_ended, why).await;
    }

    fn fail(&self, error: AppError) {
        self.fault.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    async fn next(&mut self, source: &mut Source, control_ended: bool) -> Event {
        let mut handed = self.succession.handed();
        tokio::select! {
            biased;
            event = source.next() => event,
            Ok(_) = handed.wait_for(|handed| *handed) => Event::HandedOver,
            _ = &mut self.proxy_ended => Event::ProxyEnded,
            _ = &mut self.control_ended, if !control_ended => Event::ControlEnded,
        }
    }

    async fn drain(mut self, mut source: Source, control_ended: bool, why: Why) {
        tracing::info!(grace_seconds = self.grace.as_secs(), why = why.said(), "draining");
        match why {
            Why::Told => {
                notify::stopping();
                self.readiness.drain();
            }
            // The service goes on, and whoever comes later is answered at the same files.
            Why::HandedOver => self.files.leave(),
        }
        // First the files, then the sockets: who comes later finds nobody, not a socket that hangs up.
        drop(std::mem::take(&mut self.files));
        self.succession.close();
        self.switches.drain.send_replace(true);
        let ended = tokio::select! {
            _ = &mut self.proxy_ended => true,
            () = sleep(self.grace) => false,
            () = source.insists() => false,
            // Who is still connected must not outlive what the new process hears.
            () = follow(&self.prospects), if why == Why::HandedOver => false,
        };
        self.switches.stop.send_replace(true);
        if !ended {
            tracing::warn!("stopping with connections open");
            let _ended_or_not = timeout(STOP_TIME, &mut self.proxy_ended).await;
        }
        // Told to end when the draining began: whoever imports has to hear how far it came.
        let _ended_or_not = timeout(LAST_WORD, self.readiness.imports_ended()).await;
        self.switches.control.send_replace(true);
        if !control_ended {
            let _ended_or_not = timeout(STOP_TIME, &mut self.control_ended).await;
        }
        tracing::info!("stopped");
    }
}

impl Source {
    fn new(stop: &Stop) -> io::Result<Self> {
        match stop {
            Stop::Signals => Ok(Self::Signals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hang_up: signal(SignalKind::hangup())?,
            }),
            Stop::When(when) => Ok(Self::When(when.clone())),
        }
    }

    async fn next(&mut self) -> Event {
        match self {
            Self::Signals { terminate, interrupt, hang_up } => tokio::select! {
                _ = terminate.recv() => Event::Stop,
                _ = interrupt.recv() => Event::Stop,
                _ = hang_up.recv() => Event::Reload,
            },
            Self::When(when) => {
                // A sender that is gone cannot ask any more: that is asking.
                let _said_or_gone = when.wait_for(|stop| *stop).await;
                Event::Stop
            }
        }
    }

    /// Resolves when stopping is asked for, and cannot wait.
    async fn insists(&mut self) {
        match self {
            Self::Signals { terminate, interrupt, hang_up: _ } => tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            },
            Self::When(_) => pending().await,
        }
    }
}

fn listed<T: Display>(addresses: &[T]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// For an import that was told to end, and the client that hears how far it came.
const LAST_WORD: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
