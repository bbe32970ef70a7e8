//! Writes the logs of a busy machine, with the same content each time:
//!
//! `cargo run --release --example make-logs -- DIRECTORY MIB`
//!
//! Creates `patchwork/` and `ide/` in `DIRECTORY`. Of every 32 bytes, 14 are runs, 16 are activity (of four
//! bridges), and one each is decision traces and links. Rows resemble Patchwork's in length and vocabulary. One
//! line in 20,000 is irregular: torn, blank, surrounded by white space, with invalid UTF-8, or with half of a
//! surrogate pair.
#![allow(missing_docs)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// The start of the logs' time range: 2026-01-01, in milliseconds since 1970.
const FIRST_MILLIS: u64 = 1_767_225_600_000;

fn main() -> io::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let (Some(dir), Some(mib)) = (args.next(), args.next().and_then(|mib| mib.to_str()?.parse::<u64>().ok())) else {
        return Err(io::Error::other("usage: make-logs DIRECTORY MIB"));
    };
    write_logs(Path::new(&dir), mib << 20)
}

/// Writes logs of about so many bytes into `patchwork/` and `ide/` in `dir`.
///
/// # Errors
/// If a directory or a log cannot be written.
pub fn write_logs(dir: &Path, bytes: u64) -> io::Result<()> {
    let (patchwork, ide) = (dir.join("patchwork"), dir.join("ide"));
    fs::create_dir_all(&patchwork)?;
    fs::create_dir_all(&ide)?;
    write(&patchwork.join("runs.jsonl"), bytes * 14 / 32, 1, run)?;
    write(&patchwork.join("decision_traces.jsonl"), bytes / 32, 2, decision)?;
    write(&patchwork.join("commit_issue_links.jsonl"), bytes / 32, 3, link)?;
    for port in 3100..3104 {
        write(&ide.join(format!("activity-{port}.jsonl")), bytes * 4 / 32, port, event)?;
    }
    Ok(())
}

/// A deterministic pseudo-random number generator (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<'t, T: ?Sized>(&mut self, things: &[&'t T]) -> &'t T {
        let at = self.below(things.len() as u64);
        things[usize::try_from(at).unwrap_or_default()]
    }
}

/// The state from which a log's rows are generated.
struct Source {
    random: Random,
    words: Vec<String>,
    number: u64,
    millis: u64,
}

impl Source {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let hex = |random: &mut Random| {
            let bits = *random.of(&[&12_u32, &16, &24, &32]);
            format!("{:x}", random.next() >> (64 - bits))
        };
        let mut words: Vec<_> = (0..1500).map(|_| hex(&mut random)).collect();
        let common = "the error test build review branch merge fix import module function 東京 café 🚀";
        words.extend(std::iter::repeat_n(common.split(' '), 30).flatten().map(str::to_owned));
        Self { random, words, number: 0, millis: FIRST_MILLIS }
    }

    /// Appends words separated by spaces: at least `least`, fewer than `end`.
    fn text(&mut self, row: &mut String, least: u64, end: u64) {
        for index in 0..least + self.random.below(end - least) {
            let word = self.random.below(self.words.len() as u64);
            row.push_str(if index == 0 { "" } else { " " });
            row.push_str(&self.words[usize::try_from(word).unwrap_or_default()]);
        }
    }

    /// Appends a UUID.
    fn id(&mut self, row: &mut String) -> std::fmt::Result {
        let (a, b) = (self.random.next(), self.random.next());
        write!(
            row,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xffff,
            b >> 48,
            b << 16 >> 16
        )
    }
}

