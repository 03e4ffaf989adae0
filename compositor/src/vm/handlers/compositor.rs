//! wl_compositor, wl_surface, wl_subcompositor.

use std::cell::Cell;

use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::wl_callback::WlCallback;
use smithay::reexports::wayland_server::protocol::wl_compositor::WlCompositor;
use smithay::reexports::wayland_server::protocol::wl_region::{self, WlRegion};
use smithay::reexports::wayland_server::protocol::wl_subcompositor::{self, WlSubcompositor};
use smithay::reexports::wayland_server::protocol::wl_subsurface::WlSubsurface;
use smithay::reexports::wayland_server::protocol::wl_surface::{self, WlSurface};
use smithay::reexports::wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, Resource, delegate_dispatch,
    delegate_global_dispatch,
};
use smithay::utils::Rectangle;
use smithay::wayland::compositor::{
    CompositorClientState, CompositorHandler, CompositorState, Damage, RegionUserData,
    SubsurfaceUserData, SurfaceAttributes, SurfaceUserData, TraversalAction, get_parent,
    get_region_attributes, is_sync_subsurface, with_states, with_surface_tree_upward,
};

use super::super::limits::{
    Kind, MAX_CACHED_COMMITS, MAX_DAMAGE, MAX_REGION_RECTS, MAX_SUBSURFACE_DEPTH, MAX_TREE,
};
use super::super::shadow::Shadow;
use super::super::state::{ClientState, LiveSurface, VmState};
use super::super::tree;
use crate::core::Rect;

impl CompositorHandler for VmState {
    fn compositor_state(&mut self) -> &mut CompositorState {
        &mut self.compositor
    }

    fn client_compositor_state<'a>(&self, client: &'a Client) -> &'a CompositorClientState {
        match client.get_data::<ClientState>() {
            Some(data) => &data.compositor,
            // Clients come in through `Vm::insert` only, which sets the data.
            None => unreachable!("a client without client state"),
        }
    }

    fn new_surface(&mut self, surface: &WlSurface) {
        with_states(surface, |states| {
            states.data_map.insert_if_missing(LiveSurface::new);
            states.data_map.insert_if_missing(Cached::default);
        });
        if let Some(client) = surface.client() {
            self.count(&client, Kind::Surface);
        }
    }

    fn commit(&mut self, surface: &WlSurface) {
        if is_sync_subsurface(surface) {
            return self.cached_commit(surface);
        }
        self.apply_tree(surface);
        self.popup_grabs.commit(surface);
        self.configure_if_new(surface);
        self.touched.insert(surface.clone());
    }

    fn destroyed(&mut self, surface: &WlSurface) {
        // The output remembers every surface that was on it.
        self.output.output.leave(surface);
        self.touched.remove(surface);
    }
}

/// Commits of a synchronised subsurface since the last one of its parent.
#[derive(Debug, Default)]
struct Cached(Cell<u32>);

impl VmState {
    /// A commit that waits for the parent's.
    fn cached_commit(&self, surface: &WlSurface) {
        let cached = with_states(surface, |states| {
            let cached = states.data_map.get::<Cached>()?;
            cached.0.set(cached.0.get().saturating_add(1));
            Some(cached.0.get())
        });
        if cached.is_some_and(|cached| cached > MAX_CACHED_COMMITS) {
            self.blame(surface, "subsurface commits without a commit of the parent");
        }
    }

    /// Takes up what the commit of a surface applied, for it and its
    /// synchronised subsurfaces.
    fn apply_tree(&mut self, surface: &WlSurface) {
        let mut bad = None;
        let mut wants_frame = false;
        let (budget, output) = (&mut self.budget, &self.output.output);
        with_surface_tree_upward(
            surface,
            (),
            |_, _, ()| TraversalAction::DoChildren(()),
            |surface, states, ()| {
                if let Some(cached) = states.data_map.get::<Cached>() {
                    cached.0.set(0);
                }
                let applied = Shadow::with(states, |shadow| {
                    let applied = shadow.apply(states, budget);
                    wants_frame |= shadow.is_waiting();
                    applied
                });
                bad = bad.or(applied.err());
                if Shadow::with(states, |shadow| shadow.has_content()) {
                    output.enter(surface);
                }
                let mut cached = states.cached_state.get::<SurfaceAttributes>();
                wants_frame |= !cached.current().frame_callbacks.is_empty();
            },
            |_, _, ()| true,
        );
        self.wants_frame |= wants_frame;
        if let Some(reason) = bad {
            self.blame(surface, reason);
        }
    }
}

