//! Tests of changes to logs between the steps of an import.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;

use super::restore_sink::RestoreSink;
use super::restored::Restored;
use super::*;
use crate::error::ErrorKind;
use crate::export::{ExportOptions, export};
use crate::logs::{DiscoverOptions, discover};
use crate::progress::{Cancellation, NoProgress};

const LOGS: [&str; 2] = ["commit_issue_links.jsonl", "decision_traces.jsonl"];

fn home(content: Option<&str>) -> (tempfile::TempDir, Dirs) {
    let home = tempfile::tempdir().unwrap();
    let dirs = Dirs { patchwork: home.path().to_owned(), activity: home.path().join("ide") };
    if let Some(content) = content {
        for log in LOGS {
            fs::write(home.path().join(log), content).unwrap();
        }
    }
    (home, dirs)
}

fn bundle() -> Vec<u8> {
    let (_home, dirs) = home(Some("{}\n"));
    bundle_of(&dirs)
}

fn bundle_of(dirs: &Dirs) -> Vec<u8> {
    let options = ExportOptions::new("tests", Timestamp::from_millis(0).unwrap())
        .threads(NonZeroUsize::MIN)
        .work_dir(dirs.patchwork.clone());
    let mut bundle = Vec::new();
    export(&discover(dirs, &DiscoverOptions::default()).unwrap(), &options, &mut bundle, "bundle", &NoProgress)
        .unwrap();
    bundle
}

