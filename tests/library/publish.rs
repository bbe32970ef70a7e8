//! A file appears complete or not at all, and never replaces a file that appeared meanwhile.

use std::fs;
use std::io::Write;
use std::path::Path;

use patchwork_traces::ErrorKind;
use patchwork_traces::error::IoAction;
use patchwork_traces::internal::AtomicFile;
use patchwork_traces::{OutputTarget, TargetOptions};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn file_that_appears_meanwhile_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.gz");
    let options = TargetOptions::default();
    assert_eq!(OutputTarget::resolve(&path, options).unwrap(), OutputTarget::File { path: path.clone(), options });
    let mut pending = AtomicFile::create(&path, options).unwrap();
    pending.write_all(b"ours").unwrap();
    fs::write(&path, "theirs").unwrap();
    let error = pending.finish().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TargetExists), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    assert_eq!(names(dir.path()), ["b.gz"]);
}

#[test]
fn output_appears_only_when_committed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/deep/b.gz");
    let options = TargetOptions::default().create_dirs(true);
    let mut pending = AtomicFile::create(&path, options).unwrap();
    pending.write_all(b"half").unwrap();
    assert!(!path.exists());
    drop(pending);
    assert_eq!(names(dir.path()), [""; 0]);

    let mut pending = AtomicFile::create(&path, options).unwrap();
    pending.write_all(b"whole").unwrap();
    pending.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
    assert_eq!(names(path.parent().unwrap()), ["b.gz"]);
}

#[cfg(unix)]
#[test]
fn logs_are_never_replaced_through_any_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("elsewhere"), "{}\n").unwrap();
    fs::write(path("outcome-log.jsonl"), "{}\n").unwrap();
    for (link, to) in [("runs.jsonl", "elsewhere"), ("activity-1.jsonl", "elsewhere"), ("b.gz", "outcome-log.jsonl")] {
        std::os::unix::fs::symlink(path(to), path(link)).unwrap();
    }
    std::os::unix::fs::symlink(path("runs.jsonl.1"), path("dangling.gz")).unwrap();
    let replace = TargetOptions::default().replace(true).create_dirs(true);
    for name in
        ["runs.jsonl", "activity-1.jsonl", "outcome-log.jsonl", "b.gz", "dangling.gz", "new.jsonl", "./x/../runs.jsonl"]
    {
        let error = OutputTarget::resolve(path(name), replace).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TargetIsLog), "{name}: {error}");
    }
    assert_eq!(
        OutputTarget::resolve(path("elsewhere"), replace).unwrap(),
        OutputTarget::File { path: path("elsewhere").canonicalize().unwrap(), options: replace }
    );
}

#[test]
fn lock_and_temporary_files_of_a_log_are_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let options = TargetOptions::default().replace(true);
    for name in [
        "runs.jsonl.lock",
        "runs.jsonl.1.lock",
        "decision_traces.jsonl.2026-05-02T10-00-00.bak",
        "activity-3100.jsonl.2026-05-02T10-00-00-2.bak",
        "outcome-log.jsonl.tmp",
        "runs.jsonl.tmp.4711",
        "RUNS.JSONL",
    ] {
        for exists in [false, true] {
            if exists {
                fs::write(dir.path().join(name), "precious").unwrap();
            }
            let error = OutputTarget::resolve(dir.path().join(name), options).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::TargetIsLog), "{name}: {error}");
        }
    }
    assert!(OutputTarget::resolve(dir.path().join("runs.jsonl.gz"), options).is_ok());
}

#[test]
fn missing_directory_is_created_only_if_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/b.gz");
    let refused = |error: &patchwork_traces::Error| {
        assert!(matches!(error.kind(), ErrorKind::NoTargetDirectory { is_default: false }), "{error}");
        assert_eq!(error.position().subject.as_deref(), dir.path().join("new").to_str());
    };
    refused(&OutputTarget::resolve(&path, TargetOptions::default()).unwrap_err());
    refused(&AtomicFile::create(&path, TargetOptions::default()).unwrap_err());
    assert_eq!(names(dir.path()), [""; 0]);
    let allowed = TargetOptions::default().create_dirs(true);
    assert!(OutputTarget::resolve(&path, allowed).is_ok());
    AtomicFile::create(&path, allowed).unwrap().finish().unwrap();
    assert_eq!(names(&dir.path().join("new")), ["b.gz"]);
}

#[cfg(unix)]
#[test]
fn fifo_or_symlink_named_like_a_temporary_file_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    assert!(std::process::Command::new("mkfifo").arg(path(".patchwork-traces-a.part")).status().unwrap().success());
    fs::write(path("kept"), "precious").unwrap();
    std::os::unix::fs::symlink(path("kept"), path(".patchwork-traces-b.part")).unwrap();
    fs::write(path(".patchwork-traces-c.part"), "left by a killed program").unwrap();
    AtomicFile::create(&path("b.gz"), TargetOptions::default()).unwrap().finish().unwrap();
    assert_eq!(names(dir.path()), [".patchwork-traces-a.part", ".patchwork-traces-b.part", "b.gz", "kept"]);
}

#[test]
fn file_in_place_of_the_target_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = OutputTarget::resolve(dir.path().join("file/b.gz"), TargetOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io { action: IoAction::Open, .. }), "{error}");
}
