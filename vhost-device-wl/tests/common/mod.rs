//! A vhost-user frontend with virtqueues written by hand, so that tests can also
//! do what no sane driver does.

#![allow(
    unused_imports,
    dead_code,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations
)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vhost::vhost_user::message::{
    VhostUserHeaderFlag, VhostUserProtocolFeatures, VhostUserVirtioFeatures,
};
use vhost::vhost_user::{Frontend as VhostFrontend, FrontendReqHandler, VhostUserFrontend};
use vhost::{VhostBackend, VhostUserMemoryRegionInfo, VringConfigData};
use virtio_wl::wire::Features;
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryMmap};
use vmm_sys_util::eventfd::EventFd;

mod daemon;
mod fds;
mod maps;
mod rings;
mod talk;
mod tells;

pub use daemon::Daemon;
use fds::borrow;
pub use fds::{accept, memfd, recv_fds, send_fds};
pub use maps::Maps;
pub use rings::{INDIRECT, NEXT, WRITE, avail_ring, desc_table, used_ring};
pub use talk::{OwnedEvent, id};

pub const IN: usize = 0;
pub const OUT: usize = 1;
pub const RING: u16 = 256;

/// How long anything may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

const MEMORY: u64 = 8 << 20;
/// Where the guest memory is said to be in the frontend's address space.
const USER_BASE: u64 = 0x1000_0000;
const IN_BUFFERS: u64 = 0x10_0000;
pub const OUT_BUFFERS: u64 = 0x20_0000;

pub const FEATURES: Features = Features::TRANS_FLAGS
    .union(Features::SEND_FENCES)
    .union(Features::USE_SHMEM);

struct Queue {
    kick: EventFd,
    call: EventFd,
    avail: u16,
    used: u16,
}

/// One vhost-user connection with both rings set up.
pub struct Frontend {
    vhost: VhostFrontend,
    socket: UnixStream,
    pub mem: GuestMemoryMmap,
    queues: [Queue; 2],
    pub maps: Arc<Maps>,
    pub features: Features,
    /// What the device offered.
    pub offered: Features,
}

impl Frontend {
    pub fn connect(path: &Path) -> Self {
        Self::with_features(path, FEATURES)
    }

    pub fn with_features(path: &Path, features: Features) -> Self {
        let mut frontend = Self::handshake(path, features, &memfd(MEMORY, libc::F_SEAL_SHRINK))
            .expect("the device accepts the memory");
        frontend.start_rings();
        frontend
    }

    /// One that tells the device of its mappings after it has answered, as QEMU does: of each when
    /// the next comes, or with [`Frontend::tell`].
    pub fn telling(path: &Path, features: Features) -> Self {
        let file = memfd(MEMORY, libc::F_SEAL_SHRINK);
        let mut frontend = Self::handshake_with(path, features, &file, true).unwrap();
        frontend.start_rings();
        frontend
    }

    /// Waits until exactly `count` mappings are live.
    pub fn wait_mapped(&self, count: usize) {
        let Maps(maps, _, changed) = &*self.maps;
        let maps = maps.lock().unwrap();
        let (maps, _) = changed
            .wait_timeout_while(maps, PATIENCE, |maps| maps.len() != count)
            .unwrap();
        assert_eq!(maps.len(), count);
    }

    /// Tells of everything that was mapped.
    pub fn tell(&self) {
        self.maps.1.as_ref().expect("it tells").tell_all();
    }

    /// Everything up to the memory table; fails when the device refuses it.
    pub fn handshake(
        path: &Path,
        features: Features,
        file: &File,
    ) -> Result<Self, vhost::vhost_user::Error> {
        Self::handshake_with(path, features, file, false)
    }

