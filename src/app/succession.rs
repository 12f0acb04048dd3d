//! Where a process's sockets come from, and who gets them after it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::admin::readiness::Readiness;
use crate::app::handover::predecessor::{self, Predecessor};
use crate::app::handover::words::Name;
use crate::app::handover::{self, Estate, HandoverError, Host, Offer, Offered};
use crate::app::holding::Held;
use crate::app::{AppError, Start, activation, holding};
use crate::audit::Audit;
use crate::config::Config;
use crate::config::address::Address;
use crate::proxy::listening::{Bound, Given};
use crate::store::Store;

/// Sockets that a process is given when it starts.
#[derive(Debug, Default)]
pub(crate) struct Inheritance {
    pub(crate) listeners: Vec<Given>,
    pub(crate) admin: Option<TcpListener>,
    pub(crate) store: Option<Held>,
    pub(crate) predecessor: Option<Predecessor>,
}

/// What becomes of the sockets.
pub(crate) struct Succession {
    predecessor: Option<Predecessor>,
    socket: Option<PathBuf>,
    host: Option<Host>,
    estate: Estate,
}

/// What a process needs before it takes over.
pub(crate) struct Prospects {
    /// The issuers that have no keys yet.
    pub(crate) waiting: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Puts in force what the process before has written to the store.
    pub(crate) catch_up: CatchUp,
    /// Reads the records that it has kept, once it has paused.
    pub(crate) load: CatchUp,
    /// The workers that accept.
    pub(crate) accepting: watch::Receiver<usize>,
    /// How many there are to be.
    pub(crate) workers: usize,
}

/// An error says why not.
pub(crate) type CatchUp =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

impl Inheritance {
    /// What a service manager or the running gateway gives. A running gateway knows nothing of us as long as we
    /// have not said that we are ready.
    pub(crate) fn receive(config: &Config, start: Start) -> Result<Self, AppError> {
        if let Some(socket) = &config.upgrade_socket {
            handover::secure_directory(socket).map_err(AppError::Configuration)?;
        }
        match (start, &config.upgrade_socket) {
            (Start::Upgrade, Some(socket)) => Self::from_running(config, socket),
            (Start::Upgrade, None) => Err(AppError::Configuration(
                "--upgrade needs `upgrade_socket`, here and in the configuration of the running gateway"
                    .into(),
            )),
            (Start::Fresh, Some(socket)) if handover::is_answered(socket) => {
                Err(AppError::Unavailable(format!(
                    "a gateway is running already: it answers at {}; --upgrade takes over from it",
                    socket.display()
                )))
            }
            (Start::Fresh, _) => {
                let (listeners, admin) = activation::take(config)?;
                Ok(Self { listeners, admin, ..Self::default() })
            }
        }
    }

    fn from_running(config: &Config, socket: &Path) -> Result<Self, AppError> {
        let (predecessor, sockets) = predecessor::ask(socket)
            .map_err(|error| AppError::Unavailable(format!("no upgrade: {error}")))?;
        let admin_at = config.admin.as_ref().map(|admin| admin.address);
        let mut inheritance = Self { predecessor: Some(predecessor), ..Self::default() };
        for Offered { name, socket } in sockets {
            match name {
                Name::Listener(listener, origin) => {
                    inheritance.listeners.push(Given { listener, origin, socket });
                }
                // One at another address is closed.
                Name::Admin(address) if address.ip() == admin_at => inheritance.admin = Some(socket.into()),
                Name::Admin(_) => {}
                Name::Store(path) => inheritance.store = Some((path, socket)),
            }
        }
        holding::same_store(config.store.as_deref(), inheritance.store.as_ref())?;
        Ok(inheritance)
    }
}

impl Succession {
    /// Of these sockets. A process that takes over from nobody listens for its own successor at once.
    pub(crate) fn new(
        config: &Config,
        bound: &Bound,
        admin: Option<&TcpListener>,
        (store, audit): (Option<Arc<Store>>, Option<Arc<Audit>>),
        predecessor: Option<Predecessor>,
        readiness: Arc<Readiness>,
    ) -> Result<Self, AppError> {
        let mut succession = Self::nobody(readiness);
        (succession.estate.store, succession.estate.audit) = (store, audit);
        let Some(socket) = &config.upgrade_socket else { return Ok(succession) };
        let unavailable =
            |error| AppError::Unavailable(format!("`upgrade_socket` {}: {error}", socket.display()));
        let admin = admin.zip(config.admin.as_ref().map(|admin| admin.address));
        let mut offered = offered(bound, admin).map_err(unavailable)?;
        if let Some((path, store)) = config.store.as_ref().zip(succession.estate.store.as_ref()) {
            let socket = store.hand_over().map_err(unavailable)?;
            offered.push(Offered { name: Name::Store(path.clone()), socket });
        }
        succession.estate.offer = Arc::new(Offer::new(offered));
        succession.socket = Some(socket.clone());
        if predecessor.is_none() {
            succession.host = Some(Host::open(socket).map_err(unavailable)?);
        }
        succession.predecessor = predecessor;
        Ok(succession)
    }

    /// Nobody before, nobody after.
    pub(crate) fn nobody(readiness: Arc<Readiness>) -> Self {
        let handed = Arc::new(watch::channel(false).0);
        let estate = Estate { offer: Arc::default(), readiness, store: None, audit: None, handed };
        Self { predecessor: None, socket: None, host: None, estate }
    }

    /// Whether there is a process to take over from.
    pub(crate) fn takes_over(&self) -> bool {
        self.predecessor.is_some()
    }

