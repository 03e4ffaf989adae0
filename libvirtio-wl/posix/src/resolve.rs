//! Which VFD a number is.

use std::{
    io,
    os::fd::{BorrowedFd, RawFd},
    sync::Arc,
};

use nix::fcntl::{FcntlArg, fcntl};
use virtio_wl::{Device, DeviceAddress, VfdKind, bare::is_kernel_vfd};

use crate::{
    process,
    table::{self, Connection, Role},
};

/// A VFD that bytes flow over, and its device.
pub(crate) struct Resolved<'a> {
    pub(crate) device: Device,
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) connection: Arc<Connection>,
}

/// Finds the VFD. `EBADF` when the number is not open, `ENOTSOCK` when it is no VFD that bytes flow
/// over.
pub(crate) fn resolve<'a>(number: RawFd) -> io::Result<Resolved<'a>> {
    let fd = borrow(number)?;
    if let Some(connection) = table::get(fd)? {
        let device = process::device().map_err(io::Error::from)?;
        return Ok(Resolved {
            device,
            fd,
            connection,
        });
    }
    match identify(fd)? {
        Some((device, kind @ (VfdKind::Socket | VfdKind::Pipe { .. }))) => Ok(Resolved {
            device,
            fd,
            // Nothing is remembered of it: descriptors that arrive ahead of their bytes are lost.
            connection: Arc::new(Connection::new(kind, Role::Plain, false)),
        }),
        _ => Err(io::Error::from_raw_os_error(libc::ENOTSOCK)),
    }
}

/// What a descriptor is, and of which device; `None` when it is no VFD. The device is opened only
/// for what is certainly one.
pub(crate) fn identify(fd: BorrowedFd<'_>) -> io::Result<Option<(Device, VfdKind)>> {
    let device = match process::opened() {
        Some(device) => device,
        None if is_inherited(fd) => process::device().map_err(io::Error::from)?,
        None => {
            // The driver would have said so.
            fcntl(fd, FcntlArg::F_GETFD)?;
            return Ok(None);
        }
    };
    let kind = device.identify(fd)?;
    Ok(kind.map(|kind| (device, kind)))
}

/// Whether it is a VFD that this process was started with. There are none of the embedded driver.
fn is_inherited(fd: BorrowedFd<'_>) -> bool {
    matches!(DeviceAddress::from_env(), Ok(DeviceAddress::Kernel(_)))
        && is_kernel_vfd(fd).unwrap_or(false)
}

/// A number as a descriptor.
pub(crate) fn borrow<'a>(number: RawFd) -> io::Result<BorrowedFd<'a>> {
    table::sys::borrow(number).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
}
