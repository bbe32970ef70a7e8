//! Every bundle of fixtures/conformance gets its recorded verdict, findings and logs, both from a file and from a
//! stream. FORMAT.md, "Conformance", describes how another implementation can use them.
//!
//! `UPDATE_CONFORMANCE=1 cargo test --test library conformance` writes the bundles and their expected results; read the
//! difference before you commit it.

pub mod cases;
mod faults;
mod rules;
mod sound;
mod vectors;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::common::short_reads::ShortReads;
use crate::common::{Home, indexed, options as pack_options, restore_by_path, sequential};
use patchwork_traces::Result;
use patchwork_traces::cat::{CatOptions, cat};
use patchwork_traces::digest::Sha256Digest;
use patchwork_traces::error::GzipFault;
use patchwork_traces::import::{ImportOptions, SystemClock, import};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::recover::recover;
use patchwork_traces::verify::{
    ChunkMismatch, FileMismatch, FileReport, Finding, FindingKind, Severity, Verdict, VerifyOptions, VerifyReport,
    verify, verify_file,
};
use patchwork_traces::{OutputTarget, TargetOptions};
use serde::{Deserialize, Serialize};

/// The expected result for a bundle.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    verdict: String,
    /// The numbers of the rules of FORMAT.md that the bundle tests.
    rules: Vec<String>,
    /// The damaged part: `manifest`, `content`, or `metadata` if no row and no log is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
    /// The minor version that a reader must know to give this verdict, if it is above 1.
    #[serde(rename = "minMinor", skip_serializing_if = "Option::is_none")]
    min_minor: Option<u64>,
    /// The error, if the bundle is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    findings: Vec<ExpectedFinding>,
    /// The SHA-256 of each restored log, by `base/name`.
    logs: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedFinding {
    severity: String,
    code: String,
    message: String,
}

pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/conformance")
}

fn options(threads: usize) -> VerifyOptions {
    VerifyOptions::default().threads(NonZeroUsize::new(threads).unwrap())
}

/// Returns the name of a verdict in `verify --json`.
fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Intact => "intact",
        Verdict::IntactRecompressed => "intactRecompressed",
        Verdict::IntactWithoutHashes => "intactWithoutHashes",
        Verdict::Damaged => "damaged",
        _ => panic!("no word for {verdict:?}"),
    }
}

fn sha256(log: &[u8]) -> String {
    Sha256Digest::of(log).to_string()
}

fn sha256_of_each(logs: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    logs.iter().map(|(name, log)| (name.clone(), sha256(log))).collect()
}

/// Returns the SHA-256 of each log that the bundle proves. An intact 1.0 bundle proves none, so its logs are restored
/// from their rows.
fn logs_of(report: &VerifyReport, bundle: &[u8]) -> BTreeMap<String, String> {
    if report.verdict == Verdict::IntactWithoutHashes {
        return sha256_of_each(&restore_by_path(indexed(bundle).unwrap()).unwrap());
    }
    let verified = report.files.iter().filter(|file| file.is_verified == Some(true));
    let path = |file: &FileReport| format!("{}/{}", file.base, file.name);
    verified.filter_map(|file| Some((path(file), file.restored?.sha256.to_string()))).collect()
}

/// Returns true if a finding concerns neither a row nor a log (FORMAT.md, "Verdicts").
fn is_of_metadata(kind: &FindingKind) -> bool {
    matches!(
        kind,
        FindingKind::Entry(_)
            | FindingKind::UnparsedIsRow { .. }
            | FindingKind::Chunk { mismatch: ChunkMismatch::FirstTime(_) | ChunkMismatch::LastTime(_), .. }
            | FindingKind::File(FileMismatch::FirstTime(_) | FileMismatch::LastTime(_) | FileMismatch::Timeline)
    )
}

