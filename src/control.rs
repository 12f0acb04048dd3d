//! The one writer: whatever changes what decisions read comes here, and is published whole.
//!
//! One task owns the [`Publisher`]. Configurations reach it from disk, keys from one task an issuer, revocations from
//! operators once the store has them. It never waits for any: a load that hangs and a provider that hangs leave it
//! publishing what the others bring.
//!
//! A bad reload changes nothing but a gauge, a log line and [`Status`].

#[cfg(test)]
mod tests;

pub mod clock;
pub mod config_file;
pub mod files;
pub mod importing;
pub mod introspection;
pub mod key_fetch;
pub mod own;
pub mod reload;
pub mod revocation_file;
pub mod revoking;
pub mod status;
pub mod watch;
pub mod weighing;

use std::collections::BTreeMap;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use secrecy::SecretString;
use tokio::sync::{mpsc, watch as watched};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval_at};

use crate::config::material::Material;
use crate::config::problems::{Problem, Problems};
use crate::config::{Config, Issuer};
use crate::control::config_file::{Attempt, Loaded};
use crate::control::files::Files;
use crate::control::key_fetch::client::Client;
use crate::control::key_fetch::mirror::Mirror;
use crate::control::key_fetch::{Arrival, AtHand, KeyFetch, Means, is_fetched, same_source};
use crate::control::own::{KeysOf, OWN, OwnKeys};
use crate::control::reload::{
    Environment, Origin, ReloadError, Report, Requests, load_settled, needs_restart, refused,
};
use crate::control::revoking::lasting;
use crate::control::revoking::{HEARD, Heard, Keeping, Kept, SWEEP};
use crate::control::status::Status;
use crate::control::watch::{Watcher, hint};
use crate::gate::evidence::{AskKeys, KeyMiss, KeysAnswer};
use crate::metrics::Metrics;
use crate::revocation::Revocations;
use crate::snapshot::{Change, Keys, Publisher, Reader, Snapshot, channel};

/// The one writer.
pub struct Control {
    origin: Origin,
    publisher: Publisher,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    client: Arc<Client>,
    /// The fetches of this moment, by issuer.
    fetches: BTreeMap<Box<str>, Fetch>,
    /// Counts tasks ever started.
    tasks: u64,
    arrivals: (mpsc::Sender<Arrival>, mpsc::Receiver<Arrival>),
    /// What the store has taken.
    heard: mpsc::Receiver<Heard>,
    /// What is made in this process.
    own: mpsc::Receiver<OwnKeys>,
    keys_of: Option<KeysOf>,
    files: Arc<Files>,
    watcher: Watcher,
    /// Hears how reloads end that nobody asked for.
    unasked: Option<Unasked>,
    /// Takes on what is minted here.
    configured: Option<Configured>,
}

/// What hears of a reload by a file that changed: whether it is in force.
pub type Unasked = Box<dyn Fn(bool) + Send + Sync>;

/// What takes on a configuration, with the secrets and lists that it names for what is minted here; or says why not.
pub type Configured = Box<dyn Fn(Arc<Config>, Material) -> Vec<Problem> + Send + Sync>;

/// Asks the writer, from anywhere.
#[derive(Clone)]
pub struct ControlHandle {
    shared: Arc<Shared>,
}

struct Shared {
    reader: Reader,
    requests: Requests,
    /// The configuration in force.
    config: ArcSwap<Config>,
    /// What was warned of when it was loaded.
    warnings: ArcSwap<Vec<String>>,
    admin_token: ArcSwapOption<SecretString>,
    /// Who answers key misses, by issuer. Not read by decisions: those have the snapshot.
    fetches: ArcSwap<BTreeMap<Box<str>, Arc<KeyFetch>>>,
    /// Tells the writer what the store has taken.
    heard: mpsc::Sender<Heard>,
    own: mpsc::Sender<OwnKeys>,
    keeping: Option<Keeping>,
}

/// One issuer's fetches, and the task that runs them.
struct Fetch {
    fetch: Arc<KeyFetch>,
    task: u64,
    /// Not there before [`Control::run`] is.
    running: Option<Running>,
}

/// A task that ends with this.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A load under way, and the latest request when it began: all up to that one it answers.
struct Loading {
    attempt: JoinHandle<Option<Attempt>>,
    up_to: u64,
}

