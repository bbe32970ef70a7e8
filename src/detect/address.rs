//! E-mail addresses, users at hosts, and IP addresses.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::boundary::{after_escape, is_after_escape, starts_word};
use super::candidates::FindCandidates;
use super::hosts::{is_public_host, is_reserved_name};
use super::names::is_common_account;
use super::rules::BuiltInRule;
use super::value_shape::has_file_ending;
use super::written::{first_char, percent_byte};

/// The maximum length of the local part of an address, in bytes.
const MAX_LOCAL_BYTES: usize = 64;

/// The maximum length of a host name, in bytes.
const MAX_HOST_BYTES: usize = 253;

/// The minimum and maximum length of the bot ID in a Discord token, in bytes.
const MIN_DISCORD_ID: usize = 23;
const MAX_DISCORD_ID: usize = 28;

/// The local parts that do not identify a person.
const IMPERSONAL: [&str; 9] =
    ["git", "hg", "svn", "noreply", "no-reply", "donotreply", "do-not-reply", "notifications", "mailer-daemon"];

/// Returns true for bytes of the local part of an address.
pub fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte) || !byte.is_ascii()
}

/// Returns true for bytes of a host name.
pub fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-".contains(&byte) || !byte.is_ascii()
}

/// Checks for an address around an `@` sign.
pub fn at_sign(text: &str, at: &Range<usize>, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    let start = local_start(text, at.start);
    let domain = host_after(text, at.end);
    let local = text[start..at.start].trim_start_matches(['.', '-', '%', '+']);
    let start = at.start - local.len();
    let host = &text[domain.clone()];
    let is_end_of_user = bytes[at.start] == b'@' && is_in_authority(bytes, start) && !has_at_sign(bytes, at.end);
    if local.is_empty() || host.is_empty() || is_end_of_user {
        return;
    }
    let is_person = !IMPERSONAL.iter().any(|name| name.eq_ignore_ascii_case(local));
    // The address can be part of a file name.
    let address = without_file_ending(host);
    if is_person && has_top_level_domain(address) && !is_reserved_name(address) {
        return found.push(BuiltInRule::EmailAddress, start..domain.start + address.len());
    }
    let after = bytes.get(domain.end..domain.end + 2);
    let is_remote = match after {
        Some([b':', b'~' | b'/']) => true,
        Some([b':', next]) => host.contains('.') && next.is_ascii_alphanumeric() && !next.is_ascii_digit(),
        _ => ["ssh ", "scp ", "sftp ", "rsync "].iter().any(|command| text[..start].ends_with(command)),
    };
    if !is_remote || has_file_ending(host) {
        return;
    }
    if is_person && !is_common_account(local) {
        found.push(BuiltInRule::UserName, start..at.start);
    }
    if !is_public_host(host) && host.parse::<Ipv4Addr>().is_err() {
        found.push(BuiltInRule::HostName, domain);
    }
}

/// Returns the start of the local part that ends at `end`. It may contain escaped letters; any other escape precedes
/// it.
fn local_start(text: &str, end: usize) -> usize {
    let bytes = text.as_bytes();
    let least = end.saturating_sub(MAX_LOCAL_BYTES);
    let mut start = end;
    loop {
        start -= bytes[least..start].iter().rev().take_while(|byte| is_local(**byte)).count();
        let escape = start
            .checked_sub(1)
            .filter(|slash| *slash >= least && bytes[*slash] == b'\\' && text[start..].starts_with('u'));
        match escape.and_then(|slash| first_char(&text[slash..])) {
            Some((c, _)) if c.is_alphanumeric() => start = start.saturating_sub(1),
            _ => break,
        }
        start -= bytes[least.min(start)..start].iter().rev().take_while(|byte| **byte == b'\\').count();
    }
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let is_other_escape = |at: &usize| {
        let letter = at.checked_sub(3).and_then(|escape| percent_byte(&bytes[escape..]));
        is_after_escape(&bytes[..*at]) && !letter.is_some_and(is_local) && !is_letter_escape(text, *at)
    };
    (start..end).rev().find(is_other_escape).unwrap_or(start)
}

/// Returns true if a `\u` escape that encodes a letter ends at `end`.
fn is_letter_escape(text: &str, end: usize) -> bool {
    let escape = end.checked_sub(6).filter(|at| text.is_char_boundary(*at));
    escape.and_then(|at| first_char(&text[at..])).is_some_and(|(c, bytes)| bytes == 6 && c.is_alphanumeric())
}

