//! Segments of a history with any rows, and the history that they make.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use patchwork_traces::digest::BundleDigest;
use patchwork_traces::format::Timestamp;
use serde_json::json;

use super::Home;
use super::bundle_builder::BundleBuilder;

/// The time of the first segment: 2026-05-02T10:00:00Z. Each is written an hour after the one before.
const START: i64 = 1_777_716_000_000;

/// Writes segment after segment.
#[derive(Default)]
pub struct Segments {
    number: u64,
    previous: Option<BundleDigest>,
    /// The number of rows of each source, or log, in the segments so far.
    rows: BTreeMap<String, u64>,
}

impl Segments {
    /// Returns the next segment, with these rows of logs. `None` is a log that is absent.
    pub fn next(&mut self, logs: &[(&str, Option<&str>)]) -> (Vec<u8>, BundleDigest) {
        let home = logs.iter().fold(Home::new(), |home, (name, rows)| match name.starts_with("activity") {
            true => home.with_activity(name, rows.unwrap_or_default()),
            false => home.with(name, rows.unwrap_or_default()),
        });
        let mut builder = BundleBuilder::new(&home, 3);
        let manifest = &mut builder.manifest;
        manifest["minor"] = json!(2);
        let time = Timestamp::from_millis(START + i64::try_from(self.number).unwrap() * 3_600_000).unwrap();
        manifest["exportedAt"] = json!(time.to_string());
        manifest["history"] = json!({ "id": "00112233445566778899aabbccddeeff", "segment": self.number });
        if let Some(previous) = self.previous {
            manifest["history"]["previous"] = json!(previous);
        }
        let before = self.rows.clone();
        for file in manifest["files"].as_array_mut().unwrap() {
            let (name, count) = (file["relativePath"].as_str().unwrap().to_owned(), file["count"].as_u64().unwrap());
            let sequence = if name.starts_with("runs") { "runs".to_owned() } else { name.clone() };
            let rows_before = before.get(&sequence).copied();
            let is_absent = logs.iter().any(|(log, rows)| *log == name && rows.is_none());
            let state = match (is_absent, rows_before, count) {
                (true, ..) => "absent",
                (_, None, _) => "first",
                (_, _, 0) => "unchanged",
                _ => "continues",
            };
            file["follows"] =
                json!({ "state": state, "rowsBefore": rows_before.unwrap_or(0), "overlap": 0, "trimmed": 0 });
            if !is_absent {
                file["follows"]["log"] = json!({ "bytes": file["bytes"], "rows": count, "sha256": file["sha256"] });
            }
            *self.rows.entry(sequence).or_default() += count;
        }
        let digest = BundleDigest::of_manifest_line(builder.manifest.to_string().as_bytes());
        (self.number, self.previous) = (self.number + 1, Some(digest));
        (builder.write(), digest)
    }

    /// Writes the next segment into the history in `dir`.
    pub fn add_to(&mut self, dir: &Path, logs: &[(&str, Option<&str>)]) -> PathBuf {
        let number = self.number;
        let (bundle, digest) = self.next(logs);
        let dir = dir.join("segments/2026");
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(format!("{number:09}-{}.jsonl.gz", &digest.to_string()[..16]));
        fs::write(&path, bundle).unwrap();
        path
    }
}

/// Returns a history in `dir` whose rows are equal, move between files and are without line feeds.
pub fn tricky_history(dir: &Path) -> PathBuf {
    let (dir, mut segments) = (dir.join("trace-history"), Segments::default());
    let time = |minutes: i64| START + minutes * 60_000;
    let run = |n: i64| format!("{{\"taskId\":\"t{n}\",\"createdAt\":{}}}\n", time(n));
    let (r0, r1, r2, r3) = (run(0), run(1), run(2), run(3));
    let activity = "{\"tool\":\"read\",\"timestamp\":\"2026-05-02T10:00:30Z\"}\n";
    segments.add_to(
        &dir,
        &[
            ("runs.jsonl", Some(&format!("{r0}{r1}"))),
            ("decision_traces.jsonl", Some("")),
            ("activity-1.jsonl", Some(activity)),
        ],
    );
    segments.add_to(
        &dir,
        &[
            ("runs.jsonl", Some(r1.trim_end())),
            ("decision_traces.jsonl", Some("")),
            ("activity-1.jsonl", Some(activity)),
        ],
    );
    segments.add_to(&dir, &[("runs.jsonl.1", Some(&r2)), ("runs.jsonl", Some(&r3)), ("activity-1.jsonl", None)]);
    segments.add_to(
        &dir,
        &[
            ("runs.jsonl.1", Some("")),
            ("runs.jsonl", Some("torn\n{\"taskId\":\"last\"}\n")),
            ("decision_traces.jsonl", Some("")),
        ],
    );
    dir
}

/// Returns the logs that this history has.
pub fn logs_of_tricky_history() -> BTreeMap<String, Vec<u8>> {
    let time = |minutes: i64| START + minutes * 60_000;
    let run = |n: i64| format!("{{\"taskId\":\"t{n}\",\"createdAt\":{}}}\n", time(n));
    let (r0, r1, r2, r3) = (run(0), run(1), run(2), run(3));
    let activity = "{\"tool\":\"read\",\"timestamp\":\"2026-05-02T10:00:30Z\"}\n";
    BTreeMap::from([
        ("runs.jsonl.1".to_owned(), format!("{r0}{r1}{r1}{r2}").into_bytes()),
        ("runs.jsonl".to_owned(), format!("{r3}torn\n{{\"taskId\":\"last\"}}\n").into_bytes()),
        ("decision_traces.jsonl".to_owned(), Vec::new()),
        ("activity-1.jsonl".to_owned(), activity.repeat(2).into_bytes()),
    ])
}
