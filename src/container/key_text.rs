//! Splits key files into lines, and identifies lines that are not the expected keys.

use crate::error::KeyText;

/// The byte order marks of UTF-8 and UTF-16.
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Returns the lines that should be keys, with their numbers from 1: all except empty lines and comments. Removes white
/// space around them, and the byte order mark that some editors write.
pub fn key_lines(text: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let text = text.strip_prefix(UTF8_MARK).unwrap_or(text);
    let lines = (1..).zip(text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
}

/// Returns the kind of a line that is not the expected key.
pub fn key_text_of(line: &[u8]) -> KeyText {
    let begins = |beginnings: &[&str]| {
        let is_beginning = |beginning: &&str| {
            line.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning.as_bytes()))
        };
        beginnings.iter().any(is_beginning)
    };
    if UTF16_MARKS.iter().any(|mark| line.starts_with(mark)) {
        KeyText::Utf16
    } else if begins(&["AGE-SECRET-KEY-PQ-"]) {
        KeyText::PostQuantum
    } else if begins(&["AGE-SECRET-KEY-", "AGE-PLUGIN-"]) {
        KeyText::Identity
    } else if begins(&["age1"]) {
        KeyText::Recipient
    } else if begins(&["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "-----BEGIN OPENSSH", "-----BEGIN RSA"]) {
        KeyText::Ssh
    } else {
        KeyText::Other
    }
}
