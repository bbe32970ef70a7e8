//! A command that is killed, or meets a failing system, at any of its steps leaves each target in its old or its new state.
//! The next run removes the leftovers, and the exit code tells what happened.
//!
//! `cargo test --test slow crashes -- --ignored --nocapture` kills each command before each of its system calls,
//! makes each of them fail, kills commands at hundreds of moments of a long run, and fills a disk of every size. That takes
//! some minutes, and needs Linux, strace and unshare.

mod histories;
mod scenarios;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use histories::HistoryTrial;
use scenarios::{Injection, Outcome, SCENARIOS, Scenario, State};

/// The number of rows that makes logs shorter than a quarter of the size at which Patchwork rotates them. An import
/// watches longer logs for 3 s after it replaced them, if they are young.
const ROWS_OF_UNWATCHED_LOGS: u64 = 2_000;

/// The number of rows that makes logs long enough to be watched.
const ROWS_OF_WATCHED_LOGS: u64 = 4_000;

/// Kills the scenario's command at moments that are spread over its whole run. Returns the number of killed runs.
fn kill_at_moments(scenario: Scenario, rows: u64, moments: u32) -> u32 {
    let trial = scenario.prepare(rows);
    let duration = trial.time();
    let mut killed = 0;
    for moment in 0..moments {
        let workspace = trial.workspace();
        let mut child = workspace.command().spawn().unwrap();
        std::thread::sleep(duration * moment / moments);
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        trial.check(&workspace, Outcome::of(ended), &format!("killed at {moment} of {moments}"));
        killed += u32::from(ended.code().is_none());
        trial.check_next_run(&workspace, &format!("killed at {moment} of {moments}"));
    }
    // The last ones can end before they are killed: a command can take less time than the one that was measured.
    assert!(killed >= (moments / 4).max(1), "only {killed} of {moments} were killed before their end");
    killed
}

#[test]
fn command_killed_at_any_moment_changes_nothing_or_all() {
    for (scenario, rows, moments) in [
        (SCENARIOS.export_over_another, ROWS_OF_WATCHED_LOGS, 12),
        (SCENARIOS.merge, ROWS_OF_UNWATCHED_LOGS, 12),
        (SCENARIOS.merge, ROWS_OF_WATCHED_LOGS, 3),
    ] {
        let killed = kill_at_moments(scenario, rows, moments);
        println!("{}: {killed} of {moments} were killed before their end", scenario.name);
    }
}

#[test]
#[ignore = "takes minutes"]
fn command_killed_at_hundreds_of_moments_changes_nothing_or_all() {
    for scenario in SCENARIOS.all() {
        let killed = kill_at_moments(scenario, 40_000, 100);
        println!("{}: {killed} of 100 were killed before their end", scenario.name);
    }
}

/// Prints how many of the planned injections happened, and checks that nearly all did. When this was measured, all of
/// them did, and at least 19 of 20 met the files of the command. Some may miss: the number of calls that a thread makes
/// differs from run to run, so that the 20th call of a name may not happen again.
fn check_injections(what: &str, injections: &[Injection], out_of_reach: usize) {
    let count = |wanted| injections.iter().filter(|injection| **injection == wanted).count();
    let (here, elsewhere) = (count(Injection::OnTheWorkspace), count(Injection::OnAnotherCall));
    println!(
        "{what}: {} of {} planned, {elsewhere} of them met another thread elsewhere; {out_of_reach} calls out of reach",
        here + elsewhere,
        injections.len()
    );
    assert!(count(Injection::Missed) <= 1 + injections.len() / 50, "{what}: too few came about");
    assert!(here + 1 + injections.len() / 10 >= injections.len(), "{what}: too few met the files of the command");
}

