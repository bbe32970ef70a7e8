//! Generates bundles that break one rule each, in addition to those of `cases.rs`.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::cases::{builder, in_base64, in_chunk, in_manifest, text_without_chunks, with_manifest};
use super::sound::{header, manifest_line, renamed, with_checksum, with_history};
use crate::common::Home;
use crate::common::bundle_builder::{BundleBuilder, gzip};

/// Returns every bundle that breaks a rule, with its name.
pub fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let mut cases = container_cases();
    cases.extend(first_line_cases());
    cases.extend(json_cases());
    cases.extend(value_cases());
    cases.extend(time_cases());
    cases.extend(consistency_cases());
    cases.extend(unparsed_cases());
    cases.extend(timeline_cases());
    cases.extend(history_cases());
    cases.extend(redaction_cases());
    cases.extend(follows_cases());
    cases.extend(row_cases());
    cases.extend(line_cases());
    cases.extend(lax_cases());
    cases
}

fn container_cases() -> Vec<(&'static str, Vec<u8>)> {
    let intact = builder().write();
    let with_header = |header: &[u8]| [header, &intact[10..]].concat();
    let mut wrong_checksum = with_checksum(&header(0x02, &[]));
    *wrong_checksum.last_mut().unwrap() ^= 1;
    let mut wrong_second_member = gzip(b"");
    let end = wrong_second_member.len();
    wrong_second_member[end - 8] ^= 1;
    let mut second_member_cut = gzip(b"");
    second_member_cut.truncate(12);
    let mut of_other_method = intact.clone();
    of_other_method[2] = 7;
    vec![
        ("gzip_header_checksum_wrong", with_header(&wrong_checksum)),
        ("gzip_header_of_other_method", of_other_method),
        ("gzip_header_reserved_flag_5", with_header(&header(0x20, &[]))),
        ("gzip_header_reserved_flag_6", with_header(&header(0x40, &[]))),
        ("truncated_before_last_block", intact[..intact.len() - 10].to_vec()),
        ("truncated_in_manifest_of_another_program", {
            let mut bytes = gzip(builder().text().as_bytes());
            bytes.truncate(300);
            bytes
        }),
        ("gzip_member_after_zeros", [&intact[..], &[0], &gzip(b"")].concat()),
        ("gzip_second_member_crc_wrong", [&intact[..], &wrong_second_member].concat()),
        ("gzip_second_member_truncated", [&intact[..], &second_member_cut].concat()),
        ("recompressed_truncated", {
            let mut bytes = gzip(builder().text().as_bytes());
            bytes.truncate(bytes.len() - 30);
            bytes
        }),
    ]
}

/// Returns a gzip file with a bundle's header and this content.
fn in_our_header(text: &[u8]) -> Vec<u8> {
    let mut bytes = gzip(text);
    bytes[..10].copy_from_slice(&builder().write()[..10]);
    bytes
}

fn first_line_cases() -> Vec<(&'static str, Vec<u8>)> {
    let text = builder().text();
    let of_many = |key: &str| {
        let mut builder = builder();
        builder.manifest[key] = Value::Array(vec![json!("x"); 100_001]);
        gzip(builder.text().as_bytes())
    };
    let replaced = |from: &str, to: &str| gzip(text.replacen(from, to, 1).as_bytes());
    vec![
        ("manifest_after_space", in_our_header(format!(" {text}").as_bytes())),
        ("manifest_not_json_in_our_header", in_our_header(b"{not JSON}\n")),
        ("manifest_not_json_but_named", gzip(b"{\"type\":\"manifest\",}\n")),
        ("manifest_of_nothing_in_our_header", in_our_header(b"")),
        ("refused_after_space", gzip(format!(" {text}").as_bytes())),
        ("refused_after_byte_order_mark", gzip(format!("\u{feff}{text}").as_bytes())),
        ("refused_gzip_of_nothing", gzip(b"")),
        ("refused_not_json", gzip(b"{not JSON}\n")),
        ("refused_plain_object", b"{\"type\":\"other\",\"source\":1}\n".to_vec()),
        ("refused_type_of_other_kind", replaced("\"type\":\"manifest\"", "\"type\":[\"manifest\"]")),
        ("manifest_version_2_not_utf8", {
            let mut bytes = text.replacen("\"version\":1", "\"version\":2,\"x\":\"?\"", 1).into_bytes();
            let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
            bytes[at] = 0xff;
            gzip(&bytes)
        }),
        ("refused_version_as_string", replaced("\"version\":1", "\"version\":\"1\"")),
        ("refused_version_as_fraction", replaced("\"version\":1", "\"version\":1.0")),
        ("refused_version_0", replaced("\"version\":1", "\"version\":0")),
        ("refused_version_2_and_all_else_different", gzip(b"{\"version\":2,\"files\":7,\"type\":\"manifest\"}\n")),
        ("refused_plain_after_space", format!(" {text}").into_bytes()),
        ("refused_plain_after_byte_order_mark", format!("\u{feff}{text}").into_bytes()),
        ("refused_not_json_with_manifest", gzip(b"{manifest}\n")),
        ("refused_entry_without_source", gzip(b"{\"type\":\"row\",\"entry\":1}\n")),
        ("files_as_many_as_allowed", {
            let mut builder = builder();
            builder.manifest["files"] = Value::Array(vec![json!("x"); 100_000]);
            gzip(builder.text().as_bytes())
        }),
        ("key_twice_with_too_many_files", {
            let many = Value::Array(vec![json!("x"); 100_001]);
            gzip(text.replacen("{\"", &format!("{{\"files\":{many},\""), 1).as_bytes())
        }),
        ("refused_too_many_files", of_many("files")),
        ("refused_too_many_sources", of_many("sources")),
    ]
}

