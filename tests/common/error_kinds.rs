//! An error of every kind, for the tests of messages and of hints.
#![allow(clippy::unwrap_used)]

use std::io;
use std::path::PathBuf;

use patchwork_traces::error::{
    Contradiction, Encryption, GzipFault, HistoryFault, IoAction, KeyText, ManifestFault, NameFault, Obstacle,
    RedactionFault, RowFault, SignatureFault,
};
use patchwork_traces::{Error, ErrorKind};

/// Returns at least one error of every kind.
pub fn error_kinds() -> impl Iterator<Item = ErrorKind> {
    [
        io_errors(),
        without_data(),
        with_data(),
        keys(),
        faults(),
        history_faults(),
        signature_faults(),
        redaction_faults(),
    ]
    .into_iter()
    .flatten()
}

fn io_errors() -> Vec<ErrorKind> {
    let system = |action, code| ErrorKind::Io { action, source: io::Error::from_raw_os_error(code) };
    let plain = |action, kind: io::ErrorKind| ErrorKind::Io { action, source: kind.into() };
    vec![
        plain(IoAction::Open, io::ErrorKind::NotFound),
        plain(IoAction::List, io::ErrorKind::PermissionDenied),
        plain(IoAction::Write, io::ErrorKind::StorageFull),
        plain(IoAction::Create, io::ErrorKind::ReadOnlyFilesystem),
        // EIO and ENAMETOOLONG of Linux, whose words come from the system.
        #[cfg(target_os = "linux")]
        system(IoAction::Read, 5),
        #[cfg(target_os = "linux")]
        system(IoAction::Rename, 36),
        // EMFILE.
        #[cfg(target_os = "linux")]
        system(IoAction::Open, 24),
    ]
}

fn faults() -> Vec<ErrorKind> {
    let path = || "files[0].count".to_owned();
    let file = || "runs.jsonl".to_owned();
    vec![
        ErrorKind::Manifest(ManifestFault::Missing { path: path() }),
        ErrorKind::Manifest(ManifestFault::Value { path: path(), expected: "a whole number", found: "-1".to_owned() }),
        ErrorKind::Manifest(ManifestFault::Shape),
        ErrorKind::Manifest(ManifestFault::Contradiction(Contradiction::ChunkRows { file: file(), count: 3, sum: 2 })),
        ErrorKind::Manifest(ManifestFault::Contradiction(Contradiction::ChunkSize { file: file(), chunk: 2 })),
        ErrorKind::Manifest(ManifestFault::Contradiction(Contradiction::UnparsedLines { file: file(), line: 7 })),
        ErrorKind::Manifest(ManifestFault::Contradiction(Contradiction::Bytes { file: file() })),
        ErrorKind::Manifest(ManifestFault::Contradiction(Contradiction::Timeline { file: file() })),
        ErrorKind::Manifest(ManifestFault::Contradiction(Contradiction::Overflow)),
        ErrorKind::Manifest(ManifestFault::Contradiction(Contradiction::LaterKey { path: path(), since: 2, minor: 1 })),
        ErrorKind::Manifest(ManifestFault::Contradiction(Contradiction::History {
            path: "files[0].follows.gap".to_owned(),
            rule: "is missing",
        })),
        ErrorKind::Gzip(GzipFault::Truncated),
        ErrorKind::Gzip(GzipFault::Deflate),
        ErrorKind::Row(RowFault::Original),
        ErrorKind::Row(RowFault::OriginalOf1_1),
        ErrorKind::LogName(NameFault::Control),
        ErrorKind::LogName(NameFault::NotUnicode),
        ErrorKind::LogName(NameFault::TooLong),
    ]
}

