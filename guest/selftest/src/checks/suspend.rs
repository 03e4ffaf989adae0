//! Suspend.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use nix::libc;

use super::{Context, Group, Skip};
use crate::device::PAGE;
use crate::features::Feature;
use crate::mapping::Mapping;

pub(super) const GROUP: Group = Group::new(
    "suspend",
    &[("is refused, and everything goes on", refused)],
);

/// Says how far a suspend goes before it turns back: here, devices only.
const DEPTH: &str = "/sys/power/pm_test";

fn refused(context: &Context) -> Result<()> {
    // Without this a machine that does not refuse would not wake up.
    fs::write(DEPTH, "devices").map_err(|error| Skip(format!("{DEPTH}: {error}")))?;
    let echo = context.echo()?;
    let memory = if context.has(Feature::UseShmem) {
        Some(Mapping::shared(context.memory(PAGE)?, PAGE)?)
    } else {
        None
    };
    if let Some(memory) = &memory {
        memory.set(0, 1);
    }
    let result = fs::write("/sys/power/state", "freeze");
    fs::write(DEPTH, "none").context(DEPTH)?;
    ensure!(
        matches!(&result, Err(error) if error.raw_os_error() == Some(libc::EBUSY)),
        "{result:?}"
    );
    echo.echo(b"still awake")?;
    ensure!(memory.is_none_or(|memory| memory.get(0) == 1));
    Ok(())
}
