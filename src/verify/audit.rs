//! Puts the checked parts in order, and holds them against the manifest.

use std::io::Read;
use std::ops::Range;

use super::finding::{Finding, FindingKind, Mismatch};
use super::findings::Findings;
use super::log::LogVerifier;
use super::manifest::{ManifestCheck, unparsed_rows};
use super::table::{damage, table_mismatches};
use super::{FileReport, Verdict, VerifyOptions, VerifyReport};
use crate::bundle::ChunkRef;
use crate::error::{GzipFault, ManifestFault, Position, RowFault};
use crate::format::Manifest;
use crate::gzip::{Anomaly, BlockEnd, LastBlock, StreamKind, Tail};
use crate::scan::rows::{LastRuns, LineFault, PartLines, Problem, ReadPart, RowRun, ScanContext};
use crate::scan::{Part, Scan, TextDigest};

/// Takes what a log restores to, piece by piece, with its index into the manifest's `files`.
pub(super) type RestoredBytes<'a> = dyn FnMut(usize, &[u8]) + 'a;

/// What was checked so far.
pub(super) struct Audit<'a> {
    manifest: Option<&'a Manifest>,
    chunk_refs: &'a [ChunkRef],
    known: &'a ScanContext<'a>,
    findings: Findings<'a>,
    restored: &'a mut RestoredBytes<'a>,
    open: Option<LogVerifier<'a>>,
    files: Vec<FileReport>,
    rows: u64,
    /// The line of the text that comes next, from 1.
    line: u64,
    text: TextDigest,
    /// Chunks that are nowhere, and were not told yet: more of them may follow.
    missing: Range<usize>,
}

impl<'a> Audit<'a> {
    pub(super) fn new(
        name: &'a str,
        known: &'a ScanContext<'a>,
        look: &ManifestCheck,
        tell: &'a mut dyn FnMut(Finding),
        restored: &'a mut RestoredBytes<'a>,
    ) -> Self {
        Self {
            manifest: known.manifest.as_ref().map(|(manifest, _)| *manifest),
            chunk_refs: known.chunk_refs,
            known,
            findings: Findings::new(name, tell),
            restored,
            open: None,
            files: Vec::new(),
            rows: 0,
            line: 2,
            text: look.text,
            missing: 0..0,
        }
    }

    /// What shows before the first row.
    pub(super) fn check_start<R: Read>(&mut self, scan: &Scan<R>, look: &ManifestCheck, options: &VerifyOptions) {
        let has_table = self.manifest.is_some_and(|manifest| manifest.version().1 > 0 && manifest.has_chunk_table());
        let is_recompressed = has_table && scan.content == StreamKind::Gzip && !scan.has_blocks();
        for (odd, byte) in &scan.anomalies {
            // Which header a 1.0 bundle has is not laid down, and another program that compresses writes its own.
            if *odd != Anomaly::ForeignHeader || has_table && !is_recompressed {
                self.odd(odd.clone(), *byte);
            }
        }
        let at_line_1 = || Position { line: Some(1), ..Position::default() };
        if is_recompressed {
            self.findings.add(FindingKind::Recompressed, Position::default());
        }
        if scan.content == StreamKind::Plain {
            self.findings.add(FindingKind::NotCompressed, Position::default());
        }
        for fault in &look.faults {
            self.findings.add(FindingKind::Manifest(fault.clone()), Position { file: file_of(fault), ..at_line_1() });
        }
        if look.manifest.is_none() {
            self.findings.add(FindingKind::NoManifest, at_line_1());
        }
        if !look.is_terminated {
            self.line_feed_missing(1, false);
        }
        if let Some((expected, found)) = options.expect.zip(look.digest)
            && let Some(mismatch) = Mismatch::between(expected, found)
        {
            self.findings.add(FindingKind::Digest(mismatch), at_line_1());
        }
        self.check_files(options);
    }

