//! Opens encrypted inputs.

use std::io::{self, Read};

use ::age::armor::ArmoredReader;

use super::damaged::DamagedReader;
use super::{DecryptionKeys, FileInput, Input, Passphrase, age, encryption, pwtrace};
use crate::error::{Encryption, Error, ErrorKind, IoAction, Result};

/// Opens a file that is encrypted in this way and begins with `mark`. Passphrase prompts show `name`.
pub fn of_file<'r>(
    file: &FileInput<'r>,
    encryption: Encryption,
    mark: &[u8],
    keys: &DecryptionKeys,
    name: &str,
) -> Result<Input<'r>> {
    let file = match encryption {
        Encryption::AgeKey | Encryption::AgePassphrase if encryption::is_armored(mark) => {
            FileInput::new(age::decrypt(ArmoredReader::new(file.at_start()), keys, name)?)
        }
        // The armour reader would also read this, but seeks several times more slowly.
        Encryption::AgeKey | Encryption::AgePassphrase => FileInput::new(age::decrypt(file.at_start(), keys, name)?),
        Encryption::Patchwork => {
            let open = |passphrase: &Passphrase| pwtrace::open(file.at_start(), passphrase.as_bytes());
            FileInput::new(keys.open_with_passphrase(name, encryption, open)?)
        }
    };
    let file = file.map_err(unreadable)?;
    refuse_nested(&first_bytes(&mut file.at_start())?)?;
    Ok(Input::File(file))
}

/// Opens the intact parts of an age file without armour. Returns `None` for other files.
pub fn of_damaged_file<'r>(file: FileInput<'r>, keys: &DecryptionKeys, name: &str) -> Result<Option<FileInput<'r>>> {
    let mark = first_bytes(&mut file.at_start())?;
    match encryption::of(&mark) {
        Some(Encryption::AgeKey | Encryption::AgePassphrase) if !encryption::is_armored(&mark) => {
            let reader = DamagedReader::open(file, keys, name)?;
            let holes = reader.holes();
            let content = FileInput::new(reader).map_err(unreadable)?.with_holes(Some(holes));
            refuse_nested(&first_bytes(&mut content.at_start())?)?;
            Ok(Some(content))
        }
        _ => Ok(None),
    }
}

/// Opens a stream that is encrypted in this way. Every byte it returns is authenticated.
///
/// A file that Patchwork encrypted is first copied, still encrypted, to an unnamed file, because no part can be
/// authenticated before its end has been read.
pub fn of_stream<'r>(
    mut stream: impl Read + Send + 'r,
    encryption: Encryption,
    mark: &[u8],
    keys: &DecryptionKeys,
    name: &str,
) -> Result<Input<'r>> {
    match encryption {
        Encryption::AgeKey | Encryption::AgePassphrase => {
            let mut content = age::decrypt(ArmoredReader::new(stream), keys, name)?;
            let first = first_bytes(&mut content)?;
            refuse_nested(&first)?;
            Ok(Input::Stream(Box::new(io::Cursor::new(first).chain(content))))
        }
        Encryption::Patchwork => {
            let dir = std::env::temp_dir();
            let mut copy = tempfile::tempfile().map_err(|error| Error::io(IoAction::Create, dir, error))?;
            io::copy(&mut stream, &mut copy).map_err(unreadable)?;
            of_file(&FileInput::new(copy).map_err(unreadable)?, encryption, mark, keys, name)
        }
    }
}

/// Reads the first bytes.
fn first_bytes(content: &mut impl Read) -> Result<Vec<u8>> {
    let mut first = Vec::with_capacity(encryption::MARK_BYTES);
    content.take(encryption::MARK_BYTES as u64).read_to_end(&mut first).map_err(unreadable)?;
    Ok(first)
}

/// Returns an error if the decrypted content that begins with `first` is itself encrypted.
fn refuse_nested(first: &[u8]) -> Result<()> {
    let in_gzip = encryption::in_gzip(first);
    match in_gzip || encryption::of(first).is_some() {
        true => Err(ErrorKind::NestedEncryption { in_gzip }.into()),
        false => Ok(()),
    }
}

fn unreadable(error: io::Error) -> Error {
    Error::io_unnamed(IoAction::Read, error)
}
