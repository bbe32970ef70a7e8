//! Checks that any bytes, treated as a log, are restored byte for byte from their envelopes, regardless of block
//! boundaries.

use patchwork_traces::format::LogId;
use patchwork_traces::format::{Envelope, FileName, Manifest, ManifestFile, SourceName, Timestamp};
use patchwork_traces::internal::{LogRestorer, RawChunk, classify, lines_of};
use patchwork_traces::logs::CATALOGUE;

use crate::merge_logs::encode;
use crate::reference::{self, Row};

/// Checks the log that the input encodes. The first byte selects the log's source, the second sets the block
/// length, and the rest is the log.
pub fn check(input: &[u8]) {
    let [source, size, log @ ..] = input else { return };
    let source = &CATALOGUE[usize::from(*source) % CATALOGUE.len()];
    let id = LogId {
        source: SourceName::new(source.name).expect("a plain name"),
        name: FileName::new(format!("{}.jsonl", source.name)).expect("a plain name"),
        base: source.base,
    };
    let (file, chunks) = encode(&id, log, 1 + usize::from(*size));
    check_file(&file, &chunks, log);
    assert_eq!(restored(&file, &chunks), log);
    let rows: Vec<_> = envelopes(&chunks).map(|line| Row::read(line).expect("it is a row")).collect();
    assert_eq!(reference::restore(&file, &rows), log);

    let (whole, _) = encode(&id, log, 1 + log.len());
    let without_chunks = |mut file: ManifestFile| {
        file.chunks.clear();
        file
    };
    assert_eq!(without_chunks(file), without_chunks(whole), "block boundaries do not matter");
}

fn envelopes(chunks: &[RawChunk]) -> impl Iterator<Item = &[u8]> {
    chunks.iter().flat_map(|chunk| lines_of(&chunk.bytes)).map(|line| line.bytes)
}

/// Checks that the manifest describes the log correctly and can be read again.
fn check_file(file: &ManifestFile, chunks: &[RawChunk], log: &[u8]) {
    let rows = envelopes(chunks).count() as u64;
    let is_row = |line: &patchwork_traces::internal::Line<'_>| classify(line.bytes, &[]).is_some();
    assert_eq!(rows, lines_of(log).filter(is_row).count() as u64);
    assert_eq!((file.count, file.bytes), (rows, log.len() as u64));
    assert_eq!(file.count + file.unparsed_lines(), lines_of(log).count() as u64);
    assert!(chunks.iter().all(|chunk| !chunk.bytes.contains(&b'\r') && std::str::from_utf8(&chunk.bytes).is_ok()));
    let manifest = Manifest::new("fuzz".to_owned(), Timestamp::from_millis(0).expect("a time"), vec![file.clone()]);
    assert_eq!(manifest.faults(), []);
    let line = manifest.encode().expect("the manifest is short");
    assert_eq!(Manifest::decode(&line).expect("the manifest is sound"), Some(manifest));
}

fn restored(file: &ManifestFile, chunks: &[RawChunk]) -> Vec<u8> {
    let mut restored = Vec::new();
    let mut restorer = LogRestorer::new(file);
    for line in envelopes(chunks) {
        restorer.push_row(&Envelope::decode(line).expect("an envelope"), &mut restored);
    }
    restorer.finish(&mut restored);
    restored
}
