//! One virtqueue, seen from the device.
//!
//! The ring's own lock is held for single steps only, never while a request is
//! carried out: the frontend may need it to stop the ring while the device waits
//! for that very frontend to map memory.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use vhost_user_backend::{VringMutex, VringT};
use virtio_queue::{DescriptorChain, Queue, QueueOwnedT, QueueT};
use vm_memory::{Address, Bytes, GuestAddress, GuestMemoryAtomic, GuestMemoryMmap};

use super::counters::QueueCounters;

/// Guest memory as it was when the turn began, already checked not to shrink.
pub type Memory = GuestMemoryMmap<()>;

/// The kind of virtqueue the vhost-user crate hands us.
pub type Vring = VringMutex<GuestMemoryAtomic<Memory>>;

/// A chain of buffers.
pub type Chain<'a> = DescriptorChain<&'a Memory>;

/// The ring breaks the rules of virtio, or lies outside guest memory.
#[derive(Debug, thiserror::Error)]
#[error("the guest broke its virtqueue")]
pub struct Broken(#[from] virtio_queue::Error);

/// How often the frontend has stopped a ring.
///
/// It may stop and start rings, even for another driver, while a turn is under way.
/// The rest of such a turn must not touch them: what it knows belongs to before.
#[derive(Debug, Default)]
pub struct Stops(AtomicU64);

impl Stops {
    /// A ring was stopped (its own flag says so already).
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// How often, so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What the device remembers of a ring from turn to turn.
#[derive(Debug, Default)]
pub struct RingState {
    /// Index of the next chain to be taken, as the device left it.
    pub taken: u16,
    /// Chains, with the bytes written to them, that the ring was stopped under. They
    /// are given back if the same driver starts it again.
    owed: Vec<(u16, u32)>,
}

impl RingState {
    /// That of a ring that begins at `taken`.
    #[must_use]
    pub fn at(taken: u16) -> Self {
        RingState {
            taken,
            owed: Vec::new(),
        }
    }
}

/// A virtqueue during one turn.
pub struct Ring<'a> {
    vring: &'a Vring,
    mem: &'a Memory,
    counters: &'a QueueCounters,
    stops: &'a Stops,
    /// [`Stops::count`] when the turn began.
    epoch: u64,
    state: RefCell<RingState>,
    /// Something was given back that the guest has not been told of.
    pushed: Cell<bool>,
}

impl std::fmt::Debug for Ring<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("counters", self.counters)
            .finish_non_exhaustive()
    }
}

impl<'a> Ring<'a> {
    /// The ring over `mem`, until `stops` counts more than `epoch`.
    #[must_use]
    pub fn new(
        vring: &'a Vring,
        mem: &'a Memory,
        counters: &'a QueueCounters,
        (stops, epoch): (&'a Stops, u64),
        state: RingState,
    ) -> Self {
        Ring {
            vring,
            mem,
            counters,
            stops,
            epoch,
            state: RefCell::new(state),
            pushed: Cell::new(false),
        }
    }

    /// Ends the turn.
    #[must_use]
    pub fn into_state(self) -> RingState {
        self.state.into_inner()
    }

    /// Gives back what a stopped ring could not take.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn settle(&self) -> Result<(), Broken> {
        let owed = std::mem::take(&mut self.state.borrow_mut().owed);
        owed.into_iter()
            .try_for_each(|(head, len)| self.push(head, len))
    }

