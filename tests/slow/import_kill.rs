//! An import that is killed, or that the disk fails, at any point: every log is the old one or the new one, and the
//! next import finishes the work.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{Home, bundle};
use patchwork_traces::bundle::Bundle;
use patchwork_traces::import::{ImportOptions, SystemClock, import};
use patchwork_traces::logs::Dirs;
use patchwork_traces::progress::NoProgress;

const HOME: &str = "IMPORT_TEST_HOME";
const BUNDLE: &str = "IMPORT_TEST_BUNDLE";

/// The number of activity logs: enough to kill the import while it replaces them.
const LOGS: u64 = 200;

#[test]
#[ignore = "the other tests run it as a process of its own"]
fn import_in_a_process() {
    let (Some(home), Some(bundle)) = (env::var_os(HOME), env::var_os(BUNDLE)) else { return };
    let home = PathBuf::from(home);
    let dirs = Dirs { patchwork: home.join(".patchwork"), activity: home.join(".claude/ide") };
    let bundle = Bundle::open(Path::new(&bundle)).unwrap();
    import(bundle, &dirs, &ImportOptions::default(), &SystemClock, &NoProgress).unwrap();
}

fn command(program: &str, home: &Home, bundle: &Path) -> Command {
    let mut command = Command::new(program);
    command.env(HOME, home.path()).env(BUNDLE, bundle).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn start(home: &Home, bundle: &Path) -> Child {
    let program = env::current_exe().unwrap();
    let mut command = command(program.to_str().unwrap(), home, bundle);
    command.args(["--ignored", "--exact", "import_kill::import_in_a_process"]).spawn().unwrap()
}

fn rows(from: u64, to: u64) -> String {
    let row = |at| format!("{{\"timestamp\":\"2026-05-02T10:00:00Z\",\"createdAt\":{at}}}\n");
    (from..to).map(row).collect()
}

/// A home with half of the logs, and a bundle that has news for all of them.
fn old_home() -> Home {
    let logs = (0..LOGS).step_by(2);
    logs.fold(Home::new(), |home, log| home.with_activity(&format!("activity-{log}.jsonl"), rows(log, log + 3)))
        .with("runs.jsonl.1", rows(3, 5))
        .with("runs.jsonl", rows(5, 9))
}

fn bundle_file(dir: &Path) -> PathBuf {
    let from = (0..LOGS).fold(Home::new(), |home, log| {
        home.with_activity(&format!("activity-{log}.jsonl"), rows(log + 1, log + 9)) //
    });
    let from = from.with("runs.jsonl.1", rows(1, 6)).with("runs.jsonl", rows(6, 12));
    let path = dir.join("bundle");
    fs::write(&path, bundle(&from)).unwrap();
    path
}

fn logs_in(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let dirs = home.dirs();
    let entries = [dirs.patchwork, dirs.activity].into_iter().flat_map(|dir| fs::read_dir(dir).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().contains(".jsonl"));
    let logs = paths.filter(|path| !path.to_string_lossy().ends_with(".lock"));
    logs.map(|path| (path.strip_prefix(home.path()).unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

/// Returns the leftovers of an import: its directories and locks.
fn left_in(home: &Home) -> Vec<PathBuf> {
    let dirs = home.dirs();
    let entries = [dirs.patchwork, dirs.activity].into_iter().flat_map(|dir| fs::read_dir(dir).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir() || path.to_string_lossy().ends_with(".lock")).collect()
}

fn finish(home: &Home, bundle: &Path) {
    assert!(start(home, bundle).wait().unwrap().success(), "the next import works at once");
}

/// Returns true once the import has reached a point. Points are in the order of the import.
fn has_reached(point: u64, home: &Home, old: usize) -> bool {
    let dirs = home.dirs();
    match point {
        0 => !left_in(home).is_empty(),
        1 => dirs.patchwork.join("runs.jsonl.lock").exists(),
        _ => {
            let new = (1..LOGS).step_by(2).filter(|log| dirs.activity.join(format!("activity-{log}.jsonl")).exists());
            new.count() >= usize::try_from(point - 1).unwrap() * 8 || logs_in(home).len() - old >= 90
        }
    }
}

#[test]
fn killed_import_leaves_old_or_new_logs_and_the_next_one_finishes() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = bundle_file(dir.path());
    let old = logs_in(&old_home());
    let reference = old_home();
    finish(&reference, &bundle);
    let new = logs_in(&reference);
    assert_eq!((old.len(), new.len()), (102, 202));

    let (mut in_between, mut runs) = (0, 0);
    // A machine that does something else just then can miss one point and the other, but hardly each of them ten times.
    for (round, point) in (0..14).cycle().take(140).enumerate() {
        if round >= 14 && in_between > 0 {
            break;
        }
        let home = old_home();
        let mut child = start(&home, &bundle);
        while !has_reached(point, &home, old.len()) && child.try_wait().unwrap().is_none() {}
        child.kill().unwrap();
        child.wait().unwrap();
        let found = logs_in(&home);
        for (path, content) in &found {
            assert!(old.get(path) == Some(content) || new[path] == *content, "{} is neither", path.display());
        }
        assert!(old.keys().all(|path| found.contains_key(path)), "no log is gone");
        in_between += u32::from(found != old && found != new);
        runs += 1;
        finish(&home, &bundle);
        assert_eq!(logs_in(&home), new);
        assert_eq!(left_in(&home), Vec::<PathBuf>::new());
    }
    println!("{in_between} of {runs} were killed while logs were put in their places");
    assert!(in_between > 0);
}

#[test]
fn full_disk_leaves_every_log_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let from = Home::new().with("decision_traces.jsonl", rows(0, 2)).with("runs.jsonl", rows(0, 40_000));
    let path = dir.path().join("bundle");
    fs::write(&path, bundle(&from)).unwrap();
    let home = old_home();
    let old = logs_in(&home);
    // No file may get longer than 512 KiB or 1 MiB, whichever unit the shell has; the merged log has 2 MB.
    let limited = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" --ignored --exact import_kill::import_in_a_process";
    let test = env::current_exe().unwrap();
    let status = command("sh", &home, &path).arg("-c").arg(limited).arg(test).status().unwrap();
    assert!(!status.success());
    assert_eq!(logs_in(&home), old);
    assert_eq!(left_in(&home), Vec::<PathBuf>::new());
    finish(&home, &path);
    assert_eq!(logs_in(&home).len(), old.len() + 1);
}

#[test]
fn unchanged_logs_are_not_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new().with("runs.jsonl", rows(0, 40_000));
    let path = dir.path().join("bundle");
    fs::write(&path, bundle(&home)).unwrap();
    let old = logs_in(&home);
    // As above: a copy of the log would not fit.
    let limited = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" --ignored --exact import_kill::import_in_a_process";
    let test = env::current_exe().unwrap();
    let status = command("sh", &home, &path).arg("-c").arg(limited).arg(test).status().unwrap();
    assert!(status.success());
    assert_eq!(logs_in(&home), old);
    assert_eq!(left_in(&home), Vec::<PathBuf>::new());
}
