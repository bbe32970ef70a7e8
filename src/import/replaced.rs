//! Saves the rows that writers add to a log while its new version waits, and in the moment in which it is replaced. Only
//! logs without a lock have any.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use super::lock::Clock;
use crate::error::{Error, IoAction, Result};
use crate::sources::is_same_file;

/// How often a log that has no lock is looked at again after it was replaced, and how long to wait in between: longer
/// than a writer takes from opening it to writing its row.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(2);

/// How many replaced logs are kept open to the end.
const MOST_OPEN: usize = 256;

/// A log that was, still open, and the one that is in its place.
#[derive(Debug)]
pub(super) struct Replaced {
    old: fs::File,
    /// How much of the old one the new one has.
    seen: u64,
    new: PathBuf,
}

/// What is carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Whole lines, to a file that nobody else has: a writer may be amid the last one.
    Lines,
    /// Whole lines, unless a writer is amid one in the new log too.
    LinesBetweenLines,
    All,
}

impl Replaced {
    /// Opens the log at `path`, which is about to be replaced by one that has its first `seen` bytes. `None` when it
    /// is gone.
    pub(super) fn open(path: &Path, seen: u64) -> Result<Option<Self>> {
        match fs::File::open(path) {
            Ok(old) => Ok(Some(Self { old, seen, new: path.to_owned() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(IoAction::Open, path, error)),
        }
    }

    /// Whether what was seen of it ends with a whole line, so that what comes behind can be added anywhere.
    pub(super) fn was_whole(&mut self) -> Result<bool> {
        let last = byte_before(&mut self.old, self.seen);
        let last = last.map_err(|error| Error::io(IoAction::Read, &self.new, error))?;
        Ok(last.is_none_or(|byte| byte == b'\n'))
    }

    /// Whether it is the file at `path`.
    pub(super) fn is_at(&self, path: &Path) -> Result<bool> {
        let same = self.old.metadata().and_then(|old| Ok(is_same_file(&old, &fs::metadata(path)?)));
        same.map_err(|error| Error::io(IoAction::Open, &self.new, error))
    }

    /// Adds to the new log, which still waits at `waiting`, the lines that were added to the old one meanwhile.
    pub(super) fn carry_to(&mut self, waiting: &Path) -> Result<()> {
        self.carry_part(waiting, Part::Lines)
    }

    /// Adds to the new log the lines that were added to the old one since it was looked at last.
    pub(super) fn carry_late_lines(&mut self) -> Result<()> {
        self.carry_part(&self.new.clone(), Part::LinesBetweenLines)
    }

    /// Adds everything that was added to the old one since it was looked at last.
    pub(super) fn carry_all(&mut self) -> Result<()> {
        self.carry_part(&self.new.clone(), Part::All)
    }

    fn carry_part(&mut self, new: &Path, part: Part) -> Result<()> {
        self.carry(new, part).map_err(|error| Error::io(IoAction::Write, &self.new, error))
    }

    fn carry(&mut self, new: &Path, part: Part) -> io::Result<()> {
        if self.old.metadata()?.len() <= self.seen {
            return Ok(());
        }
        let begins_line = byte_before(&mut self.old, self.seen)?.is_none_or(|byte| byte == b'\n');
        let mut late = Vec::new();
        self.old.seek(SeekFrom::Start(self.seen))?;
        self.old.read_to_end(&mut late)?;
        if part != Part::All {
            late.truncate(memchr::memrchr(b'\n', &late).map_or(0, |end| end + 1));
        }
        if late.is_empty() {
            return Ok(());
        }
        let mut new = fs::OpenOptions::new().read(true).append(true).open(new)?;
        let end = new.metadata()?.len();
        let glues = byte_before(&mut new, end)?.is_some_and(|byte| byte != b'\n');
        if glues && part == Part::LinesBetweenLines {
            return Ok(());
        }
        self.seen += late.len() as u64;
        if begins_line && glues {
            late.insert(0, b'\n');
        }
        // One write, so that it does not mix with those of others.
        new.write_all(&late)?;
        new.sync_all()
    }
}

/// The logs that were replaced.
#[derive(Debug, Default)]
pub(super) struct AllReplaced {
    logs: Vec<Replaced>,
    /// Whether there is one whose writers take no lock.
    any_without_lock: bool,
}

impl AllReplaced {
    /// Adds one that was replaced just now. Where too many are open, those before it are done with first.
    pub(super) fn push(&mut self, mut replaced: Replaced, has_lock: bool, clock: &dyn Clock) -> Result<()> {
        let late = replaced.carry_late_lines();
        let before = if self.logs.len() < MOST_OPEN { Ok(()) } else { std::mem::take(self).carry_late_rows(clock) };
        self.any_without_lock |= !has_lock;
        self.logs.push(replaced);
        late.and(before)
    }

    /// Carries over what writers add who had opened a log before it was replaced, until none of them can be left.
    pub(super) fn carry_late_rows(self, clock: &dyn Clock) -> Result<()> {
        let mut logs = self.logs;
        let mut carried = Ok(());
        for _ in 0..if self.any_without_lock { LOOKS } else { 0 } {
            carried = carried.and(each(&mut logs, Replaced::carry_late_lines));
            clock.sleep(PAUSE);
        }
        carried.and(each(&mut logs, Replaced::carry_all))
    }
}

/// Does it with each log, also with those behind one that fails.
fn each(logs: &mut [Replaced], carry: impl FnMut(&mut Replaced) -> Result<()>) -> Result<()> {
    logs.iter_mut().map(carry).fold(Ok(()), Result::and)
}

/// The byte that ends at `offset`, if there is one.
fn byte_before(file: &mut fs::File, offset: u64) -> io::Result<Option<u8>> {
    let Some(at) = offset.checked_sub(1) else { return Ok(None) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    Ok(Some(byte[0]))
}

#[cfg(test)]
mod tests;
