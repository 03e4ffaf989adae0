//! A terminal joined to the shell of a guest: `cargo xtask test --shell` opens it when a test fails.
#![allow(clippy::print_stderr, reason = "speaks to the person at the terminal")]

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::termios::{self, SetArg, Termios};

use crate::wait::{self, Deadline};

/// Set to anything, a failing test opens the shell of its guest on the terminal.
pub const VARIABLE: &str = "VIRTIO_WL_VM_SHELL";

/// Ctrl-], as in telnet(1): leaves the shell.
const LEAVE: u8 = 0x1d;

/// A longer visit is not expected; it only turns an endless wait into a long one.
const VISIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether failing tests shall open a shell.
pub fn is_wanted() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Joins the terminal and the serial port at `socket` until Ctrl-], the end of the input, or the
/// guest's end.
pub fn attach(socket: &Path) {
    eprintln!("--- shell in the guest; Ctrl-] leaves it and ends the guest ---");
    if let Err(error) = join(socket) {
        eprintln!("no shell: {error:#}");
    }
    eprintln!("\r\n---");
}

fn join(socket: &Path) -> Result<()> {
    let mut joined = Joined::shell(socket)?;
    // The shell has printed its prompt long ago.
    joined.ask()?;
    while joined.is_open() && joined.typed {
        let ready = wait::readable(&joined.fds(), Deadline::after(VISIT))?;
        joined.step(&ready)?;
    }
    Ok(())
}

/// A serial port of a guest joined to the terminal.
#[derive(Debug)]
pub struct Joined {
    serial: UnixStream,
    open: bool,
    /// What is typed goes to the guest.
    typed: bool,
    /// The guest has said something: before that nobody would hear what is typed.
    heard: bool,
    input: io::Stdin,
    _raw: Option<Raw>,
}

impl Joined {
    /// The shell at the serial port `socket`: what is typed goes there, key by key.
    ///
    /// # Errors
    /// When the port cannot be connected to.
    pub fn shell(socket: &Path) -> Result<Self> {
        let serial = UnixStream::connect(socket).context("serial port")?;
        Ok(Self {
            serial,
            open: true,
            typed: true,
            heard: false,
            input: io::stdin(),
            _raw: Some(Raw::enter()?),
        })
    }

    /// The console at the serial port `socket`, only to be looked at.
    ///
    /// # Errors
    /// When the port cannot be connected to.
    pub fn console(socket: &Path) -> Result<Self> {
        let serial = UnixStream::connect(socket).context("serial port")?;
        Ok(Self {
            serial,
            open: true,
            typed: false,
            heard: false,
            input: io::stdin(),
            _raw: None,
        })
    }

    /// Makes a shell print its prompt again.
    ///
    /// # Errors
    /// When the guest is gone.
    pub fn ask(&mut self) -> Result<()> {
        self.serial.write_all(b"\n").context("serial port")
    }

    /// Not yet left by Ctrl-], nor closed by the guest's end.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// What to wait for before [`Self::step`].
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let mut fds = Vec::new();
        if self.open {
            fds.push(self.serial.as_fd());
            if self.typed && self.heard {
                fds.push(self.input.as_fd());
            }
        }
        fds
    }

    /// Passes on what there is; `ready` says which of [`Self::fds`] are readable.
    ///
    /// # Errors
    /// When terminal or serial port fail.
    pub fn step(&mut self, ready: &[bool]) -> Result<()> {
        let mut buf = [0; 4096];
        if ready.first() == Some(&true) {
            let len = self.serial.read(&mut buf).context("serial port")?;
            self.open = len > 0;
            self.heard |= len > 0;
            let mut output = io::stdout();
            output.write_all(&buf[..len]).context("output")?;
            output.flush().context("output")?;
        }
        if ready.get(1) == Some(&true) {
            let len = nix::unistd::read(&self.input, &mut buf).context("input")?;
            let keys = &buf[..len];
            let leave = keys.iter().position(|byte| *byte == LEAVE);
            self.open &= leave.is_none();
            // The end of a script is not the end of what it has started.
            self.typed = len > 0;
            self.serial
                .write_all(&keys[..leave.unwrap_or(len)])
                .context("serial port")?;
        }
        Ok(())
    }
}

/// The terminal gives each key at once, as the guest's own terminal does the editing.
#[derive(Debug)]
struct Raw(Option<Termios>);

impl Raw {
    fn enter() -> Result<Self> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Ok(Self(None));
        }
        let before = termios::tcgetattr(&input).context("terminal")?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&input, SetArg::TCSANOW, &raw).context("terminal")?;
        Ok(Self(Some(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}
