//! Walking a surface and its subsurfaces: extent, hit test, elements.

use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::{
    RectangleKind, SUBSURFACE_ROLE, SubsurfaceCachedState, SurfaceAttributes, SurfaceData,
    TraversalAction, get_parent, with_states, with_surface_tree_downward,
};
use smithay::wayland::shell::xdg::SurfaceCachedState;

use super::shadow::Shadow;
use crate::core::{Point, Rect, Size};
use crate::render::element::SceneElement;
use crate::render::pixels::MAX_SIDE;

/// Calls `each` for the surface and its mapped subsurfaces, top first, with
/// each one's corner relative to the corner of `root`.
fn top_down(root: &WlSurface, mut each: impl FnMut(&WlSurface, &SurfaceData, Point)) {
    with_surface_tree_downward(
        root,
        Point::default(),
        |_, states, parent| {
            if Shadow::with(states, |shadow| shadow.has_content()) {
                TraversalAction::DoChildren(parent.offset(own_offset(states)))
            } else {
                TraversalAction::SkipChildren
            }
        },
        |surface, states, parent| each(surface, states, parent.offset(own_offset(states))),
        |_, _, _| true,
    );
}

fn own_offset(states: &SurfaceData) -> Point {
    if states.role != Some(SUBSURFACE_ROLE) {
        return Point::default();
    }
    let mut cached = states.cached_state.get::<SubsurfaceCachedState>();
    let at = cached.current().location;
    Point::new(at.x, at.y)
}

/// True if the surface has something to show.
pub(super) fn is_mapped(surface: &WlSurface) -> bool {
    with_states(surface, |states| Shadow::with(states, |s| s.has_content()))
}

/// The part of an xdg surface that counts as its window, relative to the
/// surface: what the client says, as far as there are pixels; else all of it.
pub(super) fn window_geometry(root: &WlSurface) -> Rect {
    let mut extent = Rect::default();
    top_down(root, |_, states, at| {
        let size = Shadow::with(states, |shadow| shadow.size());
        extent = extent.union(Rect::at(at, size));
    });
    let asked = with_states(root, |states| {
        let mut cached = states.cached_state.get::<SurfaceCachedState>();
        cached.current().geometry
    });
    let geometry = match asked {
        Some(r) => Rect::new(r.loc.x, r.loc.y, r.size.w, r.size.h)
            .intersection(extent)
            .unwrap_or_default(),
        None => extent,
    };
    let size = Size::new(geometry.w.min(MAX_SIDE), geometry.h.min(MAX_SIDE));
    Rect::at(geometry.origin(), size)
}

/// Collects the elements of a window, top first. `content` is where its
/// geometry goes on the monitor; nothing is drawn outside.
pub(super) fn elements(
    root: &WlSurface,
    geometry: Rect,
    content: Rect,
    out: &mut Vec<SceneElement>,
) {
    top_down(root, |_, states, at| {
        Shadow::with(states, |shadow| {
            let whole = Rect::at(at.relative_to(geometry.origin()), shadow.size());
            let room = Rect::at(Point::default(), content.size());
            let Some(visible) = whole.intersection(room) else {
                return;
            };
            let local = Rect::at(visible.origin().relative_to(whole.origin()), visible.size());
            let on_monitor = visible.offset(content.origin());
            out.extend(shadow.element(local, visible, on_monitor));
        });
    });
}

/// The topmost surface that takes input at `p`, relative to the corner of
/// `root`, with its own corner in the same coordinates.
pub(super) fn surface_at(root: &WlSurface, p: Point) -> Option<(WlSurface, Point)> {
    let mut found = None;
    top_down(root, |surface, states, at| {
        if found.is_some() {
            return;
        }
        let size = Shadow::with(states, |shadow| shadow.size());
        let local = p.relative_to(at);
        if Rect::at(Point::default(), size).contains(local) && takes_input(states, local) {
            found = Some((surface.clone(), at));
        }
    });
    found
}

fn takes_input(states: &SurfaceData, p: Point) -> bool {
    let mut cached = states.cached_state.get::<SurfaceAttributes>();
    let Some(region) = &cached.current().input_region else {
        return true;
    };
    region.rects.iter().fold(false, |inside, (kind, r)| {
        let hit = Rect::new(r.loc.x, r.loc.y, r.size.w, r.size.h).contains(p);
        match kind {
            RectangleKind::Add => inside || hit,
            RectangleKind::Subtract => inside && !hit,
        }
    })
}

/// The surface at the top of the tree. A tree is never deeper than
/// [`MAX_SUBSURFACE_DEPTH`](super::limits::MAX_SUBSURFACE_DEPTH).
pub(super) fn root(mut surface: WlSurface) -> WlSurface {
    while let Some(parent) = get_parent(&surface) {
        surface = parent;
    }
    surface
}

/// How many surfaces a tree has, and how deep it is.
pub(super) fn extent(root: &WlSurface) -> (usize, usize) {
    let (mut count, mut deepest) = (0, 0);
    with_surface_tree_downward(
        root,
        0,
        |_, _, depth| TraversalAction::DoChildren(depth + 1),
        |_, _, depth| {
            count += 1;
            deepest = deepest.max(depth + 1);
        },
        |_, _, _| true,
    );
    (count, deepest)
}

/// Calls `each` for every surface of the tree, mapped or not.
pub(super) fn all(root: &WlSurface, mut each: impl FnMut(&SurfaceData)) {
    with_surface_tree_downward(
        root,
        (),
        |_, _, ()| TraversalAction::DoChildren(()),
        |_, states, ()| each(states),
        |_, _, ()| true,
    );
}
