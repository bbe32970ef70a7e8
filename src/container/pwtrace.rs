//! Reads the exports that Patchwork itself encrypts (`patchwork traces export --mode keyed`, files ending in `.enc`).
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | [`PWTRACE`] |
//! | 8 | 1 | version, 1 |
//! | 9 | 16 | salt of the key derivation |
//! | 25 | 12 | nonce |
//! | 37 | 16 | authentication tag |
//! | 53 | all others | ciphertext of a gzip file |
//!
//! The ciphertext is one message of AES-256-GCM without associated data. Its key is the scrypt hash of the passphrase. The
//! tag authenticates the ciphertext and, through the key and the counter, salt and nonce.
//!
//! The file is read twice, because no content may be returned before the tag has been verified, and the content may be
//! larger than memory. The first pass verifies the tag. It keeps the state of the hash, a 16-byte block, after each
//! piece of 64 KiB. Reading then checks one piece at a time against these states, and decrypts it. If the file changes
//! after the first pass, reading fails at the changed piece instead of returning it.

use std::io::{self, Read, Seek, SeekFrom};

use aes::Aes256;
use aes::cipher::{BlockEncrypt as _, InnerIvInit as _, KeyInit as _, StreamCipher as _};
use ctr::{Ctr32BE, CtrCore};
use ghash::GHash;
use ghash::universal_hash::UniversalHash as _;
use zeroize::Zeroizing;

use super::encryption::PWTRACE;
use crate::error::{Error, ErrorKind, IoAction, Result};

const VERSION: u8 = 1;

/// The length of everything before the ciphertext.
const HEADER_BYTES: u64 = 53;

/// The maximum length of a message of GCM: its counter has 32 bits, and two values are used otherwise.
const MAX_CONTENT_BYTES: u64 = ((1 << 32) - 2) * BLOCK_BYTES as u64;

/// The number of bytes that are verified and decrypted at a time.
const PIECE_BYTES: u64 = BLOCKS_PER_PIECE as u64 * BLOCK_BYTES as u64;

const BLOCKS_PER_PIECE: u32 = 4096;

const BLOCK_BYTES: usize = 16;

/// The counters of the block that encrypts the tag, and of the first block of the content.
const TAG_COUNTER: u32 = 1;
const FIRST_COUNTER: u32 = 2;

/// The logarithm of scrypt's cost, its block size and its parallelism. They belong to the version and need 16 MiB.
const SCRYPT: (u8, u32, u32) = (14, 8, 1);

type GcmBlock = [u8; BLOCK_BYTES];

/// The key of one file.
pub type FileKey = Zeroizing<[u8; 32]>;

/// Opens an encrypted export and verifies it with a passphrase. The input is read from its start.
///
/// # Errors
/// If the input cannot be read, is not such a file, is truncated or too long, or has another version.
/// [`ErrorKind::DecryptionFailed`] if the passphrase is wrong or the file was changed.
pub fn open<R: Read + Seek>(input: R, passphrase: &[u8]) -> Result<PwtraceReader<R>> {
    open_with(input, |salt| derive_key(passphrase, salt))
}

/// Opens an encrypted export with the key that `derive` returns for its salt.
///
/// # Errors
/// As [`open`].
pub fn open_with<R: Read + Seek>(mut input: R, derive: impl FnOnce(&[u8; 16]) -> FileKey) -> Result<PwtraceReader<R>> {
    let length = input.seek(SeekFrom::End(0)).map_err(unreadable)?;
    input.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let header = Header::read(&mut input)?;
    let length = length.saturating_sub(HEADER_BYTES);
    if length > MAX_CONTENT_BYTES {
        return Err(ErrorKind::PwtraceTooLong { limit: HEADER_BYTES + MAX_CONTENT_BYTES }.into());
    }
    let gcm = Gcm::new(&derive(&header.salt), header.nonce);
    let mut reader = PwtraceReader {
        input,
        gcm,
        length,
        at: 0,
        states: Zeroizing::new(Vec::new()),
        piece: Vec::new(),
        loaded: None,
    };
    reader.verify(header.tag)?;
    Ok(reader)
}

/// Derives the key of a file from the passphrase.
#[allow(clippy::expect_used, reason = "scrypt rejects only numbers, and these are constants")]
fn derive_key(passphrase: &[u8], salt: &[u8]) -> FileKey {
    let mut key = FileKey::default();
    let (log_n, r, p) = SCRYPT;
    let params = scrypt::Params::new(log_n, r, p, key.len()).expect("the parameters are valid");
    scrypt::scrypt(passphrase, salt, &params, &mut *key).expect("the length is valid");
    key
}

