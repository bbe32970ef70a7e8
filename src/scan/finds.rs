//! Collects finds: first those of a part of a bundle, on one thread, then all of them.

use std::collections::{BTreeMap, HashMap};

use super::lines::ScannedLine;
use super::report::{RuleCount, ScanGroup, ScanPlace, ScanReport};
use crate::detect::{Detector, LinePlace, RuleId, StringPath, in_line};
use crate::format::Manifest;
use crate::input::InputSummary;

/// The maximum number of groups of finds.
const MAX_GROUPS: usize = 10_000;

/// The maximum number of groups from one part of a bundle.
const MAX_PART_GROUPS: usize = 2_000;

/// The common properties of finds in a part of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct PartKey {
    rule: RuleId,
    /// The index of the log; `None` for the manifest.
    file: Option<usize>,
    path: Option<String>,
    in_key: bool,
}

/// The finds of a group in a part of a bundle.
#[derive(Debug, Default)]
struct PartGroup {
    finds: u64,
    /// The lines, in order.
    places: Vec<u64>,
}

/// The finds of a part of a bundle.
#[derive(Debug, Default)]
pub struct BundleFinds {
    groups: HashMap<PartKey, PartGroup>,
    /// The number of finds outside of the groups, by rule.
    ungrouped: BTreeMap<RuleId, u64>,
    /// The number of lines that were searched.
    pub lines: u64,
}

impl BundleFinds {
    /// Searches a text of the manifest.
    pub fn add_manifest_text(&mut self, detector: &Detector, path: &str, text: &str) {
        for find in detector.find(text) {
            let key = PartKey { rule: find.rule, file: None, path: Some(path.to_owned()), in_key: false };
            self.add(key, None);
        }
    }

    /// Searches a line.
    pub fn add_line(&mut self, detector: &Detector, line: &ScannedLine<'_>) {
        self.lines += 1;
        in_line(detector, line.bytes, line.is_row, |place, found| {
            let path = match place {
                LinePlace::Row(strings) => {
                    Some(StringPath::of(strings, line.bytes, detector, found.is_in_key).to_string())
                }
                LinePlace::Unparsed => None,
            };
            let key = PartKey { rule: found.rule, file: Some(line.file), path, in_key: found.is_in_key };
            self.add(key, Some(line.number));
        });
    }

    fn add(&mut self, key: PartKey, line: Option<u64>) {
        if self.groups.len() >= MAX_PART_GROUPS && !self.groups.contains_key(&key) {
            *self.ungrouped.entry(key.rule).or_default() += 1;
            return;
        }
        let group = self.groups.entry(key).or_default();
        group.finds += 1;
        if let Some(line) = line.filter(|line| group.places.last() != Some(line)) {
            group.places.push(line);
        }
    }
}

/// The common properties of finds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct FindGroupKey {
    kind: crate::detect::FindKind,
    rule: RuleId,
    /// The source and the file.
    log: Option<(String, String)>,
    path: Option<String>,
    in_key: bool,
}

/// The finds of all inputs.
#[derive(Debug)]
pub struct Groups {
    by_key: BTreeMap<FindGroupKey, ScanGroup>,
    counts: BTreeMap<RuleId, RuleCount>,
    ungrouped: u64,
    max_places: usize,
}

impl Groups {
    pub fn new(max_places: usize) -> Self {
        Self { by_key: BTreeMap::new(), counts: BTreeMap::new(), ungrouped: 0, max_places }
    }

    /// Adds the finds of a part of a bundle.
    pub fn add(&mut self, bundle: &str, manifest: &Manifest, detector: &Detector, found: BundleFinds) {
        let mut groups: Vec<_> = found.groups.into_iter().collect();
        groups.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (PartKey { rule, file, path, in_key }, PartGroup { finds: count, places: lines }) in groups {
            self.count(rule, detector, count);
            let file = file.map(|file| &manifest.files[file]);
            let log = file.map(|file| (file.source.to_string(), file.relative_path.to_string()));
            let key = FindGroupKey { kind: detector.kind(rule), rule, log, path: path.clone(), in_key };
            if self.by_key.len() >= MAX_GROUPS && !self.by_key.contains_key(&key) {
                self.ungrouped += count;
                continue;
            }
            let group = self.by_key.entry(key).or_insert_with(|| ScanGroup {
                rule: detector.name(rule).to_owned(),
                kind: detector.kind(rule),
                source: file.map(|file| file.source.clone()),
                file: file.map(|file| file.relative_path.clone()),
                path,
                in_key,
                count: 0,
                lines: 0,
                places: Vec::new(),
            });
            group.count += count;
            group.lines += lines.len() as u64;
            let place = |line| ScanPlace { bundle: bundle.to_owned(), line };
            let places = lines.into_iter().map(Some).chain(file.is_none().then_some(None));
            let free = self.max_places.saturating_sub(group.places.len());
            group.places.extend(places.take(free).map(place));
        }
        for (rule, count) in found.ungrouped {
            self.count(rule, detector, count);
            self.ungrouped += count;
        }
    }

    fn count(&mut self, rule: RuleId, detector: &Detector, count: u64) {
        let new = || RuleCount { rule: detector.name(rule).to_owned(), kind: detector.kind(rule), count: 0 };
        self.counts.entry(rule).or_insert_with(new).count += count;
    }

    pub fn into_report(self, inputs: Vec<InputSummary>, lines: u64) -> ScanReport {
        let mut rules: Vec<_> = self.counts.into_values().collect();
        rules.sort_by_key(|rule| rule.kind);
        ScanReport { inputs, lines, rules, groups: self.by_key.into_values().collect(), ungrouped: self.ungrouped }
    }
}