fn run(source: &mut Source, row: &mut String) -> std::fmt::Result {
    let (number, millis) = (source.number, source.millis);
    write!(row, r#"{{"seq":{number},"taskId":""#)?;
    source.id(row)?;
    let recipe = source.random.below(40);
    let status = source.random.of(&["done", "error", "interrupted"]);
    write!(row, r#"","recipeName":"recipe-{recipe}","trigger":"cron","status":"{status}","createdAt":{millis},"#)?;
    write!(row, r#""startedAt":{},"doneAt":{},"model":"local","outputTail":""#, millis + 5, millis + 9000)?;
    source.text(row, 20, 160);
    row.write_str("\"}")
}

fn decision(source: &mut Source, row: &mut String) -> std::fmt::Result {
    let (number, millis, reference) = (source.number, source.millis, source.random.below(9999));
    write!(row, r##"{{"seq":{number},"createdAt":{millis},"ref":"#{reference}","problem":""##)?;
    source.text(row, 10, 40);
    row.write_str(r#"","solution":""#)?;
    source.text(row, 10, 60);
    row.write_str(r#"","workspace":"/home/me/code/project","tags":[],"sessionId":""#)?;
    source.id(row)?;
    row.write_str("\"}")
}

fn link(source: &mut Source, row: &mut String) -> std::fmt::Result {
    let (number, millis, reference) = (source.number, source.millis, source.random.below(9999));
    let (a, b, c) = (source.random.next(), source.random.next(), source.random.next() >> 32);
    write!(row, r##"{{"seq":{number},"sha":"{a:016x}{b:016x}{c:08x}","ref":"#{reference}","linkType":"closes","##)?;
    row.write_str(r#""resolved":true,"workspace":"/home/me/code/project","subject":""#)?;
    source.text(row, 4, 14);
    write!(row, r#"","createdAt":{millis}}}"#)
}

fn event(source: &mut Source, row: &mut String) -> std::fmt::Result {
    let (number, duration) = (source.number, source.random.below(20_000));
    let tool = source.random.of(&["Bash", "Read", "Edit", "Grep", "runTests"]);
    write!(row, r#"{{"kind":"tool","id":{number},"timestamp":""#)?;
    timestamp(source.millis, row)?;
    write!(row, r#"","tool":"{tool}","durationMs":{duration},"status":"success","sessionId":""#)?;
    source.id(row)?;
    if source.random.below(10) == 0 {
        row.write_str(r#"","errorMessage":""#)?;
        source.text(row, 4, 16);
    }
    row.write_str("\"}")
}

/// Appends an RFC 3339 timestamp. Months have 28 days, so that every result is a valid date.
fn timestamp(millis: u64, row: &mut String) -> std::fmt::Result {
    let (seconds, millis) = ((millis - FIRST_MILLIS) / 1000, millis % 1000);
    let (days, hour, minute) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    let (year, month, day) = (2026 + days / 336, days / 28 % 12 + 1, days % 28 + 1);
    write!(row, "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.{millis:03}Z", seconds % 60)
}

/// Writes rows from `make` until the log has at least `size` bytes.
fn write(
    path: &Path,
    size: u64,
    seed: u64,
    make: impl Fn(&mut Source, &mut String) -> std::fmt::Result,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut source = Source::new(seed);
    let (mut written, mut row) = (0, String::new());
    while written < size {
        source.number += 1;
        source.millis += 1 + source.random.below(60_000);
        row.clear();
        make(&mut source, &mut row).map_err(io::Error::other)?;
        row.push('\n');
        let line = match source.number % 20_000 {
            0 => irregular(source.number / 20_000, row.as_bytes()),
            _ => std::borrow::Cow::Borrowed(row.as_bytes()),
        };
        out.write_all(&line)?;
        written += line.len() as u64;
    }
    out.flush()
}

/// Returns a line as it may look after concurrent writes or manual edits.
fn irregular(kind: u64, line: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let body = &line[..line.len() - 1];
    match kind % 5 {
        0 => [&body[..body.len() / 2], b"\n"].concat(),
        1 => b"\n".to_vec(),
        2 => [b"  ", body, b"\t\n"].concat(),
        3 => [&body[..body.len() - 2], b" \xff\"}\n"].concat(),
        _ => [&body[..body.len() - 2], b" \\ud800\"}\n"].concat(),
    }
    .into()
}