fn json_cases() -> Vec<(&'static str, Vec<u8>)> {
    let replaced = |from: &'static str, to: &'static str| {
        manifest_line(move |line| {
            assert!(line.contains(from), "{from}");
            line.replacen(from, to, 1)
        })
    };
    vec![
        ("count_as_fraction", replaced("\"totalCount\":10", "\"totalCount\":10.0")),
        ("count_as_exponent", replaced("\"totalCount\":10", "\"totalCount\":1e1")),
        ("count_negative_zero", replaced("\"line\":4", "\"line\":-0")),
        ("history_count_negative_zero", {
            let mut builder = builder();
            with_history(&mut builder);
            builder.manifest_line = Some(builder.manifest.to_string().replacen("\"overlap\":0", "\"overlap\":-0", 1));
            builder.write()
        }),
        ("count_negative_zero_of_bin", {
            let mut builder = BundleBuilder::new(&Home::new().with("runs.jsonl", "{\"createdAt\":1}\n"), 2);
            builder.manifest_line = Some(builder.manifest.to_string().replacen("[[0,1]]", "[[-0,1]]", 1));
            builder.write()
        }),
        ("count_as_string", replaced("\"totalCount\":10", "\"totalCount\":\"10\"")),
        ("count_above_2_to_the_53", replaced("\"minor\":1", "\"minor\":9007199254740992")),
        ("null_generator", replaced("\"generator\":\"tests\"", "\"generator\":null")),
        ("null_minor", replaced("\"minor\":1", "\"minor\":null")),
        ("null_version", replaced("\"version\":1", "\"version\":null")),
        ("null_first_time", replaced("\"firstTime\":\"2026-05-02T10:00:00.000Z\"", "\"firstTime\":null")),
        ("null_timeline", in_manifest("/files/0/timeline", Value::Null)),
        ("null_unparsed_bytes", in_manifest("/files/0/unparsed/0/text", Value::Null)),
        ("null_beside_unparsed_text", replaced("\"line\":4", "\"line\":4,\"bytes\":null")),
        ("key_twice_type", replaced("\"type\":\"manifest\"", "\"type\":\"other\",\"type\":\"manifest\"")),
        ("key_twice_version", replaced("\"version\":1", "\"version\":2,\"version\":1")),
        ("key_twice_in_file", replaced("\"finalNewline\":true", "\"finalNewline\":true,\"finalNewline\":true")),
        ("key_twice_in_chunk", replaced("\"rows\":2", "\"rows\":2,\"rows\":2")),
        ("key_twice_in_unparsed", replaced("\"line\":4", "\"line\":4,\"line\":4")),
        ("key_twice_with_escapes", replaced("\"line\":4", "\"line\":4,\"l\\u0069ne\":4")),
        ("manifest_with_nan", replaced("\"minor\":1", "\"minor\":1,\"x\":NaN")),
        ("key_twice_in_timeline", replaced("\"stepMs\"", "\"stepMs\":1000,\"stepMs\"")),
        ("surrogate_in_generator", replaced("\"generator\":\"tests\"", "\"generator\":\"\\ud800\"")),
        ("surrogate_in_unknown_key", replaced("\"minor\":1", "\"minor\":1,\"\\udc00\":1")),
    ]
}

