//! Each rule of FORMAT.md, "Manifest", is tested at its limit and one step beyond. Violations have the expected
//! messages.

use std::num::NonZeroUsize;

use patchwork_traces::ErrorKind;
use patchwork_traces::error::{Contradiction, ManifestFault};
use patchwork_traces::format::limits::{MAX_CHUNK_BYTES, MAX_COUNT, MAX_FILES};
use patchwork_traces::format::{Base, Manifest};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::verify::{FindingKind, VerifyOptions, verify};
use serde_json::{Value, json};

/// Returns the manifest of an empty log, and of a log with three rows in two chunks and two unparsed lines (2 and 3).
fn valid() -> Value {
    let sha256 = "0".repeat(64);
    json!({
        "type": "manifest", "version": 1, "minor": 1, "generator": "tests", "exportedAt": "2026-05-02T10:00:00.000Z",
        "sources": ["decision_traces", "runs"],
        "files": [
            {
                "source": "runs", "relativePath": "runs.jsonl", "base": "patchwork", "count": 3, "bytes": 100,
                "sha256": sha256, "lineEnding": "lf", "finalNewline": true,
                "timeline": { "stepMs": 1000, "bins": [[-1, 1], [5, 2]] },
                "unparsed": [{ "line": 2, "text": "x\ny" }],
                "chunks": [
                    { "compressed": 30, "bytes": 60, "rows": 2, "crc32": "00000000" },
                    { "compressed": 30, "bytes": 40, "rows": 1, "crc32": "00000000" },
                ],
            },
            {
                "source": "decision_traces", "relativePath": "decision_traces.jsonl", "base": "patchwork", "count": 0,
                "bytes": 0, "sha256": sha256, "lineEnding": "lf", "finalNewline": true,
            },
        ],
        "totalCount": 3,
    })
}

fn decoded(manifest: &Value) -> Result<Manifest, ErrorKind> {
    Manifest::decode(manifest.to_string().as_bytes()).map(Option::unwrap)
}

/// Returns the faults of the manifest with these values at these paths.
fn faults(changes: &[(&str, Value)]) -> Vec<String> {
    let mut manifest = valid();
    for (pointer, value) in changes {
        *manifest.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value.clone();
    }
    match decoded(&manifest) {
        Ok(manifest) => manifest.faults().iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    }
}

fn assert_valid(changes: &[(&str, Value)]) {
    assert_eq!(faults(changes), Vec::<String>::new(), "{changes:?}");
}

fn assert_invalid(changes: &[(&str, Value)], fault: &str) {
    let found = faults(changes);
    assert!(found.iter().any(|found| found.contains(fault)), "{changes:?} gives {found:?}, not {fault:?}");
}

#[test]
fn chunk_sizes_are_limited() {
    assert_valid(&[]);
    let size = "chunk 2 of \"runs.jsonl\" declares an impossible size";
    for (key, least, most) in [("bytes", 25, MAX_CHUNK_BYTES), ("compressed", 1, 2 * MAX_CHUNK_BYTES)] {
        for (number, is_sound) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
            let pointer = format!("/files/0/chunks/1/{key}");
            match is_sound {
                true => assert_valid(&[(&pointer, json!(number))]),
                false => assert_invalid(&[(&pointer, json!(number))], size),
            }
        }
    }
    // Two rows take at least twice the bytes of the shortest row.
    assert_valid(&[("/files/0/chunks/0/bytes", json!(50))]);
    assert_invalid(&[("/files/0/chunks/0/bytes", json!(49))], "chunk 1 of \"runs.jsonl\" declares an impossible size");
    // Every chunk has rows, and the chunks have as many rows as the log.
    let all_in_first = [("/files/0/chunks/0/rows", json!(3)), ("/files/0/chunks/0/bytes", json!(75))];
    assert_invalid(&[&all_in_first[..], &[("/files/0/chunks/1/rows", json!(0))]].concat(), size);
    assert_invalid(&[("/files/0/chunks/1/rows", json!(2))], "\"runs.jsonl\" has 3 rows, but its chunks have 4");
    assert_valid(&[("/files/0/chunks", json!([]))]);
}

