//! The kinds of error, as data.

use std::fmt;
use std::io;
use std::path::PathBuf;

use strum::{EnumMessage, IntoStaticStr, VariantNames};

use super::{
    Encryption, Error, GzipFault, HistoryFault, KeyText, ManifestFault, NameFault, RedactionFault, RowFault,
    SignatureFault,
};

/// The I/O operation that failed. Its `Display` is a verb, such as `open` or `write to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoAction {
    /// Opening a file.
    Open,
    /// Listing a directory.
    List,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Creating a file or directory.
    Create,
    /// Compressing.
    Compress,
    /// Renaming a finished temporary file to its final name.
    Rename,
    /// Locking a log.
    Lock,
    /// Backing up a log.
    BackUp,
    /// Removing.
    Remove,
    /// Making a hard link to a log.
    Link,
}

impl fmt::Display for IoAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write to",
            Self::Create => "create",
            Self::Compress => "compress",
            Self::Rename => "rename a temporary file to",
            Self::Lock => "lock",
            Self::BackUp => "back up",
            Self::Remove => "remove",
            Self::Link => "link",
        })
    }
}

/// The reason why a file cannot be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// The file or its directory has the attribute "immutable".
    Immutable,
    /// The file or its directory has the attribute "append only".
    AppendOnly,
    /// The file is a mount point, such as a single file of the host in a container.
    MountPoint,
}

