//! Hostile bundles, each made by a few lines.

use patchwork_traces::digest::Crc32;
use patchwork_traces::export::Level;
use patchwork_traces::internal::{Deflater, MemberWriter};

/// A hostile bundle.
pub struct Case {
    pub name: &'static str,
    pub bundle: Vec<u8>,
    /// Files that an import may create, relative to the home.
    pub imports: Vec<&'static str>,
}

/// Returns one gzip member of repeated texts. Each text is compressed once.
fn gzip(parts: &[(&[u8], u64)]) -> Vec<u8> {
    let mut deflater = Deflater::new(Level::new(6).unwrap());
    let mut bytes = Vec::new();
    let mut member = MemberWriter::new(&mut bytes).unwrap();
    for (text, times) in parts {
        let mut block = Vec::new();
        deflater.deflate(text, &mut block).unwrap();
        for _ in 0..*times {
            member.copy_block(block.as_slice(), block.len() as u64, text.len() as u64, Crc32::of(text)).unwrap();
        }
    }
    member.finish().unwrap();
    bytes
}

const ROW: &str = "{\"source\":\"runs\",\"entry\":{\"n\":1}}\n";

/// The manifest of a 1.0 bundle.
fn manifest(source: &str, file: &str, count: &str, bytes: &str) -> String {
    format!(
        "{{\"type\":\"manifest\",\"version\":1,\"exportedAt\":\"2026-05-02T10:00:00.000Z\",\"sources\":[{source}],\
         \"files\":[{{\"source\":{source},\"relativePath\":{file},\"count\":{count},\"bytes\":{bytes}}}],\"totalCount\":{count}}}\n"
    )
}

fn runs(count: &str, bytes: &str) -> String {
    manifest("\"runs\"", "\"runs.jsonl\"", count, bytes)
}

/// The manifest of a 1.1 bundle of `runs`, with this chunk table.
fn with_chunks(count: &str, bytes: &str, chunks: &str) -> String {
    format!(
        "{{\"type\":\"manifest\",\"version\":1,\"minor\":1,\"generator\":\"x\",\"exportedAt\":\"2026-05-02T10:00:00.000Z\",\
         \"sources\":[\"runs\"],\"files\":[{{\"source\":\"runs\",\"relativePath\":\"runs.jsonl\",\"base\":\"patchwork\",\
         \"count\":{count},\"bytes\":{bytes},\"sha256\":\"{}\",\"lineEnding\":\"lf\",\"finalNewline\":true,\
         \"chunks\":[{chunks}]}}],\"totalCount\":{count}}}\n",
        "0".repeat(64)
    )
}

/// A 1.0 bundle of one row whose manifest has a list with so many times the same, and then a count that is none.
fn long_list(key: &str, items: &str, times: u64, count: &str) -> Vec<u8> {
    let manifest = runs("1", "8").replace("\"count\":1", &format!("\"count\":{count}"));
    let manifest = if key == "sources" { manifest.replace("\"sources\":[\"runs\"],", "") } else { manifest };
    let start = format!("{{\"{key}\":[");
    let end = format!("{}],{}", &items[..items.len() - 1], &manifest[1..]);
    gzip(&[(start.as_bytes(), 1), (items.as_bytes(), times), (end.as_bytes(), 1), (ROW.as_bytes(), 1)])
}

/// A bundle with an unparsed line that has an unknown key, whose value repeats `times` times, and then an invalid count.
fn long_unparsed_line(items: &str, times: u64) -> Vec<u8> {
    let manifest = runs("1", "9");
    let (start, end) = manifest.split_once("\"count\":").unwrap();
    let start = format!("{start}\"unparsed\":[{{\"line\":2,\"text\":\"\",\"x\":[");
    let end = format!("{}]}}],\"count\":-{end}", &items[..items.len() - 1]);
    gzip(&[(start.as_bytes(), 1), (items.as_bytes(), times), (end.as_bytes(), 1), (ROW.as_bytes(), 1)])
}

