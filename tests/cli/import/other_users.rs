//! Imports by root into a directory of another user, who must not be able to lead them elsewhere.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Run, long_log, old_machine};
use crate::common::skip_note::skip_note;
use crate::common::{Home, program};

/// The other user, who is not root.
const UNPRIVILEGED_UID: u32 = 65_534;

const NEEDS_ROOT: &str = "not run: only root can create files of other users";

const LOGS: [&str; 4] = [
    ".patchwork/runs.jsonl.1",
    ".patchwork/runs.jsonl",
    ".patchwork/decision_traces.jsonl",
    ".claude/ide/activity-3100.jsonl",
];

/// A home of another user, and a directory of root that must not change.
struct Machine {
    home: Home,
    victim: tempfile::TempDir,
    bundle: PathBuf,
    _old: Home,
}

/// The metadata and content of files and directories, to detect changes.
type Snapshot = Vec<(PathBuf, u64, u32, u32, i64, i64, Vec<u8>)>;

impl Machine {
    fn new() -> Self {
        Self::with(Home::new(), old_machine())
    }

    fn with(home: Home, old: Home) -> Self {
        let victim = tempfile::tempdir().unwrap();
        for name in ["runs.jsonl", "authorized_keys", "live", "0.part"] {
            fs::write(victim.path().join(name), "{\"createdAt\":1}\n").unwrap();
        }
        fs::create_dir(victim.path().join("ide")).unwrap();
        change_owner(home.path());
        let bundle = old.path().join("b.gz");
        if !bundle.exists() {
            fs::write(&bundle, super::bundle(&old)).unwrap();
        }
        Self { home, victim, bundle, _old: old }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Replaces a file or directory with a symlink of the other user.
    fn link(&self, name: &str, to: &Path) {
        let path = self.path(name);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        symlink(to, &path).unwrap();
        lchown(&path, Some(UNPRIVILEGED_UID), Some(UNPRIVILEGED_UID)).unwrap();
    }

    /// Imports as root. The test fails if the import hangs.
    fn import(&self, arguments: &[&str]) -> Run {
        let arguments = [&["import", self.bundle.to_str().unwrap()], arguments].concat();
        run_with_timeout(program::command(self.home.path(), &arguments))
    }

    /// Returns standard error with paths replaced by placeholders.
    fn redacted_stderr(&self, run: &Run) -> String {
        let stderr = run.stderr.replace(self.home.path().to_str().unwrap(), "HOME");
        stderr.replace(self.victim.path().to_str().unwrap(), "VICTIM")
    }

    fn owner(&self, name: &str) -> u32 {
        self.path(name).symlink_metadata().unwrap().uid()
    }
}

fn run_with_timeout(mut command: std::process::Command) -> Run {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() >= Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("the import hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap().into()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Gives a directory and everything in it to the other user.
fn change_owner(path: &Path) {
    lchown(path, Some(UNPRIVILEGED_UID), Some(UNPRIVILEGED_UID)).unwrap();
    let is_dir = path.symlink_metadata().unwrap().is_dir();
    for entry in is_dir.then(|| fs::read_dir(path).unwrap()).into_iter().flatten() {
        change_owner(&entry.unwrap().path());
    }
}

fn snapshot(path: &Path) -> Snapshot {
    let metadata = path.symlink_metadata().unwrap();
    let content = if metadata.is_file() { fs::read(path).unwrap() } else { Vec::new() };
    let times = (metadata.ctime(), metadata.ctime_nsec());
    let mut all = vec![(path.to_owned(), metadata.ino(), metadata.uid(), metadata.mode(), times.0, times.1, content)];
    for entry in metadata.is_dir().then(|| fs::read_dir(path).unwrap()).into_iter().flatten() {
        all.extend(snapshot(&entry.unwrap().path()));
    }
    all.sort();
    all
}

fn mkfifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn symlink_of_another_user_to_a_file_is_not_followed() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    for log in LOGS {
        for to in ["authorized_keys", "new"] {
            let machine = Machine::new();
            machine.link(log, &machine.victim.path().join(to));
            let before = (snapshot(machine.victim.path()), snapshot(machine.home.path()));
            let runs = [&["--dry-run"][..], &[], &["--mode", "overwrite"], &["--mode", "append"]];
            // Only a merge reads an archive that is not in the bundle.
            let is_in_bundle = !log.ends_with(".1");
            for arguments in runs.into_iter().filter(|arguments| is_in_bundle || !arguments.contains(&"--mode")) {
                let run = machine.import(arguments);
                assert_eq!(run.code, 1, "{log}: {}", run.stderr);
                assert!(run.stderr.contains("belongs to another user"), "{}", run.stderr);
                if log.ends_with("/runs.jsonl") && to == "new" && arguments.is_empty() {
                    insta::assert_snapshot!(machine.redacted_stderr(&run));
                }
                assert_eq!(snapshot(machine.home.path()), before.1, "{log}");
            }
            assert_eq!(snapshot(machine.victim.path()), before.0, "{log}");
        }
    }
}

#[test]
fn symlink_of_another_user_to_a_directory_is_not_followed() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    for dir in [".patchwork", ".claude", ".claude/ide"] {
        for (log, to) in [("x", ""), ("x", "new"), (".patchwork/runs.jsonl", ""), (".patchwork/runs.jsonl", "new")] {
            let machine = Machine::new();
            if dir != ".patchwork" && log != "x" {
                fs::write(machine.path(log), "{\"createdAt\":1}\n").unwrap();
            }
            machine.link(dir, &machine.victim.path().join(to));
            let before = (snapshot(machine.victim.path()), snapshot(machine.home.path()));
            for arguments in [&["--dry-run"][..], &[]] {
                let run = machine.import(arguments);
                assert_eq!(run.code, 1, "{dir}");
                assert!(run.stderr.contains("belongs to another user"), "{}", run.stderr);
            }
            assert_eq!((snapshot(machine.victim.path()), snapshot(machine.home.path())), before, "{dir}");
            // A source in the other directory can be imported, and nothing in the symlink's target is removed.
            fs::write(machine.victim.path().join(".patchwork-traces-left.part"), "").unwrap();
            let before = snapshot(machine.victim.path());
            let source = if dir == ".patchwork" { "activity" } else { "runs" };
            let run = machine.import(&["--source", source]);
            assert_eq!(run.code, 0, "{}", run.stderr);
            assert_eq!(snapshot(machine.victim.path()), before, "{dir}");
        }
    }
}

#[test]
fn symlink_within_the_path_is_not_followed() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    let machine = Machine::new();
    machine.link("data", machine.victim.path());
    let before = snapshot(machine.victim.path());
    for dir in ["data/new", "data/ide", "data/../data/ide", "./data/new/deep"] {
        for dir in [machine.path(dir), dir.into()] {
            let run = machine.import(&["--patchwork-dir", dir.to_str().unwrap(), "--source", "runs"]);
            assert_eq!(run.code, 1, "{}", dir.display());
            assert!(run.stderr.contains("belongs to another user"), "{}", run.stderr);
        }
    }
    assert_eq!(snapshot(machine.victim.path()), before);
}