fn expected(report: &Result<VerifyReport>, findings: &[Finding], subject: &str, bundle: &[u8]) -> Expected {
    let without_subject = |text: String| text.replace(subject, "bundle");
    let errors = || findings.iter().filter(|finding| finding.severity() == Severity::Error);
    let is_of_manifest = |finding: &Finding| match finding.kind {
        FindingKind::Manifest(_) | FindingKind::NoManifest => true,
        // Other readers stop at a corrupt first header.
        FindingKind::Gzip(GzipFault::Header) => finding.at.byte == Some(0),
        _ => false,
    };
    let damage = if errors().any(is_of_manifest) {
        "manifest"
    } else if errors().all(|finding| is_of_metadata(&finding.kind)) {
        "metadata"
    } else {
        "content"
    };
    let damage = errors().next().map(|_| damage.to_owned());
    let (verdict, error, logs) = match report {
        Ok(report) => (verdict_word(report.verdict), None, logs_of(report, bundle)),
        Err(error) => ("refused", Some(without_subject(error.to_string())), BTreeMap::new()),
    };
    let finding = |finding: &Finding| ExpectedFinding {
        severity: format!("{:?}", finding.severity()).to_lowercase(),
        code: finding.kind.code().to_owned(),
        message: without_subject(finding.to_string()),
    };
    let findings = findings.iter().map(finding).collect();
    Expected { verdict: verdict.to_owned(), rules: Vec::new(), damage, min_minor: None, error, findings, logs }
}

fn from_stream(bundle: &[u8], threads: usize) -> Expected {
    let mut findings = Vec::new();
    let report =
        verify(ShortReads(bundle, 7), "bundle", &options(threads), &NoProgress, &mut |found| findings.push(found));
    expected(&report, &findings, "bundle", bundle)
}

fn from_file(path: &Path) -> Expected {
    let mut findings = Vec::new();
    let report = verify_file(path, &options(4), &NoProgress, &mut |found| findings.push(found));
    expected(&report, &findings, &path.display().to_string(), &std::fs::read(path).unwrap())
}

/// Returns the paths of all bundles.
fn bundles() -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "gz")).collect()
}

fn expected_path(bundle: &Path) -> PathBuf {
    bundle.with_extension("").with_extension("json")
}

fn read_expected(bundle: &Path) -> Expected {
    serde_json::from_slice(&std::fs::read(expected_path(bundle)).unwrap()).unwrap()
}

impl Expected {
    /// Adds the rules and the minor version that follow from the bundle's name.
    fn of_case(self, name: &str) -> Self {
        let is_of_minor_2 =
            name.starts_with("history_") || name.starts_with("redaction_") || name == "minor_1_with_later_keys";
        Self { rules: rules_of(name), min_minor: is_of_minor_2.then_some(2), ..self }
    }
}

/// Returns the rules that a bundle tests: those of the longest prefix of its name.
fn rules_of(name: &str) -> Vec<String> {
    let prefixes = rules::RULES.iter().filter(|(prefix, _)| name.starts_with(prefix));
    let (_, rules) = prefixes.max_by_key(|(prefix, _)| prefix.len()).unwrap_or_else(|| panic!("{name} has no rules"));
    rules.iter().map(|rule| format!("R-{rule}")).collect()
}

fn name_of(bundle: &Path) -> String {
    bundle.file_name().unwrap().to_str().unwrap().strip_suffix(".jsonl.gz").unwrap().to_owned()
}

#[test]
fn every_bundle_gets_its_recorded_verdict() {
    if std::env::var_os("UPDATE_CONFORMANCE").is_some() {
        std::fs::create_dir_all(directory()).unwrap();
        for (name, bundle) in cases::cases() {
            let path = directory().join(format!("{name}.jsonl.gz"));
            std::fs::write(&path, &bundle).unwrap();
            let expected = from_file(&path).of_case(name);
            let expected = serde_json::to_string_pretty(&expected).unwrap();
            std::fs::write(expected_path(&path), expected + "\n").unwrap();
        }
    }
    for path in bundles() {
        let (bundle, expected) = (std::fs::read(&path).unwrap(), read_expected(&path));
        let name = name_of(&path);
        assert_eq!(from_file(&path).of_case(&name), expected, "{} from a file", path.display());
        assert_eq!(from_stream(&bundle, 1).of_case(&name), expected, "{} from a stream", path.display());
    }
    assert!(bundles().len() > 300, "only {} bundles", bundles().len());
}

