//! Files with pages: making, sealing and copying them.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::fstat;
use nix::sys::statfs::{self, fstatfs};
use nix::unistd::ftruncate;

use super::MemoryError;

/// Bytes copied at once from a file that cannot be shared.
const COPY_CHUNK: usize = 256 * 1024;

pub(super) fn size_of_file(fd: &OwnedFd) -> Result<u64, MemoryError> {
    let size = fstat(fd)?.st_size;
    u64::try_from(size).map_err(|_| MemoryError::Size(0))
}

/// A memfd of `len` zero bytes that keeps its length.
///
/// # Errors
/// The kernel's.
pub fn create_sealed(len: u64) -> Result<OwnedFd, MemoryError> {
    let fd = create(len)?;
    seal(&fd)?;
    Ok(fd)
}

/// A memfd of `len` zero bytes, without seals yet.
pub(super) fn create(len: u64) -> Result<OwnedFd, MemoryError> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag; there a memfd is executable.
    let no_exec = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let fd = match memfd_create("virtio-wl", flags | no_exec) {
        Err(nix::Error::EINVAL) => memfd_create("virtio-wl", flags)?,
        other => other?,
    };
    let len = i64::try_from(len).map_err(|_| MemoryError::Size(len))?;
    ftruncate(&fd, len)?;
    Ok(fd)
}

pub(super) fn seal(fd: &OwnedFd) -> Result<(), MemoryError> {
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(fd, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

fn seals(fd: impl AsFd) -> Option<SealFlag> {
    // Fails for everything but memfds and files on tmpfs.
    let bits = fcntl(fd.as_fd(), FcntlArg::F_GET_SEALS).ok()?;
    Some(SealFlag::from_bits_retain(bits))
}

/// Whether the file behind `fd` can never become shorter.
#[must_use]
pub fn cannot_shrink(fd: impl AsFd) -> bool {
    seals(fd).is_some_and(|seals| seals.contains(SealFlag::F_SEAL_SHRINK))
}

pub(super) fn is_write_sealed(fd: &OwnedFd) -> bool {
    let write = SealFlag::F_SEAL_WRITE | SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE);
    seals(fd).is_some_and(|seals| seals.intersects(write))
}

/// Makes sure a writable file cannot shrink, without keeping its owner from
/// growing it (a Wayland client grows its pools). False: it must not be mapped.
pub(super) fn seal_against_shrinking(fd: &OwnedFd) -> bool {
    let plain = fstatfs(fd).is_ok_and(|fs| fs.filesystem_type() == statfs::TMPFS_MAGIC);
    if !plain || is_write_sealed(fd) {
        return false;
    }
    if !cannot_shrink(fd) {
        let _ = fcntl(fd, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK));
    }
    cannot_shrink(fd)
}

/// Local file systems, whose reads never wait for a program. A file served by
/// one (FUSE, a network) could hold a reader for ever.
pub(super) fn never_blocks(fs: statfs::FsType) -> bool {
    [
        statfs::TMPFS_MAGIC,
        statfs::HUGETLBFS_MAGIC,
        statfs::EXT4_SUPER_MAGIC,
        statfs::XFS_SUPER_MAGIC,
        statfs::BTRFS_SUPER_MAGIC,
    ]
    .contains(&fs)
}

/// Copies `size` bytes; a source that became shorter leaves zeros.
pub(super) fn copy_bytes(from: &OwnedFd, to: &OwnedFd, size: u64) -> Result<(), MemoryError> {
    use nix::sys::uio::{pread, pwrite};
    let mut buf = vec![0; COPY_CHUNK.min(usize::try_from(size).unwrap_or(COPY_CHUNK))];
    let mut at = 0;
    while at < size {
        let want = usize::try_from(size - at).map_or(buf.len(), |left| left.min(buf.len()));
        let offset = i64::try_from(at).map_err(|_| MemoryError::Size(size))?;
        let got = match pread(from, &mut buf[..want], offset) {
            Ok(0) => break,
            Ok(n) => n,
            Err(nix::Error::EINTR) => continue,
            Err(e) => return Err(e.into()),
        };
        let mut written = 0;
        while written < got {
            let offset = offset + i64::try_from(written).unwrap_or(i64::MAX);
            match pwrite(to, &buf[written..got], offset) {
                Ok(n) => written += n,
                Err(nix::Error::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        at += got as u64;
    }
    Ok(())
}
