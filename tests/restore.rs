//! For any byte string taken as a log, `restore(bundle(log)) == log`, by both readers.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Home, bundle, indexed, restore_all, sequential};
use proptest::prelude::*;

/// Bundles `log` as `runs.jsonl` and restores it both ways.
fn assert_round_trip(log: &[u8]) {
    let bundle = bundle(&Home::new().with("runs.jsonl", log));
    for (reader, opened) in [("indexed", indexed(&bundle)), ("sequential", sequential(&bundle))] {
        let restored = restore_all(opened.unwrap()).unwrap();
        assert!(restored["runs.jsonl"] == log, "the {reader} reader restored something else");
    }
}

/// Lines that have bitten some tool once.
fn nasty_line() -> impl Strategy<Value = Vec<u8>> {
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

fn nested(levels: usize) -> Vec<u8> {
    [vec![b'['; levels], vec![b']'; levels]].concat()
}

/// Logs of such lines, with every way of ending them.
fn nasty_log() -> impl Strategy<Value = Vec<u8>> {
    let ending = prop_oneof![Just(&b"\n"[..]), Just(&b"\r\n"[..])];
    let one_ending = (proptest::collection::vec(nasty_line(), 0..30), ending.clone())
        .prop_map(|(lines, ending)| lines.into_iter().flat_map(|line| [&line[..], ending].concat()).collect());
    let mixed = proptest::collection::vec((nasty_line(), ending), 0..30)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, ending)| [&line[..], ending].concat()).collect());
    (prop_oneof![one_ending, mixed], nasty_line(), any::<bool>()).prop_map(|(mut log, last, cut): (Vec<u8>, _, _)| {
        if cut {
            log.extend(last);
        }
        log
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_log_of_nasty_lines_comes_back(log in nasty_log()) {
        assert_round_trip(&log);
    }

    #[test]
    fn any_bytes_come_back(log in proptest::collection::vec(any::<u8>(), 0..2000)) {
        assert_round_trip(&log);
    }

    #[test]
    fn any_text_over_few_characters_comes_back(log in "[\\[\\]{}\", :0-9a-f\\\\u\r\n\t\u{feff}\u{2028}\u{0}]{0,300}") {
        assert_round_trip(log.as_bytes());
    }
}

#[test]
fn an_empty_log_comes_back() {
    assert_round_trip(b"");
}

#[test]
fn logs_without_last_newline_come_back() {
    for log in
        [&b"{}"[..], b"{}\r", b"{}\n{}", b"{}\r\n{}", b"{}\r\n{}\r", b"torn", b"{}\ntorn", b"\n\n", b"\r\n", b"\r"]
    {
        assert_round_trip(log);
    }
}

#[test]
fn nesting_at_the_limit_and_beyond_comes_back() {
    for levels in [127, 128, 129, 100_000] {
        assert_round_trip(&[nested(levels), b"\n{}\n".to_vec()].concat());
    }
}

#[test]
fn rows_of_50_mb_come_back() {
    let sound = [&b"{\"s\":\""[..], &[b'x'].repeat(50_000_000), b"\"}\n"].concat();
    let cleaned = [&b"{\"s\":\""[..], &[0xff].repeat(50_000_000), b"\"}\n"].concat();
    let torn = [b'{'].repeat(50_000_000);
    assert_round_trip(&[sound, cleaned, torn].concat());
}

#[test]
fn two_million_one_byte_lines_come_back() {
    assert_round_trip(&b"1\n".repeat(2_000_000));
    assert_round_trip(&b"x\n".repeat(2_000_000));
    assert_round_trip(&b"1\nx\n".repeat(1_000_000));
    assert_round_trip(&b"\n".repeat(2_000_000));
}
