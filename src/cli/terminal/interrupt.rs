//! Ctrl-C and other termination signals. The first one cancels the operation, which cleans up; the second one ends
//! the program immediately.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use patchwork_traces::ErrorKind;
use patchwork_traces::progress::Cancellation;

use crate::cli::terminal::error_report::report_interrupt;
use crate::cli::terminal::output::print_message;
use crate::cli::terminal::screen;
use crate::cli::terminal::term::HINT;

/// The behaviour and the messages of a command that is interrupted.
#[derive(Debug, Clone, Copy)]
pub struct InterruptState {
    /// True if the command can stop anywhere because it changes nothing.
    pub at_once: bool,
    /// The message after an orderly stop.
    pub ended: &'static str,
    /// The message after an immediate stop.
    pub killed: &'static str,
    /// True if errors are printed as JSON.
    pub json: bool,
}

/// The time after which the user is told how to stop immediately.
const NOTICE_DELAY: Duration = Duration::from_secs(1);

static STATE: OnceLock<InterruptState> = OnceLock::new();
static CANCELLATION: OnceLock<Cancellation> = OnceLock::new();
static IS_SECOND: AtomicBool = AtomicBool::new(false);

/// Returns the cancellation that operations check.
pub fn cancellation() -> Cancellation {
    CANCELLATION.get_or_init(Cancellation::default).clone()
}

/// Returns the messages of the current command, once [`watch`] has set them.
pub fn state() -> Option<InterruptState> {
    STATE.get().copied()
}

/// Starts to handle termination signals. Without this, they end the program immediately.
pub fn watch(state: InterruptState) {
    if STATE.set(state).is_ok() {
        install();
    }
}

#[cfg(unix)]
fn install() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    // Signals that the parent process ignores, as `nohup` does, stay ignored. Only Linux reports them.
    // Elsewhere, SIGHUP is not handled, because a handler would end a program that runs under `nohup`.
    let ignored = if cfg!(target_os = "linux") { ignored_signals() } else { 1 << (SIGHUP - 1) };
    let signals = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    // The program works without signal handlers.
    let Ok(mut signals) = signal_hook::iterator::Signals::new(signals) else { return };
    let _ = thread::Builder::new().spawn(move || signals.forever().for_each(|_| on_signal()));
}

/// Returns the signals that this process ignores, one bit each.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(windows)]
fn install() {
    // The program works without a handler.
    let _ = ctrlc::set_handler(on_signal);
}

#[cfg(not(any(unix, windows)))]
fn install() {
    // This platform has no termination signals.
    let _: fn() = on_signal;
}

fn on_signal() {
    let Some(state) = state() else { return };
    if state.at_once || IS_SECOND.swap(true, Ordering::Relaxed) {
        screen::clear();
        // A command that can stop anywhere has nothing to clean up.
        let exit = report_interrupt(if state.at_once { state.ended } else { state.killed }, state.json);
        std::process::exit(i32::from(exit as u8));
    }
    cancellation().cancel();
    let _ = thread::Builder::new().spawn(move || {
        thread::sleep(NOTICE_DELAY);
        if !state.json {
            print_message(HINT, "note:", "stopping... press Ctrl-C again to stop immediately");
        }
    });
}

/// Returns an error if the program was interrupted.
pub fn check() -> patchwork_traces::Result<()> {
    if cancellation().is_cancelled() { Err(ErrorKind::Cancelled.into()) } else { Ok(()) }
}
