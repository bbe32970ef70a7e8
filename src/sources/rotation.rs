//! The model of rotation: the exact change that Patchwork makes to a long log before it appends the next row.
//!
//! A writer that finds its log longer than [`MAX_LOG_BYTES`] decodes it as UTF-8 (each maximal invalid part becomes
//! U+FFFD), splits it at line feeds, drops the lines that JavaScript's `trim` leaves empty, and keeps the newest lines:
//! at most [`MAX_LOG_LINES`], halved until they fit in [`MAX_LOG_UNITS`]. It counts the UTF-16 code units of the lines
//! and one for each line feed. A log with text beyond ASCII can therefore be too long in bytes and short enough in
//! units: it is then rewritten at every append, and loses no row.
//!
//! [`rotate`] and [`NewestLines`] give the bytes that a writer leaves; [`LineSizes`] forecasts the same from the sizes
//! of lines alone. All three rest on one halving rule.
//!
//! Not in the model: Node cannot read a file of more than 2^29 - 24 code units into a string. Its writers leave a log
//! of that size as it is.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::format::line::is_blank;
use crate::lines::{LineCount, lines_of};

/// The longest log, in bytes, that is not rotated.
pub const MAX_LOG_BYTES: u64 = 1 << 20;

/// The most lines that rotation keeps.
pub const MAX_LOG_LINES: usize = 10_000;

/// The longest text that rotation keeps, in UTF-16 code units, line feeds included.
pub const MAX_LOG_UNITS: u64 = 1 << 20;

/// The longest text that an archive keeps, in UTF-16 code units, line feeds included.
pub const MAX_ARCHIVE_UNITS: u64 = 8 << 20;

/// The way in which the writers of a source rotate its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationKind {
    /// The oldest lines move to the archive. A line that alone is too long is deleted.
    Archives,
    /// The oldest lines are deleted, and so is a line that alone is too long.
    Deletes,
    /// The oldest lines are deleted. The newest one stays, however long it is.
    KeepsNewest,
}

/// Returns the number of lines that are left of `lines` after halving, if the newest `fitting` of them are the most
/// that fit. At least one is left.
fn halved(lines: u64, fitting: u64) -> u64 {
    let mut left = lines;
    while left > fitting && left > 1 {
        left /= 2;
    }
    left
}

/// Returns how many lines fit in `limit` units, given the units of each, newest first, without its line feed.
fn fitting(units: impl Iterator<Item = u64>, limit: u64) -> u64 {
    let mut total = 0;
    let fits = |units: &u64| {
        total += units + 1;
        total <= limit
    };
    units.take_while(fits).count() as u64
}

/// The lines that rotation keeps of a log.
struct Kept {
    /// The lines before a line that alone is too long is taken off. All older ones are dropped.
    halved: u64,
    /// The lines that are written.
    lines: u64,
}

/// Applies the rule for a log of `lines` lines that are not blank. `units` has the sizes of the newest ones: all, or
/// at least [`MAX_LOG_LINES`].
fn kept_of_log(kind: RotationKind, lines: u64, units: impl Iterator<Item = u64>) -> Kept {
    let fitting = fitting(units, MAX_LOG_UNITS);
    let halved = halved(lines.min(MAX_LOG_LINES as u64), fitting);
    let is_too_long = halved == 1 && fitting == 0;
    Kept { halved, lines: if is_too_long && kind != RotationKind::KeepsNewest { 0 } else { halved } }
}

/// Applies the rule for an archive of `lines` lines that are not blank. `units` has the sizes of the newest ones: all,
/// or more than fit.
fn kept_of_archive(lines: u64, units: impl Iterator<Item = u64>) -> u64 {
    halved(lines, fitting(units, MAX_ARCHIVE_UNITS))
}

/// The size of a line as its writers count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSize {
    /// UTF-16 code units, without the line feed.
    pub units: u64,
    /// Whether nothing is left of it after JavaScript's `trim`.
    pub is_blank: bool,
    /// Whether it is valid UTF-8. Otherwise rotation replaces the invalid parts.
    pub is_utf8: bool,
}

