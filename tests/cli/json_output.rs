//! The output of `--json` matches the published schemas.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::Home;
use crate::common::program::run;
use serde_json::Value;

/// The commands whose `--json` has a schema.
const DOCUMENTED: &[&str] = &[
    "export",
    "import",
    "verify",
    "inspect",
    "inspect-several",
    "inspect-keys",
    "cat",
    "recover",
    "merge",
    "filter",
    "diff",
    "scan",
    "redact",
    "prove",
    #[cfg(feature = "report")]
    "report",
    #[cfg(feature = "seal")]
    "sign",
    "keep",
    "inspect-history",
    "recover-history",
    "status",
    "demo",
    "completions",
    "man",
    "error",
];

fn published(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.schema.json"))
}

/// Checks that an output matches the published schema.
pub fn expect_valid(name: &str, output: &Value) {
    let schema: Value = serde_json::from_slice(&fs::read(published(name)).unwrap()).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(output).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {errors:?}");
    // A schema that lets everything pass would be no documentation.
    assert!(!validator.is_valid(&Value::Null) && !validator.is_valid(&serde_json::json!({})), "{name}");
}

#[test]
fn published_schemas_are_current() {
    let home = Home::new();
    for name in DOCUMENTED {
        let current = run(home.path(), &["schema", name]).stdout;
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(published(name), &current).unwrap();
        }
        let stale = fs::read(published(name)).unwrap_or_default() != current;
        assert!(!stale, "schema/{name}.schema.json is stale; run: UPDATE_SCHEMAS=1 cargo test --test cli json_output");
    }
}

#[test]
fn printed_line_schemas_match_the_published_ones() {
    let home = Home::new();
    for name in ["manifest", "row"] {
        for arguments in [&["schema", name][..], &["schema", name, "--json"]] {
            assert_eq!(run(home.path(), arguments).stdout, fs::read(published(name)).unwrap());
        }
    }
}

