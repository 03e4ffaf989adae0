//! On which cores everything runs.

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Ourselves, in calls that take a process.
const SELF: Pid = Pid::from_raw(0);

/// Keeps us, and all that we start from now on, on one core: the first we may use.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn one_core() -> Result<usize> {
    let allowed = sched_getaffinity(SELF).context("sched_getaffinity")?;
    let core = (0..CpuSet::count())
        .find(|core| allowed.is_set(*core).unwrap_or(false))
        .context("no core to run on")?;
    let mut only = CpuSet::new();
    only.set(core).context("core")?;
    sched_setaffinity(SELF, &only).context("sched_setaffinity")?;
    Ok(core)
}
