//! The limits of FORMAT.md, "Limits". Every number that is read is held against one of these before anything is
//! allocated from it.

/// The longest manifest line, in bytes without its line feed.
pub const MAX_MANIFEST_BYTES: u64 = 128 << 20;

/// The most logs in a bundle: more than there are ports, each of which can have an activity log.
pub const MAX_FILES: usize = 100_000;

/// The longest line of a log, in bytes without its line feed.
pub const MAX_LOG_LINE_BYTES: u64 = 256 << 20;

/// The longest row envelope, in bytes without its line feed: what the longest string of a JavaScript engine holds.
pub const MAX_ENVELOPE_BYTES: u64 = 512 << 20;

/// How much of a log goes into one chunk: whole lines of no more bytes than this, or one that is longer.
pub const CHUNK_BYTES: u64 = 1 << 20;

/// The size of envelope lines at which a chunk is closed in any case. A chunk is longer only by what its last line
/// overshoots.
pub const FULL_CHUNK_BYTES: u64 = 4 << 20;

/// The largest chunk, in bytes of envelope lines.
pub const MAX_CHUNK_BYTES: u64 = FULL_CHUNK_BYTES + MAX_ENVELOPE_BYTES + 1;

/// The largest count or size: the largest whole number that every JSON tool keeps exact, 2^53 - 1.
pub const MAX_COUNT: u64 = (1 << 53) - 1;

/// The deepest nesting of arrays and objects in a row. A deeper line counts as unparsed.
pub const MAX_DEPTH: usize = 128;

/// The longest name of a file or source, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The most bins in a file's timeline.
pub const MAX_TIMELINE_BINS: usize = 64;

/// How much longer a row of a 1.0 bundle can be than the log's line, at most: JavaScript writes `1e20` with 21 digits.
pub const MAX_REWRITTEN_RATIO: u64 = 6;

/// How much of a row's line of a 1.0 bundle can be something else than its entry, in bytes: names, keys that are not
/// known, white space.
pub const MAX_AROUND_BYTES: u64 = 1 << 20;

/// How much a log can have grown, in bytes, between its entry in the manifest of a 1.0 bundle and its being read.
pub const MAX_GROWN_BYTES: u64 = 64 << 20;
