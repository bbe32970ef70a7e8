//! A public key as OpenSSH writes it on a line: its type, its bytes in base64, and a comment.

use data_encoding::BASE64;

/// The supported key types.
const SUPPORTED: [&str; 6] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// The type, such as `ssh-ed25519`.
    pub key_type: String,
    /// The key with its type, as encoded in signatures.
    pub blob: Vec<u8>,
}

impl KeyLine {
    /// Parses a line. Returns `None` unless it begins with a type and base64 of a key of that type.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (key_type, base64) = (words.next()?, words.next()?);
        let blob = BASE64.decode(base64.as_bytes()).ok()?;
        (type_of(&blob)? == key_type).then(|| Self { key_type: key_type.to_owned(), blob })
    }
}

/// Returns true if this key type is supported.
pub fn is_supported(key_type: &str) -> bool {
    SUPPORTED.contains(&key_type)
}

/// Returns the type of a key in binary form.
pub fn type_of(blob: &[u8]) -> Option<&str> {
    let (name, _) = take_string(blob)?;
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// Splits the bytes after a string of SSH's binary format, which begins with its length.
pub fn take_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
