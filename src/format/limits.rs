//! The limits of the format (FORMAT.md, "Limits"). Every number that is read is checked against a limit before it
//! sizes an allocation.

/// The maximum length of the manifest line, in bytes without its line feed.
pub const MAX_MANIFEST_BYTES: u64 = 128 << 20;

/// The maximum number of logs in a bundle. It exceeds the number of ports, each of which can have an activity log.
pub const MAX_FILES: usize = 100_000;

/// The maximum length of a log line, in bytes without its line feed.
pub const MAX_LOG_LINE_BYTES: u64 = 256 << 20;

/// The maximum length of a row envelope, in bytes without its line feed. It is the length of the longest string in a
/// JavaScript engine.
pub const MAX_ENVELOPE_BYTES: u64 = 512 << 20;

/// The maximum length of the log lines in one chunk, in bytes. A chunk may exceed it only with a single line.
pub const CHUNK_BYTES: u64 = 1 << 20;

/// The length of envelope lines at which a chunk is always closed. Only the last line of a chunk may extend beyond it.
pub const FULL_CHUNK_BYTES: u64 = 4 << 20;

/// The maximum length of a chunk, in bytes of envelope lines.
pub const MAX_CHUNK_BYTES: u64 = FULL_CHUNK_BYTES + MAX_ENVELOPE_BYTES + 1;

/// The maximum count or size: 2^53 - 1, the largest whole number that every JSON tool represents exactly.
pub const MAX_COUNT: u64 = (1 << 53) - 1;

/// The maximum nesting depth of arrays and objects in a row. A deeper line counts as unparsed.
pub const MAX_DEPTH: usize = 128;

/// The maximum length of a file or source name, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The maximum number of runs of missing `id`s in a gap of a history.
pub const MAX_MISSING_IDS: usize = 64;

/// The maximum number of names or paths in each list of a redaction.
pub const MAX_REDACTION_ITEMS: usize = 1000;

/// The maximum number of bins in a file's timeline.
pub const MAX_TIMELINE_BINS: usize = 64;

/// The maximum ratio of a row's length in a 1.0 bundle to the length of its log line. JavaScript rewrites `1e20` with
/// 21 digits.
pub const MAX_REWRITTEN_RATIO: u64 = 6;

/// The maximum length of everything except the entry in a row's line of a 1.0 bundle, in bytes: names, unknown keys
/// and white space.
pub const MAX_AROUND_BYTES: u64 = 1 << 20;

/// The maximum growth of a log, in bytes, between the time when a 1.0 exporter recorded its length and the time when
/// it read the log.
pub const MAX_GROWN_BYTES: u64 = 64 << 20;
