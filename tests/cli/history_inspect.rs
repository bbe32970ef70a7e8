//! `inspect` of histories as a program.

use std::fs;

use serde_json::json;

use crate::common::history_builder::{HistoryBuilder, with_gap};
use crate::common::program::{command, run};
use crate::json_output::expect_valid;

/// A history of thirty hourly segments from two machine names, with two gaps.
fn history(dir: &tempfile::TempDir) -> HistoryBuilder {
    let mut history = HistoryBuilder::new(dir.path().join("h"));
    for segment in 0..30_u64 {
        history.add_changed(segment % 4, |manifest| {
            manifest["label"] = json!(if segment < 20 { "laptop" } else { "desk" });
            if segment == 2 || segment == 17 {
                with_gap(manifest);
            }
        });
    }
    history.write_checkpoint();
    history
}

#[test]
fn a_history_is_shown_at_a_glance() {
    let dir = tempfile::tempdir().unwrap();
    history(&dir);
    let shown = |now: &str, columns: &str| {
        let mut command = command(dir.path(), &["inspect", "h"]);
        let output = command.env("SOURCE_DATE_EPOCH", now).env("COLUMNS", columns).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    // 2 hours after the last run, ten years after it, and before it.
    let last = 1_777_716_000 + 29 * 3600;
    let text = shown(&(last + 7200).to_string(), "100");
    let late = shown(&(last + 315_576_000).to_string(), "60");
    let early = shown("1777716000", "100");
    assert!(early.contains("in the future: check the clock"), "{early}");
    assert!(late.contains("was due by"), "{late}");
    insta::assert_snapshot!(format!("{text}\n{}\n{late}", "=".repeat(60)));
}

#[test]
fn json_has_every_number_of_a_history() {
    let dir = tempfile::tempdir().unwrap();
    let history = history(&dir);
    let json = run(dir.path(), &["inspect", "h", "--json"]).json();
    expect_valid("inspect-history", &json);
    assert_eq!(json["segments"], 30);
    assert_eq!(json["labels"], json!(["laptop", "desk"]));
    assert_eq!((&json["totalRows"], &json["complete"]), (&json!(43), &json!(false)));
    assert_eq!(json["sources"][0]["gaps"], 2);
    let gaps: Vec<_> = json["gaps"].as_array().unwrap().iter().map(|gap| (&gap["segment"], &gap["file"])).collect();
    assert_eq!(gaps, [(&json!(2), &json!("runs.jsonl")), (&json!(17), &json!("runs.jsonl"))]);
    let checkpoint = fs::read_to_string(history.checkpoint()).unwrap();
    assert_eq!(json["treeHead"].as_str(), checkpoint.lines().nth(2));
    // The chart counts every row.
    let counted = |source: &serde_json::Value| -> u64 {
        source["rows"].as_array().unwrap().iter().map(|rows| rows.as_u64().unwrap()).sum()
    };
    assert_eq!(json["timeline"]["sources"].as_array().unwrap().iter().map(counted).sum::<u64>(), 43);
}

#[test]
fn a_history_of_one_segment_has_no_rate() {
    let dir = tempfile::tempdir().unwrap();
    HistoryBuilder::with_segments(dir.path().join("h"), 1);
    let json = run(dir.path(), &["inspect", "h", "--json"]).json();
    expect_valid("inspect-history", &json);
    assert!(json["rate"].is_null() && json["pace"].is_null() && json["due"].is_null(), "{json}");
    assert_eq!(json["complete"], true);
}

#[test]
fn a_directory_that_is_not_a_sound_history_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let history = HistoryBuilder::with_segments(dir.path().join("h"), 4);
    fs::create_dir(dir.path().join("photos")).unwrap();
    fs::remove_file(history.path(2)).unwrap();
    let mut text = String::new();
    for name in ["photos", "h"] {
        let refused = run(dir.path(), &["inspect", name]);
        assert_eq!((refused.code, refused.text().as_str()), (1, ""));
        text += &refused.stderr;
    }
    insta::assert_snapshot!(text);
}
