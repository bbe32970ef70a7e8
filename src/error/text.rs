//! The message and the hint of each kind of error.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::{Error, ErrorKind, Obstacle};

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, source } => write!(f, "cannot {action} it: {}", system_words(source)),
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
            Self::EntryType { source } => write!(f, "this row does not match the requested type: {source}"),
            Self::FewerThanDeclared { expected, found } => {
                write!(
                    f,
                    "row count mismatch: the manifest declares {}, the bundle has {}",
                    grouped(*expected),
                    grouped(*found)
                )
            }
            Self::ForeignSource { source } => {
                write!(f, "the bundle has a log of the unknown source {source:?}")
            }
            Self::NotOfSource { source, base } => {
                write!(f, "the source {source:?} has no log with this name in the {base} directory")
            }
            other => other.fmt_local(f),
        }
    }
}

impl ErrorKind {
    /// Writes the message of the kinds that concern this machine rather than the bundle.
    fn fmt_local(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingDirectory { variable: None } => f.write_str("no such directory"),
            Self::MissingDirectory { variable: Some(variable) } => {
                write!(f, "no such directory (set by {variable})")
            }
            Self::NoLogs { sources, places } => write!(f, "{}", no_logs(sources, places)),
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
            Self::ReportLost { source } => {
                write!(f, "the work is done, but its report could not be written: {}", system_words(source))
            }
            Self::DirectorySyncFailed { cause } => {
                write!(f, "the file is complete, but a power failure might still undo the write: {cause}")
            }
            other => f.write_str(other.sentence().unwrap_or_default()),
        }
    }

    /// Returns the message of a kind without data, or `None` if the message depends on the kind's data.
    fn sentence(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoHome => "cannot locate the logs: the home directory is unknown",
            Self::TargetExists => "this file already exists",
            Self::NoTargetDirectory { .. } => "cannot write the bundle here: no such directory",
            Self::CannotPreserveOwner => {
                "cannot replace this log: it belongs to another user or group, who could not write to the new file"
            }
            Self::TargetIsLog => {
                "cannot write a bundle here: this is a log, or a name reserved for a log, its lock, backup or temporary file"
            }
            Self::TargetIsTerminal => "cannot write compressed data to a terminal",
            Self::NotAFile => "this should be a log, but is not a regular file",
            Self::LogsKeepChanging => "its writers kept it locked or kept changing it for 30 seconds",
            Self::EmptyInput => "the input is empty",
            Self::TargetIsDirectory | Self::InputIsDirectory => "this is a directory, not a file",
            Self::NotABundle => "not a trace bundle (neither gzip nor JSON Lines)",
            Self::GzipOfSomethingElse => "not a trace bundle (a gzip file with other content)",
            Self::RowBeforeManifest => "the manifest is missing: the first line is a row",
            Self::NotAManifest => "not a trace bundle (the first line is JSON, but not a manifest)",
            Self::ChunkMismatch => "chunk mismatch: the content does not match the chunk's entry in the manifest",
            Self::MoreThanDeclared => "the bundle has more content than its manifest declares",
            Self::ContentEnds => "the bundle ends before the end of its declared content",
            Self::NothingToRecover => "found neither rows nor a manifest",
            Self::OutputNotIntact => "the new bundle failed verification when it was read back",
            Self::RestoredDiffers => "the restored log does not match the length and SHA-256 in the manifest",
            Self::ProcNotMounted => {
                "cannot import safely: another user can change this directory, and /proc is not mounted"
            }
            Self::LineFeedMissing => "the last line of this chunk has no line feed",
            Self::NotByteForByte => "cannot restore this log byte for byte: a format 1.0 bundle has only its rows",
            Self::LockLost => "lost this lock to another program",
            Self::Cancelled => "cancelled",
            Self::LogKeepsChanging => "this log changed during every attempt to replace it",
            Self::Io { .. }
            | Self::MissingDirectory { .. }
            | Self::NoLogs { .. }
            | Self::LogName(_)
            | Self::LogShrank { .. }
            | Self::LineTooLong { .. }
            | Self::TooManyUnparsed { .. }
            | Self::TooManyLogs { .. }
            | Self::UnknownSource { .. }
            | Self::OtherSource { .. }
            | Self::UnknownFile { .. }
            | Self::ManifestTooLong { .. }
            | Self::UnsupportedVersion { .. }
            | Self::Manifest(_)
            | Self::Gzip(_)
            | Self::Row(_)
            | Self::EntryType { .. }
            | Self::FewerThanDeclared { .. }
            | Self::ForeignSource { .. }
            | Self::NotOfSource { .. }
            | Self::SameTarget { .. }
            | Self::CannotReplace { .. }
            | Self::DanglingLink { .. }
            | Self::ForeignLink { .. }
            | Self::Locked { .. }
            | Self::TooManyLines { .. }
            | Self::PartiallyCommitted { .. }
            | Self::ReportLost { .. }
            | Self::DirectorySyncFailed { .. } => return None,
        })
    }
}

