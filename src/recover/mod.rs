//! Makes a new, valid bundle of every row of a damaged one that is provably intact, and says what is missing.
//!
//! A row is taken when the checksum of its chunk fits, else when its own line is a well-formed envelope of a log that
//! the bundle can have, and its `entry` agrees with its exact line. Where compressed data is damaged, no line behind the
//! first sign of it is taken, as it may be made of damaged ones. The rows become logs again, and those a bundle, by the
//! same code as in export. The result is verified before it appears.

mod log;
mod report;
mod stream;

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use fs_err as fs;

use crate::bundle::{open_input, slots};
use crate::error::{Contradiction, Error, ErrorKind, IoAction, ManifestFault, Result};
use crate::format::Manifest;
use crate::format::log::LogId;
use crate::pack::{PackOptions, Packed, Packer, Written};
use crate::progress::{NoProgress, Progress, Stage, Watched};
use crate::publish::{PendingFile, Target};
use crate::scan::rows::Known;
use crate::scan::{FirstLine, Scan};
use crate::sources::check_log;
use crate::verify::{Verdict, VerifyOptions, verify_seekable};
use log::LogReader;
pub use report::{FileRecovery, ManifestState, Missing, RecoverReport};
use stream::RowStream;

/// How to recover. `exported_at` is only used when the damaged bundle no longer says it.
pub use crate::pack::PackOptions as RecoverOptions;

/// Recovers the bundle at `path` to `target`, mode 0600: a whole bundle, or nothing. What waits meanwhile does so in
/// the target's directory, whatever `options` say.
///
/// ```
/// use patchwork_traces::format::Timestamp;
/// use patchwork_traces::progress::NoProgress;
/// use patchwork_traces::publish::Target;
/// use patchwork_traces::recover::{RecoverOptions, recover_file};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// # let dir = tempfile::tempdir()?;
/// let whole = std::fs::read(path)?;
/// let damaged = dir.path().join("damaged.jsonl.gz");
/// std::fs::write(&damaged, &whole[..whole.len() - 100])?;
///
/// let target = Target::look(&dir.path().join("recovered.jsonl.gz"), false)?;
/// let options = RecoverOptions::new("example 1", "2026-05-02T10:00:00Z".parse::<Timestamp>()?);
/// let report = recover_file(&damaged, &options, &target, &NoProgress)?;
/// assert!(report.lost_something());
/// assert_eq!(report.files[0].is_original, Some(true));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`recover`], and when `path` cannot be opened.
pub fn recover_file(
    path: &Path,
    options: &RecoverOptions,
    target: &Target,
    progress: &dyn Progress,
) -> Result<RecoverReport> {
    let name = path.display().to_string();
    match open_input(path)? {
        (file, Some(length)) => {
            progress.start(Some(length));
            recover(file, &name, options, target, progress)
        }
        (stream, None) => recover_stream(stream, &name, options, target, progress),
    }
}

/// As [`recover`], from an input that cannot go back. It is copied to a temporary file first.
///
/// # Errors
/// As [`recover`], and when the copy cannot be written.
pub fn recover_stream(
    input: impl Read,
    name: &str,
    options: &RecoverOptions,
    target: &Target,
    progress: &dyn Progress,
) -> Result<RecoverReport> {
    let dir = target.work_dir();
    let mut copy = tempfile::tempfile_in(&dir).map_err(|error| Error::io(IoAction::Create, &dir, error))?;
    progress.start(None);
    let copied = io::copy(&mut Watched::counted(input, progress), &mut copy);
    progress.finish();
    let length = copied.map_err(|error| Error::io_named(IoAction::Read, name, error))?;
    progress.start(Some(length));
    recover(copy, name, options, target, progress)
}

