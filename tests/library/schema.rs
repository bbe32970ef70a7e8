//! The published schemas match the code, and every line of every fixture is valid against them. The library writes only
//! keys that the format has.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::common::{Home, bundle, restore_by_path, text_of};
use patchwork_traces::bundle::Bundle;
#[cfg(feature = "schema")]
use patchwork_traces::format::schema;
use patchwork_traces::internal::SequentialReader;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[cfg(feature = "schema")]
#[test]
fn published_schemas_are_current() {
    for (path, current) in
        [("schema/manifest.schema.json", schema::manifest()), ("schema/row.schema.json", schema::row())]
    {
        let path = in_repository(path);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &current).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            published == current,
            "{} is stale; run: UPDATE_SCHEMAS=1 cargo test --test library schema",
            path.display()
        );
    }
}

/// Validates lines against the published schemas.
struct Schemas {
    manifest: jsonschema::Validator,
    row: jsonschema::Validator,
}

impl Schemas {
    fn published() -> Self {
        let compile = |path| {
            let schema = serde_json::from_str(&std::fs::read_to_string(in_repository(path)).unwrap()).unwrap();
            jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
        };
        Self { manifest: compile("schema/manifest.schema.json"), row: compile("schema/row.schema.json") }
    }

    /// Checks every line of a bundle's text. Returns the number of rows.
    fn check(&self, text: &str, name: &str) -> usize {
        let (manifest, rows) = lines(text);
        expect_valid(&self.manifest, &serde_json::from_str(manifest).unwrap(), &format!("{name}: line 1"));
        for (index, row) in rows.iter().enumerate() {
            expect_valid(&self.row, &without_entry(row), &format!("{name}: line {}", index + 2));
        }
        rows.len()
    }

    /// Checks a bundle that this library wrote, which must have only keys that the format has.
    fn check_own(&self, text: &str) -> usize {
        let (manifest, rows) = lines(text);
        serde_json::from_str::<wire::Manifest>(manifest).unwrap();
        for row in rows {
            serde_json::from_str::<wire::Row>(row).unwrap();
        }
        self.check(text, "bundle")
    }
}

/// Returns the manifest line and the other lines.
fn lines(text: &str) -> (&str, Vec<&str>) {
    // Schemas do not require the last line feed. `verify` checks it.
    let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    (lines.next().unwrap(), lines.collect())
}

fn expect_valid(schema: &jsonschema::Validator, value: &Value, at: &str) {
    if let Err(error) = schema.validate(value) {
        panic!("{at}: {error}");
    }
}

/// Parses a row with `null` in place of its entry. An entry can nest deeper than the parser allows, and the schema
/// allows any value.
fn without_entry(line: &str) -> Value {
    let row: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(line).unwrap();
    let value = |(key, value): (String, &RawValue)| match key.as_str() {
        "entry" => (key, Value::Null),
        _ => (key, serde_json::from_str(value.get()).unwrap()),
    };
    row.into_iter().map(value).collect()
}

