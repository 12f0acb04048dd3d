//! The last good fetched key sets on disk, for a start while the identity provider is away.
//!
//! Public keys only: nothing here is secret, but whoever can write here can be believed. The directory is ours
//! alone (0700), and what others could have written is not read.

#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::config::{Issuer, KeySource};
use crate::token::NumericDate;

/// One fetched set, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirrored {
    /// The issuer's `iss`.
    issuer: String,
    /// Where the set came from: the configured URL, or nothing with discovery.
    source: Option<String>,
    /// When it was last fetched or confirmed, in Unix seconds.
    fetched_at: i64,
    /// The key set as it arrived.
    key_set: String,
}

/// Where one issuer's set is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    directory: PathBuf,
    file: PathBuf,
    issuer: String,
    source: Option<String>,
}

/// Why a kept set is not used.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Others than the gateway's own user could have written it.
    #[error("{0} may be written by others")]
    Writable(&'static str),
    /// It is not what this version writes.
    #[error("it is damaged")]
    Damaged,
    /// It is for another issuer or source.
    #[error("it is for another issuer")]
    Foreign,
}

impl Mirrored {
    /// When the set was last fetched or confirmed.
    pub fn fetched_at(&self) -> NumericDate {
        NumericDate(self.fetched_at)
    }

    /// The key set as it arrived.
    pub fn key_set(&self) -> &[u8] {
        self.key_set.as_bytes()
    }
}

impl Mirror {
    /// The place for this issuer under `directory`.
    pub fn new(directory: &Path, issuer: &Issuer) -> Self {
        let name = [issuer.name.as_bytes(), &[0], issuer.issuer.as_bytes()].concat();
        let name: String = digest::digest(&digest::SHA256, &name)
            .as_ref()
            .iter()
            .take(16)
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let source = match &issuer.keys.value {
            KeySource::JwksUrl(url) => Some(url.clone()),
            KeySource::Discovery
            | KeySource::JwksFile(_)
            | KeySource::JwksInline(_)
            | KeySource::PemFile(_)
            | KeySource::PemEnv(_)
            | KeySource::PemInline(_)
            | KeySource::Secret { .. }
            | KeySource::Managed
            | KeySource::SigningPem(_)
            | KeySource::Records(_) => None,
        };
        Self {
            directory: directory.to_owned(),
            file: directory.join(format!("{name}.json")),
            issuer: issuer.issuer.to_string(),
            source,
        }
    }

    /// What is kept; nothing if nothing is. `limit` is `limits.key_set`.
    pub fn read(&self, limit: usize) -> Result<Option<Mirrored>, MirrorError> {
        let mut file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let writable = |mode: u32| mode & 0o022 != 0;
        if writable(file.metadata()?.permissions().mode()) {
            return Err(MirrorError::Writable("the file"));
        }
        if writable(self.directory.metadata()?.permissions().mode()) {
            return Err(MirrorError::Writable("the directory"));
        }
        // As JSON in JSON a set can double, and its frame is small.
        let limit = 2 * limit as u64 + 16 * 1024;
        let mut text = Vec::new();
        Read::by_ref(&mut file).take(limit + 1).read_to_end(&mut text)?;
        if text.len() as u64 > limit {
            return Err(MirrorError::Damaged);
        }
        let kept: Mirrored = serde_json::from_slice(&text).map_err(|_| MirrorError::Damaged)?;
        let ours = kept.issuer == self.issuer && kept.source == self.source;
        if ours { Ok(Some(kept)) } else { Err(MirrorError::Foreign) }
    }

    /// Keeps a set, atomically: after a crash there is the old one or this one.
    pub fn write(&self, key_set: &str, fetched_at: NumericDate) -> io::Result<()> {
        let kept = Mirrored {
            issuer: self.issuer.clone(),
            source: self.source.clone(),
            fetched_at: fetched_at.0,
            key_set: key_set.to_owned(),
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        // Two gateways that share a directory do not share this name.
        let new = self.file.with_extension(format!("{}.new", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(&kept)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.file)?;
        File::open(&self.directory)?.sync_all()
    }
}
