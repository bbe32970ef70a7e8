//! The data of a report, in the form that the page reads (`page/report-data.ts`). `page/test/reports/` has examples
//! that this program writes and the tests of the page read.

use serde::Serialize;

use super::ReportOptions;
use crate::digest::{BundleDigest, Sha256Digest};
use crate::format::{FileName, HistoryId, Manifest, ManifestFile, SourceName, Timestamp};
#[cfg(feature = "seal")]
use crate::signature::SignatureVerdict;
use crate::verify::{HistoryReport, Severity, Verdict, VerifyReport};

/// The maximum number of findings, and of gaps, that a report lists.
pub const MAX_LISTED: usize = 200;

/// The verdict of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ReportVerdict {
    /// The bundle or history is intact.
    Intact,
    /// Every log is intact, but another program rewrote the container.
    IntactRecompressed,
    /// A 1.0 bundle with an intact container. It has no hashes that prove the content of the rows.
    IntactWithoutHashes,
    /// Something is missing or wrong.
    Damaged,
    /// The segments of a history are intact, but do not follow each other, or contradict a checkpoint.
    Inconsistent,
}

impl From<Verdict> for ReportVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Intact => Self::Intact,
            Verdict::IntactRecompressed => Self::IntactRecompressed,
            Verdict::IntactWithoutHashes => Self::IntactWithoutHashes,
            Verdict::Damaged => Self::Damaged,
        }
    }
}

