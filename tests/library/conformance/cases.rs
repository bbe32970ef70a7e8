//! Generates the bundles of fixtures/conformance, each named after its fault.
#![allow(clippy::unwrap_used)]

use flate2::FlushCompress;
use serde_json::{Value, json};

use crate::common::Home;
use crate::common::bundle_builder::{BundleBuilder, bytes_of, flushed, gzip};

/// Returns two small logs: one with lines that need `original` or `unparsed`, one with CRLF and no final newline.
pub fn home() -> Home {
    let runs = [
        "{\"taskId\":\"a\",\"createdAt\":1777716000000,\"status\":\"running\"}\n",
        "{\"taskId\":\"a\",\"createdAt\":1777716060000,\"status\":\"done\",\"seq\":12345678901234567890}\n",
        " {\"taskId\":\"b\",\"createdAt\":1777716120000,\"text\":\"\\ud800\"}\n",
        "{\"taskId\":\"torn\n",
        "\n",
        "{\"taskId\":\"c\",\"createdAt\":1777716180000,\"status\":\"done\"}\n",
        "{\"taskId\":\"d\",\"createdAt\":1777716240000,\"status\":\"done\"}\n",
        "{\"taskId\":\"e\",\"status\":\"done\"}\n",
        "{\"taskId\":\"f\",\"createdAt\":1777719840000,\"status\":\"done\"}\n",
    ];
    let activity = [
        "{\"timestamp\":\"2026-05-02T10:00:00.000Z\",\"tool\":\"read\"}\r\n",
        "{\"timestamp\":\"2026-05-02T10:00:01.000Z\",\"tool\":\"write\"}\r\n",
        "{\"timestamp\":\"2026-05-02T10:00:02.500Z\",\"tool\":\"read\"}",
    ];
    Home::new().with("runs.jsonl", runs.concat()).with_activity("activity-3100.jsonl", activity.concat())
}

pub fn builder() -> BundleBuilder {
    BundleBuilder::new(&home(), 2)
}

/// Returns a bundle's text as the original exporter wrote it: without `minor`, hashes or `file`.
fn legacy_text() -> String {
    let files = json!([
        { "source": "runs", "relativePath": "runs.jsonl", "count": 2, "bytes": 60 },
        { "source": "activity", "relativePath": "activity.jsonl", "count": 1, "bytes": 30 },
    ]);
    let manifest = json!({
        "type": "manifest", "version": 1, "exportedAt": "2026-05-02T10:00:00.000Z",
        "sources": ["activity", "runs"], "files": files, "totalCount": 3,
    });
    let rows = [
        "{\"source\":\"runs\",\"entry\":{\"taskId\":\"a\",\"createdAt\":1777716000000}}\n",
        "{\"source\":\"runs\",\"entry\":{\"taskId\":\"b\",\"text\":\"\\ud800\"}}\n",
        "{\"source\":\"activity\",\"entry\":{\"timestamp\":\"2026-05-02T10:00:00.000Z\"}}\n",
    ];
    format!("{manifest}\n{}", rows.concat())
}

/// Inserts bytes before a part of the text.
fn with_bytes(text: &str, part: &str, bytes: &[u8]) -> Vec<u8> {
    let (start, end) = text.split_at(text.find(part).unwrap());
    [start.as_bytes(), bytes, end.as_bytes()].concat()
}

fn without_line(text: &str, number: usize) -> String {
    text.split_inclusive('\n').enumerate().filter(|(index, _)| index + 1 != number).map(|(_, line)| line).collect()
}

fn without_last_line_feed(text: &str) -> &[u8] {
    text.strip_suffix('\n').unwrap().as_bytes()
}

/// The text of a 1.1 bundle whose manifest has no chunk table.
pub fn text_without_chunks() -> String {
    let mut builder = builder();
    for file in 0..2 {
        assert!(builder.file(file).as_object_mut().unwrap().remove("chunks").is_some());
    }
    builder.text()
}

/// Returns a bundle with changed parts, and a chunk table that matches them.
pub fn changed(change: impl FnOnce(&mut BundleBuilder)) -> Vec<u8> {
    let mut builder = builder();
    change(&mut builder);
    builder.update_chunk_table();
    builder.write()
}

