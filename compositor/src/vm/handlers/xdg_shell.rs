//! xdg_shell: toplevels, popups, and what they ask of the window manager.

use smithay::desktop::{PopupKeyboardGrab, PopupKind, PopupPointerGrab, find_popup_root_surface};
use smithay::input::pointer::Focus;
use smithay::reexports::wayland_protocols::xdg::shell::server::{xdg_toplevel, xdg_wm_base};
use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::protocol::{
    wl_output::WlOutput, wl_seat::WlSeat, wl_surface::WlSurface,
};
use smithay::utils::{Logical, Rectangle, Serial};
use smithay::wayland::shell::xdg::{
    PopupSurface, PositionerState, ToplevelSurface, XdgShellHandler, XdgShellState,
};

use super::super::event::VmEvent;
use super::super::limits::{Kind, MAX_POPUPS};
use super::super::state::VmState;
use crate::core::{Edges, Rect};

impl XdgShellHandler for VmState {
    fn xdg_shell_state(&mut self) -> &mut XdgShellState {
        &mut self.xdg_shell
    }

    fn new_toplevel(&mut self, surface: ToplevelSurface) {
        if let Some(client) = surface.wl_surface().client() {
            self.count(&client, Kind::Toplevel);
        }
        // The initial configure follows the initial commit.
        self.windows.add_toplevel(surface);
    }

    fn new_popup(&mut self, surface: PopupSurface, positioner: PositionerState) {
        let root = surface.wl_surface().clone();
        if self.windows.popup_count() >= MAX_POPUPS {
            return self.blame(&root, "too many popups");
        }
        if self.windows.add_popup(surface.clone()).is_none() {
            root.post_error(
                xdg_wm_base::Error::InvalidPopupParent,
                "popup hangs on no toplevel",
            );
            return;
        }
        self.place_popup(&surface, positioner);
        if let Err(error) = self.popup_grabs.track_popup(PopupKind::from(surface)) {
            tracing::debug!(%error, "popup without parent");
        }
    }

    fn reposition_request(
        &mut self,
        surface: PopupSurface,
        positioner: PositionerState,
        token: u32,
    ) {
        self.place_popup(&surface, positioner);
        surface.send_repositioned(token);
    }

    fn grab(&mut self, surface: PopupSurface, _seat: WlSeat, serial: Serial) {
        let kind = PopupKind::from(surface.clone());
        let Ok(root) = find_popup_root_surface(&kind) else {
            return;
        };
        let seat = self.seat.clone();
        let grab = self.popup_grabs.grab_popup(root, kind, &seat, serial);
        let mut grab = match grab {
            Ok(grab) => grab,
            Err(error) => {
                tracing::debug!(%error, "popup grab refused");
                return;
            }
        };
        let (keyboard, pointer) = (self.input.keyboard(), self.input.pointer());
        let taken = |held: bool, ours: bool| held && !ours;
        let previous = grab.previous_serial().unwrap_or(serial);
        if taken(
            keyboard.is_grabbed(),
            keyboard.has_grab(serial) || keyboard.has_grab(previous),
        ) || taken(
            pointer.is_grabbed(),
            pointer.has_grab(serial) || pointer.has_grab(previous),
        ) {
            grab.ungrab(smithay::desktop::PopupUngrabStrategy::All);
            return;
        }
        self.windows.set_popup_grab(&surface);
        keyboard.set_focus(self, grab.current_grab(), serial);
        keyboard.set_grab(self, PopupKeyboardGrab::new(&grab), serial);
        pointer.set_grab(self, PopupPointerGrab::new(&grab), serial, Focus::Keep);
    }

    fn move_request(&mut self, surface: ToplevelSurface, _seat: WlSeat, serial: Serial) {
        if let Some(key) = self.windows.key_of(surface.wl_surface())
            && self.drop_pointer(serial)
        {
            self.outbox.push(VmEvent::Move { key });
        }
    }

    fn resize_request(
        &mut self,
        surface: ToplevelSurface,
        _seat: WlSeat,
        serial: Serial,
        edges: xdg_toplevel::ResizeEdge,
    ) {
        if let Some(key) = self.windows.key_of(surface.wl_surface())
            && self.drop_pointer(serial)
        {
            let edges = self::edges(edges);
            self.outbox.push(VmEvent::Resize { key, edges });
        }
    }