    /// Turns true when a successor has everything.
    pub(crate) fn handed(&self) -> watch::Receiver<bool> {
        self.estate.handed.subscribe()
    }

    /// Nothing is given to anybody any more: the copies kept for a successor are closed.
    pub(crate) fn close(&self) {
        self.estate.offer.close();
    }

    /// Takes over from the running process, if there is one: waits for keys, has the workers accept (`go`), and
    /// says so. An error means that it goes on without us.
    pub(crate) async fn take_over(
        &mut self,
        go: &watch::Sender<bool>,
        prospects: &mut Prospects,
    ) -> Result<Taken, AppError> {
        let Some(predecessor) = self.predecessor.take() else {
            go.send_replace(true);
            return Ok(Taken::Nothing);
        };
        let until = Instant::now() + KEYS_TIME;
        loop {
            let waiting = (prospects.waiting)();
            if waiting.is_empty() {
                break;
            }
            if Instant::now() >= until {
                return Err(AppError::Unavailable(format!(
                    "no upgrade: {} without keys for {} s ({}); the running gateway goes on",
                    if waiting.len() == 1 { "an issuer was" } else { "issuers were" },
                    KEYS_TIME.as_secs(),
                    waiting.join(", ")
                )));
            }
            sleep(KEYS_PAUSE).await;
        }
        // From "still" on it waits no longer than this for the next word, and then takes changes again: by then we serve,
        // or have given up, or what it answered for would not be in force here.
        let until = Instant::now() + handover::STEP - LEFT;
        let predecessor = match self.estate.store {
            Some(_) => self.told(move || predecessor.still()).await?,
            None => Some(predecessor),
        };
        // It has answered for the last change: all of them are in the store.
        let caught_up = async {
            (prospects.catch_up)().await?;
            (prospects.load)().await
        };
        let caught_up = timeout_at(until, caught_up).await;
        caught_up.unwrap_or_else(|_| Err("it takes too long".into())).map_err(|why| {
            AppError::Unavailable(format!("no upgrade: the store cannot be followed: {why}"))
        })?;
        go.send_replace(true);
        let workers = prospects.workers;
        let accepting = prospects.accepting.wait_for(|accepting| *accepting >= workers);
        if !matches!(timeout_at(until, accepting).await, Ok(Ok(_))) {
            return Err(AppError::Fault("the workers do not start"));
        }
        if let Some(predecessor) = predecessor
            && self.told(move || predecessor.ready()).await?.is_some()
        {
            tracing::info!("the listeners were taken over");
        }
        if let Some(store) = &self.estate.store {
            store.resume().await.map_err(|_| AppError::Fault("the store takes no changes"))?;
        }
        Ok(Taken::Over)
    }

    /// What came of telling the process before something. Nothing, if it is gone, or goes: who has the sockets serves.
    /// An error if it is there and did not do it: two that serve would each hear of half the revocations.
    async fn told<T: Send + 'static>(
        &self,
        tell: impl FnOnce() -> Result<T, HandoverError> + Send + 'static,
    ) -> Result<Option<T>, AppError> {
        match tokio::task::spawn_blocking(tell).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(error)) if self.is_answered() => {
                Err(AppError::Unavailable(format!("the running gateway did not let go: {error}")))
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the process that was taken over from did not let go in words");
                Ok(None)
            }
            Err(_) => Err(AppError::Fault("the process that was taken over from could not be told")),
        }
    }

    /// Whether somebody answers where we would listen for a successor.
    fn is_answered(&self) -> bool {
        self.socket.as_deref().is_some_and(handover::is_answered)
    }

    /// Listens for a successor.
    pub(crate) fn listen(&mut self) {
        let Some(socket) = &self.socket else { return };
        let host = match self.host.take() {
            Some(host) => host,
            None => match Host::open(socket) {
                Ok(host) => host,
                Err(error) => {
                    return tracing::error!(%error, "no upgrade is possible: `upgrade_socket` failed");
                }
            },
        };
        tokio::spawn(host.serve(self.estate.clone()));
    }
}

/// What was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// There was nobody.
    Nothing,
    /// Everything that the process before had.
    Over,
}

fn offered(bound: &Bound, admin: Option<(&TcpListener, SocketAddr)>) -> std::io::Result<Vec<Offered>> {
    let mut offered: Vec<Offered> = bound
        .copies()?
        .into_iter()
        .map(|Given { listener, origin, socket }| Offered { name: Name::Listener(listener, origin), socket })
        .collect();
    if let Some((listener, address)) = admin {
        let socket = listener.try_clone()?.into();
        offered.push(Offered { name: Name::Admin(Address::Ip(address)), socket });
    }
    Ok(offered)
}

/// What the last word takes at the most, of the time that the process before waits for it.
const LEFT: Duration = Duration::from_secs(1);

/// For the first keys of every issuer: what the running process has, the new one must have too.
const KEYS_TIME: Duration = Duration::from_secs(60);

/// Follows the store that another process writes to, for as long as it is asked to.
pub(crate) async fn follow(prospects: &Prospects) {
    let mut fails = false;
    loop {
        let caught_up = (prospects.catch_up)().await;
        if let Err(error) = &caught_up
            && !fails
        {
            tracing::error!(%error, "what is revoked now is not heard of here");
        }
        fails = caught_up.is_err();
        sleep(FOLLOW_PAUSE).await;
    }
}

/// Between two looks at a store that another process writes to.
const FOLLOW_PAUSE: Duration = Duration::from_millis(100);

/// Between two looks at them.
const KEYS_PAUSE: Duration = Duration::from_millis(20);
