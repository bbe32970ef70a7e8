//! Generates intact bundles. Each is unusual in a way that a reader must accept.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use patchwork_traces::format::{Envelope, TimeKey};
use patchwork_traces::internal::classify;
use patchwork_traces::logs::known;
use serde_json::{Value, json};

use super::cases::{builder, changed, text_without_chunks, with_manifest};
use crate::common::Home;
use crate::common::bundle_builder::{BundleBuilder, gzip};

/// Returns every intact bundle with its name.
pub fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let intact = builder().write();
    let text = builder().text();
    let mut cases = container_cases(&intact, &text);
    cases.extend(json_cases());
    cases.extend(name_cases());
    cases.extend(version_cases());
    cases.extend(redaction_cases());
    cases.extend(optional_cases(&text));
    cases.extend(line_cases());
    cases.extend(time_cases());
    cases.extend(legacy_cases());
    cases
}

/// Returns the bundle with another header.
fn with_header(intact: &[u8], header: &[u8]) -> Vec<u8> {
    [header, &intact[10..]].concat()
}

/// Returns a gzip header with the given flags and the parts that they announce, in the order of RFC 1952.
pub fn header(flags: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 2, 11][..], &parts.concat()].concat()
}

/// Returns a header followed by its checksum.
pub fn with_checksum(header: &[u8]) -> Vec<u8> {
    [header, &crc32fast_hash(header).to_le_bytes()[..2]].concat()
}

fn crc32fast_hash(bytes: &[u8]) -> u32 {
    let mut crc32 = flate2::Crc::new();
    crc32.update(bytes);
    crc32.sum()
}

/// Compresses each piece of a text to a gzip member of its own.
fn members<'t>(pieces: impl Iterator<Item = &'t [u8]>) -> Vec<u8> {
    pieces.flat_map(gzip).collect()
}

fn container_cases(intact: &[u8], text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let (extra, name, comment) = (&b"\x05\0AB\x01\0x"[..], &b"r\xe9sum\xe9.jsonl\0"[..], &b"a comment\0"[..]);
    let with = |flags, parts: &[&[u8]]| with_header(intact, &header(flags, parts));
    let all = with_checksum(&header(0x1f, &[extra, name, comment]));
    vec![
        ("sound_gzip_header_text_flag", with(0x01, &[])),
        ("sound_gzip_header_checksum", with_header(intact, &with_checksum(&header(0x02, &[])))),
        ("sound_gzip_header_extra_field", with(0x04, &[extra])),
        ("sound_gzip_header_name", with(0x08, &[name])),
        ("sound_gzip_header_comment", with(0x10, &[comment])),
        ("sound_gzip_header_with_everything", with_header(intact, &all)),
        ("sound_members_within_rows", members(text.as_bytes().chunks(50))),
        ("sound_members_empty_between", {
            let (first, rest) = text.as_bytes().split_at(text.find('\n').unwrap() + 1);
            [gzip(first), gzip(b""), gzip(b""), gzip(rest), gzip(b"")].concat()
        }),
        ("sound_last_block_stored", {
            let end = intact.len() - 10;
            [&intact[..end], b"\x01\0\0\xff\xff", &intact[end + 2..]].concat()
        }),
        ("sound_last_block_after_empty_one", {
            let end = intact.len() - 10;
            [&intact[..end], b"\0\0\0\xff\xff", &intact[end..]].concat()
        }),
        ("sound_padding_of_one_byte", [intact, &[0]].concat()),
        ("sound_chunk_compressed_beyond_file", {
            with_manifest(|builder| builder.file(0)["chunks"][0]["compressed"] = json!(1_000_000_000))
        }),
    ]
}

/// Returns a bundle with the manifest line changed by `change`.
pub fn manifest_line(change: impl FnOnce(String) -> String) -> Vec<u8> {
    with_manifest(|builder| builder.manifest_line = Some(change(builder.manifest.to_string())))
}

/// Returns a bundle with each row changed by `row`, and then the manifest line by `manifest`.
fn each_line(row: impl Fn(&str) -> String, manifest: impl FnOnce(&Value) -> String) -> Vec<u8> {
    let mut builder = builder();
    for (_, text) in &mut builder.chunks {
        *text = text.lines().map(|line| row(line) + "\n").collect();
    }
    builder.update_chunk_table();
    builder.manifest_line = Some(manifest(&builder.manifest));
    builder.write()
}

/// Returns a bundle with each row changed by `change`.
fn each_row(change: impl Fn(&str) -> String) -> Vec<u8> {
    changed(|builder| {
        for (_, text) in &mut builder.chunks {
            *text = text.lines().map(|line| change(line) + "\n").collect();
        }
    })
}

