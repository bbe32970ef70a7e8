//! Does a redaction again and compares the result with the redacted bundle.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Serialize;

use super::key::RedactionKey;
use super::logs::{RedactedLog, RedactedLogs};
use super::options::RedactOptions;
use crate::align::next_line;
use crate::bundle::Bundle;
use crate::detect::{DetectOptions, RULES_VERSION, RuleFile};
use crate::digest::BundleDigest;
use crate::error::{Error, RedactionFault, Result};
use crate::format::limits::MAX_LOG_LINE_BYTES;
use crate::format::{Derivation, LogId, Manifest, ManifestFile, Redaction};
use crate::input::TraceInput;
use crate::progress::Progress;
use crate::query::KeyPath;
use crate::stored::{ContentReader, restore_logs};
use crate::util::line_reader::LineReader;
use crate::util::ordered_pool::available_cores;

/// Options for [`check_redaction`].
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct CompareOptions {
    /// The key that the names were made with.
    pub key: Option<RedactionKey>,
    /// The file of rules that was used.
    pub rules: Option<RuleFile>,
    /// The number of threads that inflate.
    pub threads: NonZeroUsize,
    /// The directory for temporary files. The logs of both are there while they are compared.
    pub work_dir: PathBuf,
}

/// Compares without a key and a file of rules on all cores, with temporary files in the system's directory.
impl Default for CompareOptions {
    fn default() -> Self {
        Self { key: None, rules: None, threads: available_cores(), work_dir: std::env::temp_dir() }
    }
}

impl CompareOptions {
    /// Sets the key that the names were made with.
    pub fn key(self, key: impl Into<Option<RedactionKey>>) -> Self {
        Self { key: key.into(), ..self }
    }

    /// Sets the file of rules that was used.
    pub fn rules(self, rules: impl Into<Option<RuleFile>>) -> Self {
        Self { rules: rules.into(), ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Sets the directory for temporary files.
    pub fn work_dir(self, work_dir: impl Into<PathBuf>) -> Self {
        Self { work_dir: work_dir.into(), ..self }
    }
}

/// The result of [`check_redaction`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RedactionCheck {
    /// The name of the original.
    pub original: String,
    /// The digests of the bundles of the original.
    pub bundles: Vec<BundleDigest>,
    /// The options of the redaction, and what it replaced, as the manifest records them.
    pub redaction: Redaction,
    /// The first difference; null if only the redaction distinguishes the two.
    pub difference: Option<RedactionDifference>,
}

/// A difference between a redacted bundle and what the redaction of its original gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "what", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum RedactionDifference {
    /// A key of the manifest has another value.
    Manifest {
        /// The key.
        key: String,
    },
    /// The redacted bundle has other logs.
    Logs,
    /// A line of a log differs, or only one of the two has it.
    Line {
        /// The log in the redacted bundle.
        file: String,
        /// The number of the line, from 1.
        line: u64,
    },
}

/// Redacts `original` as the manifest of the bundle `redacted` says, and compares the result with that bundle, byte for
/// byte. This shows anyone who has both that nothing but what the rules find was
/// changed or removed.
///
/// # Errors
/// If one of the two is damaged or is not what it must be, another key or other rules were used, or a temporary file cannot
/// be written.
pub fn check_redaction(
    redacted: &Bundle<'_>,
    original: &TraceInput<'_>,
    options: &CompareOptions,
    progress: &dyn Progress,
) -> Result<RedactionCheck> {
    let manifest = std::sync::Arc::clone(redacted.manifest());
    let recorded = recorded(&manifest, original, options).map_err(|error| error.in_subject(redacted.name()))?.clone();
    let repeated = repeat_options(&recorded, options);
    let repeated = repeated.map_err(|error: Error| error.in_subject(redacted.name()))?;
    repeated.check()?;
    let mut logs = RedactedLogs::new(original, &repeated, &options.work_dir, options.threads, progress)
        .map_err(|error| error.in_subject(original.name()))?;
    let input = TraceInput::from_bundle(redacted.clone());
    let difference = first_difference(&mut logs, &input, &manifest, options, progress)?;
    let counts = (logs.redactor.replaced, logs.redactor.lines);
    let filter = logs.filter(original)?;
    let difference = difference
        .or_else(|| (filter != manifest.filter).then(|| RedactionDifference::Manifest { key: "filter".to_owned() }));
    let difference = difference.or_else(|| {
        let is_same = counts == (recorded.replaced, recorded.lines);
        (!is_same).then(|| RedactionDifference::Manifest { key: "redaction".to_owned() })
    });
    let bundles = original.digests().collect();
    Ok(RedactionCheck { original: original.name().to_owned(), bundles, redaction: recorded, difference })
}

