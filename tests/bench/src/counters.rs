//! What the devices on the way counted meanwhile.

use std::{ops::Sub, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use serde::Serialize;
use virtio_wl::host::control::{Client, Queues};

/// A device answers at once; this only bounds a hang.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The control sockets to ask.
#[derive(Debug, Default)]
pub(crate) struct Probes(Vec<Client>);

/// Kicks and interrupts of one device since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    kicks: u64,
    interrupts: u64,
}

/// Kicks and interrupts of one device per round trip.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct PerRound {
    /// Notifications of the device by the driver.
    pub(crate) kicks: f64,
    /// Notifications of the driver by the device.
    pub(crate) interrupts: f64,
}

impl Probes {
    /// Connects to each control socket.
    pub(crate) fn connect(paths: &[PathBuf]) -> Result<Self> {
        let clients = paths.iter().map(|path| {
            Client::connect(path)
                .with_context(|| format!("no device answers at {}", path.display()))
        });
        clients.collect::<Result<_>>().map(Self)
    }

    /// The counts of each device now.
    pub(crate) fn read(&mut self) -> Result<Vec<Counts>> {
        let counts = self.0.iter_mut().map(|client| {
            let listing = client.call(Queues {}, None, TIMEOUT)?;
            Ok(Counts {
                kicks: listing.queues.iter().map(|queue| queue.kicks).sum(),
                interrupts: listing.queues.iter().map(|queue| queue.interrupts).sum(),
            })
        });
        counts.collect()
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            kicks: self.kicks - earlier.kicks,
            interrupts: self.interrupts - earlier.interrupts,
        }
    }
}

impl Counts {
    /// The share of each of `rounds` round trips.
    pub(crate) fn per_round(self, rounds: usize) -> PerRound {
        PerRound {
            kicks: self.kicks as f64 / rounds as f64,
            interrupts: self.interrupts as f64 / rounds as f64,
        }
    }
}
