//! Compares the model of rotation with a slow reference implementation of its rules: the bytes that a writer leaves,
//! also if only the end of a log was read, and the forecast from sizes alone.

use patchwork_traces::import::LineCount;
use patchwork_traces::internal::lines_of;
use patchwork_traces::logs::rotation::{
    LineSize, LineSizes, MAX_LOG_BYTES, NewestLines, Rotation, RotationKind, rotate,
};
use proptest::prelude::*;

const KINDS: [RotationKind; 3] = [RotationKind::Archives, RotationKind::Deletes, RotationKind::KeepsNewest];

/// A line of a log, decoded.
#[derive(Clone)]
struct ReferenceLine {
    text: String,
    is_valid: bool,
    is_row: bool,
    was_archived: bool,
}

/// Returns true if a line has only white space, as ECMAScript defines it.
fn is_blank(text: &str) -> bool {
    let space = |c: char| matches!(c as u32, 9..=13 | 0x20 | 0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000 | 0xfeff);
    text.chars().all(space)
}

fn reference_lines(log: &[u8], was_archived: bool) -> Vec<ReferenceLine> {
    let text = String::from_utf8_lossy(log).into_owned();
    let valid = log.split(|byte| *byte == b'\n').map(|line| std::str::from_utf8(line).is_ok());
    let lines = text.split('\n').zip(valid).filter(|(text, _)| !is_blank(text));
    let reference = |(text, is_valid): (&str, bool)| ReferenceLine {
        text: text.to_owned(),
        is_valid,
        is_row: text.starts_with('{'),
        was_archived,
    };
    lines.map(reference).collect()
}

/// Returns the length of the joined lines, plus 1.
fn joined(lines: &[ReferenceLine]) -> usize {
    lines.iter().map(|line| line.text.encode_utf16().count() + 1).sum::<usize>().max(1)
}

fn halve(mut lines: Vec<ReferenceLine>, limit: usize) -> Vec<ReferenceLine> {
    while joined(&lines) > limit && lines.len() > 1 {
        lines = lines.split_off(lines.len() - (lines.len() / 2).max(1));
    }
    lines
}

fn bytes(lines: &[ReferenceLine]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.text.as_bytes(), b"\n"].concat()).collect()
}

struct Expected {
    log: Vec<u8>,
    archive: Option<Vec<u8>>,
    dropped: Vec<String>,
    rotation: Rotation,
}

fn count(lines: &[ReferenceLine]) -> LineCount {
    let rows = lines.iter().filter(|line| line.is_row).count() as u64;
    LineCount { rows, unparsed: lines.len() as u64 - rows }
}

fn expected(kind: RotationKind, log: &[u8], archive: &[u8]) -> Expected {
    let all = reference_lines(log, false);
    let mut kept = halve(all[all.len().saturating_sub(10_000)..].to_vec(), 1_048_576);
    let mut dropped = all[..all.len() - kept.len()].to_vec();
    let archive_before = reference_lines(archive, true);
    let archived = (kind == RotationKind::Archives && !dropped.is_empty())
        .then(|| halve([archive_before.clone(), dropped.clone()].concat(), 8_388_608));
    if kept.len() == 1 && joined(&kept) > 1_048_576 && kind != RotationKind::KeepsNewest {
        dropped.append(&mut kept);
    }
    let mut rotation = Rotation::default();
    rotation.trimmed = count(&dropped);
    rotation.left = count(&kept);
    rotation.blank = (lines_of(log).count() - all.len()) as u64;
    rotation.replaces_invalid_utf8 = kept.iter().any(|line| !line.is_valid);
    if let Some(archived) = &archived {
        let (stay, moved): (Vec<_>, Vec<_>) = archived.iter().cloned().partition(|line| line.was_archived);
        let (before, after) = (count(&archive_before), count(&stay));
        rotation.moved_to = Some("archive");
        rotation.moved = count(&moved);
        rotation.lost_from_archive =
            LineCount { rows: before.rows - after.rows, unparsed: before.unparsed - after.unparsed };
        rotation.blank += (lines_of(archive).count() - archive_before.len()) as u64;
        rotation.replaces_invalid_utf8 |= archived.iter().any(|line| !line.is_valid);
    }
    let nothing: &[u8] = if kind == RotationKind::KeepsNewest { b"\n" } else { b"" };
    Expected {
        log: if kept.is_empty() { nothing.to_vec() } else { bytes(&kept) },
        archive: archived.map(|lines| bytes(&lines)),
        dropped: dropped.into_iter().map(|line| line.text).collect(),
        rotation,
    }
}

