//! `export`, as its users see it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::common::Home;
use crate::common::program::{command, run};

const RUN: &str = "{\"seq\":1,\"createdAt\":1777700000000}\n";

fn sample_home() -> Home {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sample-logs");
    let mut home = Home::new();
    for entry in fs::read_dir(samples.join("patchwork")).unwrap() {
        let path = entry.unwrap().path();
        home = home.with(path.file_name().unwrap().to_str().unwrap(), fs::read(&path).unwrap());
    }
    for entry in fs::read_dir(samples.join("ide")).unwrap() {
        let path = entry.unwrap().path();
        home = home.with_activity(path.file_name().unwrap().to_str().unwrap(), fs::read(&path).unwrap());
    }
    home
}

/// Every path below `dir`, sorted.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(tree(&path));
        }
        all.push(path);
    }
    all.sort();
    all
}

/// Returns the output, without the path of the temporary home.
fn printed(home: &Home, text: &str) -> String {
    text.replace(home.path().to_str().unwrap(), "HOME")
}

#[test]
fn logs_of_a_home_are_bundled_to_the_default_path() {
    let home = sample_home();
    let run = run(home.path(), &["export"]);
    assert_eq!(run.code, 0);
    insta::assert_snapshot!(printed(&home, &format!("{}---\n{}", run.text(), run.stderr)));
    assert!(home.dirs().patchwork.join("traces-export-2026-05-02T10-00-00.jsonl.gz").is_file());
}

#[test]
fn same_logs_give_the_same_bytes_with_any_threads() {
    let home = sample_home();
    for (name, threads) in [("one", "1"), ("two", "2"), ("many", "1000000")] {
        assert_eq!(run(home.path(), &["export", "-o", name, "--threads", threads]).code, 0);
    }
    let [one, two, many] = ["one", "two", "many"].map(|name| fs::read(home.path().join(name)).unwrap());
    assert!(one == two && two == many);
}

#[test]
fn json_matches_the_text() {
    let home = sample_home();
    let run = run(home.path(), &["export", "-o", "b.gz", "--json"]);
    assert_eq!(run.code, 0);
    insta::assert_snapshot!(printed(&home, &run.text()));
}

#[test]
fn every_level_gives_the_same_rows() {
    let home = sample_home();
    for level in 0..=9 {
        let level = level.to_string();
        assert_eq!(run(home.path(), &["export", "--level", &level, "-fo", "b.gz"]).code, 0);
        let rows = run(home.path(), &["cat", "b.gz", "--source", "decision_traces"]).stdout;
        assert_eq!(rows, fs::read(home.dirs().patchwork.join("decision_traces.jsonl")).unwrap());
    }
    assert_eq!(run(home.path(), &["export", "--level", "10", "-fo", "b.gz"]).code, 2);
}

#[test]
fn missing_logs_are_an_error_unless_allowed() {
    let home = tempfile::tempdir().unwrap();
    let shown = |text: &str| text.replace(home.path().to_str().unwrap(), "HOME");
    let default = run(home.path(), &["export"]);
    let named = run(home.path(), &["export", "-o", "empty.gz"]);
    let streamed = run(home.path(), &["export", "-o", "-"]);
    let source = run(home.path(), &["export", "-o", "empty.gz", "--source", "activity", "--source", "runs"]);
    assert_eq!([&default, &named, &streamed, &source].map(|run| run.code), [1; 4]);
    assert!(streamed.stdout.is_empty());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is created");
    let without_target = run(home.path(), &["export", "--allow-empty"]);
    assert_eq!(without_target.code, 1);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is created");
    let allowed = run(home.path(), &["export", "-o", "empty.gz", "--allow-empty"]);
    assert_eq!(allowed.code, 0);
    assert_eq!(run(home.path(), &["inspect", "empty.gz"]).code, 0);
    assert_eq!(run(home.path(), &["cat", "empty.gz"]).stdout, b"");
    let all = [default, named, streamed, source, without_target, allowed].map(|run| shown(&run.stderr));
    insta::assert_snapshot!(all.join("---\n"));
}

