//! Checks that importing any file either changes nothing, or adds the verified lines and keeps every existing line.

use patchwork_traces::digest::Integrity;
use patchwork_traces::format::{Base, FileName, FollowsState, ManifestFile};
use patchwork_traces::import::{ImportOptions, ImportReport};
use patchwork_traces::internal::IntegrityHasher;

use crate::bundles::{self, Logs, indexed, key_of, restored, sequential};
use crate::home::{Home, with_home};
use crate::merge_logs::check_imported;

/// Checks the file that the input encodes, as described at [`bundles::file_of`].
pub fn check(input: &[u8]) {
    let file = bundles::file_of(input);
    with_home(|home| {
        let into_empty = check_import(&file, home, &Logs::new());
        let into_filled = check_import(&file, home, &local_logs());
        // A redacted bundle is not merged with logs.
        let is_redacted = indexed(&file).is_ok_and(|bundle| bundle.manifest().is_redacted());
        assert!(is_redacted || into_empty.is_some() == into_filled.is_some());
    });
}

/// Returns local logs that overlap with the fixtures' bundles: some of their rows, one of them with another line
/// ending; other rows; blank and torn lines; and an end without a line feed.
fn local_logs() -> Logs {
    let log = |base, name: &str, log: &[u8]| ((base, FileName::new(name).expect("a plain name")), log.to_vec());
    [
        log(
            Base::Patchwork,
            "runs.jsonl",
            b"{\"taskId\":\"a\",\"createdAt\":1777716000000,\"status\":\"running\"}\r\n\n{\"createdAt\":1777716090000}\n{\"torn\n\
              {\"taskId\":\"d\",\"createdAt\":1777716240000,\"status\":\"done\"}\n{\"createdAt\":1777719850000}",
        ),
        log(Base::Patchwork, "runs.jsonl.1", b"{\"createdAt\":1777715000000}\n{\"taskId\":\"a\",\"createdAt\":1777716000000}\n"),
        log(Base::Activity, "activity-3100.jsonl", b"{\"timestamp\":\"2026-05-02T10:00:01.000Z\",\"tool\":\"write\"}\n{}"),
        log(Base::Activity, "activity.jsonl", b""),
    ]
    .into()
}

fn check_import(file: &[u8], home: &Home, local: &Logs) -> Option<ImportReport> {
    home.fill(local);
    let before = home.everything();
    let look = ImportOptions::default().dry_run(true);
    let planned = home.import(sequential(file), &look);
    assert_eq!(home.everything(), before, "a dry run changes nothing");
    let done = match home.import(indexed(file), &ImportOptions::default()) {
        Ok(done) => done,
        Err(error) => {
            assert_eq!(home.everything(), before, "a failed import changes nothing: {error}");
            // If several logs have faults, either fault can be reported first.
            assert!(planned.is_err(), "the dry run succeeded, but the import failed: {error}");
            return None;
        }
    };
    assert_eq!(planned.expect("the dry run succeeds too").plan, done.plan);
    let mut bundled = restored(indexed(file)).expect("it was imported");
    check_verified(file, &bundled);
    // A segment of a history names logs that were absent. They are not imported.
    let is_absent =
        |file: &&ManifestFile| file.follows.as_ref().is_some_and(|follows| follows.state == FollowsState::Absent);
    for absent in indexed(file).expect("it was imported").manifest().files.iter().filter(is_absent) {
        bundled.remove(&key_of(absent));
    }
    check_imported(home, local, &bundled, &done);
    if local.is_empty() {
        assert_eq!(home.logs(&bundled), bundled);
    }
    let after = home.everything();
    let again = home.import(sequential(file), &ImportOptions::default()).expect("a second import succeeds");
    assert!(again.plan.changes_nothing(), "{:?}", again.plan);
    assert_eq!(home.everything(), after);
    Some(done)
}

/// Checks that each log has the length and SHA-256 that the manifest records.
fn check_verified(file: &[u8], bundled: &Logs) {
    let bundle = indexed(file).expect("it was imported");
    for file in &bundle.manifest().files {
        if let Some(expected) = file.integrity() {
            let found: Integrity = {
                let mut hasher = IntegrityHasher::default();
                hasher.update(&bundled[&key_of(file)]);
                hasher.finish()
            };
            assert_eq!(found, expected);
        }
    }
}
