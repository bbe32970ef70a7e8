//! Reading one open bundle: repeatedly, from several threads, and by time.

use std::fs::File;
use std::thread;

use patchwork_traces::Bundle;
use patchwork_traces::bundle::{Rows, Selection};
use patchwork_traces::format::{TimeRange, Timestamp};

const INTACT: &str = "fixtures/conformance/intact.jsonl.gz";

/// Returns the source, number and line of each row.
fn all(mut rows: Rows<'_>) -> Vec<(String, u64, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some(row) = rows.next_row().unwrap() {
        found.push((row.envelope.source.to_string(), row.number, row.line.to_vec()));
    }
    found
}

#[test]
fn bundles_and_rows_can_be_sent_shared_and_shown() {
    fn is_send<T: Send + std::fmt::Debug>(_: &T) {}
    fn is_sync<T: Sync>(_: &T) {}
    let bundle = Bundle::open(INTACT).unwrap();
    is_send(&bundle);
    is_sync(&bundle);
    is_send(&bundle.all_rows().unwrap());
    assert!(format!("{bundle:?}").starts_with("Bundle {"));
}

#[test]
fn one_bundle_allows_many_concurrent_reads() {
    let bundle = Bundle::open(INTACT).unwrap();
    let expected = all(Bundle::open(INTACT).unwrap().all_rows().unwrap());
    assert_eq!(expected.len(), 10);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(all(bundle.all_rows().unwrap()), expected));
        }
    });
    let (mut one, mut other) = (bundle.all_rows().unwrap(), bundle.clone().all_rows().unwrap());
    for (_, number, line) in &expected {
        for rows in [&mut one, &mut other] {
            let row = rows.next_row().unwrap().unwrap();
            assert_eq!((row.number, row.line), (*number, line.as_slice()));
        }
    }
}

#[test]
fn the_rows_of_a_stream_can_be_read_once() {
    let bundle = Bundle::from_stream(File::open(INTACT).unwrap(), "stream").unwrap();
    assert_eq!(all(bundle.all_rows().unwrap()).len(), 10);
    assert_eq!(bundle.all_rows().unwrap_err().to_string(), "cannot read stream: this stream was already read");
}

#[test]
fn a_range_selects_rows_not_chunks() {
    let plain = || flate2::read::MultiGzDecoder::new(File::open(INTACT).unwrap());
    let bundle = Bundle::open(INTACT).unwrap();
    let mut times = Vec::new();
    let mut rows = bundle.all_rows().unwrap();
    while let Some(row) = rows.next_row().unwrap() {
        times.push(row.time());
    }
    let mut known: Vec<Timestamp> = times.iter().flatten().copied().collect();
    known.sort_unstable();
    for (since, until) in [(known[1], known[3]), (known[0], known[0]), (known[2], *known.last().unwrap())] {
        let range = TimeRange { since: Some(since), until: Some(until) };
        let expected = times.iter().filter(|time| range.contains(**time)).count();
        let selection = Selection::default().range(range);
        for bundle in [bundle.clone(), Bundle::from_stream(plain(), "text").unwrap()] {
            let found = all(bundle.rows(&selection).unwrap());
            assert_eq!(found.len(), expected, "{range:?}");
        }
    }
}

#[test]
fn typed_rows_have_the_exact_line_and_its_position() {
    let bundle = Bundle::open(INTACT).unwrap();
    let mut rows = bundle.all_rows().unwrap();
    for typed in bundle.all_rows().unwrap().typed_rows::<serde_json::Value>() {
        let (typed, row) = (typed.unwrap(), rows.next_row().unwrap().unwrap());
        assert_eq!((typed.file, typed.number, typed.time), (row.file, row.number, row.time()));
        assert_eq!(typed.line, row.exact_line());
        assert_eq!(typed.value, row.parse::<serde_json::Value>().unwrap());
    }
    assert!(rows.next_row().unwrap().is_none());
}