#[test]
fn unparsed_lines_are_in_order_and_within_the_log() {
    // The log has five lines: three rows and two unparsed lines.
    let pointer = "/files/0/unparsed";
    for line in 1..=4 {
        assert_valid(&[("/files/0/unparsed/0/line", json!(line))]);
    }
    let broken = |line: u64| format!("the unparsed lines of \"runs.jsonl\" are out of order at line {line}");
    for line in [0, 5, MAX_COUNT] {
        assert_invalid(&[("/files/0/unparsed/0/line", json!(line))], &broken(line));
    }
    assert_valid(&[(
        pointer,
        json!([{ "line": 1, "text": "" }, { "line": 2, "text": "" }, { "line": 5, "text": "" }]),
    )]);
    assert_invalid(&[(pointer, json!([{ "line": 2, "text": "\n" }, { "line": 3, "text": "" }]))], &broken(3));
    assert_invalid(&[(pointer, json!([{ "line": 3, "text": "" }, { "line": 1, "text": "" }]))], &broken(1));
}

#[test]
fn log_has_at_least_one_byte_per_line() {
    let wrong = "declares an impossible number of bytes";
    assert_valid(&[("/files/0/bytes", json!(5))]);
    assert_invalid(&[("/files/0/bytes", json!(4))], &format!("\"runs.jsonl\" {wrong}"));
    assert_invalid(&[("/files/1/bytes", json!(1))], &format!("\"decision_traces.jsonl\" {wrong}"));
    assert_invalid(&[("/files/1/finalNewline", json!(false))], &format!("\"decision_traces.jsonl\" {wrong}"));
    assert_valid(&[("/files/0/finalNewline", json!(false))]);
}

#[test]
fn timeline_bins_are_in_order_and_count_at_most_the_rows_of_the_log() {
    let wrong = "\"runs.jsonl\" declares an impossible timeline";
    let bins = "/files/0/timeline/bins";
    let step = "/files/0/timeline/stepMs";
    assert_valid(&[(bins, json!([]))]);
    assert_valid(&[(bins, json!([[0, 0], [1, 3]]))]);
    assert_invalid(&[(bins, json!([[0, 1], [1, 3]]))], wrong);
    assert_invalid(&[(bins, json!([[1, 1], [0, 1]]))], wrong);
    assert_invalid(&[(bins, json!([[0, 1], [0, 1]]))], wrong);
    assert_invalid(&[(bins, json!([[0, MAX_COUNT], [1, MAX_COUNT]]))], wrong);
    assert_invalid(&[(step, json!(1001))], wrong);
    let many = |bins: u64| json!((0..bins).map(|bin| [bin, 0]).collect::<Vec<_>>());
    assert_valid(&[(bins, many(64))]);
    assert_invalid(&[(bins, many(65))], wrong);
    // The start of a bin fits into 64 bits.
    assert_valid(&[(bins, json!([[i64::MIN / 1000, 0], [i64::MAX / 1000, 0]]))]);
    assert_invalid(&[(bins, json!([[0, 1], [i64::MAX / 1000 + 1, 0]]))], wrong);
    assert_invalid(&[(bins, json!([[i64::MIN / 1000 - 1, 0], [0, 1]]))], wrong);
}

#[test]
fn timeline_stays_within_the_years_0001_to_9998() {
    let wrong = "\"runs.jsonl\" declares an impossible timeline";
    let day = 24 * 60 * 60 * 1000_i64;
    for step in [1000, 10 * 60 * 1000, day, 512 * day, 262_144 * day] {
        let (first, last) = ((-62_135_596_800_000_i64).div_euclid(step), 253_370_764_799_999_i64.div_euclid(step));
        let with = |bins| [("/files/0/timeline/stepMs", json!(step)), ("/files/0/timeline/bins", bins)];
        assert_valid(&with(json!([[first, 1], [last, 1]])));
        assert_valid(&with(json!([[first - 1, 0], [last, 1], [last + 1, 0]])));
        assert_invalid(&with(json!([[first - 1, 1]])), wrong);
        assert_invalid(&with(json!([[last + 1, 1]])), wrong);
    }
}

#[test]
fn total_count_stays_within_exact_json_numbers() {
    let first = ("/files/0/count", json!(MAX_COUNT));
    let chunks = ("/files/0/chunks", json!([]));
    let bytes = ("/files/0/bytes", json!(MAX_COUNT));
    let unparsed = ("/files/0/unparsed", json!([]));
    let all = [first, chunks, bytes, unparsed];
    assert_valid(&[&all[..], &[("/totalCount", json!(MAX_COUNT))]].concat());
    let one_more = [("/files/1/count", json!(1)), ("/files/1/bytes", json!(9)), ("/totalCount", json!(MAX_COUNT))];
    assert_invalid(&[&all[..], &one_more].concat(), "its numbers overflow when added up");
    assert_invalid(&[("/totalCount", json!(4))], "`totalCount` is 4, but the counts of the files add up to 3");
    let rows = ("/files/0/chunks/0/rows", json!(MAX_COUNT));
    assert_invalid(&[rows], "its numbers overflow when added up");
}

