//! Checks that only one signature of a key is valid for a message, and that a list of allowed signers allows only keys
//! that it has.

use patchwork_traces::format::Timestamp;
use patchwork_traces::signature::{AllowedSigners, Signature, SignatureCheck, SignatureVerdict};

/// The message of the signatures in `fixtures/keys`.
const MESSAGE: &[u8] = b"{\"type\":\"manifest\"}";
const SIGNATURE: &str = include_str!("../../fixtures/keys/ed25519.sig");
const KEY: &str = include_str!("../../fixtures/keys/ed25519.pub");

/// Checks the input as a signature, and as a list of allowed signers.
pub fn check(input: &[u8]) {
    check_signature(input);
    if let Ok(text) = std::str::from_utf8(input) {
        check_list(text);
    }
}

fn verdict(signature: &[u8], signers: AllowedSigners) -> SignatureVerdict {
    let now = Timestamp::from_millis(1_777_716_000_000).expect("the time is in range");
    SignatureCheck::new(signature.to_vec(), signers, now).verdict(MESSAGE)
}

fn check_signature(input: &[u8]) {
    let signers = AllowedSigners::parse(&format!("sam {KEY}")).expect("the list is sound");
    let verdict = verdict(input, signers);
    let Ok(signature) = Signature::parse(input) else {
        assert!(!verdict.is_valid() && verdict.key().is_none(), "{verdict}");
        return;
    };
    let text = signature.to_string();
    assert_eq!(Signature::parse(text.as_bytes()).as_ref(), Ok(&signature));
    // Signatures of ed25519 cannot be changed into others that are valid, so only line ends may differ.
    assert_eq!(verdict.is_valid(), text == SIGNATURE, "{verdict}");
}

fn check_list(text: &str) {
    match AllowedSigners::parse(text) {
        Ok(signers) => {
            let base64 = KEY.split(' ').nth(1).expect("the key has three words");
            let verdict = verdict(SIGNATURE.as_bytes(), signers);
            assert!(text.contains(base64) || matches!(verdict, SignatureVerdict::UnknownKey { .. }), "{verdict}");
        }
        Err(error) => {
            let line = error.position().line.expect("the error is in a line");
            assert!((1..=text.lines().count() as u64).contains(&line), "{error}");
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }
}