/// Returns a bundle with a changed manifest. Nothing else is adapted.
pub fn with_manifest(change: impl FnOnce(&mut BundleBuilder)) -> Vec<u8> {
    let mut builder = builder();
    change(&mut builder);
    builder.write()
}

/// Returns a bundle with changed bytes. The closure receives the ranges of its blocks, that of the manifest first.
fn damaged(damage: impl FnOnce(&mut Vec<u8>, &[std::ops::Range<usize>])) -> Vec<u8> {
    let builder = builder();
    let mut bytes = builder.write();
    damage(&mut bytes, &builder.block_ranges());
    bytes
}

/// Returns a bundle in which the exact line of a row is encoded by `encode` as base64.
pub fn in_base64(encode: impl FnOnce(&[u8]) -> String) -> Vec<u8> {
    changed(|builder| {
        let text = &mut builder.chunks[1].1;
        let start = text.find("{\"text\":\" {").unwrap();
        let end = start + text[start..].find("\"}}\n").unwrap() + 2;
        let original: Value = serde_json::from_str(&text[start..end]).unwrap();
        let base64 = encode(original["text"].as_str().unwrap().as_bytes());
        text.replace_range(start..end, &json!({ "bytes": base64 }).to_string());
    })
}

/// Returns a bundle with a text in one chunk replaced.
pub fn in_chunk(chunk: usize, from: &str, to: &str) -> Vec<u8> {
    changed(|builder| {
        let text = &mut builder.chunks[chunk].1;
        assert!(text.contains(from), "{text}");
        *text = text.replacen(from, to, 1);
    })
}

/// Returns a bundle with one value of the manifest replaced.
pub fn in_manifest(pointer: &str, value: Value) -> Vec<u8> {
    with_manifest(|builder| *builder.manifest.pointer_mut(pointer).unwrap() = value)
}

/// Returns a bundle whose last chunk has these bytes after its flush point.
fn with_chunk_that_ends_in(bytes: &[u8]) -> Vec<u8> {
    let mut bundle = with_manifest(|builder| {
        let last = builder.file(1)["chunks"].as_array_mut().unwrap().last_mut().unwrap();
        last["compressed"] = json!(last["compressed"].as_u64().unwrap() + bytes.len() as u64);
    });
    let end = bundle.len() - 10;
    drop(bundle.splice(end..end, bytes.iter().copied()));
    bundle
}

/// Returns the head of a deflate block that is marked as the last, up to its code lengths, and the bits for 254 unused
/// codes. The lengths 1, 2 and 3 take two bits; `110` is an unused code, and `111` a run of unused codes.
fn last_block(codes: &str, distances: &str) -> (String, &'static str) {
    let head = format!("1 01 {codes} {distances} 0111 000 000 110 110 {} 010 000 010 000 010", "000".repeat(9));
    (head, "111 1111111 111 1001011")
}

/// Returns an empty last block without an end-of-block code. Followed by the two bytes of the usual last block, it
/// would be complete.
fn last_block_without_end() -> Vec<u8> {
    let (head, none) = last_block("10000", "10000");
    bytes_of(&format!("{head} 00 01 {none} 10 10 00 110"))
}

/// Returns a last block that ends within its head. Followed by the two bytes of the usual last block, it would be
/// complete.
fn last_block_without_codes() -> Vec<u8> {
    let (head, none) = last_block("00000", "11000");
    bytes_of(&format!("{head} 01 01 {none} 00 00 00 110"))
}

/// Returns every bundle with its name.
pub fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let mut cases = of_home();
    cases.extend(super::sound::cases());
    cases.extend(super::faults::cases());
    cases
}

/// Returns the bundles of [`home`] and those of format 1.0. Most of them are damaged.
pub fn of_home() -> Vec<(&'static str, Vec<u8>)> {
    let intact = builder().write();
    let text = builder().text();
    let mut cases = vec![
        ("intact", intact.clone()),
        ("intact_empty", BundleBuilder::new(&Home::new(), 2).write()),
        ("intact_v1_0", gzip(legacy_text().as_bytes())),
    ];
    cases.extend(container_cases(&intact, &text));
    cases.extend(chunk_cases());
    cases.extend(table_cases());
    cases.extend(manifest_cases(&text));
    cases.extend(row_cases());
    cases.extend(legacy_cases());
    cases.extend(refused_cases(&text));
    cases
}

