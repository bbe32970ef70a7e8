//! What writers add to a log while another takes its place.
#![allow(clippy::unwrap_used, clippy::format_collect)]

use super::*;
use crate::import::SystemClock;

#[test]
fn rows_that_a_writer_adds_to_the_log_that_was_replaced_are_carried_over() {
    for (old, new, late, expected) in [
        ("1\n", "0\n1\n", "2\n", "0\n1\n2\n"),
        ("1\n", "1\n0", "2\n", "1\n0\n2\n"),
        // A row that was written in two parts.
        ("1\n{\"a\"", "1\n{\"a\"", ":1}\n", "1\n{\"a\":1}\n"),
        ("", "0\n", "2\n", "0\n2\n"),
        ("1\n", "1\n", "", "1\n"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("activity.jsonl");
        fs::write(&path, old).unwrap();
        let mut writer = fs::File::options().append(true).open(&path).unwrap();
        let mut replaced = Replaced::open(&path, old.len() as u64).unwrap().unwrap();
        fs::write(home.path().join("new"), new).unwrap();
        fs::rename(home.path().join("new"), &path).unwrap();
        writer.write_all(late.as_bytes()).unwrap();
        replaced.carry_all().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        replaced.carry_all().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), expected, "only once");
    }
}

/// A log that is about to be replaced, its writer, and what is seen of it: all of `old`.
fn about_to_be_replaced(home: &Path, old: &str) -> (PathBuf, fs::File, Replaced) {
    let path = home.join("activity.jsonl");
    fs::write(&path, old).unwrap();
    let writer = fs::File::options().append(true).open(&path).unwrap();
    let replaced = Replaced::open(&path, old.len() as u64).unwrap().unwrap();
    (path, writer, replaced)
}

#[test]
fn what_is_replaced_is_known_by_its_file_and_by_its_end() {
    let home = tempfile::tempdir().unwrap();
    assert!(Replaced::open(&home.path().join("activity.jsonl"), 0).unwrap().is_none(), "it is gone");
    for (old, is_whole) in [("", true), ("1\n", true), ("1", false), ("1\n2", false)] {
        let (path, _, mut replaced) = about_to_be_replaced(home.path(), old);
        assert_eq!(replaced.was_whole().unwrap(), is_whole, "{old:?}");
        assert!(replaced.is_at(&path).unwrap());
        fs::write(home.path().join("new"), old).unwrap();
        fs::rename(home.path().join("new"), &path).unwrap();
        assert!(!replaced.is_at(&path).unwrap());
        let below_a_file = Replaced::open(&path.join("activity.jsonl"), 0);
        assert!(below_a_file.is_err(), "what cannot be opened is not gone");
    }
}

#[test]
fn only_whole_lines_are_carried_while_a_writer_may_be_amid_one() {
    let home = tempfile::tempdir().unwrap();
    let (path, mut writer, mut replaced) = about_to_be_replaced(home.path(), "1\n");
    let waiting = home.path().join("waiting");
    fs::write(&waiting, "0\n1\n").unwrap();
    writer.write_all(b"2").unwrap();
    replaced.carry_to(&waiting).unwrap();
    assert_eq!(fs::read_to_string(&waiting).unwrap(), "0\n1\n");
    writer.write_all(b"\n3\n4").unwrap();
    replaced.carry_to(&waiting).unwrap();
    assert_eq!(fs::read_to_string(&waiting).unwrap(), "0\n1\n2\n3\n");
    fs::rename(waiting, &path).unwrap();
    // Another writer is amid a line of the new log: nothing goes between.
    let mut other = fs::File::options().append(true).open(&path).unwrap();
    other.write_all(b"{\"a\"").unwrap();
    writer.write_all(b"5\n6").unwrap();
    replaced.carry_late_lines().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "0\n1\n2\n3\n{\"a\"");
    other.write_all(b":1}\n").unwrap();
    replaced.carry_late_lines().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "0\n1\n2\n3\n{\"a\":1}\n45\n");
    replaced.carry_all().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "0\n1\n2\n3\n{\"a\":1}\n45\n6", "in the end all of it");
}

/// Lets a writer write while it is waited for.
struct Writing(std::sync::Mutex<(fs::File, u32)>);

impl Clock for Writing {
    fn now(&self) -> std::time::SystemTime {
        std::time::SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, _: std::time::Duration) {
        let mut writer = self.0.lock().unwrap();
        writer.1 += 1;
        let row = format!("late {}\n", writer.1);
        writer.0.write_all(row.as_bytes()).unwrap();
    }
}

#[test]
fn writers_without_a_lock_are_waited_for_and_those_with_one_are_not() {
    for (has_lock, waited) in [(false, 50), (true, 0)] {
        let home = tempfile::tempdir().unwrap();
        let (path, mut writer, replaced) = about_to_be_replaced(home.path(), "1\n");
        fs::write(home.path().join("new"), "0\n1\n").unwrap();
        fs::rename(home.path().join("new"), &path).unwrap();
        writer.write_all(b"at once\n").unwrap();
        let mut all = AllReplaced::default();
        all.push(replaced, has_lock, &SystemClock).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "0\n1\nat once\n");
        let clock = Writing(std::sync::Mutex::new((writer, 0)));
        all.carry_late_rows(&clock).unwrap();
        let late: String = (1..=waited).map(|at| format!("late {at}\n")).collect();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("0\n1\nat once\n{late}"));
    }
}

#[test]
fn of_more_logs_than_can_stay_open_every_one_is_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let mut all = AllReplaced::default();
    let mut writers = Vec::new();
    for log in 0..=256 {
        let home = home.path().join(log.to_string());
        fs::create_dir(&home).unwrap();
        let (path, writer, replaced) = about_to_be_replaced(&home, "1\n");
        fs::write(home.join("new"), "0\n1\n").unwrap();
        fs::rename(home.join("new"), &path).unwrap();
        // The one with which there are too many lets the others be waited for: then the first gets its rows.
        let first = writers.first().map_or(&writer, |(_, writer): &(PathBuf, fs::File)| writer);
        let clock = Writing(std::sync::Mutex::new((first.try_clone().unwrap(), 0)));
        all.push(replaced, false, &clock).unwrap();
        writers.push((path, writer));
    }
    let (last, writer) = writers.pop().unwrap();
    all.carry_late_rows(&Writing(std::sync::Mutex::new((writer, 0)))).unwrap();
    let late: String = (1..=50).map(|at| format!("late {at}\n")).collect();
    for log in [&writers[0].0, &last] {
        assert_eq!(fs::read_to_string(log).unwrap(), format!("0\n1\n{late}"));
    }
}
