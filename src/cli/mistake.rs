//! What a user sees of a mistake in the program itself: one sentence and what to do, never a trace of the stack.

use std::panic::{PanicHookInfo, set_hook};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{failure, progress};

/// From here on, a mistake is reported in a user's words. The exit code is 101, as of every Rust program.
pub fn report_in_words(json: bool) {
    // A mistake in a thread comes up again in the one that waits for it.
    let is_reported = AtomicBool::new(false);
    set_hook(Box::new(move |mistake| {
        if !is_reported.swap(true, Ordering::Relaxed) {
            progress::clear();
            let (what, place) = (what(mistake), place(mistake));
            failure::report_mistake(&what, &place, json);
        }
    }));
}

fn what(mistake: &PanicHookInfo<'_>) -> String {
    let payload = mistake.payload();
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it does not say which").to_owned()
}

fn place(mistake: &PanicHookInfo<'_>) -> String {
    let place = mistake.location().map(|at| format!("{}:{}", at.file(), at.line()));
    format!("{} {}", env!("CARGO_PKG_VERSION"), place.unwrap_or_default())
}
