//! A whole connection driven by arbitrary bytes: the body of the fuzz target
//! and of a property test.
//!
//! The input is a list of operations, one byte of kind and one of length each,
//! followed by that many words: bytes of the client, bytes of the host, or
//! descriptors. Whatever it says, nothing may panic, and what comes out must be
//! framed correctly.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::relay::Relay;
use crate::shm::memory::{Allocator, MemfdAllocator, SharedMemory};
use crate::wire::{InQueue, Message, OutQueue};

/// Bytes of shared memory allowed; a quota as the host has one.
const QUOTA: usize = 8 << 20;

/// Bytes of the file that every descriptor of the client is.
const FILE_LEN: u64 = 64 * 1024;

#[derive(Debug, Default)]
struct Quota(std::cell::Cell<usize>);

impl Allocator for Quota {
    fn allocate(&self, len: usize) -> io::Result<SharedMemory> {
        let total = self.0.get().saturating_add(len);
        if total > QUOTA {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.0.set(total);
        MemfdAllocator.allocate(len)
    }
}

/// Requests that every useful connection begins with, so that short inputs get
/// far: a registry with the globals of a small compositor, `wl_compositor` as
/// object 3 and `wl_shm` as object 4, a surface as 5.
fn begin(relay: &mut Relay) -> io::Result<()> {
    let mut requests = OutQueue::default();
    let mut events = OutQueue::default();
    requests.message(1, 1).uint(2).done();
    for (name, interface) in [(1, "wl_compositor"), (2, "wl_shm"), (3, "wl_seat")] {
        events
            .message(2, 0)
            .uint(name)
            .string(interface)
            .uint(1)
            .done();
    }
    let mut bind = OutQueue::default();
    bind.message(2, 0)
        .uint(1)
        .string("wl_compositor")
        .uint(1)
        .uint(3)
        .done();
    bind.message(2, 0)
        .uint(2)
        .string("wl_shm")
        .uint(1)
        .uint(4)
        .done();
    bind.message(3, 0).uint(5).done();
    for (queue, client) in [(requests, true), (events, false), (bind, true)] {
        let mut input = InQueue::<OwnedFd>::default();
        let mut fds = Vec::new();
        let bytes = queue.chunk(&mut fds);
        input.space()[..bytes.len()].copy_from_slice(bytes);
        input.filled(bytes.len());
        feed(relay, &mut input, client)?;
    }
    Ok(())
}

/// Handles what is complete; fails when the connection is over.
fn feed(relay: &mut Relay, input: &mut InQueue<OwnedFd>, client: bool) -> io::Result<()> {
    loop {
        let (bytes, fds) = input.split();
        let Some(message) = Message::parse(bytes).map_err(io::Error::other)? else {
            return Ok(());
        };
        let len = message.wire_len();
        if client {
            relay.request(message, fds).map_err(|error| {
                relay.fail(&error);
                io::Error::other(error)
            })?;
        } else {
            relay.event(message, fds, Ok).map_err(io::Error::other)?;
        }
        input.consume(len);
    }
}

/// Checks that a queue holds whole messages only, and empties it.
fn check(queue: &mut OutQueue) {
    let mut all = Vec::new();
    while !queue.is_empty() {
        let mut fds = Vec::new();
        let bytes = queue.chunk(&mut fds);
        all.extend_from_slice(bytes);
        let (len, count) = (bytes.len(), fds.len());
        queue.sent(len, count);
    }
    let mut rest = &all[..];
    while !rest.is_empty() {
        let message = Message::parse(rest)
            .expect("a valid header")
            .expect("a whole message");
        rest = &rest[message.wire_len()..];
    }
    assert_eq!(queue.fd_count(), 0, "a descriptor without a message");
}

/// Runs one connection on `data`.
///
/// # Panics
/// When the relay breaks one of its promises.
pub fn relay_bytes(data: &[u8]) {
    let mut relay = Relay::new(Rc::new(Quota::default()));
    let (mut client, mut host) = (InQueue::default(), InQueue::default());
    if let Err(error) = begin(&mut relay) {
        unreachable!("an ordinary beginning: {error}");
    }
    let mut rest = data;
    while let [kind, len, tail @ ..] = rest {
        let len = (usize::from(*len) * 4).min(tail.len());
        let (bytes, next) = tail.split_at(len);
        rest = next;
        let (input, from_client) = match kind % 4 {
            0 | 1 => (&mut client, true),
            2 => (&mut host, false),
            _ => {
                let file = memfd::MemfdOptions::new()
                    .create("fuzz")
                    .map(memfd::Memfd::into_file);
                let Ok(file) = file
                    .map_err(drop)
                    .and_then(|file: File| file.set_len(FILE_LEN).map_err(drop).map(|()| file))
                else {
                    return;
                };
                client.fds.push_back(file.into());
                continue;
            }
        };
        let Some(space) = input.space().get_mut(..bytes.len()) else {
            return;
        };
        space.copy_from_slice(bytes);
        input.filled(bytes.len());
        let result = feed(&mut relay, input, from_client);
        check(&mut relay.to_client);
        check(&mut relay.to_host);
        if result.is_err() || relay.is_finished() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