fn container_cases(intact: &[u8], text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let end = intact.len();
    let (head, rest) = text.as_bytes().split_at(text.find('\n').unwrap() + 1);
    let lines = text.split_inclusive('\n').map(str::as_bytes);
    let extra_row = "{\"source\":\"activity\",\"file\":\"activity-3100.jsonl\",\"entry\":1}\n";
    vec![
        ("recompressed_by_gzip", gzip(text.as_bytes())),
        ("recompressed_and_flushed_behind_the_manifest", flushed([head, rest], FlushCompress::Sync)),
        ("recompressed_and_flushed_behind_each_line", flushed(lines, FlushCompress::Full)),
        (
            "recompressed_with_the_manifest_in_two_members",
            [gzip(&head[..100]), gzip(&head[100..]), gzip(rest)].concat(),
        ),
        ("recompressed_behind_an_empty_member", [gzip(b""), gzip(text.as_bytes())].concat()),
        ("recompressed_with_a_row_edited", gzip(text.replacen("running", "stopped", 1).as_bytes())),
        ("recompressed_with_a_row_removed", gzip(without_line(text, 3).as_bytes())),
        ("not_compressed", text.as_bytes().to_vec()),
        ("not_compressed_with_a_row_broken", text.replacen("\"taskId\":\"c\"", "\"taskId\":\"c", 1).into_bytes()),
        ("second_member_empty", [intact, &gzip(b"")].concat()),
        ("second_member_appended", [intact, &gzip(extra_row.as_bytes())].concat()),
        ("bundle_twice", [intact, intact].concat()),
        ("zero_padding", [intact, &[0; 512]].concat()),
        ("trailing_garbage", [intact, b"garbage"].concat()),
        ("trailing_garbage_behind_zeros", [intact, &[0; 16], b"garbage"].concat()),
        ("gzip_crc_wrong", damaged(|bytes, _| bytes[end - 8] ^= 1)),
        ("gzip_length_wrong", damaged(|bytes, _| bytes[end - 4] ^= 1)),
        ("gzip_crc_and_length_wrong", damaged(|bytes, _| bytes[end - 8..].fill(7))),
        ("gzip_last_block_damaged", damaged(|bytes, _| bytes[end - 10] ^= 0x40)),
        ("gzip_last_block_in_another_way", damaged(|bytes, _| bytes[end - 9] ^= 0x80)),
        ("gzip_header_of_another_program", damaged(|bytes, _| bytes[9] = 3)),
        ("gzip_header_reserved_flag", damaged(|bytes, _| bytes[3] = 0x80)),
        ("truncated_in_manifest", damaged(|bytes, places| bytes.truncate(places[0].start + 20))),
        ("truncated_in_chunk", damaged(|bytes, places| bytes.truncate(places[2].end - 10))),
        ("truncated_at_flush_point", damaged(|bytes, places| bytes.truncate(places[2].end))),
        ("truncated_in_trailer", damaged(|bytes, _| bytes.truncate(end - 3))),
    ]
}

fn chunk_cases() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("manifest_data_damaged", damaged(|bytes, places| bytes[places[0].start + 30] ^= 0x10)),
        ("manifest_data_zeroed", damaged(|bytes, places| bytes[places[0].clone()].fill(0))),
        ("manifest_flush_point_damaged", damaged(|bytes, places| bytes[places[0].end - 1] = 0)),
        ("chunk_ends_in_last_block", with_chunk_that_ends_in(&last_block_without_end())),
        ("chunk_ends_in_head_of_last_block", with_chunk_that_ends_in(&last_block_without_codes())),
        ("chunk_data_damaged", damaged(|bytes, places| bytes[places[2].start + 40] ^= 0x10)),
        ("chunk_flush_point_damaged", damaged(|bytes, places| bytes[places[2].end - 2] = 0)),
        ("chunk_zeroed", damaged(|bytes, places| bytes[places[2].clone()].fill(0))),
        ("chunks_zeroed", damaged(|bytes, places| bytes[places[1].start + 9..places[3].start + 9].fill(0))),
        ("chunk_bytes_lost", damaged(|bytes, places| drop(bytes.drain(places[2].start + 9..places[2].start + 14)))),
        ("chunk_cut_out", damaged(|bytes, places| drop(bytes.drain(places[2].clone())))),
        ("chunks_cut_out", damaged(|bytes, places| drop(bytes.drain(places[1].start + 9..places[3].start + 9)))),
        (
            "chunk_repeated",
            damaged(|bytes, places| {
                let chunk = bytes[places[2].clone()].to_vec();
                drop(bytes.splice(places[2].start..places[2].start, chunk));
            }),
        ),
        (
            "two_chunks_damaged",
            damaged(|bytes, places| {
                bytes[places[1].start + 40] ^= 0x10;
                bytes[places[4].start + 40] ^= 0x10;
            }),
        ),
    ]
}

