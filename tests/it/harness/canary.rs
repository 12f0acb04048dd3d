//! Invariant I4: what must never be seen again. Every signature that a test mints is remembered here, and every
//! answer and every log is searched for it.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

/// Octets of a signature that identify it.
const LENGTH: usize = 40;

static SIGNATURES: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
static SECRETS: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Remembers the signature of a compact token, and gives the token back.
pub fn token(compact: String) -> String {
    if let Some((_, signature)) = compact.rsplit_once('.')
        && let Some(start) = signature.get(..LENGTH)
    {
        SIGNATURES.lock().expect("no test panics in here").insert(start.to_owned());
    }
    compact
}

/// Remembers a text that may stand in a file, an environment variable or a request, and nowhere else.
pub fn secret(text: &str) -> String {
    assert!(text.len() >= 16, "a canary has to be unmistakable");
    SECRETS.lock().expect("no test panics in here").insert(text.to_owned());
    text.to_owned()
}

/// The first canary found in `text`.
pub fn find(text: &str) -> Option<String> {
    let signatures = SIGNATURES.lock().expect("no test panics in here");
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let signature = text
        .split(|c| !word(c))
        .filter_map(|run| run.get(..LENGTH))
        .find(|start| signatures.contains(*start));
    if let Some(signature) = signature {
        return Some(format!("the signature {signature}…"));
    }
    drop(signatures);
    let secrets = SECRETS.lock().expect("no test panics in here");
    secrets.iter().find(|secret| text.contains(secret.as_str())).map(|secret| format!("the secret {secret}"))
}
