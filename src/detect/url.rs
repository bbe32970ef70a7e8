//! Passwords and names of hosts in URLs.

use std::net::IpAddr;
use std::ops::Range;

use super::boundary::is_after_escape;
use super::candidates::FindCandidates;
use super::hosts::is_public_host;
use super::names::is_common_account;
use super::placeholder::can_be_secret;
use super::rules::BuiltInRule;
use super::value_shape::is_irregular;

/// The longest part of a URL before its path.
const MAX_AUTHORITY_BYTES: usize = 1024;

/// The longest password.
const MAX_PASSWORD_BYTES: usize = 256;

/// The most nodes of a cluster.
const MAX_NODES: usize = 50;

/// The longest name of a user. What is longer is rather a token.
const MAX_USER_CHARS: usize = 32;

/// Schemes whose URLs name a host of a network. Others have names of extensions, packages and so on in that place.
const NETWORK_SCHEMES: &str = "\
    afp amqp amqps bolt bolt+s bolt+ssc cassandra clickhouse cockroachdb coap couchbase couchbases couchdb dav davs db2 \
    elasticsearch ftp ftps git git+http git+https git+ssh grpc grpcs hdfs hive hive2 http https imap imaps impala influxdb \
    ipp irc ircs kafka ldap ldaps mariadb memcached mongodb mongodb+srv mqtt mqtts mssql mysql mysqlx nats neo4j neo4j+s \
    neo4j+ssc nfs nntp oracle pop3 pop3s postgres postgresql presto pulsar rabbitmq rdp redis rediss rsync rtmp rtsp sftp \
    sip sips smb smtp smtps socks4 socks5 socks5h spice sqlserver ssh ssl stomp stun svn svn+ssh syslog tcp tds telnet \
    tftp tls trino turn udp vertica vnc ws wss xmpp";

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
    let user_end = user_end(bytes, &authority);
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
    if !NETWORK_SCHEMES.split(' ').any(is_network) {
        return;
    }
    let mut start = user_end.map_or(authority.start, |at| at + 1);
    let end = self::authority(bytes, start).end;
    // The nodes of a cluster are separated by commas. A comma after a web address rather belongs to a sentence.
    let is_web = ["http", "https", "ws", "wss"].iter().any(|web| web.eq_ignore_ascii_case(scheme));
    let nodes = if is_web { 1 } else { MAX_NODES };
    for node in text[start..end].split(',').take(nodes) {
        host(text, start, found);
        start += node.len() + 1;
    }
}

/// Returns the part of a URL between `//` and the path.
fn authority(bytes: &[u8], start: usize) -> Range<usize> {
    let ends = |byte: &u8| ends_url(*byte) || b"/?#".contains(byte);
    let rest = &bytes[start..bytes.len().min(start + MAX_AUTHORITY_BYTES)];
    start..start + rest.iter().position(ends).unwrap_or(rest.len())
}

/// Returns the place of the `@` sign after the user's name and password.
fn user_end(bytes: &[u8], authority: &Range<usize>) -> Option<usize> {
    let is_plain = memchr::memrchr(b'@', &bytes[authority.clone()]).map(|at| authority.start + at);
    if is_plain.is_some() || bytes.get(authority.start) == Some(&b'[') {
        return is_plain;
    }
    // The password can have what ends a host elsewhere. A number is that of a port.
    let password = authority.start + memchr::memchr(b':', &bytes[authority.clone()])? + 1;
    let is_port = bytes[password..authority.end].iter().all(u8::is_ascii_digit);
    let ends_host = match bytes.get(authority.end)? {
        b'#' | b'?' => !is_port || password == authority.end,
        b'/' => !is_port,
        _ => false,
    };
    let rest = &bytes[password..bytes.len().min(password + MAX_PASSWORD_BYTES)];
    let at = rest.iter().position(|byte| *byte == b'@' || ends_url(*byte))?;
    let is_variable = [&b"${"[..], b"{"].iter().any(|opening| rest.starts_with(opening));
    (ends_host && rest[at] == b'@' && !is_variable).then_some(password + at)
}

/// Returns true for bytes that are not in URLs.
fn ends_url(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control() || b"\"'`<>\\|".contains(&byte)
}

fn password(text: &str, user_info: Range<usize>, found: &mut FindCandidates) {
    let Some(colon) = memchr::memchr(b':', &text.as_bytes()[user_info.clone()]) else {
        return user(text, user_info, found);
    };
    user(text, user_info.start..user_info.start + colon, found);
    let span = user_info.start + colon + 1..user_info.end;
    let password = &text[span.clone()];
    let is_variable = password.starts_with(['{', '<', '%']) || password.ends_with('>');
    let is_encoded = password.starts_with('%') && password.as_bytes().get(1).is_some_and(u8::is_ascii_hexdigit);
    if can_be_secret(password) && (!is_variable || is_encoded) {
        found.push(BuiltInRule::ConnectionPassword, span);
    }
}

/// Takes the name of a user, unless it is that of a role or a secret.
pub fn user(text: &str, span: Range<usize>, found: &mut FindCandidates) {
    let user = &text[span.clone()];
    let is_long = user.chars().count() > MAX_USER_CHARS;
    let is_plain = user.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if is_long && is_plain && is_irregular(user) {
        return found.push(BuiltInRule::ConnectionPassword, span);
    }
    let is_name = is_plain && !is_long && user.chars().any(char::is_alphabetic);
    if is_name && !is_common_account(user) {
        found.push(BuiltInRule::UserName, span);
    }
}

fn host(text: &str, start: usize, found: &mut FindCandidates) {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    let rest = &text[start..];
    let host = rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())].trim_end_matches(['.', '-', '_']);
    let span = start..start + host.len();
    // `YOUR_HOST`
    let is_variable = host.contains('_') && !host.contains(char::is_lowercase);
    let is_name = !host.starts_with(['.', '-', '_'])
        && host.chars().any(char::is_alphabetic)
        && !is_variable
        && !matches!(text.as_bytes().get(span.end), Some(b'$' | b'{' | b'*' | b'_' | b'@' | b'('))
        && !text[span.end..].starts_with("...");
    if is_name && host.parse::<IpAddr>().is_err() && !is_public_host(host) {
        found.push(BuiltInRule::HostName, span);
    }
}
