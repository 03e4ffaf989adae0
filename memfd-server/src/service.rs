//! One request: quota, memory, watch.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use virtio_wl::host::ledger::{Account, Ledger, QuotaExceeded, WatchError};
use virtio_wl::memfd_request::MemfdStatus;

use crate::session::Reply;

#[cfg(test)]
mod tests;

/// Name of the memory in `/proc`: never the label of the request, which is a guest's.
const MEMORY_NAME: &str = "memfd-server";

/// Never executable, and sealed so (Linux 6.3). Not in every C library yet.
const MFD_NOEXEC_SEAL: MFdFlags = MFdFlags::from_bits_retain(0x0008);

/// Why a request is answered without memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The VM's affair.
    #[error("over quota")]
    Quota(#[from] QuotaExceeded),
    /// The host cannot make memory.
    #[error("cannot make memory")]
    Memory(#[source] io::Error),
    /// The host cannot watch memory, so it must not hand it out.
    #[error("cannot account for memory")]
    Watch(#[from] WatchError),
}

impl Refusal {
    /// The byte it is answered with.
    #[must_use]
    pub fn status(&self) -> MemfdStatus {
        match self {
            Self::Quota(_) => MemfdStatus::QUOTA,
            // Which resource of the host ran out is not a guest's business.
            Self::Memory(_) | Self::Watch(_) => MemfdStatus::NO_MEMORY,
        }
    }
}

/// Memory of `size` bytes for the holder of `account`, charged until nobody has it.
///
/// The caller must send it and drop it: as long as it is here it counts as held.
///
/// # Errors
///
/// [`Refusal`], and nothing is charged.
pub fn provide(size: u64, account: &Account, ledger: &mut Ledger) -> Result<Reply, Refusal> {
    let reservation = account.reserve(size).or_else(|_| {
        // What has ended before the request came must count, seen by the loop or not.
        ledger.dispatch().map_err(Refusal::Memory)?;
        Ok::<_, Refusal>(account.reserve(size)?)
    })?;
    let memory = sealed_memory(size).map_err(Refusal::Memory)?;
    ledger.watch(&memory, reservation)?;
    Ok(Reply {
        status: MemfdStatus::OK,
        memory: Some(memory),
    })
}

/// A memfd of exactly `size` bytes that stays so and cannot be executed. Its pages are
/// made when they are first touched.
fn sealed_memory(size: u64) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file: File = match memfd_create(MEMORY_NAME, flags | MFD_NOEXEC_SEAL) {
        Ok(fd) => fd.into(),
        Err(Errno::EINVAL) => {
            // An older kernel: taking the rights to execute is what it can do.
            let file: File = memfd_create(MEMORY_NAME, flags)?.into();
            file.set_permissions(Permissions::from_mode(0o666))?;
            file
        }
        Err(errno) => return Err(errno.into()),
    };
    file.set_len(size)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}
