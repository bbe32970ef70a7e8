//! `keep` adds new rows to a history, and reports when rows may be missing.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use patchwork_traces::bundle::Selection;
use patchwork_traces::error::HistoryFault;
use patchwork_traces::format::{Derivation, FollowsState, Label, Timestamp};
use patchwork_traces::history::{Checkpoint, History};
use patchwork_traces::keep::{KeepOptions, KeepReport, KeptLog, Pace, WriteOptions, keep, keep_bundles};
use patchwork_traces::logs::rotation::{MAX_LOG_BYTES, RotationKind, rotate};
use patchwork_traces::logs::{DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::{Bundle, ErrorKind, Result};

use crate::common::Home;
use FollowsState::{Absent, Altered, Continues, First, Gap, Unchanged};

const START: i64 = 1_777_716_000_000;

/// A machine with a history.
struct Machine {
    home: Home,
    runs: i64,
}

impl Machine {
    fn new() -> Self {
        Self { home: Home::new(), runs: 0 }
    }

    fn history(&self) -> PathBuf {
        self.home.path().join("history")
    }

    fn log(&self, name: &str) -> PathBuf {
        let dirs = self.home.dirs();
        if name.starts_with("activity") { dirs.activity.join(name) } else { dirs.patchwork.join(name) }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        // Replace the file, as rotation does.
        let part = self.home.path().join("part");
        fs::write(&part, content).unwrap();
        fs::rename(part, self.log(name)).unwrap();
    }

    fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        let mut log = OpenOptions::new().create(true).append(true).open(self.log(name)).unwrap();
        log.write_all(content.as_ref()).unwrap();
    }

    fn rotate(&self, name: &str, kind: RotationKind) {
        let archive = self.log(name).with_extension("jsonl.1");
        let old = fs::read(&archive).unwrap_or_default();
        let rotated = rotate(kind, &fs::read(self.log(name)).unwrap(), &old).expect("it is long enough");
        if let Some(content) = rotated.archive {
            fs::write(archive, content).unwrap();
        }
        self.write(name, rotated.log);
    }

    fn options(&self) -> KeepOptions {
        let time = Timestamp::from_millis(START + self.runs * 3_600_000).unwrap();
        KeepOptions::new(WriteOptions::new("test 1", time))
    }

    fn try_keep(&mut self, options: &KeepOptions) -> Result<KeepReport> {
        self.runs += 1;
        let found = discover(&self.home.dirs(), &DiscoverOptions::default().allow_empty(true)).unwrap();
        keep(&found, self.history(), options, &NoProgress)
    }

    fn keep(&mut self) -> KeepReport {
        let options = self.options();
        self.try_keep(&options).unwrap()
    }

    /// Returns the exact lines of the rows of a log in the history, in order.
    fn kept(&self, name: &str) -> Vec<String> {
        let history = History::open(self.history()).unwrap();
        let mut kept = Vec::new();
        for segment in history.segments() {
            let names = segment.files.iter().map(|file| history.logs()[file.log].id.name.as_str());
            let files =
                names.enumerate().filter(|(_, found)| found.starts_with(name)).map(|(index, _)| index).collect();
            let mut rows = segment.open().unwrap().rows(&Selection::default().files(files)).unwrap();
            while let Some(row) = rows.next_row().unwrap() {
                kept.push(String::from_utf8_lossy(row.exact_line()).into_owned());
            }
        }
        kept
    }
}

/// Returns the log with this name in a report.
fn of<'r>(report: &'r KeepReport, name: &str) -> &'r KeptLog {
    report.logs.iter().find(|log| log.id.name.as_str() == name).unwrap()
}

fn row(n: i64) -> String {
    format!("{{\"taskId\":\"t{n}\",\"createdAt\":{}}}\n", START + n * 1000)
}

fn rows(numbers: std::ops::Range<i64>) -> String {
    numbers.map(row).collect()
}

/// Returns rows of about a kilobyte.
fn long_rows(numbers: std::ops::Range<i64>) -> String {
    let pad = "x".repeat(950);
    numbers.map(|n| row(n).replace('}', &format!(",\"pad\":\"{pad}\"}}"))).collect()
}