fn unreadable(error: io::Error) -> Error {
    Error::io_unnamed(IoAction::Read, error)
}

/// The fields before the ciphertext.
struct Header {
    salt: [u8; 16],
    nonce: [u8; 12],
    tag: GcmBlock,
}

impl Header {
    fn read(input: &mut impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        input.take(HEADER_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
        let (magic, rest) = bytes.split_at(bytes.len().min(PWTRACE.len()));
        if !PWTRACE.starts_with(magic) {
            return Err(ErrorKind::NotABundle.into());
        }
        // Other versions may have other headers, so the version is checked before the length.
        if let Some(&found) = rest.first().filter(|version| **version != VERSION) {
            return Err(ErrorKind::PwtraceVersion { found, supported: VERSION }.into());
        }
        let truncated = ErrorKind::PwtraceTruncated { found: bytes.len() as u64, header: HEADER_BYTES };
        Self::of_fields(rest.get(1..).unwrap_or_default()).ok_or_else(|| truncated.into())
    }

    /// Splits the bytes after the version into the fields. Returns `None` if there are too few.
    fn of_fields(bytes: &[u8]) -> Option<Self> {
        let (salt, bytes) = bytes.split_first_chunk()?;
        let (nonce, bytes) = bytes.split_first_chunk()?;
        let (tag, _) = bytes.split_first_chunk()?;
        Some(Self { salt: *salt, nonce: *nonce, tag: *tag })
    }
}

/// AES-256-GCM with the key and nonce of one file.
struct Gcm {
    aes: Aes256,
    /// The hash of nothing, with its key.
    ghash: GHash,
    nonce: [u8; 12],
}

impl Gcm {
    fn new(key: &FileKey, nonce: [u8; 12]) -> Self {
        let key: &[u8; 32] = key;
        let aes = Aes256::new(key.into());
        let mut hash_key = Zeroizing::new(GcmBlock::default());
        aes.encrypt_block((&mut *hash_key).into());
        let hash_key: &GcmBlock = &hash_key;
        Self { ghash: GHash::new(hash_key.into()), aes, nonce }
    }

    /// Encrypts or decrypts bytes that begin at the block with this counter.
    fn apply_keystream(&self, counter: u32, bytes: &mut [u8]) {
        let mut block = GcmBlock::default();
        block[..self.nonce.len()].copy_from_slice(&self.nonce);
        block[self.nonce.len()..].copy_from_slice(&counter.to_be_bytes());
        let core = CtrCore::inner_iv_init(&self.aes, &block.into());
        Ctr32BE::from_core(core).apply_keystream(bytes);
    }

    /// Returns the hash after hashing more bytes from `state` on. The bytes must not be empty, and only the last ones
    /// may end within a block.
    fn hash_after(&self, state: &GcmBlock, bytes: &[u8]) -> GHash {
        // The hash of a block is that of the sum of the block and the state, multiplied by the key.
        let (first, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES));
        let mut block = *state;
        block.iter_mut().zip(first).for_each(|(sum, byte)| *sum ^= byte);
        let mut hash = self.ghash.clone();
        hash.update(&[block.into()]);
        hash.update_padded(rest);
        hash
    }
}

/// The content of an encrypted export whose tag was verified. It supports reading and seeking like the decrypted file.
///
/// A change of the file after it was opened is an [`ErrorKind::DecryptionFailed`], wrapped in [`io::Error`].
pub struct PwtraceReader<R> {
    input: R,
    gcm: Gcm,
    /// The length of the content.
    length: u64,
    /// The position in the content.
    at: u64,
    /// The states of the hash before each piece and after the last one. They are as secret as the key of the hash.
    states: Zeroizing<Vec<GcmBlock>>,
    piece: Vec<u8>,
    /// The number of the decrypted piece in `piece`.
    loaded: Option<u32>,
}

