//! What becomes of results, failures and panics.

use std::ffi::CStr;

use super::*;

fn detail() -> String {
    // SAFETY: valid until the next failure in this thread.
    let detail = unsafe { CStr::from_ptr(virtio_wl_error_detail()) };
    detail.to_string_lossy().into_owned()
}

fn fails(errno: Errno, words: &str) -> c_int {
    entry(|| Err::<c_int, _>(Failure::new(errno, words)))
}

#[test]
fn a_success_leaves_errno_alone() {
    Errno::EDOM.set();
    let result: c_int = entry(|| {
        Errno::ENOENT.set();
        Ok(7)
    });
    assert_eq!((result, Errno::last()), (7, Errno::EDOM));
}

#[test]
fn a_failure_has_errno_and_words() {
    assert_eq!(fails(Errno::EXDEV, "no way"), -1);
    assert_eq!(Errno::last(), Errno::EXDEV);
    assert_eq!(detail(), "no way");
    // C sees the end of a string where there is none.
    fails(Errno::EXDEV, "no\0 way");
    assert_eq!(detail(), "no way");
    let address = entry(|| Err::<*mut c_void, _>(Failure::new(Errno::ENOMEM, "full")));
    assert_eq!(address, libc::MAP_FAILED);
}

#[test]
fn a_panic_is_a_failure() {
    let result: ssize_t = entry(|| panic!("expected by this test"));
    assert_eq!((result, Errno::last()), (-1, Errno::ENOTRECOVERABLE));
    assert!(detail().contains("internal error"));
    // And nothing is left of it.
    assert_eq!(entry(|| Ok::<c_int, Failure>(1)), 1);
}

#[test]
fn each_thread_has_words_of_its_own() {
    fails(Errno::EIO, "mine");
    std::thread::spawn(|| {
        assert_eq!(detail(), "");
        fails(Errno::EIO, "theirs");
        assert_eq!(detail(), "theirs");
    })
    .join()
    .expect("no panic");
    assert_eq!(detail(), "mine");
}
