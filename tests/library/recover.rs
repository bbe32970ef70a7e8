//! `recover` saves every verified row, reports missing rows, and writes only intact bundles.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::num::NonZeroUsize;

use crate::common::adversarial_lines::adversarial_log;
use crate::common::bundle_builder::{BundleBuilder, flushed, gzip};
use crate::common::{EXPORTED_AT, Home, bundle, indexed, options, restore_all, text_of};
use crate::conformance::cases;
use flate2::FlushCompress;
use patchwork_traces::digest::Sha256Digest;
use patchwork_traces::error::ErrorKind;
use patchwork_traces::format::Timestamp;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::recover::{FileRecovery, ManifestState, RecoverReport, recover, recover_stream};
use patchwork_traces::verify::{FindingKind, Verdict, VerifyOptions, verify};
use patchwork_traces::{Error, Result};
use patchwork_traces::{OutputTarget, TargetOptions};
use proptest::prelude::*;
use serde_json::json;

fn recovered(damaged: &[u8]) -> Result<(RecoverReport, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl.gz");
    let mut options = options();
    options.exported_at = Timestamp::from_millis(0).unwrap();
    let target = OutputTarget::resolve(&path, TargetOptions::default())?;
    let result = recover(Cursor::new(damaged), "damaged", &options, &target, &NoProgress);
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, usize::from(result.is_ok()), "a failed recovery leaves no file");
    result.map(|report| (report, std::fs::read(&path).unwrap()))
}

/// Recovers a bundle, checks that the result is intact and matches the report, and returns the report and the logs.
fn logs_of(damaged: &[u8]) -> (RecoverReport, BTreeMap<String, Vec<u8>>) {
    let (report, bundle) = recovered(damaged).unwrap();
    let verify_options =
        VerifyOptions::default().expect(report.digest).require_hashes(true).threads(NonZeroUsize::new(2).unwrap());
    let mut findings = Vec::new();
    let verified = verify(&bundle[..], "out", &verify_options, &NoProgress, &mut |found| findings.push(found)).unwrap();
    assert_eq!((verified.verdict, &findings[..]), (Verdict::Intact, &[][..]));
    assert_eq!(report.bundle_bytes, bundle.len() as u64);
    let rows = report.files.iter().map(|file| file.rows).sum::<u64>();
    // A line that another writer counts as a row can be an unparsed line here, and vice versa.
    let is_as_written =
        report.version != Some((1, 0)) && report.files.iter().all(|file| file.is_original == Some(true));
    assert!(verified.rows == rows || !is_as_written);
    let logs = restore_all(indexed(&bundle).unwrap()).unwrap();
    for file in &report.files {
        assert_eq!(file.recovered.bytes, logs[file.name.as_str()].len() as u64);
        let missing: u64 = file.missing.iter().map(|missing| missing.rows.1 - missing.rows.0 + 1).sum();
        if let Some(expected) = file.expected_rows {
            assert_eq!(file.rows + missing + file.more_missing, expected, "{file:?}");
        }
    }
    (report, logs)
}

fn findings_of(bundle: &[u8]) -> Vec<FindingKind> {
    let options = VerifyOptions::default().threads(NonZeroUsize::MIN);
    let mut findings = Vec::new();
    verify(bundle, "damaged", &options, &NoProgress, &mut |found| findings.push(found.kind)).unwrap();
    findings
}

fn original_logs(home: &Home) -> BTreeMap<String, Vec<u8>> {
    restore_all(indexed(&bundle(home)).unwrap()).unwrap()
}

/// Returns true if the lines of `part` are lines of `whole`, in the same order. Ignores line endings, because only the
/// manifest records them.
fn is_part(part: &[u8], whole: &[u8]) -> bool {
    let trimmed = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    let mut lines = whole.split(|&byte| byte == b'\n').map(trimmed);
    part.split(|&byte| byte == b'\n')
        .map(trimmed)
        .filter(|line| !line.is_empty())
        .all(|line| lines.any(|known| known == line))
}

/// Returns a home and its bundle: numbered rows with unparsed lines among them, ten rows per chunk, and a second log
/// without a final newline.
fn numbered() -> (Home, BundleBuilder) {
    let row = |n: i64| format!("{{\"n\":{n},\"createdAt\":{},\"text\":\"row number {n}\"}}\n", EXPORTED_AT + n);
    let runs: String = (0..100).map(|n| if n % 7 == 3 { format!("{}torn\n\n", row(n)) } else { row(n) }).collect();
    let activity: String =
        (0..30).map(|n| format!("{{\"n\":{n},\"timestamp\":\"2026-05-02T10:00:{n:02}Z\"}}\r\n")).collect();
    let home = Home::new().with("runs.jsonl", runs).with_activity("activity-1.jsonl", activity.trim_end());
    let builder = BundleBuilder::new(&home, 10);
    (home, builder)
}

#[test]
fn intact_bundle_loses_nothing() {
    let (home, builder) = numbered();
    for bytes in [builder.write(), bundle(&home), gzip(&text_of(&bundle(&home))), text_of(&bundle(&home))] {
        let (report, logs) = logs_of(&bytes);
        assert_eq!(logs, original_logs(&home));
        assert!(!report.lost_something() && !report.is_damaged, "{report:?}");
        assert!(report.files.iter().all(|file| file.is_original == Some(true) && file.unverified_rows == 0));
    }
}

