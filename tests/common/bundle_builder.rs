//! Bundles whose parts a test can change before they are written: the manifest, the chunks' text, the compressed bytes.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::ops::Range;

use flate2::{Compress, Compression, FlushCompress, Status};
use patchwork_traces::digest::Crc32;
use patchwork_traces::export::Level;
use patchwork_traces::format::Timestamp;
use patchwork_traces::internal::{Deflater, MemberWriter};
use serde_json::{Value, json};

use super::{Home, bundle, text_of};

/// A bundle taken apart.
#[derive(Clone)]
pub struct BundleBuilder {
    pub manifest: Value,
    /// The envelope lines of each chunk, and the file in the manifest that it belongs to.
    pub chunks: Vec<(usize, String)>,
    /// The manifest line that is written in place of `manifest`, without its line feed.
    pub manifest_line: Option<String>,
}

impl BundleBuilder {
    /// Bundles a home, and cuts its rows into chunks of a few rows each.
    pub fn new(home: &Home, rows_per_chunk: usize) -> Self {
        Self::of(&bundle(home), rows_per_chunk)
    }

    /// Takes a bundle apart, and cuts its rows into chunks of a few rows each.
    pub fn of(bundle: &[u8], rows_per_chunk: usize) -> Self {
        let text = String::from_utf8(text_of(bundle)).unwrap();
        let mut lines = text.split_inclusive('\n');
        let manifest: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        let mut chunks = Vec::new();
        for (index, file) in manifest["files"].as_array().unwrap().iter().enumerate() {
            let count = usize::try_from(file["count"].as_u64().unwrap()).unwrap();
            let rows: Vec<_> = lines.by_ref().take(count).collect();
            chunks.extend(rows.chunks(rows_per_chunk).map(|rows| (index, rows.concat())));
        }
        let mut builder = Self { manifest, chunks, manifest_line: None };
        builder.update_chunk_table();
        builder
    }

    /// Updates the chunk table to match the chunks.
    pub fn update_chunk_table(&mut self) {
        let count = self.manifest["files"].as_array().unwrap().len();
        for file in 0..count {
            let chunks = self.chunks.iter().filter(|(of, _)| *of == file).map(|(_, text)| table_entry(text));
            let chunks: Vec<_> = chunks.collect();
            let file = self.manifest["files"][file].as_object_mut().unwrap();
            file.remove("chunks");
            if !chunks.is_empty() {
                file.insert("chunks".to_owned(), Value::Array(chunks));
            }
        }
    }

    /// Returns one file of the manifest.
    pub fn file(&mut self, index: usize) -> &mut Value {
        &mut self.manifest["files"][index]
    }

    /// Returns the compressed blocks and their texts: that of the manifest, then those of the chunks.
    pub fn blocks(&self) -> Vec<(Vec<u8>, String)> {
        let manifest = self.manifest_line.clone().unwrap_or_else(|| self.manifest.to_string()) + "\n";
        let texts = std::iter::once(manifest).chain(self.chunks.iter().map(|(_, text)| text.clone()));
        texts.map(|text| (deflate(text.as_bytes()), text)).collect()
    }

    /// Returns the byte range of each block in the output of [`write`](Self::write).
    pub fn block_ranges(&self) -> Vec<Range<usize>> {
        let mut next = 10;
        let range_of = |(block, _): (Vec<u8>, String)| {
            let start = next;
            next += block.len();
            start..next
        };
        self.blocks().into_iter().map(range_of).collect()
    }

    pub fn write(&self) -> Vec<u8> {
        let mut bundle = Vec::new();
        let mut member = MemberWriter::new(&mut bundle).unwrap();
        for (block, text) in self.blocks() {
            let crc32 = Crc32::of(text.as_bytes());
            member.copy_block(block.as_slice(), block.len() as u64, text.len() as u64, crc32).unwrap();
        }
        member.finish().unwrap();
        bundle
    }

    /// Returns the decompressed text.
    pub fn text(&self) -> String {
        self.blocks().into_iter().map(|(_, text)| text).collect()
    }
}

fn table_entry(text: &str) -> Value {
    let mut entry = json!({
        "compressed": deflate(text.as_bytes()).len(),
        "bytes": text.len(),
        "rows": text.lines().count(),
        "crc32": Crc32::of(text.as_bytes()).to_string(),
    });
    let times: Vec<_> = text.lines().filter_map(time_of).collect();
    if let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) {
        entry["firstTime"] = json!(first.to_string());
        entry["lastTime"] = json!(last.to_string());
    }
    entry
}

fn time_of(line: &str) -> Option<Timestamp> {
    let row: Value = serde_json::from_str(line).ok()?;
    match (&row["entry"]["createdAt"], &row["entry"]["timestamp"]) {
        (Value::Number(millis), _) => Timestamp::from_millis(millis.as_i64()?),
        (_, Value::String(time)) => time.parse().ok(),
        _ => None,
    }
}

pub fn deflate(text: &[u8]) -> Vec<u8> {
    let mut deflated = Vec::new();
    Deflater::new(Level::new(6).unwrap()).deflate(text, &mut deflated).unwrap();
    deflated
}

/// Packs bits into bytes, lowest bit first.
pub fn bytes_of(bits: &str) -> Vec<u8> {
    let bits: Vec<_> = bits.chars().filter(|bit| *bit != ' ').map(|bit| u8::from(bit == '1')).collect();
    bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit)).collect()
}

/// Returns one gzip member, as `gzip -9` writes it.
pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new().operating_system(3).write(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Returns the pieces of a text as one gzip member, with a flush after each.
pub fn flushed<'t>(pieces: impl IntoIterator<Item = &'t [u8]>, flush: FlushCompress) -> Vec<u8> {
    let (mut deflated, mut raw) = (Vec::new(), Compress::new(Compression::default(), false));
    let (mut crc32, mut bytes) = (flate2::Crc::new(), 0);
    let mut deflate = |mut piece: &[u8], flush| loop {
        deflated.reserve(4096 + piece.len());
        let read = raw.total_in();
        let status = raw.compress_vec(piece, &mut deflated, flush).unwrap();
        piece = &piece[usize::try_from(raw.total_in() - read).unwrap()..];
        if status == Status::StreamEnd || piece.is_empty() && deflated.len() < deflated.capacity() {
            break;
        }
    };
    for piece in pieces {
        crc32.update(piece);
        bytes += u32::try_from(piece.len()).unwrap();
        deflate(piece, flush);
    }
    deflate(&[], FlushCompress::Finish);
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    [&header[..], &deflated, &crc32.sum().to_le_bytes(), &bytes.to_le_bytes()].concat()
}
