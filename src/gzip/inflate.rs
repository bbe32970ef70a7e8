//! Inflates one block between two flush points.

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::GzipFault;

/// The most that deflate can make of one byte.
const MAX_RATIO: u64 = 1032;

/// Inflates raw deflate data that ends at a flush point and must give exactly `declared` bytes.
///
/// Memory grows with what the data really holds, never with what is declared alone.
pub(super) fn inflate_block(deflated: &[u8], declared: u64) -> Result<Vec<u8>, GzipFault> {
    let most = (deflated.len() as u64).saturating_mul(MAX_RATIO);
    let declared = usize::try_from(declared.min(most + 1)).map_err(|_| GzipFault::Deflate)?;
    let mut raw = Decompress::new(false);
    let mut content = Vec::new();
    // One byte more than declared, so that a block that holds more shows it.
    content.try_reserve_exact(declared + 1).map_err(|_| GzipFault::Deflate)?;
    let mut read = 0;
    loop {
        let before = (read, content.len());
        let status = raw.decompress_vec(&deflated[read..], &mut content, FlushDecompress::Sync);
        read = usize::try_from(raw.total_in()).map_err(|_| GzipFault::Deflate)?;
        match status {
            Ok(Status::Ok) if (read, content.len()) != before && content.len() <= declared => {}
            Ok(Status::Ok | Status::BufError) => break,
            Ok(Status::StreamEnd) | Err(_) => return Err(GzipFault::Deflate),
        }
    }
    match read == deflated.len() && content.len() == declared {
        true => Ok(content),
        false => Err(GzipFault::Deflate),
    }
}