#[test]
fn damaged_chunk_loses_only_its_rows_and_the_report_names_them() {
    let (home, builder) = numbered();
    let places = builder.block_ranges();
    let mut bytes = builder.write();
    bytes[places[3].clone()].fill(0); // rows 21 to 30 of runs.jsonl
    let (report, logs) = logs_of(&bytes);
    let runs = &report.files[0];
    assert_eq!(runs.name.as_str(), "runs.jsonl");
    assert_eq!((runs.rows, runs.expected_rows, runs.unverified_rows), (90, Some(100), 0));
    // Rows 4, 11, 18, 25 are followed by two unparsed lines.
    let expected = [((21, 25), (27, 31)), ((26, 30), (34, 38))];
    assert_eq!(runs.missing.iter().map(|missing| (missing.rows, missing.lines)).collect::<Vec<_>>(), expected);
    assert_eq!(runs.is_original, Some(false));
    assert!(report.lost_something());
    // The recovered log lacks these lines but keeps the unparsed ones among them.
    let original = &original_logs(&home)["runs.jsonl"];
    let lines = original.split_inclusive(|&byte| byte == b'\n').enumerate();
    let is_missing =
        |line: usize| expected.iter().any(|(_, (first, last))| (*first..=*last).contains(&(line as u64 + 1)));
    let left: Vec<u8> = lines.filter(|(line, _)| !is_missing(*line)).flat_map(|(_, text)| text.to_vec()).collect();
    assert_eq!(logs["runs.jsonl"], left);
    assert_eq!(logs["activity-1.jsonl"], original_logs(&home)["activity-1.jsonl"]);
}

#[test]
fn damaged_flush_point_loses_no_earlier_row() {
    let (home, builder) = numbered();
    let mut bytes = builder.write();
    bytes[builder.block_ranges()[2].end - 1] = 0;
    let (report, logs) = logs_of(&bytes);
    assert_eq!(logs, original_logs(&home));
    assert!(!report.lost_something() && report.is_damaged);
    assert_eq!(report.files[0].unverified_rows, 0, "the log's hash verifies them");
}

#[test]
fn damage_around_a_flush_point_loses_no_row_of_another_chunk() {
    let (home, builder) = numbered();
    let original = original_logs(&home);
    let (sound, places) = (builder.write(), builder.block_ranges());
    for (chunk, place) in places.iter().enumerate() {
        for at in place.end - 7..place.end {
            let step = if chunk == 0 { 3 } else { 15 };
            let changed = (0..=255u8).step_by(step).filter(|byte| *byte != sound[at]).map(|byte| [byte].to_vec());
            for byte in changed.chain([Vec::new()]) {
                let damaged = [&sound[..at], &byte, &sound[at + 1..]].concat();
                let (report, logs) = logs_of(&damaged);
                let case = || format!("{byte:?} instead of byte {} from the end of chunk {chunk}", place.end - at);
                let (rows, by_line) = report.files.iter().fold((0, 0), |(rows, by_line), log| {
                    (rows + log.rows - log.unverified_rows, by_line + log.unverified_rows)
                });
                if chunk == 0 {
                    // Without the manifest, rows cannot be verified.
                    assert!(rows + by_line >= 120, "{}: {report:?}", case());
                    continue;
                }
                assert!(rows >= 120 && by_line <= 10, "{}: {report:?}", case());
                assert!(by_line > 0 || logs.iter().all(|(name, log)| is_part(log, &original[name])), "{}", case());
                let findings = findings_of(&damaged);
                assert!(!findings.contains(&FindingKind::Recompressed), "{}: {findings:?}", case());
            }
        }
    }
}