/// Imports in merge mode. Calls `after_restore` once the bundle is restored, and `after_staging`
/// once the new versions are staged.
fn merge_with_changes(
    dirs: &Dirs,
    after_restore: impl FnOnce(&[Restored<'_>]),
    after_staging: impl FnOnce(),
) -> Result<Vec<FilePlan>> {
    import_in_steps(dirs, Mode::Merge, after_restore, after_staging, || {})
}

/// Works like [`merge_with_changes`], but in any mode. Also calls `after_backup` once the backups
/// are made.
fn import_in_steps(
    dirs: &Dirs,
    mode: Mode,
    after_restore: impl FnOnce(&[Restored<'_>]),
    after_staging: impl FnOnce(),
    after_backup: impl FnOnce(),
) -> Result<Vec<FilePlan>> {
    import_of(&bundle(), dirs, mode, &SystemClock, after_restore, after_staging, after_backup)
}

/// Works like [`import_in_steps`], but with any bundle of two logs and any clock.
fn import_of(
    bundle: &[u8],
    dirs: &Dirs,
    mode: Mode,
    clock: &dyn Clock,
    after_restore: impl FnOnce(&[Restored<'_>]),
    after_staging: impl FnOnce(),
    after_backup: impl FnOnce(),
) -> Result<Vec<FilePlan>> {
    let bundle = Bundle::from_stream(bundle, "bundle")?;
    let mut pins = Pins::new(true);
    let groups = targets::groups(bundle.manifest(), &[0, 1], dirs, mode, &mut pins)?;
    let fingerprinter = Fingerprinter::random()?;
    let (stamp, threads) = (String::new(), NonZeroUsize::MIN);
    let context = ImportContext { mode, stamp, fingerprinter, threads, clock, progress: &NoProgress };
    let target_dirs = groups.iter().flat_map(|group| &group.targets).map(|target| (target.dir(), target.pinned_dir()));
    let staging = Staging::create(target_dirs, Cancellation::default())?;
    let mut sink = RestoreSink::new(&groups, &context, Some(&staging));
    restore(bundle, None, NonZeroUsize::MIN, &mut sink)?;
    let restored = sink.take_restored();
    after_restore(&restored);
    let mut commit = commit::Commit::prepare(restored, &context, &staging)?;
    after_staging();
    commit.make_backups()?;
    after_backup();
    let placed = commit.place_all();
    commit.finish(placed)
}

#[test]
fn a_failure_after_the_first_log_names_the_logs_in_place() {
    let (home, dirs) = home(None);
    let staged = std::cell::RefCell::new(PathBuf::new());
    let find_one = |restored: &[Restored<'_>]| {
        staged.replace(restored[1].logs[0].as_ref().unwrap().staged.clone().unwrap());
    };
    let error = merge_with_changes(&dirs, find_one, || fs::remove_file(&*staged.borrow()).unwrap());
    let error = error.unwrap_err();
    let ErrorKind::PartiallyCommitted { placed, all: 2, is_repeatable: true, cause } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!(placed.len(), 1);
    assert!(matches!(cause.kind(), ErrorKind::Io { .. }));
    assert_eq!(fs::read(&placed[0]).unwrap(), b"{}\n");
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, *placed, "no locks and no staged files are left");
}

#[test]
fn a_lock_taken_by_another_program_stops_the_import_and_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let lock = home.path().join("decision_traces.jsonl.lock");
    let take_lock = |locks: &lock::Locks| {
        let theirs = home.path().join("theirs");
        fs::write(&theirs, "theirs").unwrap();
        fs::rename(theirs, &lock).unwrap();
        locks.check()
    };
    let error = lock::with_locks(vec![lock.clone()], &SystemClock, &Cancellation::default(), take_lock);
    assert!(matches!(error.unwrap_err().kind(), ErrorKind::LockLost));
    assert_eq!(fs::read_to_string(lock).unwrap(), "theirs");
}

#[test]
fn no_lock_is_held_while_waiting_for_another() {
    let home = tempfile::tempdir().unwrap();
    let (free, held) = (home.path().join("a.lock"), home.path().join("b.lock"));
    fs::write(&held, "theirs").unwrap();
    let clock = Once(std::sync::Mutex::new(Some(|| {
        assert!(!free.exists());
        fs::remove_file(&held).unwrap();
    })));
    let locks = vec![held.clone(), free.clone()];
    let both = lock::with_locks(locks, &clock, &Cancellation::default(), |_| Ok(free.exists() && held.exists()));
    assert!(both.unwrap());
    assert!(!free.exists() && !held.exists(), "both are released");
}

#[test]
fn a_log_that_changes_at_the_last_moment_is_read_again() {
    type ChangeLog = fn(&Path);
    let cases: [(Option<&str>, ChangeLog, &str); 4] = [
        (None, |log| fs::write(log, "{\"a\":1}\n").unwrap(), "{}\n{\"a\":1}\n"),
        (
            Some("{\"a\":1}\n"),
            |log| fs::File::options().append(true).open(log).unwrap().write_all(b"{\"b\":1}\n").unwrap(),
            "{}\n{\"a\":1}\n{\"b\":1}\n",
        ),
        // Rotation replaces the file, here with one of the same length.
        (
            Some("{\"a\":1}\n"),
            |log| {
                fs::write(log.with_extension("tmp"), "{\"c\":1}\n").unwrap();
                fs::rename(log.with_extension("tmp"), log).unwrap();
            },
            "{}\n{\"c\":1}\n",
        ),
        (Some("{\"a\":1}\n"), |log| fs::remove_file(log).unwrap(), "{}\n"),
    ];
    for (local, change, expected) in cases {
        for late in [false, true] {
            let (home, dirs) = home(local);
            let log = home.path().join(LOGS[0]);
            let (early, late): (ChangeLog, ChangeLog) = if late { (|_| {}, change) } else { (change, |_| {}) };
            let plan = merge_with_changes(&dirs, |_| early(&log), || late(&log)).unwrap();
            assert_eq!(fs::read_to_string(&log).unwrap(), expected);
            let file = plan.iter().find(|file| file.path == log).unwrap();
            assert_eq!(file.bytes_after, expected.len() as u64, "the report matches the result");
        }
    }
}

/// Returns the contents of the backups in a directory, sorted.
fn backups(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let backups = entries.filter(|path| path.extension().is_some_and(|extension| extension == "bak"));
    let mut contents: Vec<_> = backups.map(|path| fs::read_to_string(path).unwrap()).collect();
    contents.sort();
    contents
}

#[test]
fn changes_between_backup_and_replacement_are_kept_too() {
    type ChangeLog = fn(&Path);
    let cases: [(ChangeLog, &[&str]); 3] = [
        // Rotation replaces the file.
        (
            |log| {
                fs::write(log.with_extension("tmp"), "{\"b\":1}\n{\"c\":1}\n").unwrap();
                fs::rename(log.with_extension("tmp"), log).unwrap();
            },
            &["{\"a\":1}\n", "{\"a\":1}\n", "{\"b\":1}\n{\"c\":1}\n"],
        ),
        // An appended row is in the backup too, because the backup is a hard link.
        (
            |log| fs::File::options().append(true).open(log).unwrap().write_all(b"{\"b\":1}\n").unwrap(),
            &["{\"a\":1}\n", "{\"a\":1}\n{\"b\":1}\n"],
        ),
        (|log| fs::remove_file(log).unwrap(), &["{\"a\":1}\n", "{\"a\":1}\n"]),
    ];
    for (change, kept) in cases {
        let (home, dirs) = home(Some("{\"a\":1}\n"));
        let log = home.path().join(LOGS[0]);
        let files = import_in_steps(&dirs, Mode::Overwrite, |_| {}, || {}, || change(&log)).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "{}\n");
        assert_eq!(backups(home.path()), kept);
        // The report names the backup of the version that was finally replaced.
        let file = files.iter().find(|file| file.path == log).unwrap();
        let named = file.backup.as_ref().map(|backup| fs::read_to_string(backup).unwrap());
        assert_eq!(named.as_ref().map_or(0, String::len) as u64, file.bytes_before.unwrap_or(0));
        assert_eq!(
            named.is_some_and(|named| named.contains("\"b\":1")),
            kept.iter().any(|kept| kept.contains("\"b\":1"))
        );
    }
}

/// Creates two local activity logs, whose writers take no lock, and a bundle of two logs with
/// `bundled` in each.
fn two_without_lock(local: &str, bundled: &str) -> (tempfile::TempDir, Dirs, Vec<u8>) {
    let logs = |content: &str| {
        let (home, dirs) = home(None);
        fs::create_dir(&dirs.activity).unwrap();
        for log in ["activity-1.jsonl", "activity-2.jsonl"] {
            fs::write(dirs.activity.join(log), content).unwrap();
        }
        (home, dirs)
    };
    let (_other, other_dirs) = logs(bundled);
    let bundle = bundle_of(&other_dirs);
    let (home, dirs) = logs(local);
    (home, dirs, bundle)
}

/// A clock that acts the first time that it sleeps.
struct Once<F>(std::sync::Mutex<Option<F>>);

impl<F: FnOnce() + Send> Clock for Once<F> {
    fn now(&self) -> std::time::SystemTime {
        std::time::SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, _: std::time::Duration) {
        if let Some(act) = self.0.lock().unwrap().take() {
            act();
        }
    }
}

/// Returns the staged files of an import in this directory, in the order of staging.
fn staged_in(dir: &Path) -> Vec<PathBuf> {
    let hidden = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let mut staged: Vec<_> = fs::read_dir(hidden).unwrap().map(|entry| entry.unwrap().path()).collect();
    staged.retain(|path| path.extension().is_some_and(|extension| extension == "part"));
    staged.sort();
    staged
}

#[test]
fn a_replaced_log_gets_its_late_rows_even_if_the_next_log_fails() {
    for (mode, expected) in [(Mode::Merge, "{}\n1\nlate\n"), (Mode::Append, "1\n{}\nlate\n")] {
        let (_home, dirs, bundle) = two_without_lock("1\n", "{}\n");
        let first = dirs.activity.join("activity-1.jsonl");
        let mut writer = fs::File::options().append(true).open(&first).unwrap();
        let clock = Once(std::sync::Mutex::new(Some(move || writer.write_all(b"late\n").unwrap())));
        let lose_the_second = || fs::remove_file(staged_in(&dirs.activity).pop().unwrap()).unwrap();
        let error = import_of(&bundle, &dirs, mode, &clock, |_| {}, || {}, lose_the_second).unwrap_err();
        let ErrorKind::PartiallyCommitted { placed, is_repeatable, .. } = error.kind() else { panic!("{error}") };
        assert_eq!(*placed, std::slice::from_ref(&first));
        assert_eq!(*is_repeatable, mode == Mode::Merge, "appending again would duplicate the lines");
        assert_eq!(fs::read_to_string(&first).unwrap(), expected);
    }
}

#[test]
fn a_log_that_a_writer_replaces_after_the_import_is_merged_again_or_reported() {
    let cases = [
        (Mode::Merge, "1\n", "{}\n", Some("{}\n1\n9\n")),
        // The new log equals the bundle's.
        (Mode::Merge, "{}\n", "{}\n1\n", Some("{}\n1\n9\n")),
        // Another attempt would append the lines twice.
        (Mode::Append, "1\n", "{}\n", None),
    ];
    for (mode, local, bundled, expected) in cases {
        let (_home, dirs, bundle) = two_without_lock(local, bundled);
        let log = dirs.activity.join("activity-1.jsonl");
        let theirs = format!("{local}9\n");
        let rotate = || {
            fs::write(log.with_extension("tmp"), &theirs).unwrap();
            fs::rename(log.with_extension("tmp"), &log).unwrap();
        };
        let clock = Once(std::sync::Mutex::new(Some(rotate)));
        let done = import_of(&bundle, &dirs, mode, &clock, |_| {}, || {}, || {});
        let content = fs::read_to_string(&log).unwrap();
        if let Some(expected) = expected {
            assert_eq!(content, expected);
            done.unwrap();
        } else {
            assert_eq!(content, theirs, "the writer's rows stay");
            let error = done.unwrap_err();
            let ErrorKind::PartiallyCommitted { cause, .. } = error.kind() else { panic!("{error}") };
            assert!(matches!(cause.kind(), ErrorKind::LogKeepsChanging));
        }
    }
}

/// A clock that replaces a log with the next of these versions whenever it has the bundle's row.
struct Rotating(PathBuf, std::sync::Mutex<Vec<&'static str>>);

impl Clock for Rotating {
    fn now(&self) -> std::time::SystemTime {
        std::time::SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, _: std::time::Duration) {
        let mut versions = self.1.lock().unwrap();
        let is_ours = fs::read_to_string(&self.0).unwrap().starts_with("{}");
        if let Some(version) = is_ours.then(|| versions.pop()).flatten() {
            fs::write(self.0.with_extension("tmp"), version).unwrap();
            fs::rename(self.0.with_extension("tmp"), &self.0).unwrap();
        }
    }
}

#[test]
fn a_log_that_writers_replace_repeatedly_is_merged_each_time_or_reported() {
    let versions = ["1\n9\n10\n11\n", "1\n9\n10\n", "1\n9\n"];
    let replaced = |versions: Vec<&'static str>| {
        let (_home, dirs, bundle) = two_without_lock("1\n", "{}\n");
        let log = dirs.activity.join("activity-1.jsonl");
        let clock = Rotating(log.clone(), std::sync::Mutex::new(versions));
        let done = import_of(&bundle, &dirs, Mode::Merge, &clock, |_| {}, || {}, || {});
        (done, fs::read_to_string(&log).unwrap())
    };
    let (done, content) = replaced(versions.to_vec());
    done.unwrap();
    assert_eq!(content, "{}\n1\n9\n10\n11\n");
    // More often than a merge is repeated.
    let (done, _) = replaced(vec!["1\n9\n"; 1000]);
    let error = done.unwrap_err();
    let ErrorKind::PartiallyCommitted { cause, .. } = error.kind() else { panic!("{error}") };
    assert!(matches!(cause.kind(), ErrorKind::LogKeepsChanging));
}

#[cfg(unix)]
#[test]
fn an_import_changes_nothing_if_rotation_replaced_a_symlink_meanwhile() {
    let (home, dirs) = home(None);
    let (log, elsewhere) = (home.path().join(LOGS[0]), home.path().join("elsewhere"));
    fs::write(&elsewhere, "{\"a\":1}\n").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &log).unwrap();
    let rotate = |_: &[Restored<'_>]| {
        fs::remove_file(&log).unwrap();
        fs::write(&log, "{\"a\":1}\n").unwrap();
    };
    let error = merge_with_changes(&dirs, rotate, || {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LogKeepsChanging));
    assert_eq!([&log, &elsewhere].map(|log| fs::read_to_string(log).unwrap()), ["{\"a\":1}\n"; 2]);
}

#[test]
fn a_late_row_of_an_empty_log_without_backup_is_kept() {
    let (_home, dirs, bundle) = two_without_lock("", "{}\n");
    let log = dirs.activity.join("activity-1.jsonl");
    let mut writer = fs::File::options().append(true).open(&log).unwrap();
    let clock = Once(std::sync::Mutex::new(Some(move || writer.write_all(b"{\"late\":1}\n").unwrap())));
    import_of(&bundle, &dirs, Mode::Overwrite, &clock, |_| {}, || {}, || {}).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), "{}\n{\"late\":1}\n");
}

