//! Cuts the input after the first line into parts.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::first_line::{FirstLine, Scan};
use super::locate::Locator;
use super::part::Part;
use super::text::TextCutter;
use crate::buffers::Buffers;
use crate::bundle::ChunkRef;
use crate::container::Input;
use crate::format::Manifest;
use crate::format::limits::MAX_ENVELOPE_BYTES;
use crate::gzip::SequentialReader;

enum PartSource<'r> {
    Blocks(Box<Locator<'r>>),
    Text(Box<TextCutter<'r>>),
    /// The input after the member; empty in an undamaged bundle.
    AfterMember(Box<TextCutter<'r>>),
    End,
}

/// The parts of a bundle, in order.
pub struct Parts<'r> {
    source: PartSource<'r>,
    /// The maximum line length in bytes.
    longest_line: u64,
    buffers: Arc<Buffers>,
    ready: VecDeque<Part>,
}

impl<'r> Scan<'r> {
    /// Returns the parts after the first line. `manifest` is the manifest of that line, if readable, and
    /// `chunk_refs` is its chunk table. Without a manifest, blocks are found by their flush points. With a manifest
    /// that has no chunk table, the rest is read as text.
    pub fn parts(mut self, manifest: Option<&Manifest>, chunk_refs: &[ChunkRef], buffers: &Arc<Buffers>) -> Parts<'r> {
        let longest_line = manifest.map_or(MAX_ENVELOPE_BYTES, Manifest::max_envelope_bytes);
        let table = manifest.is_none_or(Manifest::has_chunk_table).then(|| chunk_refs.to_vec());
        let is_guessing = !matches!(self.first_line, FirstLine::Line { .. });
        let in_blocks = is_guessing || table.is_some() && self.has_blocks();
        let (chunk_refs, mut ready) = (table.unwrap_or_default(), VecDeque::new());
        let source = if in_blocks {
            self.stream.check_flush_point();
            take_anomalies(&mut self.stream, &mut ready);
            PartSource::Blocks(Box::new(Locator::new(self.stream.into_source(), chunk_refs, is_guessing, buffers)))
        } else {
            let text = TextCutter::new(self.after_first_line, self.stream, longest_line, chunk_refs);
            PartSource::Text(Box::new(text))
        };
        Parts { source, longest_line, buffers: Arc::clone(buffers), ready }
    }
}

fn take_anomalies(stream: &mut SequentialReader<Input<'_>>, parts: &mut VecDeque<Part>) {
    parts.extend(stream.take_anomalies().into_iter().map(|(anomaly, at)| Part::Anomaly(anomaly, at)));
}

impl<'r> Parts<'r> {
    /// Returns true if the rest is read as text. The stream reader then checks the gzip trailer itself.
    pub fn are_text(&self) -> bool {
        matches!(self.source, PartSource::Text(_))
    }

    /// Returns the next part, or `None` after the last.
    ///
    /// # Errors
    /// If reading the input fails.
    pub fn next_part(&mut self) -> io::Result<Option<Part>> {
        while self.ready.is_empty() {
            self.source = match std::mem::replace(&mut self.source, PartSource::End) {
                PartSource::Blocks(blocks) => self.next_block(blocks)?,
                PartSource::Text(text) => self.next_text(text)?,
                PartSource::AfterMember(text) => self.next_after_member(text)?,
                PartSource::End => return Ok(None),
            };
        }
        Ok(self.ready.pop_front())
    }

    fn next_block(&mut self, mut blocks: Box<Locator<'r>>) -> io::Result<PartSource<'r>> {
        if let Some(part) = blocks.next()? {
            self.ready.push_back(part);
            return Ok(PartSource::Blocks(blocks));
        }
        let Some(rest) = blocks.into_rest() else { return Ok(PartSource::End) };
        let after = SequentialReader::after_member(rest);
        Ok(PartSource::AfterMember(Box::new(TextCutter::new(Vec::new(), after, self.longest_line, Vec::new()))))
    }

    fn next_text(&mut self, mut text: Box<TextCutter<'r>>) -> io::Result<PartSource<'r>> {
        if let Some(part) = text.next_part()? {
            self.ready.push_back(part);
            return Ok(PartSource::Text(text));
        }
        let (mut stream, missing) = text.into_end();
        take_anomalies(&mut stream, &mut self.ready);
        self.ready.extend((!missing.is_empty()).then_some(Part::Missing(missing)));
        Ok(match stream.is_broken() {
            true => PartSource::Blocks(Box::new(Locator::new(stream.into_source(), Vec::new(), true, &self.buffers))),
            false => PartSource::End,
        })
    }

    fn next_after_member(&mut self, mut text: Box<TextCutter<'r>>) -> io::Result<PartSource<'r>> {
        let part = text.next_part()?;
        take_anomalies(text.stream(), &mut self.ready);
        let Some(part) = part else { return Ok(PartSource::End) };
        self.ready.push_back(part);
        Ok(PartSource::AfterMember(text))
    }
}
