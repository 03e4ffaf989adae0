//! The boundary every function passes.
#![allow(unsafe_code, reason = "an exported symbol")]

use std::{
    cell::RefCell,
    ffi::{CString, c_char, c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
};

use libc::ssize_t;
use nix::errno::Errno;

use crate::failure::{Failure, Result};

/// What a function of libc returns when it fails.
pub(crate) trait Outcome {
    const FAILED: Self;
}

impl Outcome for c_int {
    const FAILED: Self = -1;
}

impl Outcome for ssize_t {
    const FAILED: Self = -1;
}

impl Outcome for *mut c_void {
    const FAILED: Self = libc::MAP_FAILED;
}

thread_local! {
    static DETAIL: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Runs the body of an exported function: a failure becomes libc's result with errno and detail, and
/// so does a panic, which must not unwind into C. errno stays as it was after a success.
pub(crate) fn entry<T: Outcome>(body: impl FnOnce() -> Result<T>) -> T {
    let before = Errno::last_raw();
    // Nothing of the caller's is seen again after a panic but memory it has lent, which has no
    // invariants of ours. State of the library is behind locks that recover.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        let detail = "internal error in libvirtio_wl, described on standard error";
        Err(Failure::new(Errno::ENOTRECOVERABLE, detail))
    });
    match result {
        Ok(value) => {
            Errno::set_raw(before);
            value
        }
        Err(failure) => {
            remember(failure.detail);
            Errno::set_raw(failure.errno);
            T::FAILED
        }
    }
}

/// Keeps the words for a failure until this thread's next.
fn remember(detail: String) {
    let mut bytes = detail.into_bytes();
    bytes.retain(|byte| *byte != 0);
    // A thread that is ending has no detail any more, and nobody to read it.
    let _ = DETAIL.try_with(|slot| {
        if let Ok(mut slot) = slot.try_borrow_mut() {
            *slot = CString::new(bytes).ok();
        }
    });
}

/// virtio_wl_error_detail - what exactly went wrong
///
/// errno says what kind of failure it was, this says which and why: the context that could not be
/// connected to, the descriptor that cannot be sent. It is English text for a log or a terminal,
/// without a newline, and not stable: decide by errno.
///
/// Returns a NUL-terminated string, never NULL, about the last function of this library that failed
/// in the calling thread; "" when none has. It belongs to the library and is valid until another
/// function of this library fails in the same thread, or the thread ends.
#[unsafe(no_mangle)]
pub extern "C" fn virtio_wl_error_detail() -> *const c_char {
    let detail = DETAIL.try_with(|slot| {
        let slot = slot.try_borrow().ok()?;
        slot.as_ref().map(|detail| detail.as_ptr())
    });
    detail.ok().flatten().unwrap_or(c"".as_ptr())
}

#[cfg(test)]
mod tests;
