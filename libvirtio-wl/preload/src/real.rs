//! The functions behind ours: what the process would call if this library were not there.
//!
//! Their addresses are looked up once, by a constructor, so that no call of ours ever does so in a
//! signal handler. Constructors of other libraries may run before it: then a call looks for itself, or
//! makes the system call where the dynamic linker itself may be the caller.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_char, c_int, c_long, c_uint, c_void},
    mem, ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use libc::{
    msghdr, off_t, off64_t, size_t, sockaddr, socklen_t, ssize_t, stat, stat64, statx as Statx,
};
use nix::errno::Errno;

/// glibc's.
const LIBC: &CStr = c"libc.so.6";

/// What a function returns when there is no such function.
trait Failed {
    const FAILED: Self;
}

impl Failed for c_int {
    const FAILED: Self = -1;
}

impl Failed for ssize_t {
    const FAILED: Self = -1;
}

/// A function of another library.
struct Slot {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Slot {
    const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            address: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Its address if it has been looked up, and exists.
    fn known(&self) -> Option<ptr::NonNull<c_void>> {
        ptr::NonNull::new(self.address.load(Ordering::Relaxed))
    }

    #[cold]
    fn resolve(&self) -> Option<ptr::NonNull<c_void>> {
        // SAFETY: the name ends with NUL; RTLD_NEXT asks for the definition behind our own.
        let mut address = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        if address.is_null() {
            // As a part of another library we may be behind libc ourselves.
            // SAFETY: both names end with NUL; nothing is loaded that is not loaded already.
            address = unsafe {
                let handle = libc::dlopen(LIBC.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
                if handle.is_null() {
                    ptr::null_mut()
                } else {
                    libc::dlsym(handle, self.name.as_ptr())
                }
            };
        }
        self.address.store(address, Ordering::Relaxed);
        ptr::NonNull::new(address)
    }
}

const fn name(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a name ends with NUL"),
    }
}

/// Functions that are looked for at their first call, should that come before the constructor.
macro_rules! functions {
    ($($name:ident($($arg:ident: $type:ty),*) -> $ret:ty;)*) => {
        #[allow(non_upper_case_globals, reason = "named as the functions")]
        mod slots {
            use super::{Slot, name};
            $(pub(super) static $name: Slot = Slot::new(name(concat!(stringify!($name), "\0")));)*
        }

        $(
            /// # Safety
            ///
            /// As the function of libc of that name.
            pub(crate) unsafe fn $name($($arg: $type),*) -> $ret {
                let Some(address) = slots::$name.known().or_else(|| slots::$name.resolve()) else {
                    Errno::ENOSYS.set();
                    return Failed::FAILED;
                };
                type Function = unsafe extern "C" fn($($type),*) -> $ret;
                // SAFETY: the symbol of that name has this type in every libc.
                let real = unsafe { mem::transmute::<ptr::NonNull<c_void>, Function>(address) };
                // SAFETY: the caller has seen to it.
                unsafe { real($($arg),*) }
            }
        )*

        fn resolve_functions() {
            $(slots::$name.resolve();)*
        }
    };
}

functions! {
    accept4(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t, flags: c_int) -> c_int;
    getpeername(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int;
    getsockname(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int;
    getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, len: *mut socklen_t) -> c_int;
    setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: socklen_t) -> c_int;
    listen(fd: c_int, backlog: c_int) -> c_int;
    shutdown(fd: c_int, how: c_int) -> c_int;
    send(fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> ssize_t;
    sendto(fd: c_int, buf: *const c_void, len: size_t, flags: c_int, addr: *const sockaddr, addr_len: socklen_t) -> ssize_t;
    sendmsg(fd: c_int, msg: *const msghdr, flags: c_int) -> ssize_t;
    recv(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> ssize_t;
    recvfrom(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int, addr: *mut sockaddr, addr_len: *mut socklen_t) -> ssize_t;
    recvmsg(fd: c_int, msg: *mut msghdr, flags: c_int) -> ssize_t;
    __recv_chk(fd: c_int, buf: *mut c_void, len: size_t, room: size_t, flags: c_int) -> ssize_t;
    __recvfrom_chk(fd: c_int, buf: *mut c_void, len: size_t, room: size_t, flags: c_int, addr: *mut sockaddr, addr_len: *mut socklen_t) -> ssize_t;
    __fxstat(version: c_int, fd: c_int, buf: *mut stat) -> c_int;
    __fxstat64(version: c_int, fd: c_int, buf: *mut stat64) -> c_int;
    statx(dir: c_int, path: *const c_char, flags: c_int, mask: c_uint, buf: *mut Statx) -> c_int;
}

/// Functions of which nothing is lost by making their system call, and which dlsym(3) itself may use.
macro_rules! system_calls {
    ($($name:ident = $number:ident($($arg:ident: $type:ty),*) -> $ret:ty;)*) => {
        #[allow(non_upper_case_globals, reason = "named as the functions")]
        mod calls {
            use super::{Slot, name};
            $(pub(super) static $name: Slot = Slot::new(name(concat!(stringify!($name), "\0")));)*
        }

        $(
            /// # Safety
            ///
            /// As the function of libc of that name.
            pub(crate) unsafe fn $name($($arg: $type),*) -> $ret {
                let Some(address) = calls::$name.known() else {
                    // SAFETY: the call has these arguments on every 64-bit Linux.
                    let result = unsafe { libc::syscall(libc::$number, $($arg),*) };
                    return FromCall::from_call(result);
                };
                type Function = unsafe extern "C" fn($($type),*) -> $ret;
                // SAFETY: the symbol of that name has this type in every libc. mremap(2) is variadic:
                // on x86-64 and aarch64 Linux its arguments are in the same registers.
                let real = unsafe { mem::transmute::<ptr::NonNull<c_void>, Function>(address) };
                // SAFETY: the caller has seen to it.
                unsafe { real($($arg),*) }
            }
        )*

        fn resolve_calls() {
            $(calls::$name.resolve();)*
        }
    };
}

/// What syscall(2) returns, as the type of a function.
trait FromCall {
    fn from_call(result: c_long) -> Self;
}

impl FromCall for c_int {
    fn from_call(result: c_long) -> Self {
        c_int::try_from(result).unwrap_or(-1)
    }
}

impl FromCall for *mut c_void {
    fn from_call(result: c_long) -> Self {
        // MAP_FAILED is -1, too.
        ptr::with_exposed_provenance_mut(result.cast_unsigned() as usize)
    }
}

#[cfg(not(target_pointer_width = "64"))]
compile_error!("system calls are made with the arguments of 64-bit Linux");

system_calls! {
    mmap = SYS_mmap(addr: *mut c_void, len: size_t, prot: c_int, flags: c_int, fd: c_int, offset: off_t) -> *mut c_void;
    mmap64 = SYS_mmap(addr: *mut c_void, len: size_t, prot: c_int, flags: c_int, fd: c_int, offset: off64_t) -> *mut c_void;
    mremap = SYS_mremap(addr: *mut c_void, old: size_t, new: size_t, flags: c_int, new_addr: *mut c_void) -> *mut c_void;
    munmap = SYS_munmap(addr: *mut c_void, len: size_t) -> c_int;
    fstat = SYS_fstat(fd: c_int, buf: *mut stat) -> c_int;
    fstat64 = SYS_fstat(fd: c_int, buf: *mut stat64) -> c_int;
}

/// Looks everything up while the process has one thread and no signal handler.
extern "C" fn constructor() {
    let before = Errno::last_raw();
    resolve_functions();
    resolve_calls();
    Errno::set_raw(before);
}

#[used]
// SAFETY: the loader runs what this section holds as functions without a result; arguments that it
// passes are ignored by the C calling convention.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;
