//! The library's `import`: the content of the directories before and after it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::common::{Home, bundle, indexed, sequential, text_of};
use patchwork_traces::bundle::Bundle;
use patchwork_traces::import::{
    Change, Clock, FilePlan, ImportOptions, ImportReport, LineCount, Mode, Rotation, import,
};
use patchwork_traces::progress::{NoProgress, Progress, Stage};
use patchwork_traces::{Error, ErrorKind, Result};

/// A clock that advances only when an import sleeps, and then calls `on_sleep` with the number of sleeps.
struct TestClock<'a> {
    now: Mutex<SystemTime>,
    on_sleep: Mutex<Box<dyn FnMut(u32) + Send + 'a>>,
    sleeps: Mutex<u32>,
}

impl<'a> TestClock<'a> {
    /// Returns a clock that shows 2026-05-02T10:00:00Z.
    fn new() -> Self {
        Self::acting(|_| {})
    }

    fn acting(on_sleep: impl FnMut(u32) + Send + 'a) -> Self {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(crate::common::EXPORTED_AT.unsigned_abs());
        Self { now: Mutex::new(now), on_sleep: Mutex::new(Box::new(on_sleep)), sleeps: Mutex::new(0) }
    }
}

impl Clock for TestClock<'_> {
    fn now(&self) -> SystemTime {
        *self.now.lock().unwrap()
    }

    fn sleep(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
        let mut sleeps = self.sleeps.lock().unwrap();
        *sleeps += 1;
        (self.on_sleep.lock().unwrap())(*sleeps);
    }
}

fn with(mode: Mode) -> ImportOptions {
    ImportOptions::default().mode(mode)
}

fn dry(options: &ImportOptions) -> ImportOptions {
    options.clone().dry_run(true)
}

fn try_import(bundle: &[u8], home: &Home, options: &ImportOptions) -> Result<ImportReport> {
    import(indexed(bundle)?, &home.dirs(), options, &TestClock::new(), &NoProgress)
}

/// Imports after a dry run with the other reader, which must return the same plan and change nothing.
fn import_as_planned(bundle: &[u8], home: &Home, options: &ImportOptions) -> ImportReport {
    let before = snapshot(home.path());
    let planned = import(sequential(bundle).unwrap(), &home.dirs(), &dry(options), &TestClock::new(), &NoProgress);
    let planned = planned.expect("the dry run works");
    assert_eq!(snapshot(home.path()), before, "a dry run writes nothing");
    let done = try_import(bundle, home, options).expect("the import works");
    assert_eq!(done.plan, planned.plan, "the dry run returns the plan that the import executes");
    for file in &done.plan.files {
        let bytes = fs::metadata(&file.path).map_or(0, |there| there.len());
        assert_eq!(bytes, file.bytes_after, "{}", file.path.display());
    }
    assert_nothing_left(home);
    done
}

/// Returns every file and directory with its inode, modification time and content.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let there = path.symlink_metadata().unwrap();
        let content = if there.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        all.insert(path.clone(), (there.ino(), there.mtime(), there.mtime_nsec(), content));
        if there.is_dir() {
            all.extend(snapshot(&path));
        }
    }
    all
}

/// Returns the files of a home by name.
fn files(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let all = snapshot(home.path()).into_iter().filter(|(path, _)| path.is_file());
    all.map(|(path, (.., content))| (path.file_name().unwrap().to_str().unwrap().to_owned(), content)).collect()
}

fn logs(logs: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    logs.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect()
}

fn assert_nothing_left(home: &Home) {
    let left = files(home).into_keys().find(|name| {
        let name = name.to_lowercase();
        !name.contains(".jsonl") || name.contains(".lock") //
    });
    assert_eq!(left, None, "no temporary file is left");
    let dirs = snapshot(home.path()).into_keys().filter(|path| path.is_dir());
    let left = dirs.into_iter().find(|path| path.to_string_lossy().contains("patchwork-traces"));
    assert_eq!(left, None, "no temporary directory is left");
}

fn rows(rows: u64) -> LineCount {
    LineCount { rows, unparsed: 0 }
}

fn row(at: u64) -> String {
    format!("{{\"taskId\":\"t{at}\",\"createdAt\":{at}}}\n")
}

fn run(range: impl IntoIterator<Item = u64>) -> String {
    range.into_iter().map(row).collect()
}

fn only(report: &ImportReport) -> &FilePlan {
    assert_eq!(report.plan.files.len(), 1);
    &report.plan.files[0]
}

fn runs_bundle(log: impl AsRef<[u8]>) -> Vec<u8> {
    bundle(&Home::new().with("runs.jsonl", log))
}

fn refused(result: Result<ImportReport>) -> Error {
    result.expect_err("the import is refused")
}

/// Recompresses a bundle's text, as another program would.
fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Returns a bundle with edited text.
fn edited(bundle: &[u8], edit: impl Fn(String) -> String) -> Vec<u8> {
    gzip(edit(String::from_utf8(text_of(bundle)).unwrap()).as_bytes())
}

mod restoring {
    use super::*;

    fn full_home() -> Home {
        Home::new()
            .with("runs.jsonl.1", run(1..5))
            .with("runs.jsonl", "{\"createdAt\":7}\r\n\r\n{\"createdAt\":1e400}\r\ntorn")
            .with("decision_traces.jsonl", b"\xef\xbb\xbf{\"a\":1}\n\xff\n{\"b\":12345678901234567890}")
            .with("commit_issue_links.jsonl", "")
            .with("facts.jsonl", "{\"fact\":1}\n")
            .with_activity("activity-3100.jsonl", "{\"timestamp\":\"2026-05-02T10:00:00Z\"}\n")
            .with_activity("Activity.JSONL", "{}\n")
    }

    #[test]
    fn empty_home_gets_every_log_byte_for_byte() {
        let from = full_home();
        let to = Home::new();
        let report = import_as_planned(&bundle(&from), &to, &ImportOptions::default());
        assert_eq!(files(&to), files(&from));
        assert!(!report.rows_only);
        assert!(report.plan.files.iter().all(|file| file.change == Change::Created && file.bytes_before.is_none()));
        assert_eq!(report.plan.new_lines(), LineCount { rows: 11, unparsed: 3 });
    }

