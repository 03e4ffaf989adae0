//! Memory that its owner makes longer.

use std::os::fd::AsFd;

use anyhow::{Result, ensure};
use guest_selftest::peer::{Order, pattern};
use nix::sys::wait::WaitStatus;
use nix::unistd::{Whence, lseek};

use super::passing::{only, order_host};
use super::{Context, Group, ensure_eq, ensure_errno};
use crate::device::{PAGE, Vfd};
use crate::features::Feature;
use crate::mapping::Mapping;
use crate::sys;

pub(super) const GROUP: Group = Group::new(
    "refresh",
    &[
        ("tells the size that memory has now", grown),
        (
            "older mappings stay, and show the same memory",
            older_mapping,
        ),
        ("of what did not grow changes nothing", unchanged),
        ("of what is no memory is EINVAL", no_memory),
        ("more often than the device allows is ENOMEM", too_often),
    ],
);

/// Most times the device maps a file that grows.
const GROWTHS: usize = 8;

/// Ends the test here unless memory can be refreshed; then it must be refused.
fn needs_refresh(context: &Context) -> Result<()> {
    if !context.has(Feature::Refresh) {
        ensure_errno!(context.echo()?.refresh(), ENOTTY);
    }
    context.needs_memory()?;
    context.needs(Feature::Refresh, "memory keeps its size")
}

fn refresh(vfd: &Vfd) -> Result<usize> {
    Ok(usize::try_from(vfd.refresh()?)?)
}

fn host_memory(host: &Vfd, size: usize) -> Result<Vfd> {
    only(order_host(host, Order::Memory { count: 1, size }, 1)?)
}

fn grown(context: &Context) -> Result<()> {
    needs_refresh(context)?;
    let host = context.host()?;
    let vfd = host_memory(&host, PAGE)?;
    // To some pages, by no page, and to a lot. The device maps whole pages of what may grow on.
    for (to, size) in [
        (5 * PAGE, 5 * PAGE),
        (5 * PAGE + 100, 5 * PAGE),
        (300 * PAGE + 7, 300 * PAGE),
    ] {
        let before = vfd.size()?;
        order_host(&host, Order::Grow { size: to }, 0)?;
        ensure!(vfd.size()? == before, "it grew by itself");
        ensure_eq!(refresh(&vfd)?, size);
        ensure_eq!(vfd.size()?, size);
        ensure_eq!(lseek(&vfd, 0, Whence::SeekEnd)?, i64::try_from(size)?);
        let memory = Mapping::read_only(&vfd, size)?;
        for at in (0..size).step_by(509).chain([size - 1]) {
            ensure!(memory.get(at) == pattern(at), "byte {at} of {size}");
        }
        ensure_errno!(Mapping::read_only(&vfd, size + PAGE), EINVAL);
    }
    Ok(())
}

fn older_mapping(context: &Context) -> Result<()> {
    needs_refresh(context)?;
    let host = context.host()?;
    let vfd = host_memory(&host, 2 * PAGE)?;
    let older = Mapping::shared(&vfd, 2 * PAGE)?;
    ensure_eq!(older.get(5), pattern(5));
    order_host(&host, Order::Grow { size: 64 * PAGE }, 0)?;
    refresh(&vfd)?;
    let newer = Mapping::shared(&vfd, 64 * PAGE)?;
    // Pages that were touched before, and such as were not.
    for at in [5, PAGE + 5] {
        older.set(at, 77);
        ensure_eq!(newer.get(at), 77);
        newer.set(at + 1, 78);
        ensure_eq!(older.get(at + 1), 78);
    }
    drop(vfd);
    let ended = sys::in_child(|| i32::from(older.get(5)) - 77)?;
    ensure!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
    Ok(())
}

fn unchanged(context: &Context) -> Result<()> {
    needs_refresh(context)?;
    let host = context.host()?;
    let vfd = host_memory(&host, PAGE + 1)?;
    let memory = Mapping::read_only(&vfd, PAGE + 1)?;
    for _ in 0..3 * GROWTHS {
        ensure_eq!(refresh(&vfd)?, PAGE + 1);
    }
    ensure_eq!(memory.get(PAGE), pattern(PAGE));
    let own = context.memory(PAGE)?;
    ensure_eq!(refresh(&own)?, PAGE);
    Ok(())
}

fn no_memory(context: &Context) -> Result<()> {
    needs_refresh(context)?;
    refresh(&context.memory(PAGE)?)?;
    ensure_errno!(context.echo()?.refresh(), EINVAL);
    let vfd = context.memory(PAGE)?;
    ensure_errno!(sys::ioctl_at(vfd.as_fd(), sys::REFRESH, 0), EFAULT);
    Ok(())
}

fn too_often(context: &Context) -> Result<()> {
    needs_refresh(context)?;
    let host = context.host()?;
    let vfd = host_memory(&host, PAGE)?;
    for growth in 1..=GROWTHS {
        order_host(
            &host,
            Order::Grow {
                size: (growth + 1) * PAGE,
            },
            0,
        )?;
        ensure_eq!(refresh(&vfd)?, (growth + 1) * PAGE);
    }
    let size = (GROWTHS + 2) * PAGE;
    order_host(&host, Order::Grow { size }, 0)?;
    ensure_errno!(vfd.refresh(), ENOMEM);
    // What was there stays.
    ensure_eq!(vfd.size()?, (GROWTHS + 1) * PAGE);
    ensure_eq!(Mapping::read_only(&vfd, PAGE)?.get(9), pattern(9));
    Ok(())
}
