//! `docs/verify_bundle.py`, which auditors run without this program, gives each bundle the verdict that it deserves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use patchwork_traces::digest::Sha256Digest;

use crate::common::skip_note::skip_note;
use crate::{is_there, root};

/// Returns the output of the script, or `None` (with a note) where Python is missing.
fn verify(bundle: &Path, extract_to: Option<&Path>) -> Option<Output> {
    if !is_there("python3") {
        assert!(std::env::var_os("DOCS_NEED_ALL").is_none(), "python3 is missing");
        skip_note("not run, as python3 is missing");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(root().join("docs/verify_bundle.py")).arg(bundle);
    if let Some(directory) = extract_to {
        command.arg("--extract").arg(directory);
    }
    Some(command.output().unwrap())
}

/// Returns the SHA-256 of each extracted log. Logs of 1.0 keep the ending `.unverified`; others must not have it.
fn extracted(directory: &Path, ending: &str) -> BTreeMap<String, String> {
    let mut logs = BTreeMap::new();
    for base in ["patchwork", "activity"] {
        // A manifest that is refused leaves no directory.
        let Ok(entries) = fs::read_dir(directory.join(base)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if ending.is_empty() && name.ends_with(".unverified") {
                continue;
            }
            let digest = Sha256Digest::of(&fs::read(&path).unwrap()).to_string();
            logs.insert(format!("{base}/{}", name.strip_suffix(ending).unwrap()), digest);
        }
    }
    logs
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn script_passes_the_conformance_bundles() {
    let directory = tempfile::tempdir().unwrap();
    let entries = fs::read_dir(root().join("fixtures/conformance")).unwrap().map(|entry| entry.unwrap().path());
    let bundles: Vec<_> = entries.filter(|path| path.extension().is_some_and(|extension| extension == "gz")).collect();
    let check = |first: usize| {
        bundles.iter().skip(first).step_by(2).filter(|path| check_bundle(path, directory.path())).count()
    };
    let tried: usize = std::thread::scope(|scope| {
        let threads = [0, 1].map(|first| scope.spawn(move || check(first)));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(tried > 100 || !is_there("python3"), "only {tried} bundles were tried");
}

/// Checks that the script gives a bundle the expected verdict and logs. Returns false if the bundle was not tried.
fn check_bundle(path: &Path, directory: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".jsonl.gz").unwrap();
    let expected = fs::read(path.with_file_name(format!("{name}.json"))).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
    let logs: BTreeMap<String, String> = serde_json::from_value(expected["logs"].clone()).unwrap_or_default();
    let verdict = expected["verdict"].as_str().unwrap();
    // The script does not look for each fault of a manifest: no restored byte needs most of its keys.
    let may_miss =
        expected["damage"] == "manifest" && (!name.starts_with("manifest_") || name.starts_with("manifest_timeline"));
    if may_miss && !name.starts_with("minor_") && !name.starts_with("key_twice") {
        return false;
    }
    let out = directory.join(name);
    let Some(output) = verify(path, Some(&out)) else { return false };
    let text = text(&output);
    assert!(!text.contains("Traceback"), "{name}: {text}");
    // Python's gzip module accepts a member after zeros.
    let may_pass = may_miss || name == "gzip_member_after_zeros";
    if verdict.starts_with("intact") || expected["damage"] == "metadata" {
        let ending = if verdict == "intactWithoutHashes" { ".unverified" } else { "" };
        assert_eq!(output.status.code(), Some(0), "{name}: {text}");
        assert_eq!(extracted(&out, ending), logs, "{name}");
    } else {
        assert!(output.status.code() == Some(1) || may_pass && output.status.success(), "{name}: {text}");
        // The script reads lines before it looks at chunks, so it restores a log whose chunks end within lines.
        for (log, digest) in extracted(&out, "").into_iter().filter(|_| !may_pass && name != "chunk_border_within_line")
        {
            assert_eq!(logs.get(&log), Some(&digest), "{name}: the SHA-256 of {log} differs\n{text}");
        }
    }
    true
}

#[test]
fn script_restores_any_bytes_from_any_container() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let logs: [(&str, &[u8]); 4] = [
        ("patchwork/runs.jsonl", b"{\"a\":\"\xff\"}\n\n{\"torn\n\0\xfe\n{\"n\":12345678901234567890,\"n\":1e400}"),
        ("patchwork/decision_traces.jsonl", b"{\"a\":1}\r\n \r\n{\"b\" :\r 2}\r\n\"\\ud800\"\n"),
        ("patchwork/commit_issue_links.jsonl", b""),
        ("activity/activity-3100.jsonl", b"no JSON at all\xc3"),
    ];
    for (name, log) in logs {
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        fs::write(path(name), log).unwrap();
    }
    let script = "\
        $0 export --patchwork-dir patchwork --activity-dir activity -o bundle.jsonl.gz >export.txt &&
        gunzip -c bundle.jsonl.gz >plain && gzip -1 <plain >recompressed";
    let program = env!("CARGO_BIN_EXE_patchwork-traces");
    let made = Command::new("sh").args(["-c", script, program]).current_dir(directory.path()).status().unwrap();
    assert!(made.success());
    for bundle in ["bundle.jsonl.gz", "plain", "recompressed"] {
        let out = path(&format!("out-{bundle}"));
        let Some(output) = verify(&path(bundle), Some(&out)) else { return };
        assert!(output.status.success(), "{bundle}: {}", text(&output));
        for (name, log) in logs {
            assert_eq!(fs::read(out.join(name)).unwrap(), log, "{bundle}: {name}");
        }
    }
}

#[test]
fn script_reports_what_1_0_bundles_cannot_prove() {
    for bundle in ["empty", "odd", "plain"] {
        let path = root().join(format!("fixtures/legacy/{bundle}.v1.0.jsonl.gz"));
        let Some(output) = verify(&path, None) else { return };
        assert!(output.status.success(), "{bundle}: {}", text(&output));
        assert!(text(&output).contains("format 1.0 has no SHA-256"), "{}", text(&output));
    }
}
