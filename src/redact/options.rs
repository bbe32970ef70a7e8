//! The options of a redaction.

use std::num::NonZeroUsize;

use super::key::RedactionKey;
use crate::container::Sealer;
use crate::detect::{DetectOptions, RULES_VERSION, RuleFile};
use crate::error::{RedactionFault, Result};
use crate::export::Level;
use crate::format::Redaction;
use crate::query::KeyPath;
use crate::util::ordered_pool::available_cores;

/// Options for a redaction. The same input and options give the same bytes, unless encrypted, regardless of the number of
/// threads.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct RedactOptions {
    /// The program and version for the manifest.
    pub generator: String,
    /// The sources to redact; empty means all.
    pub sources: Vec<String>,
    /// The rules.
    pub detect: DetectOptions,
    /// The key for the names. Without a key, names are numbered.
    pub key: Option<RedactionKey>,
    /// The members of rows to remove.
    pub drop: Vec<KeyPath>,
    /// The only members of rows to keep, if not empty. [`ALWAYS_KEPT`](super::ALWAYS_KEPT) lists the keys that are
    /// always kept.
    pub keep_only: Vec<KeyPath>,
    /// The compression level.
    pub level: Level,
    /// The number of threads that inflate and compress.
    pub threads: NonZeroUsize,
    /// Encrypts the bundle, if set.
    pub sealer: Option<Sealer>,
}

impl RedactOptions {
    /// Redacts all sources with all rules and numbered names, with the default compression level and one thread per
    /// core.
    pub fn new(generator: impl Into<String>) -> Self {
        Self {
            generator: generator.into(),
            sources: Vec::new(),
            detect: DetectOptions::default(),
            key: None,
            drop: Vec::new(),
            keep_only: Vec::new(),
            level: Level::default(),
            threads: available_cores(),
            sealer: None,
        }
    }

    /// Limits the new bundle to these sources.
    pub fn sources(self, sources: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { sources: sources.into_iter().map(Into::into).collect(), ..self }
    }

    /// Chooses the rules.
    pub fn detect(self, detect: DetectOptions) -> Self {
        Self { detect, ..self }
    }

    /// Sets the key for the names.
    pub fn key(self, key: impl Into<Option<RedactionKey>>) -> Self {
        Self { key: key.into(), ..self }
    }

    /// Removes these members of rows.
    pub fn drop(self, paths: impl IntoIterator<Item = KeyPath>) -> Self {
        Self { drop: paths.into_iter().collect(), ..self }
    }

    /// Removes all members of rows except these.
    pub fn keep_only(self, paths: impl IntoIterator<Item = KeyPath>) -> Self {
        Self { keep_only: paths.into_iter().collect(), ..self }
    }

    /// Sets the compression level.
    pub fn level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Sets the sealer that encrypts the bundle, if any.
    pub fn sealer(self, sealer: impl Into<Option<Sealer>>) -> Self {
        Self { sealer: sealer.into(), ..self }
    }

    /// Returns an error if the path of a member to remove is that of the row itself.
    pub(super) fn check(&self) -> Result<()> {
        match self.drop.iter().any(|path| path.steps().is_empty()) {
            true => Err(RedactionFault::WholeRow.into()),
            false => Ok(()),
        }
    }

    /// Returns the options as the manifest records them.
    pub(super) fn record(&self) -> Redaction {
        let texts = |paths: &[KeyPath]| paths.iter().map(ToString::to_string).collect();
        Redaction {
            rules: RULES_VERSION,
            only: self.detect.only.clone(),
            skip: self.detect.skip.clone(),
            rules_file: self.detect.rules.as_ref().map(RuleFile::digest),
            key_id: self.key.as_ref().map(RedactionKey::id),
            sources: self.sources.clone(),
            drop: texts(&self.drop),
            keep_only: texts(&self.keep_only),
            replaced: 0,
            lines: 0,
        }
    }
}
