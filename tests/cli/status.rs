//! The program without a command, and `status`.

use std::fs;
use std::path::Path;

use crate::common::Home;
use crate::common::program::{command, run};

fn rows(count: i64, padding: usize) -> String {
    let text = "x".repeat(padding);
    let row = |n: i64| format!("{{\"createdAt\":{},\"text\":\"{text}\"}}\n", 1_777_000_000_000 + n * 1000);
    (0..count).map(row).collect()
}

fn activity(ids: std::ops::Range<i64>) -> String {
    ids.map(|id| format!("{{\"id\":{id},\"timestamp\":\"2026-05-02T09:00:00.000Z\"}}\n")).collect()
}

/// Shows what the program prints, with the home's path replaced.
fn shown(home: &Path, arguments: &[&str], hours: u64) -> String {
    let mut command = command(home, arguments);
    command.env("SOURCE_DATE_EPOCH", (1_777_716_000 + hours * 3600).to_string());
    let run: crate::common::program::Run = command.output().unwrap().into();
    let real = fs::canonicalize(home).unwrap();
    let text = format!("$ patchwork-traces {} ({})\n{}{}\n", arguments.join(" "), run.code, run.text(), run.stderr);
    let text = text.replace(&*real.to_string_lossy(), "HOME").replace(&*home.to_string_lossy(), "HOME");
    // Paths have different lengths, and so the comments have different columns.
    // A command with a comment beside it, or below it.
    let line = |line: &str| line.split("  #").map(str::trim_end).collect::<Vec<_>>().join("  #") + "\n";
    text.lines().map(line).collect()
}

#[test]
fn without_a_command_the_state_of_the_machine_is_shown() {
    let empty = tempfile::tempdir().unwrap();
    let mut text = shown(empty.path(), &[], 0);

    let home = Home::new()
        .with("runs.jsonl", rows(2000, 100))
        .with("decision_traces.jsonl", rows(5000, 200))
        .with("outcome-log.jsonl", "{}\n")
        .with_activity("activity-3100.jsonl", activity(501..601) + "torn\n");
    text += &shown(home.path(), &[], 0);
    assert_eq!(run(home.path(), &["keep", "trace history", "--quiet"]).code, 0);
    text += &shown(home.path(), &["status", "--include-other"], 30);
    fs::rename(home.path().join("trace history"), home.path().join("moved")).unwrap();
    text += &shown(home.path(), &[], 72);
    insta::assert_snapshot!(text);
}

#[test]
fn status_json_has_the_same() {
    let home = Home::new()
        .with("runs.jsonl", rows(10, 100))
        .with_activity("activity.jsonl", activity(4..9) + "{\"id\":1,\"timest\n");
    assert_eq!(run(home.path(), &["keep", "h", "--quiet"]).code, 0);
    let status = run(home.path(), &["--json"]);
    assert_eq!(status.code, 0);
    let json = status.json();
    crate::json_output::expect_valid("status", &json);
    assert_eq!(json["logs"][1]["removed"], 3);
    assert_eq!(json["logs"][0]["removed"], serde_json::Value::Null);
    assert_eq!(json["logs"][0]["nextRotation"]["movedTo"], "runs.jsonl.1");
    assert_eq!(json["lastRuns"][0]["segments"], 1);
    let history = fs::canonicalize(home.path().join("h")).unwrap();
    assert_eq!(json["lastRuns"][0]["history"], history.to_str().unwrap());
    assert!(json["next"][0]["command"].as_str().unwrap().starts_with("patchwork-traces keep "), "{json}");
    assert_eq!(run(home.path(), &["status", "--json"]).stdout, status.stdout);
    let elsewhere =
        run(home.path(), &["status", "--patchwork-dir", "h", "--activity-dir", ".claude/ide", "--json"]).json();
    let next = elsewhere["next"][0]["command"].as_str().unwrap();
    assert!(next.ends_with(" --patchwork-dir h --activity-dir .claude/ide"), "{next}");
}

#[test]
fn an_overdue_run_is_told() {
    let home = Home::new();
    let run_at = |hour: i64, arguments: &[&str]| shown(home.path(), arguments, u64::try_from(hour).unwrap());
    for hour in 0..3 {
        fs::write(home.dirs().patchwork.join("runs.jsonl"), rows(2000 * (hour + 1), 20)).unwrap();
        run_at(hour, &["keep", "h"]);
    }
    let soon = run_at(3, &[]);
    assert!(soon.contains("last run 60 min ago") && soon.contains("run it again within"), "{soon}");
    let late = run_at(300, &[]);
    assert!(late.contains("overdue"), "{late}");
}

#[cfg(unix)]
#[test]
fn a_log_that_cannot_be_read_does_not_hide_the_others() {
    let home = Home::new().with("runs.jsonl", rows(3, 10)).with("commit_issue_links.jsonl", rows(4, 10));
    // A line that is longer than any bundle can hold.
    let long = fs::File::create(home.dirs().patchwork.join("decision_traces.jsonl")).unwrap();
    long.set_len(1 << 29).unwrap();
    let status = run(home.path(), &["status"]);
    assert_eq!(status.code, 3);
    assert!(status.text().contains("runs.jsonl") && status.text().contains("commit_issue_links.jsonl"));
    assert!(status.stderr.contains("decision_traces.jsonl: line 1: this line exceeds"), "{}", status.stderr);
}
