//! Every gzip file that RFC 1952 allows is read, from any writer and with any read sizes. At a violation, the reader
//! has returned every earlier byte, and then returns the fault and its offset.

use std::io::{self, Read};

use crate::common::bundle_builder::{deflate, gzip};
use patchwork_traces::digest::Crc32;
use patchwork_traces::error::GzipFault;
use patchwork_traces::export::Level;
use patchwork_traces::internal::{Deflater, MemberWriter, SequentialReader, StreamKind};
use patchwork_traces::{Error, ErrorKind};

const TEXT: &[u8] = b"one\ntwo\n";

const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;

/// A reader that returns at most three bytes at a time, and is interrupted before each read.
struct InterruptedReader<'a>(&'a [u8], bool);

impl Read for InterruptedReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let most = out.len().min(3);
        self.0.read(&mut out[..most])
    }
}

/// Returns the content that a reader yields, and the fault that ends it, with its offset.
fn read(reader: impl Read) -> (Vec<u8>, Option<(GzipFault, u64)>) {
    let mut reader = SequentialReader::new(reader);
    let mut text = Vec::new();
    let ended = reader.read_to_end(&mut text).err().map(fault);
    if let Some(ended) = &ended {
        assert_eq!(fault(reader.read(&mut [0]).unwrap_err()), *ended, "reading again returns the same fault");
    }
    (text, ended)
}

fn fault(error: io::Error) -> (GzipFault, u64) {
    let error = *error.into_inner().unwrap().downcast::<Error>().unwrap();
    let ErrorKind::Gzip(fault) = error.kind() else { panic!("{error}") };
    (fault.clone(), error.position().byte.unwrap())
}

fn assert_reads(file: &[u8], text: &[u8]) {
    assert_eq!(read(file), (text.to_vec(), None));
    assert_eq!(read(InterruptedReader(file, false)), (text.to_vec(), None));
}

fn assert_ends(file: &[u8], text: &[u8], fault: GzipFault, byte: usize) {
    let expected = (text.to_vec(), Some((fault, byte as u64)));
    assert_eq!(read(file), expected);
    assert_eq!(read(InterruptedReader(file, false)), expected);
}

/// Returns a header with the optional parts that `flags` announces.
fn header(flags: u8, extra: usize) -> Vec<u8> {
    let mut header = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 2, 3];
    if flags & EXTRA != 0 {
        header.extend(u16::try_from(extra).unwrap().to_le_bytes());
        header.extend(vec![0x1f; extra]);
    }
    if flags & NAME != 0 {
        header.extend(b"traces.jsonl\0");
    }
    if flags & COMMENT != 0 {
        header.extend(b"\xe9crit\0");
    }
    if flags & HEADER_CRC != 0 {
        let crc = Crc32::of(&header).to_string();
        header.extend((u32::from_str_radix(&crc, 16).unwrap() & 0xffff).to_le_bytes()[..2].to_vec());
    }
    header
}

/// Returns the bytes after a header.
fn rest() -> Vec<u8> {
    gzip(TEXT).split_off(10)
}

#[test]
fn every_valid_header_is_read() {
    for flags in 0..32 {
        for extra in [0, 1, 300] {
            let member = [header(flags, extra), rest()].concat();
            assert_reads(&member, TEXT);
            assert_reads(&[&gzip(TEXT)[..], &member].concat(), &TEXT.repeat(2));
        }
    }
}

#[test]
fn truncated_or_invalid_header_is_refused_with_its_offset() {
    let flags = HEADER_CRC | EXTRA | NAME | COMMENT;
    let whole = header(flags, 3);
    for length in 2..whole.len() {
        let (text, ended) = read(&whole[..length]);
        let (fault, byte) = ended.unwrap();
        assert_eq!((&text[..], fault), (&b""[..], GzipFault::Truncated), "{length}");
        assert!(byte <= length as u64, "the offset is within the file");
    }
    let mut wrong_crc = [whole.clone(), rest()].concat();
    for byte in [whole.len() - 2, whole.len() - 1, 5, 14] {
        wrong_crc[byte] ^= 1;
        assert_ends(&wrong_crc, b"", GzipFault::Header, 0);
        wrong_crc[byte] ^= 1;
    }
    let first = gzip(TEXT);
    for (byte, value) in [(2, 7), (3, 1 << 5), (3, 1 << 6), (3, 1 << 7)] {
        let mut wrong = gzip(TEXT);
        wrong[byte] = value;
        assert_ends(&wrong, b"", GzipFault::Header, 0);
        assert_ends(&[&first[..], &wrong].concat(), TEXT, GzipFault::Header, first.len());
    }
}

