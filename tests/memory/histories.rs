//! The memory that histories take does not grow with their age.

use std::num::NonZeroUsize;

use crate::common::Home;
use crate::common::history_builder::HistoryBuilder;
use crate::{MEMORY, measured};
use patchwork_traces::History;
use patchwork_traces::cat::{CatOptions, cat_all};
use patchwork_traces::format::{TimeRange, Timestamp};
use patchwork_traces::input::TraceInput;
use patchwork_traces::keep::{KeepOptions, WriteOptions, keep};
use patchwork_traces::logs::{DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::verify::{HistoryVerifyOptions, RowsToRead, verify_history};

/// The number of segments: some years of nights.
const SEGMENTS: u64 = 1_000;

/// The share of these segments in the 64 MiB that a history of ten years may take.
const MAX_MEMORY: usize = (64 << 20) * 1_000 / 3_650;

const DAY_MS: u64 = 24 * 3_600_000;

#[test]
fn years_of_segments_take_little_memory() {
    let _measured = measured();
    let home = Home::new();
    let dir = home.path().join("history");
    let mut history = HistoryBuilder::new(&dir);
    history.interval_ms = DAY_MS;
    (0..SEGMENTS).for_each(|_| _ = history.add(2));
    history.write_checkpoint();
    let last = History::open(&dir).unwrap().segments().last().unwrap().exported_at;
    let threads = NonZeroUsize::new(2).unwrap();
    let peak_of = |what: &str, work: &mut dyn FnMut()| {
        MEMORY.reset_peak_usage();
        work();
        let peak = MEMORY.peak_usage();
        println!("{what} takes {} KiB", peak >> 10);
        assert!(peak < MAX_MEMORY, "{what} takes {} KiB", peak >> 10);
    };
    peak_of("verify --quick", &mut || {
        let options = HistoryVerifyOptions::default().rows(RowsToRead::None).threads(threads);
        let report = verify_history(&dir, &options, &NoProgress, &mut |finding| panic!("{finding}")).unwrap();
        assert!(report.is_good());
    });
    peak_of("cat", &mut || {
        let inputs = [TraceInput::open(&dir).unwrap()];
        let report = cat_all(&inputs, &CatOptions::default(), std::io::sink(), "nowhere", &NoProgress).unwrap();
        assert_eq!(report.logs.iter().map(|log| log.rows).sum::<u64>(), 2 * SEGMENTS);
    });
    peak_of("cat --since", &mut || {
        let since = Timestamp::from_millis(last.as_millis() - 1_000);
        let options = CatOptions::default().range(TimeRange { since, until: None });
        let inputs = [TraceInput::open(&dir).unwrap()];
        let report = cat_all(&inputs, &options, std::io::sink(), "nowhere", &NoProgress).unwrap();
        assert_eq!(report.logs.iter().map(|log| log.rows).sum::<u64>(), 2);
    });
    peak_of("keep", &mut || {
        std::fs::write(home.dirs().patchwork.join("runs.jsonl"), "{\"taskId\":\"new\"}\n").unwrap();
        let discovery = discover(&home.dirs(), &DiscoverOptions::default()).unwrap();
        let options = KeepOptions::new(WriteOptions::new("tests", last));
        let report = keep(&discovery, &dir, &options, &NoProgress).unwrap();
        assert_eq!((report.segment, report.rows()), (SEGMENTS, 1));
    });
}