    #[test]
    fn created_files_and_directories_are_private() {
        let to = Home::new();
        fs::remove_dir_all(to.path().join(".claude")).unwrap();
        fs::remove_dir_all(to.path().join(".patchwork")).unwrap();
        import_as_planned(&bundle(&full_home()), &to, &ImportOptions::default());
        let mode = |path: &str| to.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(".patchwork"), 0o700);
        assert_eq!(mode(".claude"), 0o700);
        assert_eq!(mode(".claude/ide"), 0o700);
        assert_eq!(mode(".patchwork/runs.jsonl"), 0o600);
        assert_eq!(mode(".claude/ide/activity-3100.jsonl"), 0o600);
    }

    #[test]
    fn logs_of_equal_length_are_not_assumed_equal() {
        let archived = |newest: u64| [("runs.jsonl.1", run(1..3)), ("runs.jsonl", row(newest))];
        let home_of = |newest| archived(newest).into_iter().fold(Home::new(), |home, (name, log)| home.with(name, log));
        // The two homes have the same archive.
        let to = home_of(3);
        let done = import_as_planned(&bundle(&home_of(4)), &to, &ImportOptions::default());
        assert_eq!(done.plan.new_lines(), rows(1));
        assert_eq!(files(&to), logs(&[("runs.jsonl.1", &run(1..3)), ("runs.jsonl", &run(3..5))]));
    }

    #[test]
    fn second_import_changes_and_touches_nothing() {
        let bundle = bundle(&full_home());
        for mode in [Mode::Merge, Mode::Overwrite] {
            let to = Home::new();
            import_as_planned(&bundle, &to, &with(mode));
            let logs = |home: &Home| snapshot(home.path()).into_iter().filter(|(path, _)| path.is_file()).collect();
            let before: Vec<_> = logs(&to);
            let report = import_as_planned(&bundle, &to, &with(mode));
            assert!(report.plan.changes_nothing());
            assert_eq!(report.plan.new_lines(), LineCount::default());
            assert_eq!(logs(&to), before, "inode and time are the same");
        }
    }

    #[test]
    fn only_selected_sources_are_touched() {
        let to = Home::new();
        let options = ImportOptions::default().sources(["activity"]);
        import_as_planned(&bundle(&full_home()), &to, &options);
        assert_eq!(files(&to).into_keys().collect::<Vec<_>>(), ["Activity.JSONL", "activity-3100.jsonl"]);

        let options = ImportOptions::default().sources(["nope"]);
        let error = refused(try_import(&bundle(&full_home()), &to, &options));
        assert!(matches!(error.kind(), ErrorKind::UnknownSource { known, .. } if known.len() == 5), "{error}");
    }

    #[test]
    fn bundle_of_the_original_exporter_restores_its_rows() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/legacy/plain.v1.0.jsonl.gz");
        let to = Home::new();
        let open = || Bundle::open(&path).unwrap();
        let report = import(open(), &to.dirs(), &ImportOptions::default(), &TestClock::new(), &NoProgress).unwrap();
        assert!(report.rows_only);
        let original = path.with_file_name("plain");
        for file in &report.plan.files {
            let dir = if file.base.to_string() == "activity" { "ide" } else { "patchwork" };
            assert_eq!(fs::read(&file.path).unwrap(), fs::read(original.join(dir).join(file.file.as_str())).unwrap());
        }
        let second_report =
            import(open(), &to.dirs(), &ImportOptions::default(), &TestClock::new(), &NoProgress).unwrap();
        assert!(second_report.plan.changes_nothing());
        let replaced = import(open(), &to.dirs(), &with(Mode::Overwrite), &TestClock::new(), &NoProgress).unwrap();
        assert!(replaced.plan.changes_nothing());
    }

    #[test]
    fn bundle_without_logs_changes_nothing() {
        let to = Home::new().with("runs.jsonl", run(1..3));
        let report = import_as_planned(&bundle(&Home::new()), &to, &ImportOptions::default());
        assert!(report.plan.files.is_empty() && report.plan.changes_nothing());
    }

    #[test]
    fn symlink_to_a_log_is_followed_and_kept() {
        let to = Home::new();
        let elsewhere = tempfile::tempdir().unwrap();
        let real = elsewhere.path().join("my runs");
        fs::write(&real, run(1..3)).unwrap();
        let link = to.dirs().patchwork.join("runs.jsonl");
        symlink(&real, &link).unwrap();
        let report = try_import(&runs_bundle(run(2..5)), &to, &ImportOptions::default()).unwrap();
        assert_eq!(only(&report).path, link);
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), run(1..5));
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}

mod merging {
    use super::*;

    fn merged(local: &str, bundled: &str) -> (String, ImportReport) {
        let to = Home::new().with("runs.jsonl", local);
        let report = import_as_planned(&runs_bundle(bundled), &to, &ImportOptions::default());
        (fs::read_to_string(to.dirs().patchwork.join("runs.jsonl")).unwrap(), report)
    }

    #[test]
    fn merging_a_log_with_its_prefix_suffix_or_tail_gives_the_log() {
        let all = run(1..50) + &row(7) + &row(7);
        for part in [run(1..20), run(20..50) + &row(7) + &row(7), run(30..40), row(7), run([1, 7, 9, 7])] {
            assert_eq!(merged(&part, &all).0, all, "local has a part");
            let (result, report) = merged(&all, &part);
            assert_eq!(result, all, "the bundle has a part");
            assert_eq!(only(&report).change, Change::Nothing);
        }
    }

    #[test]
    fn overlapping_logs_join_at_their_overlap() {
        let (result, report) = merged(&run(5..20), &run(1..10));
        assert_eq!(result, run(1..20));
        assert!(!report.plan.changes_nothing());
        let file = only(&report);
        assert_eq!((file.new, file.already_there, file.kept), (rows(4), rows(5), rows(15)));
        assert_eq!(merged(&run(1..10), &run(5..20)).0, run(1..20));
    }

    #[test]
    fn rows_interleave_by_time_and_the_newest_stay_last() {
        assert_eq!(merged(&run([10, 30, 50]), &run([20, 40, 45])).0, run([10, 20, 30, 40, 45, 50]));
        assert_eq!(merged(&run([10, 20]), &run([1, 2])).0, run([1, 2, 10, 20]));
    }

    #[test]
    fn late_end_of_an_early_task_does_not_move_later_rows_forward() {
        let ended = "{\"taskId\":\"t1\",\"createdAt\":1,\"status\":\"done\"}\n";
        let local = run([1, 30]) + ended + &row(50);
        assert_eq!(merged(&local, &run([20, 40, 60])).0, run([1, 20, 30]) + ended + &run([40, 50, 60]));
    }

    #[test]
    fn rows_without_a_timestamp_follow_their_neighbours() {
        let local = row(10) + "{\"no\":\"time\"}\ntorn\n" + &row(30);
        let bundled = row(5) + "other torn\n" + &run([20, 40]);
        assert_eq!(
            merged(&local, &bundled).0,
            row(5) + "other torn\n" + &row(10) + "{\"no\":\"time\"}\ntorn\n" + &run([20, 30, 40])
        );
    }

    #[test]
    fn lines_without_a_timestamp_follow_a_shared_row() {
        let untimed = "{\"no\":\"time\"}\ntorn\n";
        assert_eq!(merged(&(row(1) + untimed), &run([1, 1, 2])).0, row(1) + untimed + &run([1, 2]));
        assert_eq!(merged(&(row(1) + untimed), &(row(1) + "other\n")).0, row(1) + untimed + "other\n");
        assert_eq!(merged(&run([1, 2]), &(row(1) + untimed)).0, row(1) + untimed + &row(2));
    }