fn value_cases() -> Vec<(&'static str, Vec<u8>)> {
    let file = |key: &str, value: Value| in_manifest(&format!("/files/1/{key}"), value);
    let without =
        |key: &'static str| with_manifest(|builder| drop(builder.manifest.as_object_mut().unwrap().remove(key)));
    let without_in_file =
        |key: &'static str| with_manifest(|builder| drop(builder.file(1).as_object_mut().unwrap().remove(key)));
    vec![
        ("version_missing", without("version")),
        ("sources_key_missing", without("sources")),
        ("exported_at_missing", without("exportedAt")),
        ("total_count_missing", without("totalCount")),
        (
            "chunk_compressed_missing",
            with_manifest(|builder| {
                drop(builder.file(0)["chunks"][0].as_object_mut().unwrap().remove("compressed"));
            }),
        ),
        (
            "chunk_crc32_missing",
            with_manifest(|builder| {
                drop(builder.file(0)["chunks"][0].as_object_mut().unwrap().remove("crc32"));
            }),
        ),
        (
            "minor_3_with_total_wrong",
            with_manifest(|builder| {
                builder.manifest["minor"] = json!(3);
                builder.manifest["totalCount"] = json!(11);
            }),
        ),
        ("minor_missing", without("minor")),
        ("minor_0_with_later_keys", in_manifest("/minor", json!(0))),
        ("minor_1_with_later_keys", {
            with_manifest(|builder| {
                with_history(builder);
                builder.manifest["minor"] = json!(1);
            })
        }),
        ("generator_missing", without("generator")),
        ("generator_of_other_type", in_manifest("/generator", json!(1))),
        ("base_missing", without_in_file("base")),
        ("base_unknown", file("base", json!("home"))),
        ("line_ending_missing", without_in_file("lineEnding")),
        ("line_ending_unknown", file("lineEnding", json!("cr"))),
        ("final_newline_missing", without_in_file("finalNewline")),
        ("final_newline_as_string", file("finalNewline", json!("true"))),
        ("sha256_of_63_digits", file("sha256", json!("a".repeat(63)))),
        ("sha256_with_other_letter", file("sha256", json!("g".repeat(64)))),
        ("crc32_as_number", file("chunks/0/crc32", json!(12_345_678))),
        ("crc32_of_7_digits", file("chunks/0/crc32", json!("1234567"))),
        ("name_empty", file("relativePath", json!(""))),
        ("name_of_256_bytes", file("relativePath", json!("é".repeat(128)))),
        ("name_of_dots", file("relativePath", json!(".."))),
        ("name_of_one_dot", file("source", json!("."))),
        ("name_of_one_dot_everywhere", renamed(".", "x.jsonl", "patchwork")),
        ("name_with_backslash", file("relativePath", json!("a\\b"))),
        ("name_with_control_character", file("relativePath", json!("a\u{1f}b"))),
        ("name_with_delete", file("relativePath", json!("a\u{7f}b"))),
        ("name_with_c1_character", file("relativePath", json!("a\u{9f}b"))),
        (
            "file_as_array",
            with_manifest(|builder| {
                let values =
                    ["source", "relativePath", "base", "count", "bytes", "sha256", "lineEnding", "finalNewline"];
                let file = builder.file(1).clone();
                *builder.file(1) = values.iter().map(|key| file[*key].clone()).collect();
            }),
        ),
        (
            "chunk_as_array",
            with_manifest(|builder| {
                let chunk = builder.file(0)["chunks"][0].clone();
                let values = ["compressed", "bytes", "rows", "crc32", "firstTime", "lastTime"];
                builder.file(0)["chunks"][0] = values.iter().map(|key| chunk[*key].clone()).collect();
            }),
        ),
        (
            "timeline_as_array",
            with_manifest(|builder| {
                let timeline = builder.file(0)["timeline"].clone();
                builder.file(0)["timeline"] = json!([timeline["stepMs"], timeline["bins"]]);
            }),
        ),
        ("unparsed_as_array", in_manifest("/files/0/unparsed/0", json!([4, "{\"taskId\":\"torn\n"]))),
        ("base_as_object", file("base", json!({ "activity": null }))),
        ("line_ending_as_object", file("lineEnding", json!({ "crlf": null }))),
        ("files_of_other_type", in_manifest("/files", json!({}))),
        ("file_of_other_type", in_manifest("/files/1", json!([]))),
    ]
}

fn time_cases() -> Vec<(&'static str, Vec<u8>)> {
    let exported = |time: &str| in_manifest("/exportedAt", json!(time));
    vec![
        ("time_of_year_9999", exported("9999-01-01T00:00:00.000Z")),
        ("time_of_year_9999_by_offset", exported("9998-12-31T23:00:00.000-01:00")),
        ("time_of_year_0", exported("0000-12-31T23:59:59.999Z")),
        ("time_with_space", exported("2026-05-02 10:00:00Z")),
        ("time_without_zone", exported("2026-05-02T10:00:00.000")),
        ("time_without_seconds", exported("2026-05-02T10:00Z")),
        ("time_in_basic_form", exported("20260502T100000Z")),
        ("time_with_comma", exported("2026-05-02T10:00:00,5Z")),
        ("time_with_ten_decimals", exported("2026-05-02T10:00:00.0000000001Z")),
        ("time_without_decimals_behind_point", exported("2026-05-02T10:00:00.Z")),
        ("time_on_30_february", exported("2026-02-30T10:00:00Z")),
        ("time_on_29_february_of_1900", exported("1900-02-29T10:00:00Z")),
        ("time_at_24_hours", exported("2026-05-02T24:00:00Z")),
        ("time_at_second_61", exported("2026-05-02T10:00:61Z")),
        ("time_with_offset_of_24_hours", exported("2026-05-02T10:00:00+24:00")),
        ("time_with_offset_without_colon", exported("2026-05-02T10:00:00+0000")),
        ("time_with_zone_name", exported("2026-05-02T10:00:00Z[UTC]")),
        ("time_as_number", in_manifest("/files/0/lastTime", json!(1_777_716_000_000_u64))),
        ("file_first_time_too_late", in_manifest("/files/0/firstTime", json!("2026-05-02T10:00:00.001Z"))),
        ("file_last_time_of_rows_without", {
            let mut builder = BundleBuilder::new(&Home::new().with("runs.jsonl", "1\n2\n"), 2);
            builder.file(0)["lastTime"] = json!("2026-05-02T10:00:00.000Z");
            builder.write()
        }),
        ("timeline_rows_too_many", in_manifest("/files/0/timeline/bins/0/1", json!(2))),
        ("timeline_rows_too_few", in_manifest("/files/0/timeline/bins/0/1", json!(0))),
        ("timeline_of_unknown_source_above_count", {
            let mut builder = BundleBuilder::new(&Home::new().with("new.jsonl", "{\"createdAt\":1}\n"), 2);
            builder.file(0)["timeline"] = json!({ "stepMs": 1000, "bins": [[0, 2]] });
            builder.write()
        }),
        ("timeline_bin_off_by_one", {
            with_manifest(|builder| {
                let bin = &mut builder.file(0)["timeline"]["bins"][0][0];
                *bin = json!(bin.as_i64().unwrap() - 1);
            })
        }),
    ]
}

