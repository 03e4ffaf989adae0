//! The device goes away while it is used, and comes back.

use std::fs;
use std::os::fd::AsFd;
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

use super::signals::fill;
use super::{Context, Group, Skip, When, ensure_eq, ensure_errno};
use crate::device::{Kind, MESSAGE, PAGE, Vfd};
use crate::features::Feature;
use crate::mapping::Mapping;
use crate::sys;
use crate::waiting;

pub(super) const GROUP: Group = Group {
    when: When::Last,
    ..Group::new(
        "removal",
        &[("unbinding fails all calls with ENODEV", unbind)],
    )
};

/// Apart, because QEMU 11.1 dies when a device begins anew that once had memory mapped: it looks
/// for the mappings it has just forgotten.
pub(super) const REBIND: Group = Group {
    when: When::Named,
    ..Group::new(
        "rebind",
        &[
            ("a device can be unbound and bound many times", again),
            ("a device bound again has memory", memory_again),
        ],
    )
};

/// The driver's directory in sysfs.
const DRIVER: &str = "/sys/bus/virtio/drivers/virtio_wl";

/// The name of the device, `virtioN`.
fn bus_name(context: &Context) -> Result<String> {
    let link = context.sysfs()?.join("device");
    let target =
        fs::read_link(&link).map_err(|error| Skip(format!("{}: {error}", link.display())))?;
    let name = target.file_name().and_then(|name| name.to_str());
    Ok(name.context("no device name")?.to_owned())
}

fn unbind_device(name: &str) -> Result<()> {
    fs::write(format!("{DRIVER}/unbind"), name).context("unbind")
}

fn bind_device(name: &str) -> Result<()> {
    fs::write(format!("{DRIVER}/bind"), name).context("bind")
}

fn unbind(context: &Context) -> Result<()> {
    let name = bus_name(context)?;
    let device = context.open()?;
    let reader = context.echo()?;
    let stuck = if context.has(Feature::Credit) {
        let stuck = context.stuck()?;
        fill(&stuck)?;
        stuck.set_nonblocking(false)?;
        Some(stuck)
    } else {
        None
    };
    let memory = if context.has(Feature::UseShmem) {
        let vfd = context.memory(PAGE)?;
        let mapping = Mapping::shared(&vfd, PAGE)?;
        mapping.set(0, 1);
        Some((vfd, mapping))
    } else {
        None
    };
    let made = match memory {
        Some(_) => Kind::Memory(1),
        None => Kind::PipeRead,
    };
    thread::scope(|scope| -> Result<()> {
        let recv = scope.spawn(|| reader.recv(10).map(drop));
        let read = scope.spawn(|| reader.read(10).map(drop));
        let send = stuck.as_ref();
        let send = send.map(|stuck| scope.spawn(|| stuck.send(&[0; MESSAGE])));
        let poller = scope.spawn(|| waiting::event(&reader, PollFlags::POLLIN));
        let create = scope.spawn(|| {
            loop {
                match device.create(made) {
                    Ok(_) => {}
                    Err(error) => break Err::<(), Errno>(error),
                }
            }
        });
        unbind_device(&name)?;
        for call in [recv, read, create].into_iter().chain(send) {
            let result = call.join().map_err(|_| anyhow!("a caller panicked"))?;
            ensure_eq!(result, Err(Errno::ENODEV));
        }
        let found = poller
            .join()
            .map_err(|_| anyhow!("the poller panicked"))??;
        ensure!(found.contains(PollFlags::POLLHUP), "{found:?}");
        Ok(())
    })?;
    // Calls that come later fail too.
    ensure_errno!(reader.send(b"x"), ENODEV);
    ensure_errno!(reader.recv(1), ENODEV);
    ensure_errno!(device.create(Kind::Context), ENODEV);
    ensure!(context.open().is_err(), "the node is still there");
    match memory {
        Some((vfd, mapping)) => memory_is_gone(&vfd, &mapping),
        None => Ok(()),
    }
}

/// Memory of a device that is no more.
fn memory_is_gone(vfd: &Vfd, memory: &Mapping) -> Result<()> {
    ensure_errno!(Mapping::shared(vfd, PAGE), ENODEV);
    let ended = sys::in_child(|| i32::from(memory.get(0)))?;
    ensure!(
        matches!(ended, WaitStatus::Signaled(_, Signal::SIGBUS, _)),
        "{ended:?}"
    );
    // A program with a handler survives it.
    let ended = sys::in_child(|| match sys::guard_sigbus(memory.raw().address()) {
        Ok(()) => i32::from(memory.get(0)),
        Err(_) => 99,
    })?;
    ensure!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
    Ok(())
}

/// Unbinds, binds, and waits for the node, which devtmpfs makes.
fn begin_anew(context: &Context) -> Result<()> {
    let name = bus_name(context)?;
    unbind_device(&name)?;
    ensure!(context.open().is_err(), "the node is still there");
    bind_device(&name)?;
    waiting::until("the node", || Ok(context.open().is_ok()))
}

/// Unbinds and binds this often.
const TIMES: usize = 10;

fn again(context: &Context) -> Result<()> {
    let mut kept = Vec::new();
    for _ in 0..TIMES {
        // Left open over the end of their device.
        kept.push(context.echo()?);
        begin_anew(context)?;
    }
    for vfd in &kept {
        ensure_errno!(vfd.send(b"x"), ENODEV);
    }
    // One of another life is no VFD of this one.
    let echo = context.echo()?;
    ensure_errno!(echo.send_fds(b"x", &[kept[0].as_fd()]), EINVAL);
    echo.echo(b"again")
}

fn memory_again(context: &Context) -> Result<()> {
    begin_anew(context)?;
    let vfd = context.memory(PAGE)?;
    let memory = Mapping::shared(&vfd, PAGE)?;
    ensure_eq!(memory.get(0), 0);
    memory.set(0, 1);
    let echo = context.echo()?;
    echo.send_fds(b"m", &[vfd.as_fd()])?;
    let back = echo.recv_exactly(1, 1)?;
    ensure_eq!(Mapping::read_only(&back.fds[0], PAGE)?.get(0), 1);
    Ok(())
}