impl LineSize {
    /// Measures a line, given without its line feed.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        if line.is_ascii() {
            return Self {
                units: line.len() as u64,
                is_blank: is_blank(&String::from_utf8_lossy(line)),
                is_utf8: true,
            };
        }
        let text = String::from_utf8_lossy(line);
        Self { units: units(&text), is_blank: is_blank(&text), is_utf8: matches!(text, Cow::Borrowed(_)) }
    }
}

/// Returns the number of UTF-16 code units.
fn units(text: &str) -> u64 {
    let units = |byte: u8| u64::from(byte & 0xc0 != 0x80) + u64::from(byte >= 0xf0);
    text.bytes().map(units).sum()
}

/// The newest lines of a log that is given line by line, as text: what a rotation of it writes. Holds about
/// [`MAX_LOG_UNITS`], however long the log is.
#[derive(Debug, Clone)]
pub struct NewestLines {
    kind: RotationKind,
    /// The units of the newest lines that are not blank.
    sizes: VecDeque<u64>,
    /// The text of those of them that fit, and of the newest one in any case.
    texts: VecDeque<String>,
    /// The units of these, with line feeds.
    held: u64,
    dropped: u64,
}

impl NewestLines {
    /// Starts before the first line.
    #[must_use]
    pub fn new(kind: RotationKind) -> Self {
        Self { kind, sizes: VecDeque::new(), texts: VecDeque::new(), held: 0, dropped: 0 }
    }

    /// Adds the next line of the log, given without its line feed.
    pub fn push(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if is_blank(&text) {
            return;
        }
        let units = units(&text);
        self.sizes.push_back(units);
        self.texts.push_back(text.into_owned());
        self.held += units + 1;
        while self.texts.len() > MAX_LOG_LINES || self.texts.len() > 1 && self.held > MAX_LOG_UNITS {
            self.held -= self.sizes[self.sizes.len() - self.texts.len()] + 1;
            self.texts.pop_front();
        }
        if self.sizes.len() > MAX_LOG_LINES {
            self.sizes.pop_front();
            self.dropped += 1;
        }
    }

    /// Returns true if older lines, whatever they are, cannot change the result. Whoever reads a log from somewhere
    /// in its middle on has then read enough of it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.sizes.len() == MAX_LOG_LINES
    }

    /// Returns the number of lines, blank ones not counted, that rotation takes off the log.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped + self.sizes.len() as u64 - self.kept().lines
    }

    fn kept(&self) -> Kept {
        kept_of_log(self.kind, self.sizes.len() as u64, self.sizes.iter().rev().copied())
    }

    /// Returns the bytes that a writer leaves, before it appends its row.
    #[must_use]
    pub fn into_log(self) -> Vec<u8> {
        let kept = usize::try_from(self.kept().lines).unwrap_or(usize::MAX).min(self.texts.len());
        let texts: Vec<&str> = self.texts.range(self.texts.len() - kept..).map(String::as_str).collect();
        // The writers of these logs add the line feed to nothing, too.
        if texts.is_empty() && self.kind != RotationKind::KeepsNewest {
            return Vec::new();
        }
        (texts.join("\n") + "\n").into_bytes()
    }
}

/// A log and its archive after a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The bytes of the log, before the row is appended.
    pub log: Vec<u8>,
    /// The lines that are no longer in the log, oldest first, as they are decoded.
    pub dropped: Vec<String>,
    /// The bytes of the archive. `None` if it is not touched.
    pub archive: Option<Vec<u8>>,
}

