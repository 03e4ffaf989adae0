//! The command line.

use std::ffi::OsString;

use virtio_wl::accept_record::ACCEPT_CONTEXT;

use crate::labels::Policy;

/// Serves clients of other virtual machines from any Wayland compositor.
///
/// Accepts connections announced over virtio_wl and connects each to the ordinary socket of a
/// compositor in this VM. The device is chosen with the environment variable `VIRTIO_WL_DEVICE`
/// (default /dev/wl0).
#[derive(Debug, clap::Parser)]
#[command(name = "virtio-wl-relay", version)]
pub struct Args {
    /// Named context on which the host announces connections
    #[arg(long, value_name = "NAME", default_value = ACCEPT_CONTEXT)]
    pub context: String,

    /// The compositor's socket, a path or a name in $XDG_RUNTIME_DIR [default: $WAYLAND_DISPLAY, or wayland-0]
    #[arg(long, value_name = "SOCKET")]
    pub display: Option<OsString>,

    /// Tell the compositor which VM a connection comes from, by wp_security_context_v1
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Policy::Auto)]
    pub labels: Policy,

    /// Keep all rights of the user, for debugging
    #[arg(long)]
    pub no_sandbox: bool,
}
