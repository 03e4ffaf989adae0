//! wl_data_device: clipboard and drag and drop, within one VM.

use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::wl_data_device::WlDataDevice;
use smithay::reexports::wayland_server::protocol::wl_data_device_manager::WlDataDeviceManager;
use smithay::reexports::wayland_server::protocol::wl_data_source::{self, WlDataSource};
use smithay::reexports::wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, delegate_dispatch, delegate_global_dispatch,
};
use smithay::wayland::selection::SelectionHandler;
use smithay::wayland::selection::data_device::{
    ClientDndGrabHandler, DataDeviceHandler, DataDeviceState, DataDeviceUserData,
    DataSourceUserData, ServerDndGrabHandler, with_source_metadata,
};

use super::super::limits::MAX_MIME_TYPES;
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

impl Dispatch<WlDataSource, DataSourceUserData> for VmState {
    fn request(
        state: &mut Self,
        client: &Client,
        source: &WlDataSource,
        request: wl_data_source::Request,
        data: &DataSourceUserData,
        handle: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let offers = with_source_metadata(source, |metadata| metadata.mime_types.len());
        if offers.is_ok_and(|offers| offers > MAX_MIME_TYPES) {
            return state.blame_client(client, "too many mime types");
        }
        <DataDeviceState as Dispatch<WlDataSource, DataSourceUserData, Self>>::request(
            state, client, source, request, data, handle, init,
        );
    }

    fn destroyed(
        state: &mut Self,
        client: ClientId,
        source: &WlDataSource,
        data: &DataSourceUserData,
    ) {
        <DataDeviceState as Dispatch<WlDataSource, DataSourceUserData, Self>>::destroyed(
            state, client, source, data,
        );
    }
}

delegate_global_dispatch!(VmState: [WlDataDeviceManager: ()] => DataDeviceState);
delegate_dispatch!(VmState: [WlDataDeviceManager: ()] => DataDeviceState);
delegate_dispatch!(VmState: [WlDataDevice: DataDeviceUserData] => DataDeviceState);
