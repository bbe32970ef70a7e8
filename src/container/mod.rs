//! Opens paths and streams, for every operation that reads a bundle.
//!
//! The variants of [`Input`] tell if its bytes can be read again. Encrypted files are detected by their first bytes and
//! decrypted as they are read, so readers of an input always see a bundle, compressed or not.

#[cfg(feature = "seal")]
mod age;
#[cfg(feature = "seal")]
mod damaged;
#[cfg(feature = "seal")]
mod decrypt;
pub(crate) mod encryption;
mod holes;
#[cfg(feature = "seal")]
mod identity_file;
#[cfg(feature = "seal")]
mod key_text;
mod keys;
#[cfg(feature = "seal")]
mod passphrase;
#[cfg(feature = "seal")]
mod plugin;
#[cfg(feature = "seal")]
pub(crate) mod pwtrace;
mod seal;
mod spool;
#[cfg(feature = "seal")]
mod unlock;

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fs_err as fs;

use crate::error::{Error, ErrorKind, IoAction, Result};

#[cfg(feature = "seal")]
pub use age::{Recipient, SealedWriter, Sealer};
pub(crate) use holes::Holes;
pub use keys::DecryptionKeys;
#[cfg(feature = "seal")]
pub use keys::PassphraseRequest;
#[cfg(feature = "seal")]
pub use passphrase::Passphrase;
#[cfg(feature = "seal")]
pub use plugin::PluginPrompt;
#[cfg(not(feature = "seal"))]
pub use seal::NoSealer as Sealer;
pub(crate) use seal::write_through;
pub(crate) use spool::Reread;

/// The size of the first read of a file. It covers the manifest of all but very large bundles. These bytes are kept,
/// because the manifest's compressed block is read a second time to check the chunk table.
const HEAD_BYTES: usize = 64 << 10;

/// An input that can seek.
trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// The bytes of a bundle, decrypted.
#[non_exhaustive]
pub enum Input<'r> {
    /// The content of a file, which can be read again.
    File(FileInput<'r>),
    /// The content of a stream, which can be read only once.
    Stream(Box<dyn Read + Send + 'r>),
}

/// A file with a read position. Clones share the file, but each has its own position.
#[derive(Clone)]
pub struct FileInput<'r> {
    file: Arc<Mutex<SharedFile<'r>>>,
    at: u64,
    holes: Option<Arc<Holes>>,
}

struct SharedFile<'r> {
    inner: Box<dyn ReadSeek + Send + 'r>,
    /// The position of `inner`, if known.
    at: Option<u64>,
    /// The first bytes of the file.
    head: Vec<u8>,
    /// Bytes that were read ahead, and their offset.
    ahead: (u64, Vec<u8>),
    length: u64,
}