#[test]
fn truncated_member_yields_its_bytes_then_an_error() {
    let member = gzip(TEXT);
    for length in 10..member.len() {
        let (text, ended) = read(&member[..length]);
        let (fault, byte) = ended.unwrap();
        assert_eq!(fault, GzipFault::Truncated, "{length}");
        assert!(TEXT.starts_with(&text));
        let trailer = member.len() - 8;
        assert_eq!(byte, length.min(trailer) as u64, "the end of the file, or the start of a truncated trailer");
        assert_eq!(read(InterruptedReader(&member[..length], false)), (text, Some((fault, byte))));
    }
}

#[test]
fn checksum_and_length_of_each_member_are_checked() {
    let member = gzip(TEXT);
    let trailer = member.len() - 8;
    let u32_at = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    for before in [vec![], gzip(b"before\n")] {
        let text = [if before.is_empty() { &b""[..] } else { b"before\n" }, TEXT].concat();
        for byte in 0..8 {
            let mut wrong = member.clone();
            wrong[trailer + byte] ^= 0x10;
            let at = trailer + byte / 4 * 4;
            let (expected, found) = (u32_at(&wrong, at), u32_at(&member, at));
            let fault = match byte < 4 {
                true => GzipFault::Checksum { expected, found },
                false => GzipFault::Length { expected, found },
            };
            assert_ends(&[&before[..], &wrong].concat(), &text, fault, before.len() + trailer);
        }
    }
}

#[test]
fn only_members_and_zeros_may_follow_a_member() {
    let member = gzip(TEXT);
    let empty = gzip(b"");
    assert_reads(&[&member[..], &empty, &member].concat(), &TEXT.repeat(2));
    for zeros in [1, 511, 200_000] {
        assert_reads(&[&member[..], &vec![0; zeros]].concat(), TEXT);
        for behind in [&b"x"[..], b"\x1f", &member] {
            let file = [&member[..], &vec![0; zeros], behind].concat();
            assert_ends(&file, TEXT, GzipFault::TrailingBytes, member.len() + zeros);
        }
    }
    assert_ends(&[&member[..], b"\x1fx"].concat(), TEXT, GzipFault::TrailingBytes, member.len());
}

#[test]
fn first_two_bytes_identify_gzip() {
    let content = |bytes: &[u8]| SequentialReader::new(InterruptedReader(bytes, false)).content().unwrap();
    assert_eq!(content(b""), None);
    assert_eq!(content(&gzip(TEXT)), Some(StreamKind::Gzip));
    assert_eq!(content(b"\x1f\x8b"), Some(StreamKind::Gzip));
    for plain in [&b"\x1f"[..], b"\x8b", b"\x1f\x8c", b"\x1e\x8b", TEXT] {
        assert_eq!(content(plain), Some(StreamKind::Plain));
        assert_reads(plain, plain);
    }
    assert_reads(b"", b"");
    let long = TEXT.repeat(100_000);
    assert_reads(&long, &long);
    assert_eq!(SequentialReader::new(TEXT).read(&mut []).unwrap(), 0);
}

/// Returns incompressible bytes.
fn random_bytes(bytes: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

#[test]
fn blocks_form_one_member_at_every_level() {
    let texts = [Vec::new(), TEXT.to_vec(), random_bytes(100_000), b"x".repeat(1_000_000)];
    for level in 0..=9 {
        let mut deflater = Deflater::new(Level::new(level).unwrap());
        let mut file = Vec::new();
        let mut member = MemberWriter::new(&mut file).unwrap();
        for text in &texts {
            let mut block = b"what is there stays".to_vec();
            let compressed = deflater.deflate(text, &mut block).unwrap();
            let block = block.strip_prefix(b"what is there stays").unwrap();
            assert_eq!(block.len() as u64, compressed);
            assert!(block.ends_with(&[0, 0, 0xff, 0xff]));
            assert!(level == 0 || text.len() < 500_000 || block.len() < text.len() / 100, "level {level} compresses");
            // A block is taken from a reader that has more.
            let more = [block, b"more"].concat();
            member.copy_block(&more[..], compressed, text.len() as u64, Crc32::of(text)).unwrap();
        }
        assert_eq!(member.finish().unwrap(), file.len() as u64);
        assert_reads(&file, &texts.concat());
        let mut others = Vec::new();
        flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut others).unwrap();
        assert!(others == texts.concat());
    }
    assert_eq!(Level::new(10), None);
}

#[test]
fn block_that_ends_early_is_an_error() {
    let block = deflate(TEXT);
    let mut member = MemberWriter::new(Vec::new()).unwrap();
    let error = member.copy_block(&block[1..], block.len() as u64, TEXT.len() as u64, Crc32::of(TEXT)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}
