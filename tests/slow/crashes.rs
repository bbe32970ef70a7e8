//! Whatever ends a command, and whatever the system refuses it, at any of its steps: targets are as they were or as they
//! must become, what is left behind is cleaned up by the next run, and the exit code says what happened.
//!
//! `cargo test --test slow crashes -- --ignored --nocapture` kills it before each of its system calls, lets each of them
//! fail, kills it at hundreds of moments of a long run, and fills a disk of every size. It takes some minutes, and needs
//! Linux, strace and unshare.

mod scenarios;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use scenarios::{Ending, Hit, SCENES, Scene, State};

/// Kills the scene's command at moments that are spread over its whole run.
fn killed_at_moments(scene: Scene, rows: u64, moments: u32) -> u32 {
    let play = scene.rehearse(rows);
    let whole = play.time();
    let mut killed = 0;
    for moment in 0..moments {
        let stage = play.stage();
        let mut child = stage.command().spawn().unwrap();
        std::thread::sleep(whole * moment / moments);
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        play.check(&stage, Ending::of(ended), &format!("killed at {moment} of {moments}"));
        killed += u32::from(ended.code().is_none());
        play.check_next_run(&stage, &format!("killed at {moment} of {moments}"));
    }
    // Most are: not the last ones of a command that takes less time than the one that was measured.
    assert!(killed >= moments / 4, "only {killed} of {moments} were killed before their end");
    killed
}

#[test]
fn command_killed_at_any_moment_changes_nothing_or_all() {
    for scene in [SCENES.export_over_another, SCENES.merge] {
        let killed = killed_at_moments(scene, 4_000, 12);
        println!("{}: {killed} of 12 were killed before their end", scene.name);
    }
}

#[test]
#[ignore = "takes minutes"]
fn command_killed_at_hundreds_of_moments_changes_nothing_or_all() {
    for scene in SCENES.all() {
        let killed = killed_at_moments(scene, 40_000, 100);
        println!("{}: {killed} of 100 were killed before their end", scene.name);
    }
}

/// Says how many of the planned tamperings came about, and checks that nearly all did. When this was measured all of
/// them did, and at least 19 of 20 met the files of the command. Not all must: which thread makes how many calls differs
/// from run to run, and one that made 20 of a name when they were counted can make 19 in the run in which the 20th is
/// meant.
fn check_hits(what: &str, hits: &[Hit], out_of_reach: usize) {
    let count = |wanted| hits.iter().filter(|hit| **hit == wanted).count();
    let (here, elsewhere) = (count(Hit::Here), count(Hit::Elsewhere));
    println!(
        "{what}: {} of {} planned, {elsewhere} of them met another thread elsewhere; {out_of_reach} calls out of reach",
        here + elsewhere,
        hits.len()
    );
    assert!(count(Hit::Missed) <= 1 + hits.len() / 50, "{what}: too few came about");
    assert!(here + 1 + hits.len() / 10 >= hits.len(), "{what}: too few met the files of the command");
}

#[test]
#[ignore = "takes minutes and needs strace"]
fn command_killed_before_every_system_call_changes_nothing_or_all() {
    for scene in SCENES.all() {
        let play = scene.rehearse(3);
        let (calls, out_of_reach) = play.calls();
        let hits = scenarios::in_parallel(&calls, |(call, number)| {
            let stage = play.stage();
            let what = format!("killed before {call} {number}");
            let (output, hit) = stage.tampered(call, *number, &format!("signal=KILL:when={number}"));
            let ending = Ending::of(output.status);
            assert_eq!(hit != Hit::Missed, ending == Ending::Killed, "{}, {what}: {ending:?}", scene.name);
            play.check(&stage, ending, &what);
            play.check_next_run(&stage, &what);
            hit
        });
        check_hits(&format!("{}, kills before system calls", scene.name), &hits, out_of_reach);
    }
}

/// What the system may answer to a call.
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
    for scene in SCENES.all() {
        let play = scene.rehearse(3);
        let (calls, out_of_reach) = play.calls();
        let faults: Vec<_> = calls
            .iter()
            .flat_map(|(call, number)| errors_of(call).iter().map(move |error| (call.clone(), *number, *error)))
            .collect();
        let hits = scenarios::in_parallel(&faults, |(call, number, error)| {
            let stage = play.stage();
            let what = format!("{call} {number} fails with {error}");
            let (output, hit) = stage.tampered(call, *number, &format!("error={error}:when={number}"));
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(!errors.contains("panicked"), "{}, {what}: {errors}", scene.name);
            // Whoever cannot look into what he wants to remove, or remove it, leaves it to the next run.
            let may_leave = ["unlink", "unlinkat", "rmdir", "openat", "getdents64", "newfstatat", "statx", "fcntl"];
            let may_leave = may_leave.contains(&call.as_str());
            let ending = Ending::of(output.status);
            play.check(
                &stage,
                if may_leave { ending.that_may_leave_something() } else { ending },
                &format!("{what}: {errors}"),
            );
            play.check_next_run(&stage, &what);
            hit
        });
        check_hits(&format!("{}, failures of system calls", scene.name), &hits, out_of_reach);
    }
}

#[test]
#[ignore = "takes minutes and needs strace"]
fn disk_full_at_any_write_changes_nothing() {
    for scene in SCENES.all() {
        let play = scene.rehearse(2_000);
        let writes = play.calls().0.into_iter().filter(|(call, _)| call == "write").collect::<Vec<_>>();
        let hits = scenarios::in_parallel(&writes, |(call, number)| {
            let stage = play.stage();
            let what = format!("no space from {call} {number} on");
            let (output, hit) = stage.tampered(call, *number, &format!("error=ENOSPC:when={number}+"));
            play.check(&stage, Ending::of(output.status), &what);
            play.check_next_run(&stage, &what);
            hit
        });
        check_hits(&format!("{}, no space from a write on", scene.name), &hits, 0);
    }
}

