//! The message of each kind of error.

use std::fmt;
use std::io;
use std::path::PathBuf;

use strum::EnumMessage as _;

use super::{ErrorKind, KeyText, Obstacle};

impl std::error::Error for ErrorKind {}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, source } => write!(f, "cannot {action} it: {}", system_reason(source)),
            Self::LogName(fault) => write!(f, "invalid log name: {fault}"),
            Self::LogShrank { opened, read } => write!(
                f,
                "the log shrank while it was being read: it had {} bytes when opened, but only {} could be read",
                grouped(*opened),
                grouped(*read)
            ),
            Self::LineTooLong { limit } => write!(f, "this line exceeds the limit of {} bytes", grouped(*limit)),
            Self::TooManyUnparsed { limit } => write!(
                f,
                "this log has too many unparsed lines: listing them would take a manifest of over {} bytes",
                grouped(*limit)
            ),
            Self::TooManyLogs { limit } => {
                write!(f, "too many logs: a bundle has at most {}", grouped(*limit as u64))
            }
            Self::KeyOfSeveralValues { path } => {
                write!(f, "the path {path:?} can have several values in a row, so it cannot be a key")
            }
            Self::UnknownSource { name, known } => write!(f, "no source named {name:?}; {}", available(known)),
            Self::OtherSource { name } => {
                write!(f, "Patchwork's own importer does not know the source {name:?}, so it is not bundled by default")
            }
            Self::UnknownFile { name, known } => write!(f, "no file named {name:?}; {}", available(known)),
            Self::ManifestTooLong { limit } => write!(f, "the manifest exceeds the limit of {} bytes", grouped(*limit)),
            Self::UnsupportedVersion { found, supported } => {
                write!(f, "unsupported format version {found}; this program reads version {supported}")
            }
            Self::Manifest(fault) => fault.fmt(f),
            Self::Gzip(fault) => fault.fmt(f),
            Self::Row(fault) => fault.fmt(f),
            Self::History(fault) => fault.fmt(f),
            Self::Signature(fault) => fault.fmt(f),
            Self::Redaction(fault) => fault.fmt(f),
            Self::EntryType { source } => write!(f, "this row does not match the requested type: {source}"),
            Self::FewerThanDeclared { expected, found } => {
                write!(
                    f,
                    "row count mismatch: the manifest declares {}, the bundle has {}",
                    grouped(*expected),
                    grouped(*found)
                )
            }
            other => other.fmt_encryption(f),
        }
    }
}

impl ErrorKind {
    /// Writes the message of the kinds that concern encrypted files.
    fn fmt_encryption(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted(encryption) => write!(f, "{encryption}"),
            Self::DecryptionTooCostly { required, limit } => {
                write!(f, "its passphrase takes too much work: 2^{required}, but the limit is 2^{limit}")
            }
            Self::InvalidIdentity { line, found } => f.write_str(&not_a_key(
                "an age identity",
                KeyText::Identity,
                Some(*line).filter(|line| *line > 0),
                *found,
            )),
            Self::InvalidRecipient { line, found } => {
                f.write_str(&not_a_key("an age recipient", KeyText::Recipient, *line, *found))
            }
            Self::NestedEncryption { in_gzip: true } => {
                f.write_str("this gzip file holds an encrypted file, not a bundle")
            }
            Self::NestedEncryption { in_gzip: false } => f.write_str("it is encrypted twice"),
            Self::AgePluginMissing { program } => {
                write!(f, "this key needs the program {program}, which was not found")
            }
            Self::AgePluginFailed { program, message } => write!(f, "{program} failed: {message}"),
            Self::PwtraceTruncated { found, header } => write!(
                f,
                "this encrypted export is truncated: it has {} bytes, and its header alone has {header}",
                grouped(*found)
            ),
            Self::PwtraceVersion { found, supported } => {
                write!(f, "unsupported version {found} of encrypted exports; this program reads version {supported}")
            }
            Self::PwtraceTooLong { limit } => {
                write!(f, "this encrypted export exceeds the limit of AES-GCM, {} bytes", grouped(*limit))
            }
            other => other.fmt_local(f),
        }
    }

    /// Writes the message of the kinds that concern this machine rather than the bundle.
    fn fmt_local(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingDirectory { variable: None } => f.write_str("no such directory"),
            Self::MissingDirectory { variable: Some(variable) } => {
                write!(f, "no such directory (set by {variable})")
            }
            Self::NoLogs { sources, places } => write!(f, "{}", no_logs(sources, places)),
            Self::ForeignSource { source } => {
                write!(f, "the bundle has a log of the unknown source {source:?}")
            }
            Self::NotOfSource { source, base } => {
                write!(f, "the source {source:?} has no log with this name in the {base} directory")
            }
            Self::InputsDisagree { file, one, other } => {
                write!(f, "the bundles disagree about {file}: in one it is a log of {one}, in another of {other}")
            }
            Self::SameTarget { other } => write!(f, "this log and {other:?} are the same file on this machine"),
            Self::DanglingLink { to } => {
                write!(f, "dangling symlink: its target {} does not exist", to.display())
            }
            Self::ForeignLink { to } => {
                write!(f, "this symlink to {} belongs to another user and is not followed", to.display())
            }
            Self::Locked { seconds } => {
                write!(f, "another program holds this lock and did not release it within {seconds} seconds")
            }
            Self::CannotReplace { obstacle } => f.write_str(match obstacle {
                Obstacle::Immutable => "cannot replace this log: it or its directory is marked immutable",
                Obstacle::AppendOnly => "cannot replace this log: it or its directory is marked append-only",
                Obstacle::MountPoint => "cannot replace this log: it is a mount point",
            }),
            Self::TooManyLines { limit } => write!(f, "too many lines to merge: the limit is {}", grouped(*limit)),
            Self::PartiallyCommitted { placed, all, cause, .. } => {
                write!(f, "imported {} of {all} logs, then stopped: {cause}", placed.len())
            }
            Self::CheckpointNotWritten { segment, cause } => {
                write!(f, "segment {segment} was added, but not the checkpoint: {cause}")
            }
            Self::PartiallyKept { added, all, cause } => {
                write!(f, "added {added} of {all} bundles, then stopped: {cause}")
            }
            Self::NotSigned { cause } => write!(f, "the result was written, but not signed: {cause}"),
            Self::ReportLost { source } => {
                write!(f, "the work is done, but its report could not be written: {}", system_reason(source))
            }
            Self::DirectorySyncFailed { cause } => {
                write!(f, "the file is complete, but a power failure might still undo the write: {cause}")
            }
            other => f.write_str(other.get_message().unwrap_or_default()),
        }
    }
}

