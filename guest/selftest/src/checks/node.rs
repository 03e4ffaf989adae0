//! `/dev/wl0` itself, and NEW.

use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Result, ensure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, readlink};
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Context, Group, ensure_eq, ensure_errno};
use crate::device::{Device, Kind};
use crate::sys;

pub(super) const GROUP: Group = Group::new(
    "device",
    &[
        ("opens", |context| context.open().map(drop)),
        ("read and write are EINVAL", read_and_write),
        ("an unknown ioctl is ENOTTY", unknown_ioctl),
        ("NEW of an unknown type is EINVAL", unknown_type),
        ("NEW of a context nobody serves is ENODEV", unknown_context),
        ("NEW of a dmabuf is ENOTTY", dmabuf),
        (
            "NEW takes the short argument of old programs",
            short_argument,
        ),
        (
            "NEW with an argument that cannot be read is EFAULT",
            unreadable_argument,
        ),
        (
            "NEW with an argument that cannot be written is EFAULT",
            unwritable_argument,
        ),
        ("NEW without a free descriptor is EMFILE", no_descriptor),
        ("a VFD is close-on-exec and blocks", new_flags),
        ("a VFD says in /proc what it is", link),
    ],
);

fn read_and_write(context: &Context) -> Result<()> {
    let device = context.open()?;
    ensure_errno!(nix::unistd::read(&device, &mut [0; 8]), EINVAL);
    ensure_errno!(nix::unistd::write(&device, b"x"), EINVAL);
    Ok(())
}

fn unknown_ioctl(context: &Context) -> Result<()> {
    let device = context.open()?;
    ensure_errno!(
        sys::ioctl(device.as_fd(), sys::UNKNOWN, &mut [0; 48]),
        ENOTTY
    );
    ensure_errno!(sys::ioctl(device.as_fd(), sys::RECV, &mut [0; 128]), ENOTTY);
    let vfd = context.echo()?;
    ensure_errno!(sys::ioctl(vfd.as_fd(), sys::UNKNOWN, &mut [0; 48]), ENOTTY);
    ensure_errno!(sys::ioctl(vfd.as_fd(), sys::NEW, &mut [0; 48]), ENOTTY);
    Ok(())
}

fn unknown_type(context: &Context) -> Result<()> {
    let device = context.open()?;
    for number in [6, 77, u32::MAX] {
        ensure_errno!(device.create(Kind::Other(number)), EINVAL);
    }
    Ok(())
}

fn unknown_context(context: &Context) -> Result<()> {
    let device = context.open()?;
    ensure_errno!(device.create(Kind::Named("nobody")), ENODEV);
    // No room for a terminator, as in a name that fills the field.
    let full = "x".repeat(32);
    ensure_errno!(device.create(Kind::Named(&full)), ENODEV);
    Ok(())
}

fn dmabuf(context: &Context) -> Result<()> {
    ensure_errno!(context.open()?.create(Kind::Dmabuf), ENOTTY);
    Ok(())
}

fn short_argument(context: &Context) -> Result<()> {
    context.needs_memory()?;
    let device = context.open()?;
    // Memory of one byte: type, fd, flags, size; behind it what must stay untouched.
    let mut argument = [0_u8; 24];
    argument[0] = 1;
    argument[12] = 1;
    argument[16..].fill(0xa5);
    sys::ioctl(device.as_fd(), sys::NEW_SHORT, &mut argument)?;
    ensure_eq!(&argument[12..16], &4096_u32.to_ne_bytes());
    ensure_eq!(&argument[16..], &[0xa5; 8]);
    let fd = i32::from_ne_bytes([argument[4], argument[5], argument[6], argument[7]]);
    ensure!(fd >= 0, "descriptor {fd}");
    nix::unistd::close(fd)?;
    Ok(())
}

fn unreadable_argument(context: &Context) -> Result<()> {
    let device = context.open()?;
    ensure_errno!(sys::ioctl_at(device.as_fd(), sys::NEW, 0), EFAULT);
    Ok(())
}

fn unwritable_argument(context: &Context) -> Result<()> {
    let device = context.open()?;
    let page = sys::read_only_page()?;
    let lowest = lowest_descriptor(&device)?;
    // Its zeroes ask for a connection, which is made, and must be unmade.
    ensure_errno!(
        sys::ioctl_at(device.as_fd(), sys::NEW, page.address()),
        EFAULT
    );
    ensure_eq!(lowest_descriptor(&device)?, lowest);
    Ok(())
}

/// The number the next descriptor will have.
fn lowest_descriptor(any: &Device) -> Result<i32> {
    let fd = nix::unistd::dup(any)?;
    Ok(fd.as_raw_fd())
}

fn no_descriptor(context: &Context) -> Result<()> {
    let device = context.open()?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(
        Resource::RLIMIT_NOFILE,
        u64::try_from(lowest_descriptor(&device)?)?,
        hard,
    )?;
    let result = device.create(Kind::Context);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    ensure_errno!(result, EMFILE);
    Ok(())
}

fn new_flags(context: &Context) -> Result<()> {
    // That of the device only says how NEW itself waits.
    let device = Device::open_with(context.path(), libc::O_NONBLOCK)?;
    let vfd = loop {
        match device.create(Kind::Context) {
            // Ids whose close is under way, of the test before.
            Err(Errno::EAGAIN) => crate::waiting::pause(),
            other => break other?,
        }
    };
    let flags = vfd.status_flags()?;
    ensure!(!flags.contains(OFlag::O_NONBLOCK), "{flags:?}");
    ensure_eq!(flags & OFlag::O_ACCMODE, OFlag::O_RDWR);
    let flags = FdFlag::from_bits_retain(fcntl(&vfd, FcntlArg::F_GETFD)?);
    ensure!(flags.contains(FdFlag::FD_CLOEXEC), "{flags:?}");
    Ok(())
}

fn link(context: &Context) -> Result<()> {
    let vfd = context.echo()?;
    let path = format!("/proc/self/fd/{}", vfd.as_fd().as_raw_fd());
    let link = readlink(path.as_str())?;
    ensure_eq!(link.to_str(), Some("anon_inode:[virtwl_vfd]"));
    Ok(())
}
