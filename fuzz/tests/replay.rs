//! Runs the fuzzers' checks on the fixtures and on every input in the corpora.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use patchwork_traces_fuzz::{Check, TARGETS, seeds::seeds};

/// Runs the check on each input and names the inputs that fail. Returns the number of inputs.
fn check_all(check: Check, inputs: impl IntoIterator<Item = (String, Vec<u8>)>) -> usize {
    let mut checked = 0;
    let mut failed = Vec::new();
    for (name, input) in inputs {
        if catch_unwind(|| check(&input)).is_err() {
            failed.push(name);
        }
        checked += 1;
    }
    assert!(failed.is_empty(), "failed inputs: {failed:?}");
    checked
}

#[test]
fn fixtures_pass() {
    for (target, check) in TARGETS {
        let inputs =
            seeds(target).into_iter().zip(0..).map(|(input, number)| (format!("{target}, seed {number}"), input));
        assert!(check_all(check, inputs) > 0, "{target} has no inputs");
    }
}

#[test]
fn corpora_pass() {
    for (target, check) in TARGETS {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let paths = entries.map(|entry| entry.expect("cannot list the directory").path());
        let inputs = paths.map(|path| (path.display().to_string(), fs::read(&path).expect("cannot read the file")));
        assert!(check_all(check, inputs) > 0, "{target} has no inputs");
    }
}

#[test]
fn every_target_has_a_fuzzer() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let files = fs::read_dir(dir)
        .expect("the directory exists")
        .map(|entry| entry.expect("cannot list the directory").file_name());
    let mut names: Vec<_> = files.map(|name| name.to_string_lossy().trim_end_matches(".rs").to_owned()).collect();
    names.sort();
    assert_eq!(names, TARGETS.map(|(name, _)| name));
}
