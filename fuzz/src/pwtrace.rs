//! Checks that an encrypted export is read exactly if another implementation of AES-GCM accepts it, with the same
//! content wherever reading begins, and that nothing of a piece is given away that changes while the file is read.

use std::cell::RefCell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, KeyInit};
use patchwork_traces::ErrorKind;
use patchwork_traces::internal::{FileKey, PWTRACE_MAGIC, PwtraceReader, open_pwtrace_with};

const HEADER_BYTES: usize = 53;
const PIECE_BYTES: usize = 64 << 10;

/// The maximum size of a file that an input encodes, a little more than three pieces.
const MAX_CONTENT_BYTES: usize = 200_000;

/// Checks the file that the input encodes. An input with the magic bytes is the file itself. Others begin with six bytes
/// that say how the content, which follows, is repeated, changed and read.
pub fn check(input: &[u8]) {
    if input.starts_with(PWTRACE_MAGIC) {
        check_file(input, [0; 2]);
    } else if let Some((&[edit, at, more_at, repeats, seek, other_seek], content)) = input.split_first_chunk() {
        let count = usize::from(repeats) * usize::from(repeats) + 1;
        let content = content.repeat(count.min(MAX_CONTENT_BYTES / content.len().max(1) + 1));
        let mut file = sealed(&content);
        let at = usize::from(u16::from_be_bytes([at, more_at])) * 31 % file.len();
        match edit % 5 {
            0 => {}
            1 => file[at] ^= edit.max(1),
            2 => file.truncate(at),
            3 => file.extend_from_slice(&content[..content.len().min(at)]),
            _ => check_change(&file, &content, at),
        }
        check_file(&file, [seek, other_seek]);
    }
}

/// Returns a key that depends on the salt as that of a passphrase does, without its cost.
fn key(salt: &[u8; 16]) -> FileKey {
    FileKey::new(std::array::from_fn(|at| salt[at % 16].wrapping_mul(3).wrapping_add(u8::from(at < 16))))
}

fn sealed(content: &[u8]) -> Vec<u8> {
    let (salt, nonce) = ([content.first().copied().unwrap_or(9); 16], [5; 12]);
    let cipher = Aes256Gcm::new((&*key(&salt)).into());
    let mut ciphertext = cipher.encrypt(&nonce.into(), content).expect("the content is short");
    // Other implementations append the tag.
    let tag = ciphertext.split_off(content.len());
    [&PWTRACE_MAGIC[..], &[1], &salt, &nonce, &tag, &ciphertext].concat()
}

/// Returns the content of a file, decrypted at once by another implementation.
fn content_of(file: &[u8]) -> Option<Vec<u8>> {
    let (header, ciphertext) = file.split_first_chunk::<HEADER_BYTES>()?;
    let (salt, nonce): ([u8; 16], [u8; 12]) = (header[9..25].try_into().ok()?, header[25..37].try_into().ok()?);
    let is_known = header[..8] == PWTRACE_MAGIC[..] && header[8] == 1;
    let message = [ciphertext, &header[37..]].concat();
    let content = Aes256Gcm::new((&*key(&salt)).into()).decrypt(&nonce.into(), message.as_slice()).ok()?;
    is_known.then_some(content)
}

fn check_file(file: &[u8], seeks: [u8; 2]) {
    let expected = content_of(file);
    let opened = open_pwtrace_with(Cursor::new(file), key);
    assert_eq!(opened.is_ok(), expected.is_some());
    match (opened, expected) {
        (Ok(reader), Some(expected)) => check_reading(reader, &expected, seeks),
        (Err(error), _) => match error.kind() {
            ErrorKind::NotABundle => assert!(!PWTRACE_MAGIC.starts_with(&file[..file.len().min(8)])),
            ErrorKind::PwtraceVersion { found, .. } => assert!(*found != 1 && *found == file[8]),
            ErrorKind::PwtraceTruncated { found, .. } => assert!(*found == file.len() as u64 && *found < 53),
            ErrorKind::DecryptionFailed => assert!(file.len() >= HEADER_BYTES && file[8] == 1),
            _ => panic!("{error}"),
        },
        (Ok(_), None) => unreachable!("compared above"),
    }
}

fn check_reading<R: Read + Seek>(mut reader: PwtraceReader<R>, expected: &[u8], seeks: [u8; 2]) {
    for seek in seeks {
        let at = expected.len() * usize::from(seek) / 200;
        reader.seek(SeekFrom::Start(at as u64)).expect("it is not negative");
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).expect("memory I/O succeeds");
        assert!(rest == expected[at.min(expected.len())..], "from {at}");
    }
    assert_eq!(reader.seek(SeekFrom::End(0)).expect("it is not negative"), expected.len() as u64);
}

/// A file that changes while it is read.
struct Changing<'f>(&'f RefCell<Vec<u8>>, u64);

impl Read for Changing<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let file = self.0.borrow();
        let at = usize::try_from(self.1).map_err(io::Error::other)?.min(file.len());
        let read = (&file[at..]).read(out)?;
        self.1 += read as u64;
        Ok(read)
    }
}

impl Seek for Changing<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let file = self.0.borrow();
        let mut cursor = Cursor::new(file.as_slice());
        cursor.set_position(self.1);
        self.1 = cursor.seek(to)?;
        Ok(self.1)
    }
}

/// Changes a byte after the file was opened. The content before the changed piece is read, and an error follows. The
/// header is not read again.
fn check_change(file: &[u8], content: &[u8], at: usize) {
    let shared = RefCell::new(file.to_vec());
    let mut reader = open_pwtrace_with(Changing(&shared, 0), key).expect("the file is sound");
    shared.borrow_mut()[at] ^= 0x40;
    let mut read = Vec::new();
    let ended = reader.read_to_end(&mut read);
    match at.checked_sub(HEADER_BYTES) {
        Some(at) => assert!(ended.is_err() && read == content[..at / PIECE_BYTES * PIECE_BYTES], "byte {at}"),
        None => assert!(ended.is_ok() && read == content),
    }
}
