//! `docs/verify_history.py`, which auditors run without this program, and the recipe in FORMAT.md, on sound histories and
//! on ones that somebody changed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use patchwork_traces::History;

use crate::common::history_builder::HistoryBuilder;
use crate::common::skip_note::skip_note;
use crate::{is_there, root, section};

/// Runs Python, or returns `None` (with a note) where it is missing.
fn python(dir: &Path, script: &str, arguments: &[&str]) -> Option<Output> {
    if !is_there("python3") {
        assert!(std::env::var_os("DOCS_NEED_ALL").is_none(), "python3 is missing");
        skip_note("not run, as python3 is missing");
        return None;
    }
    Some(Command::new("python3").arg(script).args(arguments).current_dir(dir).output().unwrap())
}

/// Runs the script, and checks that it accepts its arguments and says `expected`.
fn accepts(dir: &Path, arguments: &[&str], expected: &str) {
    let script = root().join("docs/verify_history.py");
    let Some(output) = python(dir, script.to_str().unwrap(), arguments) else { return };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(expected), "{arguments:?}: {said}");
}

/// Runs the script, and checks that it refuses its arguments and says `expected`.
fn refuses(dir: &Path, arguments: &[&str], expected: &str) {
    let script = root().join("docs/verify_history.py");
    let Some(output) = python(dir, script.to_str().unwrap(), arguments) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    let is_refusal = output.status.code() == Some(1) && said.starts_with("FAILED: ") && said.contains(expected);
    assert!(is_refusal, "{arguments:?}: {said}");
}

#[test]
fn script_accepts_histories_of_every_shape() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = HistoryBuilder::new(dir.path().join("h"));
    for size in 1..=9 {
        history.add(size % 3);
        history.write_checkpoint();
        fs::copy(history.checkpoint(), dir.path().join(format!("checkpoint.{size}"))).unwrap();
        accepts(dir.path(), &["h"], &format!("consistent: {size} segments"));
    }
    for size in 1..=9 {
        accepts(dir.path(), &["h", "--since", &format!("checkpoint.{size}")], "extends");
    }
    let opened = History::open(&history.dir).unwrap();
    for size in [1, 6, 9] {
        for segment in 0..size {
            let proof = opened.prove(segment, &opened.checkpoint_at(size).unwrap()).unwrap();
            fs::write(dir.path().join("proof"), proof.to_string()).unwrap();
            let segment = history.path(segment);
            let checkpoint = format!("checkpoint.{size}");
            accepts(dir.path(), &["--proof", "proof", segment.to_str().unwrap(), &checkpoint], "of the");
            if size == 9 {
                continue;
            }
            refuses(
                dir.path(),
                &["--proof", "proof", segment.to_str().unwrap(), "checkpoint.9"],
                "the checkpoint is for 9",
            );
        }
    }
}

#[test]
fn script_asks_for_the_decrypted_copy_of_an_encrypted_segment() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = HistoryBuilder::new(dir.path().join("h"));
    (0..3).for_each(|_| drop(history.add(1)));
    history.write_checkpoint();
    let plain = history.path(1);
    let sealed = plain.with_extension("gz.age");
    fs::copy(&plain, &sealed).unwrap();
    accepts(dir.path(), &["h"], "consistent: 3 segments");
    fs::remove_file(&plain).unwrap();
    refuses(dir.path(), &["h"], "this segment is encrypted; in a copy of the history, write it to");
}

