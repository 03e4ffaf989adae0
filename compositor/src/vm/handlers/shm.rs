//! wl_shm.

use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer;
use smithay::wayland::buffer::BufferHandler;
use smithay::wayland::shm::{ShmHandler, ShmState};

use super::super::state::VmState;

impl BufferHandler for VmState {
    fn buffer_destroyed(&mut self, _buffer: &WlBuffer) {}
}

impl ShmHandler for VmState {
    fn shm_state(&self) -> &ShmState {
        &self.shm
    }
}

smithay::delegate_shm!(VmState);
