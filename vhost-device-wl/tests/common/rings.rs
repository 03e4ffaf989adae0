//! Both rings, by hand.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vm_memory::{Bytes, GuestAddress};

use super::fds::borrow;
use super::{Frontend, PATIENCE, RING};

pub const NEXT: u16 = 1;

pub const WRITE: u16 = 2;

pub const INDIRECT: u16 = 4;

impl Frontend {
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

    pub(super) fn want_interrupts(&self, q: usize) {
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
