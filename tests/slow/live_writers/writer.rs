//! A process that writes a log as Patchwork does: it appends rows, locks, rotates, and tears rows. Sizes and rules are the
//! real ones. A ledger says which rows it took away again, so that a test can tell them from rows that others lost.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use patchwork_traces::logs::rotation::{MAX_LOG_BYTES, RotationKind, rotate};

/// The writer of a row, and the number that it gave it.
pub type RowId = (u64, u64);

/// A lock older than this is a dead writer's.
const STALE_LOCK_AGE: Duration = Duration::from_secs(30);

/// The time that a writer waits for a lock before it drops its row.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two looks at a lock.
const POLL: Duration = Duration::from_millis(5);

/// The number of rows that an activity writer has under way at the same time.
const ACTIVITY_THREADS: usize = 3;

/// The writers of Patchwork, and one that tears rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteStyle {
    /// Holds the lock while it rotates and appends. Rotation rewrites the archive in place.
    Runs,
    /// Rotates, and then takes the lock to append. The temporary file of a rotation always has the same name.
    DecisionTraces,
    /// Rotates, and then takes the lock to append. Each temporary file has a name of its own.
    CommitIssueLinks,
    /// Takes no lock. Several rotations and appends are under way at the same time.
    Activity,
    /// Takes no lock and never rotates. Writes rows in two parts, and sometimes dies between them.
    Tears,
}

const WRITE_STYLES: [WriteStyle; 5] = [
    WriteStyle::Runs,
    WriteStyle::DecisionTraces,
    WriteStyle::CommitIssueLinks,
    WriteStyle::Activity,
    WriteStyle::Tears,
];

/// The work of one process. Of a log that is rotated without its lock there may be one writer only: a second one's
/// rows can be lost without an entry in the ledger.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: u64,
    pub home: PathBuf,
    pub log: PathBuf,
    pub style: WriteStyle,
    /// The least time between the reading of a log and the renaming that replaces it.
    pub pause: Duration,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = WRITE_STYLES.iter().position(|style| *style == self.style).unwrap();
        let pause = self.pause.as_millis();
        write!(f, "{}\n{style}\n{pause}\n{}\n{}", self.id, self.home.display(), self.log.display())
    }
}

/// The text of a row, with its line feed. In every fifth one, each character has three bytes and one code unit.
pub fn row((id, number): RowId) -> String {
    let time = 1_777_716_000_000 + number;
    let padding = if number.is_multiple_of(5) { "\u{6f22}" } else { "x" };
    let padding = padding.repeat(usize::try_from(300 + number * 7 % 1000).unwrap());
    format!("{{\"w\":{id},\"n\":{number},\"createdAt\":{time},\"text\":\"{padding}\",\"end\":\"{id}-{number}\"}}\n")
}

/// The two parts in which a writer that tears writes a row.
fn parts(row: &str) -> (&str, &str) {
    row.split_at(row.find("\",\"end\"").unwrap() - 150)
}

/// Returns true if both parts of a row are there, with something between them.
pub fn is_torn(log: &[u8], id: RowId) -> bool {
    let row = row(id);
    let (first, rest) = parts(&row);
    let place = |part: &str| memchr::memmem::rfind(log, part.as_bytes());
    place(first).zip(place(rest)).is_some_and(|(first, rest)| first < rest)
}

/// The whole rows of a log.
pub fn rows_in(log: &[u8]) -> impl Iterator<Item = RowId> + '_ {
    log.split(|byte| *byte == b'\n').filter_map(|line| {
        let text = std::str::from_utf8(line).ok()?;
        let (id, rest) = text.strip_prefix("{\"w\":")?.split_once(",\"n\":")?;
        let (number, _) = rest.split_once(',')?;
        let id = (id.parse().ok()?, number.parse().ok()?);
        (row(id).trim_end() == text).then_some(id)
    })
}

