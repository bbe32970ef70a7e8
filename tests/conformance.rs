//! Every bundle of fixtures/conformance gets the verdict and the findings that stand beside it, from a file and from a
//! stream alike.
//!
//! `UPDATE_CONFORMANCE=1 cargo test --test conformance` writes the bundles and what verify finds in them; read the
//! difference before you keep it.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/conformance.rs"]
mod conformance;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use patchwork_traces::Result;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::verify::{Finding, VerifyOptions, VerifyReport, verify, verify_file};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/conformance")
}

fn options(threads: usize) -> VerifyOptions {
    VerifyOptions { expect: None, require_hashes: false, threads: NonZeroUsize::new(threads).unwrap() }
}

/// A stream that gives little at a time.
struct Dribble<'a>(&'a [u8]);

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out.len().min(7);
        self.0.read(&mut out[..most])
    }
}

/// The verdict and one line for each finding.
fn shown(report: Result<VerifyReport>, findings: &[Finding], subject: &str) -> String {
    let mut text = match report {
        Ok(report) => format!("verdict: {:?}\n", report.verdict),
        Err(error) => format!("refused: {error}\n"),
    };
    for finding in findings {
        let severity = format!("{:?}", finding.severity()).to_lowercase();
        writeln!(text, "{severity} {}: {finding}", finding.kind.code()).unwrap();
    }
    text.replace(subject, "bundle")
}

fn from_stream(bundle: &[u8], threads: usize) -> String {
    let mut findings = Vec::new();
    let report = verify(Dribble(bundle), "bundle", &options(threads), &NoProgress, &mut |found| findings.push(found));
    shown(report, &findings, "bundle")
}

fn from_file(path: &std::path::Path) -> String {
    let mut findings = Vec::new();
    let report = verify_file(path, &options(4), &NoProgress, &mut |found| findings.push(found));
    shown(report, &findings, &path.display().to_string())
}

#[test]
fn every_bundle_of_the_directory_has_its_verdict() {
    if std::env::var_os("UPDATE_CONFORMANCE").is_some() {
        std::fs::create_dir_all(directory()).unwrap();
        for (name, bundle) in conformance::cases() {
            let path = directory().join(format!("{name}.jsonl.gz"));
            std::fs::write(&path, &bundle).unwrap();
            std::fs::write(path.with_extension("").with_extension("txt"), from_file(&path)).unwrap();
        }
    }
    let mut bundles = 0;
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            continue;
        }
        let bundle = std::fs::read(&path).unwrap();
        let expected = std::fs::read_to_string(path.with_extension("").with_extension("txt")).unwrap();
        assert_eq!(from_file(&path), expected, "{} from a file", path.display());
        assert_eq!(from_stream(&bundle, 1), expected, "{} from a stream", path.display());
        bundles += 1;
    }
    assert!(bundles > 80, "only {bundles} bundles");
}

#[test]
fn the_directory_has_every_case_and_nothing_else() {
    let files = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = conformance::cases().into_iter();
    let expected = names.flat_map(|(name, _)| [format!("{name}.jsonl.gz"), format!("{name}.txt")]);
    assert_eq!(files.collect::<BTreeSet<_>>(), expected.collect::<BTreeSet<_>>());
}
