//! What the fuzzers check holds for the fixtures, and for every input that they found worth keeping.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use patchwork_traces_fuzz::{Check, TARGETS, seeds::seeds};

/// Runs the check on each input, and names those on which it fails.
fn check_all(check: Check, inputs: impl IntoIterator<Item = (String, Vec<u8>)>) -> usize {
    let mut checked = 0;
    let mut failed = Vec::new();
    for (name, input) in inputs {
        if catch_unwind(|| check(&input)).is_err() {
            failed.push(name);
        }
        checked += 1;
    }
    assert!(failed.is_empty(), "these fail: {failed:?}");
    checked
}

#[test]
fn the_fixtures_pass() {
    for (target, check) in TARGETS {
        let inputs =
            seeds(target).into_iter().zip(0..).map(|(input, number)| (format!("{target}, seed {number}"), input));
        assert!(check_all(check, inputs) > 0, "{target} has none");
    }
}

#[test]
fn the_corpora_pass() {
    for (target, check) in TARGETS {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let paths = entries.map(|entry| entry.expect("it can be listed").path());
        let inputs = paths.map(|path| (path.display().to_string(), fs::read(&path).expect("it can be read")));
        assert!(check_all(check, inputs) > 0, "{target} has none");
    }
}

/// Whoever adds a target adds its fuzzer, and the other way round.
#[test]
fn every_target_has_a_fuzzer() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let files = fs::read_dir(dir).expect("it is there").map(|entry| entry.expect("it can be listed").file_name());
    let mut names: Vec<_> = files.map(|name| name.to_string_lossy().trim_end_matches(".rs").to_owned()).collect();
    names.sort();
    assert_eq!(names, TARGETS.map(|(name, _)| name));
}