impl ErrorKind {
    /// Returns advice on what to do next.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Io { source, .. } => return io_hint(source).to_owned(),
            Self::NoHome => "set HOME, or pass --patchwork-dir and --activity-dir",
            Self::TargetExists => "choose another file with -o, or add --force to replace this one",
            Self::MissingDirectory { .. } => "check the spelling, or omit it to use the default directory",
            Self::NoLogs { .. } => {
                "check --patchwork-dir and --activity-dir, or add --allow-empty to write the bundle anyway"
            }
            Self::NoTargetDirectory { is_default: true } => "choose a file in another directory with -o",
            Self::NoTargetDirectory { is_default: false } => {
                "check the spelling, or add --create-dirs to create the directory"
            }
            Self::TargetIsDirectory => "name a file inside it with -o",
            Self::TargetIsLog => "choose another file with -o",
            Self::CannotReplace { obstacle: Obstacle::MountPoint } => {
                "mount the directory instead of the single file, or use --source to import other sources only"
            }
            Self::CannotReplace { .. } => {
                "remove the attribute with `chattr -i -a`, or use --source to import other sources only"
            }
            Self::CannotPreserveOwner => "run the import as the owner of the log, or as root",
            Self::TargetIsTerminal => "redirect it to a file or a program, as in `-o - > traces.jsonl.gz`",
            Self::NotAFile => "move it elsewhere, or put the log back",
            Self::LogName(_) => "rename the log, or omit --include-other",
            Self::LogShrank { .. } => {
                "another program rewrote it; run the command again, preferably while Patchwork is idle"
            }
            Self::LogsKeepChanging => "run the command again while Patchwork is idle",
            Self::LineTooLong { .. } => "look at this line: no known program writes rows of that length",
            Self::TooManyUnparsed { .. } => "move the part of the log that is not JSON Lines elsewhere",
            Self::TooManyLogs { .. } => TOO_MANY_LOGS,
            Self::OtherSource { .. } => "add --include-other to bundle it",
            Self::UnknownSource { .. } | Self::UnknownFile { .. } => "check the spelling",
            Self::EmptyInput | Self::InputIsDirectory | Self::NotABundle | Self::GzipOfSomethingElse => {
                "pass a file that `patchwork-traces export` wrote"
            }
            Self::RowBeforeManifest | Self::NotAManifest => {
                "check that this is the right file, or use another copy of the bundle"
            }
            Self::NothingToRecover => "check that this is the right file; another copy of the bundle may have more",
            Self::OutputNotIntact => "it was not kept; check the disk, and write to another one",
            Self::ManifestTooLong { .. } => "no exporter writes such a manifest; use another copy of the bundle",
            Self::UnsupportedVersion { .. } => "update patchwork-traces: a newer version probably wrote this bundle",
            Self::ForeignSource { .. } => {
                "update patchwork-traces, which may know it by now, or use --source to import other sources only"
            }
            Self::NotOfSource { .. } => {
                "no exporter writes this; use another copy of the bundle, or use --source to import other sources only"
            }
            Self::SameTarget { .. } => "look for a link between the two, and move one of them elsewhere",
            Self::DanglingLink { .. } => "restore the target, or remove the symlink",
            Self::ForeignLink { .. } => FOREIGN_LINK,
            Self::ProcNotMounted => "mount /proc, or run the import as the owner of the directory (`sudo -u NAME`)",
            Self::Locked { .. } => "try again when Patchwork is idle; if it is not running, remove the lock",
            Self::EntryType { .. } => {
                "print the row with `patchwork-traces cat`, and adapt the type: a log can hold any JSON"
            }
            Self::LockLost => "run the command again",
            Self::LogKeepsChanging => "run the command again, preferably while Patchwork is idle",
            Self::Cancelled => "nothing was changed; run the command again",
            Self::TooManyLines { .. } => "import with --mode append, or move the log elsewhere",
            Self::PartiallyCommitted { is_repeatable, cause, .. } => {
                return partially_committed_hint(cause, *is_repeatable);
            }
            Self::ReportLost { .. } => "you need not run the command again",
            Self::NotByteForByte => "omit --exact to print its rows",
            Self::DirectorySyncFailed { .. } => "check the disk, and make another copy of the file",
            Self::Manifest(_)
            | Self::Gzip(_)
            | Self::Row(_)
            | Self::ChunkMismatch
            | Self::MoreThanDeclared
            | Self::FewerThanDeclared { .. }
            | Self::ContentEnds
            | Self::LineFeedMissing
            | Self::RestoredDiffers => {
                "the bundle is damaged or was changed: run `patchwork-traces verify` to list every problem, \
                 `patchwork-traces recover` to save the intact rows"
            }
        }
        .to_owned()
    }
}