/// Returns true if another `@` sign follows in the authority of a URL.
fn has_at_sign(bytes: &[u8], from: usize) -> bool {
    let rest = &bytes[from..bytes.len().min(from + 256)];
    let end = rest.iter().position(|byte| byte.is_ascii_whitespace() || b"\"'<>/?#".contains(byte));
    rest[..end.unwrap_or(rest.len())].contains(&b'@')
}

/// Returns the range of the host name that begins at `at`, or an empty range if there is none.
pub fn host_after(text: &str, at: usize) -> Range<usize> {
    let is_host = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '.');
    let length: usize = text[at..].chars().take(MAX_HOST_BYTES).take_while(is_host).map(char::len_utf8).sum();
    let host = text[at..at + length].trim_end_matches(['.', '-']);
    at..at + host.len()
}

/// Returns true if `at` is in the user information of a URL, which can contain a password.
pub fn is_in_authority(bytes: &[u8], at: usize) -> bool {
    let before = &bytes[at.saturating_sub(256)..at];
    let part = before.iter().rposition(|byte| byte.is_ascii_whitespace() || b"\"'<>/".contains(byte));
    let Some(part) = part.map(|part| part + 1) else { return false };
    let follows_scheme = before[..part].ends_with(b"://") || before[..part].ends_with(br":\/\/");
    let inside = &before[part..];
    // A query can directly follow the host, but `?` and `#` can also be part of a password.
    let query = inside.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let is_in_query = query.is_some_and(|query| {
        let colon = memchr::memchr(b':', &inside[..query]);
        colon.is_none_or(|colon| inside[colon + 1..query].iter().all(u8::is_ascii_digit))
    });
    follows_scheme && !is_in_query
}

fn has_top_level_domain(host: &str) -> bool {
    let Some((rest, top)) = host.rsplit_once('.') else { return false };
    let is_top = top.chars().count() >= 2 && top.chars().all(char::is_alphabetic) || top.starts_with("xn--");
    is_top && rest.split('.').all(|label| !label.is_empty())
}

fn without_file_ending(mut host: &str) -> &str {
    while has_file_ending(host) {
        host = host.rsplit_once('.').map_or("", |(rest, _)| rest);
    }
    host
}

/// Finds IP addresses, and Discord tokens, which have no prefix but two dots at fixed positions.
pub fn dots_and_colons(text: &str, found: &mut FindCandidates) {
    each_address(text.as_bytes(), |rule, span| {
        if rule != BuiltInRule::IpAddress || !is_in_version(text, &span) {
            found.push(rule, span);
        }
        true
    });
}

/// Returns true if [`dots_and_colons`] may find something in a text.
pub fn may_have_address(text: &[u8]) -> bool {
    let mut is_found = false;
    each_address(text, |_, _| {
        is_found = true;
        false
    });
    is_found
}

/// Calls `take` for each address until it returns false.
fn each_address(text: &[u8], mut take: impl FnMut(BuiltInRule, Range<usize>) -> bool) {
    let mut next = 0;
    for at in memchr::memchr2_iter(b'.', b':', text) {
        let (Some(before), Some(after)) = (at.checked_sub(1).map(|before| text[before]), text.get(at + 1)) else {
            continue;
        };
        if at < next {
            continue;
        }
        let span = match text[at] {
            b'.' => {
                let is_ipv4 = before.is_ascii_digit() && after.is_ascii_digit();
                let is_discord = text.get(at + 7) == Some(&b'.');
                let address = if is_ipv4 { ipv4(text, at) } else { None };
                address.or_else(|| if is_discord { discord_token(text, at) } else { None })
            }
            b':' if *after == b':' || before.is_ascii_hexdigit() && after.is_ascii_hexdigit() => {
                let run = ipv6_run(text, at);
                next = run.end;
                ipv6(text, run)
            }
            _ => None,
        };
        if let Some((rule, span)) = span {
            next = span.end;
            if !take(rule, span) {
                return;
            }
        }
    }
}

fn discord_token(text: &[u8], at: usize) -> Option<(BuiltInRule, Range<usize>)> {
    let is_url = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let id = text[at.saturating_sub(MAX_DISCORD_ID)..at].iter().rev().take_while(is_url).count();
    let key = text[at + 8..].iter().take(40).take_while(is_url).count();
    let stamp = text[at + 1..at + 7].iter().take_while(is_url).count();
    if stamp != 6 || !(27..=38).contains(&key) {
        return None;
    }
    // The token can directly follow the letters of an escape.
    let mut starts = (at - id..(at + 1).saturating_sub(MIN_DISCORD_ID)).filter(|start| starts_word(text, *start));
    let start = starts.find(|start| matches!(text[*start], b'M'..=b'O'))?;
    Some((BuiltInRule::DiscordToken, start..at + 8 + key))
}