/// A 1.0 bundle of so many files without rows, of which the last has the name of the first.
fn many_files(files: u64) -> Vec<u8> {
    let start = "{\"type\":\"manifest\",\"version\":1,\"exportedAt\":\"2026-05-02T10:00:00.000Z\",\"sources\":[\"activity\"],\"files\":[";
    let mut text = start.as_bytes().to_vec();
    for number in (1..files).chain([1]) {
        let comma = if text.ends_with(b"[") { "" } else { "," };
        let file = format!(
            "{comma}{{\"source\":\"activity\",\"relativePath\":\"activity-{number}.jsonl\",\"count\":0,\"bytes\":0}}"
        );
        text.extend(file.bytes());
    }
    text.extend(b"],\"totalCount\":0}\n");
    gzip(&[(&text, 1)])
}

fn many_chunks(chunks: u64) -> Vec<u8> {
    let chunk = "{\"compressed\":30,\"bytes\":32,\"rows\":1,\"crc32\":\"00000000\"}";
    let table = vec![chunk; usize::try_from(chunks).unwrap()].join(",");
    gzip(&[(with_chunks(&chunks.to_string(), &(chunks * 8).to_string(), &table).as_bytes(), 1), (ROW.as_bytes(), 1)])
}

/// A bundle of very many small blocks that are not chunks, followed by one that fits the expected chunk from each of them:
/// the same long text follows every possible start.
fn false_flush_marks(megabytes: usize) -> Vec<u8> {
    let mut long = Vec::new();
    Deflater::new(Level::new(9).unwrap()).deflate(&vec![b' '; megabytes << 20], &mut long).unwrap();
    // It does not end with a flush point: that block has content.
    long.truncate(long.len() - 4);
    long.extend(&stored(b"y")[1..]);
    let marks = [stored(b"x"), stored(b"")].concat().repeat(64);
    let sled = [stored(b"xx"), stored(b"xxxxxx").repeat(64)].concat();
    let compressed = stored(b"xxxxxx").len() * 64 + long.len() + 11;
    let chunk =
        format!("{{\"compressed\":{compressed},\"bytes\":{},\"rows\":1,\"crc32\":\"00000001\"}}", megabytes << 20);
    let table = vec![chunk; 200].join(",");
    let manifest = gzip(&[(with_chunks("200", "6000", &table).as_bytes(), 1)]);
    let (start, end) = manifest.split_at(manifest.len() - 10);
    [start, &marks, &sled, &long, &marks, end].concat()
}

/// A bundle that was compressed again, of very many rows, each of which a long chunk of its own should hold.
fn rows_declared_as_long_chunks(rows: usize, megabytes: usize) -> Vec<u8> {
    let chunk = format!("{{\"compressed\":600000,\"bytes\":{},\"rows\":1,\"crc32\":\"00000001\"}}", megabytes << 20);
    let count = rows.to_string();
    let mut text = with_chunks(&count, &(rows * 8).to_string(), &vec![chunk; rows].join(",")).into_bytes();
    text.extend(ROW.repeat(rows).bytes());
    text.resize(text.len() + ((megabytes + 8) << 20), b' ');
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &text).unwrap();
    encoder.finish().unwrap()
}

/// Returns a bundle with one chunk that repeats a text. The chunk matches its table entry except for the number of rows.
fn one_chunk_of(text: &[u8], times: u64) -> Vec<u8> {
    let mut deflated = Vec::new();
    Deflater::new(Level::new(6).unwrap()).deflate(text, &mut deflated).unwrap();
    let crc32 = (1..times).fold(Crc32::of(text), |all, _| all.combine(Crc32::of(text), text.len() as u64));
    let (compressed, bytes) = (deflated.len() as u64 * times, text.len() as u64 * times);
    let chunk = format!("{{\"compressed\":{compressed},\"bytes\":{bytes},\"rows\":1,\"crc32\":\"{crc32}\"}}");
    gzip(&[(with_chunks("1", "8", &chunk).as_bytes(), 1), (text, times)])
}

