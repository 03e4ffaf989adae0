//! A VM's toplevels and popups.

use std::collections::{BTreeMap, BTreeSet};

use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::with_states;
use smithay::wayland::shell::xdg::{
    PopupSurface, ToplevelSurface, XdgPopupSurfaceData, XdgToplevelSurfaceData,
};

use super::event::VmEvent;
use super::state::VmState;
use super::tree;
use crate::core::{Point, Rect, Size, WindowKey};
use crate::render::element::SceneElement;

/// Popups on popups. Real menus stop at four or five; a chain can also be
/// closed to a ring by giving a surface its role again, and must end then.
pub(super) const MAX_POPUP_DEPTH: usize = 16;

/// Configures a client may leave unacknowledged before no more are sent. A
/// client can ask for one at will, and each is kept until acknowledged.
const MAX_UNACKED: usize = 32;

/// All toplevels and popups of a VM.
#[derive(Debug, Default)]
pub(super) struct Windows {
    last_key: u64,
    toplevels: BTreeMap<WindowKey, Toplevel>,
    /// In order of creation, so that a child comes after its parent.
    popups: Vec<Popup>,
    active: Option<WindowKey>,
}

#[derive(Debug)]
struct Toplevel {
    surface: ToplevelSurface,
    /// The client's window geometry while it is mapped.
    geometry: Option<Rect>,
    /// Room for popups, relative to the content.
    work_area: Rect,
    /// The mapped popups, bottom first.
    popups: Vec<ShownPopup>,
}

#[derive(Debug)]
struct Popup {
    surface: PopupSurface,
    window: WindowKey,
    grabs: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct ShownPopup {
    surface: WlSurface,
    /// Its window geometry, relative to its surface.
    geometry: Rect,
    /// Where that goes, relative to the content of the window.
    content: Rect,
}

impl Windows {
    pub(super) fn surface(&self, key: WindowKey) -> Option<WlSurface> {
        let toplevel = self.toplevels.get(&key)?;
        Some(toplevel.surface.wl_surface().clone())
    }

    pub(super) fn toplevel(&self, key: WindowKey) -> Option<&ToplevelSurface> {
        self.toplevels.get(&key).map(|t| &t.surface)
    }

    /// The surfaces of all toplevels and popups.
    pub(super) fn roots(&self) -> Vec<WlSurface> {
        let toplevels = self.toplevels.values().map(|t| t.surface.wl_surface());
        let popups = self.popups.iter().map(|p| p.surface.wl_surface());
        toplevels.chain(popups).cloned().collect()
    }

    pub(super) fn key_of(&self, surface: &WlSurface) -> Option<WindowKey> {
        let mut toplevels = self.toplevels.iter();
        toplevels
            .find(|(_, t)| t.surface.wl_surface() == surface)
            .map(|(key, _)| *key)
    }

    /// Those that fill the monitor.
    pub(super) fn filling(&self) -> Vec<WindowKey> {
        let fills = |toplevel: &&Toplevel| {
            toplevel.surface.with_pending_state(|state| {
                state.states.contains(xdg_toplevel::State::Fullscreen)
                    || state.states.contains(xdg_toplevel::State::Maximized)
            })
        };
        let toplevels = self.toplevels.iter();
        let filling = toplevels.filter(|(_, toplevel)| fills(toplevel));
        filling.map(|(key, _)| *key).collect()
    }

    pub(super) fn popup_count(&self) -> usize {
        self.popups.len()
    }

    pub(super) fn add_toplevel(&mut self, surface: ToplevelSurface) -> WindowKey {
        self.last_key += 1;
        let key = WindowKey(self.last_key);
        let toplevel = Toplevel {
            surface,
            geometry: None,
            work_area: Rect::default(),
            popups: Vec::new(),
        };
        self.toplevels.insert(key, toplevel);
        key
    }

    /// Forgets a toplevel. True if it was shown.
    pub(super) fn remove_toplevel(&mut self, key: WindowKey) -> bool {
        self.popups.retain(|p| p.window != key);
        if self.active == Some(key) {
            self.active = None;
        }
        let removed = self.toplevels.remove(&key);
        removed.is_some_and(|t| t.geometry.is_some())
    }

    /// Takes a popup in; `None` if it does not hang on a toplevel.
    pub(super) fn add_popup(&mut self, surface: PopupSurface) -> Option<WindowKey> {
        let (root, _) = popup_position(surface.wl_surface())?;
        let window = self.key_of(&root)?;
        self.popups.push(Popup {
            surface,
            window,
            grabs: false,
        });
        Some(window)
    }

