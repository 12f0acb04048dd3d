//! `portcullis demo`: the real gateway between an upstream and an issuer that live in this process.

mod minted;
mod scene;
mod tour;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::watch;

use crate::app::{self, AppError, Ready, Start, Stop, Until};
use crate::cli;
use crate::cli::demo::scene::Scene;
use crate::cli::run;
use crate::cli::terminal::{Exit, Terminal};
use crate::config::address::Address;

/// What `demo` is told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Makes every request of the tour itself, compares, and ends.
    #[arg(long)]
    once: bool,
}

/// Runs the demonstration until Ctrl-C, or its own tour.
pub fn demo(arguments: &Arguments, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let scene = Scene::new()?;
    let path = scene.config();
    let Ok(loaded) = cli::load(&path, terminal)? else {
        return terminal.end(Exit::Bug, "the demonstration's own configuration is refused");
    };
    let (end, ends) = watch::channel(false);
    let stop = if arguments.once { Stop::When(ends) } else { Stop::Signals };
    let (announce, announced) = mpsc::channel();
    // Nobody listens any more only if this function has returned.
    let on_ready = Box::new(move |ready: &Ready| announce.send(ready.clone()).unwrap_or_default());
    let gateway = thread::spawn(move || app::serve(path, loaded, Start::Fresh, Until { stop, on_ready }));
    let Ok(ready) = announced.recv() else {
        return ended(gateway, terminal);
    };
    let (Some(public), Some(admin)) = (ready.listeners.first().and_then(Address::ip), ready.admin) else {
        return terminal.end(Exit::Bug, "the gateway listens nowhere");
    };
    if !keys_arrive(admin) {
        return terminal.end(Exit::Bug, "the gateway does not become ready");
    }
    if !arguments.once {
        tour::print(&scene, public, admin, terminal.out)?;
        terminal.out.flush()?;
        return ended(gateway, terminal);
    }
    let as_expected = tour::run(&scene, public, terminal.out)
        .and_then(|first| minted::run(&scene, public, terminal.out).map(|second| first && second));
    end.send_replace(true);
    let exit = ended(gateway, terminal)?;
    Ok(if as_expected? || exit != Exit::Fine { exit } else { Exit::Refused })
}

/// Waits for the gateway's end.
fn ended(gateway: JoinHandle<Result<(), AppError>>, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match gateway.join() {
        Ok(Ok(())) => Ok(Exit::Fine),
        Ok(Err(error)) => terminal.end(run::exit(&error), error),
        Err(_) => terminal.end(Exit::Bug, "the gateway has failed"),
    }
}

/// Asks `/readyz` until the issuer's keys are there.
fn keys_arrive(admin: SocketAddr) -> bool {
    let started = Instant::now();
    while started.elapsed() < READY_TIME {
        if wire::ask(admin, "GET", "/readyz", None).is_ok_and(|answer| answer.status == 200) {
            return true;
        }
        thread::park_timeout(READY_PAUSE);
    }
    false
}

/// For fetching keys over loopback.
const READY_TIME: Duration = Duration::from_secs(10);

/// Between two looks.
const READY_PAUSE: Duration = Duration::from_millis(20);
