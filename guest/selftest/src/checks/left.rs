//! What is left behind: nothing, as far as the kernel can tell.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, Result, ensure};

use super::many::every_id;
use super::{Context, Skip};
use crate::{tap, waiting};

/// The driver's own counts, in its directory in sysfs.
const COUNTERS: [&str; 3] = ["vfds", "requests", "unread"];

/// How many bytes the kernel's slabs may have gained, over whatever number of rounds: what the
/// kernel itself keeps for the next round in the caches of each processor, and what other parts of
/// the guest do meanwhile. It is less than one file, or one VFD, in each of 1000 rounds would be.
const SLACK: u64 = 160 * 1024;

/// That nothing is left of VFDs that were closed: the driver's counts of VFDs, requests and unread
/// messages are 0. Of a driver without such counts: all ids can be had.
pub(super) fn nothing_is_left(context: &Context) -> Result<()> {
    for counter in COUNTERS {
        let path = context.sysfs()?.join(counter);
        let mut count = String::new();
        let mut missing = false;
        // What is under way is answered soon; nobody tells when.
        waiting::until(&format!("0 in {}", path.display()), || {
            count = match fs::read_to_string(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    missing = true;
                    return Ok(true);
                }
                other => other?,
            };
            Ok(count.trim() == "0")
        })
        .with_context(|| format!("{counter}: {count}"))?;
        if missing {
            return every_id(context);
        }
    }
    Ok(())
}

/// Runs `round` so many times, after some to warm up, and fails if something stays behind: in the
/// driver's counts, or in the kernel's slabs.
pub(super) fn rounds(
    context: &Context,
    count: usize,
    mut round: impl FnMut() -> Result<()>,
) -> Result<()> {
    // So that the caches are filled before anything is counted.
    (0..count.div_ceil(10)).try_for_each(|_| round())?;
    nothing_is_left(context)?;
    let before = slab_bytes();
    (0..count).try_for_each(|_| round())?;
    nothing_is_left(context)?;
    let before = before.map_err(|error| Skip(format!("slabs: {error:#}; the rest passed")))?;
    let mut after = 0;
    let settled = waiting::until("slabs as large as before", || {
        // Files are freed after a grace period.
        after = slab_bytes()?;
        Ok(after < before + SLACK)
    });
    tap::diagnostic(&format!(
        "{count} rounds: no VFD, request or message left; slabs {} KiB before, {} KiB after",
        before / 1024,
        after / 1024
    ));
    settled
}

/// Bytes of all objects in the kernel's slabs that are in use.
fn slab_bytes() -> Result<u64> {
    const PATH: &str = "/proc/slabinfo";
    let text = fs::read_to_string(PATH).context(PATH)?;
    let caches = text
        .lines()
        .filter(|line| !line.starts_with("slabinfo") && !line.starts_with('#'));
    let mut sum = 0;
    for line in caches {
        // Name, objects in use, objects, bytes of one, and more.
        let number = |at: usize| {
            line.split_whitespace()
                .nth(at)
                .and_then(|word| word.parse().ok())
        };
        let (active, size): (Option<u64>, Option<u64>) = (number(1), number(3));
        sum += active
            .zip(size)
            .map(|(active, size)| active * size)
            .context(PATH)?;
    }
    ensure!(sum > 0, "{PATH} is empty");
    Ok(sum)
}