/// A bundle with this chunk in its table, where compressed data follows the manifest that is this, so many times, and then
/// a flush point.
fn with_data(chunk: &str, data: &[u8], times: usize) -> Vec<u8> {
    let manifest = gzip(&[(with_chunks("1", "8", chunk).as_bytes(), 1)]);
    let (start, end) = manifest.split_at(manifest.len() - 10);
    [start, &data.repeat(times), &stored(b""), end].concat()
}

/// A stored block.
fn stored(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&[0], &length.to_le_bytes()[..], &(!length).to_le_bytes(), text].concat()
}

/// A 1.0 bundle of many logs of one row each, followed by rows of two of them in turn.
fn logs_in_turn(logs: u64, rows: u64) -> Vec<u8> {
    let manifest = many_files(logs);
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&manifest[..]), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap().replace("\"count\":0,\"bytes\":0", "\"count\":1,\"bytes\":2");
    let (start, last) = text.rsplit_once("activity-1.jsonl").unwrap();
    let text =
        format!("{start}activity-{logs}.jsonl{last}").replace("\"totalCount\":0", &format!("\"totalCount\":{logs}"));
    let row = |log| format!("{{\"source\":\"activity\",\"file\":\"activity-{log}.jsonl\",\"entry\":1}}\n");
    let in_order: String = (1..=logs).map(row).collect();
    let in_turn = [row(1), row(2)].concat();
    gzip(&[(text.as_bytes(), 1), (in_order.as_bytes(), 1), (in_turn.as_bytes(), rows / 2)])
}

/// A 1.0 bundle with one row of one log of this name.
fn named(source: &str, file: &str) -> Vec<u8> {
    let row = format!("{{\"source\":{source},\"file\":{file},\"entry\":{{\"n\":1}}}}\n");
    gzip(&[(manifest(source, file, "1", "8").as_bytes(), 1), (row.as_bytes(), 1)])
}

fn bombs(most: u64) -> Vec<(&'static str, Vec<u8>)> {
    let megabyte = vec![b' '; 1 << 20];
    let rows = ROW.repeat((1 << 20) / ROW.len());
    let one = runs("1", "8");
    let chunk = |bytes: u64| format!("{{\"compressed\":600000,\"bytes\":{bytes},\"rows\":1,\"crc32\":\"00000000\"}}");
    let times = most >> 20;
    let last = "{\"source\":\"runs\",\"entry\":\"";
    vec![
        ("bomb in the manifest", gzip(&[(b"{\"type\":", 1), (&megabyte, times)])),
        ("bomb of 1 KB", gzip(&[(one.as_bytes(), 1), (&megabyte[..800 << 10], 1)])),
        ("bomb in a row", gzip(&[(one.as_bytes(), 1), (last.as_bytes(), 1), (&megabyte, times), (b"\"}\n", 1)])),
        ("bomb behind the rows", gzip(&[(one.as_bytes(), 1), (ROW.as_bytes(), 1), (&megabyte, times)])),
        ("bomb of more rows", gzip(&[(one.as_bytes(), 1), (rows.as_bytes(), times)])),
        (
            "bomb in a chunk",
            gzip(&[
                (with_chunks("1", "8", &chunk(537_919_489)).as_bytes(), 1),
                (last.as_bytes(), 1),
                (&megabyte, times),
            ]),
        ),
        (
            "bomb of members",
            [gzip(&[(one.as_bytes(), 1), (ROW.as_bytes(), 1)]), gzip(&[]).repeat(1 << 16), gzip(&[(&megabyte, times)])]
                .concat(),
        ),
    ]
}

