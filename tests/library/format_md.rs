//! FORMAT.md describes what the code does: its sections, tables and worked example are compared with the library.

use std::collections::BTreeSet;
use std::path::Path;

use patchwork_traces::format::Timeline;
use patchwork_traces::format::limits::{
    CHUNK_BYTES, FULL_CHUNK_BYTES, MAX_AROUND_BYTES, MAX_CHUNK_BYTES, MAX_COUNT, MAX_DEPTH, MAX_ENVELOPE_BYTES,
    MAX_FILES, MAX_GROWN_BYTES, MAX_LOG_LINE_BYTES, MAX_MANIFEST_BYTES, MAX_MISSING_IDS, MAX_NAME_BYTES,
    MAX_REDACTION_ITEMS, MAX_REWRITTEN_RATIO, MAX_TIMELINE_BINS,
};
use patchwork_traces::internal::classify;
use serde_json::Value;

fn in_repository(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn format_md() -> String {
    in_repository("FORMAT.md")
}

/// Returns the text below a heading, up to the next heading of any level.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let start = text.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("FORMAT.md has no {heading:?}"));
    let body = &text[start + heading.len() + 5..];
    &body[..body.find("\n##").unwrap_or(body.len())]
}

/// Returns the cells of all table rows in a text, without backquotes.
fn table_rows(text: &str) -> impl Iterator<Item = Vec<String>> + '_ {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    rows.map(|row| row.split('|').map(|cell| cell.trim().replace('`', "")).collect())
}

/// Returns the contents of the fenced blocks in a text.
fn fenced_blocks(text: &str) -> Vec<&str> {
    text.split("\n```").skip(1).step_by(2).map(|block| &block[block.find('\n').unwrap() + 1..]).collect()
}

#[test]
fn every_section_named_in_the_code_exists() {
    let text = format_md();
    let mut named = 0;
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let code = std::fs::read_to_string(&path).unwrap();
            // A reference can continue on the next line of a comment.
            let code = code.replace("\n//! ", " ").replace("\n/// ", " ").replace("\n    /// ", " ");
            for (at, mark) in code.match_indices("FORMAT.md, \"") {
                section(&text, code[at + mark.len()..].split('"').next().unwrap());
                named += 1;
            }
        }
    }
    assert!(named >= 15, "only {named} references were found in src/");
}

#[test]
fn limits_table_matches_the_constants() {
    let constants = [
        ("MAX_MANIFEST_BYTES", MAX_MANIFEST_BYTES),
        ("MAX_FILES", MAX_FILES as u64),
        ("MAX_LOG_LINE_BYTES", MAX_LOG_LINE_BYTES),
        ("MAX_ENVELOPE_BYTES", MAX_ENVELOPE_BYTES),
        ("CHUNK_BYTES", CHUNK_BYTES),
        ("FULL_CHUNK_BYTES", FULL_CHUNK_BYTES),
        ("MAX_CHUNK_BYTES", MAX_CHUNK_BYTES),
        ("MAX_COUNT", MAX_COUNT),
        ("MAX_DEPTH", MAX_DEPTH as u64),
        ("MAX_NAME_BYTES", MAX_NAME_BYTES as u64),
        ("MAX_TIMELINE_BINS", MAX_TIMELINE_BINS as u64),
        ("MAX_MISSING_IDS", MAX_MISSING_IDS as u64),
        ("MAX_REDACTION_ITEMS", MAX_REDACTION_ITEMS as u64),
        ("MAX_REWRITTEN_RATIO", MAX_REWRITTEN_RATIO),
        ("MAX_GROWN_BYTES", MAX_GROWN_BYTES),
        ("MAX_AROUND_BYTES", MAX_AROUND_BYTES),
    ];
    let text = format_md();
    let table: Vec<_> =
        table_rows(section(&text, "Limits")).skip(1).map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(table, constants.map(|(name, value)| (name.to_owned(), value.to_string())));
}

