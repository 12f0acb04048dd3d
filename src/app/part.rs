//! A part of the gateway as a service of pingora's server.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use pingora_core::server::{ListenFds, ShutdownWatch};
use pingora_core::services::Service;
use tokio::sync::oneshot;

/// One future on a runtime of its own. It is not told of pingora's own shutdown: [`crate::app::shutdown`] ends
/// the parts in order.
pub(crate) struct Part {
    name: &'static str,
    work: Mutex<Option<Work>>,
}

type Work = (Pin<Box<dyn Future<Output = ()> + Send>>, oneshot::Sender<()>);

/// Resolves when the part's future has returned, panicked or been dropped.
pub(crate) type Ended = oneshot::Receiver<()>;

impl Part {
    pub(crate) fn new(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> (Self, Ended) {
        let (alive, ended) = oneshot::channel();
        (Self { name, work: Mutex::new(Some((Box::pin(work), alive))) }, ended)
    }
}

#[async_trait]
impl Service for Part {
    async fn start_service(&mut self, _fds: Option<ListenFds>, _shutdown: ShutdownWatch, _per_fd: usize) {
        let work = self.work.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((work, _alive)) = work {
            work.await;
        }
    }

    fn name(&self) -> &str {
        self.name
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}
