//! The other ends: echoes, a peer that takes and gives as it is told, and the relay that a device is
//! compared with.

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
        send_back(&stream?);
    }
    Ok(())
}

/// Sends back what arrives on standard input, which is a socket, until it ends.
pub(crate) fn reflect() -> Result<()> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    send_back(&UnixStream::from(socket));
    Ok(())
}

fn send_back(mut stream: &UnixStream) {
    let mut buffer = [0; BUFFER];
    // A client that leaves ends its connection, not the echo.
    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
}

/// Context of the peer behind [`traffic`].
pub(crate) const TRAFFIC: &str = "traffic";

/// What a client of [`traffic`] wants; it comes before the bytes it speaks of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    /// Bytes that the client will send.
    pub(crate) to_peer: u64,
    /// Bytes that the peer then sends.
    pub(crate) from_peer: u64,
}

impl Order {
    /// Bytes of an order.
    const SIZE: usize = 16;

    /// Both numbers, little-endian.
    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        let both = u128::from(self.to_peer) | u128::from(self.from_peer) << 64;
        both.to_le_bytes()
    }

    fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let [low, high] = [0, 64].map(|shift| (u128::from_le_bytes(bytes) >> shift) as u64);
        Self {
            to_peer: low,
            from_peer: high,
        }
    }
}

/// Takes and gives as it is told, one connection after the other, for ever.
pub(crate) fn traffic(listen: &Path) -> Result<()> {
    let listener = bind(listen)?;
    for stream in listener.incoming() {
        let stream = stream?;
        // A client that leaves ends its connection, not the peer.
        while obey(&stream).is_ok() {}
    }
    Ok(())
}

fn obey(mut stream: &UnixStream) -> std::io::Result<()> {
    let mut order = [0; Order::SIZE];
    stream.read_exact(&mut order)?;
    let order = Order::from_bytes(order);
    std::io::copy(&mut stream.take(order.to_peer), &mut std::io::sink())?;
    std::io::copy(&mut std::io::repeat(1).take(order.from_peer), &mut stream)?;
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
