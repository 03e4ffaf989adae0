//! Shared memory: created here, received from peers, seen by the guest.
//!
//! Two rules keep the guest's mapping harmless. A mapped file can never become
//! shorter, because an access past its end is a fault no virtual machine survives.
//! And memory the guest must not change is never mapped at all: no frontend is
//! known to enforce a read-only mapping, so the guest gets its own copy.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::sys::stat::fstat;
use nix::sys::statfs::fstatfs;

use virtio_wl::limits::MAX_GROWTHS;

use super::account::{AccountError, MemoryAccount};
use super::window::{PAGE, Window};

mod block;
mod files;
mod mappings;
mod source;
#[cfg(test)]
mod tests;

pub use block::Block;
use block::{FileId, Place, clear};
pub use files::{cannot_shrink, create_sealed};
use files::{
    copy_bytes, create, is_write_sealed, never_blocks, seal, seal_against_shrinking, size_of_file,
};
use mappings::{MAX_IDLE, MAX_IDLE_BYTES, PeerMapping};
pub use source::MemfdServer;

/// Most bytes of a copy. What has to be copied is small (keymaps, tables of formats,
/// cursors); a worker that copies does nothing else meanwhile.
const MAX_COPY: u64 = 64 << 20;

/// Makes a file visible to the guest, in the shared memory region.
pub trait MemoryPort: Send + Sync {
    /// Maps the first `len` bytes of `fd` at `offset` of the region. Both are whole pages.
    ///
    /// # Errors
    /// Whatever kept the guest from seeing it; `QuotaExceeded` when there are too many
    /// mappings.
    fn map(&self, fd: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()>;

    /// Undoes [`MemoryPort::map`].
    ///
    /// # Errors
    /// The range must then not be used again.
    fn unmap(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Whether the guest sees already what was mapped at `offset`. What tells it of the
    /// mapping waits until then; somebody starts a turn when this changes.
    fn is_visible(&self, _offset: u64) -> bool {
        true
    }
}

/// Where new guest memory comes from.
pub trait MemorySource: Send {
    /// A file of exactly `size` bytes that can neither shrink nor grow, and is
    /// not executable.
    ///
    /// # Errors
    /// When a quota or the host's memory is used up.
    fn create(&mut self, size: u64) -> io::Result<OwnedFd>;
}

/// Why memory was not made.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Empty, larger than 32 bits can say, or not sizeable at all.
    #[error("memory of {0} bytes cannot be shared")]
    Size(u64),
    /// The VM holds too much already.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// No free range in the region.
    #[error("no room for {0} bytes in the shared memory region")]
    WindowFull(u64),
    /// Each growth takes another mapping.
    #[error("memory has grown more than {MAX_GROWTHS} times")]
    Growths,
    /// By policy, a copy is not wanted.
    #[error("memory that cannot be sealed against shrinking is refused")]
    Refused,
    /// Reading it could block for as long as some file server likes.
    #[error("memory on a file system of type {0:#x} is not read")]
    FileSystem(i64),
    /// The host or the frontend failed.
    #[error("memory operation failed")]
    Io(#[from] io::Error),
}

impl From<nix::Error> for MemoryError {
    fn from(e: nix::Error) -> Self {
        MemoryError::Io(e.into())
    }
}

/// What to do with writable memory that cannot be sealed against shrinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ForeignMemory {
    /// Give the guest a copy as of now.
    #[default]
    Copy,
    /// Give it a dead VFD.
    Refuse,
}

/// All memory of one guest: the region and the files in it.
pub struct MemoryStore {
    window: Window,
    port: Arc<dyn MemoryPort>,
    source: Option<Box<dyn MemorySource>>,
    account: Arc<MemoryAccount>,
    foreign: ForeignMemory,
    idle: VecDeque<Block>,
    /// Mapped for nobody any more. To unmap takes the frontend's time, and a process that ends
    /// closes everything at once: it is done bit by bit.
    doomed: VecDeque<(Place, Option<FileId>)>,
    /// A peer that sends the same file again and again must not fill the region.
    /// By file and mapped length.
    peers: HashMap<(FileId, u64), PeerMapping>,
    mapped_bytes: u64,
    mappings: u64,
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore")
            .field("window", &self.window)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// A store for a region of `window` bytes. Without `source`, memory is made
    /// here and charged to `quota`.
    #[must_use]
    pub fn new(
        window: u64,
        port: Arc<dyn MemoryPort>,
        source: Option<Box<dyn MemorySource>>,
        account: Arc<MemoryAccount>,
        foreign: ForeignMemory,
    ) -> Self {
        MemoryStore {
            window: Window::new(window),
            port,
            source,
            account,
            foreign,
            idle: VecDeque::new(),
            doomed: VecDeque::new(),
            peers: HashMap::new(),
            mapped_bytes: 0,
            mappings: 0,
        }
    }

