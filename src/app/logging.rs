//! What is written to standard error, and what never is.

mod writer;

use std::io::{IsTerminal, stderr};
use std::panic;
use std::sync::Arc;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::app::logging::writer::{Flush, Queue};
use crate::config::log::{Log, LogFormat};
use crate::metrics::Metrics;

/// Starts logging as configured, other crates' `log` records included. In a process that logs already (tests)
/// nothing changes. `RUST_LOG` is not read: the configuration is the one place. Dropping what is returned writes
/// what is queued.
pub(crate) fn start(log: &Log) -> Flush {
    let ansi = stderr().is_terminal();
    let (queue, flush) = Queue::start();
    let registry = tracing_subscriber::registry().with(targets(&log.level));
    let _set_before = match log.format {
        LogFormat::Text => registry.with(fmt::layer().with_writer(queue).with_ansi(ansi)).try_init(),
        LogFormat::Json => {
            let layer =
                fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
            registry.with(layer.with_writer(queue)).try_init()
        }
    };
    flush
}

/// Our own modules log at the configured level. Everybody else's are capped: hyper, h2, reqwest and pingora
/// print raw octets and header lines at `debug` and `trace`, tokens among them (threats O2), and at `info` they
/// only tell how they are.
fn targets(level: &str) -> Targets {
    let ours = level.parse().unwrap_or(LevelFilter::INFO);
    let cap = if ours > LevelFilter::INFO { LevelFilter::INFO } else { LevelFilter::WARN };
    let access = if ours == LevelFilter::OFF { ours } else { LevelFilter::INFO };
    let targets = Targets::new().with_default(ours.min(cap)).with_target(env!("CARGO_CRATE_NAME"), ours);
    targets.with_target(ACCESS, access)
}

/// Where the data plane writes one line a request. `log.access` says whether it does: `log.level: warn` leaves
/// these lines in.
const ACCESS: &str = "portcullis::access";

/// Reports a panic by its place alone: its message may hold a request's octets.
pub(crate) fn report_panics(metrics: Arc<Metrics>) {
    panic::set_hook(Box::new(move |fault| {
        metrics.panicked();
        let at = fault.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, "a fault of the gateway itself");
    }));
}

#[cfg(test)]
mod tests;