impl<R: Read + Seek> PwtraceReader<R> {
    /// Verifies the whole ciphertext and keeps the states of the hash.
    fn verify(&mut self, tag: GcmBlock) -> Result<()> {
        let pieces = piece_at(self.length.next_multiple_of(PIECE_BYTES)).map_err(unreadable)?;
        // A vector that grew would leave copies of secrets in memory.
        self.states.reserve_exact(pieces as usize + 1);
        let mut state = GcmBlock::default();
        self.states.push(state);
        for piece in 0..pieces {
            self.read_piece(piece).map_err(unreadable)?;
            state = self.gcm.hash_after(&state, &self.piece).finalize().into();
            self.states.push(state);
        }
        // The lengths in bits of the associated data and of the ciphertext are hashed last.
        let lengths = (u128::from(self.length) * 8).to_be_bytes();
        let mut expected = tag;
        self.gcm.apply_keystream(TAG_COUNTER, &mut expected);
        let verified = self.gcm.hash_after(&state, &lengths).verify(&expected.into());
        verified.map_err(|_| ErrorKind::DecryptionFailed.into())
    }

    /// Reads, checks and decrypts a piece, unless it is the one that was loaded last.
    fn load(&mut self, index: u32) -> io::Result<()> {
        if self.loaded == Some(index) {
            return Ok(());
        }
        self.loaded = None;
        self.read_piece(index)?;
        let [before, after] = [self.states.get(index as usize), self.states.get(index as usize + 1)];
        let (before, after) = before.zip(after).ok_or_else(|| changed_at(index))?;
        self.gcm.hash_after(before, &self.piece).verify(&(*after).into()).map_err(|_| changed_at(index))?;
        self.gcm.apply_keystream(FIRST_COUNTER + index * BLOCKS_PER_PIECE, &mut self.piece);
        self.loaded = Some(index);
        Ok(())
    }

    /// Reads the ciphertext of a piece.
    fn read_piece(&mut self, index: u32) -> io::Result<()> {
        let start = start_of(index);
        let length = (self.length - start).min(PIECE_BYTES);
        self.input.seek(SeekFrom::Start(HEADER_BYTES + start))?;
        self.piece.clear();
        let read = self.input.by_ref().take(length).read_to_end(&mut self.piece)?;
        if read as u64 == length { Ok(()) } else { Err(changed_at(index)) }
    }
}

