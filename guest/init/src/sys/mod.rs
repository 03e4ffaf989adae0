//! System calls that nix does not offer safely.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use guest_control::Ended;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::{ForkResult, Pid, fork};

/// Starts a process that does `child` and then ends with the status it gives; its id.
///
/// # Errors
/// Whatever fork(2) gives.
pub(crate) fn fork_with(child: impl FnOnce() -> i32) -> nix::Result<Pid> {
    // SAFETY: this program has a single thread, so the child may do whatever the parent could,
    // and it never comes back into the parent's code.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => exit_now(child()),
    }
}

/// Ends this process at once, with no destructors and no exit handlers: those are the parent's.
fn exit_now(status: i32) -> ! {
    // SAFETY: takes no memory of ours and does not return.
    unsafe { libc::_exit(status) }
}

/// Takes note of the end of one process, if one has ended. Unlike nix' waitpid it knows signals
/// without a name.
///
/// # Errors
/// `ECHILD` when there are no processes.
pub(crate) fn reap_one() -> nix::Result<Option<(Pid, Ended)>> {
    let mut status: libc::c_int = 0;
    // SAFETY: waitpid writes one int, and `status` is one.
    let pid = Errno::result(unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) })?;
    let ended = if libc::WIFSIGNALED(status) {
        Ended::Signal(libc::WTERMSIG(status))
    } else {
        Ended::Exit(libc::WEXITSTATUS(status))
    };
    Ok((pid > 0).then(|| (Pid::from_raw(pid), ended)))
}

/// Bytes that can be read from a pipe now.
pub(crate) fn readable_bytes(pipe: impl AsFd) -> nix::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, and `count` is one.
    let result = unsafe { libc::ioctl(pipe.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    Errno::result(result)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Takes all capabilities out of the bounding set, so that no file can give them back.
pub(crate) fn drop_bounding_set() -> nix::Result<()> {
    for capability in 0..=libc::c_ulong::from(u8::MAX) {
        // SAFETY: changes only this process' bounding set.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(result) {
            Ok(_) => {}
            // Beyond the last one this kernel knows.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Brings a network interface up.
pub(crate) fn bring_interface_up(name: &CStr) -> nix::Result<()> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: all of its fields are plain data, of which zeroes are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = name.to_bytes_with_nul();
    if name.len() > request.ifr_name.len() {
        return Err(Errno::ENAMETOOLONG);
    }
    for (to, &from) in request.ifr_name.iter_mut().zip(name) {
        *to = from.cast_signed();
    }
    // SAFETY: both calls take an ifreq with a name that ends, and touch nothing else; the first
    // one sets the flags, which the second one takes.
    unsafe {
        Errno::result(libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCGIFFLAGS,
            &raw mut request,
        ))?;
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        Errno::result(libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS,
            &raw const request,
        ))?;
    }
    Ok(())
}

/// Sets a signal back to what it does by default, in this process.
pub(crate) fn default_signal(signal: nix::sys::signal::Signal) {
    // SAFETY: the default action runs no code of ours.
    let _ = unsafe { nix::sys::signal::signal(signal, nix::sys::signal::SigHandler::SigDfl) };
}

/// Makes a terminal the controlling one of this session.
pub(crate) fn take_terminal(terminal: impl AsFd) -> nix::Result<()> {
    // SAFETY: TIOCSCTTY takes a number, not memory.
    let result = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) };
    Errno::result(result).map(drop)
}

/// Keeps the kernel from making anything of keys for the console, ctrl-alt-del included.
///
/// # Errors
/// When there is no such console.
pub(crate) fn mute_console(console: &Path) -> io::Result<()> {
    /// `KDSKBMODE` and `K_OFF` of linux/kd.h.
    const SET_KEYBOARD_MODE: libc::Ioctl = 0x4b45;
    const OFF: libc::c_ulong = 4;
    let console = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(console)?;
    // SAFETY: KDSKBMODE takes a number, not memory.
    let result = unsafe { libc::ioctl(console.as_raw_fd(), SET_KEYBOARD_MODE, OFF) };
    Errno::result(result)?;
    Ok(())
}

/// Duplicates a descriptor to exactly `number`, which the program to be executed inherits.
pub(crate) fn place_descriptor(fd: impl AsFd, number: libc::c_int) -> nix::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    if fd == number {
        // SAFETY: changes a flag of a descriptor that is open.
        return Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }).map(drop);
    }
    // SAFETY: called between fork and exec only, where nothing owns `number` any more.
    Errno::result(unsafe { libc::dup2(fd, number) }).map(drop)
}

/// The same file under the lowest free number from `lowest` on.
pub(crate) fn duplicate_above(fd: impl AsFd, lowest: libc::c_int) -> nix::Result<OwnedFd> {
    let number = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(lowest))?;
    // SAFETY: the call has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
