//! `verify` reports all damage, calls only intact bundles intact, and never stops at the first finding.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Cursor, Read, Write};
use std::num::NonZeroUsize;

use crate::common::adversarial_lines::adversarial_log;
use crate::common::bundle_builder::{BundleBuilder, deflate, flushed, gzip};
use crate::common::short_reads::ShortReads;
use crate::common::{Home, bundle, indexed, restore_all, sequential, text_of, try_bundle};
use flate2::FlushCompress;
use patchwork_traces::digest::{BundleDigest, Crc32};
use patchwork_traces::error::RowFault;
use patchwork_traces::format::limits::MAX_COUNT;
use patchwork_traces::internal::MemberWriter;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::recover::recover;
use patchwork_traces::verify::{
    FileMismatch, Finding, FindingKind, Severity, Verdict, VerifyOptions, VerifyReport, verify, verify_seekable,
};
use patchwork_traces::{Error, ErrorKind, Result};
use patchwork_traces::{OutputTarget, TargetOptions};
use proptest::prelude::*;
use serde_json::{Value, json};

fn options() -> VerifyOptions {
    VerifyOptions::default().threads(NonZeroUsize::new(2).unwrap())
}

fn verified_with(bundle: &[u8], options: &VerifyOptions) -> (Result<VerifyReport>, Vec<Finding>) {
    let mut findings = Vec::new();
    let report = verify(bundle, "bundle", options, &NoProgress, &mut |found| findings.push(found));
    // A bundle in a seekable input may be read in another order. The results must be the same.
    let mut of_seekable = Vec::new();
    let seekable = Cursor::new(bundle);
    let other = verify_seekable(seekable, "bundle", options, &NoProgress, &mut |found| of_seekable.push(found));
    assert_eq!(of_seekable, findings);
    assert_eq!(other.as_ref().map_err(Error::to_string), report.as_ref().map_err(Error::to_string));
    (report, findings)
}

fn verified(bundle: &[u8]) -> (VerifyReport, Vec<Finding>) {
    let (report, findings) = verified_with(bundle, &options());
    (report.unwrap(), findings)
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.kind.code()).collect()
}

/// Returns a bundle of small logs in chunks of one row each.
fn small() -> BundleBuilder {
    let runs = "{\"createdAt\":1777716000000,\"a\":1}\n{\"createdAt\":1777716000001,\"text\":\"\\ud800\"}\ntorn\n{}\n";
    let activity = "{\"timestamp\":\"2026-05-02T10:00:00Z\"}\r\n{\"timestamp\":\"2026-05-02T11:00:00Z\"}";
    BundleBuilder::new(&Home::new().with("runs.jsonl", runs).with_activity("activity-1.jsonl", activity), 1)
}

/// Returns the text that another gzip reader yields, or `None` after any error.
fn text_for_others(bundle: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(bundle).read_to_end(&mut text).ok().map(|_| text)
}

/// Checks that a change to the text makes the verdict "damaged", and that the verdict is never "damaged" without a
/// finding.
fn assert_found(sound: &[u8], changed: &[u8], what: &str) {
    let is_whole = text_for_others(changed).is_some_and(|text| text == text_for_others(sound).unwrap());
    let (report, findings) = verified_with(changed, &options());
    let is_damaged = report.is_err() || report.unwrap().verdict == Verdict::Damaged;
    assert!(is_damaged || is_whole, "{what} was not found, only {findings:?}");
    assert!(!is_damaged || !is_whole || !findings.is_empty(), "{what}: damaged, but without a finding");
}

#[test]
fn line_and_row_counts_do_not_overflow() {
    let mut builder = small();
    builder.chunks[1].1 = builder.chunks[1].1.replace("\\ufffd", "x").replace('\u{fffd}', "x");
    builder.chunks[2].1 += "no row\n";
    builder.chunks[3].1 += "{\"source\":\"runs\",\"entry\":1}\n";
    builder.update_chunk_table();
    let nowhere = json!({ "compressed": 30, "bytes": 30, "rows": MAX_COUNT, "crc32": "00000000" });
    builder.file(0)["chunks"].as_array_mut().unwrap().splice(0..0, vec![nowhere; 2100]);
    for bundle in [builder.write(), gzip(builder.text().as_bytes())] {
        let (report, findings) = verified(&bundle);
        assert_eq!(report.verdict, Verdict::Damaged);
        let found = codes(&findings);
        assert!(["chunk_missing", "row", "row_entry"].iter().all(|code| found.contains(code)), "{findings:?}");
        let dir = tempfile::tempdir().unwrap();
        let target = OutputTarget::resolve(dir.path().join("out"), TargetOptions::default()).unwrap();
        recover(Cursor::new(&bundle), "bundle", &crate::common::options(), &target, &NoProgress).unwrap();
    }
}

