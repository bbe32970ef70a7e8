//! `import` as a program. The library's `import` tests cover every kind of log.

#[cfg(target_os = "linux")]
mod other_users;

use std::fs;
use std::path::Path;

use crate::common::program::{Run, run, run_with};
use crate::common::{Home, bundle};

/// A home on an old machine, with its bundle `b.gz`.
fn old_machine() -> Home {
    let home = Home::new()
        .with(
            "runs.jsonl",
            "{\"taskId\":\"a\",\"createdAt\":1777700000000}\n{\"taskId\":\"b\",\"createdAt\":1777710000000}\n",
        )
        .with("decision_traces.jsonl", "{\"seq\":1,\"createdAt\":1777700000000}\r\ntorn {\r\n")
        .with_activity("activity-3100.jsonl", "{\"timestamp\":\"2026-05-02T10:00:00.000Z\"}");
    fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    home
}

/// Imports the old machine's bundle into `home`.
fn import(home: &Home, arguments: &[&str]) -> Run {
    let old = old_machine();
    run(home.path(), &[&["import", old.path().join("b.gz").to_str().unwrap()], arguments].concat())
}

/// Returns the output, without the path of the temporary home.
fn printed(home: &Home, run: &Run) -> String {
    format!("{}---\n{}", run.text(), run.stderr).replace(home.path().to_str().unwrap(), "HOME")
}

fn read(home: &Home, name: &str) -> Option<Vec<u8>> {
    fs::read(home.path().join(name)).ok()
}

#[test]
fn empty_home_gets_every_log_once() {
    let (old, home) = (old_machine(), Home::new());
    fs::remove_dir_all(home.path().join(".patchwork")).unwrap();
    let planned = import(&home, &["--dry-run"]);
    assert!(!home.path().join(".patchwork").exists());
    let done = import(&home, &[]);
    for name in [".patchwork/runs.jsonl", ".patchwork/decision_traces.jsonl", ".claude/ide/activity-3100.jsonl"] {
        assert_eq!(read(&home, name), read(&old, name), "{name}");
    }
    let second_run = import(&home, &[]);
    assert_eq!((planned.code, done.code, second_run.code), (0, 0, 0));
    let all = [&planned, &done, &second_run].map(|run| printed(&home, run)).join("\n");
    insta::assert_snapshot!(all);
}

#[test]
fn machine_with_logs_keeps_them() {
    let home = Home::new().with(
        "runs.jsonl",
        "{\"taskId\":\"b\",\"createdAt\":1777710000000}\n{\"taskId\":\"c\",\"createdAt\":1777720000000}",
    );
    let done = import(&home, &["--source", "runs"]);
    assert_eq!(done.code, 0);
    insta::assert_snapshot!(printed(&home, &done));
    let runs = String::from_utf8(read(&home, ".patchwork/runs.jsonl").unwrap()).unwrap();
    let tasks: Vec<_> = runs.lines().map(|row| &row[11..12]).collect();
    assert_eq!(tasks, ["a", "b", "c"]);
    assert!(read(&home, ".patchwork/decision_traces.jsonl").is_none());
}

#[test]
fn overwrite_keeps_a_backup_and_names_it() {
    let home = Home::new().with("runs.jsonl", "{\"mine\":1}\n");
    let done = import(&home, &["--mode", "overwrite", "--source", "runs"]);
    assert_eq!(done.code, 0);
    let backup = done.text().lines().last().unwrap().split(" as ").last().unwrap().to_owned();
    assert_eq!(fs::read(backup).unwrap(), b"{\"mine\":1}\n");
    assert_eq!(read(&home, ".patchwork/runs.jsonl"), read(&old_machine(), ".patchwork/runs.jsonl"));
}

#[test]
fn bundle_from_a_pipe_is_imported() {
    let (old, home) = (old_machine(), Home::new());
    let done = run_with(home.path(), &["import", "-"], &read(&old, "b.gz").unwrap());
    assert_eq!(done.code, 0);
    assert_eq!(read(&home, ".patchwork/runs.jsonl"), read(&old, ".patchwork/runs.jsonl"));
}

