//! Reads the intact parts of a damaged age file.
//!
//! age encrypts pieces of 64 KiB, and authenticates each separately under a nonce with the piece's number. So a piece
//! that decrypts is genuine and in its original position, whatever happened to the others. If the last piece is
//! damaged, the original end of the file is unknown.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use age::Decryptor;
use age::stream::StreamReader;
use zeroize::Zeroizing;

use super::FileInput;
use super::holes::Holes;
use super::keys::DecryptionKeys;
use super::unlock::{self, FileKeyIdentity, KeysIdentity};
use crate::error::Result;

/// The length of a decrypted piece, and the number of bytes for its authentication.
const PIECE_BYTES: u64 = 64 << 10;
const TAG_BYTES: u64 = 16;

/// The decrypted content of a file that may be damaged. Pieces that cannot be decrypted are replaced by noise, and
/// recorded as holes.
pub struct DamagedReader<'r> {
    file: FileInput<'r>,
    key: FileKeyIdentity,
    /// The reader, and the number of the next piece. It cannot be used after damage.
    reader: Option<(StreamReader<FileInput<'r>>, u64)>,
    /// The piece read last, and its number.
    piece: Zeroizing<Vec<u8>>,
    loaded: Option<u64>,
    length: u64,
    at: u64,
    holes: Arc<Holes>,
}

impl<'r> DamagedReader<'r> {
    /// Opens a file without armour. Its header must be intact. Passphrase prompts show `name`.
    ///
    /// # Errors
    /// If the header is damaged, the keys don't open the file, or it cannot be read.
    pub fn open(file: FileInput<'r>, keys: &DecryptionKeys, name: &str) -> Result<Self> {
        let mut input = file.at_start();
        let decryptor = Decryptor::new(&mut input).map_err(unlock::decryption_error)?;
        let identity = KeysIdentity::new(keys, name, decryptor.is_scrypt())?;
        let key = FileKeyIdentity::default();
        let opened = decryptor.decrypt([&key.captured_from(&identity) as &dyn age::Identity].into_iter());
        opened.map_err(unlock::decryption_error)?;
        let sealed = file.length().saturating_sub(input.at);
        let (whole, rest) = (sealed / (PIECE_BYTES + TAG_BYTES), sealed % (PIECE_BYTES + TAG_BYTES));
        let length = whole * PIECE_BYTES + rest.saturating_sub(TAG_BYTES);
        let (piece, holes) = (Zeroizing::default(), Arc::default());
        Ok(Self { file, key, reader: None, piece, loaded: None, length, at: 0, holes })
    }

    /// Returns the pieces that could not be decrypted so far.
    pub fn holes(&self) -> Arc<Holes> {
        Arc::clone(&self.holes)
    }

    /// Reads a piece, or fills it with noise.
    fn load(&mut self, number: u64) -> io::Result<()> {
        if self.loaded == Some(number) {
            return Ok(());
        }
        self.loaded = None;
        let start = number * PIECE_BYTES;
        let end = self.length.min(start + PIECE_BYTES);
        self.piece.resize(usize::try_from(end - start).map_err(io::Error::other)?, 0);
        match self.decrypt(number) {
            Err(error) if is_damage(&error) => {
                fill_with_noise(number, &mut self.piece);
                self.holes.add(start..end);
            }
            decrypted => decrypted?,
        }
        self.loaded = Some(number);
        Ok(())
    }

    fn decrypt(&mut self, number: u64) -> io::Result<()> {
        let reader = self.reader.take().filter(|(_, next)| *next == number);
        let mut reader = match reader {
            Some((reader, _)) => reader,
            None => self.reader_at(number)?,
        };
        reader.read_exact(&mut self.piece)?;
        self.reader = Some((reader, number + 1));
        Ok(())
    }

    /// Returns a new reader, at the start of a piece.
    fn reader_at(&self, number: u64) -> io::Result<StreamReader<FileInput<'r>>> {
        let decryptor = Decryptor::new(self.file.at_start()).map_err(unlock::decryption_error)?;
        let reader = decryptor.decrypt([&self.key as &dyn age::Identity].into_iter());
        let mut reader = reader.map_err(unlock::decryption_error)?;
        if number > 0 {
            // At the start of a piece, the reader would authenticate the end of the file first.
            reader.seek(SeekFrom::Start(number * PIECE_BYTES + 1))?;
            reader.seek(SeekFrom::Start(number * PIECE_BYTES))?;
        }
        Ok(reader)
    }
}

/// Returns true for errors of the `age` crate that mean damage.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// Fills a piece with the same noise each time. Unlike zeros, it soon ends compressed data.
fn fill_with_noise(number: u64, piece: &mut [u8]) {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    for bytes in piece.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.copy_from_slice(&state.to_le_bytes()[..bytes.len()]);
    }
}

impl Read for DamagedReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.length || out.is_empty() {
            return Ok(0);
        }
        self.load(self.at / PIECE_BYTES)?;
        let skipped = usize::try_from(self.at % PIECE_BYTES).map_err(io::Error::other)?;
        let read = self.piece.get(skipped..).unwrap_or_default().read(out)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for DamagedReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