#[test]
fn a_backup_of_another_import_is_not_mistaken_for_our_own() {
    let (home, dirs) = home(Some("{\"a\":1}\n"));
    let log = home.path().join(LOGS[0]);
    let theirs = home.path().join(format!("{}.theirs.bak", LOGS[0]));
    fs::hard_link(&log, &theirs).unwrap();
    // The other import gives up and removes its backup.
    let give_up = || fs::remove_file(&theirs).unwrap();
    let files = import_in_steps(&dirs, Mode::Overwrite, |_| {}, || {}, give_up).unwrap();
    let file = files.iter().find(|file| file.path == log).unwrap();
    assert_eq!(fs::read_to_string(file.backup.as_ref().unwrap()).unwrap(), "{\"a\":1}\n");
}

#[test]
fn a_backup_that_another_program_removes_is_made_again() {
    let (home, dirs) = home(Some("{\"a\":1}\n"));
    let remove = || {
        let entries = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path());
        entries
            .filter(|path| path.extension().is_some_and(|end| end == "bak"))
            .for_each(|path| fs::remove_file(path).unwrap());
    };
    import_in_steps(&dirs, Mode::Overwrite, |_| {}, || {}, remove).unwrap();
    assert_eq!(backups(home.path()), ["{\"a\":1}\n"; 2]);
}

