//! A reader that closes standard output changes no verdict: the exit code is that of the work.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::common::bundle_builder::BundleBuilder;
use crate::common::program::{Run, command, run};
use crate::common::{Home, bundle};

/// A home with logs, their bundle `b.gz`, one without its second half `cut.gz`, and one of 1.0, `old.gz`.
fn home() -> Home {
    let runs: String =
        (0..20_000).map(|seq| format!("{{\"seq\":{seq},\"createdAt\":{}}}\n", 1_777_716_000_000_i64 + seq)).collect();
    let home = Home::new().with("runs.jsonl", runs).with("decision_traces.jsonl", "{\"seq\":1}\ntorn\n{\"seq\":2}\n");
    let bytes = bundle(&home);
    fs::write(home.path().join("cut.gz"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(home.path().join("b.gz"), bytes).unwrap();
    let legacy = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/legacy/plain.v1.0.jsonl.gz");
    fs::copy(legacy, home.path().join("old.gz")).unwrap();
    home
}

/// Runs the program with a closed pipe as standard output.
fn run_with_closed_stdout(dir: &Path, arguments: &[&str]) -> Run {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command(dir, arguments).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).output().unwrap().into()
}

/// Runs each command line with and without a reader, as text and as JSON, and expects the same exit code and the same
/// words on standard error.
fn assert_same_exit(home: &Home, cases: &[(&str, i32)]) {
    for (line, code) in cases {
        for json in [None, Some("--json")] {
            let arguments: Vec<_> = line.split_whitespace().chain(json).collect();
            let read = run(home.path(), &arguments);
            let run_with_closed_stdout = run_with_closed_stdout(home.path(), &arguments);
            assert_eq!(read.code, *code, "{arguments:?}: {}", read.stderr);
            assert_eq!(
                (run_with_closed_stdout.code, run_with_closed_stdout.stderr),
                (read.code, read.stderr),
                "{arguments:?}"
            );
        }
    }
}

#[test]
fn verdict_survives_a_closed_pipe() {
    let zeros = "0".repeat(64);
    let expect = format!("verify b.gz --expect {zeros}");
    assert_same_exit(
        &home(),
        &[
            ("verify b.gz", 0),
            ("verify cut.gz", 3),
            ("verify cut.gz --all", 3),
            ("verify cut.gz --quiet", 3),
            ("verify b.gz cut.gz", 3),
            ("verify cut.gz b.gz", 3),
            ("verify cut.gz missing.gz", 1),
            ("verify old.gz", 0),
            ("verify old.gz --require-hashes", 3),
            (&expect, 3),
            ("inspect b.gz", 0),
            ("inspect missing.gz", 1),
        ],
    );
}

#[test]
fn verdict_survives_a_reader_that_closes_after_one_line() {
    let home = home();
    let text = String::from_utf8(crate::common::text_of(&fs::read(home.path().join("b.gz")).unwrap())).unwrap();
    // More findings than a pipe holds.
    fs::write(home.path().join("many"), text.replace("\"source\":\"runs\"", "\"source\":\"other\"")).unwrap();
    let mut child = command(home.path(), &["verify", "many", "--all"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    std::io::Read::read_exact(&mut child.stdout.take().unwrap(), &mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap()), (Some(3), String::new()));
}

#[test]
fn completed_work_keeps_its_exit_code_without_a_reader() {
    assert_same_exit(
        &home(),
        &[
            ("recover cut.gz -fo r.gz", 3),
            ("recover b.gz -fo r.gz", 0),
            ("recover cut.gz -o b.gz", 1),
            ("recover cut.gz -o -", 2),
            ("export -fo e.gz", 0),
            ("import b.gz --dry-run", 0),
            ("import missing.gz", 1),
        ],
    );
    for json in [None, Some("--json")] {
        let home = home();
        let path = |name: &str| home.path().join(name);
        fs::remove_dir_all(path(".patchwork")).unwrap();
        let arguments: Vec<_> = ["import", "b.gz"].into_iter().chain(json).collect();
        let imported = run_with_closed_stdout(home.path(), &arguments);
        assert_eq!((imported.code, imported.stderr.as_str()), (0, ""));
        assert!(path(".patchwork/decision_traces.jsonl").exists());
        let arguments: Vec<_> = ["recover", "cut.gz", "-o", "r.gz"].into_iter().chain(json).collect();
        assert_eq!(run_with_closed_stdout(home.path(), &arguments).code, 3);
        assert_eq!(run(home.path(), &["verify", "r.gz"]).code, 0);
    }
}

#[test]
fn reader_of_a_result_may_close_the_pipe() {
    let home = home();
    for line in [
        "cat b.gz",
        "cat b.gz --envelope",
        "cat b.gz --file runs.jsonl --exact",
        "cat --help",
        "export -o -",
        "schema cat",
        "completions bash",
        "man",
        "man verify",
        "--help",
        "--version",
    ] {
        let arguments: Vec<_> = line.split_whitespace().collect();
        let ended = run_with_closed_stdout(home.path(), &arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{line}");
    }
}

#[test]
fn cat_reports_damage_without_a_reader() {
    let home = Home::new().with("runs.jsonl", "{\"seq\":1}\n{\"seq\":2}\n");
    let mut builder = BundleBuilder::new(&home, 2);
    // The second row is not JSON, and the checksum of the chunk proves that it was written so.
    builder.chunks[0].1 = builder.chunks[0].1.replace("{\"seq\":2}", "{\"seq\":");
    builder.update_chunk_table();
    fs::write(home.path().join("b.gz"), builder.write()).unwrap();
    for arguments in [&["cat", "b.gz"][..], &["cat", "b.gz", "--file", "runs.jsonl", "--exact"]] {
        let ended = run_with_closed_stdout(home.path(), arguments);
        assert_eq!(ended.code, 1, "{arguments:?}");
        assert!(ended.stderr.contains("runs.jsonl, row 2"), "{arguments:?}: {}", ended.stderr);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn cat_refuses_a_standard_output_that_is_closed() {
    let home = home();
    for arguments in ["cat b.gz", "cat b.gz --file runs.jsonl --exact"] {
        let script = format!("{} {arguments} >&-", env!("CARGO_BIN_EXE_patchwork-traces"));
        let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(home.path()).output().unwrap();
        let refused = Run::from(output);
        assert_eq!(refused.code, 2, "{arguments}: {}", refused.stderr);
        assert!(refused.stderr.contains("the rows would be lost"), "{}", refused.stderr);
        assert_eq!(run(home.path(), &arguments.split(' ').collect::<Vec<_>>()).code, 0);
        let discard = script.replace(">&-", "> /dev/null");
        let discarded = std::process::Command::new("sh").args(["-c", &discard]).current_dir(home.path()).status();
        assert!(discarded.unwrap().success(), "{arguments}");
    }
}