impl Control {
    /// Publishes a first configuration, and with it what the store has. Key misses are answered from here on; fetches
    /// and reloads begin with [`Control::run`]. `env` is asked again at every reload.
    pub fn start(
        path: PathBuf,
        env: Environment,
        loaded: Loaded,
        kept: Option<Kept>,
        metrics: Arc<Metrics>,
    ) -> (Self, Reader, ControlHandle) {
        let Loaded { config, change, material: _, admin_token, at_hand, files, warnings } = loaded;
        let (mut publisher, reader) = channel(change);
        let keeping = kept.map(|kept| {
            let (keeping, revocations) = kept.beside(&reader.load().revocations);
            publisher.publish(Change::Revocations(Arc::new(revocations)));
            keeping
        });
        let warnings = all_warnings(&warnings, keeping.as_ref(), &config);
        let (sender, heard) = mpsc::channel(HEARD);
        let (own_sender, own) = mpsc::channel(OWN);
        let generation = reader.load().generation;
        let report = Report { at: clock::now(), result: Ok(generation) };
        let shared = Arc::new(Shared {
            reader: reader.clone(),
            requests: Requests::new(report),
            config: ArcSwap::from_pointee(config),
            warnings: ArcSwap::from_pointee(warnings),
            admin_token: ArcSwapOption::from(admin_token.map(Arc::new)),
            fetches: ArcSwap::default(),
            heard: sender,
            own: own_sender,
            keeping,
        });
        let mut control = Self {
            origin: Origin { path: std::path::absolute(&path).unwrap_or(path), env },
            publisher,
            shared: Arc::clone(&shared),
            metrics,
            client: Arc::default(),
            fetches: BTreeMap::new(),
            tasks: 0,
            arrivals: mpsc::channel(ARRIVALS),
            heard,
            own,
            keys_of: None,
            files: Arc::new(files.closed(None)),
            watcher: Watcher::start(),
            unasked: None,
            configured: None,
        };
        control.follow_issuers(at_hand);
        control.gauge();
        control.metrics.config_reload(true, generation);
        (control, reader, ControlHandle { shared })
    }

    /// Has `unasked` hear how each reload ends that a file's change has brought about.
    pub fn tell(&mut self, unasked: Unasked) {
        self.unasked = Some(unasked);
    }

    /// Has `configured` take on each configuration that is reloaded, before it is published: what a request finds in the new
    /// one, it can ask for. The first configuration is taken from [`Loaded`] by whoever loaded it.
    pub fn on_config(&mut self, configured: Configured) {
        self.configured = Some(configured);
    }

