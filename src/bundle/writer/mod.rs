//! Writes logs into a bundle, one log after another. Lines become chunks and a manifest; these become one gzip
//! member. One thread reads and hashes; others turn blocks of lines into compressed chunks. `export` and `recover`
//! share this module.

mod deflate;
mod in_range;
mod spool;

use std::io::{BufWriter, Read, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::Scope;

use crate::buffers::Buffers;
use crate::container::Sealer;
use crate::digest::{BundleDigest, Crc32, Integrity};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::LogId;
use crate::format::limits::{CHUNK_BYTES, MAX_FILES, MAX_LOG_LINE_BYTES, MAX_MANIFEST_BYTES};
use crate::format::log_encoder::{BadLine, BlockEncoder, FileBuilder};
use crate::format::{Follows, Manifest, ManifestFile, Provenance, TimeKey, TimeRange, Timestamp};
use crate::gzip::{Deflater, Level, MemberWriter};
use crate::logs::catalogue_order;
use crate::progress::Progress;
use crate::util::hashing::HashingReader;
use crate::util::line_reader::{BlockError, LineBlocks};
use crate::util::ordered_pool::{OrderedPool, available_cores};
use deflate::{BlockChunks, DeflateJob, Deflated, deflate};
use in_range::RowsInRange;
use spool::{Spool, SpooledChunks};

/// The size of the output buffer.
const BUFFER_BYTES: usize = 256 << 10;

/// The amount of a log that a thread encodes and compresses at a time: nearly always one chunk.
#[allow(clippy::cast_possible_truncation, reason = "one mebibyte fits")]
const BLOCK_BYTES: usize = CHUNK_BYTES as usize;

/// Options for writing a bundle. The same logs and options give the same bytes, unless encrypted, regardless of the number
/// of threads.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct WriteOptions {
    /// The program and version for the manifest.
    pub generator: String,
    /// The export time for the manifest.
    pub exported_at: Timestamp,
    /// The time range of the rows that are written. If it is bounded, the bundle has no unparsed lines, and no rows without
    /// a timestamp.
    pub range: TimeRange,
    /// The compression level.
    pub level: Level,
    /// The number of threads that compress.
    pub threads: NonZeroUsize,
    /// The directory for compressed chunks until the manifest is known. Up to 8 MiB of them are kept in memory;
    /// more go to a temporary file here.
    pub work_dir: PathBuf,
    /// Encrypts the bundle, if set.
    pub sealer: Option<Sealer>,
}

impl WriteOptions {
    /// Uses the default compression level, one thread per core, and the system's temporary directory.
    pub fn new(generator: impl Into<String>, exported_at: Timestamp) -> Self {
        Self {
            generator: generator.into(),
            exported_at,
            range: TimeRange::default(),
            level: Level::default(),
            threads: available_cores(),
            work_dir: std::env::temp_dir(),
            sealer: None,
        }
    }

    /// Sets the time range of the rows that are written.
    pub fn range(self, range: TimeRange) -> Self {
        Self { range, ..self }
    }

    /// Sets the compression level.
    pub fn level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Sets the directory for compressed chunks.
    pub fn work_dir(self, work_dir: impl Into<PathBuf>) -> Self {
        Self { work_dir: work_dir.into(), ..self }
    }

    /// Sets the sealer that encrypts the bundle, if any.
    pub fn sealer(self, sealer: impl Into<Option<Sealer>>) -> Self {
        Self { sealer: sealer.into(), ..self }
    }
}

/// The result of writing a bundle.
pub struct WrittenBundle {
    pub digest: BundleDigest,
    pub manifest: Manifest,
    /// The size of the bundle in bytes.
    pub bundle_bytes: u64,
}

/// A bundle that lacks only its manifest line.
pub struct SpooledBundle {
    spools: Vec<Spool>,
    files: Vec<SpooledFile>,
}

/// A log with spooled chunks.
struct SpooledFile {
    file: ManifestFile,
    /// The name of the log in errors.
    subject: String,
    /// The spool that holds the chunks, and their position in it.
    spool: usize,
    chunks: SpooledChunks,
}

/// Distributes blocks of lines to the pool and collects the results in order.
pub struct BundleWriter<'scope> {
    pool: OrderedPool<'scope, DeflateJob, Deflated>,
    buffers: Arc<Buffers>,
    spool: Spool,
    logs: Vec<PendingLog>,
    range: TimeRange,
}

