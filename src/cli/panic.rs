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

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, set_hook, take_hook};
    use std::sync::mpsc::channel;

    use super::{place, what};

    #[test]
    fn a_mistake_is_told_in_one_line_with_its_place() {
        let (sender, told) = channel();
        let usual = take_hook();
        set_hook(Box::new(move |mistake| _ = sender.send((what(mistake), place(mistake)))));
        let number = std::hint::black_box(3);
        for mistake in [|| panic!("plain"), || panic!("number {}", std::hint::black_box(3))] {
            assert!(catch_unwind(mistake).is_err());
        }
        set_hook(usual);
        let (plain, at) = told.recv().unwrap_or_default();
        assert_eq!(plain, "plain");
        assert!(at.starts_with(env!("CARGO_PKG_VERSION")) && at.contains("mistake.rs:"), "{at}");
        assert_eq!(told.recv().unwrap_or_default().0, format!("number {number}"));
    }
}
