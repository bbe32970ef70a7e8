//! Processes the checked parts in order and compares them with the manifest.

use std::ops::Range;

use super::finding::{Finding, FindingKind, Mismatch};
use super::findings::Findings;
use super::log::LogVerifier;
use super::manifest::{ManifestCheck, unparsed_rows};
use super::table::{damage, table_mismatches};
use super::{FileReport, Verdict, VerifyOptions, VerifyReport};
use crate::bundle::ChunkRef;
use crate::error::{GzipFault, HistoryFault, ManifestFault, Position, RowFault};
use crate::format::Manifest;
use crate::gzip::{Anomaly, BlockEnd, LastBlock, StreamKind, Tail};
use crate::salvage::{LineFault, PartLines, Problem, ReadPart, RemainingRows, RowRun, ScanContext};
use crate::salvage::{Part, Scan, TextDigest};
#[cfg(feature = "seal")]
use crate::signature::SignatureVerdict;

/// The state of a verification.
pub(super) struct Audit<'a> {
    manifest: Option<&'a Manifest>,
    chunk_refs: &'a [ChunkRef],
    context: &'a ScanContext<'a>,
    findings: Findings<'a>,
    open: Option<LogVerifier<'a>>,
    files: Vec<FileReport>,
    rows: u64,
    /// The next line of the text, from 1.
    line: u64,
    text: TextDigest,
    /// Missing chunks that have not been reported yet, because more may follow.
    missing: Range<usize>,
}

impl<'a> Audit<'a> {
    pub(super) fn new(
        name: &'a str,
        context: &'a ScanContext<'a>,
        checked: &ManifestCheck,
        report: &'a mut dyn FnMut(Finding),
    ) -> Self {
        Self {
            manifest: context.manifest.as_ref().map(|(manifest, _)| *manifest),
            chunk_refs: context.chunk_refs,
            context,
            findings: Findings::new(name, report),
            open: None,
            files: Vec::new(),
            rows: 0,
            line: 2,
            text: checked.text,
            missing: 0..0,
        }
    }

    /// Reports the findings that are known before the first row.
    pub(super) fn check_start(&mut self, scan: &Scan<'_>, checked: &ManifestCheck, options: &VerifyOptions) {
        let has_table = self.manifest.is_some_and(|manifest| manifest.version().1 > 0 && manifest.has_chunk_table());
        let is_recompressed = has_table && scan.content == StreamKind::Gzip && !scan.has_blocks();
        for (anomaly, byte) in &scan.anomalies {
            // The header of a 1.0 bundle is not specified, and a program that recompresses a bundle writes its own.
            if *anomaly != Anomaly::ForeignHeader || has_table && !is_recompressed {
                self.anomaly(anomaly.clone(), *byte);
            }
        }
        let at_line_1 = || Position { line: Some(1), ..Position::default() };
        if is_recompressed {
            self.findings.add(FindingKind::Recompressed, Position::default());
        }
        if scan.content == StreamKind::Plain {
            self.findings.add(FindingKind::NotCompressed, Position::default());
        }
        for fault in &checked.faults {
            self.findings.add(FindingKind::Manifest(fault.clone()), Position { file: file_of(fault), ..at_line_1() });
        }
        if checked.manifest.is_none() {
            self.findings.add(FindingKind::NoManifest, at_line_1());
        }
        if !checked.is_terminated {
            self.line_feed_missing(1, false);
        }
        if let Some((expected, found)) = options.expect.zip(checked.digest)
            && let Some(mismatch) = Mismatch::between(expected, found)
        {
            self.findings.add(FindingKind::Digest(mismatch), at_line_1());
        }
        if let Some(Err(fault)) = check_proof(checked, options) {
            self.findings.add(FindingKind::Proof(fault), at_line_1());
        }
        self.check_files(options);
    }

    /// Reports an invalid signature.
    #[cfg(feature = "seal")]
    pub(super) fn check_signature(&mut self, verdict: Option<&SignatureVerdict>) {
        if let Some(verdict) = verdict.filter(|verdict| !verdict.is_valid()) {
            self.findings.add(FindingKind::Signature(verdict.clone()), Position::default());
        }
    }