    fn check_files(&mut self, options: &VerifyOptions) {
        let Some(manifest) = self.manifest else { return };
        if manifest.version().1 == 0 {
            self.findings.add(FindingKind::WithoutHashes, Position { line: Some(1), ..Position::default() });
            // Each file has a finding of its own below. Without files, the bundle has no hashes all the same.
            if options.require_hashes && manifest.files.is_empty() {
                self.findings.add(FindingKind::NoHash, Position { line: Some(1), ..Position::default() });
            }
        }
        for file in &manifest.files {
            let at = || Position { file: Some(file.relative_path.to_string()), line: Some(1), ..Position::default() };
            if options.require_hashes && file.integrity().is_none() {
                self.findings.add(FindingKind::NoHash, at());
            }
            for log_line in unparsed_rows(file) {
                self.findings.add(FindingKind::UnparsedIsRow { log_line }, at());
            }
        }
    }

    /// Takes the next part.
    pub(super) fn take(&mut self, read: ReadPart) {
        if let ReadPart::Other(Part::Missing(chunk_refs)) = &read
            && self.missing.end == chunk_refs.start
        {
            self.missing.end = chunk_refs.end;
            return;
        }
        self.tell_missing();
        match read {
            ReadPart::PartLines(lines) => self.take_part(*lines),
            ReadPart::Saved(saved) => saved.into_iter().for_each(|lines| self.take_part(lines)),
            ReadPart::Other(Part::Odd(odd, byte)) => self.odd(odd, byte),
            ReadPart::Other(Part::Tail(tail)) => self.take_tail(tail),
            ReadPart::Other(Part::Missing(chunk_refs)) => self.missing = chunk_refs,
            ReadPart::Other(_) => {
                self.findings.add(FindingKind::LineTooLong, Position { line: Some(self.line), ..Position::default() });
                self.line = self.line.saturating_add(1);
                self.text.lose();
                self.break_log();
            }
        }
    }

    fn odd(&mut self, odd: Anomaly, byte: u64) {
        let kind = match odd {
            Anomaly::Fault(fault) => FindingKind::Gzip(fault),
            Anomaly::ForeignHeader => FindingKind::ForeignHeader,
            Anomaly::FurtherMember => FindingKind::FurtherMember,
            Anomaly::Padding { bytes } => FindingKind::Padding { bytes },
        };
        self.findings.add(kind, Position { byte: Some(byte), ..Position::default() });
    }

    fn take_tail(&mut self, tail: Tail) {
        let at = |byte| Position { byte: Some(byte), ..Position::default() };
        match tail.last_block {
            LastBlock::AsWritten => {}
            LastBlock::Other => self.findings.add(FindingKind::LastBlock, at(tail.offset)),
            LastBlock::Damaged => self.findings.add(FindingKind::Gzip(GzipFault::Deflate), at(tail.offset)),
        }
        for fault in self.text.faults(&tail) {
            self.findings.add(FindingKind::Gzip(fault), at(tail.trailer_offset()));
        }
    }

    /// Tells of the chunks that are nowhere: those of one log together.
    fn tell_missing(&mut self) {
        let chunk_refs = &self.chunk_refs[std::mem::take(&mut self.missing)];
        for of_log in chunk_refs.chunk_by(|a, b| a.file == b.file) {
            let (Some(first), Some(last)) = (of_log.first(), of_log.last()) else { continue };
            self.enter(first.file);
            let rows = (first.first_row, last.row_range().1);
            let at = Position { line: Some(self.line), ..self.at_rows(first.file, rows) };
            let chunks = (first.chunk as u64 + 1, last.chunk as u64 + 1);
            let rows = of_log.iter().fold(0, |rows: u64, slot| rows.saturating_add(slot.rows));
            self.findings.add(FindingKind::ChunksMissing { first: chunks.0, last: chunks.1, rows }, at);
            for slot in of_log {
                self.lose(slot);
            }
        }
    }

    fn lose(&mut self, slot: &ChunkRef) {
        self.line = self.line.saturating_add(slot.rows);
        self.text.lose();
        self.break_log();
    }

    fn break_log(&mut self) {
        if let Some(log) = &mut self.open {
            log.is_whole = false;
        }
    }

    fn at_slot(&self, slot: &ChunkRef) -> Position {
        self.at_rows(slot.file, slot.row_range())
    }

    fn at_rows(&self, file: usize, rows: (u64, u64)) -> Position {
        let file = self.manifest.map(|manifest| manifest.files[file].relative_path.to_string());
        Position { file, rows: Some(rows), ..Position::default() }
    }