#[test]
fn file_names_are_unique_within_a_source_and_a_directory() {
    let name = |name: &str| ("/files/1/relativePath", json!(name));
    let source = |source: &str| [("/files/1/source", json!(source)), ("/sources", json!(["runs"]))];
    let activity = ("/files/1/base", json!("activity"));
    let twice = "it lists the file \"runs.jsonl\" twice";
    assert_valid(&[name("runs.jsonl"), activity.clone()]);
    assert_invalid(&[name("runs.jsonl")], twice);
    assert_invalid(&[&source("runs")[..], &[name("runs.jsonl"), activity]].concat(), twice);
    assert_invalid(&[("/sources", json!(["runs", "decision_traces"]))], "`sources` is not the sorted list");
}

#[test]
fn names_are_single_path_components_of_at_most_255_bytes() {
    let named = |name: String| faults(&[("/files/0/relativePath", json!(name))]);
    for name in ["x".repeat(255), "ä".repeat(127), "...".to_owned(), " ".to_owned()] {
        assert!(named(name.clone()).is_empty(), "{name}");
    }
    for name in ["x".repeat(256), "ä".repeat(128), ".".to_owned(), "..".to_owned(), String::new()]
        .into_iter()
        .chain(["a/b", "a\\b", "a\0", "\u{1f}", "\u{7f}", "\u{9f}"].map(str::to_owned))
    {
        assert_eq!(named(name.clone()).len(), 1, "{name:?}");
    }
}

#[test]
fn log_of_a_1_0_bundle_belongs_to_the_directory_of_its_source() {
    for (source, base) in [("activity", Base::Activity), ("runs", Base::Patchwork), ("x", Base::Patchwork)] {
        let mut manifest = valid();
        manifest["files"][1]["source"] = json!(source);
        manifest["files"][1].as_object_mut().unwrap().remove("base");
        assert_eq!(decoded(&manifest).unwrap().files[1].base(), base, "{source}");
    }
    assert_eq!([Base::Activity, Base::Patchwork].map(|base| base.to_string()), ["activity", "patchwork"]);
}

#[test]
fn keys_added_in_1_1_are_required_since_1_1() {
    for key in ["base", "sha256", "lineEnding", "finalNewline"] {
        let mut manifest = valid();
        manifest["files"][1].as_object_mut().unwrap().remove(key);
        let faults = decoded(&manifest).unwrap().faults();
        assert_eq!(faults, [ManifestFault::Missing { path: format!("files[1].{key}") }]);
        manifest.as_object_mut().unwrap().remove("minor");
        // With minor version 0, the other keys of 1.1 are faults, but no key is missing.
        let is_later = |fault: &ManifestFault| {
            matches!(fault, ManifestFault::Contradiction(Contradiction::LaterKey { since: 1, minor: 0, .. }))
        };
        assert!(decoded(&manifest).unwrap().faults().iter().all(is_later), "{key} is not a key of 1.0");
    }
    let mut manifest = valid();
    manifest.as_object_mut().unwrap().remove("generator");
    assert_eq!(decoded(&manifest).unwrap().faults(), [ManifestFault::Missing { path: "generator".to_owned() }]);
}

/// Returns the decoding error of a manifest with this value at this path.
fn refusal(pointer: &str, value: Value) -> String {
    let mut manifest = valid();
    *manifest.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    decoded(&manifest).unwrap_err().to_string()
}