/// Rotates a log that is in memory. Returns `None` if it is not long enough for that.
///
/// `archive` has the bytes of the archive; it is empty where there is none, and unused but with
/// [`RotationKind::Archives`].
#[must_use]
pub fn rotate(kind: RotationKind, log: &[u8], archive: &[u8]) -> Option<Rotated> {
    if log.len() as u64 <= MAX_LOG_BYTES {
        return None;
    }
    let mut lines = text_lines(log);
    let kept = kept_of_log(kind, lines.len() as u64, lines.iter().rev().map(|line| units(line)));
    let mut newest = NewestLines::new(kind);
    lines_of(log).for_each(|line| newest.push(line.bytes));
    let split = |lines: &mut Vec<String>, kept: u64| {
        lines.split_off(lines.len() - usize::try_from(kept).unwrap_or(usize::MAX).min(lines.len()))
    };
    let rest = split(&mut lines, kept.halved);
    let archive = (kind == RotationKind::Archives && !lines.is_empty()).then(|| {
        let mut archived = text_lines(archive);
        archived.extend(lines.iter().cloned());
        let kept = kept_of_archive(archived.len() as u64, archived.iter().rev().map(|line| units(line)));
        (split(&mut archived, kept).join("\n") + "\n").into_bytes()
    });
    if kept.lines == 0 {
        lines.extend(rest);
    }
    Some(Rotated { log: newest.into_log(), dropped: lines, archive })
}

/// The lines that are not blank, decoded.
fn text_lines(log: &[u8]) -> Vec<String> {
    let lines = lines_of(log).map(|line| String::from_utf8_lossy(line.bytes));
    lines.filter(|line| !is_blank(line)).map(Cow::into_owned).collect()
}

/// The change that Patchwork's next write makes to a log, because the log is too long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Lines that the log loses, blank ones not counted.
    pub trimmed: LineCount,
    /// Lines that it keeps.
    pub left: LineCount,
    /// The archive to which trimmed lines are moved, if any are.
    pub moved_to: Option<&'static str>,
    /// Trimmed lines that are in the archive afterwards. All others are gone.
    pub moved: LineCount,
    /// Lines that the archive has and loses, because it becomes too long in turn. They are gone.
    pub lost_from_archive: LineCount,
    /// Blank lines that the log, and the archive if it is rewritten, lose.
    pub blank: u64,
    /// Whether lines that stay, in the log or in the archive, are not valid UTF-8, so that they are changed for good.
    pub replaces_invalid_utf8: bool,
}

impl Rotation {
    /// Returns the lines that are in neither log afterwards.
    #[must_use]
    pub fn deleted(&self) -> LineCount {
        let mut deleted = self.trimmed.minus(self.moved);
        deleted += self.lost_from_archive;
        deleted
    }
}

/// The sizes of a log's lines, so far as a forecast of rotation needs them: those of the newest ones, and how many
/// there are before. Takes a few bytes for each of the newest 10,000 lines, or for each of the newest 9 MiB.
#[derive(Debug, Clone, Default)]
pub struct LineSizes {
    /// All lines that are not blank.
    lines: LineCount,
    blank: u64,
    newest: VecDeque<Packed>,
    /// The sum of [`Packed::capped`].
    held: u64,
}

/// The units of a line that is not blank, whether it is a row, and whether it is valid UTF-8.
#[derive(Debug, Clone, Copy)]
struct Packed(u32);

impl Packed {
    const ROW: u32 = 1;
    const INVALID: u32 = 2;
    const SHIFT: u32 = 2;

    fn new(size: LineSize, is_row: bool) -> Self {
        let units = u32::try_from(size.units).unwrap_or(u32::MAX).min(u32::MAX >> Self::SHIFT);
        let row = if is_row { Self::ROW } else { 0 };
        let invalid = if size.is_utf8 { 0 } else { Self::INVALID };
        Self((units << Self::SHIFT) | row | invalid)
    }

    fn units(self) -> u64 {
        u64::from(self.0 >> Self::SHIFT)
    }

    fn is_row(self) -> bool {
        self.0 & Self::ROW != 0
    }

    fn is_utf8(self) -> bool {
        self.0 & Self::INVALID == 0
    }

    /// The units with the line feed, but no more than a log keeps. The lines that a log keeps have at most
    /// [`MAX_LOG_UNITS`] of these, even where one of them alone is too long.
    fn capped(self) -> u64 {
        (self.units() + 1).min(MAX_LOG_UNITS)
    }
}

