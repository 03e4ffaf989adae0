//! Listeners for clients of other VMs, which a server takes for listening sockets.
//!
//! The server holds an epoll set. It is readable when one of its members is: the listening socket
//! that the server had made, for local clients, or an eventfd that says that connections wait in a
//! queue. libc refuses accept(2) on an epoll set with `ENOTSOCK`, and so it comes to us.
//!
//! A set is known by its members alone: changing a member to what it is succeeds for that very set
//! and for no other descriptor. So nothing need be known of duplicates, of numbers used again, or of
//! who passed a set to whom.
#![allow(unsafe_code)]

use std::{
    collections::VecDeque,
    ffi::c_int,
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd},
    ptr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use libc::{AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, sa_family_t, sockaddr, socklen_t};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags},
        eventfd::{EfdFlags, EventFd},
    },
};

use crate::real;

/// Most connections that wait for the server; those behind them wait at the host. As many as libwayland
/// asks a listening socket to hold.
pub(crate) const MAX_WAITING: usize = 128;

/// Which member of a set is readable.
const LOCAL: u64 = 1;
const WAITING: u64 = 2;

/// How many members a set has; it shows them in turn.
const MEMBERS: u64 = 2;

/// What stands behind an epoll set.
#[derive(Debug)]
pub(crate) struct Listening {
    /// Accepted, oldest first.
    waiting: Mutex<VecDeque<OwnedFd>>,
    /// Told when the server takes one.
    room: Condvar,
    /// Readable while something waits.
    ready: EventFd,
    /// The server's own socket, non-blocking, as others may be quicker to accept.
    local: Option<OwnedFd>,
}

impl Listening {
    /// A listener, and the set to be given to the server. `local` becomes non-blocking.
    pub(crate) fn new(local: Option<OwnedFd>) -> io::Result<(Arc<Self>, OwnedFd)> {
        let ready = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        set.add(&ready, member(WAITING))?;
        if let Some(local) = &local {
            set.add(local, member(LOCAL))?;
            let flags = OFlag::from_bits_retain(fcntl(local, FcntlArg::F_GETFL)?);
            fcntl(local, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        }
        let listening = Arc::new(Self {
            waiting: Mutex::default(),
            room: Condvar::new(),
            ready,
            local,
        });
        lock(&ALL).push(Arc::clone(&listening));
        ANY.store(true, Ordering::Release);
        Ok((listening, set.0))
    }

    /// The server's own socket.
    pub(crate) fn local(&self) -> Option<BorrowedFd<'_>> {
        self.local.as_ref().map(AsFd::as_fd)
    }