#[test]
#[ignore = "takes minutes and needs strace"]
fn command_killed_before_every_system_call_changes_nothing_or_all() {
    for scenario in SCENARIOS.all() {
        let trial = scenario.prepare(3);
        let (calls, out_of_reach) = trial.calls();
        let injections = scenarios::in_parallel(&calls, |(call, number)| {
            let workspace = trial.workspace();
            let what = format!("killed before {call} {number}");
            let (output, injection) =
                workspace.command_with_injection(call, *number, &format!("signal=KILL:when={number}"));
            let outcome = Outcome::of(output.status);
            assert_eq!(
                injection != Injection::Missed,
                outcome == Outcome::Killed,
                "{}, {what}: {outcome:?}",
                scenario.name
            );
            trial.check(&workspace, outcome, &what);
            trial.check_next_run(&workspace, &what);
            injection
        });
        check_injections(&format!("{}, kills before system calls", scenario.name), &injections, out_of_reach);
    }
}

/// Returns the errors that a call may fail with.
fn errors_of(call: &str) -> &'static [&'static str] {
    match call {
        "openat" | "open" | "mkdir" | "mkdirat" => &["EACCES", "ENOSPC", "EIO", "EMFILE"],
        "write" | "pwrite64" | "writev" | "ftruncate" | "copy_file_range" | "sendfile" => &["ENOSPC", "EIO"],
        "fsync" | "fdatasync" => &["EIO", "ENOSPC", "EINVAL"],
        "rename" | "renameat" | "renameat2" | "link" | "linkat" => &["EACCES", "EIO", "ENOSPC", "EINVAL"],
        "unlink" | "unlinkat" | "rmdir" => &["EACCES"],
        "flock" => &["ENOLCK"],
        "close" | "fcntl" => &[],
        _ => &["EIO", "EACCES"],
    }
}

#[test]
#[ignore = "takes minutes and needs strace"]
fn command_survives_the_failure_of_each_system_call() {
    for scenario in SCENARIOS.all() {
        let trial = scenario.prepare(3);
        let (calls, out_of_reach) = trial.calls();
        let faults: Vec<_> = calls
            .iter()
            .flat_map(|(call, number)| errors_of(call).iter().map(move |error| (call.clone(), *number, *error)))
            .collect();
        let injections = scenarios::in_parallel(&faults, |(call, number, error)| {
            let workspace = trial.workspace();
            let what = format!("{call} {number} fails with {error}");
            let (output, injection) =
                workspace.command_with_injection(call, *number, &format!("error={error}:when={number}"));
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(!errors.contains("panicked"), "{}, {what}: {errors}", scenario.name);
            // A command that cannot list or remove its leftovers leaves them to the next run.
            let may_leave = ["unlink", "unlinkat", "rmdir", "openat", "getdents64", "newfstatat", "statx", "fcntl"];
            let may_leave = may_leave.contains(&call.as_str());
            let outcome = Outcome::of(output.status);
            trial.check(
                &workspace,
                if may_leave { outcome.with_leftovers_allowed() } else { outcome },
                &format!("{what}: {errors}"),
            );
            trial.check_next_run(&workspace, &what);
            injection
        });
        check_injections(&format!("{}, failures of system calls", scenario.name), &injections, out_of_reach);
    }
}

#[test]
#[ignore = "takes minutes and needs strace"]
fn disk_full_at_any_write_changes_nothing() {
    for scenario in SCENARIOS.all() {
        let trial = scenario.prepare(2_000);
        let writes = trial.calls().0.into_iter().filter(|(call, _)| call == "write").collect::<Vec<_>>();
        let injections = scenarios::in_parallel(&writes, |(call, number)| {
            let workspace = trial.workspace();
            let what = format!("no space from {call} {number} on");
            let (output, injection) =
                workspace.command_with_injection(call, *number, &format!("error=ENOSPC:when={number}+"));
            trial.check(&workspace, Outcome::of(output.status), &what);
            trial.check_next_run(&workspace, &what);
            injection
        });
        check_injections(&format!("{}, no space from a write on", scenario.name), &injections, 0);
    }
}

