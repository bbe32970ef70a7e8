//! Tests of writes to a log after the import replaced it.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::Mutex;
use std::time::SystemTime;

use super::*;
use crate::logs::rotation::{MAX_LOG_BYTES, rotate};

/// A clock that calls a function at each poll.
struct Script<F>(Mutex<(u32, F)>);

impl<F: FnMut(u32) + Send> Script<F> {
    fn new(act: F) -> Self {
        Self(Mutex::new((0, act)))
    }

    fn polls(&self) -> u32 {
        self.0.lock().unwrap().0
    }
}

impl<F: FnMut(u32) + Send> Clock for Script<F> {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, _: Duration) {
        let mut script = self.0.lock().unwrap();
        script.0 += 1;
        let poll = script.0;
        (script.1)(poll);
    }
}

fn appendable(path: &Path) -> fs::File {
    fs::OpenOptions::new().read(true).append(true).open(path).unwrap()
}

/// Replaces `old` with `new` in a directory, and watches the log. Returns the directory, the watch,
/// the log's path, and a writer that has `old` open.
fn placed(old: &str, new: &str, can_be_undone: bool) -> (tempfile::TempDir, Watch, PathBuf, fs::File) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("activity.jsonl");
    fs::write(&path, old).unwrap();
    let (writer, held) = (appendable(&path), fs::File::open(&path).unwrap());
    fs::write(home.path().join("staged"), new).unwrap();
    let ours = appendable(&home.path().join("staged"));
    fs::rename(home.path().join("staged"), &path).unwrap();
    let mut watch = Watch::default();
    let placed = PlacedLog {
        group: 7,
        path: path.clone(),
        ours: ReplacedFile::new(ours, new.len() as u64),
        old: Some(ReplacedFile::new(held, old.len() as u64)),
        can_be_undone,
        rotation: Some(RotationKind::KeepsNewest),
    };
    watch.add(placed, None);
    (home, watch, path, writer)
}

fn replace(path: &Path, content: &[u8]) {
    let temporary = path.with_extension("jsonl.tmp.1.0");
    fs::write(&temporary, content).unwrap();
    fs::rename(temporary, path).unwrap();
}

#[test]
fn rows_written_to_the_old_file_are_copied_as_they_arrive() {
    let (_home, mut watch, path, mut writer) = placed("1\n", "0\n1\n", false);
    let clock = Script::new(|poll| {
        if poll % 40 == 0 && poll <= 120 {
            writer.write_all(format!("late {poll}\n").as_bytes()).unwrap();
        }
    });
    assert!(watch.run(&clock, &|| false).unwrap().is_empty());
    assert_eq!(fs::read_to_string(&path).unwrap(), "0\n1\nlate 40\nlate 80\nlate 120\n");
    assert!((160..200).contains(&clock.polls()), "as long after the last row as after the exchange");
}

#[test]
fn an_incomplete_row_is_copied_when_the_watch_ends() {
    let (_home, mut watch, path, mut writer) = placed("1\n", "0\n1\n", false);
    writer.write_all(b"{\"torn").unwrap();
    watch.run(&Script::new(|_| {}), &|| false).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "0\n1\n{\"torn");
}

#[test]
fn an_undo_by_a_rotation_of_the_old_file_is_reported_and_late_rows_are_saved() {
    let (_home, mut watch, path, _writer) = placed("1\n2\n", "0\n1\n2\n", true);
    let clock = Script::new(|poll| {
        if poll == 100 {
            // A writer appends to our version. Then a rotation of the old file replaces it.
            appendable(&path).write_all(b"3\n").unwrap();
            replace(&path, b"1\n2\n");
        }
    });
    let undone = watch.run(&clock, &|| false).unwrap();
    assert_eq!(undone.iter().map(|undone| undone.group).collect::<Vec<_>>(), [7]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n3\n");
}

#[cfg(unix)]
#[test]
fn no_row_is_appended_to_a_hard_link_to_a_file_of_another_owner() {
    use std::os::unix::fs::{MetadataExt, chown};

    let (home, mut watch, path, _writer) = placed("1\n", "0\n1\n", true);
    if home.path().metadata().unwrap().uid() != 0 {
        // Only root can create files of other users.
        return;
    }
    let victim = home.path().join("victim");
    fs::write(&victim, "1\n").unwrap();
    chown(&path, Some(65_534), Some(65_534)).unwrap();
    let clock = Script::new(|poll| {
        if poll == 3 {
            appendable(&path).write_all(b"late\n").unwrap();
            fs::remove_file(&path).unwrap();
            fs::hard_link(&victim, &path).unwrap();
        }
    });
    let error = watch.run(&clock, &|| false).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LogKeepsChanging));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "1\n");
}

#[test]
fn a_log_that_is_removed_is_undone() {
    let (_home, mut watch, path, _writer) = placed("1\n", "0\n1\n", true);
    let undone = watch
        .run(
            &Script::new(|poll| {
                if poll == 3 {
                    fs::remove_file(&path).unwrap();
                }
            }),
            &|| false,
        )
        .unwrap();
    assert_eq!(undone.len(), 1);
}