fn with_data() -> Vec<ErrorKind> {
    let known = || vec!["runs".to_owned(), "activity".to_owned()];
    let source = || "runs".to_owned();
    let places = || vec![PathBuf::from("/home/me/.claude/ide"), PathBuf::from("/home/me/.patchwork")];
    vec![
        ErrorKind::MissingDirectory { variable: None },
        ErrorKind::MissingDirectory { variable: Some("PATCHWORK_HOME") },
        ErrorKind::NoLogs { sources: Vec::new(), places: places() },
        ErrorKind::NoLogs { sources: vec![source()], places: vec!["/home/me/.patchwork".into()] },
        ErrorKind::NoLogs { sources: known(), places: places() },
        ErrorKind::NoTargetDirectory { is_default: false },
        ErrorKind::NoTargetDirectory { is_default: true },
        ErrorKind::LogShrank { opened: 1_234_567, read: 1000 },
        ErrorKind::LineTooLong { limit: 268_435_456 },
        ErrorKind::TooManyUnparsed { limit: 134_217_728 },
        ErrorKind::TooManyLogs { limit: 100_000 },
        ErrorKind::UnknownSource { name: "run".to_owned(), known: known() },
        ErrorKind::UnknownSource { name: "run".to_owned(), known: Vec::new() },
        ErrorKind::OtherSource { name: "outcome-log".to_owned() },
        ErrorKind::UnknownFile { name: "run.jsonl".to_owned(), known: known() },
        ErrorKind::ManifestTooLong { limit: 134_217_728 },
        ErrorKind::UnsupportedVersion { found: "2".to_owned(), supported: 1 },
        ErrorKind::PwtraceTruncated { found: 21, header: 53 },
        ErrorKind::PwtraceVersion { found: 2, supported: 1 },
        ErrorKind::PwtraceTooLong { limit: 68_719_476_757 },
        ErrorKind::FewerThanDeclared { expected: 1_234_567, found: 0 },
        ErrorKind::ForeignSource { source: "metrics".to_owned() },
        ErrorKind::NotOfSource { source: source(), base: "activity".to_owned() },
        ErrorKind::InputsDisagree {
            file: "outcome-log.jsonl".to_owned(),
            one: "outcome-log in patchwork".to_owned(),
            other: "outcome-log in activity".to_owned(),
        },
        ErrorKind::OnlyASegment,
        ErrorKind::OnlySomeRows,
        ErrorKind::NoRowsMatch,
        ErrorKind::KeyOfSeveralValues { path: "steps[].id".to_owned() },
        ErrorKind::SameTarget { other: "activity-1.jsonl".to_owned() },
        ErrorKind::CannotReplace { obstacle: Obstacle::Immutable },
        ErrorKind::CannotReplace { obstacle: Obstacle::AppendOnly },
        ErrorKind::CannotReplace { obstacle: Obstacle::MountPoint },
        ErrorKind::DanglingLink { to: PathBuf::from("/mnt/gone/runs.jsonl") },
        ErrorKind::ForeignLink { to: PathBuf::from("/root/.ssh/authorized_keys") },
        ErrorKind::Locked { seconds: 5 },
        ErrorKind::ReportLost { source: io::ErrorKind::StorageFull.into() },
        ErrorKind::DirectorySyncFailed {
            cause: Error::io_named(IoAction::Write, "/home/me", io::ErrorKind::Other.into()),
        },
        ErrorKind::CheckpointNotWritten {
            segment: 231,
            cause: Error::io_named(IoAction::Write, "trace-history/checkpoint", io::ErrorKind::StorageFull.into()),
        },
        ErrorKind::NotSigned {
            cause: Error::from(ErrorKind::Signature(SignatureFault::KeygenMissing)).in_subject("id_ed25519.pub"),
        },
        ErrorKind::PartiallyKept {
            added: 1,
            all: 3,
            cause: Error::io_named(IoAction::Write, "trace-history", io::ErrorKind::StorageFull.into()),
        },
        ErrorKind::EntryType { source: serde_json::from_str::<u32>("\"7\"").unwrap_err() },
        ErrorKind::TooManyLines { limit: 4_294_967_295 },
        ErrorKind::PartiallyCommitted {
            placed: vec![PathBuf::from("runs.jsonl")],
            all: 3,
            is_repeatable: true,
            cause: Error::from(ErrorKind::LockLost).in_subject("/home/me/.claude/ide/activity.lock"),
        },
    ]
}