    #[test]
    fn duplicate_rows_keep_the_higher_count_of_both_sides() {
        let (result, _) = merged(&run([1, 1, 2]), &run([1, 2, 2, 2]));
        assert_eq!(result, run([1, 1, 2, 2, 2]));
    }

    #[test]
    fn unparsed_lines_of_both_sides_are_kept() {
        let (result, report) = merged("torn\n{\"createdAt\":1}\n\n", "{\"createdAt\":2}\n{\"half\n");
        assert_eq!(result, "torn\n{\"createdAt\":1}\n\n{\"createdAt\":2}\n{\"half\n");
        let file = only(&report);
        assert_eq!(file.kept, LineCount { rows: 1, unparsed: 2 });
        assert_eq!(file.new, LineCount { rows: 1, unparsed: 1 });
    }

    #[test]
    fn missing_final_newline_never_joins_rows() {
        let open = |log: String| log.trim_end().to_owned();
        assert_eq!(merged(&open(run(1..3)), &run(3..5)).0, run(1..5));
        assert_eq!(merged(&run(3..5), &open(run(1..3))).0, run(1..5));
        assert_eq!(merged(&open(run(1..3)), &open(run(3..5))).0, open(run(1..5)));
        assert_eq!(
            merged(&open(run(1..3)), &run(1..3)).0,
            open(run(1..3)),
            "the logs are equal, so it is not rewritten"
        );
    }

    #[test]
    fn lines_are_compared_without_their_line_endings() {
        let crlf = run(1..4).replace('\n', "\r\n");
        let (result, report) = merged(&crlf, &run(1..4));
        assert_eq!(result, crlf);
        assert_eq!(only(&report).already_there, rows(3));
        assert_eq!(merged(&crlf, &run(1..5)).0, crlf + &row(4));
    }

    #[test]
    fn empty_local_log_gets_every_row() {
        assert_eq!(merged("", &run(1..4)).0, run(1..4));
        assert_eq!(merged(&run(1..4), "").0, run(1..4));
    }

    #[test]
    fn log_of_many_equal_lines_merges_with_its_part() {
        let all = "1\n1\n2\n".repeat(50_000) + "3\n" + &"1\n2\n".repeat(50_000);
        assert_eq!(merged(&all[20_000..350_000], &all).0, all);
    }

    #[test]
    fn many_equal_lines_merge_in_reasonable_time() {
        let (result, report) = merged(&"1\n2\n".repeat(100_000), &"2\n1\n1\n".repeat(100_000));
        assert_eq!(only(&report).new, rows(100_000));
        assert_eq!(result.matches('1').count(), 200_000);
        assert_eq!(result.matches('2').count(), 100_000);
    }
}

mod rotated_runs {
    use super::*;

    fn import_runs(local: &[(&str, &str)], bundled: &[(&str, &str)]) -> (BTreeMap<String, Vec<u8>>, ImportReport) {
        let home = |logs: &[(&str, &str)]| logs.iter().fold(Home::new(), |home, (name, log)| home.with(name, log));
        let to = home(local);
        let bundle = bundle(&home(bundled));
        let report = import_as_planned(&bundle, &to, &ImportOptions::default());
        assert!(import_as_planned(&bundle, &to, &ImportOptions::default()).plan.changes_nothing());
        (files(&to), report)
    }

    #[test]
    fn rows_found_in_the_other_log_of_a_rotation_stay_in_place() {
        let (a, b, new) = (row(1), row(2), row(3));
        for (bundled_old, bundled_new) in [(b.clone() + &new, a.clone()), (b.clone(), new.clone() + &a)] {
            let to = Home::new().with("runs.jsonl.1", &a).with("runs.jsonl", &b);
            let from = Home::new().with("runs.jsonl.1", bundled_old).with("runs.jsonl", bundled_new);
            import_as_planned(&bundle(&from), &to, &ImportOptions::default());
            let left = |name: &str| fs::read_to_string(to.dirs().patchwork.join(name)).unwrap();
            let (old_rows, new_rows) = (left("runs.jsonl.1"), left("runs.jsonl"));
            assert!(old_rows.contains(&a) && new_rows.contains(&b), "{old_rows}{new_rows}");
            let mut all: Vec<_> = old_rows.lines().chain(new_rows.lines()).collect();
            all.sort_unstable();
            assert_eq!(all, [a.trim(), b.trim(), new.trim()]);
        }
    }

    #[test]
    fn row_moved_by_rotation_is_not_duplicated() {
        let (result, report) =
            import_runs(&[("runs.jsonl.1", &run(1..6)), ("runs.jsonl", &run(6..9))], &[("runs.jsonl", &run(2..8))]);
        assert_eq!(result, logs(&[("runs.jsonl.1", &run(1..6)), ("runs.jsonl", &run(6..9))]));
        assert_eq!(report.plan.files[1].already_there, rows(6));
    }

    #[test]
    fn row_not_yet_moved_by_rotation_is_not_duplicated() {
        let (result, _) =
            import_runs(&[("runs.jsonl", &run(1..6))], &[("runs.jsonl.1", &run(1..4)), ("runs.jsonl", &run(4..9))]);
        assert_eq!(result, logs(&[("runs.jsonl", &run(1..9))]));
    }

    #[test]
    fn rows_older_than_the_archive_go_to_the_archive() {
        let (result, report) =
            import_runs(&[("runs.jsonl.1", &run(5..8)), ("runs.jsonl", &run(8..10))], &[("runs.jsonl", &run(1..9))]);
        assert_eq!(result, logs(&[("runs.jsonl.1", &run(1..8)), ("runs.jsonl", &run(8..10))]));
        assert_eq!(report.plan.files[0].new, rows(4));
        assert_eq!(report.plan.files[1].change, Change::Nothing);
    }

    #[test]
    fn rows_between_the_local_files_go_where_the_bundle_has_them() {
        let (result, _) = import_runs(
            &[("runs.jsonl.1", &run([1, 2])), ("runs.jsonl", &run([20, 21]))],
            &[("runs.jsonl.1", &run([5, 6])), ("runs.jsonl", &run([7, 8]))],
        );
        assert_eq!(result, logs(&[("runs.jsonl.1", &run([1, 2, 5, 6])), ("runs.jsonl", &run([7, 8, 20, 21]))]));
    }

    #[test]
    fn missing_archive_is_created() {
        let (result, _) =
            import_runs(&[("runs.jsonl", &run(8..10))], &[("runs.jsonl.1", &run(1..5)), ("runs.jsonl", &run(5..9))]);
        assert_eq!(result, logs(&[("runs.jsonl.1", &run(1..5)), ("runs.jsonl", &run(5..10))]));
    }
}

mod other_modes {
    use super::*;

    #[test]
    fn append_adds_rows_without_joining_lines() {
        let open = run(1..3).trim_end().to_owned();
        let to = Home::new().with("runs.jsonl", &open);
        let report = import_as_planned(&runs_bundle(run(2..4)), &to, &with(Mode::Append));
        assert_eq!(files(&to), logs(&[("runs.jsonl", &(run(1..3) + &run(2..4)))]));
        assert_eq!((only(&report).new, only(&report).kept), (rows(2), rows(2)));
    }