fn table_cases() -> Vec<(&'static str, Vec<u8>)> {
    let chunk = |key: &str, value: Value| in_manifest(&format!("/files/0/chunks/1/{key}"), value);
    vec![
        ("chunk_crc_with_control_character", chunk("crc32", json!("06aca\u{85}126"))),
        ("chunk_crc_wrong", chunk("crc32", json!("00000000"))),
        ("chunk_bytes_wrong", chunk("bytes", json!(300))),
        ("chunk_compressed_wrong", chunk("compressed", json!(200))),
        ("chunk_first_time_wrong", chunk("firstTime", json!("2026-05-02T09:00:00.000Z"))),
        ("chunk_last_time_wrong", chunk("lastTime", json!("2026-05-02T11:00:00.000Z"))),
        (
            "chunk_rows_wrong",
            with_manifest(|builder| {
                builder.file(0)["chunks"][1]["rows"] = json!(1);
                builder.file(0)["chunks"][2]["rows"] = json!(3);
            }),
        ),
        (
            "chunk_table_too_long",
            with_manifest(|builder| {
                let chunk = builder.file(1)["chunks"][0].clone();
                builder.file(1)["chunks"].as_array_mut().unwrap().push(chunk);
            }),
        ),
        (
            "chunk_table_too_short",
            with_manifest(|builder| drop(builder.file(0)["chunks"].as_array_mut().unwrap().pop())),
        ),
    ]
}

fn manifest_cases(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let rows = text.split_once('\n').unwrap().1;
    let broken = text.replacen("\"totalCount\"", "totalCount", 1);
    let twice = text.replacen("\"totalCount\"", "\"totalCount\":1,\"totalCount\"", 1);
    vec![
        ("manifest_missing", gzip(rows.as_bytes())),
        ("manifest_not_json", gzip(broken.as_bytes())),
        ("manifest_key_twice", gzip(twice.as_bytes())),
        ("manifest_count_too_high", in_manifest("/files/0/count", json!(9))),
        ("manifest_total_wrong", in_manifest("/totalCount", json!(11))),
        ("manifest_sources_not_sorted", in_manifest("/sources", json!(["runs", "activity"]))),
        (
            "manifest_key_missing",
            with_manifest(|builder| drop(builder.file(0).as_object_mut().unwrap().remove("count"))),
        ),
        (
            "manifest_hash_missing",
            with_manifest(|builder| drop(builder.file(0).as_object_mut().unwrap().remove("sha256"))),
        ),
        ("manifest_name_is_path", in_manifest("/files/0/relativePath", json!("../runs.jsonl"))),
        ("manifest_name_of_another_log", in_manifest("/files/0/relativePath", json!("runs.jsonl.1"))),
        (
            "manifest_several_values_wrong",
            with_manifest(|builder| {
                builder.manifest["totalCount"] = json!(-1);
                builder.manifest["exportedAt"] = json!("yesterday");
                builder.file(0)["sha256"] = json!("abc");
                builder.file(0)["chunks"][1]["crc32"] = json!(7);
                builder.file(0)["unparsed"][0] = json!({ "line": 4 });
                builder.file(1)["count"] = json!(1e300);
                builder.file(1).as_object_mut().unwrap().remove("bytes");
            }),
        ),
        (
            "manifest_file_twice",
            with_manifest(|builder| {
                let file = builder.file(1).clone();
                builder.manifest["files"].as_array_mut().unwrap().push(file);
            }),
        ),
        (
            "manifest_files_in_another_order",
            with_manifest(|builder| builder.manifest["files"].as_array_mut().unwrap().swap(0, 1)),
        ),
        ("manifest_sha256_wrong", in_manifest("/files/1/sha256", json!("0".repeat(64)))),
        ("manifest_bytes_wrong", in_manifest("/files/1/bytes", json!(1000))),
        ("manifest_last_time_wrong", in_manifest("/files/0/lastTime", json!("2026-05-02T12:00:00.000Z"))),
        (
            "manifest_timeline_far",
            in_manifest(
                "/files/0/timeline",
                json!({ "stepMs": 22_649_241_600_000_u64, "bins": [[0, 1], [407_000, 1]] }),
            ),
        ),
        ("manifest_timeline_wrong", in_manifest("/files/0/timeline/bins/0/1", json!(3))),
        ("manifest_line_ending_wrong", in_manifest("/files/1/lineEnding", json!("lf"))),
        ("manifest_final_newline_wrong", in_manifest("/files/1/finalNewline", json!(true))),
        ("manifest_unparsed_is_row", in_manifest("/files/0/unparsed/0/text", json!("{}\n"))),
        ("manifest_unparsed_elsewhere", in_manifest("/files/0/unparsed/0/line", json!(6))),
        ("manifest_unparsed_behind_end", in_manifest("/files/0/unparsed/0/line", json!(60))),
    ]
}

