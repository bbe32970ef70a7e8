//! Finds secrets and personal data in texts.
//!
//! Each rule has marks: short texts such as `ghp_` or `://`, without which it finds nothing. One pass over a text finds
//! all marks; each rule then checks the surroundings of its marks. A row without any mark needs only one pass over its
//! decoded text.

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
