//! Encrypted histories: a run of `keep` needs no key if this machine has notes on the segments, and no other command
//! reads rows without the key.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use patchwork_traces::bundle::Selection;
use patchwork_traces::container::{DecryptionKeys, Input, Passphrase};
use patchwork_traces::error::HistoryFault;
use patchwork_traces::format::{FollowsState, HistoryId, Timestamp};
use patchwork_traces::history::History;
use patchwork_traces::keep::{KeepOptions, KeepReport, WriteOptions, keep, keep_bundles};
use patchwork_traces::logs::{DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::recover::{RecoverOptions, recover_history};
use patchwork_traces::verify::{HistoryVerifyOptions, verify_history};
use patchwork_traces::{Bundle, ErrorKind, OutputTarget, Result, TargetOptions};

use crate::common::age_keys::{IDENTITY, OTHER_IDENTITY, RECIPIENT, keys, sealer};
use crate::common::random::Random;
use crate::common::{Home, bundle};

/// A machine whose history is encrypted.
struct Machine {
    home: Home,
    runs: i64,
}

impl Machine {
    /// Returns a machine whose history has three segments of one row each.
    fn with_history() -> Self {
        let mut machine = Self { home: Home::new(), runs: 0 };
        for n in 0..3 {
            machine.append(n);
            machine.keep(&machine.sealed()).unwrap();
        }
        machine
    }

    fn history(&self) -> PathBuf {
        self.home.path().join("history")
    }

    fn log(&self) -> PathBuf {
        self.home.dirs().patchwork.join("runs.jsonl")
    }

    fn append(&self, n: i64) {
        let mut log = fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        log.write_all(row(n).as_bytes()).unwrap();
    }

    fn sealed(&self) -> KeepOptions {
        let plain = self.plain();
        KeepOptions::new(plain.write.sealer(sealer(&[RECIPIENT])))
    }

    fn plain(&self) -> KeepOptions {
        KeepOptions::new(WriteOptions::new("test 1", Timestamp::from_millis(1_777_715_000_000 + self.runs).unwrap()))
    }

    fn keep(&mut self, options: &KeepOptions) -> Result<KeepReport> {
        self.runs += 1;
        let found = discover(&self.home.dirs(), &DiscoverOptions::default().allow_empty(true)).unwrap();
        keep(&found, self.history(), options, &NoProgress)
    }

    /// Returns the directory of the notes.
    fn notes(&self) -> PathBuf {
        let id = History::open_with_keys(self.history(), &keys(&[IDENTITY])).unwrap().id();
        self.home.dirs().patchwork.join(".patchwork-traces").join(id.to_string()).join("notes")
    }

    /// Returns the rows of the history, in order.
    fn rows(&self) -> String {
        let mut rows = Vec::new();
        for segment in History::open_with_keys(self.history(), &keys(&[IDENTITY])).unwrap().segments() {
            let mut found = segment.open().unwrap().rows(&Selection::default()).unwrap();
            while let Some(row) = found.next_row().unwrap() {
                rows.extend_from_slice(row.exact_line());
                rows.push(b'\n');
            }
        }
        String::from_utf8(rows).unwrap()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let history = History::open_with_keys(self.history(), &keys(&[IDENTITY])).unwrap();
        history.segments().iter().map(|segment| segment.path.clone()).collect()
    }

    /// Returns the content of all files of the history.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files_below(&self.history()).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }
}

fn row(n: i64) -> String {
    format!("{{\"taskId\":\"marked-{n}\",\"createdAt\":{}}}\n", 1_777_716_000_000 + n * 1000)
}

fn rows(numbers: std::ops::Range<i64>) -> String {
    numbers.map(row).collect()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

#[test]
fn segments_are_encrypted_and_a_run_needs_no_key() {
    let machine = Machine::with_history();
    let segments = machine.segments();
    assert_eq!(segments.len(), 3);
    for segment in &segments {
        assert_eq!(segment.extension().unwrap(), "age");
        assert!(fs::read(segment).unwrap().starts_with(b"age-encryption.org/v1\n"));
    }
    assert_eq!(machine.rows(), rows(0..3));
    let error = History::open(machine.history()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Encrypted(_)), "{error}");
    let error = History::open_with_keys(machine.history(), &keys(&[OTHER_IDENTITY])).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoMatchingKey), "{error}");
}