    /// Takes a part, and reads it on where it has more than is kept at once.
    fn take_part(&mut self, mut lines: PartLines) {
        if lines.is_block && !self.may_take_block(&lines) {
            return;
        }
        while let Some(rest) = lines.rest.take() {
            self.take_lines(&lines);
            lines = self.known.read_on(*rest);
        }
        // What binds the part as a whole is told before what is wrong with its lines, if that is not told yet.
        self.compare_with_table(&lines);
        self.take_lines(&lines);
        self.line = self.line.saturating_add(lines.count);
        if !lines.ends_with_line_feed {
            self.line_feed_missing(self.line - 1, lines.is_block);
        }
        lines.runs.into_iter().for_each(|run| self.known.buffers.put(run.rows.into_memory()));
    }

    /// Reports that a line has no line feed. Text has such a line only at its end.
    fn line_feed_missing(&mut self, line: u64, is_block: bool) {
        let is_harmless = !is_block && self.manifest.is_some_and(Manifest::may_lack_last_line_feed);
        let kind = if is_harmless { FindingKind::LastLineFeedMissing } else { FindingKind::NoLineFeed };
        self.findings.add(kind, Position { line: Some(line), ..Position::default() });
    }

    /// Whether the rows of a block can be taken: it is no damage.
    fn may_take_block(&mut self, lines: &PartLines) -> bool {
        if lines.end != BlockEnd::FlushPoint && lines.is_guess {
            return false; // that there is damage is known
        }
        let slot = lines.slot.map(|slot| self.chunk_refs[slot]);
        let mut at = slot.map_or_else(Position::default, |slot| self.at_slot(&slot));
        (at.line, at.byte) = (Some(self.line), lines.offset);
        if let Some(slot) = &slot {
            self.enter(slot.file);
        } else if self.manifest.is_some() {
            self.findings.add(FindingKind::NotInTable, at.clone());
        }
        if let Some(kind) = damage(lines, slot.as_ref()) {
            if let BlockEnd::Damage { at: byte } = lines.end {
                at.byte = lines.offset.map(|offset| offset + byte);
            }
            self.findings.add(kind, at);
            self.text.lose();
            if let Some(slot) = &slot {
                self.lose(slot);
            }
            return false;
        }
        self.text.add(lines);
        if let Some(slot) = &slot
            && let Some(log) = self.open.as_mut().filter(|log| !log.is_whole)
        {
            log.place = slot.first_row;
        }
        true
    }

    fn compare_with_table(&mut self, lines: &PartLines) {
        let Some(slot) = lines.slot.map(|slot| self.chunk_refs[slot]) else { return };
        let at = Position { line: Some(self.line), byte: lines.offset, ..self.at_slot(&slot) };
        for mismatch in table_mismatches(lines, &slot) {
            self.findings.add(FindingKind::Chunk { chunk: slot.chunk as u64 + 1, mismatch }, at.clone());
        }
    }

    fn take_lines(&mut self, lines: &PartLines) {
        let mut problems = lines.problems.iter().peekable();
        let last_runs = LastRuns::of(lines.runs.iter(), |run| run.file.index);
        for (index, run) in lines.runs.iter().enumerate() {
            while let Some(problem) = problems.next_if(|problem| problem.line < run.first_line) {
                self.no_row(problem, lines);
            }
            let is_taken = match run.file.index {
                Some(file) => !self.is_interleaved(file, index, &last_runs) && self.enter(file),
                None => true,
            };
            let end = run.first_line + run.rows.len();
            while let Some(problem) = problems.next_if(|problem| problem.line < end) {
                self.row_problem(problem, run, lines);
            }
            match is_taken {
                true => self.push(run),
                false => self.refuse(run, lines),
            }
        }
        problems.for_each(|problem| self.no_row(problem, lines));
    }

    fn push(&mut self, run: &RowRun) {
        self.rows += run.rows.len();
        if let Some(log) = &mut self.open {
            let index = log.index;
            log.push(run, &mut |bytes| (self.restored)(index, bytes));
        }
    }

