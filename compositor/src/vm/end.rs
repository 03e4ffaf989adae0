//! Taking a VM down.
//!
//! Dropping a display frees its sockets and pools but leaks the data of every
//! surface: handles of a surface kept in its own data form cycles, and only the
//! callbacks of a client's end break them. Grabs hold further ones. So the
//! order below matters; a test counts what is left.

use smithay::reexports::wayland_server::backend::DisconnectReason;

use super::Vm;

impl Vm {
    /// Ends the VM. Its windows must be out of the core already, and its
    /// connections out of the loop. No client can delay this.
    pub(crate) fn end(mut self) {
        let state = &mut self.state;
        let (keyboard, pointer) = (state.input.keyboard(), state.input.pointer());
        let (serial, time) = (state.next_serial(), state.time());
        keyboard.unset_grab(state);
        pointer.unset_grab(state, serial, time);
        state.leave();
        keyboard.set_focus(state, None, serial);

        let mut ids = Vec::new();
        let backend = self.display.backend();
        backend.handle().with_all_clients(|id| ids.push(id));
        for id in ids {
            backend
                .handle()
                .kill_client(id.clone(), DisconnectReason::ConnectionClosed);
            // Runs the callbacks of everything the client had. The error only
            // says that it is gone, which it is.
            let _ = backend.dispatch_single_client(&mut self.state, id);
        }
        self.state.popup_grabs.cleanup();
        self.state.outbox.clear();
        drop(self.state);
        drop(self.display);
    }
}