#[test]
fn notes_hold_no_text_of_a_row_and_only_their_owner_can_read_them() {
    let machine = Machine::with_history();
    let files = files_below(&machine.notes());
    assert_eq!(files.len(), 4, "the key, and a note for each segment: {files:?}");
    for path in &files {
        let content = fs::read(path).unwrap();
        assert!(memchr::memmem::find(&content, b"marked").is_none(), "{}", path.display());
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o077, 0, "{}", path.display());
    }
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&machine.notes().metadata().unwrap()) & 0o077, 0);
}

#[test]
fn imported_rows_are_recognised_by_the_notes() {
    let mut machine = Machine::with_history();
    // Row 1 was removed and is imported again; row 7 was never there.
    fs::remove_file(machine.log()).unwrap();
    fs::write(machine.log(), row(0) + &row(2)).unwrap();
    machine.keep(&machine.sealed()).unwrap();
    fs::remove_file(machine.log()).unwrap();
    fs::write(machine.log(), row(0) + &row(7) + &row(1) + &row(2) + &row(8)).unwrap();
    let report = machine.keep(&machine.sealed()).unwrap();
    assert_eq!(report.rows(), 2);
    assert_eq!(machine.rows(), rows(0..3) + &row(7) + &row(8));
}

#[test]
fn without_notes_a_run_needs_the_key_once() {
    for spoil in [
        |notes: &Path| fs::remove_dir_all(notes).unwrap(),
        |notes: &Path| fs::write(notes.join("key"), [9; 16]).unwrap(),
        |notes: &Path| fs::write(notes.join("key"), b"short").unwrap(),
        |notes: &Path| {
            for note in files_below(notes).into_iter().filter(|path| path.extension() == Some("note".as_ref())) {
                let mut content = fs::read(&note).unwrap();
                *content.last_mut().unwrap() ^= 1;
                fs::write(note, content).unwrap();
            }
        },
        |notes: &Path| {
            let note = files_below(notes).into_iter().find(|path| path.extension() == Some("note".as_ref())).unwrap();
            fs::write(note, b"{}\n").unwrap();
        },
    ] {
        let mut machine = Machine::with_history();
        spoil(&machine.notes());
        machine.append(3);
        let before = machine.files();
        let error = machine.keep(&machine.sealed()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::History(HistoryFault::NoNote)), "{error}");
        assert_eq!(machine.files(), before, "nothing changed");
        let with_key = machine.sealed().keys(keys(&[IDENTITY]));
        assert_eq!(machine.keep(&with_key).unwrap().rows(), 1);
        machine.append(4);
        assert_eq!(machine.keep(&machine.sealed()).unwrap().rows(), 1);
        assert_eq!(machine.rows(), rows(0..5));
    }
}

/// Copies a directory.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, target).map(drop).unwrap() }
    }
}