    pub(super) fn remove_popup(&mut self, surface: &PopupSurface) -> Option<WindowKey> {
        let index = self.popups.iter().position(|p| &p.surface == surface)?;
        Some(self.popups.remove(index).window)
    }

    /// Notes that a popup holds the pointer and the keyboard.
    pub(super) fn set_popup_grab(&mut self, surface: &PopupSurface) {
        if let Some(popup) = self.popups.iter_mut().find(|p| &p.surface == surface) {
            popup.grabs = true;
        }
    }

    pub(super) fn has_popup_grab(&self) -> bool {
        self.popups.iter().any(|p| p.grabs)
    }

    /// Tells the popups that hold a grab that they are closed, topmost first.
    pub(super) fn dismiss_popups(&mut self) {
        for popup in self.popups.iter_mut().rev().filter(|p| p.grabs) {
            popup.grabs = false;
            popup.surface.send_popup_done();
        }
    }

    /// The work area of a popup's window, relative to the popup's parent.
    pub(super) fn room_for(&self, surface: &PopupSurface) -> Option<Rect> {
        let popup = self.popups.iter().find(|p| &p.surface == surface)?;
        let area = self.toplevels.get(&popup.window)?.work_area;
        let parent = surface.get_parent_surface()?;
        let at = popup_position(&parent).map_or(Point::default(), |(_, at)| at);
        Some(Rect::at(area.origin().relative_to(at), area.size()))
    }

    /// The toplevel that has the keyboard.
    pub(super) fn active(&self) -> Option<WindowKey> {
        self.active
    }

    /// Marks one toplevel as the one that has the keyboard.
    pub(super) fn set_active(&mut self, key: Option<WindowKey>) {
        if self.active == key {
            return;
        }
        for (key, active) in [(self.active, false), (key, true)] {
            let Some(toplevel) = key.and_then(|key| self.toplevels.get(&key)) else {
                continue;
            };
            toplevel.surface.with_pending_state(|state| {
                let activated = xdg_toplevel::State::Activated;
                if active {
                    state.states.set(activated);
                } else {
                    state.states.unset(activated);
                }
            });
            send_configure(&toplevel.surface);
        }
        self.active = key;
    }

    /// The surface under a point of a window or of its popups, relative to
    /// the window's content, and its corner there.
    pub(super) fn surface_at(&self, key: WindowKey, p: Point) -> Option<(WlSurface, Point)> {
        let toplevel = self.toplevels.get(&key)?;
        for popup in toplevel.popups.iter().rev() {
            if popup.content.contains(p) {
                return hit(&popup.surface, popup.geometry, popup.content.origin(), p);
            }
        }
        let root = toplevel.surface.wl_surface();
        hit(root, toplevel.geometry?, Point::default(), p)
    }

    /// Looks at a toplevel after a commit.
    fn update_toplevel(&mut self, key: WindowKey) -> Option<VmEvent> {
        let toplevel = self.toplevels.get_mut(&key)?;
        let root = toplevel.surface.wl_surface();
        let mapped = tree::is_mapped(root);
        let geometry = tree::window_geometry(root);
        if !mapped || geometry.is_empty() {
            toplevel.popups.clear();
            return toplevel.geometry.take().map(|_| VmEvent::Gone { key });
        }
        let before = toplevel.geometry.replace(geometry);
        let size = geometry.size();
        (before.map(Rect::size) != Some(size)).then_some(VmEvent::Content { key, size })
    }

