//! The device's side of everything, for tests: what it does, it does when told.

use std::{
    fs::File,
    io::{IoSlice, Read as _, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    time::Duration,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        eventfd::{EfdFlags, EventFd},
        socket::{ControlMessage, MsgFlags, sendmsg},
    },
};

use super::{
    layout::{MEMORY_SIZE, RingLayout},
    lending::Lending,
    memory::GuestMemory,
    poller::{Poller, Source},
    session::Session,
    shmem::RequestChannel,
};
use crate::{
    limits::{QUEUE_IN, QUEUE_OUT, QUEUE_SIZE},
    wire::{Event, Features, Response},
};

/// One queue, seen from the device.
pub(super) struct DeviceRing {
    memory: Arc<GuestMemory>,
    layout: RingLayout,
    pub(super) seen: u16,
    pub(super) used: u16,
}

/// A chain of descriptors: address, length, whether the device writes.
pub(super) type Chain = Vec<(u32, u32, bool)>;

impl DeviceRing {
    pub(super) fn new(memory: &Arc<GuestMemory>, layout: RingLayout) -> Self {
        Self {
            memory: Arc::clone(memory),
            layout,
            seen: 0,
            used: 0,
        }
    }

    /// The next chain made available.
    pub(super) fn pop(&mut self) -> Option<(u16, Chain)> {
        if self.memory.load(self.layout.available + 2) == self.seen {
            return None;
        }
        let entry = 4 + 2 * u32::from(self.seen % QUEUE_SIZE);
        let head = self.memory.load(self.layout.available + entry);
        self.seen = self.seen.wrapping_add(1);
        let mut chain = Vec::new();
        let mut next = Some(head);
        while let Some(index) = next {
            let mut bytes = [0; 16];
            self.memory
                .read(self.layout.descriptors + 16 * u32::from(index), &mut bytes);
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let flags = u16::from_le_bytes([bytes[12], bytes[13]]);
            chain.push((word(0), word(8), flags & 2 != 0));
            next = (flags & 1 != 0).then(|| u16::from_le_bytes([bytes[14], bytes[15]]));
        }
        Some((head, chain))
    }

    /// Whether the driver has made a chain available.
    pub(super) fn has_buffer(&self) -> bool {
        self.memory.load(self.layout.available + 2) != self.seen
    }

    /// Hands a chain back, whatever it is.
    pub(super) fn push(&mut self, head: u32, len: u32) {
        let entry = 4 + 8 * u32::from(self.used % QUEUE_SIZE);
        let mut bytes = head.to_le_bytes().to_vec();
        bytes.extend(len.to_le_bytes());
        self.memory.write(self.layout.used + entry, &bytes);
        self.used = self.used.wrapping_add(1);
        self.set_used(self.used);
    }

    /// Sets the used index, right or wrong.
    pub(super) fn set_used(&self, index: u16) {
        self.memory.store(self.layout.used + 2, index);
    }

    /// Asks for a notification when the available index passes `index`.
    pub(super) fn set_avail_event(&self, index: u16) {
        self.memory
            .store(self.layout.used + 4 + 8 * u32::from(QUEUE_SIZE), index);
    }

    /// What the driver asked for.
    pub(super) fn used_event(&self) -> u16 {
        self.memory
            .load(self.layout.available + 4 + 2 * u32::from(QUEUE_SIZE))
    }
}

/// A request that was taken from the `out` queue.
pub(super) struct Taken {
    head: u16,
    reply: u32,
    pub(super) bytes: Vec<u8>,
}

/// A device without a will of its own.
pub(super) struct MockDevice {
    pub(super) features: Features,
    memory: Arc<GuestMemory>,
    pub(super) inbound: DeviceRing,
    pub(super) outbound: DeviceRing,
    requests: UnixStream,
    /// The connection: dropping it is the end of the device.
    _main: UnixStream,
    interrupt: File,
    kick_out: File,
}

