//! The guest's driver: rings and buffers.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use vhost_user_backend::VringT;
use virtio_wl::limits::{IN_BUFFER_SIZE, QUEUE_IN, QUEUE_OUT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryAtomic};

use crate::virtio::ring::{Memory, Vring};

/// Entries of each ring: few, so that they run out.
const SIZE: u16 = 32;
const BYTES: usize = 1 << 20;
const IN_BUFFERS: u64 = 0x4_0000;
const OUT_BUFFER: u64 = 0x8_0000;
const REPLY: u64 = 0xa_0000;
const REPLY_LEN: u32 = 64;

const NEXT: u16 = 1;
const WRITE: u16 = 2;

const fn desc(queue: usize) -> u64 {
    0x1000 + queue as u64 * 0x1_0000
}

const fn avail(queue: usize) -> u64 {
    desc(queue) + 0x4000
}

const fn used(queue: usize) -> u64 {
    desc(queue) + 0x8000
}

pub(super) struct Guest {
    memory: Memory,
    vrings: Vec<Vring>,
    posted: [u16; 2],
    taken: [u16; 2],
    /// Buffers of messages that were not given back.
    held: VecDeque<u16>,
    answers: Vec<Vec<u8>>,
    broken: bool,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl Guest {
    pub(super) fn new() -> Self {
        let memory = Memory::from_ranges(&[(GuestAddress(0), BYTES)]).expect("memory");
        let atomic = GuestMemoryAtomic::new(memory.clone());
        let vring = |queue| {
            let vring = Vring::new(atomic.clone(), SIZE).expect("a legal size");
            vring.set_queue_size(SIZE);
            let (d, a, u) = (desc(queue), avail(queue), used(queue));
            vring.set_queue_info(d, a, u).expect("aligned");
            vring.set_queue_event_idx(true);
            vring.set_queue_ready(true);
            vring.set_enabled(true);
            vring
        };
        let vrings = vec![vring(QUEUE_IN), vring(QUEUE_OUT)];
        let mut guest = Guest {
            memory,
            vrings,
            posted: [0; 2],
            taken: [0; 2],
            held: (0..SIZE).collect(),
            answers: Vec::new(),
            broken: false,
        };
        guest.post_all();
        guest
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(super) fn vrings(&self) -> &[Vring] {
        &self.vrings
    }

    /// Posted nonsense that the device took for a reason to stop.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// A driver that knows nothing of its predecessor.
    pub(super) fn restart(&mut self) {
        let zeros = vec![0; 0x2_0000];
        self.write(0x1000, &zeros);
        for vring in &self.vrings {
            vring.set_queue_next_avail(0);
            vring.set_queue_next_used(0);
        }
        (self.posted, self.taken) = ([0; 2], [0; 2]);
        self.held = (0..SIZE).collect();
        self.answers.clear();
        self.broken = false;
        self.post_all();
    }

    fn post_all(&mut self) {
        for head in 0..SIZE {
            let at = IN_BUFFERS + u64::from(head) * IN_BUFFER_SIZE as u64;
            self.describe(QUEUE_IN, head, at, IN_BUFFER_SIZE as u32, WRITE, 0);
        }
        self.give_back(usize::from(SIZE));
    }

    pub(super) fn post(&mut self, bytes: &[u8]) {
        self.write(OUT_BUFFER, bytes);
        let len = u32::try_from(bytes.len()).expect("a short request");
        self.describe(QUEUE_OUT, 0, OUT_BUFFER, len, NEXT, 1);
        self.describe(QUEUE_OUT, 1, REPLY, REPLY_LEN, WRITE, 0);
        self.publish(QUEUE_OUT, 0);
    }

    pub(super) fn post_chain(&mut self, descriptors: &[(u32, u32, u16, u16)]) {
        for (i, (at, len, flags, next)) in descriptors.iter().enumerate() {
            let i = u16::try_from(i).unwrap_or(0) % SIZE;
            self.describe(QUEUE_OUT, i, u64::from(*at), *len, *flags, *next);
        }
        // What the device may have been told to write over: the rings themselves.
        let writes_rings = |(at, _, flags, _): &(u32, u32, u16, u16)| {
            flags & WRITE != 0 && *at < IN_BUFFERS as u32
        };
        if descriptors.iter().any(writes_rings) {
            self.broken = true;
        }
        self.publish(QUEUE_OUT, 0);
    }

    pub(super) fn take_answers(&mut self) -> Vec<Vec<u8>> {
        while let Some((_, len)) = self.next_used(QUEUE_OUT) {
            let len = (len as usize).min(REPLY_LEN as usize);
            let mut answer = vec![0; len];
            self.memory
                .read_slice(&mut answer, GuestAddress(REPLY))
                .expect("inside memory");
            self.answers.push(answer);
        }
        std::mem::take(&mut self.answers)
    }

    /// Messages that have come; their buffers are held.
    pub(super) fn receive(&mut self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while let Some((head, len)) = self.next_used(QUEUE_IN) {
            let (Ok(head), true) = (u16::try_from(head), head < u32::from(SIZE)) else {
                assert!(self.broken, "a buffer that was never posted");
                continue;
            };
            let at = IN_BUFFERS + u64::from(head) * IN_BUFFER_SIZE as u64;
            let mut message = vec![0; (len as usize).min(IN_BUFFER_SIZE)];
            self.memory
                .read_slice(&mut message, GuestAddress(at))
                .expect("inside memory");
            self.held.push_back(head);
            if !self.broken {
                messages.push(message);
            }
        }
        messages
    }

    pub(super) fn give_back(&mut self, count: usize) {
        for _ in 0..count {
            let Some(head) = self.held.pop_front() else {
                break;
            };
            self.publish(QUEUE_IN, head);
        }
    }

    fn describe(&self, queue: usize, i: u16, at: u64, len: u32, flags: u16, next: u16) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&at.to_le_bytes());
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&next.to_le_bytes());
        self.write(desc(queue) + 16 * u64::from(i), &bytes);
    }

    fn publish(&mut self, queue: usize, head: u16) {
        let posted = &mut self.posted[queue];
        let slot = avail(queue) + 4 + 2 * u64::from(*posted % SIZE);
        *posted = posted.wrapping_add(1);
        let index = posted.to_le_bytes();
        self.write(slot, &head.to_le_bytes());
        self.write(avail(queue) + 2, &index);
    }

    fn next_used(&mut self, queue: usize) -> Option<(u32, u32)> {
        let index: u16 = self
            .memory
            .load(GuestAddress(used(queue) + 2), Ordering::Acquire)
            .expect("inside memory");
        let taken = &mut self.taken[queue];
        if *taken == index || (self.broken && index.wrapping_sub(*taken) > SIZE) {
            return None;
        }
        let at = used(queue) + 4 + 8 * u64::from(*taken % SIZE);
        *taken = taken.wrapping_add(1);
        let word = |at| {
            self.memory
                .read_obj::<u32>(GuestAddress(at))
                .expect("inside memory")
        };
        Some((word(at), word(at + 4)))
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        self.memory
            .write_slice(bytes, GuestAddress(at))
            .expect("inside memory");
    }
}