const FOREIGN_LINK: &str = "run the import as the owner of the directory (`sudo -u NAME`), or pass the real directory with \
     --patchwork-dir or --activity-dir";

const TOO_MANY_LOGS: &str = "move old logs elsewhere before you export; no exporter writes a bundle with more";

/// Returns the hint for an import that committed some logs and then stopped because of `cause`.
fn partially_committed_hint(cause: &Error, is_repeatable: bool) -> String {
    let first = match cause.kind() {
        ErrorKind::Cancelled => None,
        ErrorKind::LogKeepsChanging => Some("stop Patchwork, or wait until it is idle".to_owned()),
        _ => Some(cause.hint()).filter(|hint| !hint.starts_with("run the command again")),
    };
    let first = first.map(|first| format!("{first}; then "));
    let next = match is_repeatable {
        true => "run the command again to finish",
        false => "import the bundle again with `--mode merge` to finish: appending again would duplicate lines",
    };
    format!("{}{next}", first.unwrap_or_default())
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

/// Lists the names that exist, for an error about an unknown one.
fn available(known: &[String]) -> String {
    match known {
        [] => "available: none".to_owned(),
        known => format!("available: {}", known.join(", ")),
    }
}

/// Returns the message for directories without logs, or without logs of the requested `sources`.
fn no_logs(sources: &[String], places: &[PathBuf]) -> String {
    let places = places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" and ");
    match sources {
        [] => format!("no logs found in {places}"),
        [source] => format!("no log of the source {source:?} found in {places}"),
        sources => format!("no logs of the sources {} found in {places}", sources.join(" and ")),
    }
}

/// Returns the system's reason without the error number.
pub(super) fn system_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::StorageFull => "no space left on the disk".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only".to_owned(),
        io::ErrorKind::BrokenPipe => "the program that reads from it has ended".to_owned(),
        _ => {
            let text = of_system(error).to_string();
            within_sentence(text.split(" (os error").next().unwrap_or_default())
        }
    }
}

/// Returns another program's message with a lower-case first letter, unless its first word is one like `RPC`.
/// The rest may contain a path and is unchanged.
fn within_sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().filter(char::is_ascii_uppercase);
    let is_ordinary = chars.clone().next().is_some_and(|second| second.is_ascii_lowercase() || second == ' ');
    match first {
        Some(first) if is_ordinary => format!("{}{}", first.to_ascii_lowercase(), chars.as_str()),
        _ => words.to_owned(),
    }
}

/// Returns the system's error without the path that `fs_err` adds, as the error's position already has it.
fn of_system(error: &io::Error) -> &io::Error {
    let inner = error.get_ref().and_then(|outer| outer.source());
    inner.and_then(|inner| inner.downcast_ref()).unwrap_or(error)
}

/// Returns true if this process, or the system, has too many open files.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    // EMFILE and ENFILE, which have these numbers on every Unix.
    cfg!(unix) && matches!(of_system(error).raw_os_error(), Some(23 | 24))
}

fn io_hint(error: &io::Error) -> &'static str {
    if is_out_of_descriptors(error) {
        return "raise the limit with `ulimit -n`, as in `ulimit -n 1024`, and try again";
    }
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "check its owner and permissions",
        io::ErrorKind::StorageFull => "free some space, or use another disk",
        io::ErrorKind::ReadOnlyFilesystem => "use another disk",
        io::ErrorKind::BrokenPipe => "start that program again, then this command",
        _ => "check the disk and the path, and try again",
    }
}