#[test]
fn a_changed_byte_of_a_note_changes_no_row_of_the_history() {
    let mut original = Machine { home: Home::new(), runs: 0 };
    original.append(0);
    original.append(1);
    original.keep(&original.sealed().hold(false)).unwrap();
    let notes = original.notes();
    let note = files_below(&notes).into_iter().find(|path| path.extension() == Some("note".as_ref())).unwrap();
    let content = fs::read(&note).unwrap();
    let mut refused = 0;
    for at in (0..content.len()).step_by(5) {
        let mut machine = Machine { home: Home::new(), runs: 10 };
        copy(original.home.path(), machine.home.path());
        let mut changed = content.clone();
        changed[at] ^= 1;
        fs::write(machine.home.path().join(note.strip_prefix(original.home.path()).unwrap()), changed).unwrap();
        // Replace the log, as rotation does, so that the run must know the lines of the history.
        fs::remove_file(machine.log()).unwrap();
        fs::write(machine.log(), rows(1..4)).unwrap();
        let options = machine.sealed().hold(false);
        match machine.keep(&options) {
            Err(error) if matches!(error.kind(), ErrorKind::History(HistoryFault::NoNote)) => {
                assert_eq!(machine.rows(), rows(0..2));
                refused += 1;
            }
            kept => {
                assert_eq!(kept.unwrap().rows(), 2, "byte {at}");
                assert_eq!(machine.rows(), rows(0..4), "byte {at}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_history_may_mix_encrypted_and_plain_segments() {
    let mut machine = Machine::with_history();
    machine.append(3);
    let report = machine.keep(&machine.plain()).unwrap();
    assert!(report.is_plain_after_sealed);
    machine.append(4);
    let report = machine.keep(&machine.sealed()).unwrap();
    assert!(!report.is_plain_after_sealed);
    machine.append(5);
    // Its notes are needed only for the encrypted segments.
    fs::remove_file(machine.log()).unwrap();
    fs::write(machine.log(), rows(2..7)).unwrap();
    assert_eq!(machine.keep(&machine.sealed().hold(false)).unwrap().rows(), 2);
    assert_eq!(machine.rows(), rows(0..7));
    let endings: Vec<_> = machine.segments().iter().map(|path| path.extension().unwrap().to_owned()).collect();
    assert_eq!(endings, ["age", "age", "age", "gz", "age", "age"]);
}

#[test]
fn without_a_directory_for_notes_every_run_needs_the_key() {
    let mut machine = Machine { home: Home::new(), runs: 0 };
    machine.append(0);
    // Put a file at the path of the notes' directory.
    let links = machine.home.dirs().patchwork.join(".patchwork-traces/07070707070707070707070707070707");
    fs::create_dir_all(&links).unwrap();
    fs::write(links.join("notes"), "").unwrap();
    let options = machine.sealed().new_id(HistoryId::from([7; 16]));
    let error = machine.keep(&options).unwrap_err();
    assert!(error.to_string().contains("notes") && !machine.history().exists(), "{error}");
    fs::create_dir_all(&links).unwrap();
    fs::write(links.join("notes"), "").unwrap();
    let report = machine.keep(&options.keys(keys(&[IDENTITY]))).unwrap();
    assert!(report.not_noted.is_some_and(|error| error.to_string().contains("notes")));
    let error = machine.keep(&machine.sealed()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::History(HistoryFault::NoNote)), "{error}");
    machine.keep(&machine.plain().keys(keys(&[IDENTITY]))).unwrap();
}

#[test]
fn bundles_can_be_added_to_an_encrypted_history() {
    let mut machine = Machine::with_history();
    let logs = Home::new().with("runs.jsonl", rows(0..5));
    let data = bundle(&logs);
    let open = || vec![Bundle::from_seekable(std::io::Cursor::new(data.clone()), "more").unwrap()];
    let add = |options: KeepOptions| keep_bundles(open(), machine.history(), &options, &NoProgress);
    let error = add(machine.sealed()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::History(HistoryFault::NoNote)), "{error}");
    let reports = add(machine.sealed().notes_beside(Some(machine.home.dirs().patchwork))).unwrap();
    assert_eq!(reports[0].rows(), 2);
    machine.append(5);
    assert_eq!(machine.keep(&machine.sealed()).unwrap().rows(), 1);
    assert_eq!(machine.rows(), rows(0..6));
}

#[test]
fn verification_needs_the_keys_and_finds_damage_with_them() {
    let machine = Machine::with_history();
    let verified = |keys: DecryptionKeys| {
        let mut found = Vec::new();
        let options = HistoryVerifyOptions::default().keys(keys);
        let report = verify_history(machine.history(), &options, &NoProgress, &mut |finding| found.push(finding));
        report.map(|report| (report, found))
    };
    let (report, found) = verified(keys(&[IDENTITY])).unwrap();
    assert_eq!((report.is_intact, report.is_consistent, report.is_complete, report.rows), (Some(true), true, true, 3));
    assert!(found.is_empty(), "{found:?}");
    assert!(matches!(verified(DecryptionKeys::default()).unwrap_err().kind(), ErrorKind::Encrypted(_)));
    assert!(matches!(verified(keys(&[OTHER_IDENTITY])).unwrap_err().kind(), ErrorKind::NoMatchingKey));
    let passphrase = DecryptionKeys::default().passphrase(Passphrase::new("wrong".to_owned()));
    assert!(matches!(verified(passphrase).unwrap_err().kind(), ErrorKind::Encrypted(_) | ErrorKind::NoMatchingKey));
    let segment = &machine.segments()[1];
    let mut content = fs::read(segment).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(segment, content).unwrap();
    let (report, found) = verified(keys(&[IDENTITY])).unwrap();
    assert_eq!((report.is_intact, report.damaged_segments), (Some(false), 1));
    assert_eq!(found[0].path, *segment);
    assert!(found[0].to_string().contains("the encrypted data was changed or cut off"), "{found:?}");
}

#[test]
fn a_segment_that_no_key_opens_does_not_hide_the_others() {
    let machine = Machine::with_history();
    let segment = &machine.segments()[1];
    // The first line after the version names the key to which the file is encrypted.
    let mut content = fs::read(segment).unwrap();
    content[40] ^= 1;
    fs::write(segment, content).unwrap();
    let mut found = Vec::new();
    let options = HistoryVerifyOptions::default().keys(keys(&[IDENTITY]));
    let report = verify_history(machine.history(), &options, &NoProgress, &mut |finding| found.push(finding)).unwrap();
    assert_eq!((report.is_intact, report.damaged_segments, report.read_rows), (Some(false), 1, 2));
    assert_eq!(found[0].path, *segment);
    let target = machine.home.path().join("recovered.jsonl.gz");
    let target = OutputTarget::resolve(&target, TargetOptions::default()).unwrap();
    let options = RecoverOptions::new("test 1", Timestamp::from_millis(0).unwrap());
    let report = recover_history(machine.history(), &keys(&[IDENTITY]), &options, &target, &NoProgress).unwrap();
    assert_eq!((report.intact_segments, report.damaged.len(), report.manifest.total_count), (2, 1, 2));
}

#[test]
fn an_encrypted_segment_has_the_name_of_one() {
    let machine = Machine::with_history();
    let segment = &machine.segments()[1];
    fs::rename(segment, segment.with_extension("")).unwrap();
    let error = History::open_with_keys(machine.history(), &keys(&[IDENTITY])).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::History(HistoryFault::Renamed { expected }) if expected.contains(".gz.age")),
        "{error}"
    );
}

