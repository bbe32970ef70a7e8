//! Makes a bundle of logs that come one after the other: lines to chunks and a manifest, and those to one gzip member.
//! What export and recover share.

mod deflate;
mod spool;

use std::io::{BufReader, BufWriter, Read, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::Scope;

use crate::digest::{BundleDigest, Crc32, HashingReader};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::limits::{MAX_LOG_LINE_BYTES, MAX_MANIFEST_BYTES};
use crate::format::log::{LogEncoder, LogId, RawChunk};
use crate::format::{Chunk, Manifest, ManifestFile, TimeKey, Timestamp};
use crate::gzip::{Deflater, Level, MemberWriter};
use crate::lines::{LineError, LineReader};
use crate::pool::Pool;
use crate::progress::Progress;
use deflate::{Deflated, Job, deflate, thread_died};
use spool::Spool;

/// How much is copied at a time.
const BUFFER_BYTES: usize = 256 << 10;

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
pub(crate) struct Written {
    pub(crate) digest: BundleDigest,
    pub(crate) manifest: Manifest,
    /// The size of the bundle in bytes.
    pub(crate) bundle_bytes: u64,
}

/// Everything that a bundle will have but its manifest line.
pub(crate) struct Packed {
    spool: Spool,
    files: Vec<ManifestFile>,
    /// What errors call each file.
    subjects: Vec<String>,
}

/// Hands chunks to the pool, and puts those that come back where they belong.
pub(crate) struct Packer {
    pool: Pool<Job, Result<Deflated>>,
    packed: Packed,
    /// The chunk table of each file so far.
    chunks: Vec<Vec<Chunk>>,
}

impl Packer {
    pub(crate) fn start<'scope>(scope: &'scope Scope<'scope, '_>, options: &PackOptions) -> Self {
        let level = options.level;
        let pool = Pool::start(scope, options.threads, || {
            let mut deflater = Deflater::new(level);
            move |job| deflate(&mut deflater, job)
        });
        let packed = Packed { spool: Spool::new(&options.work_dir), files: Vec::new(), subjects: Vec::new() };
        Self { pool, packed, chunks: Vec::new() }
    }

    /// Adds the log that `reader` reads to its end. Its rows have their time at one of `times`; errors call it
    /// `subject`.
    pub(crate) fn add_log(
        &mut self,
        id: LogId,
        times: &'static [TimeKey],
        reader: impl Read,
        subject: String,
        progress: &dyn Progress,
    ) -> Result<()> {
        let added = self.add_lines(id, times, reader, progress).map_err(|error| error.in_subject(&subject))?;
        self.packed.files.push(added);
        self.packed.subjects.push(subject);
        Ok(())
    }

    fn add_lines(
        &mut self,
        id: LogId,
        times: &'static [TimeKey],
        reader: impl Read,
        progress: &dyn Progress,
    ) -> Result<ManifestFile> {
        let file = self.chunks.len();
        self.chunks.push(Vec::new());
        let mut encoder = LogEncoder::new(id, times);
        let mut lines = LineReader::new(HashingReader::new(reader), MAX_LOG_LINE_BYTES);
        for number in 1.. {
            let line = match lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(LineError::Read(error)) => return Err(Error::io_unnamed(IoAction::Read, error)),
                Err(LineError::TooLong) => {
                    let limit = MAX_LOG_LINE_BYTES;
                    return Err(Error::from(ErrorKind::LineTooLong { limit }).at_line(number));
                }
            };
            progress.advance(line.bytes.len() as u64 + 1);
            let full = encoder.push_line(line.bytes, line.terminated);
            if let Some(chunk) = full.map_err(|kind| Error::from(kind).at_line(number))? {
                self.push(file, chunk)?;
            }
        }
        let (reader, _) = lines.into_parts();
        let (last, entry) = encoder.finish(reader.finish());
        last.map_or(Ok(()), |chunk| self.push(file, chunk))?;
        Ok(entry)
    }

    fn push(&mut self, file: usize, raw: RawChunk) -> Result<()> {
        let bytes = raw.bytes.len();
        while !self.pool.has_room_for(bytes) {
            self.keep_oldest()?;
        }
        self.pool.push(Job { file, raw }, bytes).map_err(thread_died)
    }

    /// Waits for the oldest chunk that is under way. `false` when there is none.
    fn keep_oldest(&mut self) -> Result<bool> {
        let Some(deflated) = self.pool.pop().map_err(thread_died)? else { return Ok(false) };
        let Deflated { file, data, chunk } = deflated?;
        self.packed.spool.push(&data)?;
        self.chunks[file].push(chunk);
        Ok(true)
    }

    pub(crate) fn finish(mut self) -> Result<Packed> {
        while self.keep_oldest()? {}
        for (file, chunks) in self.packed.files.iter_mut().zip(self.chunks) {
            file.chunks = chunks;
        }
        Ok(self.packed)
    }
}

impl Packed {
    /// Writes the bundle.
    pub(crate) fn write(mut self, options: &PackOptions, sink: impl Write) -> Result<Written> {
        let failed = |error| Error::io_unnamed(IoAction::Write, error);
        let manifest = Manifest::new(options.generator.clone(), options.exported_at, self.files);
        let mut line = manifest.encode().map_err(|_| too_many_unparsed(&manifest, &self.subjects))?;
        let digest = BundleDigest::of_manifest_line(&line);
        line.push(b'\n');
        let deflated = Deflater::new(options.level).deflate(&line).map_err(failed)?;

        let mut member = MemberWriter::new(BufWriter::with_capacity(BUFFER_BYTES, sink)).map_err(failed)?;
        let length = deflated.len() as u64;
        member.copy_block(deflated.as_slice(), length, line.len() as u64, Crc32::of(&line)).map_err(failed)?;
        let mut spooled = BufReader::with_capacity(BUFFER_BYTES, self.spool.read_back()?);
        for chunk in manifest.files.iter().flat_map(|file| &file.chunks) {
            member.copy_block(&mut spooled, chunk.compressed, chunk.bytes, chunk.crc32).map_err(failed)?;
        }
        let bundle_bytes = member.finish().map_err(failed)?;
        drop(spooled);
        Ok(Written { digest, manifest, bundle_bytes })
    }
}

/// Names the log whose unparsed lines take the most of a manifest that is too long.
fn too_many_unparsed(manifest: &Manifest, subjects: &[String]) -> Error {
    let size = |file: &ManifestFile| file.unparsed.iter().map(|lines| lines.content.as_bytes().len()).sum::<usize>();
    let worst = manifest.files.iter().zip(subjects).max_by_key(|(file, _)| size(file));
    let subject = worst.map(|(_, subject)| subject.as_str()).unwrap_or_default();
    Error::from(ErrorKind::TooManyUnparsed { limit: MAX_MANIFEST_BYTES }).in_subject(subject)
}
