//! Derives inputs for each target from the project's fixtures.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// Returns the directory of the project's fixtures.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// Returns all files below a directory, sorted by path, with their names and contents.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut entries: Vec<_> =
        fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("a file").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            all.push((name, fs::read(&path).expect("cannot read the file")));
        }
    }
    all
}

/// Returns the fixtures' bundles.
pub(crate) fn bundles() -> Vec<Vec<u8>> {
    let all = files(&fixtures()).into_iter();
    all.filter(|(name, _)| name.ends_with(".gz")).map(|(_, bundle)| bundle).collect()
}

/// Returns the fixtures' logs.
pub(crate) fn logs() -> Vec<Vec<u8>> {
    let all = files(&fixtures()).into_iter();
    all.filter(|(name, _)| name.contains(".jsonl") && !name.ends_with(".gz")).map(|(_, log)| log).collect()
}

/// Returns the text of each bundle as far as it can be inflated.
pub(crate) fn texts() -> Vec<Vec<u8>> {
    let text = |bundle: Vec<u8>| {
        let mut text = Vec::new();
        let _ = MultiGzDecoder::new(bundle.as_slice()).read_to_end(&mut text);
        if text.is_empty() { bundle } else { text }
    };
    bundles().into_iter().map(text).collect()
}

fn lines(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec)
}

/// Lines that have broken some tool in the past.
const EDGE_CASES: [&[u8]; 24] = [
    b"\xef\xbb\xbf{\"seq\":1}",
    b"\xc2\xa0{\"seq\":1}\xe2\x80\xa8",
    b"{\"a\":\r1}\r",
    b"{\"id\":12345678901234567890,\"x\":1.0,\"y\":1e400,\"z\":-0}",
    b"{\"a\":1,\"a\":2}",
    b"{\"__proto__\":{\"a\":1}}",
    b"{\"s\":\"\\udc00\\ud800x\\ud83d\\ude00\\\\ud800\"}",
    b"{\"\\ud800\":1,\"createdAt\":5}",
    b"{\"s\":\"\xff\xfe\"}",
    b"{\"s\":\"\xf0\x9f\x98\"}",
    b"\0\0\0\0",
    b"{\"s\":\"line\xe2\x80\xa8sep\xc2\x85\"}",
    b"torn {\"seq",
    b"{\"createdAt\":1.777716e12}",
    b"{\"createdAt\":253370764800000}",
    b"{\"timestamp\":\"2026-05-02T10:00:00+02:00\"}",
    b"{\"key\twith tab\":1}",
    b"{\"source\":\"runs\",\"entry\":{\"source\":\"runs\"},\"original\":{\"bytes\":\"AAAA\"}}",
    b"{\"source\":\"runs\",\"file\":\"runs.jsonl.1\",\"entry\":[[[[]]]],\"x\":null}",
    b"{\"source\":\"activity\",\"file\":\"activity-3100.jsonl\",\"entry\":\"\\u2028\"}",
    b"{\"source\":\"runs\",\"entry\":1,\"entry\":2}",
    b"{\"source\":\"runs\",\"entry\":1}}",
    b"null",
    b"[1,\"text\",true]",
];

/// Returns the seed inputs for a target.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut seeds = match target {
        "manifest" => texts().iter().filter_map(|text| lines(text).next()).collect(),
        "row" => rows(),
        "round_trip" => round_trip(),
        "gzip_stream" => gzip_stream(),
        "merge_logs" => merge_logs(),
        "pwtrace" => pwtrace(),
        "redact_rows" => redact_rows(),
        "signature" => signature(),
        "audit_bundle" | "import_bundle" | "open_bundle" => files_of_bundles(),
        _ => Vec::new(),
    };
    seeds.sort();
    seeds.dedup();
    seeds
}

fn rows() -> Vec<Vec<u8>> {
    let rows = texts().into_iter().chain(logs()).flat_map(|text| lines(&text).skip(1).take(3).collect::<Vec<_>>());
    rows.chain(EDGE_CASES.map(<[u8]>::to_vec)).filter(|row| row.len() < 1000).collect()
}

fn round_trip() -> Vec<Vec<u8>> {
    let edge_cases = [&b"\n"[..], b"\r\n"].map(|ending| EDGE_CASES.map(|line| [line, ending].concat()).concat());
    let few = |log: Vec<u8>| log.split_inclusive(|byte| *byte == b'\n').take(20).flatten().copied().collect::<Vec<_>>();
    let logs = logs().into_iter().map(few).chain(edge_cases);
    logs.zip(0u8..).map(|(log, number)| [&[number, number.wrapping_mul(40)], &log[..]].concat()).collect()
}

fn gzip_stream() -> Vec<Vec<u8>> {
    let deflated = bundles().into_iter().filter(|bundle| bundle.len() > 20 && bundle.len() < 1500);
    let parts = deflated.clone().zip((0..=u8::MAX).cycle()).map(|(bundle, how)| {
        let part = &bundle[10..];
        let length = u16::try_from(part.len()).expect("the manifest is short").to_le_bytes();
        [&[how, length[0], length[1]], part, &[how >> 3, 4, 0], b"\x03\x00\x03\x00"].concat()
    });
    parts.chain(deflated.clone()).collect()
}

