//! What the device asks of its frontend.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::{Condvar, Mutex};

use vhost::vhost_user::message::VhostUserMMap;
use vhost::vhost_user::{HandlerResult, VhostUserFrontendReqHandler};

use super::fds::{borrow, own};
use super::tells::Teller;

/// Where the device maps and unmaps a page, to see whether the frontend tells of it.
const PROBE: u64 = (1 << 32) - 4096;

/// What the frontend was asked to map, and is mapped now.
#[derive(Default)]
pub struct Maps(
    pub Mutex<Vec<(u64, u64, File)>>,
    pub Option<Teller>,
    pub Condvar,
);

impl VhostUserFrontendReqHandler for Maps {
    fn shmem_map(&self, req: &VhostUserMMap, fd: &dyn AsRawFd) -> HandlerResult<u64> {
        let file = nix::fcntl::fcntl(
            borrow(fd.as_raw_fd()),
            nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(3),
        )?;
        let file = own(file);
        let (offset, len, flags) = (req.shm_offset, req.len, req.flags);
        assert_eq!((req.shmid, flags), (0, 1));
        if let Some(teller) = &self.1 {
            teller.tell_all();
            teller.mapped(offset, len, file.try_clone()?);
        }
        if offset == PROBE {
            return Ok(0);
        }
        let mut maps = self.0.lock().unwrap();
        assert!(
            maps.iter()
                .all(|(o, l, _)| o + l <= offset || offset + len <= *o),
            "mappings overlap"
        );
        maps.push((offset, len, file));
        self.2.notify_all();
        Ok(0)
    }

    fn shmem_unmap(&self, req: &VhostUserMMap) -> HandlerResult<u64> {
        let (offset, len) = (req.shm_offset, req.len);
        if let Some(teller) = &self.1 {
            teller.tell_all();
            teller.unmapped(offset, len);
        }
        if offset == PROBE {
            return Ok(0);
        }
        let mut maps = self.0.lock().unwrap();
        let before = maps.len();
        maps.retain(|(o, l, _)| (*o, *l) != (offset, len));
        assert_eq!(maps.len() + 1, before, "unmap of what is not mapped");
        self.2.notify_all();
        Ok(0)
    }
}
