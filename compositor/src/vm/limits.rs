//! What one VM may hold at a time.
//!
//! A client that goes past a limit is disconnected; nobody else notices. The
//! numbers are far above what real sessions use and far below what would hurt
//! the others.

use std::ffi::CString;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smithay::reexports::wayland_server::backend::{ClientId, Handle, ObjectId};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::reexports::wayland_server::{Client, Resource};

use super::state::{ClientState, VmState};

/// Popups of a VM. A menu bar with all submenus open has a dozen.
pub(super) const MAX_POPUPS: usize = 64;

/// Bytes of one wl_shm pool: two buffers of 7680×4320, rounded up. The memory
/// behind it is the client's; this bounds our address space.
pub(super) const MAX_POOL_BYTES: i32 = 512 << 20;

/// Rectangles of damage kept until a commit; more become their bounding box.
pub(super) const MAX_DAMAGE: usize = 64;

/// Commits of a synchronised subsurface without one of its parent. Each
/// is merged into the last, but leaves some damage behind.
pub(super) const MAX_CACHED_COMMITS: u32 = 1024;

/// Rectangles of a region. It is copied at every commit.
pub(super) const MAX_REGION_RECTS: usize = 256;

/// Subsurfaces below one another. Toolkits nest two or three.
pub(super) const MAX_SUBSURFACE_DEPTH: usize = 16;

/// Surfaces of one tree. Each commit of its root looks at all of them.
pub(super) const MAX_TREE: usize = 64;

/// Mime types of a clipboard offer. Office programs offer about thirty.
pub(super) const MAX_MIME_TYPES: usize = 128;

/// Wayland objects of one client. A browser with many tabs has a few thousand.
const MAX_CLIENT_OBJECTS: usize = 1 << 15;

/// Wayland objects of all clients of a VM.
const MAX_VM_OBJECTS: usize = 1 << 17;

/// Dispatches between two counts of objects. Each brings at most one turn's
/// bytes of each client, a few hundred new objects.
const DISPATCHES_PER_COUNT: u32 = 32;

/// Every client's wl_display.
const DISPLAY_ID: u32 = 1;

/// `wl_display.error.no_memory`, for want of a better code.
const NO_MEMORY: u32 = 2;

/// What is counted one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// wl_surface.
    Surface,
    /// xdg_toplevel.
    Toplevel,
    /// wl_shm_pool. Each holds a descriptor and a mapping.
    Pool,
    /// wl_buffer. Each keeps its pool alive.
    Buffer,
    /// wl_keyboard. Each is sent a keymap, which is memory of ours.
    Keyboard,
}

const KINDS: usize = 5;

/// Most of each kind in a VM.
const fn most(kind: Kind) -> u64 {
    match kind {
        Kind::Surface => 4096,
        Kind::Toplevel => 256,
        Kind::Pool => 1024,
        Kind::Buffer => 4096,
        Kind::Keyboard => 512,
    }
}

/// Counts of each kind, of a VM or of one client.
#[derive(Debug, Default)]
pub(super) struct Counts([AtomicU64; KINDS]);

impl Counts {
    fn of(&self, kind: Kind) -> &AtomicU64 {
        &self.0[kind as usize]
    }
}

/// A client's share in its VM's counts; given back when the client's data goes.
#[derive(Debug, Default)]
pub(super) struct Account {
    own: Counts,
    vm: Arc<Counts>,
}

impl Account {
    pub(super) fn new(vm: Arc<Counts>) -> Self {
        Self {
            own: Counts::default(),
            vm,
        }
    }

    /// Counts one more. False if that is too many.
    fn add(&self, kind: Kind) -> bool {
        self.own.of(kind).fetch_add(1, Ordering::Relaxed);
        self.vm.of(kind).fetch_add(1, Ordering::Relaxed) < most(kind)
    }

    fn sub(&self, kind: Kind) {
        self.own.of(kind).fetch_sub(1, Ordering::Relaxed);
        self.vm.of(kind).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        for (own, vm) in self.own.0.iter_mut().zip(&self.vm.0) {
            vm.fetch_sub(*own.get_mut(), Ordering::Relaxed);
        }
    }
}

/// What of a VM is counted now and then.
#[derive(Debug, Default)]
pub(super) struct Census {
    dispatches: u32,
}

impl VmState {
    /// Counts a new object. False if its client is disconnected for it.
    pub(super) fn count(&self, client: &Client, kind: Kind) -> bool {
        let account = client.get_data::<ClientState>().map(|data| &data.account);
        if account.is_none_or(|account| account.add(kind)) {
            return true;
        }
        self.blame_client(client, format_args!("too many objects: {kind:?}"));
        false
    }

    /// Counts an object that is gone. Those of a client that is gone itself
    /// went with its account.
    pub(super) fn uncount(&self, client: ClientId, kind: Kind) {
        let data = self.handle.backend_handle().get_client_data(client);
        if let Ok(data) = data
            && let Some(data) = (*data).downcast_ref::<ClientState>()
        {
            data.account.sub(kind);
        }
    }

    /// Counts all objects from time to time.
    pub(super) fn take_census(&mut self, handle: &Handle) {
        self.census.dispatches += 1;
        if self.census.dispatches < DISPATCHES_PER_COUNT {
            return;
        }
        self.census.dispatches = 0;
        let mut clients = Vec::new();
        handle.with_all_clients(|client| clients.push(client));
        let mut counts: Vec<(usize, ClientId)> = Vec::new();
        for client in clients {
            let mut objects = 0;
            // A client that just died has none.
            let _ = handle.with_all_objects_for(client.clone(), |_| objects += 1);
            counts.push((objects, client));
        }
        counts.sort_by_key(|(objects, _)| *objects);
        let mut all: usize = counts.iter().map(|(objects, _)| objects).sum();
        while let Some((objects, client)) = counts.pop() {
            if objects <= MAX_CLIENT_OBJECTS && all <= MAX_VM_OBJECTS {
                break;
            }
            all -= objects;
            self.blame_id(handle, client, format_args!("{objects} objects"));
        }
    }

    /// Disconnects the client a surface belongs to.
    pub(super) fn blame(&self, surface: &WlSurface, reason: impl Display) {
        if let Some(client) = surface.client() {
            self.blame_client(&client, reason);
        }
    }

    /// Disconnects a client and tells it why.
    pub(super) fn blame_client(&self, client: &Client, reason: impl Display) {
        self.blame_id(&self.handle.backend_handle(), client.id(), reason);
    }

    fn blame_id(&self, handle: &Handle, client: ClientId, reason: impl Display) {
        tracing::warn!(vm = %self.id, %reason, "client is disconnected");
        let mut display = ObjectId::null();
        // An error means that the client is gone, and so is the need.
        let _ = handle.with_all_objects_for(client, |id| {
            if id.protocol_id() == DISPLAY_ID {
                display = id;
            }
        });
        let text = CString::new(reason.to_string()).unwrap_or_default();
        handle.post_error(display, NO_MEMORY, text);
    }
}