/// Returns a row with its keys in reverse order.
fn reversed(line: &str) -> String {
    let row: Value = serde_json::from_str(line).unwrap();
    let entry = line.find("\"entry\":").unwrap() + 8;
    let end = line.find(",\"original\"").unwrap_or(line.len() - 1);
    let mut keys = vec![format!("\"entry\":{}", &line[entry..end])];
    if let Some(original) = row.get("original") {
        keys.insert(0, format!("\"original\":{original}"));
    }
    if let Some(file) = row.get("file") {
        keys.push(format!("\"file\":{file}"));
    }
    keys.push(format!("\"source\":{}", row["source"]));
    format!("{{{}}}", keys.join(","))
}

/// Returns a value as JSON, with the members of each object changed.
fn with_keys(value: &Value, change: &dyn Fn(&mut Vec<String>)) -> String {
    match value {
        Value::Object(map) => {
            let keys = map.iter().map(|(key, value)| format!("{}:{}", json!(key), with_keys(value, change)));
            let mut keys: Vec<_> = keys.collect();
            change(&mut keys);
            format!("{{{}}}", keys.join(","))
        }
        Value::Array(list) => {
            let items: Vec<_> = list.iter().map(|item| with_keys(item, change)).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

/// Escapes every character of a string.
fn escaped(text: &str) -> String {
    text.chars().map(|c| format!("\\u{:04X}", c as u32)).collect()
}

fn json_cases() -> Vec<(&'static str, Vec<u8>)> {
    let deep = "[".repeat(128) + &"]".repeat(128);
    let unknown = format!(
        "\"x-a\":1.5e300,\"x-a\":null,\"x-b\":{{\"files\":[],\"\\ud800\":\"\\udfff\"}},\"x-c\":{deep},\"x-d\":\"\\u0000\",\"x-e\":\"\\ud800\","
    );
    let unknown_in_rows = format!("{{{unknown}\"source\"");
    vec![
        ("sound_keys_in_another_order", each_line(reversed, |manifest| with_keys(manifest, &|keys| keys.reverse()))),
        (
            "sound_unknown_keys_in_manifest",
            with_manifest(|builder| {
                let add = |keys: &mut Vec<String>| keys.insert(0, unknown.trim_end_matches(',').to_owned());
                builder.manifest_line = Some(with_keys(&builder.manifest, &add));
            }),
        ),
        (
            "sound_unknown_keys_in_rows",
            each_row(|line| {
                line.replacen("{\"source\"", &unknown_in_rows, 1).replace("{\"text\"", "{\"x\":{},\"text\"")
            }),
        ),
        (
            "sound_white_space",
            each_line(
                |line| {
                    let (names, entry) = line.split_once("\"entry\":").unwrap();
                    let names = names.replace(',', "\t,\t").replace("{\"", "\t { \"").replace("\":\"", "\" : \"");
                    let end = entry.rfind('}').unwrap();
                    format!("{names}\"entry\" \t: {} \t}} \t\r", &entry[..end])
                },
                |manifest| serde_json::to_string_pretty(manifest).unwrap().replace('\n', "\t\r"),
            ),
        ),
        (
            "sound_escapes_in_known_strings",
            each_line(
                |line| line.replace("\"source\":\"runs\"", &format!("\"\\u0073ource\":\"{}\"", escaped("runs"))),
                |manifest| {
                    let names = ["manifest", "runs.jsonl", "patchwork", "crlf", "type", "sha256", "timeline"];
                    names.into_iter().fold(manifest.to_string(), |line, name| {
                        line.replace(&format!("\"{name}\""), &format!("\"{}\"", escaped(name)))
                    })
                },
            ),
        ),
        (
            "sound_file_where_not_needed",
            each_row(|line| line.replacen("\"runs\"", "\"runs\",\"file\":\"runs.jsonl\"", 1)),
        ),
        (
            "sound_separators_in_generator",
            manifest_line(|line| line.replace("\"tests\"", "\"a\u{85}b\u{2028}c\u{2029}\u{7f}\"")),
        ),
        ("sound_generator_empty", with_manifest(|builder| builder.manifest["generator"] = json!(""))),
        (
            "sound_digests_in_upper_case",
            with_manifest(|builder| {
                let upper = |value: &mut Value| *value = json!(value.as_str().unwrap().to_uppercase());
                for file in 0..2 {
                    upper(&mut builder.file(file)["sha256"]);
                    builder.file(file)["chunks"]
                        .as_array_mut()
                        .unwrap()
                        .iter_mut()
                        .for_each(|chunk| upper(&mut chunk["crc32"]));
                }
            }),
        ),
    ]
}

/// Returns a bundle of a home in chunks of two rows.
fn of_home(home: &Home) -> BundleBuilder {
    BundleBuilder::new(home, 2)
}

/// Returns a bundle of one small log with this source and file name, which the catalogue does not have.
fn named(source: &str, file: &str) -> Vec<u8> {
    renamed(source, file, "patchwork")
}

pub fn renamed(source: &str, file: &str, base: &str) -> Vec<u8> {
    let mut builder = of_home(&Home::new().with("x.jsonl", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n"));
    let names = format!("\"source\":{},\"file\":{}", json!(source), json!(file));
    builder.chunks.iter_mut().for_each(|(_, text)| *text = text.replace("\"source\":\"x\"", &names));
    builder.manifest["sources"] = json!([source]);
    builder.file(0)["source"] = json!(source);
    builder.file(0)["relativePath"] = json!(file);
    builder.file(0)["base"] = json!(base);
    builder.update_chunk_table();
    builder.write()
}

fn name_cases() -> Vec<(&'static str, Vec<u8>)> {
    let twins = Home::new().with("activity.jsonl", "{\"here\":1}\n").with_activity("activity.jsonl", "{\"there\":2}\n");
    vec![
        ("sound_name_of_255_bytes", named(&"s".repeat(255), &"f".repeat(255))),
        ("sound_name_of_255_bytes_in_2", named("two", &("é".repeat(127) + "x"))),
        ("sound_name_of_255_bytes_in_3", named("three", &"語".repeat(85))),
        ("sound_name_of_255_bytes_in_4", named("four", &("🦀".repeat(63) + "xyz"))),
        ("sound_name_of_one_byte", named("~", "-")),
        ("sound_name_with_odd_characters", named(" .. \u{2028}\u{202e}\u{200b}", "...\"{a}: *?<|> \u{fffd}\u{a0}.")),
        ("sound_names_that_differ_in_case", {
            let mut builder = of_home(&Home::new().with("a.jsonl", "1\n").with("b.jsonl", "2\n"));
            builder.manifest["sources"] = json!(["A", "a"]);
            builder.file(1)["source"] = json!("A");
            builder.file(1)["relativePath"] = json!("A.jsonl");
            builder.chunks[1].1 = builder.chunks[1].1.replace("\"b\"", "\"A\"");
            builder.update_chunk_table();
            builder.write()
        }),
        ("sound_name_in_both_directories", of_home(&twins).write()),
        ("sound_file_of_unknown_name", named("runs", "runs-2025.jsonl")),
        ("sound_source_unknown_in_activity", renamed("new", "new.jsonl", "activity")),
        ("sound_sources_in_order_of_bytes", {
            // In UTF-16 order, the second name would come first.
            of_home(&Home::new().with("\u{ff5e}.jsonl", "1\n").with("\u{1f980}.jsonl", "2\n")).write()
        }),
        ("sound_names_that_differ_in_form", {
            // The same letter, composed and decomposed. Names are compared byte for byte.
            let home = Home::new().with("\u{e9}.jsonl", "1\n").with("e\u{301}.jsonl", "2\n");
            of_home(&home).write()
        }),
    ]
}

/// Adds the keys of 1.2 to the usual bundle, which becomes the second segment of a history.
pub fn with_history(builder: &mut BundleBuilder) {
    builder.manifest["minor"] = json!(2);
    builder.manifest["label"] = json!("Ana’s laptop");
    builder.manifest["derivedFrom"] = json!({ "how": "redacted", "bundles": ["AB".repeat(32)] });
    builder.manifest["history"] =
        json!({ "id": "0123456789abcdef".repeat(2), "segment": 1, "previous": "cd".repeat(32) });
    let log = |rows: u64| json!({ "bytes": 4096, "rows": rows, "sha256": "ef".repeat(32) });
    builder.file(0)["follows"] =
        json!({ "state": "continues", "rowsBefore": 20, "overlap": 12, "trimmed": 8, "log": log(19) });
    builder.file(1)["follows"] = json!({
        "state": "gap", "rowsBefore": 5, "overlap": 0, "trimmed": 5, "log": log(3),
        "gap": { "afterRow": 5, "afterTime": "2026-05-01T00:00:00.000Z", "missingIds": [[6, 9], [11, 11]] },
    });
}

/// Adds the keys of a redacted bundle to the usual bundle.
pub fn with_redaction(builder: &mut BundleBuilder) {
    builder.manifest["minor"] = json!(2);
    builder.manifest["derivedFrom"] = json!({ "how": "redacted", "bundles": ["ab".repeat(32)] });
    builder.manifest["redaction"] = json!({
        "rules": 1, "only": ["secret"], "skip": ["jwt"], "rulesFile": "cd".repeat(32), "keyId": "0123456789abcdef",
        "sources": ["runs"], "drop": vec!["a.b"; 1000], "keepOnly": ["\"c d\"[0]"], "replaced": 3, "lines": 2,
    });
}

fn redaction_cases() -> Vec<(&'static str, Vec<u8>)> {
    let least = with_manifest(|builder| {
        with_redaction(builder);
        builder.manifest["redaction"] = json!({ "rules": 0, "replaced": 0, "lines": 0, "later": [1] });
    });
    vec![("sound_redaction", with_manifest(with_redaction)), ("sound_redaction_least", least)]
}

fn version_cases() -> Vec<(&'static str, Vec<u8>)> {
    let elsewhere = |builder: &mut BundleBuilder| {
        for file in 0..2 {
            let times = json!("2020-01-01T00:00:00.000Z");
            builder.file(file)["firstTime"] = times.clone();
            builder.file(file)["lastTime"] = times.clone();
            builder.file(file)["timeline"] = json!({ "stepMs": 1000, "bins": [[1_577_836_800, 3]] });
            builder.file(file)["chunks"].as_array_mut().unwrap().iter_mut().for_each(|chunk| {
                chunk["firstTime"] = times.clone();
                chunk["lastTime"] = times.clone();
            });
        }
    };
    let of_empty_history = |state: &str| {
        let mut builder = of_home(&Home::new().with("runs.jsonl", ""));
        builder.manifest["minor"] = json!(2);
        builder.manifest["history"] = json!({ "id": "0".repeat(32), "segment": 3, "previous": "0".repeat(64) });
        builder.file(0)["follows"] = match state {
            "absent" => json!({ "state": "absent", "rowsBefore": 7, "overlap": 0, "trimmed": 0 }),
            state => json!({
                "state": state, "rowsBefore": 7, "overlap": 7, "trimmed": 7,
                "log": { "bytes": 70, "rows": 7, "sha256": "0".repeat(64) },
            }),
        };
        builder.write()
    };
    vec![
        ("sound_minor_2", with_manifest(with_history)),
        (
            "sound_minor_2_first",
            with_manifest(|builder| {
                builder.manifest["minor"] = json!(2);
                builder.manifest["label"] = json!("x".repeat(252) + "a/b");
                builder.manifest["derivedFrom"] = json!({ "how": "merged", "bundles": vec!["ab".repeat(32); 3] });
                builder.manifest["filter"] = json!(["--where a=\u{85}", ""]);
                builder.manifest["history"] = json!({ "id": "f".repeat(32), "segment": 0 });
                for file in 0..2 {
                    let log = json!({
                        "bytes": builder.file(file)["bytes"], "rows": builder.file(file)["count"],
                        "sha256": builder.file(file)["sha256"],
                    });
                    builder.file(file)["follows"] =
                        json!({ "state": "first", "rowsBefore": 0, "overlap": 0, "trimmed": 0, "log": log });
                }
            }),
        ),
        (
            "sound_minor_2_gap_of_64_runs",
            with_manifest(|builder| {
                with_history(builder);
                builder.manifest["derivedFrom"]["how"] = json!("filtered");
                let ids: Vec<_> = (1..=64).map(|id| json!([id * 3, id * 3 + 1])).collect();
                builder.file(1)["follows"]["gap"] = json!({ "afterRow": 5, "missingIds": ids });
            }),
        ),
        (
            "sound_minor_2_rows_cut_off_already",
            with_manifest(|builder| {
                with_history(builder);
                builder.file(0)["follows"]["log"]["rows"] = json!(15);
                builder.file(1)["follows"]["gap"]["afterRow"] = json!(8);
            }),
        ),
        ("sound_minor_2_unchanged_but_torn", {
            let mut builder = of_home(&Home::new().with("runs.jsonl", "torn"));
            builder.manifest["minor"] = json!(2);
            builder.manifest["history"] = json!({ "id": "0".repeat(32), "segment": 1, "previous": "0".repeat(64) });
            builder.file(0)["follows"] = json!({
                "state": "unchanged", "rowsBefore": 7, "overlap": 7, "trimmed": 0,
                "log": { "bytes": 70, "rows": 7, "sha256": "0".repeat(64) },
            });
            builder.write()
        }),
        ("sound_minor_2_unchanged", of_empty_history("unchanged")),
        ("sound_minor_2_absent", of_empty_history("absent")),
        ("sound_minor_2_altered", of_empty_history("altered")),
        (
            "sound_minor_3_with_times_elsewhere",
            with_manifest(|builder| {
                builder.manifest["minor"] = json!(3);
                builder.manifest["news"] = json!([1]);
                elsewhere(builder);
            }),
        ),
        (
            "sound_minor_of_2_to_the_53",
            with_manifest(|builder| {
                builder.manifest["minor"] = json!(9_007_199_254_740_991_u64);
                elsewhere(builder);
            }),
        ),
        ("sound_source_unknown_with_times_elsewhere", {
            let mut builder = of_home(
                &Home::new()
                    .with("new.jsonl", "{\"createdAt\":1}\n{\"createdAt\":2}\n{\"at\":1777716000000}\n")
                    .with("also.jsonl", "1\n2\n3\n"),
            );
            elsewhere(&mut builder);
            builder.write()
        }),
    ]
}

fn optional_cases(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let without = |keys: &'static [&str]| {
        with_manifest(|builder| {
            for file in 0..2 {
                for key in keys {
                    builder.file(file).as_object_mut().unwrap().remove(*key);
                    let chunks = builder.file(file).get_mut("chunks").and_then(Value::as_array_mut);
                    let chunks = chunks.into_iter().flatten();
                    chunks.for_each(|chunk| drop(chunk.as_object_mut().unwrap().remove(*key)));
                }
            }
        })
    };
    let chunks_of_one_file = |file: usize| {
        let mut builder = builder();
        builder.file(file).as_object_mut().unwrap().remove("chunks");
        builder
    };
    vec![
        ("sound_without_times", without(&["firstTime", "lastTime", "timeline"])),
        ("sound_without_some_times", without(&["firstTime"])),
        ("sound_without_time_of_one_chunk", {
            with_manifest(|builder| drop(builder.file(0)["chunks"][0].as_object_mut().unwrap().remove("firstTime")))
        }),
        ("sound_without_chunks", gzip(text_without_chunks().as_bytes())),
        ("sound_without_chunks_not_compressed", text_without_chunks().into_bytes()),
        ("sound_without_chunks_before_zero", [gzip(text_without_chunks().as_bytes()), vec![0]].concat()),
        ("sound_without_chunks_in_two_members", {
            let text = text_without_chunks();
            let (first, rest) = text.as_bytes().split_at(1000);
            [gzip(first), gzip(rest)].concat()
        }),
        ("sound_chunks_of_one_file_ignored", {
            let mut builder = chunks_of_one_file(0);
            builder.file(1)["chunks"][0]["crc32"] = json!("00000000");
            builder.file(1)["chunks"][1]["compressed"] = json!(1);
            builder.file(1)["chunks"][1]["firstTime"] = json!("2020-01-01T00:00:00.000Z");
            gzip(builder.text().as_bytes())
        }),
        (
            "sound_chunks_of_one_file_without_last_line_feed",
            gzip(chunks_of_one_file(0).text().strip_suffix('\n').unwrap().as_bytes()),
        ),
        ("sound_list_of_chunks_empty", {
            let mut builder = builder();
            builder.file(0)["chunks"] = json!([]);
            builder.write()
        }),
        (
            "sound_empty_log_beside_chunks",
            of_home(&Home::new().with("runs.jsonl", "1\n2\n3\n").with("decision_traces.jsonl", "")).write(),
        ),
        ("sound_empty_log_recompressed", {
            let home = Home::new().with("runs.jsonl", "1\n2\n3\n").with("decision_traces.jsonl", "");
            gzip(of_home(&home).text().as_bytes())
        }),
        ("sound_chunk_places_shifted", {
            with_manifest(|builder| {
                for (chunk, by) in [(0, 1), (1, -1)] {
                    let compressed = &mut builder.file(0)["chunks"][chunk]["compressed"];
                    *compressed = json!(compressed.as_i64().unwrap() + by);
                }
            })
        }),
        ("sound_lists_empty", {
            let mut builder = of_home(&Home::new().with("runs.jsonl", ""));
            builder.file(0)["unparsed"] = json!([]);
            builder.file(0)["chunks"] = json!([]);
            builder.write()
        }),
        ("sound_timeline_coarser_with_empty_bins", {
            with_manifest(|builder| {
                builder.file(0)["timeline"] = json!({
                    "stepMs": 86_400_000, "bins": [[-3, 0], [20_574, 0], [20_575, 6], [999_999_999, 0]],
                });
            })
        }),
        ("sound_one_member_of_another_program", {
            let (head, rest) = text.as_bytes().split_at(text.find('\n').unwrap() + 1);
            [gzip(head), gzip(rest)].concat()
        }),
    ]
}

/// Returns lines of every kind that FORMAT.md, "Entry", distinguishes, without their line feeds.
pub fn entry_lines() -> Vec<Vec<u8>> {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let texts = [
        "null",
        "true",
        "-0.0",
        "1E400",
        "12345678901234567890.0123456789012345678901234567890",
        "\"\"",
        "[]",
        "{}",
        "[ 1 ,\t2 ]",
        "{\"a\":1,\"a\":2}",
        "{ \"b\" : 1, \"a\" : 2 }",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\\u00e9\"",
        "\"\\ud83e\\udd80\"",
        "\"\\ud83e\"",
        "\"\\udd80\\ud83e\"",
        "\"\\\\ud800\"",
        "{\"\\ud800\":\"\\uDBFF\\uE000\"}",
        "\"\u{7f}\u{80}\u{2027}\"",
        "\"a\u{85}b\u{2028}c\u{2029}d\"",
        "  1",
        "1\u{a0}",
        "\u{feff}\u{1680}2\u{2003}\u{202f}",
        "\u{b}3\u{c}",
        "[1,\r2]",
        "4\r",
        "\u{85}5",
        "\u{200b}6",
        "01",
        "+1",
        "NaN",
        "Infinity",
        "'a'",
        "\"\t\"",
        "{\"a\":1,}",
        "{a:1}",
        "[1 2]",
        "1 2",
        "\"\\x\"",
        "\"\\u12\"",
        "tru",
        "",
        " ",
        "\u{feff}",
    ];
    let trimmed = "\u{2000}\u{2001}\u{2002}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{205f}\u{3000}";
    let kept = "\u{8}\u{1c}\u{1f}\u{7f}\u{180e}\u{2060}\u{fffe}";
    let around = trimmed.chars().chain(kept.chars()).flat_map(|c| [format!("1{c}"), format!("{c}1")]);
    let others = [
        "1.",
        "1e",
        "1e+5",
        "{\"a\":1]",
        "[1,\u{a0}2]",
        "\"\\udc00\\ud800\"",
        "\"\\ud800\\ud800\"",
        "\"\\udc00\\udc00\"",
    ];
    let around = around.chain(others.map(str::to_owned)).chain([format!("[{}[]]", "[],".repeat(130))]);
    let nested = [
        deep(127),
        deep(128),
        deep(129),
        format!("{{\"a\":{}}}", deep(127)),
        format!("{{\"a\":{}}}", deep(128)),
        format!("\"{}\"", deep(200)),
    ];
    // One U+FFFD for each maximal subpart: truncated sequences, surrogates, overlong forms, values beyond U+10FFFF.
    let digits = "7".repeat(5000);
    let invalid = [
        &b"\xff"[..],
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\xa6",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf4\x90\x80\x80",
        b"\xf0\x9f\xa6x\x80\x80",
    ];
    let with_nul = [&b"\"\0\""[..], b"\0\0{\"torn\":1}", b"\0 1", b"\0"];
    let texts = texts.into_iter().map(|text| text.as_bytes().to_vec());
    let nested = nested.into_iter().map(String::into_bytes);
    let invalid = invalid.into_iter().flat_map(|bytes| [[b"\"", bytes, b"\""].concat(), bytes.to_vec()]);
    texts
        .chain(around.map(String::into_bytes))
        .chain(nested)
        .chain([digits.into_bytes()])
        .chain(invalid)
        .chain(with_nul.map(<[u8]>::to_vec))
        .collect()
}

fn line_cases() -> Vec<(&'static str, Vec<u8>)> {
    let entries: Vec<u8> = entry_lines().into_iter().flat_map(|line| [line, b"\n".to_vec()].concat()).collect();
    let ends = |log: &str| of_home(&Home::new().with("runs.jsonl", log)).write();
    vec![
        ("sound_every_kind_of_entry", of_home(&Home::new().with("runs.jsonl", entries)).write()),
        ("sound_unparsed_everywhere", ends("torn\n\n1\n2\nx\r\n{\n\0\n\0y\nz\n3\n\n4\n\n\n")),
        ("sound_unparsed_alone", ends("torn\n\ntorn")),
        ("sound_unparsed_last_without_line_feed", ends("1\n2\n{\"torn\":")),
        ("sound_crlf_mixed", ends("1\r\n2\n3\r\r\n4\rx\r\n\r\n5 \r\n6\r")),
        ("sound_crlf_with_unparsed_at_end", ends("1\r\n2\r\n\n\n")),
        ("sound_rows_of_25_bytes", of_home(&Home::new().with("x.jsonl", "0\n1\n2\n")).write()),
        ("sound_crlf_after_lf", ends("1\n2\r\n3\r\n4")),
        ("sound_crlf_last_without_line_feed", ends("1\r\n2\r\n3")),
        (
            "sound_logs_empty_and_of_one_byte",
            of_home(
                &Home::new()
                    .with("runs.jsonl", "")
                    .with("decision_traces.jsonl", "\n")
                    .with("commit_issue_links.jsonl", "7")
                    .with("other.jsonl", " "),
            )
            .write(),
        ),
        ("sound_line_ending_unusual", {
            // No rule requires the writer to declare the most frequent line ending. Here, each row has an `original`.
            let mut builder = of_home(&Home::new().with("runs.jsonl", "1\n2\n"));
            builder.file(0)["lineEnding"] = json!("crlf");
            let exact = |line: &str| {
                format!(
                    "{},\"original\":{{\"text\":\"{}\"}}}}\n",
                    line.strip_suffix('}').unwrap(),
                    line.rsplit_once(':').unwrap().1.strip_suffix('}').unwrap()
                )
            };
            builder.chunks.iter_mut().for_each(|(_, text)| *text = text.lines().map(exact).collect());
            builder.update_chunk_table();
            builder.write()
        }),
        ("sound_nul_in_text", {
            let mut builder = of_home(&Home::new().with("runs.jsonl", "\0\n \"\u{85}\"\n"));
            builder.file(0)["unparsed"] = json!([{ "line": 1, "text": "\0" }]);
            builder.write()
        }),
        ("sound_line_of_unusual_form", {
            // `bytes` instead of `text`, and unparsed lines one by one.
            let mut builder = of_home(&Home::new().with("runs.jsonl", "torn\ntorn\n 1\n"));
            builder.file(0)["unparsed"] = json!([{ "line": 1, "bytes": "dG9ybg==" }, { "line": 2, "text": "torn" }]);
            builder.chunks[0].1 = builder.chunks[0].1.replace("{\"text\":\" 1\"}", "{\"bytes\":\"IDE=\"}");
            builder.update_chunk_table();
            builder.write()
        }),
    ]
}

/// Returns the keys that can hold the time of a row of `source` (FORMAT.md, "Sources").
pub fn keys_of(source: &str) -> &'static [TimeKey] {
    known(source).map_or(&[TimeKey::Millis("createdAt"), TimeKey::Rfc3339("timestamp")], |source| source.times)
}

/// Returns a bundle of a home whose rows have times in unusual forms, which the builder does not read.
fn with_times(home: &Home) -> Vec<u8> {
    with_times_and(home, |_| ())
}

/// Works like [`with_times`], but also changes the manifest.
fn with_times_and(home: &Home, change: impl FnOnce(&mut BundleBuilder)) -> Vec<u8> {
    let mut builder = of_home(home);
    change(&mut builder);
    let mut next = BTreeMap::<usize, usize>::new();
    for (file, text) in builder.chunks.clone() {
        let index = next.entry(file).or_default();
        let keys = keys_of(builder.manifest["files"][file]["source"].as_str().unwrap());
        let time =
            |line: &str| classify(Envelope::decode(line.as_bytes()).unwrap().entry().as_bytes(), keys)?.time.timestamp;
        let times: Vec<_> = text.lines().filter_map(time).collect();
        let chunk = builder.file(file)["chunks"][*index].as_object_mut().unwrap();
        chunk.retain(|key, _| !key.ends_with("Time"));
        if let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) {
            chunk.insert("firstTime".to_owned(), json!(first));
            chunk.insert("lastTime".to_owned(), json!(last));
        }
        *index += 1;
    }
    builder.write()
}

/// Returns texts that are RFC 3339 times, and texts that are not.
pub fn times() -> Vec<&'static str> {
    vec![
        "2026-05-02T10:00:00.000Z",
        "2026-05-02T10:00:00Z",
        "2026-05-02t10:00:02.9999z",
        "2026-05-02T12:00:01.123456789+02:00",
        "2026-05-02T09:59:60Z",
        "2026-05-02T23:59:60.5+00:00",
        "2026-05-02T10:00:03-00:00",
        "2026-05-03T09:59:04+23:59",
        "2026-05-01T10:01:05-23:59",
        "2024-02-29T00:00:00Z",
        "2000-02-29T00:00:00Z",
        "1969-12-31T23:59:59.9999Z",
        "1969-12-31T23:59:59.0005Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9998-12-31T23:59:59.999999999Z",
        "9998-12-31T23:59:59-00:01",
        "9998-12-31T23:59:60Z",
        "9999-01-01T00:30:00+01:00",
        "0000-12-31T23:30:00-01:00",
        "0000-01-01T00:00:00Z",
        "9999-01-01T00:00:00Z",
        "2026-02-29T10:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-05-02T24:00:00Z",
        "2026-05-02T10:60:00Z",
        "2026-05-02T10:00:61Z",
        "2026-05-02T10:00:00",
        "2026-05-02 10:00:00Z",
        "2026-05-02_10:00:00Z",
        "2026-05-02T10:00Z",
        "2026-05-02T10:00:00.Z",
        "2026-05-02T10:00:00,5Z",
        "2026-05-02T10:00:00.0000000001Z",
        "20260502T100000Z",
        "2026-05-02T10:00:00+24:00",
        "2026-05-02T10:00:00+02",
        "2026-05-02T10:00:00+0200",
        "2026-05-02T10:00:00+02:60",
        "2026-05-02T10:00:00+02:00:00",
        "2026-05-02T10:00:00Z[UTC]",
        " 2026-05-02T10:00:00Z",
        "2026-05-02T10:00:00Z ",
        "+002026-05-02T10:00:00Z",
        "2026-5-2T10:00:00Z",
        "\u{662}026-05-02T10:00:00Z",
        "2026-05-02T10:00:00Z\n",
        "0000-12-31T23:59:59.9999Z",
        "",
    ]
}

fn time_cases() -> Vec<(&'static str, Vec<u8>)> {
    let runs = [
        "{\"createdAt\":1777716000000.9}",
        "{\"createdAt\":17777160000000e-1}",
        "{\"createdAt\":1,\"createdAt\":1777716005000}",
        "{\"createdAt\":1,\"createdAt\":\"no\"}",
        "{\"created\\u0041t\":1777716009000}",
        "{\"createdAt\":\"1777716000000\"}",
        "{\"createdAt\":1e300}",
        "{\"createdAt\":99999999999999999999}",
        "{\"createdAt\":253370764800000}",
        "{\"createdAt\":-62135596800001}",
        "[1]",
        "{\"a\":{\"createdAt\":1}}",
        "{\"createdAt\":null}",
        "{\"timestamp\":\"2020-01-01T00:00:00Z\"}",
    ];
    let activity: String =
        times().iter().map(|time| format!("{{\"timestamp\":{},\"createdAt\":5}}\n", json!(time))).collect();
    let home = Home::new().with("runs.jsonl", runs.join("\n") + "\n").with_activity("activity.jsonl", activity);
    let ends =
        "{\"createdAt\":-62135596800000}\n{\"createdAt\":-1}\n{\"createdAt\":-0.5}\n{\"createdAt\":253370764799999}\n";
    let many: String =
        (0..100).map(|row| format!("{{\"createdAt\":{}}}\n", 1_777_716_000_000_u64 + row * row * 1000)).collect();
    vec![
        ("sound_every_kind_of_time", with_times(&home)),
        ("sound_times_at_the_ends", with_times(&Home::new().with("runs.jsonl", ends))),
        ("sound_times_at_the_ends_in_wide_bins", {
            with_times_and(&Home::new().with("runs.jsonl", ends), |builder| {
                let step = 262_144 * 86_400_000_u64;
                builder.file(0)["timeline"] = json!({ "stepMs": step, "bins": [[-3, 1], [-1, 1], [0, 1], [11, 1]] });
            })
        }),
        ("sound_timeline_coarsest", {
            let mut builder = of_home(&Home::new().with("runs.jsonl", "{\"createdAt\":-1}\n{\"createdAt\":5}\n"));
            let step = 262_144 * 86_400_000_u64;
            builder.file(0)["timeline"] = json!({ "stepMs": step, "bins": [[-9, 0], [-1, 1], [0, 1], [99, 0]] });
            builder.write()
        }),
        ("sound_timeline_without_bins", {
            let mut builder = of_home(&Home::new().with("runs.jsonl", "1\n"));
            builder.file(0)["timeline"] = json!({ "stepMs": 1000, "bins": [] });
            builder.write()
        }),
        ("sound_timeline_of_64_seconds", {
            let log: String = (0..64).map(|row| format!("{{\"createdAt\":{}}}\n", row * 1000)).collect();
            of_home(&Home::new().with("runs.jsonl", log)).write()
        }),
        ("sound_timeline_of_64_bins", of_home(&Home::new().with("runs.jsonl", many)).write()),
        (
            "sound_manifest_times_in_other_forms",
            with_manifest(|builder| {
                builder.manifest["exportedAt"] = json!("9998-12-31T23:59:60.999999999Z");
                builder.file(0)["firstTime"] = json!("2026-05-02t12:00:00+02:00");
                builder.file(0)["lastTime"] = json!("2026-05-02T11:04:00.0004-00:00");
                builder.file(1)["firstTime"] = json!("2026-05-01T10:01:00-23:59");
                builder.file(1)["lastTime"] = json!("2026-05-03T09:59:02.5z".replace('z', "+23:59"));
            }),
        ),
        (
            "sound_exported_in_year_1",
            with_manifest(|builder| builder.manifest["exportedAt"] = json!("0001-01-01T00:00:00Z")),
        ),
    ]
}

fn legacy_cases() -> Vec<(&'static str, Vec<u8>)> {
    let deep = "[".repeat(200) + &"]".repeat(200);
    let manifest = json!({
        "type": "manifest", "version": 1, "minor": 0, "exportedAt": "2026-05-02T10:00:00.000Z", "sources": ["activity", "runs"],
        "files": [
            { "source": "runs", "relativePath": "runs.jsonl.1", "count": 1, "bytes": 1 },
            { "source": "runs", "relativePath": "runs.jsonl", "count": 2, "bytes": 0 },
            { "source": "activity", "relativePath": "activity-3100.jsonl", "count": 1, "bytes": 30 },
        ],
        "totalCount": 4,
    });
    let rows = format!(
        "{{\"source\":\"runs\",\"entry\":{{\"seq\":1}},\"file\":\"runs.jsonl.1\"}}\n{{\"source\":\"runs\",\"entry\":{deep}}}\n{{\"source\":\"runs\",\"entry\":\"\\ud800\"}}\n\
         {{\"source\":\"activity\",\"entry\":{{\"a\":1}},\"file\":\"activity-3100.jsonl\"}}\n"
    );
    let text = format!("{manifest}\n{rows}");
    vec![("sound_v1_0_minor_0_and_deep", gzip(text.as_bytes())), ("sound_v1_0_not_compressed", text.into_bytes())]
}
