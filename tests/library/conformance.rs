//! Every bundle of fixtures/conformance gets its recorded verdict, findings and logs, both from a file and from a
//! stream. FORMAT.md, "Conformance", says how another implementation runs them.
//!
//! `UPDATE_CONFORMANCE=1 cargo test --test library conformance` writes the bundles and their expected results; read the
//! difference before you commit it.

pub mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::common::short_reads::ShortReads;
use crate::common::{Home, indexed, options as pack_options, restore_all, sequential};
use patchwork_traces::Result;
use patchwork_traces::cat::{CatOptions, cat};
use patchwork_traces::digest::Sha256Digest;
use patchwork_traces::import::{ImportOptions, SystemClock, import};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::recover::recover;
use patchwork_traces::verify::{Finding, Verdict, VerifyOptions, VerifyReport, verify, verify_file};
use patchwork_traces::{OutputTarget, TargetOptions};
use serde::{Deserialize, Serialize};

/// The expected result for a bundle.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    verdict: String,
    /// Why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    findings: Vec<ExpectedFinding>,
    /// The logs that must come back, with their SHA-256.
    logs: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedFinding {
    severity: String,
    code: String,
    message: String,
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/conformance")
}

fn options(threads: usize) -> VerifyOptions {
    VerifyOptions::default().threads(NonZeroUsize::new(threads).unwrap())
}

/// The words of `verify --json`, and `refused`.
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

/// The logs that a bundle proves; of a sound one of 1.0, which proves none, what its rows give.
fn logs_of(report: &VerifyReport, bundle: &[u8]) -> BTreeMap<String, String> {
    if report.verdict == Verdict::IntactWithoutHashes {
        return sha256_of_each(&restore_all(indexed(bundle).unwrap()).unwrap());
    }
    let verified = report.files.iter().filter(|file| file.is_verified == Some(true));
    verified.filter_map(|file| Some((file.name.to_string(), file.restored?.sha256.to_string()))).collect()
}

fn expected(report: &Result<VerifyReport>, findings: &[Finding], subject: &str, bundle: &[u8]) -> Expected {
    let without_subject = |text: String| text.replace(subject, "bundle");
    let (verdict, error, logs) = match report {
        Ok(report) => (verdict_word(report.verdict), None, logs_of(report, bundle)),
        Err(error) => ("refused", Some(without_subject(error.to_string())), BTreeMap::new()),
    };
    let finding = |finding: &Finding| ExpectedFinding {
        severity: format!("{:?}", finding.severity()).to_lowercase(),
        code: finding.kind.code().to_owned(),
        message: without_subject(finding.to_string()),
    };
    Expected { verdict: verdict.to_owned(), error, findings: findings.iter().map(finding).collect(), logs }
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

/// The bundles of the directory.
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

#[test]
fn every_bundle_gets_its_recorded_verdict() {
    if std::env::var_os("UPDATE_CONFORMANCE").is_some() {
        std::fs::create_dir_all(directory()).unwrap();
        for (name, bundle) in cases::cases() {
            let path = directory().join(format!("{name}.jsonl.gz"));
            std::fs::write(&path, &bundle).unwrap();
            let expected = serde_json::to_string_pretty(&from_file(&path)).unwrap();
            std::fs::write(expected_path(&path), expected + "\n").unwrap();
        }
    }
    for path in bundles() {
        let (bundle, expected) = (std::fs::read(&path).unwrap(), read_expected(&path));
        assert_eq!(from_file(&path), expected, "{} from a file", path.display());
        assert_eq!(from_stream(&bundle, 1), expected, "{} from a stream", path.display());
    }
    assert!(bundles().len() > 80, "only {} bundles", bundles().len());
}

#[test]
fn generator_reproduces_every_bundle_byte_for_byte() {
    for (name, bundle) in cases::cases() {
        let kept = std::fs::read(directory().join(format!("{name}.jsonl.gz"))).unwrap();
        assert!(kept == bundle, "{name} is made otherwise now");
    }
}

#[test]
fn directory_has_every_case_and_nothing_else() {
    let files = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = cases::cases().into_iter();
    let expected = names.flat_map(|(name, _)| [format!("{name}.jsonl.gz"), format!("{name}.json")]);
    assert_eq!(files.collect::<BTreeSet<_>>(), expected.collect::<BTreeSet<_>>());
}

#[test]
fn import_restores_intact_bundles_and_refuses_others() {
    for path in bundles() {
        let (bundle, expected) = (std::fs::read(&path).unwrap(), read_expected(&path));
        let is_sound = expected.verdict.starts_with("intact");
        for restored in [indexed(&bundle).and_then(restore_all), sequential(&bundle).and_then(restore_all)] {
            match restored {
                Ok(logs) => {
                    // Only metadata of its logs is wrong, or data that readers may skip.
                    let logs = sha256_of_each(&logs);
                    assert_eq!(logs, expected.logs, "{}", path.display());
                }
                Err(error) => assert!(!is_sound, "{}: {error}", path.display()),
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
                sha256_of_each(&restore_all(indexed(&recovered).unwrap()).unwrap())
            }
            Err(_) => BTreeMap::new(),
        };
        for (name, sha256) in &expected.logs {
            // Which of two logs of one name a row is of, nothing says. So all rows of that name come back, but not what
            // only the manifest knows.
            let has_twin = path.ends_with("manifest_file_twice.jsonl.gz") && name == "activity-3100.jsonl";
            assert!(has_twin || logs.get(name) == Some(sha256), "{}: {name}", path.display());
        }
    }
}