#[test]
fn damaged_manifest_loses_no_row() {
    let (home, builder) = numbered();
    let original = original_logs(&home);
    // Without the manifest, unparsed lines and line endings are lost, so only the rows are compared.
    let rows_of = |log: &[u8]| -> Vec<Vec<u8>> {
        let lines = log.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{"));
        lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect()
    };
    let original_rows: BTreeMap<_, _> = original.iter().map(|(name, log)| (name.clone(), rows_of(log))).collect();
    assert_eq!(original_rows.values().map(Vec::len).sum::<usize>(), 130);
    let (sound, manifest) = (builder.write(), builder.block_ranges()[0].clone());
    let mut others = Vec::new();
    for at in manifest {
        let changed = [0, 3, 6].map(|bit| vec![sound[at] ^ 1 << bit]).into_iter().chain([Vec::new()]);
        for byte in changed {
            let (report, logs) = logs_of(&[&sound[..at], &byte, &sound[at + 1..]].concat());
            for file in report.files.iter().filter(|file| file.is_original == Some(true)) {
                let name = file.name.as_str();
                assert!(logs[name] == original[name], "{name} is reported as the original, with {byte:?} at {at}");
            }
            let rows: BTreeMap<_, _> = logs.iter().map(|(name, log)| (name.clone(), rows_of(log))).collect();
            if rows != original_rows {
                let counts: Vec<_> = rows.into_iter().map(|(name, rows)| (name, rows.len())).collect();
                others.push((at, byte, counts));
            }
        }
    }
    assert!(others.is_empty(), "{} {others:?}", others.len());
}

#[test]
fn identical_chunks_are_recovered_despite_a_wrong_chunk_table() {
    let home = Home::new()
        .with("runs.jsonl", "{\"a\":1}\n".repeat(60))
        .with("decision_traces.jsonl", (0..30).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
    let original = original_logs(&home);
    let sound = BundleBuilder::new(&home, 10);
    let is_back = |damaged: &[u8], case: &str| {
        let (report, logs) = logs_of(damaged);
        assert_eq!((logs, report.ignored), (original.clone(), 0), "{case}");
        assert!(report.files.iter().all(|log| log.is_original == Some(true)), "{case}: {report:?}");
    };
    for file in 0..2 {
        for chunk in 0..3 {
            let mut builder = sound.clone();
            let compressed = &mut builder.file(file)["chunks"][chunk]["compressed"];
            *compressed = json!(compressed.as_u64().unwrap() + 7);
            is_back(&builder.write(), &format!("chunk {chunk} of file {file}"));
        }
    }
    // Another writer that flushes at the end of each chunk, but compresses less.
    let blocks = sound.blocks();
    let texts = || blocks.iter().map(|(_, text)| text.as_bytes());
    for flush in [FlushCompress::Full, FlushCompress::Sync] {
        is_back(&flushed(texts(), flush), "flushed after each chunk");
    }
}

#[test]
fn edited_plain_text_loses_no_row_of_another_chunk() {
    let (home, builder) = numbered();
    let original = original_logs(&home);
    for chunk in 0..builder.chunks.len() {
        let foreign = match chunk < 10 {
            true => "{\"source\":\"runs\",\"entry\":{\"put\":\"in\"}}\n",
            false => "{\"source\":\"activity\",\"file\":\"activity-1.jsonl\",\"entry\":{\"put\":\"in\"}}\n",
        };
        let lines: Vec<&str> = builder.chunks[chunk].1.split_inclusive('\n').collect();
        for at in 0..=lines.len() {
            let (before, after) = (lines[..at].concat(), lines[at..].concat());
            let without = lines[(at + 1).min(lines.len())..].concat();
            for (change, text, lost) in [
                ("inserted", format!("{before}{foreign}{after}"), 0),
                ("removed", format!("{before}{without}"), usize::from(at < lines.len())),
                ("replaced", format!("{before}{foreign}{without}"), 0),
                ("truncated", format!("{before}{}", after.get(3..).unwrap_or_default()), usize::from(at < lines.len())),
                ("removed with all later lines", before.clone(), lines.len() - at),
            ] {
                let mut builder = builder.clone();
                builder.chunks[chunk].1 = text;
                let text = builder.text().into_bytes();
                for damaged in [gzip(&text), text] {
                    let (report, logs) = logs_of(&damaged);
                    let case = format!("line {at} of chunk {chunk} {change}");
                    let [rows, by_line] = [|log: &FileRecovery| log.rows, |log: &FileRecovery| log.unverified_rows]
                        .map(|count| report.files.iter().map(count).sum::<u64>());
                    assert!(rows - by_line >= 120, "{case}: {report:?}");
                    assert!(rows + lost as u64 >= 130, "{case}: {report:?}");
                    let other = logs.iter().find(|(name, _)| name.starts_with("activity") == (chunk < 10)).unwrap();
                    assert_eq!(other.1, &original[other.0], "{case}");
                }
            }
        }
    }
}

#[test]
fn stray_rows_of_an_earlier_log_lose_no_other_row() {
    let (_, mut builder) = numbered();
    // Rows of runs.jsonl at the end of one chunk of the other log, and within the next one.
    for (chunk, line) in [(10, 9), (11, 4)] {
        let mut lines: Vec<_> = builder.chunks[chunk].1.split_inclusive('\n').collect();
        lines[line] = "{\"source\":\"runs\",\"entry\":{\"put\":\"in\"}}\n";
        builder.chunks[chunk].1 = lines.concat();
    }
    let with_chunks = builder.text();
    for file in 0..2 {
        builder.file(file).as_object_mut().unwrap().remove("chunks");
    }
    let rows: String = builder.chunks.iter().map(|(_, text)| text.as_str()).collect();
    for text in [with_chunks, format!("{}\n{rows}", builder.manifest)] {
        for damaged in [gzip(text.as_bytes()), text.into_bytes()] {
            let (report, _) = logs_of(&damaged);
            assert_eq!(report.files.iter().map(|log| log.rows).collect::<Vec<_>>(), [100, 28]);
            assert_eq!(report.ignored, 2);
            let is_row = |finding: &&FindingKind| matches!(finding, FindingKind::Row(_));
            assert_eq!(findings_of(&damaged).iter().filter(is_row).count(), 2);
        }
    }
}

#[test]
fn hash_proves_rows_that_the_chunk_table_lacks() {
    let (home, mut builder) = numbered();
    builder.file(1)["chunks"].as_array_mut().unwrap().pop();
    builder.file(1)["count"] = json!(20);
    builder.manifest["totalCount"] = json!(120);
    let (report, logs) = logs_of(&builder.write());
    assert_eq!(logs, original_logs(&home));
    assert_eq!((report.files[1].rows, report.files[1].is_original), (30, Some(true)));
}

#[test]
fn inserted_row_loses_no_other_row() {
    let (home, builder) = numbered();
    let original = original_logs(&home);
    for chunk in 0..builder.chunks.len() {
        let mut builder = builder.clone();
        builder.chunks[chunk].1.push_str("{\"source\":\"runs\",\"entry\":{\"put\":\"in\"}}\n");
        let (report, logs) = logs_of(&builder.write());
        assert_eq!((&logs, report.ignored), (&original, 1), "{chunk}");
        assert!(report.files.iter().all(|log| log.unverified_rows == 0), "{chunk}");
    }
}

#[test]
fn false_flush_marks_do_not_end_the_search() {
    // A flush mark within a row, followed by bytes that would end a gzip member: a row in a stored block.
    let mut row = b"{\"n\":1,\"text\":\"".to_vec();
    row.extend_from_slice(&[0, 0, 0xff, 0xff, 3, 0]);
    let (_, builder) = numbered();
    let (sound, places) = (builder.write(), builder.block_ranges());
    let mut damaged = sound.clone();
    damaged[places[0].clone()].fill(0);
    let at = places[2].start;
    damaged.splice(at..at, row);
    let (report, _) = logs_of(&damaged);
    let rows: Vec<_> = report.files.iter().map(|file| file.rows).collect();
    assert_eq!(rows, [100, 30]);
}

#[test]
fn long_garbage_between_chunks_hides_no_later_chunk() {
    let (home, builder) = numbered();
    let original = original_logs(&home);
    let place = builder.block_ranges()[4].start; // rows 31 to 40 of runs.jsonl
    // Short, longer than the first search for a block, about as long as one search window, and longer.
    for length in [100, 3 << 20, (64 << 20) - 10, (64 << 20) + 1000] {
        let mut bytes = builder.write();
        drop(bytes.splice(place..place, vec![0xff; length]));
        let (report, logs) = logs_of(&bytes);
        assert!(report.is_damaged, "{length}");
        assert!(report.files[0].rows == 100 && report.files[0].unverified_rows == 0, "{length}: {report:?}");
        assert!(logs["activity-1.jsonl"] == original["activity-1.jsonl"], "{length}");
        assert!(is_part(&logs["runs.jsonl"], &original["runs.jsonl"]), "{length}");
        // Without a manifest, the offsets of chunks are unknown.
        bytes[builder.block_ranges()[0].clone()].fill(0);
        let (report, logs) = logs_of(&bytes);
        let rows: Vec<_> = report.files.iter().map(|file| file.rows).collect();
        assert_eq!(rows, [100, 30], "{length}");
        assert!(is_part(&logs["runs.jsonl"], &original["runs.jsonl"]), "{length}");
    }
}

#[test]
fn embedded_bundle_loses_no_later_chunk() {
    let (home, builder) = numbered();
    let original = original_logs(&home);
    let (sound, places) = (builder.write(), builder.block_ranges());
    let other = |n: u64| format!("{{\"other\":{n},\"createdAt\":{EXPORTED_AT}}}\n");
    let other_home = Home::new()
        .with("runs.jsonl", (0..40).map(other).collect::<String>())
        .with_activity("activity-1.jsonl", "{\"timestamp\":\"2026-05-02T10:00:00Z\"}\n");
    let other = BundleBuilder::new(&other_home, 10);
    let whole = other.write();
    for intruder in [
        &whole[..],
        &whole[..other.block_ranges()[3].start + 20],
        &whole[10..],
        &whole[other.block_ranges()[1].start..],
    ] {
        for (chunk, place) in places.iter().enumerate().skip(1) {
            for (at, most_lost) in [(place.start, 0), (place.start + place.len() / 2, 10)] {
                let (report, logs) = logs_of(&[&sound[..at], intruder, &sound[at..]].concat());
                let rows: u64 = report.files.iter().map(|log| log.rows).sum();
                assert!(
                    rows + most_lost >= 130,
                    "{chunk}, at {at}, of {} bytes, {} first: {report:?}",
                    intruder.len(),
                    intruder[0]
                );
                // Rows of the other bundle can only replace a lost chunk, and are then counted as unverified.
                let unverified: u64 = report.files.iter().map(|log| log.unverified_rows).sum();
                assert!(unverified <= most_lost, "{chunk}, at {at}: {report:?}");
                let are_original = logs.iter().all(|(name, log)| is_part(log, &original[name]));
                assert!(are_original || unverified > 0, "{chunk}, at {at}: {report:?}");
            }
        }
    }
}

#[test]
fn rows_before_the_damage_in_a_chunk_are_recovered_by_line() {
    let home = Home::new().with("runs.jsonl", (0..3000).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
    let original = &original_logs(&home)["runs.jsonl"];
    let builder = BundleBuilder::new(&home, 1000);
    let place = &builder.block_ranges()[2];
    let middle = place.start + place.len() / 2;
    // Damage of the same length, shorter and longer.
    for damage in [vec![0xff; 20], Vec::new(), vec![0xff; 30]] {
        let mut bytes = builder.write();
        drop(bytes.splice(middle..middle + 20, damage.iter().copied()));
        let (report, logs) = logs_of(&bytes);
        let runs = &report.files[0];
        assert!((2200..3000).contains(&runs.rows), "{}: {runs:?}", damage.len());
        assert_eq!(runs.unverified_rows, runs.rows - 2000, "{}", damage.len());
        // Rows before the damage are the original ones. Damage can also yield other well-formed rows: the report counts
        // them as unverified.
        let before = logs["runs.jsonl"].iter().zip(original).take_while(|(a, b)| a == b).count();
        assert!(original[..before].split(|&byte| byte == b'\n').count() > 1200, "{}", damage.len());
    }
}

#[test]
fn every_truncation_keeps_the_earlier_rows() {
    let builder = cases::builder();
    let original = original_logs(&cases::home());
    let sound = builder.write();
    let places = builder.block_ranges();
    for length in 0..sound.len() {
        let whole_rows = builder.chunks.iter().zip(&places[1..]).filter(|(_, place)| place.end <= length);
        let least: usize = whole_rows.map(|((_, text), _)| text.lines().count()).sum();
        match recovered(&sound[..length]) {
            Ok(_) => {
                let (report, logs) = logs_of(&sound[..length]);
                let rows = report.files.iter().map(|file| file.rows).sum::<u64>();
                assert!(rows >= least as u64, "cut at {length}");
                assert!(logs.iter().all(|(name, log)| is_part(log, &original[name])), "cut at {length}: {logs:?}");
                let has_all = rows == 10;
                assert_eq!(report.lost_something(), !has_all, "cut at {length}: {report:?}");
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::NothingToRecover | ErrorKind::EmptyInput), "{error}");
                assert!(length < places[0].end, "cut at {length}: {error}");
            }
        }
    }
}

type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);