#[test]
fn many_findings_in_one_chunk_change_no_other_result() {
    let rows: String =
        (0..10_000).map(|i| format!("{{\"createdAt\":{},\"i\":1}}\n", 1_777_716_000_000u64 + i * 1000)).collect();
    let mut builder = BundleBuilder::new(&Home::new().with("runs.jsonl", rows), 10_000);
    let with_original = |line: &str| {
        let original = line.strip_prefix("{\"source\":\"runs\",\"entry\":").unwrap().strip_suffix('}').unwrap();
        format!("{},\"original\":{}}}\n", line.strip_suffix('}').unwrap(), json!({ "text": original }))
    };
    builder.chunks[0].1 = builder.chunks[0].1.lines().map(with_original).collect();
    builder.update_chunk_table();
    for bundle in [builder.write(), gzip(builder.text().as_bytes())] {
        let (report, findings) = verified(&bundle);
        assert!(matches!(report.verdict, Verdict::Intact | Verdict::IntactRecompressed));
        assert_eq!(codes(&findings).iter().filter(|code| **code == "row_entry").count(), 10_000);
        let lines: Vec<_> =
            findings.iter().filter(|found| found.kind.code() == "row_entry").map(|found| found.at.line).collect();
        assert_eq!(lines, (2..10_002).map(Some).collect::<Vec<_>>());
        assert_eq!(report.files[0].is_verified, Some(true));
    }
    // If every second line is not a row, the others are still rows of a chunk with a valid checksum.
    builder.chunks[0].1 = builder.chunks[0].1.lines().map(|line| format!("{line}\n\n")).collect();
    builder.update_chunk_table();
    builder.file(0)["count"] = json!(20_000);
    builder.manifest["totalCount"] = json!(20_000);
    let bundle = builder.write();
    let (report, findings) = verified(&bundle);
    assert_eq!((report.verdict, report.rows), (Verdict::Damaged, 10_000));
    let lines = findings.iter().filter(|found| found.kind.code() == "row").map(|found| found.at.line);
    assert_eq!(lines.collect::<Vec<_>>(), (1..=10_000).map(|n| Some(2 * n + 1)).collect::<Vec<_>>());
    let dir = tempfile::tempdir().unwrap();
    let target = OutputTarget::resolve(dir.path().join("out"), TargetOptions::default()).unwrap();
    let report = recover(Cursor::new(&bundle), "bundle", &crate::common::options(), &target, &NoProgress).unwrap();
    let file = &report.files[0];
    assert_eq!((file.rows, file.unverified_rows, file.missing.len()), (10_000, 0, 10_000));
}

#[test]
fn every_flipped_bit_is_reported_or_harmless() {
    let sound = small().write();
    for byte in 0..sound.len() {
        for bit in 0..8 {
            let mut changed = sound.clone();
            changed[byte] ^= 1 << bit;
            assert_found(&sound, &changed, &format!("bit {bit} of byte {byte}"));
        }
    }
}

#[test]
fn every_truncation_is_reported() {
    let sound = small().write();
    for length in 0..sound.len() {
        let (report, findings) = verified_with(&sound[..length], &options());
        match report {
            Ok(report) => assert_eq!(report.verdict, Verdict::Damaged, "cut at {length}"),
            Err(error) => assert!(length < 2, "cut at {length}: {error}"),
        }
        assert!(length < 2 || codes(&findings).contains(&"gzip_truncated"), "cut at {length}: {findings:?}");
    }
}