#[test]
fn a_log_is_watched_for_the_time_of_a_rotation_and_longer_while_its_temporary_file_exists() {
    for (with_temporary, least) in [(false, ROTATION_POLLS - 1), (true, ROTATION_POLLS + 2 * TEMPORARY_FILE_POLLS - 1)]
    {
        let (home, mut watch, _path, _writer) = placed("1\n", "0\n1\n", true);
        let temporary = home.path().join("activity.jsonl.tmp.1.0");
        let clock = Script::new(|poll| {
            if with_temporary && poll == 10 {
                fs::write(&temporary, "").unwrap();
            }
            if with_temporary && poll == ROTATION_POLLS + TEMPORARY_FILE_POLLS + 10 {
                fs::remove_file(&temporary).unwrap();
            }
        });
        assert!(watch.run(&clock, &|| false).unwrap().is_empty());
        assert_eq!(clock.polls(), least);
    }
}

/// Returns about 1.3 MiB of rows, in ASCII or with characters that take two bytes and one UTF-16
/// unit.
fn rows(wide: bool) -> String {
    let row = |at: u64| format!("{at:06}{}\n", if wide { "ä".repeat(70) } else { "a".repeat(140) });
    (0..9000).map(row).collect()
}

#[test]
fn rotations_of_the_new_log_are_followed_with_and_without_trimming() {
    for wide in [false, true] {
        let old = rows(wide);
        let ours = format!("0\n{old}");
        assert!(ours.len() as u64 > MAX_LOG_BYTES);
        let (_home, mut watch, path, _writer) = placed(&old, &ours, true);
        let clock = Script::new(|poll| {
            if poll % 100 == 0 {
                let content = fs::read(&path).unwrap();
                let rotated = rotate(RotationKind::KeepsNewest, &content, &[]).map_or(content, |rotated| rotated.log);
                // Patchwork would lose a row that is appended between the writer's read and its
                // rename.
                appendable(&path).write_all(format!("between {poll}\n").as_bytes()).unwrap();
                replace(&path, &rotated);
                appendable(&path).write_all(format!("after {poll}\n").as_bytes()).unwrap();
            }
        });
        assert!(watch.run(&clock, &|| false).unwrap().is_empty());
        let content = fs::read_to_string(&path).unwrap();
        let trims = !wide;
        assert_eq!(content.starts_with("0\n"), !trims);
        for poll in [100, 200, 300, 400, 500] {
            assert_eq!(content.matches(&format!("between {poll}\n")).count(), 1, "{poll}");
            assert_eq!(content.matches(&format!("after {poll}\n")).count(), 1, "{poll}");
        }
    }
}

#[test]
fn a_rotation_of_the_old_log_is_not_mistaken_for_one_of_the_new_log() {
    // The log is not ASCII, so Patchwork rewrites it without trimming. The missing row was not
    // trimmed.
    let old = rows(true);
    let (_home, mut watch, path, _writer) = placed(&old, &format!("0\n{old}"), true);
    let rotated = rotate(RotationKind::KeepsNewest, old.as_bytes(), &[]).unwrap().log;
    let undone = watch
        .run(
            &Script::new(|poll| {
                if poll == 5 {
                    replace(&path, &rotated);
                }
            }),
            &|| false,
        )
        .unwrap();
    assert_eq!(undone.len(), 1);
}

#[test]
fn cancellation_ends_the_watch() {
    let (_home, mut watch, ..) = placed("1\n", "0\n1\n", true);
    let polls = std::cell::Cell::new(0);
    let is_cancelled = || polls.replace(polls.get() + 1) == 3;
    watch.run(&Script::new(|_| {}), &is_cancelled).unwrap();
    assert_eq!(polls.get(), 4);
}

#[test]
fn a_late_row_that_a_rotation_has_read_is_not_copied_again_after_an_undo() {
    let (home, mut watch, path, mut writer) = placed("1\n", "0\n1\n", true);
    let undo = |poll| {
        if poll == 3 {
            replace(&path, b"1\n");
        }
    };
    assert_eq!(watch.run(&Script::new(undo), &|| false).unwrap().len(), 1);
    // During the second merge, a late row arrives, and another rotation of the old file reads it.
    writer.write_all(b"x\n").unwrap();
    replace(&path, b"1\nx\n");
    let (held, staged) = (fs::File::open(&path).unwrap(), home.path().join("staged"));
    fs::write(&staged, "0\n1\nx\n").unwrap();
    let ours = appendable(&staged);
    fs::rename(&staged, &path).unwrap();
    let again = PlacedLog {
        group: 7,
        path: path.clone(),
        ours: ReplacedFile::new(ours, 6),
        old: Some(ReplacedFile::new(held, 4)),
        can_be_undone: true,
        rotation: Some(RotationKind::KeepsNewest),
    };
    watch.add(again, None);
    watch.run(&Script::new(|_| {}), &|| false).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "0\n1\nx\n");
}

#[test]
fn late_rows_wait_while_a_writer_is_in_the_middle_of_a_row_at_their_destination() {
    for ends in [true, false] {
        let (_home, mut watch, path, _writer) = placed("1\n", "0\n1\n", true);
        let script = Script::new(|poll| {
            if poll == 3 {
                appendable(&path).write_all(b"our row\n").unwrap();
                // Another rotation, followed by half a row.
                replace(&path, b"1\n{\"half\"");
            }
            if poll == 8 && ends {
                appendable(&path).write_all(b":1}\n").unwrap();
            }
        });
        assert_eq!(watch.run(&script, &|| false).unwrap().len(), 1);
        let half = if ends { "{\"half\":1}" } else { "{\"half\"" };
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("1\n{half}\nour row\n"));
    }
}