/// Parses a range of characters, such as `U+0009` or `U+0009 to U+000D`.
fn characters(range: &str) -> std::ops::RangeInclusive<char> {
    let character = |name: &str| {
        let digits = name.strip_prefix("U+").unwrap_or_else(|| panic!("{name:?} is no character"));
        char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap()
    };
    match range.split_once(" to ") {
        Some((first, last)) => character(first)..=character(last),
        None => character(range)..=character(range),
    }
}

#[test]
fn trimmed_characters_match_the_code() {
    let text = format_md().replace("\n   ", " ");
    let (_, rest) = text.split_once("JavaScript's `trim` does: ").unwrap();
    let listed: BTreeSet<char> = rest[..rest.find('.').unwrap()].split(", ").flat_map(characters).collect();
    let trimmed = ('\0'..=char::MAX).filter(|c| classify(format!("{c}\"a\"{c}").as_bytes(), &[]).is_some());
    let trimmed: BTreeSet<char> = trimmed.collect();
    assert_eq!(listed, trimmed);
}

#[test]
fn timeline_steps_match_the_code() {
    let text = format_md();
    let timeline = section(&text, "Timeline").replace('\n', " ");
    let (_, rest) = timeline.split_once("The steps, in seconds: ").unwrap();
    let (seconds, rest) = rest.split_once("; and in days: ").unwrap();
    let days = rest.split('.').next().unwrap();
    let in_ms = |list: &str, unit: u64| -> Vec<u64> {
        list.split(',').map(|number| number.trim().parse::<u64>().unwrap() * unit).collect()
    };
    let listed = [in_ms(seconds, 1000), in_ms(days, 86_400_000)].concat();
    let mut steps = vec![1000];
    while Timeline::coarser_step(steps[steps.len() - 1]) > steps[steps.len() - 1] {
        steps.push(Timeline::coarser_step(steps[steps.len() - 1]));
    }
    assert_eq!(listed, steps);
}

/// Adds the names of all properties below `schema`.
fn add_properties(schema: &Value, names: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        names.extend(properties.keys().cloned());
    }
    match schema {
        Value::Object(object) => object.values().for_each(|value| add_properties(value, names)),
        Value::Array(array) => array.iter().for_each(|value| add_properties(value, names)),
        _ => {}
    }
}

#[test]
fn key_tables_match_the_schemas() {
    let mut in_schemas = BTreeSet::new();
    for published in ["schema/manifest.schema.json", "schema/row.schema.json"] {
        add_properties(&serde_json::from_str(&in_repository(published)).unwrap(), &mut in_schemas);
    }
    let text = format_md();
    let tables =
        ["Manifest", "Row", "Exact lines", "Timeline", "Redaction"].map(|heading| table_rows(section(&text, heading)));
    let keys =
        tables.into_iter().flatten().map(|row| row[0].clone()).filter(|key| key != "key" && !key.starts_with('-'));
    // In this table, the first column names the object.
    let of_minor_2 =
        table_rows(section(&text, "Minor version 2")).filter(|row| row.len() == 4).map(|row| row[1].clone());
    let keys = keys.chain(of_minor_2.filter(|key| key != "key" && !key.starts_with('-')));
    let in_tables: BTreeSet<_> =
        keys.flat_map(|keys| keys.split(", ").map(str::to_owned).collect::<Vec<_>>()).collect();
    assert_eq!(in_tables, in_schemas);
}

/// Returns the rules of the page, with their numbers.
fn rules(text: &str) -> Vec<(usize, String)> {
    let rules = text.split("\n- **R-").skip(1).map(|rule| {
        let (number, rest) = rule.split_once("** ").unwrap();
        let end = rest.find("\n\n").unwrap_or(rest.len());
        (number.parse().unwrap(), rest[..end].replace('\n', " "))
    });
    rules.collect()
}

