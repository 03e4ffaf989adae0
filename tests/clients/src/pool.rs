//! A `wl_shm` pool over an ordinary memfd, written with pwrite(2).

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result};
use wayland_client::protocol::{wl_buffer, wl_shm, wl_shm_pool};

use crate::session::Session;
use crate::window::to_wire;

/// Bytes of a pixel (XRGB8888).
pub const PIXEL: usize = 4;

/// A pool and the file behind it.
#[derive(Debug)]
pub struct Pool {
    file: File,
    pool: wl_shm_pool::WlShmPool,
}

impl Pool {
    /// A pool of `size` bytes.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(session: &Session, size: usize) -> Result<Self> {
        let memory = memfd::MemfdOptions::new()
            .close_on_exec(true)
            .create("pattern")
            .context("memfd")?;
        let file = memory.into_file();
        file.set_len(u64::try_from(size)?)
            .context("size of the pool")?;
        let pool = session
            .shm
            .create_pool(file.as_fd(), to_wire(size), &session.handle, ());
        Ok(Self { file, pool })
    }

    /// The file behind it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The pool object.
    pub fn object(&self) -> &wl_shm_pool::WlShmPool {
        &self.pool
    }

    /// Makes it larger.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn grow(&self, size: usize) -> Result<()> {
        self.file
            .set_len(u64::try_from(size)?)
            .context("size of the pool")?;
        self.pool.resize(to_wire(size));
        Ok(())
    }

    /// An XRGB8888 buffer at byte `offset`; its release is seen as `number`.
    pub fn buffer(
        &self,
        session: &Session,
        offset: usize,
        (width, height): (usize, usize),
        number: usize,
    ) -> wl_buffer::WlBuffer {
        self.pool.create_buffer(
            to_wire(offset),
            to_wire(width),
            to_wire(height),
            to_wire(width * PIXEL),
            wl_shm::Format::Xrgb8888,
            &session.handle,
            number,
        )
    }

    /// Writes bytes at `offset`.
    ///
    /// # Errors
    /// When the file refuses.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all_at(bytes, u64::try_from(offset)?)
            .context("write to the pool")
    }
}
