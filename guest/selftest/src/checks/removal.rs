//! The device goes away while it is used, and comes back.

use std::fs;
use std::path::PathBuf;
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

use super::signals::fill;
use super::{Context, Group, Skip, ensure_eq, ensure_errno};
use crate::device::{Kind, MESSAGE, PAGE};
use crate::mapping::Mapping;
use crate::sys;
use crate::waiting;

pub(super) const GROUP: Group = Group {
    name: "removal",
    tests: &[
        ("unbinding fails all calls with ENODEV", unbind),
        ("a device bound again works", rebind),
        ("a device can be unbound and bound many times", again),
    ],
    removes_device: true,
};

/// The driver's directory in sysfs.
const DRIVER: &str = "/sys/bus/virtio/drivers/virtio_wl";

/// The name of the device, `virtioN`.
fn bus_name(context: &Context) -> Result<String> {
    let node = context.path().file_name().context("no file name")?;
    let link = PathBuf::from("/sys/class/misc").join(node).join("device");
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

/// Binds the device again when dropped, so that a failed test leaves it as it was.
struct Bound<'a>(&'a str);

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        // It may be bound already.
        let _ = bind_device(self.0);
    }
}

fn unbind(context: &Context) -> Result<()> {
    let name = bus_name(context)?;
    let bound = Bound(&name);
    let device = context.open()?;
    let reader = context.echo()?;
    let stuck = context.stuck()?;
    fill(&stuck)?;
    stuck.set_nonblocking(false)?;
    let vfd = context.memory(PAGE)?;
    let memory = Mapping::shared(&vfd, PAGE)?;
    memory.set(0, 1);
    thread::scope(|scope| -> Result<()> {
        let recv = scope.spawn(|| reader.recv(10).map(drop));
        let read = scope.spawn(|| reader.read(10).map(drop));
        let send = scope.spawn(|| stuck.send(&[0; MESSAGE]));
        let poller = scope.spawn(|| waiting::event(&reader, PollFlags::POLLIN));
        let create = scope.spawn(|| {
            loop {
                match device.create(Kind::Memory(1)) {
                    Ok(_) => {}
                    Err(error) => break Err::<(), Errno>(error),
                }
            }
        });
        unbind_device(&name)?;
        for call in [recv, read, send, create] {
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
    ensure_errno!(Mapping::shared(&vfd, PAGE), ENODEV);
    ensure!(context.open().is_err(), "the node is still there");

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
    drop((reader, stuck, memory, vfd, device));
    drop(bound);
    Ok(())
}

/// Waits for the node, which devtmpfs makes, and that somebody answers.
fn rebind(context: &Context) -> Result<()> {
    let name = bus_name(context)?;
    let bound = Bound(&name);
    unbind_device(&name)?;
    ensure!(context.open().is_err(), "the node is still there");
    drop(bound);
    waiting::until("the node", || Ok(context.open().is_ok()))?;
    context.echo()?.echo(b"again")?;
    let vfd = context.memory(PAGE)?;
    let memory = Mapping::shared(&vfd, PAGE)?;
    ensure_eq!(memory.get(0), 0);
    memory.set(0, 1);
    Ok(())
}

/// Unbinds and binds this often.
const TIMES: usize = 10;

fn again(context: &Context) -> Result<()> {
    let name = bus_name(context)?;
    let mut kept = Vec::new();
    for _ in 0..TIMES {
        // Left open over the end of their device.
        kept.push((context.echo()?, context.memory(PAGE)?));
        let bound = Bound(&name);
        unbind_device(&name)?;
        drop(bound);
        waiting::until("the node", || Ok(context.open().is_ok()))?;
    }
    for (vfd, _) in &kept {
        ensure_errno!(vfd.send(b"x"), ENODEV);
    }
    // One of another life is no VFD of this one.
    let echo = context.echo()?;
    ensure_errno!(
        echo.send_fds(b"x", &[std::os::fd::AsFd::as_fd(&kept[0].0)]),
        EINVAL
    );
    echo.echo(b"again")
}