#[test]
fn rows_are_found_at_flush_points_without_a_manifest() {
    let (home, builder) = numbered();
    let original = original_logs(&home);
    let places = builder.block_ranges();
    let sound = builder.write();
    let damages: [(&str, Damage<'_>); 5] = [
        ("manifest zeroed", &|bytes| bytes[places[0].clone()].fill(0)),
        ("manifest and header zeroed", &|bytes| bytes[..places[0].end].fill(0)),
        ("manifest damaged", &|bytes| bytes[places[0].start + 50] ^= 0x55),
        ("manifest cut out", &|bytes| drop(bytes.drain(places[0].clone()))),
        ("start cut off", &|bytes| drop(bytes.drain(..places[0].end))),
    ];
    for (case, damage) in damages {
        let mut bytes = sound.clone();
        damage(&mut bytes);
        let (report, logs) = logs_of(&bytes);
        let rows: Vec<_> = report.files.iter().map(|file| (file.name.as_str(), file.rows)).collect();
        assert_eq!(rows, [("runs.jsonl", 100), ("activity-1.jsonl", 30)], "{case}");
        assert_eq!(report.manifest, ManifestState::Lost, "{case}");
        assert!(report.lost_something(), "{case}");
        assert!(is_part(&logs["runs.jsonl"], &original["runs.jsonl"]), "{case}");
    }
}

#[test]
fn wrong_row_count_loses_no_row() {
    let (home, sound) = numbered();
    let original = original_logs(&home);
    for change in [-3i64, -1, 1, 1000] {
        for file in 0..2 {
            for chunk in [None, Some(0), Some(2)] {
                let mut builder = sound.clone();
                let place = match chunk {
                    Some(chunk) => &mut builder.file(file)["chunks"][chunk]["rows"],
                    None => &mut builder.file(file)["count"],
                };
                *place = json!(place.as_i64().unwrap() + change);
                for damaged in [builder.write(), gzip(&builder.text().into_bytes())] {
                    let (report, logs) = logs_of(&damaged);
                    assert_eq!(logs, original, "{change} at {chunk:?} of {file}: {report:?}");
                    assert_eq!(report.ignored, 0, "{change} at {chunk:?} of {file}");
                }
            }
        }
    }
}

#[test]
fn verified_rows_override_a_manifest_with_another_log_name() {
    let (home, mut builder) = numbered();
    builder.file(0)["relativePath"] = "runs.jsonl.1".into();
    let (report, logs) = logs_of(&builder.write());
    assert_eq!(report.manifest, ManifestState::Contradicted);
    assert!(report.lost_something());
    assert_eq!((report.files[0].rows, report.files[0].is_original), (100, None));
    assert!(logs.contains_key("runs.jsonl"));
    // The other log's hash verifies its manifest data: its line endings and the missing final newline.
    assert_eq!((report.files[1].rows, report.files[1].is_original), (30, Some(true)));
    assert_eq!(logs["activity-1.jsonl"], original_logs(&home)["activity-1.jsonl"]);
}

#[test]
fn verified_row_of_an_unlisted_log_keeps_manifest_data_of_other_logs() {
    let (home, mut builder) = numbered();
    // Replaces the last row of runs.jsonl.
    let stray = "{\"source\":\"decision_traces\",\"entry\":{\"stray\":1}}\n";
    let last = &mut builder.chunks[9].1;
    last.truncate(last.trim_end().rfind('\n').unwrap() + 1);
    last.push_str(stray);
    builder.update_chunk_table();
    let (report, logs) = logs_of(&builder.write());
    assert_eq!(report.manifest, ManifestState::Contradicted);
    assert_eq!(logs["decision_traces.jsonl"], b"{\"stray\":1}\n");
    assert_eq!(logs["activity-1.jsonl"], original_logs(&home)["activity-1.jsonl"]);
    let rows: Vec<_> = report.files.iter().map(|file| (file.name.as_str(), file.is_original)).collect();
    assert_eq!(rows, [("runs.jsonl", None), ("decision_traces.jsonl", None), ("activity-1.jsonl", Some(true))]);
}

#[test]
fn logs_with_one_name_in_the_manifest_keep_their_rows() {
    let (home, mut builder) = numbered();
    let twin = builder.file(0).clone();
    builder.file(1)["relativePath"] = twin["relativePath"].clone();
    builder.file(1)["source"] = twin["source"].clone();
    builder.file(1)["base"] = twin["base"].clone();
    let (report, logs) = logs_of(&builder.write());
    assert_eq!(report.manifest, ManifestState::Contradicted);
    let rows = report.files.iter().map(|file| (file.name.as_str(), file.rows, file.is_original));
    assert!(rows.eq([("runs.jsonl", 100, Some(true)), ("activity-1.jsonl", 30, None)]), "{report:?}");
    assert_eq!(logs["runs.jsonl"], original_logs(&home)["runs.jsonl"]);
    assert!(is_part(&logs["activity-1.jsonl"], &original_logs(&home)["activity-1.jsonl"]));
}

#[test]
fn longest_of_rowless_logs_with_one_name_is_recovered() {
    let home = Home::new().with("runs.jsonl", "torn\n").with("decision_traces.jsonl", "torn and longer\n");
    let mut builder = BundleBuilder::new(&home, 10);
    let shorter = (0..2).min_by_key(|file| builder.file(*file)["bytes"].as_u64()).unwrap();
    let (source, name) = (builder.file(shorter)["source"].clone(), builder.file(shorter)["relativePath"].clone());
    (builder.file(1 - shorter)["source"], builder.file(1 - shorter)["relativePath"]) = (source, name);
    let (report, logs) = logs_of(&builder.write());
    assert_eq!(report.files.iter().map(|log| log.is_original).collect::<Vec<_>>(), [Some(true)]);
    assert_eq!(logs.into_values().collect::<Vec<_>>(), [b"torn and longer\n"]);
}

#[test]
fn log_listed_under_another_source_is_recovered_and_listed_once() {
    let (home, mut builder) = numbered();
    // The manifest lists an empty log of the other source, with the hash of an empty file.
    let nothing = Sha256Digest::of(b"").to_string();
    for (key, value) in [("source", json!("other")), ("bytes", json!(0)), ("sha256", json!(nothing))] {
        builder.file(1)[key] = value;
    }
    let (report, logs) = logs_of(&builder.write());
    let rows = report.files.iter().map(|file| (file.source.as_str(), file.name.as_str(), file.rows));
    assert!(rows.eq([("runs", "runs.jsonl", 100), ("activity", "activity-1.jsonl", 30)]), "{report:?}");
    assert!(report.lost_something());
    assert_eq!(logs["runs.jsonl"], original_logs(&home)["runs.jsonl"]);
    assert!(is_part(&logs["activity-1.jsonl"], &original_logs(&home)["activity-1.jsonl"]));
}

#[test]
fn gaps_are_reported_without_a_manifest() {
    let (_, builder) = numbered();
    let places = builder.block_ranges();
    let mut bytes = builder.write();
    bytes[places[0].clone()].fill(0);
    bytes[places[4].clone()].fill(0);
    let (report, _) = logs_of(&bytes);
    assert_eq!(report.files[0].rows, 90);
    assert_eq!(report.files[0].expected_rows, None);
    assert!(report.files[0].gaps_after.contains(&30), "{:?}", report.files[0]);
}

#[test]
fn losing_the_last_row_keeps_the_previous_newline() {
    let (home, builder) = numbered();
    let mut bytes = builder.write();
    bytes[builder.block_ranges().last().unwrap().clone()].fill(0);
    let (_, logs) = logs_of(&bytes);
    assert!(logs["activity-1.jsonl"].ends_with(b"\r\n"));
    assert!(original_logs(&home)["activity-1.jsonl"].starts_with(&logs["activity-1.jsonl"]));
}

#[test]
fn intact_and_truncated_legacy_bundles_are_recovered() {
    for name in ["empty", "odd", "plain"] {
        let path = format!("{}/fixtures/legacy/{name}.v1.0.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        let original = restore_all(indexed(&bytes).unwrap()).unwrap();
        let (report, logs) = logs_of(&bytes);
        assert_eq!(logs, original, "{name}");
        assert_eq!(report.version, Some((1, 0)));
        assert!(!report.lost_something() && report.files.iter().all(|file| file.unverified_rows == 0), "{report:?}");
        if name != "empty" {
            let (report, logs) = logs_of(&bytes[..bytes.len() - 40]);
            assert!(report.lost_something(), "{name}");
            assert!(logs.iter().all(|(name, log)| is_part(log, &original[name])), "{name}");
        }
    }
}

#[test]
fn plain_text_loses_only_broken_lines() {
    let (_, builder) = numbered();
    let text = builder.text().replacen("row number 42\"", "row number 42", 1);
    let (report, logs) = logs_of(text.as_bytes());
    assert_eq!(report.files[0].rows, 99);
    assert_eq!(report.files[0].missing.iter().map(|missing| missing.rows).collect::<Vec<_>>(), [(43, 43)]);
    assert!(!String::from_utf8(logs["runs.jsonl"].clone()).unwrap().contains("\"n\":42,"));
}

#[test]
fn rows_without_a_checksum_are_counted() {
    let (home, mut builder) = numbered();
    let unverified =
        |bundle: &[u8]| -> Vec<u64> { logs_of(bundle).0.files.iter().map(|log| log.unverified_rows).collect() };
    let edited = |text: &str| text.replacen("row number 42", "row number 43", 1);
    // Chunks that match their checksum are verified: all but the edited one.
    assert_eq!(unverified(edited(&builder.text()).as_bytes()), [10, 0]);
    assert_eq!(unverified(&gzip(edited(&builder.text()).as_bytes())), [10, 0]);
    // Without chunks, the log's hash verifies the whole log or nothing.
    for file in 0..2 {
        builder.file(file).as_object_mut().unwrap().remove("chunks");
    }
    let text =
        format!("{}\n{}", builder.manifest, builder.chunks.iter().map(|(_, text)| text.as_str()).collect::<String>());
    assert_eq!(unverified(text.as_bytes()), [0, 0]);
    assert_eq!(unverified(edited(&text).as_bytes()), [100, 0]);
    assert_eq!(unverified(&gzip(edited(&text).as_bytes())), [100, 0]);
    // Without a manifest or its hashes, only the container's checksum verifies rows.
    let rows =
        text_of(&bundle(&home)).split_off(text_of(&bundle(&home)).iter().position(|byte| *byte == b'\n').unwrap() + 1);
    assert_eq!(unverified(&rows), [100, 30]);
    assert_eq!(unverified(&gzip(&rows)), [0, 0]);
    let legacy = format!("{}/fixtures/legacy/plain.v1.0.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let text = text_of(&std::fs::read(legacy).unwrap());
    let report = logs_of(&text).0;
    assert!(report.files.iter().all(|log| log.unverified_rows == log.rows) && !report.files.is_empty(), "{report:?}");
}

#[test]
fn mismatched_container_checksum_verifies_nothing() {
    let (_, mut builder) = numbered();
    builder.manifest["type"] = json!("manifesu");
    let sound = builder.write();
    let text = builder.text().into_bytes();
    for (bundle, has_blocks) in [(sound, true), (gzip(&text), false)] {
        let by_line = |damaged: &[u8]| {
            let (report, _) = logs_of(damaged);
            assert_eq!(report.files.iter().map(|log| log.rows).sum::<u64>(), 130);
            report.files.iter().map(|log| log.unverified_rows).sum::<u64>()
        };
        assert_eq!(by_line(&bundle), 0, "{has_blocks}");
        for back in 1..=8 {
            let mut damaged = bundle.clone();
            let at = damaged.len() - back;
            damaged[at] ^= 1;
            assert_eq!(by_line(&damaged), 130, "{has_blocks}, byte {back} from the end");
        }
    }
}

#[test]
fn skipped_rows_are_counted_beside_a_completely_verified_log() {
    let (home, mut builder) = numbered();
    let original = original_logs(&home);
    // An entry that differs from its exact line, and two excess rows of the other log.
    builder.chunks[4].1 = builder.chunks[4].1.replacen(
        "\"entry\":{\"n\":40,",
        "\"original\":{\"text\":\"{\\\"n\\\":40,\\\"createdAt\\\":1777716000040,\\\"text\\\":\\\"row number 40\\\"}\"},\"entry\":{\"n\":77,",
        1,
    );
    assert!(builder.chunks[4].1.contains("77"));
    builder.chunks[12]
        .1
        .push_str(&"{\"source\":\"activity\",\"file\":\"activity-1.jsonl\",\"entry\":{\"put\":\"in\"}}\n".repeat(2));
    let (report, logs) = logs_of(&builder.write());
    assert!(logs == original);
    assert_eq!(report.ignored, 2, "{report:?}");
}

#[test]
fn report_lists_the_first_gaps_and_counts_the_others() {
    let home = Home::new().with("runs.jsonl", (0..25_000).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
    let text = BundleBuilder::new(&home, 25_000).text();
    let every_other_broken: String = text
        .split_inclusive('\n')
        .enumerate()
        .map(|(line, row)| if line % 2 == 1 { row.replacen('{', "(", 1) } else { row.to_owned() })
        .collect();
    let (report, _) = logs_of(every_other_broken.as_bytes());
    let runs = &report.files[0];
    assert_eq!((runs.rows, runs.missing.len(), runs.more_missing), (12_500, 10_000, 2_500));
    // The missing rows are unknown without the manifest.
    let (_, rows) = every_other_broken.split_once('\n').unwrap();
    let without = format!("{{\"type\":\"manifest\",\"version\":1}}\n{rows}");
    let (report, _) = logs_of(without.as_bytes());
    let runs = &report.files[0];
    assert_eq!((runs.rows, runs.gaps_after.len() as u64 + runs.more_gaps), (12_500, 12_500));
    assert_eq!(runs.gaps_after.len(), 10_000);
}

#[test]
fn other_files_yield_nothing() {
    for bytes in [&b"hello"[..], &gzip(b"hello\n"), &[0; 1000], &[0xff; 1000]] {
        let error: Error = recovered(bytes).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NothingToRecover), "{error}");
        assert_eq!(error.position().subject.as_deref(), Some("damaged"));
    }
}

#[test]
fn stream_and_file_give_the_same_recovered_bytes() {
    let (_, builder) = numbered();
    let mut bytes = builder.write();
    bytes[builder.block_ranges()[3].clone()].fill(0);
    let (_, from_file) = recovered(&bytes).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let target = OutputTarget::resolve(dir.path().join("out"), TargetOptions::default()).unwrap();
    let options = options().threads(NonZeroUsize::new(5).unwrap());
    recover_stream(&bytes[..], "standard input", &options, &target, &NoProgress).unwrap();
    assert_eq!(std::fs::read(dir.path().join("out")).unwrap(), from_file);
}

#[test]
fn every_conformance_bundle_gives_an_intact_bundle_or_nothing() {
    let original = original_logs(&cases::home());
    for (name, bytes) in cases::of_home() {
        match recovered(&bytes) {
            Ok(_) => {
                let (report, logs) = logs_of(&bytes);
                let by_line: u64 = report.files.iter().map(|file| file.unverified_rows).sum();
                let is_original = |(log, content): (&String, &Vec<u8>)| {
                    original.get(log).is_some_and(|original| is_part(content, original))
                };
                // If the chunk table was changed together with the rows, the bundle has other content.
                let has_other_content = name.starts_with("row")
                    || name.contains("v1_0")
                    || name.contains("unparsed")
                    || name.contains("edited")
                    || name == "second_manifest_among_rows"
                    || name.contains("second_member_appended")
                    || name == "several_things_wrong"
                    || name.contains("line_ending");
                assert!(has_other_content || by_line > 0 || logs.iter().all(is_original), "{name}: {logs:?}");
            }
            Err(error) => assert!(name.starts_with("refused") || name == "truncated_in_manifest", "{name}: {error}"),
        }
    }
}

#[cfg(unix)]
#[test]
fn recover_reads_a_pipe_and_writes_a_pipe() {
    use patchwork_traces::recover::recover_file;

    let (_, builder) = numbered();
    let mut damaged = builder.write();
    let middle = builder.block_ranges()[3].clone();
    damaged[middle.start + 10] ^= 0xff;
    let (expected, _) = logs_of(&damaged);
    let dir = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
    for pipe in [&from, &to] {
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    let target = OutputTarget::resolve(&to, TargetOptions::default()).unwrap();
    let mut options = options();
    options.exported_at = Timestamp::from_millis(0).unwrap();
    let (report, written) = std::thread::scope(|scope| {
        scope.spawn(|| std::fs::write(&from, &damaged).unwrap());
        let reader = scope.spawn(|| std::fs::read(&to).unwrap());
        (recover_file(&from, &options, &target, &NoProgress).unwrap(), reader.join().unwrap())
    });
    assert_eq!((report.digest, &report.files), (expected.digest, &expected.files));
    assert_eq!(report.bundle_bytes, written.len() as u64);
    assert!(report.lost_something());
    assert_eq!(restore_all(indexed(&written).unwrap()).unwrap().len(), report.files.len());
}

#[test]
fn removing_any_byte_loses_at_most_one_chunk() {
    let (_, builder) = numbered();
    let whole = builder.write();
    for lost in 0..whole.len() {
        let (report, _) = logs_of(&[&whole[..lost], &whole[lost + 1..]].concat());
        let rows: u64 = report.files.iter().map(|file| file.rows).sum();
        assert!(rows >= 120, "without byte {lost} there are {rows} rows");
    }
}

/// Returns the logs of a bundle whose hashes match, according to `verify`.
fn verified_logs(bundle: &[u8]) -> BTreeMap<String, Sha256Digest> {
    let options = VerifyOptions::default().threads(NonZeroUsize::MIN);
    let Ok(report) = verify(bundle, "bundle", &options, &NoProgress, &mut |_| {}) else { return BTreeMap::new() };
    let verified = report.files.into_iter().filter(|file| file.is_verified == Some(true));
    verified.map(|file| (file.name.to_string(), file.restored.unwrap().sha256)).collect()
}

/// The conformance bundles except those with two logs of one name, or whose writer counts rows as unparsed lines.
/// `conformance::recover_saves_every_verified_log` checks all of them.
fn comparable_cases() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let is_comparable = |name: &str| name != "sound_name_in_both_directories" && !name.starts_with("metadata");
    cases::cases().into_iter().filter(move |(name, _)| is_comparable(name))
}

#[test]
fn rows_verified_by_verify_are_recovered() {
    let (_, builder) = numbered();
    let mut wrong_table = builder.clone();
    wrong_table.file(0)["chunks"][0]["rows"] = 11.into();
    wrong_table.file(0)["chunks"][1]["rows"] = 9.into();
    let mut other_order = builder.clone();
    other_order.chunks.rotate_left(10);
    let mut bundles: Vec<_> = comparable_cases().map(|(name, bytes)| (name.to_string(), bytes)).collect();
    for (name, builder) in [("wrong table", wrong_table), ("other order", other_order)] {
        let [mut damaged, written] = [builder.write(), builder.write()];
        damaged[builder.block_ranges()[5].start + 10] ^= 0xff;
        bundles.extend([
            (format!("{name}, as text"), gzip(&builder.text().into_bytes())),
            (name.to_owned(), written),
            (format!("{name}, damaged"), damaged),
        ]);
    }
    let mut seen = BTreeMap::new();
    for (name, bytes) in bundles {
        let verified = verified_logs(&bytes);
        if verified.is_empty() {
            continue;
        }
        let (report, logs) = logs_of(&bytes);
        for (log, sha256) in &verified {
            assert_eq!(logs.get(log).map(|log| Sha256Digest::of(log)), Some(*sha256), "{name}: {log}, {report:?}");
        }
        seen.insert(name, verified.len());
    }
    assert_eq!((seen["wrong table"], seen["wrong table, damaged"], seen["other order"]), (2, 1, 1));
    assert_eq!(seen["row_entry_differs_from_original"], 2);
    assert!(seen.len() > 50, "{seen:?}");
}

#[test]
fn manifest_data_is_kept_if_damage_hides_the_end_of_the_manifest() {
    let (home, builder) = numbered();
    let (whole, original) = (builder.write(), original_logs(&home));
    let end = builder.block_ranges()[0].end;
    for lost in end - 4..end {
        let (report, logs) = logs_of(&[&whole[..lost], &whole[lost + 1..]].concat());
        assert_eq!(report.manifest, ManifestState::Intact);
        assert_eq!(logs["activity-1.jsonl"], original["activity-1.jsonl"], "without byte {lost} of {end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn intact_bundles_of_adversarial_logs_lose_nothing(runs in adversarial_log(), activity in adversarial_log(), rows in 1usize..20) {
        let home = Home::new().with("runs.jsonl", runs).with_activity("activity-7.jsonl", activity);
        for bytes in [bundle(&home), BundleBuilder::new(&home, rows).write(), gzip(&text_of(&bundle(&home)))] {
            let (report, logs) = logs_of(&bytes);
            prop_assert!(logs == original_logs(&home));
            prop_assert!(!report.lost_something());
        }
    }

    #[test]
    fn zeroed_and_cut_ranges_leave_only_original_rows(
        start in any::<prop::sample::Index>(), length in 1usize..800, is_cut in any::<bool>(),
    ) {
        let (home, builder) = numbered();
        let mut bytes = builder.write();
        let start = start.index(bytes.len());
        let end = bytes.len().min(start + length);
        if is_cut { drop(bytes.drain(start..end)) } else { bytes[start..end].fill(0) }
        let original = original_logs(&home);
        let (report, logs) = logs_of(&bytes);
        for file in &report.files {
            if file.unverified_rows == 0 {
                prop_assert!(is_part(&logs[file.name.as_str()], &original[file.name.as_str()]), "{:?}", file);
            }
        }
        // A manifest without its end can hide the first chunk after the damage.
        let hit = builder.block_ranges().iter().filter(|place| place.start < end && start < place.end).count();
        let rows: u64 = report.files.iter().map(|file| file.rows).sum();
        prop_assert!(rows + 10 * hit as u64 >= 130, "{} rows with {} chunks hit: {:?}", rows, hit, report);
    }

    #[test]
    fn flipped_bytes_lose_no_row_of_another_chunk(
        places in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
    ) {
        let (home, builder) = numbered();
        let blocks = builder.block_ranges();
        let mut bytes = builder.write();
        let mut hit = std::collections::BTreeSet::new();
        for (place, mask) in places {
            let at = blocks[1].start + place.index(blocks.last().unwrap().end - blocks[1].start);
            bytes[at] ^= mask;
            hit.extend(blocks.iter().position(|block| block.contains(&at)));
        }
        let original = original_logs(&home);
        let (report, logs) = logs_of(&bytes);
        for file in &report.files {
            let name = file.name.as_str();
            prop_assert!(file.unverified_rows > 0 || is_part(&logs[name], &original[name]));
            prop_assert!(file.unverified_rows <= 10 * hit.len() as u64);
        }
        let rows: u64 = report.files.iter().map(|file| file.rows).sum();
        prop_assert!(rows + 10 * hit.len() as u64 >= 130);
    }
}
