//! A bundle that declares a small size takes little memory, whatever its content.

use std::io::{Cursor, Write};
use std::num::NonZeroUsize;

use crate::common::random_rows::random_rows;
use crate::common::{Home, bundle, indexed, options, sequential};
use crate::{MEMORY, measured};
use flate2::Compression;
use flate2::write::GzEncoder;
use patchwork_traces::cat::{CatOptions, PrintLogOptions, cat, print_log};
use patchwork_traces::diff::{DiffOptions, Other, diff};
use patchwork_traces::import::{ImportOptions, SystemClock, import};
use patchwork_traces::input::TraceInput;
use patchwork_traces::merge::{MergeOptions, merge_to_file};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::recover::recover;
use patchwork_traces::verify::{Verdict, VerifyOptions, verify_seekable};
use patchwork_traces::{OutputTarget, TargetOptions};

/// The 64 MiB that a log of 8 bytes can have become at most (FORMAT.md, "Limits"), and one around its row, in a buffer that
/// doubles and is copied while it does; and what any bundle needs. The line itself has far more.
const MAX_MEMORY: usize = (3 * 65 + 24) << 20;

/// A 1.0 bundle that declares a log of 8 bytes, and has one line of 400 MiB.
fn bomb() -> Vec<u8> {
    let start = "{\"type\":\"manifest\",\"version\":1,\"exportedAt\":\"2026-05-02T10:00:00.000Z\",\"sources\":[\"runs\"],\
                 \"files\":[{\"source\":\"runs\",\"relativePath\":\"runs.jsonl\",\"count\":1,\"bytes\":8}],\"totalCount\":1}\n\
                 {\"source\":\"runs\",\"entry\":\"";
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(start.as_bytes()).unwrap();
    let spaces = vec![b' '; 1 << 20];
    (0..400).for_each(|_| gzip.write_all(&spaces).unwrap());
    gzip.write_all(b"\"}\n").unwrap();
    gzip.finish().unwrap()
}

#[test]
fn line_of_a_1_0_bundle_takes_no_more_memory_than_its_log() {
    let _measured = measured();
    let (bomb, home) = (bomb(), Home::new());
    let peak_of = |what: &str, work: &mut dyn FnMut()| {
        MEMORY.reset_peak_usage();
        work();
        let peak = MEMORY.peak_usage();
        assert!(peak < MAX_MEMORY, "{what} takes {} MiB", peak >> 20);
    };
    peak_of("cat", &mut || {
        let mut printed = Vec::new();
        cat(indexed(&bomb).unwrap(), &CatOptions::default(), &mut printed, "memory", &NoProgress).unwrap_err();
        assert!(printed.is_empty());
    });
    peak_of("import", &mut || {
        import(indexed(&bomb).unwrap(), &home.dirs(), &ImportOptions::default(), &SystemClock, &NoProgress)
            .unwrap_err();
    });
    peak_of("verify", &mut || {
        let options = VerifyOptions::default().threads(NonZeroUsize::MIN);
        let report = verify_seekable(Cursor::new(&bomb), "bomb", &options, &NoProgress, &mut |_| {}).unwrap();
        assert_eq!(report.verdict, Verdict::Damaged);
    });
    peak_of("recover", &mut || {
        let target = OutputTarget::resolve(home.path().join("recovered"), TargetOptions::default()).unwrap();
        let report = recover(Cursor::new(&bomb), "bomb", &options(), &target, &NoProgress).unwrap();
        assert_eq!(report.files[0].rows, 0);
    });
}

/// The chunks that are on their way, and the end of the log that is held back.
const MAX_MEMORY_OF_A_LOG: usize = 32 << 20;

#[test]
fn printing_a_long_log_takes_no_more_memory_than_its_chunks() {
    let _measured = measured();
    let row = "{\"seq\":1,\"createdAt\":1777716000000}\n";
    let bytes = (128 << 20) / row.len() * row.len();
    let home = Home::new().with("runs.jsonl", row.repeat(bytes / row.len()));
    let bundle = bundle(&home);
    for open in [indexed, sequential] {
        let opened = open(&bundle).unwrap();
        let file = opened.manifest().files[0].clone();
        let mut options = PrintLogOptions::new(file.source, file.relative_path);
        options.threads = NonZeroUsize::new(2).unwrap();
        MEMORY.reset_peak_usage();
        let report = print_log(opened, &options, std::io::sink(), "nowhere", &NoProgress).unwrap();
        let peak = MEMORY.peak_usage();
        assert_eq!(report.printed.bytes, bytes as u64);
        assert!(peak < MAX_MEMORY_OF_A_LOG, "it takes {} KiB", peak >> 10);
    }
}

/// The chunks that are on their way, and some bytes for each line that is compared.
const MAX_MEMORY_OF_MERGE: usize = 64 << 20;

#[test]
fn merging_takes_no_more_memory_for_more_bundles() {
    let _measured = measured();
    let dir = tempfile::tempdir().unwrap();
    let rows = random_rows(60_000);
    let lines: Vec<_> = rows.split_inclusive('\n').collect();
    let paths: Vec<_> = (0..12).map(|night| dir.path().join(format!("{night:02}.gz"))).collect();
    for (path, start) in paths.iter().zip((0..).step_by(4000)) {
        let log = lines[start..start + 16_000].concat();
        std::fs::write(path, bundle(&Home::new().with("decision_traces.jsonl", log))).unwrap();
    }
    drop(lines);
    drop(rows);
    let threads = NonZeroUsize::new(2).unwrap();
    for bundles in [3, 12] {
        let target = dir.path().join(format!("merged-{bundles}.gz"));
        let target = OutputTarget::resolve(target, TargetOptions::default()).unwrap();
        let options = MergeOptions::new("tests").threads(threads);
        MEMORY.reset_peak_usage();
        let inputs = paths[..bundles].iter().map(|path| TraceInput::open(path).unwrap()).collect();
        let report = merge_to_file(inputs, &options, &target, &NoProgress).unwrap();
        let peak = MEMORY.peak_usage();
        assert_eq!(report.manifest.total_count, 16_000 + 4000 * (bundles as u64 - 1));
        assert!(peak < MAX_MEMORY_OF_MERGE, "{bundles} bundles take {} KiB", peak >> 10);
    }
    MEMORY.reset_peak_usage();
    let (a, b) = (TraceInput::open(&paths[0]).unwrap(), Other::Input(TraceInput::open(&paths[1]).unwrap()));
    let options = DiffOptions::default().threads(threads).work_dir(dir.path());
    let report = diff(&a, &b, &options, &NoProgress, None).unwrap();
    let peak = MEMORY.peak_usage();
    assert_eq!((report.files[0].only_in_a.rows, report.files[0].same.rows), (4000, 12_000));
    assert!(peak < MAX_MEMORY_OF_MERGE, "diff takes {} KiB", peak >> 10);
}