    /// Looks at a window's popups after a commit or a removal.
    pub(super) fn update_popups(&mut self, key: WindowKey) -> Option<VmEvent> {
        let toplevel = self.toplevels.get_mut(&key)?;
        let mine = self.popups.iter().filter(|p| p.window == key);
        let shown: Vec<ShownPopup> = mine.filter_map(|p| shown(&p.surface)).collect();
        if shown == toplevel.popups {
            return None;
        }
        let contents = shown.iter().map(|p| p.content).collect();
        toplevel.popups = shown;
        Some(VmEvent::Popups { key, contents })
    }
}

/// Where a popup is shown, if it is.
fn shown(popup: &PopupSurface) -> Option<ShownPopup> {
    let surface = popup.wl_surface();
    if !tree::is_mapped(surface) {
        return None;
    }
    let (_, at) = popup_position(surface)?;
    let geometry = tree::window_geometry(surface);
    (!geometry.is_empty()).then(|| ShownPopup {
        surface: surface.clone(),
        geometry,
        content: Rect::at(at, geometry.size()),
    })
}

/// The toplevel's surface a popup hangs on, and where the popup is relative to
/// that one's content. `None` if there is no such toplevel, or for a toplevel.
fn popup_position(surface: &WlSurface) -> Option<(WlSurface, Point)> {
    let mut surface = surface.clone();
    let mut at = Point::default();
    for depth in 0..MAX_POPUP_DEPTH {
        let popup = with_states(&surface, |states| {
            let data = states.data_map.get::<XdgPopupSurfaceData>()?;
            let data = data.lock().ok()?;
            let offset = data.current.geometry.loc;
            Some((data.parent.clone(), Point::new(offset.x, offset.y)))
        });
        match popup {
            Some((parent, offset)) => {
                at = at.offset(offset);
                surface = parent?;
            }
            None if depth == 0 => return None,
            None => return Some((surface, at)),
        }
    }
    None
}

fn hit(root: &WlSurface, geometry: Rect, corner: Point, p: Point) -> Option<(WlSurface, Point)> {
    let to_surface = geometry.origin().relative_to(corner);
    let (surface, at) = tree::surface_at(root, p.offset(to_surface))?;
    Some((surface, at.relative_to(to_surface)))
}

/// Sends what changed, unless the client is too far behind already.
fn send_configure(surface: &ToplevelSurface) {
    if surface.is_initial_configure_sent() && unacked(surface) < MAX_UNACKED {
        surface.send_pending_configure();
    }
}

fn unacked(surface: &ToplevelSurface) -> usize {
    with_states(surface.wl_surface(), |states| {
        let data = states.data_map.get::<XdgToplevelSurfaceData>();
        data.and_then(|data| Some(data.lock().ok()?.pending_configures().len()))
            .unwrap_or_default()
    })
}

impl VmState {
    /// Looks at the windows whose surfaces had commits: once for all of them,
    /// however many a client made.
    pub(super) fn update_touched(&mut self) {
        if self.touched.is_empty() {
            return;
        }
        let (mut windows, mut with_popups) = (BTreeSet::new(), BTreeSet::new());
        for surface in std::mem::take(&mut self.touched) {
            let root = tree::root(surface);
            if let Some(key) = self.windows.key_of(&root) {
                windows.insert(key);
            } else if let Some((toplevel, _)) = popup_position(&root)
                && let Some(key) = self.windows.key_of(&toplevel)
            {
                with_popups.insert(key);
            }
        }
        for key in windows {
            self.outbox.extend(self.windows.update_toplevel(key));
        }
        for key in with_popups {
            self.outbox.extend(self.windows.update_popups(key));
        }
        self.outbox.push(VmEvent::Redraw);
    }

    pub(super) fn configure(&mut self, key: WindowKey, size: Size, resizing: bool) {
        let Some(toplevel) = self.windows.toplevel(key) else {
            return;
        };
        toplevel.with_pending_state(|state| {
            state.size = Some((size.w, size.h).into());
            if resizing {
                state.states.set(xdg_toplevel::State::Resizing);
            } else {
                state.states.unset(xdg_toplevel::State::Resizing);
            }
        });
        send_configure(toplevel);
    }

    pub(super) fn set_work_area(&mut self, key: WindowKey, area: Rect) {
        if let Some(toplevel) = self.windows.toplevels.get_mut(&key) {
            toplevel.work_area = area;
        }
    }

    /// Answers a request that must be answered with a configure, whether or
    /// not anything changes.
    pub(super) fn answer_configure(&self, surface: &ToplevelSurface) {
        if surface.is_initial_configure_sent() && unacked(surface) < MAX_UNACKED {
            surface.send_configure();
        }
    }

    pub(super) fn titles(&self, key: WindowKey) -> (String, String) {
        let Some(surface) = self.windows.toplevel(key) else {
            return Default::default();
        };
        with_states(surface.wl_surface(), |states| {
            let data = states.data_map.get::<XdgToplevelSurfaceData>();
            let Some(Ok(data)) = data.map(|data| data.lock()) else {
                return Default::default();
            };
            let text = |t: &Option<String>| t.clone().unwrap_or_default();
            (text(&data.title), text(&data.app_id))
        })
    }

    pub(super) fn elements(&self, key: WindowKey, content: Rect, out: &mut Vec<SceneElement>) {
        if let Some(toplevel) = self.windows.toplevels.get(&key)
            && let Some(geometry) = toplevel.geometry
        {
            tree::elements(toplevel.surface.wl_surface(), geometry, content, out);
        }
    }

    pub(super) fn popup_elements(
        &self,
        key: WindowKey,
        index: usize,
        content: Rect,
        out: &mut Vec<SceneElement>,
    ) {
        let toplevel = self.windows.toplevels.get(&key);
        if let Some(popup) = toplevel.and_then(|t| t.popups.get(index)) {
            tree::elements(&popup.surface, popup.geometry, content, out);
        }
    }
}