fn without_data() -> Vec<ErrorKind> {
    vec![
        ErrorKind::NoHome,
        ErrorKind::TargetExists,
        ErrorKind::TargetIsDirectory,
        ErrorKind::TargetIsLog,
        ErrorKind::CannotPreserveOwner,
        ErrorKind::TargetIsTerminal,
        ErrorKind::NotAFile,
        ErrorKind::LogsKeepChanging,
        ErrorKind::EmptyInput,
        ErrorKind::InputIsDirectory,
        ErrorKind::NotABundle,
        ErrorKind::GzipOfSomethingElse,
        ErrorKind::RowBeforeManifest,
        ErrorKind::NotAManifest,
        ErrorKind::DecryptionFailed,
        ErrorKind::Encrypted(Encryption::AgeKey),
        ErrorKind::Encrypted(Encryption::AgePassphrase),
        ErrorKind::Encrypted(Encryption::Patchwork),
        ErrorKind::NoMatchingKey,
        ErrorKind::DecryptionTooCostly { required: 30, limit: 22 },
        ErrorKind::CiphertextDamaged,
        ErrorKind::RecipientsDiffer,
        ErrorKind::InvalidPassphrase,
        ErrorKind::ChunkMismatch,
        ErrorKind::MoreThanDeclared,
        ErrorKind::ContentEnds,
        ErrorKind::LineFeedMissing,
        ErrorKind::NotByteForByte,
        ErrorKind::RestoredDiffers,
        ErrorKind::ProcNotMounted,
        ErrorKind::LockLost,
        ErrorKind::LogKeepsChanging,
        ErrorKind::NothingToRecover,
        ErrorKind::OutputNotIntact,
        ErrorKind::Cancelled,
    ]
}

fn signature_faults() -> Vec<ErrorKind> {
    let faults = [
        SignatureFault::NotASigningKey,
        SignatureFault::UnsupportedKey { key_type: "ssh-rsa".to_owned() },
        SignatureFault::PassphraseNeeded,
        SignatureFault::WrongPassphrase,
        SignatureFault::KeygenMissing,
        SignatureFault::KeygenFailed { message: "agent refused operation".to_owned() },
        SignatureFault::SignersLine { reason: "a line has no names" },
        SignatureFault::AlreadySigned,
        SignatureFault::CheckpointNotCurrent,
    ];
    faults.into_iter().map(ErrorKind::Signature).collect()
}

fn redaction_faults() -> Vec<ErrorKind> {
    let faults = [
        RedactionFault::UnknownRule { name: "github".to_owned(), known: vec!["secret".to_owned(), "jwt".to_owned()] },
        RedactionFault::RuleNotUnderstood {
            place: Some("rule badge".to_owned()),
            reason: "unknown key `regx`".to_owned(),
        },
        RedactionFault::RuleNotUnderstood { place: None, reason: "the file is not UTF-8".to_owned() },
        RedactionFault::TooManyUsers { limit: 10_000 },
        RedactionFault::TooManyValues { limit: 2_000_000 },
        RedactionFault::KeyFileExposed,
        RedactionFault::KeyFileZero,
        RedactionFault::KeyFileLength { bytes: 7 },
        RedactionFault::KeyFileLength { bytes: 65_537 },
        RedactionFault::NamesCollide,
        RedactionFault::StillFound { rule: "jwt".to_owned() },
        RedactionFault::FoundInOption { option: "--drop", rule: "jwt".to_owned() },
        RedactionFault::NoSuchMember { path: "body.tex".to_owned() },
        RedactionFault::NoRules,
        RedactionFault::LineChanged,
        RedactionFault::WholeRow,
        RedactionFault::InvalidPath { path: "a[".to_owned() },
        RedactionFault::NotRedacted,
        RedactionFault::OtherRules { generator: "patchwork-traces 0.9.0".to_owned(), found: 2, known: 1 },
        RedactionFault::RulesNeeded { used: [0x1a; 32].into() },
        RedactionFault::OtherRuleFile { used: [0x1a; 32].into(), given: [0x0b; 32].into() },
        RedactionFault::NoRulesUsed,
        RedactionFault::KeyNeeded,
        RedactionFault::OtherKey,
        RedactionFault::NoKeyUsed,
        RedactionFault::OverLogs,
        RedactionFault::IntoHistory,
        RedactionFault::AmongOthers,
        RedactionFault::RedactedApart { other: "shared.jsonl.gz".to_owned() },
    ];
    faults.into_iter().map(ErrorKind::Redaction).collect()
}

