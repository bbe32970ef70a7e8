//! Lines of the maximum length of FORMAT.md, "Limits", and a byte longer. Such rows take up to 3 GiB of memory, so
//! `cargo test` skips them: `cargo test --test slow longest_lines -- --ignored --test-threads 1`.

use std::fs;
use std::io::{Cursor, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common::bundle_builder::{BundleBuilder, gzip};
use crate::common::{Home, bundle, indexed, options, restore_all, sequential, text_of, try_bundle};
use patchwork_traces::ErrorKind;
use patchwork_traces::error::RowFault;
use patchwork_traces::format::limits::{MAX_ENVELOPE_BYTES, MAX_LOG_LINE_BYTES, MAX_MANIFEST_BYTES};
use patchwork_traces::import::{Clock, ImportOptions, Mode, import};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::recover::recover;
use patchwork_traces::verify::{Verdict, VerifyOptions, verify, verify_seekable};
use patchwork_traces::{OutputTarget, TargetOptions};

const MAX_LINE: usize = MAX_LOG_LINE_BYTES as usize;
const MAX_ENVELOPE: usize = MAX_ENVELOPE_BYTES as usize;
const SMALL_ROW: &str = "{\"n\":0}\n";

/// Returns the verdict, which must not depend on the reader, and the codes of the findings.
fn verified(bundle: &[u8]) -> (Verdict, Vec<&'static str>) {
    let options = VerifyOptions::default().require_hashes(true).threads(NonZeroUsize::MIN);
    let (mut found, mut found_seeking) = (Vec::new(), Vec::new());
    let report = verify(bundle, "bundle", &options, &NoProgress, &mut |finding| found.push(finding)).unwrap();
    let seeking = Cursor::new(bundle);
    let other = verify_seekable(seeking, "bundle", &options, &NoProgress, &mut |finding| found_seeking.push(finding));
    assert_eq!((report.verdict, &found), (other.unwrap().verdict, &found_seeking));
    (report.verdict, found.iter().map(|finding| finding.kind.code()).collect())
}

/// `log` comes back from its bundle, by every reader.
fn assert_restored(log: &[u8], bundle: &[u8]) {
    assert_eq!(verified(bundle), (Verdict::Intact, vec![]));
    for opened in [indexed(bundle), sequential(bundle)] {
        assert!(restore_all(opened.unwrap()).unwrap()["runs.jsonl"] == log);
    }
    assert_eq!(rows_recovered(bundle), 2);
}

fn rows_recovered(bundle: &[u8]) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let target = OutputTarget::resolve(dir.path().join("out.jsonl.gz"), TargetOptions::default()).unwrap();
    let report = recover(Cursor::new(bundle), "bundle", &options(), &target, &NoProgress).unwrap();
    report.files.iter().map(|file| file.rows).sum()
}

/// The line of a log at which something gave up because it is longer than `most`.
fn too_long_line<T>(result: patchwork_traces::Result<T>, limit_bytes: u64) -> Option<u64> {
    let error = result.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::LineTooLong { limit } if *limit == limit_bytes), "{error}");
    error.position().line
}

#[test]
#[ignore = "takes 1 GiB of memory"]
fn longest_log_line_is_restored_and_a_longer_one_is_refused() {
    let log_of = |bytes: usize| format!("{SMALL_ROW}{{\"a\":\"{}\"}}\n", "x".repeat(bytes - 8));
    let log = log_of(MAX_LINE);
    assert_restored(log.as_bytes(), &bundle(&Home::new().with("runs.jsonl", &log)));
    let refused = try_bundle(&Home::new().with("runs.jsonl", log_of(MAX_LINE + 1)));
    assert_eq!(too_long_line(refused, MAX_LOG_LINE_BYTES), Some(2));
}

/// A row with `bad` bytes that no UTF-8 has: each takes three in the entry, and the exact line follows in base64.
fn row_with(bad: usize, good: usize) -> Vec<u8> {
    [&b"{\"a\":\""[..], &[0xff].repeat(bad), &b"x".repeat(good), b"\"}\n"].concat()
}

/// A row whose envelope has this many bytes.
fn row_with_envelope_of(bytes: usize) -> Vec<u8> {
    let beyond_row = |bad: usize, good: usize| 2 * bad + (8 + bad + good).div_ceil(3) * 4;
    let length = |bad: usize, good: usize| row_with(bad, good).len() - 1 + beyond_row(bad, good);
    let text = text_of(&bundle(&Home::new().with("runs.jsonl", row_with(3, 0))));
    let around = text.split(|byte| *byte == b'\n').nth(1).unwrap().len() - length(3, 0);
    let fits = |bad: usize, good: usize| 8 + bad + good + beyond_row(bad, good) + around == bytes;
    let mut candidates = (100_000_000..100_000_030).flat_map(|bad| {
        let about = (bytes - 8 - bad - beyond_row(bad, 0)) * 3 / 7;
        (about - 100..about + 10).map(move |good| (bad, good))
    });
    let (bad, good) = candidates.find(|(bad, good)| fits(*bad, *good)).unwrap();
    row_with(bad, good)
}

#[test]
#[ignore = "takes 3 GiB of memory"]
fn longest_envelope_is_written_and_a_longer_one_is_refused() {
    let log_of = |bytes: usize| [SMALL_ROW.as_bytes(), &row_with_envelope_of(bytes)].concat();
    let log = log_of(MAX_ENVELOPE);
    let bundled = bundle(&Home::new().with("runs.jsonl", &log));
    let text = text_of(&bundled);
    assert_eq!(text.split(|byte| *byte == b'\n').nth(2).map(<[u8]>::len), Some(MAX_ENVELOPE));
    assert_restored(&log, &bundled);
    let refused = try_bundle(&Home::new().with("runs.jsonl", log_of(MAX_ENVELOPE + 1)));
    assert_eq!(too_long_line(refused, MAX_ENVELOPE_BYTES), Some(2));
}

