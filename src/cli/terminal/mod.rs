//! The terminal and the process: streams, width, colour, progress, interrupts, errors and exit codes.

pub mod error_report;
pub mod exit;
pub mod interrupt;
pub mod output;
pub mod panic;
#[cfg(feature = "seal")]
pub mod passphrase;
pub mod progress;
pub mod screen;
pub mod stdin;
pub mod term;
