//! Keeps the logs of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use fs_err as fs;

use super::append::OpenHistory;
use super::held::{HeldLink, HeldLinks, Hold, NotHeld, make_links_dir};
use super::last_run::LastRun;
use super::log_snapshot::LogSnapshot;
use super::recorded::RecordedLogs;
use super::seen::SeenLogs;
use super::sequence::{CurrentLog, LogChange, LogSequence};
use super::{KeepOptions, KeepReport};
use crate::align::Fingerprinter;
use crate::digest::Integrity;
use crate::error::{Error, ErrorKind, Result};
use crate::format::LogId;
use crate::history::{History, HistoryLog};
use crate::logs::{Discovery, GroupKey, LogGroup, OpenLog, Source, known, times_of};
use crate::progress::{Progress, Stage};
use crate::util::file_identity::is_same_file;

/// The maximum time for attempts to open a log that keeps being replaced.
const MAX_TRYING: Duration = Duration::from_secs(30);

/// Adds a segment with the new lines of this machine's logs.
pub fn keep(discovery: &Discovery, dir: &Path, options: &KeepOptions, progress: &dyn Progress) -> Result<KeepReport> {
    let mut open = OpenHistory::open(dir, Some(&discovery.dirs.patchwork), options, progress)?;
    let bases = discovery.groups.iter().flat_map(|group| &group.logs).map(|log| log.id.base);
    let logs_dirs: BTreeSet<_> = bases.map(|base| discovery.dirs.of(base)).collect();
    let (id, next) = (open.id, open.next());
    open.discard_unless_added(logs_dirs.into_iter().map(|logs| HeldLinks::new(logs, id, next)));
    progress.stage(Stage::Reading);
    progress.start(Some(discovery.logs().map(|log| log.bytes).sum()));
    let mut run = Run {
        discovery,
        open: &open,
        dir,
        options,
        progress,
        fingerprinter: open.fingerprinter()?,
        changes: Vec::new(),
        released: Vec::new(),
        not_held: Vec::new(),
        read: Vec::new(),
    };
    for group in &discovery.groups {
        run.add_group(group)?;
    }
    run.add_absent()?;
    let Run { changes, released, not_held, read, .. } = run;
    progress.finish();
    let report = open.add(changes, None, options, progress)?;
    // The history is still locked, so no other run reads the links.
    for (links, held) in released {
        links.release(held);
    }
    remember(&read, dir, &report);
    let has_links_of_others = |dir: &Path| HeldLinks::new(dir, open.id, open.next()).has_others();
    let dirs = &discovery.dirs;
    let is_one_of_several =
        report.segment == 0 && [&dirs.patchwork, &dirs.activity].into_iter().any(|dir| has_links_of_others(dir));
    Ok(KeepReport { not_held, is_one_of_several, ..report })
}

struct Run<'r> {
    discovery: &'r Discovery,
    open: &'r OpenHistory,
    dir: &'r Path,
    options: &'r KeepOptions,
    progress: &'r dyn Progress,
    fingerprinter: Fingerprinter,
    changes: Vec<LogChange>,
    /// Links that are not needed once the segment is in place.
    released: Vec<(HeldLinks, Vec<HeldLink>)>,
    not_held: Vec<NotHeld>,
    read: Vec<ReadFile>,
}

/// The links to a log that earlier runs left.
struct Held {
    /// Links to files that are no longer the log, oldest first.
    others: Vec<HeldLink>,
    /// The newest link to the current log.
    live: Option<HeldLink>,
}

impl Held {
    fn of(links: Vec<HeldLink>, opened: &[OpenLog]) -> Self {
        let is_live = |link: &HeldLink| opened.iter().any(|log| link.is(log.opened()));
        let (mut live, others): (Vec<_>, Vec<_>) = links.into_iter().partition(is_live);
        Self { others, live: live.pop() }
    }
}

/// A file that was read, or is unchanged since the last run.
struct ReadFile {
    id: LogId,
    /// The directory of the links beside it.
    links: PathBuf,
    path: PathBuf,
    opened: Metadata,
}

/// Records the run for the history in `dir`, and the files that it read, for the next run.
fn remember(read: &[ReadFile], dir: &Path, report: &KeepReport) {
    let run = LastRun::of(dir, report);
    let mut seen = BTreeMap::<&Path, SeenLogs>::new();
    for file in read {
        let whole = report.logs.iter().find(|log| log.id == file.id).and_then(|log| log.follows.log);
        // Linking the file has changed its attributes, so these are not compared.
        let is_as_read =
            |now: &Metadata| is_same_file(now, &file.opened) && now.modified().ok() == file.opened.modified().ok();
        let now = fs::metadata(&file.path).ok().filter(is_as_read);
        if let Some(whole) = whole {
            let content = Integrity { bytes: whole.bytes, sha256: whole.sha256 };
            let logs = seen.entry(&file.links).or_insert_with(|| SeenLogs::of(run.clone()));
            logs.remember(
                file.id.name.as_str(),
                &now.unwrap_or_else(|| file.opened.clone()),
                content,
                SystemTime::now(),
            );
        }
    }
    for (links, logs) in seen {
        if make_links_dir(links).is_ok() {
            logs.write(links);
        }
    }
}