/// A bundle of two rows, of which the second has an unknown key, so that its line has this many bytes.
fn bundle_with_line_of(bytes: usize) -> Vec<u8> {
    let mut builder = BundleBuilder::new(&Home::new().with("runs.jsonl", [SMALL_ROW; 2].concat()), 2);
    let line = builder.chunks[0].1.lines().last().unwrap().to_owned();
    let pad = "x".repeat(bytes - line.len() - "\"pad\":\"\",".len());
    let longer = line.replacen('{', &format!("{{\"pad\":\"{pad}\","), 1);
    assert_eq!(longer.len(), bytes);
    builder.chunks[0].1 = format!("{line}\n{longer}\n");
    builder.update_chunk_table();
    builder.write()
}

#[test]
#[ignore = "takes 2 GiB of memory"]
fn longest_bundle_line_is_read_and_a_longer_one_is_refused() {
    assert_restored([SMALL_ROW; 2].concat().as_bytes(), &bundle_with_line_of(MAX_ENVELOPE));
    let longer = bundle_with_line_of(MAX_ENVELOPE + 1);
    let (verdict, found) = verified(&longer);
    assert_eq!(verdict, Verdict::Damaged);
    assert!(found.contains(&"row"), "{found:?}");
    for opened in [indexed(&longer), sequential(&longer)] {
        let error = restore_all(opened.unwrap()).unwrap_err();
        let is_too_long = matches!(error.kind(), ErrorKind::LineTooLong { .. } | ErrorKind::Row(RowFault::TooLong));
        assert!(is_too_long, "{error}");
        assert_eq!(error.position().line, Some(3));
    }
    assert_eq!(rows_recovered(&longer), 1);
}

/// A bundle of two rows whose manifest has so many bytes, most of them spaces.
fn text_with_manifest_of(bytes: usize) -> String {
    let text = BundleBuilder::new(&Home::new().with("runs.jsonl", [SMALL_ROW; 2].concat()), 2).text();
    let length = text.find('\n').unwrap();
    text.replacen('{', &format!("{{{}", " ".repeat(bytes - length)), 1)
}

#[test]
fn every_reader_reads_the_longest_manifest_and_refuses_a_longer_one() {
    let longest = text_with_manifest_of(MAX_MANIFEST_BYTES as usize);
    let longer = text_with_manifest_of(MAX_MANIFEST_BYTES as usize + 1);
    assert_eq!(verified(&gzip(longest.as_bytes())).0, Verdict::IntactRecompressed);
    assert_eq!(rows_recovered(longest.as_bytes()), 2);
    for bundle in [gzip(longer.as_bytes()), longer.into_bytes()] {
        let options = VerifyOptions::default().require_hashes(true).threads(NonZeroUsize::MIN);
        let dir = tempfile::tempdir().unwrap();
        let target = OutputTarget::resolve(dir.path().join("out.jsonl.gz"), TargetOptions::default()).unwrap();
        let refused = [
            indexed(&bundle).err(),
            sequential(&bundle).err(),
            verify(&bundle[..], "bundle", &options, &NoProgress, &mut |_| {}).err(),
            recover(Cursor::new(&bundle), "bundle", &crate::common::options(), &target, &NoProgress).err(),
        ];
        for error in refused {
            let error = error.unwrap();
            assert!(matches!(error.kind(), ErrorKind::ManifestTooLong { limit: MAX_MANIFEST_BYTES }), "{error}");
        }
    }
}

/// A clock that does not advance.
struct FrozenClock;

impl Clock for FrozenClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(crate::common::EXPORTED_AT.unsigned_abs())
    }

    fn sleep(&self, _: Duration) {}
}

/// Adds a line of this many NULs to a log. They take no room on the disk.
fn append_line_of(bytes: usize, log: &Path) {
    let before = fs::metadata(log).unwrap().len();
    let file = fs::File::options().append(true).open(log).unwrap();
    file.set_len(before + bytes as u64).unwrap();
    (&file).write_all(b"\n").unwrap();
}

#[test]
#[ignore = "takes half a GiB of memory"]
fn local_lines_may_be_twice_as_long_and_a_longer_one_stops_the_import() {
    const LONGEST: usize = (1 << 29) - 1;
    let bundled = bundle(&Home::new().with("runs.jsonl", "{\"n\":1}\n"));
    for (bytes, mode) in [LONGEST, LONGEST + 1].into_iter().flat_map(|n| [(n, Mode::Merge), (n, Mode::Append)]) {
        // Blocks of lines before it, in this log and in the one before.
        let rows = SMALL_ROW.repeat(200_000);
        let home = Home::new().with("runs.jsonl", &rows).with("runs.jsonl.1", &rows);
        let log = home.dirs().patchwork.join("runs.jsonl");
        append_line_of(bytes, &log);
        let bytes_of = |name: &str| fs::metadata(log.with_file_name(name)).unwrap().len();
        let bytes_of_both = || bytes_of("runs.jsonl") + bytes_of("runs.jsonl.1");
        let before = bytes_of_both();
        let options = ImportOptions::default().mode(mode);
        let imported = import(indexed(&bundled).unwrap(), &home.dirs(), &options, &FrozenClock, &NoProgress);
        if bytes > LONGEST {
            assert_eq!(too_long_line(imported, LONGEST as u64), Some(200_001), "{mode:?}");
            assert_eq!(bytes_of_both(), before);
        } else {
            imported.unwrap();
            assert_eq!(bytes_of_both(), before + 8, "{mode:?}");
        }
    }
}
