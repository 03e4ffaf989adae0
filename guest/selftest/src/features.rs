//! What the device offered and the driver took.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// A feature that tests depend on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Feature {
    /// Flags say what a received pipe or socket can do.
    TransFlags,
    /// Fences may be sent.
    SendFences,
    /// Memory lies in the shared memory region. Behind vhost-user there is no other memory, as
    /// the device does not know where the guest has the region.
    UseShmem,
    /// Memory may grow.
    Refresh,
    /// The driver says how much was read, so the device need not answer at once.
    Credit,
}

impl Feature {
    /// All of them, by the numbers of their bits.
    const ALL: [Self; 5] = [
        Self::TransFlags,
        Self::SendFences,
        Self::UseShmem,
        Self::Refresh,
        Self::Credit,
    ];

    /// The protocol's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TransFlags => "TRANS_FLAGS",
            Self::SendFences => "SEND_FENCES",
            Self::UseShmem => "USE_SHMEM",
            Self::Refresh => "REFRESH",
            Self::Credit => "CREDIT",
        }
    }

    /// The number of its bit.
    fn bit(self) -> usize {
        match self {
            Self::TransFlags => 1,
            Self::SendFences => 2,
            Self::UseShmem => 3,
            Self::Refresh => 22,
            Self::Credit => 23,
        }
    }
}

/// What both sides agreed on.
#[derive(Clone, Debug)]
pub(crate) struct Features(Vec<u8>);

impl Features {
    /// Those of the device that belongs to this directory of `/sys/class/misc`. The kernel writes
    /// a `0` or `1` for each bit, beginning with bit 0.
    pub(crate) fn of(sysfs: &Path) -> Result<Self> {
        let path = sysfs.join("device/features");
        let bits = fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(Self(bits))
    }

    pub(crate) fn has(&self, feature: Feature) -> bool {
        self.0.get(feature.bit()) == Some(&b'1')
    }

    /// The names of those that are not there.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let missing = Feature::ALL.into_iter().filter(|one| !self.has(*one));
        missing.map(Feature::name).collect()
    }
}
