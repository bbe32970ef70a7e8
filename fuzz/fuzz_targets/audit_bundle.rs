//! Whatever the bytes are, verifying and recovering them ends, and what is recovered is whole.
#![no_main]

use std::io::Cursor;
use std::num::NonZeroUsize;

use libfuzzer_sys::fuzz_target;
use patchwork_traces::format::Timestamp;
use patchwork_traces::gzip::Level;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::publish::Target;
use patchwork_traces::recover::{RecoverOptions, recover};
use patchwork_traces::verify::{VerifyOptions, verify, verify_file};

fuzz_target!(|bytes: &[u8]| {
    let check = VerifyOptions { expect: None, require_hashes: false, threads: NonZeroUsize::MIN };
    let _ = verify(bytes, "input", &check, &NoProgress, &mut |_| {});

    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("recovered");
    let options = RecoverOptions {
        generator: "fuzz".to_owned(),
        exported_at: Timestamp::from_millis(0).expect("a time"),
        level: Level::new(1).expect("a level"),
        threads: NonZeroUsize::MIN,
        work_dir: dir.path().to_owned(),
    };
    let target = Target::File { path: path.clone(), replace: false };
    if recover(Cursor::new(bytes), "input", &options, &target, &NoProgress).is_ok() {
        let report = verify_file(&path, &check, &NoProgress, &mut |_| {}).expect("it can be read");
        assert!(report.is_good());
    }
});