/// The rows in the ledger: those that rotation deleted, those that a writer lost by its own overlapping rotations, and
/// those that it never wrote because it got no lock. Each is entered before it is gone.
pub fn dropped(home: &Path) -> BTreeSet<RowId> {
    let ledger = fs::read_to_string(home.join("dropped")).unwrap_or_default();
    let id = |line: &str| line.split_once(' ').map(|(id, number)| (id.parse().unwrap(), number.parse().unwrap()));
    ledger.lines().filter_map(id).collect()
}

/// The number of rotations so far.
pub fn rotations(home: &Path) -> u64 {
    fs::metadata(home.join("rotations")).map_or(0, |ledger| ledger.len())
}

/// The state that the threads of a process share.
struct Shared {
    /// The number of the last row that was begun.
    begun: u64,
    /// The numbers of the rows that were appended, in the order of the file.
    appended: Vec<u64>,
    /// The numbers of the rows that are done with, while an earlier one is not.
    done: BTreeSet<u64>,
    /// All rows up to this one are done with.
    all_done: u64,
    ledger: File,
}

impl Job {
    pub fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let mut next = || lines.next().unwrap();
        let (id, style) = (next().parse().unwrap(), WRITE_STYLES[next().parse::<usize>().unwrap()]);
        let pause = Duration::from_millis(next().parse().unwrap());
        Self { id, home: next().into(), log: next().into(), style, pause }
    }

    /// Returns the number of a row up to which all are written, or dropped.
    pub fn written(&self) -> u64 {
        let text = fs::read_to_string(self.home.join(format!("written-{}", self.id))).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    /// Returns true if rows come one after the other, so that they stand in the log in the order of their numbers.
    pub fn is_ordered(&self) -> bool {
        matches!(self.style, WriteStyle::Runs | WriteStyle::DecisionTraces | WriteStyle::CommitIssueLinks)
    }

    /// Writes until the home has a file `stop`.
    pub fn work(&self) {
        let ledger = File::create(self.home.join(format!("written-{}", self.id))).unwrap();
        let shared = Mutex::new(Shared { begun: 0, appended: Vec::new(), done: BTreeSet::new(), all_done: 0, ledger });
        let threads = if self.style == WriteStyle::Activity { ACTIVITY_THREADS } else { 1 };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.write_rows(&shared));
            }
        });
    }

    fn write_rows(&self, shared: &Mutex<Shared>) {
        while !self.home.join("stop").exists() {
            let mut state = shared.lock().unwrap();
            state.begun += 1;
            let number = state.begun;
            drop(state);
            self.write(number, shared);
            shared.lock().unwrap().finish(number);
            std::thread::sleep(Duration::from_micros(500 + number * 37 % 1000));
        }
    }

    fn write(&self, number: u64, shared: &Mutex<Shared>) {
        match self.style {
            WriteStyle::Runs => match self.lock() {
                Some(_lock) => {
                    self.rotate(shared);
                    self.append(number, shared.lock().unwrap());
                }
                None => self.record_dropped([(self.id, number)]),
            },
            WriteStyle::DecisionTraces | WriteStyle::CommitIssueLinks => {
                self.rotate(shared);
                match self.lock() {
                    Some(_lock) => self.append(number, shared.lock().unwrap()),
                    None => self.record_dropped([(self.id, number)]),
                }
            }
            WriteStyle::Activity => {
                self.rotate(shared);
                drop(self.open());
                self.append(number, shared.lock().unwrap());
            }
            WriteStyle::Tears => self.append_in_parts(number),
        }
    }

    fn open(&self) -> File {
        OpenOptions::new().append(true).create(true).mode(0o600).open(&self.log).unwrap()
    }

    /// Appends a row. No other thread of this process renames meanwhile, so that the ledger is exact.
    fn append(&self, number: u64, mut shared: MutexGuard<'_, Shared>) {
        self.open().write_all(row((self.id, number)).as_bytes()).unwrap();
        shared.appended.push(number);
    }

    fn append_in_parts(&self, number: u64) {
        let row = row((self.id, number));
        let (first, rest) = parts(&row);
        let mut log = self.open();
        if number.is_multiple_of(50) {
            // A writer that died here. The next one would append to that; this one starts on a line of its own.
            log.write_all(first.as_bytes()).unwrap();
            log.write_all(b"\n").unwrap();
        }
        log.write_all(first.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_micros(number * 53 % 800));
        log.write_all(rest.as_bytes()).unwrap();
    }

    /// Rewrites the log with its newest part if it is too long.
    fn rotate(&self, shared: &Mutex<Shared>) {
        if fs::metadata(&self.log).map_or(0, |log| log.len()) <= MAX_LOG_BYTES {
            return;
        }
        let appended_before = shared.lock().unwrap().appended.len();
        let log = fs::read(&self.log).unwrap();
        std::thread::sleep(self.pause);
        let (kind, archive_path) = match self.style {
            WriteStyle::Runs => (RotationKind::Archives, Some(self.log.with_extension("jsonl.1"))),
            WriteStyle::Activity => (RotationKind::KeepsNewest, None),
            _ => (RotationKind::Deletes, None),
        };
        let archive = archive_path.as_ref().and_then(|path| fs::read(path).ok()).unwrap_or_default();
        let Some(rotated) = rotate(kind, &log, &archive) else { return };
        let kept: BTreeSet<_> =
            rows_in(&rotated.log).chain(rotated.archive.iter().flat_map(|log| rows_in(log))).collect();
        let archived = rotated.archive.as_ref().map_or(&[][..], |_| &archive);
        self.record_dropped(rows_in(&log).chain(rows_in(archived)).filter(|row| !kept.contains(row)));
        if let Some((path, archive)) = archive_path.zip(rotated.archive) {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
            file.write_all(&archive).unwrap();
        }
        let temporary = self.temporary();
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).unwrap();
        file.write_all(&rotated.log).unwrap();
        drop(file);
        let shared = shared.lock().unwrap();
        // Rows that other threads appended since the log was read are in the file that is replaced now.
        let late = shared.appended[appended_before..].iter().map(|number| (self.id, *number));
        self.record_dropped(late.filter(|row| !kept.contains(row)));
        fs::rename(temporary, &self.log).unwrap();
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.home.join("rotations"))
            .unwrap()
            .write_all(b".")
            .unwrap();
    }

    fn temporary(&self) -> PathBuf {
        let mut name = self.log.clone().into_os_string();
        name.push(".tmp");
        if matches!(self.style, WriteStyle::CommitIssueLinks | WriteStyle::Activity) {
            let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
            let thread = format!("{:?}", std::thread::current().id());
            let thread: u128 = thread.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
            name.push(format!(".{}.{:012x}", std::process::id(), (time << 4 | thread & 15) & 0xffff_ffff_ffff));
        }
        name.into()
    }

    fn record_dropped(&self, rows: impl IntoIterator<Item = RowId>) {
        let entries: Vec<_> = rows.into_iter().map(|(id, number)| format!("{id} {number}\n")).collect();
        let text = entries.concat();
        if !text.is_empty() {
            let ledger = OpenOptions::new().append(true).create(true).open(self.home.join("dropped"));
            ledger.unwrap().write_all(text.as_bytes()).unwrap();
        }
    }

    /// Takes the lock. Returns `None` if its owner does not release it in time.
    fn lock(&self) -> Option<Lock> {
        let path = self.log.with_extension("jsonl.lock");
        let begun = Instant::now();
        loop {
            if OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).is_ok() {
                return Some(Lock(path));
            }
            let Ok(modified) = fs::metadata(&path).and_then(|lock| lock.modified()) else { continue };
            if SystemTime::now().duration_since(modified).is_ok_and(|age| age > STALE_LOCK_AGE) {
                let _ = fs::remove_file(&path);
                continue;
            }
            if begun.elapsed() > LOCK_TIMEOUT {
                return None;
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Shared {
    fn finish(&mut self, number: u64) {
        self.done.insert(number);
        while self.done.remove(&(self.all_done + 1)) {
            self.all_done += 1;
        }
        self.ledger.write_all_at(format!("{:20}", self.all_done).as_bytes(), 0).unwrap();
    }
}

/// A lock that is held.
struct Lock(PathBuf);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
