//! Every kind of bad input has its own clear message, from a file and from a stream.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::common::program::{run, run_with};
use flate2::Compression;
use flate2::write::GzEncoder;

const MANIFEST: &str = r#"{"type":"manifest","version":1,"exportedAt":"2026-05-02T10:00:00.000Z","sources":["runs"],"files":[{"source":"runs","relativePath":"runs.jsonl","count":1,"bytes":8}],"totalCount":1}"#;
const ROW: &str = r#"{"source":"runs","entry":{"seq":1}}"#;

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// A bundle whose manifest has `to` in the place of `from`.
fn manifest_with(from: &str, to: &str) -> Vec<u8> {
    assert!(MANIFEST.contains(from), "{from}");
    gzip(format!("{}\n{ROW}\n", MANIFEST.replacen(from, to, 1)))
}

fn rows(lines: &[&str]) -> Vec<u8> {
    gzip(format!("{MANIFEST}\n{}\n", lines.join("\n")))
}

fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let intact = rows(&[ROW]);
    let mut trailing = intact.clone();
    trailing.extend(b"trailing");
    let mut checksum = intact.clone();
    let at = checksum.len() - 8;
    checksum[at] ^= 1;
    let mut length = intact.clone();
    let at = length.len() - 1;
    length[at] ^= 1;
    let mut header = intact.clone();
    header[2] = 9;
    let two_files = r#"[{"source":"runs","relativePath":"runs.jsonl","count":1,"bytes":8},{"source":"runs","relativePath":"runs.jsonl","count":0,"bytes":0}]"#;
    vec![
        ("an empty file", Vec::new()),
        ("a text", b"Dear diary,\n".to_vec()),
        ("binary data", vec![0x28, 0xb5, 0x2f, 0xfd, 0, 1, 2, 3]),
        ("a torn line of JSON", b"{\"type\":\"mani".to_vec()),
        ("gzip of a text", gzip("Dear diary,\n")),
        ("gzip of nothing", gzip("")),
        ("gzip of other JSON", gzip("{\"name\":\"x\"}\n")),
        ("a log", b"{\"seq\":1}\n".to_vec()),
        ("a row before the manifest", gzip(format!("{ROW}\n{MANIFEST}\n"))),
        ("a manifest without a line's end", gzip(&MANIFEST[..MANIFEST.len() - 3])),
        ("version 2", manifest_with("\"version\":1", "\"version\":2")),
        ("version \"1\"", manifest_with("\"version\":1", "\"version\":\"1\"")),
        ("no version", manifest_with("\"version\":1,", "")),
        ("a path", manifest_with("\"runs.jsonl\"", "\"../runs.jsonl\"")),
        ("a path of Windows", manifest_with("\"runs.jsonl\"", "\"..\\\\runs.jsonl\"")),
        ("an empty name", manifest_with("\"runs.jsonl\"", "\"\"")),
        ("a control character in a name", manifest_with("\"runs.jsonl\"", "\"runs\\u001b[2J.jsonl\"")),
        ("a name that is a number", manifest_with("\"runs.jsonl\"", "7")),
        ("two files of one name", gzip(format!("{}\n{ROW}\n", replace_files(two_files)))),
        ("a negative count", manifest_with("\"count\":1", "\"count\":-1")),
        ("a huge count", manifest_with("\"count\":1", "\"count\":9007199254740993")),
        ("a count beyond all numbers", manifest_with("\"count\":1", "\"count\":1e999")),
        ("a count with a fraction", manifest_with("\"count\":1", "\"count\":1.5")),
        ("no count", manifest_with("\"count\":1,", "")),
        ("counts that do not add up", manifest_with("\"totalCount\":1", "\"totalCount\":2")),
        ("sources that are not those of the files", manifest_with("[\"runs\"]", "[\"activity\"]")),
        ("a time that is none", manifest_with("2026-05-02T10:00:00.000Z", "yesterday")),
        ("a version beyond all numbers", manifest_with("\"version\":1", "\"version\":1e999")),
        ("a file that is no object", gzip(format!("{}\n", replace_files("[7]")))),
        ("a key of the manifest twice", manifest_with("\"version\":1", "\"version\":1,\"totalCount\":1")),
        ("files that are no list", gzip(format!("{}\n", replace_files("{}")))),
        ("1.1 without hashes", manifest_with("\"version\":1", "\"version\":1,\"minor\":1")),
        ("a row without source", rows(&["{\"entry\":{}}"])),
        ("a row without entry", rows(&["{\"source\":\"runs\"}"])),
        ("a row that is a list", rows(&["[1]"])),
        ("a row that is torn", rows(&["{\"source\":\"runs\",\"entry\":{\"se"])),
        ("a row of another source", rows(&["{\"source\":\"activity\",\"file\":\"activity.jsonl\",\"entry\":{}}"])),
        ("a row with a key twice", rows(&["{\"source\":\"runs\",\"source\":\"runs\",\"entry\":{}}"])),
        ("a row with a bad original", rows(&["{\"source\":\"runs\",\"entry\":{},\"original\":{\"bytes\":\"!\"}}"])),
        ("a second manifest", rows(&[MANIFEST])),
        ("more rows than declared", rows(&[ROW, ROW])),
        ("fewer rows than declared", gzip(format!("{MANIFEST}\n"))),
        ("a cut stream", intact[..intact.len() - 20].to_vec()),
        ("a cut trailer", intact[..intact.len() - 3].to_vec()),
        ("a cut header", intact[..5].to_vec()),
        ("a wrong checksum", checksum),
        ("a wrong length", length),
        ("a wrong header", header),
        ("trailing bytes", trailing),
    ]
}