#[test]
fn symlink_within_its_directory_is_followed_and_kept() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    let machine = Machine::new();
    fs::write(machine.path(".patchwork/real"), "{\"createdAt\":1}\n").unwrap();
    fs::rename(machine.path(".claude"), machine.path("claude")).unwrap();
    machine.link(".patchwork/between", Path::new("real"));
    machine.link(".patchwork/runs.jsonl", Path::new("./between"));
    machine.link(".claude", Path::new("claude"));
    change_owner(machine.home.path());
    let run = machine.import(&[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(machine.path(".patchwork/runs.jsonl").is_symlink() && machine.path(".claude").is_symlink());
    assert_eq!(fs::read_to_string(machine.path(".patchwork/real")).unwrap().lines().count(), 3);
    assert_eq!(
        (machine.owner(".patchwork/real"), machine.owner("claude/ide/activity-3100.jsonl")),
        (UNPRIVILEGED_UID, UNPRIVILEGED_UID)
    );
    let run = machine.import(&["--json"]);
    assert_eq!(run.json()["unchanged"], true);
}

#[test]
fn symlink_of_root_is_followed_anywhere() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    for is_given in [false, true] {
        let machine = Machine::new();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("log"), "{\"createdAt\":1}\n").unwrap();
        fs::remove_dir(machine.path(".claude/ide")).unwrap();
        symlink(elsewhere.path(), machine.path(".claude/ide")).unwrap();
        symlink(elsewhere.path().join("log"), machine.path(".patchwork/runs.jsonl")).unwrap();
        if !is_given {
            for dir in ["", ".patchwork", ".claude"] {
                chown(machine.path(dir), Some(0), Some(0)).unwrap();
            }
        }
        let run = machine.import(&[]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(fs::read_to_string(elsewhere.path().join("log")).unwrap().lines().count(), 3);
        assert!(elsewhere.path().join("activity-3100.jsonl").exists());
        assert_eq!(elsewhere.path().join("log").metadata().unwrap().uid(), 0);
    }
}