#[test]
fn source_without_a_log_is_an_error_unless_allowed() {
    let home = Home::new().with("runs.jsonl", RUN);
    let export = ["export", "-o", "b.gz", "--source", "runs", "--source", "decision_traces"];
    let refused = run(home.path(), &export);
    assert_eq!(refused.code, 1);
    assert!(!home.path().join("b.gz").exists());
    let expected = "error: no log of the source \"decision_traces\" found in HOME/.patchwork\n";
    assert!(printed(&home, &refused.stderr).starts_with(expected), "{}", refused.stderr);
    let json = run(home.path(), &[&export[..], &["--json"]].concat());
    let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(error["error"]["kind"], "noLogs");
    assert_eq!(run(home.path(), &[&export[..], &["--allow-empty"]].concat()).code, 0);
}

#[test]
fn logs_without_a_patchwork_directory_need_an_output_path() {
    let home = Home::new().with_activity("activity-1.jsonl", "{}\n");
    fs::remove_dir(home.dirs().patchwork).unwrap();
    let refused = run(home.path(), &["export"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("hint: choose a file in another directory with -o"), "{}", refused.stderr);
    assert!(!home.dirs().patchwork.exists());
    assert_eq!(run(home.path(), &["export", "-o", "b.gz"]).code, 0);
    assert!(!home.dirs().patchwork.exists());
}

#[test]
fn missing_output_directory_is_created_only_on_request() {
    let home = sample_home();
    assert_eq!(run(home.path(), &["export", "-o", "b.gz"]).code, 0);
    let before = tree(home.path());
    for arguments in [&["export", "-fo", "deep/er/c.gz"][..], &["recover", "b.gz", "-fo", "deep/er/c.gz"]] {
        let refused = run(home.path(), arguments);
        assert_eq!(refused.code, 1, "{arguments:?}");
        let expected = "error: deep/er: cannot write the bundle here: no such directory\n  \
                        hint: check the spelling, or add --create-dirs to create the directory\n";
        assert_eq!(refused.stderr, expected, "{arguments:?}");
        assert_eq!(tree(home.path()), before, "{arguments:?}");
        assert_eq!(run(home.path(), &[arguments, &["--create-dirs"]].concat()).code, 0, "{arguments:?}");
        assert!(home.path().join("deep/er/c.gz").is_file());
        fs::remove_dir_all(home.path().join("deep")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn bundle_and_directories_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let home = sample_home();
    assert_eq!(run(home.path(), &["export", "-o", "deep/er/b.gz", "--create-dirs"]).code, 0);
    let mode = |path: &str| fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("deep/er/b.gz"), mode("deep/er"), mode("deep")), (0o600, 0o700, 0o700));
}

#[test]
fn existing_output_needs_force() {
    let home = sample_home();
    fs::write(home.path().join("b.gz"), "precious").unwrap();
    let refused = run(home.path(), &["export", "-o", "b.gz"]);
    assert_eq!(refused.code, 1);
    assert_eq!(fs::read(home.path().join("b.gz")).unwrap(), b"precious");
    insta::assert_snapshot!(refused.stderr);
    assert_eq!(run(home.path(), &["export", "-o", "b.gz", "--force"]).code, 0);
    assert_eq!(run(home.path(), &["inspect", "b.gz"]).code, 0);
}

#[cfg(unix)]
#[test]
fn symlink_to_the_output_is_followed_and_kept() {
    let home = sample_home();
    fs::write(home.path().join("real.gz"), "old").unwrap();
    std::os::unix::fs::symlink("real.gz", home.path().join("link.gz")).unwrap();
    assert_eq!(run(home.path(), &["export", "-o", "link.gz"]).code, 1);
    assert_eq!(run(home.path(), &["export", "-o", "link.gz", "-f"]).code, 0);
    assert!(home.path().join("link.gz").is_symlink());
    assert_eq!(run(home.path(), &["inspect", "real.gz"]).code, 0);
}

#[test]
fn bundle_never_replaces_a_log() {
    let home = sample_home();
    assert_eq!(run(home.path(), &["export", "-o", "b.gz"]).code, 0);
    #[cfg(unix)]
    {
        let runs = home.dirs().patchwork.join("runs.jsonl");
        std::os::unix::fs::symlink(&runs, home.path().join("link.gz")).unwrap();
        std::os::unix::fs::symlink(home.dirs().patchwork, home.path().join("dir-link")).unwrap();
        fs::hard_link(&runs, home.path().join("hard-link.gz")).unwrap();
    }
    for target in [
        ".patchwork/runs.jsonl",
        ".patchwork/outcome-log.jsonl",
        ".claude/ide/activity-3100.jsonl",
        ".claude/ide/activity-9.jsonl",
        "elsewhere/decision_traces.jsonl",
        "new.jsonl",
        ".patchwork/../.patchwork/./runs.jsonl.1",
        ".patchwork/runs.jsonl.lock",
        ".patchwork/runs.jsonl.2026-05-02T10-00-00.bak",
        ".patchwork/decision_traces.jsonl.tmp",
        "elsewhere/outcome-log.jsonl.tmp.123",
        #[cfg(unix)]
        "link.gz",
        #[cfg(unix)]
        "dir-link/runs.jsonl",
        #[cfg(unix)]
        "hard-link.gz",
    ] {
        let before = fs::read(home.path().join(target)).ok();
        for arguments in [&["export", "-fo", target][..], &["recover", "b.gz", "-fo", target]] {
            if arguments[0] == "recover" && target == "hard-link.gz" {
                // It knows no logs, and replaces only this name of the file.
                continue;
            }
            let refused = run(home.path(), arguments);
            assert_eq!(refused.code, 1, "{arguments:?}");
            assert!(refused.stderr.contains("this is a log, or a name reserved for a log"), "{}", refused.stderr);
            assert_eq!(fs::read(home.path().join(target)).ok(), before);
        }
    }
}

#[test]
fn directory_is_refused_as_output() {
    let home = sample_home();
    let refused = run(home.path(), &["export", "-fo", ".patchwork"]);
    assert_eq!(refused.code, 1);
    insta::assert_snapshot!(refused.stderr);
}

#[test]
fn standard_output_gets_the_same_bundle() {
    let home = sample_home();
    assert_eq!(run(home.path(), &["export", "-o", "b.gz"]).code, 0);
    let streamed = run(home.path(), &["export", "-o", "-"]);
    assert_eq!(streamed.code, 0);
    assert!(streamed.stdout == fs::read(home.path().join("b.gz")).unwrap());
    assert!(streamed.stderr.contains("bundled 305 rows from 6 logs to standard output"), "{}", streamed.stderr);
}

#[cfg(unix)]
#[test]
fn device_is_written_to_and_not_replaced() {
    let home = sample_home();
    assert_eq!(run(home.path(), &["export", "-o", "/dev/null"]).code, 0);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_leaves_no_file() {
    let home = sample_home();
    let failed = run(home.path(), &["export", "-o", "/dev/full"]);
    assert_eq!(failed.code, 1);
    insta::assert_snapshot!(failed.stderr);
}

#[test]
fn closed_pipe_is_success() {
    let home = Home::new().with("runs.jsonl", RUN.repeat(200_000));
    for arguments in [&["export", "--level", "0", "-o", "-"][..], &["cat", "b.gz"]] {
        assert_eq!(run(home.path(), &["export", "-fo", "b.gz"]).code, 0);
        let mut child = command(home.path(), arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap()), (Some(0), String::new()));
    }
}

#[test]
#[cfg(unix)]
fn closed_named_pipe_is_an_error() {
    let home = Home::new().with("runs.jsonl", crate::common::random_rows::random_rows(2000));
    assert_eq!(run(home.path(), &["export", "-fo", "b.gz"]).code, 0);
    assert!(std::process::Command::new("mkfifo").arg(home.path().join("pipe")).status().unwrap().success());
    for arguments in [&["export", "-o", "pipe"][..], &["recover", "b.gz", "-o", "pipe"]] {
        // It ends by itself where the program never opens it.
        let mut reader = std::process::Command::new("timeout");
        let reader = reader
            .args(["60", "head", "-c", "1"])
            .arg(home.path().join("pipe"))
            .stdout(std::process::Stdio::null())
            .spawn();
        let ended = run(home.path(), arguments);
        assert!(reader.unwrap().wait().unwrap().success(), "{arguments:?}");
        assert_eq!(ended.code, 1, "{arguments:?}");
        let message = "error: cannot write to pipe: the program that reads from it has ended\n  hint: start that program \
                    again, then this command\n";
        assert_eq!(ended.stderr, message, "{arguments:?}");
    }
}

#[test]
fn environment_variables_set_the_directories() {
    let home = sample_home();
    fs::rename(home.dirs().patchwork, home.path().join("pw")).unwrap();
    fs::rename(home.path().join(".claude"), home.path().join("cl")).unwrap();
    let rows = |command: &mut std::process::Command| {
        let output = command.output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["totalRows"].as_u64().unwrap()
    };
    let export = ["export", "-fo", "b.gz", "--json"];
    assert_eq!(rows(command(home.path(), &export).env("PATCHWORK_HOME", "pw")), 184);
    assert_eq!(rows(command(home.path(), &export).env("CLAUDE_CONFIG_DIR", "cl")), 121);
    let empty = ["export", "-fo", "b.gz", "--json", "--allow-empty"];
    assert_eq!(rows(&mut command(home.path(), &empty)), 0);
    assert_eq!(rows(command(home.path(), &empty).env("PATCHWORK_HOME", "").env("CLAUDE_CONFIG_DIR", "")), 0);
    let arguments = ["export", "-fo", "b.gz", "--json", "--patchwork-dir", "pw", "--activity-dir", "cl/ide"];
    assert_eq!(rows(command(home.path(), &arguments).env("PATCHWORK_HOME", "nowhere").env_remove("HOME")), 305);
}

#[test]
fn selected_sources_are_bundled_and_the_others_are_listed() {
    let home = sample_home();
    let run = run(home.path(), &["export", "-o", "b.gz", "--source", "runs", "--source", "activity"]);
    assert_eq!(run.code, 0);
    insta::assert_snapshot!(format!("{}---\n{}", run.text(), run.stderr));
}

#[test]
fn other_logs_are_bundled_on_request() {
    let home = sample_home().with("decision_traces.cli.jsonl", RUN).with("activity.jsonl", RUN);
    let run = run(home.path(), &["export", "-o", "b.gz", "--include-other"]);
    assert_eq!(run.code, 0);
    insta::assert_snapshot!(format!("{}---\n{}", run.text(), run.stderr));
}

#[cfg(target_os = "linux")]
#[test]
fn invalid_file_name_is_skipped_or_refused() {
    use std::os::unix::ffi::OsStrExt;
    for (name, shown) in [(&b"n\xffo.jsonl"[..], "n\u{fffd}o.jsonl"), (b"bell\x07.jsonl", "bell\\u{7}.jsonl")] {
        let home = sample_home();
        fs::write(home.dirs().patchwork.join(std::ffi::OsStr::from_bytes(name)), RUN).unwrap();
        let without = run(home.path(), &["export", "-o", "b.gz"]);
        assert_eq!(without.code, 0);
        assert!(without.stderr.contains(shown) && without.stderr.contains("outcome-log.jsonl"), "{}", without.stderr);
        let with = run(home.path(), &["export", "-fo", "b.gz", "--include-other"]);
        assert_eq!(with.code, 1);
        assert!(with.stderr.contains("invalid log name: "), "{}", with.stderr);
    }
}

#[test]
fn unknown_source_error_lists_the_known_sources() {
    let home = sample_home();
    let unknown = run(home.path(), &["export", "-o", "b.gz", "--source", "run"]);
    let other = run(home.path(), &["export", "-o", "b.gz", "--source", "outcome-log"]);
    assert_eq!((unknown.code, other.code), (1, 1));
    insta::assert_snapshot!(unknown.stderr + &other.stderr);
}

#[cfg(unix)]
#[test]
fn unreadable_log_stops_the_export() {
    for (name, what) in [
        ("runs.jsonl", "dir"),
        ("decision_traces.jsonl", "dangling"),
        ("runs.jsonl.1", "fifo"),
        ("other.jsonl", "dir"),
        ("other.jsonl", "dangling"),
        ("other.jsonl", "fifo"),
    ] {
        let home = sample_home();
        let path = home.dirs().patchwork.join(name);
        let _ = fs::remove_file(&path);
        match what {
            "dir" => fs::create_dir(&path).unwrap(),
            "dangling" => std::os::unix::fs::symlink("nowhere", &path).unwrap(),
            _ => assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success()),
        }
        let before = tree(home.path());
        let failed = run(home.path(), &["export", "--include-other", "--create-dirs", "-o", "new/b.gz"]);
        assert_eq!(failed.code, 1, "{what}");
        assert!(failed.stderr.contains(name), "{}", failed.stderr);
        assert_eq!(tree(home.path()), before, "{what}");
        // A file that is not a known log matters only with the option that includes it.
        let without = run(home.path(), &["export", "-o", "new/b.gz", "--create-dirs"]);
        assert_eq!(without.code == 0, name == "other.jsonl", "{what}: {}", without.stderr);
    }
}

