//! What the core decided and others must carry out.

use super::{PointF, Rect, Size, VmId, WindowId};

/// One decision, to be applied in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The keyboard went from one window to another.
    Focus {
        /// Who loses it.
        from: Option<WindowId>,
        /// Who gets it.
        to: Option<WindowId>,
    },
    /// The pointer is over this window, or bound to it by a pressed button.
    Motion {
        /// Which window.
        window: WindowId,
        /// Where, relative to the corner of its content.
        at: PointF,
    },
    /// The pointer left all windows of the VM.
    Leave {
        /// Which VM.
        vm: VmId,
    },
    /// A button for whatever the VM's pointer is over. Releases may reach a VM
    /// after [`Effect::Leave`]: its seat must see them, its clients will not.
    Button {
        /// Which VM.
        vm: VmId,
        /// Linux input event code.
        code: u32,
        /// Down or up.
        pressed: bool,
    },
    /// The wheel turned over the VM's window.
    Axis {
        /// Which VM.
        vm: VmId,
        /// Notches to the right, in 1/120.
        horizontal: i32,
        /// Notches down, in 1/120.
        vertical: i32,
    },
    /// A key, for the seats of all VMs; only `focused` may pass it on to clients.
    Key {
        /// The VM that has the keyboard.
        focused: Option<VmId>,
        /// Linux input event code.
        code: u32,
        /// Down or up.
        pressed: bool,
    },
    /// Menus of the VM close: the user turned to something else.
    EndGrabs {
        /// Which VM.
        vm: VmId,
    },
    /// Ask the window to take another size.
    Configure {
        /// Which window.
        window: WindowId,
        /// Size of its content.
        size: Size,
        /// Whether the user is still dragging.
        resizing: bool,
    },
    /// The room popups of the window may use.
    WorkArea {
        /// Which window.
        window: WindowId,
        /// Relative to the corner of its content.
        area: Rect,
    },
}

impl Effect {
    /// True if the effect would reach into this VM.
    pub(super) fn is_for(&self, id: VmId) -> bool {
        match self {
            Self::Motion { window, .. }
            | Self::Configure { window, .. }
            | Self::WorkArea { window, .. } => window.vm == id,
            Self::Leave { vm }
            | Self::Button { vm, .. }
            | Self::Axis { vm, .. }
            | Self::EndGrabs { vm } => *vm == id,
            // Focus names two VMs and keys go to all: whoever applies them
            // skips a VM that is gone.
            Self::Focus { .. } | Self::Key { .. } => false,
        }
    }
}
