//! VFDs made of descriptors that came from a host peer.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::super::descriptor::{Descriptor, classify};
use super::super::quota::Resource;
use super::super::stream::Stream;
use super::vfd::Body;
use super::{Announced, Key, Session};

impl Session {
    /// Makes a VFD of a received descriptor. Never fails: what cannot be had
    /// becomes a dead VFD, and the message it came with stays whole.
    pub(super) fn adopt(&mut self, fd: OwnedFd) -> (Key, Announced) {
        let key = self.fresh_key();
        let charge = match self.quota.charge(Resource::Vfds, 1) {
            Ok(charge) => charge,
            Err(error) => {
                // The guest gets an id it can only close, which nothing here knows.
                tracing::debug!(%error, "received descriptor dropped");
                self.orphans.push_back(key);
                return (key, Announced::Dead);
            }
        };
        let body = self.body_of(fd);
        let write_end = matches!(&body, Body::Stream(stream) if !stream.readable());
        let (fence, dead) = (
            matches!(body, Body::Fence(_)),
            matches!(body, Body::Dead(_)),
        );
        let announced = self.insert(key, body, charge);
        if fence || write_end {
            self.start_reading(key);
        }
        if dead {
            // Nobody shall wait for something to come from it.
            self.hang_up(key);
        }
        (key, announced)
    }

    fn body_of(&mut self, fd: OwnedFd) -> Body {
        match classify(fd) {
            Descriptor::Memory { fd, writable } => {
                let fd = Arc::new(fd);
                match self.memory.adopt(Arc::clone(&fd), writable) {
                    Ok(block) => Body::Memory(block),
                    Err(error) => {
                        tracing::debug!(%error, "received memory is not usable");
                        Body::Dead(Some(fd))
                    }
                }
            }
            Descriptor::Socket(fd) => {
                Body::Stream(Stream::received_socket(fd, self.socket_queue()))
            }
            Descriptor::Pipe { fd, read, write } => {
                match Stream::received_pipe(fd, read, write, self.pipe_queue()) {
                    Ok(stream) => Body::Stream(stream),
                    Err(error) => {
                        tracing::debug!(%error, "received pipe is not usable");
                        Body::Dead(None)
                    }
                }
            }
            Descriptor::Fence(fd) => Body::Fence(Arc::new(fd)),
            Descriptor::Odd(fd) => Body::Dead(Some(Arc::new(fd))),
        }
    }

    fn fresh_key(&mut self) -> Key {
        loop {
            let key = self.next_key;
            self.next_key += 1;
            if self.next_key >= self.shape.end_key {
                self.next_key = self.shape.first_key;
            }
            if !self.vfds.contains_key(&key) {
                return key;
            }
        }
    }
}