#[test]
fn wrong_value_error_names_the_value_and_the_expected_one() {
    let count = "a whole number from 0 to 9007199254740991";
    let time = "a time such as \"2026-05-02T10:00:00.000Z\"";
    let (name, list) = ("a plain name, without a path", "a list");
    let mut described = valid();
    described["files"][0]["firstTime"] = json!("2026-05-02T10:00:00.000Z");
    for (pointer, value, path, expected) in [
        ("/minor", json!(-1), "minor", count),
        ("/generator", json!(1), "generator", "a string"),
        ("/exportedAt", json!("soon"), "exportedAt", time),
        ("/sources", json!({}), "sources", list),
        ("/sources/0", json!("a/b"), "sources[0]", name),
        ("/files", json!(1), "files", list),
        ("/files/1", json!(1), "files[1]", "an object without duplicate keys"),
        ("/totalCount", json!(0.5), "totalCount", count),
        ("/files/0/source", json!(".."), "files[0].source", name),
        ("/files/0/relativePath", json!("/runs"), "files[0].relativePath", "a plain file name, without a path"),
        ("/files/0/base", json!("home"), "files[0].base", "\"patchwork\" or \"activity\""),
        ("/files/0/count", json!("3"), "files[0].count", count),
        ("/files/0/bytes", json!(MAX_COUNT + 1), "files[0].bytes", count),
        ("/files/0/sha256", json!("0"), "files[0].sha256", "64 hexadecimal digits"),
        ("/files/0/lineEnding", json!("cr"), "files[0].lineEnding", "\"lf\" or \"crlf\""),
        ("/files/0/finalNewline", json!(1), "files[0].finalNewline", "true or false"),
        ("/files/0/timeline", json!(1), "files[0].timeline", "an object with `stepMs` and `bins`"),
        ("/files/0/timeline/stepMs", json!("1 s"), "files[0].timeline.stepMs", count),
        ("/files/0/timeline/bins", json!(1), "files[0].timeline.bins", list),
        ("/files/0/timeline/bins/1", json!([1]), "files[0].timeline.bins[1]", "a pair of whole numbers"),
        ("/files/0/unparsed", json!(1), "files[0].unparsed", list),
        ("/files/0/chunks", json!({}), "files[0].chunks", list),
        ("/files/0/chunks/1", json!("x"), "files[0].chunks[1]", "an object without duplicate keys"),
        ("/files/0/chunks/1/compressed", json!(-1), "files[0].chunks[1].compressed", count),
        ("/files/0/chunks/1/bytes", json!(-1), "files[0].chunks[1].bytes", count),
        ("/files/0/chunks/1/rows", json!(-1), "files[0].chunks[1].rows", count),
        ("/files/0/chunks/1/crc32", json!("0000000g"), "files[0].chunks[1].crc32", "8 hexadecimal digits"),
    ] {
        let found = value.to_string();
        let message = format!("invalid `{path}` in the manifest: expected {expected}, found {found}");
        assert_eq!(refusal(pointer, value), message);
    }
    let unparsed = "an object with `line` and either `text` or base64 `bytes`";
    for lines in
        [json!({ "line": 1 }), json!({ "line": 1, "bytes": "x" }), json!({ "line": 1, "text": "", "bytes": "" })]
    {
        let message = format!("invalid `files[0].unparsed[0]` in the manifest: expected {unparsed}, found {lines}");
        assert_eq!(refusal("/files/0/unparsed/0", lines), message);
    }
    for (key, expected) in [("firstTime", time), ("lastTime", time)] {
        let mut manifest = valid();
        manifest["files"][0][key] = json!(5);
        let message = format!("invalid `files[0].{key}` in the manifest: expected {expected}, found 5");
        assert_eq!(decoded(&manifest).unwrap_err().to_string(), message);
        let mut manifest = valid();
        manifest["files"][0]["chunks"][0][key] = json!(5);
        let message = format!("invalid `files[0].chunks[0].{key}` in the manifest: expected {expected}, found 5");
        assert_eq!(decoded(&manifest).unwrap_err().to_string(), message);
    }
}

#[test]
fn missing_key_error_names_the_key() {
    for (object, path, keys) in [
        ("", "", &["version", "exportedAt", "sources", "files", "totalCount"][..]),
        ("/files/0", "files[0].", &["source", "relativePath", "count", "bytes"]),
        ("/files/0/timeline", "files[0].timeline.", &["stepMs", "bins"]),
        ("/files/0/unparsed/0", "files[0].unparsed[0].", &["line"]),
        ("/files/0/chunks/1", "files[0].chunks[1].", &["compressed", "bytes", "rows", "crc32"]),
    ] {
        for key in keys {
            let mut manifest = valid();
            manifest.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(*key);
            let message = format!("the manifest lacks `{path}{key}`");
            assert_eq!(decoded(&manifest).unwrap_err().to_string(), message);
        }
    }
}

/// Returns the findings of verify about an unreadable manifest.
fn listed(manifest: &Value) -> Vec<String> {
    let options = VerifyOptions::default().threads(NonZeroUsize::MIN);
    let mut found = Vec::new();
    let text = format!("{manifest}\n");
    verify(text.as_bytes(), "bundle", &options, &NoProgress, &mut |finding| found.push(finding.kind)).unwrap();
    let faults = found.into_iter().filter_map(|kind| match kind {
        FindingKind::Manifest(fault) => Some(fault.to_string()),
        _ => None,
    });
    faults.collect()
}

