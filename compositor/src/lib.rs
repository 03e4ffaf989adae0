//! A Wayland compositor for a VM of its own.
