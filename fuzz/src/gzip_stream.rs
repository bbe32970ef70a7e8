//! The streaming reader of gzip gives what another reader gives, whatever the pieces in which it reads, and takes no
//! file for whole that the other does not.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use patchwork_traces::gzip::{StreamKind, SequentialReader};

/// The most that an input may inflate to: what bombs do is known.
const MAX_BYTES: u64 = 4 << 20;

/// The input is a gzip file if it begins as one. Else it is deflate data in parts, each made a member with a true
/// trailer: so the fuzzer need not guess checksums.
pub fn check(input: &[u8]) {
    let made;
    let file = if input.starts_with(&[0x1f, 0x8b]) {
        input
    } else {
        made = members(input);
        &made
    };
    let whole = read(SequentialReader::new(file), 64 << 10);
    assert_eq!(read(SequentialReader::new(Dribble(file, 1)), 64 << 10), whole);
    assert_eq!(read(SequentialReader::new(Dribble(file, 7)), 3), whole);
    compare(file, &whole);
}

/// What came, and how it ended, in words.
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

/// A stream that gives so many bytes at a time.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out.len().min(self.1);
        self.0.read(&mut out[..most])
    }
}

/// flate2 takes no reserved flags and no zeros behind the last member; apart from that, both take the same files.
fn compare(file: &[u8], (content, ended): &Outcome) {
    let kind = SequentialReader::new(file).content().expect("it is in memory");
    if kind != Some(StreamKind::Gzip) {
        assert!(ended.is_none() && content == &file[..content.len()]);
        return;
    }
    let zeros = file.iter().rev().take_while(|byte| **byte == 0).count();
    // The last bytes of a member can be zeros as well: of an empty one its whole trailer, and some before that.
    let files = (0..=zeros.min(16)).map(|kept| &file[..file.len() - zeros + kept]).chain([file]);
    let taken = files.map(|file| read(MultiGzDecoder::new(file), 4096)).find(|(_, ended)| ended.is_none());
    match ended {
        None => assert_eq!(taken.as_ref().map(|(content, _)| content), Some(content), "only this reader takes it"),
        Some(error) => assert!(taken.is_none(), "only this reader refuses it: {error}"),
    }
}

/// Parts stand behind a byte that says how their member looks and two that say how long they are.
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

/// Bits 0 to 3 of `how`: a checksum of the header, an extra field, a name, a comment. Bit 4: stored as it is instead
/// of taken for deflate data. Bit 5: followed by zeros. Bit 6: with a wrong checksum. Bit 7: cut.
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
        let length = u16::try_from(part.len()).expect("its length came as two bytes");
        member.push(1);
        member.extend_from_slice(&length.to_le_bytes());
        member.extend_from_slice(&(!length).to_le_bytes());
        member.extend_from_slice(part);
        content.extend_from_slice(part);
    } else {
        // Where the data does not end, what comes behind it is data too, and the member is damaged.
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
