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
fn an_overdue_run_is_reported() {
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

#[test]
fn the_archive_shows_the_rows_that_rotation_deletes() {
    let row = format!("{{\"createdAt\":1777000000000,\"text\":\"{}\"}}\n", "x".repeat(400));
    let home = Home::new()
        .with("runs.jsonl", row.repeat((1 << 20) / row.len() + 1))
        .with("runs.jsonl.1", row.repeat((8 << 20) / row.len() - 100));
    let json = run(home.path(), &["--json"]).json();
    let next = |file: &str| {
        let logs = json["logs"].as_array().unwrap();
        logs.iter().find(|log| log["file"] == file).unwrap()["nextRotation"].clone()
    };
    assert_eq!(next("runs.jsonl.1")["trimmed"], next("runs.jsonl")["deleted"]);
    assert!(next("runs.jsonl.1")["trimmed"].as_u64().unwrap() > 5000, "{json}");
    assert_eq!(next("runs.jsonl.1")["afterBytes"], 0);
}

#[test]
fn the_next_commands_keep_what_the_last_run_kept() {
    let home = Home::new().with("runs.jsonl", rows(3, 10)).with("outcome-log.jsonl", "{}\n");
    let next = |arguments: &[&str]| -> Vec<String> {
        let json = run(home.path(), &[arguments, &["--json"]].concat()).json();
        json["next"].as_array().unwrap().iter().map(|next| next["command"].as_str().unwrap().to_owned()).collect()
    };
    assert!(next(&["status", "--include-other"])[0].ends_with(" ~/trace-history --include-other"));
    let recipient = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z";
    assert_eq!(run(home.path(), &["keep", "secret", "--recipient", recipient, "--include-other", "-q"]).code, 0);
    let commands = next(&[]);
    assert!(commands[0].ends_with("secret --include-other --recipient RECIPIENT"), "{commands:?}");
    assert!(commands[1].ends_with("secret --identity KEY_FILE"), "{commands:?}");
}

#[test]
fn logs_that_are_gone_can_be_restored_from_the_history() {
    let home = Home::new().with("runs.jsonl", rows(3, 10)).with_activity("activity-1.jsonl", activity(1..3));
    assert_eq!(run(home.path(), &["keep", "h", "-q"]).code, 0);
    fs::remove_dir_all(&home.dirs().patchwork).unwrap();
    fs::remove_file(home.dirs().activity.join("activity-1.jsonl")).unwrap();
    let json = run(home.path(), &["--json"]).json();
    let command = json["next"][1]["command"].as_str().unwrap();
    assert!(command.starts_with("patchwork-traces import /") && command.ends_with("/h"), "{command}");
}

#[test]
fn a_missing_history_is_not_reported_as_kept() {
    let home = Home::new().with("runs.jsonl", rows(3, 10));
    assert_eq!(run(home.path(), &["keep", "mnt", "-q"]).code, 0);
    let [mnt, disk] = ["mnt", "disk"].map(|name| home.path().join(name));
    fs::rename(&mnt, disk).unwrap();
    fs::create_dir(&mnt).unwrap();
    let status = run(home.path(), &[]);
    assert!(status.text().contains("the directory contains no history now"), "{}", status.text());
    assert!(!status.text().contains("patchwork-traces keep"), "{}", status.text());
    assert_eq!(run(home.path(), &["--json"]).json()["lastRuns"][0]["place"], "otherDirectory");
}

#[cfg(unix)]
#[test]
fn uninspectable_paths_are_unknown_instead_of_missing() {
    use std::os::unix::ffi::OsStrExt as _;

    let home = Home::new().with("runs.jsonl", rows(3, 10));
    let odd = std::ffi::OsStr::from_bytes(b"h\xff");
    let kept = command(home.path(), &["keep", "-q"]).arg(odd).output().unwrap();
    assert!(kept.status.success(), "{kept:?}");
    let status = run(home.path(), &[]);
    assert!(status.text().contains("history   unknown:"), "{}", status.text());
    assert!(!status.text().contains("patchwork-traces keep"), "{}", status.text());
}

#[cfg(unix)]
#[test]
fn odd_entries_with_the_names_of_logs_do_not_hide_the_logs() {
    let home = Home::new().with("runs.jsonl", rows(3, 10)).with_activity("activity-1.jsonl", activity(1..3));
    let (patchwork, activity) = (home.dirs().patchwork.clone(), home.dirs().activity.clone());
    fs::create_dir(patchwork.join("runs.jsonl.1")).unwrap();
    fs::create_dir(patchwork.join("decision_traces.jsonl")).unwrap();
    std::os::unix::fs::symlink("nowhere", activity.join("activity-5.jsonl")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(activity.join("activity-6.jsonl")).status().unwrap().success());
    fs::write(patchwork.join("odd\u{202e}.jsonl"), "{}\n").unwrap();
    let status = run(home.path(), &["status", "--include-other"]);
    assert_eq!(status.code, 3, "{}", status.stderr);
    assert!(status.text().contains("runs.jsonl ") && status.text().contains("activity-1.jsonl"), "{}", status.text());
    for name in ["runs.jsonl.1", "decision_traces.jsonl", "activity-5.jsonl", "activity-6.jsonl"] {
        assert!(status.stderr.contains(name), "{name}: {}", status.stderr);
    }
}

#[cfg(unix)]
#[test]
fn commands_can_be_pasted_whatever_the_paths_are() {
    let home = Home::new().with("runs.jsonl", rows(3, 10));
    assert_eq!(run(home.path(), &["keep", "a\nb 'c\u{202e}", "-q"]).code, 0);
    let json = run(home.path(), &["--json", "status", "--patchwork-dir=.patchwork"]).json();
    let command = json["next"][0]["command"].as_str().unwrap().replacen("patchwork-traces keep", "printf %s", 1);
    let printed = std::process::Command::new("bash").args(["-c", &command]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("/a\nb 'c\u{202e}--patchwork-dir"), "{command} {printed:?}");
    fs::create_dir(home.path().join("-x")).unwrap();
    fs::write(home.path().join("-x/runs.jsonl"), rows(3, 10)).unwrap();
    let json = run(home.path(), &["status", "--patchwork-dir=-x", "--json"]).json();
    assert!(json["next"][0]["command"].as_str().unwrap().ends_with(" --patchwork-dir=-x"), "{json}");
}

#[cfg(unix)]
#[test]
fn the_exit_code_outlives_a_closed_pipe() {
    let home = Home::new().with("runs.jsonl", rows(3, 10));
    fs::create_dir(home.dirs().patchwork.join("decision_traces.jsonl")).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(command(home.path(), &["status"]).stdout(writer).output().unwrap().status.code(), Some(3));
}
