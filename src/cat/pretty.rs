//! Prints the JSON of a row on several lines.

use std::io::Write;

use crate::error::is_invisible;

const KEY: &str = "\u{1b}[1;34m";
const STRING: &str = "\u{1b}[32m";
const LITERAL: &str = "\u{1b}[36m";
const RESET: &str = "\u{1b}[0m";

/// Appends valid JSON on several lines. Only changes the white space between tokens, and escapes invisible characters
/// in strings, because a terminal would interpret some of them.
pub fn pretty(json: &str, is_coloured: bool, text: &mut Vec<u8>) {
    let mut writer = PrettyWriter { text, depth: 0, is_coloured };
    let mut rest = json.trim_start();
    let mut is_key = false;
    let mut in_objects = Vec::new();
    while let Some(first) = rest.bytes().next() {
        let length = token_length(rest, first);
        let token = &rest[..length];
        rest = rest[length..].trim_start_matches([' ', '\t', '\n', '\r']);
        match first {
            b'{' | b'[' => {
                let closes = rest.starts_with(['}', ']']);
                writer.open(token, closes);
                if !closes {
                    in_objects.push(first == b'{');
                    is_key = first == b'{';
                }
            }
            b'}' | b']' => {
                // The closing bracket of an empty container was written with the opening one.
                if writer.close(token) {
                    in_objects.pop();
                }
            }
            b',' => {
                writer.text.push(b',');
                writer.new_line();
                is_key = in_objects.last() == Some(&true);
            }
            b':' => {
                writer.text.extend_from_slice(b": ");
                is_key = false;
            }
            b'"' => writer.string(token, if is_key { KEY } else { STRING }),
            _ => writer.coloured(LITERAL, token),
        }
    }
    text.push(b'\n');
}

/// Returns the length of the first token of JSON text.
fn token_length(json: &str, first: u8) -> usize {
    match first {
        b'"' => {
            let mut at = 1;
            while let Some(next) = json[at..].find(['"', '\\']) {
                at += next;
                if json.as_bytes()[at] == b'"' {
                    return at + 1;
                }
                at = (at + 2).min(json.len());
            }
            json.len()
        }
        b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
        _ => json.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(json.len()),
    }
}

struct PrettyWriter<'t> {
    text: &'t mut Vec<u8>,
    depth: usize,
    is_coloured: bool,
}

impl PrettyWriter<'_> {
    /// Writes an opening bracket.
    fn open(&mut self, bracket: &str, closes: bool) {
        self.text.extend_from_slice(bracket.as_bytes());
        if !closes {
            self.depth += 1;
            self.new_line();
        }
    }

    /// Writes a closing bracket. Returns false if it closes an empty array or object.
    fn close(&mut self, bracket: &str) -> bool {
        let is_empty = self.text.ends_with(if bracket == "}" { b"{" } else { b"[" });
        if !is_empty {
            self.depth = self.depth.saturating_sub(1);
            self.new_line();
        }
        self.text.extend_from_slice(bracket.as_bytes());
        !is_empty
    }

    fn new_line(&mut self) {
        self.text.push(b'\n');
        self.text.resize(self.text.len() + 2 * self.depth, b' ');
    }

    fn string(&mut self, token: &str, colour: &str) {
        if !token.contains(is_invisible) {
            return self.coloured(colour, token);
        }
        let (mut escaped, mut units) = (String::new(), [0; 2]);
        for c in token.chars() {
            match is_invisible(c) {
                true => c.encode_utf16(&mut units).iter().for_each(|unit| escaped += &format!("\\u{unit:04x}")),
                false => escaped.push(c),
            }
        }
        self.coloured(colour, &escaped);
    }

    fn coloured(&mut self, colour: &str, token: &str) {
        // Writing to a vector cannot fail.
        let _ = match self.is_coloured {
            true => write!(self.text, "{colour}{token}{RESET}"),
            false => write!(self.text, "{token}"),
        };
    }
}
