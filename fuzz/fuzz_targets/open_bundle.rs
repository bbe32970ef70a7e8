//! Whatever the bytes are, opening them as a bundle ends, and both readers give the same rows.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use patchwork_traces::Result;
use patchwork_traces::bundle::{Bundle, Selection};

fn rows(opened: Result<Bundle<'_>>) -> (Vec<Vec<u8>>, Option<String>) {
    let mut lines = Vec::new();
    let read = || -> Result<()> {
        let mut rows = opened?.rows(&Selection::default())?;
        while let Some(row) = rows.next_row()? {
            lines.push(row.line.to_vec());
        }
        Ok(())
    };
    let ended = read().err().map(|error| error.to_string());
    (lines, ended)
}

fuzz_target!(|bytes: &[u8]| {
    let indexed = rows(Bundle::from_seekable(Cursor::new(bytes), "input"));
    let sequential = rows(Bundle::from_stream(bytes, "input"));
    assert_eq!(indexed, sequential);
});
