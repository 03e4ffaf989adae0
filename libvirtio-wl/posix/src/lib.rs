//! The socket calls of libc on virtio_wl descriptors.
//!
//! A program in C has numbers: it duplicates, closes and passes them on without saying so. The
//! functions here take a number, find out by the file behind it what it is, and do what the call of
//! the same name does to a Unix stream socket. The C library and the interposing library are thin
//! layers over them.
//!
//! | module | what it is |
//! |---|---|
//! | `process` | the one device of the process |
//! | `table` | what is known of connections and listeners that were handed out |
//! | `resolve` | which VFD a number is |
//! | `message` | `struct msghdr`: checked on the way in, filled on the way out |
//! | `call` | the calls |
//! | `mapping` | mmap and its like, for programs that make mappings larger |
//! | `backlog` | what connections keep until the device has room |
//! | `errno` | the errno of an error |
//!
//! # Blocking
//!
//! The `O_NONBLOCK` flag of a VFD is always set: it keeps calls from waiting inside the kernel,
//! where nothing could end them. Whether calls *here* wait is decided by how the VFD was made
//! ([`accept`] with [`AcceptFlags::NONBLOCK`]), by [`set_nonblocking`], and by `MSG_DONTWAIT` for one
//! call. Duplicates agree. VFDs that this process knows nothing of, because they were inherited, wait.
//!
//! # Fork
//!
//! With the embedded driver every call fails with `ENODEV` in a forked child, whose copies keep the
//! VFDs open until it executes a program or exits. With the kernel's driver a child can use them.

mod backlog;
mod call;
mod errno;
mod mapping;
mod message;
mod process;
mod resolve;
mod table;

pub use self::{
    call::{
        AcceptFlags, ReceivedPipes, accept, allocate, connect, kind, listen, peer, pipe, recvmsg,
        sendmsg, sendmsg_buffered, set_nonblocking,
    },
    errno::errno,
    mapping::{mmap, mremap, munmap, record},
    process::{device, opened, reopen},
};