#[test]
fn bundle_with_more_than_it_declares_is_refused_even_if_its_logs_are_unchanged() {
    let home = Home::new().with("runs.jsonl", "{\"createdAt\":1}\n");
    let first = bundle(&home);
    let other = bundle(&Home::new().with("runs.jsonl", "{\"createdAt\":2}\n"));
    let garbage = [first.as_slice(), b"garbage"].concat();
    let mut wrong_checksum = first.clone();
    let end = wrong_checksum.len();
    wrong_checksum[end - 8] ^= 1;
    for (name, bytes) in [
        ("concatenated.gz", [first.as_slice(), &other].concat()),
        ("garbage.gz", garbage),
        ("checksum.gz", wrong_checksum),
        ("truncated.gz", first[..end - 4].to_vec()),
    ] {
        fs::write(home.path().join(name), bytes).unwrap();
        for options in [&[][..], &["--dry-run"]] {
            let refused = run(home.path(), &[&["import", name], options].concat());
            assert_eq!((refused.code, refused.stdout.len()), (1, 0), "{name} {options:?}: {}", refused.stderr);
        }
    }
    fs::write(home.path().join("intact.gz"), first).unwrap();
    assert_eq!(run(home.path(), &["import", "intact.gz"]).code, 0);
}

#[test]
fn damaged_bundle_is_refused_completely() {
    let (old, home) = (old_machine(), Home::new().with("runs.jsonl", "{\"mine\":1}\n"));
    let mut bytes = read(&old, "b.gz").unwrap();
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    let failed = run_with(home.path(), &["import", "-"], &bytes);
    assert_eq!((failed.code, failed.stdout.len()), (1, 0));
    assert_eq!(read(&home, ".patchwork/runs.jsonl").unwrap(), b"{\"mine\":1}\n");
    assert_eq!(fs::read_dir(home.path().join(".patchwork")).unwrap().count(), 1);
}

#[test]
fn rows_that_rotation_will_trim_are_announced() {
    let rows: String = (0..12_000).map(|seq| format!("{{\"seq\":{seq},\"text\":\"{seq:0>90}\"}}\n")).collect();
    let source = Home::new().with("decision_traces.jsonl", rows);
    fs::write(source.path().join("b.gz"), bundle(&source)).unwrap();
    let home = Home::new();
    let planned = run(home.path(), &["import", "--dry-run", source.path().join("b.gz").to_str().unwrap()]);
    assert_eq!(planned.code, 0);
    insta::assert_snapshot!(planned.stderr);
}

fn long_log(from: u64, rows: u64) -> String {
    (from..from + rows).map(|at| format!("{{\"createdAt\":{at},\"text\":\"{at:0>990}\"}}\n")).collect()
}

#[test]
fn one_warning_sums_up_the_rows_that_the_next_writes_delete() {
    let source = Home::new()
        .with("runs.jsonl.1", long_log(1000, 8200))
        .with("runs.jsonl", long_log(10_000, 1200))
        .with("decision_traces.jsonl", long_log(1, 1100) + "torn\n")
        .with("commit_issue_links.jsonl", "torn\n".to_owned() + &long_log(1, 1100))
        .with_activity("activity-3100.jsonl", [long_log(1, 1100).as_bytes(), b"{\"text\":\"\xff\"}\n"].concat());
    fs::write(source.path().join("b.gz"), bundle(&source)).unwrap();
    let bundle = source.path().join("b.gz");
    let home = Home::new();
    let done = run(home.path(), &["import", bundle.to_str().unwrap()]);
    assert_eq!(done.code, 0);
    insta::assert_snapshot!(done.stderr);
    let json = run(home.path(), &["import", "--json", bundle.to_str().unwrap()]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json["nextWrites"]).unwrap());
    assert!(json["warning"].as_str().unwrap().starts_with("Patchwork trims logs over 1 MiB"));
}

#[test]
fn later_end_of_a_run_wins_on_every_machine() {
    let row = |run: u64, status: &str, ended: u64| {
        format!("{{\"taskId\":\"{run}\",\"createdAt\":{run},\"status\":\"{status}\",\"doneAt\":{ended}}}\n")
    };
    let started = (1..40).map(|run| row(run, "running", run)).collect::<String>();
    // Of each run the end differs, and now one machine has the later one, now the other.
    let machine = |name: &str, odd: u64| {
        let end = |run| row(run, name, 1000 + run * 10 + if run % 2 == odd { 5 } else { 0 });
        let home = Home::new().with("runs.jsonl", started.clone() + &(1..40).map(end).collect::<String>());
        fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
        home
    };
    let (one, other) = (machine("one", 0), machine("other", 1));
    let ends = |home: &Home, from: &Home| {
        let done = run(home.path(), &["import", from.path().join("b.gz").to_str().unwrap()]);
        assert_eq!(done.code, 0);
        let log = String::from_utf8(read(home, ".patchwork/runs.jsonl").unwrap()).unwrap();
        let row = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let rows = log.lines().map(row).map(|row| (row["taskId"].to_string(), row["status"].to_string()));
        rows.collect::<std::collections::BTreeMap<_, _>>()
    };
    let (by_one, by_other) = (ends(&one, &other), ends(&other, &one));
    let expected =
        |run: u64| (format!("\"{run}\""), if run.is_multiple_of(2) { "\"one\"" } else { "\"other\"" }.to_owned());
    assert_eq!(by_one, (1..40).map(expected).collect());
    assert_eq!(by_one, by_other);
}