#[test]
fn each_run_adds_the_rows_that_are_new() {
    let mut machine = Machine::new();
    machine.append("runs.jsonl", rows(0..3));
    let first = machine.keep();
    assert_eq!((first.segment, first.rows(), of(&first, "runs.jsonl").follows.state), (0, 3, First));
    let second = machine.keep();
    assert_eq!((second.segment, second.rows(), of(&second, "runs.jsonl").follows.state), (1, 0, Unchanged));
    machine.append("runs.jsonl", rows(3..5));
    let third = machine.keep();
    let follows = &of(&third, "runs.jsonl").follows;
    assert_eq!((follows.state, follows.rows_before, follows.overlap, follows.trimmed), (Continues, 3, 3, 0));
    let log = follows.log.unwrap();
    assert_eq!((log.bytes, log.rows), (rows(0..5).len() as u64, 5));
    fs::remove_file(machine.log("runs.jsonl")).unwrap();
    let last = machine.keep();
    let follows = &of(&last, "runs.jsonl").follows;
    assert_eq!((follows.state, follows.rows_before, follows.log), (Absent, 5, None));
    assert_eq!(machine.kept("runs"), rows(0..5).lines().collect::<Vec<_>>());
    assert!(!first.needs_attention() && !last.needs_attention());
    let checkpoint = Checkpoint::read(machine.history().join("checkpoint")).unwrap();
    assert_eq!((checkpoint.size, checkpoint.id), (4, first.id));
}

