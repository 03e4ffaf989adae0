//! One virtual machine as the compositor sees it: a Wayland display of its own.
//!
//! Everything of Wayland and Smithay about a VM's clients stays inside [`Vm`].
//! Object ids of different displays are equal by construction, and a handle of
//! one display used with the seat of another compiles and leaks one VM's data
//! to another; so display, state, seat and outputs are paired here and
//! nowhere else, and callers name windows by [`WindowKey`] only.
//!
//! * `state`, `handlers`: the protocols, one file each
//! * `shadow`, `view`, `tree`, `budget`: copies of client pixels
//! * `window`: toplevels and popups as the core needs them
//! * `seat`: keys and pointer
//! * `limits`: what a VM may hold
//! * `end`: taking it all down without leaving anything

mod budget;
mod end;
mod event;
mod frame;
mod handlers;
mod limits;
mod output;
mod seat;
mod shadow;
mod state;
mod tree;
mod view;
mod window;

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use smithay::reexports::wayland_server::Display;
use smithay::wayland::compositor::CompositorClientState;

pub(crate) use event::VmEvent;
#[cfg(test)]
#[allow(unused_imports, reason = "for the tests of the whole compositor")]
pub(crate) use state::live_surfaces;

use crate::core::{Rect, Size, VmId, WindowKey};
use crate::label::{Colour, VmName};
use crate::render::element::SceneElement;
use limits::Account;
use state::{ClientState, VmState};

/// Bytes of events a client may leave unread in this process, on top of the
/// socket's own buffer, before it is disconnected.
const MAX_UNREAD_BYTES: usize = 1 << 20;

/// A VM's display. Must be taken down by [`Vm::end`].
pub(crate) struct Vm {
    name: VmName,
    colour: Colour,
    display: Display<VmState>,
    state: VmState,
}

impl Vm {
    /// A display without clients.
    pub(crate) fn new(
        id: VmId,
        name: VmName,
        colour: Colour,
        monitor: Size,
    ) -> anyhow::Result<Self> {
        let display = Display::new()?;
        display
            .handle()
            .set_default_max_buffer_size(MAX_UNREAD_BYTES);
        let state = VmState::new(&display.handle(), id, monitor)?;
        Ok(Self {
            name,
            colour,
            display,
            state,
        })
    }

    pub(crate) fn name(&self) -> &VmName {
        &self.name
    }

    pub(crate) fn colour(&self) -> Colour {
        self.colour
    }

    /// Takes a client in.
    pub(crate) fn insert(&mut self, stream: UnixStream) -> io::Result<()> {
        let data = Arc::new(ClientState {
            compositor: CompositorClientState::default(),
            account: Account::new(Arc::clone(&self.state.counts)),
            departures: Arc::clone(&self.state.departures),
        });
        self.display.handle().insert_client(stream, data)?;
        Ok(())
    }

    /// Handles what clients sent and tells what came of it.
    pub(crate) fn dispatch(&mut self) -> Vec<VmEvent> {
        if let Err(error) = self.display.dispatch_clients(&mut self.state) {
            tracing::error!(vm = %self.name, %error, "cannot read from clients");
        }
        for client in self.state.departures.take() {
            // Runs the callbacks of its objects, if that is still to be done.
            // The error only says that it is gone.
            let _ = self
                .display
                .backend()
                .dispatch_single_client(&mut self.state, client);
        }
        let handle = self.display.backend().handle();
        self.state.take_census(&handle);
        self.state.update_touched();
        std::mem::take(&mut self.state.outbox)
    }

    /// Sends what is meant for clients.
    pub(crate) fn flush(&mut self) {
        if let Err(error) = self.display.flush_clients() {
            tracing::error!(vm = %self.name, %error, "cannot write to clients");
        }
    }

    /// The elements of a window, top first, its content at `content`.
    pub(crate) fn elements(&self, key: WindowKey, content: Rect, out: &mut Vec<SceneElement>) {
        self.state.elements(key, content, out);
    }

    /// The elements of one of its popups, counted from the bottom.
    pub(crate) fn popup_elements(
        &self,
        key: WindowKey,
        index: usize,
        content: Rect,
        out: &mut Vec<SceneElement>,
    ) {
        self.state.popup_elements(key, index, content, out);
    }

    /// Title and application id of a window, as the client gave them.
    pub(crate) fn titles(&self, key: WindowKey) -> (String, String) {
        self.state.titles(key)
    }

    /// True if a client waits for a frame: for its callback or for its copy.
    pub(crate) fn wants_frame(&self) -> bool {
        self.state.wants_frame
    }

    /// A frame was drawn: a new share of copies, and callbacks for everybody.
    pub(crate) fn frame_done(&mut self) -> Vec<VmEvent> {
        self.state.frame_done();
        std::mem::take(&mut self.state.outbox)
    }

    /// The monitor has another size now.
    pub(crate) fn set_monitor(&mut self, size: Size) {
        self.state.set_monitor(size);
    }

    /// Asks a window to take another size.
    pub(crate) fn configure(&mut self, key: WindowKey, size: Size, resizing: bool) {
        self.state.configure(key, size, resizing);
    }

    /// The room popups of a window may use, relative to its content.
    pub(crate) fn set_work_area(&mut self, key: WindowKey, area: Rect) {
        self.state.set_work_area(key, area);
    }
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vm")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
