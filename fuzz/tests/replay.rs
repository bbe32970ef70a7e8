//! Runs the fuzzers' checks on the fixtures and on every input in the corpora.

use std::fs;
use std::io::Read;
use std::panic::catch_unwind;
use std::path::Path;

use flate2::read::GzDecoder;
use patchwork_traces_fuzz::{Check, TARGETS, seeds::seeds};
use tar::Archive;

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
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("corpus/{target}.tar.gz"));
        let archive = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut archive = Archive::new(GzDecoder::new(archive.as_slice()));
        let inputs = archive.entries().expect("the archive can be read").map(|entry| {
            let mut entry = entry.expect("the archive can be read");
            let name = entry.path().expect("the archive has names").display().to_string();
            let mut input = Vec::new();
            entry.read_to_end(&mut input).expect("the archive can be read");
            (name, input)
        });
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
