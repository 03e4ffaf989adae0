//! Between C and what happens on our side of a call: panics, errno, and calls from ourselves.

use std::{
    cell::Cell,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use nix::errno::Errno;

thread_local! {
    /// Whether this thread is in a call of ours already.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `call`, unless the thread is inside of one already: what this library itself calls means the
/// functions of libc.
///
/// A panic, which would be a bug of ours, becomes `EIO`.
pub(crate) fn enter<T>(call: impl FnOnce() -> io::Result<T>) -> Option<io::Result<T>> {
    if INSIDE.replace(true) {
        return None;
    }
    let result = catch_unwind(AssertUnwindSafe(call));
    INSIDE.set(false);
    Some(result.unwrap_or_else(|_| Err(Errno::EIO.into())))
}

/// Marks a thread of ours, whose calls all mean the functions of libc.
pub(crate) fn stay_inside() {
    INSIDE.set(true);
}

/// Lets `call` do what libc could not do, having failed with the errno that is now set.
///
/// `None` from it, and being called by ourselves, leave things as libc left them. Success gives
/// errno its value `before`, as the caller has seen no failure.
pub(crate) fn instead<T: From<i8>>(before: i32, call: impl FnOnce() -> io::Result<Option<T>>) -> T {
    let refused = Errno::last_raw();
    let (errno, result) = match enter(call) {
        None | Some(Ok(None)) => (refused, T::from(-1)),
        Some(Ok(Some(value))) => (before, value),
        Some(Err(error)) => (virtio_wl_posix::errno(&error), T::from(-1)),
    };
    Errno::set_raw(errno);
    result
}

/// Runs `call` after a success of libc, which stays one whatever becomes of it.
pub(crate) fn besides(call: impl FnOnce()) {
    let before = Errno::last_raw();
    let _ = enter(|| {
        call();
        Ok(())
    });
    Errno::set_raw(before);
}
