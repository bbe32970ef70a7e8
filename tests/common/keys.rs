//! The keys of `fixtures/keys`, and lists of allowed signers.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The passphrase of the key `encrypted`, which is the key `ed25519`.
pub const PASSPHRASE: &str = "correct horse";

/// The keys of every supported type.
pub const KEYS: [&str; 4] = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/keys").join(name)
}

/// Copies a private key to `dir`, where only its owner can read it. Returns its path.
pub fn key_in(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, fs::read(fixture(name)).unwrap()).unwrap();
    #[cfg(unix)]
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path
}

/// Returns the public key as it stands on a line.
pub fn public_key(name: &str) -> String {
    fs::read_to_string(fixture(&format!("{name}.pub"))).unwrap().trim().to_owned()
}

/// Returns true if `ssh-keygen` is installed.
pub fn has_ssh_keygen() -> bool {
    let mut command = Command::new("ssh-keygen");
    command.arg("-?").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Signs `message` with `ssh-keygen`. Returns the signature.
pub fn keygen_sign(key: &Path, namespace: &str, message: &[u8]) -> Vec<u8> {
    let file = key.with_extension("message");
    fs::write(&file, message).unwrap();
    let mut command = Command::new("ssh-keygen");
    let signed =
        command.args(["-q", "-Y", "sign", "-n", namespace, "-f"]).arg(key).stdin(fs::File::open(file).unwrap());
    let signed = signed.output().unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    signed.stdout
}

/// Returns true if `ssh-keygen` accepts the signature in the file `signature` of `message` by `name`.
pub fn keygen_verify(signers: &Path, name: &str, signature: &Path, message: &[u8]) -> bool {
    let file = signature.with_extension("message");
    fs::write(&file, message).unwrap();
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-Y", "verify", "-n", "patchwork-traces", "-I", name, "-f"]).arg(signers);
    command.arg("-s").arg(signature).stdin(fs::File::open(file).unwrap());
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}