#[test]
fn the_same_logs_and_options_give_the_same_segments() {
    let digests = [0, 1].map(|_| {
        let mut machine = Machine::new();
        machine.append("decision_traces.jsonl", rows(0..3));
        let options = machine.options().new_id([7; 16].into()).label(Label::new("office"));
        let first = machine.try_keep(&options).unwrap();
        machine.append("decision_traces.jsonl", rows(3..5));
        (first.digest, machine.keep().digest)
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn rows_that_rotation_moves_to_the_archive_are_not_new() {
    let mut machine = Machine::new();
    machine.append("runs.jsonl", long_rows(0..1100));
    machine.keep();
    machine.rotate("runs.jsonl", RotationKind::Archives);
    machine.append("runs.jsonl", long_rows(1100..1110));
    let report = machine.keep();
    assert_eq!((of(&report, "runs.jsonl").rows, of(&report, "runs.jsonl.1").rows), (10, 0));
    assert_eq!(of(&report, "runs.jsonl.1").follows.state, Unchanged);
    assert_eq!(of(&report, "runs.jsonl").follows.trimmed, 0);
    assert_eq!(machine.kept("runs"), long_rows(0..1110).lines().collect::<Vec<_>>());
}

#[test]
fn rows_that_rotation_removes_are_in_the_history_if_the_log_was_held() {
    for holds in [true, false] {
        let mut machine = Machine::new();
        machine.append("decision_traces.jsonl", long_rows(0..1000));
        let options = machine.options().hold(holds);
        machine.try_keep(&options).unwrap();
        // Rotation removes about the first 550 rows, and later the others with the next 600.
        machine.append("decision_traces.jsonl", long_rows(1000..1100));
        machine.rotate("decision_traces.jsonl", RotationKind::Deletes);
        machine.append("decision_traces.jsonl", long_rows(1100..1700));
        machine.rotate("decision_traces.jsonl", RotationKind::Deletes);
        let options = machine.options().hold(holds);
        let report = machine.try_keep(&options).unwrap();
        let follows = &of(&report, "decision_traces.jsonl").follows;
        let gap = follows.gap.as_ref().unwrap();
        // Without the link, the rows up to 1099 are lost.
        assert_eq!((follows.state, gap.after_row), (Gap, if holds { 1100 } else { 1000 }), "{holds}");
        let last_known = if holds { 1099 } else { 999 };
        assert_eq!(gap.after_time, Timestamp::from_millis(START + last_known * 1000));
        assert!(gap.before_time > gap.after_time && report.needs_attention());
    }
}

#[test]
fn a_row_that_another_writer_appends_during_a_rotation_is_found_in_the_held_file() {
    let mut machine = Machine::new();
    machine.append("decision_traces.jsonl", long_rows(0..1100));
    machine.keep();
    let read = fs::read(machine.log("decision_traces.jsonl")).unwrap();
    machine.append("decision_traces.jsonl", row(5000));
    let rotated = rotate(RotationKind::Deletes, &read, b"").unwrap();
    machine.write("decision_traces.jsonl", rotated.log);
    machine.append("decision_traces.jsonl", row(5001));
    let report = machine.keep();
    let log = of(&report, "decision_traces.jsonl");
    assert_eq!((log.rows, log.follows.state), (2, Continues));
    assert_eq!(machine.kept("decision")[1100..], [row(5000).trim_end(), row(5001).trim_end()]);
    // Only the link to the log itself is left.
    let links = machine.home.dirs().patchwork.join(".patchwork-traces").join(report.id.to_string());
    let names = fs::read_dir(links).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("decision_traces")).count(), 1);
}

#[test]
fn files_held_by_a_killed_run_are_read_by_the_next_run() {
    let mut machine = Machine::new();
    machine.append("decision_traces.jsonl", rows(0..3));
    let report = machine.keep();
    let links = machine.home.dirs().patchwork.join(".patchwork-traces").join(report.id.to_string());
    // The killed run linked a file that was removed later, and wrote no segment.
    fs::write(links.join("decision_traces.jsonl.1.1"), rows(1..6)).unwrap();
    machine.write("decision_traces.jsonl", rows(4..8));
    machine.keep();
    assert_eq!(machine.kept("decision"), rows(0..8).lines().collect::<Vec<_>>());
    // This run wrote its segment before it was killed, and a slow writer appended to the old file afterwards.
    fs::write(links.join("decision_traces.jsonl.1.1"), rows(1..6) + &row(100)).unwrap();
    machine.append("decision_traces.jsonl", rows(8..9));
    machine.keep();
    let kept: String = machine.kept("decision").iter().map(|row| row.clone() + "\n").collect();
    assert_eq!(kept, rows(0..8) + &row(100) + &row(8));
}

#[test]
fn rows_that_an_import_inserts_are_new_unless_the_history_has_them() {
    let mut machine = Machine::new();
    machine.append("decision_traces.jsonl", rows(10..20));
    machine.keep();
    machine.write("decision_traces.jsonl", rows(15..20));
    let trimmed = machine.keep();
    assert_eq!(of(&trimmed, "decision_traces.jsonl").follows.trimmed, 5);
    // Rows of another machine, old rows of this one, and a new row.
    machine.write("decision_traces.jsonl", rows(0..3) + &rows(12..17) + &row(1000) + &rows(17..21));
    let report = machine.keep();
    let log = of(&report, "decision_traces.jsonl");
    assert_eq!((log.follows.state, log.rows, log.follows.overlap), (Continues, 5, 8));
    let kept: String = machine.kept("decision").iter().map(|row| row.clone() + "\n").collect();
    assert_eq!(kept, rows(10..20) + &rows(0..3) + &row(1000) + &row(20));
}

#[test]
fn a_changed_row_inside_the_log_is_an_alteration() {
    let mut machine = Machine::new();
    machine.append("activity-3100.jsonl", activity(1..6));
    machine.keep();
    machine.write("activity-3100.jsonl", activity(1..6).replace("\"id\":3,", "\"id\":3,\"edited\":true,"));
    let report = machine.keep();
    let log = of(&report, "activity-3100.jsonl");
    assert_eq!((log.follows.state, log.rows), (Altered, 1));
    assert!(report.needs_attention());
    assert_eq!(machine.keep().logs[0].follows.state, Unchanged);
}

#[test]
fn a_gap_in_an_activity_log_names_the_missing_ids() {
    let mut machine = Machine::new();
    machine.append("activity-3100.jsonl", activity(1..6));
    machine.keep();
    machine.write("activity-3100.jsonl", activity(9..12));
    let report = machine.keep();
    let follows = &of(&report, "activity-3100.jsonl").follows;
    assert_eq!(follows.gap.as_ref().unwrap().missing_ids, [(6, 8)]);
    assert_eq!((follows.state, follows.trimmed, follows.overlap), (Gap, 5, 0));
}

fn activity(ids: std::ops::Range<i64>) -> String {
    let time = |id: i64| Timestamp::from_millis(START + id * 1000).unwrap();
    ids.map(|id| format!("{{\"id\":{id},\"timestamp\":\"{}\"}}\n", time(id))).collect()
}

#[test]
fn duplicate_rows_are_kept() {
    let mut machine = Machine::new();
    machine.append("decision_traces.jsonl", row(1) + &row(1) + &row(2));
    machine.keep();
    machine.append("decision_traces.jsonl", row(2) + &row(1));
    machine.keep();
    machine.write("decision_traces.jsonl", row(2) + &row(1) + &row(1));
    let report = machine.keep();
    assert_eq!(of(&report, "decision_traces.jsonl").rows, 1);
    assert_eq!(machine.kept("decision").len(), 6);
}

#[test]
fn a_last_line_without_a_line_feed_is_deferred_unless_it_is_a_complete_object() {
    let mut machine = Machine::new();
    machine.append("decision_traces.jsonl", row(1) + "{\"taskId\":");
    assert_eq!(machine.keep().rows(), 1);
    machine.append("decision_traces.jsonl", "\"t2\"}");
    assert_eq!(machine.keep().rows(), 1);
    machine.append("decision_traces.jsonl", "\n".to_owned() + &row(3));
    let report = machine.keep();
    assert_eq!((report.rows(), of(&report, "decision_traces.jsonl").follows.state), (1, Continues));
    assert_eq!(machine.kept("decision"), [row(1).trim_end(), "{\"taskId\":\"t2\"}", row(3).trim_end()]);
}

#[test]
fn lines_are_compared_as_rotation_rewrites_them() {
    let mut machine = Machine::new();
    let odd = b"\n{\"createdAt\":1777716001000,\"x\":\"\xff\"}\n \r\n{\"torn\n".to_vec();
    machine.append("decision_traces.jsonl", [rows(0..2).into_bytes(), odd].concat());
    machine.keep();
    machine.write(
        "decision_traces.jsonl",
        "{\"createdAt\":1777716001000,\"x\":\"\u{fffd}\"}\n{\"torn\n".to_owned() + &row(9),
    );
    let report = machine.keep();
    let log = of(&report, "decision_traces.jsonl");
    assert_eq!((log.rows, log.unparsed_lines, log.follows.state), (1, 0, Continues));
}

#[test]
fn a_log_that_is_long_when_first_seen_may_have_lost_rows() {
    let mut machine = Machine::new();
    machine.append("runs.jsonl", rows(0..2));
    machine.keep();
    machine.append("decision_traces.jsonl", long_rows(0..600));
    machine.append("activity-3100.jsonl", activity(1..9000));
    let report = machine.keep();
    assert_eq!(of(&report, "decision_traces.jsonl").follows.state, Gap);
    assert_eq!(of(&report, "activity-3100.jsonl").follows.state, First, "its first id shows that no row is missing");
}

#[test]
fn bundles_are_added_to_a_history_in_order_of_export() {
    let machine = Machine::new();
    let night = |rows: String, millis: i64| {
        let home = Home::new().with("decision_traces.jsonl", rows);
        let found = discover(&home.dirs(), &DiscoverOptions::default()).unwrap();
        let options = patchwork_traces::export::ExportOptions::new("old 1", Timestamp::from_millis(millis).unwrap());
        let mut bundle = Vec::new();
        patchwork_traces::export::export(&found, &options, &mut bundle, "memory", &NoProgress).unwrap();
        bundle
    };
    let nights = [night(rows(0..5), START), night(rows(2..8), START + 1), night(rows(6..12), START + 2)];
    let open = |bytes: &[u8]| Bundle::from_seekable(std::io::Cursor::new(bytes.to_vec()), "night").unwrap();
    let bundles = [&nights[2], &nights[0], &nights[1]].map(|bytes| open(bytes));
    let digests: Vec<_> = nights.iter().map(|bytes| open(bytes).digest()).collect();
    let reports = keep_bundles(bundles.into(), machine.history(), &machine.options(), &NoProgress).unwrap();
    assert_eq!(reports.iter().map(KeepReport::rows).collect::<Vec<_>>(), [5, 3, 4]);
    assert_eq!(machine.kept("decision"), rows(0..12).lines().collect::<Vec<_>>());
    let history = History::open(machine.history()).unwrap();
    let manifests = history.segments().iter().map(|segment| segment.open().unwrap().manifest().clone());
    for (manifest, digest) in manifests.zip(digests) {
        let derived = manifest.derived_from.clone().unwrap();
        assert_eq!((derived.how, derived.bundles), (Derivation::Filtered, vec![digest]));
    }
    let refused = |bytes: &[u8]| {
        let error = keep_bundles(vec![open(bytes)], machine.history(), &machine.options(), &NoProgress).unwrap_err();
        format!("{:?}", error.kind())
    };
    assert!(refused(&nights[0]).contains("TooOld"));
    assert!(refused(&fs::read(&history.segments()[1].path).unwrap()).contains("SegmentGiven"));
}

/// The short logs of a bundle are restored first, but an archive must still come before its log.
#[test]
fn a_long_archive_of_a_bundle_stays_before_its_log() {
    let machine = Machine::new();
    let archive = long_rows(0..1800);
    assert!(archive.len() > 1 << 20);
    for night in 0..3 {
        let home = Home::new().with("runs.jsonl.1", &archive).with("runs.jsonl", rows(5000..5005 + night));
        let found = discover(&home.dirs(), &DiscoverOptions::default()).unwrap();
        let time = Timestamp::from_millis(START + night).unwrap();
        let options = patchwork_traces::export::ExportOptions::new("old 1", time);
        let mut bundle = Vec::new();
        patchwork_traces::export::export(&found, &options, &mut bundle, "memory", &NoProgress).unwrap();
        let bundle = Bundle::from_seekable(std::io::Cursor::new(bundle), "night").unwrap();
        let report = keep_bundles(vec![bundle], machine.history(), &machine.options(), &NoProgress).unwrap();
        assert_eq!(report[0].logs.len(), 2);
        let state = if night == 0 { First } else { Continues };
        assert_eq!(of(&report[0], "runs.jsonl").follows.state, state);
    }
    let history = History::open(machine.history()).unwrap();
    assert_eq!(history.logs().iter().map(|log| log.rows).collect::<Vec<_>>(), [1800, 7]);
}

#[test]
fn a_failed_run_leaves_no_history() {
    let mut machine = Machine::new();
    fs::write(machine.home.path().join("history"), "a file").unwrap();
    let options = machine.options();
    machine.try_keep(&options).unwrap_err();
    fs::remove_file(machine.home.path().join("history")).unwrap();
    fs::create_dir(machine.home.path().join("history")).unwrap();
    fs::write(machine.home.path().join("history/notes"), "mine").unwrap();
    let error = machine.try_keep(&options).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::History(HistoryFault::NotAHistory)));
    assert_eq!(fs::read_dir(machine.history()).unwrap().count(), 1);
}