/// Replaces a long list of pending damage by its bounding boxes.
fn bound_damage(surface: &WlSurface, most: usize) {
    with_states(surface, |states| {
        let mut cached = states.cached_state.get::<SurfaceAttributes>();
        let damage = &mut cached.pending().damage;
        if damage.len() <= most {
            return;
        }
        let (mut in_surface, mut in_buffer) = (Rect::default(), Rect::default());
        for damage in damage.drain(..) {
            match damage {
                Damage::Surface(r) => {
                    let r = Rect::new(r.loc.x, r.loc.y, r.size.w, r.size.h);
                    in_surface = in_surface.union(r);
                }
                Damage::Buffer(r) => {
                    let r = Rect::new(r.loc.x, r.loc.y, r.size.w, r.size.h);
                    in_buffer = in_buffer.union(r);
                }
            }
        }
        if !in_surface.is_empty() {
            let Rect { x, y, w, h } = in_surface;
            damage.push(Damage::Surface(Rectangle::new(
                (x, y).into(),
                (w, h).into(),
            )));
        }
        if !in_buffer.is_empty() {
            let Rect { x, y, w, h } = in_buffer;
            damage.push(Damage::Buffer(Rectangle::new((x, y).into(), (w, h).into())));
        }
    });
}

impl Dispatch<WlSurface, SurfaceUserData> for VmState {
    fn request(
        state: &mut Self,
        client: &Client,
        surface: &WlSurface,
        request: wl_surface::Request,
        data: &SurfaceUserData,
        handle: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        match &request {
            // Merged damage of waiting commits would pile up one by one.
            wl_surface::Request::Commit if is_sync_subsurface(surface) => bound_damage(surface, 0),
            wl_surface::Request::Damage { .. } | wl_surface::Request::DamageBuffer { .. } => {
                bound_damage(surface, MAX_DAMAGE);
            }
            _ => {}
        }
        <CompositorState as Dispatch<WlSurface, SurfaceUserData, Self>>::request(
            state, client, surface, request, data, handle, init,
        );
    }

    fn destroyed(state: &mut Self, client: ClientId, surface: &WlSurface, data: &SurfaceUserData) {
        state.uncount(client.clone(), Kind::Surface);
        <CompositorState as Dispatch<WlSurface, SurfaceUserData, Self>>::destroyed(
            state, client, surface, data,
        );
    }
}

impl Dispatch<WlRegion, RegionUserData> for VmState {
    fn request(
        state: &mut Self,
        client: &Client,
        region: &WlRegion,
        request: wl_region::Request,
        data: &RegionUserData,
        handle: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let grows = matches!(
            request,
            wl_region::Request::Add { .. } | wl_region::Request::Subtract { .. }
        );
        if grows && get_region_attributes(region).rects.len() >= MAX_REGION_RECTS {
            return state.blame_client(client, "region of too many rectangles");
        }
        <CompositorState as Dispatch<WlRegion, RegionUserData, Self>>::request(
            state, client, region, request, data, handle, init,
        );
    }
}

impl Dispatch<WlSubcompositor, ()> for VmState {
    fn request(
        state: &mut Self,
        client: &Client,
        subcompositor: &WlSubcompositor,
        request: wl_subcompositor::Request,
        data: &(),
        handle: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let wl_subcompositor::Request::GetSubsurface {
            surface, parent, ..
        } = &request
        {
            let (mut ancestors, mut root) = (1, parent.clone());
            while let Some(parent) = get_parent(&root) {
                (ancestors, root) = (ancestors + 1, parent);
            }
            let (count, depth) = tree::extent(surface);
            let (others, _) = tree::extent(&root);
            if ancestors + depth > MAX_SUBSURFACE_DEPTH || count + others > MAX_TREE {
                return state.blame_client(client, "too many subsurfaces in one window");
            }
        }
        <CompositorState as Dispatch<WlSubcompositor, (), Self>>::request(
            state,
            client,
            subcompositor,
            request,
            data,
            handle,
            init,
        );
    }
}

delegate_global_dispatch!(VmState: [WlCompositor: ()] => CompositorState);
delegate_global_dispatch!(VmState: [WlSubcompositor: ()] => CompositorState);
delegate_dispatch!(VmState: [WlCompositor: ()] => CompositorState);
delegate_dispatch!(VmState: [WlCallback: ()] => CompositorState);
delegate_dispatch!(VmState: [WlSubsurface: SubsurfaceUserData] => CompositorState);
