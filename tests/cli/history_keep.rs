//! The output and exit codes of `keep`.

use std::fs;
use std::path::Path;

use crate::common::Home;
use crate::common::program::{Run, command, run};

/// Runs the program an hour after the run before.
fn run_at(dir: &Path, hour: u64, arguments: &[&str]) -> Run {
    let mut command = command(dir, arguments);
    command.env("SOURCE_DATE_EPOCH", (1_777_716_000 + hour * 3600).to_string()).output().unwrap().into()
}

fn rows(numbers: std::ops::Range<i64>) -> String {
    let row = |n: i64| format!("{{\"taskId\":\"t{n}\",\"createdAt\":{}}}\n", 1_777_716_000_000 + n * 1000);
    numbers.map(row).collect()
}

fn activity(ids: std::ops::Range<i64>) -> String {
    ids.map(|id| format!("{{\"id\":{id},\"timestamp\":\"2026-05-02T10:{id:02}:00.000Z\"}}\n")).collect()
}

/// Replaces what is random: the digits of digests in names, and the sizes that depend on the identity of the history.
fn stable(text: &str) -> String {
    let mut stable = String::new();
    for line in text.split_inclusive('\n') {
        let line = match line.split_once(".jsonl.gz (") {
            Some((path, end)) => {
                format!("{}<digest>.jsonl.gz (<size>{}", &path[..path.len() - 16], &end[end.len() - 2..])
            }
            None => line.to_owned(),
        };
        stable += &line;
    }
    stable
}

#[test]
fn each_run_is_reported() {
    let home = Home::new().with("runs.jsonl", rows(0..40)).with_activity("activity-3100.jsonl", activity(1..6));
    let write = |name: &str, content: String| {
        let dirs = home.dirs();
        let dir = if name.starts_with("activity") { dirs.activity } else { dirs.patchwork };
        fs::write(home.path().join("part"), content).unwrap();
        fs::rename(home.path().join("part"), dir.join(name)).unwrap();
    };
    let mut shown = String::new();
    let mut keep = |hour: u64, arguments: &[&str]| {
        let run = run_at(home.path(), hour, &[&["keep", "h"], arguments].concat());
        shown += &format!("$ keep h {}  ({})\n{}{}\n", arguments.join(" "), run.code, stable(&run.text()), run.stderr);
    };
    keep(0, &["--label", "office"]);
    write("runs.jsonl", rows(0..60));
    keep(1, &[]);
    write("activity-3100.jsonl", activity(9..12));
    write("runs.jsonl", rows(0..60).replace("\"t7\"", "\"t7\",\"edited\":true"));
    keep(2, &[]);
    fs::remove_file(home.dirs().activity.join("activity-3100.jsonl")).unwrap();
    keep(3, &["--source", "runs"]);
    keep(4, &["--quiet"]);
    insta::assert_snapshot!(shown);
}

#[test]
fn json_has_the_segment_and_each_state() {
    let home = Home::new().with("runs.jsonl", rows(0..4));
    run_at(home.path(), 0, &["keep", "h"]);
    fs::write(home.dirs().patchwork.join("runs.jsonl"), rows(0..6)).unwrap();
    let json = run_at(home.path(), 1, &["keep", "h", "--json"]).json();
    let segment = &json["segments"][0];
    assert_eq!((&segment["segment"], &segment["rows"], &segment["complete"]), (&1.into(), &2.into(), &true.into()));
    let log = &segment["logs"][0];
    assert_eq!((&log["file"], &log["follows"]["state"]), (&"runs.jsonl".into(), &"continues".into()));
    assert_eq!(log["follows"]["log"]["rows"], 6);
    assert_eq!(json["pace"]["file"], "runs.jsonl");
}

#[test]
fn bundles_become_segments() {
    let home = Home::new().with("runs.jsonl", rows(0..4));
    let nights = [("a.gz", 0, 0..4), ("b.gz", 1, 2..7), ("c.gz", 2, 20..22)];
    for (name, hour, numbers) in nights {
        fs::write(home.dirs().patchwork.join("runs.jsonl"), rows(numbers)).unwrap();
        run_at(home.path(), hour, &["export", "-o", name]);
    }
    let ended = run_at(home.path(), 9, &["keep", "h", "--from", "b.gz", "a.gz"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let ended = run_at(home.path(), 9, &["keep", "h", "--from", "c.gz", "--json"]);
    assert_eq!((ended.code, &ended.json()["segments"][0]["complete"]), (3, &false.into()));
    assert_eq!(run(home.path(), &["cat", "h"]).text(), rows(0..7) + &rows(20..22));
    let mut shown = String::new();
    let damaged = fs::read(home.path().join("b.gz")).unwrap();
    fs::write(home.path().join("cut.gz"), &damaged[..damaged.len() - 20]).unwrap();
    for arguments in [&["a.gz"][..], &["c.gz", "cut.gz"], &["missing.gz"], &["h"], &[]] {
        let ended = run_at(home.path(), 9, &[&["keep", "new", "--from"], arguments].concat());
        let new = home.path().join("new").exists();
        shown += &format!("$ keep new --from {}  ({}, {new})\n{}\n", arguments.join(" "), ended.code, ended.stderr);
        let _ = fs::remove_dir_all(home.path().join("new"));
    }
    let old = run_at(home.path(), 9, &["keep", "h", "--from", "a.gz"]);
    shown += &format!("$ keep h --from a.gz  ({})\n{}\n", old.code, old.stderr);
    insta::assert_snapshot!(shown);
}
