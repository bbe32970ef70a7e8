//! Keys of age that are made for tests.
#![allow(dead_code, clippy::unwrap_used)]

use patchwork_traces::container::{DecryptionKeys, Recipient, Sealer};

pub const IDENTITY: &str = "AGE-SECRET-KEY-15FJH2WEAQ2KHXFLTQ9QJF8NEAFEGK33J65ERR2RAUMHMUALSCPUSX3SZY5";
pub const RECIPIENT: &str = "age1unpfk3m3ta7z5vqqmuxz4zgyg0wsyanef0293a4kht7x23ek5q8s2s0yq4";
pub const OTHER_IDENTITY: &str = "AGE-SECRET-KEY-1DJSZXJXALU2HV9K0Q2SWHD4CR6NNR0ECDCDU0JPXUAE5HDT6EJJS309NVJ";
pub const OTHER_RECIPIENT: &str = "age1pv44r082h3r7kuz22e9gaz06um8fy8fd8hf9suaytyc3ujn4mafsvd0zyh";

/// Returns what decrypts files for any of these identities.
pub fn keys(identities: &[&str]) -> DecryptionKeys {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "# a comment\n\n".to_owned() + &identities.join("\n")).unwrap();
    DecryptionKeys::default().identity_file(file.path()).unwrap()
}

/// Encrypts with a passphrase as other programs of age do, with a work factor at which tests need not wait.
pub fn lock(passphrase: &str, content: &[u8]) -> Vec<u8> {
    let mut recipient = age::scrypt::Recipient::new(passphrase.to_owned().into());
    recipient.set_work_factor(10);
    age::encrypt(&recipient, content).unwrap()
}

/// Returns what encrypts to these recipients.
pub fn sealer(recipients: &[&str]) -> Sealer {
    Sealer::to_recipients(recipients.iter().map(|key| key.parse::<Recipient>().unwrap()).collect()).unwrap()
}
