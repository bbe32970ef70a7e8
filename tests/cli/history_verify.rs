//! `verify` of histories, and `prove`, as programs.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::common::history_builder::{HistoryBuilder, with_gap};
use crate::common::program::{Run, run};
use crate::json_output::expect_valid;

/// An empty directory to work in.
fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Returns the command line, the output and the exit code of a run, for a snapshot.
fn shown(arguments: &[&str], run: &Run) -> String {
    format!("$ {}\n{}{}(exit code {})\n\n", arguments.join(" "), run.text(), run.stderr, run.code)
}

fn run_shown(dir: &Path, arguments: &[&str]) -> String {
    shown(arguments, &run(dir, arguments))
}

#[test]
fn each_verdict_says_what_was_checked() {
    let dir = dir();
    HistoryBuilder::with_segments(dir.path().join("h"), 9);
    fs::copy(dir.path().join("h/checkpoint"), dir.path().join("old")).unwrap();
    let mut text = String::new();
    for arguments in [&["h"][..], &["h", "--since", "old"], &["h", "--quick"], &["h", "--part", "2/4"], &["h", "-q"]] {
        text += &run_shown(dir.path(), &[&["verify"], arguments].concat());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn gaps_make_a_history_incomplete_but_not_bad() {
    let dir = dir();
    let mut history = HistoryBuilder::with_segments(dir.path().join("h"), 2);
    history.add_changed(3, with_gap);
    history.add_changed(1, |manifest| manifest["files"][0]["follows"]["state"] = json!("altered"));
    history.write_checkpoint();
    let plain = run(dir.path(), &["verify", "h"]);
    let required = run(dir.path(), &["verify", "h", "--require-complete"]);
    assert_eq!((plain.code, required.code), (0, 3));
    assert_eq!(plain.stdout, required.stdout);
    insta::assert_snapshot!(shown(&["verify", "h"], &plain));
    let json = run(dir.path(), &["verify", "h", "--json"]).json();
    expect_valid("verify", &json);
    let history = &json["histories"][0];
    assert_eq!(history["intact"], true);
    assert_eq!(history["consistent"], true);
    assert_eq!(history["complete"], false);
    assert_eq!(history["findings"][0]["gap"]["afterRow"], 2);
    assert_eq!(history["findings"][0]["contradicts"], json!(["complete"]));
}

/// Changes a history of six segments, and returns what `verify` says.
fn verify_changed(change: impl FnOnce(&Path, &mut HistoryBuilder)) -> String {
    let dir = dir();
    let mut history = HistoryBuilder::with_segments(dir.path().join("h"), 6);
    change(dir.path(), &mut history);
    let text = run_shown(dir.path(), &["verify", "h", "--since", "h/checkpoint"]);
    expect_valid("verify", &run(dir.path(), &["verify", "h", "--since", "h/checkpoint", "--json"]).json());
    let quick = run(dir.path(), &["verify", "h", "--quick", "--json"]).json();
    expect_valid("verify", &quick);
    text + &format!(
        "with --quick: intact {}, consistent {}, complete {}\n",
        quick["histories"][0]["intact"], quick["histories"][0]["consistent"], quick["histories"][0]["complete"]
    )
}

#[test]
fn damaged_rows_are_located_in_their_segment() {
    insta::assert_snapshot!(verify_changed(|_, history| {
        let path = history.path(3);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() - 40;
        bytes[at] ^= 0x55;
        fs::write(&path, bytes).unwrap();
    }));
}

#[test]
fn an_unreadable_first_line_contradicts_every_verdict() {
    insta::assert_snapshot!(verify_changed(|_, history| {
        let path = history.path(3);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..100]).unwrap();
    }));
}

#[test]
fn missing_segments_are_named() {
    insta::assert_snapshot!(verify_changed(|_, history| {
        fs::remove_file(history.path(2)).unwrap();
        fs::remove_file(history.path(3)).unwrap();
    }));
}

#[test]
fn a_cut_off_end_is_seen_by_the_checkpoint() {
    insta::assert_snapshot!(verify_changed(|_, history| fs::remove_file(history.path(5)).unwrap()));
}

#[test]
fn a_renamed_segment_is_named_with_its_right_name() {
    insta::assert_snapshot!(verify_changed(|_, history| {
        let path = history.path(3);
        fs::rename(&path, path.with_file_name("000000003-0123456789abcdef.jsonl.gz")).unwrap();
    }));
}