fn consistency_cases() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("sources_twice", in_manifest("/sources", json!(["activity", "activity", "runs"]))),
        ("sources_missing_one", in_manifest("/sources", json!(["runs"]))),
        ("sources_one_too_many", in_manifest("/sources", json!(["activity", "runs", "z"]))),
        (
            "files_share_source_and_name",
            with_manifest(|builder| {
                builder.manifest["sources"] = json!(["runs"]);
                builder.file(1)["source"] = json!("runs");
                builder.file(1)["relativePath"] = json!("runs.jsonl");
            }),
        ),
        (
            "chunk_table_wrong_where_ignored",
            with_manifest(|builder| {
                builder.file(0).as_object_mut().unwrap().remove("chunks");
                builder.file(1)["chunks"][0]["rows"] = json!(3);
            }),
        ),
        (
            "sum_of_bytes_largest",
            with_manifest(|builder| {
                let other = builder.file(1)["bytes"].as_u64().unwrap();
                builder.file(0)["bytes"] = json!(9_007_199_254_740_991_u64 - other);
            }),
        ),
        (
            "files_share_base_and_name",
            with_manifest(|builder| {
                builder.file(1)["base"] = json!("patchwork");
                builder.file(1)["relativePath"] = json!("runs.jsonl");
            }),
        ),
        (
            "chunk_without_rows",
            with_manifest(|builder| {
                let empty = json!({ "compressed": 1, "bytes": 25, "rows": 0, "crc32": "00000000" });
                builder.file(0)["chunks"].as_array_mut().unwrap().push(empty);
            }),
        ),
        ("chunk_bytes_too_few_for_rows", in_manifest("/files/0/chunks/0/bytes", json!(49))),
        ("chunk_bytes_too_many", in_manifest("/files/0/chunks/0/bytes", json!(541_065_218))),
        (
            "chunk_bytes_of_last_too_high",
            with_manifest(|builder| {
                let bytes = &mut builder.file(1)["chunks"][1]["bytes"];
                *bytes = json!(bytes.as_u64().unwrap() + 1);
            }),
        ),
        ("chunk_border_within_line", {
            // Each chunk has its own checksum, length and number of line feeds.
            let mut builder = builder();
            let (file, first) = builder.chunks[0].clone();
            let border = first.len() - 30;
            builder.chunks[0] = (file, first[..border].to_owned());
            builder.chunks[1].1.insert_str(0, &first[border..]);
            builder.update_chunk_table();
            builder.file(0)["chunks"][0]["rows"] = json!(1);
            builder.file(0)["chunks"][1]["rows"] = json!(3);
            builder.write()
        }),
        ("chunk_compressed_0", in_manifest("/files/0/chunks/0/compressed", json!(0))),
        ("chunk_compressed_too_many", in_manifest("/files/0/chunks/0/compressed", json!(1_082_130_435))),
        (
            "sum_of_bytes_too_large",
            with_manifest(|builder| {
                (0..2).for_each(|file| builder.file(file)["bytes"] = json!(9_007_199_254_740_991_u64));
            }),
        ),
        ("sum_of_bytes_too_large_v1_0", {
            let file = |name: &str| json!({ "source": "runs", "relativePath": name, "count": 0, "bytes": 9_007_199_254_740_991_u64 });
            let manifest = json!({
                "type": "manifest", "version": 1, "exportedAt": "2026-05-02T10:00:00.000Z", "sources": ["runs"],
                "files": [file("runs.jsonl.1"), file("runs.jsonl")], "totalCount": 0,
            });
            gzip(format!("{manifest}\n").as_bytes())
        }),
        (
            "sum_of_counts_too_large",
            with_manifest(|builder| {
                (0..2).for_each(|file| builder.file(file)["count"] = json!(9_007_199_254_740_991_u64));
            }),
        ),
    ]
}

