//! Ownership of a VFD.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use crate::{
    driver::{Driver, NewVfd},
    wire::VfdKind,
};

/// A VFD that closes in the device when dropped, unless duplicates of its descriptor remain.
#[derive(Debug)]
pub(crate) struct OwnedVfd {
    /// Taken only on the way out of existence.
    fd: Option<OwnedFd>,
    kind: VfdKind,
    driver: Arc<dyn Driver>,
}

impl OwnedVfd {
    pub(crate) fn new(driver: &Arc<dyn Driver>, vfd: NewVfd) -> Self {
        Self {
            fd: Some(vfd.fd),
            kind: vfd.kind,
            driver: Arc::clone(driver),
        }
    }

    pub(crate) fn kind(&self) -> VfdKind {
        self.kind
    }

    pub(crate) fn driver(&self) -> &Arc<dyn Driver> {
        &self.driver
    }

    /// The bare descriptor. The VFD stays open.
    pub(crate) fn into_fd(mut self) -> OwnedFd {
        self.fd.take().expect("present until it is dropped")
    }
}

impl AsFd for OwnedVfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let fd = self.fd.as_ref().expect("present until it is dropped");
        fd.as_fd()
    }
}

impl Drop for OwnedVfd {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            self.driver.close(fd);
        }
    }
}