#[test]
fn a_history_that_lost_all_segments_is_not_started_again() {
    let mut machine = Machine::new();
    machine.append("runs.jsonl", rows(0..3));
    let report = machine.keep();
    fs::remove_file(&report.path).unwrap();
    let checkpoint = fs::read(machine.history().join("checkpoint")).unwrap();
    let options = machine.options();
    let error = machine.try_keep(&options).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::History(HistoryFault::CutOff { size: 1, found: 0 })), "{error}");
    assert_eq!(fs::read(machine.history().join("checkpoint")).unwrap(), checkpoint);
}

#[test]
fn a_second_history_of_the_same_logs_is_reported() {
    let mut machine = Machine::new();
    machine.append("runs.jsonl", rows(0..2));
    assert!(!machine.keep().is_one_of_several && !machine.keep().is_one_of_several);
    let found = discover(&machine.home.dirs(), &DiscoverOptions::default()).unwrap();
    let other = keep(&found, machine.home.path().join("other"), &machine.options(), &NoProgress).unwrap();
    assert!(other.is_one_of_several);
    keep(&found, machine.home.path().join("missing/other"), &machine.options(), &NoProgress).unwrap_err();
    assert!(!machine.home.path().join("missing").exists());
}

#[test]
fn a_history_that_was_copied_and_continued_twice_is_refused() {
    let mut machine = Machine::new();
    machine.append("runs.jsonl", rows(0..2));
    machine.keep();
    machine.append("runs.jsonl", rows(2..3));
    let here = machine.keep().path;
    let elsewhere = here.with_file_name("000000001-0123456789abcdef.jsonl.gz");
    fs::copy(&here, &elsewhere).unwrap();
    let options = machine.options();
    let error = machine.try_keep(&options).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::History(_)), "{error}");
}

