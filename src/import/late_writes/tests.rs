//! Tests of rows that writers append to a log while it is replaced.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;

fn appendable(path: &Path) -> fs::File {
    fs::OpenOptions::new().read(true).append(true).create(true).open(path).unwrap()
}

/// Returns three open files: an old file with `content`, all of it already copied; a writer's
/// handle of the old file; and the new file.
fn old_and_new(home: &Path, content: &str, new: &str) -> (ReplacedFile, fs::File, fs::File) {
    fs::write(home.join("old"), content).unwrap();
    fs::write(home.join("new"), new).unwrap();
    let old = ReplacedFile::new(fs::File::open(home.join("old")).unwrap(), content.len() as u64);
    (old, appendable(&home.join("old")), appendable(&home.join("new")))
}

#[test]
fn everything_appended_to_the_old_file_is_copied_once() {
    for (content, new, late, expected) in [
        ("1\n", "0\n1\n", "2\n", "0\n1\n2\n"),
        ("1\n", "1\n0", "2\n", "1\n0\n2\n"),
        // A row that is written in two parts.
        ("1\n{\"a\"", "1\n{\"a\"", ":1}\n", "1\n{\"a\":1}\n"),
        ("", "0\n", "2\n", "0\n2\n"),
        ("1\n", "1\n", "", "1\n"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let (mut old, mut writer, mut log) = old_and_new(home.path(), content, new);
        writer.write_all(late.as_bytes()).unwrap();
        assert_eq!(old.copy_rest(&mut log).unwrap(), !late.is_empty());
        assert_eq!(fs::read_to_string(home.path().join("new")).unwrap(), expected);
        assert!(!old.copy_rest(&mut log).unwrap());
        assert_eq!(fs::read_to_string(home.path().join("new")).unwrap(), expected, "only once");
    }
}

#[test]
fn only_whole_lines_are_copied_while_a_writer_may_be_in_the_middle_of_one() {
    let home = tempfile::tempdir().unwrap();
    let (mut old, mut writer, mut log) = old_and_new(home.path(), "1\n", "0\n1\n");
    let new_log = || fs::read_to_string(home.path().join("new")).unwrap();
    writer.write_all(b"2").unwrap();
    old.copy_lines(&mut log, &[]).unwrap();
    assert_eq!(new_log(), "0\n1\n");
    writer.write_all(b"\n3\n4").unwrap();
    old.copy_lines(&mut log, &[]).unwrap();
    assert_eq!(new_log(), "0\n1\n2\n3\n");
    // Another writer is in the middle of a line of the new log, so nothing may be appended.
    let mut other = appendable(&home.path().join("new"));
    other.write_all(b"{\"a\"").unwrap();
    writer.write_all(b"5\n6").unwrap();
    old.copy_lines(&mut log, &[]).unwrap();
    assert_eq!(new_log(), "0\n1\n2\n3\n{\"a\"");
    other.write_all(b":1}\n").unwrap();
    old.copy_lines(&mut log, &[]).unwrap();
    assert_eq!(new_log(), "0\n1\n2\n3\n{\"a\":1}\n45\n");
    old.copy_rest(&mut log).unwrap();
    assert_eq!(new_log(), "0\n1\n2\n3\n{\"a\":1}\n45\n6", "finally everything");
}

#[test]
fn a_staged_log_without_a_last_line_feed_gets_one_before_late_lines() {
    let home = tempfile::tempdir().unwrap();
    let (mut old, mut writer, mut staged) = old_and_new(home.path(), "1\n", "1\n0");
    writer.write_all(b"2\n3").unwrap();
    assert_eq!(old.copy_to_staged(&mut staged).unwrap(), b"2\n");
    assert_eq!(fs::read_to_string(home.path().join("new")).unwrap(), "1\n0\n2\n");
    assert_eq!(old.copied(), 4);
}

#[test]
fn lines_that_a_rotation_has_read_are_not_copied_again() {
    let home = tempfile::tempdir().unwrap();
    let (mut old, mut writer, mut log) = old_and_new(home.path(), "1\n", "12\n3\n");
    writer.write_all(b"2\n3\n4\n").unwrap();
    old.copy_lines(&mut log, b"12\n3\n").unwrap();
    assert_eq!(fs::read_to_string(home.path().join("new")).unwrap(), "12\n3\n2\n4\n", "12 is not 2");
}
