#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| patchwork_traces_fuzz::redact_rows::check(input));