/// A log whose blocks are being processed.
struct PendingLog {
    /// The name of the log in errors.
    subject: String,
    builder: FileBuilder,
    chunks: SpooledChunks,
    /// The length and SHA-256 of the log, once it was read to its end.
    read: Option<Integrity>,
}

impl<'scope> BundleWriter<'scope> {
    pub fn start(scope: &'scope Scope<'scope, '_>, options: &WriteOptions) -> Self {
        let (level, buffers) = (options.level, Arc::<Buffers>::default());
        let of_workers = Arc::clone(&buffers);
        let pool = OrderedPool::start(scope, options.threads, move || {
            let (mut deflater, buffers) = (Deflater::new(level), Arc::clone(&of_workers));
            move |job| deflate(&mut deflater, &buffers, job)
        });
        Self { pool, buffers, spool: Spool::new(&options.work_dir), logs: Vec::new(), range: options.range }
    }

    /// Adds the log in `reader`, which is read to its end. `times` are the keys of its rows' timestamps; errors
    /// refer to it as `subject`.
    pub fn add_log(
        &mut self,
        id: &LogId,
        times: &'static [TimeKey],
        reader: impl Read,
        subject: &str,
        progress: &dyn Progress,
    ) -> Result<()> {
        let file = self.logs.len();
        if file == MAX_FILES {
            return Err(Error::from(ErrorKind::TooManyLogs { limit: MAX_FILES }).in_subject(subject));
        }
        let (subject_of, builder) = (subject.to_owned(), FileBuilder::new(id.clone()));
        self.logs.push(PendingLog { subject: subject_of, builder, chunks: SpooledChunks::default(), read: None });
        let reader: Box<dyn Read + '_> = match self.range == TimeRange::default() {
            true => Box::new(reader),
            false => Box::new(RowsInRange::new(reader, times, self.range)),
        };
        let mut blocks = LineBlocks::new(HashingReader::new(reader), BLOCK_BYTES, MAX_LOG_LINE_BYTES);
        let (buffers, mut encoder, mut failure) = (Arc::clone(&self.buffers), None, None);
        let mut next = || {
            let block = blocks.next_block_in(buffers.take()).unwrap_or_else(|error| {
                failure = Some(error);
                None
            });
            Ok(block.map(|block| {
                progress.advance(block.len() as u64);
                let encoder = encoder.get_or_insert_with(|| Arc::new(BlockEncoder::new(id, times, &block)));
                // The lines, their envelopes, and the compressed data.
                let bytes = block.len().saturating_mul(3);
                (DeflateJob { file, encoder: Arc::clone(encoder), block }, bytes)
            }))
        };
        while self.pool.feed(&mut next)? {
            self.collect_oldest()?;
        }
        if let Some(error) = failure {
            return Err(self.read_error(file, error).in_subject(subject));
        }
        self.logs[file].read = Some(blocks.into_inner().finish());
        Ok(())
    }

    /// Returns the error for an unreadable block, unless an earlier line has an error of its own.
    fn read_error(&mut self, file: usize, error: BlockError) -> Error {
        loop {
            match self.collect_oldest() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return error,
            }
        }
        match error {
            BlockError::Read(error) => Error::io_unnamed(IoAction::Read, error),
            BlockError::TooLong { lines_before } => {
                let line = self.logs[file].builder.lines() + lines_before + 1;
                Error::from(ErrorKind::LineTooLong { limit: MAX_LOG_LINE_BYTES }).at_line(line)
            }
        }
    }

    /// Waits for the oldest pending block. Returns false if there is none.
    fn collect_oldest(&mut self) -> Result<bool> {
        let Some(Deflated { file, content }) = self.pool.pop()? else { return Ok(false) };
        let log = &mut self.logs[file];
        let before = log.builder.lines();
        let kept = content?.and_then(|BlockChunks { data, chunks, record }| {
            log.builder.push(record, chunks)?;
            Ok(data)
        });
        let data =
            kept.map_err(|BadLine { line, kind }| Error::from(kind).at_line(before + line).in_subject(&log.subject))?;
        self.spool.push(&data, &mut log.chunks)?;
        self.buffers.put(data);
        Ok(true)
    }

    pub fn finish(mut self) -> Result<SpooledBundle> {
        while self.collect_oldest()? {}
        let mut files = Vec::new();
        for PendingLog { subject, builder, chunks, read } in self.logs {
            // A log that was not read to its end has already caused an error.
            if let Some(file) = read.map(|read| builder.finish(read)) {
                files.push(SpooledFile { file, subject, spool: 0, chunks });
            }
        }
        Ok(SpooledBundle { spools: vec![self.spool], files })
    }
}