    /// Guest memory.
    #[must_use]
    pub fn memory(&self) -> &'a Memory {
        self.mem
    }

    /// Takes the next available chain; `None` when there is none or the ring is stopped.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn pop(&self) -> Result<Option<Chain<'a>>, Broken> {
        self.live(None, |queue, mem| Ok(queue.iter(mem)?.next()))
    }

    /// Gives a chain back with `len` bytes written.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn push(&self, head: u16, len: u32) -> Result<(), Broken> {
        let given = self.live(false, |queue, mem| {
            queue.add_used(mem, head, len)?;
            Ok(true)
        })?;
        if given {
            self.pushed.set(true);
        } else {
            self.state.borrow_mut().owed.push((head, len));
        }
        Ok(())
    }

    /// Notifies the guest of what was pushed, if it wants to know. Once per batch.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn notify(&self) -> Result<(), Broken> {
        // Without EVENT_IDX every look says yes.
        if !self.pushed.replace(false) {
            return Ok(());
        }
        let wanted = self.live(false, |queue, mem| Ok(queue.needs_notification(mem)?))?;
        if wanted {
            QueueCounters::count(&self.counters.interrupts);
            if let Err(error) = self.vring.signal_used_queue() {
                tracing::warn!(%error, "cannot notify the guest");
            }
        }
        Ok(())
    }

    /// Asks for no notifications (a hint where EVENT_IDX is in force: there they
    /// stay off by themselves after each one).
    ///
    /// # Errors
    /// [`Broken`].
    pub fn disable_kicks(&self) -> Result<(), Broken> {
        self.live((), |queue, mem| Ok(queue.disable_notification(mem)?))
    }

    /// Asks for a notification of the next buffer. True: there is one already.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn enable_kicks(&self) -> Result<bool, Broken> {
        self.live(false, |queue, mem| Ok(queue.enable_notification(mem)?))
    }

    /// Asks for a notification of the first buffer posted after `index`. True:
    /// there is one already.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn kick_after(&self, index: u16) -> Result<bool, Broken> {
        self.live(false, |queue, mem| {
            // Same word and fence as `enable_notification`, which can only ask
            // for what follows the next chain to be taken.
            let taken = queue.next_avail();
            queue.set_next_avail(index);
            let more = queue.enable_notification(mem);
            queue.set_next_avail(taken);
            Ok(more?)
        })
    }

    /// Looks at the first buffer of each chain that became available since
    /// `scanned`, without taking it. Returns the index up to which it looked.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn scan(&self, scanned: u16, mut seen: impl FnMut(u64)) -> Result<u16, Broken> {
        self.live(scanned, |queue, mem| {
            let end = queue.avail_idx(mem, Ordering::Acquire)?.0;
            if end.wrapping_sub(queue.next_avail()) > queue.size() {
                return Err(virtio_queue::Error::InvalidAvailRingIndex.into());
            }
            let mut at = scanned;
            while at != end && end.wrapping_sub(at) <= queue.size() {
                if let Some(address) = first_address(queue, mem, at) {
                    seen(address);
                }
                at = at.wrapping_add(1);
            }
            Ok(end)
        })
    }

    /// Whether the frontend has started and enabled it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live(false, |_, _| Ok(true)).unwrap_or(false)
    }

    /// Index of the next chain to be taken.
    #[must_use]
    pub fn next_avail(&self) -> u16 {
        self.state.borrow().taken
    }

    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.vring.get_ref().get_queue().size()
    }

    /// Number of chains that can be taken.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn available(&self) -> Result<u16, Broken> {
        self.live(0, |queue, mem| {
            let end = queue.avail_idx(mem, Ordering::Acquire)?.0;
            let count = end.wrapping_sub(queue.next_avail());
            if count > queue.size() {
                return Err(virtio_queue::Error::InvalidAvailRingIndex.into());
            }
            Ok(count)
        })
    }

    /// Lets the operator see the ring's state.
    pub fn publish(&self) {
        let state = self.vring.get_ref();
        let queue = state.get_queue();
        let counters = self.counters;
        let size = if queue.ready() { queue.size() } else { 0 };
        counters.size.store(size, Ordering::Relaxed);
        counters
            .next_avail
            .store(queue.next_avail(), Ordering::Relaxed);
        counters
            .next_used
            .store(queue.next_used(), Ordering::Relaxed);
        counters
            .avail_ring
            .store(queue.avail_ring(), Ordering::Relaxed);
        counters
            .used_ring
            .store(queue.used_ring(), Ordering::Relaxed);
        let kick = state
            .get_kick()
            .as_ref()
            .map_or(-1, std::os::fd::AsRawFd::as_raw_fd);
        counters.kick_fd.store(kick, Ordering::Relaxed);
    }

    /// Runs one step under the ring's lock, or returns `otherwise` when the
    /// frontend has stopped the ring.
    fn live<T>(
        &self,
        otherwise: T,
        step: impl FnOnce(&mut Queue, &'a Memory) -> Result<T, Broken>,
    ) -> Result<T, Broken> {
        let mut state = self.vring.get_mut();
        let live = state.is_enabled() && state.get_queue().ready();
        if !live || self.stops.count() != self.epoch {
            return Ok(otherwise);
        }
        let result = step(state.get_queue_mut(), self.mem);
        self.state.borrow_mut().taken = state.get_queue().next_avail();
        result
    }
}

/// Whether the frontend has started and enabled a ring.
#[must_use]
pub fn is_live(vring: &Vring) -> bool {
    let state = vring.get_ref();
    state.is_enabled() && state.get_queue().ready()
}

/// Address of the first buffer of the available chain at ring position `index`.
fn first_address(queue: &Queue, mem: &Memory, index: u16) -> Option<u64> {
    /// Flags and index precede the entries of the available ring.
    const ENTRIES: u64 = 4;
    /// A descriptor begins with its address and is this long.
    const DESCRIPTOR: u64 = 16;
    let position = u64::from(index % queue.size());
    let entry = GuestAddress(queue.avail_ring()).checked_add(ENTRIES + 2 * position)?;
    let head = u16::from_le(mem.load(entry, Ordering::Acquire).ok()?);
    if head >= queue.size() {
        return None;
    }
    let at = GuestAddress(queue.desc_table()).checked_add(DESCRIPTOR * u64::from(head))?;
    mem.read_obj::<u64>(at).ok().map(u64::from_le)
}

/// Copies the readable part of a chain into `out`, at most `limit` bytes.
///
/// False: it is longer, lies outside guest memory, or has a readable buffer
/// behind a writable one.
pub fn read_chain(chain: Chain<'_>, limit: usize, out: &mut Vec<u8>) -> bool {
    out.clear();
    let mem = chain.memory();
    let mut writable_seen = false;
    for descriptor in chain.clone() {
        if descriptor.is_write_only() {
            writable_seen = true;
            continue;
        }
        let Ok(len) = usize::try_from(descriptor.len()) else {
            return false;
        };
        if writable_seen || len > limit - out.len() {
            return false;
        }
        let start = out.len();
        out.resize(start + len, 0);
        if mem
            .read_slice(&mut out[start..], descriptor.addr())
            .is_err()
        {
            return false;
        }
    }
    true
}

/// Bytes the writable part of a chain can hold, counted up to `enough`.
pub fn writable_len(chain: Chain<'_>, enough: usize) -> usize {
    let mut len = 0usize;
    for descriptor in chain.writable() {
        len = len.saturating_add(descriptor.len() as usize);
        if len >= enough {
            break;
        }
    }
    len
}

/// Writes `bytes` to the writable part of a chain; returns how many fit.
pub fn write_chain(chain: Chain<'_>, bytes: &[u8]) -> u32 {
    let mem: &Memory = chain.memory();
    let mut written = 0usize;
    for descriptor in chain.clone().writable() {
        let left = &bytes[written..];
        if left.is_empty() {
            break;
        }
        let len = left.len().min(descriptor.len() as usize);
        if mem.write_slice(&left[..len], descriptor.addr()).is_err() {
            break;
        }
        written += len;
    }
    u32::try_from(written).unwrap_or(0)
}
