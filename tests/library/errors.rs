//! Every kind of error: its message for people and its code for programs.

use std::collections::BTreeSet;
use std::fmt::Write;

use patchwork_traces::{Error, ErrorKind};

use crate::common::error_kinds::error_kinds;

#[test]
fn every_kind_has_a_message_and_a_code() {
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    for kind in error_kinds() {
        let code = kind.code();
        seen.insert(code);
        let error = Error::from(kind).in_subject("FILE").at_line(3);
        writeln!(text, "{code}: {error}").unwrap();
    }
    assert_eq!(seen, ErrorKind::codes().into_iter().collect(), "a kind is missing from this test");
    insta::assert_snapshot!(text);
}

#[test]
fn codes_are_sorted_and_unique() {
    assert!(ErrorKind::codes().is_sorted_by(|a, b| a < b));
}

#[test]
fn position_is_printed_with_all_its_parts() {
    let error = Error::from(ErrorKind::ChunkMismatch).in_subject("b.gz").in_file("runs.jsonl");
    let error = error.at_rows(3, 9).at_line(12).at_byte(4096);
    let expected = "b.gz: runs.jsonl, rows 3 to 9, line 12, byte 4096: chunk mismatch: the content does not match the chunk's entry in the manifest";
    assert_eq!(error.to_string(), expected);
}