impl SpooledBundle {
    /// Returns the approximate size of the bundle: that of its chunks, without the manifest.
    pub fn compressed_bytes(&self) -> u64 {
        self.files().flat_map(|file| &file.chunks).map(|chunk| chunk.compressed).sum()
    }

    /// Returns the manifest entry of each file.
    pub fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.files.iter().map(|spooled| &spooled.file)
    }

    /// Keeps only the files for whose index `keeps` returns true.
    pub fn retain(&mut self, mut keeps: impl FnMut(usize) -> bool) {
        let mut index = 0..;
        self.files.retain(|_| index.next().is_some_and(&mut keeps));
    }

    /// Adds the files of another bundle and sorts all files in catalogue order.
    pub fn join(&mut self, other: Self) {
        let spools = self.spools.len();
        self.spools.extend(other.spools);
        self.files.extend(other.files.into_iter().map(|file| SpooledFile { spool: spools + file.spool, ..file }));
        self.files.sort_by(|a, b| catalogue_rank(&a.file).cmp(&catalogue_rank(&b.file)));
    }

    /// Sets the relation of each file to earlier segments of a history.
    pub fn set_follows(&mut self, mut follows: impl FnMut(&ManifestFile) -> Option<Follows>) {
        self.files.iter_mut().for_each(|spooled| spooled.file.follows = follows(&spooled.file));
    }

    /// Writes the bundle, without encrypting it.
    pub fn write(self, options: &WriteOptions, provenance: Provenance, sink: impl Write) -> Result<WrittenBundle> {
        let failed = |error| Error::io_unnamed(IoAction::Write, error);
        let (spooled, files): (Vec<_>, Vec<_>) = (self.files.into_iter())
            .map(|SpooledFile { file, subject, spool, chunks }| ((subject, spool, chunks), file))
            .unzip();
        let manifest = Manifest::new(options.generator.clone(), options.exported_at, files).with_provenance(provenance);
        let subjects = spooled.iter().map(|(subject, ..)| subject.as_str());
        let mut line = manifest.encode().map_err(|_| too_many_unparsed(&manifest, subjects))?;
        let digest = BundleDigest::of_manifest_line(&line);
        line.push(b'\n');
        let mut deflated = Vec::new();
        Deflater::new(options.level).deflate(&line, &mut deflated).map_err(failed)?;

        let mut member = MemberWriter::new(BufWriter::with_capacity(BUFFER_BYTES, sink)).map_err(failed)?;
        let length = deflated.len() as u64;
        member.copy_block(deflated.as_slice(), length, line.len() as u64, Crc32::of(&line)).map_err(failed)?;
        let mut spools: Vec<_> = self.spools.into_iter().map(Spool::into_reader).collect();
        for (file, (_, spool, chunks)) in manifest.files.iter().zip(&spooled) {
            spools[*spool].read_log(chunks, |mut deflated| {
                file.chunks.iter().try_for_each(|chunk| {
                    let copied = member.copy_block(&mut deflated, chunk.compressed, chunk.bytes, chunk.crc32);
                    copied.map_err(failed)
                })
            })?;
        }
        let bundle_bytes = member.finish().map_err(failed)?;
        Ok(WrittenBundle { digest, manifest, bundle_bytes })
    }
}

fn catalogue_rank(file: &ManifestFile) -> impl Ord + '_ {
    catalogue_order(file.source.as_str(), file.relative_path.as_str())
}

/// Names the log whose unparsed lines take up most of a manifest that is too long.
fn too_many_unparsed<'s>(manifest: &Manifest, subjects: impl Iterator<Item = &'s str>) -> Error {
    let size = |file: &ManifestFile| file.unparsed.iter().map(|lines| lines.content.as_bytes().len()).sum::<usize>();
    let worst = manifest.files.iter().zip(subjects).max_by_key(|(file, _)| size(file));
    let subject = worst.map(|(_, subject)| subject).unwrap_or_default();
    Error::from(ErrorKind::TooManyUnparsed { limit: MAX_MANIFEST_BYTES }).in_subject(subject)
}