    /// Publishes what comes until `shutdown` is true or its sender is gone.
    pub async fn run(mut self, mut shutdown: watched::Receiver<bool>) {
        self.watcher.follow(self.files.paths());
        let shared = Arc::clone(&self.shared);
        let hints = hint(self.watcher.changed(), move || shared.requests.hinted.notify_one());
        let _hints = Running(tokio::spawn(hints));
        self.run_fetches();
        let _purging = self.shared.keeping.as_ref().map(|keeping| Running(tokio::spawn(keeping.purge())));
        let _writing = Running(tokio::spawn(lasting::write(Arc::clone(&self.shared))));
        let mut sweep = (interval_at(Instant::now() + SWEEP, SWEEP), (0..Revocations::PARTS).cycle());
        let requests = Arc::clone(&self.shared);
        let requests = &requests.requests;
        // What changed between the load and the watch was told by no event.
        requests.hinted.notify_one();
        let mut loading: Option<Loading> = None;
        loop {
            let idle = loading.is_none();
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => break,
                Some(arrival) = self.arrivals.1.recv() => self.publish_keys(arrival),
                Some(heard) = self.heard.recv() => self.publish_revocations(heard),
                Some(own) = self.own.recv() => self.publish_own(own),
                _ = sweep.0.tick() => self.sweep(sweep.1.next().unwrap_or_default()),
                attempt = ended(loading.as_mut(), &self.origin) => {
                    let up_to = loading.take().map_or(0, |loading| loading.up_to);
                    self.finish(attempt, up_to);
                }
                () = requests.wanted.notified(), if idle => {
                    loading = Some(self.begin(requests.latest(), None));
                }
                () = requests.hinted.notified(), if idle => {
                    // A directory that was replaced has to be watched anew.
                    self.watcher.follow(self.files.paths());
                    loading = Some(self.begin(0, Some(Arc::clone(&self.files))));
                }
            }
        }
    }

    fn begin(&self, up_to: u64, unless_same: Option<Arc<Files>>) -> Loading {
        let load = load_settled(self.origin.clone(), Arc::clone(&self.shared.reader.load()), unless_same);
        let (shared, file) = (Arc::clone(&self.shared), self.origin.path.display().to_string());
        let load = async move { Some(lasting::remembered(shared, file, load.await?).await) };
        Loading { attempt: tokio::spawn(load), up_to }
    }

    /// Takes over what a load brought, or leaves everything as it is.
    fn finish(&mut self, attempt: Option<Attempt>, up_to: u64) {
        let Some(Attempt { files, result }) = attempt else { return };
        let result = match result {
            Ok(loaded) => self.apply(loaded),
            Err(problems) => Err(ReloadError::Problems(Arc::new(problems))),
        };
        // Of a load that was refused, the files it did not come to are those of before.
        let older = if result.is_ok() { None } else { Some(&*self.files) };
        self.files = Arc::new(files.closed(older));
        self.watcher.follow(self.files.paths());
        let generation = self.shared.reader.load().generation;
        match &result {
            Ok(generation) => tracing::info!(generation, "configuration reloaded"),
            Err(error) => {
                tracing::error!(generation, %error, "configuration not reloaded: the one before stays in force");
            }
        }
        self.metrics.config_reload(result.is_ok(), generation);
        if let Some(unasked) = self.unasked.as_ref().filter(|_| up_to == 0) {
            unasked(result.is_ok());
        }
        self.shared.requests.answer(up_to, Report { at: clock::now(), result });
    }

    fn apply(&mut self, loaded: Loaded) -> Result<u64, ReloadError> {
        let Loaded { config, mut change, material, warnings, admin_token, at_hand, files: _ } = loaded;
        let fixed = needs_restart(&self.shared.config.load(), &config);
        if !fixed.is_empty() {
            return Err(ReloadError::NeedsRestart(fixed));
        }
        let config = Arc::new(config);
        if let Some(configured) = &self.configured {
            let list = configured(Arc::clone(&config), material);
            if !list.is_empty() {
                let file = self.origin.path.display().to_string();
                return Err(ReloadError::Problems(Arc::new(Problems { file, text: Arc::from(""), list })));
            }
        }
        for warning in &warnings {
            let (line, column) = (warning.at.line, warning.at.column);
            tracing::warn!(line, column, "{}", warning.what);
        }
        let before = Arc::clone(&self.shared.reader.load());
        carry_over(&mut change, &before);
        if let Some(keys_of) = &self.keys_of {
            own::fill(&mut change, Some(&before), keys_of);
        }
        let generation = self.publisher.publish(change);
        let warnings = all_warnings(&warnings, self.shared.keeping.as_ref(), &config);
        self.shared.warnings.store(Arc::new(warnings));
        self.shared.config.store(config);
        self.shared.admin_token.store(admin_token.map(Arc::new));
        self.follow_issuers(at_hand);
        self.run_fetches();
        self.gauge();
        Ok(generation)
    }

    fn publish_keys(&mut self, arrival: Arrival) {
        let Arrival { issuer, task, keys, published } = arrival;
        // A reload may have replaced the task that fetched these.
        if self.fetches.get(&issuer).is_some_and(|fetch| fetch.task == task) {
            let generation = self.publisher.publish(Change::Keys { issuer, keys });
            self.metrics.generation(generation);
            // Whoever waited may be gone.
            let _ = published.send(());
        }
    }

    /// Keeps the fetches of issuers that stay, drops those of others, and makes those that are new.
    fn follow_issuers(&mut self, mut at_hand: BTreeMap<Box<str>, AtHand>) {
        let config = self.shared.config.load_full();
        let limit = config.limits.key_set;
        let mut old = std::mem::take(&mut self.fetches);
        for issuer in config.issuers.iter().filter(|issuer| is_fetched(&issuer.keys.value)) {
            let kept = old.remove(&issuer.name).filter(|old| same_source(&old.fetch.issuer(), issuer));
            let fetch = match kept {
                Some(kept) => {
                    kept.fetch.reconfigure(Arc::clone(issuer), limit);
                    kept
                }
                None => {
                    self.tasks += 1;
                    let at_hand = at_hand.remove(&issuer.name);
                    let fetch = Arc::new(KeyFetch::new(Arc::clone(issuer), limit, at_hand));
                    Fetch { fetch, task: self.tasks, running: None }
                }
            };
            self.fetches.insert(issuer.name.clone(), fetch);
        }
        let fetches = self.fetches.iter().map(|(name, fetch)| (name.clone(), Arc::clone(&fetch.fetch)));
        self.shared.fetches.store(Arc::new(fetches.collect()));
    }

    fn run_fetches(&mut self) {
        let config = self.shared.config.load_full();
        for fetch in self.fetches.values_mut().filter(|fetch| fetch.running.is_none()) {
            let issuer = fetch.fetch.issuer();
            let means = Means {
                client: Arc::clone(&self.client),
                mirror: mirror(&self.origin, &config, &issuer),
                arrivals: self.arrivals.0.clone(),
                task: fetch.task,
                metrics: Arc::clone(&self.metrics),
            };
            fetch.running = Some(Running(tokio::spawn(Arc::clone(&fetch.fetch).run(means))));
        }
    }

    /// Sets the gauges of everything that a configuration brings; fetched keys have theirs set as they come.
    fn gauge(&self) {
        let (snapshot, config) = (self.shared.reader.load(), self.shared.config.load());
        let metrics = &self.metrics;
        metrics.generation(snapshot.generation);
        self.gauge_revocations();
        for state in snapshot.issuers.iter() {
            if let Keys::Ready { set, fetched: false } = &state.keys {
                metrics.jwks_state(&state.config.name, set.len(), None);
                metrics.key_ids(&state.config.name, set.key_ids());
            }
        }
        let routes: Vec<&str> = config.routes.iter().map(|route| &*route.name).collect();
        let issuers: Vec<&str> = config.issuers.iter().map(|issuer| &*issuer.name).collect();
        let upstreams: Vec<&str> = config.upstreams.iter().map(|upstream| &*upstream.name).collect();
        metrics.retain(&routes, &issuers, &upstreams);
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.requests.stop();
    }
}