fn unparsed_cases() -> Vec<(&'static str, Vec<u8>)> {
    let unparsed = |value: Value| in_manifest("/files/0/unparsed", value);
    let without_lines = |key: &str, value: Value| {
        let mut builder = BundleBuilder::new(&Home::new().with("runs.jsonl", ""), 2);
        builder.file(0)[key] = value;
        builder.write()
    };
    vec![
        ("unparsed_line_0", in_manifest("/files/0/unparsed/0/line", json!(0))),
        (
            "unparsed_out_of_order",
            unparsed(json!([{ "line": 5, "text": "" }, { "line": 4, "text": "{\"taskId\":\"torn" }])),
        ),
        (
            "unparsed_line_twice",
            unparsed(json!([{ "line": 4, "text": "{\"taskId\":\"torn\n" }, { "line": 5, "text": "" }])),
        ),
        ("unparsed_one_beyond_end", unparsed(json!([{ "line": 9, "text": "\n" }]))),
        ("unparsed_without_line", unparsed(json!([{ "text": "" }]))),
        ("unparsed_text_and_bytes", unparsed(json!([{ "line": 4, "text": "x", "bytes": "eA==" }]))),
        ("unparsed_bytes_not_base64", unparsed(json!([{ "line": 4, "bytes": "eA" }]))),
        ("bytes_fewer_than_lines", in_manifest("/files/0/bytes", json!(8))),
        ("bytes_of_log_without_lines", without_lines("bytes", json!(1))),
        ("final_newline_false_of_log_without_lines", without_lines("finalNewline", json!(false))),
    ]
}

fn timeline_cases() -> Vec<(&'static str, Vec<u8>)> {
    let timeline = |value: Value| in_manifest("/files/0/timeline", value);
    let many: Vec<_> = (0..65).map(|bin| json!([bin, 0])).collect();
    vec![
        ("timeline_without_step", timeline(json!({ "bins": [] }))),
        ("timeline_step_unknown", timeline(json!({ "stepMs": 5000, "bins": [] }))),
        ("timeline_bins_out_of_order", timeline(json!({ "stepMs": 1000, "bins": [[2, 0], [1, 0]] }))),
        ("timeline_bin_twice", timeline(json!({ "stepMs": 1000, "bins": [[1, 0], [1, 0]] }))),
        ("timeline_of_65_bins", timeline(json!({ "stepMs": 1000, "bins": many }))),
        ("timeline_bin_of_three", timeline(json!({ "stepMs": 1000, "bins": [[1, 0, 0]] }))),
        ("timeline_bin_as_fraction", timeline(json!({ "stepMs": 1000, "bins": [[1.0, 0]] }))),
        ("timeline_bin_beyond_64_bits", timeline(json!({ "stepMs": 1000, "bins": [[9_223_372_036_854_776_i64, 0]] }))),
        ("timeline_rows_above_count", timeline(json!({ "stepMs": 86_400_000, "bins": [[20_575, 8]] }))),
        ("timeline_rows_before_year_1", timeline(json!({ "stepMs": 86_400_000, "bins": [[-719_163, 1]] }))),
    ]
}

/// Returns a bundle with the keys of 1.2, after a change.
fn in_history(change: impl FnOnce(&mut BundleBuilder)) -> Vec<u8> {
    with_manifest(|builder| {
        with_history(builder);
        change(builder);
    })
}

/// Returns a bundle with the keys of 1.2, and another value at this pointer.
fn set(pointer: &'static str, value: Value) -> Vec<u8> {
    in_history(move |builder| *builder.manifest.pointer_mut(pointer).unwrap() = value)
}

/// Returns a bundle with the keys of 1.2, except for this key of the object at the pointer.
fn removed(object: &'static str, key: &'static str) -> Vec<u8> {
    in_history(move |builder| {
        drop(builder.manifest.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(key).unwrap());
    })
}

fn history_cases() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("history_label_empty", set("/label", json!(""))),
        ("history_label_with_control_character", set("/label", json!("a\u{85}"))),
        ("history_label_of_256_bytes", set("/label", json!("x".repeat(256)))),
        ("history_label_of_256_bytes_in_2", set("/label", json!("é".repeat(128)))),
        ("history_derived_as_array", set("/derivedFrom", json!(["merged", ["ab".repeat(32)]]))),
        ("history_how_as_object", set("/derivedFrom/how", json!({ "merged": null }))),
        ("history_derived_of_no_digest", set("/derivedFrom/bundles", json!(["ab"]))),
        ("history_derived_how_unknown", set("/derivedFrom/how", json!("guessed"))),
        ("history_derived_of_nothing", set("/derivedFrom/bundles", json!([]))),
        ("history_filter_of_nothing", in_history(|builder| builder.manifest["filter"] = json!([]))),
        ("history_filter_as_text", in_history(|builder| builder.manifest["filter"] = json!("--where a"))),
        ("history_filter_with_a_number", in_history(|builder| builder.manifest["filter"] = json!(["--where a", 1]))),
        ("history_id_in_upper_case", set("/history/id", json!("A".repeat(32)))),
        ("history_id_of_31_digits", set("/history/id", json!("a".repeat(31)))),
        ("history_segment_missing", removed("/history", "segment")),
        ("history_previous_missing", removed("/history", "previous")),
        ("history_previous_in_segment_0", set("/history/segment", json!(0))),
    ]
}