/// The cause of an [`Error`], as data.
#[derive(Debug, EnumMessage, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "camelCase")]
#[non_exhaustive]
pub enum ErrorKind {
    /// An operating system call failed.
    Io {
        /// The operation that failed.
        action: IoAction,
        /// The error that the system returned.
        source: io::Error,
    },
    /// The home directory is unknown, and the directory of the logs was not given.
    #[strum(message = "cannot locate the logs: the home directory is unknown")]
    NoHome,
    /// A directory from an argument or environment variable does not exist.
    MissingDirectory {
        /// The environment variable that names it, or `None` for an argument.
        variable: Option<&'static str>,
    },
    /// No logs to bundle were found.
    NoLogs {
        /// The requested sources, none of which has a log. Empty if all sources were requested.
        sources: Vec<String>,
        /// The directories that were searched.
        places: Vec<PathBuf>,
    },
    /// The output file already exists.
    #[strum(message = "this file already exists")]
    TargetExists,
    /// The directory of the output file does not exist.
    #[strum(message = "cannot write the bundle here: no such directory")]
    NoTargetDirectory {
        /// True if this is the default directory, because no output file was named.
        is_default: bool,
    },
    /// The output file is a directory.
    #[strum(message = "this is a directory, not a file")]
    TargetIsDirectory,
    /// The output file is a log, or its name is reserved for logs, their locks, backups and temporary files.
    #[strum(
        message = "cannot write a bundle here: this is a log, or a name reserved for a log, its lock, backup or temporary file"
    )]
    TargetIsLog,
    /// The output is a terminal.
    #[strum(message = "cannot write compressed data to a terminal")]
    TargetIsTerminal,
    /// The system does not allow the log to be replaced.
    CannotReplace {
        /// The reason.
        obstacle: Obstacle,
    },
    /// A log belongs to another user or group, who could not write to its new version.
    #[strum(
        message = "cannot replace this log: it belongs to another user or group, who could not write to the new file"
    )]
    CannotPreserveOwner,
    /// A log is not a regular file but, for example, a directory or a device.
    #[strum(message = "this should be a log, but is not a regular file")]
    NotAFile,
    /// A log's file name is not allowed in a bundle.
    LogName(NameFault),
    /// A log shrank while it was being read.
    LogShrank {
        /// Its length when it was opened, in bytes.
        opened: u64,
        /// The number of bytes that could be read.
        read: u64,
    },
    /// The logs of a source were locked or changed during every attempt to read them, for thirty seconds.
    #[strum(message = "its writers kept it locked or kept changing it for 30 seconds")]
    LogsKeepChanging,
    /// A line is longer than the format allows.
    LineTooLong {
        /// The maximum length in bytes.
        limit: u64,
    },
    /// A log has more unparsed lines than a manifest can hold.
    TooManyUnparsed {
        /// The maximum length of a manifest in bytes.
        limit: u64,
    },
    /// There are more logs than a bundle may have.
    TooManyLogs {
        /// The maximum number of logs.
        limit: usize,
    },
    /// No source has the requested name.
    UnknownSource {
        /// The requested name.
        name: String,
        /// The names of the available sources.
        known: Vec<String>,
    },
    /// The requested source is outside of the catalogue, and other logs were not requested.
    OtherSource {
        /// The requested name.
        name: String,
    },
    /// No file of the bundle has the requested name.
    UnknownFile {
        /// The requested name.
        name: String,
        /// The names of the available files.
        known: Vec<String>,
    },
    /// No row matches a filter, so there is nothing to write.
    #[strum(message = "no rows match")]
    NoRowsMatch,
    /// The last row for each value of a path was requested, but the path can have several values in one row.
    KeyOfSeveralValues {
        /// The path.
        path: String,
    },
    /// A filtered bundle would replace logs, although it has only some of their rows.
    #[strum(message = "cannot replace logs with a filtered bundle: it has only some of their rows")]
    OnlySomeRows,
    /// The input is empty.
    #[strum(message = "the input is empty")]
    EmptyInput,
    /// The input is a directory.
    #[strum(message = "this is a directory, not a file")]
    InputIsDirectory,
    /// The input is neither gzip nor JSON Lines.
    #[strum(message = "not a trace bundle (neither gzip nor JSON Lines)")]
    NotABundle,
    /// The input is encrypted, and no key or passphrase for it was given.
    Encrypted(Encryption),
    /// An encrypted file or a gzip file contains an encrypted file instead of a bundle.
    NestedEncryption {
        /// True if the encrypted file is directly inside gzip.
        in_gzip: bool,
    },
    /// The input is encrypted to other keys.
    #[strum(message = "it is encrypted with age, but not to any of the given keys")]
    NoMatchingKey,
    /// Deriving the key from the passphrase would take too long.
    DecryptionTooCostly {
        /// The binary logarithm of the work factor of the file.
        required: u64,
        /// The binary logarithm of the maximum work factor.
        limit: u64,
    },
    /// Encrypted data was changed or cut off.
    #[strum(message = "the encrypted data was changed or cut off")]
    CiphertextDamaged,
    /// An identity file contains something else.
    InvalidIdentity {
        /// The line, counted from 1; 0 for the whole file.
        line: u64,
        /// The kind of text that was found instead.
        found: KeyText,
    },
    /// A text is not an age recipient.
    InvalidRecipient {
        /// The line of a recipients file, counted from 1.
        line: Option<u64>,
        /// The kind of text that was found instead.
        found: KeyText,
    },
    /// A plugin for an age key is not installed.
    AgePluginMissing {
        /// The name of the program.
        program: String,
    },
    /// A plugin for an age key failed.
    AgePluginFailed {
        /// The name of the program.
        program: String,
        /// Its message.
        message: String,
    },
    /// The recipients cannot be combined in one file.
    #[strum(message = "these recipients cannot be used together")]
    RecipientsDiffer,
    /// A passphrase is empty, too long or not UTF-8.
    #[strum(message = "invalid passphrase: the first line must be UTF-8 text and not empty")]
    InvalidPassphrase,
    /// The input is gzip, but its content is not a bundle.
    #[strum(message = "not a trace bundle (a gzip file with other content)")]
    GzipOfSomethingElse,
    /// The first line is a row.
    #[strum(message = "the manifest is missing: the first line is a row")]
    RowBeforeManifest,
    /// The first line is JSON, but not a manifest.
    #[strum(message = "not a trace bundle (the first line is JSON, but not a manifest)")]
    NotAManifest,
    /// An encrypted file could not be decrypted. Decryption cannot tell a wrong passphrase or key from a changed file.
    #[strum(message = "cannot decrypt it: wrong passphrase or key, or the file was changed")]
    DecryptionFailed,
    /// An export that Patchwork encrypted (`.enc`) ends within its header.
    PwtraceTruncated {
        /// The length of the file in bytes.
        found: u64,
        /// The length of the header in bytes.
        header: u64,
    },
    /// An export that Patchwork encrypted (`.enc`) has a version that this library cannot read.
    PwtraceVersion {
        /// The version in the header.
        found: u8,
        /// The version that this library reads.
        supported: u8,
    },
    /// An export that Patchwork encrypted (`.enc`) is longer than AES-GCM allows.
    PwtraceTooLong {
        /// The maximum length in bytes.
        limit: u64,
    },
    /// The manifest is longer than the format allows.
    ManifestTooLong {
        /// The maximum length in bytes.
        limit: u64,
    },
    /// The bundle has a format version that this library cannot read.
    UnsupportedVersion {
        /// The version in the manifest, shortened.
        found: String,
        /// The version that this library reads.
        supported: u64,
    },
    /// The manifest is malformed.
    Manifest(ManifestFault),
    /// The gzip container is damaged.
    Gzip(GzipFault),
    /// A line is not a valid row.
    Row(RowFault),
    /// A directory is not a valid history.
    History(HistoryFault),
    /// Something cannot be signed, or a list of allowed signers cannot be used.
    Signature(SignatureFault),
    /// Texts cannot be searched for secrets, or a bundle cannot be redacted.
    Redaction(RedactionFault),
    /// A row does not deserialize into the type that the caller requested.
    EntryType {
        /// The mismatch and its position in the row.
        source: serde_json::Error,
    },
    /// A chunk's content does not match its `crc32`, `bytes` or `rows`.
    #[strum(message = "chunk mismatch: the content does not match the chunk's entry in the manifest")]
    ChunkMismatch,
    /// The bundle has more content than its manifest declares.
    #[strum(message = "the bundle has more content than its manifest declares")]
    MoreThanDeclared,
    /// The bundle has fewer rows than its manifest declares.
    FewerThanDeclared {
        /// The number of rows that the manifest declares here.
        expected: u64,
        /// The number of rows found.
        found: u64,
    },
    /// The content ends before the end of a chunk that the manifest declares.
    #[strum(message = "the bundle ends before the end of its declared content")]
    ContentEnds,
    /// A chunk's last line has no line feed.
    #[strum(message = "the last line of this chunk has no line feed")]
    LineFeedMissing,
    /// A restored log does not match its manifest entry.
    #[strum(message = "the restored log does not match the length and SHA-256 in the manifest")]
    RestoredDiffers,
    /// A log was requested byte for byte, but the bundle is of format 1.0 and has only its rows.
    #[strum(message = "cannot restore this log byte for byte: a format 1.0 bundle has only its rows")]
    NotByteForByte,
    /// A bundle has a log whose source is neither in the catalogue nor the one derived from its file name.
    ForeignSource {
        /// The source.
        source: String,
    },
    /// A bundle has a log whose name or directory does not belong to its source.
    NotOfSource {
        /// The source.
        source: String,
        /// The base directory in the bundle.
        base: String,
    },
    /// Two logs of a bundle resolve to the same file.
    SameTarget {
        /// The other log's `relativePath`.
        other: String,
    },
    /// Two inputs have a log with this name, but with different sources or directories.
    InputsDisagree {
        /// The name of the log.
        file: String,
        /// Its source and directory in one input, such as `runs in patchwork`.
        one: String,
        /// Its source and directory in another input.
        other: String,
    },
    /// A segment of a history would replace logs, although it has only some of their rows.
    #[strum(message = "cannot replace logs with a segment of a history: it has only the rows that were new")]
    OnlyASegment,
    /// The path of a log is a symlink whose target does not exist.
    DanglingLink {
        /// The target of the symlink.
        to: PathBuf,
    },
    /// A symlink in the path of a log belongs to another user and leads out of its directory.
    ForeignLink {
        /// The target of the symlink.
        to: PathBuf,
    },
    /// `/proc` is not mounted, but an import into a directory that another user can change needs it.
    #[strum(message = "cannot import safely: another user can change this directory, and /proc is not mounted")]
    ProcNotMounted,
    /// Another process holds the lock of a log.
    Locked {
        /// The time waited, in seconds.
        seconds: u64,
    },
    /// Another process took the lock of a log that this one held.
    #[strum(message = "lost this lock to another program")]
    LockLost,
    /// A log changed during every attempt to replace it.
    #[strum(message = "this log changed during every attempt to replace it")]
    LogKeepsChanging,
    /// Two logs have more lines between them than can be merged.
    TooManyLines {
        /// The maximum number of lines.
        limit: u64,
    },
    /// Some logs were committed before one could not be.
    PartiallyCommitted {
        /// The paths of the committed logs.
        placed: Vec<PathBuf>,
        /// The number of logs to commit.
        all: usize,
        /// True if running the same import again finishes the work. Appending again would duplicate lines.
        is_repeatable: bool,
        /// The reason why the next log was not committed.
        cause: Error,
    },
    /// The work was done, but its report could not be written.
    ReportLost {
        /// The error that the system returned.
        source: io::Error,
    },
    /// A file was written and renamed, but its directory could not be synced.
    DirectorySyncFailed {
        /// The error that the system returned.
        cause: Error,
    },
    /// A segment was added to a history, but the checkpoint could not be replaced.
    CheckpointNotWritten {
        /// The number of the segment.
        segment: u64,
        /// The reason.
        cause: Error,
    },
    /// Some bundles were added to a history before one could not be.
    PartiallyKept {
        /// The number of bundles that were added.
        added: usize,
        /// The number of bundles to add.
        all: usize,
        /// The reason why the next bundle was not added.
        cause: Error,
    },
    /// A bundle or a segment was written, but could not be signed.
    NotSigned {
        /// The reason.
        cause: Error,
    },
    /// A damaged bundle has neither a recoverable row nor a recoverable manifest.
    #[strum(message = "found neither rows nor a manifest")]
    NothingToRecover,
    /// A bundle that was just written is not intact when read back.
    #[strum(message = "the new bundle failed verification when it was read back")]
    OutputNotIntact,
    /// The operation was cancelled.
    #[strum(message = "cancelled")]
    Cancelled,
}

impl ErrorKind {
    /// Returns true if other keys, or another passphrase, may open the file.
    pub(crate) fn may_need_other_keys(&self) -> bool {
        let is_refused =
            matches!(self, Self::NoMatchingKey | Self::DecryptionTooCostly { .. } | Self::DecryptionFailed);
        is_refused || matches!(self, Self::Encrypted(_))
    }

    /// Returns a stable code for programs: the name of the kind in camel case, or a more precise name for three kinds
    /// of system error. The code stays the same when the message changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => NOT_FOUND,
                io::ErrorKind::PermissionDenied => PERMISSION_DENIED,
                io::ErrorKind::StorageFull => DISK_FULL,
                _ => self.into(),
            },
            other => other.into(),
        }
    }

    /// Returns every value that [`code`](Self::code) can return, sorted.
    #[must_use]
    pub fn codes() -> Vec<&'static str> {
        let mut codes = [Self::VARIANTS, &[NOT_FOUND, PERMISSION_DENIED, DISK_FULL]].concat();
        codes.sort_unstable();
        codes
    }
}

const NOT_FOUND: &str = "notFound";
const PERMISSION_DENIED: &str = "permissionDenied";
const DISK_FULL: &str = "diskFull";
