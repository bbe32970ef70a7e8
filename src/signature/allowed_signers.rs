//! OpenSSH's list of allowed signers: who may sign, with which key, for which purpose and when (`ssh-keygen(1)`,
//! "ALLOWED SIGNERS").

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::NAMESPACE;
use super::key_line::KeyLine;
use super::pattern::matches_list;
use crate::error::{Error, ErrorKind, IoAction, Result, SignatureFault};
use crate::format::Timestamp;

/// The maximum length of a list in bytes.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// A list of allowed signers. Clones are cheap and share it.
///
/// Lines with `cert-authority` are accepted, but not used: signatures by certificates are not supported.
#[derive(Debug, Clone)]
pub struct AllowedSigners(Arc<[AllowedSigner]>);

/// A line of the list.
#[derive(Debug)]
pub(super) struct AllowedSigner {
    /// The name patterns of the signer, as written in the list.
    pub(super) principals: String,
    key: KeyLine,
    options: SignerOptions,
}

/// The options of a line.
#[derive(Debug, Default)]
struct SignerOptions {
    is_authority: bool,
    namespaces: Option<String>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

/// The reason why a line does not allow a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NotAllowed {
    /// The line is for other namespaces.
    Namespace,
    /// The key is not valid yet.
    NotYetValid(Timestamp),
    /// The key is no longer valid.
    Expired(Timestamp),
}

impl AllowedSigners {
    /// Reads the list in the file `path`. Times without `Z` are in the system's time zone.
    ///
    /// # Errors
    /// If the file cannot be read. [`SignatureFault::SignersLine`] if a line is malformed.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = fs::File::open(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
        let mut text = Vec::new();
        file.take(MAX_LIST_BYTES + 1).read_to_end(&mut text).map_err(|error| Error::io(IoAction::Read, path, error))?;
        let parsed = match String::from_utf8(text) {
            Ok(text) if text.len() as u64 <= MAX_LIST_BYTES => Self::parse(&text),
            Ok(_) => Err(fault("it is longer than 16 MiB")),
            Err(_) => Err(fault("it is not UTF-8")),
        };
        parsed.map_err(|error| error.in_subject(&path.display().to_string()))
    }

    /// Parses the text of a list.
    ///
    /// # Errors
    /// [`SignatureFault::SignersLine`] if a line is malformed.
    pub fn parse(text: &str) -> Result<Self> {
        let mut signers = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                signers.push(AllowedSigner::parse(line).map_err(|reason| fault(reason).at_line(number))?);
            }
        }
        Ok(Self(signers.into()))
    }

    /// Returns the lines with this key, given in binary form.
    pub(super) fn with_key(&self, blob: &[u8]) -> impl Iterator<Item = &AllowedSigner> {
        self.0.iter().filter(move |signer| !signer.options.is_authority && signer.key.blob == blob)
    }
}

fn fault(reason: &'static str) -> Error {
    ErrorKind::Signature(SignatureFault::SignersLine { reason }).into()
}

impl AllowedSigner {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let (principals, rest) = principals(line)?;
        // Without options, the key follows.
        if let Some(key) = KeyLine::parse(rest) {
            return Ok(Self { principals, key, options: SignerOptions::default() });
        }
        let (options, rest) = split_options(rest)?;
        let options = SignerOptions::parse(options)?;
        let key = KeyLine::parse(rest).ok_or("a line lacks a valid public key")?;
        Ok(Self { principals, key, options })
    }

    /// Returns true if the line is for a signer of this name.
    pub(super) fn is_for(&self, name: &str) -> bool {
        matches_list(name, &self.principals)
    }

    /// Returns the reason why the line does not allow a signature at the time `now`.
    pub(super) fn refuses(&self, now: Timestamp) -> Option<NotAllowed> {
        let SignerOptions { namespaces, valid_after, valid_before, .. } = &self.options;
        if namespaces.as_ref().is_some_and(|namespaces| !matches_list(NAMESPACE, namespaces)) {
            return Some(NotAllowed::Namespace);
        }
        let later = valid_after.filter(|start| now < *start).map(NotAllowed::NotYetValid);
        later.or_else(|| valid_before.filter(|end| now > *end).map(NotAllowed::Expired))
    }
}