#[test]
fn two_segments_with_one_number_are_both_named() {
    insta::assert_snapshot!(verify_changed(|dir, history| {
        let copy = dir.join("copy");
        let mut other = HistoryBuilder::with_segments(&copy, 4);
        other.add(2);
        let path = other.path(4);
        fs::copy(&path, history.path(4).with_file_name(path.file_name().unwrap())).unwrap();
    }));
}

#[test]
fn a_segment_of_another_history_is_refused() {
    insta::assert_snapshot!(verify_changed(|dir, history| {
        let mut other = HistoryBuilder::new(dir.join("other"));
        other.id = "00112233445566778899aabbccddeeff".to_owned();
        (0..7).for_each(|_| _ = other.add(1));
        let path = other.path(6);
        fs::copy(&path, history.path(5).with_file_name(path.file_name().unwrap())).unwrap();
    }));
}

#[test]
fn a_rewritten_history_does_not_extend_the_checkpoint() {
    let dir = dir();
    HistoryBuilder::with_segments(dir.path().join("before"), 4);
    let mut history = HistoryBuilder::new(dir.path().join("h"));
    (0..5).for_each(|segment| _ = history.add(1 + segment / 3));
    history.write_checkpoint();
    insta::assert_snapshot!(run_shown(dir.path(), &["verify", "h", "--since", "before/checkpoint"]));
}

#[test]
fn a_checkpoint_of_another_history_is_refused() {
    let dir = dir();
    HistoryBuilder::with_segments(dir.path().join("h"), 2);
    let mut other = HistoryBuilder::new(dir.path().join("other"));
    other.id = "00112233445566778899aabbccddeeff".to_owned();
    other.add(1);
    other.write_checkpoint();
    insta::assert_snapshot!(run_shown(dir.path(), &["verify", "h", "--since", "other/checkpoint"]));
}

#[test]
fn foreign_files_and_a_missing_checkpoint_are_notes() {
    let dir = dir();
    let history = HistoryBuilder::with_segments(dir.path().join("h"), 2);
    fs::write(history.path(1).with_file_name("notes.txt"), "mine").unwrap();
    fs::remove_file(history.checkpoint()).unwrap();
    insta::assert_snapshot!(run_shown(dir.path(), &["verify", "h"]));
}

