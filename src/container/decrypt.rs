//! Opens encrypted inputs.

use std::io::{self, Read};

use ::age::armor::ArmoredReader;

use super::{DecryptionKeys, FileInput, Input, Passphrase, age, encryption, pwtrace};
use crate::error::{Encryption, Error, IoAction, Result};

/// Opens a file that is encrypted in this way and begins with `mark`. `name` is for whoever is asked for a passphrase.
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
        // The reader of armour would also read this, but seeks several times as slowly.
        Encryption::AgeKey | Encryption::AgePassphrase => FileInput::new(age::decrypt(file.at_start(), keys, name)?),
        Encryption::Patchwork => {
            let open = |passphrase: &Passphrase| pwtrace::open(file.at_start(), passphrase.as_bytes());
            FileInput::new(keys.open_with_passphrase(name, encryption, open)?)
        }
    };
    file.map(Input::File).map_err(unreadable)
}

/// Opens a stream that is encrypted in this way. Each byte that it gives is authenticated.
///
/// What Patchwork encrypted is first copied to an unnamed file, still encrypted: nothing of it is genuine before its end
/// was read.
pub fn of_stream<'r>(
    mut stream: impl Read + Send + 'r,
    encryption: Encryption,
    mark: &[u8],
    keys: &DecryptionKeys,
    name: &str,
) -> Result<Input<'r>> {
    match encryption {
        Encryption::AgeKey | Encryption::AgePassphrase => {
            Ok(Input::Stream(Box::new(age::decrypt(ArmoredReader::new(stream), keys, name)?)))
        }
        Encryption::Patchwork => {
            let dir = std::env::temp_dir();
            let mut copy = tempfile::tempfile().map_err(|error| Error::io(IoAction::Create, dir, error))?;
            io::copy(&mut stream, &mut copy).map_err(unreadable)?;
            of_file(&FileInput::new(copy).map_err(unreadable)?, encryption, mark, keys, name)
        }
    }
}

fn unreadable(error: io::Error) -> Error {
    Error::io_unnamed(IoAction::Read, error)
}
