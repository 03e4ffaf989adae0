//! The monitors a VM sees. One `Output` per VM and monitor: shared between
//! displays it would announce one VM's objects to another.

use smithay::output::{Mode, Output, PhysicalProperties, Scale, Subpixel};
use smithay::reexports::wayland_server::DisplayHandle;
use smithay::utils::Transform;

use super::event::VmEvent;
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
        let (transform, scale) = (Transform::Normal, Scale::Integer(1));
        output.change_current_state(
            Some(mode(size)),
            Some(transform),
            Some(scale),
            Some((0, 0).into()),
        );
        output.set_preferred(mode(size));
        Self { output }
    }

    /// Tells all clients of another size.
    fn resize(&self, size: Size) {
        let before = self.output.current_mode();
        let now = mode(size);
        self.output
            .change_current_state(Some(now), None, None, None);
        self.output.set_preferred(now);
        if let Some(before) = before.filter(|before| *before != now) {
            self.output.delete_mode(before);
        }
    }
}

impl VmState {
    /// The monitor has another size. Windows that fill it are to fill it again.
    pub(super) fn set_monitor(&mut self, size: Size) {
        self.output.resize(size);
        let filling = self.windows.filling().into_iter();
        self.outbox.extend(filling.map(|key| VmEvent::Fill { key }));
    }
}

fn mode(size: Size) -> Mode {
    Mode {
        size: (size.w, size.h).into(),
        refresh: REFRESH_MHZ,
    }
}
