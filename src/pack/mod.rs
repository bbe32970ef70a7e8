//! Makes a bundle of logs that come one after the other: lines to chunks and a manifest, and those to one gzip member.
//! One thread reads and hashes; others turn blocks of lines into compressed chunks.
//! What export and recover share.

mod deflate;
mod spool;

use std::io::{BufWriter, Read, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::Scope;

use crate::buffers::Buffers;
use crate::digest::{BundleDigest, Crc32, HashingReader, Integrity};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::limits::{CHUNK_BYTES, MAX_FILES, MAX_LOG_LINE_BYTES, MAX_MANIFEST_BYTES};
use crate::format::log::{BadLine, BlockEncoder, FileBuilder, LogId};
use crate::format::{Manifest, ManifestFile, TimeKey, Timestamp};
use crate::gzip::{Deflater, Level, MemberWriter};
use crate::lines::{BlockError, LineBlocks};
use crate::pool::Pool;
use crate::progress::Progress;
use crate::sources::place_of;
use deflate::{BlockChunks, DeflateJob, Deflated, deflate, thread_died};
use spool::{Spool, SpooledChunks};

/// How much is copied at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// How much of a log a thread encodes and compresses at once: a chunk, nearly always.
#[allow(clippy::cast_possible_truncation, reason = "a mebibyte")]
const BLOCK_BYTES: usize = CHUNK_BYTES as usize;

/// How to make a bundle. The same logs and options give the same bytes, whatever the threads.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// The program and version that the manifest names.
    pub generator: String,
    /// The time that the manifest names.
    pub exported_at: Timestamp,
    /// How hard to compress.
    pub level: Level,
    /// How many threads compress.
    pub threads: NonZeroUsize,
    /// Where compressed chunks wait until the manifest is known: 8 MiB of them in memory, more in a file here.
    pub work_dir: PathBuf,
}

impl PackOptions {
    /// Compresses as `gzip` does by default, on all cores, with the system's directory for temporary files.
    #[must_use]
    pub fn new(generator: impl Into<String>, exported_at: Timestamp) -> Self {
        Self {
            generator: generator.into(),
            exported_at,
            level: Level::default(),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            work_dir: std::env::temp_dir(),
        }
    }
}

/// What was written.
pub(crate) struct WrittenBundle {
    pub(crate) digest: BundleDigest,
    pub(crate) manifest: Manifest,
    /// The size of the bundle in bytes.
    pub(crate) bundle_bytes: u64,
}

/// Everything that a bundle will have but its manifest line.
pub(crate) struct PackedBundle {
    spools: Vec<Spool>,
    files: Vec<PackedFile>,
}

/// A log whose chunks wait.
struct PackedFile {
    file: ManifestFile,
    /// What errors call it.
    subject: String,
    /// In which spool its chunks are, and which they are there.
    spool: usize,
    chunks: SpooledChunks,
}

/// Hands blocks of lines to the pool, and puts what they become where it belongs.
pub(crate) struct Packer {
    pool: Pool<DeflateJob, Deflated>,
    buffers: Arc<Buffers>,
    spool: Spool,
    logs: Vec<PackingLog>,
}

/// A log whose blocks are coming back.
struct PackingLog {
    /// What errors call it.
    subject: String,
    builder: FileBuilder,
    chunks: SpooledChunks,
    /// What was read of it, once that is all.
    read: Option<Integrity>,
}