#[test]
fn an_edit_that_keeps_the_length_and_mtime_of_a_log_is_detected() {
    let mut machine = Machine::new();
    let names = ["runs.jsonl.1", "activity-3100.jsonl"];
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let age = |machine: &Machine, name: &str| {
        OpenOptions::new().write(true).open(machine.log(name)).unwrap().set_modified(hour_ago).unwrap();
    };
    for name in names {
        machine.append(name, activity(1..6));
        age(&machine, name);
    }
    let links = machine.keep().id.to_string();
    let seen = machine.home.dirs().activity.join(".patchwork-traces").join(links).join("seen.json");
    assert!(fs::read_to_string(&seen).unwrap().contains("activity-3100.jsonl"), "the log is remembered");
    let unchanged = machine.keep();
    assert!(unchanged.logs.iter().all(|log| log.follows.state == Unchanged && log.follows.overlap == 5));
    for name in names {
        fs::write(machine.log(name), activity(1..6).replace("\"id\":3", "\"id\":8")).unwrap();
        age(&machine, name);
    }
    let edited = machine.keep();
    assert_eq!((of(&edited, "activity-3100.jsonl").follows.state, of(&edited, "runs.jsonl.1").rows), (Altered, 1));
    // If `seen.json` is unusable or stale, all logs are read.
    for content in ["", "{}", "[1]", &fs::read_to_string(&seen).unwrap()] {
        fs::write(&seen, content).unwrap();
        assert_eq!(machine.keep().rows(), 0, "{content}");
    }
}

