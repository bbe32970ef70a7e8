//! Whatever the bytes are, as a log they come back from its envelopes byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchwork_traces::digest::IntegrityHasher;
use patchwork_traces::format::log::{LogEncoder, LogId, LogRestorer, RawChunk};
use patchwork_traces::format::{Base, Envelope, FileName, SourceName, TimeKey};

fuzz_target!(|log: &[u8]| {
    let id = LogId {
        source: SourceName::new("runs").expect("a plain name"),
        name: FileName::new("runs.jsonl").expect("a plain name"),
        base: Base::Patchwork,
    };
    let mut encoder = LogEncoder::new(id, &[TimeKey::Millis("createdAt")]);
    let mut chunks: Vec<RawChunk> = Vec::new();
    let mut rest = log;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        chunks.extend(encoder.push_line(line, end.is_some()).expect("the log is short"));
        rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
    }
    let mut hasher = IntegrityHasher::default();
    hasher.update(log);
    let (last, file) = encoder.finish(hasher.finish());
    chunks.extend(last);

    let mut restored = Vec::new();
    let mut restorer = LogRestorer::new(&file);
    for line in chunks.iter().flat_map(|chunk| chunk.bytes.split(|byte| *byte == b'\n')) {
        if !line.is_empty() {
            restorer.push_row(&Envelope::decode(line).expect("an envelope"), &mut restored);
        }
    }
    restorer.finish(&mut restored);
    assert_eq!(restored, log);
});
