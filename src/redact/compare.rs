//! Repeats a redaction and compares the result with the redacted bundle.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::key::RedactionKey;
use super::options::RedactOptions;
use super::packed::PackedRedaction;
use crate::bundle::{Bundle, Row};
use crate::detect::{DetectOptions, RULES_VERSION, RuleFile};
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, RedactionFault, Result};
use crate::export::Level;
use crate::format::{Derivation, LogId, Manifest, ManifestFile, Redaction};
use crate::input::TraceInput;
use crate::progress::Progress;
use crate::publish::write_temporary;
use crate::query::KeyPath;
use crate::scan::{LineNumbers, is_own_generator, unparsed_lines};
use crate::util::ordered_pool::available_cores;

/// Options for [`check_redaction`].
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct CompareOptions {
    /// The key that the names were made with.
    pub key: Option<RedactionKey>,
    /// The rule file that was used.
    pub rules: Option<RuleFile>,
    /// The number of threads that inflate.
    pub threads: NonZeroUsize,
    /// The directory for temporary files. It holds the logs of both while they are compared.
    pub work_dir: PathBuf,
}

/// Compares without a key or rule file, with one thread per core, and with temporary files in the system's directory.
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

    /// Sets the rule file that was used.
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
    /// The program named by the manifest. It is searched for secrets like the rows, but not compared.
    pub generator: Option<String>,
    /// The first difference; null if the bundle is exactly the redaction of the original.
    pub difference: Option<RedactionDifference>,
}

/// A difference between a redacted bundle and the repeated redaction of its original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "what", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum RedactionDifference {
    /// The bundle was made from another original.
    Original,
    /// A key of the manifest has another value, is missing, or is not written by a redaction.
    Manifest {
        /// The key.
        key: String,
    },
    /// The redacted bundle has other logs.
    Logs,
    /// A line of a log differs, or only one of the two has it, or its envelope has additional keys.
    Line {
        /// The log in the redacted bundle.
        file: String,
        /// The number of the line, from 1.
        line: u64,
    },
    /// The gzip file has a name, a comment, an extra field or a second member.
    Container,
}

/// Redacts `original` as recorded in the manifest of the bundle `redacted`, and compares the result with that bundle:
/// the manifest and every row byte for byte, and the fields of the gzip header. This shows anyone who has both that
/// only finds of the rules, and the listed members, were changed or removed. The name of the program in the manifest is
/// searched instead of compared.
///
/// # Errors
/// If one of the two is damaged or of the wrong kind, another key or other rules were used, or a temporary file cannot
/// be written.
pub fn check_redaction(
    redacted: &Bundle<'_>,
    original: &TraceInput<'_>,
    options: &CompareOptions,
    progress: &dyn Progress,
) -> Result<RedactionCheck> {
    let manifest = std::sync::Arc::clone(redacted.manifest());
    let in_redacted = |error: Error| error.in_subject(redacted.name());
    let (redaction, bundles) = recorded(&manifest).map_err(in_redacted)?;
    let difference = match bundles.iter().copied().eq(original.digests()) {
        true => {
            check_means(&manifest, redaction, options).map_err(in_redacted)?;
            let generator = manifest.generator.clone().unwrap_or_default();
            let repeated = repeat_options(redaction, generator, options).map_err(in_redacted)?;
            difference(redacted, original, &repeated, &options.work_dir, progress)?
        }
        false => Some(RedactionDifference::Original),
    };
    let (original, bundles) = (original.name().to_owned(), original.digests().collect());
    let (redaction, generator) = (redaction.clone(), manifest.generator.clone());
    Ok(RedactionCheck { original, bundles, redaction, generator, difference })
}

/// Redacts the original again, and returns the first difference.
fn difference(
    redacted: &Bundle<'_>,
    original: &TraceInput<'_>,
    options: &RedactOptions,
    work_dir: &Path,
    progress: &dyn Progress,
) -> Result<Option<RedactionDifference>> {
    let of_manifest = |key: &str| Ok(Some(RedactionDifference::Manifest { key: key.to_owned() }));
    options.check()?;
    let packed = match PackedRedaction::new(original, options, work_dir.to_owned(), progress) {
        Ok(packed) => packed,
        Err(error) => match error.kind() {
            // `redact` writes no such record.
            ErrorKind::Redaction(RedactionFault::FoundInOption { .. } | RedactionFault::NoSuchMember { .. }) => {
                return of_manifest("redaction");
            }
            ErrorKind::UnknownSource { .. } => return of_manifest("redaction"),
            _ => return Err(error.in_subject(original.name())),
        },
    };
    let PackedRedaction { packed, write, provenance, detector, .. } = packed;
    let (file, _) = write_temporary(packed, &write, provenance, progress)?;
    let expected = Bundle::from_seekable(file, "the repeated redaction")?;
    if !is_own_generator(&options.generator) && !detector.find(&options.generator).is_empty() {
        return of_manifest("generator");
    }
    if let Some(difference) = first_difference(redacted, &expected)? {
        return Ok(Some(difference));
    }
    Ok(redacted.has_texts_around()?.then_some(RedactionDifference::Container))
}

/// Returns the redaction that a manifest records, and the digests of the original.
fn recorded(manifest: &Manifest) -> Result<(&Redaction, &[BundleDigest])> {
    let derived_from = manifest.derived_from.as_ref().filter(|from| from.how == Derivation::Redacted);
    let recorded = manifest.redaction.as_ref().zip(derived_from);
    let recorded = recorded.map(|(redaction, derived_from)| (redaction, derived_from.bundles.as_slice()));
    recorded.ok_or_else(|| RedactionFault::NotRedacted.into())
}