impl MockDevice {
    /// A device, and the driver's end of it.
    pub(super) fn new(features: Features) -> (Self, Session) {
        let memory = Arc::new(GuestMemory::new(MEMORY_SIZE).unwrap());
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (channel, requests) = RequestChannel::new().unwrap();
        requests
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let poller = Poller::new().unwrap();
        let lending = Lending::new();
        poller.add_readable(&ours, Source::Main).unwrap();
        poller.add_readable(&channel, Source::Requests).unwrap();
        for events in lending.events() {
            poller.add_readable(events, Source::Returned).unwrap();
        }
        let interrupt = poller.interrupt().as_fd().try_clone_to_owned().unwrap();
        let eventfd = || EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
        let kick_out = eventfd();
        let device = Self {
            features,
            inbound: DeviceRing::new(&memory, RingLayout::of(QUEUE_IN)),
            outbound: DeviceRing::new(&memory, RingLayout::of(QUEUE_OUT)),
            memory: Arc::clone(&memory),
            requests,
            _main: theirs,
            interrupt: File::from(interrupt),
            kick_out: File::from(kick_out.as_fd().try_clone_to_owned().unwrap()),
        };
        let session = Session {
            features,
            memory,
            requests: channel,
            lending,
            poller,
            kick_in: eventfd(),
            kick_out,
            main: ours,
        };
        (device, session)
    }

    /// Interrupts the driver.
    pub(super) fn interrupt(&self) {
        (&self.interrupt).write_all(&1_u64.to_ne_bytes()).unwrap();
    }

    /// Sends an event.
    pub(super) fn send(&mut self, event: &Event<'_>) {
        let mut bytes = Vec::new();
        event.encode(self.features, &mut bytes);
        self.send_bytes(&bytes);
    }

    /// Sends any bytes as a message.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        let (head, chain) = self.inbound.pop().expect("no buffer was posted");
        let (address, _, writable) = chain[0];
        assert!(writable);
        self.memory.write(address, bytes);
        self.inbound.push(head.into(), bytes.len() as u32);
        self.interrupt();
    }

    /// Takes the next request.
    pub(super) fn take(&mut self) -> Option<Taken> {
        let (head, chain) = self.outbound.pop()?;
        let [(address, len, false), (reply, _, true)] = chain[..] else {
            panic!("not a request and a reply: {chain:?}");
        };
        let mut bytes = vec![0; len as usize];
        self.memory.read(address, &mut bytes);
        Some(Taken { head, reply, bytes })
    }

    /// Waits for the next request, as a device that sleeps until it is kicked.
    pub(super) fn wait(&mut self) -> Taken {
        loop {
            self.outbound.set_avail_event(self.outbound.seen);
            fence(Ordering::SeqCst);
            if let Some(request) = self.take() {
                return request;
            }
            let mut fds = [PollFd::new(self.kick_out.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, PollTimeout::from(30_000_u16));
            assert_eq!(ready, Ok(1), "the driver did not kick");
            (&self.kick_out).read_exact(&mut [0; 8]).unwrap();
        }
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, request: &Taken, response: Response) {
        let mut bytes = Vec::new();
        response.encode(self.features, &mut bytes);
        self.answer_bytes(request, &bytes);
    }

    /// Answers a request with any bytes.
    pub(super) fn answer_bytes(&mut self, request: &Taken, bytes: &[u8]) {
        self.memory.write(request.reply, bytes);
        self.outbound.push(request.head.into(), bytes.len() as u32);
        self.interrupt();
    }

    /// Writes a vhost-user request to the driver, with or without a file.
    pub(super) fn request(&mut self, bytes: &[u8], file: Option<BorrowedFd<'_>>) {
        let raw: Vec<_> = file.iter().map(|fd| fd.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if raw.is_empty() { &[][..] } else { &rights };
        sendmsg::<()>(
            self.requests.as_raw_fd(),
            &[IoSlice::new(bytes)],
            control,
            MsgFlags::empty(),
            None,
        )
        .unwrap();
    }

    /// Reads the answer to that: 0 or a negated errno.
    pub(super) fn answered(&mut self) -> i64 {
        let mut bytes = [0; 20];
        self.requests.read_exact(&mut bytes).unwrap();
        i64::from_ne_bytes(bytes[12..].try_into().unwrap())
    }

    /// Writes more bytes on the request channel.
    pub(super) fn write_more(&mut self, bytes: &[u8]) {
        self.requests.write_all(bytes).unwrap();
    }
}

/// SHMEM_MAP (9) or SHMEM_UNMAP (10) as on the wire, with a reply wanted.
pub(super) fn map_request(kind: u32, offset: u64, len: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [kind, 1 | 8, 40] {
        bytes.extend(word.to_ne_bytes());
    }
    for word in [0, 0, offset, len, 1_u64] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes
}
