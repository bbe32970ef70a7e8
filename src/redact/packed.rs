//! The redacted logs of an input, compressed but not yet written.

use std::path::PathBuf;

use super::logs::RedactedLogs;
use super::options::RedactOptions;
use crate::bundle::writer::{BundleWriter, SpooledBundle, WriteOptions};
use crate::detect::Detector;
use crate::error::{Error, RedactionFault, Result};
use crate::format::{Derivation, DerivedFrom, Provenance, Redaction};
use crate::input::TraceInput;
use crate::logs::times_of;
use crate::progress::{Progress, Stage};

/// A redacted bundle that has not been written yet.
pub struct PackedRedaction {
    pub packed: SpooledBundle,
    pub write: WriteOptions,
    pub provenance: Provenance,
    pub redaction: Redaction,
    /// Searches the redacted texts.
    pub detector: Detector,
}

impl PackedRedaction {
    /// Redacts and compresses the logs of an input. Temporary files are created in `work_dir`.
    ///
    /// # Errors
    /// If an option names a member that no row has. If the rules find something in an option, because the manifest
    /// would reveal it. If the input is damaged, there are too many values, or a temporary file cannot be written.
    pub fn new(
        input: &TraceInput<'_>,
        options: &RedactOptions,
        work_dir: PathBuf,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut logs = RedactedLogs::new(input, options, &work_dir, options.threads, progress)?;
        check_options(&options.record(), logs.redactor.detector(1))?;
        let write = WriteOptions::new(options.generator.clone(), logs.exported_at).level(options.level);
        let write = write.threads(options.threads).work_dir(work_dir).sealer(options.sealer.clone());
        let packed = pack(&mut logs, &write, progress).map_err(|error| error.in_subject(input.name()))?;
        if let Some(path) = logs.redactor.members.unseen() {
            let fault = RedactionFault::NoSuchMember { path: path.to_string() };
            return Err(Error::from(fault).in_subject(input.name()));
        }
        let (replaced, lines) = (logs.redactor.replaced, logs.redactor.lines);
        let redaction = Redaction { replaced, lines, ..options.record() };
        let provenance = Provenance {
            label: logs.label.clone(),
            derived_from: Some(DerivedFrom { how: Derivation::Redacted, bundles: logs.digests.clone() }),
            filter: logs.redactor.conditions.record(),
            redaction: Some(redaction.clone()),
            history: None,
        };
        let detector = logs.redactor.detector(1).for_redacted();
        Ok(Self { packed, write, provenance, redaction, detector })
    }
}

/// Returns an error if the rules find something in an option that the manifest records.
fn check_options(recorded: &Redaction, detector: &Detector) -> Result<()> {
    let Redaction { sources, drop, keep_only, .. } = recorded;
    for (option, texts) in [("--source", sources), ("--drop", drop), ("--keep-only", keep_only)] {
        if let Some(find) = texts.iter().find_map(|text| detector.find(text).into_iter().next()) {
            return Err(RedactionFault::FoundInOption { option, rule: detector.name(find.rule).to_owned() }.into());
        }
    }
    Ok(())
}

/// Redacts and compresses logs.
fn pack(logs: &mut RedactedLogs, options: &WriteOptions, progress: &dyn Progress) -> Result<SpooledBundle> {
    progress.stage(Stage::Writing);
    progress.start(Some(logs.bytes()));
    let packed = std::thread::scope(|scope| {
        let mut writer = BundleWriter::start(scope, options);
        logs.each_log(progress, |id, reader| {
            writer.add_log(id, times_of(id.source.as_str()), reader, id.name.as_str(), progress)
        })?;
        writer.finish()
    });
    progress.finish();
    packed
}