#[test]
fn log_with_two_names_is_found_if_one_is_pinned() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    let old = Home::new().with("notes.jsonl", "{\"a\":1}\n").with("runs.jsonl", "{\"createdAt\":1}\n");
    let machine = Machine::with(Home::new(), old);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("log"), "").unwrap();
    for name in [".patchwork/runs.jsonl", ".patchwork/notes.jsonl"] {
        symlink(elsewhere.path().join("log"), machine.path(name)).unwrap();
    }
    let run = machine.import(&[]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("are the same file on this machine"), "{}", run.stderr);
}

#[test]
fn messages_show_paths_as_given() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    let machine = Machine::new();
    fs::write(machine.path(".patchwork/runs.jsonl"), "{\"mine\":1}\n").unwrap();
    let left = machine.path(".patchwork/.patchwork-traces-import-abc123");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("live"), "").unwrap();
    fs::write(left.join("0.part"), "").unwrap();
    change_owner(machine.home.path());
    let run = machine.import(&["--mode", "overwrite", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!run.text().contains("/proc") && !run.stderr.contains("/proc"), "{}", run.text());
    let json = run.json();
    assert_eq!(json["cleanedUp"], serde_json::json!([left]));
    let runs = json["files"].as_array().unwrap().iter().find(|file| file["file"] == "runs.jsonl").unwrap();
    let backup = Path::new(runs["backup"].as_str().unwrap());
    assert_eq!(backup.parent().unwrap(), machine.path(".patchwork"));
    assert_eq!(fs::read_to_string(backup).unwrap(), "{\"mine\":1}\n");
    assert_eq!(machine.owner(".patchwork/runs.jsonl"), UNPRIVILEGED_UID);
    // Errors of every stage.
    let directory = machine.path(".patchwork/runs.jsonl.lock");
    fs::create_dir(&directory).unwrap();
    fs::write(machine.path(".patchwork/runs.jsonl"), "{\"mine\":1}\n").unwrap();
    let run = machine.import(&[]);
    assert!(run.stderr.contains(directory.to_str().unwrap()) && !run.stderr.contains("/proc"), "{}", run.stderr);
    let full = machine.import(&["--activity-dir", machine.path("x".repeat(300).as_str()).to_str().unwrap()]);
    assert!(full.code == 1 && !full.stderr.contains("/proc"), "{}", full.stderr);
}