impl<'r> Input<'r> {
    /// Opens the file at `path`. Anything but a regular file is read as a stream.
    ///
    /// ```
    /// use patchwork_traces::Bundle;
    /// use patchwork_traces::container::{DecryptionKeys, Input};
    ///
    /// # fn main() -> patchwork_traces::Result<()> {
    /// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
    /// let Input::File(file) = Input::open(path, &DecryptionKeys::default())? else { return Ok(()) };
    /// assert_eq!(Bundle::from_seekable(file, "the bundle")?.manifest().total_count, 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the file cannot be opened or is a directory, or if it is encrypted and `keys` do not open it.
    pub fn open(path: &Path, keys: &DecryptionKeys) -> Result<Self> {
        let failed = |error| Error::io(IoAction::Open, path, error);
        let metadata = fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::from(ErrorKind::InputIsDirectory).in_subject(&path.display().to_string()));
        }
        let file = fs::File::open(path).map_err(failed)?.into_parts().0;
        let name = path.display().to_string();
        match metadata.is_file() {
            true => Self::from_file(FileInput::new(file).map_err(failed)?, keys, &name),
            false => Self::from_stream(file, keys, &name),
        }
    }

    /// Opens the file at `path` for [`recover_input`](crate::recover::recover_input). Unlike [`open`](Self::open), it
    /// skips the pieces of an age file that cannot be decrypted, unless the file is armoured.
    ///
    /// # Errors
    /// As [`open`](Self::open), except for damage after the header of the encrypted file.
    pub fn open_damaged(path: &Path, keys: &DecryptionKeys) -> Result<Self> {
        #[cfg(feature = "seal")]
        if path.is_file() && !keys.is_empty() {
            let file = fs::File::open(path).map_err(|error| Error::io(IoAction::Open, path, error))?.into_parts().0;
            let name = path.display().to_string();
            let opened = FileInput::new(file).map_err(|error| Error::io_unnamed(IoAction::Read, error));
            let opened = opened.and_then(|file| decrypt::of_damaged_file(file, keys, &name));
            if let Some(file) = opened.map_err(|error| error.in_subject(&name))? {
                return Ok(Self::File(file));
            }
        }
        Self::open(path, keys)
    }

    /// Wraps a file. Errors refer to it as `name`.
    ///
    /// # Errors
    /// If it cannot be read, or if it is encrypted and `keys` do not open it.
    #[cfg_attr(not(feature = "seal"), allow(unused_variables, reason = "there are no keys"))]
    pub fn from_file(file: FileInput<'r>, keys: &DecryptionKeys, name: &str) -> Result<Self> {
        let failed = |error| Error::io_named(IoAction::Read, name, error);
        let mut mark = Vec::with_capacity(encryption::MARK_BYTES);
        file.at_start().take(encryption::MARK_BYTES as u64).read_to_end(&mut mark).map_err(failed)?;
        let opened = match encryption::of(&mark) {
            None if encryption::in_gzip(&mark) => Err(ErrorKind::NestedEncryption { in_gzip: true }.into()),
            None => Ok(Self::File(file)),
            #[cfg(feature = "seal")]
            Some(encryption) if !keys.is_empty() => decrypt::of_file(&file, encryption, &mark, keys, name),
            Some(encryption) => Err(ErrorKind::Encrypted(encryption).into()),
        };
        opened.map_err(|error: Error| error.in_subject(name))
    }

    /// Returns a file that can be read again. A stream, which errors call `name`, is copied to an unnamed file in `dir`.
    ///
    /// # Errors
    /// If the stream cannot be read, or the file cannot be written.
    pub fn into_file(self, dir: impl AsRef<Path>, name: &str) -> Result<FileInput<'r>> {
        let stream = match self {
            Self::File(file) => return Ok(file),
            Self::Stream(stream) => stream,
        };
        let copied = spool::spool(stream, &[], dir.as_ref()).and_then(FileInput::new);
        copied.map_err(|error| match error.downcast::<Error>() {
            Ok(error) if error.position().subject.is_some() => error,
            Ok(error) => error.in_subject(name),
            Err(error) => Error::io_named(IoAction::Read, name, error),
        })
    }

    /// Wraps a stream. Errors refer to it as `name`.
    ///
    /// # Errors
    /// If it cannot be read, or if it is encrypted and `keys` do not open it.
    #[cfg_attr(not(feature = "seal"), allow(unused_variables, reason = "there are no keys"))]
    pub fn from_stream(mut stream: impl Read + Send + 'r, keys: &DecryptionKeys, name: &str) -> Result<Self> {
        let failed = |error| Error::io_named(IoAction::Read, name, error);
        let mut mark = Vec::with_capacity(encryption::MARK_BYTES);
        stream.by_ref().take(encryption::MARK_BYTES as u64).read_to_end(&mut mark).map_err(failed)?;
        let encryption = encryption::of(&mark);
        let whole = io::Cursor::new(mark.clone()).chain(stream);
        let opened = match encryption {
            None if encryption::in_gzip(&mark) => Err(ErrorKind::NestedEncryption { in_gzip: true }.into()),
            None => Ok(Self::Stream(Box::new(whole))),
            #[cfg(feature = "seal")]
            Some(encryption) if !keys.is_empty() => decrypt::of_stream(whole, encryption, &mark, keys, name),
            Some(encryption) => Err(ErrorKind::Encrypted(encryption).into()),
        };
        opened.map_err(|error: Error| error.in_subject(name))
    }

    /// Returns the length of a file in bytes.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::File(file) => Some(file.length()),
            Self::Stream(_) => None,
        }
    }
}

