//! `verify` and `recover` as programs. The library's `conformance` and `recover` tests cover the kinds of damage.

use std::fs;
use std::path::Path;

use patchwork_traces::digest::Sha256Digest;

use crate::common::program::{run, run_with};
use crate::common::{Home, bundle};

/// A home with logs, its bundle `b.gz` and the same cut, `cut.gz`.
fn home() -> Home {
    let runs: String =
        (0..80_000).map(|seq| format!("{{\"seq\":{seq},\"createdAt\":{}}}\n", 1_777_716_000_000_i64 + seq)).collect();
    let home = Home::new().with("runs.jsonl", runs).with("decision_traces.jsonl", "{\"seq\":1}\ntorn\n{\"seq\":2}\n");
    let bytes = bundle(&home);
    fs::write(home.path().join("cut.gz"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(home.path().join("b.gz"), bytes).unwrap();
    home
}

fn digest(home: &Home) -> String {
    let verified = run(home.path(), &["verify", "b.gz"]).text();
    verified.split("digest  ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn every_verdict_has_its_message_and_exit_code() {
    let home = home();
    let text = crate::common::text_of(&fs::read(home.path().join("b.gz")).unwrap());
    let mut recompressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut recompressed, &text).unwrap();
    fs::write(home.path().join("again.gz"), recompressed.finish().unwrap()).unwrap();
    let legacy = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/legacy/plain.v1.0.jsonl.gz");
    fs::copy(legacy, home.path().join("old.gz")).unwrap();
    let mut shown = String::new();
    for (arguments, code) in [
        (&["b.gz"][..], 0),
        (&["again.gz"], 0),
        (&["old.gz"], 0),
        (&["old.gz", "--require-hashes"], 3),
        (&["cut.gz"], 3),
        (&["nothing.gz"], 1),
        (&["b.gz", "nothing.gz", "cut.gz"], 1),
        (&["b.gz", "cut.gz"], 3),
    ] {
        let verified = run(home.path(), &[&["verify"], arguments].concat());
        assert_eq!(verified.code, code, "{arguments:?}");
        shown += &format!("$ verify {}\n{}{}\n", arguments.join(" "), verified.text(), verified.stderr);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn empty_1_0_bundle_has_no_hashes() {
    let legacy = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/legacy/empty.v1.0.jsonl.gz");
    let empty = crate::common::bundle(&Home::new());
    let home = Home::new();
    fs::copy(legacy, home.path().join("old.gz")).unwrap();
    fs::write(home.path().join("new.gz"), empty).unwrap();
    assert_eq!(run(home.path(), &["verify", "old.gz"]).code, 0);
    assert_eq!(run(home.path(), &["verify", "new.gz", "--require-hashes"]).code, 0);
    let refused = run(home.path(), &["verify", "old.gz", "--require-hashes"]);
    assert_eq!(refused.code, 3);
    insta::assert_snapshot!(refused.text());
    let json = run(home.path(), &["verify", "old.gz", "--require-hashes", "--json"]);
    assert_eq!((json.code, json.json()["good"].as_bool()), (3, Some(false)));
}

#[test]
fn expected_digest_is_compared_with_the_bundle() {
    let home = home();
    let right = run(home.path(), &["verify", "b.gz", "--expect", &digest(&home)]);
    assert_eq!((right.code, right.text().contains("(as expected)")), (0, true));
    let wrong = run(home.path(), &["verify", "b.gz", "--expect", &"0".repeat(64)]);
    assert_eq!((wrong.code, wrong.text().contains("NOT the expected digest")), (3, true));
    let of_file = Sha256Digest::of(&fs::read(home.path().join("b.gz")).unwrap()).to_string();
    let of_file = run(home.path(), &["verify", "b.gz", "--expect", &of_file]);
    assert!(of_file.stderr.contains("is the SHA-256 of the file") && wrong.stderr.is_empty(), "{}", of_file.stderr);
    assert_eq!(run(home.path(), &["verify", "b.gz", "--expect", "xyz"]).code, 2);
    assert_eq!(run(home.path(), &["verify", "b.gz", "cut.gz", "--expect", &"0".repeat(64)]).code, 2);
}

#[test]
fn first_hundred_findings_of_each_kind_are_listed_and_the_others_counted() {
    let home = home();
    let text = String::from_utf8(crate::common::text_of(&fs::read(home.path().join("b.gz")).unwrap())).unwrap();
    let (manifest, rows) = text.split_once('\n').unwrap();
    // 500 lines that are not JSON, and one row of another log.
    let mut lines: Vec<_> = rows.lines().map(str::to_owned).collect();
    lines[..500].iter_mut().for_each(|line| *line = line.replacen('{', "(", 1));
    lines[700] = lines[700].replace("\"runs\"", "\"other\"");
    fs::write(home.path().join("many"), format!("{manifest}\n{}\n", lines.join("\n"))).unwrap();

    let verified = run(home.path(), &["verify", "many"]);
    assert_eq!(verified.code, 3);
    let text = verified.text();
    assert_eq!(text.matches("the line is not JSON").count(), 100);
    assert!(text.contains("error: 401 more findings with the code `row` (use --all to list them)\n"), "{text}");
    let all = run(home.path(), &["verify", "many", "--all"]);
    assert_eq!(all.code, 3);
    assert_eq!(all.text().matches("the line is not JSON").count(), 500);
    assert!(all.text().contains("source \"other\"") && !all.text().contains("--all"));
    let summary = |text: &str| text.lines().find(|line| line.contains(": damaged: ")).unwrap().to_owned();
    assert_eq!(summary(&text), summary(&all.text()), "what is listed changes no count");

    let json = |arguments: &[&str]| {
        let verified = run(home.path(), arguments);
        assert_eq!(verified.code, 3);
        serde_json::from_str::<serde_json::Value>(&verified.text()).unwrap()["bundles"][0].clone()
    };
    let (short, all) = (json(&["verify", "many", "--json"]), json(&["verify", "many", "--json", "--all"]));
    let of_row = |json: &serde_json::Value| {
        json["findings"].as_array().unwrap().iter().filter(|finding| finding["code"] == "row").count()
    };
    assert_eq!((of_row(&short), of_row(&all)), (100, 501));
    assert_eq!(short["moreFindings"], serde_json::json!([{ "severity": "error", "code": "row", "count": 401 }]));
    assert_eq!(all["moreFindings"], serde_json::json!([]));
    assert_eq!(short["errors"], all["errors"]);
    let listed = all["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "error").count();
    assert_eq!(all["errors"], listed);
}

#[test]
fn pipe_and_file_get_the_same_verdict() {
    let home = home();
    for name in ["b.gz", "cut.gz"] {
        let from_file = run(home.path(), &["verify", name]);
        let from_pipe = run_with(home.path(), &["verify", "-"], &fs::read(home.path().join(name)).unwrap());
        let expected = from_file.text().replace(name, "standard input").replace("recover standard input", "recover -");
        assert_eq!(expected, from_pipe.text());
        assert_eq!(from_file.code, from_pipe.code);
    }
}

#[test]
fn recover_writes_an_intact_bundle_from_a_damaged_one() {
    let home = home();
    let recovered = run(home.path(), &["recover", "cut.gz", "-o", "new.gz"]);
    assert_eq!(recovered.code, 3);
    insta::assert_snapshot!(format!("{}---\n{}", recovered.text(), recovered.stderr));
    assert_eq!(run(home.path(), &["verify", "new.gz"]).code, 0);
    let rows = run(home.path(), &["cat", "new.gz"]).text();
    let log = fs::read_to_string(home.dirs().patchwork.join("runs.jsonl")).unwrap();
    assert!(!rows.is_empty() && log.starts_with(&rows));
}

#[test]
fn log_with_an_edited_row_is_not_reported_as_original() {
    let home = home();
    let text = String::from_utf8(crate::common::text_of(&fs::read(home.path().join("b.gz")).unwrap())).unwrap();
    fs::write(home.path().join("edited"), text.replacen("\"seq\":17,", "\"seq\":71,", 1)).unwrap();
    let recovered = run(home.path(), &["recover", "edited", "-o", "out.gz"]);
    insta::assert_snapshot!(format!("{}{}(exit code {})", recovered.text(), recovered.stderr, recovered.code));
}

#[test]
fn recover_keeps_every_row_of_an_intact_bundle() {
    let home = home();
    let recovered = run(home.path(), &["recover", "b.gz", "-o", "new.gz"]);
    assert_eq!((recovered.code, recovered.stderr.as_str()), (0, ""));
    let imported = run(home.path(), &["import", "new.gz"]);
    assert!(imported.text().starts_with("nothing changed"), "{}", imported.text());
}

#[test]
fn recover_never_replaces_the_damaged_bundle() {
    let home = home();
    let before = fs::read(home.path().join("cut.gz")).unwrap();
    assert_eq!(run(home.path(), &["recover", "cut.gz", "-fo", "cut.gz"]).code, 2);
    assert_eq!(run(home.path(), &["recover", "cut.gz", "-fo", "./cut.gz"]).code, 2);
    assert_eq!(run(home.path(), &["recover", "cut.gz", "-o", "b.gz"]).code, 1);
    assert_eq!(run(home.path(), &["recover", "cut.gz", "-o", "-"]).code, 2);
    #[cfg(unix)]
    {
        let mut command = crate::common::program::command(home.path(), &["recover", "-", "-fo", "cut.gz"]);
        let refused = command.stdin(fs::File::open(home.path().join("cut.gz")).unwrap()).output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
        let mut command = crate::common::program::command(home.path(), &["recover", "-", "-fo", "other.gz"]);
        let done = command.stdin(fs::File::open(home.path().join("cut.gz")).unwrap()).output().unwrap();
        assert_eq!(done.status.code(), Some(3));
    }
    assert_eq!(fs::read(home.path().join("cut.gz")).unwrap(), before);
}

#[test]
fn recover_never_replaces_a_log() {
    let home = home();
    for name in ["runs.jsonl", "runs.jsonl.1", "activity-9.jsonl"] {
        let refused = run(home.path(), &["recover", "cut.gz", "-o", name]);
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        assert!(!home.path().join(name).exists());
        fs::write(home.path().join(name), "{}\n").unwrap();
        assert_eq!(run(home.path(), &["recover", "cut.gz", "-fo", name]).code, 1);
        assert_eq!(fs::read(home.path().join(name)).unwrap(), b"{}\n");
    }
}