#[test]
fn manifest_lists_at_most_100_000_logs_and_sources() {
    /// Decodes a manifest that lists one log `files` times and its source `sources` times.
    fn of_lists(files: usize, sources: usize, total: Value) -> Result<Manifest, ErrorKind> {
        let mut manifest = valid();
        let file = manifest["files"][1].to_string();
        (manifest["files"], manifest["sources"]) = (json!("FILES"), json!("SOURCES"));
        manifest["totalCount"] = total;
        let list = |item: &str, items: usize| format!("[{}]", vec![item; items].join(","));
        let line = manifest.to_string().replace("\"FILES\"", &list(&file, files));
        Manifest::decode(line.replace("\"SOURCES\"", &list("\"runs\"", sources)).as_bytes()).map(Option::unwrap)
    }
    const MAX_LISTED: usize = MAX_FILES;
    for (files, sources) in [(MAX_LISTED, 1), (1, MAX_LISTED)] {
        let manifest = of_lists(files, sources, json!(0)).unwrap();
        assert_eq!((manifest.files.len(), manifest.sources.len()), (files, sources));
        // At the limit, other faults are reported as usual.
        assert!(matches!(of_lists(files, sources, json!("x")), Err(ErrorKind::Manifest(_))));
        assert!(manifest.encode().is_ok());
    }
    for (files, sources) in
        [(MAX_LISTED + 1, 1), (1, MAX_LISTED + 1), (MAX_LISTED + 2, MAX_LISTED), (MAX_LISTED, MAX_LISTED + 2)]
    {
        assert!(matches!(of_lists(files, sources, json!(0)), Err(ErrorKind::TooManyLogs { limit: MAX_FILES })));
    }
    let mut one_more = of_lists(MAX_LISTED, 1, json!(0)).unwrap();
    one_more.files.extend_from_within(..1);
    assert!(matches!(one_more.encode(), Err(ErrorKind::TooManyLogs { limit: MAX_FILES })));
}

#[test]
fn verify_lists_only_the_first_fault_of_a_manifest_over_4_mib() {
    let listed_of_length = |bytes: usize| {
        let mut manifest = valid();
        (manifest["files"][0]["count"], manifest["files"][1]["count"]) = (json!("x"), json!("x"));
        manifest["pad"] = json!("");
        let around = manifest.to_string().len();
        manifest["pad"] = json!("x".repeat(bytes - around));
        assert_eq!(manifest.to_string().len(), bytes);
        listed(&manifest).len()
    };
    assert_eq!(listed_of_length(4 << 20), 2);
    assert_eq!(listed_of_length((4 << 20) + 1), 1);
}