    fn is_interleaved(&self, file: usize, run: usize, last_runs: &LastRuns<Option<usize>>) -> bool {
        self.open.as_ref().is_some_and(|log| last_runs.is_interleaved(run, &Some(file), &Some(log.index)))
    }

    /// Rows that stand where no row of their log may stand.
    fn refuse(&mut self, run: &RowRun, lines: &PartLines) {
        for line in run.first_line..run.first_line + run.rows.len() {
            let fault = RowFault::WrongFile { source: run.file.source.clone(), file: Some(run.file.name.clone()) };
            let at = Position { line: Some(self.line.saturating_add(line)), byte: lines.offset, ..Position::default() };
            self.findings.add(FindingKind::Row(fault), at);
        }
    }

    /// A line that is no row takes the place of one.
    fn no_row(&mut self, problem: &Problem, lines: &PartLines) {
        self.break_log();
        let place = self.open.as_ref().map(|log| log.place);
        self.tell(problem, place, lines);
        if let Some(log) = &mut self.open {
            log.place = log.place.saturating_add(1);
        }
    }

    fn row_problem(&mut self, problem: &Problem, run: &RowRun, lines: &PartLines) {
        let place = self.open.as_ref().map(|log| log.place.saturating_add(problem.line - run.first_line));
        self.tell(problem, place, lines);
    }

    fn tell(&mut self, problem: &Problem, row: Option<u64>, lines: &PartLines) {
        let kind = match &problem.fault {
            LineFault::NoRow(fault) => FindingKind::Row(fault.clone()),
            LineFault::Entry(fault) => FindingKind::Entry(fault.clone()),
        };
        let at = Position {
            file: self.open.as_ref().map(|log| log.file.relative_path.to_string()),
            rows: row.map(|row| (row, row)),
            line: Some(self.line.saturating_add(problem.line)),
            byte: lines.offset.map(|offset| if lines.is_block { offset } else { offset + problem.at }),
            ..Position::default()
        };
        self.findings.add(kind, at);
    }

    /// Goes on to a file of the manifest, and ends those before. `false` when it was ended already.
    fn enter(&mut self, file: usize) -> bool {
        while self.open.as_ref().map_or(self.files.len(), |log| log.index) < file {
            self.go_on();
        }
        if self.open.is_none() {
            self.go_on();
        }
        self.open.as_ref().is_some_and(|log| log.index == file)
    }

    /// Ends the open log, if there is one, and opens the next.
    fn go_on(&mut self) {
        if let Some(log) = self.open.take() {
            let name = log.file.relative_path.to_string();
            let Self { findings, restored, .. } = self;
            let index = log.index;
            let at = || Position { file: Some(name.clone()), ..Position::default() };
            self.files.push(log.finish(&mut |bytes| restored(index, bytes), |kind| findings.add(kind, at())));
        }
        let next = self.files.len();
        let file = self.manifest.and_then(|manifest| manifest.files.get(next));
        self.open = file.map(|file| LogVerifier::new(next, file));
    }

    /// Ends all logs, and judges.
    pub(super) fn finish(mut self, look: &ManifestCheck, options: &VerifyOptions) -> VerifyReport {
        self.tell_missing();
        while self.open.is_some() || self.manifest.is_some_and(|manifest| self.files.len() < manifest.files.len()) {
            self.go_on();
        }
        let version = self.manifest.map(Manifest::version);
        let verdict = match (self.findings.is_damaged, version) {
            (true, _) | (_, None) => Verdict::Damaged,
            (false, Some((_, 0))) => Verdict::IntactWithoutHashes,
            (false, _) if self.findings.is_foreign => Verdict::IntactRecompressed,
            (false, _) => Verdict::Intact,
        };
        VerifyReport {
            digest: look.digest,
            version,
            is_expected: options.expect.map(|expected| look.digest == Some(expected)),
            verdict,
            findings: self.findings.counts,
            files: self.files,
            rows: self.rows,
        }
    }
}

/// Which file of the manifest a fault is about.
fn file_of(fault: &ManifestFault) -> Option<String> {
    match fault {
        ManifestFault::Contradiction(contradiction) => contradiction.file().map(str::to_owned),
        _ => None,
    }
}
