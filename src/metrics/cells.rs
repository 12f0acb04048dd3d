//! Children of one family, found by a short scan instead of a hash of their labels.

use std::sync::OnceLock;

/// How many children are remembered; what comes after takes the slow way. A route sees few methods, statuses
/// and reasons, and the frequent ones come first.
const CELLS: usize = 24;

/// An append-only list of resolved children. Reads take no lock.
#[derive(Debug)]
pub(crate) struct Cells<K, C> {
    cells: [OnceLock<(K, C)>; CELLS],
}

impl<K: PartialEq, C> Cells<K, C> {
    pub(crate) fn new() -> Self {
        Self { cells: [const { OnceLock::new() }; CELLS] }
    }

    /// Hands the child that `is` picks to `then`. Of a child that is not there yet, `resolve` makes it and it is
    /// kept if there is room.
    pub(crate) fn with(
        &self,
        is: impl Fn(&K) -> bool,
        resolve: impl FnOnce() -> (K, C),
        then: impl FnOnce(&C),
    ) {
        let mut made = None;
        let mut resolve = Some(resolve);
        for cell in &self.cells {
            if let Some((key, child)) = cell.get() {
                if is(key) {
                    return then(child);
                }
                continue;
            }
            if let Some(resolve) = resolve.take() {
                made = Some(resolve());
            }
            let Some(pair) = made.take() else { return };
            // Another thread may fill the cell first; then look at what it put there.
            match cell.set(pair) {
                Ok(()) => {
                    if let Some((_, child)) = cell.get() {
                        then(child);
                    }
                    return;
                }
                Err(pair) => {
                    if let Some((_, child)) = cell.get().filter(|(key, _)| is(key)) {
                        return then(child);
                    }
                    made = Some(pair);
                }
            }
        }
        if let Some((_, child)) = made.or_else(|| resolve.map(|resolve| resolve())) {
            then(&child);
        }
    }
}