#[test]
fn verify_lists_every_fault_of_a_malformed_manifest() {
    let mut manifest = valid();
    let wrong = [
        "/generator",
        "/exportedAt",
        "/sources/0",
        "/sources/1",
        "/files/0/source",
        "/files/0/relativePath",
        "/files/0/base",
        "/files/0/count",
        "/files/0/bytes",
        "/files/0/sha256",
        "/files/0/lineEnding",
        "/files/0/finalNewline",
        "/files/0/timeline/stepMs",
        "/files/0/unparsed/0/text",
        "/files/0/chunks/0/compressed",
        "/files/0/chunks/0/bytes",
        "/files/0/chunks/0/rows",
        "/files/0/chunks/0/crc32",
        "/files/0/chunks/1",
        "/totalCount",
    ];
    for pointer in wrong {
        *manifest.pointer_mut(pointer).unwrap() = json!([]);
    }
    assert_eq!(listed(&manifest).len(), wrong.len(), "{:#?}", listed(&manifest));
    // The length of the line makes no difference.
    let length = manifest.to_string().len();
    manifest["x-padding"] = json!("x".repeat(4096 - length - r#","x-padding":"""#.len()));
    assert_eq!(manifest.to_string().len(), 4096);
    assert_eq!(listed(&manifest).len(), wrong.len());
    // Each kind of fault is also found after a fault of every other kind.
    for first in
        ["/exportedAt", "/sources", "/files/0", "/files/0/unparsed", "/files/0/unparsed/0/line", "/files/0/chunks"]
    {
        let mut manifest = valid();
        *manifest.pointer_mut(first).unwrap() = json!("x");
        manifest["totalCount"] = json!("x");
        let last =
            "invalid `totalCount` in the manifest: expected a whole number from 0 to 9007199254740991, found \"x\"";
        let found = listed(&manifest);
        assert_eq!(found.len(), 2, "{first}: {found:#?}");
        assert_eq!(found[1], last, "{first}");
    }
    let required = [
        ("", vec!["exportedAt", "sources", "files"]),
        ("/files/0", vec!["source", "relativePath", "count", "bytes"]),
        ("/files/0/unparsed/0", vec!["line"]),
        ("/files/0/chunks/0", vec!["compressed", "bytes", "rows", "crc32"]),
    ];
    for (object, keys) in required {
        let mut manifest = valid();
        manifest["totalCount"] = json!("x");
        for key in &keys {
            manifest.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(*key);
        }
        assert_eq!(listed(&manifest).len(), keys.len() + 1, "{object}: {:#?}", listed(&manifest));
    }
}

#[test]
fn other_json_is_distinguished_from_a_manifest() {
    let decode = |line: &str| Manifest::decode(line.as_bytes());
    assert!(matches!(decode("{\"type\":\"manifest\""), Ok(None)), "no JSON");
    assert!(matches!(decode("[1]"), Err(ErrorKind::NotAManifest)));
    assert!(matches!(decode("{\"source\":\"runs\",\"entry\":1}"), Err(ErrorKind::RowBeforeManifest)));
    for other in ["{\"source\":\"runs\"}", "{\"entry\":1}", "{}", "{\"type\":\"Manifest\"}", "{\"type\":1}"] {
        assert!(matches!(decode(other), Err(ErrorKind::NotAManifest)), "{other}");
    }
    for version in ["2", "0", "\"1\"", "1.0", "-1"] {
        let line = valid().to_string().replacen("\"version\":1", &format!("\"version\":{version}"), 1);
        let Err(ErrorKind::UnsupportedVersion { found, supported: 1 }) = decode(&line) else { panic!("{version}") };
        assert_eq!(found, version);
    }
}

#[test]
fn chunks_are_independent_if_every_row_is_in_one() {
    let manifest = |changes: &[(&str, Value)]| {
        let mut manifest = valid();
        for (pointer, value) in changes {
            *manifest.pointer_mut(pointer).unwrap() = value.clone();
        }
        decoded(&manifest).unwrap()
    };
    assert!(manifest(&[]).has_chunk_table());
    assert!(!manifest(&[("/minor", json!(0))]).has_chunk_table(), "1.0 has none");
    assert!(!manifest(&[("/files/0/chunks", json!([]))]).has_chunk_table(), "rows without chunks");
    assert!(manifest(&[("/files/0/chunks", json!([])), ("/files/0/count", json!(0))]).has_chunk_table());
}

#[test]
fn unknown_keys_are_ignored_in_every_object() {
    let unknown = format!(r#""x-number":1e400,"x-half":"\ud800","x-deep":{}{},"#, "[".repeat(1000), "]".repeat(1000));
    let manifest = valid().to_string().replace('{', &format!("{{{unknown}"));
    assert_eq!(
        manifest.matches("x-deep").count(),
        7,
        "the manifest, its two files, timeline, chunks and unparsed line"
    );
    let read = Manifest::decode(manifest.as_bytes()).unwrap().unwrap();
    assert_eq!(read, decoded(&valid()).unwrap());
}

#[test]
fn total_bytes_stay_within_exact_json_numbers() {
    assert_valid(&[("/files/0/bytes", json!(MAX_COUNT))]);
    let files = [("/files/0/bytes", json!(MAX_COUNT)), ("/files/1/bytes", json!(1))];
    assert_invalid(&files, "its numbers overflow when added up");
}

#[test]
fn bytes_of_an_unparsed_line_are_one_base64_string() {
    let with = |bytes: &str| {
        let mut manifest = valid();
        manifest["files"][0]["unparsed"] = json!([{ "line": 2, "bytes": bytes }]);
        decoded(&manifest).map(|manifest| manifest.files[0].unparsed[0].content.as_bytes().to_vec())
    };
    assert_eq!(with("QmI=").unwrap(), b"Bb");
    for piece in ["Qg==QmI=", "Qg==Qg==", "QmJ=", "Qg=", "Qg", "Q===", "QmI=\n", "Qm I=", "Qm-_"] {
        assert!(with(piece).is_err(), "{piece:?}");
    }
}