fn row_cases() -> Vec<(&'static str, Vec<u8>)> {
    let first = "\"entry\":{\"taskId\":\"a\",\"createdAt\":1777716000000,\"status\":\"running\"}";
    let entry = |to: &str| in_chunk(0, first, to);
    let exact = "{\\\"taskId\\\":\\\"a\\\",\\\"createdAt\\\":1777716000000,\\\"status\\\":\\\"running\\\"}";
    vec![
        ("row_edited", entry(&first.replace("running", "stopped"))),
        ("row_entry_differs_from_original", in_chunk(1, "\"taskId\":\"b\"", "\"taskId\":\"x\"")),
        ("row_entry_not_clean", entry(&first.replace("running", "\\ud800"))),
        ("row_original_is_no_row", in_chunk(1, "\"text\":\" {", "\"text\":\" ")),
        ("row_original_two_lines", in_chunk(1, "\"text\":\" {", "\"text\":\"\\n{")),
        ("row_original_redundant", entry(&format!("{first},\"original\":{{\"text\":\"{exact}\"}}"))),
        ("row_original_base64_of_text", in_base64(|line| data_encoding::BASE64.encode(line))),
        (
            "row_original_base64_in_two_pieces",
            in_base64(|line| {
                let (first, rest) = line.split_at(1);
                data_encoding::BASE64.encode(first) + &data_encoding::BASE64.encode(rest)
            }),
        ),
        ("row_not_json", entry("\"entry\":{")),
        (
            "row_not_an_object",
            in_chunk(
                0,
                "{\"source\":\"runs\",\"entry\":{\"taskId\":\"a\",\"createdAt\":1777716000000,\"status\":\"running\"}}",
                "[]",
            ),
        ),
        ("row_without_source", in_chunk(0, "\"source\":\"runs\",", "")),
        ("row_without_entry", entry("\"row\":1")),
        ("row_key_twice", entry(&format!("{first},\"entry\":1"))),
        ("row_file_no_string", in_chunk(0, "\"source\":\"runs\",", "\"source\":\"runs\",\"file\":1,")),
        ("row_original_no_line", entry(&format!("{first},\"original\":{{}}"))),
        ("row_of_unknown_file", in_chunk(0, "\"source\":\"runs\",", "\"source\":\"runs\",\"file\":\"runs.jsonl.1\",")),
        (
            "row_of_another_file",
            in_chunk(0, "\"source\":\"runs\",", "\"source\":\"activity\",\"file\":\"activity-3100.jsonl\","),
        ),
        ("row_removed", changed(|builder| builder.chunks[1].1 = without_line(&builder.chunks[1].1, 2))),
        ("row_added", changed(|builder| builder.chunks[1].1 += "{\"source\":\"runs\",\"entry\":{}}\n")),
        ("row_empty_line", changed(|builder| builder.chunks[1].1 += "\n")),
        (
            "rows_in_another_order",
            changed(|builder| {
                let rows: Vec<_> = builder.chunks[0].1.split_inclusive('\n').map(str::to_owned).collect();
                builder.chunks[0].1 = [&*rows[1], &*rows[0]].concat();
            }),
        ),
        (
            "second_manifest_among_rows",
            changed(|builder| builder.chunks[1].1 = format!("{}\n", builder.manifest) + &builder.chunks[1].1),
        ),
        (
            "last_line_feed_missing",
            changed(|builder| assert_eq!(builder.chunks.last_mut().unwrap().1.pop(), Some('\n'))),
        ),
        ("last_line_feed_missing_recompressed", gzip(without_last_line_feed(&builder().text()))),
        ("last_line_feed_missing_without_chunks", gzip(without_last_line_feed(&text_without_chunks()))),
        ("last_line_feed_missing_without_chunks_or_gzip", without_last_line_feed(&text_without_chunks()).to_vec()),
        (
            "last_line_feed_missing_without_rows",
            gzip(without_last_line_feed(&BundleBuilder::new(&Home::new().with("runs.jsonl", ""), 2).text())),
        ),
        (
            "several_things_wrong",
            changed(|builder| {
                builder.chunks[0].1 = builder.chunks[0].1.replace("\"source\":\"runs\"", "\"source\":1");
                builder.chunks[2].1 = builder.chunks[2].1.replace("done", "lost");
                builder.manifest["totalCount"] = json!(1);
                builder.file(1)["sha256"] = json!("1".repeat(64));
            }),
        ),
    ]
}

