//! The tables of fixtures/conformance/vectors, which need no gzip (FORMAT.md, "Conformance").
//!
//! `UPDATE_CONFORMANCE=1` writes them. tests/readers/second.py, which was written from FORMAT.md, must agree with each.

use data_encoding::BASE64;
use patchwork_traces::format::{Base, Envelope, FileName, LogId, ManifestFile, SourceName, Timeline, Timestamp};
use patchwork_traces::internal::{BlockEncoder, FileBuilder, IntegrityHasher, LogRestorer, classify};
use serde_json::{Value, json};

use super::{directory, sound};

/// Checks a table, or writes it.
fn check(name: &str, vectors: impl Iterator<Item = Value>) {
    let path = directory().join("vectors").join(format!("{name}.json"));
    let lines: Vec<_> = vectors.map(|vector| vector.to_string()).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    if std::env::var_os("UPDATE_CONFORMANCE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap() == text, "{name}.json differs from what the library gives");
}

#[test]
fn lines_give_these_entries() {
    let vector = |line: Vec<u8>| {
        let entry = classify(&line, &[]).map(|row| row.entry.into_owned());
        let original = entry.as_ref().is_some_and(|entry| entry.as_bytes() != line);
        json!({ "lineBase64": BASE64.encode(&line), "entry": entry, "original": original })
    };
    check("entries", sound::entry_lines().into_iter().map(vector));
}

#[test]
fn rows_have_these_times() {
    let numbers = [
        "0",
        "-1",
        "1777716000000",
        "1777716000000.9",
        "-0.9",
        "-1.5",
        "17777160000000e-1",
        "1.7777160000005E12",
        "253370764799999",
        "253370764800000",
        "-62135596800000",
        "-62135596800001",
        "-62135596800000.5",
        "253370764799999.5",
        "1e300",
        "-1e400",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "\"1777716000000\"",
        "null",
        "true",
        "[1777716000000]",
        "-0",
        "-0.0",
        "9007199254740993",
    ];
    let strings = sound::times().into_iter().map(|time| json!(time).to_string());
    let strings = strings.chain([
        "\"2026-05-02T10:00:00\\u005a\"".to_owned(),
        "\"\\ud800\"".to_owned(),
        "1777716000000".to_owned(),
    ]);
    let whole = [
        ("runs", "{\"createdAt\":1,\"createdAt\":2}"),
        ("runs", "{\"createdAt\":1,\"createdAt\":\"x\"}"),
        ("runs", "{\"createdAt\":1,\"createdAt\":null}"),
        ("runs", "{\"createdAt\":1,\"createdAt\":[2]}"),
        ("runs", "{\"created\\u0041t\":3}"),
        ("runs", "{\"timestamp\":\"2026-05-02T10:00:00Z\"}"),
        ("runs", "[{\"createdAt\":1}]"),
        ("runs", "{\"a\":{\"createdAt\":1}}"),
        ("runs", "1"),
        ("activity", "{\"createdAt\":1}"),
        ("other", "{\"createdAt\":1,\"timestamp\":\"2026-05-02T10:00:00Z\"}"),
        ("other", "{\"timestamp\":\"2026-05-02T10:00:00Z\",\"createdAt\":\"x\"}"),
        ("other", "{\"timestamp\":\"2026-05-02T10:00:00Z\",\"createdAt\":1}"),
        ("other", "{\"createdAt\":\"2026-05-02T10:00:00Z\"}"),
        ("decision_traces", "{\"createdAt\":4}"),
        ("commit_issue_links", "{\"createdAt\":5}"),
        ("decision_traces", "{\"timestamp\":\"2026-05-02T10:00:00Z\"}"),
        ("commit_issue_links", "{\"timestamp\":\"2026-05-02T10:00:00Z\"}"),
        ("decision_traces", "{\"timestamp\":\"2026-05-02T10:00:00Z\",\"createdAt\":6}"),
        ("commit_issue_links", "{\"timestamp\":\"2026-05-02T10:00:00Z\",\"createdAt\":7}"),
        ("other", "{\"createdAt\":1,\"createdAt\":\"x\",\"timestamp\":\"2026-05-02T10:00:00Z\"}"),
    ];
    let numbers = numbers.into_iter().map(|number| ("runs", format!("{{\"createdAt\":{number}}}")));
    let strings = strings.map(|string| ("activity", format!("{{\"timestamp\":{string}}}")));
    let all = numbers.chain(strings).chain(whole.map(|(source, entry)| (source, entry.to_owned())));
    // Readers may accept other forms of ISO 8601 or not.
    let vector = |(source, entry): (&str, String)| {
        let row = classify(entry.as_bytes(), sound::keys_of(source)).unwrap();
        let is_certain = !row.time.is_in_other_form || row.time.timestamp.is_none();
        let time = row.time.timestamp.map(Timestamp::as_millis);
        is_certain.then(|| json!({ "source": source, "entry": entry, "time": time }))
    };
    check("times", all.filter_map(vector));
}

#[test]
fn manifest_times_are_these() {
    let vector = |value: &str| json!({ "value": value, "time": value.parse().ok().map(Timestamp::as_millis) });
    check("manifest_times", sound::times().into_iter().map(vector));
}

#[test]
fn rows_give_these_timelines() {
    let day = 86_400_000_i64;
    let series = [
        vec![],
        vec![0],
        vec![-1, 0, 999, 1000],
        (0..64).map(|n| n * 1000).collect(),
        (0..65).map(|n| n * 1000).collect(),
        (0..65).map(|n| n * 1000 - 1).collect(),
        (0..100).map(|n| n * n * 1000).collect(),
        (0..200).map(|n| (n * 7919) % 200 * day).collect(),
        vec![-62_135_596_800_000, 253_370_764_799_999],
        (0..70).map(|n| -62_135_596_800_000 + n * 4_500_000_000_000).collect(),
        (0..130).map(|n| n * 30_000).collect(),
    ];
    // For each step but the last two, use 66 bins of the previous step, so that this step is the finest with at most
    // 64.
    let mut steps = vec![1000];
    while let Some(&step) = steps.last()
        && steps.len() < 26
    {
        steps.push(Timeline::coarser_step(step));
    }
    let for_each_step = steps.windows(2).map(|pair| {
        let step = i64::try_from(pair[0]).unwrap();
        (0..66).map(|n| -62_135_596_800_000 + n * step).collect::<Vec<_>>()
    });
    let fits = |times: &Vec<i64>| times.iter().all(|time| Timestamp::from_millis(*time).is_some());
    let series = series.into_iter().chain(for_each_step.filter(fits));
    let vector = |times: Vec<i64>| {
        let log: String = times.iter().map(|time| format!("{{\"createdAt\":{time}}}\n")).collect();
        let id = LogId {
            source: SourceName::new("runs").unwrap(),
            name: FileName::new("runs.jsonl").unwrap(),
            base: Base::Patchwork,
        };
        let mut file = FileBuilder::new(id.clone());
        file.push(
            BlockEncoder::new(&id, sound::keys_of("runs"), log.as_bytes()).encode(log.as_bytes()).unwrap().record,
            [],
        )
        .unwrap();
        json!({ "times": times, "timeline": file.finish(IntegrityHasher::default().finish()).timeline })
    };
    check("timelines", series.map(vector));
}

#[test]
fn rows_restore_to_these_logs() {
    let rows = |entries: &[&str]| -> Vec<String> {
        entries.iter().map(|entry| format!("{{\"source\":\"runs\",\"entry\":{entry}}}")).collect()
    };
    let cases = [
        (json!({ "lineEnding": "lf", "finalNewline": true }), rows(&[])),
        (json!({ "lineEnding": "lf", "finalNewline": true }), rows(&["1", "2"])),
        (json!({ "lineEnding": "lf", "finalNewline": false }), rows(&["1", "2"])),
        (json!({ "lineEnding": "crlf", "finalNewline": true }), rows(&["1", "2"])),
        (json!({ "lineEnding": "crlf", "finalNewline": false }), rows(&["1", "2,\"original\":{\"text\":\"2\\r\"}"])),
        (
            json!({ "lineEnding": "crlf", "finalNewline": true, "unparsed": [{ "line": 1, "text": "a\nb\r" }, { "line": 4, "text": "" }] }),
            rows(&["1", "2"]),
        ),
        (
            json!({ "lineEnding": "lf", "finalNewline": false, "unparsed": [{ "line": 1, "text": "" }, { "line": 2, "bytes": "AA==" }, { "line": 5, "bytes": "Cgo=" }] }),
            rows(&["1", "2"]),
        ),
        (
            json!({ "lineEnding": "crlf", "finalNewline": false, "unparsed": [{ "line": 3, "text": "torn" }] }),
            rows(&["1", "2"]),
        ),
        (json!({ "lineEnding": "lf", "finalNewline": true, "unparsed": [{ "line": 1, "text": "only\n" }] }), rows(&[])),
        (json!({ "lineEnding": "lf", "finalNewline": false, "unparsed": [{ "line": 1, "text": "only" }] }), rows(&[])),
        (
            json!({ "lineEnding": "lf", "finalNewline": true }),
            rows(&[" [1, 2] ", "\t1.0\r", "\"\\ud83e\\udd80\"", "1,\"original\":{\"bytes\":\"/wo=\"}"]),
        ),
    ];
    let vector = |(mut file, rows): (Value, Vec<String>)| {
        for (key, value) in [
            ("source", json!("runs")),
            ("relativePath", json!("runs.jsonl")),
            ("base", json!("patchwork")),
            ("count", json!(rows.len())),
            ("bytes", json!(0)),
            ("sha256", json!("0".repeat(64))),
        ] {
            file[key] = value;
        }
        let log = {
            let file: ManifestFile = serde_json::from_value(file.clone()).unwrap();
            let (mut restorer, mut log) = (LogRestorer::new(&file), Vec::new());
            for row in &rows {
                restorer.push_row(&Envelope::decode(row.as_bytes()).unwrap(), &mut log);
            }
            restorer.finish(&mut log);
            log
        };
        let kept: Vec<_> = file
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| ["lineEnding", "finalNewline", "unparsed"].contains(&key.as_str()))
            .collect();
        let file: serde_json::Map<_, _> = kept.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        json!({ "file": file, "rows": rows, "logBase64": BASE64.encode(&log) })
    };
    check("restore", cases.into_iter().map(vector));
}
