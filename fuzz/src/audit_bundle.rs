//! Checks that a bundle that `verify` calls intact is intact, that `recover` saves every log that `verify` calls
//! verified, and that the output of `recover` is intact.

use std::fs;
use std::io::Cursor;
use std::num::NonZeroUsize;

use patchwork_traces::digest::Sha256Digest;
use patchwork_traces::export::Level;
use patchwork_traces::format::{Manifest, Timestamp};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::recover::{RecoverOptions, RecoverReport, recover};
use patchwork_traces::verify::{FileReport, Finding, FindingKind, Severity, Verdict, VerifyReport, verify_file};
use patchwork_traces::{OutputTarget, TargetOptions};

use crate::bundles::{self, Logs, indexed, restored, sequential, verified, verify_options};
use crate::home::{Home, with_home};

/// Checks the file that the input encodes, as described at [`bundles::file_of`].
pub fn check(input: &[u8]) {
    let file = bundles::file_of(input);
    with_home(|home| {
        let verified = check_verify(&file, home);
        check_recover(&file, verified.as_ref(), home);
    });
}

type Verified = (VerifyReport, Vec<Finding>);

fn check_verify(file: &[u8], home: &Home) -> Option<Verified> {
    let from_stream = verified(file);
    let path = home.path().join("bundle");
    let subject = path.display().to_string();
    fs::write(&path, file).expect("cannot write the file");
    let mut findings = Vec::new();
    let options = verify_options().threads(NonZeroUsize::new(2).expect("not zero"));
    let from_file = verify_file(&path, &options, &NoProgress, &mut |found| findings.push(found));
    fs::remove_file(&path).expect("cannot remove the file");
    let logs = [restored(indexed(file)), restored(sequential(file))];
    let Ok((report, found)) = from_stream else {
        assert!(from_file.is_err() && logs.iter().all(Result::is_err), "only verify rejects the file");
        return None;
    };
    assert_eq!(from_file.ok(), Some(report.clone()));
    let texts = |findings: &[Finding]| -> Vec<_> {
        findings.iter().map(|finding| finding.to_string().replace(&subject, "bundle")).collect()
    };
    assert_eq!(texts(&findings), texts(&found));
    assert!(found.iter().all(|finding| finding.to_string().chars().all(|c| !c.is_control())));
    let is_damaged = report.verdict == Verdict::Damaged;
    assert_eq!(is_damaged, found.iter().any(|finding| finding.severity() == Severity::Error));
    for logs in logs {
        assert!(
            is_damaged || logs.is_ok(),
            "verdict {:?}, but the logs cannot be restored: {:?}",
            report.verdict,
            logs.err()
        );
        if let Ok(logs) = logs {
            check_verified(&report, &logs);
        }
    }
    Some((report, found))
}

/// Checks that the logs that `verify` calls verified are restored with the verified hash.
fn check_verified(report: &VerifyReport, logs: &Logs) {
    assert_eq!(report.files.len(), logs.len());
    for file in &report.files {
        let mut named = logs.iter().filter(|((_, name), _)| *name == file.name);
        let verified = file.restored.filter(|_| file.is_verified == Some(true));
        assert!(verified.is_none_or(|verified| named.any(|(_, log)| Sha256Digest::of(log) == verified.sha256)));
    }
}

fn check_recover(file: &[u8], verified_as: Option<&Verified>, home: &Home) {
    let path = home.path().join("recovered");
    let options = RecoverOptions::new("fuzz", Timestamp::from_millis(0).expect("a time"))
        .level(Level::new(1).expect("a level"))
        .threads(NonZeroUsize::MIN)
        .work_dir(home.path());
    let target = OutputTarget::File { path: path.clone(), options: TargetOptions::default() };
    let recovered = recover(Cursor::new(file), "input", &options, &target, &NoProgress);
    let Ok(report) = recovered else {
        assert!(home.everything().is_empty());
        // If a row's `entry` and exact line differ, neither can be trusted. After the first sign of damaged
        // compressed data, any line may be corrupt, even one that looks valid.
        let is_no_row = |finding: &&Finding| matches!(finding.kind, FindingKind::Entry(_));
        let is_of_data = |finding: &Finding| matches!(finding.kind, FindingKind::Gzip(_));
        let sound = |(report, findings): &Verified| {
            if findings.iter().any(is_of_data) {
                return 0;
            }
            report.rows - findings.iter().filter(is_no_row).count() as u64
        };
        assert_eq!(verified_as.map_or(0, sound), 0, "nothing was recovered: {:?}", recovered.err());
        let is_saved = |file: &FileReport| file.is_verified != Some(true) || file.rows == 0;
        assert!(verified_as.is_none_or(|(report, _)| report.files.iter().all(is_saved)), "a verified log was lost");
        return;
    };
    let bundle = fs::read(&path).expect("the file exists");
    fs::remove_file(&path).expect("cannot remove the file");
    assert!(home.everything().is_empty());
    let (again, findings) = verified(&bundle).expect("the output is a bundle");
    assert_eq!(again.verdict, Verdict::Intact, "{findings:?}");
    let logs = restored(indexed(&bundle)).expect("the output is intact");
    check_originals(file, &report, &logs);
    if let Some(verified_as) = verified_as {
        check_saved(verified_as, &report, &logs);
    }
}

/// Checks that logs reported as original have the hash recorded in the damaged bundle's manifest.
fn check_originals(file: &[u8], report: &RecoverReport, logs: &Logs) {
    for recovered in &report.files {
        let mut named = logs.iter().filter(|((_, name), _)| *name == recovered.name);
        assert!(named.any(|(_, log)| Sha256Digest::of(log) == recovered.recovered.sha256));
    }
    let Ok(bundle) = indexed(file) else { return };
    let manifest: &Manifest = bundle.manifest();
    for recovered in report.files.iter().filter(|file| file.is_original == Some(true)) {
        let mut named = manifest.files.iter().filter(|file| file.relative_path == recovered.name);
        assert!(named.any(|file| file.integrity() == Some(recovered.recovered)));
    }
}

/// Checks that an intact bundle is recovered completely, and that every verified log is recovered.
fn check_saved((verified_as, _): &Verified, report: &RecoverReport, logs: &Logs) {
    if verified_as.verdict != Verdict::Damaged {
        assert!(!report.lost_something(), "verdict {:?}, but recover lost something: {report:?}", verified_as.verdict);
        assert_eq!(report.files.len(), verified_as.files.len());
    }
    // An empty log has nothing to save: it gives way if rows name a log of the same name. If the manifest lists
    // several logs with one name, a bundle can hold only one of them.
    let is_verified =
        |file: &&FileReport| file.is_verified == Some(true) && file.restored.is_some_and(|log| log.bytes > 0);
    let is_saved = |file: &FileReport| {
        let verified = file.restored.map(|log| log.sha256);
        logs.iter().any(|((_, name), log)| *name == file.name && Some(Sha256Digest::of(log)) == verified)
    };
    for file in verified_as.files.iter().filter(is_verified) {
        let namesakes = || verified_as.files.iter().filter(is_verified).filter(|other| other.name == file.name);
        let rows_are_many = namesakes().filter(|log| log.rows > 0).count() > 1;
        assert!(rows_are_many || namesakes().any(is_saved), "{} is verified but was not recovered", file.name);
    }
}
