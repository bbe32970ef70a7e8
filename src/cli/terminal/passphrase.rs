//! Asks for passphrases and other texts on the terminal.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use patchwork_traces::container::Passphrase;
use patchwork_traces::{Error, ErrorKind};

use crate::cli::terminal::interrupt;
use crate::cli::terminal::screen;

/// The interval between checks for an interrupt.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Asks for a passphrase on the terminal, which doesn't show what is typed. Standard input stays free for a bundle.
///
/// # Errors
/// If there is no terminal, or it is closed. [`ErrorKind::Cancelled`], inside the [`io::Error`], after an interrupt.
pub fn ask(prompt: &str) -> io::Result<Passphrase> {
    let terminal = Terminal::open()?;
    // Hides the input before the prompt appears, so that a quick answer isn't shown either.
    terminal.hide_input()?;
    let prompt = prompt.to_owned();
    wait_for(&terminal, move || rpassword::prompt_password(prompt).map(Passphrase::new))
}

/// Asks for a text on the terminal, which shows what is typed.
///
/// # Errors
/// As [`ask`].
pub fn ask_shown(prompt: &str) -> io::Result<String> {
    let terminal = Terminal::open()?;
    let prompt = prompt.to_owned();
    wait_for(&terminal, move || {
        let mut line = String::new();
        let (mut output, input) = terminal_streams()?;
        output.write_all(prompt.as_bytes())?;
        output.flush()?;
        match BufReader::new(input).read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    })
}

/// Returns the result of `read`, which reads from the terminal. Runs it in a separate thread, because
/// a signal from elsewhere doesn't end it.
fn wait_for<T: Send + 'static>(
    terminal: &Terminal,
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, answer) = bounded(1);
    thread::Builder::new().spawn(move || {
        let _ = sender.send(screen::while_hidden(read));
    })?;
    let cancelled = || Err(Error::from(ErrorKind::Cancelled).into());
    loop {
        match answer.recv_timeout(POLL_INTERVAL) {
            // Ctrl-C was typed; its signal may arrive a moment later.
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                terminal.show_input();
                return cancelled();
            }
            Ok(typed) => {
                terminal.show_input();
                return typed;
            }
            Err(RecvTimeoutError::Timeout) if !interrupt::cancellation().is_cancelled() => {}
            Err(_) => {
                terminal.restore();
                return cancelled();
            }
        }
    }
}

/// Opens the terminal to write to it and to read from it.
#[cfg(unix)]
fn terminal_streams() -> io::Result<(File, File)> {
    Ok((File::options().write(true).open(TERMINAL)?, File::open(TERMINAL)?))
}

/// Opens the console to write to it and to read from it.
#[cfg(not(unix))]
fn terminal_streams() -> io::Result<(File, File)> {
    Ok((File::options().write(true).open("CONOUT$")?, File::options().read(true).write(true).open("CONIN$")?))
}

#[cfg(unix)]
const TERMINAL: &str = "/dev/tty";

/// The terminal and its original settings. On Windows, the settings of the console end with the
/// program.
struct Terminal {
    #[cfg(unix)]
    file: File,
    #[cfg(unix)]
    settings: rustix::termios::Termios,
}

#[cfg(unix)]
impl Terminal {
    fn open() -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(TERMINAL);
        let file = file.map_err(|_| io::Error::new(io::ErrorKind::NotFound, "there is no terminal"))?;
        let settings = rustix::termios::tcgetattr(&file)?;
        Ok(Self { file, settings })
    }

    /// Stops showing input.
    fn hide_input(&self) -> io::Result<()> {
        let mut hidden = self.settings.clone();
        hidden.local_modes.remove(rustix::termios::LocalModes::ECHO);
        Ok(rustix::termios::tcsetattr(&self.file, rustix::termios::OptionalActions::Now, &hidden)?)
    }

    /// Shows input again.
    fn show_input(&self) {
        let _ = rustix::termios::tcsetattr(&self.file, rustix::termios::OptionalActions::Now, &self.settings);
    }

    /// Shows input again, and ends the line of the prompt.
    fn restore(&self) {
        self.show_input();
        let _ = (&self.file).write_all(b"\n");
    }
}

#[cfg(not(unix))]
impl Terminal {
    #[allow(clippy::unnecessary_wraps, reason = "as on Unix")]
    fn open() -> io::Result<Self> {
        Ok(Self {})
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on Unix")]
    fn hide_input(&self) -> io::Result<()> {
        Ok(())
    }

    #[allow(clippy::unused_self, reason = "as on Unix")]
    fn show_input(&self) {}

    #[allow(clippy::unused_self, reason = "as on Unix")]
    fn restore(&self) {}
}
