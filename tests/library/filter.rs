//! Writing bundles of some rows: `filter`, and `export` with a time range.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common::adversarial_lines::adversarial_log;
use crate::common::segments::{logs_of_tricky_history, tricky_history};
use crate::common::{EXPORTED_AT, Home, bundle, indexed, options, restore_all, sequential};
use patchwork_traces::bundle::Bundle;
use patchwork_traces::cat::{CatOptions, cat};
use patchwork_traces::export::export;
use patchwork_traces::filter::{FilterOptions, FilterReport, filter};
use patchwork_traces::format::{Derivation, FilterRecord, Label, TimeRange, Timestamp};
use patchwork_traces::import::{Clock, ImportOptions, Mode, import};
use patchwork_traces::input::TraceInput;
use patchwork_traces::logs::{DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::query::{Condition, KeyPath, RowFilter};
use patchwork_traces::{Error, ErrorKind};
use proptest::prelude::*;

struct FrozenClock;

impl Clock for FrozenClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, _: Duration) {}
}

fn filtered(input: &TraceInput<'_>, rows: CatOptions) -> Result<(Vec<u8>, FilterReport), Error> {
    let dir = tempfile::tempdir().unwrap();
    let options = FilterOptions::new("tests", rows).threads(NonZeroUsize::new(2).unwrap());
    let mut out = Vec::new();
    let report = filter(input, &options, (&mut out, "memory"), dir.path(), &NoProgress)?;
    Ok((out, report))
}

fn of_bundle(bundle: &[u8], rows: CatOptions) -> Result<(Vec<u8>, FilterReport), Error> {
    filtered(&TraceInput::from_bundle(indexed(bundle).unwrap()), rows)
}

fn printed(bundle: Bundle<'_>, options: &CatOptions) -> Vec<u8> {
    let mut out = Vec::new();
    cat(bundle, options, &mut out, "memory", &NoProgress).unwrap();
    out
}

fn rows(condition: &str) -> CatOptions {
    CatOptions::default().filter(RowFilter::default().condition(condition.parse().unwrap()))
}

