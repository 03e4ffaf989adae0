//! What a VM's protocol handlers work on.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use smithay::desktop::PopupManager;
use smithay::input::{Seat, SeatState};
use smithay::reexports::wayland_server::DisplayHandle;
use smithay::reexports::wayland_server::backend::{ClientData, ClientId, DisconnectReason};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::Serial;
use smithay::wayland::compositor::{CompositorClientState, CompositorState};
use smithay::wayland::selection::data_device::DataDeviceState;
use smithay::wayland::shell::xdg::XdgShellState;
use smithay::wayland::shell::xdg::decoration::XdgDecorationState;
use smithay::wayland::shm::ShmState;
use smithay::wayland::viewporter::ViewporterState;

use super::budget::Budget;
use super::event::VmEvent;
use super::handlers::globals;
use super::limits::{Account, Census, Counts};
use super::output::VmOutput;
use super::seat::Input;
use super::window::Windows;
use crate::core::{Size, VmId};

/// One VM's half of every protocol.
pub(super) struct VmState {
    pub(super) id: VmId,
    pub(super) handle: DisplayHandle,
    pub(super) compositor: CompositorState,
    pub(super) shm: ShmState,
    pub(super) xdg_shell: XdgShellState,
    pub(super) data_device: DataDeviceState,
    pub(super) seat_state: SeatState<VmState>,
    pub(super) seat: Seat<VmState>,
    pub(super) output: VmOutput,
    pub(super) popup_grabs: PopupManager,
    pub(super) windows: Windows,
    pub(super) input: Input,
    pub(super) budget: Budget,
    pub(super) outbox: Vec<VmEvent>,
    /// Surfaces with commits that windows have not been looked at for.
    pub(super) touched: HashSet<WlSurface>,
    /// What all clients together hold.
    pub(super) counts: Arc<Counts>,
    pub(super) departures: Arc<Departures>,
    pub(super) census: Census,
    /// Surfaces with frame callbacks or with a copy to catch up on exist.
    pub(super) wants_frame: bool,
    start: Instant,
}

impl VmState {
    pub(super) fn new(handle: &DisplayHandle, id: VmId, monitor: Size) -> anyhow::Result<Self> {
        let mut seat_state = SeatState::new();
        let mut seat = seat_state.new_wl_seat(handle, "seat0");
        let input = Input::new(&mut seat)?;
        // These two only announce their globals.
        XdgDecorationState::new::<Self>(handle);
        ViewporterState::new::<Self>(handle);
        Ok(Self {
            id,
            handle: handle.clone(),
            compositor: CompositorState::new::<Self>(handle),
            shm: ShmState::new::<Self>(handle, []),
            xdg_shell: globals::xdg_shell(handle),
            data_device: DataDeviceState::new::<Self>(handle),
            output: VmOutput::new(handle, monitor),
            seat_state,
            seat,
            popup_grabs: PopupManager::default(),
            windows: Windows::default(),
            input,
            budget: Budget::default(),
            outbox: Vec::new(),
            touched: HashSet::new(),
            counts: Arc::default(),
            departures: Arc::default(),
            census: Census::default(),
            wants_frame: false,
            start: Instant::now(),
        })
    }

    /// Milliseconds for event timestamps; they wrap around.
    pub(super) fn time(&self) -> u32 {
        self.start.elapsed().as_millis() as u32
    }

    /// A serial for an input event that is really sent.
    ///
    /// Smithay's own counter is shared by the process: from its gaps one VM
    /// could read how fast the user types in another.
    pub(super) fn next_serial(&mut self) -> Serial {
        self.input.next_serial()
    }
}

thread_local! {
    /// Surfaces whose data exists, of all VMs on this thread, which has the only loop.
    /// Must be 0 once all VMs ended.
    static LIVE_SURFACES: Cell<usize> = const { Cell::new(0) };
}

/// Surfaces whose data exists, of all VMs on this thread.
#[cfg(test)]
pub(crate) fn live_surfaces() -> usize {
    LIVE_SURFACES.get()
}

/// Put into the data of each surface to count it.
#[derive(Debug)]
pub(super) struct LiveSurface(());

impl LiveSurface {
    pub(super) fn new() -> Self {
        LIVE_SURFACES.set(LIVE_SURFACES.get() + 1);
        Self(())
    }
}

impl Drop for LiveSurface {
    fn drop(&mut self) {
        // Gone already when the thread itself ends: nobody counts then.
        let _ = LIVE_SURFACES.try_with(|live| live.set(live.get() - 1));
    }
}

/// What is kept with each client.
#[derive(Debug, Default)]
pub(super) struct ClientState {
    pub(super) compositor: CompositorClientState,
    pub(super) account: Account,
    pub(super) departures: Arc<Departures>,
}

/// Clients that are gone, or were dropped while something was sent to them.
/// The backend frees the latter only when it next reads from a client.
#[derive(Debug, Default)]
pub(super) struct Departures(Mutex<Vec<ClientId>>);

impl Departures {
    fn note(&self, client: ClientId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(client);
    }

    /// Takes those noted since the last call.
    pub(super) fn take(&self) -> Vec<ClientId> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientData for ClientState {
    fn disconnected(&self, client: ClientId, reason: DisconnectReason) {
        tracing::debug!(?client, ?reason, "client is gone");
        self.departures.note(client);
    }
}

#[cfg(test)]
mod tests;
