//! An errno with the words for it.

use std::{error::Error as _, ffi::c_int, io};

use nix::errno::Errno;

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) errno: c_int,
    pub(crate) detail: String,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(errno: Errno, detail: impl Into<String>) -> Self {
        Self {
            errno: errno as c_int,
            detail: detail.into(),
        }
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::new(errno, errno.desc())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self {
            errno: virtio_wl_posix::errno(&error),
            detail: words(&error),
        }
    }
}

impl From<virtio_wl::Error> for Failure {
    fn from(error: virtio_wl::Error) -> Self {
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            detail.push_str(": ");
            match error.downcast_ref() {
                Some(error) => detail.push_str(&words(error)),
                None => detail.push_str(&error.to_string()),
            }
            cause = error.source();
        }
        Self {
            errno: virtio_wl_posix::errno(&error.into()),
            detail,
        }
    }
}

/// What it says, without the number that errno is anyway.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => Errno::from_raw(errno).desc().to_owned(),
        None => error.to_string(),
    }
}
