//! A vhost-user frontend with virtqueues written by hand, so that tests can also
//! do what no sane driver does.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations
)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vhost::vhost_user::message::{
    VhostUserHeaderFlag, VhostUserMMap, VhostUserProtocolFeatures, VhostUserVirtioFeatures,
};
use vhost::vhost_user::{
    Frontend as VhostFrontend, FrontendReqHandler, HandlerResult, VhostUserFrontend,
    VhostUserFrontendReqHandler,
};
use vhost::{VhostBackend, VhostUserMemoryRegionInfo, VringConfigData};
use virtio_wl::wire::{Event, Features, Request, Response};
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryMmap};
use vmm_sys_util::eventfd::EventFd;

mod daemon;
mod tells;

pub use daemon::Daemon;

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
const OUT_SLOT: u64 = 0x4000;

pub const NEXT: u16 = 1;
pub const WRITE: u16 = 2;
pub const INDIRECT: u16 = 4;

pub const FEATURES: Features = Features::TRANS_FLAGS
    .union(Features::SEND_FENCES)
    .union(Features::USE_SHMEM);

/// Where the device maps and unmaps a page, to see whether the frontend tells of it.
const PROBE: u64 = (1 << 32) - 4096;

/// What the frontend was asked to map, and is mapped now.
#[derive(Default)]
pub struct Maps(
    pub Mutex<Vec<(u64, u64, File)>>,
    Option<tells::Teller>,
    Condvar,
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

#[allow(unsafe_code)]
fn borrow<'a>(fd: i32) -> std::os::fd::BorrowedFd<'a> {
    // SAFETY: the crate keeps the descriptor open during the handler's call.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }
}

#[allow(unsafe_code)]
fn own(fd: i32) -> File {
    use std::os::fd::FromRawFd;
    // SAFETY: just created by fcntl.
    unsafe { File::from_raw_fd(fd) }
}

pub fn memfd(size: u64, seals: i32) -> File {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let fd = memfd_create("test", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
    let file = File::from(fd);
    file.set_len(size).unwrap();
    fcntl(
        &file,
        FcntlArg::F_ADD_SEALS(SealFlag::from_bits_retain(seals)),
    )
    .unwrap();
    file
}

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
    /// Replies to requests that were waited for out of order: head → reply.
    replies: Vec<(u32, Vec<u8>)>,
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
            replies: Vec::new(),
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

    /// Writes one descriptor.
    pub fn describe(&self, q: usize, i: u16, addr: u64, len: u32, flags: u16, next: u16) {
        let at = GuestAddress(desc_table(q) + 16 * u64::from(i));
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&addr.to_le_bytes());
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&next.to_le_bytes());
        self.mem.write_slice(&bytes, at).unwrap();
    }

    /// Puts a chain into the available ring, without telling the device.
    pub fn make_available(&mut self, q: usize, head: u16) {
        let queue = &mut self.queues[q];
        let slot = avail_ring(q) + 4 + 2 * u64::from(queue.avail % RING);
        self.mem.write_obj(head, GuestAddress(slot)).unwrap();
        queue.avail = queue.avail.wrapping_add(1);
        self.set_avail_index(q, self.queues[q].avail);
    }

    pub fn set_avail_index(&mut self, q: usize, index: u16) {
        self.mem
            .store(
                index,
                GuestAddress(avail_ring(q) + 2),
                std::sync::atomic::Ordering::SeqCst,
            )
            .unwrap();
    }

    pub fn kick(&self, q: usize) {
        self.queues[q].kick.write(1).unwrap();
    }

    /// The index at which the device wants to be kicked (EVENT_IDX).
    pub fn avail_event(&self, q: usize) -> u16 {
        let at = used_ring(q) + 4 + 8 * u64::from(RING);
        self.mem.read_obj(GuestAddress(at)).unwrap()
    }

    fn want_interrupts(&self, q: usize) {
        let at = avail_ring(q) + 4 + 2 * u64::from(RING);
        self.mem
            .write_obj(self.queues[q].used, GuestAddress(at))
            .unwrap();
    }

    fn take_used(&mut self, q: usize) -> Option<(u32, u32)> {
        let index: u16 = self
            .mem
            .load(
                GuestAddress(used_ring(q) + 2),
                std::sync::atomic::Ordering::SeqCst,
            )
            .unwrap();
        let queue = &mut self.queues[q];
        if index == queue.used {
            return None;
        }
        let at = used_ring(q) + 4 + 8 * u64::from(queue.used % RING);
        queue.used = queue.used.wrapping_add(1);
        let head: u32 = self.mem.read_obj(GuestAddress(at)).unwrap();
        let len: u32 = self.mem.read_obj(GuestAddress(at + 4)).unwrap();
        Some((head, len))
    }

    /// Waits for a used entry, or panics.
    pub fn wait_used(&mut self, q: usize) -> (u32, u32) {
        self.try_wait_used(q, PATIENCE)
            .expect("the device answers in time")
    }

    pub fn try_wait_used(&mut self, q: usize, patience: Duration) -> Option<(u32, u32)> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(used) = self.take_used(q) {
                return Some(used);
            }
            self.want_interrupts(q);
            std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
            if let Some(used) = self.take_used(q) {
                return Some(used);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let call = borrow(self.queues[q].call.as_raw_fd());
            let mut fds = [PollFd::new(call, PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap();
            poll(&mut fds, timeout).unwrap();
            let _ = self.queues[q].call.read();
        }
    }

    // ---- requests ----------------------------------------------------------

    /// Posts readable bytes and a writable reply buffer in `slot`; no kick.
    pub fn post_bytes(&mut self, slot: u16, bytes: &[u8]) {
        let at = OUT_BUFFERS + OUT_SLOT * u64::from(slot);
        self.mem.write_slice(bytes, GuestAddress(at)).unwrap();
        let head = 2 * slot;
        let len = u32::try_from(bytes.len()).unwrap();
        self.describe(OUT, head, at, len, NEXT, head + 1);
        self.describe(OUT, head + 1, at + OUT_SLOT - 64, 64, WRITE, 0);
        self.make_available(OUT, head);
    }

    pub fn reply_in(&self, slot: u16, len: u32) -> Vec<u8> {
        let at = OUT_BUFFERS + OUT_SLOT * u64::from(slot) + OUT_SLOT - 64;
        let mut bytes = vec![0; len as usize];
        self.mem.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }

    /// Raw bytes in, raw reply out.
    pub fn exchange(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.post_bytes(0, bytes);
        self.kick(OUT);
        let (head, len) = self.wait_used(OUT);
        assert_eq!(head, 0);
        self.reply_in(0, len)
    }

    pub fn request(&mut self, request: &Request<'_>) -> Response {
        let mut bytes = Vec::new();
        request.encode(self.features, &mut bytes);
        let reply = self.exchange(&bytes);
        Response::parse(&reply, self.features).unwrap()
    }

    // ---- messages ----------------------------------------------------------

    /// The next message of the device, as it came: (buffer, bytes). The buffer
    /// stays with the driver.
    pub fn receive_raw(&mut self) -> (u16, Vec<u8>) {
        self.try_receive_raw(PATIENCE)
            .expect("a message comes in time")
    }

    pub fn try_receive_raw(&mut self, patience: Duration) -> Option<(u16, Vec<u8>)> {
        let (head, len) = self.try_wait_used(IN, patience)?;
        let mut bytes = vec![0; len as usize];
        let at = IN_BUFFERS + u64::from(head) * 4096;
        self.mem.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        Some((u16::try_from(head).unwrap(), bytes))
    }

    /// Gives a buffer back, and kicks if the device wants that.
    pub fn give_back(&mut self, head: u16) {
        let old = self.queues[IN].avail;
        self.make_available(IN, head);
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        if self.avail_event(IN) == old {
            self.kick(IN);
        }
    }

    /// The next message, its buffer given back at once.
    pub fn receive(&mut self) -> OwnedEvent {
        let (head, bytes) = self.receive_raw();
        self.give_back(head);
        OwnedEvent::parse(&bytes, self.features)
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

/// An [`Event`] that owns its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedEvent {
    New(virtio_wl::wire::VfdInfo),
    Recv(u32, Vec<u32>, Vec<u8>),
    Hup(u32),
}

impl OwnedEvent {
    pub fn parse(bytes: &[u8], features: Features) -> Self {
        match Event::parse(bytes, features).unwrap() {
            Event::VfdNew(info) => OwnedEvent::New(info),
            Event::Recv { id, vfds, data } => OwnedEvent::Recv(
                id.get(),
                vfds.iter().map(|id| id.get()).collect(),
                data.to_vec(),
            ),
            Event::Hup { id } => OwnedEvent::Hup(id.get()),
        }
    }
}

pub fn desc_table(q: usize) -> u64 {
    q as u64 * 0x1_0000
}

pub fn avail_ring(q: usize) -> u64 {
    desc_table(q) + 0x1000
}

pub fn used_ring(q: usize) -> u64 {
    desc_table(q) + 0x2000
}

/// Accepts, or panics after a while.
pub fn accept(listener: &UnixListener) -> UnixStream {
    let mut fds = [PollFd::new(borrow(listener.as_raw_fd()), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(PATIENCE).unwrap();
    assert_eq!(poll(&mut fds, timeout).unwrap(), 1, "nobody connects");
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes with descriptors.
pub fn send_fds(stream: &UnixStream, bytes: &[u8], fds: &[i32]) {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let iov = [std::io::IoSlice::new(bytes)];
    let rights = [ControlMessage::ScmRights(fds)];
    let sent = sendmsg::<()>(stream.as_raw_fd(), &iov, &rights, MsgFlags::empty(), None).unwrap();
    assert_eq!(sent, bytes.len());
}

/// Receives once, with descriptors.
pub fn recv_fds(stream: &UnixStream) -> (Vec<u8>, Vec<File>) {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let mut buf = vec![0; 65536];
    let mut space = nix::cmsg_space!([i32; 64]);
    let mut iov = [std::io::IoSliceMut::new(&mut buf)];
    let msg = recvmsg::<()>(
        stream.as_raw_fd(),
        &mut iov,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )
    .unwrap();
    let mut fds = Vec::new();
    for cmsg in msg.cmsgs().unwrap() {
        if let ControlMessageOwned::ScmRights(raw) = cmsg {
            fds.extend(raw.into_iter().map(own));
        }
    }
    let len = msg.bytes;
    buf.truncate(len);
    (buf, fds)
}