impl<R: Read + Seek> Read for PwtraceReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.length || out.is_empty() {
            return Ok(0);
        }
        let index = piece_at(self.at)?;
        self.load(index)?;
        let skipped = usize::try_from(self.at - start_of(index)).map_err(io::Error::other)?;
        let read = self.piece.get(skipped..).unwrap_or_default().read(out)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl<R: Read + Seek> Seek for PwtraceReader<R> {
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

/// Returns the number of the piece with this byte of the content.
fn piece_at(position: u64) -> io::Result<u32> {
    u32::try_from(position / PIECE_BYTES).map_err(io::Error::other)
}

/// Returns the position in the content of a piece's first byte.
fn start_of(piece: u32) -> u64 {
    u64::from(piece) * PIECE_BYTES
}

/// Returns the error for a piece that has changed since it was verified.
fn changed_at(piece: u32) -> io::Error {
    Error::from(ErrorKind::DecryptionFailed).at_byte(HEADER_BYTES + start_of(piece)).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashMap;
    use std::io::Cursor;

    use aes_gcm::Aes256Gcm;
    use aes_gcm::aead::AeadInPlace;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    /// Files that Node encrypted with `PASSPHRASE`, and their content. The second one is a bundle without rows, as
    /// Patchwork writes it. `node seal.mjs PLAIN SEALED PASSPHRASE` makes them again:
    ///
    /// ```js
    /// import { createCipheriv, createHash, scryptSync } from "node:crypto";
    /// import { readFileSync, writeFileSync } from "node:fs";
    ///
    /// const [plain, sealed, passphrase] = process.argv.slice(2);
    /// const content = readFileSync(plain);
    /// const random = createHash("sha256").update(content).digest(); // Fixed, so that the file can be made again.
    /// const [salt, nonce] = [random.subarray(0, 16), random.subarray(16, 28)];
    /// const key = scryptSync(passphrase, salt, 32, { N: 16384, r: 8, p: 1 });
    /// const cipher = createCipheriv("aes-256-gcm", key, nonce);
    /// const ciphertext = Buffer.concat([cipher.update(content), cipher.final()]);
    /// const header = [Buffer.from("PWTRACE\0\x01"), salt, nonce, cipher.getAuthTag()];
    /// writeFileSync(sealed, Buffer.concat([...header, ciphertext]));
    /// ```
    const BY_NODE: [(&[u8], &[u8]); 2] = [(THREE_ROWS, PLAIN_THREE_ROWS), (NO_ROWS, PLAIN_NO_ROWS)];

    const THREE_ROWS: &[u8] = include_bytes!("../../fixtures/sealed/three_rows.jsonl.gz.enc");
    const PLAIN_THREE_ROWS: &[u8] = include_bytes!("../../fixtures/sealed/three_rows.jsonl.gz");
    const NO_ROWS: &[u8] = include_bytes!("../../fixtures/sealed/empty.v1.0.jsonl.gz.enc");
    const PLAIN_NO_ROWS: &[u8] = include_bytes!("../../fixtures/legacy/empty.v1.0.jsonl.gz");

    const PASSPHRASE: &[u8] = "correct horse, größer Akku".as_bytes();

    const KEY: [u8; 32] = [7; 32];
    const NONCE: [u8; 12] = [3; 12];

    fn header(nonce: [u8; 12], tag: &[u8]) -> Vec<u8> {
        [&PWTRACE[..], &[VERSION], &[5; 16], &nonce, tag].concat()
    }

    /// Returns the file with this content and `KEY`, by another implementation of GCM.
    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut ciphertext = content.to_vec();
        let tag = Aes256Gcm::new(&KEY.into()).encrypt_in_place_detached(&NONCE.into(), &[], &mut ciphertext).unwrap();
        [header(NONCE, &tag), ciphertext].concat()
    }

    fn opened<T: AsRef<[u8]>>(file: T) -> Result<PwtraceReader<Cursor<T>>> {
        open_with(Cursor::new(file), |_| FileKey::new(KEY))
    }

    fn content_of<R: Read + Seek>(mut reader: PwtraceReader<R>) -> Vec<u8> {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        content
    }

    fn error_of<R>(opened: Result<PwtraceReader<R>>) -> Error {
        opened.err().unwrap()
    }

    /// Returns bytes without a pattern that would hide a wrong position.
    fn random_bytes(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn files_by_node_are_decrypted() {
        for (file, content) in BY_NODE {
            assert_eq!(content_of(open(Cursor::new(file), PASSPHRASE).unwrap()), content);
        }
    }

    #[test]
    fn an_input_is_read_from_its_start() {
        let mut input = Cursor::new(NO_ROWS);
        input.set_position(60);
        assert_eq!(content_of(open(input, PASSPHRASE).unwrap()), PLAIN_NO_ROWS);
    }

    #[test]
    fn other_passphrases_are_rejected() {
        for wrong in
            [&b""[..], b"correct horse", &[PASSPHRASE, b"\n"].concat(), "correct horse, größer akku".as_bytes()]
        {
            let error = error_of(open(Cursor::new(THREE_ROWS), wrong));
            assert!(matches!(error.kind(), ErrorKind::DecryptionFailed), "{error}");
        }
    }

    /// Returns the code of the error with which each of the files fails.
    fn codes_of(files: impl Iterator<Item = Vec<u8>>) -> Vec<&'static str> {
        let mut keys: HashMap<[u8; 16], FileKey> = HashMap::new();
        let mut open = |file| {
            let key = |salt: &_| keys.entry(*salt).or_insert_with(|| derive_key(PASSPHRASE, salt)).clone();
            error_of(open_with(Cursor::new(file), key)).kind().code()
        };
        files.map(&mut open).collect()
    }

    #[test]
    fn every_changed_byte_is_an_error() {
        let flipped = (0..THREE_ROWS.len()).map(|at| {
            let mut file = THREE_ROWS.to_vec();
            file[at] ^= 1 << (at % 8);
            file
        });
        let mut expected = vec!["decryptionFailed"; THREE_ROWS.len()];
        expected[..8].fill("notABundle");
        expected[8] = "pwtraceVersion";
        assert_eq!(codes_of(flipped), expected);
    }

    #[test]
    fn every_other_length_is_an_error() {
        let truncated = (0..THREE_ROWS.len()).map(|length| THREE_ROWS[..length].to_vec());
        let mut expected = vec!["decryptionFailed"; THREE_ROWS.len()];
        expected[..53].fill("pwtraceTruncated");
        assert_eq!(codes_of(truncated), expected);
        let longer = (1..40).map(|more| [THREE_ROWS, &vec![0; more]].concat());
        assert_eq!(codes_of(longer), ["decryptionFailed"; 39]);
    }

    #[test]
    fn errors_of_the_header_name_what_was_found() {
        let file = sealed(b"content");
        let error = error_of(opened(&file[..21]));
        assert!(matches!(error.kind(), ErrorKind::PwtraceTruncated { found: 21, header: 53 }), "{error}");
        let mut other = file.clone();
        other[8] = 2;
        for length in [9, 52, other.len()] {
            let error = error_of(opened(&other[..length]));
            assert!(matches!(error.kind(), ErrorKind::PwtraceVersion { found: 2, supported: 1 }), "{error}");
        }
    }

    #[test]
    fn gcm_and_scrypt_give_published_results() {
        // Test case 15 of "The Galois/Counter Mode of Operation" by McGrew and Viega.
        let bytes = |hex: &str| HEXLOWER.decode(hex.as_bytes()).unwrap();
        let key: [u8; 32] = bytes(&"feffe9928665731c6d6a8f9467308308".repeat(2)).try_into().unwrap();
        let nonce = bytes("cafebabefacedbaddecaf888").try_into().unwrap();
        let plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                     1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
        let cipher = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                      8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
        let file = [header(nonce, &bytes("b094dac5d93471bdec1a502270e3cc6c")), bytes(cipher)].concat();
        let reader = open_with(Cursor::new(file), |_| FileKey::new(key)).unwrap();
        assert_eq!(HEXLOWER.encode(&content_of(reader)), plain);
        // The first half of the third result in section 12 of RFC 7914, as a shorter key is the start of a longer one.
        let key = derive_key(b"pleaseletmein", b"SodiumChloride");
        assert_eq!(HEXLOWER.encode(&*key), "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2");
    }

    #[test]
    fn contents_of_every_length_near_a_border_are_read() {
        let piece = usize::try_from(PIECE_BYTES).unwrap();
        let bytes = random_bytes(3 * piece);
        for border in [0, BLOCK_BYTES, 2 * BLOCK_BYTES, piece, 2 * piece] {
            for length in border.saturating_sub(2)..border + 3 {
                let file = sealed(&bytes[..length]);
                assert_eq!(content_of(opened(&file).unwrap()), &bytes[..length], "{length}");
                let error = error_of(opened(&file[..file.len().saturating_sub(1).max(52)]));
                let is_header = matches!(error.kind(), ErrorKind::PwtraceTruncated { .. });
                assert_eq!(is_header, length == 0, "{length}: {error}");
            }
        }
    }

    #[test]
    fn a_large_file_is_read_piece_by_piece() {
        let bytes = random_bytes(5_000_000);
        let mut reader = opened(sealed(&bytes)).unwrap();
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        assert!(content == bytes);
        assert_eq!(reader.states.len(), bytes.len().div_ceil(65_536) + 1);
        assert_eq!(reader.states.capacity(), reader.states.len());
        assert!(reader.piece.capacity() <= 2 * 65_536, "{}", reader.piece.capacity());
    }

    #[test]
    fn a_change_after_the_first_pass_stops_reading_before_the_changed_piece() {
        let bytes = random_bytes(200_000);
        for (at, piece) in [(53, 0), (53 + 65_536, 1), (53 + 131_071, 1), (53 + 199_999, 3)] {
            let mut reader = opened(sealed(&bytes)).unwrap();
            reader.input.get_mut()[at] ^= 4;
            check_stops_at(&mut reader, &bytes, piece);
            reader.input.get_mut()[at] ^= 4;
            reader.rewind().unwrap();
            assert!(content_of(reader) == bytes, "the old content is accepted again");
        }
        let mut reader = opened(sealed(&bytes)).unwrap();
        reader.input.get_mut().truncate(53 + 65_536 + 9);
        check_stops_at(&mut reader, &bytes, 1);
        reader.input.get_mut().clear();
        reader.rewind().unwrap();
        check_stops_at(&mut reader, &bytes, 0);
    }

    fn check_stops_at(reader: &mut PwtraceReader<Cursor<Vec<u8>>>, bytes: &[u8], piece: usize) {
        let mut content = Vec::new();
        let error = Error::io_unnamed(IoAction::Read, reader.read_to_end(&mut content).unwrap_err());
        assert!(matches!(error.kind(), ErrorKind::DecryptionFailed), "{error}");
        assert_eq!(error.position().byte, Some(53 + 65_536 * piece as u64));
        assert!(content == bytes[..65_536 * piece], "piece {piece}");
        reader.read(&mut [0]).unwrap_err();
    }

    /// A file of a given length that begins with a header, and cannot be read after it.
    struct Huge(Cursor<Vec<u8>>, u64);

    impl Read for Huge {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match self.0.read(out)? {
                0 => Err(io::ErrorKind::HostUnreachable.into()),
                read => Ok(read),
            }
        }
    }

    impl Seek for Huge {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            if to == SeekFrom::End(0) { Ok(self.1) } else { self.0.seek(to) }
        }
    }

    #[test]
    fn a_file_longer_than_the_counter_is_refused_before_it_is_read() {
        let limit = 68_719_476_757;
        let huge = |length| Huge(Cursor::new(sealed(b"")), length);
        let error = error_of(open_with(huge(limit + 1), |_| panic!("a key was derived")));
        assert!(matches!(error.kind(), ErrorKind::PwtraceTooLong { limit: found } if *found == limit), "{error}");
        // This one is read, which fails.
        let error = error_of(open_with(huge(limit), |_| FileKey::new(KEY)));
        let expected = io::ErrorKind::HostUnreachable;
        let is_io = |kind: &ErrorKind| matches!(kind, ErrorKind::Io { action: IoAction::Read, source } if source.kind() == expected);
        assert!(is_io(error.kind()), "{error}");
    }

    #[test]
    fn the_last_block_that_the_counter_allows_is_decrypted() {
        let gcm = Gcm::new(&FileKey::new(KEY), NONCE);
        let index = piece_at(MAX_CONTENT_BYTES - 1).unwrap();
        let length = usize::try_from(MAX_CONTENT_BYTES - start_of(index)).unwrap();
        let mut bytes = vec![0; length];
        gcm.apply_keystream(FIRST_COUNTER + index * BLOCKS_PER_PIECE, &mut bytes);
        let mut last = [&NONCE[..], &[0xff; 4]].concat();
        gcm.aes.encrypt_block(last.as_mut_slice().into());
        assert_eq!(bytes[length - BLOCK_BYTES..], last);
    }

    /// A file whose reads are short or interrupted.
    struct Dribbling(Cursor<Vec<u8>>, usize);

    impl Read for Dribbling {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 = (self.1 + 1) % 1000;
            match self.1 {
                7 => Err(io::ErrorKind::Interrupted.into()),
                most => self.0.by_ref().take(most as u64 + 1).read(out),
            }
        }
    }

    impl Seek for Dribbling {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn short_and_interrupted_reads_change_nothing() {
        let bytes = random_bytes(150_000);
        let reader = open_with(Dribbling(Cursor::new(sealed(&bytes)), 0), |_| FileKey::new(KEY)).unwrap();
        assert!(content_of(reader) == bytes);
    }

    proptest! {
        #[test]
        fn seeking_works_as_in_the_plain_file(
            length in 0_usize..300_000,
            steps in prop::collection::vec((0_u8..3, any::<prop::sample::Index>(), 0_usize..70_000), 1..20),
        ) {
            let bytes = random_bytes(length);
            let mut plain = Cursor::new(&bytes);
            let mut reader = opened(sealed(&bytes)).unwrap();
            for (kind, index, count) in steps {
                // Some positions are before the start or after the end.
                let at = index.index(length + 40);
                let signed = i64::try_from(at).unwrap();
                let to = match kind {
                    0 => SeekFrom::Start(at as u64),
                    1 => SeekFrom::End(20 - signed),
                    _ => SeekFrom::Current(signed - i64::try_from(length / 2).unwrap()),
                };
                prop_assert_eq!(reader.seek(to).ok(), plain.seek(to).ok());
                let (mut found, mut expected) = (Vec::new(), Vec::new());
                reader.by_ref().take(count as u64).read_to_end(&mut found).unwrap();
                plain.by_ref().take(count as u64).read_to_end(&mut expected).unwrap();
                prop_assert!(found == expected, "{} bytes from {:?}", count, to);
                prop_assert_eq!(reader.stream_position().unwrap(), plain.position());
            }
        }

        #[test]
        fn no_changed_bit_goes_unnoticed(length in 0_usize..70_000, at: prop::sample::Index, bit in 0_u8..8) {
            let mut file = sealed(&random_bytes(length));
            let at = at.index(file.len());
            // The key of these files does not depend on their salt.
            prop_assume!(!(9..25).contains(&at));
            file[at] ^= 1 << bit;
            prop_assert!(opened(file).is_err());
        }
    }
}
