//! Finds chunks of the table by what they hold.

use std::sync::OnceLock;

use crate::bundle::Slot;
use crate::digest::Crc32;

/// The chunks of a table in the order of their content, put together when it is asked for first: a bundle that is as it
/// was written never asks, and a damaged one may ask for each block.
#[derive(Debug, Default)]
pub(super) struct Contents(OnceLock<Vec<usize>>);

impl Contents {
    /// The first chunk with this checksum and length.
    pub(super) fn find(&self, slots: &[Slot], crc32: Crc32, bytes: u64) -> Option<usize> {
        let content = |slot: &usize| (slots[*slot].crc32.0, slots[*slot].bytes);
        let order = self.0.get_or_init(|| {
            let mut order: Vec<usize> = (0..slots.len()).collect();
            order.sort_by_key(content);
            order
        });
        let at = order.partition_point(|slot| content(slot) < (crc32.0, bytes));
        order.get(at).copied().filter(|slot| content(slot) == (crc32.0, bytes))
    }
}
