//! The indexed and the sequential reader agree on every bundle, intact or damaged.

use crate::common::bundle_builder::{BundleBuilder, gzip};
use crate::common::{Home, bundle, indexed, sequential};
use patchwork_traces::bundle::{Bundle, Selection};
use patchwork_traces::error::GzipFault;
use patchwork_traces::{Error, ErrorKind, Result};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Returns all rows that a reader yields, and the error after them, if any.
fn rows(opened: Result<Bundle<'_>>) -> (Vec<(usize, u64, Vec<u8>)>, Option<Error>) {
    let mut all = Vec::new();
    let read = || -> Result<()> {
        let mut rows = opened?.rows(&Selection::default())?;
        while let Some(row) = rows.next_row()? {
            all.push((row.file, row.number, row.line.to_vec()));
        }
        Ok(())
    };
    let ended = read().err();
    (all, ended)
}

/// A bundle of several files, one of which has several chunks.
static SAMPLE: LazyLock<Vec<u8>> = LazyLock::new(sample);

fn sample() -> Vec<u8> {
    let run = |i: u64| {
        format!(
            "{{\"seq\":{i},\"createdAt\":{},\"text\":\"{:032x}\"}}\n",
            1_777_716_000_000 + i,
            u128::from(i) * 0x9e37_79b9_7f4a_7c15
        )
    };
    let runs: String = (0..20_000).map(run).collect();
    let few: String = (0..5).map(run).collect();
    bundle(
        &Home::new()
            .with("runs.jsonl", runs)
            .with("decision_traces.jsonl", &few)
            .with_activity("activity-1.jsonl", few),
    )
}

/// All its rows.
static ALL: LazyLock<Vec<(usize, u64, Vec<u8>)>> = LazyLock::new(|| rows(sequential(&SAMPLE)).0);

fn assert_agreement(bytes: &[u8]) -> Result<(), TestCaseError> {
    let (one, one_ended) = rows(indexed(bytes));
    let (other, other_ended) = rows(sequential(bytes));
    let text = |error: &Option<Error>| error.as_ref().map(ToString::to_string);
    prop_assert_eq!(text(&one_ended), text(&other_ended));
    prop_assert!(one == other, "{} and {} rows", one.len(), other.len());
    prop_assert!(ALL.starts_with(&one), "rows that the sound bundle does not have");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_readers_agree_on_changed_bytes(at in any::<prop::sample::Index>(), mask in 1u8..) {
        let mut bytes = SAMPLE.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        assert_agreement(&bytes)?;
    }

    #[test]
    fn both_readers_agree_on_truncated_bundles(at in any::<prop::sample::Index>()) {
        assert_agreement(&SAMPLE[..at.index(SAMPLE.len())])?;
    }

    #[test]
    fn both_readers_agree_on_trailing_bytes(tail in proptest::collection::vec(any::<u8>(), 1..20)) {
        assert_agreement(&[&SAMPLE[..], &tail].concat())?;
    }

    #[test]
    fn both_readers_agree_on_zeroed_blocks(at in any::<prop::sample::Index>(), length in 1usize..8192) {
        let mut bytes = SAMPLE.clone();
        let at = at.index(bytes.len());
        let end = (at + length).min(bytes.len());
        bytes[at..end].fill(0);
        assert_agreement(&bytes)?;
    }
}

#[test]
fn both_readers_agree_on_concatenated_bundles() {
    assert_agreement(&[&SAMPLE[..], &SAMPLE].concat()).unwrap();
    assert!(rows(indexed(&[&SAMPLE[..], &SAMPLE].concat())).1.is_some());
}

#[test]
fn both_readers_agree_on_every_fixture() {
    for dir in ["conformance", "legacy"] {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(dir);
        for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|extension| extension == "gz") {
                let bytes = std::fs::read(&path).unwrap();
                let ((one, one_ended), (other, other_ended)) = (rows(indexed(&bytes)), rows(sequential(&bytes)));
                let text = |error: Option<Error>| error.map(|error| error.to_string());
                assert_eq!((one, text(one_ended)), (other, text(other_ended)), "{}", path.display());
            }
        }
    }
}

#[test]
fn both_readers_agree_on_an_intact_bundle_with_any_selection() {
    let (one, ended) = rows(indexed(&SAMPLE));
    assert!(ended.is_none());
    assert_eq!(one.len(), 20_010);
    assert_eq!(one, rows(sequential(&SAMPLE)).0);
    let text = crate::common::text_of(&SAMPLE);
    assert_eq!(one, rows(indexed(&text)).0);
    assert_eq!(one, rows(sequential(&text)).0);
}

/// Returns the text of a bundle of ten rows, and the same text without row 8 and with a changed row 9.
fn ten_rows_and_nine(rows_per_chunk: usize) -> (String, String) {
    let log: String = (1..=10).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let text = BundleBuilder::new(&Home::new().with("runs.jsonl", log), rows_per_chunk).text();
    let nine = text.replace("{\"source\":\"runs\",\"entry\":{\"n\":8}}\n", "").replace("{\"n\":9}", "{\"n\":0}");
    assert_eq!(nine.lines().count(), 10);
    (text, nine)
}

/// Returns the number of rows that both readers yield, and the error that ends them.
fn both(bytes: &[u8]) -> (usize, Error) {
    let ((one, one_ended), (other, other_ended)) = (rows(indexed(bytes)), rows(sequential(bytes)));
    let ended = one_ended.unwrap();
    assert_eq!((one.len(), ended.to_string()), (other.len(), other_ended.unwrap().to_string()));
    (one.len(), ended)
}

#[test]
fn short_chunk_of_a_complete_bundle_yields_no_row() {
    for (rows_per_chunk, verified) in [(10, 0), (5, 5), (4, 4)] {
        let (_, nine) = ten_rows_and_nine(rows_per_chunk);
        let (rows, ended) = both(&gzip(nine.as_bytes()));
        assert!(matches!(ended.kind(), ErrorKind::ChunkMismatch), "{ended}");
        let last = (verified as u64 + rows_per_chunk as u64).min(10);
        assert_eq!((rows, ended.position().rows), (verified, Some((verified as u64 + 1, last))));
    }
    // If a chunk is absent at the end, the content ends too early.
    let (ten, _) = ten_rows_and_nine(5);
    let six: String = ten.split_inclusive('\n').take(6).collect();
    let (rows, ended) = both(&gzip(six.as_bytes()));
    assert!(matches!(ended.kind(), ErrorKind::ContentEnds), "{ended}");
    assert_eq!((rows, ended.position().rows), (5, Some((6, 10))));
}

#[test]
fn both_readers_yield_complete_rows_before_a_truncation() {
    let (ten, nine) = ten_rows_and_nine(10);
    let whole = gzip(ten.as_bytes());
    let (rows, ended) = both(&whole[..whole.len() - 12]);
    assert!(matches!(ended.kind(), ErrorKind::Gzip(GzipFault::Truncated)), "{ended}");
    assert!((1..10).contains(&rows));
    assert_eq!(ended.position().rows, Some((rows as u64 + 1, 10)));
    // Readers cannot detect truncated plain text.
    for text in [&ten[..ten.len() - 5], &nine] {
        let (rows, ended) = both(text.as_bytes());
        assert!(matches!(ended.kind(), ErrorKind::ContentEnds), "{ended}");
        assert_eq!((rows, ended.position().rows), (9, Some((10, 10))));
    }
}