#[test]
fn file_size_limit_changes_nothing() {
    for scene in [SCENES.export, SCENES.merge] {
        let play = scene.rehearse(2_000);
        for (blocks, ignored) in [(0, true), (1, true), (8, true), (64, true), (1, false), (64, false)] {
            let stage = play.stage();
            let trap = if ignored { "trap '' XFSZ; " } else { "" };
            let ended = stage.limited(&format!("{trap}ulimit -f {blocks}")).status().unwrap();
            let what = format!("no file longer than {blocks} blocks");
            assert_ne!(ended.code(), Some(0), "{what}");
            play.check(&stage, Ending::of(ended), &what);
            play.check_next_run(&stage, &what);
        }
    }
}

/// Runs as somebody for whom the modes of directories hold.
fn as_somebody(command: &mut std::process::Command) -> &mut std::process::Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if is_root { command.uid(65_534).gid(65_534) } else { command }
}

#[test]
fn read_only_directories_change_nothing() {
    for scene in SCENES.all() {
        for dir in ["home/.patchwork", "home/.claude/ide", "out"] {
            let play = scene.rehearse(3);
            let stage = play.stage();
            stage.give_to(65_534);
            stage.set_mode(dir, 0o500);
            let output = as_somebody(&mut stage.command()).stderr(Stdio::piped()).output().unwrap();
            stage.set_mode(dir, 0o700);
            play.check(&stage, Ending::of(output.status), &format!("{dir} may not be written"));
            play.check_next_run(&stage, &format!("{dir} could not be written"));
        }
    }
}

#[test]
fn removed_directories_lose_no_log() {
    for (scene, dir) in [
        (SCENES.merge, "home/.patchwork"),
        (SCENES.merge, "home/.claude/ide"),
        (SCENES.export, "home/.patchwork"),
        (SCENES.export, "out"),
        (SCENES.export_over_another, "out"),
        (SCENES.recover, "out"),
    ] {
        let play = scene.rehearse(4_000);
        let whole = play.time();
        let mut codes = Vec::new();
        for moment in 0..10 {
            let stage = play.stage();
            codes.push(play.check_vanishing(&stage, dir, whole * moment / 10));
        }
        println!("{}: {dir} vanished, exit codes {codes:?}", scene.name);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn full_standard_output_is_reported() {
    for scene in SCENES.all() {
        let play = scene.rehearse(3);
        let stage = play.stage();
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = stage.command().stdout(full).stderr(Stdio::piped()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(3),
            "{}: the work is done, and that cannot be said: {errors}",
            scene.name
        );
        assert!(errors.contains("standard output"), "{errors}");
        play.check(&stage, Ending::Code(scene.code), "a standard output that takes nothing");
    }
}

#[test]
fn closed_standard_streams_are_handled() {
    for scene in SCENES.all() {
        let play = scene.rehearse(3);
        let stage = play.stage();
        let ended = stage.limited("exec <&- >&- 2>&-").status().unwrap();
        assert_eq!(ended.code(), Some(scene.code), "{}", scene.name);
        play.check(&stage, Ending::of(ended), "closed streams");
    }
    let stage = SCENES.merge.rehearse(3).stage();
    for command in
        [&["import", "-"][..], &["cat", "-"], &["inspect", "-"], &["verify", "-"], &["recover", "-", "-o", "x"]]
    {
        let before = State::of(&stage);
        let output = stage.program(command, "exec <&-").stderr(Stdio::piped()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {errors}");
        assert!(errors.contains("standard input"), "{errors}");
        assert!(State::of(&stage) == before);
    }
}

#[test]
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn export_to_a_closed_standard_output_fails() {
    let stage = SCENES.export.rehearse(3).stage();
    let export = |before: &str| {
        let output = stage.program(&["export", "-o", "-"], before).stderr(Stdio::piped()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let before = State::of(&stage);
    for closed in ["exec >&-", "exec <&- >&-", "exec 1<>/dev/null"] {
        let (code, errors) = export(closed);
        assert_eq!(code, Some(2), "{closed}: {errors}");
        assert!(errors.contains("the bundle would be lost: standard output is closed"), "{errors}");
    }
    for open in ["exec > /dev/null", "exec >> /dev/null", "exec <&- > out/bundle", "exec 1<> out/bundle"] {
        assert_eq!(export(open).0, Some(0), "{open}");
    }
    fs::remove_file(stage.path("out/bundle")).unwrap();
    assert!(State::of(&stage) == before);
}

/// What the test below runs where a small disk is mounted.
#[test]
#[ignore = "another test runs it on a small disk"]
fn commands_on_a_small_disk() {
    let Some(disk) = std::env::var_os("CRASH_TEST_DISK") else { return };
    let mut failed = 0;
    for scene in SCENES.all() {
        let play = scene.rehearse(2_000);
        for spare in (0..600).step_by(12) {
            let stage = play.stage_in(disk.as_ref());
            let filler = stage.fill_disk_but(spare << 10);
            let output = stage.command().stderr(Stdio::piped()).output().unwrap();
            let what = format!("{spare} KiB were free: {}", String::from_utf8_lossy(&output.stderr));
            failed += u32::from(output.status.code() == Some(1));
            play.check(&stage, Ending::of(output.status), &what);
            fs::remove_file(filler).unwrap();
            play.check_next_run(&stage, &what);
        }
        println!("{}: {failed} runs failed so far for want of space", scene.name);
    }
    assert!(failed > 50);
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
