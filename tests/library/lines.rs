//! The bytes of a log alone determine the blocks of lines that it is cut into.

use std::io::Read;

use crate::common::short_reads::ShortReads;
use patchwork_traces::internal::{BlockError, LineBlocks, lines_of};
use proptest::prelude::*;

fn blocks(reader: impl Read, size: usize) -> Vec<Vec<u8>> {
    let mut blocks = LineBlocks::new(reader, size, u64::MAX);
    std::iter::from_fn(|| blocks.next_block().unwrap()).collect()
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![3 => Just(b'x'), 1 => Just(b'\n')], 0..300)
}

proptest! {
    #[test]
    fn blocks_hold_every_byte_and_as_many_whole_lines_as_fit(log in bytes(), size in 1usize..40) {
        let blocks = blocks(&log[..], size);
        prop_assert_eq!(blocks.concat(), &log[..]);
        let mut rest = &log[..];
        for block in &blocks {
            let (this, next) = rest.split_at(block.len());
            prop_assert!(this.ends_with(b"\n") || next.is_empty(), "lines are whole");
            prop_assert!(this.len() <= size || lines_of(this).count() == 1, "only one line is longer");
            let next_line = lines_of(next).next().map_or(usize::MAX, |line| line.bytes.len() + usize::from(line.terminated));
            prop_assert!(this.len().saturating_add(next_line) > size, "no more lines fit");
            rest = next;
        }
    }

    #[test]
    fn blocks_do_not_depend_on_read_sizes(log in bytes(), size in 1usize..40, piece in 1usize..9) {
        prop_assert_eq!(blocks(ShortReads(&log, piece), size), blocks(&log[..], size));
    }
}

#[test]
fn input_that_fits_exactly_is_one_block() {
    assert_eq!(blocks(&b"ab\ncd"[..], 5), [b"ab\ncd"]);
    assert_eq!(blocks(&b"ab\ncd"[..], 4), [&b"ab\n"[..], b"cd"]);
    assert_eq!(blocks(&b"ab\ncd\n"[..], 6), [b"ab\ncd\n"]);
    assert_eq!(blocks(&b"ab\ncd\nef"[..], 6), [&b"ab\ncd\n"[..], b"ef"]);
}

#[test]
fn line_over_the_limit_is_found_at_any_position() {
    let too_long = |log: &[u8], size| {
        let mut blocks = LineBlocks::new(log, size, 8);
        let mut lines = 0;
        loop {
            match blocks.next_block() {
                Ok(Some(block)) => lines += lines_of(&block).count() as u64,
                Ok(None) => return None,
                Err(BlockError::TooLong { lines_before }) => return Some(lines + lines_before),
                Err(BlockError::Read(error)) => panic!("{error}"),
            }
        }
    };
    for size in 1..50 {
        assert_eq!(too_long(b"12345678\n\n12345678", size), None);
        assert_eq!(too_long(b"1\n2\n123456789\n3\n", size), Some(2), "{size}");
        assert_eq!(too_long(b"1\n2\n3\n123456789", size), Some(3), "{size}");
    }
}
