//! Shared memory of clients.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, ensure};
use integration_tests::wire::Client;
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::server::{Server, Settings};

crate::on_each_libwayland! {
    a_pool_is_read_and_read_again_as_it_changes,
    a_pool_grows_within_its_file,
    a_pool_grows_with_its_file,
    a_pool_that_is_longer_than_its_file_costs_its_client_only,
    a_pool_that_was_never_as_long_as_it_said_costs_its_client_only,
    a_descriptor_that_is_no_memory_costs_its_client_only,
}

/// wl_shm.create_pool
pub(crate) const SHM_CREATE_POOL: u16 = 0;

/// wl_shm_pool.create_buffer, .destroy, .resize
const CREATE_BUFFER: u16 = 0;
const DESTROY: u16 = 1;
const RESIZE: u16 = 2;

/// wl_compositor.create_surface
const CREATE_SURFACE: u16 = 0;

/// wl_surface.attach, .frame, .commit
const ATTACH: u16 = 1;
const FRAME: u16 = 3;
const COMMIT: u16 = 6;

/// wl_shm.format
const XRGB8888: u32 = 1;

/// Bytes of a row: buffers are columns of whole pages.
const STRIDE: u32 = 4096;

/// A pool of a client.
#[derive(Debug)]
pub(crate) struct Pool {
    id: u32,
    size: u32,
}

impl Pool {
    /// A file full of one byte.
    pub(crate) fn file(size: usize, byte: u8) -> Result<File> {
        let file = File::from(memfd_create(
            "pool",
            MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
        )?);
        file.write_all_at(&vec![byte; size], 0)?;
        Ok(file)
    }

    /// A pool that the server has been told of.
    pub(crate) fn known(id: u32, size: u32) -> Self {
        Self { id, size }
    }

    fn new(client: &mut Client, file: &File, size: u32) -> Result<Self> {
        let shm = client.bind("wl_shm", 1)?;
        let id = client.new_id();
        client.request(shm, SHM_CREATE_POOL, &[id, size], &[file.as_fd()])?;
        Ok(Self { id, size })
    }

    fn resize(&mut self, client: &mut Client, size: u32) -> Result<()> {
        self.size = size;
        client.request(self.id, RESIZE, &[size], &[])
    }

    /// What the server makes of the bytes from `offset` on: their sum.
    pub(crate) fn sum(&self, client: &mut Client, offset: u32, len: u32) -> Result<u32> {
        ensure!(
            offset + len <= self.size && len.is_multiple_of(STRIDE),
            "not in the pool"
        );
        let compositor = client.bind("wl_compositor", 1)?;
        let (surface, buffer, frame) = (client.new_id(), client.new_id(), client.new_id());
        client.request(compositor, CREATE_SURFACE, &[surface], &[])?;
        let shape = [buffer, offset, STRIDE / 4, len / STRIDE, STRIDE, XRGB8888];
        client.request(self.id, CREATE_BUFFER, &shape, &[])?;
        client.request(surface, ATTACH, &[buffer, 0, 0], &[])?;
        client.request(surface, FRAME, &[frame], &[])?;
        client.request(surface, COMMIT, &[], &[])?;
        let events = client.sync()?;
        let done = events.iter().find(|event| event.object == frame);
        done.context("the server did not look at the buffer")?
            .word(0)
    }
}

fn a_pool_is_read_and_read_again_as_it_changes(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut client = server.client()?;
    let file = Pool::file(8192, 3)?;
    let pool = Pool::new(&mut client, &file, 8192)?;
    ensure!(pool.sum(&mut client, 0, 8192)? == 3 * 8192);
    file.write_all_at(&[5; 4096], 4096)?;
    ensure!(pool.sum(&mut client, 4096, 4096)? == 5 * 4096);
    client.request(pool.id, DESTROY, &[], &[])?;
    client.sync()?;
    server.stop()
}

fn a_pool_grows_within_its_file(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut client = server.client()?;
    let file = Pool::file(16 * 4096, 1)?;
    let mut pool = Pool::new(&mut client, &file, 4096)?;
    ensure!(pool.sum(&mut client, 0, 4096)? == 4096);
    pool.resize(&mut client, 16 * 4096)?;
    ensure!(pool.sum(&mut client, 0, 16 * 4096)? == 16 * 4096);
    server.stop()
}

fn a_pool_grows_with_its_file(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut client = server.client()?;
    let file = Pool::file(4096, 1)?;
    let mut pool = Pool::new(&mut client, &file, 4096)?;
    ensure!(pool.sum(&mut client, 0, 4096)? == 4096);
    file.write_all_at(&[2; 4096], 4096)?;
    pool.resize(&mut client, 2 * 4096)?;
    ensure!(pool.sum(&mut client, 0, 2 * 4096)? == 3 * 4096);
    server.stop()
}

fn a_pool_that_is_longer_than_its_file_costs_its_client_only(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut neighbour = server.client()?;
    let mut client = server.client()?;
    let file = Pool::file(4096, 1)?;
    let mut pool = Pool::new(&mut client, &file, 4096)?;
    pool.resize(&mut client, 64 * 4096)?;
    let error = client.protocol_error(|client| pool.sum(client, 0, 64 * 4096))?;
    ensure!(error.contains("failed mremap"), "{error}");
    client.wait_closed()?;
    neighbour.sync()?;
    server.stop()
}

fn a_pool_that_was_never_as_long_as_it_said_costs_its_client_only(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut neighbour = server.client()?;
    let mut client = server.client()?;
    let pool = Pool::new(&mut client, &Pool::file(4096, 1)?, 64 * 4096)?;
    // The server's handler of SIGBUS maps zeroes, and the client gets a protocol error.
    let error = client.protocol_error(|client| pool.sum(client, 0, 64 * 4096))?;
    ensure!(error.contains("mmap") || error.contains("SHM"), "{error}");
    client.wait_closed()?;
    neighbour.sync()?;
    server.stop()
}

fn a_descriptor_that_is_no_memory_costs_its_client_only(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut neighbour = server.client()?;
    let mut client = server.client()?;
    let (reader, _writer) = nix::unistd::pipe()?;
    let not_memory = File::from(reader);
    let pool = Pool::new(&mut client, &not_memory, 4096)?;
    let error = client.protocol_error(|client| pool.sum(client, 0, 4096))?;
    ensure!(error.contains("mmap") || error.contains("SHM"), "{error}");
    neighbour.sync()?;
    server.stop()
}