/// Recovers the bundle that `input` holds from its first byte to its last to `target`. `name` is what errors call it.
///
/// # Errors
/// When `input` fails or is of a version that is not known, [`ErrorKind::NothingToRecover`] when there is no row and no
/// manifest in it, when `target` cannot be written, and [`ErrorKind::OutputNotIntact`] when what was written cannot be
/// verified. Nothing appears at `target` then. That rows are missing is no error.
pub fn recover(
    input: impl Read + Seek,
    name: &str,
    options: &RecoverOptions,
    target: &Target,
    progress: &dyn Progress,
) -> Result<RecoverReport> {
    let options = PackOptions { work_dir: target.work_dir(), ..options.clone() };
    let mut input = Watched::new(input, progress);
    let found = search(&mut input, Belief::Everything, &[], &options, progress)
        .and_then(|found| found.search_again(&mut input, &options))
        .and_then(|found| found.search_blocks(&mut input, &options));
    progress.finish();
    let Found { packed, exported_at, mut report, .. } = found.map_err(|error| error.in_subject(name))?;
    let options = PackOptions { exported_at: exported_at.unwrap_or(options.exported_at), ..options };
    let written = publish(packed, &options, target, progress)?;
    report.complete(&written);
    Ok(report)
}

/// What a search through a damaged bundle gave.
struct Found {
    packed: Packed,
    exported_at: Option<crate::format::Timestamp>,
    report: RecoverReport,
    /// What is still to be believed of the manifest, if rows that are proven contradict it.
    contradicted: Option<Belief>,
}

impl Found {
    /// Searches once more where rows that are proven contradict the manifest. What it says of a log that came out with its
    /// SHA-256 is proven, whatever else it says: such logs are kept as they are.
    fn search_again<R: Read + Seek>(mut self, input: &mut R, options: &PackOptions) -> Result<Self> {
        let Some(belief) = self.contradicted else { return Ok(self) };
        let mut proven = match belief {
            Belief::Nothing => self.proven().into_iter(),
            _ => Vec::new().into_iter(),
        };
        self.report.files.retain(|_| proven.next() == Some(true));
        let kept = std::mem::take(&mut self.report.files);
        let mut found = search(input, belief, &kept, options, &NoProgress)?;
        if !kept.is_empty() {
            found.packed.join(self.packed);
            found.report.add_proven(kept, self.report.version);
            found.exported_at = self.exported_at;
        }
        Ok(found)
    }

    /// Searches once more where no row was found. Damage right behind a manifest can hide where the chunks begin, so they
    /// are looked for everywhere.
    fn search_blocks<R: Read + Seek>(self, input: &mut R, options: &PackOptions) -> Result<Self> {
        if !self.report.is_damaged || self.report.files.iter().any(|log| log.rows > 0) {
            return Ok(self);
        }
        match search(input, Belief::OnlyBlocks, &[], options, &NoProgress) {
            Err(error) if matches!(error.kind(), ErrorKind::NothingToRecover) => Ok(self),
            found => found,
        }
    }

    /// Which of the logs are proven, and cannot be taken for another one. Drops what was packed of the others.
    fn proven(&mut self) -> Vec<bool> {
        let name = |file: &FileRecovery| (file.source.to_string(), file.name.to_string());
        let mut of_this_name = HashMap::<_, usize>::new();
        self.report.files.iter().for_each(|file| *of_this_name.entry(name(file)).or_default() += 1);
        let logs = self.report.files.iter();
        let mut proven: Vec<_> =
            logs.map(|log| log.is_original == Some(true) && of_this_name.get(&name(log)) == Some(&1)).collect();
        self.packed.retain(|index, file| {
            let (source, name) = (file.source.clone(), file.relative_path.clone());
            proven[index] &= check_log(&LogId { source, name, base: file.base() }).is_ok();
            proven[index]
        });
        proven
    }
}

/// What is believed of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belief {
    Everything,
    /// Without its chunk table a bundle is read as text.
    AllButTable,
    Nothing,
    /// Not even that it ends where the rows begin.
    OnlyBlocks,
}