fn logs_of(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let dirs = [home.dirs().patchwork, home.dirs().activity];
    let files = dirs.iter().flat_map(|dir| std::fs::read_dir(dir).unwrap()).map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

/// A home whose logs have rows that match `keep`, others, and lines that are not rows.
fn home() -> Home {
    let runs = "{\"keep\":1,\"createdAt\":1777716000000}\r\ntorn {\r\n {\"createdAt\":1777716060000}\r\n  {\"keep\":1.0,\"createdAt\":1777716120000}\t\r\n{\"keep\":2}";
    Home::new()
        .with("runs.jsonl.1", "{\"keep\":1,\"seq\":0}\n")
        .with("runs.jsonl", runs)
        .with("decision_traces.jsonl", "{}\n")
        .with_activity("activity-1.jsonl", b"\xff\n{\"keep\":1,\"a\":\"\xff\"}\n[]\n")
}

#[test]
fn matching_rows_are_bundled_exactly_as_logged() {
    let original = bundle(&home());
    let (new, report) = of_bundle(&original, rows("keep=1")).unwrap();
    let logs = restore_all(indexed(&new).unwrap()).unwrap();
    let expected: [(&str, &[u8]); 3] = [
        ("activity-1.jsonl", b"{\"keep\":1,\"a\":\"\xff\"}\n"),
        (
            "runs.jsonl",
            b"{\"keep\":1,\"createdAt\":1777716000000}\r\n  {\"keep\":1.0,\"createdAt\":1777716120000}\t\r\n",
        ),
        ("runs.jsonl.1", b"{\"keep\":1,\"seq\":0}\n"),
    ];
    assert_eq!(logs, expected.map(|(name, log)| (name.to_owned(), log.to_vec())).into());
    let manifest = report.manifest;
    let derived_from = manifest.derived_from.clone().unwrap();
    assert_eq!(
        (derived_from.how, &derived_from.bundles[..]),
        (Derivation::Filtered, &[indexed(&original).unwrap().digest()][..])
    );
    assert_eq!(manifest.filter.as_ref().map(FilterRecord::conditions), Some(&["--where keep=1".to_owned()][..]));
    assert_eq!((manifest.version(), manifest.exported_at.as_millis()), ((1, 2), EXPORTED_AT));
}

#[test]
fn selected_logs_stay_byte_for_byte() {
    let home = home();
    let (new, report) = of_bundle(&bundle(&home), CatOptions::default().sources(["runs", "activity"])).unwrap();
    let mut logs = logs_of(&home);
    logs.remove("decision_traces.jsonl");
    assert_eq!(restore_all(indexed(&new).unwrap()).unwrap(), logs);
    assert_eq!((report.manifest.filter, report.manifest.derived_from.unwrap().how), (None, Derivation::Filtered));
    let (new, _) = of_bundle(&bundle(&home), CatOptions::default().files(["runs.jsonl"])).unwrap();
    let restored = restore_all(indexed(&new).unwrap()).unwrap();
    assert_eq!(restored.into_iter().collect::<Vec<_>>(), [("runs.jsonl".to_owned(), logs["runs.jsonl"].clone())]);
}

#[test]
fn nothing_is_written_if_no_row_matches_or_a_name_is_unknown() {
    let bundle = bundle(&home());
    assert!(matches!(of_bundle(&bundle, rows("nothing")).unwrap_err().kind(), ErrorKind::NoRowsMatch));
    let unknown = of_bundle(&bundle, CatOptions::default().sources(["run"])).unwrap_err();
    assert!(matches!(unknown.kind(), ErrorKind::UnknownSource { .. }));
    let mut damaged = bundle.clone();
    let at = damaged.len() - 40;
    damaged[at] ^= 1;
    assert!(of_bundle(&damaged, rows("keep")).is_err());
    let dir = tempfile::tempdir().unwrap();
    let options = FilterOptions::new("tests", rows("nothing")).allow_empty(true);
    let options = options.label(Label::new("laptop"));
    let (input, mut out) = (TraceInput::from_bundle(indexed(&bundle).unwrap()), Vec::new());
    let report = filter(&input, &options, (&mut out, "memory"), dir.path(), &NoProgress).unwrap();
    assert_eq!((report.manifest.total_count, report.manifest.files.len()), (0, 0));
    assert_eq!(indexed(&out).unwrap().manifest().label.as_ref().map(Label::as_str), Some("laptop"));
}

#[test]
fn a_history_is_filtered_like_one_bundle_of_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let history = TraceInput::open(tricky_history(dir.path())).unwrap();
    let logs = logs_of_tricky_history().into_iter();
    let home = logs.fold(Home::new(), |home, (name, log)| match name.starts_with("activity") {
        true => home.with_activity(&name, log),
        false => home.with(&name, log),
    });
    let one = bundle(&home);
    let since = |millis| TimeRange { since: Timestamp::from_millis(millis), until: None };
    for rows in [
        CatOptions::default().sources(["runs"]),
        CatOptions::default().files(["runs.jsonl"]),
        CatOptions::default().range(since(1_777_716_000_000)),
        CatOptions::default().range(since(1_777_716_060_000)).sources(["runs"]),
    ] {
        let (of_history, _) = filtered(&history, rows.clone()).unwrap();
        let (of_bundle, _) = of_bundle(&one, rows.clone()).unwrap();
        let restored = |bundle: &[u8]| restore_all(indexed(bundle).unwrap()).unwrap();
        assert_eq!(restored(&of_history), restored(&of_bundle), "{rows:?}");
    }
}

#[test]
fn importing_a_filtered_bundle_changes_nothing_on_its_machine_and_never_replaces_logs() {
    let home = home();
    let before = logs_of(&home);
    let (new, _) = of_bundle(&bundle(&home), rows("keep=1")).unwrap();
    let into = |mode: Mode| {
        import(sequential(&new).unwrap(), &home.dirs(), &ImportOptions::default().mode(mode), &FrozenClock, &NoProgress)
    };
    let report = into(Mode::Merge).unwrap();
    assert_eq!(report.inputs[0].filter, ["--where keep=1"]);
    assert_eq!(logs_of(&home), before);
    assert!(matches!(into(Mode::Overwrite).unwrap_err().kind(), ErrorKind::OnlySomeRows));
    assert_eq!(logs_of(&home), before);
}