#[test]
fn a_line_feed_that_arrives_alone_is_restored() {
    let mut machine = Machine::new();
    machine.append("decision_traces.jsonl", row(1) + row(2).trim_end());
    machine.keep();
    let restored = |machine: &Machine| {
        let mut log = Vec::new();
        let input = patchwork_traces::input::TraceInput::open(machine.history()).unwrap();
        let target = machine.home.path().join("merged.gz");
        let options = patchwork_traces::merge::MergeOptions::new("test 1");
        let replace = patchwork_traces::TargetOptions::default().replace(true);
        let target = patchwork_traces::OutputTarget::resolve(&target, replace).unwrap();
        patchwork_traces::merge::merge_to_file(vec![input], &options, &target, &NoProgress).unwrap();
        let bundle = Bundle::open(machine.home.path().join("merged.gz")).unwrap();
        log.extend(crate::common::restore_all(bundle).unwrap().remove("decision_traces.jsonl").unwrap());
        log
    };
    machine.keep();
    assert!(restored(&machine) == (row(1) + row(2).trim_end()).into_bytes(), "it is still missing");
    machine.append("decision_traces.jsonl", "\n");
    assert_eq!(machine.keep().rows(), 0);
    assert!(restored(&machine) == rows(1..3).into_bytes());
}