    #[test]
    fn append_to_a_missing_log_writes_the_log() {
        let to = Home::new();
        import_as_planned(&runs_bundle("torn"), &to, &with(Mode::Append));
        assert_eq!(files(&to), logs(&[("runs.jsonl", "torn")]));
    }

    #[test]
    fn overwrite_keeps_a_dated_backup() {
        let to = Home::new().with("runs.jsonl", run(1..3) + "torn");
        let report = import_as_planned(&runs_bundle(run(5..6)), &to, &with(Mode::Overwrite));
        let backup = "runs.jsonl.2026-05-02T10-00-00.000Z.bak";
        assert_eq!(files(&to), logs(&[("runs.jsonl", &run(5..6)), (backup, &(run(1..3) + "torn"))]));
        let file = only(&report);
        assert_eq!(file.backup, Some(to.dirs().patchwork.join(backup)));
        assert_eq!((file.new, file.kept, file.replaced), (rows(1), rows(0), LineCount { rows: 2, unparsed: 1 }));
    }

    #[test]
    fn backup_never_replaces_another_backup() {
        let to = Home::new().with("runs.jsonl", run(1..2));
        import_as_planned(&runs_bundle(run(5..6)), &to, &with(Mode::Overwrite));
        import_as_planned(&runs_bundle(run(7..8)), &to, &with(Mode::Overwrite));
        assert_eq!(
            files(&to),
            logs(&[
                ("runs.jsonl", &run(7..8)),
                ("runs.jsonl.2026-05-02T10-00-00.000Z-2.bak", &run(5..6)),
                ("runs.jsonl.2026-05-02T10-00-00.000Z.bak", &run(1..2)),
            ])
        );
    }

    #[test]
    fn killed_overwrite_leaves_no_second_backup() {
        let to = Home::new().with("runs.jsonl", run(1..2));
        let log = to.dirs().patchwork.join("runs.jsonl");
        // The import was killed right after it created the backup, a hard link to the log.
        fs::hard_link(&log, log.with_file_name("runs.jsonl.2026-05-01T00-00-00.000Z.bak")).unwrap();
        import_as_planned(&runs_bundle(run(5..6)), &to, &with(Mode::Overwrite));
        let expected = logs(&[("runs.jsonl", &run(5..6)), ("runs.jsonl.2026-05-02T10-00-00.000Z.bak", &run(1..2))]);
        assert_eq!(files(&to), expected);
    }

    #[test]
    fn failed_overwrite_removes_its_backups() {
        let to = Home::new().with("decision_traces.jsonl", run(1..2)).with("runs.jsonl", run(1..2));
        // The name of the second backup is too long for the file system.
        let long = format!("{}.jsonl", "x".repeat(240));
        let to = to.with(&long, "{}\n");
        let from = Home::new().with("runs.jsonl", run(5..6)).with(&long, "{\"a\":1}\n");
        let before = files(&to);
        let error = refused(try_import(&bundle(&from), &to, &with(Mode::Overwrite)));
        assert!(matches!(error.kind(), ErrorKind::Io { .. }), "{error}");
        assert_eq!(files(&to), before);
    }
}

mod rotation {
    use super::*;

    /// A rotation that only deletes lines.
    fn deleted(trimmed: LineCount, left: LineCount) -> Rotation {
        let mut rotation = Rotation::default();
        (rotation.trimmed, rotation.left) = (trimmed, left);
        rotation
    }

    /// A rotation that moves lines, and deletes those that it trims but does not move.
    fn partly_moved(trimmed: LineCount, moved: LineCount, left: LineCount) -> Rotation {
        let mut rotation = deleted(trimmed, left);
        (rotation.moved_to, rotation.moved) = (Some("runs.jsonl.1"), moved);
        rotation
    }

    /// A rotation that only moves lines.
    fn moved(trimmed: LineCount, left: LineCount) -> Rotation {
        partly_moved(trimmed, trimmed, left)
    }

    fn forecast(bundled: &str) -> Option<Rotation> {
        let to = Home::new().with("runs.jsonl", row(1));
        let merged = import_as_planned(&runs_bundle(bundled), &to, &ImportOptions::default());
        let fresh = import_as_planned(&runs_bundle(row(1) + bundled), &Home::new(), &ImportOptions::default());
        assert_eq!(only(&merged).rotation, only(&fresh).rotation);
        only(&merged).rotation.clone()
    }

    #[test]
    fn small_log_is_not_rotated() {
        assert_eq!(forecast(&run(2..10_001)), None);
    }

    #[test]
    fn log_over_1_mib_with_over_10_000_lines_keeps_10_000() {
        let long = format!("{{\"createdAt\":2,\"text\":\"{}\"}}\n", "x".repeat(1 << 20));
        let expected = moved(rows(2), rows(10_000));
        assert_eq!(forecast(&(long + &run(3..10_003))), Some(expected));
        assert_eq!(forecast(&run(2..10_003)), None, "a shorter log is not rotated, however many lines it has");
    }

    #[test]
    fn log_over_1_mib_is_halved_until_it_fits() {
        // 12,000 lines of 200 bytes: 10,000 of them take 2 MB, 5,000 just under 1 MiB.
        let line = |at: u64| format!("{{\"createdAt\":1{at:09},\"text\":\"{}\"}}\n", "x".repeat(200 - 35));
        assert_eq!(line(1).len(), 200);
        let log: String = (2..12_002).map(line).collect();
        let expected = moved(rows(7001), rows(5000));
        assert_eq!(forecast(&log), Some(expected));
    }

    #[test]
    fn few_long_lines_are_halved_and_a_single_oversized_line_is_deleted() {
        let line = |at: u64, bytes: usize| format!("{{\"createdAt\":{at},\"text\":\"{}\"}}\n", "x".repeat(bytes - 26));
        assert_eq!(line(2, 1000).len(), 1000);
        let log = |sizes: &[usize]| (2..).zip(sizes).map(|(at, bytes)| line(at, *bytes)).collect::<String>();
        let fresh = |sizes: &[usize]| {
            let report = import_as_planned(&runs_bundle(log(sizes)), &Home::new(), &ImportOptions::default());
            only(&report).rotation.clone()
        };
        let cut = |trimmed, left| Some(moved(rows(trimmed), rows(left)));
        assert_eq!(fresh(&[1 << 19, 1 << 19]), None, "a log of exactly 1 MiB is not rotated");
        assert_eq!(fresh(&[1 << 19, (1 << 19) + 1]), cut(1, 1));
        assert_eq!(fresh(&[100, 100, 1 << 20]), cut(2, 1));
        assert_eq!(fresh(&[1 << 20, 400_000, 400_000, 100]), cut(2, 2));
        assert_eq!(fresh(&[1 << 20]), None);
        assert_eq!(fresh(&[(1 << 20) + 1]), Some(deleted(rows(1), rows(0))));
        let expected = partly_moved(rows(3), rows(2), rows(0));
        assert_eq!(fresh(&[100, 100, 3 << 20]), Some(expected), "the older rows move to the archive");
    }

