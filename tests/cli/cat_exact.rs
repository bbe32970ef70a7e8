//! `cat --exact` prints a log byte for byte, and its end only after verifying the complete log.

use std::fs;
use std::path::Path;

use crate::common::bundle_builder::{BundleBuilder, gzip};
use crate::common::program::{run, run_with};
use crate::common::{Home, bundle, indexed, sequential};
use patchwork_traces::bundle::Bundle;
use patchwork_traces::cat::{PrintLogOptions, print_log};
use patchwork_traces::digest::Sha256Digest;
use patchwork_traces::error::ErrorKind;
use patchwork_traces::format::{FileName, SourceName};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::{Error, Result};

/// A log with everything that rows do not contain: torn, blank and other lines, CR LF, invalid UTF-8, no last line feed.
const ADVERSARIAL_LOG: &[u8] = b"\xef\xbb\xbf{\"id\":12345678901234567890}\r\n{\"b\":1,\"a\":\"\xff\"}\n\r\n\n  {\"y\":1e400}\t\r\ntorn {\n\0\0\n{\"seq\":1}";

fn with_bundle(home: Home) -> Home {
    fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    home
}

/// A log of some mebibytes.
fn long_log() -> String {
    (0..150_000).map(|seq| format!("{{\"seq\":{seq},\"createdAt\":{}}}\n", 1_777_716_000_000_i64 + seq)).collect()
}

/// A bundle of one long log, as it is and with another SHA-256 in its manifest.
fn long_log_and_mismatching_bundle() -> (Home, String, Vec<u8>) {
    let log = long_log();
    let home = Home::new().with("runs.jsonl", &log);
    let mut builder = BundleBuilder::new(&home, 20_000);
    fs::write(home.path().join("b.gz"), builder.write()).unwrap();
    builder.file(0)["sha256"] = "0".repeat(64).into();
    let mismatching = builder.write();
    fs::write(home.path().join("forged.gz"), &mismatching).unwrap();
    (home, log, mismatching)
}

#[test]
fn every_log_is_printed_byte_for_byte() {
    for log in [ADVERSARIAL_LOG, b"", b"\n", b"torn", b"{}\n", b"{}", b"\r\n1\r\n2\r", b"1\r\n2\r\n"] {
        let home =
            Home::new().with("decision_traces.jsonl", log).with("runs.jsonl", "{}\n").with("runs.jsonl.1", "1\n");
        let home = with_bundle(home);
        let bytes = fs::read(home.path().join("b.gz")).unwrap();
        let text = crate::common::text_of(&bytes);
        fs::write(home.path().join("again.gz"), gzip(&text)).unwrap();
        fs::write(home.path().join("plain"), &text).unwrap();
        let exact = ["--file", "decision_traces.jsonl", "--exact"];
        for name in ["b.gz", "again.gz", "plain"] {
            let printed = run(home.path(), &[&["cat", name][..], &exact].concat());
            assert_eq!((printed.code, printed.stdout.as_slice()), (0, log), "{name}: {}", printed.stderr);
            assert_eq!(printed.stderr.is_empty(), name != "again.gz", "{}", printed.stderr);
            let input = fs::read(home.path().join(name)).unwrap();
            let printed = run_with(home.path(), &[&["cat", "-"][..], &exact].concat(), &input);
            assert_eq!((printed.code, printed.stdout.as_slice()), (0, log), "{name} from a pipe: {}", printed.stderr);
        }
    }
}

#[test]
fn bundle_without_a_chunk_table_prints_its_logs() {
    let home = Home::new().with("runs.jsonl", ADVERSARIAL_LOG);
    let mut builder = BundleBuilder::new(&home, 2);
    assert!(builder.file(0).as_object_mut().unwrap().remove("chunks").is_some());
    fs::write(home.path().join("b.gz"), gzip(builder.text().as_bytes())).unwrap();
    let printed = run(home.path(), &["cat", "b.gz", "--exact"]);
    assert_eq!((printed.code, printed.stdout.as_slice()), (0, ADVERSARIAL_LOG), "{}", printed.stderr);
}

#[test]
fn end_of_a_log_is_printed_only_after_verification() {
    let (home, log, mismatching) = long_log_and_mismatching_bundle();
    let sound = run(home.path(), &["cat", "b.gz", "--exact"]);
    assert_eq!((sound.code, sound.text() == log), (0, true), "{}", sound.stderr);
    for (name, input) in [("forged.gz", &[][..]), ("-", &mismatching)] {
        let printed = run_with(home.path(), &["cat", name, "--exact"], input);
        assert_eq!(printed.code, 1);
        let printed_bytes = printed.stdout.len();
        assert!(printed_bytes > 0 && printed_bytes + (1 << 20) <= log.len(), "{printed_bytes} of {}", log.len());
        assert!(log.as_bytes().starts_with(&printed.stdout));
        let message = "runs.jsonl: the restored log does not match the length and SHA-256 in the manifest";
        assert!(printed.stderr.contains(message), "{}", printed.stderr);
    }
    // Of a short log nothing is printed.
    let home = Home::new().with("runs.jsonl", ADVERSARIAL_LOG);
    let mut builder = BundleBuilder::new(&home, 2);
    builder.file(0)["sha256"] = "0".repeat(64).into();
    fs::write(home.path().join("b.gz"), builder.write()).unwrap();
    let printed = run(home.path(), &["cat", "b.gz", "--exact"]);
    assert_eq!((printed.code, printed.stdout.len()), (1, 0));
}

