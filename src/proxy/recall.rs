//! What the workers know of tokens, for whoever asks beside the requests: a rehearsed revocation.
//!
//! A memo is its worker's own, as its streams are, so that each worker is asked, and hands out what it has a few at a time, between turns for
//! its connections. Nobody is asked unless somebody wants to know: a request does nothing for it.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, mpsc, oneshot};
use tokio::time::timeout;

use crate::gate::lasting::Lasting;
use crate::gate::memo::TokenFacts;
use crate::proxy::worker::Worker;

/// The way to the workers.
#[derive(Debug, Default)]
pub struct Recall {
    workers: Mutex<Vec<mpsc::Sender<Ask>>>,
    /// One at a time.
    turn: Turn<()>,
}

/// Where the answer goes.
pub(in crate::proxy) type Ask = oneshot::Sender<Known>;

/// What is known of tokens.
#[derive(Debug, Default)]
pub struct Known {
    /// The good ones that are remembered; one that several workers have seen is there several times.
    pub tokens: Vec<Arc<TokenFacts>>,
    /// What each open stream hangs by.
    pub streams: Vec<Lasting>,
}

impl Recall {
    /// What the workers know. A worker that does not answer soon, and what is more than [`TOKENS`], is left out.
    pub async fn known(&self) -> Known {
        let _turn = self.turn.lock().await;
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut known = Known::default();
        for worker in workers {
            let (ask, answer) = oneshot::channel();
            // One that has ended remembers nothing.
            if worker.try_send(ask).is_ok()
                && let Ok(Ok(more)) = timeout(PATIENCE, answer).await
            {
                known.tokens.extend(more.tokens);
                known.streams.extend(more.streams);
            }
        }
        known
    }

    /// A worker joins in.
    pub(in crate::proxy) fn join(&self) -> mpsc::Receiver<Ask> {
        let (sender, asks) = mpsc::channel(1);
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        asks
    }
}

/// Answers for a worker.
pub(in crate::proxy) async fn serve(worker: Rc<Worker>, mut asks: mpsc::Receiver<Ask>) {
    while let Some(ask) = asks.recv().await {
        let known = Known { tokens: tokens(&worker, &ask).await, streams: streams(&worker, &ask).await };
        // Whoever asked may be gone.
        let _heard_or_not = ask.send(known);
    }
}

async fn tokens(worker: &Worker, ask: &Ask) -> Vec<Arc<TokenFacts>> {
    let mut tokens = Vec::new();
    loop {
        let before = tokens.len();
        tokens.extend(worker.memo.borrow().good().skip(before).take(AT_ONCE).cloned());
        if tokens.len() == before || tokens.len() >= TOKENS || ask.is_closed() {
            return tokens;
        }
        // Each turn passes those again that were seen: of [`TOKENS`] in [`TURNS`] turns that is ten times each, a step in
        // a table and no more. What is forgotten meanwhile may hide another one: it is not a count to rely on to the last.
        tokio::task::yield_now().await;
    }
}

async fn streams(worker: &Worker, ask: &Ask) -> Vec<Lasting> {
    let (mut streams, mut from) = (Vec::new(), 0);
    loop {
        let (some, next) = worker.recheck.held(from, AT_ONCE);
        streams.extend(some);
        match next {
            Some(next) if streams.len() < TOKENS && !ask.is_closed() => from = next,
            Some(_) | None => return streams,
        }
        tokio::task::yield_now().await;
    }
}

/// Tokens of one worker, and streams.
pub const TOKENS: usize = 100_000;
/// Turns in which they are handed out: few, for each goes past what the others have handed out.
const TURNS: usize = 20;
/// Tokens of one turn: half a millisecond.
const AT_ONCE: usize = TOKENS / TURNS;
/// For a worker to answer.
const PATIENCE: Duration = Duration::from_secs(2);
