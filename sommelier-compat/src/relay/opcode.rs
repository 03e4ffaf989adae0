//! The messages that the relay takes note of, by their index in the interface.
//!
//! The tests check every number against the name in the protocol tables.

macro_rules! opcodes {
    ($($(#[$doc:meta])* $name:ident = $index:literal $list:ident $interface:literal $message:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: u16 = $index;)*

        #[cfg(test)]
        pub(super) const ALL: &[(u16, &str, &str, &str)] =
            &[$(($index, stringify!($list), $interface, $message)),*];
    };
}

opcodes! {
    DISPLAY_ERROR = 0 events "wl_display" "error";
    DISPLAY_DELETE_ID = 1 events "wl_display" "delete_id";
    REGISTRY_BIND = 0 requests "wl_registry" "bind";
    REGISTRY_GLOBAL = 0 events "wl_registry" "global";
    REGISTRY_GLOBAL_REMOVE = 1 events "wl_registry" "global_remove";
    SHM_CREATE_POOL = 0 requests "wl_shm" "create_pool";
    SHM_FORMAT = 0 events "wl_shm" "format";
    POOL_CREATE_BUFFER = 0 requests "wl_shm_pool" "create_buffer";
    POOL_DESTROY = 1 requests "wl_shm_pool" "destroy";
    POOL_RESIZE = 2 requests "wl_shm_pool" "resize";
    BUFFER_DESTROY = 0 requests "wl_buffer" "destroy";
    BUFFER_RELEASE = 0 events "wl_buffer" "release";
    SURFACE_ATTACH = 1 requests "wl_surface" "attach";
    SURFACE_DAMAGE = 2 requests "wl_surface" "damage";
    SURFACE_COMMIT = 6 requests "wl_surface" "commit";
    SURFACE_SET_BUFFER_TRANSFORM = 7 requests "wl_surface" "set_buffer_transform";
    SURFACE_SET_BUFFER_SCALE = 8 requests "wl_surface" "set_buffer_scale";
    SURFACE_DAMAGE_BUFFER = 9 requests "wl_surface" "damage_buffer";
    SURFACE_OFFSET = 10 requests "wl_surface" "offset";
    VIEWPORTER_GET_VIEWPORT = 1 requests "wp_viewporter" "get_viewport";
}
