//! The system calls that safe crates do not wrap.
#![allow(unsafe_code)]

use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::thread::RawPthread;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MRemapFlags, MapFlags, ProtFlags, mmap, mprotect, mremap, munmap};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use nix::{request_code_none, request_code_read, request_code_readwrite, request_code_write};

use crate::device::{MAX_FDS, NewArgument, PAGE};

/// First byte of all ioctl numbers.
const MAGIC: u8 = b'w';

/// Bytes of `struct virtwl_ioctl_txn` without its data.
pub(crate) const TXN_HEAD: usize = 4 * MAX_FDS + 4;

/// VIRTWL_IOCTL_NEW.
pub(crate) const NEW: libc::c_ulong = request_code_readwrite!(MAGIC, 0, size_of::<NewArgument>());
/// VIRTWL_IOCTL_NEW of the first header, whose argument ended with `size`.
pub(crate) const NEW_SHORT: libc::c_ulong = request_code_readwrite!(MAGIC, 0, 16);
/// VIRTWL_IOCTL_SEND.
pub(crate) const SEND: libc::c_ulong = request_code_read!(MAGIC, 1, TXN_HEAD);
/// VIRTWL_IOCTL_RECV.
pub(crate) const RECV: libc::c_ulong = request_code_write!(MAGIC, 2, TXN_HEAD);
/// VIRTWL_IOCTL_DMABUF_SYNC.
pub(crate) const DMABUF_SYNC: libc::c_ulong = request_code_read!(MAGIC, 3, 4);
/// VIRTWL_IOCTL_REFRESH.
pub(crate) const REFRESH: libc::c_ulong = request_code_read!(MAGIC, 0x10, 8);
/// A number that nothing has.
pub(crate) const UNKNOWN: libc::c_ulong = request_code_none!(MAGIC, 9);

/// ioctl(2) with a buffer to read and write.
pub(crate) fn ioctl(
    fd: BorrowedFd<'_>,
    number: libc::c_ulong,
    argument: &mut [u8],
) -> nix::Result<()> {
    // SAFETY: what the numbers above say is read and written lies within `argument`, which every
    // caller makes long enough.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), number, argument.as_mut_ptr()) };
    Errno::result(result).map(drop)
}

/// ioctl(2) with an address that must not be writable.
pub(crate) fn ioctl_at(
    fd: BorrowedFd<'_>,
    number: libc::c_ulong,
    address: usize,
) -> nix::Result<()> {
    // SAFETY: the kernel checks the address; callers pass what belongs to no object of Rust's.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), number, address) };
    Errno::result(result).map(drop)
}

/// VIRTWL_IOCTL_NEW.
pub(crate) fn ioctl_new(
    device: BorrowedFd<'_>,
    argument: &mut NewArgument,
) -> nix::Result<OwnedFd> {
    // SAFETY: the argument is one `struct virtwl_ioctl_new`.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), NEW, ptr::from_mut(argument)) };
    Errno::result(result)?;
    // SAFETY: the driver has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(argument.fd) })
}

/// A `struct virtwl_ioctl_txn` with room for data.
fn txn(fds: &[i32], room: usize) -> Vec<u8> {
    let mut txn = vec![0; TXN_HEAD + room];
    for index in 0..MAX_FDS {
        let fd = fds.get(index).copied().unwrap_or(-1);
        txn[4 * index..4 * index + 4].copy_from_slice(&fd.to_ne_bytes());
    }
    let len = u32::try_from(room).expect("tests send less than 4 GiB");
    txn[4 * MAX_FDS..TXN_HEAD].copy_from_slice(&len.to_ne_bytes());
    txn
}

fn word(txn: &[u8], index: usize) -> [u8; 4] {
    txn[4 * index..4 * index + 4]
        .try_into()
        .expect("four bytes are four bytes")
}