/// Returns the message for text that is not the `expected` kind of key. `name` is what messages call that kind.
fn not_a_key(name: &str, expected: KeyText, line: Option<u64>, found: KeyText) -> String {
    let place = line.map_or("this".to_owned(), |line| format!("line {line}"));
    match found {
        KeyText::Nothing => format!("there is no key, but {name} was expected"),
        found if found == expected => format!("{place} begins like {name}, but has a wrong or missing character"),
        KeyText::Identity => format!("{place} is an age secret key, not {name}"),
        KeyText::Recipient => format!("{place} is an age public key, not {name}"),
        KeyText::PostQuantum => format!("{place} is a post-quantum age key, which this program cannot use"),
        KeyText::Ssh => format!("{place} is an OpenSSH key, not {name}"),
        KeyText::Utf16 => "this file is UTF-16 text, but keys are read from UTF-8".to_owned(),
        KeyText::EncryptedOtherwise => "this key file is encrypted, but not with an age passphrase".to_owned(),
        KeyText::Other => format!("{place} is not {name}"),
    }
}

/// Returns a number with its digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, rest) = digits.split_at(first);
    let groups = rest.as_bytes().chunks(3).map(String::from_utf8_lossy);
    let head = Some(head.into()).filter(|_| first > 0);
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

/// Lists the available names, for an error about an unknown one.
fn available(known: &[String]) -> String {
    match known {
        [] => "available: none".to_owned(),
        known => format!("available: {}", known.join(", ")),
    }
}

/// Returns the message for directories without logs, or without logs of the requested `sources`.
fn no_logs(sources: &[String], places: &[PathBuf]) -> String {
    let mut places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    places.dedup();
    let places = places.join(" and ");
    match sources {
        [] => format!("no logs found in {places}"),
        [source] => format!("no log of the source {source:?} found in {places}"),
        sources => format!("no logs of the sources {} found in {places}", sources.join(" and ")),
    }
}

/// Returns the system's reason without the error number.
pub(super) fn system_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::StorageFull => "no space left on the disk".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only".to_owned(),
        io::ErrorKind::BrokenPipe => "the program that reads from it has ended".to_owned(),
        _ => {
            let text = system_error(error).to_string();
            within_sentence(text.split(" (os error").next().unwrap_or_default())
        }
    }
}

/// Lowercases the first letter of another program's message, unless the first word is an acronym such as `RPC`. Leaves
/// the rest unchanged, because it may contain a path.
fn within_sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().filter(char::is_ascii_uppercase);
    let is_ordinary = chars.clone().next().is_some_and(|second| second.is_ascii_lowercase() || second == ' ');
    match first {
        Some(first) if is_ordinary => format!("{}{}", first.to_ascii_lowercase(), chars.as_str()),
        _ => words.to_owned(),
    }
}

/// Returns the system's error without the path that `fs_err` adds. The position of the error already has that path.
pub(super) fn system_error(error: &io::Error) -> &io::Error {
    let inner = error.get_ref().and_then(|outer| outer.source());
    inner.and_then(|inner| inner.downcast_ref()).unwrap_or(error)
}