#[cfg(unix)]
#[test]
fn fifo_in_place_of_a_lock_or_temporary_file_does_not_block() {
    let home = sample_home();
    for name in [".patchwork/runs.jsonl.lock", ".patchwork-traces-a.part"] {
        assert!(std::process::Command::new("mkfifo").arg(home.path().join(name)).status().unwrap().success());
    }
    assert_eq!(run(home.path(), &["export", "-o", "b.gz"]).code, 0);
}

#[test]
fn rotated_runs_come_before_newer_runs() {
    let home = Home::new().with("runs.jsonl", "{\"seq\":2}\n").with("runs.jsonl.1", "{\"seq\":1}\n");
    assert_eq!(run(home.path(), &["export", "-o", "b.gz"]).code, 0);
    let rows = run(home.path(), &["cat", "b.gz", "--source", "runs", "--envelope"]).text();
    assert_eq!(
        rows,
        "{\"source\":\"runs\",\"file\":\"runs.jsonl.1\",\"entry\":{\"seq\":1}}\n{\"source\":\"runs\",\"entry\":{\"seq\":2}}\n"
    );
}

#[test]
fn line_too_long_for_the_format_is_refused_with_its_position() {
    let home = Home::new();
    let log = fs::File::create(home.dirs().patchwork.join("runs.jsonl")).unwrap();
    log.set_len((256 << 20) + 2).unwrap();
    let failed = run(home.path(), &["export", "-o", "b.gz"]);
    assert_eq!(failed.code, 1);
    insta::assert_snapshot!(printed(&home, &failed.stderr));
    assert!(!home.path().join("b.gz").exists());
}

