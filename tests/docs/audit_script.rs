//! `docs/verify_bundle.py`, which auditors run without this program, gives each bundle the verdict that it deserves.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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

/// Runs the script for each bundle and directory that standard input names, in one process, as hundreds of processes take
/// far longer. Prints a line for each: the exit code and what the script printed.
const RUN_EACH: &str = r#"
import contextlib, io, json, runpy, sys, traceback
script = sys.argv[1]
for line in sys.stdin:
    sys.argv, text, code = [script, *json.loads(line)], io.StringIO(), 0
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as ended:
            code = ended.code
            if isinstance(code, str):
                print(code)
                code = 1
        except BaseException:
            traceback.print_exc()
            code = 1
    print(json.dumps([code, text.getvalue()]))
"#;

/// Returns the exit code of the script for each bundle, and what it printed; or `None` where Python is missing. The logs are
/// extracted into a directory with the name of the bundle.
fn verify_all(bundles: &[&Path], directory: &Path) -> Option<Vec<(Option<i32>, String)>> {
    verify(bundles.first()?, None)?;
    let arguments =
        |bundle: &&Path| serde_json::json!([bundle, "--extract", directory.join(name_of(bundle))]).to_string() + "\n";
    let mut command = Command::new("python3");
    command.args(["-c", RUN_EACH]).arg(root().join("docs/verify_bundle.py"));
    let mut python = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = python.stdin.take().unwrap();
    let text: String = bundles.iter().map(arguments).collect();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let verdicts: Vec<_> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(verdicts.len(), bundles.len());
    Some(verdicts)
}

#[test]
fn script_passes_the_conformance_bundles() {
    let directory = tempfile::tempdir().unwrap();
    let entries = fs::read_dir(root().join("fixtures/conformance")).unwrap().map(|entry| entry.unwrap().path());
    let bundles: Vec<_> = entries.filter(|path| path.extension().is_some_and(|extension| extension == "gz")).collect();
    let bundles: Vec<_> = bundles.iter().map(|path| (path.as_path(), Expected::of(path))).collect();
    let tried: Vec<_> = bundles.iter().filter(|(_, expected)| expected.is_tried()).collect();
    assert!(tried.len() > 100, "only {} bundles are tried", tried.len());
    std::thread::scope(|scope| {
        for half in tried.chunks(tried.len().div_ceil(2)) {
            scope.spawn(|| {
                let paths: Vec<_> = half.iter().map(|(path, _)| *path).collect();
                for ((_, expected), (code, text)) in
                    half.iter().zip(verify_all(&paths, directory.path()).unwrap_or_default())
                {
                    expected.check(code, &text, directory.path());
                }
            });
        }
    });
}

fn name_of(bundle: &Path) -> &str {
    bundle.file_name().unwrap().to_str().unwrap().strip_suffix(".jsonl.gz").unwrap()
}

/// The recorded facts about a conformance bundle.
struct Expected {
    name: String,
    verdict: String,
    /// The damaged part, if any.
    damage: Option<String>,
    /// The SHA-256 of each log.
    logs: BTreeMap<String, String>,
}

impl Expected {
    fn of(bundle: &Path) -> Self {
        let name = name_of(bundle);
        let expected = fs::read(bundle.with_file_name(format!("{name}.json"))).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
        let text = |key: &str| expected[key].as_str().map(str::to_owned);
        let logs = serde_json::from_value(expected["logs"].clone()).unwrap_or_default();
        Self { name: name.to_owned(), verdict: text("verdict").unwrap(), damage: text("damage"), logs }
    }

    /// Returns true if the script may miss the damage. It does not look for each fault of a manifest: no restored byte needs
    /// most of its keys.
    fn may_be_missed(&self) -> bool {
        let is_of_manifest = !self.name.starts_with("manifest_") || self.name.starts_with("manifest_timeline");
        self.damage.as_deref() == Some("manifest") && is_of_manifest
    }

    fn is_tried(&self) -> bool {
        !self.may_be_missed() || self.name.starts_with("minor_") || self.name.starts_with("key_twice")
    }

    /// Checks the exit code of the script, and the logs that it extracted.
    fn check(&self, code: Option<i32>, text: &str, directory: &Path) {
        let Self { name, verdict, damage, logs } = self;
        let out = directory.join(name);
        assert!(!text.contains("Traceback"), "{name}: {text}");
        // Python's gzip module accepts a member after zeros.
        let may_pass = self.may_be_missed() || name == "gzip_member_after_zeros";
        if verdict.starts_with("intact") || damage.as_deref() == Some("metadata") {
            let ending = if verdict == "intactWithoutHashes" { ".unverified" } else { "" };
            assert_eq!(code, Some(0), "{name}: {text}");
            assert_eq!(extracted(&out, ending), *logs, "{name}");
            return;
        }
        assert!(code == Some(1) || may_pass && code == Some(0), "{name}: {text}");
        // The script reads lines before it looks at chunks, so it restores a log whose chunks end within lines.
        if !may_pass && name != "chunk_border_within_line" {
            for (log, digest) in extracted(&out, "") {
                assert_eq!(logs.get(&log), Some(&digest), "{name}: the SHA-256 of {log} differs\n{text}");
            }
        }
    }
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

#[test]
fn the_script_is_short_enough_to_be_read_before_it_is_trusted() {
    let script = fs::read_to_string(root().join("docs/verify_bundle.py")).unwrap();
    assert!(script.lines().count() < 150);
}