#[test]
fn script_refuses_changed_histories() {
    let sound = |dir: &Path| HistoryBuilder::with_segments(dir.join("h"), 5);
    let refused = |expected: &str, change: &dyn Fn(&Path, &HistoryBuilder)| {
        let dir = tempfile::tempdir().unwrap();
        let history = sound(dir.path());
        fs::copy(history.checkpoint(), dir.path().join("old")).unwrap();
        change(dir.path(), &history);
        refuses(dir.path(), &["h", "--since", "old"], expected);
    };
    let beside = |path: &Path, name: &str| path.with_file_name(name);
    refused("is segment 3, but 2 is next", &|_, history| fs::remove_file(history.path(2)).unwrap());
    refused("the history was cut off", &|_, history| fs::remove_file(history.path(4)).unwrap());
    refused("the name does not match", &|_, history| {
        let path = history.path(2);
        fs::rename(&path, beside(&path, "000000002-0123456789abcdef.jsonl.gz")).unwrap();
    });
    refused("`previous` is another segment", &|dir, history| {
        let mut other = HistoryBuilder::new(dir.join("other"));
        (0..5).for_each(|_| _ = other.add(2));
        fs::remove_file(history.path(2)).unwrap();
        let path = other.path(2);
        fs::copy(&path, beside(&history.path(1), path.file_name().unwrap().to_str().unwrap())).unwrap();
    });
    refused("was rewritten", &|dir, history| {
        fs::remove_dir_all(&history.dir).unwrap();
        let mut other = HistoryBuilder::new(dir.join("h"));
        (0..6).for_each(|_| _ = other.add(2));
        other.write_checkpoint();
    });
    refused("belongs to another history", &|dir, history| {
        fs::remove_dir_all(&history.dir).unwrap();
        let mut other = HistoryBuilder::new(dir.join("h"));
        other.id = "00112233445566778899aabbccddeeff".to_owned();
        (0..6).for_each(|_| _ = other.add(1));
        other.write_checkpoint();
    });
    refused("not a checkpoint", &|_, history| fs::write(history.checkpoint(), "what\n").unwrap());
    refused("not a history", &|_, history| fs::remove_dir_all(history.dir.join("segments")).unwrap());
}

#[test]
fn script_refuses_proofs_of_other_segments_and_altered_ones() {
    let dir = tempfile::tempdir().unwrap();
    let history = HistoryBuilder::with_segments(dir.path().join("h"), 6);
    let opened = History::open(&history.dir).unwrap();
    let proof = opened.prove(2, &opened.checkpoint()).unwrap().to_string();
    let write = |proof: String| fs::write(dir.path().join("proof"), proof).unwrap();
    let path = |segment| history.path(segment).to_str().unwrap().to_owned();
    write(proof.clone());
    refuses(dir.path(), &["--proof", "proof", &path(3), "h/checkpoint"], "the proof is for segment 2, not 3");
    write(proof.replace("\n2\n", "\n3\n"));
    refuses(dir.path(), &["--proof", "proof", &path(3), "h/checkpoint"], "does not lead");
    let (kept, _) = proof.trim_end().rsplit_once('\n').unwrap();
    write(format!("{kept}\n"));
    refuses(dir.path(), &["--proof", "proof", &path(2), "h/checkpoint"], "does not lead");
    write(format!("{proof}{}\n", kept.rsplit_once('\n').unwrap().1));
    refuses(dir.path(), &["--proof", "proof", &path(2), "h/checkpoint"], "does not lead");
    write(proof.replace("proof 1", "proof 2"));
    refuses(dir.path(), &["--proof", "proof", &path(2), "h/checkpoint"], "not a proof");
}

#[test]
fn the_recipe_in_format_md_prints_the_checkpoint() {
    let text = fs::read_to_string(root().join("FORMAT.md")).unwrap();
    let section = section(&text, "Checkpoints and proofs");
    let recipe = section.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(recipe.lines().count() <= 15);
    let leaf = section.split('`').find(|span| span.starts_with("gunzip -c SEGMENT")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("recipe.py"), recipe).unwrap();
    let mut history = HistoryBuilder::new(dir.path().join("h"));
    for _ in 0..7 {
        let segment = history.add(1);
        history.write_checkpoint();
        let Some(output) = python(dir.path(), "recipe.py", &["h"]) else { return };
        let checkpoint = fs::read_to_string(history.checkpoint()).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), checkpoint);
        let command = leaf.replace("SEGMENT", segment.to_str().unwrap());
        let printed = Command::new("sh").args(["-c", &command]).output().unwrap().stdout;
        let digest = history.previous.unwrap().to_string();
        assert!(String::from_utf8_lossy(&printed).starts_with(&digest), "{command}");
    }
}
