#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{Read, Write};
use std::time::SystemTime;

use super::*;
use crate::logs::{Dirs, DiscoverOptions, discover};

/// A clock on which only waiting takes time, and that acts as a writer when it is read.
struct ScriptedClock<'a> {
    waited: RefCell<Vec<Duration>>,
    looks: Cell<u32>,
    /// Acts as a writer. Its argument counts the reads of the time, from 1.
    on_look: Box<dyn Fn(u32) + 'a>,
    /// Acts as a writer during a wait.
    on_sleep: Box<dyn Fn() + 'a>,
}

impl<'a> ScriptedClock<'a> {
    fn new(on_look: impl Fn(u32) + 'a, on_sleep: impl Fn() + 'a) -> Self {
        let (on_look, on_sleep) = (Box::new(on_look), Box::new(on_sleep));
        Self { waited: RefCell::default(), looks: Cell::new(0), on_look, on_sleep }
    }

    fn ticks_waited(&self) -> usize {
        self.waited.borrow().iter().filter(|wait| **wait == TICK).count()
    }
}

impl WaitClock for ScriptedClock<'_> {
    fn now(&self) -> SystemTime {
        self.looks.set(self.looks.get() + 1);
        (self.on_look)(self.looks.get());
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.waited.borrow().iter().sum()
    }

    fn sleep(&self, time: Duration) {
        self.waited.borrow_mut().push(time);
        (self.on_sleep)();
    }
}

/// The second read of the time comes between opening the logs and copying them. The first comes before opening.
const BETWEEN_OPENING_AND_COPYING: u32 = 2;

struct Logs(tempfile::TempDir);