    fn check_files(&mut self, options: &VerifyOptions) {
        let Some(manifest) = self.manifest else { return };
        let requires_hashes = options.requires_hashes();
        if manifest.version().1 == 0 {
            self.findings.add(FindingKind::WithoutHashes, Position { line: Some(1), ..Position::default() });
            // Each file without a hash gets a finding below. A bundle without files gets one here.
            if requires_hashes && manifest.files.is_empty() {
                self.findings.add(FindingKind::NoHash, Position { line: Some(1), ..Position::default() });
            }
        }
        for file in &manifest.files {
            let at = || Position { file: Some(file.relative_path.to_string()), line: Some(1), ..Position::default() };
            if requires_hashes && file.integrity().is_none() {
                self.findings.add(FindingKind::NoHash, at());
            }
            for log_line in unparsed_rows(file) {
                self.findings.add(FindingKind::UnparsedIsRow { log_line }, at());
            }
        }
    }

    /// Processes the next part.
    pub(super) fn take(&mut self, read: ReadPart) {
        if let ReadPart::Other(Part::Missing(chunk_refs)) = &read
            && self.missing.end == chunk_refs.start
        {
            self.missing.end = chunk_refs.end;
            return;
        }
        self.report_missing();
        match read {
            ReadPart::Lines(lines) => lines.into_iter().for_each(|lines| self.take_part(lines)),
            ReadPart::Other(Part::Anomaly(anomaly, byte)) => self.anomaly(anomaly, byte),
            ReadPart::Other(Part::Tail(tail)) => self.take_tail(tail),
            ReadPart::Other(Part::Missing(chunk_refs)) => self.missing = chunk_refs,
            ReadPart::Other(_) => {
                self.findings.add(FindingKind::LineTooLong, Position { line: Some(self.line), ..Position::default() });
                self.line = self.line.saturating_add(1);
                self.text.invalidate();
                self.mark_log_incomplete();
            }
        }
    }

