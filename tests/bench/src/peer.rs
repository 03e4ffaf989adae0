//! The other ends: an echo, and the relay that a device is compared with.

use std::{
    io::{Read, Write},
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What fits one message on virtio_wl is well below this.
const BUFFER: usize = 4096;

/// Sends back what arrives; serves one connection after the other, for ever.
pub(crate) fn echo(listen: &Path) -> Result<()> {
    let listener = bind(listen)?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut buffer = [0; BUFFER];
        // A client that leaves ends its connection, not the echo.
        while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..bytes]).is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Passes bytes both ways, one connection after the other, for ever.
pub(crate) fn relay(listen: &Path, connect: &Path) -> Result<()> {
    let listener = bind(listen)?;
    for near in listener.incoming() {
        let near = near?;
        let far = UnixStream::connect(connect)
            .with_context(|| format!("cannot connect to {}", connect.display()))?;
        while pass(&near, &far)? {}
    }
    Ok(())
}

/// Waits for bytes and passes them on; false once either side has ended.
fn pass(near: &UnixStream, far: &UnixStream) -> Result<bool> {
    let mut ready = [
        PollFd::new(near.as_fd(), PollFlags::POLLIN),
        PollFd::new(far.as_fd(), PollFlags::POLLIN),
    ];
    poll(&mut ready, PollTimeout::NONE)?;
    let [from_near, from_far] = ready.map(|fd| fd.any() == Some(true));
    for (is_ready, mut from, mut to) in [(from_near, near, far), (from_far, far, near)] {
        if is_ready {
            let mut buffer = [0; BUFFER];
            match from.read(&mut buffer) {
                Ok(0) | Err(_) => return Ok(false),
                Ok(bytes) => to.write_all(&buffer[..bytes])?,
            }
        }
    }
    Ok(true)
}

/// Listens, and tells whoever started us.
fn bind(path: &Path) -> Result<UnixListener> {
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    Ok(listener)
}