fn search<R: Read + Seek>(
    input: &mut R,
    belief: Belief,
    kept: &[FileRecovery],
    options: &PackOptions,
    progress: &dyn Progress,
) -> Result<Found> {
    let scan = open(input, belief)?;
    let Usable { manifest, state, version, is_contradicted } = match &scan.first_line {
        FirstLine::Whole { line, .. } => usable_manifest(line, belief)?,
        FirstLine::Damaged | FirstLine::Foreign(_) => Usable::nothing(),
    };
    let slots = manifest.as_ref().filter(|manifest| manifest.has_chunk_table()).map(slots).unwrap_or_default();
    let known = Known::new(manifest.as_ref(), &slots, true);
    let started_whole = !scan.has_fault();
    let first_row = match &scan.first_line {
        FirstLine::Whole { line, .. } if manifest.is_none() => [line.as_slice(), b"\n"].concat(),
        _ => Vec::new(),
    };
    let parts = scan.parts(manifest.as_ref(), &slots, &known.buffers);
    std::thread::scope(|scope| {
        let mut rows = RowStream::start(scope, parts, &known, options.threads, progress);
        rows.leave_out(kept.iter().map(|log| (log.source.to_string(), log.name.to_string())).collect());
        rows.begin_with(first_row);
        let mut packer = Packer::start(scope, options);
        let mut files = Vec::new();
        while let Some(mut log) = LogReader::next(&mut rows, manifest.as_ref(), &files)? {
            let (id, times) = (log.id(), log.times());
            let subject = id.name.to_string();
            packer.add_log(&id, times, &mut log, &subject, &NoProgress)?;
            files.push(log.finish());
        }
        if manifest.is_none() && files.is_empty() && kept.is_empty() {
            return Err(ErrorKind::NothingToRecover.into());
        }
        let is_sound = started_whole && rows.is_sound;
        let once_more = rows.rows_left_out.saturating_sub(kept.iter().map(|log| log.rows).sum());
        let report = RecoverReport::new(state, version, files, rows.ignored + once_more, is_sound);
        Ok(Found {
            packed: packer.finish()?,
            exported_at: manifest.as_ref().map(|manifest| manifest.exported_at),
            report,
            contradicted: match (rows.contradicts_manifest || is_contradicted, rows.contradicts_table) {
                (true, _) => Some(Belief::Nothing),
                (false, true) => Some(Belief::AllButTable),
                _ => None,
            }
            .filter(|_| manifest.is_some() && belief == Belief::Everything),
        })
    })
}

/// Opens the bundle also where its first bytes are damaged.
fn open<R: Read + Seek>(input: &mut R, belief: Belief) -> Result<Scan<&mut R>> {
    let rewind =
        |input: &mut R| input.seek(SeekFrom::Start(0)).map_err(|error| Error::io_unnamed(IoAction::Read, error));
    rewind(input)?;
    if belief == Belief::OnlyBlocks {
        return Ok(Scan::of_blocks_alone(input));
    }
    let is_foreign = matches!(Scan::open(&mut *input)?.first_line, FirstLine::Foreign(_));
    rewind(input)?;
    let first_line = if is_foreign { Scan::open_headless(&mut *input) } else { Scan::open(&mut *input) }?.first_line;
    rewind(input)?;
    match first_line {
        // Damage shows only behind where it is, maybe behind the first flush point.
        FirstLine::Damaged => Ok(Scan::of_blocks_alone(input)),
        FirstLine::Whole { .. } | FirstLine::Foreign(_) if is_foreign => Scan::open_headless(input),
        FirstLine::Whole { .. } | FirstLine::Foreign(_) => Scan::open(input),
    }
}

/// A manifest as far as it can be used.
struct Usable {
    manifest: Option<Manifest>,
    state: ManifestState,
    version: Option<(u64, u64)>,
    /// Whether it is to be believed only of logs that it proves.
    is_contradicted: bool,
}

impl Usable {
    fn nothing() -> Self {
        Self { manifest: None, state: ManifestState::Lost, version: None, is_contradicted: false }
    }
}