#[test]
fn a_second_filter_is_recorded_separately() {
    let log = "{\"taskId\":1,\"keep\":1}\n{\"taskId\":1}\n{\"taskId\":2,\"keep\":1}\n";
    let original = bundle(&Home::new().with("runs.jsonl", log));
    let latest: KeyPath = "taskId".parse().unwrap();
    let record = |report: FilterReport| report.manifest.filter.unwrap().conditions().to_vec();
    let (_, at_once) = of_bundle(&original, rows("keep").latest(latest.clone())).unwrap();
    let (kept, _) = of_bundle(&original, rows("keep")).unwrap();
    let (_, one_by_one) = of_bundle(&kept, CatOptions::default().latest(latest)).unwrap();
    assert_eq!((at_once.manifest.total_count, one_by_one.manifest.total_count), (1, 2));
    assert_eq!(record(at_once), ["--where keep", "--latest"]);
    assert_eq!(record(one_by_one), ["--where keep", "then", "--latest"]);
    let (chosen, _) = of_bundle(&kept, CatOptions::default().sources(["runs"])).unwrap();
    assert_eq!(indexed(&chosen).unwrap().manifest().filter.as_ref().unwrap().conditions(), ["--where keep"]);
}

#[test]
fn a_filtered_bundle_records_at_most_100_000_conditions() {
    let original = bundle(&home());
    let condition = "!keep".parse::<Condition>().unwrap();
    let filter = (0..100_001).fold(RowFilter::default(), |filter, _| filter.condition(condition.clone()));
    let (_, report) = of_bundle(&original, CatOptions::default().filter(filter)).unwrap();
    let record = report.manifest.filter.unwrap();
    assert_eq!((record.conditions().len(), record.conditions()[99_999].as_str()), (100_000, "…"));
}

#[test]
fn an_export_of_a_time_range_has_only_its_rows() {
    let home = home();
    let discovery = discover(&home.dirs(), &DiscoverOptions::default()).unwrap();
    let range = TimeRange { since: Timestamp::from_millis(1_777_716_060_000), until: None };
    let mut out = Vec::new();
    let report = export(&discovery, &options().range(range), &mut out, "memory", &NoProgress).unwrap();
    let logs = restore_all(indexed(&out).unwrap()).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&logs["runs.jsonl"]),
        " {\"createdAt\":1777716060000}\r\n  {\"keep\":1.0,\"createdAt\":1777716120000}\t\r\n"
    );
    assert_eq!((report.manifest.total_count, logs["activity-1.jsonl"].len()), (2, 0));
    let conditions = report.manifest.filter.unwrap().conditions().to_vec();
    assert_eq!(conditions, ["--since 2026-05-02T10:01:00.000Z"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_filtered_bundle_has_what_cat_prints_and_its_import_is_harmless(
        log in adversarial_log(),
        condition in proptest::sample::select(vec!["a", "!a", "a=1", "createdAt", ".~1", ".=null"]),
    ) {
        let home = Home::new().with("runs.jsonl", &log);
        let original = bundle(&home);
        let options = rows(condition);
        let expected = printed(indexed(&original).unwrap(), &options);
        match of_bundle(&original, options) {
            Err(error) => {
                prop_assert!(matches!(error.kind(), ErrorKind::NoRowsMatch));
                prop_assert!(expected.is_empty());
            }
            Ok((new, _)) => {
                let logs = restore_all(indexed(&new).unwrap()).unwrap();
                prop_assert_eq!(&logs["runs.jsonl"], &expected);
                prop_assert_eq!(indexed(&new).unwrap().manifest().files[0].unparsed_lines(), 0);
                let options = ImportOptions::default();
                import(sequential(&new).unwrap(), &home.dirs(), &options, &FrozenClock, &NoProgress).unwrap();
                let after = std::fs::read(home.dirs().patchwork.join("runs.jsonl")).unwrap();
                let count = |log: &[u8]| {
                    let mut lines = BTreeMap::new();
                    for line in log.split(|byte| *byte == b'\n') {
                        *lines.entry(line.strip_suffix(b"\r").unwrap_or(line).to_vec()).or_insert(0) += 1;
                    }
                    lines.remove(&Vec::new());
                    lines
                };
                prop_assert_eq!(count(&after), count(&log));
            }
        }
    }
}

#[test]
fn fixtures_of_1_0_can_be_filtered() {
    let legacy = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/legacy/plain.v1.0.jsonl.gz");
    let input = TraceInput::open(&legacy).unwrap();
    let (new, report) =
        filtered(&input, CatOptions::default().filter(RowFilter::default().pattern(".").unwrap())).unwrap();
    assert_eq!(report.manifest.total_count, input.rows());
    let all = CatOptions::default();
    assert_eq!(printed(indexed(&new).unwrap(), &all), printed(Bundle::open(&legacy).unwrap(), &all));
}
