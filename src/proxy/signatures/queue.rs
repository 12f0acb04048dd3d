//! A bounded line in which addresses take turns.
//!
//! Each item stands in a round: one later than the last of its address, or than the one that is being served. Rounds are
//! served in order, so that an address with many items waits for its own and not for others', and what makes room in a
//! full line is the last of the last round: whoever asks for most loses first. Both ends of the line say so; nothing has
//! to be counted.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::IpAddr;

/// The line.
#[derive(Debug)]
pub(super) struct Queue<T> {
    most: usize,
    /// The round that is being served.
    round: u64,
    /// In the order in which they will be served.
    entries: VecDeque<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    round: u64,
    address: IpAddr,
    item: T,
}

/// What became of an item that was to stand in line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed<T> {
    /// It stands in line.
    In,
    /// So it does, and this one was put out for it.
    Instead(T),
    /// There is no room for it.
    Full(T),
}

impl<T> Queue<T> {
    /// A line for at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self { most, round: 0, entries: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts an item of this address in line.
    pub(super) fn push(&mut self, address: IpAddr, item: T) -> Pushed<T> {
        // From the end: an address that floods is found at once.
        let own = self.entries.iter().rev().find(|entry| entry.address == address);
        let round = own.map_or(self.round, |entry| entry.round).max(self.round) + 1;
        let mut pushed = Pushed::In;
        if self.entries.len() >= self.most {
            match self.entries.pop_back_if(|last| round < last.round) {
                Some(last) => pushed = Pushed::Instead(last.item),
                None => return Pushed::Full(item),
            }
        }
        let at = self.entries.partition_point(|entry| entry.round <= round);
        self.entries.insert(at, Entry { round, address, item });
        pushed
    }

    /// Takes the next item out.
    pub(super) fn pop(&mut self) -> Option<T> {
        let entry = self.entries.pop_front()?;
        self.round = entry.round;
        Some(entry.item)
    }

    /// The first item in line of which this holds.
    pub(super) fn find(&self, is: impl Fn(&T) -> bool) -> Option<&T> {
        self.entries.iter().map(|entry| &entry.item).find(|item| is(item))
    }

    /// Takes the first item out of which this holds.
    pub(super) fn remove(&mut self, is: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.entries.iter().position(|entry| is(&entry.item))?;
        self.entries.remove(at).map(|entry| entry.item)
    }
}
