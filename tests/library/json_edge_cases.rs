//! Rows that are valid JSON but hard to read, and the timestamps that a bundle takes from them.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::bundle_builder::gzip;
use crate::common::{Home, bundle, indexed, restore_all, sequential, text_of};
use patchwork_traces::Bundle;
use patchwork_traces::error::RowFault;
use patchwork_traces::format::{Envelope, ManifestFile, Timestamp};
use patchwork_traces::internal::classify;

/// Returns the manifest entry of a home's only log.
fn only_file(home: &Home) -> ManifestFile {
    indexed(&bundle(home)).unwrap().manifest().files[0].clone()
}

/// Returns the first and last time of a log, as the manifest has them.
fn times(home: &Home) -> (Option<String>, Option<String>) {
    let file = only_file(home);
    (file.first_time.map(|time| time.to_string()), file.last_time.map(|time| time.to_string()))
}

#[test]
fn only_timestamps_within_the_range_count() {
    for (millis, time) in [
        ("-62135596800000", "0001-01-01T00:00:00.000Z"),
        ("-1", "1969-12-31T23:59:59.999Z"),
        ("253370764799999", "9998-12-31T23:59:59.999Z"),
    ] {
        let home = Home::new().with("runs.jsonl", format!("{{\"createdAt\":{millis}}}\n"));
        assert_eq!(times(&home), (Some(time.to_owned()), Some(time.to_owned())));
    }
    for millis in ["-62135596800001", "253370764800000", "253402300799999", "1e400", "9223372036854775808"] {
        let home = Home::new().with("runs.jsonl", format!("{{\"createdAt\":{millis}}}\n"));
        assert_eq!(times(&home), (None, None), "{millis}");
    }
}