#[test]
fn moved_rows_are_a_note() {
    let source = Home::new().with("runs.jsonl", long_log(1, 1200));
    fs::write(source.path().join("b.gz"), bundle(&source)).unwrap();
    let done = run(Home::new().path(), &["import", source.path().join("b.gz").to_str().unwrap()]);
    insta::assert_snapshot!(done.stderr);
}

#[test]
fn restart_is_advised_after_changing_a_log_held_in_memory() {
    let logs = |at: u64| {
        let row = format!("{{\"createdAt\":{at}}}\n");
        let home = Home::new().with("runs.jsonl", &row).with("decision_traces.jsonl", &row);
        home.with("commit_issue_links.jsonl", &row).with_activity("activity.jsonl", &row)
    };
    let source = logs(1);
    fs::write(source.path().join("b.gz"), bundle(&source)).unwrap();
    let bundle = source.path().join("b.gz");
    let import = |home: &Home, option: &str| run(home.path(), &["import", bundle.to_str().unwrap(), option]).stderr;
    let home = logs(2);
    assert_eq!(import(&home, "--dry-run"), "");
    insta::assert_snapshot!(import(&home, "--mode=merge"));
    assert_eq!(import(&home, "--mode=merge"), "", "nothing was new");
    assert_eq!(import(&Home::new(), "--mode=merge"), "", "nothing was there");
    let home = Home::new().with("runs.jsonl", "{\"createdAt\":2}\n");
    assert_eq!(import(&home, "--mode=merge"), "", "runs are read again");
    let home = Home::new().with_activity("activity.jsonl", "{\"timestamp\":2}\n");
    insta::assert_snapshot!(import(&home, "--mode=overwrite"));
}

#[test]
fn import_notes_the_missing_features_of_1_0_bundles() {
    let home = Home::new();
    let legacy = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/legacy");
    let done = run(home.path(), &["import", legacy.join("plain.v1.0.jsonl.gz").to_str().unwrap()]);
    assert_eq!(done.code, 0);
    insta::assert_snapshot!(done.stderr);
    let runs = fs::read(legacy.join("plain/patchwork/runs.jsonl")).unwrap();
    assert_eq!(read(&home, ".patchwork/runs.jsonl").unwrap(), runs);
}

#[cfg(unix)]
#[test]
fn fifo_in_place_of_a_lock_counts_as_held() {
    let (old, home) = (old_machine(), Home::new().with("runs.jsonl", "{\"taskId\":\"c\",\"createdAt\":1}\n"));
    let lock = home.path().join(".patchwork/runs.jsonl.lock");
    assert!(std::process::Command::new("mkfifo").arg(&lock).status().unwrap().success());
    let bundle = old.path().join("b.gz");
    let mut import = crate::common::program::command(home.path(), &["import", bundle.to_str().unwrap()])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It waits for the lock as long as writers do, and never for a writer to open the pipe.
    let begun = std::time::Instant::now();
    while import.try_wait().unwrap().is_none() {
        if begun.elapsed().as_secs() >= 60 {
            import.kill().unwrap();
            panic!("it waits for ever");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let done: Run = import.wait_with_output().unwrap().into();
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("runs.jsonl.lock") && done.stderr.contains("lock"), "{}", done.stderr);
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&lock.symlink_metadata().unwrap().file_type()));
    assert!(!home.path().join(".patchwork/decision_traces.jsonl.lock").exists(), "a lock of its own is left");
}

/// System calls that fail, or report a false error.
#[cfg(target_os = "linux")]
mod refusals {
    use std::ffi::OsStr;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;
    use crate::common::skip_note::skip_note;

    const LOCAL: &str = "{\"taskId\":\"local\",\"createdAt\":1777600000000}\n";

