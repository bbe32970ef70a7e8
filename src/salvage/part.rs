//! The parts into which a bundle is cut.

use std::ops::Range;

use crate::bundle::ChunkRef;
use crate::gzip::{Anomaly, Tail};

/// A part of a bundle, in stream order.
#[derive(Debug)]
pub enum Part {
    /// Compressed data between two flush points, or between the offsets where they should be.
    Block {
        /// The chunk of the table that this block should be, if known.
        chunk: Option<usize>,
        /// The chunk of the table that is expected here.
        due: usize,
        /// The block's offset in the file.
        offset: u64,
        data: Vec<u8>,
        /// True if the input ends here.
        is_at_end: bool,
        /// True if this may not be a block because damage was found earlier.
        is_guess: bool,
    },
    /// Whole lines of text.
    Text {
        /// The chunk of the table at this position.
        chunk: Option<usize>,
        /// The text's offset in the file, if the file is not compressed.
        offset: Option<u64>,
        text: Vec<u8>,
    },
    /// A line longer than any row was skipped here.
    TooLong,
    /// Chunks that were not found.
    Missing(Range<usize>),
    /// An anomaly of the container and its byte offset.
    Anomaly(Anomaly, u64),
    /// The end of the member that held the preceding blocks.
    Tail(Tail),
}

impl Part {
    /// Returns the approximate number of input bytes in this part, or 0 if unknown.
    pub fn length(&self) -> u64 {
        match self {
            Self::Block { data, .. } => data.len() as u64,
            Self::Text { offset: Some(_), text, .. } => text.len() as u64,
            _ => 0,
        }
    }

    /// Returns the approximate memory needed to read this part.
    pub fn weight(&self, chunk_refs: &[ChunkRef]) -> usize {
        match self {
            Self::Block { chunk, data, .. } => {
                let declared = chunk.map_or(0, |chunk| chunk_refs[chunk].bytes);
                usize::try_from(declared.saturating_mul(3)).unwrap_or(usize::MAX).saturating_add(data.len())
            }
            Self::Text { text, .. } => text.len().saturating_mul(3),
            _ => 0,
        }
    }
}
