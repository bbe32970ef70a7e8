//! `keep` as a program, and as the service that `packaging/patchwork-traces-keep.service` makes of it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::Home;
use crate::common::program::{command, run};

#[test]
fn no_history_is_created_without_logs() {
    let home = Home::new();
    let ended = run(home.path(), &["keep", "trace-history"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("no logs found"), "{}", ended.stderr);
    assert!(!home.path().join("trace-history").exists());
}

/// Returns the arguments of the program in the unit, for a home directory.
fn service_arguments(home: &Path) -> Vec<String> {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/patchwork-traces-keep.service");
    let unit = fs::read_to_string(unit).unwrap();
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let arguments = command.strip_prefix("patchwork-traces ").unwrap();
    arguments.split(' ').map(|word| word.replace("%h", home.to_str().unwrap())).collect()
}

#[test]
fn the_service_adds_a_segment_when_it_starts_and_when_it_ends() {
    let home = Home::new().with("runs.jsonl", "{\"seq\":1,\"createdAt\":1777700000000}\n");
    let arguments = service_arguments(home.path());
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let service = command(home.path(), &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begin = Instant::now();
    while !home.path().join("trace-history/checkpoint").exists() && begin.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(20));
    }
    let mut log = fs::OpenOptions::new().append(true).open(home.path().join(".patchwork/runs.jsonl")).unwrap();
    log.write_all(b"{\"seq\":2,\"createdAt\":1777700001000}\n").unwrap();
    assert!(Command::new("kill").arg(service.id().to_string()).status().unwrap().success());
    let ended = service.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(String::from_utf8_lossy(&ended.stdout).lines().count(), 2);
    let rows = run(home.path(), &["cat", "trace-history"]).text();
    assert!(rows.starts_with("{\"seq\":1,") && rows.lines().count() == 2, "{rows}");
}