#[test]
fn anything_but_a_history_has_its_own_message() {
    let dir = dir();
    let history = HistoryBuilder::with_segments(dir.path().join("h"), 2);
    fs::create_dir_all(dir.path().join("empty/segments")).unwrap();
    fs::create_dir_all(dir.path().join("photos/2026")).unwrap();
    fs::copy(history.path(0), dir.path().join("b.jsonl.gz")).unwrap();
    fs::write(dir.path().join("text"), "text\n").unwrap();
    let mut text = String::new();
    for arguments in [
        &["verify", "empty"][..],
        &["verify", "photos"],
        &["verify", "photos", "--json"],
        &["verify", "h", "--since", "text"],
        &["verify", "h", "--since", "nothing"],
        &["verify", "b.jsonl.gz", "--since", "h/checkpoint"],
        &["verify", "b.jsonl.gz", "--quick"],
        &["verify", "h", "--expect", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],
        &["verify", "h", "--proof", "text", "--since", "h/checkpoint"],
        &["verify", "h", "--part", "3/2"],
        &["verify", "h", "--part", "1/2", "--quick"],
        &["verify", "b.jsonl.gz", "h", "photos"],
    ] {
        text += &run_shown(dir.path(), arguments);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_proof_holds_without_the_other_segments() {
    let dir = dir();
    let mut history = HistoryBuilder::with_segments(dir.path().join("h"), 5);
    fs::copy(history.checkpoint(), dir.path().join("old")).unwrap();
    (0..4).for_each(|_| _ = history.add(1));
    history.write_checkpoint();
    fs::copy(history.path(3), dir.path().join("b.jsonl.gz")).unwrap();
    fs::copy(history.path(4), dir.path().join("other.jsonl.gz")).unwrap();
    let mut text = run_shown(dir.path(), &["prove", "h", "--segment", "3", "-o", "new.proof"]);
    text += &run_shown(dir.path(), &["prove", "h", "--segment", "3", "--at", "old", "-o", "old.proof"]);
    text += &run_shown(dir.path(), &["prove", "h", "--segment", "3", "-o", "-", "-q"]);
    fs::rename(dir.path().join("h"), dir.path().join("gone")).unwrap();
    fs::copy(dir.path().join("gone/checkpoint"), dir.path().join("new")).unwrap();
    for (proof, checkpoint) in [("new.proof", "new"), ("old.proof", "old"), ("old.proof", "new")] {
        text += &run_shown(dir.path(), &["verify", "b.jsonl.gz", "--proof", proof, "--since", checkpoint]);
    }
    text += &run_shown(dir.path(), &["verify", "other.jsonl.gz", "--proof", "new.proof", "--since", "new"]);
    let proof = fs::read_to_string(dir.path().join("new.proof")).unwrap();
    let (rest, last) = proof.trim_end().rsplit_once('\n').unwrap();
    let other: String = last.chars().rev().collect::<String>().replace('=', "") + "=";
    fs::write(dir.path().join("altered"), format!("{rest}\n{}\n", canonical(&other))).unwrap();
    text += &run_shown(dir.path(), &["verify", "b.jsonl.gz", "--proof", "altered", "--since", "new"]);
    let id = proof.lines().nth(1).unwrap();
    fs::write(dir.path().join("foreign"), proof.replace(id, "00112233445566778899aabbccddeeff")).unwrap();
    text += &run_shown(dir.path(), &["verify", "b.jsonl.gz", "--proof", "foreign", "--since", "new"]);
    text += &run_shown(dir.path(), &["verify", "b.jsonl.gz", "--proof", "new", "--since", "new"]);
    insta::assert_snapshot!(text);
    let json = run(dir.path(), &["verify", "b.jsonl.gz", "--proof", "new.proof", "--since", "new", "--json"]).json();
    expect_valid("verify", &json);
    assert_eq!(json["bundles"][0]["proven"], true);
    fs::rename(dir.path().join("gone"), dir.path().join("h")).unwrap();
    let json = run(dir.path(), &["prove", "h", "--segment", "3", "-fo", "new.proof", "--json"]).json();
    expect_valid("prove", &json);
    assert_eq!((&json["segment"], &json["size"]), (&json!(3), &json!(9)));
}

/// Returns a hash in base64 whose unused bits are zero.
fn canonical(hash: &str) -> String {
    format!("{}A=", &hash[..42])
}

#[test]
fn prove_refuses_what_it_cannot_prove() {
    let dir = dir();
    let history = HistoryBuilder::with_segments(dir.path().join("h"), 2);
    HistoryBuilder::with_segments(dir.path().join("longer"), 3);
    let mut text = String::new();
    for arguments in [
        &["prove", "h", "--segment", "2", "-o", "p"][..],
        &["prove", "h", "--segment", "0", "--at", "longer/checkpoint", "-o", "p"],
        &["prove", "h", "--segment", "0", "-f", "-o", "h/checkpoint"],
        &["prove", "nothing", "--segment", "0", "-o", "p"],
    ] {
        text += &run_shown(dir.path(), arguments);
    }
    fs::remove_file(history.path(0)).unwrap();
    text += &run_shown(dir.path(), &["prove", "h", "--segment", "1", "-o", "p"]);
    assert!(!dir.path().join("p").exists());
    insta::assert_snapshot!(text);
}

#[test]
fn the_parts_of_a_history_cover_every_segment_once() {
    let dir = dir();
    HistoryBuilder::with_segments(dir.path().join("h"), 11);
    let read = |part: &str| run(dir.path(), &["verify", "h", "--part", part, "--json"]).json()["histories"][0].clone();
    let segments = (1..=4).map(|part| read(&format!("{part}/4"))["readSegments"].as_u64().unwrap());
    assert_eq!(segments.collect::<Vec<_>>(), [3, 3, 3, 2]);
    assert_eq!(read("1/1")["intact"], true);
    assert!(read("1/4")["intact"].is_null());
}

/// A damaged file in a history needs other advice than a file that was never a bundle.
#[test]
fn a_segment_that_is_no_longer_a_bundle_is_named_as_damaged() {
    let dir = dir();
    let history = HistoryBuilder::with_segments(dir.path().join("h"), 3);
    let path = history.path(1);
    let sound = fs::read(&path).unwrap();
    for damaged in [&b""[..], b"{\"seq\":1}\n", &[0; 400]] {
        fs::write(&path, damaged).unwrap();
        let printed = run(dir.path(), &["cat", "h"]);
        assert_eq!((printed.code, printed.text().as_str()), (1, ""));
        assert!(printed.stderr.contains("this segment is damaged"), "{}", printed.stderr);
        assert!(printed.stderr.contains("restore it from a backup; `patchwork-traces recover`"), "{}", printed.stderr);
    }
    fs::write(&path, sound).unwrap();
    assert_eq!(run(dir.path(), &["cat", "h"]).code, 0);
}
