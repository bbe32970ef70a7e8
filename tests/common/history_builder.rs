//! Histories that are written segment by segment, each of which a test can change before it is written.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use patchwork_traces::History;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::format::Timestamp;
use serde_json::{Value, json};

use super::Home;
use super::bundle_builder::BundleBuilder;

pub const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A history under construction.
pub struct HistoryBuilder {
    pub dir: PathBuf,
    pub id: String,
    pub number: u64,
    pub previous: Option<BundleDigest>,
    /// The time between two segments.
    pub interval_ms: u64,
    rows: BTreeMap<String, u64>,
}

impl HistoryBuilder {
    /// Starts a history in `dir`.
    pub fn new(dir: impl AsRef<Path>) -> Self {
        let dir = dir.as_ref().to_owned();
        Self { dir, id: ID.to_owned(), number: 0, previous: None, interval_ms: 3_600_000, rows: BTreeMap::new() }
    }

    /// Writes a history of `segments` segments with one row of `runs` each, and its checkpoint.
    pub fn with_segments(dir: impl AsRef<Path>, segments: u64) -> Self {
        let mut history = Self::new(dir);
        (0..segments).for_each(|_| _ = history.add(1));
        history.write_checkpoint();
        history
    }

    /// Adds a segment with `rows` new rows of `runs`, written an interval after the one before. Returns its path.
    pub fn add(&mut self, rows: u64) -> PathBuf {
        self.add_changed(rows, |_| {})
    }

    /// Adds a segment like [`add`](Self::add), with a change of its manifest.
    pub fn add_changed(&mut self, rows: u64, change: impl FnOnce(&mut Value)) -> PathBuf {
        let time = 1_777_716_000_000 + self.number * self.interval_ms;
        let row = |row: u64| format!("{{\"taskId\":\"{}-{row}\",\"createdAt\":{}}}\n", self.number, time - rows + row);
        let home = Home::new().with("runs.jsonl", (0..rows).map(row).collect::<String>());
        let mut bundle = BundleBuilder::new(&home, 100);
        bundle.manifest["minor"] = json!(2);
        bundle.manifest["exportedAt"] = json!(Timestamp::from_millis(time.cast_signed()).unwrap().to_string());
        bundle.manifest["history"] = json!({ "id": self.id, "segment": self.number });
        if let Some(previous) = self.previous {
            bundle.manifest["history"]["previous"] = json!(previous);
        }
        for file in bundle.manifest["files"].as_array_mut().unwrap() {
            let before = self.rows.entry(file["relativePath"].as_str().unwrap().to_owned()).or_default();
            let state = match (self.number, rows) {
                (0, _) => "first",
                (_, 0) => "unchanged",
                _ => "continues",
            };
            let log = json!({ "bytes": file["bytes"], "rows": file["count"], "sha256": file["sha256"] });
            file["follows"] = json!({ "state": state, "rowsBefore": before, "overlap": 0, "trimmed": 0, "log": log });
            *before += file["count"].as_u64().unwrap();
        }
        change(&mut bundle.manifest);
        self.write(&bundle)
    }

    /// Writes the next segment.
    fn write(&mut self, bundle: &BundleBuilder) -> PathBuf {
        let digest = BundleDigest::of_manifest_line(bundle.manifest.to_string().as_bytes());
        let year = bundle.manifest["exportedAt"].as_str().unwrap()[..4].to_owned();
        let dir = self.dir.join("segments").join(year);
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(format!("{:09}-{}.jsonl.gz", self.number, &digest.to_string()[..16]));
        fs::write(&path, bundle.write()).unwrap();
        self.number += 1;
        self.previous = Some(digest);
        path
    }

    /// Writes the checkpoint of the segments so far.
    pub fn write_checkpoint(&self) {
        let _ = fs::remove_file(self.checkpoint());
        fs::write(self.checkpoint(), History::open(&self.dir).unwrap().checkpoint().to_string()).unwrap();
    }

    /// Returns the path of the checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }

    /// Returns the path of the segment with this number.
    pub fn path(&self, number: u64) -> PathBuf {
        let years = fs::read_dir(self.dir.join("segments")).unwrap().map(|year| year.unwrap().path());
        let mut files = years.flat_map(|year| fs::read_dir(year).unwrap()).map(|file| file.unwrap().path());
        let begin = format!("{number:09}-");
        files.find(|file| file.file_name().unwrap().to_str().unwrap().starts_with(&begin)).unwrap()
    }
}

/// Changes the manifest of a segment to one with a gap of three hours before the rows of `runs`.
pub fn with_gap(manifest: &mut Value) {
    let before: Timestamp = manifest["files"][0]["firstTime"].as_str().unwrap().parse().unwrap();
    let after = Timestamp::from_millis(before.as_millis() - 3 * 3_600_000).unwrap();
    let follows = &mut manifest["files"][0]["follows"];
    let row = follows["rowsBefore"].clone();
    follows["state"] = json!("gap");
    follows["gap"] = json!({ "afterRow": row, "afterTime": after.to_string(), "beforeTime": before.to_string() });
}
