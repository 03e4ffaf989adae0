//! Bytes over a `Channel` and over a socket of the guest.

use std::{
    io::{IoSlice, IoSliceMut, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use virtio_wl::{Channel, Device, MsgFlags, limits::MAX_CHUNK};

use super::clock::Clock;
use crate::{
    channel::round_trip,
    peer::{Order, TRAFFIC},
    timing,
};

/// Bytes of a round trip each way, and of a message that is sent.
const BYTES: usize = 64;

/// Everything that answers.
#[derive(Debug)]
pub(super) struct Traffic {
    /// To the host's echo.
    echo: Channel,
    /// To the host's peer that does as it is told.
    ordered: Channel,
    /// To an echo in the guest.
    local: UnixStream,
    echo_process: Child,
}

impl Traffic {
    pub(super) fn connect(device: &Device) -> Result<Self> {
        let (local, other) = UnixStream::pair()?;
        let other = OwnedFd::from(other);
        let echo_process = Command::new("/proc/self/exe")
            .arg("reflect")
            .stdin(Stdio::from(other))
            .spawn()
            .context("cannot start the echo of the guest")?;
        Ok(Self {
            echo: device.connect("").context("the host's echo")?,
            ordered: device.connect(TRAFFIC).context(TRAFFIC)?,
            local,
            echo_process,
        })
    }

    pub(super) fn local(&mut self, clock: &mut Clock, rounds: usize) -> Result<()> {
        let sent = timing::payload(BYTES);
        let mut received = vec![0; sent.len()];
        for _ in 0..rounds {
            clock.time("local", || {
                self.local.write_all(&sent)?;
                self.local.read_exact(&mut received)?;
                ensure!(sent == received, "the echo changed the bytes");
                Ok(())
            })?;
        }
        Ok(())
    }

    pub(super) fn echo(&self, clock: &mut Clock, rounds: usize) -> Result<()> {
        let sent = timing::payload(BYTES);
        let mut received = vec![0; sent.len()];
        for _ in 0..rounds {
            clock.time("echo", || round_trip(&self.echo, &sent, &mut received))?;
        }
        Ok(())
    }

    /// Waits until the device has carried out what it was told before.
    pub(super) fn settle(&self) -> Result<()> {
        let sent = timing::payload(BYTES);
        round_trip(&self.echo, &sent, &mut vec![0; sent.len()])
    }

    /// All of them as one time, from the first call to the host's word that everything has come.
    pub(super) fn send(&self, clock: &mut Clock, messages: usize) -> Result<()> {
        let order = Order {
            to_peer: u64::try_from(messages * BYTES)?,
            // The word that everything has come.
            from_peer: 1,
        };
        self.order(order)?;
        let message = timing::payload(BYTES);
        clock.time("send", || {
            for _ in 0..messages {
                self.put(&message)?;
            }
            self.drain(1)
        })
    }

    /// All of them as one time.
    pub(super) fn receive(&self, clock: &mut Clock, messages: usize) -> Result<()> {
        let bytes = messages * MAX_CHUNK;
        clock.time("receive", || {
            self.order(Order {
                to_peer: 0,
                from_peer: u64::try_from(bytes)?,
            })?;
            self.drain(bytes)
        })
    }

    fn order(&self, order: Order) -> Result<()> {
        self.put(&order.to_bytes())
    }

    /// Sends what fits one message.
    fn put(&self, bytes: &[u8]) -> Result<()> {
        let taken = self
            .ordered
            .send(&[IoSlice::new(bytes)], &[], MsgFlags::empty())?;
        ensure!(taken == bytes.len(), "a small message was sent in parts");
        Ok(())
    }

    /// Receives so many bytes.
    fn drain(&self, mut bytes: usize) -> Result<()> {
        let mut buffer = [0; MAX_CHUNK];
        while bytes > 0 {
            let room = bytes.min(buffer.len());
            let buffers = &mut [IoSliceMut::new(&mut buffer[..room])];
            match self
                .ordered
                .recv(buffers, &mut Vec::new(), MsgFlags::empty())?
            {
                0 => anyhow::bail!("the peer hung up"),
                taken => bytes -= taken,
            }
        }
        Ok(())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        // It would end by itself with our end of the socket, but nobody would wait for it.
        let _ = self.echo_process.kill();
        let _ = self.echo_process.wait();
    }
}