fn numbers(is_long: bool) -> Vec<(&'static str, Vec<u8>)> {
    let row = |manifest: String| gzip(&[(manifest.as_bytes(), 1), (ROW.as_bytes(), 1)]);
    let chunk = |compressed: &str, bytes: &str, rows: &str| {
        format!("{{\"compressed\":{compressed},\"bytes\":{bytes},\"rows\":{rows},\"crc32\":\"00000000\"}}")
    };
    let most = "9007199254740991";
    let two = format!("{},{}", chunk("9", "900", "9007199254740990"), chunk("9", "90", "9007199254740990"));
    vec![
        ("a billion rows, and one is there", row(runs("1000000000", "1000000000"))),
        ("count 2^64 - 1", row(runs("18446744073709551615", "8"))),
        ("count 2^63", row(runs("9223372036854775808", "8"))),
        ("count 2^53 - 1", row(runs(most, most))),
        ("bytes 2^53 - 1", row(runs("1", most))),
        ("chunk rows 2^53 - 1", row(with_chunks(most, most, &chunk("32", "32", most)))),
        ("chunk rows that overflow", row(with_chunks(most, most, &two))),
        ("chunk bytes 2^64 - 1", row(with_chunks("1", "8", &chunk("32", "18446744073709551615", "1")))),
        ("chunk of the most bytes", row(with_chunks("1", "8", &chunk("1000000000", "537919489", "1")))),
        ("chunks that seem to come", false_flush_marks(if is_long { 500 } else { 32 })),
        (
            "rows that are long chunks",
            rows_declared_as_long_chunks(if is_long { 200_000 } else { 20_000 }, if is_long { 500 } else { 64 }),
        ),
        ("very many chunks", many_chunks(if is_long { 1_800_000 } else { 100_000 })),
        ("very many files", many_files(if is_long { 1_500_000 } else { 100_000 })),
        ("more logs than a bundle can have", many_files(100_001)),
        ("very many sources", long_list("sources", &"\"a\",".repeat(1 << 16), if is_long { 500 } else { 2 }, "1")),
        (
            "a fault behind very many numbers",
            long_list("x", &"1,".repeat(1 << 16), if is_long { 1000 } else { 50 }, "-1"),
        ),
        (
            "a fault behind very many lists",
            long_list("x", &"[1,1],".repeat(1 << 16), if is_long { 340 } else { 20 }, "-1"),
        ),
        (
            "very many lists beside an unparsed line",
            long_unparsed_line(&"[1],".repeat(1 << 16), if is_long { 500 } else { 320 }),
        ),
        ("more files than a manifest can have", many_files(if is_long { 10_000_000 } else { 1_900_000 })),
    ]
}

/// Bundles that take quadratic time or memory if a reader examines each byte, line or block together with all later ones.
fn many_small_parts(is_long: bool) -> Vec<(&'static str, Vec<u8>)> {
    let chunk = |compressed: u64, bytes: u64| {
        format!("{{\"compressed\":{compressed},\"bytes\":{bytes},\"rows\":1,\"crc32\":\"00000000\"}}")
    };
    let small_block = [stored(&[b'x'; 30]), stored(b"")].concat();
    let unmarked = vec![chunk(30, 32); if is_long { 1_800_000 } else { 100_000 }].join(",");
    // Four empty blocks with the codes that need no table.
    let empty_blocks = [0x02, 0x08, 0x20, 0x80, 0x00];
    let lines = b"\n".repeat(1 << 20);
    let rows = format!("{ROW}\n").repeat((1 << 20) / (ROW.len() + 1));
    vec![
        ("a chunk of empty lines", one_chunk_of(&lines, if is_long { 512 } else { 8 })),
        ("a chunk of rows and empty lines", one_chunk_of(rows.as_bytes(), if is_long { 512 } else { 8 })),
        ("text of empty lines", gzip(&[(runs("1", "8").as_bytes(), 1), (&lines, if is_long { 512 } else { 8 })])),
        ("rows of logs in turn", logs_in_turn(500, if is_long { 4 << 20 } else { 1 << 18 })),
        (
            "blocks that hold nothing",
            with_data(&chunk(30, 32), &empty_blocks, if is_long { 4 << 20 } else { 256 << 10 } / 5),
        ),
        (
            "small blocks where a long one is due",
            with_data(&chunk(600_000_000, 537_919_489), &small_block, if is_long { 64 << 20 } else { 8 << 20 } / 40),
        ),
        ("very many chunks and no block", with_data(&unmarked, &[0x55], if is_long { 60 << 20 } else { 8 << 20 })),
    ]
}

