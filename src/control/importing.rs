//! Revoking by the line: a batch of a file that may have millions of them.
//!
//! A batch goes the way of every other entry, first to the disk and then into force. A line that is wrong is refused alone:
//! who revokes a million tokens must not find the first thousand in force for a typing error in the next. An entry that is
//! sent again is added again, under another id, and revokes what it revoked already.

use std::collections::BTreeSet;

use crate::control::revoking::{MOST_WARNINGS, RevokeError, beyond_bounds, held_of, kept, warning};
use crate::control::{ControlHandle, clock};
use crate::revocation::written::Vocabulary;
use crate::revocation::written::json::{self, Why};
use crate::store::error::StoreError;
use crate::store::{self, BATCH, Change, Id};

/// What becomes of lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// They are read, and nothing is added.
    pub dry_run: bool,
    /// What stands behind a line that is refused is not looked at.
    pub strict: bool,
}

/// What became of lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Entries that were added, or would be.
    pub added: usize,
    /// The lines that were refused, by their place among those that were given, and why; in order.
    pub refused: Vec<(usize, Vec<Why>)>,
    /// What is allowed, and hardly meant.
    pub warnings: Vec<String>,
}

impl ControlHandle {
    /// Adds what these lines say, at most [`BATCH`] of them: kept once this returns, and in force for every request from
    /// then on. An error means that none of them was added.
    pub async fn import<L: AsRef<[u8]>>(&self, lines: &[L], manner: Manner) -> Result<Imported, RevokeError> {
        self.keeping()?;
        let (entries, imported) = self.read(lines, manner)?;
        if !entries.is_empty() && !manner.dry_run {
            let added = entries.iter().map(held_of).collect::<Result<_, _>>()?;
            let changes = entries.into_iter().map(Change::Added).collect();
            self.keep(changes, added, Vec::new()).await?;
        }
        Ok(imported)
    }

    fn read<L: AsRef<[u8]>>(
        &self,
        lines: &[L],
        manner: Manner,
    ) -> Result<(Vec<store::Entry>, Imported), RevokeError> {
        if lines.len() > BATCH {
            return Err(StoreError::Refused("more lines at once than a batch has").into());
        }
        let (config, now, milliseconds) = (self.config(), clock::now(), clock::milliseconds());
        let words = Vocabulary::new(&config, self.shared.reader.load().revocations.latest(now));
        let (mut entries, mut imported) = (Vec::with_capacity(lines.len()), Imported::default());
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
                Err(whys) => imported.refused.push((place, whys)),
            }
            if manner.strict && !imported.refused.is_empty() {
                break;
            }
        }
        imported.added = entries.len();
        imported.warnings = strangers.iter().take(MOST_WARNINGS).map(|issuer| warning(issuer)).collect();
        Ok((entries, imported))
    }
}
