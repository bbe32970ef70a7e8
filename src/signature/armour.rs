//! The text form of a signature: base64 between two marker lines.

use data_encoding::BASE64;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// The length of the lines that OpenSSH writes.
const WIDTH: usize = 70;

/// Decodes a text. Lines may have any length, and end with LF or CRLF. Returns `None` for any other deviation,
/// including text before or after the signature.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('\n')?;
    let mut lines: Vec<_> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let is_marked = lines.len() > 2 && lines.pop() == Some(END) && lines.remove(0) == BEGIN;
    let is_filled = lines.iter().all(|line| !line.is_empty());
    // The decoder rejects every other character, including carriage returns.
    (is_marked && is_filled).then(|| BASE64.decode(lines.concat().as_bytes()).ok())?
}

/// Encodes bytes as OpenSSH does.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = format!("{BEGIN}\n");
    let base64 = BASE64.encode(bytes);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(WIDTH));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + END + "\n"
}