#[test]
fn too_many_unparsed_lines_are_refused_with_the_log() {
    let home = Home::new().with("runs.jsonl", "{}\n\u{1}\n".repeat(6_000_000));
    let failed = run(home.path(), &["export", "-o", "b.gz"]);
    assert_eq!(failed.code, 1);
    insta::assert_snapshot!(printed(&home, &failed.stderr));
    assert!(!home.path().join("b.gz").exists());
}

#[test]
fn line_longer_than_any_row_stops_the_export_and_is_named() {
    let home = Home::new().with("runs.jsonl", RUN);
    // A hole reads as NULs and takes no room.
    let log = fs::File::options().append(true).open(home.dirs().patchwork.join("runs.jsonl")).unwrap();
    log.set_len((256 << 20) + 1 + RUN.len() as u64).unwrap();
    let run = run(home.path(), &["export", "-o", "b.gz"]);
    assert_eq!(run.code, 1);
    assert_eq!(
        printed(&home, &run.stderr),
        "error: HOME/.patchwork/runs.jsonl: line 2: this line exceeds the limit of 268,435,456 bytes\n  \
         hint: look at this line: no known program writes rows of that length\n"
    );
    assert!(!home.path().join("b.gz").exists());
}

#[test]
fn more_logs_than_a_bundle_can_hold_stop_the_export() {
    let home = Home::new();
    // Links to few files: some file systems are slow for seconds after so many files were removed.
    let mut file = PathBuf::new();
    for port in 0..=100_000 {
        let log = home.dirs().activity.join(format!("activity-{port}.jsonl"));
        if port % 50_000 == 0 {
            fs::File::create(&log).unwrap();
            file = log;
        } else {
            fs::hard_link(&file, log).unwrap();
        }
    }
    let refused = run(home.path(), &["export", "-o", "b.gz", "--threads", "1"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("too many logs: a bundle has at most 100,000"), "{}", refused.stderr);
    assert!(!home.path().join("b.gz").exists());
    fs::remove_file(home.dirs().activity.join("activity-1.jsonl")).unwrap();
    let done = run(home.path(), &["export", "-o", "b.gz", "--quiet"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let inspected = run(home.path(), &["inspect", "b.gz", "--json"]).json();
    assert_eq!(inspected["files"].as_array().unwrap().len(), 100_000);
}

#[test]
fn named_directory_must_exist() {
    let home = sample_home();
    let mut errors = String::new();
    for (arguments, variable) in [
        (&["--activity-dir", "nowhere"][..], None),
        (&["--patchwork-dir", "nowhere", "--allow-empty"], None),
        (&[], Some("PATCHWORK_HOME")),
        (&[], Some("CLAUDE_CONFIG_DIR")),
    ] {
        let mut command = command(home.path(), &[&["export", "-o", "b.gz"], arguments].concat());
        let refused = command.envs(variable.map(|name| (name, "nowhere"))).output().unwrap();
        errors += &String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{errors}");
        assert!(!home.path().join("b.gz").exists() && !home.path().join("nowhere").exists());
    }
    insta::assert_snapshot!(errors);
    // A configuration directory without `ide` has no activity logs yet.
    fs::create_dir(home.path().join("config")).unwrap();
    let done = command(home.path(), &["export", "-o", "b.gz"]).env("CLAUDE_CONFIG_DIR", "config").output().unwrap();
    assert_eq!(done.status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn directory_without_permission_is_named() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    const UNPRIVILEGED_UID: u32 = 65_534;
    let home = Home::new().with("runs.jsonl", RUN);
    fs::create_dir_all(home.path().join("locked/sub")).unwrap();
    // Root may do everything, so another user runs the program then.
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if is_root {
        tree(home.path()).iter().chain([&home.path().to_owned()]).for_each(|path| {
            chown(path, Some(UNPRIVILEGED_UID), Some(UNPRIVILEGED_UID)).unwrap();
        });
    }
    let locked = home.path().join("locked");
    let set_mode = |mode| fs::set_permissions(&locked, fs::Permissions::from_mode(mode)).unwrap();
    let mut errors = String::new();
    for (mode, arguments) in [
        (0o500, &["-o", "locked/b.gz"][..]),
        (0o500, &["-o", "locked/new/b.gz", "--create-dirs"]),
        (0o000, &["-o", "locked/b.gz"]),
        (0o000, &["-o", "locked/sub/b.gz", "--create-dirs"]),
        (0o000, &["-o", "b.gz", "--activity-dir", "locked"]),
        (0o000, &["-o", "b.gz", "--activity-dir", "locked/sub"]),
    ] {
        set_mode(mode);
        let mut command = command(home.path(), &[&["export"], arguments].concat());
        if is_root {
            command.env_remove("LLVM_PROFILE_FILE").uid(UNPRIVILEGED_UID).gid(UNPRIVILEGED_UID);
        }
        let refused = command.output().unwrap();
        errors += &format!("{mode:03o} {}\n{}", arguments.join(" "), String::from_utf8(refused.stderr).unwrap());
        assert_eq!(refused.status.code(), Some(1), "{errors}");
    }
    set_mode(0o700);
    insta::assert_snapshot!(errors);
}

#[cfg(target_os = "linux")]
#[test]
fn too_few_file_descriptors_are_reported_as_such() {
    let home = Home::new().with("runs.jsonl.1", RUN).with("runs.jsonl", RUN);
    let program = env!("CARGO_BIN_EXE_patchwork-traces");
    let mut reported = 0;
    for limit in 3..20 {
        let script = format!("ulimit -n {limit} && exec {program} export --threads 1 --level 0 -fo b.gz");
        let mut shell = std::process::Command::new("sh");
        let ended = shell.args(["-c", &script]).current_dir(home.path()).env("HOME", home.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(!errors.contains("changed"), "{limit}: {errors}");
        if errors.contains("runs.jsonl") {
            assert_eq!(ended.status.code(), Some(1), "{limit}: {errors}");
            assert!(
                errors.contains("runs.jsonl: too many open files\n  hint: raise the limit with `ulimit -n`")
                    && errors.contains("cannot open "),
                "{limit}: {errors}"
            );
            reported += 1;
        }
    }
    assert!(reported > 0, "no limit was met while the logs were opened");
}

#[test]
fn invalid_source_date_epoch_is_refused() {
    let home = sample_home();
    let output = command(home.path(), &["export", "-o", "b.gz"]).env("SOURCE_DATE_EPOCH", "today").output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("for SOURCE_DATE_EPOCH"), "{errors}");
    assert!(!home.path().join("b.gz").exists());
}