impl ControlHandle {
    /// Loads the configuration again and publishes it, or says why not: SIGHUP and `POST /v1/reload`. Requests
    /// made while a load runs are answered together by the next one.
    pub async fn reload(&self) -> Result<u64, ReloadError> {
        self.shared.requests.reload().await
    }

    /// Answers key misses. One of an issuer whose keys are not (or no longer) fetched is settled at once.
    pub fn ask_keys(&self) -> AskKeys {
        let shared = Arc::clone(&self.shared);
        Arc::new(move |miss: KeyMiss| {
            let fetch = shared.fetches.load().get(&miss.issuer).cloned();
            Box::pin(async move {
                match fetch {
                    Some(fetch) => fetch.ask(&miss.key_id).await,
                    None => KeysAnswer::Fetched,
                }
            })
        })
    }

    /// What operators are told.
    pub fn status(&self) -> Status {
        let fetches = self.shared.fetches.load();
        let health = |issuer: &str| fetches.get(issuer).map(|fetch| fetch.health());
        let warnings = self.shared.warnings.load().to_vec();
        Status::new(&self.shared.reader.load(), &self.shared.requests.report(), warnings, health)
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.shared.config.load_full()
    }

    /// The admin listener's token of this moment, if it has one: its file is reloaded like any other.
    pub fn admin_token(&self) -> Option<Arc<SecretString>> {
        self.shared.admin_token.load_full()
    }
}

/// What was warned of in a load, and what the store has that the configuration does not know, which is logged here.
fn all_warnings(loaded: &[Problem], keeping: Option<&Keeping>, config: &Config) -> Vec<String> {
    let kept = keeping.map(|keeping| keeping.by_claim.warnings(config)).unwrap_or_default();
    for warning in &kept {
        tracing::warn!("{warning}");
    }
    let loaded = loaded.iter().map(|Problem { at, what, .. }| format!("{}:{}: {what}", at.line, at.column));
    loaded.chain(kept).take(MOST_WARNINGS).collect()
}

/// Waits for a load, if one is under way.
async fn ended(loading: Option<&mut Loading>, origin: &Origin) -> Option<Attempt> {
    match loading {
        Some(loading) => (&mut loading.attempt).await.unwrap_or_else(|_| Some(refused(origin))),
        None => pending().await,
    }
}

fn mirror(origin: &Origin, config: &Config, issuer: &Issuer) -> Option<Mirror> {
    let directory = origin.path.with_file_name("").join(config.key_mirror.as_ref()?);
    Some(Mirror::new(&directory, issuer))
}

/// Gives fetched issuers the keys of this moment: some may have come while the change was being loaded.
fn carry_over(change: &mut Change, now: &Snapshot) {
    let Change::Config { issuers, .. } = change else { return };
    for (issuer, keys) in issuers.iter_mut().filter(|(issuer, _)| is_fetched(&issuer.keys.value)) {
        if let Some(state) = now.issuers.iter().find(|state| same_source(&state.config, issuer)) {
            *keys = state.keys.clone();
        }
    }
}

/// Warnings that are remembered.
const MOST_WARNINGS: usize = 100;
/// Key sets on their way to the writer: more tasks than this wait their turn.
const ARRIVALS: usize = 64;
