//! Signs with `ssh-keygen`, which reaches the keys of agents and hardware tokens.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;

use super::key_prompt::KeyPrompt;
use super::sshsig::Signature;
use super::{MAX_BYTES, NAMESPACE};
use crate::error::{Error, ErrorKind, Result, SignatureFault};

const PROGRAM: &str = "ssh-keygen";

/// The first message of `ssh-keygen` when it reads standard input.
const BEGINNING: &str = "Signing data on standard input";

/// The start of the message that asks for a touch of a hardware token.
const REQUEST: &str = "Confirm user presence";

/// Signs bytes with the key in the file `path`: a public key, or the private key of a hardware token.
pub fn sign(path: &Path, message: &[u8], prompt: &mut dyn KeyPrompt) -> Result<Signature> {
    let failed = |fault| Error::from(ErrorKind::Signature(fault)).in_subject(&path.display().to_string());
    let because = |message: String| failed(SignatureFault::KeygenFailed { message });
    let mut child = start(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed(SignatureFault::KeygenMissing),
        _ => because(error.to_string()),
    })?;
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (signature, last_message) = thread::scope(|scope| {
        // If `ssh-keygen` ends early, its exit code is checked below.
        scope.spawn(move || input.map(|mut input| input.write_all(message)));
        let signature = scope.spawn(move || {
            let mut text = Vec::new();
            output.map(|output| output.take(MAX_BYTES).read_to_end(&mut text));
            text
        });
        let last_message = errors.map(|errors| show_messages(errors, prompt)).unwrap_or_default();
        (signature.join().unwrap_or_default(), last_message)
    });
    match finish(child) {
        Ok(true) => Signature::parse(&signature).map_err(|invalid| because(invalid.to_string())),
        Ok(false) if last_message.is_empty() => Err(because("it failed without a message".to_owned())),
        Ok(false) => Err(because(last_message)),
        Err(error) => Err(because(error.to_string())),
    }
}

fn start(path: &Path) -> io::Result<Child> {
    let mut command = Command::new(PROGRAM);
    command.args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(path);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

fn finish(mut child: Child) -> io::Result<bool> {
    child.wait().map(|status| status.success())
}

/// Shows the request to touch a token as it arrives. Returns the last message.
fn show_messages(errors: ChildStderr, prompt: &mut dyn KeyPrompt) -> String {
    let mut last = String::new();
    for line in BufReader::new(errors).split(b'\n').map_while(io::Result::ok) {
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if line.starts_with(REQUEST) {
            prompt.notice(&line);
        } else if !line.is_empty() && line != BEGINNING {
            last = line;
        }
    }
    last
}
