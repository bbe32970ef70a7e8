//! Finds secrets and personal data in texts.
//!
//! Each rule has marks: short texts without which it finds nothing, such as `ghp_` or `://`. One pass over a text finds
//! all marks; the rule then looks at what is around its mark. A row without any mark is done after one pass over its text
//! without escapes.

mod address;
mod array;
mod boundary;
mod candidates;
mod connection;
mod cookies;
mod curl;
mod decoded;
mod detector;
mod hosts;
mod line;
mod marks;
mod names;
mod placeholder;
mod rule_file;
mod rules;
mod run_ends;
mod secrets;
mod strings;
mod token;
mod url;
mod value_shape;
mod written;

pub use candidates::{Find, RuleId};
pub(crate) use decoded::Decoded;
pub use detector::{DetectOptions, Detector};
pub(crate) use line::{FoundInLine, LinePlace, StringPath, in_line};
pub(crate) use names::{MAX_KNOWN_NAMES, NameCollector};
pub(crate) use placeholder::{KEYED_DIGITS, PRIVATE_KEY_REMOVED, names_in};
pub use rule_file::{RuleFile, UnusedParts};
pub use rules::{BuiltInRule, FindKind, NameStem, RULES_VERSION};
pub(crate) use strings::{JsonText, Strings};
pub use token::token_prefixes;