#[test]
fn file_size_limit_changes_nothing() {
    for scenario in [SCENARIOS.export, SCENARIOS.merge] {
        let trial = scenario.prepare(2_000);
        for (blocks, ignored) in [(0, true), (1, true), (8, true), (64, true), (1, false), (64, false)] {
            let workspace = trial.workspace();
            let trap = if ignored { "trap '' XFSZ; " } else { "" };
            let ended = workspace.command_after(&format!("{trap}ulimit -f {blocks}")).status().unwrap();
            let what = format!("no file longer than {blocks} blocks");
            assert_ne!(ended.code(), Some(0), "{what}");
            trial.check(&workspace, Outcome::of(ended), &what);
            trial.check_next_run(&workspace, &what);
        }
    }
}

/// Runs a command as a user whom the modes of directories restrict.
fn as_unprivileged_user(command: &mut std::process::Command) -> &mut std::process::Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if is_root { command.uid(65_534).gid(65_534) } else { command }
}

#[test]
fn read_only_directories_change_nothing() {
    for scenario in SCENARIOS.all() {
        for dir in ["home/.patchwork", "home/.claude/ide", "out"] {
            let trial = scenario.prepare(3);
            let workspace = trial.workspace();
            workspace.change_owner(65_534);
            workspace.set_mode(dir, 0o500);
            let output = as_unprivileged_user(&mut workspace.command()).stderr(Stdio::piped()).output().unwrap();
            workspace.set_mode(dir, 0o700);
            trial.check(&workspace, Outcome::of(output.status), &format!("{dir} may not be written"));
            trial.check_next_run(&workspace, &format!("{dir} could not be written"));
        }
    }
}