impl Packer {
    pub(crate) fn start<'scope>(scope: &'scope Scope<'scope, '_>, options: &PackOptions) -> Self {
        let (level, buffers) = (options.level, Arc::<Buffers>::default());
        let pool = Pool::start(scope, options.threads, || {
            let (mut deflater, buffers) = (Deflater::new(level), Arc::clone(&buffers));
            move |job| deflate(&mut deflater, &buffers, job)
        });
        Self { pool, buffers, spool: Spool::new(&options.work_dir), logs: Vec::new() }
    }

    /// Adds the log that `reader` reads to its end. Its rows have their time at one of `times`; errors call it
    /// `subject`.
    pub(crate) fn add_log(
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
        self.logs.push(PackingLog { subject: subject_of, builder, chunks: SpooledChunks::default(), read: None });
        let mut blocks = LineBlocks::new(HashingReader::new(reader), BLOCK_BYTES, MAX_LOG_LINE_BYTES);
        let mut encoder = None;
        loop {
            let block = match blocks.next_block_in(self.buffers.take()) {
                Ok(Some(block)) => block,
                Ok(None) => break,
                Err(error) => return Err(self.unreadable(file, error).in_subject(subject)),
            };
            progress.advance(block.len() as u64);
            let encoder = encoder.get_or_insert_with(|| Arc::new(BlockEncoder::new(id, times, &block)));
            self.push(DeflateJob { file, encoder: Arc::clone(encoder), block })?;
        }
        self.logs[file].read = Some(blocks.into_inner().finish());
        Ok(())
    }

    /// Why the next block of a log cannot be had, unless a line before it is worse.
    fn unreadable(&mut self, file: usize, error: BlockError) -> Error {
        loop {
            match self.keep_oldest() {
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

    fn push(&mut self, job: DeflateJob) -> Result<()> {
        // As lines, as envelopes and compressed.
        let bytes = job.block.len().saturating_mul(3);
        while !self.pool.has_room_for(bytes) {
            self.keep_oldest()?;
        }
        self.pool.push(job, bytes).map_err(thread_died)
    }

    /// Waits for the oldest block that is under way. `false` when there is none.
    fn keep_oldest(&mut self) -> Result<bool> {
        let Some(Deflated { file, content }) = self.pool.pop().map_err(thread_died)? else { return Ok(false) };
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

    pub(crate) fn finish(mut self) -> Result<PackedBundle> {
        while self.keep_oldest()? {}
        let mut files = Vec::new();
        for PackingLog { subject, builder, chunks, read } in self.logs {
            // Of a log that could not be read to its end, there is an error instead.
            if let Some(file) = read.map(|read| builder.finish(read)) {
                files.push(PackedFile { file, subject, spool: 0, chunks });
            }
        }
        Ok(PackedBundle { spools: vec![self.spool], files })
    }
}

impl PackedBundle {
    /// About the size of the bundle: without its manifest.
    pub(crate) fn compressed_bytes(&self) -> u64 {
        self.files().flat_map(|file| &file.chunks).map(|chunk| chunk.compressed).sum()
    }

    /// What the manifest will say of each file.
    pub(crate) fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.files.iter().map(|packed| &packed.file)
    }

    /// Keeps only some files, by their index.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(usize) -> bool) {
        let mut index = 0..;
        self.files.retain(|_| index.next().is_some_and(&mut keeps));
    }

    /// Adds the files of another one, and puts all in the order of the catalogue.
    pub(crate) fn join(&mut self, other: Self) {
        let spools = self.spools.len();
        self.spools.extend(other.spools);
        self.files.extend(other.files.into_iter().map(|file| PackedFile { spool: spools + file.spool, ..file }));
        self.files.sort_by(|a, b| place_of_log(&a.file).cmp(&place_of_log(&b.file)));
    }

    /// Writes the bundle.
    pub(crate) fn write(self, options: &PackOptions, sink: impl Write) -> Result<WrittenBundle> {
        let failed = |error| Error::io_unnamed(IoAction::Write, error);
        let (places, files): (Vec<_>, Vec<_>) = (self.files.into_iter())
            .map(|PackedFile { file, subject, spool, chunks }| ((subject, spool, chunks), file))
            .unzip();
        let manifest = Manifest::new(options.generator.clone(), options.exported_at, files);
        let subjects = places.iter().map(|(subject, ..)| subject.as_str());
        let mut line = manifest.encode().map_err(|_| too_many_unparsed(&manifest, subjects))?;
        let digest = BundleDigest::of_manifest_line(&line);
        line.push(b'\n');
        let mut deflated = Vec::new();
        Deflater::new(options.level).deflate(&line, &mut deflated).map_err(failed)?;

        let mut member = MemberWriter::new(BufWriter::with_capacity(BUFFER_BYTES, sink)).map_err(failed)?;
        let length = deflated.len() as u64;
        member.copy_block(deflated.as_slice(), length, line.len() as u64, Crc32::of(&line)).map_err(failed)?;
        let mut spools: Vec<_> = self.spools.into_iter().map(Spool::into_taken).collect();
        for (file, (_, spool, chunks)) in manifest.files.iter().zip(&places) {
            spools[*spool].take_log(chunks, |mut deflated| {
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

fn place_of_log(file: &ManifestFile) -> impl Ord + '_ {
    place_of(file.source.as_str(), file.relative_path.as_str())
}

/// Names the log whose unparsed lines take the most of a manifest that is too long.
fn too_many_unparsed<'s>(manifest: &Manifest, subjects: impl Iterator<Item = &'s str>) -> Error {
    let size = |file: &ManifestFile| file.unparsed.iter().map(|lines| lines.content.as_bytes().len()).sum::<usize>();
    let worst = manifest.files.iter().zip(subjects).max_by_key(|(file, _)| size(file));
    let subject = worst.map(|(_, subject)| subject).unwrap_or_default();
    Error::from(ErrorKind::TooManyUnparsed { limit: MAX_MANIFEST_BYTES }).in_subject(subject)
}
