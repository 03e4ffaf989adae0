//! Whether a run leaves anything behind.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use integration_tests::leak;
use integration_tests::wait::{self, Deadline};

/// What there was before a run.
#[derive(Debug)]
pub(super) struct Before {
    descriptors: BTreeSet<String>,
}

impl Before {
    /// Looks now. Orphans of what is started from now on become our children, so that whatever
    /// stays behind is seen.
    pub(super) fn look() -> Result<Self> {
        nix::sys::prctl::set_child_subreaper(true).context("subreaper")?;
        Ok(Self {
            descriptors: own_descriptors()?,
        })
    }

    /// Fails when a process, a descriptor or a file of the run is left.
    pub(super) fn nothing_left(&self, dir: &Path) -> Result<()> {
        let reaped = || {
            // Orphans that ended just now wait to be reaped by us.
            while let Ok(status) =
                nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG))
            {
                if status == nix::sys::wait::WaitStatus::StillAlive {
                    break;
                }
            }
            Ok(leak::children(std::process::id())?.is_empty().then_some(()))
        };
        wait::until("all processes to end", Deadline::step(), reaped)?;
        ensure!(!dir.exists(), "{} is left", dir.display());
        let now = own_descriptors()?;
        // The directory of descriptors itself is one, with a changing name.
        let left: Vec<_> = now
            .difference(&self.descriptors)
            .filter(|what| !what.contains("/proc/"))
            .collect();
        ensure!(left.is_empty(), "descriptors left: {left:?}");
        Ok(())
    }
}

/// Our own open descriptors.
fn own_descriptors() -> Result<BTreeSet<String>> {
    let open = leak::descriptors(std::process::id())?;
    Ok(open
        .into_iter()
        .map(|(number, what)| format!("{number}: {what}"))
        .collect())
}