fn redaction_cases() -> Vec<(&'static str, Vec<u8>)> {
    let with = |pointer: &'static str, value: Value| {
        with_manifest(move |builder| {
            super::sound::with_redaction(builder);
            *builder.manifest.pointer_mut(pointer).unwrap() = value;
        })
    };
    vec![
        ("redaction_as_array", with("/redaction", json!([1, 2, 3]))),
        ("redaction_without_rules", with("/redaction", json!({ "replaced": 0, "lines": 0 }))),
        ("redaction_of_1001_paths", with("/redaction/drop", json!(vec!["a"; 1001]))),
        ("redaction_path_no_string", with("/redaction/keepOnly", json!([1]))),
        ("redaction_key_of_15_digits", with("/redaction/keyId", json!("0".repeat(15)))),
        ("redaction_key_in_upper_case", with("/redaction/keyId", json!("A".repeat(16)))),
        ("redaction_rules_file_no_digest", with("/redaction/rulesFile", json!("ab"))),
        ("redaction_rules_file_null", with("/redaction/rulesFile", json!(null))),
        ("redaction_count_null", with("/redaction/replaced", json!(null))),
        ("redaction_count_negative", with("/redaction/lines", json!(-1))),
    ]
}

fn follows_cases() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("history_log_without_bytes", removed("/files/0/follows/log", "bytes")),
        ("history_log_without_sha256", removed("/files/0/follows/log", "sha256")),
        ("history_rows_before_missing", removed("/files/0/follows", "rowsBefore")),
        ("history_overlap_missing", removed("/files/0/follows", "overlap")),
        ("history_trimmed_missing", removed("/files/0/follows", "trimmed")),
        ("history_gap_after_row_missing", removed("/files/1/follows/gap", "afterRow")),
        ("history_gap_after_time_of_other_form", set("/files/1/follows/gap/afterTime", json!("2026-05-01"))),
        (
            "history_gap_before_time_of_other_form",
            in_history(|builder| {
                builder.file(1)["follows"]["gap"]["beforeTime"] = json!("2026-05-02");
            }),
        ),
        (
            "history_rows_of_absent",
            in_history(|builder| {
                builder.file(1)["follows"] = json!({ "state": "absent", "rowsBefore": 5, "overlap": 0, "trimmed": 5 });
            }),
        ),
        (
            "history_bytes_of_absent",
            in_history(|builder| {
                *builder = BundleBuilder::new(&Home::new().with("runs.jsonl", "torn"), 2);
                builder.manifest["minor"] = json!(2);
                builder.manifest["history"] = json!({ "id": "0".repeat(32), "segment": 1, "previous": "0".repeat(64) });
                builder.file(0)["follows"] = json!({ "state": "absent", "rowsBefore": 7, "overlap": 0, "trimmed": 0 });
            }),
        ),
        ("history_log_as_array", set("/files/0/follows/log", json!([4096, 19, "ef".repeat(32)]))),
        ("history_state_as_object", set("/files/0/follows/state", json!({ "continues": null }))),
        ("history_gap_as_array", set("/files/1/follows/gap", json!([5]))),
        ("history_gap_of_65_runs", {
            let ids: Vec<_> = (1..=65).map(|id| json!([id * 3, id * 3 + 1])).collect();
            set("/files/1/follows/gap/missingIds", json!(ids))
        }),
        ("history_gap_ids_backwards", set("/files/1/follows/gap/missingIds", json!([[2, 1]]))),
        (
            "history_overlap_of_absent",
            in_history(|builder| {
                *builder = BundleBuilder::new(&Home::new().with("runs.jsonl", ""), 2);
                builder.manifest["minor"] = json!(2);
                builder.manifest["history"] = json!({ "id": "0".repeat(32), "segment": 1, "previous": "0".repeat(64) });
                builder.file(0)["follows"] = json!({ "state": "absent", "rowsBefore": 7, "overlap": 1, "trimmed": 0 });
            }),
        ),
        ("history_follows_missing", removed("/files/1", "follows")),
        (
            "history_follows_without_history",
            in_history(|builder| {
                builder.manifest.as_object_mut().unwrap().remove("history");
            }),
        ),
        ("history_state_unknown", set("/files/0/follows/state", json!("maybe"))),
        ("history_state_unchanged_with_rows", set("/files/0/follows/state", json!("unchanged"))),
        ("history_state_first_with_rows_before", set("/files/0/follows/state", json!("first"))),
        ("history_log_missing", removed("/files/0/follows", "log")),
        (
            "history_log_of_absent",
            in_history(|builder| {
                *builder = BundleBuilder::new(&Home::new().with("runs.jsonl", ""), 2);
                builder.manifest["minor"] = json!(2);
                builder.manifest["history"] = json!({ "id": "0".repeat(32), "segment": 0 });
                builder.file(0)["follows"] = json!({
                    "state": "absent", "rowsBefore": 0, "overlap": 0, "trimmed": 0,
                    "log": { "bytes": 0, "rows": 0, "sha256": "0".repeat(64) },
                });
            }),
        ),
        ("history_log_rows_wrong", set("/files/0/follows/log/rows", json!(20))),
        (
            "history_overlap_above_rows_before",
            in_history(|builder| {
                builder.file(0)["follows"]["rowsBefore"] = json!(11);
            }),
        ),
        ("history_trimmed_above_rows_before", set("/files/0/follows/trimmed", json!(21))),
        ("history_gap_missing", removed("/files/1/follows", "gap")),
        ("history_gap_in_other_state", set("/files/1/follows/state", json!("continues"))),
        ("history_gap_after_unknown_row", set("/files/1/follows/gap/afterRow", json!(9))),
        ("history_gap_ids_out_of_order", set("/files/1/follows/gap/missingIds", json!([[11, 11], [6, 9]]))),
        ("history_gap_ids_overlap", set("/files/1/follows/gap/missingIds", json!([[6, 9], [9, 11]]))),
    ]
}