fn nesting() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let in_row = |entry: &str| {
        let row = format!("{{\"source\":\"runs\",\"entry\":{entry}}}\n");
        gzip(&[(runs("1", &entry.len().to_string()).as_bytes(), 1), (row.as_bytes(), 1)])
    };
    let unknown = runs("1", "8").replacen('{', &format!("{{\"x\":{},", deep(10_000_000)), 1);
    vec![
        ("an entry 10 million arrays deep", in_row(&deep(10_000_000))),
        ("an entry a million objects deep", in_row(&objects(1_000_000))),
        ("an unknown key 10 million arrays deep", gzip(&[(unknown.as_bytes(), 1), (ROW.as_bytes(), 1)])),
        ("an entry that is never closed", in_row(&"[".repeat(10_000_000))),
    ]
}

fn names() -> Vec<(&'static str, Vec<u8>, Vec<&'static str>)> {
    let case = |name, source: &str, file: &str| (name, named(source, file), vec![]);
    let made = |name, source: &str, file: &str, made| (name, named(source, file), vec![made]);
    let long = format!("\"{}.jsonl\"", "x".repeat(300));
    vec![
        case("name with a separator", "\"a\"", "\"a/b.jsonl\""),
        case("name with the other separator", "\"a\"", "\"..\\\\runs.jsonl\""),
        case("name of a parent", "\"runs\"", "\"..\""),
        case("absolute name", "\"runs\"", "\"/etc/passwd\""),
        case("name with NUL", "\"runs\"", "\"runs\\u0000.jsonl\""),
        case("name with ESC", "\"runs\"", "\"\\u001b[2Jruns.jsonl\""),
        case("name with C1", "\"runs\"", "\"\u{9b}2Jruns.jsonl\""),
        case("name of 306 bytes", "\"runs\"", &long),
        case("name of another log", "\"runs\"", "\"decision_traces.jsonl\""),
        case("name without .jsonl", "\"authorized_keys\"", "\"authorized_keys\""),
        case("name with a trailing dot", "\"runs.jsonl.\"", "\"runs.jsonl.\""),
        case("name with a trailing space", "\"runs.jsonl \"", "\"runs.jsonl \""),
        case("source with ESC", "\"\\u001b]0;x\\u0007\"", "\"runs.jsonl\""),
        case("source with bidi characters", "\"\u{202e}snur\"", "\"runs.jsonl\""),
        made("device name", "\"CON\"", "\"CON.jsonl\"", ".patchwork/CON.jsonl"),
        made("name of a stream", "\"runs.jsonl:x\"", "\"runs.jsonl:x.jsonl\"", ".patchwork/runs.jsonl:x.jsonl"),
        made("case twin", "\"Runs\"", "\"Runs.jsonl\"", ".patchwork/Runs.jsonl"),
        made("bidi name", "\"\u{202e}x\"", "\"\u{202e}x.jsonl\"", ".patchwork/\u{202e}x.jsonl"),
    ]
}

fn terminal_escapes() -> Vec<(&'static str, Vec<u8>)> {
    let evil = "\\u001b[2J\\u001b]0;x\\u0007\u{9b}31m\u{202e}\u{200b}\u{7f}";
    let generator = with_chunks("1", "8", "").replace("\"x\"", &format!("\"{evil}\"")).replace(",\"chunks\":[]", "");
    let value = runs("1", "8").replace("2026-05-02", &format!("{evil}\u{1f}").replace('\u{1f}', ""));
    let foreign = format!("{{\"source\":\"{evil}\",\"file\":\"{evil}\",\"entry\":1}}\n");
    let original =
        format!("{{\"source\":\"runs\",\"entry\":\"{evil}\",\"original\":{{\"text\":\"\\\"x{evil}\\\"\"}}}}\n");
    let one = runs("1", "8");
    let exact = with_chunks("1", "8", "").replace(",\"chunks\":[]", "");
    vec![
        ("generator that a terminal would obey", gzip(&[(generator.as_bytes(), 1), (ROW.as_bytes(), 1)])),
        ("value that a terminal would obey", gzip(&[(value.as_bytes(), 1), (ROW.as_bytes(), 1)])),
        ("row of a source that a terminal would obey", gzip(&[(one.as_bytes(), 1), (foreign.as_bytes(), 1)])),
        ("row that a terminal would obey", gzip(&[(exact.as_bytes(), 1), (original.as_bytes(), 1)])),
        (
            "version that a terminal would obey",
            one.replace("\"version\":1", &format!("\"version\":\"{evil}\"")).into_bytes(),
        ),
    ]
}