#[test]
fn rules_are_numbered_in_order_and_references_exist() {
    let text = format_md();
    let numbers: Vec<_> = rules(&text).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
    let named = text.match_indices("R-").filter_map(|(at, _)| {
        let digits: String = text[at + 2..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().ok()
    });
    assert!(named.into_iter().all(|number| numbers.contains(&number)));
}

/// The rules of "Manifest" and "Minor version 2" that no reader can check.
const FOR_WRITERS_ONLY: [usize; 1] = [66];

#[test]
fn every_reader_rule_is_tested_by_a_bundle() {
    let mut tested = BTreeSet::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/conformance");
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let verdict: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            let rules = verdict["rules"].as_array().unwrap().iter().map(|rule| rule.as_str().unwrap()[2..].to_owned());
            tested.extend(rules.map(|rule| rule.parse::<usize>().unwrap()));
        }
    }
    let text = format_md();
    let binds_readers = |rule: &str| {
        let actors = ["reader MUST", "reader, and a restorer, MUST", "restorer MUST", "verifier MUST", "fault"];
        actors.iter().any(|actor| rule.contains(actor))
    };
    let faults_of_writers = section(&text, "Manifest").to_owned() + section(&text, "Minor version 2");
    let untested: Vec<_> = rules(&text)
        .into_iter()
        .filter(|(number, rule)| binds_readers(rule) || faults_of_writers.contains(&format!("**R-{number}**")))
        .filter(|(number, _)| !tested.contains(number) && !FOR_WRITERS_ONLY.contains(number))
        .collect();
    assert!(untested.is_empty(), "no bundle tests {untested:?}");
    let known = rules(&text).len();
    assert!(tested.iter().all(|number| (1..=known).contains(number)), "{tested:?}");
}

#[cfg(unix)]
mod worked_example {
    use std::io::Cursor;
    use std::path::Path;
    use std::process::Command;

    use patchwork_traces::bundle::{Access, Bundle};
    use patchwork_traces::digest::Sha256Digest;
    use patchwork_traces::export::Level;
    use patchwork_traces::export::{ExportOptions, export};
    use patchwork_traces::logs::{Dirs, DiscoverOptions, discover};
    use patchwork_traces::progress::NoProgress;

    use super::{fenced_blocks, format_md, section};
    use crate::common::{restore_all, text_of};

    /// Runs the example's shell commands in `directory`.
    fn make_logs(commands: &str, directory: &Path) {
        let status = Command::new("sh").args(["-euc", commands]).current_dir(directory).status().unwrap();
        assert!(status.success());
    }

    #[test]
    fn matches_what_the_library_writes() {
        let text = format_md();
        let example = section(&text, "Worked example");
        let [commands, expected_text, expected_digest, expected_sha256] = fenced_blocks(example)[..] else {
            panic!("the example has other blocks");
        };
        let home = tempfile::tempdir().unwrap();
        make_logs(commands, home.path());
        let dirs = Dirs { patchwork: home.path().join("patchwork"), activity: home.path().join("activity") };
        let exported_at = "2026-05-02T10:05:00.000Z".parse().unwrap();
        let options = ExportOptions::new("example 1", exported_at).level(Level::new(0).unwrap());
        let mut bundle = Vec::new();
        let logs = discover(&dirs, &DiscoverOptions::default()).unwrap();
        let report = export(&logs, &options, &mut bundle, "memory", &NoProgress).unwrap();

        assert_eq!(String::from_utf8(text_of(&bundle)).unwrap(), format!("{expected_text}\n"));
        assert_eq!(report.digest.to_string(), expected_digest);
        assert_eq!(Sha256Digest::of(&bundle).to_string(), expected_sha256);
        let chunks: Vec<_> = report.manifest.files.iter().flat_map(|file| &file.chunks).collect();
        let (first, second, length) = (chunks[0].compressed, chunks[1].compressed, bundle.len() as u64);
        let at = length - 10 - first - second;
        let sentence = format!(
            "The file has {length} bytes. Its first chunk begins at byte {at} = {length} - 10 - {first} - {second}, its second at byte {}.",
            at + first
        );
        assert!(example.replace('\n', " ").contains(&sentence), "the example should say: {sentence}");

        let opened = Bundle::from_seekable(Cursor::new(&bundle), "bundle").unwrap();
        assert_eq!(opened.access(), Access::Indexed);
        for (name, restored) in restore_all(opened).unwrap() {
            let base = if name.starts_with("activity") { &dirs.activity } else { &dirs.patchwork };
            assert_eq!(restored, std::fs::read(base.join(name)).unwrap());
        }
    }
}
