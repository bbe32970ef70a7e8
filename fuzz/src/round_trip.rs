//! Whatever the bytes are, as a log they come back from its envelopes byte for byte, however they are cut into blocks.

use patchwork_traces::format::line::classify;
use patchwork_traces::format::log::{LogId, LogRestorer, RawChunk};
use patchwork_traces::format::{Envelope, FileName, Manifest, ManifestFile, SourceName, Timestamp};
use patchwork_traces::lines::lines_of;
use patchwork_traces::sources::CATALOGUE;

use crate::merge_logs::encode;
use crate::reference::{self, Row};

/// The first byte chooses the log's source, the second how long its blocks are; the rest is the log.
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
    assert_eq!(without_chunks(file), without_chunks(whole), "blocks change nothing");
}

fn envelopes(chunks: &[RawChunk]) -> impl Iterator<Item = &[u8]> {
    chunks.iter().flat_map(|chunk| lines_of(&chunk.bytes)).map(|line| line.bytes)
}

/// What the manifest says of the log is true, and can be read again.
fn check_file(file: &ManifestFile, chunks: &[RawChunk], log: &[u8]) {
    let rows = envelopes(chunks).count() as u64;
    let is_row = |line: &patchwork_traces::lines::Line<'_>| classify(line.bytes, &[]).is_some();
    assert_eq!(rows, lines_of(log).filter(is_row).count() as u64);
    assert_eq!((file.count, file.bytes), (rows, log.len() as u64));
    assert_eq!(file.count + file.unparsed_lines(), lines_of(log).count() as u64);
    assert!(chunks.iter().all(|chunk| !chunk.bytes.contains(&b'\r') && std::str::from_utf8(&chunk.bytes).is_ok()));
    let manifest = Manifest::new("fuzz".to_owned(), Timestamp::from_millis(0).expect("a time"), vec![file.clone()]);
    assert_eq!(manifest.faults(), []);
    let line = manifest.encode().expect("it is short");
    assert_eq!(Manifest::decode(&line).expect("it is sound"), Some(manifest));
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
