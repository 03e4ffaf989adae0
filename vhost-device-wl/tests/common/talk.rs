//! Requests to the device, and its messages.

use std::time::Duration;

use virtio_wl::wire::{ContextName, Event, Features, Request, Response, VfdId};
use vm_memory::{Bytes, GuestAddress};

use super::rings::{NEXT, WRITE};
use super::{Frontend, IN, IN_BUFFERS, OUT, OUT_BUFFERS, PATIENCE};

const OUT_SLOT: u64 = 0x4000;

impl Frontend {
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

    /// A context on the device's default socket.
    pub fn open(&mut self, raw: u32) -> Response {
        self.request(&Request::NewContext {
            id: id(raw),
            name: ContextName::DEFAULT,
        })
    }

    /// Bytes for the peer of a VFD.
    pub fn send(&mut self, raw: u32, data: &[u8]) -> Response {
        self.request(&Request::Send {
            id: id(raw),
            vfds: vec![],
            data,
        })
    }

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

/// The VFD of a number.
pub fn id(raw: u32) -> VfdId {
    VfdId::new(raw).unwrap()
}
