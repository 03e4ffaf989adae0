//! What the relay keeps of its rights: being a guest, and making sockets beside the display's.

use virtio_wl::DeviceAddress;
use virtio_wl::host::sandbox::{FsAccess, Sandbox, SandboxError};

use crate::display::Display;
use crate::labels::Policy;

#[cfg(test)]
mod tests;

/// Gives up everything else. To be called before other threads start.
///
/// # Errors
/// The display's directory does not exist, and labels need it. The process may be restricted in
/// part, and should end.
pub fn apply(
    device: &DeviceAddress,
    display: &Display,
    labels: Policy,
) -> Result<(), SandboxError> {
    // Connecting needs no right to the socket's directory, nor does watching that.
    let mut sandbox = Sandbox::new().guest(device);
    if labels != Policy::Off {
        sandbox = sandbox.path(display.directory(), FsAccess::Sockets);
    }
    sandbox.apply().map(drop)
}