#[test]
fn a_segment_that_exists_encrypted_and_in_plain_text_is_recovered_once() {
    let machine = Machine::with_history();
    let segment = &machine.segments()[1];
    let mut plain = Vec::new();
    let Input::File(mut file) = Input::open(segment, &keys(&[IDENTITY])).unwrap() else { panic!() };
    file.read_to_end(&mut plain).unwrap();
    fs::write(segment.with_extension(""), plain).unwrap();
    let target = machine.home.path().join("recovered.jsonl.gz");
    let target = OutputTarget::resolve(&target, TargetOptions::default()).unwrap();
    let options = RecoverOptions::new("test 1", Timestamp::from_millis(0).unwrap());
    let report = recover_history(machine.history(), &keys(&[IDENTITY]), &options, &target, &NoProgress).unwrap();
    assert_eq!((report.intact_segments, report.manifest.total_count), (3, 3));
}

#[test]
fn copies_of_a_history_keep_each_others_notes() {
    let mut machine = Machine::with_history();
    let copy_dir = machine.home.path().join("copy");
    copy(&machine.history(), &copy_dir);
    for n in 3..6 {
        machine.append(n);
        machine.keep(&machine.sealed()).unwrap();
        let found = discover(&machine.home.dirs(), &DiscoverOptions::default()).unwrap();
        keep(&found, &copy_dir, &machine.sealed(), &NoProgress).unwrap();
    }
    assert_eq!(machine.rows(), rows(0..6));
}