#[test]
fn every_inserted_or_removed_byte_is_reported() {
    let sound = small().write();
    for at in 0..sound.len() {
        let mut longer = sound.clone();
        longer.insert(at, 0x55);
        assert_found(&sound, &longer, &format!("a byte more at {at}"));
        let mut shorter = sound.clone();
        shorter.remove(at);
        assert_found(&sound, &shorter, &format!("a byte less at {at}"));
    }
}

#[test]
fn damage_in_one_chunk_hides_no_later_finding() {
    let mut builder = small();
    builder.chunks[3].1 = builder.chunks[3].1.replace("10:00", "10:01");
    let places = builder.block_ranges();
    let mut bytes = builder.write();
    bytes[places[1].start + 5..places[1].end].fill(0);
    let (report, findings) = verified(&bytes);
    assert_eq!(report.verdict, Verdict::Damaged);
    let of_activity: Vec<_> = findings.iter().filter(|f| f.at.file.as_deref() == Some("activity-1.jsonl")).collect();
    assert!(of_activity.iter().any(|finding| finding.kind.code() == "chunk_crc32"), "{findings:?}");
    assert!(of_activity.iter().any(|finding| finding.kind.code() == "file_sha256"), "{findings:?}");
    assert!(codes(&findings).contains(&"gzip_data"), "{findings:?}");
}

#[test]
fn every_faulty_row_is_listed() {
    let rows = 50_000;
    let mut builder = BundleBuilder::new(&Home::new().with("runs.jsonl", "{\"a\":1}\n".repeat(rows)), 10_000);
    for (_, text) in &mut builder.chunks {
        *text = text.replace("\"source\":\"runs\"", "\"source\":\"other\"");
    }
    builder.update_chunk_table();
    let (report, findings) = verified(&builder.write());
    let numbers = findings.iter().filter(|f| matches!(f.kind, FindingKind::Row(_))).map(|f| f.at.rows.unwrap().0);
    assert!(numbers.eq(1..=rows as u64));
    assert_eq!(report.findings.errors, findings.len() as u64);
}

