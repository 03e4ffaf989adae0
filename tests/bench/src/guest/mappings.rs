//! Shared memory: what one more mapping costs while so many others are live.

use anyhow::{Context, Result, ensure};
use virtio_wl::{Device, Mapping, Memory};

use super::clock::Clock;

/// Bytes of a page, of which one is touched each.
const PAGE: usize = 4096;

/// The mappings that live on.
#[derive(Debug)]
pub(super) struct Live<'a> {
    device: &'a Device,
    bytes: u64,
    mappings: Vec<(Memory, Mapping)>,
}

impl<'a> Live<'a> {
    /// None yet; each will have so many bytes.
    pub(super) fn new(device: &'a Device, bytes: u64) -> Self {
        Self {
            device,
            bytes,
            mappings: Vec::new(),
        }
    }

    /// Makes or drops some; each step of those it makes is timed. They are fresh, except the first
    /// few if some were dropped before: the device keeps a few of these for the next of their size.
    pub(super) fn reach(&mut self, clock: &mut Clock, count: usize) -> Result<()> {
        self.mappings.truncate(count);
        while self.mappings.len() < count {
            let one = self.make(clock)?;
            self.mappings.push(one);
        }
        Ok(())
    }

    /// Makes and drops one more, so many times. All but the first take the place of the one before.
    pub(super) fn again(&self, clock: &mut Clock, rounds: usize) -> Result<()> {
        for _ in 0..rounds {
            let one = self.make(clock)?;
            clock.time("munmap, close", || {
                drop(one);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn make(&self, clock: &mut Clock) -> Result<(Memory, Mapping)> {
        let memory = clock.time("NEW_ALLOC", || {
            self.device.allocate(self.bytes).context("allocation")
        })?;
        let mapping = clock.time("mmap", || memory.map().context("mmap"))?;
        clock.time("touch", || touch(&mapping))?;
        Ok((memory, mapping))
    }
}

/// Writes and reads one byte of each page.
fn touch(mapping: &Mapping) -> Result<()> {
    for page in (0..mapping.len()).step_by(PAGE) {
        let mut byte = [0];
        mapping.read(page, &mut byte)?;
        ensure!(byte == [0], "fresh memory holds something");
        mapping.write(page, &[1])?;
    }
    Ok(())
}