    /// Waits until there is room for one more connection.
    pub(crate) fn wait_room(&self) {
        let waiting = lock(&self.waiting);
        let full = |waiting: &mut VecDeque<OwnedFd>| waiting.len() >= MAX_WAITING;
        drop(
            self.room
                .wait_while(waiting, full)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Nobody has, or will have, a set of it.
    pub(crate) fn forget(&self) {
        lock(&ALL).retain(|one| !ptr::eq(&raw const **one, self));
    }

    /// Puts a connection behind those that wait; closes it when those are too many.
    pub(crate) fn offer(&self, connection: OwnedFd) -> io::Result<()> {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= MAX_WAITING {
            return Err(Errno::ENOBUFS.into());
        }
        self.ready.write(1)?;
        waiting.push_back(connection);
        Ok(())
    }

    fn pop(&self) -> Option<OwnedFd> {
        let mut waiting = lock(&self.waiting);
        let connection = waiting.pop_front();
        if waiting.is_empty() {
            // Fails only when it was not readable.
            let _ = self.ready.read();
        }
        self.room.notify_one();
        connection
    }

    /// accept4(2) on `set`.
    ///
    /// A server that was told that somebody waits does not wait itself, though its descriptor may
    /// block: whoever that was may have gone.
    ///
    /// # Safety
    ///
    /// The pointers are as accept4(2) wants them.
    pub(crate) unsafe fn accept(
        &self,
        set: BorrowedFd<'_>,
        address: (*mut sockaddr, *mut socklen_t),
        flags: c_int,
    ) -> io::Result<c_int> {
        if flags & !(SOCK_CLOEXEC | SOCK_NONBLOCK) != 0 {
            return Err(Errno::EINVAL.into());
        }
        let status = OFlag::from_bits_retain(fcntl(set, FcntlArg::F_GETFL)?);
        let mut event = readable(set, false)?;
        let wait = event.is_none() && !status.contains(OFlag::O_NONBLOCK);
        let mut looks: u64 = 0;
        loop {
            let accepted = match event {
                // SAFETY: as the caller's.
                Some(LOCAL) => unsafe { self.accept_local(address, flags) }?,
                // SAFETY: as the caller's.
                Some(_) => unsafe { self.accept_waiting(address, flags) }?,
                None => None,
            };
            if let Some(connection) = accepted {
                return Ok(connection);
            }
            looks += 1;
            if !wait && looks == MEMBERS {
                return Err(Errno::EAGAIN.into());
            }
            event = readable(set, wait)?;
        }
    }

    unsafe fn accept_local(
        &self,
        (addr, len): (*mut sockaddr, *mut socklen_t),
        flags: c_int,
    ) -> io::Result<Option<c_int>> {
        let Some(local) = &self.local else {
            return Ok(None);
        };
        // SAFETY: as the caller's.
        match unsafe { real::accept4(local.as_raw_fd(), addr, len, flags) } {
            -1 => match Errno::last() {
                Errno::EAGAIN => Ok(None),
                errno => Err(errno.into()),
            },
            connection => Ok(Some(connection)),
        }
    }

    unsafe fn accept_waiting(
        &self,
        (addr, len): (*mut sockaddr, *mut socklen_t),
        flags: c_int,
    ) -> io::Result<Option<c_int>> {
        let Some(connection) = self.pop() else {
            return Ok(None);
        };
        if flags & SOCK_CLOEXEC == 0 {
            fcntl(&connection, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        if !addr.is_null() {
            // SAFETY: as the caller's.
            unsafe { store_unnamed(addr, len) }?;
        }
        Ok(Some(connection.into_raw_fd()))
    }
}

static ALL: Mutex<Vec<Arc<Listening>>> = Mutex::new(Vec::new());

/// Whether there is one at all, for those who ask of many descriptors.
static ANY: AtomicBool = AtomicBool::new(false);

/// The listener of which `set` is a set.
pub(crate) fn find(set: BorrowedFd<'_>) -> Option<Arc<Listening>> {
    if !ANY.load(Ordering::Acquire) {
        return None;
    }
    let all = lock(&ALL);
    all.iter().find(|one| is_set_of(set, &one.ready)).cloned()
}

fn is_set_of(set: BorrowedFd<'_>, ready: &EventFd) -> bool {
    let mut same: libc::epoll_event = libc::epoll_event {
        events: EpollFlags::EPOLLIN.bits().cast_unsigned(),
        u64: WAITING,
    };
    // SAFETY: two numbers of descriptors and an event of ours.
    let result = unsafe {
        libc::epoll_ctl(
            set.as_raw_fd(),
            libc::EPOLL_CTL_MOD,
            ready.as_fd().as_raw_fd(),
            &raw mut same,
        )
    };
    result == 0
}

fn member(data: u64) -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLIN, data)
}

/// A member that is readable, another one each time.
fn readable(set: BorrowedFd<'_>, wait: bool) -> io::Result<Option<u64>> {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    let timeout = if wait { -1 } else { 0 };
    // SAFETY: room for one event.
    let count = unsafe { libc::epoll_wait(set.as_raw_fd(), &raw mut event, 1, timeout) };
    match count {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        _ => Ok(Some(event.u64)),
    }
}

/// The address of a Unix socket without a name.
///
/// # Safety
///
/// `len` points to the size of what `addr` points to; either may be null.
pub(crate) unsafe fn store_unnamed(addr: *mut sockaddr, len: *mut socklen_t) -> io::Result<()> {
    const FAMILY: sa_family_t = AF_UNIX as sa_family_t;
    if addr.is_null() || len.is_null() {
        return Err(Errno::EFAULT.into());
    }
    // SAFETY: not null, so the caller's size.
    let room = unsafe { len.read() };
    let room = usize::try_from(room.cast_signed()).map_err(|_| Errno::EINVAL)?;
    let bytes = FAMILY.to_ne_bytes();
    // SAFETY: no more than the caller has room for.
    unsafe {
        addr.cast::<u8>()
            .copy_from(bytes.as_ptr(), room.min(bytes.len()))
    };
    // The whole length, also when it was cut off.
    // SAFETY: not null.
    unsafe { len.write(mem::size_of::<sa_family_t>() as socklen_t) };
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A duplicate of a number that is not ours to close, above the standard ones.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

#[cfg(test)]
mod tests;
