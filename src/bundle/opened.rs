//! The start of a bundle: its manifest line, and the input that follows it.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::container::{FileInput, Input};
use crate::digest::{BundleDigest, Crc32};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::Manifest;
use crate::format::limits::MAX_MANIFEST_BYTES;
use crate::gzip::{Anomaly, BlockIndex, SequentialReader, StreamKind, has_texts};
use crate::util::line_reader::{LineError, LineReader};

/// The decompressed text after the manifest line.
pub struct Remainder<'r> {
    text: Box<dyn Read + Send + 'r>,
    /// The kind of the stream that the text was read from.
    pub content: StreamKind,
}

impl Remainder<'_> {
    pub fn empty() -> Self {
        Self { text: Box::new(io::empty()), content: StreamKind::Plain }
    }
}

impl Read for Remainder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.text.read(out)
    }
}

/// The input of an open bundle. Clones share it.
#[derive(Clone)]
pub enum BundleInput<'r> {
    Indexed(FileInput<'r>, Arc<BlockIndex>),
    File(FileInput<'r>),
    /// A stream, until its rows are read.
    Stream(Arc<Mutex<Option<Remainder<'r>>>>),
}

/// Takes the text of a stream, which can be read only once.
pub fn take_stream<'r>(stream: &Mutex<Option<Remainder<'r>>>) -> Result<Remainder<'r>> {
    let taken = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
    taken.ok_or_else(|| Error::io_unnamed(IoAction::Read, io::Error::other("this stream was already read")))
}

/// A bundle's first line and the values derived from it.
pub struct ManifestLine {
    pub manifest: Manifest,
    /// The length of the manifest line, including its line feed.
    pub bytes: u64,
    /// The checksum of the manifest line, including its line feed.
    pub crc32: Crc32,
    pub digest: BundleDigest,
    pub content: StreamKind,
}

/// The size of the first read. It covers the manifest of a small bundle, and little of what follows.
const FIRST_BYTES: usize = 16 << 10;

impl ManifestLine {
    /// Reads the first line. Returns it with the rest of the text.
    pub fn read<'r>(input: impl Read + Send + 'r) -> Result<(Self, Remainder<'r>)> {
        let failed = |error| Error::io_unnamed(IoAction::Read, error);
        let mut stream = SequentialReader::new(input);
        let content = stream.content().map_err(failed)?.ok_or(ErrorKind::EmptyInput)?;
        let not_a_bundle = || match content {
            StreamKind::Gzip => ErrorKind::GzipOfSomethingElse,
            StreamKind::Plain => ErrorKind::NotABundle,
        };
        // A line that does not start like a JSON object is not searched for its end.
        let mut first = Vec::new();
        stream.by_ref().take(1).read_to_end(&mut first).map_err(failed)?;
        if first != b"{" {
            return Err(not_a_bundle().into());
        }
        let text = Cursor::new(first).chain(stream);
        let mut lines = LineReader::new(text, MAX_MANIFEST_BYTES).with_first_read(FIRST_BYTES);
        let mut line = match lines.next_line() {
            Ok(line) => line.map(|line| line.bytes.to_vec()).unwrap_or_default(),
            Err(LineError::Read(error)) => return Err(failed(error)),
            Err(LineError::TooLong) => {
                let limit = MAX_MANIFEST_BYTES;
                return Err(Error::from(ErrorKind::ManifestTooLong { limit }).at_line(1));
            }
        };
        let at_line_1 = |kind| Error::from(kind).at_line(1);
        let manifest = Manifest::decode(&line).map_err(at_line_1)?.ok_or_else(not_a_bundle)?;
        if let Some(fault) = manifest.faults().into_iter().next() {
            return Err(at_line_1(ErrorKind::Manifest(fault)));
        }
        let digest = BundleDigest::of_manifest_line(&line);
        line.push(b'\n');
        let head = Self { manifest, bytes: line.len() as u64, crc32: Crc32::of(&line), digest, content };
        let (stream, read_ahead) = lines.into_parts();
        let text = Box::new(Cursor::new(read_ahead).chain(stream.into_inner().1));
        Ok((head, Remainder { text, content }))
    }
}

/// Reads the first line of a bundle, without its line feed.
pub fn read_line(input: impl Read + Send) -> Result<Vec<u8>> {
    let mut lines = LineReader::new(SequentialReader::new(input), MAX_MANIFEST_BYTES).with_first_read(FIRST_BYTES);
    match lines.next_line() {
        Ok(line) => Ok(line.map(|line| line.bytes.to_vec()).unwrap_or_default()),
        Err(LineError::Read(error)) => Err(Error::io_unnamed(IoAction::Read, error)),
        Err(LineError::TooLong) => Err(ErrorKind::ManifestTooLong { limit: MAX_MANIFEST_BYTES }.into()),
    }
}

/// Returns true if a header of a gzip file contains a text, or if the file has several members.
pub fn has_texts_around(file: &FileInput<'_>) -> io::Result<bool> {
    let mut stream = SequentialReader::tolerant(file.at_start());
    if stream.content()? != Some(StreamKind::Gzip) {
        return Ok(false);
    }
    let mut start = [0; 4];
    file.at_start().read_exact(&mut start)?;
    if has_texts(start) {
        return Ok(true);
    }
    io::copy(&mut stream, &mut io::sink())?;
    Ok(stream.take_anomalies().iter().any(|(anomaly, _)| *anomaly == Anomaly::FurtherMember))
}

/// Reads the manifest of a bundle. Returns it with the bundle digest.
pub fn read_manifest(input: Input<'_>) -> Result<(Manifest, BundleDigest)> {
    let (head, _) = ManifestLine::read(input)?;
    Ok((head.manifest, head.digest))
}

/// Checks that no text follows and that the container ends correctly.
pub fn check_end(rest: &mut dyn Read) -> Result<()> {
    let mut more = Vec::new();
    match rest.take(1).read_to_end(&mut more) {
        Ok(0) => Ok(()),
        Ok(_) => Err(ErrorKind::MoreThanDeclared.into()),
        Err(error) => Err(Error::io_unnamed(IoAction::Read, error)),
    }
}