fn sizes(log: &[u8]) -> LineSizes {
    let mut sizes = LineSizes::default();
    lines_of(log).for_each(|line| sizes.push(LineSize::of(line.bytes), line.bytes.starts_with(b"{")));
    sizes
}

fn check(log: &[u8], archive: &[u8]) {
    for kind in KINDS {
        let rotated = rotate(kind, log, archive);
        let forecast = sizes(log).forecast(kind, log.len() as u64, Some(("archive", &sizes(archive))));
        if log.len() as u64 <= MAX_LOG_BYTES {
            assert_eq!((rotated, forecast), (None, None));
            continue;
        }
        let (rotated, expected) = (rotated.unwrap(), expected(kind, log, archive));
        assert!(rotated.log == expected.log, "{kind:?}: the log");
        assert!(rotated.archive == expected.archive, "{kind:?}: the archive");
        assert!(rotated.dropped == expected.dropped, "{kind:?}: the dropped lines");
        let is_changed =
            expected.rotation.trimmed.all() + expected.rotation.blank > 0 || expected.rotation.replaces_invalid_utf8;
        assert_eq!(forecast, is_changed.then_some(expected.rotation.clone()), "{kind:?}");
        check_tails(kind, log, &expected);
    }
}

/// Checks that reading only the end of a log gives the same result.
fn check_tails(kind: RotationKind, log: &[u8], expected: &Expected) {
    for from in [0, log.len() / 3, log.len() * 7 / 8] {
        let from = if from == 0 {
            0
        } else {
            log[from..].iter().position(|byte| *byte == b'\n').map_or(log.len(), |at| from + at + 1)
        };
        let mut newest = NewestLines::of_log(kind);
        lines_of(&log[from..]).for_each(|line| newest.push(line.bytes));
        if from == 0 {
            assert_eq!(newest.dropped(), expected.dropped.len() as u64);
        }
        if from == 0 || newest.is_settled() {
            assert!(newest.into_bytes() == expected.log, "{kind:?}: the log from byte {from}");
        }
    }
}

/// A pseudorandom number generator.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

/// Pieces of text. Many are not ASCII, not UTF-8, or white space only in JavaScript or only in Rust.
const PIECES: [&[u8]; 14] = [
    b"a",
    b"row ",
    "\u{e9}".as_bytes(),
    "\u{6f22}".as_bytes(),
    "\u{1f600}".as_bytes(),
    b"\xff",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98",
    "\u{a0}".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{85}".as_bytes(),
    "\u{180e}".as_bytes(),
    b"\r",
];