    #[test]
    fn unparsed_lines_are_counted_separately() {
        let log = format!("torn{}\ntorn\ntorn\n{}", "x".repeat(1 << 20), run(2..10_001));
        let trimmed = LineCount { rows: 1, unparsed: 2 };
        // Torn lines are sorted with the first row, before or after it.
        let left = LineCount { rows: 9_999, unparsed: 1 };
        let to = Home::new();
        let report = import_as_planned(&runs_bundle(row(1) + &log), &to, &ImportOptions::default());
        assert_eq!(only(&report).rotation, Some(moved(trimmed, left)));
    }

    #[test]
    fn other_logs_lose_trimmed_rows_and_archives_are_not_trimmed() {
        let from = Home::new().with("runs.jsonl.1", run(1..60_000)).with("decision_traces.jsonl", run(1..60_000));
        let report = import_as_planned(&bundle(&from), &Home::new(), &ImportOptions::default());
        assert_eq!(report.plan.files[0].rotation, None);
        let rotation = report.plan.files[1].rotation.as_ref().unwrap();
        assert_eq!((rotation.moved_to, rotation.deleted()), (None, rotation.trimmed));
    }

    /// Returns the forecast of the next write in each mode, after comparing it with a real rotation.
    fn forecasts(home: impl Fn() -> Home, from: &Home, file: &str) -> Vec<Rotation> {
        let forecast = |mode| {
            let to = home();
            let plan = import_as_planned(&bundle(from), &to, &with(mode)).plan;
            let planned = plan.files.iter().find(|planned| planned.file.as_str() == file).unwrap();
            let rotation = planned.rotation.clone().unwrap_or_default();
            check_forecast(&to, planned, &rotation);
            rotation
        };
        [Mode::Merge, Mode::Append, Mode::Overwrite].map(forecast).to_vec()
    }

    /// Rotates the log as Patchwork does, and compares the counts with the forecast.
    fn check_forecast(home: &Home, planned: &FilePlan, rotation: &Rotation) {
        let source = patchwork_traces::logs::known(planned.source.as_str()).unwrap();
        let log = fs::read(&planned.path).unwrap();
        let archive = fs::read(home.dirs().patchwork.join("runs.jsonl.1")).unwrap_or_default();
        let Some(rotated) = patchwork_traces::logs::rotation::rotate(source.rotation, &log, &archive) else {
            return assert_eq!(*rotation, Rotation::default());
        };
        let lines = |text: &[u8]| text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64;
        if *rotation == Rotation::default() {
            return assert_eq!(rotated.log, log);
        }
        assert_eq!(lines(&rotated.log), rotation.left.all());
        assert_eq!(rotated.dropped.len() as u64, rotation.trimmed.all());
        if let Some(after) = rotated.archive {
            let expected = lines(&archive) + rotation.moved.all() - rotation.lost_from_archive.all();
            assert_eq!(lines(&after), expected);
        }
    }

    fn padded(at: u64, bytes: usize) -> String {
        let start = format!("{{\"createdAt\":1{at:06},\"text\":\"");
        format!("{start}{}\"}}\n", "x".repeat(bytes - start.len() - 3))
    }

    #[test]
    fn rows_that_exceed_the_archive_are_deleted() {
        let archive: String = (0..8_300).map(|at| padded(at, 1000)).collect();
        let log: String = (8_300..9_500).map(|at| padded(at, 1000)).collect();
        let home = || Home::new().with("runs.jsonl.1", &archive).with("runs.jsonl", padded(9_600, 100));
        let rotations = forecasts(home, &Home::new().with("runs.jsonl", &log), "runs.jsonl");
        // 601 or 600 rows move to the archive. With its 8,300 rows it is then too long, so half of all are deleted.
        let deleted: Vec<_> = rotations.iter().map(Rotation::deleted).collect();
        assert_eq!(deleted, [rows(4451), rows(4451), rows(4450)]);
        assert!(rotations.iter().all(|rotation| rotation.moved == rotation.trimmed && rotation.moved.rows >= 600));
    }

    #[test]
    fn length_is_counted_in_code_units_instead_of_bytes() {
        let row = |at| format!("{{\"createdAt\":1{at:06},\"text\":\"{}\"}}\n", "\u{6f22}".repeat(300));
        let log: String = (0..1500).map(row).collect();
        assert!(log.len() > 1 << 20);
        for file in ["runs.jsonl", "decision_traces.jsonl"] {
            let rotations = forecasts(Home::new, &Home::new().with(file, &log), file);
            assert_eq!(rotations, vec![Rotation::default(); 3], "nothing is trimmed");
        }
    }

    #[test]
    fn log_of_exactly_1_mib_is_not_halved_again() {
        let log: String = (0..2048).map(|at| padded(at, 1024)).collect();
        let rotations = forecasts(Home::new, &Home::new().with("decision_traces.jsonl", log), "decision_traces.jsonl");
        assert_eq!(rotations, vec![deleted(rows(1024), rows(1024)); 3]);
    }

    #[test]
    fn forecast_names_blank_lines_and_invalid_text_that_rotation_changes() {
        let mut log: Vec<u8> = "{\"createdAt\":1,\"text\":\"\u{e9}\"}\n \n\u{a0}\u{feff}\n".repeat(60_000).into();
        let short = b"{\"createdAt\":2,\"text\":\"\xe2\x82\"}\n";
        log.extend(short);
        let rotations = forecasts(Home::new, &Home::new().with_activity("activity.jsonl", &log), "activity.jsonl");
        for rotation in rotations {
            assert!(rotation.replaces_invalid_utf8);
            assert_eq!((rotation.blank, rotation.left, rotation.trimmed), (120_000, rows(10_000), rows(50_001)));
        }
    }

    #[test]
    fn single_oversized_activity_row_is_kept() {
        let log = format!("{}{}", padded(1, 100), padded(2, 2 << 20));
        let rotations = forecasts(Home::new, &Home::new().with_activity("activity.jsonl", log), "activity.jsonl");
        assert_eq!(rotations, vec![deleted(rows(1), rows(1)); 3]);
    }
}

mod refusals {
    use super::*;

    /// Checks that an import is refused and changes nothing, and that a dry run returns the same error.
    fn refuse(bundle: &[u8], home: &Home) -> Error {
        let before = snapshot(home.path());
        let error = refused(try_import(bundle, home, &ImportOptions::default()));
        let dry = refused(try_import(bundle, home, &dry(&ImportOptions::default())));
        assert_eq!(error.to_string(), dry.to_string());
        let after = snapshot(home.path());
        let without_times = |all: BTreeMap<PathBuf, (u64, i64, i64, Vec<u8>)>| {
            all.into_iter().map(|(path, (inode, .., content))| (path, inode, content)).collect::<Vec<_>>()
        };
        assert_eq!(without_times(after), without_times(before), "nothing is changed");
        error
    }

