//! Passwords and names of hosts in URLs.

use std::net::IpAddr;
use std::ops::Range;

use super::address::host_after;
use super::boundary::is_after_escape;
use super::candidates::FindCandidates;
use super::hosts::is_public_host;
use super::names::is_common_account;
use super::placeholder::can_be_secret;
use super::rules::BuiltInRule;

/// The longest part of a URL before its path.
const MAX_AUTHORITY_BYTES: usize = 1024;

/// Schemes whose URLs name a host of a network. Others have names of extensions, packages and so on in that place.
const NETWORK_SCHEMES: &str = "\
    amqp amqps clickhouse elasticsearch ftp ftps git grpc http https imap imaps irc kafka ldap ldaps mariadb mongodb \
    mongodb+srv mqtt mssql mysql nats nfs postgres postgresql rdp redis rediss rsync sftp smb smtp smtps socks5 \
    sqlserver ssh svn tcp telnet udp vnc ws wss git+ssh git+https git+http svn+ssh";

/// Looks at `://`, or at `:\/\/` in a JSON text inside a string.
pub fn scheme_end(text: &str, mark: &Range<usize>, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    let is_scheme = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-');
    let scheme_bytes = bytes[mark.start.saturating_sub(32)..mark.start].iter().rev().take_while(is_scheme).count();
    let scheme = &text[mark.start - scheme_bytes..mark.start];
    if scheme.is_empty() {
        return;
    }
    let authority = authority(bytes, mark.end);
    let user_end = memchr::memrchr(b'@', &bytes[authority.clone()]).map(|at| authority.start + at);
    if let Some(user_end) = user_end {
        password(text, authority.start..user_end, found);
    }
    // An escape can stand directly before a scheme.
    let is_network = |known: &str| {
        let rest = scheme.len().checked_sub(known.len());
        rest.is_some_and(|rest| {
            let starts_there = rest == 0 || is_after_escape(&bytes[..mark.start - known.len()]);
            scheme[rest..].eq_ignore_ascii_case(known) && starts_there
        })
    };
    let has_host = NETWORK_SCHEMES.split(' ').any(is_network);
    if has_host {
        host(text, user_end.map_or(authority.start, |at| at + 1), found);
    }
}

/// Returns the part of a URL between `//` and the path.
fn authority(bytes: &[u8], start: usize) -> Range<usize> {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"/?#\"'`<>\\|".contains(byte);
    let rest = &bytes[start..bytes.len().min(start + MAX_AUTHORITY_BYTES)];
    start..start + rest.iter().position(ends).unwrap_or(rest.len())
}

fn password(text: &str, user_info: Range<usize>, found: &mut FindCandidates) {
    let Some(colon) = memchr::memchr(b':', &text.as_bytes()[user_info.clone()]) else {
        return user(text, user_info, found);
    };
    user(text, user_info.start..user_info.start + colon, found);
    let span = user_info.start + colon + 1..user_info.end;
    let password = &text[span.clone()];
    let is_variable = password.starts_with(['$', '{', '<', '%', '*']) || password.ends_with('>');
    let is_encoded = password.starts_with('%') && password.as_bytes().get(1).is_some_and(u8::is_ascii_hexdigit);
    if can_be_secret(password) && (!is_variable || is_encoded) {
        found.push(BuiltInRule::ConnectionPassword, span);
    }
}

/// Takes the name of a user, unless it is that of a role or a secret.
pub fn user(text: &str, span: Range<usize>, found: &mut FindCandidates) {
    let user = &text[span.clone()];
    let is_plain =
        user.chars().count() <= 32 && user.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'));
    let is_name = is_plain && user.chars().any(char::is_alphabetic);
    if is_name && !is_common_account(user) {
        found.push(BuiltInRule::UserName, span);
    }
}

fn host(text: &str, start: usize, found: &mut FindCandidates) {
    let span = host_after(text, start);
    let host = &text[span.clone()];
    let is_name = !host.is_empty()
        && !host.starts_with(['.', '-'])
        && host.chars().any(char::is_alphabetic)
        && !matches!(text.as_bytes().get(span.end), Some(b'$' | b'{' | b'*' | b'_' | b'@' | b'('))
        && !text[span.end..].starts_with("...");
    if is_name && host.parse::<IpAddr>().is_err() && !is_public_host(host) {
        found.push(BuiltInRule::HostName, span);
    }
}
