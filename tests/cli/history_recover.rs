//! `recover` of histories, and of single segments, as a program.

use std::fs;

use serde_json::json;

use crate::common::history_builder::HistoryBuilder;
use crate::common::program::{Run, run};
use crate::json_output::expect_valid;

/// A history of seven segments with 0 to 6 rows.
fn history(dir: &tempfile::TempDir) -> HistoryBuilder {
    let mut history = HistoryBuilder::new(dir.path().join("h"));
    (0..7).for_each(|rows| _ = history.add_changed(rows, |manifest| manifest["label"] = json!("laptop")));
    history.write_checkpoint();
    history
}

/// Returns the rows of a bundle or history, one per line.
fn rows(dir: &tempfile::TempDir, name: &str) -> Vec<String> {
    let printed = run(dir.path(), &["cat", name]);
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    printed.text().lines().map(str::to_owned).collect()
}

fn recover(dir: &tempfile::TempDir) -> Run {
    run(dir.path(), &["recover", "h", "-fo", "new.gz"])
}

#[test]
fn a_sound_history_is_recovered_whole() {
    let dir = tempfile::tempdir().unwrap();
    history(&dir);
    let before = rows(&dir, "h");
    let recovered = recover(&dir);
    assert_eq!(recovered.code, 0, "{}", recovered.stderr);
    assert_eq!((before.len(), &rows(&dir, "new.gz")), (21, &before));
    let manifest = crate::common::text_of(&fs::read(dir.path().join("new.gz")).unwrap());
    let manifest: serde_json::Value =
        serde_json::from_slice(manifest.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!((&manifest["label"], &manifest["history"]), (&json!("laptop"), &serde_json::Value::Null));
    assert_eq!(manifest["derivedFrom"]["bundles"].as_array().unwrap().len(), 7);
    assert_eq!(run(dir.path(), &["verify", "new.gz"]).code, 0);
}

#[test]
fn intact_rows_of_a_damaged_history_stay_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let history = history(&dir);
    let before = rows(&dir, "h");
    // One segment is missing, one has a broken first line, one is no bundle any more, and one was cut off at the end.
    fs::remove_file(history.path(1)).unwrap();
    let path = history.path(3);
    let mut bytes = fs::read(&path).unwrap();
    bytes[30] ^= 0xff;
    fs::write(&path, bytes).unwrap();
    fs::write(history.path(4), "").unwrap();
    let path = history.path(5);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
    fs::remove_file(history.path(6)).unwrap();
    let recovered = recover(&dir);
    assert_eq!(recovered.code, 3);
    let left = rows(&dir, "new.gz");
    // Every row that is left was there, in the same order.
    let mut all = before.iter();
    assert!(left.iter().all(|row| all.any(|known| known == row)), "{left:?}");
    assert!(left.len() >= 2 + 3, "{left:?}");
    assert_eq!(run(dir.path(), &["verify", "new.gz"]).code, 0);
    insta::assert_snapshot!(recovered.text() + &recovered.stderr);
    let json = run(dir.path(), &["recover", "h", "-fo", "new.gz", "--json"]).json();
    expect_valid("recover-history", &json);
    assert_eq!(json["missingSegments"], json!([[1, 1], [6, 6]]));
    assert_eq!((&json["intactSegments"], &json["lostSomething"]), (&json!(2), &json!(true)));
}

#[test]
fn segments_of_another_history_are_skipped_and_duplicate_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let history = history(&dir);
    let beside = |path: &std::path::Path| history.path(0).with_file_name(path.file_name().unwrap());
    let mut other = HistoryBuilder::new(dir.path().join("other"));
    other.id = "00112233445566778899aabbccddeeff".to_owned();
    let path = other.add(9);
    fs::copy(&path, beside(&path)).unwrap();
    let mut copy = HistoryBuilder::new(dir.path().join("copy"));
    (0..3).for_each(|rows| _ = copy.add(rows + 4));
    fs::copy(copy.path(2), beside(&copy.path(2))).unwrap();
    let recovered = recover(&dir);
    assert_eq!(recovered.code, 0, "{}", recovered.stderr);
    assert!(recovered.stderr.contains("belongs to another history"), "{}", recovered.stderr);
    assert_eq!(rows(&dir, "new.gz").len(), 21 + 6);
}

#[test]
fn nothing_is_written_if_nothing_is_recoverable() {
    let dir = tempfile::tempdir().unwrap();
    let history = HistoryBuilder::with_segments(dir.path().join("h"), 2);
    (0..2).for_each(|segment| fs::write(history.path(segment), "").unwrap());
    fs::create_dir(dir.path().join("photos")).unwrap();
    let mut text = String::new();
    for arguments in [&["h", "-o", "new.gz"], &["photos", "-o", "new.gz"], &["h", "-o", "h/new.gz"]] {
        let refused = run(dir.path(), &[&["recover"], &arguments[..]].concat());
        assert_ne!(refused.code, 0);
        text += &format!("$ recover {}\n{}(exit code {})\n", arguments.join(" "), refused.stderr, refused.code);
    }
    assert!(!dir.path().join("new.gz").exists());
    insta::assert_snapshot!(text);
}

#[test]
fn a_recovered_segment_keeps_its_label_and_is_not_a_segment() {
    let dir = tempfile::tempdir().unwrap();
    let path = history(&dir).path(6);
    let bytes = fs::read(&path).unwrap();
    fs::write(dir.path().join("cut.gz"), &bytes[..bytes.len() - 20]).unwrap();
    let recovered = run(dir.path(), &["recover", "cut.gz", "-o", "new.gz"]);
    assert!(recovered.stderr.contains("not a segment of the history"), "{}", recovered.stderr);
    let text = String::from_utf8(crate::common::text_of(&fs::read(dir.path().join("new.gz")).unwrap())).unwrap();
    let manifest = text.lines().next().unwrap();
    assert!(manifest.contains("\"label\":\"laptop\"") && !manifest.contains("\"history\""), "{manifest}");
}