    #[test]
    fn bundle_with_a_hash_mismatch_is_refused_completely() {
        let from = Home::new().with("runs.jsonl", run(1..5)).with("decision_traces.jsonl", run(1..5));
        // Without a chunk table, only the hash reveals the change.
        let changed = edited(&bundle(&from), |text| {
            let text = text.replacen("\"taskId\":\"t3\"", "\"taskId\":\"t8\"", 2);
            let start = text.find("\"chunks\"").unwrap();
            let end = text[start..].find("]}").unwrap() + start;
            let text = text.replace(&text[start - 1..=end], "");
            let start = text.find(",\"chunks\"").unwrap();
            let end = text[start..].find("]}").unwrap() + start;
            text.replace(&text[start..=end], "")
        });
        let error = refuse(&changed, &Home::new().with("runs.jsonl", run(1..3)));
        assert!(matches!(error.kind(), ErrorKind::RestoredDiffers), "{error}");
    }

    #[test]
    fn bundle_with_a_changed_chunk_is_refused_completely() {
        let changed = edited(&runs_bundle(run(1..5)), |text| text.replacen("\"t3\"", "\"t8\"", 1));
        assert!(matches!(refuse(&changed, &Home::new()).kind(), ErrorKind::ChunkMismatch));
    }

    #[test]
    fn unknown_sources_are_refused() {
        let other = bundle(&Home::new().with("facts.jsonl", "{}\n"));
        let unknown =
            edited(&other, |text| text.replace("\"source\":\"facts\"", "\"source\":\"future\"")).as_slice().to_vec();
        let unknown = edited(&unknown, |text| text.replace("[\"facts\"]", "[\"future\"]"));
        let error = refuse(&unknown, &Home::new());
        assert!(matches!(error.kind(), ErrorKind::ForeignSource { source } if source == "future"), "{error}");
        assert_eq!(error.position().file.as_deref(), Some("facts.jsonl"));
        import_as_planned(&other, &Home::new(), &ImportOptions::default());
    }

    #[test]
    fn file_names_foreign_to_their_source_are_refused() {
        let rename = |from: &Home, old: &str, new: &str| {
            edited(&bundle(from), |text| text.replace(&format!("\"{old}\""), &format!("\"{new}\"")))
        };
        let runs = Home::new().with("runs.jsonl", "");
        let activity = Home::new().with_activity("activity-1.jsonl", "");
        for (home, old, new) in [
            (&runs, "runs.jsonl", "config.json"),
            (&runs, "runs.jsonl", "runs.jsonl.lock"),
            (&runs, "runs.jsonl", "decision_traces.jsonl"),
            (&runs, "patchwork", "activity"),
            (&activity, "activity-1.jsonl", "1.lock"),
            (&activity, "activity-1.jsonl", "activity-x.jsonl"),
        ] {
            let error = refuse(&rename(home, old, new), &Home::new());
            assert!(matches!(error.kind(), ErrorKind::NotOfSource { .. }), "{new}: {error}");
        }
    }

    #[test]
    fn other_logs_cannot_replace_known_logs() {
        let facts = bundle(&Home::new().with("facts.jsonl", ""));
        for name in ["runs.jsonl", "decision_traces.jsonl"] {
            let taken = edited(&facts, |text| {
                text.replace("\"facts\"", &format!("\"{name}\"")).replace("\"facts.jsonl\"", &format!("\"{name}\""))
            });
            let error = refuse(&taken, &Home::new());
            assert!(matches!(error.kind(), ErrorKind::ForeignSource { .. } | ErrorKind::NotOfSource { .. }), "{error}");
        }
    }

    #[test]
    fn directory_and_dangling_symlink_targets_are_refused() {
        let bundle = runs_bundle(run(1..3));
        let home = Home::new();
        fs::create_dir(home.dirs().patchwork.join("runs.jsonl")).unwrap();
        assert!(matches!(refuse(&bundle, &home).kind(), ErrorKind::NotAFile));

        let home = Home::new();
        symlink("/nowhere/at all", home.dirs().patchwork.join("runs.jsonl")).unwrap();
        let error = refuse(&bundle, &home);
        assert!(matches!(error.kind(), ErrorKind::DanglingLink { to } if to == Path::new("/nowhere/at all")));
    }

    #[cfg(unix)]
    #[test]
    fn known_log_under_another_name_is_refused() {
        let home = Home::new().with("runs.jsonl", run(1..3));
        let log = home.dirs().patchwork.join("runs.jsonl");
        let bundle = bundle(&Home::new().with("Runs.jsonl", run(5..7)));
        // Simulates a case-insensitive directory.
        fs::hard_link(&log, log.with_file_name("Runs.jsonl")).unwrap();
        let error = refuse(&bundle, &home);
        assert!(matches!(error.kind(), ErrorKind::SameTarget { other } if other == "runs.jsonl"), "{error}");
    }

    #[test]
    fn two_logs_that_resolve_to_one_file_are_refused() {
        let from = Home::new().with_activity("activity-1.jsonl", "{}\n").with_activity("activity-2.jsonl", "{}\n");
        let home = Home::new().with_activity("activity-2.jsonl", "{}\n");
        symlink("activity-2.jsonl", home.dirs().activity.join("activity-1.jsonl")).unwrap();
        let error = refuse(&bundle(&from), &home);
        assert!(matches!(error.kind(), ErrorKind::SameTarget { other } if other == "activity-1.jsonl"), "{error}");
    }

    #[test]
    fn bundle_that_inflates_beyond_its_declared_size_is_refused() {
        let sound = runs_bundle(run(1..3));
        let longer = edited(&sound, |text| text.clone() + text.lines().last().unwrap() + "\n");
        assert!(matches!(refuse(&longer, &Home::new()).kind(), ErrorKind::MoreThanDeclared));
        // Format 1.0 with a declared size of 10 bytes: one row of 70 MiB, above the limit for such a log, or two of 40.
        let head = "{\"type\":\"manifest\",\"version\":1,\"exportedAt\":\"2026-05-02T10:00:00.000Z\",\"sources\":[\"runs\"],\
                    \"files\":[{\"source\":\"runs\",\"relativePath\":\"runs.jsonl\",\"count\":COUNT,\"bytes\":10}],\"totalCount\":COUNT}\n";
        let of_rows = |count: usize, megabytes: usize| {
            let row = format!("{{\"source\":\"runs\",\"entry\":\"{}\"}}\n", "x".repeat(megabytes << 20));
            gzip((head.replace("COUNT", &count.to_string()) + &row.repeat(count)).as_bytes())
        };
        let error = refuse(&of_rows(1, 70), &Home::new());
        assert!(matches!(error.kind(), ErrorKind::LineTooLong { .. }), "{error}");
        let error = refuse(&of_rows(2, 40), &Home::new());
        assert!(matches!(error.kind(), ErrorKind::MoreThanDeclared), "{error}");
    }

    #[test]
    fn truncated_bundle_is_refused() {
        let whole = runs_bundle(run(1..1000));
        let error = refuse(&whole[..whole.len() - 20], &Home::new());
        assert!(matches!(error.kind(), ErrorKind::Gzip(_) | ErrorKind::ContentEnds), "{error}");
    }
}

