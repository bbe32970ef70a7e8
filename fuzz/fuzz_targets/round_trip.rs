//! Whatever the bytes are, as a log they come back from its envelopes byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchwork_traces::digest::IntegrityHasher;
use patchwork_traces::format::log::{BlockEncoder, FileBuilder, LogId, LogRestorer};
use patchwork_traces::format::{Base, Envelope, FileName, SourceName, TimeKey};
use patchwork_traces::lines::LineBlocks;

fuzz_target!(|log: &[u8]| {
    let id = LogId {
        source: SourceName::new("runs").expect("a plain name"),
        name: FileName::new("runs.jsonl").expect("a plain name"),
        base: Base::Patchwork,
    };
    // Blocks as small as a line or two, so that many meet.
    let mut blocks = LineBlocks::new(log, 16, u64::MAX);
    let mut builder = FileBuilder::new(id.clone());
    let mut encoder = None;
    let mut chunks = Vec::new();
    while let Some(block) = blocks.next_block().expect("nothing fails") {
        let encoder = encoder.get_or_insert_with(|| BlockEncoder::new(&id, &[TimeKey::Millis("createdAt")], &block));
        let encoded = encoder.encode(&block).expect("the log is short");
        builder.push(encoded.record, []).expect("the log is short");
        chunks.extend(encoded.chunks);
    }
    let mut hasher = IntegrityHasher::default();
    hasher.update(log);
    let file = builder.finish(hasher.finish());

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
