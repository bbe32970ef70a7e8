//! `patchwork-traces keep --follow`: a service that adds segments until it is stopped.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use patchwork_traces::keep::{KeepOptions, KeepReport};
use patchwork_traces::progress::NoProgress;

use super::keep::{KeepArgs, report_line};
use crate::cli::failure::{CommandResult, Failure};
#[cfg(feature = "seal")]
use crate::cli::signing::HistorySigning;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::output::Output;

/// The pause between two checks of the logs.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time between two segments.
const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// The shortest time between two runs, including failed ones.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

/// The growth of a log, in bytes, at which a segment is added: a quarter of the bytes that rotation
/// always keeps.
const MIN_GROWTH: u64 = 112 << 10;

/// Adds segments until termination is requested, and then a last one.
pub fn run(args: &KeepArgs, output: Output) -> CommandResult {
    let mut service = Service {
        args,
        output,
        exit: Exit::Done,
        lengths: Vec::new(),
        last_run: Instant::now(),
        options: args.options(output)?,
        #[cfg(feature = "seal")]
        signing: args.signing(output)?,
    };
    // An error in the first run, such as a wrong argument, prevents the service from starting.
    service.add_segment()?;
    while !interrupt::cancellation().is_cancelled() {
        thread::sleep(POLL_INTERVAL);
        if service.is_due() {
            service.add_segment().unwrap_or_else(|failure| service.note_failure(failure));
        }
    }
    service.add_segment()?;
    Ok(service.exit)
}

struct Service<'a> {
    args: &'a KeepArgs,
    output: Output,
    exit: Exit,
    /// The lengths of the logs at the last run.
    lengths: Vec<(PathBuf, u64)>,
    last_run: Instant,
    options: KeepOptions,
    #[cfg(feature = "seal")]
    signing: HistorySigning,
}

impl Service<'_> {
    fn add_segment(&mut self) -> Result<(), Failure> {
        self.last_run = Instant::now();
        // Reads the lengths before the run, so that growth during the run counts towards the next one.
        self.lengths = self.args.log_lengths()?;
        let report: KeepReport = self.args.run_once(&self.options, &NoProgress)?;
        if report_line(&report, self.output)? == Exit::Incomplete {
            self.exit = Exit::Incomplete;
        }
        #[cfg(feature = "seal")]
        self.args.sign(&mut self.signing, std::slice::from_ref(&report))?;
        Ok(())
    }

    /// Reports a run that failed. The service continues, because the cause may be temporary.
    fn note_failure(&mut self, failure: Failure) {
        failure.report(self.output.json);
        self.exit = Exit::Incomplete;
    }

    /// Returns true if a log is new, grew by `MIN_GROWTH` or shrank, or if `MAX_INTERVAL` has passed.
    fn is_due(&self) -> bool {
        let since = self.last_run.elapsed();
        if since < MIN_INTERVAL {
            return false;
        }
        let has_changed = |(path, now): &(PathBuf, u64)| {
            let before = self.lengths.iter().find(|(known, _)| known == path).map(|(_, length)| *length);
            before.is_none_or(|before| *now < before || now - before >= MIN_GROWTH)
        };
        since >= MAX_INTERVAL || self.args.log_lengths().is_ok_and(|logs| logs.iter().any(has_changed))
    }
}