    /// New zeroed memory of `size` bytes rounded up to pages, visible to the guest.
    ///
    /// # Errors
    /// [`MemoryError`]; nothing is held then.
    pub fn allocate(&mut self, size: u64) -> Result<Block, MemoryError> {
        let len = pages(size)?;
        if let Some(at) = self.idle.iter().position(|block| block.len == len)
            && let Some(block) = self.idle.remove(at)
        {
            return Ok(block);
        }
        let fd = match &mut self.source {
            Some(source) => source.create(len)?,
            None => self.create(len, |_| Ok(()))?,
        };
        let mut block = Block {
            fd: Arc::new(fd),
            size: len,
            len,
            offset: None,
            shared: false,
            file: None,
            older: Vec::new(),
        };
        self.expose(&mut block)?;
        Ok(block)
    }

    /// Memory from a peer: mapped when that is safe, else copied.
    ///
    /// # Errors
    /// [`MemoryError`]. The caller tells the guest that there is something it
    /// cannot have.
    pub fn adopt(&mut self, fd: Arc<OwnedFd>, writable: bool) -> Result<Block, MemoryError> {
        let size = size_of_file(&fd)?;
        let len = pages(size)?;
        // The size from before the seal may be stale.
        if writable && size == len && seal_against_shrinking(&fd) && size_of_file(&fd)? >= len {
            return self.share(fd, len);
        }
        if writable && self.foreign == ForeignMemory::Refuse && !is_write_sealed(&fd) {
            return Err(MemoryError::Refused);
        }
        self.copy(&fd, size, len)
    }

    fn share(&mut self, fd: Arc<OwnedFd>, len: u64) -> Result<Block, MemoryError> {
        let stat = fstat(&fd)?;
        let id = (stat.st_dev, stat.st_ino);
        let offset = self.expose_peer(&fd, id, len)?;
        Ok(Block {
            fd,
            size: len,
            len,
            offset: Some(offset),
            shared: true,
            file: Some(id),
            older: Vec::new(),
        })
    }

    /// Looks whether a peer has made its file larger, and shows the guest all of it, at a new
    /// place: nothing can take the place of a mapping that the guest may be using.
    ///
    /// Whole pages only, as the rest of a page behind the end of a file cannot be mapped. What was
    /// made or copied here is sealed and stays as it is.
    ///
    /// # Errors
    /// [`MemoryError`]; the block is as before then.
    pub fn refresh(&mut self, block: &mut Block) -> Result<(), MemoryError> {
        let (Some(id), Some(offset)) = (block.file, block.offset) else {
            return Ok(());
        };
        let size = size_of_file(&block.fd)?;
        let len = size - size % PAGE;
        if len <= block.len {
            return Ok(());
        }
        pages(len)?;
        if block.older.len() == MAX_GROWTHS {
            return Err(MemoryError::Growths);
        }
        let grown = self.expose_peer(&block.fd, id, len)?;
        block.older.push(Place {
            offset,
            len: block.len,
        });
        block.offset = Some(grown);
        block.len = len;
        block.size = len;
        Ok(())
    }

    /// Takes a block back: its mapping ends, or waits for the next of its size.
    ///
    /// With the last memory that is in use all mappings end: a driver that is about to leave gives
    /// all memory back first, and QEMU 11.1 dies when a device with mappings is started anew.
    pub fn release(&mut self, mut block: Block) {
        if !block.shared && block.offset.is_some() && self.source.is_none() && clear(&block) {
            self.idle.push_back(block);
            while self.idle.len() > MAX_IDLE || self.idle_bytes() > MAX_IDLE_BYTES {
                self.retire();
            }
        } else {
            self.hide(&mut block);
        }
        if self.is_leaving() {
            self.clear();
        }
    }

    fn copy(&mut self, from: &OwnedFd, size: u64, len: u64) -> Result<Block, MemoryError> {
        if size > MAX_COPY {
            return Err(MemoryError::Size(size));
        }
        let fs = fstatfs(from)?.filesystem_type();
        if !never_blocks(fs) {
            return Err(MemoryError::FileSystem(fs.0 as i64));
        }
        let fd = self.create(len, |fd| copy_bytes(from, fd, size))?;
        let mut block = Block {
            fd: Arc::new(fd),
            size,
            len,
            offset: None,
            shared: true,
            file: None,
            older: Vec::new(),
        };
        self.expose(&mut block)?;
        Ok(block)
    }

    /// Makes memory on the guest's account.
    fn create(
        &mut self,
        len: u64,
        fill: impl FnOnce(&OwnedFd) -> Result<(), MemoryError>,
    ) -> Result<OwnedFd, MemoryError> {
        let reservation = loop {
            match self.account.reserve(len) {
                Ok(reservation) => break reservation,
                Err(_) if self.evict() => {}
                Err(e) => return Err(e.into()),
            }
        };
        let fd = create(len)?;
        fill(&fd)?;
        seal(&fd)?;
        self.account.follow(fd.as_fd(), reservation)?;
        Ok(fd)
    }
}

/// Page-rounded length of memory that can be described in 32 bits.
fn pages(size: u64) -> Result<u64, MemoryError> {
    if size == 0 || size > u64::from(u32::MAX) {
        return Err(MemoryError::Size(size));
    }
    let len = size.next_multiple_of(PAGE);
    // A whole 4 GiB fits no region that also has an address for "none".
    if len > u64::from(u32::MAX) {
        return Err(MemoryError::Size(size));
    }
    Ok(len)
}