    /// Renames what it is asked to, and reports an error all the same where a log is concerned.
    const RENAME_WITH_FALSE_ERROR: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    int done = real(from, to);
    const char *end = strrchr(to, '.');
    if (done == 0 && end != NULL && strcmp(end, ".jsonl") == 0) {
        errno = EIO;
        return -1;
    }
    return done;
}
"#;

    fn rename_with_false_error(dir: &Path) -> Option<PathBuf> {
        let (source, library) = (dir.join("rename.c"), dir.join("rename.so"));
        fs::write(&source, RENAME_WITH_FALSE_ERROR).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl");
        compiler.status().is_ok_and(|done| done.success()).then_some(library)
    }

    /// Runs the program under strace, which lets `renameat2` fail: the system cannot exchange files then.
    fn import_without_exchange(home: &Home, inject: &[&str], preload: Option<&Path>) -> Option<Run> {
        let old = old_machine();
        let bundle = old.path().join("b.gz");
        let import =
            crate::common::program::command(home.path(), &["import", bundle.to_str().unwrap(), "--mode", "overwrite"]);
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2,rename"]);
        command.args(["-e", "inject=renameat2:error=EINVAL"]);
        for inject in inject {
            command.args(["-e", inject]);
        }
        if let Some(library) = preload {
            command.arg("-E").arg(format!("LD_PRELOAD={}", library.display()));
        }
        command.arg(import.get_program()).args(import.get_args()).current_dir(home.path());
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().envs(import.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", path);
        command.output().ok().map(Run::from)
    }

    fn backups(home: &Home) -> Vec<String> {
        let entries = fs::read_dir(home.path().join(".patchwork")).unwrap().map(|entry| entry.unwrap().path());
        let backups = entries.filter(|path| path.extension() == Some(OsStr::new("bak")));
        backups.map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    #[test]
    fn successful_rename_that_reports_an_error_loses_no_local_row() {
        let home = Home::new().with("runs.jsonl", LOCAL);
        let Some(library) = rename_with_false_error(home.path()) else {
            return skip_note("not run: there is no C compiler");
        };
        let Some(run) = import_without_exchange(&home, &[], Some(&library)) else {
            return skip_note("not run: there is no strace");
        };
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(read(&home, ".patchwork/runs.jsonl").unwrap().starts_with(b"{\"taskId\":\"a\""));
        assert_eq!(backups(&home), [LOCAL]);
    }

    #[test]
    fn failed_rename_changes_nothing_and_leaves_no_backup() {
        let home = Home::new().with("runs.jsonl", LOCAL);
        let Some(run) = import_without_exchange(&home, &["inject=rename:error=EIO"], None) else {
            return skip_note("not run: there is no strace");
        };
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert_eq!(read(&home, ".patchwork/runs.jsonl").unwrap(), LOCAL.as_bytes());
        assert!(backups(&home).is_empty());
    }

    /// Returns the files of the directory by name.
    fn logs_of(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(home.path().join(".patchwork")).unwrap().map(|entry| entry.unwrap().path());
        let mut logs: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        logs.sort();
        logs
    }

    #[test]
    fn irreplaceable_log_is_found_before_any_other_is_replaced() {
        for (attribute, word) in [("+i", "immutable"), ("+a", "append-only")] {
            let home = Home::new().with("runs.jsonl", LOCAL).with("decision_traces.jsonl", "{\"createdAt\":1}\n");
            let log = home.path().join(".patchwork/decision_traces.jsonl");
            let change = |attribute: &str| Command::new("chattr").arg(attribute).arg(&log).output();
            if !change(attribute).is_ok_and(|done| done.status.success()) {
                return skip_note("not run: only root can mark files, and not on every file system");
            }
            let before = logs_of(&home);
            for arguments in [&[][..], &["--dry-run"], &["--mode", "append"]] {
                let run = import(&home, arguments);
                assert_eq!(run.code, 1, "{}", run.stderr);
                assert!(run.stderr.contains("decision_traces.jsonl: cannot replace this log"), "{}", run.stderr);
                assert!(run.stderr.contains(word), "{}", run.stderr);
                assert_eq!(logs_of(&home), before);
            }
            change(&attribute.replace('+', "-")).unwrap();
            assert_eq!(import(&home, &[]).code, 0);
        }
    }

    #[test]
    fn bind_mounted_log_is_not_replaced() {
        let home = Home::new().with("runs.jsonl", LOCAL).with("decision_traces.jsonl", "{\"createdAt\":1}\n");
        let (old, before) = (old_machine(), logs_of(&home));
        let log = home.path().join(".patchwork/decision_traces.jsonl");
        let import =
            crate::common::program::command(home.path(), &["import", old.path().join("b.gz").to_str().unwrap()]);
        let script = "mount --bind \"$1\" \"$1\" && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(&log).arg(import.get_program()).args(import.get_args());
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().envs(import.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", path);
        let Some(run) = command.output().ok().map(Run::from).filter(|run| !run.stderr.contains("unshare")) else {
            return skip_note("not run: only root can mount");
        };
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(
            run.stderr.contains("decision_traces.jsonl: cannot replace this log: it is a mount point"),
            "{}",
            run.stderr
        );
        assert_eq!(logs_of(&home), before);
    }
}

#[cfg(unix)]
mod owners {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    use std::process::Output;

    use super::*;
    use crate::common::skip_note::skip_note;

    const NAME: &str = ".claude/ide/activity-3100.jsonl";
    const LOCAL: &str = "{\"timestamp\":\"2026-05-01T10:00:00.000Z\"}\n";
    /// Some user who is not root, and another.
    const UNPRIVILEGED_UID: u32 = 65_534;
    const OTHER: u32 = 1234;

    fn with_log() -> Home {
        Home::new().with_activity("activity-3100.jsonl", LOCAL)
    }

    fn is_root() -> bool {
        fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
    }

    /// Gives a home and everything in it to a user.
    fn change_owner(path: &Path, user: u32) {
        chown(path, Some(user), Some(user)).unwrap();
        for entry in path.is_dir().then(|| fs::read_dir(path).unwrap()).into_iter().flatten() {
            change_owner(&entry.unwrap().path(), user);
        }
    }

    /// Imports as this user. If coverage is measured, the user may not write to root's profile.
    fn import_as_unprivileged_user(home: &Path, bundle: &str) -> Output {
        let mut command = crate::common::program::command(home, &["import", bundle]);
        command.env_remove("LLVM_PROFILE_FILE").uid(UNPRIVILEGED_UID).gid(UNPRIVILEGED_UID).output().unwrap()
    }

    #[test]
    fn log_keeps_its_permissions() {
        for mode in ["merge", "append", "overwrite"] {
            for (before, after) in [(0o600, 0o600), (0o644, 0o644), (0o660, 0o660), (0o444, 0o644), (0o4755, 0o644)] {
                let home = with_log();
                let log = home.path().join(NAME);
                fs::set_permissions(&log, fs::Permissions::from_mode(before)).unwrap();
                let run = import(&home, &["--mode", mode]);
                assert_eq!(run.code, 0, "{}", run.stderr);
                assert_ne!(read(&home, NAME).unwrap(), LOCAL.as_bytes());
                assert_eq!(log.metadata().unwrap().mode() & 0o7777, after, "{mode}, {before:o}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn log_keeps_its_access_control_list_and_inherits_none() {
        use rustix::fs::{XattrFlags, getxattr, setxattr};

        const NOBODY: u32 = u32::MAX;
        /// Its owner, one other user, its group, the most that these may, and all others: which, what they may, and who.
        const LIST: [(u16, u16, u32); 5] =
            [(1, 6, NOBODY), (2, 4, OTHER), (4, 0, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY)];
        let entry = |(tag, may, who): (u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &may.to_le_bytes(), &who.to_le_bytes()].concat()
        };
        let list: Vec<u8> = 2u32.to_le_bytes().into_iter().chain(LIST.into_iter().flat_map(entry)).collect();
        for (of_log, of_directory) in [(true, false), (false, true)] {
            let home = with_log();
            let log = home.path().join(NAME);
            let (at, name) = match of_directory {
                true => (log.parent().unwrap(), "system.posix_acl_default"),
                false => (log.as_path(), "system.posix_acl_access"),
            };
            if setxattr(at, name, &list, XattrFlags::empty()).is_err() {
                return skip_note("not run: this file system has no such lists");
            }
            assert_eq!(import(&home, &[]).code, 0);
            assert_ne!(read(&home, NAME).unwrap(), LOCAL.as_bytes());
            let mut there = [0; 256];
            let there =
                getxattr(&log, "system.posix_acl_access", &mut there[..]).map(|length| there[..length].to_vec());
            assert_eq!(there.ok(), of_log.then(|| list.clone()));
        }
    }

    #[test]
    fn log_shared_by_a_group_keeps_its_group() {
        if !is_root() {
            return skip_note("not run: only root can make files of other users");
        }
        for (mode, code) in [(0o660, 1), (0o640, 1), (0o600, 0), (0o604, 0)] {
            let (old, home) = (old_machine(), with_log());
            change_owner(old.path(), UNPRIVILEGED_UID);
            change_owner(home.path(), UNPRIVILEGED_UID);
            let log = home.path().join(NAME);
            chown(&log, Some(UNPRIVILEGED_UID), Some(OTHER)).unwrap();
            fs::set_permissions(&log, fs::Permissions::from_mode(mode)).unwrap();
            let bundle = old.path().join("b.gz");
            let output = import_as_unprivileged_user(home.path(), bundle.to_str().unwrap());
            assert_eq!(output.status.code(), Some(code), "{mode:o}");
            assert_eq!(log.metadata().unwrap().mode() & 0o7777, mode);
        }
    }

    #[test]
    fn root_import_keeps_the_owners_of_logs_and_directories() {
        if !is_root() {
            return skip_note("not run: only root can make files of other users");
        }
        let home = with_log();
        change_owner(&home.path().join(".claude"), UNPRIVILEGED_UID);
        change_owner(&home.path().join(".patchwork"), OTHER);
        assert_eq!(import(&home, &[]).code, 0);
        let owner = |name: &str| home.path().join(name).metadata().map(|log| (log.uid(), log.gid())).unwrap();
        assert_eq!(owner(NAME), (UNPRIVILEGED_UID, UNPRIVILEGED_UID));
        assert_eq!(owner(".patchwork/runs.jsonl"), (OTHER, OTHER));
    }

    #[test]
    fn directories_created_by_root_belong_to_the_owner_of_their_parent() {
        if !is_root() {
            return skip_note("not run: only root can make files of other users");
        }
        let home = tempfile::tempdir().unwrap();
        change_owner(home.path(), UNPRIVILEGED_UID);
        let (old, root) = (old_machine(), home.path().join("new"));
        let dirs = [root.join("patchwork"), root.join("claude/ide")];
        let [patchwork, activity] = dirs.each_ref().map(|dir| dir.to_str().unwrap());
        let arguments = ["import", "b.gz", "--patchwork-dir", patchwork, "--activity-dir", activity];
        assert_eq!(run(old.path(), &arguments).code, 0);
        let logs = [root.join("patchwork/runs.jsonl"), root.join("claude/ide/activity-3100.jsonl")];
        for path in [root.clone(), root.join("claude")].iter().chain(&dirs).chain(&logs) {
            let there = path.metadata().unwrap();
            assert_eq!((there.uid(), there.gid()), (UNPRIVILEGED_UID, UNPRIVILEGED_UID), "{}", path.display());
        }
    }

    #[test]
    fn stale_lock_of_another_user_is_removed() {
        if !is_root() {
            return skip_note("not run: only root can make files of other users");
        }
        let (old, home) = (old_machine(), Home::new());
        change_owner(old.path(), UNPRIVILEGED_UID);
        change_owner(home.path(), UNPRIVILEGED_UID);
        let lock = home.path().join(".patchwork/runs.jsonl.lock");
        fs::write(&lock, "").unwrap();
        fs::set_permissions(&lock, fs::Permissions::from_mode(0o600)).unwrap();
        let a_minute_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        fs::File::options().write(true).open(&lock).unwrap().set_modified(a_minute_ago).unwrap();
        let bundle = old.path().join("b.gz");
        let output = import_as_unprivileged_user(home.path(), bundle.to_str().unwrap());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!lock.exists());
    }

    #[test]
    fn log_of_another_user_keeps_its_owner() {
        if !is_root() {
            return skip_note("not run: only root can make files of other users");
        }
        let (old, home) = (old_machine(), with_log());
        change_owner(old.path(), UNPRIVILEGED_UID);
        change_owner(home.path(), UNPRIVILEGED_UID);
        change_owner(&home.path().join(NAME), OTHER);
        fs::set_permissions(home.path().join(NAME), fs::Permissions::from_mode(0o644)).unwrap();
        let bundle = old.path().join("b.gz");
        let output = import_as_unprivileged_user(home.path(), bundle.to_str().unwrap());
        let stderr = String::from_utf8(output.stderr).unwrap().replace(home.path().to_str().unwrap(), "HOME");
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        insta::assert_snapshot!(stderr);
        assert_eq!(read(&home, NAME).unwrap(), LOCAL.as_bytes());
        let left = |dir: &str| fs::read_dir(home.path().join(dir)).unwrap().count();
        assert_eq!((left(".claude/ide"), left(".patchwork")), (1, 0));
    }
}
