//! A process that writes a log as Patchwork does: appends rows, locks, rotates, tears.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Who wrote a row, and which of his it is.
pub type RowId = (u64, u64);

/// From this size on a log is rotated before the next row. (Patchwork's limits, 16 times smaller.)
const MOST_BYTES: usize = 64 << 10;
const MOST_LINES: usize = 625;

/// What a writer does besides appending rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Takes the lock; rotation moves the oldest rows to the archive.
    LocksAndArchives,
    /// Takes the lock; rotation drops the oldest rows.
    LocksAndDrops,
    /// Neither locks nor rotates.
    Appends,
    /// Writes rows in two parts, and sometimes dies in between, so that the next row is glued to the first part.
    Tears,
    /// Rotates without a lock.
    Drops,
}

const HABITS: [Habit; 5] = [Habit::LocksAndArchives, Habit::LocksAndDrops, Habit::Appends, Habit::Tears, Habit::Drops];

/// What one writer does.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: u64,
    pub home: PathBuf,
    pub log: PathBuf,
    pub habit: Habit,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let habit = HABITS.iter().position(|habit| *habit == self.habit).unwrap();
        write!(f, "{}\n{habit}\n{}\n{}", self.id, self.home.display(), self.log.display())
    }
}

pub fn row((id, number): RowId) -> String {
    let time = 1_777_716_000_000 + number;
    let padding = "x".repeat(usize::try_from(number * 7 % 300).unwrap());
    format!("{{\"w\":{id},\"n\":{number},\"createdAt\":{time},\"text\":\"{padding}\",\"end\":\"{id}-{number}\"}}\n")
}

/// The two parts in which a row is written by one who tears.
fn parts(row: &str) -> (&str, &str) {
    row.split_at(row.len() / 2)
}

/// Whether both parts of a row are there, with something in between.
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

/// All rows that rotation dropped in this home.
pub fn dropped(home: &Path) -> BTreeSet<RowId> {
    rows_in(&fs::read(home.join("dropped")).unwrap_or_default()).collect()
}

impl Job {
    pub fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let mut next = || lines.next().unwrap();
        let (id, habit) = (next().parse().unwrap(), next().parse::<usize>().unwrap());
        Self { id, habit: HABITS[habit], home: next().into(), log: next().into() }
    }

    /// How many rows it has written: a number that only ever says what is done.
    pub fn written(&self) -> u64 {
        let text = fs::read_to_string(self.home.join(format!("written-{}", self.id))).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    pub fn work(&self) {
        let ledger = File::create(self.home.join(format!("written-{}", self.id))).unwrap();
        for number in 1.. {
            if self.home.join("stop").exists() {
                return;
            }
            let lock = self.takes_lock().then(|| self.lock());
            self.rotate();
            self.append(number);
            drop(lock);
            ledger.write_all_at(format!("{number:20}").as_bytes(), 0).unwrap();
            std::thread::sleep(Duration::from_micros(500 + number * 37 % 1000));
        }
    }

    pub fn takes_lock(&self) -> bool {
        matches!(self.habit, Habit::LocksAndArchives | Habit::LocksAndDrops)
    }

    fn append(&self, number: u64) {
        let row = row((self.id, number));
        let mut log = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.log).unwrap();
        if self.habit == Habit::Tears {
            let (first, rest) = parts(&row);
            if number.is_multiple_of(50) {
                // A writer that died here; the next one begins its row behind that, and this one takes care not to.
                log.write_all(first.as_bytes()).unwrap();
                log.write_all(b"\n").unwrap();
            }
            log.write_all(first.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_micros(number * 53 % 800));
            log.write_all(rest.as_bytes()).unwrap();
        } else {
            log.write_all(row.as_bytes()).unwrap();
        }
    }

    /// Rewrites the log with its newest part when it is too long.
    fn rotate(&self) {
        if matches!(self.habit, Habit::Appends | Habit::Tears) {
            return;
        }
        if fs::metadata(&self.log).map_or(0, |log| log.len()) <= MOST_BYTES as u64 {
            return;
        }
        let log = fs::read(&self.log).unwrap();
        let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
        let mut keep = lines.len().min(MOST_LINES);
        while lines[lines.len() - keep..].concat().len() > MOST_BYTES {
            keep /= 2;
        }
        let (old, new) = lines.split_at(lines.len() - keep);
        let archive = match self.habit {
            Habit::LocksAndArchives => self.log.with_extension("jsonl.1"),
            _ => self.home.join("dropped"),
        };
        let mut archive = OpenOptions::new().append(true).create(true).mode(0o600).open(archive).unwrap();
        archive.write_all(&old.concat()).unwrap();
        let temporary = self.log.with_extension(format!("tmp-{}", self.id));
        fs::write(&temporary, new.concat()).unwrap();
        fs::rename(temporary, &self.log).unwrap();
    }

    fn lock(&self) -> Lock {
        let path = self.log.with_extension("jsonl.lock");
        loop {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            if made.is_ok() {
                return Lock(path);
            }
            let made = fs::metadata(&path).and_then(|lock| lock.modified());
            let age = made.ok().and_then(|made| SystemTime::now().duration_since(made).ok());
            if age.is_some_and(|age| age > Duration::from_secs(30)) {
                let _ = fs::remove_file(&path);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A lock that is held.
struct Lock(PathBuf);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
