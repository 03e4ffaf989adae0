//! A terminal joined to the shell of a guest: `cargo xtask test --shell` opens it when a test fails.
#![allow(clippy::print_stderr, reason = "speaks to the person at the terminal")]

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
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
    let mut serial = UnixStream::connect(socket).context("serial port")?;
    let _raw = Raw::enter()?;
    // The shell has printed its prompt long ago.
    serial.write_all(b"\n").context("serial port")?;
    let (input, mut output) = (io::stdin(), io::stdout());
    let mut buf = [0; 4096];
    loop {
        let ready = wait::readable(&[serial.as_fd(), input.as_fd()], Deadline::after(VISIT))?;
        if ready[0] {
            let len = serial.read(&mut buf).context("serial port")?;
            output.write_all(&buf[..len]).context("output")?;
            output.flush().context("output")?;
            if len == 0 {
                return Ok(());
            }
        }
        if ready[1] {
            let len = nix::unistd::read(&input, &mut buf).context("input")?;
            let typed = &buf[..len];
            let leave = typed.iter().position(|byte| *byte == LEAVE);
            serial
                .write_all(&typed[..leave.unwrap_or(len)])
                .context("serial port")?;
            if len == 0 || leave.is_some() {
                return Ok(());
            }
        }
    }
}

/// The terminal gives each key at once, as the guest's own terminal does the editing.
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