#[test]
fn removed_directories_lose_no_log() {
    for (scenario, dir) in [
        (SCENARIOS.merge, "home/.patchwork"),
        (SCENARIOS.merge, "home/.claude/ide"),
        (SCENARIOS.export, "home/.patchwork"),
        (SCENARIOS.export, "out"),
        (SCENARIOS.export_over_another, "out"),
        (SCENARIOS.recover, "out"),
    ] {
        let trial = scenario.prepare(ROWS_OF_UNWATCHED_LOGS);
        let duration = trial.time();
        let mut codes = Vec::new();
        for moment in 0..10 {
            let workspace = trial.workspace();
            codes.push(trial.check_removed_directory(&workspace, dir, duration * moment / 10));
        }
        println!("{}: {dir} vanished, exit codes {codes:?}", scenario.name);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn full_standard_output_is_reported() {
    for scenario in SCENARIOS.all() {
        let trial = scenario.prepare(3);
        let workspace = trial.workspace();
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = workspace.command().stdout(full).stderr(Stdio::piped()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(3),
            "{}: the work is done, and that cannot be said: {errors}",
            scenario.name
        );
        assert!(errors.contains("standard output"), "{errors}");
        trial.check(&workspace, Outcome::Code(scenario.code), "a standard output that takes nothing");
    }
}

#[test]
fn closed_standard_streams_are_handled() {
    for scenario in SCENARIOS.all() {
        let trial = scenario.prepare(3);
        let workspace = trial.workspace();
        let ended = workspace.command_after("exec <&- >&- 2>&-").status().unwrap();
        assert_eq!(ended.code(), Some(scenario.code), "{}", scenario.name);
        trial.check(&workspace, Outcome::of(ended), "closed streams");
    }
    let workspace = SCENARIOS.merge.prepare(3).workspace();
    for command in
        [&["import", "-"][..], &["cat", "-"], &["inspect", "-"], &["verify", "-"], &["recover", "-", "-o", "x"]]
    {
        let before = State::of(&workspace);
        let output = workspace.program_after(command, "exec <&-").stderr(Stdio::piped()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {errors}");
        assert!(errors.contains("standard input"), "{errors}");
        assert!(State::of(&workspace) == before);
    }
}

#[test]
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn export_to_a_closed_standard_output_fails() {
    let workspace = SCENARIOS.export.prepare(3).workspace();
    let export = |before: &str| {
        let output = workspace.program_after(&["export", "-o", "-"], before).stderr(Stdio::piped()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let before = State::of(&workspace);
    for closed in ["exec >&-", "exec <&- >&-", "exec 1<>/dev/null"] {
        let (code, errors) = export(closed);
        assert_eq!(code, Some(2), "{closed}: {errors}");
        assert!(errors.contains("the bundle would be lost: standard output is closed"), "{errors}");
    }
    for open in ["exec > /dev/null", "exec >> /dev/null", "exec <&- > out/bundle", "exec 1<> out/bundle"] {
        assert_eq!(export(open).0, Some(0), "{open}");
    }
    fs::remove_file(workspace.path("out/bundle")).unwrap();
    assert!(State::of(&workspace) == before);
}

/// Runs on the small disk that the test below mounts.
#[test]
#[ignore = "another test runs it on a small disk"]
fn commands_on_a_small_disk() {
    let Some(disk) = std::env::var_os("CRASH_TEST_DISK") else { return };
    let mut failed = 0;
    for scenario in SCENARIOS.all() {
        let trial = scenario.prepare(2_000);
        for spare in (0..600).step_by(12) {
            let workspace = trial.workspace_in(disk.as_ref());
            let filler = workspace.fill_disk_except(spare << 10);
            let output = workspace.command().stderr(Stdio::piped()).output().unwrap();
            let what = format!("{spare} KiB were free: {}", String::from_utf8_lossy(&output.stderr));
            failed += u32::from(output.status.code() == Some(1));
            trial.check(&workspace, Outcome::of(output.status), &what);
            fs::remove_file(filler).unwrap();
            trial.check_next_run(&workspace, &what);
        }
        println!("{}: {failed} runs failed so far for want of space", scenario.name);
    }
    for scenario in histories::SCENARIOS {
        let trial = HistoryTrial::prepare(scenario, 1_000);
        for spare in (0..600).step_by(12) {
            let workspace = trial.workspace_in(disk.as_ref());
            let filler = workspace.fill_disk_except(spare << 10);
            let output = workspace.command().stderr(Stdio::piped()).output().unwrap();
            let what = format!("{spare} KiB were free: {}", String::from_utf8_lossy(&output.stderr));
            failed += u32::from(output.status.code() == Some(1));
            trial.check(&workspace, Outcome::of(output.status), &what);
            fs::remove_file(filler).unwrap();
            trial.check_next_runs(&workspace, &what);
        }
        println!("{}: {failed} runs failed so far for want of space", scenario.name);
    }
    assert!(failed > 60);
}

#[test]
#[ignore = "takes a minute and needs unshare"]
fn disk_of_any_size_changes_nothing_or_all() {
    let disk = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=4m tmpfs \"$CRASH_TEST_DISK\" && exec \"$0\" --ignored --exact --nocapture crashes::commands_on_a_small_disk";
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", script]).arg(std::env::current_exe().unwrap());
    let ended = command.env("CRASH_TEST_DISK", disk.path()).status().unwrap();
    assert!(ended.success());
}

#[test]
#[ignore = "needs unshare"]
fn export_needs_disk_space_for_one_copy_of_the_bundle() {
    let home = tempfile::tempdir().unwrap();
    let disk = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".patchwork")).unwrap();
    fs::write(home.path().join(".patchwork/runs.jsonl"), crate::common::random_rows::random_rows(60_000)).unwrap();
    // The bundle has 33 MB. Its chunks wait on the disk until the manifest, which comes before them, is known.
    let script = "mount -t tmpfs -o size=$1m tmpfs \"$DISK\" && \"$0\" export -q -o \"$DISK/b.gz\" && \"$0\" verify \"$DISK/b.gz\"";
    let exported_to_a_disk_of = |mebibytes: u32| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script, env!("CARGO_BIN_EXE_patchwork-traces")]);
        command.arg(mebibytes.to_string()).env("HOME", home.path()).env("DISK", disk.path());
        command.output().unwrap()
    };
    let done = exported_to_a_disk_of(40);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(exported_to_a_disk_of(30).status.code(), Some(1));
}
