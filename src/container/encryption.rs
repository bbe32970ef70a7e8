//! Detects encrypted files, and their encryption, by their first bytes.

use std::io::Read;
use std::path::Path;

use data_encoding::BASE64;
use flate2::read::GzDecoder;

use crate::error::{Encryption, Error, IoAction, Result};

/// The number of first bytes that [`of`] and [`in_gzip`] inspect.
pub const MARK_BYTES: usize = 1024;

/// The number of first bytes of a gzip file's content that [`in_gzip`] inspects.
const CONTENT_BYTES: u64 = 64;

const AGE: &[u8] = b"age-encryption.org/v1\n";
const AGE_ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const PASSPHRASE_STANZA: &[u8] = b"-> scrypt ";

/// The first bytes of the exports that Patchwork encrypts.
pub const PWTRACE: &[u8; 8] = b"PWTRACE\0";

/// Returns the encryption of a file that begins with `bytes`, or `None` if it is not encrypted.
pub fn of(bytes: &[u8]) -> Option<Encryption> {
    let of_header = |header: &[u8]| match header.strip_prefix(AGE)?.starts_with(PASSPHRASE_STANZA) {
        true => Some(Encryption::AgePassphrase),
        false => Some(Encryption::AgeKey),
    };
    if bytes.starts_with(PWTRACE) {
        return Some(Encryption::Patchwork);
    }
    let Some(armored) = bytes.trim_ascii_start().strip_prefix(AGE_ARMOR) else { return of_header(bytes) };
    // A line of armour holds 48 bytes.
    let line = armored.trim_ascii_start().get(..64).and_then(|line| BASE64.decode(line).ok());
    Some(line.and_then(|header| of_header(&header)).unwrap_or(Encryption::AgeKey))
}

/// Returns true if the file at `path` is encrypted.
///
/// # Errors
/// If it cannot be read.
pub fn is_encrypted(path: &Path) -> Result<bool> {
    let mut mark = Vec::new();
    let read = fs_err::File::open(path).and_then(|file| file.take(MARK_BYTES as u64).read_to_end(&mut mark));
    read.map_err(|error| Error::io(IoAction::Read, path, error))?;
    Ok(of(&mark).is_some())
}

/// Returns true if a gzip file that begins with `bytes` contains an encrypted file.
pub fn in_gzip(bytes: &[u8]) -> bool {
    let mut content = Vec::new();
    // The bytes are only the start of the file, so reading them ends with an error.
    let _ = GzDecoder::new(bytes).take(CONTENT_BYTES).read_to_end(&mut content);
    of(&content).is_some()
}

/// Returns true if the file that begins with `bytes` is armoured.
#[cfg(feature = "seal")]
pub fn is_armored(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(AGE_ARMOR)
}