fn legacy_cases() -> Vec<(&'static str, Vec<u8>)> {
    let text = legacy_text();
    let whole = gzip(text.as_bytes());
    vec![
        ("v1_0_row_removed", gzip(without_line(&text, 3).as_bytes())),
        ("v1_0_row_broken", gzip(text.replacen("\"taskId\":\"b\"", "\"taskId\":\"b", 1).as_bytes())),
        ("v1_0_row_of_unknown_source", gzip(text.replacen("{\"source\":\"runs\"", "{\"source\":\"x\"", 1).as_bytes())),
        ("v1_0_row_with_original", gzip(text.replacen("}}\n", "},\"original\":{\"text\":\"b\"}}\n", 1).as_bytes())),
        ("v1_0_row_not_utf8", gzip(&with_bytes(&text, "\"entry\":{\"taskId\":\"b\"", b"\"x\":\"\xff\","))),
        ("v1_0_manifest_not_utf8", gzip(&with_bytes(&text, "\"totalCount\"", b"\"x\":\"\xff\","))),
        ("v1_0_last_line_feed_missing", gzip(without_last_line_feed(&text))),
        ("v1_0_truncated", whole[..whole.len() - 20].to_vec()),
        ("v1_0_crc_wrong", [&whole[..whole.len() - 8], &[0; 4], &whole[whole.len() - 4..]].concat()),
        ("v1_0_log_too_long", {
            // An empty log can have grown by at most 64 MiB (FORMAT.md, "Limits").
            let manifest = json!({
                "type": "manifest", "version": 1, "exportedAt": "2026-05-02T10:00:00.000Z", "sources": ["runs"],
                "files": [{ "source": "runs", "relativePath": "runs.jsonl", "count": 1, "bytes": 0 }], "totalCount": 1,
            });
            let entry = " ".repeat((64 << 20) - 2);
            gzip(format!("{manifest}\n{{\"source\":\"runs\",\"entry\":\"{entry}\"}}\n").as_bytes())
        }),
        ("v1_0_trailing_garbage", [&whole[..], b"garbage"].concat()),
    ]
}

fn refused_cases(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("refused_empty_file", Vec::new()),
        ("refused_version_2", in_manifest("/version", json!(2))),
        ("refused_gzip_of_something_else", gzip(b"hello\n")),
        ("refused_no_gzip", b"hello\n".to_vec()),
        ("refused_json_but_no_manifest", gzip(b"{\"a\":1}\n")),
        ("refused_magic_damaged", [b"\x1f\x8a", &gzip(text.as_bytes())[2..]].concat()),
    ]
}