impl Read for Input<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(out),
            Self::Stream(stream) => stream.read(out),
        }
    }
}

impl<'r> From<FileInput<'r>> for Input<'r> {
    fn from(file: FileInput<'r>) -> Self {
        Self::File(file)
    }
}

impl<'r> FileInput<'r> {
    /// Wraps a file, and reads it from the start regardless of its position.
    ///
    /// # Errors
    /// If seeking fails.
    pub fn new(mut inner: impl Read + Seek + Send + 'r) -> io::Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        let file =
            SharedFile { inner: Box::new(inner), at: Some(length), head: Vec::new(), ahead: (0, Vec::new()), length };
        Ok(Self { file: Arc::new(Mutex::new(file)), at: 0, holes: None })
    }

    /// Records the holes, whose content is noise.
    pub(crate) fn with_holes(self, holes: Option<Arc<Holes>>) -> Self {
        Self { holes, ..self }
    }

    /// Returns the holes, if the content can have any.
    pub(crate) fn holes(&self) -> Option<&Arc<Holes>> {
        self.holes.as_ref()
    }

    /// Returns the length of the file in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.shared().length
    }

    /// Returns the same file, positioned at its start.
    #[must_use]
    pub fn at_start(&self) -> Self {
        Self { at: 0, ..self.clone() }
    }

    /// Returns an error if the file is encrypted.
    ///
    /// # Errors
    /// [`ErrorKind::Encrypted`], or if it cannot be read.
    pub(crate) fn refuse_encrypted(&self, name: &str) -> Result<()> {
        Input::from_file(self.clone(), &DecryptionKeys::default(), name).map(drop)
    }

    /// Reads a range of bytes at once, for later reads to return. Does nothing if its first byte is already buffered.
    pub(crate) fn read_ahead(&mut self, bytes: Range<u64>) -> io::Result<()> {
        let mut file = self.shared();
        let (start, ahead) = &file.ahead;
        let is_there = kept(*start, ahead, bytes.start).is_some() || kept(0, &file.head, bytes.start).is_some();
        if is_there { Ok(()) } else { file.read_ahead(bytes) }
    }

    fn shared(&self) -> MutexGuard<'_, SharedFile<'r>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedFile<'_> {
    fn read_at(&mut self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        if at < HEAD_BYTES as u64 && self.head.is_empty() {
            let mut head = vec![0; HEAD_BYTES];
            let read = self.read_inner(0, &mut head)?;
            head.truncate(read);
            self.head = head;
        }
        let (head, (ahead_at, ahead)) = (kept(0, &self.head, at), &self.ahead);
        match head.or_else(|| kept(*ahead_at, ahead, at)) {
            Some(mut kept) => kept.read(out),
            None => self.read_inner(at, out),
        }
    }

    fn read_ahead(&mut self, bytes: Range<u64>) -> io::Result<()> {
        let (_, mut ahead) = std::mem::take(&mut self.ahead);
        ahead.resize(usize::try_from(bytes.end - bytes.start).map_err(io::Error::other)?, 0);
        let mut filled = 0;
        while filled < ahead.len() {
            match self.read_inner(bytes.start + filled as u64, &mut ahead[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        ahead.truncate(filled);
        self.ahead = (bytes.start, ahead);
        Ok(())
    }

    fn read_inner(&mut self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        if self.at.take() != Some(at) {
            self.inner.seek(SeekFrom::Start(at))?;
        }
        let read = loop {
            match self.inner.read(out) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.at = Some(at + read as u64);
        Ok(read)
    }
}

/// Returns the bytes from `at` on, if they are among the bytes kept from `start` on.
fn kept(start: u64, bytes: &[u8], at: u64) -> Option<&[u8]> {
    let skipped = usize::try_from(at.checked_sub(start)?).ok()?;
    bytes.get(skipped..).filter(|kept| !kept.is_empty())
}

impl Read for FileInput<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.shared().read_at(self.at, out)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for FileInput<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
