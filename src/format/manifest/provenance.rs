//! The keys of format 1.2: the machine's label, the bundles that a bundle was made from, and its position in a history
//! (FORMAT.md, "Minor version 2").

use std::borrow::Cow;
use std::fmt;

use data_encoding::HEXLOWER;
#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::redaction::Redaction;
use crate::digest::{BundleDigest, Sha256Digest};
use crate::format::bounded::{at_most, count, present, present_object, word};
use crate::format::limits::{MAX_COUNT, MAX_FILES, MAX_MISSING_IDS, MAX_NAME_BYTES};
use crate::format::timestamp::Timestamp;

/// The keys of format 1.2 that record the provenance of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The user's name for the machine.
    pub label: Option<Label>,
    /// The bundles that the bundle was made from.
    pub derived_from: Option<DerivedFrom>,
    /// The conditions on the rows of the bundle, if it lacks some rows of its logs.
    pub filter: Option<FilterRecord>,
    /// The record of the redaction.
    pub redaction: Option<Redaction>,
    /// The position of the bundle in a history.
    pub history: Option<HistoryPosition>,
}

/// The conditions on the rows of a filtered bundle, as worded by the program that wrote it. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(transparent)]
pub struct FilterRecord(#[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_FILES)))] Vec<String>);

impl FilterRecord {
    /// The separator between the conditions of one selection and those of the next, which applies to the remaining
    /// rows.
    pub const THEN: &str = "then";

    /// Records conditions. Returns `None` if there are none. A final `…` replaces the conditions that exceed the limit
    /// of a manifest.
    #[must_use]
    pub fn new(conditions: Vec<String>) -> Option<Self> {
        let mut recorded = conditions;
        if recorded.len() > MAX_FILES {
            recorded.truncate(MAX_FILES - 1);
            recorded.push("…".to_owned());
        }
        (!recorded.is_empty()).then_some(Self(recorded))
    }

    /// Returns the conditions, such as `--where status=error`.
    #[must_use]
    pub fn conditions(&self) -> &[String] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for FilterRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(at_most(deserializer, MAX_FILES)?).ok_or_else(|| D::Error::custom("no conditions"))
    }
}

/// The user's name for the machine: 1 to 255 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Label(String);

impl Label {
    /// Validates a label. Returns `None` if it is empty, longer than 255 bytes, or contains a control character.
    #[must_use]
    pub fn new(label: impl Into<String>) -> Option<Self> {
        let label = label.into();
        let is_valid = (1..=MAX_NAME_BYTES).contains(&label.len()) && !label.chars().any(char::is_control);
        is_valid.then_some(Self(label))
    }

    /// Returns the label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not a label"))
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for Label {
    fn schema_name() -> Cow<'static, str> {
        "Label".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[^\u0000-\u001F\u007F-\u009F]{1,255}$" })
    }
}

/// The bundles that a bundle was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct DerivedFrom {
    /// The operation that made it.
    #[serde(deserialize_with = "word")]
    pub how: Derivation,
    /// The digests of the bundles that it was made from, in reading order. There is at least one.
    #[serde(deserialize_with = "bundles")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_FILES)))]
    pub bundles: Vec<BundleDigest>,
}

/// An operation that makes a bundle from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Derivation {
    /// A merge of several bundles. Rows that they share are kept once.
    Merged,
    /// Selected rows of a bundle.
    Filtered,
    /// The rows of a bundle, with parts replaced.
    Redacted,
}

fn bundles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<BundleDigest>, D::Error> {
    let bundles: Vec<BundleDigest> = at_most(deserializer, MAX_FILES)?;
    match bundles.is_empty() {
        true => Err(D::Error::custom("no bundles")),
        false => Ok(bundles),
    }
}

/// The position of a bundle in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct HistoryPosition {
    /// The identity of the history, the same in all of its segments.
    pub id: HistoryId,
    /// The number of this segment, from 0.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub segment: u64,
    /// The digest of the previous segment. Absent in segment 0.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "BundleDigest"))]
    pub previous: Option<BundleDigest>,
}

/// The identity of a history: 128 random bits, displayed as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HistoryId([u8; 16]);

impl HistoryId {
    /// Parses 32 lower-case hexadecimal digits. Returns `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

impl From<[u8; 16]> for HistoryId {
    fn from(bits: [u8; 16]) -> Self {
        Self(bits)
    }
}

impl fmt::Display for HistoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl Serialize for HistoryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HistoryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not 32 lower-case hexadecimal digits"))
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for HistoryId {
    fn schema_name() -> Cow<'static, str> {
        "HistoryId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{32}$" })
    }
}

/// The relation between the rows of a file and the rows of the same log in earlier segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Follows {
    /// The state of the log.
    #[serde(deserialize_with = "word")]
    pub state: FollowsState,
    /// The number of rows of this log that earlier segments hold.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub rows_before: u64,
    /// The number of rows in the log that earlier segments hold.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub overlap: u64,
    /// The number of rows that rotation has removed since the previous segment.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub trimmed: u64,
    /// The whole log as it was read. Absent if the log is.
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "WholeLog"))]
    pub log: Option<WholeLog>,
    /// The gap, if the state is [`Gap`](FollowsState::Gap).
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "HistoryGap"))]
    pub gap: Option<HistoryGap>,
}

/// The state of a log in a segment of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FollowsState {
    /// The history did not know this log.
    First,
    /// The log still has the last rows of the history, so no rows are missing between the two.
    Continues,
    /// There are no new rows.
    Unchanged,
    /// The log no longer has the last row of the history, so rows may be missing.
    Gap,
    /// Rows that the history has, within the range that the log still covers, were changed or removed.
    Altered,
    /// The log existed before and no longer does.
    Absent,
}

/// A log as it was read for a segment, known rows included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct WholeLog {
    /// The length in bytes.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub bytes: u64,
    /// The number of rows.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub rows: u64,
    /// The digest of the bytes.
    pub sha256: Sha256Digest,
}

/// A gap between the rows of a history and those of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HistoryGap {
    /// The number of the last known row among the history's rows of this log.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub after_row: u64,
    /// The timestamp of that row, if it has one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Timestamp"))]
    pub after_time: Option<Timestamp>,
    /// The timestamp of the first new row, if it has one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Timestamp"))]
    pub before_time: Option<Timestamp>,
    /// The first and last `id` of each run of activity rows that are missing, in order.
    #[serde(default, deserialize_with = "missing_ids", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_MISSING_IDS)))]
    pub missing_ids: Vec<(u64, u64)>,
}

fn missing_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u64, u64)>, D::Error> {
    let ids: Vec<(u64, u64)> = at_most(deserializer, MAX_MISSING_IDS)?;
    let is_sorted = ids.windows(2).all(|pair| pair[0].1 < pair[1].0);
    match is_sorted && ids.iter().all(|&(first, last)| first <= last && last <= MAX_COUNT) {
        true => Ok(ids),
        false => Err(D::Error::custom("not pairs of numbers in order")),
    }
}