#[test]
fn every_line_of_every_fixture_is_valid() {
    let schemas = Schemas::published();
    let mut checked = 0;
    for path in files_below(&in_repository("fixtures")) {
        let name = path.display().to_string();
        // The validator's parser refuses unpaired surrogates, even in unknown keys.
        if name.contains("sound_unknown_keys") {
            continue;
        }
        // Some bundles are damaged on purpose. All lines that the library accepts must be valid.
        if name.ends_with(".jsonl.gz") && Bundle::open(&path).and_then(restore_by_path).is_ok() {
            let mut text = String::new();
            // Some are damaged only after the last row, which readers may skip.
            if SequentialReader::new(std::fs::File::open(&path).unwrap()).read_to_string(&mut text).is_ok() {
                schemas.check(&text, &name);
                checked += 1;
            }
        }
    }
    assert!(checked >= 3, "only {checked} bundles were found in fixtures/");
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn every_line_of_a_bundle_of_adversarial_logs_is_valid() {
    let nested = |levels| [vec![b'['; levels], vec![b']'; levels]].concat();
    let rows: [&[u8]; 14] = [
        b"\xef\xbb\xbf{\"createdAt\":1777716000000}",
        b"{\"id\":12345678901234567890,\"x\":1e400,\"z\":-0}",
        b"{\"a\":1,\"a\":2,\"__proto__\":{}}",
        b"{\"s\":\"\\ud800 \xff \xe2\x80\xa8\"}",
        b"{\"a\":\r1}",
        b"\0\0",
        b"",
        b"torn {\"",
        b"\xff",
        b"null",
        &nested(127),
        &nested(128),
        &nested(129),
        b"{\"createdAt\":-1}",
    ];
    let log = |ending: &[u8]| rows.map(|row| [row, ending].concat()).concat();
    let home = Home::new()
        .with("runs.jsonl.1", log(b"\n"))
        .with("runs.jsonl", [log(b"\r\n"), b"{}".to_vec()].concat())
        .with("decision_traces.jsonl", "")
        .with("activity.jsonl", "{\"timestamp\":\"2026-05-02T10:00:00+02:00\"}\n")
        .with_activity("activity-3100.jsonl", "{\"timestamp\":\"2026-05-02T10:00:00.000Z\"}\n".repeat(50_000));
    let text = String::from_utf8(text_of(&bundle(&home))).unwrap();
    assert_eq!(Schemas::published().check_own(&text), 9 + 10 + 1 + 50_000);
}

#[test]
fn empty_bundle_is_valid() {
    let text = String::from_utf8(text_of(&bundle(&Home::new()))).unwrap();
    assert_eq!(Schemas::published().check_own(&text), 0);
}

#[test]
fn schemas_refuse_lines_that_the_format_forbids() {
    let schemas = Schemas::published();
    let file = r#"{"source":"runs","relativePath":"runs.jsonl","base":"patchwork","count":0,"bytes":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","lineEnding":"lf","finalNewline":true}"#;
    let sound = format!(
        r#"{{"type":"manifest","version":1,"minor":1,"generator":"x","exportedAt":"2026-05-02T10:00:00.000Z","sources":["runs"],"files":[{file}],"totalCount":0}}"#
    );
    assert!(schemas.manifest.is_valid(&serde_json::from_str(&sound).unwrap()));
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        ("\"type\":\"manifest\"", "\"type\":\"row\""),
        ("\"generator\":\"x\",", ""),
        ("\"base\":\"patchwork\",", ""),
        ("\"base\":\"patchwork\"", "\"base\":null"),
        ("\"lineEnding\":\"lf\"", "\"lineEnding\":\"cr\""),
        ("\"count\":0", "\"count\":-1"),
        ("\"bytes\":0", "\"bytes\":9007199254740992"),
        ("runs.jsonl", "../runs.jsonl"),
        ("runs.jsonl", ".."),
        ("2026-05-02T10:00:00.000Z", "yesterday"),
        ("\"finalNewline\":true", "\"finalNewline\":true,\"timeline\":{\"stepMs\":1001,\"bins\":[]}"),
        ("\"finalNewline\":true", "\"finalNewline\":true,\"unparsed\":[{\"line\":1}]"),
        ("\"finalNewline\":true", "\"finalNewline\":true,\"unparsed\":[{\"line\":0,\"text\":\"\"}]"),
    ] {
        assert!(sound.contains(from), "{from}");
        let wrong = serde_json::from_str(&sound.replacen(from, to, 1)).unwrap();
        assert!(!schemas.manifest.is_valid(&wrong), "{to} is let through");
    }
    for row in [
        r#"{"source":"runs"}"#,
        r#"{"entry":{}}"#,
        r#"{"source":"runs","entry":{},"file":null}"#,
        r#"{"source":"a/b","entry":{}}"#,
        r#"{"source":"runs","entry":{},"original":"x"}"#,
        r#"{"source":"runs","entry":{},"original":{"text":"x","bytes":"eA=="}}"#,
    ] {
        assert!(!schemas.row.is_valid(&serde_json::from_str(row).unwrap()), "{row} is accepted");
    }
}

/// The lines as FORMAT.md declares them. Unknown keys are refused, so a key that the library writes but the format
/// lacks is found.
#[allow(dead_code)]
mod wire {
    use super::{Deserialize, RawValue};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct Manifest {
        r#type: String,
        version: u64,
        minor: Option<u64>,
        generator: Option<String>,
        exported_at: String,
        sources: Vec<String>,
        files: Vec<File>,
        total_count: u64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct File {
        source: String,
        relative_path: String,
        base: Option<Base>,
        count: u64,
        bytes: u64,
        sha256: Option<String>,
        line_ending: Option<LineEnding>,
        final_newline: Option<bool>,
        first_time: Option<String>,
        last_time: Option<String>,
        timeline: Option<Timeline>,
        unparsed: Option<Vec<Unparsed>>,
        chunks: Option<Vec<Chunk>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Base {
        Patchwork,
        Activity,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum LineEnding {
        Lf,
        Crlf,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct Timeline {
        step_ms: u64,
        bins: Vec<(i64, u64)>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Unparsed {
        line: u64,
        text: Option<String>,
        bytes: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    pub struct Chunk {
        compressed: u64,
        bytes: u64,
        rows: u64,
        crc32: String,
        first_time: Option<String>,
        last_time: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Row<'a> {
        source: String,
        file: Option<String>,
        #[serde(borrow)]
        entry: &'a RawValue,
        original: Option<Exact>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Exact {
        text: Option<String>,
        bytes: Option<String>,
    }
}