impl Run<'_> {
    fn history(&self) -> Option<&History> {
        self.open.history.as_ref()
    }

    fn recorded(&self, id: &LogId) -> Option<&HistoryLog> {
        self.history()?.log(id)
    }

    /// Finds the new lines of a group of existing logs.
    fn add_group(&mut self, group: &LogGroup) -> Result<()> {
        let Some(first) = group.logs.first() else { return Ok(()) };
        let name = GroupKey::of(&first.id).0.live_name().to_owned();
        let links = HeldLinks::new(self.discovery.dirs.of(first.id.base), self.open.id, self.open.next());
        let seen = SeenLogs::read(links.dir());
        let (opened, held) = self.open_and_hold(group, &links, &name, &seen)?;
        let is_followed = |log: &OpenLog| {
            held.live.as_ref().is_some_and(|link| link.is(log.opened())) || seen.is_same_file(&name, log.opened())
        };
        let mut current = Vec::new();
        for log in opened {
            let (id, path, opened) = (log.log.id.clone(), log.path().to_owned(), log.opened().clone());
            self.read.push(ReadFile { id, links: links.dir().to_owned(), path, opened });
            let is_followed = is_followed(&log);
            current.push(CurrentLog { is_followed, ..self.current(log, &seen)? });
        }
        let is_live = |log: &CurrentLog| log.id.name.as_str() == name;
        let live = match current.pop_if(|log| is_live(log)) {
            Some(live) => live,
            None => self.missing(&first.id.named(&name))?,
        };
        self.add_sequence(current, live, &held.others)?;
        // The link to the current log stays, unless the options say not to hold logs.
        let live = held.live.filter(|_| !self.options.hold);
        self.released.push((links, held.others.into_iter().chain(live).collect()));
        Ok(())
    }

    /// Finds the new lines in held files of logs that the history has but that no longer exist, and
    /// records these logs as absent.
    fn add_absent(&mut self) -> Result<()> {
        let known: Vec<_> =
            self.history().map(History::logs).unwrap_or_default().iter().map(|log| log.id.clone()).collect();
        for id in known {
            let path = id.name.in_dir(self.discovery.dirs.of(id.base));
            let is_listed =
                self.changes.iter().any(|change| change.id.name == id.name && change.id.source == id.source);
            if is_listed || fs::symlink_metadata(&path).is_ok() {
                continue;
            }
            let links = HeldLinks::new(self.discovery.dirs.of(id.base), self.open.id, self.open.next());
            let held = links.open(id.name.as_str())?;
            let live = self.missing(&id)?;
            self.add_sequence(Vec::new(), live, &held)?;
            self.released.push((links, held));
        }
        Ok(())
    }

    fn add_sequence(&mut self, archives: Vec<CurrentLog>, live: CurrentLog, held: &[HeldLink]) -> Result<()> {
        let ((group, _), work_dir) = (GroupKey::of(&live.id), self.dir);
        let recorded = self.history().map(|history| RecordedLogs {
            history,
            group: &group,
            notes: self.open.notes.as_ref(),
            work_dir,
        });
        let rows_before = recorded.as_ref().map_or(0, RecordedLogs::rows);
        let replaced = held.iter().filter(|link| link.was_replaced).count();
        let held = held.iter().map(HeldLink::content).collect::<Result<_>>()?;
        let sequence = LogSequence {
            held,
            replaced,
            archives,
            live,
            rows_before,
            recorded,
            rotates_unlocked: known(group.source()).is_some_and(Source::rotates_unlocked),
            fingerprinter: self.fingerprinter,
            progress: self.progress,
        };
        self.changes.extend(sequence.changes()?);
        Ok(())
    }

    /// Opens the logs of a group as they are at one instant, and links the newest one if it has
    /// this name. Also returns the links that earlier runs left.
    fn open_and_hold(
        &mut self,
        group: &LogGroup,
        links: &HeldLinks,
        name: &str,
        seen: &SeenLogs,
    ) -> Result<(Vec<OpenLog>, Held)> {
        let started = Instant::now();
        loop {
            let opened = group.open_changed_in(self.dir, self.progress, &|log| self.is_unchanged(log, seen))?;
            let left = links.open(name)?;
            let live = opened.last().filter(|live| self.options.hold && live.log.id.name.as_str() == name);
            if let Some(live) = live {
                match links.hold(live, name, &left)? {
                    Hold::Held => {}
                    Hold::Refused(error) => self.not_held.push(NotHeld { path: live.path().to_owned(), error }),
                    Hold::Replaced if started.elapsed() < MAX_TRYING => {
                        self.progress.cancellation().check()?;
                        continue;
                    }
                    Hold::Replaced => {
                        let subject = live.path().display().to_string();
                        return Err(Error::from(ErrorKind::LogKeepsChanging).in_subject(&subject));
                    }
                }
            }
            let held = Held::of(left, &opened);
            return Ok((opened, held));
        }
    }

    fn is_unchanged(&self, log: &OpenLog, seen: &SeenLogs) -> bool {
        let latest = self.recorded(&log.log.id).and_then(|log| log.latest);
        seen.is_unchanged(log.log.id.name.as_str(), log.opened(), latest.as_ref())
    }

    fn current(&self, log: OpenLog, seen: &SeenLogs) -> Result<CurrentLog> {
        let is_unchanged = self.is_unchanged(&log, seen);
        let (id, times, subject) = (log.log.id.clone(), log.log.times, log.path().display().to_string());
        let length = log.opened().len();
        let content = LogSnapshot::new(log.into_content(), length, &subject)?;
        let latest = self.recorded(&id).and_then(|log| log.latest);
        Ok(CurrentLog { id, times, content, latest, exists: true, is_unchanged, is_followed: false })
    }

    fn missing(&self, id: &LogId) -> Result<CurrentLog> {
        let subject = id.name.in_dir(self.discovery.dirs.of(id.base)).display().to_string();
        let content = LogSnapshot::new(std::io::empty(), 0, &subject)?;
        let latest = self.recorded(id).and_then(|log| log.latest);
        Ok(CurrentLog {
            id: id.clone(),
            times: times_of(id.source.as_str()),
            content,
            latest,
            exists: false,
            is_unchanged: false,
            is_followed: false,
        })
    }
}