    fn anomaly(&mut self, anomaly: Anomaly, byte: u64) {
        let kind = match anomaly {
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

    /// Reports the missing chunks, with one finding per log.
    fn report_missing(&mut self) {
        let chunk_refs = &self.chunk_refs[std::mem::take(&mut self.missing)];
        for of_log in chunk_refs.chunk_by(|a, b| a.file == b.file) {
            let (Some(first), Some(last)) = (of_log.first(), of_log.last()) else { continue };
            self.advance_to(first.file);
            let rows = (first.first_row, last.row_range().1);
            let at = Position { line: Some(self.line), ..self.at_rows(first.file, rows) };
            let chunks = (first.index_in_file as u64 + 1, last.index_in_file as u64 + 1);
            let rows = of_log.iter().fold(0, |rows: u64, chunk| rows.saturating_add(chunk.rows));
            self.findings.add(FindingKind::ChunksMissing { first: chunks.0, last: chunks.1, rows }, at);
            for chunk in of_log {
                self.skip_chunk(chunk);
            }
        }
    }

    fn skip_chunk(&mut self, chunk: &ChunkRef) {
        self.line = self.line.saturating_add(chunk.rows);
        self.text.invalidate();
        self.mark_log_incomplete();
    }

    fn mark_log_incomplete(&mut self) {
        if let Some(log) = &mut self.open {
            log.is_whole = false;
        }
    }

    fn at_chunk(&self, chunk: &ChunkRef) -> Position {
        self.at_rows(chunk.file, chunk.row_range())
    }

    fn at_rows(&self, file: usize, rows: (u64, u64)) -> Position {
        let file = self.manifest.map(|manifest| manifest.files[file].relative_path.to_string());
        Position { file, rows: Some(rows), ..Position::default() }
    }

    /// Processes a part, in several steps if it has more runs or problems than are kept at once.
    fn take_part(&mut self, mut lines: PartLines) {
        if lines.is_block && !self.may_take_block(&lines) {
            return;
        }
        while let Some(rest) = lines.rest.take() {
            self.take_lines(&lines);
            lines = self.context.read_rest(*rest);
        }
        // Report findings about the whole part before those about its lines, or its last lines if there were several
        // steps.
        self.compare_with_table(&lines);
        self.take_lines(&lines);
        self.line = self.line.saturating_add(lines.count);
        if !lines.ends_with_line_feed {
            self.line_feed_missing(self.line - 1, lines.is_block);
        }
        lines.runs.into_iter().for_each(|run| self.context.buffers.put(run.rows.into_memory()));
    }

    /// Reports a missing line feed. In text, only the last line can lack it.
    fn line_feed_missing(&mut self, line: u64, is_block: bool) {
        let is_harmless = !is_block && self.manifest.is_some_and(Manifest::may_lack_last_line_feed);
        let kind = if is_harmless { FindingKind::LastLineFeedMissing } else { FindingKind::NoLineFeed };
        self.findings.add(kind, Position { line: Some(line), ..Position::default() });
    }

    /// Returns true if a block is undamaged, so its rows can be used. Otherwise, reports the damage.
    fn may_take_block(&mut self, lines: &PartLines) -> bool {
        if lines.end != BlockEnd::FlushPoint && lines.is_guess {
            return false; // the damage has already been reported
        }
        let chunk = lines.chunk.map(|chunk| self.chunk_refs[chunk]);
        let mut at = chunk.map_or_else(Position::default, |chunk| self.at_chunk(&chunk));
        (at.line, at.byte) = (Some(self.line), lines.offset);
        if let Some(chunk) = &chunk {
            self.advance_to(chunk.file);
        } else if self.manifest.is_some() {
            self.findings.add(FindingKind::NotInTable, at.clone());
        }
        if let Some(kind) = damage(lines, chunk.as_ref()) {
            if let BlockEnd::Damage { at: byte } = lines.end {
                at.byte = lines.offset.map(|offset| offset + byte);
            }
            self.findings.add(kind, at);
            self.text.invalidate();
            if let Some(chunk) = &chunk {
                self.skip_chunk(chunk);
            }
            return false;
        }
        self.text.add(lines);
        if let Some(chunk) = &chunk
            && let Some(log) = self.open.as_mut().filter(|log| !log.is_whole)
        {
            log.next_row = chunk.first_row;
        }
        true
    }

    fn compare_with_table(&mut self, lines: &PartLines) {
        let Some(chunk) = lines.chunk.map(|chunk| self.chunk_refs[chunk]) else { return };
        let at = Position { line: Some(self.line), byte: lines.offset, ..self.at_chunk(&chunk) };
        for mismatch in table_mismatches(lines, &chunk) {
            self.findings.add(FindingKind::Chunk { chunk: chunk.index_in_file as u64 + 1, mismatch }, at.clone());
        }
    }

    fn take_lines(&mut self, lines: &PartLines) {
        let mut problems = lines.problems.iter().peekable();
        let mut left = RemainingRows::of(lines.runs.iter(), |run| run.file.index);
        for run in &lines.runs {
            while let Some(problem) = problems.next_if(|problem| problem.line < run.first_line) {
                self.bad_line(problem, lines);
            }
            let open = self.open.as_ref().map(|log| Some(log.index));
            let is_interrupting = left.is_interrupted_by(run, &run.file.index, open.as_ref());
            let is_taken = run.file.index.is_none_or(|file| !is_interrupting && self.advance_to(file));
            let end = run.first_line + run.rows.len();
            while let Some(problem) = problems.next_if(|problem| problem.line < end) {
                self.row_problem(problem, run, lines);
            }
            match is_taken {
                true => self.push(run),
                false => self.reject(run, lines),
            }
        }
        problems.for_each(|problem| self.bad_line(problem, lines));
    }

    fn push(&mut self, run: &RowRun) {
        self.rows += run.rows.len();
        if let Some(log) = &mut self.open {
            log.push(run);
        }
    }

    /// Reports rows at a position where their log cannot have rows.
    fn reject(&mut self, run: &RowRun, lines: &PartLines) {
        for line in run.first_line..run.first_line + run.rows.len() {
            let fault = RowFault::WrongFile { source: run.file.source.clone(), file: Some(run.file.name.clone()) };
            let at = Position { line: Some(self.line.saturating_add(line)), byte: lines.offset, ..Position::default() };
            self.findings.add(FindingKind::Row(fault), at);
        }
    }

    /// Reports a line that is not a row. It counts as one row of the log.
    fn bad_line(&mut self, problem: &Problem, lines: &PartLines) {
        self.mark_log_incomplete();
        let next_row = self.open.as_ref().map(|log| log.next_row);
        self.report(problem, next_row, lines);
        if let Some(log) = &mut self.open {
            log.next_row = log.next_row.saturating_add(1);
        }
    }

    fn row_problem(&mut self, problem: &Problem, run: &RowRun, lines: &PartLines) {
        let next_row = self.open.as_ref().map(|log| log.next_row.saturating_add(problem.line - run.first_line));
        self.report(problem, next_row, lines);
    }

    fn report(&mut self, problem: &Problem, row: Option<u64>, lines: &PartLines) {
        let kind = match &problem.fault {
            LineFault::NotARow(fault) => FindingKind::Row(fault.clone()),
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

    /// Advances to a file of the manifest and completes the files before it. Returns false if that file was already
    /// completed.
    fn advance_to(&mut self, file: usize) -> bool {
        while self.open.as_ref().map_or(self.files.len(), |log| log.index) < file {
            self.next_log();
        }
        if self.open.is_none() {
            self.next_log();
        }
        self.open.as_ref().is_some_and(|log| log.index == file)
    }

    /// Completes the open log, if any, and opens the next one.
    fn next_log(&mut self) {
        if let Some(log) = self.open.take() {
            let name = log.file.relative_path.to_string();
            let findings = &mut self.findings;
            let at = || Position { file: Some(name.clone()), ..Position::default() };
            self.files.push(log.finish(|kind| findings.add(kind, at())));
        }
        let next = self.files.len();
        let file = self.manifest.and_then(|manifest| manifest.files.get(next));
        self.open = file.map(|file| LogVerifier::new(next, file));
    }

    /// Completes all logs and determines the verdict.
    pub(super) fn finish(mut self, checked: &ManifestCheck, options: &VerifyOptions) -> VerifyReport {
        self.report_missing();
        while self.open.is_some() || self.manifest.is_some_and(|manifest| self.files.len() < manifest.files.len()) {
            self.next_log();
        }
        let version = self.manifest.map(Manifest::version);
        let verdict = match (self.findings.is_damaged, version) {
            (true, _) | (_, None) => Verdict::Damaged,
            (false, Some((_, 0))) => Verdict::IntactWithoutHashes,
            (false, _) if self.findings.is_foreign => Verdict::IntactRecompressed,
            (false, _) => Verdict::Intact,
        };
        VerifyReport {
            digest: checked.digest,
            version,
            filter: self.manifest.and_then(|manifest| manifest.filter.clone()),
            derived_from: self.manifest.and_then(|manifest| manifest.derived_from.clone()),
            redaction: self.manifest.and_then(|manifest| manifest.redaction.clone()),
            is_expected: options.expect.map(|expected| checked.digest == Some(expected)),
            is_proven: options
                .proof
                .as_ref()
                .map(|_| check_proof(checked, options).is_some_and(|proven| proven.is_ok())),
            #[cfg(feature = "seal")]
            signature: None,
            verdict,
            findings: self.findings.counts,
            files: self.files,
            rows: self.rows,
        }
    }
}

/// Checks that the proof in `options` is for this bundle. Returns `None` if there is no proof, or if the manifest is
/// unreadable.
fn check_proof(checked: &ManifestCheck, options: &VerifyOptions) -> Option<Result<(), HistoryFault>> {
    let (proof, checkpoint) = options.proof.as_ref()?;
    let (manifest, digest) = checked.manifest.as_ref().zip(checked.digest)?;
    Some(proof.check(manifest.history.as_ref(), digest, checkpoint))
}

/// Returns the file that a fault refers to, if it refers to a single one.
fn file_of(fault: &ManifestFault) -> Option<String> {
    match fault {
        ManifestFault::Contradiction(contradiction) => contradiction.file().map(str::to_owned),
        _ => None,
    }
}