fn row_cases() -> Vec<(&'static str, Vec<u8>)> {
    let source = |to: &str| in_chunk(0, "\"source\":\"runs\",", to);
    let original = |to: &str| in_chunk(1, "{\"text\":\" {", to);
    let without_chunks = |change: &dyn Fn(String) -> String| gzip(change(text_without_chunks()).as_bytes());
    vec![
        ("row_of_another_source", source("\"source\":\"other\",\"file\":\"runs.jsonl\",")),
        ("row_source_as_number", source("\"source\":1,")),
        ("row_source_twice", source("\"source\":\"runs\",\"source\":\"runs\",")),
        ("row_file_null", source("\"source\":\"runs\",\"file\":null,")),
        ("row_source_with_surrogate", source("\"source\":\"runs\\ud800\",")),
        ("row_key_with_surrogate", source("\"source\":\"runs\",\"\\ud800\":1,")),
        ("row_original_null", in_chunk(0, "\"running\"}}", "\"running\"},\"original\":null}")),
        ("row_original_as_string", in_chunk(0, "\"running\"}}", "\"running\"},\"original\":\"x\"}")),
        ("row_original_as_array", of_row("{\"source\":\"runs\",\"entry\":1,\"original\":[\"1\"]}", b"1\n")),
        ("row_original_text_and_null", original("{\"bytes\":null,\"text\":\" {")),
        ("row_original_text_and_bytes", original("{\"bytes\":\"eA==\",\"text\":\" {")),
        ("row_original_text_twice", original("{\"text\":\"x\",\"text\":\" {")),
        ("row_original_text_with_surrogate", in_chunk(1, "\\\\ud800", "\\ud800")),
        (
            "row_original_base64_without_padding",
            in_base64(|line| data_encoding::BASE64_NOPAD.encode(&line[..line.len() / 3 * 3 - 1])),
        ),
        ("row_original_base64_of_urls", in_base64(|_| "_-==".to_owned())),
        ("row_original_base64_with_white_space", {
            in_base64(|line| {
                let mut base64 = data_encoding::BASE64.encode(line);
                base64.insert(4, '\n');
                base64
            })
        }),
        ("row_original_base64_with_unused_bits", in_base64(|_| "eB==".to_owned())),
        ("row_line_of_white_space", without_chunks(&|text| text.replacen('\n', "\n \t\n", 2))),
        ("row_string", without_chunks(&|text| text.replacen('\n', "\n\"source\"\n", 2))),
        (
            "row_after_last",
            without_chunks(&|text| text + "{\"source\":\"activity\",\"file\":\"activity-3100.jsonl\",\"entry\":1}\n"),
        ),
        (
            "row_without_chunks_removed",
            without_chunks(&|text| {
                text.split_inclusive('\n').enumerate().filter(|(line, _)| *line != 2).map(|(_, line)| line).collect()
            }),
        ),
        ("row_without_chunks_empty_line_at_end", without_chunks(&|text| text + "\n")),
        (
            "rows_of_two_files_mixed",
            without_chunks(&|text| {
                let mut lines: Vec<_> = text.split_inclusive('\n').collect();
                let last = lines.len() - 1;
                lines.swap(last, last - 3);
                lines.concat()
            }),
        ),
        ("row_text_broken_in_chunk", in_chunk(2, "\"status\":\"done\"}}\n", "\"status\":\"done\"}\n")),
    ]
}

/// Returns a bundle of one row, with `row` as its line in the bundle. The manifest describes `log`.
fn of_row(row: &str, log: &[u8]) -> Vec<u8> {
    let mut builder = BundleBuilder::new(&Home::new().with("runs.jsonl", "1\n"), 2);
    builder.chunks[0].1 = format!("{row}\n");
    builder.file(0)["bytes"] = json!(log.len());
    builder.file(0)["sha256"] = json!(patchwork_traces::digest::Sha256Digest::of(log).to_string());
    builder.update_chunk_table();
    builder.write()
}