/// Splits the names, which may be quoted, from the rest of a line.
fn principals(line: &str) -> Result<(String, &str), &'static str> {
    let (names, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("a quotation mark is missing")?,
        None => line.split_once(is_blank).ok_or("a line has no public key")?,
    };
    match names.is_empty() {
        true => Err("a line has no names"),
        false => Ok((names.to_owned(), rest.trim_start())),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// Splits the options from the rest of a line, at the first unquoted blank.
fn split_options(text: &str) -> Result<(&str, &str), &'static str> {
    let mut is_quoted = false;
    let end = text.char_indices().find(|(_, c)| {
        is_quoted ^= *c == '"';
        is_blank(*c) && !is_quoted
    });
    match end {
        Some((end, _)) => Ok((&text[..end], text[end..].trim_start())),
        None if is_quoted => Err("a quotation mark is missing"),
        None => Err("a line lacks a valid public key"),
    }
}

impl SignerOptions {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const TWICE: &str = "an option is given twice";
        let mut options = Self::default();
        let mut rest = Some(text);
        while let Some(text) = rest {
            let end = text.find([',', '=']).unwrap_or(text.len());
            let (name, after) = text.split_at(end);
            let (value, after) = match after.strip_prefix('=') {
                Some(after) => quoted(after).map(|(value, after)| (Some(value), after))?,
                None => (None, after),
            };
            let is_new = match (name.to_ascii_lowercase().as_str(), value) {
                ("cert-authority", None) => !std::mem::replace(&mut options.is_authority, true),
                ("namespaces", Some(list)) => options.namespaces.replace(list.to_owned()).is_none(),
                ("valid-after", Some(text)) => options.valid_after.replace(time(text)?).is_none(),
                ("valid-before", Some(text)) => options.valid_before.replace(time(text)?).is_none(),
                _ => return Err("unknown option, or a line lacks a valid public key"),
            };
            if !is_new {
                return Err(TWICE);
            }
            rest = match after.strip_prefix(',') {
                None if !after.is_empty() => return Err("a comma is missing between two options"),
                rest => rest,
            };
        }
        match options.valid_after.zip(options.valid_before) {
            Some((after, before)) if after >= before => Err("`valid-before` is not later than `valid-after`"),
            _ => Ok(options),
        }
    }
}

/// Splits a quoted value from the text after it.
fn quoted(text: &str) -> Result<(&str, &str), &'static str> {
    let text = text.strip_prefix('"').ok_or("the value of an option is not in quotation marks")?;
    text.split_once('"').ok_or("a quotation mark is missing")
}

/// Parses a time: `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in the system's time zone, or in UTC with `Z`.
fn time(text: &str) -> Result<Timestamp, &'static str> {
    const EXPECTED: &str = "a time is not of the form YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with or without Z";
    let digits = text.strip_suffix(['Z', 'z']);
    let zone = match digits {
        Some(_) => TimeZone::UTC,
        None => TimeZone::try_system().unwrap_or(TimeZone::UTC),
    };
    let digits = digits.unwrap_or(text);
    let is_time = matches!(digits.len(), 8 | 12 | 14) && digits.bytes().all(|digit| digit.is_ascii_digit());
    let part = |from: usize, to: usize| digits.get(from..to).and_then(|part| part.parse::<i16>().ok());
    let small = |from: usize| part(from, from + 2).and_then(|part| i8::try_from(part).ok());
    let read = || {
        let (year, month, day) = (part(0, 4)?, small(4)?, small(6)?);
        let [hour, minute, second] = [8, 10, 12].map(|from| small(from).unwrap_or_default());
        let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        Timestamp::from_millis(time.to_zoned_datetime(zone).ok()?.timestamp().as_millisecond())
    };
    is_time.then(read).flatten().ok_or(EXPECTED)
}