#[test]
fn intact_segments_of_an_encrypted_history_are_recovered_with_the_key() {
    let machine = Machine::with_history();
    fs::write(&machine.segments()[1], b"age-encryption.org/v1\n").unwrap();
    let target = machine.home.path().join("recovered.jsonl.gz");
    let target_options = OutputTarget::resolve(&target, TargetOptions::default()).unwrap();
    let options = RecoverOptions::new("test 1", Timestamp::from_millis(0).unwrap());
    let recover =
        |keys: &DecryptionKeys| recover_history(machine.history(), keys, &options, &target_options, &NoProgress);
    assert!(matches!(recover(&DecryptionKeys::default()).unwrap_err().kind(), ErrorKind::Encrypted(_)));
    assert!(!target.exists());
    let report = recover(&keys(&[IDENTITY])).unwrap();
    assert_eq!((report.intact_segments, report.damaged.len(), report.manifest.total_count), (2, 1, 2));
}

#[test]
fn rows_after_a_damaged_piece_of_a_segment_are_recovered() {
    let mut machine = Machine { home: Home::new(), runs: 0 };
    let mut random = Random::new(1);
    let mut row = |n| {
        format!("{{\"taskId\":\"{n}\",\"x\":\"{:016x}{:016x}\"}}\n", random.below(u64::MAX), random.below(u64::MAX))
    };
    fs::write(machine.log(), (0..20_000).map(&mut row).collect::<String>()).unwrap();
    machine.keep(&machine.sealed()).unwrap();
    let segment = &machine.segments()[0];
    let mut content = fs::read(segment).unwrap();
    assert!(content.len() > 5 * (64 << 10), "{}", content.len());
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(segment, content).unwrap();
    let target = machine.home.path().join("recovered.jsonl.gz");
    let target_options = OutputTarget::resolve(&target, TargetOptions::default()).unwrap();
    let options = RecoverOptions::new("test 1", Timestamp::from_millis(0).unwrap());
    let report =
        recover_history(machine.history(), &keys(&[IDENTITY]), &options, &target_options, &NoProgress).unwrap();
    let rows = report.manifest.total_count;
    // The chunk with the damage is lost.
    assert!((10_000..20_000).contains(&rows), "{rows}");
    let mut found = Bundle::open(&target).unwrap().rows(&Selection::default()).unwrap();
    let log = fs::read_to_string(machine.log()).unwrap();
    let (first, last) = (log.lines().next().unwrap(), log.lines().last().unwrap());
    let mut lines = Vec::new();
    while let Some(row) = found.next_row().unwrap() {
        lines.push(String::from_utf8(row.exact_line().to_vec()).unwrap());
    }
    assert_eq!((lines[0].as_str(), lines.last().unwrap().as_str()), (first, last));
}

#[test]
fn a_gap_is_found_without_a_key() {
    let mut machine = Machine::with_history();
    fs::remove_file(machine.log()).unwrap();
    fs::write(machine.log(), rows(5..8)).unwrap();
    let report = machine.keep(&machine.sealed().hold(false)).unwrap();
    let follows = &report.logs[0].follows;
    assert_eq!(follows.state, FollowsState::Gap);
    assert_eq!(follows.gap.as_ref().unwrap().after_time, Timestamp::from_millis(1_777_716_002_000));
}