/// The findings of the verification that the page shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportData {
    program: String,
    made_at: Timestamp,
    input: InputData,
    pub verdict: ReportVerdict,
    pub is_good: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<BundleDigest>,
    /// A sentence on what the verdict proves.
    statement: String,
    pub rows: u64,
    #[serde(flatten)]
    found: FoundList,
    files: Vec<FileData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<HistoryData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<SignatureData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedded: Option<EmbeddedData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_embedded: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InputData {
    name: String,
    kind: InputKind,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum InputKind {
    Bundle,
    History,
}

/// A log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileData {
    source: SourceName,
    file: FileName,
    rows: u64,
    bytes: u64,
    unparsed_lines: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Sha256Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_verified: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryData {
    id: Option<HistoryId>,
    segments: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tree_head: Option<Sha256Digest>,
    is_complete: bool,
    gaps: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SignatureData {
    is_valid: bool,
    summary: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EmbeddedData {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<BundleDigest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// The first findings, and the number of the others.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundList {
    findings: Vec<FindingData>,
    more_findings: u64,
}

#[derive(Debug, Serialize)]
struct FindingData {
    severity: Severity,
    message: String,
}

impl FoundList {
    /// Adds a finding.
    pub fn add(&mut self, severity: Severity, message: impl FnOnce() -> String) {
        match self.findings.len() < MAX_LISTED {
            true => self.findings.push(FindingData { severity, message: message() }),
            false => self.more_findings += 1,
        }
    }
}

impl ReportData {
    /// Describes a bundle.
    pub fn of_bundle(
        name: &str,
        options: &ReportOptions,
        verified: &VerifyReport,
        manifest: Option<&Manifest>,
        found: FoundList,
    ) -> Self {
        let files = verified.files.iter().enumerate().map(|(index, file)| {
            let listed = manifest.and_then(|manifest| manifest.files.get(index));
            FileData {
                source: file.source.clone(),
                file: file.name.clone(),
                rows: file.rows,
                bytes: listed.map_or(0, |listed| listed.bytes),
                unparsed_lines: listed.map_or(0, ManifestFile::unparsed_lines),
                sha256: file.restored.map(|restored| restored.sha256),
                is_verified: file.is_verified,
            }
        });
        #[cfg(feature = "seal")]
        let signature = verified.signature.as_ref();
        let data = Self {
            verdict: verified.verdict.into(),
            is_good: verified.is_good(),
            digest: verified.digest,
            rows: verified.rows,
            files: files.collect(),
            ..Self::new(name, InputKind::Bundle, options, found)
        };
        #[cfg(feature = "seal")]
        let data = data.signed(signature);
        Self { statement: data.bundle_statement(), ..data }
    }

    /// Describes a history.
    pub fn of_history(
        name: &str,
        options: &ReportOptions,
        verified: &HistoryReport,
        gaps: Vec<String>,
        found: FoundList,
    ) -> Self {
        let verdict = match verified {
            HistoryReport { is_intact: Some(false), .. } => ReportVerdict::Damaged,
            HistoryReport { is_consistent: false, .. } => ReportVerdict::Inconsistent,
            _ => ReportVerdict::Intact,
        };
        let history = HistoryData {
            id: verified.id,
            segments: verified.segments,
            tree_head: verified.checkpoint.as_ref().map(|checkpoint| checkpoint.root),
            is_complete: verified.is_complete,
            gaps,
        };
        let data = Self {
            verdict,
            is_good: verified.is_good(),
            rows: verified.rows,
            history: Some(history),
            ..Self::new(name, InputKind::History, options, found)
        };
        #[cfg(feature = "seal")]
        let data = data.signed(verified.signature.as_ref());
        Self { statement: data.history_statement(verified), ..data }
    }

    fn new(name: &str, kind: InputKind, options: &ReportOptions, found: FoundList) -> Self {
        Self {
            program: options.program.clone(),
            made_at: options.made_at,
            input: InputData { name: name.to_owned(), kind },
            verdict: ReportVerdict::Damaged,
            is_good: false,
            digest: None,
            statement: String::new(),
            rows: 0,
            found,
            files: Vec::new(),
            history: None,
            signature: None,
            embedded: None,
            not_embedded: None,
        }
    }

    #[cfg(feature = "seal")]
    fn signed(self, verdict: Option<&SignatureVerdict>) -> Self {
        let signature = verdict.map(|verdict| SignatureData {
            is_valid: verdict.is_valid(),
            summary: match verdict {
                SignatureVerdict::Valid { principal, key } => format!("valid, by {principal} ({key})"),
                other => other.to_string(),
            },
        });
        Self { signature, ..self }
    }

    /// Records which bundle is embedded.
    pub fn embed(&mut self, name: &str, digest: Option<BundleDigest>, note: Option<String>) {
        self.embedded = Some(EmbeddedData { name: name.to_owned(), digest, note });
    }

    /// Lists the logs of a bundle that was just written.
    pub fn list_logs(&mut self, manifest: &Manifest) {
        let files = manifest.files.iter().map(|file| FileData {
            source: file.source.clone(),
            file: file.relative_path.clone(),
            rows: file.count,
            bytes: file.bytes,
            unparsed_lines: file.unparsed_lines(),
            sha256: file.integrity().map(|integrity| integrity.sha256),
            is_verified: None,
        });
        self.files = files.collect();
    }

    /// Returns the data as JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// Returns a sentence that states what the verdict on a bundle proves.
    fn bundle_statement(&self) -> String {
        let rows = self.rows;
        let signed = self.signature.as_ref().is_some_and(|signature| signature.is_valid);
        match self.verdict {
            _ if !self.is_good && self.verdict != ReportVerdict::Damaged => {
                "The bundle is sound, but does not meet the requirements: see the findings.".to_owned()
            }
            ReportVerdict::Intact | ReportVerdict::IntactRecompressed if signed => format!(
                "All {rows} rows are as they were when the bundle was written, and the signer vouched for them; this \
                 does not show that the logs were accurate."
            ),
            ReportVerdict::Intact | ReportVerdict::IntactRecompressed => format!(
                "All {rows} rows match the hashes in the bundle; anyone who kept its digest when it was written can \
                 prove that nothing has changed since, but no digest shows that the logs were accurate."
            ),
            ReportVerdict::IntactWithoutHashes => format!(
                "The bundle is of format 1.0 and has no hashes: its container is sound, but nothing proves its {rows} \
                 rows."
            ),
            _ => "The bundle is damaged: the findings list what is missing or wrong, and this report cannot prove the \
                  rest."
                .to_owned(),
        }
    }

    /// Returns a sentence that states what the verdict on a history proves.
    fn history_statement(&self, verified: &HistoryReport) -> String {
        let signed = self.signature.as_ref().is_some_and(|signature| signature.is_valid);
        match (self.verdict, verified.is_complete) {
            (ReportVerdict::Damaged, _) => {
                "Segments of the history are damaged or unreadable: the findings list what is wrong.".to_owned()
            }
            (ReportVerdict::Inconsistent, _) => {
                "The segments contradict each other or a checkpoint: the findings list what is wrong.".to_owned()
            }
            _ if !self.is_good => "The history is sound, but not signed as required: see the findings.".to_owned(),
            (_, is_complete) => format!(
                "All {} rows are as they were when their segments were written, {}{}; anyone who kept an earlier \
                 checkpoint can prove that segments were only appended, but this does not show that the logs were \
                 accurate.",
                verified.rows,
                if is_complete { "and no segment records a gap" } else { "but rows may be missing between segments" },
                if signed { ", and the signer vouched for all segments" } else { "" },
            ),
        }
    }
}
