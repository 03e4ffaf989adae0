//! The interrupts that the guest has taken.

use std::fs;

use anyhow::{Context, Result};

#[cfg(test)]
mod tests;

/// What the kernel counts.
const COUNTS: &str = "/proc/interrupts";

/// The virtio device behind `/dev/wl0`.
const DEVICE: &str = "/sys/class/misc/wl0/device";

/// The lines that count them.
#[derive(Debug)]
pub(super) struct Interrupts {
    /// Name of the virtio device.
    device: String,
}

impl Interrupts {
    /// Those of the queues behind `/dev/wl0`.
    pub(super) fn find() -> Result<Self> {
        let device = fs::read_link(DEVICE).context(DEVICE)?;
        let device = device.file_name().and_then(|name| name.to_str());
        Ok(Self {
            device: device.context(DEVICE)?.to_owned(),
        })
    }

    /// Of all queues, on all processors, since the boot.
    pub(super) fn taken(&self) -> Result<u64> {
        self.sum(&fs::read_to_string(COUNTS).context(COUNTS)?)
    }

    /// Lines are `25:  12  34  PCI-MSIX-0000:01:00.0  1-edge  virtio1-in`, a count for each
    /// processor. A device with too few vectors has one line for its name alone, which it may share
    /// with others: `22:  12  34  IO-APIC  22-fasteoi  virtio0, virtio1`.
    fn sum(&self, text: &str) -> Result<u64> {
        let mut sum = None;
        for line in text.lines() {
            if line.split_whitespace().any(|name| self.is_queue(name)) {
                let counts = line.split_whitespace().skip(1);
                let counts = counts.map_while(|count| count.parse::<u64>().ok());
                sum = Some(sum.unwrap_or(0) + counts.sum::<u64>());
            }
        }
        sum.with_context(|| format!("no interrupts of {} in {COUNTS}:\n{text}", self.device))
    }

    /// Whether it is the name of the device or of one of its queues.
    fn is_queue(&self, name: &str) -> bool {
        let rest = name.trim_end_matches(',').strip_prefix(&self.device);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-') && rest != "-config")
    }
}
