//! Checks that a seekable file and a stream give the same result for any input: the same rows, printed and restored
//! alike, and the same final error.

use std::num::NonZeroUsize;

use patchwork_traces::Result;
use patchwork_traces::bundle::Bundle;
use patchwork_traces::cat::{CatOptions, cat};
use patchwork_traces::progress::NoProgress;

use crate::bundles::{self, Logs, indexed, key_of, restored, sequential};
use crate::reference::{self, Row};

/// Checks the file that the input encodes, as described at [`bundles::file_of`].
pub fn check(input: &[u8]) {
    let file = bundles::file_of(input);
    let (rows, ended) = bundles::rows(indexed(&file));
    assert_eq!(bundles::rows(sequential(&file)), (rows.clone(), ended.clone()));

    let (one, two) = (restored(indexed(&file)), restored(sequential(&file)));
    // Seekable bundles restore several logs concurrently, so of several faults, either can be reported first.
    assert_eq!(one.as_ref().ok(), two.as_ref().ok());
    assert!(ended.is_none() || one.is_err(), "rows fail with {ended:?}, but the logs are restored");
    let (output, cat_ended) = printed(indexed(&file), 2);
    assert_eq!(printed(sequential(&file), 1), (output.clone(), cat_ended.clone()));
    assert_eq!(cat_ended, ended);
    if let (Ok(bundle), Ok(logs)) = (indexed(&file), one) {
        check_logs(&bundle, &rows, &logs, &output);
    }
}

fn printed(bundle: Result<Bundle<'_>>, threads: usize) -> (Vec<u8>, Option<String>) {
    let threads = NonZeroUsize::new(threads).expect("not zero");
    let mut out = Vec::new();
    let options = CatOptions::default().threads(threads);
    let ended = bundle.and_then(|bundle| cat(bundle, &options, &mut out, "memory", &NoProgress)).err();
    (out, ended.map(|error| error.to_string()))
}

/// Checks that the logs are what FORMAT.md makes of the rows, and that the printed lines are those of the rows.
fn check_logs(bundle: &Bundle<'_>, rows: &[(usize, Vec<u8>)], logs: &Logs, output: &[u8]) {
    let mut row_lines = Vec::new();
    for (index, file) in bundle.manifest().files.iter().enumerate() {
        let of_file = rows.iter().filter(|(file, _)| *file == index);
        let rows: Vec<_> = of_file.map(|(_, line)| Row::read(line).expect("it was read before")).collect();
        assert_eq!(rows.len() as u64, file.count);
        let log = &logs[&key_of(file)];
        if file.record().is_some() {
            assert_eq!(reference::restore(file, &rows), *log);
        } else if file.unparsed.is_empty() {
            let lines: Vec<_> = rows.iter().map(|row| row.line(b"").0).collect();
            assert_eq!(lines.iter().flat_map(|line| [line, &b"\n"[..]]).flatten().copied().collect::<Vec<_>>(), *log);
        }
        row_lines.extend(rows);
    }
    // The rows of a 1.0 bundle need not be in the order of its files.
    if bundle.manifest().has_chunk_table() {
        let printed: usize = output.iter().filter(|byte| **byte == b'\n').count();
        let lines = |row: &Row| row.line(b"").0.iter().filter(|byte| **byte == b'\n').count() + 1;
        assert_eq!(printed, row_lines.iter().map(lines).sum::<usize>());
    }
}
