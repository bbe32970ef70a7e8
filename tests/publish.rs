//! A file appears whole or not at all, and never over one that appeared meanwhile.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::Path;

use patchwork_traces::ErrorKind;
use patchwork_traces::publish::{PendingFile, Target};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_that_appears_meanwhile_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.gz");
    assert_eq!(Target::look(&path, false).unwrap(), Target::File { path: path.clone(), replace: false });
    let mut pending = PendingFile::create(&path, false).unwrap();
    pending.write_all(b"ours").unwrap();
    fs::write(&path, "theirs").unwrap();
    let error = pending.finish().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TargetExists), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    assert_eq!(names(dir.path()), ["b.gz"]);
}

#[test]
fn nothing_appears_before_the_end_and_nothing_stays_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/deep/b.gz");
    let mut pending = PendingFile::create(&path, false).unwrap();
    pending.write_all(b"half").unwrap();
    assert!(!path.exists());
    drop(pending);
    assert_eq!(names(dir.path()), [""; 0]);

    let mut pending = PendingFile::create(&path, false).unwrap();
    pending.write_all(b"whole").unwrap();
    pending.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
    assert_eq!(names(path.parent().unwrap()), ["b.gz"]);
}

#[cfg(unix)]
#[test]
fn no_log_is_replaced_by_whichever_name_it_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("elsewhere"), "{}\n").unwrap();
    fs::write(path("outcome-log.jsonl"), "{}\n").unwrap();
    for (link, to) in [("runs.jsonl", "elsewhere"), ("activity-1.jsonl", "elsewhere"), ("b.gz", "outcome-log.jsonl")] {
        std::os::unix::fs::symlink(path(to), path(link)).unwrap();
    }
    for name in ["runs.jsonl", "activity-1.jsonl", "outcome-log.jsonl", "b.gz"] {
        let error = Target::look(&path(name), true).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TargetIsLog), "{name}: {error}");
    }
    assert_eq!(
        Target::look(&path("elsewhere"), true).unwrap(),
        Target::File { path: path("elsewhere").canonicalize().unwrap(), replace: true }
    );
}
