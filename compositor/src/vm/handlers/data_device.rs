//! wl_data_device: clipboard and drag and drop, within one VM.

use smithay::wayland::selection::SelectionHandler;
use smithay::wayland::selection::data_device::{
    ClientDndGrabHandler, DataDeviceHandler, DataDeviceState, ServerDndGrabHandler,
};

use super::super::state::VmState;

impl SelectionHandler for VmState {
    type SelectionUserData = ();
}

impl DataDeviceHandler for VmState {
    fn data_device_state(&self) -> &DataDeviceState {
        &self.data_device
    }
}

impl ClientDndGrabHandler for VmState {}

impl ServerDndGrabHandler for VmState {}

smithay::delegate_data_device!(VmState);
