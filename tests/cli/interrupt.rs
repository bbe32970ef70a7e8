//! Signals: an interrupted command ends soon, removes its temporary files and reports the state.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::common::program::command;
use crate::common::{Home, bundle};

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

fn home() -> Home {
    let rows: String = (0..40_000).map(|seq| format!("{{\"seq\":{seq}}}\n")).collect();
    let home = Home::new().with("runs.jsonl", rows);
    fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    home
}

/// Starts a command that waits for standard input, or for its output to be taken. Who runs the tests may ignore signals, as
/// shells do for what they run beside: a signal that is ignored stays so, unless it is asked for.
fn start(home: &Home, arguments: &[&str]) -> Child {
    let program_command = command(home.path(), arguments);
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal=HUP,INT,TERM").arg(program_command.get_program()).args(arguments);
    command.current_dir(home.path()).env_clear();
    command.envs(program_command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits until the command has installed its signal handlers.
#[cfg(target_os = "linux")]
fn wait_for_signal_handlers(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    let begin = std::time::Instant::now();
    while begin.elapsed().as_secs() < 60 {
        let text = fs::read_to_string(&status).unwrap();
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        if u64::from_str_radix(mask.trim(), 16).unwrap() >> 1 & 1 == 1 {
            return;
        }
        std::thread::yield_now();
    }
    panic!("it does not take signals");
}

/// Waits for the end, with standard input open.
fn end(mut child: Child) -> (Option<i32>, String) {
    let stdin = child.stdin.take();
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    drop(stdin);
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn every_termination_signal_ends_the_command() {
    let home = home();
    let mut messages = String::new();
    for (arguments, name) in [
        (&["verify", "-"][..], "-INT"),
        (&["verify", "-"], "-TERM"),
        (&["verify", "-"], "-HUP"),
        (&["import", "-"], "-INT"),
        (&["recover", "-", "-o", "new/r.gz", "--create-dirs"], "-INT"),
        (&["inspect", "-"], "-INT"),
        (&["cat", "-"], "-TERM"),
        (&["cat", "-", "--json"], "-INT"),
    ] {
        let before = tree(home.path());
        let child = start(&home, arguments);
        wait_for_signal_handlers(&child);
        signal(&child, name);
        let (code, stderr) = end(child);
        assert_eq!(code, Some(130), "{arguments:?}: {stderr}");
        assert_eq!(tree(home.path()), before, "{arguments:?}");
        messages += &format!("$ {} # {name}\n{stderr}\n", arguments.join(" "));
    }
    insta::assert_snapshot!(messages);
}

#[cfg(target_os = "linux")]
#[test]
fn import_interrupted_while_restoring_leaves_logs_unchanged() {
    use std::io::Write;
    let rows: String =
        (0..400_000_u64).map(|seq| format!("{{\"seq\":{}}}\n", seq * 2_654_435_761 % 4_294_967_291)).collect();
    let old = Home::new().with("runs.jsonl", rows);
    let bytes = bundle(&old);
    let home = Home::new().with("runs.jsonl", "{\"mine\":1}\n");
    let before = tree(home.path());
    let mut child = start(&home, &["import", "-"]);
    // Half of the bundle is there: the import has begun, and waits for the rest.
    child.stdin.as_mut().unwrap().write_all(&bytes[..bytes.len() / 2]).unwrap();
    while tree(home.path()).len() == before.len() {
        std::thread::yield_now();
    }
    signal(&child, "-INT");
    let (code, stderr) = end(child);
    assert_eq!(
        (code, stderr.as_str()),
        (Some(130), "interrupted: no log was changed, and no temporary files remain\n")
    );
    assert_eq!(tree(home.path()), before);
    assert_eq!(fs::read_to_string(home.dirs().patchwork.join("runs.jsonl")).unwrap(), "{\"mine\":1}\n");
}

#[cfg(target_os = "linux")]
#[test]
fn second_signal_ends_a_blocked_command_immediately() {
    insta::assert_snapshot!(after_two_signals(&["verify", "pipe"]));
}

#[cfg(target_os = "linux")]
#[test]
fn export_to_a_pipe_never_claims_that_nothing_was_written() {
    let messages = after_two_signals(&["export", "-o", "pipe"]);
    let expected = "the output is incomplete and must not be kept; the logs are unchanged";
    assert_eq!(messages, format!("interrupted: {expected}\n"));
}

/// Returns the message of a command that is ended immediately. The other end of `pipe` is never opened, so that the command
/// cannot end cleanly.
#[cfg(target_os = "linux")]
fn after_two_signals(arguments: &[&str]) -> String {
    let home = home();
    assert!(Command::new("mkfifo").arg(home.path().join("pipe")).status().unwrap().success());
    let mut child = start(&home, arguments);
    wait_for_signal_handlers(&child);
    signal(&child, "-INT");
    // The first one was noticed when this is said.
    let mut stderr = child.stderr.take().unwrap();
    let mut messages = Vec::new();
    while !messages.ends_with(b"\n") {
        let mut byte = [0];
        stderr.read_exact(&mut byte).unwrap();
        messages.push(byte[0]);
    }
    assert_eq!(String::from_utf8(messages).unwrap(), "note: stopping... press Ctrl-C again to stop immediately\n");
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    rest
}

#[cfg(target_os = "linux")]
#[test]
fn ignored_hangup_stays_ignored() {
    let home = home();
    let program = env!("CARGO_BIN_EXE_patchwork-traces");
    let script = format!("trap '' HUP; exec /usr/bin/env --default-signal=INT,TERM {program} verify -");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .current_dir(home.path())
        .env_clear()
        .envs(crate::common::coverage::environment())
        .env("LANG", "C");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_signal_handlers(&child);
    signal(&child, "-HUP");
    let bytes = fs::read(home.path().join("b.gz")).unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), &bytes).unwrap();
    let verified = child.wait_with_output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stderr));
}
