//! As many descriptors as the process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors where the system sets no bound: Linux gives no process more than this unless it is told to.
const UNBOUNDED: u64 = 1 << 20;

/// Raises the bound on open descriptors as far as the system lets us, and says where it is. The lower bound is there
/// for programs that use `select`, and too low for ten thousand connections.
pub(crate) fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // A refusal leaves what there is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let now = getrlimit(Resource::Nofile).current.unwrap_or(UNBOUNDED);
    usize::try_from(now).unwrap_or(usize::MAX)
}
