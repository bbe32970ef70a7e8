//! For any byte string as a log, `restore(bundle(log)) == log` with both readers.

use crate::common::adversarial_lines::{adversarial_log, nested};
use crate::common::random_rows::random_rows;
use crate::common::{Home, bundle, indexed, restore_all, sequential};
use patchwork_traces::bundle::{Bundle, Selection};
use patchwork_traces::internal::LogRestorer;
use proptest::prelude::*;

/// Bundles `log` as `runs.jsonl` and restores it both ways.
fn assert_round_trip(log: &[u8]) {
    let bundle = bundle(&Home::new().with("runs.jsonl", log));
    for (reader, opened) in [("indexed", indexed(&bundle)), ("sequential", sequential(&bundle))] {
        let restored = restore_all(opened.unwrap()).unwrap();
        assert!(restored["runs.jsonl"] == log, "the {reader} reader restored something else");
    }
    if log.len() < 1 << 20 {
        assert!(by_rows(&indexed(&bundle).unwrap()) == log, "row by row gives something else");
    }
}

/// Restores a log row by row, as a user's program can.
fn by_rows(bundle: &Bundle<'_>) -> Vec<u8> {
    let file = bundle.manifest().files[0].clone();
    let mut restorer = LogRestorer::new(&file);
    let mut log = Vec::new();
    let mut rows = bundle.rows(&Selection::default()).unwrap();
    while let Some(row) = rows.next_row().unwrap() {
        restorer.push_row(&row.envelope, &mut log);
    }
    restorer.finish(&mut log);
    log
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_log_of_adversarial_lines_is_restored(log in adversarial_log()) {
        assert_round_trip(&log);
    }

    #[test]
    fn any_bytes_are_restored(log in proptest::collection::vec(any::<u8>(), 0..2000)) {
        assert_round_trip(&log);
    }

    #[test]
    fn any_text_over_few_characters_is_restored(log in "[\\[\\]{}\", :0-9a-f\\\\u\r\n\t\u{feff}\u{2028}\u{0}]{0,300}") {
        assert_round_trip(log.as_bytes());
    }
}

#[test]
fn empty_log_is_restored() {
    assert_round_trip(b"");
}

#[test]
fn logs_without_a_final_newline_are_restored() {
    for log in
        [&b"{}"[..], b"{}\r", b"{}\n{}", b"{}\r\n{}", b"{}\r\n{}\r", b"torn", b"{}\ntorn", b"\n\n", b"\r\n", b"\r"]
    {
        assert_round_trip(log);
    }
}

#[test]
fn nesting_at_and_beyond_the_limit_is_restored() {
    for levels in [127, 128, 129, 100_000] {
        assert_round_trip(&[nested(levels), b"\n{}\n".to_vec()].concat());
    }
}

#[test]
fn rows_of_50_mb_are_restored() {
    let sound = [&b"{\"s\":\""[..], &[b'x'].repeat(50_000_000), b"\"}\n"].concat();
    let cleaned = [&b"{\"s\":\""[..], &[0xff].repeat(50_000_000), b"\"}\n"].concat();
    let torn = [b'{'].repeat(50_000_000);
    assert_round_trip(&[sound, cleaned, torn].concat());
}

#[test]
fn two_million_one_byte_lines_are_restored() {
    assert_round_trip(&b"1\n".repeat(2_000_000));
    assert_round_trip(&b"x\n".repeat(2_000_000));
    assert_round_trip(&b"1\nx\n".repeat(1_000_000));
    assert_round_trip(&b"\n".repeat(2_000_000));
}

#[test]
fn logs_with_a_spooled_bundle_are_restored() {
    let (log, other) = (random_rows(30_000), random_rows(10_000));
    let bundled = bundle(&Home::new().with("runs.jsonl", &log).with("decision_traces.jsonl", &other));
    assert!(bundled.len() > 20_000_000, "{} bytes", bundled.len());
    let restored = restore_all(indexed(&bundled).unwrap()).unwrap();
    assert!(restored["runs.jsonl"] == log.as_bytes() && restored["decision_traces.jsonl"] == other.as_bytes());
}
