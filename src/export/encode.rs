//! From logs to compressed chunks and a manifest, and those to a bundle.

use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;

use super::deflate::{Deflated, Pool};
use super::spool::Spool;
use super::{ExportOptions, ExportReport};
use crate::digest::{BundleDigest, Crc32, HashingReader};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::limits::{MAX_LOG_LINE_BYTES, MAX_MANIFEST_BYTES};
use crate::format::log::{LogEncoder, RawChunk};
use crate::format::{Chunk, Manifest, ManifestFile};
use crate::gzip::{Deflater, MemberWriter};
use crate::lines::{LineError, LineReader};
use crate::progress::Progress;
use crate::sources::{Discovery, OpenLog};

/// How much is copied at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Everything that a bundle will have but its manifest line.
pub(super) struct Packed {
    spool: Spool,
    files: Vec<ManifestFile>,
    paths: Vec<PathBuf>,
}

/// Reads all logs, once, and compresses their rows.
pub(super) fn pack(discovery: &Discovery, options: &ExportOptions, progress: &dyn Progress) -> Result<Packed> {
    progress.start(Some(discovery.logs().map(|log| log.bytes).sum()));
    let packed = std::thread::scope(|scope| {
        let mut packer = Packer::new(Pool::start(scope, options.level, options.threads), Spool::new(&options.work_dir));
        for group in &discovery.groups {
            for log in group.open()? {
                packer.add_log(log, progress)?;
            }
        }
        packer.finish()
    });
    progress.finish();
    packed
}

/// Hands chunks to the pool, and puts those that come back where they belong.
struct Packer {
    pool: Pool,
    packed: Packed,
    /// The chunk table of each file so far.
    chunks: Vec<Vec<Chunk>>,
}

impl Packer {
    fn new(pool: Pool, spool: Spool) -> Self {
        let packed = Packed { spool, files: Vec::new(), paths: Vec::new() };
        Self { pool, packed, chunks: Vec::new() }
    }

    fn add_log(&mut self, log: OpenLog, progress: &dyn Progress) -> Result<()> {
        let path = log.path().to_owned();
        let subject = path.display().to_string();
        let added = self.add_lines(log, progress).map_err(|error| error.in_subject(&subject))?;
        self.packed.files.push(added);
        self.packed.paths.push(path);
        Ok(())
    }

    fn add_lines(&mut self, log: OpenLog, progress: &dyn Progress) -> Result<ManifestFile> {
        let file = self.chunks.len();
        self.chunks.push(Vec::new());
        let mut encoder = LogEncoder::new(log.log.id.clone(), log.log.times);
        let mut lines = LineReader::new(HashingReader::new(log), MAX_LOG_LINE_BYTES);
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

    fn push(&mut self, file: usize, chunk: RawChunk) -> Result<()> {
        match self.pool.push(file, chunk)? {
            Some(deflated) => self.keep(deflated),
            None => Ok(()),
        }
    }

    fn keep(&mut self, deflated: Deflated) -> Result<()> {
        self.packed.spool.push(&deflated.data)?;
        self.chunks[deflated.file].push(deflated.chunk);
        Ok(())
    }

    fn finish(mut self) -> Result<Packed> {
        while let Some(deflated) = self.pool.pop()? {
            self.keep(deflated)?;
        }
        for (file, chunks) in self.packed.files.iter_mut().zip(self.chunks) {
            file.chunks = chunks;
        }
        Ok(self.packed)
    }
}

impl Packed {
    /// Writes the bundle.
    pub(super) fn write(mut self, options: &ExportOptions, sink: impl Write) -> Result<ExportReport> {
        let failed = |error| Error::io_unnamed(IoAction::Write, error);
        let manifest = Manifest::new(options.generator.clone(), options.exported_at, self.files);
        let mut line = manifest.encode().map_err(|_| too_many_unparsed(&manifest, &self.paths))?;
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
        Ok(ExportReport { digest, manifest, paths: self.paths, bundle_bytes })
    }
}

/// Names the log whose unparsed lines take the most of a manifest that is too long.
fn too_many_unparsed(manifest: &Manifest, paths: &[PathBuf]) -> Error {
    let size = |file: &ManifestFile| file.unparsed.iter().map(|lines| lines.content.as_bytes().len()).sum::<usize>();
    let worst = manifest.files.iter().zip(paths).max_by_key(|(file, _)| size(file));
    let subject = worst.map(|(_, path)| path.display().to_string()).unwrap_or_default();
    Error::from(ErrorKind::TooManyUnparsed { limit: MAX_MANIFEST_BYTES }).in_subject(&subject)
}
