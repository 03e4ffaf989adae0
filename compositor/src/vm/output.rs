//! The monitors a VM sees. One `Output` per VM and monitor: shared between
//! displays it would announce one VM's objects to another.

use smithay::output::{Mode, Output, PhysicalProperties, Scale, Subpixel};
use smithay::reexports::wayland_server::DisplayHandle;
use smithay::utils::Transform;

use super::state::VmState;
use crate::core::Size;

/// Refresh rate told to clients, in thousandths of a hertz.
const REFRESH_MHZ: i32 = 60_000;

/// A VM's only monitor.
#[derive(Debug)]
pub(super) struct VmOutput {
    pub(super) output: Output,
}

impl VmOutput {
    pub(super) fn new(handle: &DisplayHandle, size: Size) -> Self {
        let properties = PhysicalProperties {
            // Unknown. Clients that compute a scale from it then keep 1.
            size: (0, 0).into(),
            subpixel: Subpixel::Unknown,
            make: "virtio-wl".into(),
            model: "virtual".into(),
        };
        let output = Output::new("virtual-1".into(), properties);
        output.create_global::<VmState>(handle);
        let mode = Mode {
            size: (size.w, size.h).into(),
            refresh: REFRESH_MHZ,
        };
        output.change_current_state(
            Some(mode),
            Some(Transform::Normal),
            Some(Scale::Integer(1)),
            Some((0, 0).into()),
        );
        output.set_preferred(mode);
        Self { output }
    }
}