#[test]
fn every_json_output_matches_its_schema() {
    let home = Home::new()
        .with("runs.jsonl", "{\"createdAt\":1777716000000}\ntorn\n{}\n")
        .with("other.jsonl", "{}\n")
        .with_activity("activity-1.jsonl", "{\"timestamp\":\"2026-05-02T10:00:00Z\"}\n");
    for arguments in [&["export", "--json", "-o", "b.gz"][..], &["export", "--json", "-fo", "b.gz", "--include-other"]]
    {
        expect_valid("export", &run(home.path(), arguments).json());
    }
    let to_stdout = run(home.path(), &["export", "--json", "-o", "-"]);
    let report: Value = serde_json::from_str(&to_stdout.stderr).unwrap();
    expect_valid("export", &report);
    assert_eq!(report["notes"].as_array().unwrap().len(), 1);
    expect_valid("inspect", &run(home.path(), &["inspect", "--json", "b.gz"]).json());
    for _ in 0..2 {
        expect_valid("keep", &run(home.path(), &["keep", "--json", "history"]).json());
    }
    let legacy = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/legacy/plain.v1.0.jsonl.gz");
    expect_valid("inspect", &run(home.path(), &["inspect", "--json", legacy.to_str().unwrap()]).json());
    let several = run(home.path(), &["inspect", "--json", "b.gz", legacy.to_str().unwrap(), "nothing.gz"]);
    expect_valid("inspect-several", &several.json());
    assert_eq!(several.code, 1);
    let keys = run(home.path(), &["inspect", "--keys", "--json", "b.gz", legacy.to_str().unwrap()]);
    expect_valid("inspect-keys", &keys.json());
    let summary = run(home.path(), &["cat", "--json", "b.gz"]).stderr;
    expect_valid("cat", &serde_json::from_str(&summary).unwrap());
    let overwrite = ["import", "b.gz", "--json", "--mode", "overwrite"];
    fs::write(home.dirs().patchwork.join("runs.jsonl"), "{\"mine\":1}\n".repeat(200_000)).unwrap();
    for arguments in [&["import", "b.gz", "--json", "--dry-run"][..], &overwrite, &overwrite] {
        expect_valid("import", &run(home.path(), arguments).json());
    }
    let bundle = fs::read(home.path().join("b.gz")).unwrap();
    fs::write(home.path().join("cut.gz"), &bundle[..bundle.len() - 60]).unwrap();
    for arguments in [&["b.gz"][..], &["b.gz", "cut.gz", "nothing.gz"], &[legacy.to_str().unwrap()]] {
        expect_valid("verify", &run(home.path(), &[&["verify", "--json"], arguments].concat()).json());
    }
    for bundle in ["b.gz", "cut.gz"] {
        expect_valid("recover", &run(home.path(), &["recover", "--json", bundle, "-fo", "r.gz"]).json());
    }
    let merged =
        run(home.path(), &["merge", "--json", "b.gz", "r.gz", "b.gz", legacy.to_str().unwrap(), "-fo", "m.gz"]);
    expect_valid("merge", &merged.json());
    assert_eq!(merged.json()["notes"].as_array().unwrap().len(), 2, "b.gz again, and format 1.0: {}", merged.stderr);
    for arguments in [&["b.gz", "r.gz"][..], &["b.gz", "--here"], &["b.gz", "b.gz"]] {
        expect_valid("diff", &run(home.path(), &[&["diff", "--json"], arguments].concat()).json());
    }
    fs::write(
        home.dirs().patchwork.join("runs.jsonl"),
        "{\"a\":{\"password\":\"hunter2\"},\"b\":1}\ntorn jane@corp.io\n",
    )
    .unwrap();
    expect_valid("export", &run(home.path(), &["export", "--json", "-fo", "secret.gz"]).json());
    for bundle in ["secret.gz", "b.gz"] {
        expect_valid("scan", &run(home.path(), &["scan", "--json", bundle]).json());
    }
    let options = ["--drop", "a.password", "--keep-only", "a,b", "--skip", "jwt", "--source", "runs"];
    for options in [&[][..], &options] {
        let redacted = run(home.path(), &[&["redact", "--json", "secret.gz", "-fo", "clean.gz"], options].concat());
        expect_valid("redact", &redacted.json());
        for original in ["secret.gz", "clean.gz"] {
            let verified = run(home.path(), &["verify", "--json", "clean.gz", "--original", original]);
            expect_valid("verify", &verified.json());
            let refused = run(home.path(), &["verify", "--json", "secret.gz", "--original", original]);
            expect_valid("error", &serde_json::from_str(&refused.stderr).unwrap());
        }
    }
    let summary = run(home.path(), &["diff", "b.gz", "--here", "--json", "--rows"]).stderr;
    expect_valid("diff", &serde_json::from_str(&summary).unwrap());
    #[cfg(feature = "report")]
    for bundle in ["b.gz", "cut.gz", "history"] {
        expect_valid("report", &run(home.path(), &["report", "--json", bundle, "-fo", "r.html"]).json());
    }
    let failed = run(home.path(), &["inspect", "--json", "nothing.gz"]).stderr;
    expect_valid("error", &serde_json::from_str(&failed).unwrap());
    for refused in [
        &["cat", "b.gz", "--sorce", "x", "--json"][..],
        &["--jsom", "--json"],
        &["cat", "b.gz", "--source", "x", "--json"],
    ] {
        let refused = run(home.path(), refused);
        assert!(refused.code == 1 || refused.code == 2);
        expect_valid("error", &serde_json::from_str(&refused.stderr).unwrap());
    }
    expect_valid("man", &run(home.path(), &["man", "--json"]).json());
    expect_valid("completions", &run(home.path(), &["completions", "bash", "--json"]).json());
    expect_valid("status", &run(home.path(), &["--json"]).json());
    expect_valid("demo", &run(home.path(), &["demo", "--json"]).json());
}