#[test]
fn known_rows_that_were_imported_again_do_not_hide_missing_ones() {
    let mut machine = Machine::new();
    let options = |machine: &Machine| machine.options().hold(false);
    machine.append("decision_traces.jsonl", long_rows(0..20));
    machine.try_keep(&options(&machine)).unwrap();
    // Rows 20 to 1099 were appended and trimmed. Then the old rows were imported before the remaining ones.
    machine.write("decision_traces.jsonl", long_rows(0..20) + &long_rows(1100..1600));
    let report = machine.try_keep(&options(&machine)).unwrap();
    assert_eq!((of(&report, "decision_traces.jsonl").follows.state, report.rows()), (Gap, 500));
    // If the same number of rows is appended to the same file, there is no gap.
    machine.append("decision_traces.jsonl", long_rows(1600..2100));
    let report = machine.try_keep(&options(&machine)).unwrap();
    assert_eq!((of(&report, "decision_traces.jsonl").follows.state, report.rows()), (Continues, 500));
}

#[test]
fn a_log_without_known_times_continues_after_a_rotation() {
    let mut machine = Machine::new();
    let untimed = |numbers: std::ops::Range<i64>| numbers.map(|n| format!("{{\"k\":{n}}}\n")).collect::<String>();
    machine.append("decision_traces.jsonl", untimed(0..100));
    machine.keep();
    machine.write("decision_traces.jsonl", untimed(50..110));
    let report = machine.keep();
    assert_eq!((of(&report, "decision_traces.jsonl").follows.state, report.rows()), (Continues, 10));
    // A few lines can be equal by chance.
    machine.write("decision_traces.jsonl", untimed(105..120));
    assert_eq!(of(&machine.keep(), "decision_traces.jsonl").follows.state, Gap);
}

#[test]
fn links_are_removed_when_holding_is_turned_off() {
    let mut machine = Machine::new();
    machine.append("runs.jsonl", rows(0..2));
    let links = machine.home.dirs().patchwork.join(".patchwork-traces").join(machine.keep().id.to_string());
    let held =
        || fs::read_dir(&links).unwrap().filter(|entry| entry.as_ref().unwrap().file_name() != "seen.json").count();
    assert_eq!(held(), 1);
    let options = machine.options().hold(false);
    machine.try_keep(&options).unwrap();
    assert_eq!(held(), 0);
}

#[test]
fn a_gap_after_held_rows_that_belong_to_the_archive_is_recorded() {
    let mut machine = Machine::new();
    machine.append("runs.jsonl", rows(0..5));
    machine.keep();
    machine.append("runs.jsonl", rows(5..15));
    machine.write("runs.jsonl.1", rows(50..55));
    machine.write("runs.jsonl", rows(100..102));
    let report = machine.keep();
    let follows = &of(&report, "runs.jsonl").follows;
    assert_eq!((follows.state, report.rows()), (Gap, 17));
    let kept: String = machine.kept("runs").iter().map(|row| row.clone() + "\n").collect();
    assert_eq!(kept, rows(0..15) + &rows(50..55) + &rows(100..102));
}

#[test]
fn a_clock_that_was_set_back_does_not_matter() {
    let mut machine = Machine::new();
    machine.append("runs.jsonl", rows(0..2));
    machine.runs = 24 * 400;
    machine.keep();
    machine.runs = 0;
    machine.append("runs.jsonl", rows(2..4));
    let report = machine.keep();
    assert_eq!((report.segment, report.rows()), (1, 2));
    machine.keep();
    assert_eq!(History::open(machine.history()).unwrap().segments().len(), 3);
}

#[test]
fn the_pace_predicts_when_rows_are_lost() {
    let mut machine = Machine::new();
    machine.append("decision_traces.jsonl", long_rows(0..10));
    machine.keep();
    assert!(Pace::of(&History::open(machine.history()).unwrap(), true).is_none());
    machine.append("decision_traces.jsonl", long_rows(10..60));
    machine.keep();
    let history = History::open(machine.history()).unwrap();
    let pace = Pace::of(&history, true).unwrap();
    let hourly = long_rows(10..60).len() as u64;
    assert_eq!((pace.log.name.as_str(), pace.bytes_per_hour), ("decision_traces.jsonl", hourly));
    let left = (448 << 10) + MAX_LOG_BYTES - long_rows(0..60).len() as u64;
    assert_eq!(pace.lost_after.as_secs(), left * 3600 / hourly);
    assert!(Pace::of(&history, false).unwrap().lost_after < pace.lost_after);
}
