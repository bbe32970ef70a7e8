//! The progress bar on standard error, shown only on a terminal and after half a second.

use std::fmt::Write;
use std::io::{IsTerminal, stderr, stdout};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use patchwork_traces::progress::{Cancellation, Progress, Stage};

use crate::cli::render::text::size;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::output::Output;
use crate::cli::terminal::screen::{self, locked};
use crate::cli::terminal::term::{self, has_color_on_stderr, has_unicode};

/// The delay before the bar appears.
const SHOW_DELAY: Duration = Duration::from_millis(500);

/// The number of bytes after which the bar is updated. Rows are too small and too many for an update each.
const UPDATE_BYTES: u64 = 256 << 10;

/// A progress bar that counts bytes, and also passes on interrupts to the operation.
pub struct Bar {
    is_enabled: bool,
    began: Instant,
    stage: Mutex<Stage>,
    drawing: Mutex<Option<ProgressBar>>,
    /// Bytes that are not yet shown.
    pending: AtomicU64,
}

impl Bar {
    /// Creates the bar of a command.
    pub fn new(output: Output) -> Self {
        Self::with_enabled(can_draw(output))
    }

    /// Creates the bar of a command that writes its result to standard output as it runs.
    pub fn alongside_output(output: Output) -> Self {
        Self::with_enabled(can_draw(output) && !stdout().is_terminal())
    }

    /// Shows a bar on the screen, unless it is finished within half a second.
    fn draw(&self, bar: ProgressBar) {
        if !self.is_enabled {
            return;
        }
        *locked(&self.drawing) = Some(bar.clone());
        screen::show_after(SHOW_DELAY.saturating_sub(self.began.elapsed()), bar);
    }

    fn with_enabled(is_enabled: bool) -> Self {
        let (stage, drawing) = (Mutex::new(Stage::Reading), Mutex::new(None));
        Self { is_enabled, began: Instant::now(), stage, drawing, pending: AtomicU64::new(0) }
    }
}

fn can_draw(output: Output) -> bool {
    !output.quiet && stderr().is_terminal() && crate::cli::variable("TERM").is_none_or(|term| term != "dumb")
}

impl Progress for Bar {
    fn stage(&self, stage: Stage) {
        *locked(&self.stage) = stage;
        if stage == Stage::Watching {
            self.draw(ProgressBar::new_spinner().with_style(watching_style()));
        }
    }

    fn start(&self, total_bytes: Option<u64>) {
        self.finish();
        if !self.is_enabled {
            return;
        }
        let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::hidden());
        bar.set_style(style(total_bytes.is_some()));
        bar.set_prefix(label(*locked(&self.stage)));
        self.draw(bar);
    }

    fn advance(&self, bytes: u64) {
        if self.is_enabled && self.pending.fetch_add(bytes, Ordering::Relaxed) + bytes >= UPDATE_BYTES {
            let bytes = self.pending.swap(0, Ordering::Relaxed);
            if let Some(bar) = &*locked(&self.drawing) {
                bar.inc(bytes);
            }
        }
    }

    fn finish(&self) {
        self.pending.store(0, Ordering::Relaxed);
        if let Some(bar) = locked(&self.drawing).take() {
            screen::finish(&bar);
        }
    }

    fn cancellation(&self) -> Cancellation {
        interrupt::cancellation()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Returns the style of `watching for writers that would undo the import  2 s`.
fn watching_style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{spinner} watching for writers that would undo the import  {elapsed}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    if has_unicode() { style } else { style.tick_chars("-\\|/ ") }
}

fn label(stage: Stage) -> &'static str {
    match stage {
        Stage::Merging => "merging",
        Stage::Writing => "writing",
        Stage::Checking => "checking",
        _ => "reading",
    }
}

/// Returns the style of `reading  ━━━━━━━━━╸          12.3 MB of 147.6 MB   98.1 MB/s   2 s left`.
fn style(has_total: bool) -> ProgressStyle {
    let color = if has_color_on_stderr() { ".cyan" } else { "" };
    // The text next to the bar takes 55 columns.
    let bar = term::wrap_width(&std::io::stderr()).unwrap_or(term::DEFAULT_WIDTH).saturating_sub(55).clamp(5, 40);
    let template = template(has_total, bar, color);
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let style = match has_unicode() {
        true => style.progress_chars("━╸ "),
        false => style.progress_chars("=> ").tick_chars("-\\|/ "),
    };
    style
        .with_key("done", |state: &ProgressState, out: &mut dyn Write| _ = out.write_str(&size(state.pos())))
        .with_key("all", |state: &ProgressState, out: &mut dyn Write| {
            _ = out.write_str(&size(state.len().unwrap_or(0)));
        })
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            // Bytes per second are a positive whole number.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rate = state.per_sec() as u64;
            _ = write!(out, "{}/s", size(rate));
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn Write| {
            _ = write!(out, "{} left", duration(state.eta()));
        })
        .with_key("elapsed", |state: &ProgressState, out: &mut dyn Write| {
            _ = out.write_str(&duration(state.elapsed()));
        })
}

fn template(has_total: bool, bar: usize, color: &str) -> String {
    match has_total {
        true => format!("{{prefix:8}} {{bar:{bar}{color}}} {{done:>8}} of {{all}}  {{rate}}  {{left}}"),
        false => format!("{{prefix:8}} {{spinner{color}}} {{done}}  {{rate}}  {{elapsed}}"),
    }
}

/// Returns `12 s`, `3 min 05 s` or `2 h 10 min`.
fn duration(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, ProgressStyle, duration, template};

    #[test]
    fn the_templates_are_valid() {
        for (has_total, color) in [(true, ".cyan"), (true, ""), (false, ".cyan"), (false, "")] {
            assert!(ProgressStyle::with_template(&template(has_total, 20, color)).is_ok());
        }
    }

    #[test]
    fn durations_are_short() {
        let shown = [0, 59, 60, 3599, 3600, 90_000].map(|seconds| duration(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0 s", "59 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "25 h 00 min"]);
    }
}
