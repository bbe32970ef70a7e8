//! Ctrl-C and its kin. The first one asks the operation to end, which then leaves nothing behind; the second one ends
//! the program at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use patchwork_traces::ErrorKind;
use patchwork_traces::progress::Cancellation;

use super::failure::Failure;
use super::output::print_beside;
use super::progress;
use super::term::{HINT, paint};

/// What an interrupted command leaves.
#[derive(Debug, Clone, Copy)]
pub struct InterruptState {
    /// Whether it can end anywhere: it changes nothing.
    pub at_once: bool,
    /// How things are when it ended in order.
    pub ended: &'static str,
    /// How they are when it was ended at once.
    pub killed: &'static str,
    /// Whether errors are JSON.
    pub json: bool,
}

/// How long an operation may take to end before the user is told how to end it at once.
const PATIENCE: Duration = Duration::from_secs(1);

static STATE: OnceLock<InterruptState> = OnceLock::new();
static CANCELLATION: OnceLock<Cancellation> = OnceLock::new();
static IS_SECOND: AtomicBool = AtomicBool::new(false);

/// What operations look at.
pub fn cancellation() -> Cancellation {
    CANCELLATION.get_or_init(Cancellation::default).clone()
}

/// What to say of an operation that was cancelled.
pub fn state() -> Option<InterruptState> {
    STATE.get().copied()
}

/// From here on, the signals that ask a program to end are taken in order. Without this they end it as they always do.
pub fn watch(state: InterruptState) {
    if STATE.set(state).is_ok() {
        install();
    }
}

#[cfg(unix)]
fn install() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    // What the caller had ignored, as `nohup` does, stays ignored. Only Linux tells, and a hangup must not end what was
    // to outlive it: elsewhere it does what it always does.
    let ignored = if cfg!(target_os = "linux") { ignored_signals() } else { 1 << (SIGHUP - 1) };
    let signals = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    // Without them the program still works.
    let Ok(mut signals) = signal_hook::iterator::Signals::new(signals) else { return };
    let _ = thread::Builder::new().spawn(move || signals.forever().for_each(|_| on_signal()));
}

/// The signals that this process ignores, one bit each.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(windows)]
fn install() {
    // Without it the program still works.
    let _ = ctrlc::set_handler(on_signal);
}

#[cfg(not(any(unix, windows)))]
fn install() {
    // Nothing there tells a program to end.
    let _: fn() = on_signal;
}

fn on_signal() {
    let Some(state) = state() else { return };
    if state.at_once || IS_SECOND.swap(true, Ordering::Relaxed) {
        progress::clear();
        // A command that ends anywhere has nothing to clean up.
        let exit = Failure::Interrupted(if state.at_once { state.ended } else { state.killed }).report(state.json);
        std::process::exit(i32::from(exit as u8));
    }
    cancellation().cancel();
    let _ = thread::Builder::new().spawn(move || {
        thread::sleep(PATIENCE);
        if !state.json {
            print_beside(&format!("{} ending; once more ends it at once\n", paint(HINT, "note:")));
        }
    });
}

/// # Errors
/// When the program was interrupted.
pub fn check() -> Result<(), Failure> {
    if cancellation().is_cancelled() { Err(ErrorKind::Cancelled.into()) } else { Ok(()) }
}