/// Generates a log of about `bytes` bytes with lines of about `line` bytes.
fn log(random: &mut Random, bytes: usize, line: usize, plain: bool) -> Vec<u8> {
    let mut log = Vec::new();
    while log.len() < bytes {
        let start = log.len();
        match random.below(12) {
            0 => log.extend([" ", "", "\u{2003}\u{a0}", "\t\r", "\u{2029}\u{feff}"][random.below(5)].as_bytes()),
            1 => log.extend(b"torn"),
            _ => log.extend(b"{"),
        }
        let length = random.below(2 * line);
        while log.get(start) == Some(&b'{') && log.len() < start + length {
            let piece = PIECES[if plain { 0 } else { random.below(PIECES.len()) }];
            (0..=random.below(40)).for_each(|_| log.extend(piece));
        }
        log.push(b'\n');
    }
    if random.below(3) == 0 {
        log.pop();
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn model_matches_its_slow_transcription(
        seed in 1u64..,
        bytes in 900_000usize..3_000_000,
        line in prop_oneof![Just(2usize), 20usize..200, 200usize..3000, 100_000usize..900_000],
        archive in prop_oneof![Just(0usize), 1_000usize..100_000, 7_000_000usize..9_500_000],
        plain in any::<bool>(),
    ) {
        let random = &mut Random(seed);
        let log = log(random, bytes, line, plain);
        let archive = self::log(random, archive, line.min(2000), plain);
        check(&log, &archive);
    }

    #[test]
    fn sizes_of_parts_add_up(seed in 1u64.., bytes in 1_100_000usize..2_000_000, line in 20usize..2000, at in 0usize..100) {
        let log = log(&mut Random(seed), bytes, line, false);
        let at = log[log.len() * at / 100..].iter().position(|byte| *byte == b'\n').map_or(log.len(), |to| log.len() * at / 100 + to + 1);
        let mut parts = sizes(&log[..at]);
        parts.append(&sizes(&log[at..]));
        let forecast = |sizes: &LineSizes| sizes.forecast(RotationKind::Deletes, log.len() as u64, None);
        prop_assert_eq!(forecast(&parts), forecast(&sizes(&log)));
    }
}

fn lines(count: usize, bytes: usize) -> Vec<u8> {
    [vec![b'{'; bytes - 1], vec![b'\n']].concat().repeat(count)
}

#[test]
fn logs_at_the_limits_are_kept() {
    const LIMIT: usize = 1 << 20;
    for log in [
        lines(1, LIMIT),
        lines(1, LIMIT + 1),
        lines(2, LIMIT),
        lines(2, LIMIT + 1),
        lines(4, LIMIT / 2),
        lines(4, LIMIT / 2 + 1),
        [lines(9, 1), lines(1, LIMIT)].concat(),
        lines(10_000, 105),
        lines(10_001, 105),
        [lines(1, LIMIT), lines(10_000, 2)].concat(),
        vec![b' '; LIMIT + 1],
        vec![b'\n'; LIMIT + 1],
        // The log has fewer code units than bytes, so nothing is trimmed.
        "{\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}}\n".repeat(LIMIT / 14).into_bytes(),
    ] {
        check(&log, b"");
        check(&log, &lines(8, LIMIT));
        check(&log, &lines(1, 9 * LIMIT));
        check(&log, &lines(8191, 1024));
    }
}

#[test]
fn long_log_takes_bounded_memory() {
    // The log has 40 MiB. At most lines of 1 MiB are kept in memory.
    let line = vec![b'x'; 1 << 19];
    let mut newest = NewestLines::of_log(RotationKind::Deletes);
    (0..80).for_each(|_| newest.push(&line));
    assert_eq!(newest.dropped(), 79);
    assert_eq!(newest.into_bytes().len(), (1 << 19) + 1);
    let mut archived = NewestLines::of_archive();
    (0..80).for_each(|_| archived.push(&line));
    assert_eq!(archived.dropped(), 70);
    assert_eq!(archived.into_bytes().len(), 10 * ((1 << 19) + 1));
}

/// Finds the length at which a writer trims a log of equally long lines, and compares the estimate with it.
fn expect_next_rotation(kind: RotationKind, line: &str, before: usize, archived: usize) {
    let sizes_of = |lines: usize| {
        let mut sizes = LineSizes::default();
        (0..lines).for_each(|_| sizes.push(LineSize::of(line.as_bytes()), true));
        sizes
    };
    let bytes = |lines: usize| (lines * (line.len() + 1)) as u64;
    let archive = sizes_of(archived);
    let archive = Some(("archive", &archive));
    let next = sizes_of(before).next_rotation(kind, bytes(before), archive).unwrap();
    let takes_lines = |lines: usize| {
        let now = sizes_of(lines).forecast(kind, bytes(lines), archive);
        now.is_some_and(|now| now.trimmed.all() > 0)
    };
    let (mut short, mut at) = (before - 1, 1 << 18);
    while at - short > 1 {
        let middle = usize::midpoint(short, at);
        *if takes_lines(middle) { &mut at } else { &mut short } = middle;
    }
    let now = sizes_of(at).forecast(kind, bytes(at), archive).unwrap();
    let (after, allowed) = (bytes(at) - bytes(before), 2 * (line.len() as u64 + 1));
    assert!(next.after_bytes.abs_diff(after) <= allowed, "{next:?}: {after}");
    assert!(next.trimmed.abs_diff(now.trimmed.all()) <= 2, "{next:?}: {now:?}");
    assert!(next.deleted.abs_diff(now.deleted().all()) <= 4, "{next:?}: {now:?}");
    assert_eq!(next.moved_to, now.moved_to);
}

#[test]
fn the_next_rotation_is_estimated() {
    let (ascii, short, wide) =
        (format!("{{\"a\":\"{}\"}}", "x".repeat(300)), "{\"a\":1}", "{\"a\":\"ééééééééééééééé\"}");
    for kind in KINDS {
        for line in [&ascii, short, wide] {
            let full = (1 << 20) / (line.len() + 1);
            for before in [1, 100, full / 2, full - 1, full + 1, 12_000.min(full * 2)] {
                expect_next_rotation(kind, line, before, 0);
                expect_next_rotation(kind, line, before, full * 15 / 2);
            }
        }
    }
    assert_eq!(LineSizes::default().next_rotation(RotationKind::Deletes, 0, None), None);
}

#[test]
fn a_rotation_is_due_only_if_the_next_write_takes_lines() {
    let wide = format!("{{\"a\":\"{}\"}}", "漢".repeat(60));
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(1_100_000));
    let cases: [(&str, usize); 3] = [(&"x".repeat(63), 1 << 14), (&wide, 10_000), (&huge, 1)];
    for (line, lines) in cases {
        let log = format!("{line}\n").repeat(lines);
        let sizes = sizes_of(&log);
        let kind = RotationKind::KeepsNewest;
        assert_eq!(lost_lines(kind, &log), 0, "{}", line.len());
        let next = sizes.next_rotation(kind, log.len() as u64, None).unwrap();
        assert!(next.after_bytes > 0 && next.trimmed > 0, "{next:?}");
        let later = format!("{log}{line}\n");
        let (due, lost) =
            (sizes_of(&later).next_rotation(kind, later.len() as u64, None).unwrap(), lost_lines(kind, &later));
        assert_eq!((due.after_bytes, due.trimmed), (0, lost), "{}", line.len());
        assert!(lost > 0 && next.trimmed.abs_diff(lost) <= 2, "{next:?}: {lost}");
    }
}

#[test]
fn blank_lines_that_the_next_write_drops_leave_room() {
    let rows = "{\"id\":5000}\n".repeat(5000);
    let log = rows.clone() + &"\n".repeat(1_000_000);
    let next = sizes_of(&log).next_rotation(RotationKind::Deletes, log.len() as u64, None).unwrap();
    let after = sizes_of(&rows).next_rotation(RotationKind::Deletes, rows.len() as u64, None).unwrap();
    assert_eq!(next, after);
    assert!(next.after_bytes > 900_000, "{next:?}");
}

fn sizes_of(log: &str) -> LineSizes {
    let mut sizes = LineSizes::default();
    log.lines().for_each(|line| sizes.push(LineSize::of(line.as_bytes()), true));
    sizes
}

fn lost_lines(kind: RotationKind, log: &str) -> u64 {
    rotate(kind, log.as_bytes(), b"").map_or(0, |rotated| rotated.dropped.len() as u64)
}