impl Logs {
    /// Creates both logs of runs, written long ago.
    fn new(archive: &str, live: &str) -> Self {
        let logs = Self(tempfile::tempdir().unwrap());
        for (name, text) in [("runs.jsonl.1", archive), ("runs.jsonl", live)] {
            logs.write(name, text);
            logs.age(name, Duration::from_secs(60));
        }
        logs
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Rewrites a file in place.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn age(&self, name: &str, age: Duration) {
        let file = fs::File::options().append(true).open(self.path(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    fn replace(&self, name: &str, text: &str) {
        self.write("runs.tmp", text);
        fs::rename(self.path("runs.tmp"), self.path(name)).unwrap();
    }

    fn append(&self, text: &str) {
        fs::File::options().append(true).open(self.path("runs.jsonl")).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn unlock(&self) {
        fs::remove_file(self.path("runs.jsonl.lock")).unwrap();
    }

    fn open(&self, clock: &ScriptedClock<'_>) -> Result<Vec<String>> {
        let dirs = Dirs { patchwork: self.0.path().to_owned(), activity: self.path("ide") };
        let group = discover(&dirs, &DiscoverOptions::default())?.groups.remove(0);
        let opened = group.open_at(self.0.path(), &Cancellation::default(), clock, &|_| false)?;
        let text = |mut log: OpenLog| {
            let mut text = String::new();
            log.read_to_string(&mut text).unwrap();
            text
        };
        Ok(opened.into_iter().map(text).collect())
    }
}

#[test]
fn quiet_logs_are_opened_at_once() {
    let logs = Logs::new("1\n", "2\n");
    let clock = ScriptedClock::new(|_| {}, || {});
    assert_eq!(logs.open(&clock).unwrap(), ["1\n", "2\n"]);
    assert_eq!(clock.elapsed(), Duration::ZERO);
}

#[test]
fn a_rotation_between_opening_and_copying_is_noticed() {
    // The archive keeps its length, because its oldest rows are dropped.
    let logs = Logs::new("1\n2\n3\n4\n", "5\n6\n7\n8\n");
    let rotate = |look| {
        if look == BETWEEN_OPENING_AND_COPYING {
            logs.write("runs.jsonl.1", "3\n4\n5\n6\n");
            logs.replace("runs.jsonl", "7\n8\n");
        }
    };
    assert_eq!(logs.open(&ScriptedClock::new(rotate, || {})).unwrap(), ["3\n4\n5\n6\n", "7\n8\n"]);
}

#[test]
fn opening_waits_for_a_half_finished_rotation() {
    let logs = Logs::new("1\n2\n3\n4\n", "5\n6\n7\n8\n");
    let begin = |look| {
        if look == BETWEEN_OPENING_AND_COPYING {
            logs.write("runs.jsonl.lock", "");
            logs.write("runs.jsonl.1", "3\n4\n5\n6\n");
        }
    };
    let end = || {
        if logs.path("runs.jsonl.lock").exists() {
            logs.replace("runs.jsonl", "7\n8\n");
            logs.unlock();
        }
    };
    assert_eq!(logs.open(&ScriptedClock::new(begin, end)).unwrap(), ["3\n4\n5\n6\n", "7\n8\n"]);
}

#[test]
fn a_row_being_appended_while_the_log_is_opened_is_read_whole() {
    let logs = Logs::new("1\n", "2\n");
    let append = |look| match look {
        1 => logs.append("{\"seq\":"),
        BETWEEN_OPENING_AND_COPYING => logs.append("3}\n"),
        _ => {}
    };
    assert_eq!(logs.open(&ScriptedClock::new(append, || {})).unwrap(), ["1\n", "2\n{\"seq\":3}\n"]);
}

#[test]
fn an_archive_emptied_while_it_is_copied_is_read_again() {
    let logs = Logs::new("1\n2\n", "3\n");
    let truncate = |look| {
        if look == BETWEEN_OPENING_AND_COPYING {
            logs.write("runs.jsonl.1", "");
        }
    };
    let write = || logs.write("runs.jsonl.1", "1\n2\n");
    assert_eq!(logs.open(&ScriptedClock::new(truncate, write)).unwrap(), ["1\n2\n", "3\n"]);
}

#[test]
fn a_fresh_archive_is_checked_again_once_its_tick_is_over() {
    let logs = Logs::new("1\n", "2\n");
    let freshen = |look| {
        if look == 1 {
            logs.age("runs.jsonl.1", Duration::ZERO);
        }
    };
    let clock = ScriptedClock::new(freshen, || {});
    assert_eq!(logs.open(&clock).unwrap(), ["1\n", "2\n"]);
    assert_eq!(clock.ticks_waited(), 1);

    // The writer holds no lock, and replaces the live log only during that wait.
    let logs = Logs::new("1\n2\n", "3\n4\n");
    let rotations = Cell::new(0);
    let begin = |look| {
        if look == 1 {
            logs.age("runs.jsonl.1", Duration::ZERO);
        }
    };
    let end = || {
        if rotations.replace(1) == 0 {
            logs.replace("runs.jsonl", "4\n");
        }
    };
    assert_eq!(logs.open(&ScriptedClock::new(begin, end)).unwrap(), ["1\n2\n", "4\n"]);
}

#[test]
fn an_archive_that_is_always_fresh_does_not_prevent_opening() {
    let logs = Logs::new("1\n", "2\n");
    logs.age("runs.jsonl.1", Duration::ZERO);
    let clock = ScriptedClock::new(|_| {}, || logs.age("runs.jsonl.1", Duration::ZERO));
    assert_eq!(logs.open(&clock).unwrap(), ["1\n", "2\n"]);
    assert_eq!(clock.ticks_waited(), MAX_TICK_WAITS as usize);
}

#[test]
fn a_held_lock_is_waited_for_only_while_the_logs_change() {
    let logs = Logs::new("1\n", "2\n");
    logs.write("runs.jsonl.lock", "");
    let clock = ScriptedClock::new(|_| {}, || {});
    assert_eq!(logs.open(&clock).unwrap(), ["1\n", "2\n"]);
    assert_eq!(clock.elapsed(), Duration::from_secs(5));

    let clock = ScriptedClock::new(|_| {}, || {});
    let appended = Cell::new(0);
    let append = || {
        if appended.replace(appended.get() + 1) < 1000 {
            logs.append("3\n");
        }
    };
    let clock = ScriptedClock { on_sleep: Box::new(append), ..clock };
    assert_eq!(logs.open(&clock).unwrap()[1], "2\n".to_owned() + &"3\n".repeat(1000));
    assert_eq!(clock.elapsed(), Duration::from_secs(7));
}

#[test]
fn writers_that_never_rest_cause_an_error_after_half_a_minute() {
    let logs = Logs::new("1\n", "2\n");
    logs.write("runs.jsonl.lock", "");
    let next_writer = || {
        logs.unlock();
        logs.append("3\n");
        logs.write("runs.jsonl.lock", "");
    };
    let clock = ScriptedClock::new(|_| {}, next_writer);
    let error = logs.open(&clock).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LogsKeepChanging), "{error}");
    assert_eq!(error.position().subject.as_deref(), logs.path("runs.jsonl").to_str());
    assert_eq!(clock.elapsed(), Duration::from_secs(30));
}

#[test]
fn a_cancelled_export_stops_waiting() {
    let logs = Logs::new("1\n", "2\n");
    logs.write("runs.jsonl.lock", "");
    let cancellation = Cancellation::default();
    let clock = ScriptedClock::new(|_| {}, || cancellation.cancel());
    let dirs = Dirs { patchwork: logs.0.path().to_owned(), activity: logs.path("ide") };
    let group = discover(&dirs, &DiscoverOptions::default()).unwrap().groups.remove(0);
    let error = group.open_at(logs.0.path(), &cancellation, &clock, &|_| false).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
    assert_eq!(clock.elapsed(), PAUSE);
}