mod running_patchwork {
    use super::*;

    const LOCK: &str = "runs.jsonl.lock";

    fn locked_home() -> (Home, PathBuf) {
        let home = Home::new().with("runs.jsonl", run(1..3));
        let lock = home.dirs().patchwork.join(LOCK);
        fs::write(&lock, "").unwrap();
        (home, lock)
    }

    /// Sets a lock's age against the test clock.
    fn age(lock: &Path, clock: &TestClock<'_>, seconds: u64) {
        let file = fs::File::options().write(true).open(lock).unwrap();
        file.set_modified(clock.now() - Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn live_lock_stops_the_import_after_five_seconds_and_remains() {
        let (home, lock) = locked_home();
        let clock = TestClock::new();
        age(&lock, &clock, 3);
        let began = clock.now();
        let bundle = runs_bundle(run(5..7));
        let error =
            refused(import(sequential(&bundle).unwrap(), &home.dirs(), &ImportOptions::default(), &clock, &NoProgress));
        assert!(matches!(error.kind(), ErrorKind::Locked { seconds: 5 }));
        assert_eq!(error.position().subject.as_deref(), lock.to_str());
        assert_eq!(clock.now().duration_since(began).unwrap(), Duration::from_secs(5));
        assert_eq!(files(&home), logs(&[("runs.jsonl", &run(1..3)), (LOCK, "")]));
    }

    #[test]
    fn import_waits_for_a_lock_that_is_released_in_time() {
        let (home, lock) = locked_home();
        let log = lock.with_file_name("runs.jsonl");
        let clock = TestClock::acting(|sleeps| {
            if sleeps == 3 {
                // The writer appends its row and releases the lock.
                fs::write(&log, run(1..4)).unwrap();
                fs::remove_file(&lock).unwrap();
            }
        });
        age(&lock, &clock, 1);
        let bundle = runs_bundle(run(5..7));
        import(sequential(&bundle).unwrap(), &home.dirs(), &ImportOptions::default(), &clock, &NoProgress).unwrap();
        assert_eq!(files(&home), logs(&[("runs.jsonl", &run([1, 2, 3, 5, 6]))]));
    }

    #[test]
    fn unchanged_log_that_changes_before_its_lock_is_merged() {
        let (home, lock) = locked_home();
        let log = |name: &str| lock.with_file_name(name);
        fs::write(log("runs.jsonl"), run(1..6)).unwrap();
        let clock = TestClock::acting(|_| {
            // The writer rotates the log and releases the lock, so the earlier comparison is outdated.
            fs::write(log("runs.jsonl"), run(3..7)).unwrap();
            fs::remove_file(&lock).unwrap();
        });
        age(&lock, &clock, 1);
        let bundle = runs_bundle(run(1..6));
        let done = import(indexed(&bundle).unwrap(), &home.dirs(), &ImportOptions::default(), &clock, &NoProgress);
        assert_eq!(only(&done.unwrap()).new, rows(2));
        assert_eq!(files(&home), logs(&[("runs.jsonl", &run(1..7))]));
        assert_nothing_left(&home);
    }

    #[test]
    fn unlocked_unchanged_log_that_is_truncated_gets_its_rows_back() {
        struct CutWhenMerging(PathBuf);
        impl Progress for CutWhenMerging {
            fn stage(&self, stage: Stage) {
                if stage == Stage::Merging {
                    fs::write(&self.0, run(4..8)).unwrap();
                }
            }
        }
        let from = Home::new().with_activity("activity-1.jsonl", run(1..6));
        let home = Home::new().with_activity("activity-1.jsonl", run(1..6));
        let log = home.dirs().activity.join("activity-1.jsonl");
        let progress = CutWhenMerging(log.clone());
        let bundle = bundle(&from);
        let options = ImportOptions::default();
        import(indexed(&bundle).unwrap(), &home.dirs(), &options, &TestClock::new(), &progress).unwrap();
        assert_eq!(fs::read_to_string(log).unwrap(), run(1..8));
    }

    #[test]
    fn rows_rotated_to_a_new_archive_under_lock_are_not_duplicated() {
        let (home, lock) = locked_home();
        let log = |name: &str| lock.with_file_name(name);
        let clock = TestClock::acting(|_| {
            fs::write(log("runs.jsonl.1"), run(1..2)).unwrap();
            fs::write(log("runs.jsonl"), run(2..4)).unwrap();
            fs::remove_file(&lock).unwrap();
        });
        age(&lock, &clock, 1);
        let bundle = runs_bundle(run(1..6));
        let done = import(sequential(&bundle).unwrap(), &home.dirs(), &ImportOptions::default(), &clock, &NoProgress);
        assert_eq!(files(&home), logs(&[("runs.jsonl.1", &run(1..2)), ("runs.jsonl", &run(2..6))]));
        assert_eq!(done.unwrap().plan.files.len(), 2);
    }

    #[test]
    fn stale_lock_is_removed() {
        let (home, lock) = locked_home();
        let clock = TestClock::acting(|_| panic!("no need to wait"));
        age(&lock, &clock, 31);
        let bundle = runs_bundle(run(5..7));
        import(sequential(&bundle).unwrap(), &home.dirs(), &ImportOptions::default(), &clock, &NoProgress).unwrap();
        assert_eq!(files(&home), logs(&[("runs.jsonl", &run([1, 2, 5, 6]))]));
    }

    #[test]
    fn archive_is_written_under_the_lock_of_its_log() {
        let (home, lock) = locked_home();
        age(&lock, &TestClock::new(), 3);
        let bundle = bundle(&Home::new().with("runs.jsonl.1", run(1..2)));
        assert!(matches!(
            refused(try_import(&bundle, &home, &ImportOptions::default())).kind(),
            ErrorKind::Locked { .. }
        ));
    }

    #[test]
    fn dry_run_ignores_locks() {
        let (home, _) = locked_home();
        try_import(&runs_bundle(run(5..7)), &home, &dry(&ImportOptions::default())).unwrap();
    }

    #[test]
    fn activity_logs_have_no_lock() {
        let home = Home::new();
        fs::write(home.dirs().activity.join("activity-1.jsonl.lock"), "").unwrap();
        let from = Home::new().with_activity("activity-1.jsonl", "{}\n");
        try_import(&bundle(&from), &home, &ImportOptions::default()).unwrap();
        assert!(home.dirs().activity.join("activity-1.jsonl.lock").exists());
    }

    #[test]
    fn rows_appended_while_the_bundle_is_read_are_kept() {
        /// Appends a row after the first part of the bundle was read.
        struct AppendOnRead(PathBuf, AtomicBool);
        impl Progress for AppendOnRead {
            fn stage(&self, stage: Stage) {
                self.1.store(stage == Stage::Reading, Ordering::Relaxed);
            }

            fn advance(&self, _: u64) {
                if !self.1.swap(false, Ordering::Relaxed) {
                    return;
                }
                let mut log = fs::File::options().append(true).create(true).open(&self.0).unwrap();
                log.write_all(b"{\"late\":1}\n").unwrap();
            }
        }
        for local in [None, Some("{\"early\":1}\n")] {
            let home = Home::new();
            let path = home.dirs().activity.join("activity-1.jsonl");
            if let Some(local) = local {
                fs::write(&path, local).unwrap();
            }
            let bundle = bundle(&Home::new().with_activity("activity-1.jsonl", "{\"bundled\":1}\n"));
            let bundle = sequential(&bundle).unwrap();
            let progress = AppendOnRead(path.clone(), AtomicBool::new(false));
            import(bundle, &home.dirs(), &ImportOptions::default(), &TestClock::new(), &progress).unwrap();
            let expected = format!("{{\"bundled\":1}}\n{}{{\"late\":1}}\n", local.unwrap_or_default());
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
    }
}

mod progress {
    use super::*;

    /// A started stage, its announced bytes and its reported bytes.
    type StartedStage = (Stage, u64, u64);

    /// The current stage, and all started ones.
    #[derive(Default)]
    struct Stages(Mutex<(Option<Stage>, Vec<StartedStage>)>);

    impl Progress for Stages {
        fn stage(&self, stage: Stage) {
            self.0.lock().unwrap().0 = Some(stage);
        }

        fn start(&self, total: Option<u64>) {
            let mut seen = self.0.lock().unwrap();
            let stage = seen.0.unwrap();
            seen.1.push((stage, total.unwrap(), 0));
        }

        fn advance(&self, bytes: u64) {
            self.0.lock().unwrap().1.last_mut().unwrap().2 += bytes;
        }
    }

    fn stages(bundle: &[u8], home: &Home, mode: Mode) -> Vec<StartedStage> {
        let stages = Stages::default();
        import(sequential(bundle).unwrap(), &home.dirs(), &with(mode), &TestClock::new(), &stages).unwrap();
        stages.0.into_inner().unwrap().1
    }

    #[test]
    fn writing_merged_logs_is_a_separate_progress_stage() {
        let (few, many, more) = (run(0..10), run(0..30_000), run(20_000..50_000));
        let bundled = bundle(&Home::new().with("runs.jsonl", &more).with("decision_traces.jsonl", &few));
        let all = (more.len() + few.len()) as u64;
        let local = || Home::new().with("runs.jsonl", &many).with("decision_traces.jsonl", run(5..15));
        let both = |one: &str, other: &str| (one.len() + other.len()) as u64;

        let appended = both(&few, &run(5..15));
        let merging = both(&many, &more) + appended;
        let merged = run(0..50_000).len() as u64;
        let seen = stages(&bundled, &local(), Mode::Merge);
        let compared = merging - appended;
        let expected = [
            (Stage::Reading, all, all),
            (Stage::Merging, merging, compared),
            (Stage::Writing, merged, merged),
            // Small logs are written at the same time.
            (Stage::Merging, appended, appended),
        ];
        assert_eq!(seen, expected);

        let (here, appended) = (both(&many, &run(5..15)), both(&many, &more));
        let rest = run(5..15).len() as u64;
        let expected = [
            (Stage::Reading, all, all),
            (Stage::Merging, here, here - rest),
            (Stage::Writing, appended, appended),
            (Stage::Merging, rest, rest),
        ];
        assert_eq!(stages(&bundled, &local(), Mode::Append), expected);
        // The replacement of a log was written when the log was restored.
        let expected = [(Stage::Reading, all, all), (Stage::Merging, here, here)];
        assert_eq!(stages(&bundled, &local(), Mode::Overwrite), expected);
        assert_eq!(stages(&bundled, &Home::new(), Mode::Merge), [(Stage::Reading, all, all)]);
    }
}

mod interrupted {
    use super::*;

    #[test]
    fn leftovers_of_a_killed_import_are_removed() {
        let home = Home::new().with("runs.jsonl", run(1..3));
        let left = home.dirs().patchwork.join(".patchwork-traces-import-abc123");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("live"), "").unwrap();
        fs::write(left.join("0.part"), run(1..9)).unwrap();
        let younger = home.dirs().activity.join(".patchwork-traces-import-def456");
        fs::create_dir(&younger).unwrap();
        // The lock of the killed import.
        fs::write(home.dirs().patchwork.join("runs.jsonl.lock"), "patchwork-traces import\n").unwrap();
        let report = try_import(&runs_bundle(run(2..6)), &home, &ImportOptions::default()).unwrap();
        assert_eq!(report.cleaned_up, [younger, left]);
        assert_eq!(files(&home), logs(&[("runs.jsonl", &run(1..6))]));
        assert_nothing_left(&home);
    }

    #[test]
    fn files_of_a_running_import_are_kept() {
        let home = Home::new().with("runs.jsonl", run(1..3));
        let used = home.dirs().patchwork.join(".patchwork-traces-import-abc123");
        fs::create_dir(&used).unwrap();
        let live = fs::File::create(used.join("live")).unwrap();
        live.lock().unwrap();
        let lock = home.dirs().patchwork.join("runs.jsonl.lock");
        fs::write(&lock, "patchwork-traces import\n").unwrap();
        let held = fs::File::open(&lock).unwrap();
        held.lock().unwrap();
        let clock = TestClock::new();
        fs::File::options().write(true).open(&lock).unwrap().set_modified(clock.now()).unwrap();
        let error = refused(try_import(&runs_bundle(run(2..6)), &home, &ImportOptions::default()));
        assert!(matches!(error.kind(), ErrorKind::Locked { .. }), "{error}");
        assert!(used.join("live").exists() && lock.exists());
    }

    #[test]
    fn dry_run_removes_no_leftovers() {
        let home = Home::new();
        let left = home.dirs().patchwork.join(".patchwork-traces-import-abc123");
        fs::create_dir(&left).unwrap();
        let report = try_import(&runs_bundle(run(2..6)), &home, &dry(&ImportOptions::default())).unwrap();
        assert!(report.cleaned_up.is_empty() && left.exists());
    }
}

mod limits {
    use super::*;

    #[test]
    fn overlong_local_line_stops_the_import() {
        let bundle = bundle(&Home::new().with("runs.jsonl", run(0..3)));
        let home = Home::new().with("runs.jsonl", run(1..2));
        let path = home.dirs().patchwork.join("runs.jsonl");
        let whole = fs::metadata(&path).unwrap().len();
        // A hole reads as NULs and takes no disk space. A local line may be twice as long as one in a bundle.
        let length = whole + (512 << 20) + 1;
        fs::File::options().append(true).open(&path).unwrap().set_len(length).unwrap();
        for mode in [Mode::Merge, Mode::Append] {
            let error = try_import(&bundle, &home, &with(mode)).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::LineTooLong { .. }), "{mode:?}: {error}");
            assert_eq!(
                (error.position().subject.as_deref(), error.position().line),
                (path.to_str(), Some(2)),
                "{mode:?}"
            );
            assert_eq!(fs::metadata(&path).unwrap().len(), length);
        }
    }
}