#[test]
fn symlinks_in_place_of_leftovers_and_locks_are_not_followed() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    let machine = Machine::new();
    let (victim, before) = (machine.victim.path(), snapshot(machine.victim.path()));
    machine.link(".patchwork/.patchwork-traces-import-link", victim);
    machine.link(".patchwork/.patchwork-traces-link.part", &victim.join("live"));
    for (name, live) in [("linked", Some("live")), ("pipe", None), ("foreign", None)] {
        let dir = format!(".patchwork/.patchwork-traces-import-{name}");
        fs::create_dir(machine.path(&dir)).unwrap();
        fs::write(machine.path(&dir).join("authorized_keys"), "").unwrap();
        match live {
            Some(live) => machine.link(&format!("{dir}/live"), &victim.join(live)),
            None if name == "pipe" => mkfifo(&machine.path(&dir).join("live")),
            None => fs::write(machine.path(&dir).join("live"), "").unwrap(),
        }
    }
    mkfifo(&machine.path(".patchwork/.patchwork-traces-pipe.part"));
    let run = machine.import(&["--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.json()["cleanedUp"], serde_json::json!([]));
    assert!(machine.path(".patchwork/.patchwork-traces-import-foreign/authorized_keys").exists());
    for to in ["live", "new"] {
        machine.link(".patchwork/runs.jsonl.lock", &victim.join(to));
        fs::write(machine.path(".patchwork/runs.jsonl"), "{\"mine\":1}\n").unwrap();
        let run = machine.import(&[]);
        assert!(run.code == 1 && run.stderr.contains("holds this lock"), "{}", run.stderr);
    }
    assert_eq!(snapshot(victim), before);
}

#[test]
fn fifo_in_place_of_a_log_does_not_block() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    for log in LOGS {
        let machine = Machine::new();
        mkfifo(&machine.path(log));
        for arguments in [&["--dry-run"][..], &[]] {
            let run = machine.import(arguments);
            assert!(run.code == 1 && run.stderr.contains("not a regular file"), "{log}: {}", run.stderr);
        }
    }
    // An append reads the archive only to forecast the rotation.
    let old = Home::new().with("runs.jsonl", long_log(1, 1200));
    let machine = Machine::with(Home::new(), old);
    mkfifo(&machine.path(".patchwork/runs.jsonl.1"));
    let run = machine.import(&["--mode", "append"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn world_writable_directories_are_pinned_like_those_of_other_users() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    let machine = Machine::new();
    for dir in ["", ".patchwork", ".claude", ".claude/ide"] {
        chown(machine.path(dir), Some(0), Some(0)).unwrap();
    }
    fs::set_permissions(machine.path(".patchwork"), fs::Permissions::from_mode(0o1777)).unwrap();
    machine.link(".patchwork/runs.jsonl", &machine.victim.path().join("runs.jsonl"));
    let before = snapshot(machine.victim.path());
    assert_eq!(machine.import(&[]).code, 1);
    assert_eq!(snapshot(machine.victim.path()), before);
    fs::remove_file(machine.path(".patchwork/runs.jsonl")).unwrap();
    assert_eq!(machine.import(&[]).code, 0);
    assert_eq!(machine.owner(".patchwork/runs.jsonl"), 0);
}

#[test]
fn import_into_the_directory_of_another_user_needs_proc() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    let hidden = |machine: &Machine, option: &str| {
        let mut command = std::process::Command::new("unshare");
        let script = "mount -t tmpfs tmpfs /proc && exec \"$@\"";
        command.args(["--mount", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_patchwork-traces"), "import"]);
        command.arg(&machine.bundle).arg(option).env_clear().env("HOME", machine.home.path());
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().map(Run::from)
    };
    let machine = Machine::new();
    for dir in ["", ".patchwork", ".claude", ".claude/ide"] {
        chown(machine.path(dir), Some(0), Some(0)).unwrap();
    }
    match hidden(&machine, "--mode=merge") {
        Ok(run) if run.code == 0 => {}
        _ => return skip_note("not run: unshare cannot hide /proc"),
    }
    let machine = Machine::new();
    let before = snapshot(machine.home.path());
    for option in ["--dry-run", "--mode=merge"] {
        let run = hidden(&machine, option).unwrap();
        assert_eq!(run.code, 1, "{}", run.stderr);
        insta::assert_snapshot!("without_proc", machine.redacted_stderr(&run));
    }
    assert_eq!(snapshot(machine.home.path()), before);
}

/// Exchanges two paths atomically.
fn swap(one: &Path, other: &Path) {
    // Either path may be missing, because imports create and remove files.
    let _ = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
}

/// Swaps directories and files with symlinks and back, until `stop` is set.
fn swap_files_repeatedly(machine: &Machine, stop: &AtomicBool) {
    let (patchwork, log) = (machine.path(".patchwork"), machine.path(".patchwork/runs.jsonl"));
    let links = ["dir-link", "log-link", "staging-link"].map(|name| machine.path(name));
    let pause = || std::thread::sleep(Duration::from_micros(300));
    for round in 0u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // An import may have renamed a symlink, and a lock that is a symlink counts as held.
        let _ = fs::remove_file(patchwork.join("runs.jsonl.lock"));
        if round % 8 == 0 {
            fs::write(machine.path("log"), format!("{{\"mine\":{round}}}\n")).unwrap();
            change_owner(&machine.path("log"));
            fs::rename(machine.path("log"), &log).unwrap();
            machine.link("log-link", &machine.victim.path().join("runs.jsonl"));
        }
        for _ in 0..2 {
            swap(&log, &links[1]);
            pause();
        }
        for entry in fs::read_dir(&patchwork).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(".patchwork-traces-import-") {
                swap(&entry.path(), &links[2]);
                pause();
                swap(&entry.path(), &links[2]);
            }
        }
        for _ in 0..2 {
            swap(&patchwork, &links[0]);
            pause();
        }
        // Without this pause, most imports would fail at their first look at a path.
        std::thread::sleep(Duration::from_micros(round % 10 * 700));
    }
}

#[test]
fn swaps_by_another_user_change_nothing_elsewhere() {
    if !is_root() {
        return skip_note(NEEDS_ROOT);
    }
    // Import does not watch these logs, because they are short.
    let old = Home::new().with("runs.jsonl", "{\"taskId\":\"a\",\"createdAt\":1777700000000}\ntorn {\n");
    let machine = Machine::with(Home::new().with("runs.jsonl", "{\"mine\":1}\n"), old);
    let victim = machine.victim.path();
    machine.link("dir-link", victim);
    machine.link("log-link", &victim.join("runs.jsonl"));
    machine.link("staging-link", victim);
    change_owner(machine.home.path());
    let before = snapshot(victim);
    let stop = AtomicBool::new(false);
    let mut codes = [0; 2];
    std::thread::scope(|scope| {
        scope.spawn(|| swap_files_repeatedly(&machine, &stop));
        for number in 0..200usize {
            let mode = ["merge", "append", "overwrite"][number % 3];
            let run = machine.import(&["--mode", mode]);
            codes[usize::try_from(run.code).unwrap()] += 1;
            assert!(!run.stderr.contains("/proc"), "{}", run.stderr);
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!("{} imports succeeded, {} were refused", codes[0], codes[1]);
    assert_eq!(snapshot(victim), before);
}