fn replace_files(files: &str) -> String {
    MANIFEST.replace(r#"[{"source":"runs","relativePath":"runs.jsonl","count":1,"bytes":8}]"#, files)
}

#[test]
fn every_bad_input_has_its_own_message() {
    let dir = tempfile::tempdir().unwrap();
    let mut messages = String::new();
    for (name, input) in cases() {
        std::fs::write(dir.path().join("bundle"), &input).unwrap();
        let from_file = run(dir.path(), &["cat", "bundle"]);
        let from_stream = run_with(dir.path(), &["cat", "-"], &input);
        assert_eq!(from_file.code, 1, "{name}");
        assert_eq!(from_file.stdout, from_stream.stdout, "{name}");
        assert_eq!(from_file.stderr.replacen("bundle:", "standard input:", 1), from_stream.stderr, "{name}");
        let rows = String::from_utf8(from_file.stdout).unwrap();
        write!(messages, "## {name}\n{rows}{}\n", from_file.stderr).unwrap();
    }
    insta::assert_snapshot!(messages);
}

#[test]
fn directory_is_refused_as_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path(), &["inspect", "."]);
    assert_eq!(run.code, 1);
    insta::assert_snapshot!(run.stderr);
}

#[test]
fn missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path(), &["inspect", "nothing.jsonl.gz"]);
    assert_eq!(run.code, 1);
    insta::assert_snapshot!(run.stderr);
}