/// Plain text of one log of two rows with this timeline, and as many others, each of its own source.
fn timelines(timeline: &str, others: usize, of_others: &str) -> Vec<u8> {
    let one = |source: &str, (count, timeline): (u64, &str)| {
        format!(
            "{{\"source\":\"{source}\",\"relativePath\":\"{source}.jsonl\",\"base\":\"patchwork\",\"count\":{count},\
             \"bytes\":{},\"sha256\":\"{}\",\"lineEnding\":\"lf\",\"finalNewline\":true{timeline}}}",
            count * 8,
            "0".repeat(64)
        )
    };
    let of_other = if of_others.is_empty() { (0, "") } else { (2, of_others) };
    let names: Vec<_> = (0..others).map(|n| format!("s{n:05}")).collect();
    let files: Vec<_> =
        std::iter::once(one("runs", (2, timeline))).chain(names.iter().map(|s| one(s, of_other))).collect();
    let sources = format!("\"runs\",\"{}\"", names.join("\",\""));
    let manifest = with_chunks("2", "16", "").replace("[\"runs\"]", &format!("[{sources}]"));
    let (start, end) = (manifest.find("\"files\"").unwrap(), 2 + of_other.0 * others as u64);
    format!("{}\"files\":[{}],\"totalCount\":{end}}}\n{}", &manifest[..start], files.join(","), ROW.repeat(2))
        .into_bytes()
}

fn extreme_timelines_and_counts() -> Vec<(&'static str, Vec<u8>)> {
    let far = ",\"timeline\":{\"stepMs\":22649241600000,\"bins\":[[0,1],[407000,1]]}";
    let ends = ",\"timeline\":{\"stepMs\":1000,\"bins\":[[0,1],[253370764799,1]]}";
    vec![
        ("a timeline far away, and ten thousand sources", timelines(far, 10_000, "")),
        ("ten thousand sources, each with a log and a timeline", timelines(ends, 10_000, ends)),
    ]
}

/// Every case: with bombs of 256 MiB, or of 10 GiB and as many files and chunks as it takes.
pub fn cases(is_long: bool) -> Vec<Case> {
    let most = if is_long { 10 << 30 } else { 256 << 20 };
    let of = |name, bundle: Vec<u8>, imports| Case { name, bundle, imports };
    let runs = ".patchwork/runs.jsonl";
    let mut cases: Vec<_> = bombs(most).into_iter().map(|(name, bundle)| of(name, bundle, vec![])).collect();
    // In 1.0 `bytes` proves nothing, so the row is imported.
    let imports = |name| if name == "bytes 2^53 - 1" { vec![runs] } else { vec![] };
    cases.extend(numbers(is_long).into_iter().map(|(name, bundle)| of(name, bundle, imports(name))));
    cases.extend(many_small_parts(is_long).into_iter().map(|(name, bundle)| of(name, bundle, vec![])));
    cases.extend(nesting().into_iter().map(|(name, bundle)| of(name, bundle, vec![runs])));
    cases.extend(names().into_iter().map(|(name, bundle, imports)| of(name, bundle, imports)));
    cases.extend(terminal_escapes().into_iter().map(|(name, bundle)| of(name, bundle, vec![runs])));
    cases.extend(extreme_timelines_and_counts().into_iter().map(|(name, bundle)| of(name, bundle, vec![])));
    cases
}
