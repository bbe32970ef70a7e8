//! Random logs of lines that broke some tool once.
#![allow(dead_code)]

use proptest::prelude::*;

/// Generates lines that broke some tool once.
pub fn adversarial_line() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<Vec<u8>> = [
        &b""[..],
        b"{}",
        b"\xef\xbb\xbf{\"seq\":1}",
        b"  {\"seq\":1}\t",
        b"\xc2\xa0{\"seq\":1}\xe2\x80\xa8",
        b"{\"seq\":1}\r",
        b"\r",
        b"{\"a\":\r1}",
        b"{\"a\":1,\r\"b\":2}\r",
        b"{\"id\":12345678901234567890,\"x\":1.0,\"y\":1e400,\"z\":-0}",
        b"{\"a\":1,\"a\":2}",
        b"{\"10\":1,\"2\":2}",
        b"{\"__proto__\":{\"a\":1}}",
        b"{\"s\":\"\\ud800\"}",
        b"{\"s\":\"\\udc00\\ud800x\\ud83d\\ude00\\\\ud800\"}",
        b"{\"\\ud800\":1,\"createdAt\":5}",
        b"{\"s\":\"\xff\xfe\"}",
        b"{\"s\":\"\xf0\x9f\x98\"}",
        b"\xff",
        b"\0\0\0\0",
        b"{\"s\":\"a\0b\"}",
        b"{\"s\":\"line\xe2\x80\xa8sep\"}",
        b"torn {\"seq",
        b"{\"seq\":1}{\"seq\":2}",
        b"1",
        b"x",
        b"null",
        b"\"text\"",
        b"{\"createdAt\":1777716000000}",
        b"{\"createdAt\":1.777716e12}",
        b"{\"createdAt\":1e400}",
        b"{\"key\twith tab\":1}",
        b"{\"entry\":{\"source\":\"runs\"},\"original\":{\"text\":\"x\"}}",
    ]
    .iter()
    .map(|line| line.to_vec())
    .collect();
    prop_oneof![
        8 => proptest::sample::select(fixed),
        2 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => (120usize..135).prop_map(nested),
        1 => "\\PC{0,30}".prop_map(String::into_bytes),
    ]
}

pub fn nested(levels: usize) -> Vec<u8> {
    [vec![b'['; levels], vec![b']'; levels]].concat()
}

/// Generates logs of such lines, with every kind of line ending.
pub fn adversarial_log() -> impl Strategy<Value = Vec<u8>> {
    let ending = prop_oneof![Just(&b"\n"[..]), Just(&b"\r\n"[..])];
    let one_ending = (proptest::collection::vec(adversarial_line(), 0..30), ending.clone())
        .prop_map(|(lines, ending)| lines.into_iter().flat_map(|line| [&line[..], ending].concat()).collect());
    let mixed = proptest::collection::vec((adversarial_line(), ending), 0..30)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, ending)| [&line[..], ending].concat()).collect());
    (prop_oneof![one_ending, mixed], adversarial_line(), any::<bool>()).prop_map(
        |(mut log, last, cut): (Vec<u8>, _, _)| {
            if cut {
                log.extend(last);
            }
            log
        },
    )
}
