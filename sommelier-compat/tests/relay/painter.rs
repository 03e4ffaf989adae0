//! Shared memory on the side of a client.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use memfd::MemfdOptions;
use wayland_client::QueueHandle;
use wayland_client::protocol::{wl_buffer::WlBuffer, wl_shm, wl_shm_pool::WlShmPool};

use crate::client::Client;

/// A pool with its file.
pub(crate) struct Pool {
    pub file: File,
    pub pool: WlShmPool,
}

impl Pool {
    pub(crate) fn new(shm: &wl_shm::WlShm, size: i32, handle: &QueueHandle<Client>) -> Self {
        let file = memfd(size as u64);
        let pool = shm.create_pool(file.as_fd(), size, handle, ());
        Self { file, pool }
    }

    pub(crate) fn buffer(
        &self,
        offset: i32,
        (width, height): (i32, i32),
        handle: &QueueHandle<Client>,
    ) -> WlBuffer {
        let format = wl_shm::Format::Xrgb8888;
        self.pool
            .create_buffer(offset, width, height, width * 4, format, handle, ())
    }

    pub(crate) fn paint(&self, offset: i32, bytes: &[u8]) {
        self.file
            .write_all_at(bytes, offset as u64)
            .expect("a memfd");
    }
}

pub(crate) fn memfd(len: u64) -> File {
    let file = MemfdOptions::new()
        .create("client")
        .expect("a memfd")
        .into_file();
    file.set_len(len).expect("a memfd");
    file
}

/// Bytes that differ from place to place and from seed to seed.
pub(crate) fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8) ^ seed)
        .collect()
}
