//! A frontend that answers first, and says afterwards what guest memory looks like.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Mutex;

use vhost::VhostUserMemoryRegionInfo;
use vhost::vhost_user::{Frontend, VhostUserFrontend};

/// Where the region lies in guest memory, and in the frontend's own.
const REGION: u64 = 1 << 40;

enum Change {
    Mapped(u64, u64, File),
    Unmapped(u64, u64),
}

/// What the device does not know yet.
pub struct Teller {
    vhost: Mutex<Frontend>,
    pending: Mutex<Vec<Change>>,
}

impl Teller {
    pub fn new(vhost: Frontend) -> Self {
        Teller {
            vhost: Mutex::new(vhost),
            pending: Mutex::default(),
        }
    }

    pub fn mapped(&self, offset: u64, len: u64, file: File) {
        let mut pending = self.pending.lock().unwrap();
        pending.push(Change::Mapped(offset, len, file));
    }

    pub fn unmapped(&self, offset: u64, len: u64) {
        let mut pending = self.pending.lock().unwrap();
        pending.push(Change::Unmapped(offset, len));
    }

    pub fn tell_all(&self) {
        let mut vhost = self.vhost.lock().unwrap();
        let region = |offset, len, fd| VhostUserMemoryRegionInfo {
            guest_phys_addr: REGION + offset,
            memory_size: len,
            userspace_addr: REGION + offset,
            mmap_offset: 0,
            mmap_handle: fd,
        };
        for change in std::mem::take(&mut *self.pending.lock().unwrap()) {
            match change {
                Change::Mapped(offset, len, file) => {
                    let region = region(offset, len, file.as_raw_fd());
                    vhost.add_mem_region(&region).unwrap();
                }
                Change::Unmapped(offset, len) => {
                    // The protocol wants no descriptor here, the crate asks for one.
                    vhost.remove_mem_region(&region(offset, len, 0)).unwrap();
                }
            }
        }
    }
}