/// Returns bundles with invalid rows that a lax reader would restore to the log of the manifest.
fn lax_cases() -> Vec<(&'static str, Vec<u8>)> {
    let original = |entry: &str, value: &str| format!("{{\"source\":\"runs\",\"entry\":{entry},\"original\":{value}}}");
    vec![
        ("row_original_empty_with_fitting_hash", of_row(&original("1", "{}"), b"\n")),
        (
            "row_original_base64_with_unused_bits_and_fitting_hash",
            of_row(&original("1", "{\"bytes\":\"MR==\"}"), b"1\n"),
        ),
        (
            "row_original_base64_of_urls_with_fitting_hash",
            of_row(&original("\"\u{fffd}\u{fffd}\"", "{\"bytes\":\"Ivv_Ig==\"}"), b"\"\xfb\xff\"\n"),
        ),
        ("row_missing_with_fitting_hash", {
            let mut builder = BundleBuilder::new(&Home::new().with("runs.jsonl", "1\n2\n3\n"), 3);
            builder.file(0).as_object_mut().unwrap().remove("chunks");
            builder.file(0)["bytes"] = json!(4);
            builder.file(0)["sha256"] = json!(patchwork_traces::digest::Sha256Digest::of(b"1\n2\n").to_string());
            let text = builder.text();
            gzip(
                text.trim_end_matches(|c| c != '}')
                    .rsplit_once('\n')
                    .map(|(rest, _)| format!("{rest}\n"))
                    .unwrap()
                    .as_bytes(),
            )
        }),
        ("metadata_original_with_line_feed_at_end", of_row(&original("1", "{\"text\":\"1\\n\"}"), b"1\n\n")),
        ("metadata_unparsed_second_line_is_row", {
            let mut builder = BundleBuilder::new(&Home::new().with("runs.jsonl", "x\n2\n"), 2);
            builder.file(0)["unparsed"] = json!([{ "line": 1, "text": "x\n2" }]);
            builder.file(0)["count"] = json!(0);
            builder.manifest["totalCount"] = json!(0);
            builder.chunks.clear();
            builder.update_chunk_table();
            builder.write()
        }),
        ("metadata_entry_of_unknown_source", {
            let mut builder = BundleBuilder::new(&Home::new().with("new.jsonl", " 1\n"), 2);
            builder.chunks[0].1 = builder.chunks[0].1.replace("\"entry\":1", "\"entry\":2");
            builder.update_chunk_table();
            builder.write()
        }),
        ("metadata_entry_in_minor_3", {
            let mut builder = BundleBuilder::new(&Home::new().with("runs.jsonl", " 1\n"), 2);
            builder.manifest["minor"] = json!(3);
            builder.chunks[0].1 = builder.chunks[0].1.replace("\"entry\":1", "\"entry\":2");
            builder.update_chunk_table();
            builder.write()
        }),
    ]
}

fn line_cases() -> Vec<(&'static str, Vec<u8>)> {
    // The log is restored byte for byte. Only the data beside it is wrong.
    let deep = "[".repeat(129) + &"]".repeat(129);
    let of = |log: &str, change: &dyn Fn(&mut BundleBuilder)| {
        let mut builder = BundleBuilder::new(&Home::new().with("runs.jsonl", log), 2);
        change(&mut builder);
        builder.update_chunk_table();
        builder.write()
    };
    vec![
        (
            "metadata_unparsed_is_row",
            of("1\n2\n", &|builder| {
                builder.file(0)["unparsed"] = json!([{ "line": 2, "text": "2" }]);
                builder.file(0)["count"] = json!(1);
                builder.manifest["totalCount"] = json!(1);
                builder.chunks[0].1 = String::from("{\"source\":\"runs\",\"entry\":1}\n");
            }),
        ),
        (
            "metadata_row_nests_too_deep",
            of("1\n", &|builder| {
                let text = json!({ "text": deep });
                builder.chunks[0].1 = format!("{{\"source\":\"runs\",\"entry\":{deep},\"original\":{text}}}\n");
                let log = deep.clone() + "\n";
                builder.file(0)["bytes"] = json!(log.len());
                builder.file(0)["sha256"] =
                    json!(patchwork_traces::digest::Sha256Digest::of(log.as_bytes()).to_string());
            }),
        ),
        (
            "metadata_original_holds_two_lines",
            of("1\n2\n", &|builder| {
                builder.file(0)["count"] = json!(1);
                builder.manifest["totalCount"] = json!(1);
                builder.chunks[0].1 =
                    String::from("{\"source\":\"runs\",\"entry\":1,\"original\":{\"text\":\"1\\n2\"}}\n");
            }),
        ),
        (
            "metadata_entry_not_clean",
            of("[1,\\u2028]\n".replace("\\u2028", "\"\u{2028}\"").as_str(), &|builder| {
                builder.chunks[0].1 = String::from("{\"source\":\"runs\",\"entry\":[1,\"\u{2028}\"]}\n");
            }),
        ),
        (
            "metadata_entry_trimmed_less",
            of(" 1\n", &|builder| {
                builder.chunks[0].1 = builder.chunks[0].1.replace("\"entry\":1", "\"entry\":\"1\"");
            }),
        ),
    ]
}