    fn handshake_with(
        path: &Path,
        features: Features,
        file: &File,
        tells: bool,
    ) -> Result<Self, vhost::vhost_user::Error> {
        let socket = UnixStream::connect(path).unwrap();
        let mut vhost = VhostFrontend::from_stream(socket.try_clone().unwrap(), 2);
        vhost.set_owner().unwrap();
        let offered = vhost.get_features().unwrap();
        let mut acked = (1 << 32) | (1 << 29) | features.bits();
        assert_eq!(offered & acked, acked);
        acked |= VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits();
        let wanted = VhostUserProtocolFeatures::MQ
            | VhostUserProtocolFeatures::REPLY_ACK
            | VhostUserProtocolFeatures::BACKEND_REQ
            | VhostUserProtocolFeatures::BACKEND_SEND_FD
            | VhostUserProtocolFeatures::CONFIGURE_MEM_SLOTS
            | VhostUserProtocolFeatures::SHMEM;
        let protocol = vhost.get_protocol_features().unwrap();
        assert_eq!(protocol & wanted, wanted);
        assert!(!protocol.contains(VhostUserProtocolFeatures::CONFIG));
        vhost.set_protocol_features(wanted).unwrap();
        vhost.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
        vhost.set_features(acked).unwrap();
        let teller = tells.then(|| tells::Teller::new(vhost.clone()));
        let maps = Arc::new(Maps(Mutex::default(), teller, Condvar::new()));
        let mut handler = FrontendReqHandler::new(Arc::clone(&maps)).unwrap();
        handler.set_reply_ack_flag(true);
        vhost
            .set_backend_request_fd(&borrow(handler.get_tx_raw_fd()))
            .unwrap();
        thread::spawn(move || while handler.handle_request().is_ok() {});
        let config = vhost.get_shmem_config().unwrap();
        assert_eq!((config.nregions, config.memory_sizes[0]), (1, 1 << 32));
        let region = VhostUserMemoryRegionInfo {
            guest_phys_addr: 0,
            memory_size: MEMORY,
            userspace_addr: USER_BASE,
            mmap_offset: 0,
            mmap_handle: file.as_raw_fd(),
        };
        match vhost.set_mem_table(&[region]) {
            Ok(_) => {}
            Err(vhost::Error::VhostUserProtocol(e)) => return Err(e),
            Err(e) => panic!("{e}"),
        }
        let range = (
            GuestAddress(0),
            usize::try_from(MEMORY).unwrap(),
            Some(FileOffset::new(file.try_clone().unwrap(), 0)),
        );
        let mem = GuestMemoryMmap::from_ranges_with_files([range]).unwrap();
        let queue = || Queue {
            kick: EventFd::new(0).unwrap(),
            call: EventFd::new(libc::EFD_NONBLOCK).unwrap(),
            avail: 0,
            used: 0,
        };
        Ok(Frontend {
            vhost,
            socket,
            mem,
            queues: [queue(), queue()],
            maps,
            features,
            offered: Features::from_bits_truncate(offered),
        })
    }

    pub fn start_rings(&mut self) {
        for q in [IN, OUT] {
            self.vhost.set_vring_num(q, RING).unwrap();
            self.start_ring(q, 0);
        }
        self.post_all();
    }

    pub fn start_ring(&mut self, q: usize, base: u16) {
        let config = VringConfigData {
            queue_max_size: RING,
            queue_size: RING,
            flags: 0,
            desc_table_addr: USER_BASE + desc_table(q),
            used_ring_addr: USER_BASE + used_ring(q),
            avail_ring_addr: USER_BASE + avail_ring(q),
            log_addr: None,
        };
        self.vhost.set_vring_addr(q, &config).unwrap();
        self.vhost.set_vring_base(q, base).unwrap();
        self.vhost.set_vring_call(q, &self.queues[q].call).unwrap();
        self.vhost.set_vring_kick(q, &self.queues[q].kick).unwrap();
        self.vhost.set_vring_enable(q, true).unwrap();
    }

    pub fn stop_ring(&mut self, q: usize) -> u32 {
        self.vhost.get_vring_base(q).unwrap()
    }

    /// A driver that starts from nothing on the same connection, as after a reboot.
    pub fn reboot(&mut self) {
        for q in [IN, OUT] {
            self.stop_ring(q);
            let zeros = vec![0; 0x3000];
            self.mem
                .write_slice(&zeros, GuestAddress(desc_table(q)))
                .unwrap();
            self.queues[q].avail = 0;
            self.queues[q].used = 0;
        }
        self.maps.0.lock().unwrap().clear();
        for q in [IN, OUT] {
            self.start_ring(q, 0);
        }
        self.post_all();
    }

    pub fn vhost(&mut self) -> &mut VhostFrontend {
        &mut self.vhost
    }

    fn post_all(&mut self) {
        for i in 0..RING {
            let addr = IN_BUFFERS + u64::from(i) * 4096;
            self.describe(IN, i, addr, 4096, WRITE, 0);
            self.make_available(IN, i);
        }
        self.want_interrupts(IN);
        self.kick(IN);
    }

    /// Whether the device has ended the connection.
    pub fn is_disconnected(&self) -> bool {
        let mut fds = [PollFd::new(
            borrow(self.socket.as_raw_fd()),
            PollFlags::POLLIN,
        )];
        let timeout = PollTimeout::try_from(PATIENCE).unwrap();
        poll(&mut fds, timeout).unwrap();
        fds[0].revents().unwrap().contains(PollFlags::POLLHUP)
    }
}