#[test]
fn adjacent_missing_chunks_of_a_log_are_one_finding() {
    // Chunks have different lengths, so they can be told apart.
    let word = |n: u64| {
        (0..n / 10 % 13).map(|k| format!("{:x}", (n + k).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect::<String>()
    };
    let row = |n: u64| format!("{{\"n\":{n},\"word\":\"{}\"}}\n", word(n));
    let home = Home::new().with("runs.jsonl", (0..900).map(row).collect::<String>());
    let home = home.with("decision_traces.jsonl", (0..70).map(row).collect::<String>());
    let builder = BundleBuilder::new(&home, 10); // 90 chunks and 7
    let (bytes, places) = (builder.write(), builder.block_ranges());
    let missing = |bytes: &[u8]| {
        let (report, findings) = verified(bytes);
        assert_eq!(report.findings.errors, findings.len() as u64);
        let missing = findings.into_iter().filter_map(|finding| match finding.kind {
            FindingKind::ChunksMissing { first, last, rows } => {
                Some((finding.at.file.unwrap(), first, last, rows, finding.at.rows.unwrap()))
            }
            _ => None,
        });
        (missing.collect::<Vec<_>>(), report)
    };
    let (runs, traces) = ("runs.jsonl".to_owned(), "decision_traces.jsonl".to_owned());
    // Truncated after chunk 20; the manifest is the block before the first chunk.
    let (found, report) = missing(&bytes[..places[20].end]);
    assert_eq!(found, [(runs.clone(), 21, 90, 700, (201, 900)), (traces.clone(), 1, 7, 70, (1, 70))]);
    assert_eq!(report.rows, 200);
    // Remove three chunks, and later one more.
    let holes =
        [&bytes[..places[4].start], &bytes[places[7].start..places[95].start], &bytes[places[95].end..]].concat();
    let (found, report) = missing(&holes);
    assert_eq!(found, [(runs, 4, 6, 30, (31, 60)), (traces, 5, 5, 10, (41, 50))]);
    assert_eq!(report.rows, 930);
}

#[test]
fn foreign_flush_point_at_a_chunk_end_is_not_a_chunk_boundary() {
    let row = |n: u64| format!("{{\"n\":{n},\"createdAt\":{}}}\n", 1_777_716_000_000 + n);
    let home = Home::new().with("runs.jsonl", (0..60).map(row).collect::<String>());
    let marks = |bundle: &[u8]| -> Vec<usize> {
        (4..=bundle.len()).filter(|end| bundle[..*end].ends_with(&[0, 0, 0xff, 0xff])).collect()
    };
    let original = restore_all(indexed(&bundle(&home)).unwrap()).unwrap();
    let mut builder = BundleBuilder::new(&home, 10);
    let mut tried = 0;
    for compressed in 20..600 {
        builder.file(0)["chunks"][0]["compressed"] = json!(compressed);
        let blocks = builder.blocks();
        let other = flushed(blocks.iter().map(|(_, text)| text.as_bytes()), FlushCompress::Sync);
        let marks = marks(&other);
        if !marks.contains(&(marks[0] + compressed)) {
            continue;
        }
        tried += 1;
        let (report, findings) = verified(&other);
        assert_eq!(report.verdict, Verdict::IntactRecompressed, "{compressed}: {findings:?}");
        assert_eq!(recovered(&other), original, "{compressed}");
    }
    assert!(tried > 2, "{tried}");
}

#[test]
fn damaged_flush_point_is_reported_and_the_next_chunk_is_found() {
    let row =
        |n: u64| format!("{{\"n\":{n},\"word\":\"{:x}\"}}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (n / 10 * 4));
    let builder = BundleBuilder::new(&Home::new().with("runs.jsonl", (0..60).map(row).collect::<String>()), 10);
    let (bytes, places) = (builder.write(), builder.block_ranges());
    for (chunk, place) in places.iter().enumerate().take(6).skip(1) {
        let mut bytes = bytes.clone();
        bytes.remove(place.end - 1);
        let (report, findings) = verified(&bytes);
        let rows = Some((chunk as u64 * 10 - 9, chunk as u64 * 10));
        assert_eq!((findings[0].kind.code(), findings[0].at.rows), ("gzip_data", rows), "{findings:?}");
        assert_eq!((codes(&findings), report.rows), (vec!["gzip_data", "file_rows", "file_not_restored"], 50));
    }
}

#[test]
fn flush_point_within_the_first_chunk_does_not_make_it_text() {
    let row = |n: u64| format!("{{\"n\":{n},\"createdAt\":{}}}\n", 1_777_716_000_000 + n);
    let home = Home::new().with("runs.jsonl", (0..60).map(row).collect::<String>());
    let mut builder = BundleBuilder::new(&home, 10);
    let (before, behind) = builder.chunks[0].1.split_at(100);
    let block = [deflate(before.as_bytes()), deflate(behind.as_bytes())].concat();
    builder.file(0)["chunks"][0]["compressed"] = json!(block.len());
    let mut written = Vec::new();
    let mut member = MemberWriter::new(&mut written).unwrap();
    for (index, (deflated, text)) in builder.blocks().iter().enumerate() {
        let deflated = if index == 1 { &block } else { deflated };
        let crc32 = Crc32::of(text.as_bytes());
        member.copy_block(deflated.as_slice(), deflated.len() as u64, text.len() as u64, crc32).unwrap();
    }
    member.finish().unwrap();
    let (report, findings) = verified(&written);
    assert_eq!((report.verdict, findings), (Verdict::Intact, Vec::new()));
    assert_eq!(recovered(&written), restore_all(indexed(&bundle(&home)).unwrap()).unwrap());
}

#[test]
fn recompressed_bundle_is_intact_with_any_flush_points_and_members() {
    let row = |n: u64| {
        format!(
            "{{\"n\":{n},\"createdAt\":{},\"text\":\"{:032x}\"}}\n",
            1_777_716_000_000 + n,
            u128::from(n) * 0x9e37_79b9_7f4a_7c15
        )
    };
    let home = Home::new()
        .with("runs.jsonl", (0..300).map(row).collect::<String>())
        .with_activity("activity-1.jsonl", "{\"timestamp\":\"2026-05-02T10:00:00Z\"}\ntorn");
    let builder = BundleBuilder::new(&home, 50);
    let text = builder.text().into_bytes();
    let head = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let logs = restore_all(indexed(&bundle(&home)).unwrap()).unwrap();
    let digest = verified(&gzip(&text)).0.digest;
    let lines = || text.split_inclusive(|byte| *byte == b'\n');
    let two = |at: usize| [&text[..at], &text[at..]];
    let first_chunk_end = head + builder.chunks[0].1.len();
    let three = [&text[..head], &text[head..first_chunk_end], &text[first_chunk_end..]];
    let members = |pieces: &[&[u8]]| pieces.iter().flat_map(|piece| gzip(piece)).collect::<Vec<u8>>();
    let mut bundles = vec![
        members(&two(100)),
        members(&two(head - 1)),
        members(&two(head)),
        members(&two(head + 5)),
        members(&two(0)),
        members(&two(text.len())),
        members(&[&text[..head - 1], b"\n", &text[head..]]),
        members(&text.chunks(100).collect::<Vec<_>>()),
        members(&lines().collect::<Vec<_>>()),
        [gzip(&text[..50]), flushed([&text[50..head], &text[head..]], FlushCompress::Sync)].concat(),
    ];
    for flush in [FlushCompress::Sync, FlushCompress::Full, FlushCompress::Partial] {
        bundles.extend([
            flushed(two(head), flush),
            flushed(two(head - 1), flush),
            flushed(lines(), flush),
            flushed(text.chunks(77), flush),
        ]);
    }
    bundles.push(flushed(three, FlushCompress::Sync));
    for (index, other) in bundles.iter().enumerate() {
        assert!(text_for_others(other).as_deref() == Some(&text[..]), "{index}");
        let (report, findings) = verified(other);
        assert_eq!((report.verdict, report.digest), (Verdict::IntactRecompressed, digest), "{index}: {findings:?}");
        for opened in [indexed(other), sequential(other)] {
            assert!(restore_all(opened.unwrap()).unwrap() == logs, "{index}");
        }
        assert!(recovered(other) == logs, "{index}");
    }
}

#[test]
fn single_chunk_rewritten_after_a_flush_point_is_text() {
    let home = Home::new().with("runs.jsonl", (0..40).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
    let builder = BundleBuilder::new(&home, 50);
    assert_eq!(builder.chunks.len(), 1);
    let text = builder.text().into_bytes();
    let (manifest, rows) = text.split_at(text.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    // Join both parts without a header or trailer between them, and without the empty last block of the first.
    let (first, last) = (flushed([manifest], FlushCompress::Sync), gzip(rows));
    let whole = gzip(&text);
    let other = [&first[..first.len() - 10], &last[10..last.len() - 8], &whole[whole.len() - 8..]].concat();
    assert!(text_for_others(&other).as_deref() == Some(&text[..]));
    let (report, findings) = verified(&other);
    assert_eq!(report.verdict, Verdict::IntactRecompressed, "{findings:?}");
    let mut slow_findings = Vec::new();
    let found = &mut |finding| slow_findings.push(finding);
    let slow = verify(ShortReads(&other, 1), "bundle", &options(), &NoProgress, found).unwrap();
    assert_eq!((slow.verdict, slow_findings), (report.verdict, findings), "short reads change the result");
    let logs = restore_all(indexed(&bundle(&home)).unwrap()).unwrap();
    assert!(restore_all(indexed(&other).unwrap()).unwrap() == logs);
    assert!(recovered(&other) == logs);
}

/// Recovers a bundle, checks that every log is the original, and returns the logs.
fn recovered(bundle: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl.gz");
    let target = OutputTarget::resolve(&path, TargetOptions::default()).unwrap();
    let report = recover(Cursor::new(bundle), "bundle", &crate::common::options(), &target, &NoProgress).unwrap();
    assert!(report.files.iter().all(|log| log.is_original == Some(true) && log.unverified_rows == 0), "{report:?}");
    restore_all(indexed(&std::fs::read(path).unwrap()).unwrap()).unwrap()
}

/// Returns a 1.0 bundle of `runs` that declares a log of `bytes` bytes, with this text after the manifest.
fn bundle_of_1_0(bytes: u64, rows: u64, text: &[u8]) -> Vec<u8> {
    let manifest = format!(
        "{{\"type\":\"manifest\",\"version\":1,\"exportedAt\":\"2026-05-02T10:00:00.000Z\",\"sources\":[\"runs\"],\
         \"files\":[{{\"source\":\"runs\",\"relativePath\":\"runs.jsonl\",\"count\":{rows},\"bytes\":{bytes}}}],\"totalCount\":{rows}}}\n"
    );
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(manifest.as_bytes()).and_then(|()| gzip.write_all(text)).unwrap();
    gzip.finish().unwrap()
}

fn row_of(bytes: usize) -> Vec<u8> {
    [b"{\"source\":\"runs\",\"entry\":\"", &vec![b'x'; bytes - 2][..], b"\"}\n"].concat()
}

/// Returns the findings, after checking that both readers restore the bundle unless `verify` calls it damaged.
fn agreed(bundle: &[u8]) -> Vec<Finding> {
    let (report, findings) = verified(bundle);
    for restored in [indexed(bundle).and_then(restore_all), sequential(bundle).and_then(restore_all)] {
        assert_eq!(restored.is_ok(), report.verdict != Verdict::Damaged, "{findings:?}, {:?}", restored.err());
    }
    findings
}

#[test]
fn row_that_no_log_may_hold_is_reported_and_not_restored() {
    const MAX: usize = 256 << 20;
    assert_eq!(codes(&agreed(&bundle_of_1_0(MAX as u64, 1, &row_of(MAX)))), ["without_hashes"]);
    let findings = agreed(&bundle_of_1_0(MAX as u64, 1, &row_of(MAX + 1)));
    assert!(findings.iter().any(|finding| finding.kind == FindingKind::Row(RowFault::TooLong)), "{findings:?}");
}

#[test]
fn overlong_1_0_rows_are_reported_and_not_restored() {
    // The limit is 6 times 100 bytes plus 64 MiB, here in rows of 4 MiB, line feeds included.
    let limit = 600 + (64 << 20);
    let rows = [vec![row_of((4 << 20) - 1); 15].concat(), row_of((4 << 20) + 599)].concat();
    assert_eq!(codes(&agreed(&bundle_of_1_0(100, 16, &rows))), ["without_hashes"]);
    let more = [vec![row_of((4 << 20) - 1); 15].concat(), row_of((4 << 20) + 600)].concat();
    let findings = agreed(&bundle_of_1_0(100, 16, &more));
    let is_it = |finding: &&Finding| matches!(finding.kind, FindingKind::File(FileMismatch::MaxBytes(_)));
    let (expected, found) = findings.iter().find(is_it).unwrap().kind.expected_and_found().unwrap();
    assert_eq!((expected, found), (limit.to_string(), (limit + 1).to_string()));
}

#[test]
fn finding_has_file_row_line_byte_and_expectation() {
    let mut builder = small();
    let place = builder.block_ranges()[2].start;
    builder.chunks[1].1 = builder.chunks[1].1.replacen("\"text\":\"\u{fffd}\"", "\"text\":\"x\"", 1);
    builder.update_chunk_table();
    let shift = builder.block_ranges()[2].start - place;
    let (_, findings) = verified(&builder.write());
    let finding = findings.iter().find(|finding| finding.kind.code() == "row_entry").unwrap();
    assert_eq!(finding.at.subject.as_deref(), Some("bundle"));
    assert_eq!(finding.at.file.as_deref(), Some("runs.jsonl"));
    assert_eq!(finding.at.rows, Some((2, 2)));
    assert_eq!(finding.at.line, Some(3));
    assert_eq!(finding.at.byte, Some((place + shift) as u64));
    assert_eq!(finding.severity(), Severity::Error);
    let (expected, found) = finding.kind.expected_and_found().unwrap();
    assert_eq!(expected, "{\"createdAt\":1777716000001,\"text\":\"\u{fffd}\"}");
    assert_eq!(found, "{\"createdAt\":1777716000001,\"text\":\"x\"}");
}

/// Changes a value: increments a number, changes a text, negates a bool, and removes the last item of a list.
fn change(value: &mut Value) {
    match value {
        Value::Number(number) => *value = json!(number.as_u64().unwrap() + 1),
        Value::String(text) if text.ends_with('Z') => *text = text.replace("10:0", "09:0"),
        Value::String(text) => *text = text.chars().rev().collect(),
        Value::Bool(value) => *value = !*value,
        Value::Object(members) => change(members.values_mut().next_back().unwrap()),
        Value::Array(items) => drop(items.pop()),
        Value::Null => unreachable!("no member of a manifest is null"),
    }
}

#[test]
fn findings_show_recorded_and_found_values() {
    let mut findings_text = String::new();
    let mut append_findings = |place: &str, bundle: &[u8]| {
        writeln!(findings_text, "{place}").unwrap();
        for finding in verified(bundle).1 {
            let (expected, found) = finding.kind.expected_and_found().unzip();
            writeln!(findings_text, "  {finding}\n    {}: {expected:?}, {found:?}", finding.kind.code()).unwrap();
        }
    };
    let of_chunk =
        ["compressed", "bytes", "rows", "crc32", "firstTime", "lastTime"].map(|key| format!("/files/0/chunks/0/{key}"));
    let of_file =
        ["count", "bytes", "sha256", "finalNewline", "firstTime", "lastTime", "timeline", "unparsed", "chunks"]
            .map(|key| format!("/files/0/{key}"));
    for place in of_chunk.into_iter().chain(of_file).chain(["/totalCount".to_owned()]) {
        let mut builder = small();
        change(builder.manifest.pointer_mut(&place).unwrap());
        append_findings(&place, &builder.write());
    }
    let sound = small().write();
    for (part, from_end) in [("CRC-32", 8), ("length", 4)] {
        let mut changed = sound.clone();
        *changed.iter_mut().nth_back(from_end - 1).unwrap() ^= 1;
        append_findings(&format!("the gzip member's {part}"), &changed);
    }
    insta::assert_snapshot!(findings_text);
}

#[test]
fn expected_digest_is_compared() {
    let home = Home::new().with("runs.jsonl", "{}\n");
    let (bytes, report) = try_bundle(&home).unwrap();
    let expect = |digest| verified_with(&bytes, &options().expect(digest));

    let (same, findings) = expect(report.digest);
    let same = same.unwrap();
    assert_eq!((same.is_expected, same.is_good(), findings.len()), (Some(true), true, 0));

    let (other, findings) = expect(BundleDigest::of_manifest_line(b"another"));
    let other = other.unwrap();
    assert_eq!((other.is_expected, other.is_good()), (Some(false), false));
    assert_eq!(other.verdict, Verdict::Intact, "the bundle itself is whole");
    assert_eq!(codes(&findings), ["digest"]);
    let (expected, found) = findings[0].kind.expected_and_found().unwrap();
    assert_eq!(expected, BundleDigest::of_manifest_line(b"another").to_string());
    assert_eq!(found, report.digest.to_string());
}

#[test]
fn hashes_can_be_required() {
    let legacy = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/legacy/plain.v1.0.jsonl.gz")).unwrap();
    let (report, findings) = verified(&legacy);
    assert_eq!(report.verdict, Verdict::IntactWithoutHashes);
    assert!(report.is_good() && report.files.iter().all(|file| file.is_verified.is_none()), "{findings:?}");
    let (report, findings) = verified_with(&legacy, &options().require_hashes(true));
    let report = report.unwrap();
    assert_eq!(report.verdict, Verdict::IntactWithoutHashes);
    assert!(!report.is_good());
    let missing = findings.iter().filter(|finding| finding.kind == FindingKind::NoHash).count();
    assert_eq!(missing, report.files.len());
}

#[test]
fn every_legacy_bundle_is_intact() {
    for name in ["empty", "odd", "plain"] {
        let path = format!("{}/fixtures/legacy/{name}.v1.0.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
        let (report, findings) = verified(&std::fs::read(path).unwrap());
        assert_eq!(report.verdict, Verdict::IntactWithoutHashes, "{name}: {findings:?}");
        assert_eq!(codes(&findings), ["without_hashes"], "{name}");
    }
}

#[test]
fn read_failure_is_an_error_instead_of_a_finding() {
    struct FailingReader<'a>(&'a [u8]);
    impl Read for FailingReader<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            match self.0.is_empty() {
                true => Err(std::io::ErrorKind::PermissionDenied.into()),
                false => self.0.read(out),
            }
        }
    }
    let bytes = small().write();
    let input = FailingReader(&bytes[..bytes.len() - 30]);
    let error = verify(input, "bundle", &options(), &NoProgress, &mut |_| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io { .. }), "{error}");
    assert_eq!(error.position().subject.as_deref(), Some("bundle"));
}

#[test]
fn row_of_20_mb_and_many_chunks_are_verified() {
    let large = format!("{{\"s\":\"{}\"}}\n", "x".repeat(20_000_000));
    let many: String =
        (0..60_000).map(|n| format!("{{\"createdAt\":{},\"n\":{n}}}\n", 1_777_716_000_000i64 + n)).collect();
    let home = Home::new().with("runs.jsonl", large + &many).with("decision_traces.jsonl", many);
    let (report, findings) = verified(&bundle(&home));
    assert_eq!((report.verdict, findings.len(), report.rows), (Verdict::Intact, 0, 120_001));
    assert!(report.files.iter().all(|file| file.is_verified == Some(true)));
}

#[test]
fn bomb_is_reported_without_buffering_its_content() {
    let builder = small();
    let text = [builder.text().as_bytes(), &vec![b' '; 600 << 20]].concat();
    let bomb = gzip(&text);
    drop(text);
    let (report, findings) = verified(&bomb);
    assert_eq!(report.verdict, Verdict::Damaged);
    assert!(codes(&findings).contains(&"line_too_long"), "{findings:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bundles_of_adversarial_logs_are_intact(runs in adversarial_log(), activity in adversarial_log(), rows_per_chunk in 1usize..20) {
        let home = Home::new().with("runs.jsonl", runs).with_activity("activity-7.jsonl", activity);
        let exported = bundle(&home);
        let text = text_of(&exported);
        let forged = BundleBuilder::new(&home, rows_per_chunk);
        let cases = [
            (exported, Verdict::Intact),
            (gzip(&text), Verdict::IntactRecompressed),
            (text, Verdict::IntactRecompressed),
        ];
        for (bytes, verdict) in cases {
            let (report, findings) = verified(&bytes);
            prop_assert!(findings.iter().all(|finding| finding.severity() < Severity::Error), "{:?}", findings);
            prop_assert_eq!(report.verdict, verdict);
        }
        // The builder does not know the times of unusual rows, so findings about times are ignored there.
        let (report, findings) = verified(&forged.write());
        let other = findings.iter().find(|finding| !finding.kind.code().ends_with("_time"));
        prop_assert!(other.is_none(), "{:?}", other);
        prop_assert!(report.files.iter().all(|file| file.is_verified == Some(true)));
    }

    #[test]
    fn any_bytes_get_a_verdict_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = verified_with(&bytes, &options());
        let behind_header = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], &bytes[..]].concat();
        let _ = verified_with(&behind_header, &options());
    }

    #[test]
    fn several_faults_at_once_are_reported(places in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..5)) {
        let sound = small().write();
        let mut changed = sound.clone();
        for (place, mask) in places {
            let place = place.index(changed.len());
            changed[place] ^= mask;
        }
        assert_found(&sound, &changed, "damage");
    }
}

#[test]
fn optional_timestamps_and_empty_bins_are_not_faults() {
    let mut builder = small();
    for file in builder.manifest["files"].as_array_mut().unwrap() {
        let file = file.as_object_mut().unwrap();
        for key in ["firstTime", "lastTime"] {
            file.remove(key);
            for chunk in file.get_mut("chunks").and_then(Value::as_array_mut).into_iter().flatten() {
                chunk.as_object_mut().unwrap().remove(key);
            }
        }
        match file.get_mut("timeline") {
            Some(timeline) => timeline["bins"].as_array_mut().unwrap().insert(0, json!([-1, 0])),
            None => _ = file.insert("timeline".to_owned(), json!({ "stepMs": 1000, "bins": [] })),
        }
    }
    let bundle = builder.write();
    let (report, findings) = verified(&bundle);
    assert_eq!((report.verdict, findings.len()), (Verdict::Intact, 0), "{findings:?}");
    assert_eq!(agreed(&bundle).len(), 0);
}