impl LineSizes {
    /// Adds the next line.
    pub fn push(&mut self, size: LineSize, is_row: bool) {
        if size.is_blank {
            self.blank += 1;
            return;
        }
        self.lines.add(is_row);
        self.hold(Packed::new(size, is_row));
        self.forget();
    }

    /// Adds all lines of another log after these.
    pub fn append(&mut self, next: &Self) {
        self.lines += next.lines;
        self.blank += next.blank;
        next.newest.iter().for_each(|line| self.hold(*line));
        self.forget();
    }

    fn hold(&mut self, line: Packed) {
        self.held += line.capped();
        self.newest.push_back(line);
    }

    /// Forgets the lines that no forecast needs: a log keeps at most 10,000 lines and 1 MiB, and the archive at most
    /// 8 MiB of those before.
    fn forget(&mut self) {
        while let Some(oldest) = self.newest.front().copied()
            && self.newest.len() > MAX_LOG_LINES
            && self.held - oldest.capped() >= MAX_LOG_UNITS + MAX_ARCHIVE_UNITS
        {
            self.held -= oldest.capped();
            self.newest.pop_front();
        }
    }

    fn is_whole(&self) -> bool {
        self.newest.len() as u64 == self.lines.all()
    }

    /// Forecasts the change that the next write makes to a log of these lines and so many bytes. Returns `None` if it
    /// loses no line and none of its lines is changed.
    ///
    /// `archive` has the name and the lines of the archive; it is unused but with [`RotationKind::Archives`].
    #[must_use]
    pub fn forecast(&self, kind: RotationKind, bytes: u64, archive: Option<(&'static str, &Self)>) -> Option<Rotation> {
        if bytes <= MAX_LOG_BYTES {
            return None;
        }
        let newest_first = || self.newest.iter().rev().copied();
        let kept = kept_of_log(kind, self.lines.all(), newest_first().map(Packed::units));
        let at = |lines: u64| usize::try_from(lines).unwrap_or(usize::MAX);
        let left = Summary::of(newest_first().take(at(kept.lines)));
        let mut rotation = Rotation {
            trimmed: self.lines.minus(left.lines),
            left: left.lines,
            blank: self.blank,
            replaces_invalid_utf8: left.has_invalid_utf8,
            ..Rotation::default()
        };
        let dropped = self.lines.all() - kept.halved;
        if let Some((name, archive)) = archive.filter(|_| kind == RotationKind::Archives && dropped > 0) {
            // Older lines than those that are held do not fit.
            let older = archive.newest.iter().rev().copied().take(if self.is_whole() { usize::MAX } else { 0 });
            let archived = || newest_first().skip(at(kept.halved)).chain(older.clone());
            let kept = kept_of_archive(dropped + archive.lines.all(), archived().map(Packed::units));
            let moved = Summary::of(archived().take(at(kept.min(dropped))));
            let stays = Summary::of(archived().skip(at(dropped)).take(at(kept.saturating_sub(dropped))));
            rotation.moved_to = Some(name);
            rotation.moved = moved.lines;
            rotation.lost_from_archive = archive.lines.minus(stays.lines);
            rotation.blank += archive.blank;
            rotation.replaces_invalid_utf8 |= moved.has_invalid_utf8 || stays.has_invalid_utf8;
        }
        let is_harmless = rotation.trimmed.all() + rotation.blank == 0 && !rotation.replaces_invalid_utf8;
        (!is_harmless).then_some(rotation)
    }
}

/// What some lines are, together.
#[derive(Default)]
struct Summary {
    lines: LineCount,
    has_invalid_utf8: bool,
}

impl Summary {
    fn of(lines: impl Iterator<Item = Packed>) -> Self {
        let mut summary = Self::default();
        for line in lines {
            summary.lines.add(line.is_row());
            summary.has_invalid_utf8 |= !line.is_utf8();
        }
        summary
    }
}
