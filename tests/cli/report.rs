//! The files, output and exit codes of `report`. The page itself is tested in a browser (src/report/page/test/).

use std::fs;
use std::path::Path;
use std::process::Command;

use data_encoding::BASE64;
use serde_json::Value;

use crate::common::Home;
use crate::common::program::{run, run_with};

/// The parts of a report: what verification found, and the bundle.
fn parts(report: &Path) -> (Value, Vec<u8>) {
    let page = fs::read_to_string(report).unwrap();
    let block = |id: &str| {
        let start = page.split_once(&format!("id=\"{id}\">")).unwrap().1;
        start.split_once("</script>").unwrap().0.to_owned()
    };
    (serde_json::from_str(&block("report-data")).unwrap(), BASE64.decode(block("bundle-data").as_bytes()).unwrap())
}

fn home() -> Home {
    let home = Home::new()
        .with("runs.jsonl", "{\"taskId\":\"a\",\"createdAt\":1777716000000}\ntorn\n{\"x\":\"</script><!--\"}\n")
        .with_activity("activity-1.jsonl", "{\"timestamp\":\"2026-05-02T10:00:00Z\"}\n");
    run(home.path(), &["export", "-o", "b.jsonl.gz"]);
    home
}

#[test]
fn a_report_has_the_bundle_and_what_verification_found() {
    let home = home();
    let done = run(home.path(), &["report", "b.jsonl.gz", "-o", "r.html"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(done.text(), "wrote r.html with 3 rows; the verdict is intact\n");
    let (found, bundle) = parts(&home.path().join("r.html"));
    assert_eq!(bundle, fs::read(home.path().join("b.jsonl.gz")).unwrap());
    let digest = run(home.path(), &["verify", "b.jsonl.gz", "--json"]).json()["bundles"][0]["digest"].clone();
    assert_eq!((&found["digest"], &found["embedded"]["digest"]), (&digest, &digest));
    assert_eq!((&found["verdict"], &found["isGood"], &found["rows"]), (&"intact".into(), &true.into(), &3.into()));
    assert_eq!(found["madeAt"], "2026-05-02T10:00:00.000Z");
    let runs = &found["files"][0];
    assert_eq!((&runs["file"], &runs["rows"], &runs["unparsedLines"]), (&"runs.jsonl".into(), &2.into(), &1.into()));
    assert_eq!((&runs["bytes"], &runs["isVerified"]), (&68.into(), &true.into()));
    assert_eq!(runs["sha256"].as_str().unwrap().len(), 64);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(home.path().join("r.html")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_name_cannot_end_the_data_block() {
    let home = home();
    let name = "<script>&<!--.gz";
    fs::copy(home.path().join("b.jsonl.gz"), home.path().join(name)).unwrap();
    assert_eq!(run(home.path(), &["report", name, "-o", "r.html"]).code, 0);
    assert_eq!(parts(&home.path().join("r.html")).0["input"]["name"], name);
    let page = fs::read_to_string(home.path().join("r.html")).unwrap();
    assert!(!page.contains(name));
    assert_eq!(page.matches("</script>").count(), 3);
}

#[test]
fn rows_are_not_embedded_if_too_many_or_not_requested() {
    let home = home();
    let limited = run(home.path(), &["report", "b.jsonl.gz", "-o", "r.html", "--max-embed", "0.1kB"]);
    assert_eq!(limited.code, 2, "{}", limited.stderr);
    let limited = run(home.path(), &["report", "b.jsonl.gz", "-o", "r.html", "--max-embed", "100"]);
    assert_eq!(limited.code, 0);
    assert!(limited.text().contains("without rows"), "{}", limited.text());
    assert!(limited.stderr.contains("note: the rows are not in the report"), "{}", limited.stderr);
    let (found, bundle) = parts(&home.path().join("r.html"));
    assert!(bundle.is_empty() && found["embedded"].is_null());
    assert!(found["notEmbedded"].as_str().unwrap().contains("more than the 100"), "{found}");
    let without = run(home.path(), &["report", "b.jsonl.gz", "-fo", "r.html", "--no-embed"]);
    assert_eq!((without.code, without.stderr.as_str()), (0, ""));
    assert!(parts(&home.path().join("r.html")).1.is_empty());
    let all = run(home.path(), &["report", "b.jsonl.gz", "-fo", "r.html", "--embed", "--json"]).json();
    assert_eq!(all["embeddedBytes"], fs::metadata(home.path().join("b.jsonl.gz")).unwrap().len());
    assert_eq!(all["reportBytes"], fs::metadata(home.path().join("r.html")).unwrap().len());
}

#[test]
fn a_damaged_bundle_gives_a_report_that_says_so() {
    let home = home();
    let bundle = fs::read(home.path().join("b.jsonl.gz")).unwrap();
    fs::write(home.path().join("cut.gz"), &bundle[..bundle.len() - 60]).unwrap();
    let done = run(home.path(), &["report", "cut.gz", "-o", "r.html"]);
    assert_eq!(done.code, 3);
    assert!(done.text().contains("the verdict is damaged"), "{}", done.text());
    assert!(done.stderr.contains("warning: verification found errors"), "{}", done.stderr);
    let (found, embedded) = parts(&home.path().join("r.html"));
    assert_eq!((&found["verdict"], &found["isGood"]), (&"damaged".into(), &false.into()));
    assert!(!found["findings"].as_array().unwrap().is_empty());
    assert_eq!(embedded.len(), bundle.len() - 60);
}

#[test]
fn bundles_come_from_pipes_and_format_1_0_has_no_proof() {
    let home = home();
    let legacy = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/legacy/plain.v1.0.jsonl.gz");
    let bundle = fs::read(legacy).unwrap();
    let done = run_with(home.path(), &["report", "-", "-o", "r.html"], &bundle);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let (found, embedded) = parts(&home.path().join("r.html"));
    assert_eq!(embedded, bundle);
    assert_eq!(found["verdict"], "intactWithoutHashes");
    assert!(found["statement"].as_str().unwrap().contains("nothing proves"), "{found}");
}

#[test]
fn a_history_gives_one_bundle_of_all_rows_and_its_gaps() {
    let home = Home::new().with_activity("activity-1.jsonl", "{\"id\":1,\"timestamp\":\"2026-05-02T10:00:00Z\"}\n");
    run(home.path(), &["keep", "h"]);
    let log = home.dirs().activity.join("activity-1.jsonl");
    fs::write(&log, "{\"id\":5,\"timestamp\":\"2026-05-02T10:05:00Z\"}\n").unwrap();
    run(home.path(), &["keep", "h"]);
    let done = run(home.path(), &["report", "h", "-o", "r.html"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let (found, embedded) = parts(&home.path().join("r.html"));
    let history = &found["history"];
    assert_eq!((&history["segments"], &history["isComplete"]), (&2.into(), &false.into()));
    assert_eq!(history["gaps"].as_array().unwrap().len(), 1, "{history}");
    assert!(found["statement"].as_str().unwrap().contains("rows may be missing between segments"), "{found}");
    fs::write(home.path().join("embedded.gz"), embedded).unwrap();
    let merged = run(home.path(), &["verify", "embedded.gz", "--json"]).json();
    assert_eq!(merged["bundles"][0]["digest"], found["embedded"]["digest"]);
    assert_eq!((&merged["bundles"][0]["rows"], &found["files"][0]["rows"]), (&2.into(), &2.into()));
    for (limit, reason) in [(&["--max-embed", "100"][..], "more than the 100"), (&["--no-embed"], "not in this report")]
    {
        let arguments = [&["report", "h", "-fo", "r.html"], limit].concat();
        assert_eq!(run(home.path(), &arguments).code, 0);
        let found = parts(&home.path().join("r.html")).0;
        let text = found["notEmbedded"].as_str().unwrap();
        assert!(text.contains(reason) && text.contains("make one bundle of the history"), "{text}");
        assert!(!text.contains("Open the bundle here"), "{text}");
    }
    fs::remove_file(home.path().join("h/checkpoint")).unwrap();
    let segments: Vec<_> =
        fs::read_dir(home.path().join("h/segments/2026")).unwrap().map(|entry| entry.unwrap().path()).collect();
    fs::write(segments.iter().min().unwrap(), "damaged").unwrap();
    let damaged = run(home.path(), &["report", "h", "-fo", "r.html"]);
    assert_eq!(damaged.code, 3, "{}", damaged.stderr);
    let (found, embedded) = parts(&home.path().join("r.html"));
    assert!(embedded.is_empty() && found["verdict"] == "damaged", "{found}");
}

#[cfg(feature = "seal")]
#[test]
fn a_signature_is_reported_with_its_signer() {
    let home = home();
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/keys");
    fs::copy(keys.join("ed25519"), home.path().join("key")).unwrap();
    let public = fs::read_to_string(keys.join("ed25519.pub")).unwrap();
    fs::write(home.path().join("signers"), format!("me@example.org {public}")).unwrap();
    fs::write(home.path().join("nobody"), "").unwrap();
    let signed = run(home.path(), &["sign", "b.jsonl.gz", "--key", "key"]);
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    let done = run(home.path(), &["report", "b.jsonl.gz", "--signers", "signers", "-o", "r.html"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let (found, _) = parts(&home.path().join("r.html"));
    assert_eq!(found["signature"]["isValid"], true);
    assert!(found["signature"]["summary"].as_str().unwrap().starts_with("valid, by me@example.org ("), "{found}");
    assert!(found["statement"].as_str().unwrap().contains("the signer vouched"), "{found}");
    let unknown = run(home.path(), &["report", "b.jsonl.gz", "--signers", "nobody", "-fo", "r.html"]);
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);
    assert!(unknown.text().contains("the verdict is not as required"), "{}", unknown.text());
    let (found, _) = parts(&home.path().join("r.html"));
    assert_eq!((&found["signature"]["isValid"], &found["verdict"]), (&false.into(), &"intact".into()));
}

#[test]
fn bad_input_leaves_nothing_behind() {
    let home = home();
    fs::write(home.path().join("picture.png"), "\u{89}PNG").unwrap();
    fs::write(home.path().join("old.html"), "mine").unwrap();
    run(home.path(), &["keep", "h"]);
    for (code, arguments) in [
        (1, &["report", "nothing.gz", "-o", "r.html"][..]),
        (1, &["report", "picture.png", "-o", "r.html"]),
        (1, &["report", "b.jsonl.gz", "-o", "old.html"]),
        (1, &["report", "b.jsonl.gz", "-o", "no/such/r.html"]),
        (1, &["report", "b.jsonl.gz", "-fo", "runs.jsonl"]),
        (2, &["report", "b.jsonl.gz", "-fo", "b.jsonl.gz"]),
        (2, &["report", "h", "-o", "h/r.html"]),
        (2, &["report", "b.jsonl.gz", "-o", "-"]),
        (2, &["report", "b.jsonl.gz", "-o", "r.html", "--embed", "--no-embed"]),
        (2, &["report", "b.jsonl.gz"]),
    ] {
        let refused = run(home.path(), arguments);
        assert_eq!(refused.code, code, "{arguments:?}: {}", refused.stderr);
        assert!(refused.stdout.is_empty() && !refused.stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(fs::read_to_string(home.path().join("old.html")).unwrap(), "mine");
    assert!(!home.path().join("r.html").exists());
    let verified = run(home.path(), &["verify", "b.jsonl.gz", "h"]);
    assert_eq!(verified.code, 0, "{}", verified.text());
}

/// Checks that the data in the page's own tests (`page/test/contract.test.ts`) is written by this program.
#[cfg(feature = "seal")]
#[test]
fn the_page_is_tested_with_the_data_that_the_program_writes() {
    let home = home();
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/keys");
    let public = fs::read_to_string(keys.join("ed25519.pub")).unwrap();
    fs::copy(keys.join("ed25519"), home.path().join("key")).unwrap();
    fs::write(home.path().join("signers"), format!("me@example.org {public}")).unwrap();
    expect_page_data(&home, "bundle", &["b.jsonl.gz"]);
    run(home.path(), &["sign", "b.jsonl.gz", "--key", "key"]);
    expect_page_data(&home, "signed", &["b.jsonl.gz", "--signers", "signers", "--no-embed"]);
    let bundle = fs::read(home.path().join("b.jsonl.gz")).unwrap();
    fs::write(home.path().join("cut.gz"), &bundle[..bundle.len() - 60]).unwrap();
    expect_page_data(&home, "damaged", &["cut.gz"]);
    run(home.path(), &["keep", "h"]);
    let log = home.dirs().activity.join("activity-1.jsonl");
    fs::write(&log, "{\"id\":5,\"timestamp\":\"2026-05-02T10:05:00Z\"}\n").unwrap();
    run(home.path(), &["keep", "h"]);
    expect_page_data(&home, "history", &["h"]);
}

/// Compares the data of a report with `page/test/reports/<name>.json`. What each build or run changes is masked.
#[cfg(feature = "seal")]
fn expect_page_data(home: &Home, name: &str, arguments: &[&str]) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/page/test");
    if !tests.is_dir() {
        eprintln!("skipped: a package does not have the sources of the page");
        return;
    }
    let done = run(home.path(), &[&["report", "-fo", "r.html"], arguments].concat());
    assert!([0, 3].contains(&done.code), "{}", done.stderr);
    let mut data = parts(&home.path().join("r.html")).0;
    data["program"] = "patchwork-traces 0.0.0".into();
    mask(&mut data);
    let current = format!("{data:#}\n");
    let path = tests.join("reports").join(format!("{name}.json"));
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &current).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    let hint = "run: UPDATE_SCHEMAS=1 cargo test --test cli report, then src/report/page/ci.sh";
    assert!(known == current, "{} is stale; {hint}\n{current}", path.display());
}

/// Replaces digests, the identifiers of histories and positions in compressed files: what other versions write differs in them.
#[cfg(feature = "seal")]
fn mask(value: &mut Value) {
    match value {
        Value::String(text) => {
            let words = text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric());
            let mut is_position = false;
            *text = words.map(|word| masked(word, std::mem::replace(&mut is_position, word == "byte "))).collect();
        }
        Value::Array(values) => values.iter_mut().for_each(mask),
        Value::Object(members) => members.values_mut().for_each(mask),
        _ => {}
    }
}

#[cfg(feature = "seal")]
fn masked(word: &str, is_position: bool) -> String {
    let (letters, end) = word.split_at(word.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric()).len());
    let is_hash = letters.len() >= 16 && letters.bytes().all(|byte| byte.is_ascii_hexdigit());
    match (is_position, is_hash) {
        (true, _) => format!("0{end}"),
        (_, true) => format!("{}{end}", "0".repeat(letters.len())),
        _ => word.to_owned(),
    }
}

/// The committed page is what its sources give. Needs Node, and the packages that `npm ci` installs.
#[test]
fn the_page_is_built_from_its_sources() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/page");
    if !sources.join("node_modules/esbuild").is_dir() {
        eprintln!("skipped: run `npm ci` in src/report/page/ first");
        return;
    }
    let checked = Command::new("node").args(["build.mjs", "--check"]).current_dir(&sources).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