#[test]
fn fractions_of_a_millisecond_are_truncated_towards_1970() {
    let activity = |row: &str| times(&Home::new().with_activity("activity.jsonl", format!("{row}\n"))).0;
    for (written, read) in [
        ("2026-05-02T12:00:00.123999999+02:00", "2026-05-02T10:00:00.123Z"),
        ("2026-05-02T10:00:00Z", "2026-05-02T10:00:00.000Z"),
        ("1969-12-31T23:59:59.9985Z", "1969-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(activity(&format!("{{\"timestamp\":\"{written}\"}}")).as_deref(), Some(read), "{written}");
    }
    let runs = |millis: &str| times(&Home::new().with("runs.jsonl", format!("{{\"createdAt\":{millis}}}\n"))).0;
    for (written, read) in [
        ("1777716000000.9", "2026-05-02T10:00:00.000Z"),
        ("1.777716e12", "2026-05-02T10:00:00.000Z"),
        ("-1.9", "1969-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(runs(written).as_deref(), Some(read), "{written}");
    }
}

#[test]
fn key_without_a_timestamp_does_not_hide_another_key() {
    let time = Some("2026-05-02T10:00:00.000Z".to_owned());
    for row in [
        r#"{"createdAt":null,"timestamp":"2026-05-02T10:00:00.000Z"}"#,
        r#"{"timestamp":"2026-05-02T10:00:00.000Z","createdAt":null}"#,
        r#"{"createdAt":5,"timestamp":"2026-05-02T10:00:00.000Z","createdAt":"x"}"#,
        r#"{"timestamp":"1999-01-01T00:00:00Z","createdAt":5,"createdAt":1777716000000}"#,
    ] {
        let home = Home::new().with("facts.jsonl", format!("{row}\n"));
        assert_eq!(times(&home), (time.clone(), time.clone()), "{row}");
    }
}

#[test]
fn every_reader_ends_lines_at_line_feeds_only() {
    let separators = ["\r", "\u{b}", "\u{c}", "\u{1c}", "\u{1d}", "\u{1e}", "\u{85}", "\u{2028}", "\u{2029}"];
    let rows = separators.map(|separator| format!("{{\"a\":\"x\u{2028}y\"}}{separator}\n{{\"b\":\"{separator}\"}}\n"));
    let log = rows.concat() + "{\"c\":\r1}\ntorn \u{2028}\u{2029}\u{85} \u{b}";
    let bundle = bundle(&Home::new().with("runs.jsonl", &log).with("\u{2028}.jsonl", "{}\n"));
    let text = String::from_utf8(text_of(&bundle)).unwrap();
    assert!(text.contains(r#""entry":{"a":"x\u2028y"},"original""#));
    for separator in separators {
        assert!(!text.contains(separator), "{separator:?} stands unescaped in the bundle");
    }
    assert_eq!(restore_all(indexed(&bundle).unwrap()).unwrap()["runs.jsonl"], log.as_bytes());
}

#[test]
fn only_unpaired_surrogates_are_replaced() {
    for (line, entry) in [
        (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
        (r#""\uD83D\uDE00\ud83d\ude00""#, r#""\uD83D\uDE00\ud83d\ude00""#),
        (r#""\ud83d""#, "\"\u{fffd}\""),
        (r#""\ude00""#, "\"\u{fffd}\""),
        (r#""\ude00\ud83d""#, "\"\u{fffd}\u{fffd}\""),
        (r#""\ud83d\ud83d\ude00\ude00""#, "\"\u{fffd}\\ud83d\\ude00\u{fffd}\""),
        (r#""\ud83dx\ude00""#, "\"\u{fffd}x\u{fffd}\""),
        (r#""\ud83d\n\ude00\u0041""#, "\"\u{fffd}\\n\u{fffd}\\u0041\""),
        (r#""\n\ud83d\\\ude00\"\ud800""#, "\"\\n\u{fffd}\\\\\u{fffd}\\\"\u{fffd}\""),
        (r#""\\ud83d\\\\ude00""#, r#""\\ud83d\\\\ude00""#),
        (
            r#"{"\udfff":["\ud800","\udbff\udc00","\ud7ff\ue000"]}"#,
            "{\"\u{fffd}\":[\"\u{fffd}\",\"\\udbff\\udc00\",\"\\ud7ff\\ue000\"]}",
        ),
    ] {
        assert_eq!(classify(line.as_bytes(), &[]).unwrap().entry, entry, "{line}");
    }
}

#[test]
fn invalid_timestamp_error_explains_the_syntax() {
    for text in ["", "yesterday", "2026-05-02", "9999-01-01T00:00:00Z"] {
        let error = text.parse::<Timestamp>().unwrap_err();
        assert_eq!(error.to_string(), "a time is written as 2026-05-02T10:00:00.000Z");
    }
}

#[test]
fn rows_nest_at_most_128_levels_deep() {
    let nested = |open: &str, close: &str, levels| [open.repeat(levels), "0".to_owned(), close.repeat(levels)].concat();
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[\"[[[[\\\"{{{\",", "]"), ("[\"]\\\"}]\",", "]")] {
        for (levels, is_row) in [(127, true), (128, true), (129, false)] {
            let line = nested(open, close, levels);
            assert_eq!(classify(line.as_bytes(), &[]).is_some(), is_row, "{levels} levels of {open}");
        }
    }
    // Brackets that do not nest add no depth.
    assert!(classify(format!("[{}0]", "[],".repeat(1000)).as_bytes(), &[]).is_some());
}

#[test]
fn invalid_row_error_names_the_fault() {
    for (line, fault) in [
        ("", RowFault::NotJson),
        ("{", RowFault::NotJson),
        (" {\"source\":\"runs\"", RowFault::NotJson),
        ("{\"source\":\"runs\",\"entry\":1,\"\\ud800\":1}", RowFault::NotJson),
        ("row", RowFault::NotJson),
        (" \t\r", RowFault::NotJson),
        ("\u{a0}{}", RowFault::NotJson),
        ("\"row\"", RowFault::NotAnObject),
        (" 1", RowFault::NotAnObject),
        ("[{}]", RowFault::NotAnObject),
        ("{}", RowFault::Source),
        ("{\"source\":1,\"entry\":1}", RowFault::Source),
        ("{\"source\":\"runs\"}", RowFault::Entry),
        ("{\"source\":\"runs\",\"entry\":1,\"file\":null}", RowFault::File),
        ("{\"source\":\"runs\",\"entry\":1,\"original\":null}", RowFault::Original),
        ("{\"source\":\"runs\",\"entry\":1,\"original\":{\"text\":\"\",\"bytes\":\"\"}}", RowFault::Original),
        ("{\"source\":\"runs\",\"entry\":1,\"original\":{\"bytes\":\"eA\"}}", RowFault::Original),
        ("{\"source\":\"runs\",\"source\":\"runs\",\"entry\":1}", RowFault::DuplicateKey),
        ("{\"source\":\"runs\",\"entry\":1,\"original\":{\"text\":\"\"},\"original\":{}}", RowFault::DuplicateKey),
        ("{\"type\":\"manifest\",\"version\":1}", RowFault::Manifest),
    ] {
        assert_eq!(Envelope::decode(line.as_bytes()).unwrap_err(), fault, "{line}");
    }
    assert_eq!(Envelope::decode(b"{\"source\":\"\xff\",\"entry\":1}").unwrap_err(), RowFault::NotJson);
    let row = Envelope::decode(b"{\"x\":1,\"entry\": 1.0 ,\"x\":2,\"source\":\"runs\",\"type\":\"row\"}").unwrap();
    assert_eq!((row.entry(), row.raw_entry().get(), &*row.file_name()), ("1.0", "1.0", "runs.jsonl"));
}

#[test]
fn every_reader_restores_a_row_that_is_much_longer_in_its_bundle() {
    // Each byte that is invalid in UTF-8 takes three bytes in the entry, and four thirds of a byte in base64.
    let log = [&b"{\"a\":\""[..], &[0xff].repeat(1 << 20), b"\"}\n"].concat();
    let bundled = bundle(&Home::new().with("runs.jsonl", &log));
    let longest = text_of(&bundled).split(|byte| *byte == b'\n').map(<[u8]>::len).max();
    assert!(longest > Some(log.len() + (2 << 20)), "{longest:?}");
    let without_table = gzip(&without_chunk_table(&text_of(&bundled)));
    for opened in [indexed(&bundled), sequential(&bundled), indexed(&without_table), sequential(&without_table)] {
        assert!(restore_all(opened.unwrap()).unwrap()["runs.jsonl"] == log);
    }
}

/// Returns the text of a bundle without the chunk table.
fn without_chunk_table(text: &[u8]) -> Vec<u8> {
    let manifest_end = text.iter().position(|byte| *byte == b'\n').unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&text[..manifest_end]).unwrap();
    assert!(manifest["files"][0].as_object_mut().unwrap().remove("chunks").is_some());
    [manifest.to_string().as_bytes(), &text[manifest_end..]].concat()
}

/// A reader that counts its reads.
struct CountedReads<'b>(Cursor<&'b [u8]>, Arc<AtomicU64>);

impl Read for CountedReads<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read(out)
    }
}

impl Seek for CountedReads<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn opening_takes_two_reads_and_neighbouring_chunks_take_one() {
    let row = |n: u64| format!("{{\"n\":{n},\"word\":\"{:016x}\"}}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let log = |rows: std::ops::Range<u64>| rows.map(row).collect::<String>();
    let home = Home::new().with("runs.jsonl", log(0..60_000)).with("decision_traces.jsonl", log(0..100_000));
    let bytes = bundle(&home);
    let counter = Arc::new(AtomicU64::new(0));
    let reads = || counter.load(Ordering::Relaxed);
    let reader = CountedReads(Cursor::new(&bytes), Arc::clone(&counter));
    let bundle = Bundle::from_seekable(reader, "bundle").unwrap();
    assert_eq!(reads(), 2, "the start with the manifest, and the last ten bytes");
    let chunks: Vec<_> =
        bundle.manifest().files.iter().map(|file| file.chunks.iter().map(|chunk| chunk.compressed)).collect();
    let compressed: Vec<Vec<u64>> = chunks.into_iter().map(Iterator::collect).collect();
    assert!(compressed.iter().all(|chunks| chunks.len() > 2), "{compressed:?}");
    let of_source: u64 = compressed[1].iter().sum();
    let mut rows = bundle.rows_of("decision_traces").unwrap();
    let mut count = 0;
    while rows.next_row().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 100_000);
    let expected = of_source.div_ceil(1 << 20);
    assert!(reads() <= 2 + expected + 1, "{} reads of {of_source} bytes", reads());
    assert!((reads() - 2) < compressed[1].len() as u64, "{compressed:?}");
}

#[test]
fn open_bundles_and_their_rows_can_be_sent_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Bundle<'_>>();
    is_send::<patchwork_traces::bundle::Rows<'_>>();
}