#[test]
fn generator_reproduces_every_bundle_byte_for_byte() {
    for (name, bundle) in cases::cases() {
        let kept = std::fs::read(directory().join(format!("{name}.jsonl.gz"))).unwrap();
        assert!(kept == bundle, "the generator makes {name} differently now");
    }
}

#[test]
fn directory_has_every_case_and_nothing_else() {
    let entries = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.path().is_file()).map(|entry| entry.file_name().into_string().unwrap());
    let names = cases::cases().into_iter();
    let expected = names.flat_map(|(name, _)| [format!("{name}.jsonl.gz"), format!("{name}.json")]);
    assert_eq!(files.collect::<BTreeSet<_>>(), expected.collect::<BTreeSet<_>>());
}

#[test]
fn import_restores_intact_bundles_and_refuses_others() {
    for path in bundles() {
        let (bundle, expected) = (std::fs::read(&path).unwrap(), read_expected(&path));
        let is_intact = expected.verdict.starts_with("intact");
        for restored in [indexed(&bundle).and_then(restore_by_path), sequential(&bundle).and_then(restore_by_path)] {
            match restored {
                Ok(logs) => {
                    assert!(!matches!(expected.damage.as_deref(), Some("content" | "manifest")), "{}", path.display());
                    assert_eq!(sha256_of_each(&logs), expected.logs, "{}", path.display());
                }
                Err(error) => assert!(!is_intact, "{}: {error}", path.display()),
            }
        }
    }
}

#[test]
fn every_operation_treats_a_missing_final_newline_alike() {
    let mut accepted = 0;
    for path in bundles().iter().filter(|path| path.to_string_lossy().contains("last_line_feed_missing")) {
        let (bundle, expected) = (std::fs::read(path).unwrap(), read_expected(path));
        let is_accepted = expected.verdict != "damaged";
        accepted += u32::from(is_accepted);
        for open in [indexed, sequential] {
            let mut rows = Vec::new();
            let printed = cat(open(&bundle).unwrap(), &CatOptions::default(), &mut rows, "memory", &NoProgress);
            assert_eq!(printed.is_ok(), is_accepted, "cat: {}: {printed:?}", path.display());
            let home = Home::new();
            let options = ImportOptions::default().dry_run(true);
            let imported = import(open(&bundle).unwrap(), &home.dirs(), &options, &SystemClock, &NoProgress);
            assert_eq!(imported.is_ok(), is_accepted, "import: {}: {:?}", path.display(), imported.err());
        }
    }
    assert_eq!(accepted, 4);
}

#[test]
fn recover_saves_every_verified_log() {
    for path in bundles() {
        let (bundle, expected) = (std::fs::read(&path).unwrap(), read_expected(&path));
        let dir = tempfile::tempdir().unwrap();
        let target = OutputTarget::resolve(dir.path().join("out"), TargetOptions::default()).unwrap();
        let recovered = recover(Cursor::new(&bundle), "bundle", &pack_options(), &target, &NoProgress);
        let logs = match recovered {
            Ok(_) => {
                let recovered = std::fs::read(dir.path().join("out")).unwrap();
                sha256_of_each(&restore_by_path(indexed(&recovered).unwrap()).unwrap())
            }
            Err(_) => BTreeMap::new(),
        };
        for (name, sha256) in &expected.logs {
            // If two logs have the same name, nothing tells which of them a row belongs to. All their rows are
            // recovered, but not the data that only the manifest has.
            let has_twin = path.ends_with("manifest_file_twice.jsonl.gz") && name == "activity/activity-3100.jsonl";
            assert!(has_twin || logs.get(name) == Some(sha256), "{}: {name}", path.display());
        }
    }
}
