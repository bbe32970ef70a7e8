//! Checks that an accepted manifest obeys FORMAT.md and survives encoding and decoding unchanged.

use std::collections::BTreeSet;

use patchwork_traces::Bundle;
use patchwork_traces::format::{Manifest, ManifestFile};
use patchwork_traces::inspect::{Inspection, unparsed_ranges};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::verify::{Verdict, verify};

use crate::bundles;

/// The largest count: 2^53 - 1.
const MAX_COUNT: u64 = (1 << 53) - 1;

/// Checks the input, up to its first line feed, as a manifest line.
pub fn check(input: &[u8]) {
    let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let decoded = Manifest::decode(line);
    let sound = decoded.as_ref().ok().and_then(Option::as_ref).filter(|manifest| manifest.faults().is_empty());
    if let Some(manifest) = sound {
        assert!(obeys_rules(manifest), "{manifest:?}");
    }
    if let Ok(Some(manifest)) = &decoded {
        check_again(manifest);
    }
    check_bundle(line, sound);
}

fn check_again(manifest: &Manifest) {
    let line = manifest.encode().expect("the manifest is short");
    let text = String::from_utf8(line.clone()).expect("it is UTF-8");
    assert!(!text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']), "{text}");
    let again = Manifest::decode(&line).expect("the manifest is sound").expect("it is JSON");
    assert_eq!(again, *manifest);
    assert_eq!(again.encode().expect("the manifest is short"), line);
}

/// Checks that a bundle opens exactly if `decode` and `faults` accept its manifest, and that verify reports a fault
/// for every other manifest.
fn check_bundle(line: &[u8], sound: Option<&Manifest>) {
    let bundle = [line, b"\n"].concat();
    let opened = Bundle::from_stream(bundle.as_slice(), "bundle");
    if line.first() == Some(&b'{') {
        assert_eq!(opened.is_ok(), sound.is_some(), "{:?}", opened.err());
    }
    match &opened {
        Ok(bundle) => {
            let inspection = Inspection::new(bundle);
            assert!(inspection.timetable.is_none_or(|table| table.columns <= 64));
            bundle.manifest().files.iter().for_each(check_ranges);
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
    let verified = verify(bundle.as_slice(), "bundle", &bundles::verify_options(), &NoProgress, &mut |_| {});
    if sound.is_none() {
        assert!(verified.is_ok_and(|report| report.verdict == Verdict::Damaged) || opened.is_err());
    }
}

fn check_ranges(file: &ManifestFile) {
    let lines: u64 = unparsed_ranges(file).iter().map(|range| range.last - range.first + 1).sum();
    assert_eq!(lines, file.unparsed_lines());
}

/// Returns true if the manifest obeys the numbered rules of FORMAT.md, "Manifest".
fn obeys_rules(manifest: &Manifest) -> bool {
    let files = &manifest.files;
    let sum = |counts: &mut dyn Iterator<Item = u64>| counts.map(u128::from).sum::<u128>();
    let sources: BTreeSet<_> = files.iter().map(|file| &file.source).collect();
    let by_source: BTreeSet<_> = files.iter().map(|file| (&file.source, &file.relative_path)).collect();
    let by_base: BTreeSet<_> = files.iter().map(|file| (file.base(), &file.relative_path)).collect();
    let (major, minor) = manifest.version();
    major == 1
        && (minor == 0 || manifest.generator.is_some() && files.iter().all(|file| file.record().is_some()))
        && sum(&mut files.iter().map(|file| file.count)) == u128::from(manifest.total_count)
        && manifest.total_count <= MAX_COUNT
        && manifest.sources.iter().eq(sources)
        && by_source.len() == files.len()
        && by_base.len() == files.len()
        && files.iter().all(file_obeys_rules)
}

fn file_obeys_rules(file: &ManifestFile) -> bool {
    let rows: u128 = file.chunks.iter().map(|chunk| u128::from(chunk.rows)).sum();
    let chunks = file.chunks.iter().all(|chunk| {
        chunk.rows > 0
            && u128::from(chunk.bytes) >= 25 * u128::from(chunk.rows)
            && chunk.bytes <= 541_065_217
            && (1..=2 * 541_065_217).contains(&chunk.compressed)
    });
    let lines = u128::from(file.count) + u128::from(file.unparsed_lines());
    let mut free = 1;
    let unparsed = file.unparsed.iter().all(|unparsed| {
        let first = u128::from(unparsed.line);
        let is_in_order = first >= free;
        free = first + u128::from(unparsed.lines());
        is_in_order && free - 1 <= lines
    });
    let bytes = file
        .record()
        .is_none_or(|record| u128::from(file.bytes) >= lines && (lines > 0 || file.bytes == 0 && record.final_newline));
    let timeline = file.timeline.as_ref().is_none_or(|timeline| {
        let rows: u128 = timeline.bins.iter().map(|(_, rows)| u128::from(*rows)).sum();
        let starts = |bin: i64| i128::from(bin) * i128::from(timeline.step_ms);
        timeline.bins.len() <= 64
            && rows <= u128::from(file.count)
            && timeline.bins.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && timeline.bins.iter().all(|(bin, _)| i64::try_from(starts(*bin)).is_ok())
            && timeline.step_ms % 1000 == 0
    });
    (file.chunks.is_empty() || rows == u128::from(file.count)) && chunks && unparsed && bytes && timeline
}
