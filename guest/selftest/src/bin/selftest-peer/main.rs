//! The peers on the host that `virtio-wl-selftest` talks to through a device.
//!
//! `selftest-peer DIR` listens on `DIR/echo.sock`, `DIR/stuck.sock` and `DIR/host.sock`, says
//! `READY=1` to `$NOTIFY_SOCKET`, and serves until it is killed. What each does, and as which
//! context a device has to offer it, is said in `virtio-wl-selftest`.

mod host;
mod stream;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result};
use clap::Parser;
use stream::{receive, send};

/// Serves the peers that virtio-wl-selftest talks to.
#[derive(Debug, Parser)]
#[command(name = "selftest-peer", version)]
struct Args {
    /// Directory for the sockets
    directory: PathBuf,
}

/// What an echo takes for the end.
const QUIT: &[u8] = b"quit";

/// Most bytes an echo takes at once.
const ECHO: usize = 64 * 1024;

fn main() -> Result<()> {
    let args = Args::parse();
    let stuck = listen(&args.directory.join("stuck.sock"))?;
    serve(&args.directory.join("echo.sock"), |stream| echo(&stream))?;
    serve(&args.directory.join("host.sock"), |stream| {
        host::serve(&stream)
    })?;
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    let mut kept = Vec::new();
    for stream in stuck.incoming() {
        kept.push(stream?);
    }
    Ok(())
}

fn listen(path: &Path) -> Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    UnixListener::bind(path).with_context(|| path.display().to_string())
}

/// Serves each connection in a thread, which ends with it.
fn serve(path: &Path, each: fn(UnixStream) -> io::Result<()>) -> Result<()> {
    let listener = listen(path)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A guest that goes away in the middle is its own business.
            thread::spawn(move || each(stream));
        }
    });
    Ok(())
}

/// Sends back what comes, with its descriptors.
fn echo(stream: &UnixStream) -> io::Result<()> {
    loop {
        let (bytes, fds) = receive(stream, ECHO)?;
        if bytes.is_empty() || bytes == QUIT {
            return Ok(());
        }
        send(stream, &bytes, &fds)?;
    }
}