/// Returns the IPv4 address whose first dot is at `dot`.
fn ipv4(text: &[u8], dot: usize) -> Option<(BuiltInRule, Range<usize>)> {
    let digits = text[dot.saturating_sub(8)..dot].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let start = after_escape(text, dot - digits, dot);
    let is_run = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
    let length = text[start..].iter().take(17).take_while(is_run).count();
    let run = &text[start..start + length];
    let run = run.strip_suffix(b".").unwrap_or(run);
    let end = start + run.len();
    let is_apart = starts_word(text, start)
        && !matches!(start.checked_sub(1).map(|before| text[before]), Some(b'.' | b'_' | b'~' | b'^'))
        && !text.get(end).is_some_and(|after| after.is_ascii_alphabetic() || matches!(after, b'_' | b'+'));
    let address: Ipv4Addr = std::str::from_utf8(run).ok()?.parse().ok().filter(|_| is_apart)?;
    (!is_unremarkable(address)).then_some((BuiltInRule::IpAddress, start..end))
}

/// Returns true for addresses that do not identify a machine: loopback, unspecified, documentation, broadcast,
/// netmasks.
fn is_unremarkable(address: Ipv4Addr) -> bool {
    let [first, .., last] = address.octets();
    address.is_loopback()
        || address.is_documentation()
        || first == 0
        || first == 255
        || address.is_multicast()
        || (last == 0 && address.octets()[1..3] == [0, 0])
}

/// Returns true if the four numbers at `span` are a version number.
fn is_in_version(text: &str, span: &Range<usize>) -> bool {
    let before = &text.as_bytes()[..span.start];
    let follows_name = matches!(before, [.., name, b'/' | b'-'] if name.is_ascii_alphanumeric());
    let is_compared = [&b"=="[..], b">=", b"<=", b"~="].iter().any(|operator| before.ends_with(operator));
    let is_tagged = text.as_bytes().get(span.end) == Some(&b'-')
        && text.as_bytes().get(span.end + 1).is_some_and(u8::is_ascii_alphabetic);
    let words = text[..span.start].trim_end_matches([' ', ':', '=', '"', '\'', '\\', '(']);
    let word = words.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_ascii_lowercase();
    let is_version = matches!(word.as_str(), "v" | "ver" | "version" | "release" | "build" | "oid" | "section");
    follows_name || is_compared || is_tagged || is_version || word.ends_with("version")
}

/// Returns the range of characters around `at` that IPv6 addresses consist of.
fn ipv6_run(text: &[u8], at: usize) -> Range<usize> {
    let is_part = |byte: &&u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let before = text[at.saturating_sub(48)..at].iter().rev().take_while(is_part).count();
    let after = text[at..].iter().take(48).take_while(is_part).count();
    after_escape(text, at - before, at)..at + after
}

fn ipv6(text: &[u8], run: Range<usize>) -> Option<(BuiltInRule, Range<usize>)> {
    let written = text[run.clone()].strip_suffix(b".").unwrap_or(&text[run.clone()]);
    let written = match written.ends_with(b":") && !written.ends_with(b"::") {
        true => &written[..written.len() - 1],
        false => written,
    };
    let colons = memchr::memchr_iter(b':', written).count();
    let span = run.start..run.start + written.len();
    let is_apart = starts_word(text, span.start)
        && !text.get(span.end).is_some_and(|after| after.is_ascii_alphanumeric() || *after == b'_');
    if colons < 2 || !is_apart {
        return None;
    }
    let address: Ipv6Addr = std::str::from_utf8(written).ok()?.parse().ok()?;
    // Identifier paths such as `a::b` look like short addresses.
    let [first, second, ..] = address.segments();
    let is_assigned = matches!(first, 0x2000..=0x3fff | 0xfc00..=0xfdff | 0xfe80..=0xfebf | 0x64) || colons == 7;
    let is_mapped = address.to_ipv4_mapped().is_some_and(|address| !is_unremarkable(address));
    let is_documentation = first == 0x2001 && second == 0xdb8 || first == 0x3fff;
    let is_address = is_mapped || is_assigned && colons >= 3 || first & 0xffc0 == 0xfe80 && colons >= 2;
    let is_quiet = address.is_loopback() || address.is_unspecified() || is_documentation;
    (is_address && !is_quiet).then_some((BuiltInRule::IpAddress, span))
}
