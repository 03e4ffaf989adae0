//! wl_seat, wl_keyboard, wl_pointer.

use smithay::input::pointer::CursorImageStatus;
use smithay::input::{Seat, SeatHandler, SeatState};
use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::wl_keyboard::{self, WlKeyboard};
use smithay::reexports::wayland_server::protocol::wl_pointer::WlPointer;
use smithay::reexports::wayland_server::protocol::wl_seat::{self, WlSeat};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::reexports::wayland_server::protocol::wl_touch::WlTouch;
use smithay::reexports::wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, Resource, delegate_dispatch,
    delegate_global_dispatch,
};
use smithay::wayland::seat::{
    KeyboardUserData, PointerUserData, SeatGlobalData, SeatUserData, TouchUserData,
};
use smithay::wayland::selection::data_device::set_data_device_focus;

use super::super::limits::Kind;
use super::super::state::VmState;

impl SeatHandler for VmState {
    type KeyboardFocus = WlSurface;
    type PointerFocus = WlSurface;
    type TouchFocus = WlSurface;

    fn seat_state(&mut self) -> &mut SeatState<Self> {
        &mut self.seat_state
    }

    fn focus_changed(&mut self, seat: &Seat<Self>, focused: Option<&WlSurface>) {
        let client = focused.and_then(|surface| self.handle.get_client(surface.id()).ok());
        set_data_device_focus(&self.handle, seat, client);
    }

    fn cursor_image(&mut self, _seat: &Seat<Self>, _image: CursorImageStatus) {}
}

impl Dispatch<WlSeat, SeatUserData<VmState>> for VmState {
    fn request(
        state: &mut Self,
        client: &Client,
        seat: &WlSeat,
        request: wl_seat::Request,
        data: &SeatUserData<Self>,
        handle: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let keyboard = matches!(request, wl_seat::Request::GetKeyboard { .. });
        if keyboard && !state.count(client, Kind::Keyboard) {
            return;
        }
        <SeatState<Self> as Dispatch<WlSeat, SeatUserData<Self>, Self>>::request(
            state, client, seat, request, data, handle, init,
        );
    }

    fn destroyed(state: &mut Self, client: ClientId, seat: &WlSeat, data: &SeatUserData<Self>) {
        <SeatState<Self> as Dispatch<WlSeat, SeatUserData<Self>, Self>>::destroyed(
            state, client, seat, data,
        );
    }
}

impl Dispatch<WlKeyboard, KeyboardUserData<VmState>> for VmState {
    fn request(
        state: &mut Self,
        client: &Client,
        keyboard: &WlKeyboard,
        request: wl_keyboard::Request,
        data: &KeyboardUserData<Self>,
        handle: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        <SeatState<Self> as Dispatch<WlKeyboard, KeyboardUserData<Self>, Self>>::request(
            state, client, keyboard, request, data, handle, init,
        );
    }

    fn destroyed(
        state: &mut Self,
        client: ClientId,
        keyboard: &WlKeyboard,
        data: &KeyboardUserData<Self>,
    ) {
        state.uncount(client.clone(), Kind::Keyboard);
        <SeatState<Self> as Dispatch<WlKeyboard, KeyboardUserData<Self>, Self>>::destroyed(
            state, client, keyboard, data,
        );
    }
}

delegate_global_dispatch!(VmState: [WlSeat: SeatGlobalData<VmState>] => SeatState<VmState>);
delegate_dispatch!(VmState: [WlPointer: PointerUserData<VmState>] => SeatState<VmState>);
delegate_dispatch!(VmState: [WlTouch: TouchUserData<VmState>] => SeatState<VmState>);