#[cfg(unix)]
#[test]
fn paths_and_names_are_printed_as_given() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("File"), "").unwrap();
    std::os::unix::fs::symlink("Loop", path("Loop")).unwrap();
    std::fs::write(path("B.gz"), rows(&[ROW])).unwrap();
    let long = "X".repeat(300);
    let mut messages = String::new();
    for name in ["/Nope/TRACES.gz", "File/TRACES.gz", "Loop", &long] {
        for line in [
            "cat NAME",
            "verify NAME",
            "inspect NAME",
            "recover NAME -o Out.gz",
            "recover B.gz -o NAME/Sub/Out.gz",
            "import NAME",
            "import B.gz --patchwork-dir NAME",
            "export -o File/OUT.gz --patchwork-dir NAME",
            "cat B.gz --file NAME",
            "cat B.gz --source NAME",
            "export --source NAME -o Out.gz",
            "man NAME",
            "NAME",
            "cat B.gz NAME",
            "cat B.gz --Since NAME",
            "verify B.gz --expect NAME",
        ] {
            if line.contains("dir NAME") && name.starts_with('/') || line.contains("Sub") && name.starts_with('/') {
                continue; // Only root may create that, and others may not: both are told elsewhere.
            }
            let line = line.replace("NAME", name);
            let failed = run(dir.path(), &line.split_whitespace().collect::<Vec<_>>());
            assert!(failed.code == 1 || failed.code == 2, "{line}: {failed:?}");
            assert!(!failed.stderr.to_lowercase().contains("failed to"), "{line}: {}", failed.stderr);
            let lower = name.to_lowercase();
            assert!(name == lower || !failed.stderr.contains(&lower), "{line}: {}", failed.stderr);
            if name == "File/TRACES.gz" {
                let stderr = failed.stderr.replace(dir.path().to_str().unwrap(), "DIR");
                write!(messages, "$ {line}\n{stderr}\n").unwrap();
            }
        }
    }
    insta::assert_snapshot!(messages);
}

#[cfg(unix)]
#[test]
fn bundle_in_a_named_pipe_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("Pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let bundle = std::fs::read("fixtures/conformance/intact.jsonl.gz").unwrap();
    for (arguments, printed) in [
        (&["verify", "Pipe"][..], "Pipe: intact: 10 rows"),
        (&["inspect", "Pipe"], "10 rows from 2 logs"),
        (&["cat", "Pipe"], "\"status\":\"running\""),
        (&["cat", "Pipe", "--file", "runs.jsonl", "--exact"], "{\"taskId\":\"torn\n"),
        (&["recover", "Pipe", "-fo", "out.gz"], "recovered 10 rows from 2 logs into out.gz"),
    ] {
        let ended = std::thread::scope(|scope| {
            // It is opened once the program opens it.
            scope.spawn(|| std::fs::write(&pipe, &bundle).unwrap());
            run(dir.path(), arguments)
        });
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.stderr);
        assert!(ended.text().contains(printed), "{arguments:?}: {}", ended.text());
    }
}

#[cfg(unix)]
#[test]
fn every_command_says_why_a_file_is_not_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("Dir")).unwrap();
    std::fs::write(dir.path().join("Empty"), "").unwrap();
    let mut messages = String::new();
    for name in ["Dir", "Empty", "Missing", "/dev/null"] {
        let commands = ["cat", "verify", "inspect", "recover"].into_iter();
        let refused: Vec<_> = commands
            .map(|command| {
                let output = ["-o", "out.gz"].into_iter().filter(|_| command == "recover");
                let refused = run(dir.path(), &[command, name].into_iter().chain(output).collect::<Vec<_>>());
                assert_eq!((refused.code, refused.text().as_str()), (1, ""), "{command} {name}");
                refused.stderr
            })
            .collect();
        assert!(refused.iter().all(|message| *message == refused[0]), "{refused:?}");
        messages += &refused[0];
    }
    insta::assert_snapshot!(messages);
}

#[test]
fn endless_manifest_is_refused_without_reading_it_completely() {
    let dir = tempfile::tempdir().unwrap();
    let input = gzip([&b"{\""[..], &[b'x'].repeat(129 << 20)].concat());
    let run = run_with(dir.path(), &["inspect", "-"], &input);
    assert_eq!(run.code, 1);
    insta::assert_snapshot!(run.stderr);
}

#[test]
fn errors_are_json_with_the_json_option() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_with(dir.path(), &["cat", "-", "--json"], &rows(&[ROW, "{\"entry\":{}}"]));
    assert_eq!(run.code, 1);
    assert_eq!(run.text(), "{\"seq\":1}\n");
    insta::assert_snapshot!(run.stderr);
}
