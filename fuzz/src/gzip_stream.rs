//! Checks that the streaming gzip reader returns the same content as another reader, regardless of read sizes, and
//! that it accepts no file as complete that the other rejects.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use patchwork_traces::internal::{SequentialReader, StreamKind};

/// The maximum inflated size of an input. Decompression bombs are not the subject here.
const MAX_BYTES: u64 = 4 << 20;

/// Checks the gzip file that the input encodes. An input that begins like gzip is used as it is. Any other input is
/// split into parts of deflate data, and each becomes a member with a correct trailer. So the fuzzer does not have
/// to guess checksums.
pub fn check(input: &[u8]) {
    let made;
    let file = if input.starts_with(&[0x1f, 0x8b]) {
        input
    } else {
        made = members(input);
        &made
    };
    let whole = read(SequentialReader::new(file), 64 << 10);
    assert_eq!(read(SequentialReader::new(ShortReads(file, 1)), 64 << 10), whole);
    assert_eq!(read(SequentialReader::new(ShortReads(file, 7)), 3), whole);
    compare(file, &whole);
}

/// The content that was read, and the error message, if any.
type Outcome = (Vec<u8>, Option<String>);

fn read(reader: impl Read, piece: usize) -> Outcome {
    let (mut reader, mut content, mut buffer) = (reader.take(MAX_BYTES), Vec::new(), vec![0; piece]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return (content, None),
            Ok(n) => content.extend_from_slice(&buffer[..n]),
            Err(error) => return (content, Some(error.to_string())),
        }
    }
}

/// A reader that returns at most this many bytes at a time.
struct ShortReads<'a>(&'a [u8], usize);

impl Read for ShortReads<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out.len().min(self.1);
        self.0.read(&mut out[..most])
    }
}

/// Compares the outcome with flate2, which rejects reserved flags and zeros after the last member. Apart from that,
/// both accept the same files.
fn compare(file: &[u8], (content, ended): &Outcome) {
    let kind = SequentialReader::new(file).content().expect("memory I/O succeeds");
    if kind != Some(StreamKind::Gzip) {
        assert!(ended.is_none() && content == &file[..content.len()]);
        return;
    }
    let zeros = file.iter().rev().take_while(|byte| **byte == 0).count();
    // The member itself may end with zeros: the whole trailer of an empty one, and some bytes before it.
    let files = (0..=zeros.min(16)).map(|kept| &file[..file.len() - zeros + kept]).chain([file]);
    let taken = files.map(|file| read(MultiGzDecoder::new(file), 4096)).find(|(_, ended)| ended.is_none());
    match ended {
        None => {
            assert_eq!(taken.as_ref().map(|(content, _)| content), Some(content), "only this reader accepts the file");
        }
        Some(error) => assert!(taken.is_none(), "only this reader rejects the file: {error}"),
    }
}

/// Splits the input into parts. Each is preceded by one byte that describes its member and two bytes with its
/// length.
fn members(mut parts: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    while let [how, low, high, rest @ ..] = parts {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (part, next) = rest.split_at(length);
        file.extend(member(*how, part));
        parts = next;
    }
    file
}

/// Builds a member. Bits 0 to 3 of `how` add a header checksum, an extra field, a name and a comment. Bit 4 stores
/// the part instead of treating it as deflate data. Bit 5 appends zeros. Bit 6 makes the checksum wrong. Bit 7
/// truncates the member.
fn member(how: u8, part: &[u8]) -> Vec<u8> {
    let flag = |bit: u8| how >> bit & 1;
    let flags = flag(0) << 1 | flag(1) << 2 | flag(2) << 3 | flag(3) << 4;
    let mut member = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
    let extras = [(1, &b"\x03\x00xyz"[..]), (2, b"name\0"), (3, b"\0")];
    extras.iter().filter(|(bit, _)| flag(*bit) == 1).for_each(|(_, extra)| member.extend_from_slice(extra));
    if flag(0) == 1 {
        let crc = crc32(&member).to_le_bytes();
        member.extend_from_slice(&crc[..2]);
    }
    let mut content = Vec::new();
    if flag(4) == 1 {
        let length = u16::try_from(part.len()).expect("the length was read from two bytes");
        member.push(1);
        member.extend_from_slice(&length.to_le_bytes());
        member.extend_from_slice(&(!length).to_le_bytes());
        member.extend_from_slice(part);
        content.extend_from_slice(part);
    } else {
        // If the deflate data is incomplete, the bytes after it continue it, and the member is damaged.
        let mut inflater = DeflateDecoder::new(part);
        let _ = inflater.by_ref().take(MAX_BYTES).read_to_end(&mut content);
        let used = usize::try_from(inflater.total_in()).unwrap_or(part.len());
        member.extend_from_slice(&part[..used.min(part.len())]);
    }
    member.extend_from_slice(&(crc32(&content) ^ u32::from(flag(6))).to_le_bytes());
    #[allow(clippy::cast_possible_truncation, reason = "it is defined modulo 2^32")]
    member.extend_from_slice(&(content.len() as u32).to_le_bytes());
    member.extend(std::iter::repeat_n(0, 3 * usize::from(flag(5))));
    member.truncate(member.len() - usize::from(flag(7)));
    member
}

fn crc32(bytes: &[u8]) -> u32 {
    patchwork_traces::digest::Crc32::of(bytes).0
}