/// VIRTWL_IOCTL_SEND.
pub(crate) fn ioctl_send(
    vfd: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> nix::Result<()> {
    let numbers: Vec<i32> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    ioctl_send_numbers(vfd, bytes, &numbers)
}

/// The same with descriptor numbers, whatever they are.
pub(crate) fn ioctl_send_numbers(
    vfd: BorrowedFd<'_>,
    bytes: &[u8],
    numbers: &[i32],
) -> nix::Result<()> {
    let mut txn = txn(numbers, bytes.len());
    txn[TXN_HEAD..].copy_from_slice(bytes);
    ioctl(vfd, SEND, &mut txn)
}

/// VIRTWL_IOCTL_RECV.
pub(crate) fn ioctl_recv(vfd: BorrowedFd<'_>, room: usize) -> nix::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut txn = txn(&[], room);
    ioctl(vfd, RECV, &mut txn)?;
    let fds = (0..MAX_FDS)
        .map(|index| i32::from_ne_bytes(word(&txn, index)))
        .take_while(|fd| *fd >= 0)
        // SAFETY: the driver has just made these descriptors for us.
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
        .collect();
    let len = u32::from_ne_bytes(word(&txn, MAX_FDS)) as usize;
    let bytes = txn.get(TXN_HEAD..TXN_HEAD + len).ok_or(Errno::EOVERFLOW)?;
    Ok((bytes.to_vec(), fds))
}

/// VIRTWL_IOCTL_DMABUF_SYNC.
pub(crate) fn ioctl_dmabuf_sync(vfd: BorrowedFd<'_>, flags: u32) -> nix::Result<()> {
    ioctl(vfd, DMABUF_SYNC, &mut flags.to_ne_bytes())
}

/// VIRTWL_IOCTL_REFRESH; the size.
pub(crate) fn ioctl_refresh(vfd: BorrowedFd<'_>) -> nix::Result<u64> {
    let mut size = [0; 8];
    ioctl(vfd, REFRESH, &mut size)?;
    Ok(u64::from_ne_bytes(size))
}

/// Runs `body` in a forked child; how that ended, its result being the exit status.
///
/// Threads of ours may hold locks at the fork, so `body` makes system calls and touches memory,
/// but allocates nothing.
pub(crate) fn in_child(body: impl FnOnce() -> i32) -> nix::Result<WaitStatus> {
    // SAFETY: the child runs `body`, which keeps to the above, and leaves by _exit().
    match unsafe { fork() }? {
        ForkResult::Parent { child } => waitpid(child, None),
        ForkResult::Child => {
            let status = body();
            // SAFETY: ends this process; nothing runs after it.
            unsafe { libc::_exit(status) }
        }
    }
}

/// Gives `signal` a handler that does nothing, with or without SA_RESTART.
pub(crate) fn ignore_by_handler(signal: Signal, restart: bool) -> nix::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    let flags = if restart {
        SaFlags::SA_RESTART
    } else {
        SaFlags::empty()
    };
    let action = SigAction::new(SigHandler::Handler(nothing), flags, SigSet::empty());
    // SAFETY: the handler touches nothing.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Exit status of a process that [`end_at`] has ended.
pub(crate) const CAUGHT: i32 = 77;

/// From now on `signal` ends this process with [`CAUGHT`]. The kernel would tell of a SIGSEGV that
/// nobody handles, and its log is to be free of trouble.
pub(crate) fn end_at(signal: Signal) -> nix::Result<()> {
    extern "C" fn end(_: libc::c_int) {
        // SAFETY: ends this process.
        unsafe { libc::_exit(CAUGHT) }
    }
    let action = SigAction::new(SigHandler::Handler(end), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler makes one system call and may interrupt anything.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Sends a signal to a thread that has not been joined.
pub(crate) fn signal_thread(thread: RawPthread, signal: Signal) -> nix::Result<()> {
    // SAFETY: the caller has not joined the thread, so its identity is still its own.
    match unsafe { libc::pthread_kill(thread, signal as libc::c_int) } {
        0 => Ok(()),
        error => Err(Errno::from_raw(error)),
    }
}

/// The calling thread.
pub(crate) fn this_thread() -> RawPthread {
    // SAFETY: always succeeds.
    unsafe { libc::pthread_self() }
}

/// Memory mapped from a descriptor, until dropped.
#[derive(Debug)]
pub(crate) struct RawMapping {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: it is memory like an array of atomics; every access is volatile and of one byte.
unsafe impl Send for RawMapping {}
// SAFETY: as above.
unsafe impl Sync for RawMapping {}

impl RawMapping {
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        len: usize,
        offset: i64,
        prot: ProtFlags,
        flags: MapFlags,
    ) -> nix::Result<Self> {
        let size = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
        // SAFETY: no fixed address: nothing of ours is replaced.
        let at = unsafe { mmap(None, size, prot, flags, fd, offset) }?;
        Ok(Self { at: at.cast(), len })
    }

    pub(crate) fn get(&self, at: usize) -> u8 {
        assert!(at < self.len, "{at} of {}", self.len);
        // SAFETY: inside the mapping, which lives as long as `self`. Tests that read what they may
        // not do so in a child.
        unsafe { self.at.as_ptr().add(at).read_volatile() }
    }

    pub(crate) fn set(&self, at: usize, value: u8) {
        assert!(at < self.len, "{at} of {}", self.len);
        // SAFETY: as above.
        unsafe { self.at.as_ptr().add(at).write_volatile(value) }
    }

    /// mremap(2) to another length, which moves it if need be.
    pub(crate) fn resize(&mut self, len: usize) -> nix::Result<()> {
        // SAFETY: the mapping is ours alone, and forgets its old address.
        let at = unsafe {
            mremap(
                self.at.cast(),
                self.len,
                len,
                MRemapFlags::MREMAP_MAYMOVE,
                None,
            )
        }?;
        self.at = at.cast();
        self.len = len;
        Ok(())
    }

    /// mprotect(2) of all of it.
    pub(crate) fn protect(&self, prot: ProtFlags) -> nix::Result<()> {
        // SAFETY: the mapping is ours.
        unsafe { mprotect(self.at.cast(), self.len, prot) }
    }

    /// Where it lies.
    pub(crate) fn address(&self) -> usize {
        self.at.as_ptr().addr()
    }
}

impl Drop for RawMapping {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length.
        let _ = unsafe { munmap(self.at.cast(), self.len) };
    }
}

/// A page of zeroes that can only be read.
pub(crate) fn read_only_page() -> nix::Result<RawMapping> {
    let size = NonZeroUsize::new(PAGE).ok_or(Errno::EINVAL)?;
    // SAFETY: no fixed address.
    let at = unsafe {
        nix::sys::mman::mmap_anonymous(None, size, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE)
    }?;
    Ok(RawMapping {
        at: at.cast(),
        len: PAGE,
    })
}

/// Page that [`guard_sigbus`] replaces.
static GUARDED: AtomicUsize = AtomicUsize::new(0);

/// From now on, in this process, a SIGBUS puts a page of zeroes over the one at `address`, as
/// programs do that must survive memory going away.
pub(crate) fn guard_sigbus(address: usize) -> nix::Result<()> {
    extern "C" fn replace(_: libc::c_int) {
        let at = ptr::without_provenance_mut(GUARDED.load(Ordering::Relaxed));
        // SAFETY: mmap() is a plain system call, and the page belongs to the mapping under test.
        let got = unsafe {
            libc::mmap(
                at,
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        if got == libc::MAP_FAILED {
            // SAFETY: ends this process.
            unsafe { libc::_exit(libc::SIGBUS) };
        }
    }
    GUARDED.store(address, Ordering::Relaxed);
    let action = SigAction::new(
        SigHandler::Handler(replace),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler makes one system call and may interrupt anything.
    unsafe { sigaction(Signal::SIGBUS, &action) }.map(drop)
}

/// FIONBIO.
pub(crate) fn set_fionbio(fd: BorrowedFd<'_>, on: bool) -> nix::Result<()> {
    ioctl(fd, libc::FIONBIO, &mut i32::from(on).to_ne_bytes())
}

/// write(2) from an address.
pub(crate) fn write_from(fd: BorrowedFd<'_>, address: usize, len: usize) -> nix::Result<usize> {
    let from = ptr::without_provenance(address);
    // SAFETY: the kernel checks the address, and only reads there.
    let result = unsafe { libc::write(fd.as_raw_fd(), from, len) };
    Errno::result(result).map(isize::unsigned_abs)
}

/// read(2) to an address that must not be writable.
pub(crate) fn read_into(fd: BorrowedFd<'_>, address: usize, len: usize) -> nix::Result<usize> {
    let to = ptr::without_provenance_mut(address);
    // SAFETY: the kernel checks the address; callers pass what belongs to no object of Rust's.
    let result = unsafe { libc::read(fd.as_raw_fd(), to, len) };
    Errno::result(result).map(isize::unsigned_abs)
}

/// Ownership of a descriptor that was received.
pub(crate) fn own(number: i32) -> OwnedFd {
    // SAFETY: callers have it from recvmsg(), which made it for us.
    unsafe { OwnedFd::from_raw_fd(number) }
}
