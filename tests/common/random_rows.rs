//! Rows that hardly compress.
#![allow(dead_code)]

use std::fmt::Write;

/// Returns rows of about a kilobyte of hexadecimal digits, which compress to about half. The same count gives the same rows.
pub fn random_rows(rows: usize) -> String {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut log = String::new();
    for row in 0..rows {
        write!(log, "{{\"n\":{row},\"noise\":\"").unwrap_or_default();
        (0..64).for_each(|_| write!(log, "{:016x}", word()).unwrap_or_default());
        log.push_str("\"}\n");
    }
    log
}
