//! Reports a panic as one sentence and a hint, without a stack trace.

use std::panic::{PanicHookInfo, set_hook};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::terminal::error_report;
use crate::cli::terminal::screen;

/// Installs a panic hook that reports an internal error. The exit code is 101, as for every Rust program.
pub fn install_hook(json: bool) {
    // A panic in a thread is raised again in the thread that joins it.
    let is_reported = AtomicBool::new(false);
    set_hook(Box::new(move |panic| {
        if !is_reported.swap(true, Ordering::Relaxed) {
            screen::clear();
            error_report::report_panic(&payload(panic), &location(panic), json);
        }
    }));
}

fn payload(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("unknown panic").to_owned()
}

/// Returns the version of the program and the line of its source.
fn location(panic: &PanicHookInfo<'_>) -> String {
    let location = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
    format!("{} {}", env!("CARGO_PKG_VERSION"), location.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, set_hook, take_hook};
    use std::sync::mpsc::channel;

    use super::{location, payload};

    #[test]
    fn a_panic_is_reported_with_its_message_and_location() {
        let (sender, reported) = channel();
        let usual = take_hook();
        set_hook(Box::new(move |panic| _ = sender.send((payload(panic), location(panic)))));
        let number = std::hint::black_box(3);
        for cause in [|| panic!("plain"), || panic!("number {}", std::hint::black_box(3))] {
            assert!(catch_unwind(cause).is_err());
        }
        set_hook(usual);
        let (plain, at) = reported.recv().unwrap_or_default();
        assert_eq!(plain, "plain");
        assert!(at.starts_with(env!("CARGO_PKG_VERSION")) && at.contains("panic.rs:"), "{at}");
        assert_eq!(reported.recv().unwrap_or_default().0, format!("number {number}"));
    }
}