/// The manifest, if rows can be found by it.
fn usable_manifest(line: &[u8], belief: Belief) -> Result<Usable> {
    let manifest = match Manifest::decode(line) {
        Ok(Some(manifest)) if matches!(belief, Belief::Everything | Belief::AllButTable) => manifest,
        Err(kind @ (ErrorKind::UnsupportedVersion { .. } | ErrorKind::TooManyLogs { .. })) => {
            return Err(Error::from(kind).at_line(1));
        }
        Ok(_) | Err(_) => return Ok(Usable::nothing()),
    };
    let mut manifest = manifest;
    let (mut state, mut is_contradicted) = (ManifestState::Intact, false);
    if belief == Belief::AllButTable {
        state = ManifestState::Faulty;
        manifest.files.iter_mut().for_each(|file| file.chunks.clear());
    }
    for fault in manifest.faults() {
        state = ManifestState::Faulty;
        match fault {
            ManifestFault::Contradiction(
                Contradiction::TotalCount { .. }
                | Contradiction::Sources
                | Contradiction::Timeline { .. }
                | Contradiction::Bytes { .. },
            ) => {}
            // Nobody knows where these lines stood. The other files have nothing to do with it.
            ManifestFault::Contradiction(Contradiction::UnparsedLines { file: name, .. }) => {
                let named = manifest.files.iter_mut().filter(|file| file.relative_path.as_str() == name);
                named.for_each(|file| file.unparsed.clear());
            }
            ManifestFault::Contradiction(Contradiction::ChunkRows { .. } | Contradiction::ChunkSize { .. }) => {
                manifest.files.iter_mut().for_each(|file| file.chunks.clear());
            }
            // Whether it says the truth of a log, the log's hash tells.
            ManifestFault::Contradiction(Contradiction::DuplicateFile { .. }) | ManifestFault::Missing { .. } => {
                is_contradicted = true;
            }
            _ => return Ok(Usable::nothing()),
        }
    }
    let version = Some(manifest.version());
    Ok(Usable { manifest: Some(manifest), state, version, is_contradicted })
}

/// Writes the bundle, verifies it, and only then lets it appear.
fn publish(packed: Packed, options: &PackOptions, target: &Target, progress: &dyn Progress) -> Result<Written> {
    progress.stage(Stage::Writing);
    progress.start(Some(packed.compressed_bytes()));
    match target {
        Target::File { path, replace } => {
            let subject = path.display().to_string();
            let mut pending = PendingFile::create(path, *replace)?;
            let written = packed
                .write(options, Watched::counted(&mut pending, progress))
                .map_err(|error| error.in_subject(&subject))?;
            check(pending.read_back()?, &subject, &written, options, progress)?;
            pending.finish()?;
            Ok(written)
        }
        Target::Stream(path) => {
            let dir = &options.work_dir;
            let failed = |error| Error::io(IoAction::Write, path, error);
            let mut file = tempfile::tempfile_in(dir).map_err(|error| Error::io(IoAction::Create, dir, error))?;
            let written = packed.write(options, Watched::counted(&mut file, progress))?;
            let rewind = |file: &mut std::fs::File| file.seek(SeekFrom::Start(0)).map_err(failed);
            rewind(&mut file)?;
            check(&file, &path.display().to_string(), &written, options, progress)?;
            rewind(&mut file)?;
            let mut stream = fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
            io::copy(&mut Watched::new(file, progress), &mut stream).and_then(|_| stream.flush()).map_err(failed)?;
            Ok(written)
        }
    }
}

/// Verifies what was written.
fn check(
    bundle: impl Read + Seek,
    name: &str,
    written: &Written,
    options: &PackOptions,
    progress: &dyn Progress,
) -> Result<()> {
    progress.finish();
    progress.stage(Stage::Checking);
    progress.start(Some(written.bundle_bytes));
    let verify_options = VerifyOptions { expect: Some(written.digest), require_hashes: true, threads: options.threads };
    let report = verify_seekable(bundle, name, &verify_options, progress, &mut |_| {});
    progress.finish();
    let report = report?;
    let is_whole = report.verdict == Verdict::Intact
        && report.is_good()
        && report.rows == written.manifest.total_count
        && report.files.iter().all(|file| file.is_proven == Some(true));
    match is_whole {
        true => Ok(()),
        false => Err(Error::from(ErrorKind::OutputNotIntact).in_subject(name)),
    }
}