#[test]
fn damage_withholds_the_end_of_the_log() {
    let home = with_bundle(Home::new().with("runs.jsonl", long_log()));
    let mut bytes = fs::read(home.path().join("b.gz")).unwrap();
    let at = bytes.len() * 9 / 10;
    bytes[at] ^= 0x10;
    fs::write(home.path().join("b.gz"), &bytes).unwrap();
    let cut = &bytes[..bytes.len() / 2];
    for (name, input) in [("b.gz", &[][..]), ("-", &bytes), ("-", cut)] {
        let printed = run_with(home.path(), &["cat", name, "--exact"], input);
        assert_eq!(printed.code, 1);
        let log = long_log();
        assert!(log.as_bytes().starts_with(&printed.stdout) && printed.stdout.len() + (1 << 20) <= log.len());
        assert!(printed.stderr.contains("runs.jsonl, rows "), "{}", printed.stderr);
    }
}

#[test]
fn unsupported_options_are_refused_with_exact() {
    let home = Home::new().with("runs.jsonl", "{}\n").with("runs.jsonl.1", "{}\n").with("activity.jsonl", "{}\n");
    let home = with_bundle(home.with_activity("activity.jsonl", "torn\n{}\n"));
    let legacy = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/legacy/plain.v1.0.jsonl.gz");
    fs::copy(legacy, home.path().join("old.gz")).unwrap();
    let empty = Home::new();
    fs::write(home.path().join("empty.gz"), bundle(&empty)).unwrap();
    let mut shown = String::new();
    for (line, code) in [
        ("cat b.gz --exact", 2),
        ("cat b.gz --source runs --exact", 2),
        ("cat b.gz --file activity.jsonl --exact", 2),
        ("cat empty.gz --exact", 2),
        ("cat b.gz --file runs.jsonl --exact --since 7d", 2),
        ("cat b.gz --file runs.jsonl --exact --until 7d", 2),
        ("cat b.gz --file runs.jsonl --exact --envelope", 2),
        ("cat b.gz --file run.jsonl --exact", 1),
        ("cat old.gz --file runs.jsonl --exact", 1),
    ] {
        let arguments: Vec<_> = line.split_whitespace().collect();
        let refused = run(home.path(), &arguments);
        assert_eq!((refused.code, refused.stdout.len()), (code, 0), "{line}");
        shown += &format!("$ {line}  ({code})\n{}\n", refused.stderr);
    }
    insta::assert_snapshot!(shown);
    let activity = ["cat", "b.gz", "--file", "activity.jsonl", "--exact", "--source"];
    assert_eq!(run(home.path(), &[&activity[..], &["activity"]].concat()).text(), "torn\n{}\n");
    assert_eq!(run(home.path(), &[&activity[..], &["activity.jsonl"]].concat()).text(), "{}\n");
}

#[test]
fn summary_has_the_length_and_sha256() {
    let home = with_bundle(Home::new().with("runs.jsonl", "{\"seq\":1}\ntorn\n").with("decision_traces.jsonl", "{}\n"));
    let printed = run(home.path(), &["cat", "b.gz", "--file", "runs.jsonl", "--exact", "--json"]);
    assert_eq!((printed.code, printed.text().as_str()), (0, "{\"seq\":1}\ntorn\n"));
    insta::assert_snapshot!(printed.stderr);
}

fn print(opened: Result<Bundle<'_>>, out: &mut Vec<u8>) -> Result<Sha256Digest, Error> {
    let bundle = opened?;
    let file = bundle.manifest().files[0].clone();
    let options = PrintLogOptions::new(file.source, file.relative_path);
    print_log(bundle, &options, out, "memory", &NoProgress).map(|report| report.printed.sha256)
}

#[test]
fn library_prints_a_log_or_fails_before_its_end() {
    let (home, log, mismatching) = long_log_and_mismatching_bundle();
    let sound = fs::read(home.path().join("b.gz")).unwrap();
    for open in [indexed, sequential] {
        let mut printed = Vec::new();
        assert_eq!(print(open(&sound), &mut printed).unwrap(), Sha256Digest::of(log.as_bytes()));
        assert!(printed == log.as_bytes());
        printed.clear();
        let error = print(open(&mismatching), &mut printed).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::RestoredDiffers), "{error}");
        assert!(printed.len() + (1 << 20) <= log.len());
    }
    let names = (SourceName::new("runs").unwrap(), FileName::new("other.jsonl").unwrap());
    let options = PrintLogOptions::new(names.0, names.1);
    let error = print_log(indexed(&sound).unwrap(), &options, Vec::new(), "memory", &NoProgress).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnknownFile { .. }), "{error}");
}
