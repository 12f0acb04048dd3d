//! Revoking by the line: a batch of a file that may have millions of them.
//!
//! A batch goes the way of every other entry, first to the disk and then into force. A line that is wrong is refused alone:
//! who revokes a million tokens must not find the first thousand in force for a typing error in the next. An entry that is
//! sent again is added again, under another id, and revokes what it revoked already.

use std::collections::BTreeSet;

use crate::control::revoking::{MOST_WARNINGS, RevokeError, beyond_bounds, kept, warning};
use crate::control::{ControlHandle, clock};
use crate::revocation::written::Vocabulary;
use crate::revocation::written::json::{self, Why};
use crate::store::error::StoreError;
use crate::store::{self, BATCH, Id};

/// What lines say, but for their entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// Those that are refused, by their place among all, and why; in order.
    pub refused: Vec<(usize, Vec<Why>)>,
    /// What is allowed, and hardly meant.
    pub warnings: Vec<String>,
}

impl ControlHandle {
    /// What these lines say, at most [`BATCH`] of them, to be given to [`Self::revoke`]. If it is `strict`, what stands behind
    /// a line that is refused is not looked at. Nothing changes. Blocks for as long as it takes to read them.
    pub fn read_lines<L: AsRef<[u8]>>(
        &self,
        lines: &[L],
        strict: bool,
    ) -> Result<(Vec<store::Entry>, Lines), RevokeError> {
        let lives = self.keeping()?.lasting.lives();
        if lines.len() > BATCH {
            return Err(StoreError::Refused("more lines at once than a batch has").into());
        }
        let (config, now, milliseconds) = (self.config(), clock::now(), clock::milliseconds());
        let latest = self.shared.reader.load().revocations.latest(now);
        let words = Vocabulary::new(&config, latest).remembering(&lives);
        let (mut entries, mut refused) = (Vec::with_capacity(lines.len()), Vec::new());
        let mut strangers = BTreeSet::new();
        for (place, line) in lines.iter().enumerate() {
            let read = json::line(line.as_ref(), &words);
            let read = read.and_then(|entry| match beyond_bounds(&entry) {
                Some(why) => Err(vec![why]),
                None => Ok(entry),
            });
            match read {
                Ok(entry) => {
                    entries.push(kept(&entry, Id::new(milliseconds)?, now.0)?);
                    if !entry.issuer.is_empty() && !words.has_issuer(&entry.issuer) {
                        strangers.insert(entry.issuer);
                    }
                }
                Err(whys) => refused.push((place, whys)),
            }
            if strict && !refused.is_empty() {
                break;
            }
        }
        let warnings = strangers.iter().take(MOST_WARNINGS).map(|issuer| warning(issuer)).collect();
        Ok((entries, Lines { refused, warnings }))
    }
}