/// Returns bundles unchanged, and their texts with various adjustments and containers.
fn files_of_bundles() -> Vec<Vec<u8>> {
    const HOW: [u8; 8] = [0, 1, 4, 7, 0x0f, 0x17, 0x27, 0x9f];
    let small = |input: &Vec<u8>| input.len() < 12_000;
    let texts = texts().into_iter().zip((0u8..255).cycle()).map(|(text, number)| {
        let how = HOW[usize::from(number) % HOW.len()];
        let damage = [number.wrapping_mul(7), number % 3, number, number];
        let damage = if how & 0x20 == 0 { &[][..] } else { &damage };
        [&[how], &text[..], damage].concat()
    });
    bundles().into_iter().chain(texts).filter(small).collect()
}

/// Returns encrypted files unchanged, and contents that are repeated, changed and read in various ways.
fn pwtrace() -> Vec<Vec<u8>> {
    const HOW: [[u8; 6]; 8] = [
        [0, 0, 0, 0, 0, 100],
        [0, 0, 0, 30, 66, 190],
        [1, 0, 1, 0, 0, 0],
        [1, 8, 0, 30, 0, 0],
        [2, 7, 0, 30, 0, 0],
        [3, 0, 9, 1, 0, 0],
        [4, 0, 1, 2, 0, 0],
        [4, 20, 0, 40, 0, 0],
    ];
    let sealed = files(&fixtures()).into_iter().filter(|(name, _)| name.ends_with(".enc")).map(|(_, file)| file);
    let text = texts().into_iter().find(|text| text.len() > 1000).unwrap_or_default();
    let contents = [Vec::new(), vec![0; 16], text];
    let built = contents.iter().flat_map(|content| HOW.map(|how| [&how, &content[..]].concat()));
    sealed.chain(built).collect()
}

/// Returns signatures, one of them cut and one with other line ends, and lists of allowed signers.
fn signature() -> Vec<Vec<u8>> {
    let all = files(&fixtures().join("keys"));
    let ending = |end: &'static str| {
        all.iter()
            .filter(move |(name, _)| name.ends_with(end))
            .map(|(_, text)| String::from_utf8_lossy(text).into_owned())
    };
    let changed = |text: String| [text[..text.len() - 1].to_owned(), text.replace('\n', "\r\n"), text];
    let options = [
        "sam@example.org ",
        "# who\n\n*@example.org,!guest@example.org namespaces=\"patchwork-*,git\" ",
        "\"Sam Smith\" cert-authority,valid-after=\"20260101\",valid-before=\"202701010000Z\" ",
        "sam valid-before=\"20260501000000Z\"\t",
        "sam unknown ",
    ];
    let lists = ending(".pub").flat_map(|key| options.map(|options| options.to_owned() + &key));
    ending(".sig").flat_map(changed).chain(lists).map(String::into_bytes).collect()
}

/// Returns logs with secrets in keys, values, escapes and torn rows, some with paths to remove or keep.
fn redact_rows() -> Vec<Vec<u8>> {
    const PATHS: [&str; 5] = ["", "a", "a.b,c[]", "\"odd key\"", "steps[].text,createdAt"];
    let secrets = [
        r#"{"createdAt":1,"a":{"b":"sam@corp.example","c":1.0},"steps":[{"text":"/home/sam/x"},{"text":7}]}"#,
        r#"{"sam\u0040corp.example":"\/home\/sam\/","password":"hunter2","a":{"password":12345,"b":[1e3,"x"]}}"#,
        r#"{"url":"https://sam:pa%20ss@db.corp.example:5432/x?y=1","c":["10.0.0.1","fe80::1%eth0"]}"#,
        "torn {\"a\":\"sam@corp.example and /Users/sam/\\",
        r#"{"odd key":"ghp_0123456789abcdefghijklmnopqrstuvwxyzABCD","a":"\ud800sam@corp.example\udc00"}"#,
        "[\"-----BEGIN PRIVATE KEY-----\\nMIIabc\\n-----END PRIVATE KEY-----\",{}]",
    ];
    let lines = secrets.iter().map(|line| line.as_bytes().to_vec()).chain(EDGE_CASES.map(<[u8]>::to_vec));
    let lines: Vec<_> = lines.collect();
    let all = lines.join(&b'\n');
    let logs = lines.into_iter().chain([all]).chain(logs().into_iter().map(|mut log| {
        log.truncate(1500);
        log
    }));
    let inputs = logs.zip((0u8..).cycle()).map(|(log, number)| {
        let paths = PATHS[usize::from(number) % PATHS.len()].as_bytes();
        [&[number.wrapping_mul(37)], paths, &[0x1e], &log[..]].concat()
    });
    inputs.collect()
}

/// Returns both sides of merges: four logs for each side, first in the short form, then verbatim.
fn merge_logs() -> Vec<Vec<u8>> {
    const SHORT: [(u8, [&str; 8]); 5] = [
        (0x00, ["abc", "def", "abd", "x", "ab", "defg", "dbax", "xyz"]),
        (0x01, ["", "1234567", "", "", "", "2134895", "", ""]),
        (0x80, ["123", "456G", "?/.", "", "12", "3456789I", "/.-,", "\x1d"]),
        (0x02, ["123", "456G", "", "1", "12", "34\x00", "1", "\x1d"]),
        (0x03, ["123", "456G", "", "1", "12", "34\x00", "1", "\x1d"]),
    ];
    let short = SHORT.map(|(how, logs)| [&[how, 16], logs.join("\x1e").as_bytes()].concat());
    let logs = logs().into_iter().flat_map(|mut log| {
        log.truncate(1500);
        let (start, rest) = log.split_at(log.len() / 3);
        let both = [&b""[..], start, rest, b"", b"", &log, &log, b"{}\n"].join(&0x1e);
        [4, 6, 7, 0x84].map(|how| [&[how, 60], &both[..]].concat())
    });
    short.into_iter().chain(logs).collect()
}