    fn maximize_request(&mut self, surface: ToplevelSurface) {
        self.fill(&surface, xdg_toplevel::State::Maximized, true);
    }

    fn unmaximize_request(&mut self, surface: ToplevelSurface) {
        self.fill(&surface, xdg_toplevel::State::Maximized, false);
    }

    fn fullscreen_request(&mut self, surface: ToplevelSurface, _output: Option<WlOutput>) {
        self.fill(&surface, xdg_toplevel::State::Fullscreen, true);
    }

    fn unfullscreen_request(&mut self, surface: ToplevelSurface) {
        self.fill(&surface, xdg_toplevel::State::Fullscreen, false);
    }

    fn title_changed(&mut self, _surface: ToplevelSurface) {
        self.outbox.push(VmEvent::Redraw);
    }

    fn toplevel_destroyed(&mut self, surface: ToplevelSurface) {
        if let Some(client) = surface.wl_surface().client() {
            self.uncount(client.id(), Kind::Toplevel);
        }
        if let Some(key) = self.windows.key_of(surface.wl_surface())
            && self.windows.remove_toplevel(key)
        {
            self.outbox.push(VmEvent::Gone { key });
        }
    }

    fn popup_destroyed(&mut self, surface: PopupSurface) {
        if let Some(key) = self.windows.remove_popup(&surface) {
            let event = self.windows.update_popups(key);
            self.outbox.extend(event);
        }
    }
}

impl VmState {
    /// Sends the configure that must follow the first commit of a role.
    pub(super) fn configure_if_new(&mut self, surface: &WlSurface) {
        if let Some(key) = self.windows.key_of(surface) {
            if let Some(toplevel) = self.windows.toplevel(key)
                && !toplevel.is_initial_configure_sent()
            {
                toplevel.send_configure();
            }
        } else if let Some(PopupKind::Xdg(popup)) = self.popup_grabs.find_popup(surface)
            && !popup.is_initial_configure_sent()
            && let Err(error) = popup.send_configure()
        {
            tracing::debug!(%error, "popup cannot be configured");
        }
    }

    fn place_popup(&mut self, surface: &PopupSurface, positioner: PositionerState) {
        let geometry = match self.windows.room_for(surface) {
            Some(room) if !room.is_empty() => positioner.get_unconstrained_geometry(logical(room)),
            _ => positioner.get_geometry(),
        };
        surface.with_pending_state(|state| {
            state.positioner = positioner;
            state.geometry = geometry;
        });
    }

    /// Takes the pointer from the client that holds it by the button press
    /// `serial`. False if nobody does.
    fn drop_pointer(&mut self, serial: Serial) -> bool {
        let pointer = self.input.pointer();
        if !pointer.has_grab(serial) {
            return false;
        }
        let time = self.time();
        pointer.unset_grab(self, serial, time);
        self.leave();
        true
    }

    fn fill(&mut self, surface: &ToplevelSurface, kind: xdg_toplevel::State, fill: bool) {
        surface.with_pending_state(|state| {
            if fill {
                state.states.set(kind);
            } else {
                state.states.unset(kind);
                state.size = None;
            }
        });
        match self.windows.key_of(surface.wl_surface()) {
            Some(key) if fill => self.outbox.push(VmEvent::Fill { key }),
            _ => self.answer_configure(surface),
        }
    }
}

fn logical(r: Rect) -> Rectangle<i32, Logical> {
    Rectangle::new((r.x, r.y).into(), (r.w, r.h).into())
}

fn edges(edges: xdg_toplevel::ResizeEdge) -> Edges {
    use xdg_toplevel::ResizeEdge as E;
    Edges {
        left: matches!(edges, E::Left | E::TopLeft | E::BottomLeft),
        right: matches!(edges, E::Right | E::TopRight | E::BottomRight),
        top: matches!(edges, E::Top | E::TopLeft | E::TopRight),
        bottom: matches!(edges, E::Bottom | E::BottomLeft | E::BottomRight),
    }
}

smithay::delegate_xdg_shell!(VmState);
