//! Compares the lines of both inputs in log order.

use std::collections::HashMap;

use super::FileDiff;
use crate::align::{Alignment, LineMatch, Side, SideReader};
use crate::error::Result;
use crate::format::LogId;
use crate::stored::{Compared, ContentReader, StoredGroup};

/// A line that differs.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct DiffLine<'l> {
    /// The log that has the line.
    pub log: &'l LogId,
    /// The way in which it differs.
    pub difference: Difference,
    /// True if the line is a row.
    pub is_row: bool,
    /// The line without its line feed.
    pub text: &'l [u8],
}

/// The way in which a line of two inputs A and B differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The line is only in A, or A has more copies of it.
    OnlyInA,
    /// The line is only in B, or B has more copies of it.
    OnlyInB,
    /// Both have the line, but B has it here, in a different order.
    Reordered,
}

/// Receives each line that differs.
pub type TakeLine<'f> = dyn FnMut(DiffLine<'_>) -> Result<()> + 'f;

/// Counts the lines of a group, and passes those that differ to `take`. Between two common lines, those of A come
/// first. `ids` and `diffs` hold the logs of the group.
pub fn each_difference(
    compared: &Compared,
    (a, b): (&StoredGroup, &StoredGroup),
    ids: &[Option<LogId>],
    diffs: &mut [Option<FileDiff>],
    take: Option<&mut TakeLine<'_>>,
) -> Result<()> {
    let Compared { local, bundle, alignment } = compared;
    let mut walk = DiffWalk {
        in_a: LinesOfSide::new(local, a),
        in_b: LinesOfSide::new(bundle, b),
        moved: moved_lines(compared),
        ids,
        diffs,
        take,
    };
    while let Some((end_of_a, end_of_b)) = walk.next_meeting(alignment) {
        walk.of_a_up_to(end_of_a)?;
        walk.of_b_up_to(end_of_b, alignment)?;
        walk.in_both();
    }
    walk.of_a_up_to(local.len())?;
    walk.of_b_up_to(alignment.len(), alignment)
}

/// Returns, for each line number, how many copies A has in a different order than B.
fn moved_lines(Compared { bundle, alignment, .. }: &Compared) -> HashMap<u32, u32> {
    let mut moved = HashMap::new();
    for line in (0..alignment.len()).filter(|line| alignment.of(*line) == LineMatch::Elsewhere) {
        *moved.entry(bundle.ids[line]).or_default() += 1;
    }
    moved
}

/// The lines of one side, in order.
struct LinesOfSide<'s, R> {
    side: &'s Side,
    is_row: Box<dyn Iterator<Item = bool> + 's>,
    reader: SideReader<'s, R>,
    next: usize,
}

impl<'s> LinesOfSide<'s, ContentReader<'s>> {
    fn new(side: &'s Side, group: &'s StoredGroup) -> Self {
        let is_row = Box::new(side.metas.iter().map(|meta| meta.shape.is_row()));
        Self { side, is_row, reader: SideReader::new(side, group.readers()), next: 0 }
    }

    /// Moves past the next line. Returns its number, its log, and true if it is a row.
    fn step(&mut self) -> (usize, usize, bool) {
        let line = self.next;
        self.next += 1;
        (line, self.side.log_of(line), self.is_row.next().unwrap_or_default())
    }
}

struct DiffWalk<'w, 'f> {
    in_a: LinesOfSide<'w, ContentReader<'w>>,
    in_b: LinesOfSide<'w, ContentReader<'w>>,
    moved: HashMap<u32, u32>,
    ids: &'w [Option<LogId>],
    diffs: &'w mut [Option<FileDiff>],
    take: Option<&'w mut TakeLine<'f>>,
}

impl DiffWalk<'_, '_> {
    /// Returns the positions in A and B of the next common line.
    fn next_meeting(&self, alignment: &Alignment) -> Option<(usize, usize)> {
        (self.in_b.next..alignment.len()).find_map(|line| match alignment.of(line) {
            LineMatch::With(local) => Some((local as usize, line)),
            LineMatch::New | LineMatch::Elsewhere => None,
        })
    }

    /// Takes the lines of A before the line `end`, none of which B has here.
    fn of_a_up_to(&mut self, end: usize) -> Result<()> {
        while self.in_a.next < end {
            let (line, log, is_row) = self.in_a.step();
            let is_moved = self.moved.get_mut(&self.in_a.side.ids[line]).filter(|left| **left > 0);
            if let Some(left) = is_moved {
                // B has the line elsewhere, where it is counted.
                *left -= 1;
                continue;
            }
            if let (Some(id), Some(diff)) = (&self.ids[log], &mut self.diffs[log]) {
                diff.only_in_a.add(is_row);
                if let Some(take) = &mut self.take {
                    let text = self.in_a.reader.line(line)?.bytes;
                    take(DiffLine { log: id, difference: Difference::OnlyInA, is_row, text })?;
                }
            }
        }
        Ok(())
    }

    /// Takes the lines of B before the line `end`, none of which A has here.
    fn of_b_up_to(&mut self, end: usize, alignment: &Alignment) -> Result<()> {
        while self.in_b.next < end {
            let is_elsewhere = alignment.of(self.in_b.next) == LineMatch::Elsewhere;
            self.of_b(if is_elsewhere { Difference::Reordered } else { Difference::OnlyInB })?;
        }
        Ok(())
    }

    fn of_b(&mut self, difference: Difference) -> Result<()> {
        let (line, log, is_row) = self.in_b.step();
        if let (Some(id), Some(diff)) = (&self.ids[log], &mut self.diffs[log]) {
            match difference {
                Difference::Reordered => diff.reordered.add(is_row),
                _ => diff.only_in_b.add(is_row),
            }
            if let Some(take) = &mut self.take {
                let text = self.in_b.reader.line(line)?.bytes;
                take(DiffLine { log: id, difference, is_row, text })?;
            }
        }
        Ok(())
    }

    /// Counts a line that both have here.
    fn in_both(&mut self) {
        let (_, log, is_row) = self.in_a.step();
        self.in_b.step();
        if let Some(diff) = &mut self.diffs[log] {
            diff.same.add(is_row);
        }
    }
}
