//! wl_shm.

use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer;
use smithay::reexports::wayland_server::protocol::wl_shm::{self, WlShm};
use smithay::reexports::wayland_server::protocol::wl_shm_pool::{self, WlShmPool};
use smithay::reexports::wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, Resource, delegate_global_dispatch,
};
use smithay::wayland::buffer::BufferHandler;
use smithay::wayland::shm::{ShmBufferUserData, ShmHandler, ShmPoolUserData, ShmState};

use super::super::limits::{Kind, MAX_POOL_BYTES};
use super::super::state::VmState;

impl BufferHandler for VmState {
    fn buffer_destroyed(&mut self, _buffer: &WlBuffer) {}
}

impl ShmHandler for VmState {
    fn shm_state(&self) -> &ShmState {
        &self.shm
    }
}

impl Dispatch<WlShm, ()> for VmState {
    fn request(
        state: &mut Self,
        client: &Client,
        shm: &WlShm,
        request: wl_shm::Request,
        data: &(),
        handle: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let wl_shm::Request::CreatePool { size, .. } = &request {
            if *size > MAX_POOL_BYTES {
                return state.blame_client(client, "pool is too large");
            }
            if !state.count(client, Kind::Pool) {
                return;
            }
        }
        <ShmState as Dispatch<WlShm, (), Self>>::request(
            state, client, shm, request, data, handle, init,
        );
    }
}

impl Dispatch<WlShmPool, ShmPoolUserData> for VmState {
    fn request(
        state: &mut Self,
        client: &Client,
        pool: &WlShmPool,
        request: wl_shm_pool::Request,
        data: &ShmPoolUserData,
        handle: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        match &request {
            wl_shm_pool::Request::Resize { size } if *size > MAX_POOL_BYTES => {
                return state.blame_client(client, "pool is too large");
            }
            wl_shm_pool::Request::CreateBuffer { .. } if !state.count(client, Kind::Buffer) => {
                return;
            }
            _ => {}
        }
        <ShmState as Dispatch<WlShmPool, ShmPoolUserData, Self>>::request(
            state, client, pool, request, data, handle, init,
        );
    }

    fn destroyed(state: &mut Self, client: ClientId, pool: &WlShmPool, data: &ShmPoolUserData) {
        state.uncount(client.clone(), Kind::Pool);
        <ShmState as Dispatch<WlShmPool, ShmPoolUserData, Self>>::destroyed(
            state, client, pool, data,
        );
    }
}

impl Dispatch<WlBuffer, ShmBufferUserData> for VmState {
    fn request(
        state: &mut Self,
        client: &Client,
        buffer: &WlBuffer,
        request: <WlBuffer as Resource>::Request,
        data: &ShmBufferUserData,
        handle: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        <ShmState as Dispatch<WlBuffer, ShmBufferUserData, Self>>::request(
            state, client, buffer, request, data, handle, init,
        );
    }

    fn destroyed(state: &mut Self, client: ClientId, buffer: &WlBuffer, data: &ShmBufferUserData) {
        state.uncount(client.clone(), Kind::Buffer);
        <ShmState as Dispatch<WlBuffer, ShmBufferUserData, Self>>::destroyed(
            state, client, buffer, data,
        );
    }
}

delegate_global_dispatch!(VmState: [WlShm: ()] => ShmState);