/// Returns the redaction that a manifest records, if it is one of this original by the same key and rules.
fn recorded<'m>(manifest: &'m Manifest, original: &TraceInput<'_>, options: &CompareOptions) -> Result<&'m Redaction> {
    let derived_from = manifest.derived_from.as_ref().filter(|from| from.how == Derivation::Redacted);
    let (Some(redaction), Some(derived_from)) = (&manifest.redaction, derived_from) else {
        return Err(RedactionFault::NotRedacted.into());
    };
    if !derived_from.bundles.iter().copied().eq(original.digests()) {
        return Err(RedactionFault::OtherOriginal.into());
    }
    if redaction.rules != RULES_VERSION {
        let generator = manifest.generator.clone().unwrap_or_default();
        return Err(RedactionFault::OtherRules { generator, found: redaction.rules, known: RULES_VERSION }.into());
    }
    match (redaction.rules_file, options.rules.as_ref().map(RuleFile::digest)) {
        (Some(used), None) => return Err(RedactionFault::RulesNeeded { used }.into()),
        (None, Some(_)) => return Err(RedactionFault::NoRulesUsed.into()),
        (Some(used), Some(given)) if used != given => {
            return Err(RedactionFault::OtherRuleFile { used, given }.into());
        }
        _ => {}
    }
    match (redaction.key_id, options.key.as_ref().map(RedactionKey::id)) {
        (None, None) => Ok(redaction),
        (Some(used), Some(given)) if used == given => Ok(redaction),
        (Some(_), None) => Err(RedactionFault::KeyNeeded.into()),
        (None, Some(_)) => Err(RedactionFault::NoKeyUsed.into()),
        (Some(_), Some(_)) => Err(RedactionFault::OtherKey.into()),
    }
}

/// Returns the options with which the redaction is done again.
fn repeat_options(recorded: &Redaction, options: &CompareOptions) -> Result<RedactOptions> {
    let paths = |texts: &[String]| -> Result<Vec<KeyPath>> {
        let parse =
            |text: &String| text.parse::<KeyPath>().map_err(|_| RedactionFault::InvalidPath { path: text.clone() });
        Ok(texts.iter().map(parse).collect::<std::result::Result<_, _>>()?)
    };
    let detect = DetectOptions::default().only(&recorded.only).skip(&recorded.skip).rules(options.rules.clone());
    let repeated = RedactOptions::new("").sources(&recorded.sources).key(options.key.clone()).threads(options.threads);
    let repeated = repeated.detect(detect);
    Ok(repeated.drop(paths(&recorded.drop)?).keep_only(paths(&recorded.keep_only)?))
}

fn first_difference(
    logs: &mut RedactedLogs,
    input: &TraceInput<'_>,
    manifest: &Manifest,
    options: &CompareOptions,
    progress: &dyn Progress,
) -> Result<Option<RedactionDifference>> {
    if logs.label != manifest.label {
        return Ok(Some(RedactionDifference::Manifest { key: "label".to_owned() }));
    }
    if logs.exported_at != manifest.exported_at {
        return Ok(Some(RedactionDifference::Manifest { key: "exportedAt".to_owned() }));
    }
    progress.start(Some(input.log_bytes()));
    let bundles = input.parts().iter().map(crate::input::InputPart::open);
    let restored = restore_logs(bundles, &[], &options.work_dir, options.threads, progress);
    progress.finish();
    let restored = restored.map_err(|error| error.in_subject(input.name()))?;
    let mut files = manifest.files.iter();
    let mut difference = None;
    logs.each_log(progress, |id, log| {
        if difference.is_some() {
            return Ok(());
        }
        let stored = restored.logs().map(|(_, log)| log).find(|log| log.id == *id);
        difference = match (files.next(), stored) {
            (Some(file), Some(stored)) if is_log(file, id) => {
                let line = differing_line(log, stored.reader()).map_err(|error| error.in_file(id.name.as_str()))?;
                line.map(|line| RedactionDifference::Line { file: id.name.to_string(), line })
            }
            _ => Some(RedactionDifference::Logs),
        };
        Ok(())
    })?;
    Ok(difference.or_else(|| files.next().map(|_| RedactionDifference::Logs)))
}

fn is_log(file: &ManifestFile, id: &LogId) -> bool {
    LogId::of(file) == *id
}

/// Returns the number of the first line that differs, line feeds included.
fn differing_line(log: &mut RedactedLog<'_>, stored: ContentReader<'_>) -> Result<Option<u64>> {
    let mut lines = LineReader::new(stored, MAX_LOG_LINE_BYTES);
    let mut number = 0;
    loop {
        number += 1;
        let expected = log.next_line()?;
        let found = next_line(&mut lines, number)?;
        let is_same = match (expected, found) {
            (None, None) => return Ok(None),
            (Some(expected), Some(found)) => {
                expected.strip_suffix(b"\n").unwrap_or(expected) == found.bytes
                    && expected.ends_with(b"\n") == found.terminated
            }
            _ => false,
        };
        if !is_same {
            return Ok(Some(number));
        }
    }
}