/// A clock that undoes the import once, with a log that has the bundle's row. From then on, it
/// replaces the log with a copy that has another row whenever it returns the time.
struct EverChanging {
    log: PathBuf,
    replaced: std::sync::Mutex<Option<u32>>,
}

impl EverChanging {
    fn put(&self, content: &str) {
        fs::write(self.log.with_extension("tmp"), content).unwrap();
        fs::rename(self.log.with_extension("tmp"), &self.log).unwrap();
    }
}

impl Clock for EverChanging {
    fn now(&self) -> std::time::SystemTime {
        if let Some(replaced) = self.replaced.lock().unwrap().as_mut() {
            *replaced += 1;
            self.put(&(fs::read_to_string(&self.log).unwrap() + "{\"n\":1}\n"));
        }
        std::time::SystemTime::now()
    }

    fn sleep(&self, _: std::time::Duration) {
        let mut replaced = self.replaced.lock().unwrap();
        if replaced.is_none() {
            *replaced = Some(0);
            self.put("{}\n{\"other\":1}\n");
        }
    }
}

#[test]
fn a_log_that_keeps_changing_is_not_watched_forever() {
    let (_home, dirs, bundle) = two_without_lock("1\n", "{}\n");
    let log = dirs.activity.join("activity-1.jsonl");
    let clock = EverChanging { log: log.clone(), replaced: std::sync::Mutex::new(None) };
    import_of(&bundle, &dirs, Mode::Merge, &clock, |_| {}, || {}, || {}).unwrap();
    assert!(fs::read_to_string(&log).unwrap().starts_with("{}\n"));
}

