//! What a VM's clients did, for the core.

use crate::core::{Edges, Rect, Size, WindowKey};

/// One thing the core must know.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VmEvent {
    /// A window has content, or content of another size.
    Content {
        /// Which window.
        key: WindowKey,
        /// Size of its content, never empty.
        size: Size,
    },
    /// A window has no content any more.
    Gone {
        /// Which window.
        key: WindowKey,
    },
    /// A window's popups changed: their contents, bottom first, relative to
    /// the corner of the window's content.
    Popups {
        /// Which window.
        key: WindowKey,
        /// Where they are.
        contents: Vec<Rect>,
    },
    /// Pixels or titles changed.
    Redraw,
    /// The client wants the pointer to move the window. Its right to was checked.
    Move {
        /// Which window.
        key: WindowKey,
    },
    /// The client wants the pointer to resize the window. Its right to was checked.
    Resize {
        /// Which window.
        key: WindowKey,
        /// The edges that follow.
        edges: Edges,
    },
    /// The client wants the window to fill the monitor; it must be answered
    /// with a configure.
    Fill {
        /// Which window.
        key: WindowKey,
    },
}
