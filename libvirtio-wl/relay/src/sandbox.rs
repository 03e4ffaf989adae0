//! What the relay keeps of its rights: being a guest, and connecting to the display's socket.

use virtio_wl::DeviceAddress;
use virtio_wl::host::sandbox::{Sandbox, SandboxError};

#[cfg(test)]
mod tests;

/// Gives up everything else. To be called before other threads start.
///
/// # Errors
/// The process may then be restricted in part, and should end.
pub fn apply(device: &DeviceAddress) -> Result<(), SandboxError> {
    // Connecting needs no right to the socket's directory, nor does watching that.
    Sandbox::new().guest(device).apply().map(drop)
}
