//! The faults of scans and redactions.

use std::fmt;

use crate::digest::Sha256Digest;

/// The reason why texts cannot be searched for secrets, or a bundle cannot be redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedactionFault {
    /// No rule and no kind of rules has this name.
    UnknownRule {
        /// The name.
        name: String,
        /// The known names.
        known: Vec<String>,
    },
    /// A rule file, or a rule in it, is malformed or needs something that is not supported.
    RuleNotUnderstood {
        /// The rule or allowlist; `None` for the file.
        place: Option<String>,
        /// The reason.
        reason: String,
    },
    /// The logs contain too many user names.
    TooManyUsers {
        /// The maximum number.
        limit: usize,
    },
    /// Too many different values would have to be replaced.
    TooManyValues {
        /// The maximum number.
        limit: usize,
    },
    /// Other users can read or change a key file.
    KeyFileExposed,
    /// A key file has only zero bytes.
    KeyFileZero,
    /// A key file is too short or too long.
    KeyFileLength {
        /// Its length in bytes, capped at one more than the limit.
        bytes: u64,
    },
    /// Two different values would get the same name.
    NamesCollide,
    /// A rule still finds something in the redacted bundle.
    StillFound {
        /// The rule.
        rule: String,
    },
    /// A rule finds something in an option that the manifest would show.
    FoundInOption {
        /// The option.
        option: &'static str,
        /// The rule.
        rule: String,
    },
    /// No row has a member that was selected to be removed or kept.
    NoSuchMember {
        /// Its path.
        path: String,
    },
    /// All rules are excluded.
    NoRules,
    /// A row would become an unparsed line, or an unparsed line would become a row.
    LineChanged,
    /// The path of a member to remove is that of the row itself.
    WholeRow,
    /// A manifest records a malformed path.
    InvalidPath {
        /// The path.
        path: String,
    },
    /// A bundle was not made by a redaction.
    NotRedacted,
    /// A redaction used another version of the rules.
    OtherRules {
        /// The program that redacted.
        generator: String,
        /// The version of its rules.
        found: u64,
        /// The version of the rules of this library.
        known: u64,
    },
    /// A redaction used a rule file, but none was given.
    RulesNeeded {
        /// The SHA-256 of the file.
        used: Sha256Digest,
    },
    /// A redaction used another rule file.
    OtherRuleFile {
        /// The SHA-256 of the file that was used.
        used: Sha256Digest,
        /// The SHA-256 of the file that was given.
        given: Sha256Digest,
    },
    /// A redaction used no rule file, but one was given.
    NoRulesUsed,
    /// A redaction used a key, but none was given.
    KeyNeeded,
    /// A redaction used another key.
    OtherKey,
    /// A redaction used no key, but one was given.
    NoKeyUsed,
    /// A redacted bundle would be merged with logs that this machine has.
    OverLogs,
    /// A redacted bundle would become part of a history.
    IntoHistory,
    /// A redacted bundle would be merged with bundles that are not redacted.
    AmongOthers,
    /// A redacted bundle would be merged with one that was redacted separately. One name could then stand for two
    /// values.
    RedactedApart {
        /// The name of the other one.
        other: String,
    },
}

impl fmt::Display for RedactionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownRule { name, .. } => write!(f, "no rule or kind named {name:?}"),
            Self::RuleNotUnderstood { place: Some(place), reason } => write!(f, "{place}: {reason}"),
            Self::RuleNotUnderstood { place: None, reason } => f.write_str(reason),
            Self::TooManyUsers { limit } => {
                write!(f, "the paths of home directories name more than {limit} users")
            }
            Self::TooManyValues { limit } => write!(f, "more than {limit} different values would be replaced"),
            Self::KeyFileExposed => f.write_str("other users can read or change this key file"),
            Self::KeyFileZero => f.write_str("this key file has only zeros"),
            Self::KeyFileLength { bytes } => {
                write!(f, "a key file has 32 to 65,536 bytes, and this one has {}", Bytes(*bytes))
            }
            Self::NamesCollide => f.write_str("two different values would get the same name under this key"),
            Self::StillFound { rule } => write!(f, "after the redaction, the rule {rule} still finds something"),
            Self::FoundInOption { option, rule } => {
                write!(f, "the rule {rule} finds something in {option}, and the manifest would show it")
            }
            Self::NoSuchMember { path } => write!(f, "no row has the member {path}"),
            Self::NoRules => f.write_str("no rules are left to search with"),
            Self::LineChanged => f.write_str("the redaction would turn a row into an unparsed line, or the reverse"),
            other => other.fmt_check(f),
        }
    }
}

impl RedactionFault {
    /// Writes the message of the faults that concern redacted bundles.
    fn fmt_check(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidPath { path } => write!(f, "the manifest records an invalid path, {path:?}"),
            Self::NotRedacted => f.write_str("this bundle was not made by `redact`, so it has no original"),
            Self::OtherRules { generator, found, known } => {
                write!(
                    f,
                    "{generator} made this bundle with version {found} of the rules; this program has version {known}"
                )
            }
            Self::RulesNeeded { used } => {
                write!(f, "this bundle was made with a rule file, which has the SHA-256 {used}")
            }
            Self::OtherRuleFile { used, given } => {
                write!(f, "this bundle was made with another rule file (its SHA-256 is {used}, not {given})")
            }
            Self::NoRulesUsed => f.write_str("this bundle was made without a rule file"),
            Self::KeyNeeded => f.write_str("the names in this bundle were made with a key"),
            Self::OtherKey => f.write_str("the names in this bundle were made with another key"),
            Self::NoKeyUsed => f.write_str("the names in this bundle are numbered, and were not made with a key"),
            Self::OverLogs => f.write_str(
                "this bundle is redacted: its rows would be added to this log as changed copies of \
                 existing rows",
            ),
            Self::IntoHistory => f.write_str("this bundle is redacted, but a history holds rows as they were logged"),
            Self::AmongOthers => {
                f.write_str("this bundle is redacted and others are not: it may have changed copies of their rows")
            }
            Self::RedactedApart { other } => write!(
                f,
                "this bundle and {other} were redacted separately: one name may stand for two values, and rows may be \
                 in both"
            ),
            Self::WholeRow => f.write_str("the path names the whole row, which cannot be removed"),
            _ => Ok(()),
        }
    }
}

/// A number of bytes that is capped at one more than the limit.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes > 65_536 => f.write_str("more"),
            bytes => write!(f, "{bytes}"),
        }
    }
}
