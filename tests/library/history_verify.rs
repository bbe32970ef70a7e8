//! The library's verification of histories. The program's `history_verify` tests cover the kinds of damage.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use patchwork_traces::ErrorKind;
use patchwork_traces::error::HistoryFault;
use patchwork_traces::progress::{Cancellation, NoProgress, Progress};
use patchwork_traces::verify::{
    HistoryFinding, HistoryFindingKind, HistoryReport, HistoryVerifyOptions, RowsToRead, SegmentPart, verify_history,
};

use crate::common::history_builder::HistoryBuilder;
use crate::common::text_of;

fn verified(history: &HistoryBuilder, options: &HistoryVerifyOptions) -> (HistoryReport, Vec<HistoryFinding>) {
    let mut findings = Vec::new();
    let report = verify_history(&history.dir, options, &NoProgress, &mut |finding| findings.push(finding)).unwrap();
    (report, findings)
}

/// Changes each byte of a segment, one at a time. Only changed padding bits of deflate may pass, because the text stays
/// the same.
#[test]
fn no_changed_byte_of_the_text_of_a_segment_passes() {
    let dir = tempfile::tempdir().unwrap();
    let history = HistoryBuilder::with_segments(dir.path(), 3);
    let path = history.path(1);
    let sound = fs::read(&path).unwrap();
    let mut passed = BTreeSet::new();
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let (report, findings) = verified(&history, &HistoryVerifyOptions::default());
        let is_noticed = !report.is_good() || !findings.is_empty();
        if !is_noticed {
            assert_eq!(text_of(&bytes), text_of(&sound), "byte {at}");
            passed.insert(at);
        }
    }
    assert!(passed.len() < 4, "{passed:?}");
}

#[test]
fn findings_are_in_order_and_the_same_for_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let history = HistoryBuilder::with_segments(dir.path(), 40);
    for segment in (0..40).step_by(3) {
        let path = history.path(segment);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() - 40;
        bytes[at] ^= 0x55;
        fs::write(&path, bytes).unwrap();
    }
    let shown = |threads| {
        let options = HistoryVerifyOptions::default().threads(NonZeroUsize::new(threads).unwrap());
        let (report, findings) = verified(&history, &options);
        (report, findings.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let (report, findings) = shown(1);
    assert_eq!((report.damaged_segments, report.read_segments), (14, 40));
    assert!(findings.is_sorted_by_key(|finding| finding.split(':').next().unwrap().to_owned()));
    assert_eq!(shown(7), (report, findings));
}

#[test]
fn parts_find_the_damage_of_their_own_segments() {
    let dir = tempfile::tempdir().unwrap();
    let history = HistoryBuilder::with_segments(dir.path(), 10);
    let path = history.path(6);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let good: Vec<_> = (1..=4)
        .map(|part| {
            let rows = RowsToRead::Part(SegmentPart::new(part, 4).unwrap());
            verified(&history, &HistoryVerifyOptions::default().rows(rows)).0.is_intact
        })
        .collect();
    assert_eq!(good, [None, None, Some(false), None]);
    assert_eq!((SegmentPart::new(0, 4), SegmentPart::new(5, 4), SegmentPart::new(0, 0)), (None, None, None));
}

/// A progress that cancels after some segments.
struct Impatient {
    cancellation: Cancellation,
    left: AtomicU64,
}

impl Progress for Impatient {
    fn advance(&self, _: u64) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.cancellation.cancel();
        }
    }

    fn cancellation(&self) -> Cancellation {
        self.cancellation.clone()
    }
}

#[test]
fn a_cancelled_verification_gives_no_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let history = HistoryBuilder::with_segments(dir.path(), 30);
    let progress = Impatient { cancellation: Cancellation::default(), left: AtomicU64::new(5) };
    let options = HistoryVerifyOptions::default();
    let mut findings = 0;
    let error = verify_history(&history.dir, &options, &progress, &mut |_| findings += 1).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
    assert_eq!(findings, 0);
}

#[test]
fn a_history_that_was_continued_twice_names_every_duplicate_segment() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = HistoryBuilder::with_segments(dir.path().join("h"), 4);
    let mut copy = HistoryBuilder::with_segments(dir.path().join("copy"), 4);
    for _ in 0..3 {
        history.add(1);
        let path = copy.add(2);
        fs::copy(&path, history.path(0).with_file_name(path.file_name().unwrap())).unwrap();
    }
    let (report, findings) = verified(&history, &HistoryVerifyOptions::default());
    assert_eq!((report.is_intact, report.is_consistent), (Some(true), false));
    let faults: Vec<_> = findings.iter().filter_map(|finding| finding.kind.fault()).collect();
    let numbers = faults.iter().map(|fault| match fault {
        HistoryFault::Duplicate { number, .. } => *number,
        other => panic!("{other}"),
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [4, 5, 6]);
    assert!(findings.iter().all(|finding| !matches!(finding.kind, HistoryFindingKind::UnreadableHead(_))));
}
