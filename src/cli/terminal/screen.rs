//! The progress bar on the terminal. It is hidden while other output is printed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};

/// The interval between redraws.
const TICK: Duration = Duration::from_millis(100);

/// The bar on the terminal, if any.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Locks a mutex, even if another thread panicked while it held it.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hides the bar while `print` runs.
pub fn while_hidden<T>(print: impl FnOnce() -> T) -> T {
    let drawn = locked(&BAR).clone();
    match drawn {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Removes the bar from the screen.
pub fn clear() {
    if let Some(bar) = locked(&BAR).take() {
        bar.finish_and_clear();
    }
}

/// Shows a bar after a delay, unless it has finished by then.
pub fn show_after(delay: Duration, bar: ProgressBar) {
    bar.set_draw_target(ProgressDrawTarget::hidden());
    *locked(&BAR) = Some(bar.clone());
    // Without this thread there is no bar, but the work is still done.
    let _ = thread::Builder::new().spawn(move || {
        thread::sleep(delay);
        // While this lock is held, the bar cannot be finished.
        let shown = locked(&BAR);
        if shown.is_some() && !bar.is_finished() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TICK);
        }
    });
}

/// Finishes a bar and removes it from the screen.
pub fn finish(bar: &ProgressBar) {
    let mut shown = locked(&BAR);
    bar.finish_and_clear();
    *shown = None;
}
