//! Documents that are known by a name: those that clients have sent with their hashes, and those of a safelist.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::config::graphql::{Safelist, SafelistMode};

#[cfg(test)]
mod tests;

/// Octets of documents that a worker keeps by their hashes. One that had to go is sent again by the next client that
/// wants it.
const KEPT: u64 = 4 * 1024 * 1024;

/// Octets of the largest that is kept.
const LARGEST: usize = 64 * 1024;

/// What is assumed of a document, when the eviction's queues are sized.
const TYPICAL: u64 = 1024;

/// What a kept document takes besides its text.
const PLACE: u64 = 128;

/// SHA-256 of a document's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentHash([u8; 32]);

/// Documents by their hashes, as clients have sent them ("automatic persisted queries").
///
/// A worker's own, as all that is remembered of requests: what it does not know, another may, and the client that is told
/// so sends the document once more. That costs it one exchange a worker and document; a store for all of them would cost
/// every request a lock, and would be no better known to the other processes of a host.
pub struct Sent {
    documents: Cache<DocumentHash, Arc<str>, Octets, BuildHasherDefault<Taken>>,
}

/// A safelist, ready for use.
#[derive(Debug)]
pub struct Listed {
    /// What is done with other documents.
    pub mode: SafelistMode,
    /// By id, sorted.
    documents: Arc<Vec<(Box<str>, Box<str>)>>,
    /// Places by the hashes of the texts.
    by_hash: HashMap<DocumentHash, usize>,
    /// The texts: a document is looked for by its own on every request.
    texts: HashSet<Box<str>>,
}

#[derive(Debug, Clone)]
struct Octets;

/// Keys are hashes already, and what is kept under one has it: the map takes their first octets as they are.
#[derive(Debug, Clone, Copy, Default)]
struct Taken(u64);

impl DocumentHash {
    /// Of a text.
    pub fn of(text: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(hash)
    }

    /// As written: 64 hexadecimal digits.
    pub fn read(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return None;
        }
        for (octet, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
            *octet = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Self(hash))
    }
}

impl std::fmt::Display for DocumentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl Hash for DocumentHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl Sent {
    /// The document of this hash.
    pub fn find(&mut self, hash: DocumentHash) -> Option<Arc<str>> {
        self.documents.get(&hash).map(Arc::clone)
    }

    /// Keeps a document; `hash` is its own.
    pub fn keep(&mut self, hash: DocumentHash, text: &str) {
        if text.len() <= LARGEST && self.documents.get(&hash).is_none() {
            self.documents.insert(hash, Arc::from(text));
        }
    }

    /// Octets that are held.
    pub fn weight(&self) -> u64 {
        self.documents.weight()
    }
}

impl Default for Sent {
    fn default() -> Self {
        let items = usize::try_from(KEPT / TYPICAL).unwrap_or(1);
        Self {
            documents: Cache::with(items, KEPT, Octets, BuildHasherDefault::default(), Default::default()),
        }
    }
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sent").field("documents", &self.documents.len()).finish_non_exhaustive()
    }
}

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        self.0 = octets.iter().take(8).fold(0, |hash, octet| hash << 8 | u64::from(*octet));
    }
}

impl Weighter<DocumentHash, Arc<str>> for Octets {
    fn weight(&self, _: &DocumentHash, text: &Arc<str>) -> u64 {
        text.len() as u64 + PLACE
    }
}

impl Listed {
    /// Makes it ready.
    pub fn compile(safelist: &Safelist) -> Self {
        let documents = Arc::clone(&safelist.documents);
        let (mut by_hash, mut texts) = (HashMap::new(), HashSet::new());
        for (place, (_, text)) in documents.iter().enumerate() {
            by_hash.entry(DocumentHash::of(text)).or_insert(place);
            texts.insert(text.clone());
        }
        Self { mode: safelist.mode, documents, by_hash, texts }
    }

    /// The document of this id: its own, or the hash of its text, with or without `sha256:` before it.
    pub fn by_id(&self, id: &str) -> Option<&str> {
        let own = self.documents.binary_search_by(|(known, _)| (**known).cmp(id));
        match own {
            Ok(place) => self.text(place),
            Err(_) => self.by_hash(DocumentHash::read(id.strip_prefix("sha256:").unwrap_or(id))?),
        }
    }

    fn by_hash(&self, hash: DocumentHash) -> Option<&str> {
        self.by_hash.get(&hash).and_then(|place| self.text(*place))
    }

    /// Whether a document is on it, letter for letter.
    pub fn has(&self, text: &str) -> bool {
        self.texts.contains(text)
    }

    fn text(&self, place: usize) -> Option<&str> {
        self.documents.get(place).map(|(_, text)| &**text)
    }
}