/// Returns an error if the redaction cannot be repeated with these rules and this key.
fn check_means(manifest: &Manifest, redaction: &Redaction, options: &CompareOptions) -> Result<()> {
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
        (None, None) => Ok(()),
        (Some(used), Some(given)) if used == given => Ok(()),
        (Some(_), None) => Err(RedactionFault::KeyNeeded.into()),
        (None, Some(_)) => Err(RedactionFault::NoKeyUsed.into()),
        (Some(_), Some(_)) => Err(RedactionFault::OtherKey.into()),
    }
}

/// Returns the options that repeat the redaction.
fn repeat_options(recorded: &Redaction, generator: String, options: &CompareOptions) -> Result<RedactOptions> {
    let paths = |texts: &[String]| -> Result<Vec<KeyPath>> {
        let parse =
            |text: &String| text.parse::<KeyPath>().map_err(|_| RedactionFault::InvalidPath { path: text.clone() });
        Ok(texts.iter().map(parse).collect::<std::result::Result<_, _>>()?)
    };
    let detect = DetectOptions::default().only(&recorded.only).skip(&recorded.skip).rules(options.rules.clone());
    let repeated = RedactOptions::new(generator).sources(&recorded.sources).key(options.key.clone());
    let repeated = repeated.threads(options.threads).detect(detect).level(Level::new(1).unwrap_or_default());
    Ok(repeated.drop(paths(&recorded.drop)?).keep_only(paths(&recorded.keep_only)?))
}

fn first_difference(redacted: &Bundle<'_>, expected: &Bundle<'_>) -> Result<Option<RedactionDifference>> {
    let (found, wanted) = (redacted.manifest(), expected.manifest());
    let ids = |manifest: &Manifest| manifest.files.iter().map(LogId::of).collect::<Vec<_>>();
    if ids(found) != ids(wanted) {
        return Ok(Some(RedactionDifference::Logs));
    }
    let of_files = found.files.iter().zip(&wanted.files).enumerate();
    let outside_rows = of_files.filter_map(|(index, (found, wanted))| Some((index, differing_line(found, wanted)?)));
    let line = differing_row(redacted, expected)?.into_iter().chain(outside_rows).min();
    if let Some((file, line)) = line {
        let file = found.files[file].relative_path.to_string();
        return Ok(Some(RedactionDifference::Line { file, line }));
    }
    // Another program may have compressed the rows, or at another level.
    let mut wanted = Manifest::clone(wanted);
    for (wanted, found) in wanted.files.iter_mut().zip(&found.files) {
        for (wanted, found) in wanted.chunks.iter_mut().zip(&found.chunks) {
            wanted.compressed = found.compressed;
        }
    }
    match BundleDigest::of_manifest_line(&wanted.encode()?) == redacted.digest() {
        true => Ok(None),
        false => Ok(Some(RedactionDifference::Manifest { key: differing_key(&redacted.manifest_line()?, &wanted)? })),
    }
}

/// Returns the file and number of the first row whose line in the bundle differs.
fn differing_row(redacted: &Bundle<'_>, expected: &Bundle<'_>) -> Result<Option<(usize, u64)>> {
    let (mut found, mut wanted) = (redacted.all_rows()?, expected.all_rows()?);
    let line_of = |bundle: &Bundle<'_>, row: &Row<'_>| {
        (row.file, LineNumbers::new(&bundle.manifest().files[row.file]).of_row(row.number))
    };
    loop {
        let (found, wanted) = (found.next_row()?, wanted.next_row()?);
        let is_same = match (&found, &wanted) {
            (Some(found), Some(wanted)) => (found.file, found.line) == (wanted.file, wanted.line),
            (None, None) => return Ok(None),
            _ => false,
        };
        if !is_same {
            let found = found.as_ref().map(|row| line_of(redacted, row));
            return Ok(found.into_iter().chain(wanted.as_ref().map(|row| line_of(expected, row))).min());
        }
    }
}

/// Returns the number of the first line of a log that differs other than in a row.
fn differing_line(found: &ManifestFile, wanted: &ManifestFile) -> Option<u64> {
    let of_found: Vec<_> = found.unparsed.iter().flat_map(unparsed_lines).collect();
    let of_wanted: Vec<_> = wanted.unparsed.iter().flat_map(unparsed_lines).collect();
    let longest = of_found.len().max(of_wanted.len());
    let at = (0..longest).find(|at| of_found.get(*at) != of_wanted.get(*at));
    let unparsed = at.and_then(|at| of_found.get(at).into_iter().chain(of_wanted.get(at)).map(|(line, _)| *line).min());
    let ending = |file: &ManifestFile| file.record().map(|record| (record.line_ending, record.final_newline));
    unparsed.or_else(|| (ending(found) != ending(wanted)).then(|| wanted.count + wanted.unparsed_lines()))
}

/// Returns the first key in which a manifest line differs from `wanted`, including keys that `wanted` does not have.
fn differing_key(line: &[u8], wanted: &Manifest) -> Result<String> {
    type Members = BTreeMap<String, serde_json::Value>;
    let (found, wanted) =
        (serde_json::from_slice::<Members>(line), serde_json::from_slice::<Members>(&wanted.encode()?));
    let (found, wanted) = (found.unwrap_or_default(), wanted.unwrap_or_default());
    let key = found.keys().chain(wanted.keys()).find(|key| found.get(*key) != wanted.get(*key));
    // Only the formatting of the line differs.
    Ok(key.map_or("type", String::as_str).to_owned())
}
