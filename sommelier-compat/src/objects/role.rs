//! How the relay treats the objects of an interface.

use wayland_backend::protocol::Interface;

/// The interfaces whose messages are more than forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Forwarded, with ids and descriptors translated.
    Plain,
    /// `wl_display`: `error` and `delete_id`.
    Display,
    /// `wl_registry`: the allow-list.
    Registry,
    /// `wl_shm`: pools are not forwarded, formats are filtered.
    Shm,
    /// `wl_shm_pool`: lives in the relay only.
    ShmPool,
    /// `wl_buffer`: one of shared memory lives in the relay only.
    Buffer,
    /// `wl_surface`: pixels are copied at commit.
    Surface,
    /// `wp_viewporter`: tells which surfaces are scaled.
    Viewporter,
    /// `wp_viewport`: one of them.
    Viewport,
    /// An offer of a selection or a drag: `receive` takes a pipe.
    Offer,
}

impl Role {
    /// The role of every object of `interface`.
    #[must_use]
    pub fn of(interface: &Interface) -> Self {
        match interface.name {
            "wl_display" => Self::Display,
            "wl_registry" => Self::Registry,
            "wl_shm" => Self::Shm,
            "wl_shm_pool" => Self::ShmPool,
            "wl_buffer" => Self::Buffer,
            "wl_surface" => Self::Surface,
            "wp_viewporter" => Self::Viewporter,
            "wp_viewport" => Self::Viewport,
            "wl_data_offer" | "zwp_primary_selection_offer_v1" => Self::Offer,
            _ => Self::Plain,
        }
    }
}