fn history_faults() -> Vec<ErrorKind> {
    let found = || "0f1e2d3c4b5a69788796a5b4c3d2e1f0".to_owned();
    let expected = || "00112233445566778899aabbccddeeff".to_owned();
    let faults = [
        HistoryFault::NotAHistory,
        HistoryFault::NoSegments,
        HistoryFault::Missing { first: 7, last: 7 },
        HistoryFault::Missing { first: 7, last: 9 },
        HistoryFault::Duplicate {
            number: 7,
            other: PathBuf::from("segments/2026/000000007-1f2c9ab0d4e5f607.jsonl.gz"),
        },
        HistoryFault::Renamed { expected: "000000007-1f2c9ab0d4e5f607.jsonl.gz".to_owned() },
        HistoryFault::OtherHistory { found: found(), expected: expected() },
        HistoryFault::NotASegment,
        HistoryFault::NoNote,
        HistoryFault::NotABundle,
        HistoryFault::OtherPrevious { before: 6 },
        HistoryFault::RowsBefore { file: "runs.jsonl".to_owned(), declared: 12, found: 9 },
        HistoryFault::Changed,
        HistoryFault::InUse,
        HistoryFault::SegmentGiven,
        HistoryFault::TooOld { exported: "2026-05-01T22:00:00.000Z".into(), last: "2026-05-02T22:00:00.000Z".into() },
        HistoryFault::NotACheckpoint,
        HistoryFault::OtherCheckpoint { found: found(), expected: expected() },
        HistoryFault::CutOff { size: 9, found: 7 },
        HistoryFault::Rewritten { size: 7 },
        HistoryFault::NoSuchSegment { number: 9, size: 7 },
        HistoryFault::NotAProof,
        HistoryFault::OtherProof { found: found(), expected: expected() },
        HistoryFault::OtherProofSize { found: 7, expected: 9 },
        HistoryFault::OtherProofSegment { found: 3, expected: 4 },
        HistoryFault::ProofMismatch { segment: 3 },
    ];
    faults.into_iter().map(ErrorKind::History).collect()
}

fn keys() -> Vec<ErrorKind> {
    let found = [
        KeyText::Nothing,
        KeyText::Identity,
        KeyText::Recipient,
        KeyText::PostQuantum,
        KeyText::Ssh,
        KeyText::Utf16,
        KeyText::EncryptedOtherwise,
        KeyText::Other,
    ];
    let of_file = |found| matches!(found, KeyText::Nothing | KeyText::Utf16 | KeyText::EncryptedOtherwise);
    let identities = found.map(|found| ErrorKind::InvalidIdentity { line: if of_file(found) { 0 } else { 7 }, found });
    let recipients =
        found.map(|found| ErrorKind::InvalidRecipient { line: Some(7).filter(|_| !of_file(found)), found });
    let argument = ErrorKind::InvalidRecipient { line: None, found: KeyText::Identity };
    let program = || "age-plugin-yubikey".to_owned();
    let others = [
        ErrorKind::NestedEncryption { in_gzip: true },
        ErrorKind::NestedEncryption { in_gzip: false },
        ErrorKind::AgePluginMissing { program: program() },
        ErrorKind::AgePluginFailed { program: program(), message: "no token is plugged in".to_owned() },
    ];
    identities.into_iter().chain(recipients).chain([argument]).chain(others).collect()
}