/// A clock that rotates the new log after some polls, and later replaces it with its content from
/// before the import.
struct RotatedAndUndone {
    log: PathBuf,
    before: String,
    polls: std::sync::Mutex<u32>,
}

impl Clock for RotatedAndUndone {
    fn now(&self) -> std::time::SystemTime {
        std::time::SystemTime::now()
    }

    fn sleep(&self, _: std::time::Duration) {
        let mut polls = self.polls.lock().unwrap();
        *polls += 1;
        let put = |bytes: &[u8]| {
            fs::write(self.log.with_extension("tmp"), bytes).unwrap();
            fs::rename(self.log.with_extension("tmp"), &self.log).unwrap();
        };
        match *polls {
            5 => {
                let kind = crate::logs::rotation::RotationKind::KeepsNewest;
                let content = fs::read(&self.log).unwrap();
                let rotated = crate::logs::rotation::rotate(kind, &content, &[]).unwrap().log;
                put(&[rotated, b"{\"after\":1}\n".to_vec()].concat());
            }
            20 => put(self.before.as_bytes()),
            _ => {}
        }
    }
}

#[test]
fn the_log_staged_again_is_the_bundles_and_not_its_rotation() {
    let row = |at: u64| format!("{{\"n\":1{at:06},\"t\":\"{}\"}}\n", "ä".repeat(70));
    let rows = |to: u64| (0..to).map(row).collect::<String>();
    // Rotation drops blank lines and replaces invalid bytes with longer ones.
    let invalid = [&[0xff; 600][..], b"\n"].concat();
    for odd in [b"\n\n\n\n\n\n\n\n".to_vec(), invalid] {
        let (_other, other_dirs) = home(None);
        let (_home, dirs) = home(None);
        fs::create_dir(&other_dirs.activity).unwrap();
        fs::create_dir(&dirs.activity).unwrap();
        for log in ["activity-1.jsonl", "activity-2.jsonl"] {
            fs::write(other_dirs.activity.join(log), [&odd, rows(9000).as_bytes()].concat()).unwrap();
            fs::write(dirs.activity.join(log), rows(8990)).unwrap();
        }
        let log = dirs.activity.join("activity-1.jsonl");
        let clock = RotatedAndUndone { log: log.clone(), before: rows(8990), polls: std::sync::Mutex::new(0) };
        import_of(&bundle_of(&other_dirs), &dirs, Mode::Merge, &clock, |_| {}, || {}, || {}).unwrap();
        let after = fs::read(&log).unwrap();
        let text = String::from_utf8_lossy(&after);
        let mut found = vec![0; 9000];
        for (mark, _) in text.match_indices("{\"n\":1") {
            let at: usize = text[mark + 6..mark + 12].parse().unwrap();
            assert!(text[mark..].starts_with(row(at as u64).trim_end()), "row {at}");
            found[at] += 1;
        }
        assert_eq!(found, vec![1; 9000]);
        assert!(text.lines().filter(|line| line.starts_with('{')).all(|line| line.ends_with('}')));
    }
}
